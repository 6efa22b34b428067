package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	// catchUpMost is how long ago a reading that was missed may have been received
	// and still be judged.
	catchUpMost = 24 * time.Hour
	// lateReach is how long before it was received a reading that was missed may
	// have been measured: a tracker returns with six hours at once. Of SOS and
	// reports, which are cheap to find, it is callsReach; when what was just
	// received is compared, nearReach, and once an hour lateReach again.
	lateReach  = 6 * time.Hour
	callsReach = 24 * time.Hour
	nearReach  = 10 * time.Minute
	wideEvery  = time.Hour
	// pastSlice is the measured time that one question is about, and farSlice where
	// few answers are expected: there asking costs more than what is found.
	pastSlice = 10 * time.Minute
	farSlice  = time.Hour
	// compareEvery is how often an engine whose feed is not what fills history
	// compares the two; compareAfter is how long a reading may be on its way to one
	// of them.
	compareEvery = 5 * time.Minute
	compareAfter = 30 * time.Second
	// feedSettles is for how long after the start the feed has its say first, and
	// feedPatience for how long a feed that never rests has.
	feedSettles  = 2 * time.Second
	feedPatience = time.Minute
	// pastTimeout bounds one question and the judging of its answer.
	pastTimeout  = 10 * time.Minute
	minPastWait  = 5 * time.Second
	maxPastWait  = time.Minute
	maxLiveFirst = 64
	maxOwed      = 16
)

// lookAgain is when a time that was looked at is looked at again: what was
// received then may have been stored later, while InfluxDB was away or behind.
var lookAgain = [...]time.Duration{10 * time.Minute, time.Minute} // the last one first

// gap is a time of receipt that was not followed, and is owed a look at history.
type gap struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Again int       `json:"again,omitempty"` // looks that are due after the next one
	Next  time.Time `json:"next,omitzero"`   // not before
	Near  bool      `json:"near,omitempty"`  // it was followed: this only compares
}

// begins is from when on what was received is judged: before the gap by what
// clocks may differ. What was judged before changes nothing.
func (g *gap) begins() time.Time {
	if g.Near {
		return g.From
	}
	return g.From.Add(-followMargin)
}

// catchUp is what a bench does about what its feed did not bring.
type catchUp struct {
	began    time.Time // when the bench was loaded
	owed     []*gap
	feedFrom time.Time // when the oldest reading that the feed brought was received; zero: none came
	lost     bool      // the feed ended before what was judged of it
	fill     bool      // windows reach further back than the feed
	compared time.Time // until when the feed was compared with history
	wide     time.Time // until when all that came late was, too
	seen     *seen

	look   *look // on its way
	paused *look // broken off
	out    chan found
	work   sync.WaitGroup
	next   time.Time // no look before
	wait   time.Duration
	tries  int // that failed since the last that did not
	notice notice
}

// look is one look at history.
type look struct {
	gaps    []*gap
	plan    []alerts.PastQuery
	from    time.Time // what was received before is only observed
	until   time.Time // what was received from then on is the feed's to bring
	observe [2]period // of measured time
	// feedFrom is when the oldest reading of the feed was received: later ones are
	// the feed's to bring, and only judged from here, never just observed.
	feedFrom time.Time
	received time.Time // when the reading that is judged right now was received; zero: none is

	touched map[*subject]struct{}
	tally   tally
}

// period is [from, to).
type period struct{ from, to time.Time }

func (p period) has(t time.Time) bool { return !t.Before(p.from) && t.Before(p.to) }

func (p period) meets(o period) bool { return p.from.Before(o.to) && o.from.Before(p.to) }

// found is what a look has found.
type found struct {
	readings []contract.Reading
	asked    int // questions of the plan that are answered
	over     bool
	err      error
}

// owe says what history is to be asked for after a start: what came while nobody
// followed, and what windows need that the feed does not have.
func (b *bench) owe(now time.Time, rows []alerts.RuleState) {
	k := &b.back
	k.began, k.compared, k.wide = now, now, now
	through, feed, known := lastFollowed(rows, now)
	var l listening
	for _, row := range rows {
		if row.Rule == listenRule && row.Subject == listenSubject && len(row.Data) > 0 {
			_ = json.Unmarshal(row.Data, &l) // what does not read owes nothing more
		}
	}
	k.owed = l.Owed
	if b.Past == nil {
		return // who can look at history one day does
	}
	k.adopt(b.desk.Standing())
	k.fill = true
	if b.Apart && !l.Compared.IsZero() && l.Compared.Before(through) {
		through = l.Compared
	}
	if known && (b.Apart || k.lost || feed != b.Feed.Name() || now.Sub(through) >= listenGap) {
		b.oweMore(gap{From: through, To: now, Again: len(lookAgain)})
	}
}

// oweMore adds a gap. When there are too many the two oldest become one.
func (b *bench) oweMore(g gap) {
	k := &b.back
	k.owed = append(k.owed, &g)
	if len(k.owed) > maxOwed && k.look == nil && k.paused == nil {
		x, y := k.owed[0], k.owed[1]
		if y.From.Before(x.From) {
			x.From = y.From
		}
		if y.To.After(x.To) {
			x.To = y.To
		}
		x.Near, x.Again = x.Near && y.Near, max(x.Again, y.Again)
		k.owed = slices.Delete(k.owed, 1, 2)
	}
	b.listenRow = time.Time{} // that it is owed outlives a crash
}

