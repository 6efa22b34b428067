package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// bench is one tenure of the engine: everything it has in memory from taking
// the lease to losing it. One goroutine works at it.
type bench struct {
	*Engine
	set   alerts.RuleSet // in force
	rules []alerts.Rule  // of it
	plan  *alerts.SeriesPlan
	owned time.Time // until when the lease is surely ours

	areas    alerts.Areas
	teams    []alerts.Team
	roster   int64               // version
	near     []alerts.Neighbours // by index of the rule
	others   alerts.Sightings
	asker    alerts.Asker
	judgedBy [contract.Status + 1]prometheus.Counter
	demo     bool
	subjects map[contract.DeviceID]*subject
	order    []*subject // by id
	// alive spares ticks: until when, ns since 1970, no silence can be found, by
	// index of the rule and of the subject in order; 0: it must be looked at. It is
	// a lower bound, for news only moves the deadline on.
	alive    [][]int64
	due      []int32        // of order: what this tick looks at
	expected map[string]int // devices that must report, by county
	cells    map[cell][]*subject
	outages  map[outageKey]*alerts.SubjectState // and townships under a condition
	towns    []alerts.Area                      // by code
	counties []county
	byArea   map[outageKey]areaAlert // of conditions with one alert per township

	seasons   *alerts.SeasonTable
	seasonsAt time.Time
	warnings  []alerts.Warning
	warnKnown bool
	feeds     []alerts.WarningFeed
	danger    alerts.DangerTable
	dangerAt  time.Time // when it was read; zero: never
	sources   *register
	sky       sky
	around    map[string]alerts.Surroundings // by township code
	slow      slow
	slowly    map[string]alerts.Surroundings // of slow, without the warnings
	since     map[string]time.Time           // since when they are so
	past      past
	listening time.Time
	followed  time.Time // until when everything that came is judged, by us or by those before us
	newest    time.Time // when the newest input that is judged was received
	listenRow time.Time // when its row was last saved
	pos       uint64    // judged, in memory
	savedPos  uint64
	behind    bool // older input waits: time-driven rules must not judge yet
	reading   atomic.Int64
	released  time.Time
	pend      pending
	wanting   map[string]want
	desk      desk
	back      catchUp
}

// subject is a device with what each rule knows about it.
type subject struct {
	id       contract.DeviceID
	county   string
	ctx      alerts.Context
	states   []*alerts.SubjectState // by index of the rule; nil: nothing known
	lazy     []bool                 // by index: Through has moved on since it was saved
	strange  bool                   // not in the roster
	disabled bool
	held     []alerts.HeldBack // the newest things held back
}

type outageKey struct {
	rule   int
	county string
}

// want is an alert that asks for an order.
type want struct {
	rule  int
	state *alerts.SubjectState
	tries int       // that failed
	next  time.Time // not before
	wait  time.Duration
}

func newBench(e *Engine, owned time.Time) *bench {
	b := &bench{
		Engine: e, owned: owned, behind: true, since: make(map[string]time.Time),
		subjects: make(map[contract.DeviceID]*subject), outages: make(map[outageKey]*alerts.SubjectState),
		around: make(map[string]alerts.Surroundings), wanting: make(map[string]want),
		pend: newPending(), sources: &register{}, sky: sky{states: make(map[skyKey]*alerts.SubjectState)},
	}
	if e.Past != nil {
		b.back.seen, b.back.out = newSeen(e.Now()), make(chan found)
	}
	b.adoptSet(e.InForce())
	b.desk = b.newDesk()
	for _, c := range contract.Classes {
		b.judgedBy[c] = e.met.readings.WithLabelValues(c.String())
	}
	return b
}

func (b *bench) ruleIndex(name string) int {
	return slices.IndexFunc(b.rules, func(r alerts.Rule) bool { return r.Name == name })
}

