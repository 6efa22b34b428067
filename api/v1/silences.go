package v1

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	maxSilence  = 7 * 24 * time.Hour // a silence is looked at again after a week at the latest
	silencesFor = 30 * 24 * time.Hour
	maxReason   = 500 // bytes
)

// silenceArea is the area that decides who sees a silence.
func (s scope) silenceArea(x alerts.Silence) string {
	if x.Area != "" {
		return x.Area
	}
	return s.roster.device[x.Device].Area
}

func (a *API) listSilences(c *gin.Context, s scope) error {
	q := query(c)
	over, asked := q.flag("over"), q.text("area")
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	ctx, now := c.Request.Context(), a.Now()
	since := now
	if over {
		since = now.Add(-silencesFor)
	}
	found, err := a.Silences.Silences(ctx, since, maxLimit)
	if err != nil {
		return fmt.Errorf("listing silences: %w", err)
	}
	found = slices.DeleteFunc(found, func(x alerts.Silence) bool {
		area := s.silenceArea(x)
		return !s.area(area) || asked != "" && !s.roster.areas.Within(area, asked)
	})
	if after != "" { // gone from the list meanwhile: begin anew
		i := slices.IndexFunc(found, func(x alerts.Silence) bool { return x.ID == after })
		found = found[i+1:]
	}
	named := a.names.get(ctx)
	shown := found[:min(limit, len(found))]
	out := List[AlertSilence]{Items: convert(shown, func(x alerts.Silence) AlertSilence { return toSilence(s.roster, named, x, now) })}
	if len(found) > limit {
		out.Next = cursorTo(shown[limit-1].ID)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// createSilence keeps alerts from people for a while. An SOS is never silenced:
// a silence of its rule alone is refused, and any other leaves it out.
func (a *API) createSilence(c *gin.Context, s scope) error {
	var req SilenceRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	ctx, now := c.Request.Context(), at(a.Now())
	f := a.silenceFaults(s, req, now)
	if err := f.err(); err != nil {
		return err
	}
	x := alerts.Silence{
		ID: alerts.NewID("si", now), Rule: req.Rule, Device: contract.DeviceID(req.Device), Area: req.Area, From: now, Until: at(req.Until),
		Author: s.user.Username, Reason: req.Reason, Made: now,
	}
	if err := a.Silences.SaveSilence(ctx, x, []alerts.Event{idEvent(alerts.EventSilence, x.ID, s.silenceArea(x), now)}); err != nil {
		return fmt.Errorf("saving a silence: %w", err)
	}
	a.audit(ctx, s.user.Username, "silence.create", x.ID,
		clip(fmt.Sprintf("rule %q device %q area %q until %s: %s", x.Rule, x.Device, x.Area, x.Until.Format(time.RFC3339), x.Reason), 700))
	a.Nudge()
	a.Hub.Nudge()
	c.Header("Location", Prefix+"/silences/"+x.ID)
	WriteJSON(c, http.StatusCreated, toSilence(s.roster, a.names.get(ctx), x, now))
	return nil
}

func (a *API) silenceFaults(s scope, req SilenceRequest, now time.Time) faults {
	var f faults
	device, known := s.roster.device[contract.DeviceID(req.Device)]
	_, area := s.roster.areas[req.Area]
	switch {
	case req.Device == "" && req.Area == "":
		f.add("area", "请指明设备或区域")
	case req.Device != "" && (!known || !s.area(device.Area)):
		f.add("device", "辖区内没有此设备")
	}
	if req.Area != "" && (!area || !s.area(req.Area)) {
		f.add("area", "辖区内没有此区域")
	}
	switch {
	case req.Rule != "" && a.SOSRule(req.Rule):
		f.add("rule", "SOS 求救不能静默")
	case textFault(req.Rule, 100) != "":
		f.add("rule", "%s", textFault(req.Rule, 100))
	}
	switch {
	case req.Until.IsZero():
		f.add("until", "请填写结束时间")
	case !req.Until.After(now):
		f.add("until", "应晚于现在")
	case req.Until.Sub(now) > maxSilence:
		f.add("until", "最长 7 天")
	}
	switch fault := textFault(req.Reason, maxReason); {
	case req.Reason == "":
		f.add("reason", "请填写原因")
	case fault != "":
		f.add("reason", "%s", fault)
	}
	return f
}

// visibleSilence finds a silence that the account may see.
func (a *API) visibleSilence(ctx context.Context, s scope, id string) (alerts.Silence, error) {
	found, err := a.Silences.Silences(ctx, a.Now().Add(-silencesFor), 10*maxLimit)
	if err != nil {
		return alerts.Silence{}, fmt.Errorf("listing silences: %w", err)
	}
	i := slices.IndexFunc(found, func(x alerts.Silence) bool { return x.ID == id })
	if i < 0 || !s.area(s.silenceArea(found[i])) {
		return alerts.Silence{}, &Error{Code: CodeNotFound, Detail: "没有此静默"}
	}
	return found[i], nil
}

// liftSilence ends a silence before its time.
func (a *API) liftSilence(c *gin.Context, s scope) error {
	ctx, now := c.Request.Context(), at(a.Now())
	if err := query(c).err(); err != nil {
		return err
	}
	x, err := a.visibleSilence(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	x, err = a.Silences.LiftSilence(ctx, x.ID, s.user.Username, now,
		[]alerts.Event{idEvent(alerts.EventSilence, x.ID, s.silenceArea(x), now)})
	if errors.Is(err, alerts.ErrConflict) {
		return &Error{Code: CodeConflict, Detail: "静默已经结束", Cause: err}
	} else if err != nil {
		return fmt.Errorf("lifting a silence: %w", err)
	}
	a.audit(ctx, s.user.Username, "silence.lift", x.ID, "")
	a.Nudge()
	a.Hub.Nudge()
	WriteJSON(c, http.StatusOK, toSilence(s.roster, a.names.get(ctx), x, now))
	return nil
}

func toSilence(r *roster, n names, x alerts.Silence, now time.Time) AlertSilence {
	return AlertSilence{
		ID: x.ID, Rule: x.Rule, Device: string(x.Device), Area: x.Area, AreaName: r.areaName(x.Area), From: at(x.From), Until: at(x.Until),
		Author: x.Author, AuthorName: n[x.Author], Reason: x.Reason, InForce: x.InForce(now), Ended: atOrNull(x.Ended), Lifted: x.Lifted,
	}
}

// listHoldbacks shows the newest of what rules held back without an alert.
func (a *API) listHoldbacks(c *gin.Context, s scope) error {
	q := query(c)
	asked, limit := q.text("area"), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	out := List[Holdback]{Items: []Holdback{}}
	area, ok := s.narrow(asked)
	if !ok {
		WriteJSON(c, http.StatusOK, out)
		return nil
	}
	found, err := a.Holdbacks.Holdbacks(c.Request.Context(), area, limit)
	if err != nil {
		return fmt.Errorf("listing hold-backs: %w", err)
	}
	out.Items = convert(found, func(h alerts.Holdback) Holdback {
		return Holdback{
			Rule: h.Rule, RuleVersion: h.RuleVersion, Device: string(h.Device), Area: h.Area, AreaName: s.roster.areaName(h.Area),
			Why: h.Why, First: at(h.First), Last: at(h.Last), Count: h.Count,
		}
	})
	WriteJSON(c, http.StatusOK, out)
	return nil
}
