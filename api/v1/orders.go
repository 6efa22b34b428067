package v1

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func (a *API) listOrders(c *gin.Context, s scope) error {
	q := query(c)
	status := q.word("status", string(alerts.OrderOpen), string(alerts.OrderComplete), string(alerts.OrderCancelled))
	asked := q.text("area")
	before, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	out := List[Order]{Items: []Order{}}
	find := alerts.OrderQuery{Status: alerts.OrderStatus(status), Before: before, Limit: limit}
	var ok bool
	if s.user.Role == alerts.RoleTeam {
		find.Team, find.Area, ok = s.user.Team, asked, s.user.Team != ""
	} else {
		find.Area, ok = s.narrow(asked)
	}
	if !ok {
		WriteJSON(c, http.StatusOK, out)
		return nil
	}
	ctx := c.Request.Context()
	found, err := a.Orders.Orders(ctx, find)
	if err != nil {
		return badCursor(before, fmt.Errorf("listing orders: %w", err))
	}
	tallies, err := a.tallies(ctx, s, found)
	if err != nil {
		return err
	}
	if len(found) == limit {
		out.Next = cursorTo(found[limit-1].ID)
	}
	// The store goes by where a team was when the order was given; a team that has
	// left since is not visible to a part.
	found = slices.DeleteFunc(found, func(o alerts.Order) bool { return !s.area(o.Area) && tallies[o.ID].Total == 0 })
	named := a.names.get(ctx)
	out.Items = convert(found, func(o alerts.Order) Order { return s.shown(toOrder(s.roster, named, o, tallies[o.ID])) })
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// tallies counts the visible deliveries of the orders. The store counts where
// all of an order is visible; the few others are counted here.
func (a *API) tallies(ctx context.Context, s scope, os []alerts.Order) (map[string]alerts.Tally, error) {
	var all []string
	partly := map[string]alerts.Tally{}
	if s.user.Role == alerts.RoleTeam {
		own, err := a.Orders.TeamDeliveries(ctx, s.user.Team, maxLimit)
		if err != nil {
			return nil, fmt.Errorf("listing a team's deliveries: %w", err)
		}
		for _, d := range own {
			partly[d.Order] = tally([]alerts.Delivery{d})
		}
	}
	for _, o := range os {
		if _, known := partly[o.ID]; known {
			continue
		}
		if s.area(o.Area) {
			all = append(all, o.ID)
			continue
		}
		ds, err := a.Orders.Deliveries(ctx, o.ID)
		if err != nil {
			return nil, fmt.Errorf("listing deliveries: %w", err)
		}
		partly[o.ID] = tally(s.deliveries(ds))
	}
	if len(all) == 0 {
		return partly, nil
	}
	tallies, err := a.Orders.Tallies(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("counting deliveries: %w", err)
	}
	maps.Copy(tallies, partly)
	return tallies, nil
}

// shown takes the shortfalls off an order of which only a part is visible: they
// name teams and areas of others.
func (s scope) shown(o Order) Order {
	if !s.area(o.Area) {
		o.Shortfalls = []string{}
	}
	return o
}

// visibleOrder finds an order that the account may see, with the deliveries of
// it that are.
func (a *API) visibleOrder(ctx context.Context, s scope, id string) (alerts.Order, []alerts.Delivery, error) {
	missing := &Error{Code: CodeNotFound, Detail: "没有此命令"}
	o, err := a.Orders.Order(ctx, id)
	if errors.Is(err, alerts.ErrNotFound) {
		return o, nil, missing
	} else if err != nil {
		return o, nil, fmt.Errorf("reading an order: %w", err)
	}
	ds, err := a.Orders.Deliveries(ctx, id)
	if err != nil {
		return o, nil, fmt.Errorf("listing deliveries: %w", err)
	}
	ds = s.deliveries(ds)
	if !s.order(o, ds) {
		return alerts.Order{}, nil, missing
	}
	return o, ds, nil
}

// render shows one order with its visible deliveries and attempts.
func (a *API) render(ctx context.Context, s scope, o alerts.Order, ds []alerts.Delivery) (Order, error) {
	out := s.shown(toOrder(s.roster, a.names.get(ctx), o, tally(ds)))
	now := a.Now()
	out.Deliveries = convert(ds, func(d alerts.Delivery) Delivery { return toDelivery(s.roster, o, d, now) })
	tries, err := a.Orders.Attempts(ctx, o.ID)
	if err != nil {
		return out, fmt.Errorf("listing attempts: %w", err)
	}
	tries = slices.DeleteFunc(tries, func(t alerts.Attempt) bool { return !s.team(t.Team) })
	out.Attempts = convert(tries, toAttempt)
	return out, nil
}

func (a *API) showOrder(c *gin.Context, s scope) error {
	if id, ok := strings.CutSuffix(c.Param("id"), suffixCAP); ok {
		return a.showOrderCAP(c, s, id)
	}
	ctx := c.Request.Context()
	o, ds, err := a.visibleOrder(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	out, err := a.render(ctx, s, o, ds)
	if err != nil {
		return err
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// createAnswer takes what a team says about an order, or what an office says on
// its behalf.
func (a *API) createAnswer(c *gin.Context, s scope) error {
	ctx := c.Request.Context()
	o, ds, err := a.visibleOrder(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	var req AnswerRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	own := s.user.Role == alerts.RoleTeam
	team, spoken, err := checkAnswer(s, req)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ds, func(d alerts.Delivery) bool { return d.Team == team }) {
		return &Error{Code: CodeNotFound, Detail: "此命令没有下达给该队伍"}
	}
	now := at(a.Now())
	by := strings.TrimSpace(req.By)
	for _, name := range []string{s.user.Name, s.user.Username} {
		if by == "" {
			by = name
		}
	}
	via := "队伍页面"
	if !own {
		via = "值班室"
	}
	if spoken.IsZero() {
		spoken = now
	}
	said := contract.Answer{
		Team: team, Order: o.ID, Receipt: contract.Receipt(req.Answer), Reason: strings.TrimSpace(req.Reason),
		By: by, At: spoken, Received: now,
	}
	changed := false
	d, err := a.Orders.UpdateDelivery(ctx, o.ID, team,
		func(d *alerts.Delivery, o alerts.Order) (change alerts.DeliveryChange, err error) {
			change, changed, err = alerts.TakeAnswer(d, o, s.roster.team[team].Area, said, !own, via)
			return change, err
		})
	if errors.Is(err, alerts.ErrAnswer) {
		return &Error{Code: CodeInvalid, Fields: []FieldError{{"answer", "此命令不能这样应答"}}, Cause: err}
	} else if err != nil {
		return fmt.Errorf("saving an answer: %w", err)
	}
	if changed {
		if said.Receipt.Answer() {
			what := fmt.Sprintf("team %s: %s", team, said.Receipt)
			if !own {
				what = fmt.Sprintf("on behalf of %s, said by %s", what, by)
			}
			a.audit(ctx, s.user.Username, "order.answer", o.ID, what)
		}
		a.Nudge()
		a.Hub.Nudge()
	}
	WriteJSON(c, http.StatusOK, toDelivery(s.roster, o, d, a.Now()))
	return nil
}

// checkAnswer says for which team an answer is and when it was said (zero: not
// told), or what is wrong with it.
func checkAnswer(s scope, req AnswerRequest) (team contract.TeamID, said time.Time, err error) {
	own := s.user.Role == alerts.RoleTeam
	team = contract.TeamID(req.Team)
	switch {
	case own && team == "":
		team = s.user.Team
	case own && team != s.user.Team:
		return "", said, &Error{Code: CodeForbidden, Detail: "只能替本队应答"}
	}
	var f faults
	if team == "" {
		f.add("team", "请写明替哪支队伍应答")
	}
	receipt := contract.Receipt(req.Answer)
	switch {
	case !slices.Contains(contract.Receipts, receipt):
		f.add("answer", "应为 %s 之一", words(contract.Receipts))
	case !own && !receipt.Answer():
		f.add("answer", "代答不能代为签收")
	case receipt == contract.Rejected && strings.TrimSpace(req.Reason) == "":
		f.add("reason", "拒绝须说明理由")
	}
	if fault := textFault(req.Reason, contract.MaxTextBytes); fault != "" {
		f.add("reason", "%s", fault)
	}
	if fault := textFault(req.By, maxName); fault != "" {
		f.add("by", "%s", fault)
	}
	if req.Said != "" {
		if said, err = time.Parse(time.RFC3339, req.Said); err != nil {
			f.add("said", "%s", rfc3339)
		}
	}
	return team, at(said), f.err()
}

// maxName bounds a person's name, in bytes.
const maxName = 100

// words joins codes for a message.
func words[T ~string](codes []T) string {
	return strings.Join(convert(codes, func(x T) string { return string(x) }), "、")
}