// listenRule names the row that remembers since when, and until when, input was
// followed, and on which feed: a silence while nobody listened is not the
// devices', and who takes over begins where the one before ended.
const (
	listenRule    = "engine"
	listenSubject = "listening"
	listenGap     = 2 * time.Minute // a restart within it is no break
	listenEvery   = 15 * time.Second
	// followMargin covers what two engines may differ by: their clocks, and when
	// the broker brings the same message to each.
	followMargin = 5 * time.Minute
)

// listening is the Data of that row.
type listening struct {
	Feed string `json:"feed"`
	Owed []*gap `json:"owed,omitempty"` // not followed, and not yet found in history
	// Compared is until when what was followed was compared with history.
	Compared time.Time `json:"compared,omitzero"`
}

// listenState is the row as of now.
func (b *bench) listenState(now time.Time) (alerts.RuleState, error) {
	b.followed = b.followedTo(now)
	l := listening{Feed: b.Feed.Name(), Owed: b.back.owed}
	if b.Apart && b.Past != nil {
		l.Compared = b.back.compared
	}
	data, err := json.Marshal(l)
	if err != nil {
		return alerts.RuleState{}, fmt.Errorf("state of listening: %w", err)
	}
	return alerts.RuleState{Rule: listenRule, Subject: listenSubject, Since: b.listening, Through: b.followed, Data: data}, nil
}

// followedTo is until when everything that came is judged. Only a feed that has
// had nothing for a while shows that nothing waits; else it is as far as what
// was judged last.
func (b *bench) followedTo(now time.Time) time.Time {
	to := b.newest
	if b.idle(now) {
		to = now
	}
	if to.Before(b.followed) {
		return b.followed
	}
	return to
}

// idle reports whether the feed has had nothing for us for a while.
func (b *bench) idle(now time.Time) bool {
	since := b.reading.Load()
	return since != 0 && now.UnixNano()-since >= int64(idle)
}

// load reads rows and fills the windows from the feed.
func (b *bench) load(ctx context.Context) error {
	now := b.Now()
	b.listening, b.followed = now, now
	if err := b.reload(ctx, now); err != nil {
		return err
	}
	rows, err := b.Alerts.RuleStates(ctx)
	if err != nil {
		return fmt.Errorf("reading rule states: %w", err)
	}
	for _, row := range rows {
		if err := b.restore(ctx, now, row); err != nil {
			return err
		}
	}
	b.sort()
	if err := b.loadDesk(ctx); err != nil {
		return err
	}
	b.refresh(now)
	judged, err := b.begin(ctx, rows)
	if err != nil {
		return err
	}
	if b.pos, err = b.warm(ctx, b.Feed.Seek(b.followed.Add(-b.span())), judged); err != nil {
		return err
	}
	b.savedPos = b.pos
	b.owe(now, rows)
	for _, s := range b.order { // the surroundings may have changed while nobody judged
		b.changed(now, s)
	}
	return nil
}

// begin is where judging begins on this feed. Where another feed was followed
// after ours, what was judged there is not judged again as if it were new.
func (b *bench) begin(ctx context.Context, rows []alerts.RuleState) (uint64, error) {
	judged, ok, err := b.Alerts.JudgedPosition(ctx, b.Feed.Name())
	if err != nil {
		return 0, fmt.Errorf("reading the judged position: %w", err)
	}
	if !ok {
		judged = 0 // all that the feed has kept was never judged
	}
	through, feed, followed := lastFollowed(rows, b.Now())
	if !followed || feed == b.Feed.Name() || ok && feed == "" {
		return judged, nil
	}
	return max(judged, b.Feed.Seek(through.Add(-followMargin))), nil
}

// lastFollowed is until when input was followed, and on which feed.
func lastFollowed(rows []alerts.RuleState, now time.Time) (through time.Time, feed string, ok bool) {
	for _, row := range rows {
		if row.Rule != listenRule || row.Subject != listenSubject {
			continue
		}
		var l listening
		if len(row.Data) > 0 && json.Unmarshal(row.Data, &l) != nil {
			l.Feed = ""
		}
		if through = row.Through; through.After(now) { // of a clock that was ahead
			through = now
		}
		return through, l.Feed, true
	}
	return time.Time{}, "", false
}

