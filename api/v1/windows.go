package v1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

const (
	windowLeast  = 10 * time.Second
	windowsMost  = 5000
	windowsAbout = 300 // asked for when the caller names no length
)

// lengths are the windows that are chosen from when the caller names none.
var lengths = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

func (a *API) listWindows(c *gin.Context, s scope) error {
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	q := query(c)
	w := ingest.WindowQuery{Device: d.ID, Class: q.class(d.Kind)}
	w.From, w.To = q.window(a.Now())
	w.Every = q.length(w.To.Sub(w.From))
	if names := q.text("fields"); names != "" {
		for name := range strings.SplitSeq(names, ",") {
			f, known := contract.FieldByName(name)
			if !known || !f.In(w.Class) {
				q.faults.add("fields", "%s 不是 %s 的字段", clip(name, 40), w.Class)
			} else if !slices.Contains(w.Fields, f) {
				w.Fields = append(w.Fields, f)
			}
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	ws, err := a.History.Windows(c.Request.Context(), w)
	if err != nil {
		return historyAway(err)
	}
	WriteJSON(c, http.StatusOK, WindowList{EveryS: w.Every.Seconds(), Items: convert(ws, func(w ingest.Window) Window {
		return Window{At: at(w.At), Count: w.Count, Min: toValues(&w.Min), Mean: toValues(&w.Mean), Max: toValues(&w.Max)}
	})})
	return nil
}

func toValues(v *contract.Values) map[string]float64 {
	out := make(map[string]float64, v.Len())
	for f, x := range v.All() {
		out[f.String()] = x
	}
	return out
}

// class is the class of readings asked for; by default what the kind of device
// measures.
func (q *queryParams) class(k contract.Kind) contract.Class {
	var names []string
	for _, c := range contract.Classes {
		names = append(names, c.String())
	}
	if c, err := contract.ParseClass(q.word("class", names...)); err == nil {
		return c
	}
	if k == contract.Tracker {
		return contract.Position
	}
	return contract.Environment
}

// length is the length of windows asked for, as 10m, 1h or 1d; by default one of
// which some hundreds fit into the span.
func (q *queryParams) length(span time.Duration) time.Duration {
	v := q.text("every")
	if v == "" {
		for _, l := range lengths {
			if span/l <= windowsAbout {
				return l
			}
		}
		return lengths[len(lengths)-1]
	}
	every, err := parseLength(v)
	switch {
	case err != nil || every < windowLeast || every > 366*24*time.Hour || every%time.Second != 0:
		q.faults.add("every", "应为 10s 至 366d 的时长，例如 10m、1h、1d")
		return time.Hour
	case span/every >= windowsMost:
		q.faults.add("every", "最多 %d 个时段", windowsMost)
	}
	return every
}

func parseLength(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 9)
		return time.Duration(days) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}
