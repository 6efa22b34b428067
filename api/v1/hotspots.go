package v1

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/alerts/firms"
)

// Bounds of hotspots.
const (
	maxHotspots      = 10 << 20 // bytes of a file
	maxHotspotPixels = 100      // pixels that are shown of one hotspot
	maxBadRows       = 50       // that a report lists; it counts all
)

func (a *API) listHotspots(c *gin.Context, s scope) error {
	q := query(c)
	from, to, area := q.time("from"), q.time("to"), q.text("area")
	after, limit := q.cursor(), q.limit()
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		q.faults.add("to", "应晚于 from")
	}
	if err := q.err(); err != nil {
		return err
	}
	out := List[Hotspot]{Items: []Hotspot{}}
	area, ok := s.narrow(area)
	if !ok {
		WriteJSON(c, http.StatusOK, out)
		return nil
	}
	found, err := a.Hotspots.Hotspots(c.Request.Context(), alerts.HotspotQuery{From: from, To: to, Area: area, Before: after, Limit: limit + 1})
	if errors.Is(err, alerts.ErrNotFound) {
		return &Error{Code: CodeMalformed, Fields: []FieldError{{"cursor", "不是服务器给出的 next"}}, Cause: err}
	} else if err != nil {
		return fmt.Errorf("listing hotspots: %w", err)
	}
	if len(found) > limit {
		found = found[:limit]
		out.Next = cursorTo(found[limit-1].ID)
	}
	out.Items = convert(found, func(h alerts.Hotspot) Hotspot { return toHotspot(s.roster, &h) })
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func toHotspot(r *roster, h *alerts.Hotspot) Hotspot {
	out := Hotspot{
		ID: h.ID, Lat: h.Lat, Lon: h.Lon, SizeKM: h.SizeKM, Area: h.Area, AreaName: r.areaName(h.Area), Seen: at(h.Seen), Last: at(h.Last),
		Satellites: convert(h.Satellites, func(x string) string { return x }), Instrument: h.Instrument, Confidence: h.Confidence,
		FRPMW: power(h.FRP), Pixels: h.Pixels, Masked: h.Masked, Imported: at(h.Imported), Judged: atOrNull(h.Judged), Alert: h.Alert,
	}
	if h.Percent >= 0 {
		out.Percent = &h.Percent
	}
	out.Members = convert(h.Members[:min(len(h.Members), maxHotspotPixels)], func(p alerts.Pixel) HotspotPixel {
		return HotspotPixel{
			Satellite: p.Satellite, Instrument: p.Instrument, Lat: p.Lat, Lon: p.Lon, Seen: at(p.Seen), Confidence: p.Confidence,
			FRPMW: power(p.FRP), SizeKM: p.SizeKM(),
		}
	})
	return out
}

// power is nil for one that is not known.
func power(mw float64) *float64 {
	if mw == 0 {
		return nil
	}
	return &mw
}

// createHotspots takes in a file of FIRMS. Hotspots call teams everywhere, so it
// takes the whole prefecture to post them.
func (a *API) createHotspots(c *gin.Context, s scope) error {
	if !s.whole() {
		return &Error{Code: CodeForbidden, Detail: "只有辖区为全市的账号可以导入卫星热点"}
	}
	if kind, _, err := mime.ParseMediaType(c.ContentType()); err != nil || kind != typeCSV {
		return &Error{Code: CodeMediaType, Detail: "请以 text/csv 发送 FIRMS 的 CSV 文件"}
	}
	q := query(c)
	dry, skip := q.flag("dry_run"), q.flag("skip_bad")
	if err := q.err(); err != nil {
		return err
	}
	if !a.importing.TryLock() { // a file of this size takes some hundred MiB to read
		return &Error{Code: CodeUnavailable, Detail: "另一份热点文件正在导入", After: 5 * time.Second}
	}
	defer a.importing.Unlock()
	raw, err := io.ReadAll(c.Request.Body)
	if e := AsError(err); err != nil && e.Code == CodeTooLarge {
		return e
	} else if err != nil {
		return &Error{Code: CodeMalformed, Detail: "文件没有传完", Cause: err}
	}
	now := at(a.Now())
	rows, bad, err := firms.Read(raw, now)
	if err != nil {
		return &Error{Code: CodeInvalid, Detail: "不是 FIRMS 的 CSV 文件：" + clip(err.Error(), 300), Cause: err}
	}
	if len(bad) > 0 && !skip && !dry {
		var f faults
		for i := range bad {
			f.add(fmt.Sprintf("line %d %s", bad[i].Line, bad[i].Column), "%s", bad[i].Want)
		}
		return f.err()
	}
	ctx := c.Request.Context()
	im := firms.Importer{Store: a.Hotspots, Roster: a.Roster, Documents: a.Documents}
	rep, err := im.Import(ctx, rows, now, dry)
	if err != nil {
		return err
	}
	if !dry && rep.New+rep.Grown > 0 {
		a.audit(ctx, s.user.Username, "hotspots.import", "", fmt.Sprintf("%d rows: %d new, %d grown, %d bad values", rep.Rows, rep.New, rep.Grown, len(bad)))
		a.Hub.Nudge()
	}
	WriteJSON(c, http.StatusOK, HotspotReport{
		DryRun: dry, Rows: rep.Rows, Again: rep.Again, Merged: rep.Merged, New: rep.New, Grown: rep.Grown, Known: rep.Known,
		Masked: rep.Masked, Outside: rep.Outside, Bad: len(bad),
		Errors: convert(bad[:min(len(bad), maxBadRows)], func(f firms.RowError) HotspotFault {
			message := f.Want
			if f.Value != "" {
				message = fmt.Sprintf("%q: %s", f.Value, f.Want)
			}
			return HotspotFault{Line: f.Line, Column: f.Column, Message: message}
		}),
	})
	return nil
}