func (b *bench) restore(ctx context.Context, now time.Time, row alerts.RuleState) error {
	if row.Rule == listenRule {
		if b.followed = row.Through; b.followed.After(now) {
			b.followed = now
		}
		if now.Sub(row.Through) < listenGap {
			b.listening = row.Since
		}
		return nil
	}
	i := b.ruleIndex(row.Rule)
	if i < 0 {
		return nil // of a rule that is no more; its alerts stand as they are
	}
	st, err := alerts.RestoreSubject(row, func(id string) (*alerts.Alert, error) {
		a, err := b.Alerts.Alert(ctx, id)
		if errors.Is(err, alerts.ErrNotFound) {
			return nil, nil
		}
		return &a, err
	})
	if err != nil {
		return fmt.Errorf("restoring rule states: %w", err)
	}
	kept := &st
	b.mind(kept)
	switch county, isArea := cutOutage(row.Subject); {
	case b.restoreHotspot(i, kept):
	case isArea:
		b.outages[outageKey{i, county}] = kept
	default:
		b.subject(contract.DeviceID(row.Subject)).states[i] = kept
	}
	for _, a := range st.Alerts() {
		if b.rules[i].ByArea() && a.State == alerts.Firing && a.Area != "" {
			b.byArea[outageKey{i, a.Area}] = areaAlert{row.Subject, a.ID}
		}
		if b.rules[i].WantsOrder(a) && a.RuleVersion == b.rules[i].Version {
			b.wanting[a.ID] = want{rule: i, state: kept}
		}
	}
	return nil
}

func cutOutage(subject string) (county string, ok bool) {
	prefix := alerts.OutageSubject("")
	if len(subject) > len(prefix) && subject[:len(prefix)] == prefix {
		return subject[len(prefix):], true
	}
	return "", false
}

// warm fills the windows with what was judged before and returns where judging
// begins. Where the feed ends before that, it has lost or changed its tail:
// then what it has now is judged.
func (b *bench) warm(ctx context.Context, from, judged uint64) (uint64, error) {
	limit := batchLimit
	for from < judged {
		rctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		batch, err := b.Feed.Read(rctx, from, limit)
		dry := rctx.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case dry && err != nil:
			b.Log.Warn("feed ends before the judged position", zap.Uint64("end", from), zap.Uint64("judged", judged))
			b.back.lost = true
			return from, nil //nolint:nilerr // the feed ends here, that is all
		case err != nil:
			return 0, fmt.Errorf("reading the feed to fill windows: %w", err)
		case batch.Next > judged && limit > 1:
			limit /= 2 // what lies beyond must be judged, not only observed
			continue
		case batch.Next > judged || batch.Next <= from:
			return judged, nil
		}
		now := b.Now()
		for i := range batch.Readings {
			b.judge(now, alerts.Input{Kind: alerts.Observe, Reading: &batch.Readings[i]})
			b.saw(now, &batch.Readings[i])
		}
		from = batch.Next
	}
	return judged, nil
}

