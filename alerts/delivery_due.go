package alerts

import (
	"fmt"
	"time"
)

// ActionKind is what is due for one delivery.
type ActionKind uint8

// The actions.
const (
	ActNone ActionKind = iota // nothing now
	ActCall                   // call the team, and first bring it before the level Escalate
	ActEnd                    // the order was withdrawn: End the delivery
)

// Action is what the dispatcher owes one delivery.
type Action struct {
	Kind     ActionKind
	Escalate int  // level to have reached: 0 none, 1 township duty officer, 2 county, 3 city
	Wide     bool // past the deadline: call on every channel, not on the first that works
}

// Due says what is due for the delivery. Each silent team is called again and
// again, and brought before one more level with every deadline that passes,
// whatever other teams have said.
func Due(now time.Time, o Order, d Delivery, p Policy) Action {
	switch {
	case !d.Silent() || o.Status == OrderComplete:
		return Action{}
	case o.Status == OrderCancelled:
		return Action{Kind: ActEnd}
	case d.NextAt.After(now):
		return Action{}
	}
	a := Action{Kind: ActCall, Escalate: d.Escalation, Wide: !now.Before(deadline(o, p, 1))}
	for a.Escalate < MaxEscalation && !now.Before(deadline(o, p, a.Escalate+1)) {
		a.Escalate++
	}
	return a
}

// deadline is when a team that is still silent comes before the level.
func deadline(o Order, p Policy, level int) time.Time {
	first := o.AnswerBy
	if first.IsZero() {
		first = p.AnswerBy(o.Level, o.Issued)
	}
	return first.Add(time.Duration(level-1) * p.Level(o.Level).Answer)
}

// Begin claims the delivery for the call that is due: it counts the try and sets
// NextAt so that a dispatcher that dies here is followed by another sending. It
// returns what Due said, and the escalations to put on record.
func (d *Delivery) Begin(now time.Time, o Order, p Policy) (Action, []Attempt) {
	a := Due(now, o, *d, p)
	if a.Kind != ActCall {
		return a, nil
	}
	record := d.escalate(now, a.Escalate, "未应答")
	d.advance(DeliverySending)
	d.Tries++
	d.NextAt = now.Add(p.Claim)
	d.Updated = later(d.Updated, now)
	return a, record
}

func (d *Delivery) escalate(now time.Time, to int, why string) (record []Attempt) {
	for d.Escalation < to {
		d.Escalation++
		record = append(record, Attempt{
			Order: d.Order, Team: d.Team, Channel: ChannelEscalation, At: now, Try: d.Escalation,
			Note: fmt.Sprintf("%s，报%s", why, EscalationChinese(d.Escalation)),
		})
	}
	return record
}

// Outcome is how one call ended over all its channels.
type Outcome struct {
	Taken     bool      // a channel has taken it
	Permanent bool      // no channel will ever reach the team
	Held      bool      // every channel asked us to wait, none was tried
	NotBefore time.Time // when every channel that failed asked us to wait: the first to be free; or zero
	Error     string    // of the channels that did not take it
}

// Finish puts the outcome of try into the delivery. It returns the escalations
// to put on record, and failed when this outcome made the delivery failed: the
// team was not reached and a person must be told at once. An answer that came
// meanwhile stands, and so does the claim of a later try.
func (d *Delivery) Finish(now time.Time, o Order, p Policy, try int, r Outcome) (record []Attempt, failed bool) {
	if r.Taken {
		if d.Sent.IsZero() {
			d.Sent = now
		}
		d.advance(DeliverySent)
	}
	d.Updated = later(d.Updated, now)
	if !d.Silent() || d.Tries != try {
		return nil, false
	}
	d.LastError = r.Error
	if r.Held {
		d.Tries--
	}
	if r.Permanent && !r.Taken && d.State.rank() < DeliveryFailed.rank() {
		d.State, failed = DeliveryFailed, true
		record = d.escalate(now, max(1, d.Escalation), "无法送达")
	}
	level := p.Level(o.Level)
	switch {
	case r.Taken:
		d.NextAt = now.Add(level.Call)
	case r.Permanent: // what made it fail may be put right
		d.NextAt = now.Add(level.Answer)
	case r.NotBefore.After(now):
		d.NextAt = r.NotBefore
	default:
		d.NextAt = now.Add(p.backoff(d.Tries))
	}
	if d.Escalation < MaxEscalation {
		if next := deadline(o, p, d.Escalation+1); next.Before(d.NextAt) {
			d.NextAt = later(next, now)
		}
	}
	return record, failed
}

// backoff is the wait after the given number of tries.
func (p Policy) backoff(tries int) time.Duration {
	wait := p.Retry
	for ; tries > 1 && wait < p.RetryMax; tries-- {
		wait *= 2
	}
	return min(wait, p.RetryMax)
}

// End makes a delivery stale whose order was withdrawn; one that was answered
// stays answered. It reports whether that changed anything.
func (d *Delivery) End(now time.Time) bool {
	if !d.Silent() {
		return false
	}
	d.State, d.NextAt, d.Updated = DeliveryStale, time.Time{}, later(d.Updated, now)
	return true
}
