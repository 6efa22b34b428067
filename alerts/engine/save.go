package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

// pending is what the next save holds.
type pending struct {
	urgent bool
	alerts map[string]*alerts.Alert
	at     map[string]time.Time
	states map[*alerts.SubjectState]int // to the rule's index
	later  []laterRow                   // oldest first
}

// laterRow is a state of which only Through has moved. Nothing but liveness
// needs it, and the feed tells it again for as long as windows span: such rows
// are saved some minutes later, not with every reading.
type laterRow struct {
	subject *subject
	rule    int
	at      time.Time
}

const laterAfter = 5 * time.Minute

func newPending() pending {
	return pending{
		alerts: make(map[string]*alerts.Alert), at: make(map[string]time.Time),
		states: make(map[*alerts.SubjectState]int),
	}
}

// collect makes the transaction.
func (b *bench) collect(now time.Time, withPosition bool) (alerts.Judged, error) {
	var j alerts.Judged
	if withPosition {
		j.Feed, j.Position = b.Feed.Name(), b.pos
	}
	for len(b.pend.later) > 0 && now.Sub(b.pend.later[0].at) >= laterAfter {
		l := b.pend.later[0]
		b.pend.later = b.pend.later[1:]
		l.subject.lazy[l.rule] = false
		if st := l.subject.states[l.rule]; st != nil {
			b.pend.states[st] = l.rule
		}
	}
	for st, i := range b.pend.states {
		row, err := st.Row()
		if err != nil {
			return j, err
		}
		if st.State == "" && b.rules[i].Type != alerts.DeviceSilent && len(st.Memory.Episodes) == 0 &&
			len(st.Memory.Offs) == 0 && !st.Memory.Calibrating {
			j.Cleared = append(j.Cleared, row)
		} else {
			j.States = append(j.States, row)
		}
	}
	if withPosition && now.Sub(b.listenRow) >= listenEvery {
		j.States = append(j.States, alerts.RuleState{Rule: listenRule, Subject: listenSubject, Since: b.listening, Through: now})
	}
	bySubject := func(x, y alerts.RuleState) int {
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Subject, y.Subject))
	}
	slices.SortFunc(j.States, bySubject)
	slices.SortFunc(j.Cleared, bySubject)
	for _, id := range slices.Sorted(maps.Keys(b.pend.alerts)) {
		a := b.pend.alerts[id]
		data, err := json.Marshal(map[string]string{"id": a.ID})
		if err != nil {
			return j, fmt.Errorf("alert event: %w", err)
		}
		j.Alerts = append(j.Alerts, *a)
		j.Events = append(j.Events, alerts.Event{At: b.pend.at[id], Type: alerts.EventAlert, Area: a.Area, Data: data})
	}
	return j, nil
}

// save stores what is pending, however long the store is away: memory is ahead
// of the rows then, and nothing more may be judged. It ends with an error only
// when ctx does or the lease is lost.
func (b *bench) save(ctx context.Context, withPosition bool) error {
	now := b.Now()
	j, err := b.collect(now, withPosition)
	if err != nil {
		return err
	}
	if len(j.States)+len(j.Cleared)+len(j.Alerts) > 0 || withPosition && b.pos != b.savedPos {
		if err := b.store(ctx, j); err != nil {
			return err
		}
	}
	if withPosition {
		b.savedPos = b.pos
		if now.Sub(b.listenRow) >= listenEvery {
			b.listenRow = now
		}
	}
	later := b.pend.later
	b.pend = newPending()
	b.pend.later = later
	return b.giveOrders(ctx)
}

func (b *bench) store(ctx context.Context, j alerts.Judged) error {
	wait := backoff{}
	for {
		if err := b.renew(ctx); err != nil {
			return err
		}
		begin := time.Now()
		sctx, cancel := context.WithTimeout(ctx, saveTimeout)
		err := b.Alerts.SaveJudged(sctx, j)
		cancel()
		if err == nil {
			b.met.saves.Observe(time.Since(begin).Seconds())
			b.set(partStore, nil)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("saving: %w", err)
		}
		b.set(partStore, fmt.Errorf("saving: %w", err))
		wait.sleep(ctx)
	}
}

