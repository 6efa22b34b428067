package v1

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// maxMembers bounds the alerts that are shown with an incident.
const maxMembers = 200

func (a *API) listIncidents(c *gin.Context, s scope) error {
	q := query(c)
	open, asked := q.flag("open"), q.text("area")
	before, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	out := List[Incident]{Items: []Incident{}}
	area, ok := s.narrow(asked)
	if !ok {
		WriteJSON(c, http.StatusOK, out)
		return nil
	}
	ctx := c.Request.Context()
	found, err := a.Incidents.Incidents(ctx, alerts.IncidentQuery{Open: open, Area: area, Before: before, Limit: limit})
	if err != nil {
		return badCursor(before, fmt.Errorf("listing incidents: %w", err))
	}
	named := a.names.get(ctx)
	out.Items = convert(found, func(x alerts.Incident) Incident { return toIncident(s.roster, named, x) })
	if len(found) == limit {
		out.Next = cursorTo(found[limit-1].ID)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// visibleIncident finds an incident that the account may see.
func (a *API) visibleIncident(ctx context.Context, s scope, id string) (alerts.Incident, error) {
	x, err := a.Incidents.Incident(ctx, id)
	switch {
	case errors.Is(err, alerts.ErrNotFound) || err == nil && !s.area(x.Area):
		return alerts.Incident{}, &Error{Code: CodeNotFound, Detail: "没有此事件"}
	case err != nil:
		return x, fmt.Errorf("reading an incident: %w", err)
	}
	return x, nil
}

func (a *API) showIncident(c *gin.Context, s scope) error {
	ctx := c.Request.Context()
	x, err := a.visibleIncident(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	members, err := a.Alerts.Alerts(ctx, alerts.AlertQuery{Incident: x.ID, Limit: maxMembers})
	if err != nil {
		return fmt.Errorf("listing an incident's alerts: %w", err)
	}
	named := a.names.get(ctx)
	out := toIncident(s.roster, named, x)
	for _, m := range members {
		if s.area(m.Area) { // a fire at a border has alerts on both sides
			out.Members = append(out.Members, toAlert(s.roster, named, m))
		}
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// confirmIncident takes a person's word that the incident is a fire.
func (a *API) confirmIncident(c *gin.Context, s scope) error {
	return a.word(c, s, "incident.confirm", func(x *alerts.Incident, by string, now time.Time) bool {
		if !x.Confirmed.IsZero() {
			return false
		}
		x.Confirmed, x.By = now, by
		return true
	})
}

// refuteIncident takes a person's word that the incident is no fire.
func (a *API) refuteIncident(c *gin.Context, s scope) error {
	return a.word(c, s, "incident.refute", func(x *alerts.Incident, by string, now time.Time) bool {
		x.Refuted, x.By = now, by
		return true
	})
}

// word takes a person's word about an incident that is open still. Those who
// judge hear of it within a second or two.
func (a *API) word(c *gin.Context, s scope, action string, say func(x *alerts.Incident, by string, now time.Time) bool) error {
	ctx := c.Request.Context()
	x, err := a.visibleIncident(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	var req WordRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	var f faults
	if fault := textFault(req.Note, maxNote); fault != "" {
		f.add("note", "%s", fault)
	}
	if err := f.err(); err != nil {
		return err
	}
	said, now := false, at(a.Now())
	x, err = a.Incidents.UpdateIncident(ctx, x.ID, func(x *alerts.Incident) ([]alerts.Event, error) {
		if !x.Closed.IsZero() || !x.Refuted.IsZero() {
			return nil, &Error{Code: CodeConflict, Detail: "事件已经结束，不能再确认或排除"}
		}
		if said = say(x, s.user.Username, now); !said {
			return nil, nil
		}
		x.Updated = now
		return []alerts.Event{idEvent(alerts.EventIncident, x.ID, x.Area, now)}, nil
	})
	if err != nil {
		return fmt.Errorf("saying something of an incident: %w", err)
	}
	status := http.StatusOK
	if said {
		status = http.StatusCreated
		a.audit(ctx, s.user.Username, action, x.ID, req.Note)
		a.Nudge()
		a.Hub.Nudge()
	}
	WriteJSON(c, status, toIncident(s.roster, a.names.get(ctx), x))
	return nil
}

func toIncident(r *roster, n names, x alerts.Incident) Incident {
	out := Incident{
		ID: x.ID, Area: x.Area, AreaName: r.areaName(x.Area), Device: string(x.Device), Title: x.Title, Severity: x.Severity.String(),
		State: string(x.State()), Began: at(x.Began), Opened: at(x.Opened), Updated: at(x.Updated), Quiet: atOrNull(x.Quiet),
		Closed: atOrNull(x.Closed), Confirmed: atOrNull(x.Confirmed), Refuted: atOrNull(x.Refuted), By: x.By, ByName: n[x.By],
		Alerts: x.Alerts, Order: x.Order, Demo: x.Demo,
	}
	out.Lat, out.Lon = place(x.Lat, x.Lon, x.HasPlace)
	if x.OrderLevel > alerts.Notice {
		level := x.OrderLevel.String()
		out.OrderLevel = &level
	}
	return out
}