// saw notes a reading that the feed brought.
func (b *bench) saw(now time.Time, r *contract.Reading) {
	k := &b.back
	if k.seen == nil {
		return
	}
	if k.feedFrom.IsZero() {
		k.feedFrom = r.Received
	}
	k.seen.add(now, r)
}

// lookBack begins a look at history when one is due. The feed goes first.
func (b *bench) lookBack(ctx context.Context, now time.Time) {
	k := &b.back
	if b.Past == nil || k.look != nil {
		return
	}
	b.compare(now)
	b.noticeOver(now)
	if now.Before(k.next) || now.Sub(k.began) < feedSettles || b.behind && now.Sub(k.began) < feedPatience {
		return
	}
	b.letGo(now)
	l := k.paused
	if l == nil {
		l = b.nextLook(now)
	}
	if l == nil {
		if !b.Apart && len(k.owed) == 0 {
			k.seen = nil // nothing is compared any more
		}
		return
	}
	k.look, k.paused = l, nil
	b.sayLooking(l)
	k.work.Go(func() { b.question(ctx, l.plan, k.out) })
}

// compare has what came lately compared with history, where the two do not come
// by the same way.
func (b *bench) compare(now time.Time) {
	k := &b.back
	to := now.Add(-compareAfter)
	if !b.Apart || to.Sub(k.compared) < compareEvery {
		return
	}
	g := gap{From: k.compared.Add(-nearReach), To: to, Near: true}
	if g.From.Before(k.began) {
		g.From = k.began
	}
	k.compared = to
	if now.Sub(k.wide) >= wideEvery || k.tries > 0 {
		g.From, g.Near, k.wide = k.wide, false, to
	}
	if k.tries > 0 { // history is away: it may have to catch up itself
		g.Again = len(lookAgain)
		if n := len(k.owed); n > 0 && (k.paused == nil || !slices.Contains(k.paused.gaps, k.owed[n-1])) {
			k.owed[n-1].To, k.owed[n-1].Near, k.owed[n-1].Again = to, false, g.Again
			return
		}
	}
	b.oweMore(g)
}

// nextLook is a look at all gaps that are due, nil when none is and the windows
// are full.
func (b *bench) nextLook(now time.Time) *look {
	k := &b.back
	oldest := now.Add(-catchUpMost)
	l := &look{touched: make(map[*subject]struct{}), tally: newTally()}
	near := true
	for _, g := range k.owed {
		if now.Before(g.Next) {
			continue
		}
		if g.From.Before(oldest) {
			b.Log.Warn("what was received so long ago is not judged any more", zap.Time("from", g.From), zap.Time("to", oldest))
			l.tally.cut, g.From = g.From, oldest
		}
		l.gaps = append(l.gaps, g)
		near = near && g.Near
	}
	feedFrom := k.feedFrom
	if feedFrom.IsZero() {
		feedFrom = now
	}
	l.feedFrom = feedFrom
	if k.fill {
		l.observe[0] = period{now.Add(-b.span()), feedFrom}
		if k.fill = feedFrom.Sub(l.observe[0].from) > time.Minute; !k.fill {
			l.observe[0] = period{}
		}
	}
	if len(l.gaps) == 0 && !k.fill {
		return nil
	}
	l.from, l.until = k.began.Add(-followMargin), k.began
	reach := time.Duration(0)
	if len(l.gaps) > 0 {
		l.from, l.until, reach = l.gaps[0].begins(), l.gaps[0].To, lateReach
		if near {
			reach = nearReach
		}
	}
	for _, g := range l.gaps {
		if from := g.begins(); from.Before(l.from) {
			l.from = from
		}
		if g.To.After(l.until) {
			l.until = g.To
		}
	}
	if before := l.from.Add(-alerts.WindowSpan); !near && feedFrom.After(before) {
		l.observe[1] = period{before, l.from} // what is judged late needs what was before it
	}
	l.ask(reach)
	return l
}

// ask makes the plan: SOS and reports first, then all in order of measured time.
func (l *look) ask(reach time.Duration) {
	end := l.until.Add(contract.MaxAhead)
	begin := l.from.Add(-reach)
	if len(l.gaps) > 0 {
		l.plan = append(l.plan, alerts.PastQuery{
			From: l.from.Add(-callsReach), To: end, ReceivedFrom: l.from, ReceivedTo: l.until, Calls: true,
		})
	}
	for _, p := range l.observe {
		if !p.from.IsZero() && p.from.Before(begin) {
			begin = p.from
		}
	}
	for begin.Before(end) {
		at := period{begin, begin.Add(farSlice)}
		if at.to.After(l.from.Add(-nearReach)) || l.observes(at) {
			at.to = begin.Add(pastSlice)
		}
		if at.to.After(end) {
			at.to = end
		}
		q := alerts.PastQuery{From: at.from, To: at.to}
		if !l.observes(at) {
			q.ReceivedFrom, q.ReceivedTo = l.from, l.until
		}
		l.plan = append(l.plan, q)
		begin = at.to
	}
}

