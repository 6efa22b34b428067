package v1

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// maxWord bounds a word why, in bytes.
const maxWord = 600

const postureWords = "normal、standby、defence、combat_ready、emergency"

// readinessTable is the table in force, and the document that it was read from.
func (a *API) readinessTable(ctx context.Context) (alerts.ReadinessTable, alerts.Document, error) {
	d, err := a.Documents.Document(ctx, alerts.DocumentReadiness, a.Now())
	if errors.Is(err, alerts.ErrNotFound) {
		d, err = alerts.Document{
			Kind: alerts.DocumentReadiness, Body: alerts.DefaultReadiness(), Author: "file", Approver: "file",
		}, nil
	}
	if err != nil {
		return alerts.ReadinessTable{}, d, fmt.Errorf("reading the readiness table: %w", err)
	}
	t, err := alerts.ParseReadinessTable(d.Body)
	if err != nil {
		return t, d, fmt.Errorf("the readiness table in force: %w", err)
	}
	if d.Version == "" {
		d.Version, d.Effective, d.Saved, d.Approved = t.Version, t.Effective, t.Effective, t.Effective
	}
	return t, d, nil
}

// holds reports whether the account may set the readiness of the area: the
// professional teams are the prefecture's.
func (s scope) holds(area string) bool {
	if area == alerts.ProfessionalArea {
		return s.whole()
	}
	return s.area(area)
}

func toReadiness(s scope, n names, t *alerts.ReadinessTable, r alerts.Readiness) AreaReadiness {
	in := r.Inputs
	row := t.Row(in)
	out := AreaReadiness{
		Area: r.Area, AreaName: cmp.Or(s.roster.areaName(r.Area), map[string]string{alerts.ProfessionalArea: "专业森林消防队"}[r.Area]),
		Posture: r.Posture.String(), PostureName: r.Posture.Chinese(), Since: at(r.Since), By: r.By, ByName: n[r.By], Word: r.Word,
		Proposed: r.Proposed.String(), ProposedName: r.Proposed.Chinese(), ProposedAt: at(r.ProposedAt), Open: r.Open,
		Reasons: convert(r.Reasons, func(x string) string { return x }), Sentence: r.Sentence(), Degraded: r.Degraded(),
		EasingSince: atOrNull(r.EasingSince), Version: r.Version, Updated: at(r.Updated),
		Inputs: Inputs{
			Season: string(in.Season), SeasonName: in.Season.Chinese(), SeasonUnknown: in.SeasonUnknown,
			WarningEvent: in.WarningEvent, WarningUnknown: in.WarnUnknown,
			Danger: int(in.Danger), DangerName: in.Danger.Chinese(), DangerHeld: in.DangerHeld, Special: in.Special,
		},
		Measures: Measures{Row: row.Name, Patrols: row.Patrols, Wardens: row.Wardens, Entrances: row.Entrances},
	}
	if in.Warning > alerts.Notice {
		out.Inputs.Warning = in.Warning.String()
	}
	if in.DryDays >= 0 {
		out.Inputs.DryDays = &in.DryDays
	}
	if !r.EasingSince.IsZero() {
		out.Easing = r.Easing.String()
	}
	return out
}

// listReadiness shows each visible township, and the professional teams.
func (a *API) listReadiness(c *gin.Context, s scope) error {
	q := query(c)
	open, area := q.flag("open"), q.text("area")
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	ctx := c.Request.Context()
	all, err := a.Readiness.Readiness(ctx)
	if err != nil {
		return fmt.Errorf("reading readiness: %w", err)
	}
	t, _, err := a.readinessTable(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r alerts.Readiness) bool {
		if r.Area == alerts.ProfessionalArea { // every office has to do with them
			return open && !r.Open || area != "" && area != r.Area
		}
		_, there := s.roster.areas[r.Area]
		return !there || !s.area(r.Area) || open && !r.Open || area != "" && !s.roster.areas.Within(r.Area, area)
	})
	p := page(all, func(r alerts.Readiness) string { return r.Area }, after, limit)
	items, err := a.showReadiness(ctx, s, &t, p.Items)
	if err != nil {
		return err
	}
	WriteJSON(c, http.StatusOK, List[AreaReadiness]{Items: items, Next: p.Next})
	return nil
}