// run judges until ctx ends or the lease is lost.
func (b *bench) run(ctx context.Context) error {
	rctx, cancel := context.WithCancel(ctx)
	batches, done := make(chan alerts.Batch), make(chan struct{})
	go func() {
		defer close(done)
		b.follow(rctx, b.pos, batches)
	}()
	defer func() { cancel(); <-done; b.back.work.Wait() }()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
			defer stop()
			if b.Now().Before(b.owned) {
				if err := b.save(last, true); err != nil {
					return fmt.Errorf("last save: %w", err) // the same work is done again at the next start
				}
			}
			return nil
		case batch := <-batches:
			err = b.batch(ctx, batch)
		case <-tick.C:
			if err = b.tick(ctx); err == nil {
				b.lookBack(rctx, b.Now())
			}
		case f := <-b.back.out:
			err = b.foundPast(ctx, f, batches)
		case <-b.swaps:
			err = b.swap(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// follow reads the feed.
func (b *bench) follow(ctx context.Context, from uint64, to chan<- alerts.Batch) {
	wait := backoff{}
	for ctx.Err() == nil {
		b.reading.Store(b.Now().UnixNano())
		batch, err := b.Feed.Read(ctx, from, batchLimit)
		b.reading.Store(0)
		if err != nil {
			if ctx.Err() == nil {
				b.tell(partFeed, fmt.Errorf("reading the feed: %w", err))
				wait.sleep(ctx)
			}
			continue
		}
		if wait.next > 0 {
			wait = backoff{}
			b.tell(partFeed, nil)
		}
		select {
		case to <- batch:
			from = batch.Next
		case <-ctx.Done():
		}
	}
}

// batch judges a run of input. What fires is saved at once.
func (b *bench) batch(ctx context.Context, batch alerts.Batch) error {
	now := b.Now()
	for i := range batch.Readings {
		b.judge(now, alerts.Input{Kind: alerts.Judge, Reading: &batch.Readings[i]})
		b.came(now, batch.Readings[i].Received)
		b.saw(now, &batch.Readings[i])
	}
	if n := len(batch.Readings); n > 0 {
		lag := now.Sub(batch.Readings[n-1].Received)
		b.met.lag.Set(lag.Seconds())
		b.behind = lag > 5*time.Second
	}
	if b.pend.urgent && len(batch.Answers) > 0 {
		// An alert does not wait for answers. The position does, so that a crash
		// brings them again; judging the readings again changes nothing.
		if err := b.save(ctx, false); err != nil {
			return err
		}
	}
	for i := range batch.Answers {
		if err := b.answer(ctx, batch.Answers[i]); err != nil {
			return err
		}
		b.came(now, batch.Answers[i].Received)
	}
	b.pos = batch.Next
	if b.pend.urgent {
		return b.save(ctx, true)
	}
	return nil
}

// came notes when input that is now judged was received.
func (b *bench) came(now, received time.Time) {
	if received.After(b.newest) && !received.After(now) {
		b.newest = received
	}
}

// answer hands a team's answer on. What a store that is away, or cannot be
// written, refuses is tried again for as long as it takes: the team was told
// that we have its answer. Only what will never fit is left, and put on record
// whole, so that it cannot keep the next SOS waiting.
func (b *bench) answer(ctx context.Context, a contract.Answer) error {
	wait := backoff{}
	for panics := 0; ; {
		err := b.guard(func() error { return b.Answers(ctx, a) })
		if err == nil {
			b.met.answers.WithLabelValues("taken").Inc()
			b.tell(partStore, nil)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, panicked := errors.AsType[panicError](err)
		if panicked {
			panics++
		}
		if panics >= maxPanics || !panicked && (errors.Is(err, alerts.ErrNotFound) || errors.Is(err, alerts.ErrConflict)) {
			b.met.answers.WithLabelValues("refused").Inc()
			b.Log.Error("answer cannot be taken", zap.Error(err), zap.String("team", string(a.Team)), zap.String("device", string(a.Device)),
				zap.String("order", a.Order), zap.String("answer", string(a.Receipt)), zap.String("reason", a.Reason), zap.String("by", a.By),
				zap.Time("said", a.At), zap.Time("received", a.Received))
			b.tell(partStore, nil)
			return nil
		}
		b.tell(partStore, fmt.Errorf("handing an answer on: %w", err))
		if err := b.renew(ctx); err != nil {
			return err
		}
		wait.sleep(ctx)
	}
}

// maxPanics is how often an answer may make us panic before it is left.
const maxPanics = 3

// panicError is a panic that guard has caught.
type panicError struct{ value any }

func (e panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard turns a panic into an error.
func (b *bench) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError{p}
		}
	}()
	return f()
}
