package dispatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// errUnchanged makes a transaction end without a change.
var errUnchanged = errors.New("unchanged")

// teamPage bounds the deliveries looked through for those still unanswered.
const teamPage = 1000

// A claim is one delivery that this visit calls for.
type claim struct {
	order string
	try   int
}

// visit calls one team, or tells the retainers its state.
func (d *Dispatcher) visit(ctx context.Context, j job) result {
	r := result{job: j, kept: j.known}
	log := d.o.Log.With(zap.String("team", string(j.team)))
	claims, wide, err := d.claim(ctx, j)
	if err != nil {
		log.Warn("claiming deliveries; they stay due", zap.Error(err))
	}
	open, silent, err := d.state(ctx, j.team)
	if err != nil {
		log.Warn("reading the orders of a team; they are sent again", zap.Error(err))
		r.again = true
		return r
	}
	if len(claims) == 0 {
		return d.tell(ctx, r, open, silent)
	}
	team, ok := d.roster.team(j.team)
	if !ok {
		out := alerts.Outcome{Permanent: true, Error: "队伍不在名册中"}
		d.save(ctx, log, j.team, claims, out, nil)
		return d.tell(ctx, r, nil, nil)
	}
	out, tries, kept := d.call(ctx, team, open, wide)
	d.save(ctx, log, j.team, claims, out, tries)
	r.told, r.kept = open, kept
	r.again = len(d.retainers) > 0 && !kept
	return r
}

// claim begins the call for each delivery that is due.
func (d *Dispatcher) claim(ctx context.Context, j job) (claims []claim, wide bool, err error) {
	now, area := d.o.Now(), d.roster.area(j.team)
	var faults []error
	for _, id := range j.due {
		var act alerts.Action
		x, err := d.o.Orders.UpdateDelivery(ctx, id, j.team, func(x *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
			var c alerts.DeliveryChange
			act, c.Attempts = x.Begin(now, o, d.o.Policy)
			switch act.Kind {
			case alerts.ActNone:
				return c, errUnchanged
			case alerts.ActEnd:
				x.End(now)
				c.Events = []alerts.Event{alerts.DeliveryEvent(x, o, area, now, "")}
			case alerts.ActCall:
				if len(c.Attempts) > 0 {
					c.Events = []alerts.Event{alerts.DeliveryEvent(x, o, area, now, "")}
				}
				if x.Tries == 1 && x.LastError == "" {
					c.Attempts = append(c.Attempts, alerts.Attempt{
						Order: id, Team: j.team, Channel: alerts.ChannelPage, At: now, Try: 1, Note: "队伍页面可见",
					})
				}
			}
			return c, nil
		})
		switch {
		case errors.Is(err, errUnchanged):
		case err != nil:
			faults = append(faults, fmt.Errorf("order %s: %w", id, err))
		case act.Kind == alerts.ActCall:
			claims = append(claims, claim{id, x.Tries})
			wide = wide || act.Wide
		}
	}
	return claims, wide, errors.Join(faults...)
}

// state is what the team is to be told: its unanswered orders, the gravest
// first and of one level the newest first. Silent are their deliveries.
func (d *Dispatcher) state(ctx context.Context, team contract.TeamID) (open []contract.Order, silent []alerts.Delivery, err error) {
	ds, err := d.o.Orders.TeamDeliveries(ctx, team, teamPage)
	if err != nil {
		return nil, nil, fmt.Errorf("reading deliveries: %w", err)
	}
	var orders []alerts.Order
	for _, x := range ds {
		if !x.Silent() {
			continue
		}
		o, err := d.o.Orders.Order(ctx, x.Order)
		if err != nil {
			return nil, nil, fmt.Errorf("reading order %s: %w", x.Order, err)
		}
		if o.Status == alerts.OrderOpen {
			orders, silent = append(orders, o), append(silent, x)
		}
	}
	slices.SortStableFunc(orders, func(a, b alerts.Order) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), b.Issued.Compare(a.Issued), cmp.Compare(a.ID, b.ID))
	})
	for _, o := range orders {
		open = append(open, o.Wire())
	}
	return open, silent, nil
}

// call goes through the channels: the first that takes it is enough, but
// retainers always hear, and a wide call goes out on all.
func (d *Dispatcher) call(ctx context.Context, team alerts.Team, open []contract.Order, wide bool) (
	out alerts.Outcome, tries []alerts.Attempt, kept bool,
) {
	if len(d.o.Notifiers) == 0 {
		return alerts.Outcome{Taken: true}, nil, true
	}
	kept = true
	var faults []string
	waits, permanent, tried := 0, 0, 0
	for _, n := range d.o.Notifiers {
		_, retains := n.(Retainer)
		if out.Taken && !wide && !retains {
			continue
		}
		err := d.notify(ctx, n, team, open)
		var throttled *alerts.ThrottledError
		var never *alerts.PermanentError
		var hold *heldError
		now := d.o.Now()
		switch {
		case err == nil:
			out.Taken = true
		case errors.As(err, &hold):
			out.NotBefore = firstOf(out.NotBefore, hold.until)
			waits++
		case errors.As(err, &throttled):
			out.NotBefore = firstOf(out.NotBefore, now.Add(throttled.After))
			waits++
		case errors.As(err, &never):
			permanent++
		}
		if hold == nil {
			tried++
			a := alerts.Attempt{Team: team.ID, Channel: n.Channel(), At: now}
			if err != nil {
				a.Error = err.Error()
			}
			tries = append(tries, a)
		}
		if err != nil {
			faults = append(faults, n.Channel()+": "+err.Error())
			kept = kept && !retains
		}
	}
	out.Error = strings.Join(faults, "; ")
	out.Held = tried == 0
	out.Permanent = !out.Taken && permanent == len(faults)
	if waits+permanent < len(faults) {
		out.NotBefore = time.Time{} // one of them may work sooner
	}
	return out, tries, kept
}

