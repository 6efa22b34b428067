package downlink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// duePage bounds the devices looked at in one turn. Those that are waiting after
// a failure are among them, so it is far above what fails for a reason of its
// own: without a connection all wait alike.
const duePage = 2000

// A result is how telling one device ended.
type result struct {
	device contract.DeviceID
	told   bool
}

// turn looks at the store and queues what is to be done.
func (r *Runner) turn(ctx context.Context) error {
	now := r.o.Now()
	if err := r.elect(ctx, now); err != nil {
		return err
	}
	if !r.tenure.Leader() {
		return nil
	}
	if !now.Before(r.retellAt) {
		all, err := r.o.Store.OpenDevices(ctx, now)
		if err != nil {
			return fmt.Errorf("reading devices with commands: %w", err)
		}
		for _, id := range all {
			r.again[id] = true
		}
		r.retellAt = now.Add(r.o.Retell)
	}
	due, err := r.o.Store.DueCommands(ctx, now, duePage)
	if err != nil {
		return fmt.Errorf("reading due commands: %w", err)
	}
	r.queue = r.queue[:0]
	queued := make(map[contract.DeviceID]bool, len(due)+len(r.again))
	for _, id := range slices.Concat(due, slices.Sorted(maps.Keys(r.again))) {
		if !r.busy[id] && !queued[id] && !now.Before(r.wait[id].until) {
			queued[id] = true
			r.queue = append(r.queue, id)
		}
	}
	return nil
}

// start sets free workers to the queue.
func (r *Runner) start(ctx context.Context) {
	for len(r.queue) > 0 && len(r.busy) < r.o.Workers {
		id := r.queue[0]
		r.queue = r.queue[1:]
		if r.busy[id] {
			continue
		}
		r.busy[id] = true
		delete(r.again, id) // told from here on: what is lost from now on is told anew
		go func() { r.finished <- result{id, r.visit(ctx, id)} }()
	}
}

// settle takes in how a visit ended.
func (r *Runner) settle(x result) {
	delete(r.busy, x.device)
	if x.told {
		delete(r.wait, x.device)
		return
	}
	r.again[x.device] = true
	p := r.wait[x.device]
	p.next = min(cmp.Or(2*p.next, r.o.Tick), r.o.RetryMax)
	p.until = r.o.Now().Add(p.next)
	r.wait[x.device] = p
}

// visit brings one device's commands up to date, tells it those that are open,
// and notes that it did.
func (r *Runner) visit(ctx context.Context, device contract.DeviceID) (told bool) {
	log := r.o.Log.With(zap.String("device", string(device)))
	open, seen, err := r.collect(ctx, device)
	if err != nil {
		log.Warn("reading the commands of a device; it is told later", zap.Error(err))
		return false
	}
	if err := r.tell(ctx, device, open); err != nil {
		log.Debug("telling a device its commands; it is told again", zap.Error(err))
		return false
	}
	if err := r.note(ctx, device, seen); err != nil {
		log.Warn("noting that a device was told; it is told again", zap.Error(err))
		return false
	}
	return true
}

// collect ends what has expired and returns what is open, the gravest first and
// of one level the newest first. Seen holds every command that was looked at,
// and whether it is among them.
func (r *Runner) collect(ctx context.Context, device contract.DeviceID) (open []contract.Order, seen map[string]bool, err error) {
	now := r.o.Now()
	var live []alerts.Command
	expired := 0
	err = r.o.Store.UpdateCommands(ctx, device, now, func(cs []alerts.Command) ([]alerts.Command, []alerts.Event, error) {
		var evs []alerts.Event
		seen, live, expired = make(map[string]bool, len(cs)), nil, 0
		for i := range cs {
			c := &cs[i]
			if c.Expire(now) {
				evs = append(evs, alerts.CommandEvent(c, now))
				expired++
			}
			if seen[c.ID] = c.State.Open(); seen[c.ID] {
				live = append(live, *c)
			}
		}
		return cs, evs, nil
	})
	if err != nil {
		return nil, nil, err
	}
	r.metrics.expired.Add(float64(expired))
	slices.SortStableFunc(live, func(a, b alerts.Command) int {
		return cmp.Or(cmp.Compare(b.Level(), a.Level()), b.Issued.Compare(a.Issued), cmp.Compare(b.ID, a.ID))
	})
	for i := range live {
		open = append(open, live[i].OnWire())
	}
	return open, seen, nil
}

// errNotOurs says that another runner tells the device.
var errNotOurs = errors.New("the lease is lost: another runner tells the device")

// tell hands the state to the broker. The lease is asked for last: what a
// process read before it was paused must not replace what another has published
// since.
func (r *Runner) tell(ctx context.Context, device contract.DeviceID, open []contract.Order) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	if !r.tenure.Owns(r.o.Now()) {
		return errNotOurs
	}
	err := r.o.Teller.Tell(ctx, device, open)
	r.metrics.tried(err)
	return err
}

// note puts on the rows that the device was told. A command that has come or
// ended meanwhile was told otherwise than it is now: it stays due.
func (r *Runner) note(ctx context.Context, device contract.DeviceID, seen map[string]bool) error {
	now := r.o.Now()
	var waited []time.Duration
	err := r.o.Store.UpdateCommands(ctx, device, now, func(cs []alerts.Command) ([]alerts.Command, []alerts.Event, error) {
		var evs []alerts.Event
		waited = nil
		for i := range cs {
			c := &cs[i]
			if open, known := seen[c.ID]; !known || open != c.State.Open() {
				continue
			}
			before := c.State
			c.Told(now)
			if c.State != before {
				evs = append(evs, alerts.CommandEvent(c, now))
				waited = append(waited, c.Sent.Sub(c.Issued))
			}
		}
		return cs, evs, nil
	})
	if err != nil {
		return err
	}
	for _, d := range waited {
		r.metrics.sent.Observe(d.Seconds())
	}
	return nil
}
