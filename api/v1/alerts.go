package v1

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// maxNote bounds a note with an acknowledgement, in bytes.
const maxNote = 500

func (a *API) listAlerts(c *gin.Context, s scope) error {
	q := query(c)
	state := q.word("state", string(alerts.Firing), string(alerts.Resolved))
	asked, device, incident := q.text("area"), q.text("device"), q.text("incident")
	hushed := map[string]alerts.HushedIs{"true": alerts.HushedYes, "false": alerts.HushedNo}[q.word("hushed", "true", "false")]
	before, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	out := List[Alert]{Items: []Alert{}}
	area, ok := s.narrow(asked)
	if !ok {
		WriteJSON(c, http.StatusOK, out)
		return nil
	}
	found, err := a.Alerts.Alerts(c.Request.Context(), alerts.AlertQuery{
		State: alerts.AlertState(state), Area: area, Device: contract.DeviceID(device), Before: before, Limit: limit,
		Incident: incident, Hushed: hushed,
	})
	if err != nil {
		return badCursor(before, fmt.Errorf("listing alerts: %w", err))
	}
	named := a.names.get(c.Request.Context())
	out.Items = convert(found, func(x alerts.Alert) Alert { return toAlert(s.roster, named, x) })
	if len(found) == limit {
		out.Next = cursorTo(found[limit-1].ID)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// badCursor tells a cursor that names nothing from other errors of a list.
func badCursor(before string, err error) error {
	if before != "" && errors.Is(err, alerts.ErrNotFound) {
		return &Error{
			Code: CodeMalformed, Detail: "请更正标出的参数", Cause: err,
			Fields: []FieldError{{"cursor", "不是服务器给出的 next"}},
		}
	}
	return err
}

// visibleAlert finds an alert that the account may see.
func (a *API) visibleAlert(ctx context.Context, s scope, id string) (alerts.Alert, error) {
	missing := &Error{Code: CodeNotFound, Detail: "没有此告警"}
	x, err := a.Alerts.Alert(ctx, id)
	switch {
	case errors.Is(err, alerts.ErrNotFound):
		return x, missing
	case err != nil:
		return x, fmt.Errorf("reading an alert: %w", err)
	case s.area(x.Area):
		return x, nil
	case s.user.Role != alerts.RoleTeam || s.user.Team == "":
		return alerts.Alert{}, missing
	}
	os, err := a.Orders.Orders(ctx, alerts.OrderQuery{Team: s.user.Team, Limit: maxLimit})
	if err != nil {
		return alerts.Alert{}, fmt.Errorf("listing a team's orders: %w", err)
	}
	if !slices.ContainsFunc(os, func(o alerts.Order) bool { return o.Alert == id }) {
		return alerts.Alert{}, missing
	}
	return x, nil
}

func (a *API) showAlert(c *gin.Context, s scope) error {
	x, err := a.visibleAlert(c.Request.Context(), s, c.Param("id"))
	if err != nil {
		return err
	}
	out := toAlert(s.roster, a.names.get(c.Request.Context()), x)
	a.explain(c.Request.Context(), s, x, &out)
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// createAck adds the account's word that it has seen the alert. The same word
// again adds nothing.
func (a *API) createAck(c *gin.Context, s scope) error {
	ctx := c.Request.Context()
	x, err := a.visibleAlert(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	var req AckRequest
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
	ack := alerts.Ack{By: s.user.Username, At: at(a.Now()), Note: req.Note}
	added := false
	x, err = a.Alerts.UpdateAlert(ctx, x.ID, func(x *alerts.Alert) ([]alerts.Event, error) {
		added = !slices.ContainsFunc(x.Acks, func(k alerts.Ack) bool { return k.By == ack.By && k.Note == ack.Note })
		if !added {
			return nil, nil
		}
		x.Acks = append(x.Acks, ack)
		x.Updated = ack.At
		return []alerts.Event{idEvent(alerts.EventAlert, x.ID, x.Area, ack.At)}, nil
	})
	if err != nil {
		return fmt.Errorf("acknowledging an alert: %w", err)
	}
	status := http.StatusOK
	if added {
		status = http.StatusCreated
		a.audit(ctx, s.user.Username, "alert.ack", x.ID, req.Note)
		a.Hub.Nudge()
	}
	WriteJSON(c, status, toAlert(s.roster, a.names.get(ctx), x))
	return nil
}

func idEvent(t alerts.EventType, id, area string, at time.Time) alerts.Event {
	data, _ := json.Marshal(map[string]string{"id": id}) // strings only: it cannot go wrong
	return alerts.Event{At: at, Type: t, Area: area, Data: data}
}