func firstOf(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// heldError says that the channel was not tried: it asked us to wait, or, with
// a zero until, the lease is another's.
type heldError struct{ until time.Time }

func (e *heldError) Error() string {
	if e.until.IsZero() {
		return "the lease is lost: another dispatcher tells the team"
	}
	return "waiting until " + e.until.UTC().Format(time.RFC3339) + ", as the channel asked"
}

// notify makes one call on one channel, unless the channel asked us to wait. The
// lease is asked for last: what a process read before it was paused must not
// replace what another has published since.
func (d *Dispatcher) notify(ctx context.Context, n alerts.Notifier, team alerts.Team, open []contract.Order) error {
	ch := n.Channel()
	d.mu.Lock()
	until := d.held[ch]
	d.mu.Unlock()
	if d.o.Now().Before(until) {
		return &heldError{until}
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	if !d.tenure.Owns(d.o.Now()) {
		return &heldError{}
	}
	err := n.Notify(ctx, team, slices.Clone(open))
	if throttled, ok := errors.AsType[*alerts.ThrottledError](err); ok {
		d.mu.Lock()
		if next := d.o.Now().Add(throttled.After); next.After(d.held[ch]) {
			d.held[ch] = next
		}
		d.mu.Unlock()
	}
	d.metrics.notified(ch, err)
	return err
}

// tell brings the retainers up to date, unless they are.
func (d *Dispatcher) tell(ctx context.Context, r result, open []contract.Order, silent []alerts.Delivery) result {
	if r.known && slices.Equal(r.told, open) {
		return r
	}
	team, ok := d.roster.team(r.team)
	if !ok { // it was struck off the roster: what is kept for it goes
		team, open = alerts.Team{ID: r.team}, nil
	}
	r.told, r.kept = open, true
	var tries []alerts.Attempt
	for _, n := range d.retainers {
		if err := d.notify(ctx, n, team, open); err != nil {
			var never *alerts.PermanentError
			r.kept = false
			r.again = r.again || !errors.As(err, &never)
			d.o.Log.Debug("telling a team its state; it is told again", zap.String("team", string(team.ID)),
				zap.String("channel", n.Channel()), zap.Error(err))
			continue
		}
		tries = append(tries, alerts.Attempt{Team: team.ID, Channel: n.Channel(), At: d.o.Now()})
	}
	if len(tries) > 0 && ok { // so orders that no call has brought out are now out
		var claims []claim
		for _, x := range silent {
			if x.Sent.IsZero() && x.Tries > 0 {
				claims = append(claims, claim{x.Order, x.Tries})
			}
		}
		d.save(ctx, d.o.Log, team.ID, claims, alerts.Outcome{Taken: true}, tries)
	}
	return r
}

// save puts the outcome of a call into the deliveries it was for. What cannot be
// saved stays claimed, and is sent again when the claim runs out.
func (d *Dispatcher) save(ctx context.Context, log *zap.Logger, team contract.TeamID, claims []claim, out alerts.Outcome, tries []alerts.Attempt) {
	area := d.roster.area(team)
	for _, c := range claims {
		now := d.o.Now()
		var lost, first bool
		var issued time.Time
		_, err := d.o.Orders.UpdateDelivery(ctx, c.order, team, func(x *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
			before := *x
			var ch alerts.DeliveryChange
			ch.Attempts, lost = x.Finish(now, o, d.o.Policy, c.try, out)
			for _, a := range tries {
				a.Order, a.Try = c.order, c.try
				ch.Attempts = append(ch.Attempts, a)
			}
			shortfall := ""
			if lost {
				shortfall = fmt.Sprintf("%s 无法送达：%s", team, out.Error)
			}
			if before.State != x.State || before.LastError != x.LastError || lost {
				ch.Events = []alerts.Event{alerts.DeliveryEvent(x, o, area, now, shortfall)}
			}
			first, issued = before.Sent.IsZero() && !x.Sent.IsZero(), o.Issued
			return ch, nil
		})
		if err != nil {
			log.Warn("saving the outcome of a call; it is made again", zap.String("order", c.order), zap.Error(err))
			continue
		}
		if first {
			d.metrics.sent.Observe(now.Sub(issued).Seconds())
		}
		if lost {
			log.Error("a team cannot be reached", zap.String("order", c.order), zap.String("cause", out.Error))
			d.nobody(ctx, log, c.order, team)
		}
	}
}

// nobody makes it an event when an order has reached no team at all.
func (d *Dispatcher) nobody(ctx context.Context, log *zap.Logger, order string, team contract.TeamID) {
	ds, err := d.o.Orders.Deliveries(ctx, order)
	if err != nil {
		log.Warn("reading deliveries", zap.String("order", order), zap.Error(err))
		return
	}
	if slices.ContainsFunc(ds, func(x alerts.Delivery) bool { return x.State != alerts.DeliveryFailed }) {
		return
	}
	log.Error("nobody was notified", zap.String("order", order))
	_, err = d.o.Orders.UpdateDelivery(ctx, order, team, func(x *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
		data, err := json.Marshal(map[string]string{"id": order, "shortfall": alerts.NobodyNotified})
		return alerts.DeliveryChange{
			Attempts: []alerts.Attempt{{
				Order: order, Team: team, Channel: alerts.ChannelEscalation, At: d.o.Now(), Try: x.Escalation, Note: alerts.NobodyNotified,
			}},
			Events: []alerts.Event{{At: d.o.Now(), Type: alerts.EventOrder, Area: o.Area, Data: data}},
		}, err
	})
	if err != nil {
		log.Warn("saving that nobody was notified", zap.String("order", order), zap.Error(err))
	}
}
