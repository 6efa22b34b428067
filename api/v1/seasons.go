package v1

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/alerts/calendar"
)

// listSeasons says per area which seasons the day is in, and which special day.
// Without a season table the list is empty: not knowing is not "no season".
func (a *API) listSeasons(c *gin.Context, s scope) error {
	q := query(c)
	date, area := q.text("date"), q.text("area")
	after, limit := q.cursor(), q.limit()
	day := a.Now()
	if date != "" {
		var err error
		if day, err = time.ParseInLocation(time.DateOnly, date, alerts.Zone); err != nil {
			q.faults.add("date", "应为 YYYY-MM-DD")
		} else if y := day.Year(); y < calendar.FirstYear || y > calendar.LastYear {
			q.faults.add("date", "应在 %d 年至 %d 年之间", calendar.FirstYear, calendar.LastYear)
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	found := s.roster.list
	if area != "" {
		x, ok := s.roster.areas[area]
		if !ok {
			return noArea(area)
		}
		found = []alerts.Area{x}
	}
	out := List[SeasonDay]{Items: []SeasonDay{}}
	table, err := a.Warnings.Seasons(c.Request.Context(), day)
	if errors.Is(err, alerts.ErrNotFound) {
		WriteJSON(c, http.StatusOK, out)
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the season table: %w", err)
	}
	p := page(found, func(x alerts.Area) string { return x.Code }, after, limit)
	out.Next = p.Next
	out.Items = convert(p.Items, func(x alerts.Area) SeasonDay { return toSeasonDay(s.roster, &table, x, day) })
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func noArea(code string) error {
	return &Error{Code: CodeNotFound, Detail: "名册中没有区域 " + clip(code, 20)}
}

func toSeasonDay(r *roster, table *alerts.SeasonTable, x alerts.Area, day time.Time) SeasonDay {
	v := table.For(r.areas, x.Code)
	out := SeasonDay{
		Area: x.Code, AreaName: x.Name, Date: day.In(alerts.Zone).Format(time.DateOnly), Version: table.Version,
		Kinds:         convert(v.Kinds(day), func(k alerts.SeasonKind) string { return string(k) }),
		InheritedFrom: inheritedFrom(v, x),
		InForce:       convert(v.On(day), func(run alerts.SeasonRun) SeasonRun { return toSeasonRun(r, run) }),
	}
	if runs := v.Specials(day); len(runs) > 0 {
		special := toSpecialRun(r, runs[0], day)
		out.Special = &special
	}
	if until, ok := v.Until(day); ok {
		text := until.Format(time.DateOnly)
		out.Until = &text
	}
	return out
}

func inheritedFrom(v alerts.AreaSeasons, x alerts.Area) *string {
	if v.From == "" || v.From == x.Code {
		return nil
	}
	return &v.From
}

func toSeasonRun(r *roster, run alerts.SeasonRun) SeasonRun {
	return SeasonRun{
		Kind: string(run.Kind), Area: run.Area, AreaName: r.areaName(run.Area),
		From: run.First.Format(time.DateOnly), To: run.Last.Format(time.DateOnly), OneYear: run.Year != 0,
	}
}

func toSpecialRun(r *roster, run alerts.SpecialRun, day time.Time) SpecialRun {
	return SpecialRun{
		Name: run.Name, Area: run.Area, AreaName: r.areaName(run.Area),
		On: run.On.Format(time.DateOnly), From: run.From.Format(time.DateOnly), To: run.To.Format(time.DateOnly), Reason: run.Reason(day),
	}
}

// showSeasonCalendar gives a year's seasons and special days in one area, by the
// table that rules now, or at the nearest end of another year.
func (a *API) showSeasonCalendar(c *gin.Context, s scope) error {
	q := query(c)
	area, text := q.text("area"), q.text("year")
	now := a.Now().In(alerts.Zone)
	year := now.Year()
	if text != "" {
		var err error
		if year, err = strconv.Atoi(text); err != nil || year < calendar.FirstYear || year > calendar.LastYear {
			q.faults.add("year", "应为 %d 至 %d 之间的年份", calendar.FirstYear, calendar.LastYear)
		}
	}
	if area == "" {
		q.faults.add("area", "请写明区域代码")
	}
	if err := q.err(); err != nil {
		return err
	}
	x, ok := s.roster.areas[area]
	if !ok {
		return noArea(area)
	}
	at := now
	switch {
	case year > now.Year():
		at = time.Date(year, time.January, 1, 0, 0, 0, 0, alerts.Zone)
	case year < now.Year():
		at = time.Date(year, time.December, 31, 0, 0, 0, 0, alerts.Zone)
	}
	table, err := a.Warnings.Seasons(c.Request.Context(), at)
	if errors.Is(err, alerts.ErrNotFound) {
		return &Error{Code: CodeNotFound, Detail: fmt.Sprintf("%d 年没有生效的防火期表", year)}
	} else if err != nil {
		return fmt.Errorf("reading the season table: %w", err)
	}
	v := table.For(s.roster.areas, area)
	seasons, special := v.Year(year)
	WriteJSON(c, http.StatusOK, SeasonCalendar{
		Area: x.Code, AreaName: x.Name, Year: year, Version: table.Version, InheritedFrom: inheritedFrom(v, x),
		Seasons: convert(seasons, func(run alerts.SeasonRun) SeasonRun { return toSeasonRun(s.roster, run) }),
		Special: convert(special, func(run alerts.SpecialRun) SpecialRun {
			return toSpecialRun(s.roster, run, time.Date(run.On.Year(), run.On.Month(), run.On.Day(), 0, 0, 0, 0, alerts.Zone))
		}),
	})
	return nil
}
