package v1

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	// defaultDangerDays and maxDangerDays are the days that a series covers.
	defaultDangerDays = 30
	maxDangerDays     = 400
)

// errNoDanger answers for what is not to be found.
var errNoDanger = &Error{Code: CodeNotFound, Detail: "没有此区域或气象站"}

// method is the rating that is asked for; empty: the one whose level counts here.
func (a *API) dangerMethod(q *queryParams) string {
	if m := q.word("method", alerts.DangerMethods...); m != "" {
		return m
	}
	return a.DangerMethod
}

func (q *queryParams) date(name string, otherwise time.Time) time.Time {
	v := q.text(name)
	if v == "" {
		return otherwise
	}
	t, err := time.ParseInLocation(time.DateOnly, v, alerts.Zone)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		q.faults.add(name, "应为 YYYY-MM-DD")
		return otherwise
	}
	return t
}

// days are the span of a series.
func (q *queryParams) days(now time.Time) (from, to string) {
	end := q.date("to", now)
	begin := q.date("from", end.AddDate(0, 0, 1-defaultDangerDays))
	switch n := end.Sub(begin); {
	case alerts.DangerDay(begin) > alerts.DangerDay(end):
		q.faults.add("from", "不能晚于 to")
	case n >= maxDangerDays*24*time.Hour:
		q.faults.add("from", "最多 %d 天", maxDangerDays)
	}
	return alerts.DangerDay(begin), alerts.DangerDay(end)
}

// listDanger says what the fire danger of each area is on a day. An area that was
// not rated is in the list, as unknown. Of today, which is rated soon after
// midnight and again after noon, the last level stands until then, as held.
func (a *API) listDanger(c *gin.Context, s scope) error {
	q := query(c)
	now := a.Now()
	day := q.date("date", now)
	area, method := q.text("area"), a.dangerMethod(q)
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	found := s.roster.list
	if area != "" {
		if _, ok := s.roster.areas[area]; !ok {
			return errNoDanger
		}
		found = nil
		for _, x := range s.roster.list {
			if s.roster.areas.Within(x.Code, area) {
				found = append(found, x)
			}
		}
	}
	date, today := alerts.DangerDay(day), alerts.DangerDay(now)
	from := date
	if date == today {
		from = alerts.DangerDay(day.AddDate(0, 0, -alerts.DangerHeldDays))
	}
	ds, err := a.Danger.AreaDangers(c.Request.Context(), "", from, date)
	if err != nil {
		return fmt.Errorf("reading fire danger: %w", err)
	}
	own := make(map[string]alerts.AreaDanger, len(found))
	for _, d := range ds {
		if d.Method == method && d.Day == date {
			own[d.Area] = d
		}
	}
	table := alerts.NewDangerTable(method, ds)
	p := page(found, func(x alerts.Area) string { return x.Code }, after, limit)
	WriteJSON(c, http.StatusOK, List[DangerDay]{Next: p.Next, Items: convert(p.Items, func(x alerts.Area) DangerDay {
		d, rated := own[x.Code]
		switch {
		case rated:
		case date == today:
			d = lastDanger(table, s.roster.areas, x.Code, now)
		default:
			d = alerts.AreaDanger{DryDays: -1, Degraded: true, Note: "当日未评定，等级不明"}
		}
		d.Area, d.Day, d.Method = x.Code, date, method
		return toDanger(x, d)
	})})
	return nil
}

// lastDanger is the level that counts for an area while the day is not rated.
func lastDanger(t alerts.DangerTable, areas alerts.Areas, area string, now time.Time) alerts.AreaDanger {
	d, held, ok := t.At(areas, area, now)
	if !ok {
		return alerts.AreaDanger{DryDays: -1, Degraded: true, Note: "当日尚未评定，等级不明"}
	}
	of := d.HeldFrom
	if of == "" {
		of = d.Day
	}
	d.HeldFrom, d.Degraded, d.Provisional = of, d.Degraded || held, false
	d.Note = "当日尚未评定，沿用" + of + "的等级"
	if d.Area != area {
		d.Note += "（" + areas[d.Area].Name + "）"
	}
	return d
}

func toDanger(x alerts.Area, d alerts.AreaDanger) DangerDay {
	out := DangerDay{
		Area: d.Area, AreaName: x.Name, AreaLevel: string(x.Level), Date: d.Day, Level: int(d.Level), LevelName: d.Level.Chinese(),
		Method: d.Method, Version: d.Version, Degraded: d.Degraded, Provisional: d.Provisional, Note: d.Note, Rated: atOrNull(d.At),
		Stations: convert(d.Stations, func(w alerts.StationWeight) DangerStation {
			return DangerStation{Station: string(w.Station), KM: w.KM, Weight: w.Weight, Value: w.Value, Level: int(w.Level)}
		}),
	}
	if d.Level != alerts.DangerUnknown {
		out.Value = &d.Value
	}
	if d.DryDays >= 0 {
		out.DryDays = &d.DryDays
	}
	if d.HeldFrom != "" {
		out.HeldFrom = &d.HeldFrom
	}
	return out
}

// listDangerSeries are the days of one area that were rated.
func (a *API) listDangerSeries(c *gin.Context, s scope) error {
	q := query(c)
	area, method := q.text("area"), a.dangerMethod(q)
	from, to := q.days(a.Now())
	if area == "" {
		q.faults.add("area", "必填")
	}
	if err := q.err(); err != nil {
		return err
	}
	x, ok := s.roster.areas[area]
	if !ok {
		return errNoDanger
	}
	ds, err := a.Danger.AreaDangers(c.Request.Context(), area, from, to)
	if err != nil {
		return fmt.Errorf("reading fire danger: %w", err)
	}
	out := List[DangerDay]{Items: []DangerDay{}}
	for _, d := range ds {
		if d.Method == method {
			out.Items = append(out.Items, toDanger(x, d))
		}
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// listStationDanger are the days of one weather station, of both methods unless
// one is asked for.
func (a *API) listStationDanger(c *gin.Context, _ scope) error {
	q := query(c)
	method := q.word("method", alerts.DangerMethods...)
	from, to := q.days(a.Now())
	if err := q.err(); err != nil {
		return err
	}
	id := contract.DeviceID(c.Param("id"))
	if id.Validate() != nil {
		return errNoDanger
	}
	ds, err := a.Danger.StationDays(c.Request.Context(), id, from, to)
	if err != nil {
		return fmt.Errorf("reading the fire danger of a station: %w", err)
	}
	out := List[StationDanger]{Items: []StationDanger{}}
	for _, d := range ds {
		if method == "" || d.Method == method {
			out.Items = append(out.Items, toStationDanger(d))
		}
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func toStationDanger(d alerts.StationDay) StationDanger {
	valid := func(doc json.RawMessage) json.RawMessage {
		if !json.Valid(doc) {
			return nil
		}
		return doc
	}
	return StationDanger{
		Station: string(d.Station), Date: d.Day, Method: d.Method, Version: d.Version, Level: int(d.Level), LevelName: d.Level.Chinese(),
		Inputs: valid(d.Inputs), Result: valid(d.Result), Chain: d.Chain, Provisional: d.Provisional, Note: d.Note, Rated: at(d.At),
	}
}