// renew keeps the lease. While the store cannot be asked the tenure goes on,
// for then nobody else can take it either; a save comes after a renewal only.
func (b *bench) renew(ctx context.Context) error {
	if b.Lease == nil || b.Now().Before(b.owned.Add(-leaseTTL/3)) {
		return nil
	}
	wait := backoff{}
	for {
		held, until, err := b.acquire(ctx)
		switch {
		case err == nil && held:
			b.owned = until
			return nil
		case err == nil:
			return errLeaseLost
		case ctx.Err() != nil:
			return ctx.Err()
		}
		b.set(partStore, fmt.Errorf("renewing the lease: %w", err))
		wait.sleep(ctx)
	}
}

// giveOrders gives the orders that alerts ask for. What fails is tried again at
// later ticks; that an alert asks is in its row, so a crash forgets none.
func (b *bench) giveOrders(ctx context.Context) error {
	now := b.Now()
	if len(b.wanting) == 0 || now.Before(b.ordersNext) {
		return nil
	}
	given := false
	for _, id := range slices.Sorted(maps.Keys(b.wanting)) {
		w := b.wanting[id]
		rule := &b.rules[w.rule]
		var a *alerts.Alert
		for _, x := range w.state.Alerts() {
			if x.ID == id {
				a = x
			}
		}
		if a == nil || !rule.WantsOrder(a) {
			delete(b.wanting, id)
			continue
		}
		var o alerts.Order
		err := b.guard(func() (err error) {
			o, err = b.giveOrder(ctx, now, rule, a)
			return err
		})
		switch {
		case errors.Is(err, alerts.ErrConflict):
			b.met.orders.WithLabelValues("refused").Inc()
			b.Log.Error("order refused", zap.Error(err), zap.String("alert", id))
			delete(b.wanting, id)
		case err != nil:
			b.met.orders.WithLabelValues("failed").Inc()
			b.Log.Warn("order not given yet", zap.Error(err), zap.String("alert", id))
			b.ordersWait.next = min(max(2*b.ordersWait.next, minBackoff), maxBackoff)
			b.ordersNext = now.Add(b.ordersWait.next)
			return ctx.Err()
		default:
			b.met.orders.WithLabelValues("given").Inc()
			w.state.SetOrder(id, o.ID)
			delete(b.wanting, id)
			b.ordersWait, given = backoff{}, true
		}
	}
	if given {
		b.Nudge()
	}
	return nil
}

func (b *bench) giveOrder(ctx context.Context, now time.Time, rule *alerts.Rule, a *alerts.Alert) (alerts.Order, error) {
	picks, shortfalls := alerts.PickForAlert(b.areas, b.teams, *a, rule.Order)
	o, ds := alerts.PlanOrder(b.areas, *a, rule.Order, b.Policy, picks, shortfalls, now)
	data, err := json.Marshal(map[string]string{"id": o.ID})
	if err != nil {
		return o, fmt.Errorf("order event: %w", err)
	}
	alertData, err := json.Marshal(map[string]string{"id": a.ID})
	if err != nil {
		return o, fmt.Errorf("alert event: %w", err)
	}
	evs := []alerts.Event{
		{At: now, Type: alerts.EventOrder, Area: o.Area, Data: data},
		{At: now, Type: alerts.EventAlert, Area: a.Area, Data: alertData},
	}
	for _, p := range picks {
		data, err := json.Marshal(map[string]string{"order": o.ID, "team": string(p.Team.ID)})
		if err != nil {
			return o, fmt.Errorf("delivery event: %w", err)
		}
		evs = append(evs, alerts.Event{At: now, Type: alerts.EventDelivery, Area: p.Team.Area, Team: p.Team.ID, Data: data})
	}
	sctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	saved, _, err := b.Orders.CreateOrder(sctx, o, ds, evs)
	if err != nil {
		return o, fmt.Errorf("giving the order of alert %s: %w", a.ID, err)
	}
	return saved, nil
}