func (l *look) observes(at period) bool { return at.meets(l.observe[0]) || at.meets(l.observe[1]) }

// question puts the plan's questions and hands the answers over, run by run.
func (b *bench) question(ctx context.Context, plan []alerts.PastQuery, out chan<- found) {
	give := func(f found) error {
		select {
		case out <- f:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i, q := range plan {
		qctx, cancel := context.WithTimeout(ctx, pastTimeout)
		err := b.guard(func() error {
			return b.Past.Readings(qctx, q, func(rs []contract.Reading) error { return give(found{readings: rs, asked: i}) })
		})
		cancel()
		if err != nil {
			_ = give(found{asked: i, over: true, err: err}) // or nobody listens any more
			return
		}
	}
	_ = give(found{asked: len(plan), over: true})
}

// foundPast takes what a look has found. What the feed brings goes first.
func (b *bench) foundPast(ctx context.Context, f found, live <-chan alerts.Batch) error {
	for range maxLiveFirst {
		select {
		case batch := <-live:
			if err := b.batch(ctx, batch); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	k := &b.back
	l, now := k.look, b.Now()
	if !f.over {
		for i := range f.readings {
			b.judgePast(now, l, &f.readings[i])
		}
		if b.pend.urgent {
			return b.save(ctx, true)
		}
		return nil
	}
	k.look = nil
	for s := range l.touched { // what the windows show now may be true already
		b.changed(now, s)
	}
	clear(l.touched)
	if f.err != nil {
		l.plan = l.plan[f.asked:]
		k.paused = l
		b.historyAway(now, l, f.err)
	} else {
		b.caughtUp(now, l)
	}
	return b.save(ctx, true)
}

// judgePast judges a reading that was missed, and observes one from before.
func (b *bench) judgePast(now time.Time, l *look, r *contract.Reading) {
	k := &b.back
	if k.seen.has(r) {
		return
	}
	received := r.Received
	r.Received = now
	switch {
	case received.IsZero():
	case !received.Before(l.from) && received.Before(l.until):
		if !l.owes(received, k.seen.whole) {
			return
		}
		k.seen.add(now, r)
		l.tally.count(l, received)
		l.received = received
		b.judge(now, alerts.Input{Kind: alerts.Judge, Reading: r, Received: received})
		l.received = time.Time{}
		b.met.caught.Inc()
	case received.Before(l.from) && received.Before(l.feedFrom) && (l.observe[0].has(r.Measured) || l.observe[1].has(r.Measured)):
		b.judge(now, alerts.Input{Kind: alerts.Observe, Reading: r, Received: received})
		if s := b.subjects[r.Device]; s != nil {
			l.touched[s] = struct{}{}
		}
	}
}

// owes reports whether what was received then may have been missed; a look that
// only fills windows makes good what the last one at work may not have judged.
// What is too long ago to be remembered cannot be compared.
func (l *look) owes(received, whole time.Time) bool {
	for _, g := range l.gaps {
		if !received.Before(g.begins()) && received.Before(g.To) && (!g.Near || received.After(whole)) {
			return true
		}
	}
	return len(l.gaps) == 0
}

// caughtUp notes that a look has come to its end.
func (b *bench) caughtUp(now time.Time, l *look) {
	k := &b.back
	k.wait, k.tries, k.next = 0, 0, time.Time{}
	k.fill = false
	for _, g := range l.gaps {
		if g.Again > 0 {
			g.Again--
			g.Next = now.Add(lookAgain[min(g.Again, len(lookAgain)-1)])
			continue
		}
		k.owed = slices.DeleteFunc(k.owed, func(o *gap) bool { return o == g })
	}
	b.listenRow = time.Time{}
	b.sayCaughtUp(now, l)
}

// historyAway notes that a look broke off, and when it goes on.
func (b *bench) historyAway(now time.Time, l *look, err error) {
	k := &b.back
	k.tries++
	k.wait = min(max(2*k.wait, minPastWait), maxPastWait)
	k.next = now.Add(k.wait)
	b.sayAway(now, l, fmt.Errorf("looking at history: %w", err))
}

// letGo forgets gaps that are too long ago.
func (b *bench) letGo(now time.Time) {
	k := &b.back
	over := func(g *gap) bool { return !g.To.After(now.Add(-catchUpMost)) }
	if l := k.paused; l != nil && len(l.gaps) > 0 && !slices.ContainsFunc(l.gaps, func(g *gap) bool { return !over(g) }) {
		k.paused = nil
	}
	for _, g := range slices.Clone(k.owed) {
		if !over(g) || k.paused != nil && slices.Contains(k.paused.gaps, g) {
			continue
		}
		k.owed = slices.DeleteFunc(k.owed, func(o *gap) bool { return o == g })
		b.listenRow = time.Time{}
		if g.Again == len(lookAgain) { // never looked at to the end
			b.sayGivenUp(now, g)
		}
	}
}
