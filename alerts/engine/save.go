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
	// shortfalls say, by alert, that and why nobody was ordered.
	shortfalls map[string]string
	hotspots   []alerts.JudgedHotspot
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

// maxOrderWait is the longest wait before an order that failed is tried again.
const maxOrderWait = 30 * time.Second

func newPending() pending {
	return pending{
		alerts: make(map[string]*alerts.Alert), at: make(map[string]time.Time),
		states: make(map[*alerts.SubjectState]int), shortfalls: make(map[string]string),
	}
}

// collect makes the transaction.
func (b *bench) collect(now time.Time, withPosition bool) (alerts.Judged, error) {
	var j alerts.Judged
	if withPosition {
		j.Feed, j.Position = b.Feed.Name(), b.pos
	}
	j.Hotspots = b.pend.hotspots
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
		row, err := b.listenState(now)
		if err != nil {
			return j, err
		}
		j.States = append(j.States, row)
	}
	bySubject := func(x, y alerts.RuleState) int {
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Subject, y.Subject))
	}
	slices.SortFunc(j.States, bySubject)
	slices.SortFunc(j.Cleared, bySubject)
	for _, id := range slices.Sorted(maps.Keys(b.pend.alerts)) {
		a := b.pend.alerts[id]
		told := map[string]string{"id": a.ID}
		if short := b.pend.shortfalls[id]; short != "" {
			told["shortfall"] = short
		}
		data, err := json.Marshal(told)
		if err != nil {
			return j, fmt.Errorf("alert event: %w", err)
		}
		j.Alerts = append(j.Alerts, *a)
		j.Events = append(j.Events, alerts.Event{At: b.pend.at[id], Type: alerts.EventAlert, Area: a.Area, Data: data})
	}
	return j, b.settled(now, &j)
}

// save stores what is pending, however long the store is away: memory is ahead
// of the rows then, and nothing more may be judged. It ends with an error only
// when ctx does or the lease is lost.
func (b *bench) save(ctx context.Context, withPosition bool) error {
	now := b.Now()
	b.settle(now)
	j, err := b.collect(now, withPosition)
	if err != nil {
		return err
	}
	if len(j.States)+len(j.Cleared)+len(j.Alerts)+len(j.Incidents)+len(j.Hotspots) > 0 || withPosition && b.pos != b.savedPos {
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
			b.tell(partStore, nil)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("saving: %w", err)
		}
		b.tell(partStore, fmt.Errorf("saving: %w", err))
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
		b.tell(partStore, fmt.Errorf("renewing the lease: %w", err))
		wait.sleep(ctx)
	}
}

// unordered is after how many failures people are told that an order could not
// be given: some seconds.
const unordered = 6

// giveOrders gives the orders that alerts ask for. What fails is tried again,
// each alert by its own clock, and holds up no other; that an alert asks is in
// its row, so a crash forgets none.
func (b *bench) giveOrders(ctx context.Context) error {
	now := b.Now()
	var due []string
	for id, w := range b.wanting {
		if !now.Before(w.next) {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(x, y string) int { // who has failed least comes first
		return cmp.Or(cmp.Compare(b.wanting[x].tries, b.wanting[y].tries), cmp.Compare(x, y))
	})
	given := false
	for _, id := range due {
		if b.Now().Sub(now) >= saveTimeout {
			break // the store is slow: input and time must have their turn
		}
		if err := b.renew(ctx); err != nil {
			return err
		}
		w := b.wanting[id]
		var a *alerts.Alert
		for _, x := range w.state.Alerts() {
			if x.ID == id {
				a = x
			}
		}
		if a == nil {
			delete(b.wanting, id)
			continue
		}
		key, give := b.call(now, &b.rules[w.rule], w.state, a)
		if !give {
			delete(b.wanting, id)
			continue
		}
		order, err := b.giveOrOwn(ctx, now, &b.rules[w.rule], a, key)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.notOrdered(now, id, err)
			continue
		}
		b.met.orders.WithLabelValues("given").Inc()
		b.ordered(w.state, a, order)
		delete(b.wanting, id)
		given = true
	}
	if given {
		b.Nudge()
	}
	return nil
}

// giveOrOwn gives the alert's order. A conflict means that it was given before,
// by a save of which we never heard how it ended: then it is that one.
func (b *bench) giveOrOwn(
	ctx context.Context, now time.Time, rule *alerts.Rule, a *alerts.Alert, key string,
) (order alerts.Order, err error) {
	err = b.guard(func() error {
		order, err = b.giveOrder(ctx, now, rule, a, key)
		return err
	})
	if !errors.Is(err, alerts.ErrConflict) {
		return order, err
	}
	sctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	saved, lookErr := b.Orders.OrderByKey(sctx, "rule:"+rule.Name, key)
	if lookErr != nil {
		return order, fmt.Errorf("%w; looking for the order that was given: %w", err, lookErr)
	}
	return saved, nil
}

// notOrdered puts the next try off, and has people told when tries do not help.
func (b *bench) notOrdered(now time.Time, id string, err error) {
	b.met.orders.WithLabelValues("failed").Inc()
	w := b.wanting[id]
	w.tries++
	w.wait = min(max(2*w.wait, minBackoff), maxOrderWait)
	w.next = now.Add(w.wait)
	b.wanting[id] = w
	log := b.Log.With(zap.Error(err), zap.String("alert", id), zap.Int("tries", w.tries))
	if w.tries != unordered {
		log.Warn("order not given yet")
		return
	}
	log.Error("nobody was notified: the order cannot be given")
	why := "自动下令失败，" + alerts.NobodyNotified + "，请人工下令"
	if a := w.state.AddReason(now, id, why); a != nil {
		b.pend.states[w.state] = w.rule
		b.replace(now, w.state, a)
	}
	b.pend.shortfalls[id] = alerts.NobodyNotified
}

func (b *bench) giveOrder(ctx context.Context, now time.Time, rule *alerts.Rule, a *alerts.Alert, key string) (alerts.Order, error) {
	picks, shortfalls := alerts.PickForAlert(b.areas, b.teams, *a, rule.Order)
	o, ds := alerts.PlanOrder(b.areas, *a, rule.Order, b.Policy, picks, shortfalls, now)
	o.IdempotencyKey = key
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
