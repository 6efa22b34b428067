package v1

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// listSeasons says per area which seasons the day is in. Without a season table
// the list is empty: not knowing is not "no season".
func (a *API) listSeasons(c *gin.Context, s scope) error {
	q := query(c)
	date, area := q.text("date"), q.text("area")
	after, limit := q.cursor(), q.limit()
	day := a.Now()
	if date != "" {
		var err error
		if day, err = time.ParseInLocation(time.DateOnly, date, alerts.Zone); err != nil {
			q.faults.add("date", "应为 YYYY-MM-DD")
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	out := List[SeasonDay]{Items: []SeasonDay{}}
	table, err := a.Warnings.Seasons(c.Request.Context(), day)
	if errors.Is(err, alerts.ErrNotFound) {
		WriteJSON(c, http.StatusOK, out)
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the season table: %w", err)
	}
	found := s.roster.list
	if area != "" {
		found = nil
		if x, ok := s.roster.areas[area]; ok {
			found = []alerts.Area{x}
		}
	}
	p := page(found, func(x alerts.Area) string { return x.Code }, after, limit)
	out.Next = p.Next
	out.Items = convert(p.Items, func(x alerts.Area) SeasonDay {
		return SeasonDay{
			Area: x.Code, AreaName: x.Name, Date: day.In(alerts.Zone).Format(time.DateOnly), Version: table.Version,
			Kinds: convert(table.KindsOn(s.roster.areas, x.Code, day), func(k alerts.SeasonKind) string { return string(k) }),
		}
	})
	WriteJSON(c, http.StatusOK, out)
	return nil
}