// showReadinessHistory shows what one area's readiness was, newest first.
func (a *API) showReadinessHistory(c *gin.Context, s scope) error {
	q := query(c)
	limit := q.limit()
	if err := q.err(); err != nil {
		return err
	}
	ctx, area := c.Request.Context(), c.Param("area")
	if area != alerts.ProfessionalArea && !s.area(area) {
		return &Error{Code: CodeNotFound, Detail: "没有此区域"}
	}
	rows, err := a.Readiness.ReadinessHistory(ctx, area, limit)
	if err != nil {
		return fmt.Errorf("reading readiness history: %w", err)
	}
	t, _, err := a.readinessTable(ctx)
	if err != nil {
		return err
	}
	items, err := a.showReadiness(ctx, s, &t, rows)
	if err != nil {
		return err
	}
	WriteJSON(c, http.StatusOK, List[AreaReadiness]{Items: items})
	return nil
}

// confirmTries is how often a confirmation is made anew when the runner saved
// meanwhile.
const confirmTries = 5

// confirmReadiness sets the posture of some areas, as proposed or with a word
// why not, and gives the orders that belong to it. The same again changes
// nothing and gives no second order.
func (a *API) confirmReadiness(c *gin.Context, s scope) error {
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	var req ConfirmationRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	seen, to, err := checkConfirmation(s, &req)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	t, _, err := a.readinessTable(ctx)
	if err != nil {
		return err
	}
	var rows []alerts.Readiness
	for try := 1; ; try++ {
		rows, err = a.confirm(ctx, s, &t, key, req, seen, to)
		if err == nil || !errors.Is(err, alerts.ErrConflict) || try == confirmTries {
			break
		}
	}
	if err != nil {
		return err
	}
	out := Confirmation{Orders: []Order{}, Shortfalls: []string{}}
	if req.Order {
		if err := a.orderPostures(ctx, s, key, req.Drill, &t, rows, &out); err != nil {
			return err
		}
	}
	if out.Items, err = a.showReadiness(ctx, s, &t, rows); err != nil {
		return err
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// checkConfirmation says what is wrong with the request; to is nil when each
// area gets what is proposed.
func checkConfirmation(s scope, req *ConfirmationRequest) (seen map[string]alerts.Posture, to *alerts.Posture, err error) {
	var f, outside faults
	if len(req.Areas) == 0 || len(req.Areas) > maxTargets {
		f.add("areas", "应为 1 至 %d 个区域", maxTargets)
		return nil, nil, f.err()
	}
	seen = make(map[string]alerts.Posture, len(req.Areas))
	for i, x := range req.Areas {
		p, err := alerts.ParsePosture(x.Proposed)
		if err != nil {
			f.add(fmt.Sprintf("areas[%d].proposed", i), "应为 %s 之一", postureWords)
		}
		if _, again := seen[x.Area]; again {
			f.add(fmt.Sprintf("areas[%d].area", i), "重复的区域")
		}
		a, known := s.roster.areas[x.Area]
		switch {
		case x.Area != alerts.ProfessionalArea && (!known || a.Level != alerts.Township):
			f.add(fmt.Sprintf("areas[%d].area", i), "不是已登记的乡镇")
		case !s.holds(x.Area):
			outside.add(fmt.Sprintf("areas[%d].area", i), "不在本账号的辖区内")
		}
		seen[x.Area] = p
	}
	if req.Posture != "" {
		p, err := alerts.ParsePosture(req.Posture)
		if err != nil {
			f.add("posture", "应为 %s 之一", postureWords)
		}
		to = &p
	}
	req.Word = strings.TrimSpace(req.Word)
	if fault := textFault(req.Word, maxWord); fault != "" {
		f.add("word", "%s", fault)
	}
	for _, p := range seen {
		if to != nil && p != *to && req.Word == "" {
			f.add("word", "与建议不同，请说明原因")
			break
		}
	}
	if err := f.err(); err != nil {
		return nil, nil, err
	}
	if len(outside) > 0 {
		return nil, nil, &Error{Code: CodeForbidden, Detail: "有区域不在本账号的辖区内，没有作任何更改", Fields: outside}
	}
	return seen, to, nil
}

// confirm saves the postures in one step: all of them or none.
func (a *API) confirm(
	ctx context.Context, s scope, t *alerts.ReadinessTable, key string, req ConfirmationRequest,
	seen map[string]alerts.Posture, to *alerts.Posture,
) ([]alerts.Readiness, error) {
	all, err := a.Readiness.Readiness(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading readiness: %w", err)
	}
	have := make(map[string]alerts.Readiness, len(all))
	for _, r := range all {
		have[r.Area] = r
	}
	var out, changed []alerts.Readiness
	var codes []string // of the changed
	now := at(a.Now())
	moved := &Error{Code: CodeConflict, Detail: "建议已有变化，请重新查看后再确认"}
	for i, x := range req.Areas {
		r, ok := have[x.Area]
		if !ok {
			return nil, &Error{Code: CodeUnavailable, Detail: "备勤建议还没有算出，请稍后再试", After: 5 * time.Second}
		}
		if r.Proposed != seen[x.Area] {
			moved.Fields = append(moved.Fields, FieldError{fmt.Sprintf("areas[%d].proposed", i), "现建议" + r.Proposed.Chinese()})
			continue
		}
		p := r.Proposed
		if to != nil {
			p = *to
		}
		out = append(out, r.Confirm(p, s.user.Username, req.Word, now))
	}
	if len(moved.Fields) > 0 {
		return nil, moved
	}
	a.owe(s, &req, key, t, out)
	for i := range out {
		if was := have[out[i].Area]; !was.Same(&out[i]) {
			changed, codes = append(changed, out[i]), append(codes, out[i].Area)
		}
	}
	if len(changed) == 0 {
		return out, nil
	}
	data, err := json.Marshal(map[string][]string{"areas": codes})
	if err != nil {
		return nil, fmt.Errorf("readiness event: %w", err)
	}
	evs := []alerts.Event{{At: now, Type: alerts.EventReadiness, Data: data}}
	if err := a.Readiness.SaveReadiness(ctx, changed, now, evs); err != nil {
		return nil, fmt.Errorf("saving readiness: %w", err)
	}
	for _, r := range changed {
		was := have[r.Area]
		a.audit(ctx, s.user.Username, "readiness.confirm", r.Area,
			fmt.Sprintf("%s (was %s, proposed %s, table %s) %s", r.Posture, was.Posture, r.Proposed, r.Version, r.Word))
	}
	a.Hub.Nudge()
	for i := range out {
		if slices.Contains(codes, out[i].Area) {
			out[i].Updated = now
		}
	}
	return out, nil
}

// byPosture groups the rows, the gravest posture first.
func byPosture(rows []alerts.Readiness) (groups [][]alerts.Readiness) {
	for _, p := range slices.Backward(alerts.Postures) {
		var group []alerts.Readiness
		for i := range rows {
			if rows[i].Posture == p {
				group = append(group, rows[i])
			}
		}
		if len(group) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}

// postureKey names the order that a confirmation gives for one posture.
func postureKey(s scope, key string, p alerts.Posture) alerts.OrderKey {
	return alerts.OrderKey{Issuer: s.user.Username, Key: key + ":" + p.String()}
}

// owe puts on the rows which order goes with them, so that one that fails after
// the posture is set stays owed. A drill is nothing that anybody is owed.
func (a *API) owe(s scope, req *ConfirmationRequest, key string, t *alerts.ReadinessTable, rows []alerts.Readiness) {
	if !req.Order || req.Drill {
		return
	}
	for _, group := range byPosture(rows) {
		p := group[0].Posture
		rule := t.Rule(p)
		if rule.Order == "" {
			continue
		}
		if _, picks := alerts.PlanPosture(s.roster.areas, s.roster.teams, group, rule, false); len(picks) == 0 {
			continue
		}
		for i := range rows {
			if rows[i].Posture == p {
				rows[i].Order = postureKey(s, key, p)
			}
		}
	}
}

// orderPostures gives one order for each posture among the rows.
func (a *API) orderPostures(
	ctx context.Context, s scope, key string, drill bool, t *alerts.ReadinessTable, rows []alerts.Readiness, out *Confirmation,
) error {
	given := false
	for _, group := range byPosture(rows) {
		p := group[0].Posture
		rule := t.Rule(p)
		if rule.Order == "" {
			out.Shortfalls = append(out.Shortfalls, p.Chinese()+"没有对应的命令，没有下达")
			continue
		}
		now, name := at(a.Now()), postureKey(s, key, p)
		o, picks := alerts.PlanPosture(s.roster.areas, s.roster.teams, group, rule, drill)
		o.ID, o.Issued, o.AnswerBy, o.Demo = alerts.NewID("or", now), now, a.Policy.AnswerBy(rule.Level, now), s.roster.demo
		o.Issuer, o.IdempotencyKey = name.Issuer, name.Key
		if len(picks) == 0 {
			out.Shortfalls = append(append(out.Shortfalls, o.Shortfalls...), alerts.NobodyNotified)
			continue
		}
		ds := alerts.NewDeliveries(o, picks, now)
		saved, created, err := a.Orders.CreateOrder(ctx, o, ds, alerts.OrderEvents(&o, ds, picks, now))
		switch {
		case errors.Is(err, alerts.ErrConflict):
			return errKeyTaken(err)
		case err != nil:
			return fmt.Errorf("the posture is set, but the order was not given yet: %w", err)
		case created:
			given = true
			a.audit(ctx, s.user.Username, "order.create", saved.ID,
				fmt.Sprintf("%s %s, %d teams, drill %v, by readiness %s", saved.Kind, saved.Level, len(ds), saved.Drill, p))
		default:
			if ds, err = a.Orders.Deliveries(ctx, saved.ID); err != nil {
				return fmt.Errorf("listing deliveries: %w", err)
			}
		}
		shown, err := a.render(ctx, s, saved, s.deliveries(ds))
		if err != nil {
			return err
		}
		out.Orders = append(out.Orders, shown)
		out.Shortfalls = append(out.Shortfalls, shown.Shortfalls...)
	}
	if given {
		a.Nudge()
		a.Hub.Nudge()
	}
	return nil
}

// ordersOf are the ids of the orders that go with the rows; one that is owed has
// none yet.
func (a *API) ordersOf(ctx context.Context, rows []alerts.Readiness) (map[alerts.OrderKey]string, error) {
	out := map[alerts.OrderKey]string{}
	for i := range rows {
		k := rows[i].Order
		if _, asked := out[k]; asked || k == (alerts.OrderKey{}) {
			continue
		}
		o, err := a.Orders.OrderByKey(ctx, k.Issuer, k.Key)
		if err != nil && !errors.Is(err, alerts.ErrNotFound) {
			return nil, fmt.Errorf("reading the order of a posture: %w", err)
		}
		out[k] = o.ID
	}
	return out, nil
}

// showReadiness shows rows with the measures of the table in force and the
// orders that go with them.
func (a *API) showReadiness(ctx context.Context, s scope, t *alerts.ReadinessTable, rows []alerts.Readiness) ([]AreaReadiness, error) {
	orders, err := a.ordersOf(ctx, rows)
	if err != nil {
		return nil, err
	}
	named := a.names.get(ctx)
	return convert(rows, func(r alerts.Readiness) AreaReadiness {
		out := toReadiness(s, named, t, r)
		out.Order = orders[r.Order]
		out.OrderOwed = out.Order == "" && r.Order != (alerts.OrderKey{})
		return out
	}), nil
}
