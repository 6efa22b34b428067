package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/engine"
	contract "firewatch/firmware-contracts"
)

// feed keeps input in memory; a position is an index.
type feed struct {
	name     string
	mu       sync.Mutex
	readings []contract.Reading
	answers  []contract.Answer // one per entry; zero: the entry is a reading
	more     chan struct{}
	released uint64
	maxRead  int
}

func newFeed() *feed { return &feed{name: "test", more: make(chan struct{}), maxRead: 1 << 20} }

func (f *feed) Name() string { return f.name }

func (f *feed) add(rs ...contract.Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rs {
		f.readings, f.answers = append(f.readings, r), append(f.answers, contract.Answer{})
	}
	close(f.more)
	f.more = make(chan struct{})
}

func (f *feed) addAnswer(a contract.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readings, f.answers = append(f.readings, contract.Reading{Received: a.Received}), append(f.answers, a)
	close(f.more)
	f.more = make(chan struct{})
}

func (f *feed) Read(ctx context.Context, from uint64, limit int) (alerts.Batch, error) {
	for {
		f.mu.Lock()
		if from < uint64(len(f.readings)) {
			var b alerts.Batch
			to := min(len(f.readings), int(from)+min(limit, f.maxRead))
			for i := int(from); i < to; i++ {
				if f.answers[i].Order != "" {
					b.Answers = append(b.Answers, f.answers[i])
				} else {
					b.Readings = append(b.Readings, f.readings[i])
				}
			}
			b.Next = uint64(to)
			f.mu.Unlock()
			return b, nil
		}
		more := f.more
		f.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return alerts.Batch{}, ctx.Err()
		}
	}
}

func (f *feed) Seek(t time.Time) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.readings, func(r contract.Reading) bool { return !r.Received.Before(t) })
	if i < 0 {
		i = len(f.readings)
	}
	return uint64(i)
}

func (f *feed) Release(pos uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = max(f.released, pos)
	return nil
}

var errCrashed = errors.New("the process is gone")

// store is a memstore that crashes the engine at a chosen write.
type store struct {
	*memstore.Store
	mu      sync.Mutex
	writes  int
	crashAt int  // 1: at the first write; 0: never
	after   bool // the write itself still happens
	orders  bool // count the writes of orders only
	crashed bool
	crash   func()
	// refuse, when set, says how an order ends in place of the store.
	refuse func(o alerts.Order) error
}

func (s *store) write(order bool, do func() error) error {
	s.mu.Lock()
	if order || !s.orders {
		s.writes++
	}
	hit := s.writes == s.crashAt && (order || !s.orders)
	if s.crashed || hit && !s.after {
		s.crashed = true
		s.mu.Unlock()
		s.crash()
		return errCrashed
	}
	if hit {
		s.crashed = true
	}
	s.mu.Unlock()
	err := do()
	if hit {
		s.crash()
		return errCrashed
	}
	return err
}

func (s *store) SaveJudged(ctx context.Context, j alerts.Judged) error {
	return s.write(false, func() error { return s.Store.SaveJudged(ctx, j) })
}

func (s *store) CreateOrder(ctx context.Context, o alerts.Order, ds []alerts.Delivery, evs []alerts.Event) (saved alerts.Order, created bool, err error) {
	err = s.write(true, func() error {
		if s.refuse != nil {
			if err := s.refuse(o); err != nil {
				return err
			}
		}
		var err error
		saved, created, err = s.Store.CreateOrder(ctx, o, ds, evs)
		return err
	})
	return saved, created, err
}

// world is an office with a feed and an engine, inside a synctest bubble.
type world struct {
	t      *testing.T
	feed   *feed
	mem    *memstore.Store
	rules  alerts.RuleSet
	seq    map[contract.DeviceID]uint64
	tune   func(*engine.Options)
	nudges int
	heard  []contract.Answer

	engine *engine.Engine
	stop   func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := alerts.ParseRules(alerts.DemoRules())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, feed: newFeed(), mem: memstore.New(), rules: set, seq: map[contract.DeviceID]uint64{}}
	w.roster(0)
	if err := w.mem.SaveSeasons(t.Context(), alerts.SeasonTable{Version: "calm", Effective: time.Unix(0, 0)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return w
}

// roster registers sensors S1 and S2 1 km apart, tracker T1, and expected
// trackers E00….
func (w *world) roster(expected int) {
	w.t.Helper()
	r := alerts.Roster{
		Areas: []alerts.Area{
			{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.87, Lon: 115.46},
			{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.5},
			{Code: "130633101", Name: "西陵镇", Level: alerts.Township, Parent: "130633", Lat: 39.37, Lon: 115.35},
			{Code: "130633102", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633", Lat: 39.39, Lon: 115.4},
		},
		Teams: []alerts.Team{
			{ID: "t-a", Name: "西陵镇队", Kind: alerts.TownshipTeam, Area: "130633101", Lat: 39.37, Lon: 115.35},
			{ID: "t-b", Name: "梁格庄镇队", Kind: alerts.TownshipTeam, Area: "130633102", Lat: 39.39, Lon: 115.4},
			{ID: "p-a", Name: "易县专业队", Kind: alerts.Professional, Area: "130633", Lat: 39.35, Lon: 115.5},
		},
		Devices: []alerts.Device{
			{ID: "S1", Kind: contract.Sensor, Area: "130633101", Name: "一号", Lat: 39.37, Lon: 115.35},
			{ID: "S2", Kind: contract.Sensor, Area: "130633101", Name: "二号", Lat: 39.379, Lon: 115.35},
			{ID: "T1", Kind: contract.Tracker, Area: "130633101", Name: "张三", Lat: 39.37, Lon: 115.35},
		},
	}
	for i := range expected {
		r.Devices = append(r.Devices, alerts.Device{
			ID: contract.DeviceID(fmt.Sprintf("E%02d", i)), Kind: contract.Tracker, Area: "130633102", Name: "某", Lat: 39.39, Lon: 115.4, Expect: time.Minute,
		})
	}
	if err := w.mem.ReplaceRoster(w.t.Context(), r, time.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// start runs an engine over the store, which may be one that crashes.
func (w *world) start(s *store) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	s.crash = cancel
	o := engine.Options{
		Feed: w.feed, Roster: w.mem, Alerts: s, Orders: s, Warnings: w.mem, Incidents: w.mem, Silences: w.mem, Holdbacks: w.mem, Hotspots: w.mem, Rules: w.rules, Lease: w.mem, Holder: "one",
		Answers: func(_ context.Context, a contract.Answer) error { w.heard = append(w.heard, a); return nil },
		Nudge:   func() { w.nudges++ }, Log: zap.NewNop(),
	}
	if w.tune != nil {
		w.tune(&o)
	}
	e, err := engine.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine = e
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			w.t.Errorf("engine: %v", err)
		}
	}()
	w.stop = func() { cancel(); <-done }
}

func (w *world) run() {
	w.t.Helper()
	w.start(&store{Store: w.mem})
	w.pass(0)
}

// pass lets time go by until everything has settled.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

type values map[contract.Field]float64

const (
	smoke = contract.SmokeObsPctM
	co    = contract.CoPPM
)

func (w *world) reading(id contract.DeviceID, class contract.Class, ago time.Duration, v values) contract.Reading {
	w.seq[id]++
	r := contract.Reading{
		Device: id, Kind: contract.Tracker, Class: class, Measured: time.Now().Add(-ago).Truncate(time.Millisecond), Received: time.Now(),
		Seq: w.seq[id], HasSeq: true,
	}
	if id[0] == 'S' {
		r.Kind = contract.Sensor
	}
	for f, x := range v {
		r.Values.Set(f, x)
	}
	return r
}

// sees delivers a sensor's reading as it is measured.
func (w *world) sees(id contract.DeviceID, v values) {
	w.feed.add(w.reading(id, contract.Environment, 0, v))
	w.pass(0)
}

func (w *world) alerts() []alerts.Alert {
	w.t.Helper()
	as, err := w.mem.Alerts(w.t.Context(), alerts.AlertQuery{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return as
}

func (w *world) only() alerts.Alert {
	w.t.Helper()
	as := w.alerts()
	if len(as) != 1 {
		w.t.Fatalf("%d alerts, want 1: %+v", len(as), as)
	}
	return as[0]
}

func (w *world) orders() []alerts.Order {
	w.t.Helper()
	os, err := w.mem.Orders(w.t.Context(), alerts.OrderQuery{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return os
}

// told is what people were told: alerts and orders without ids and the times
// at which we did something.
func (w *world) told() []string {
	var out []string
	for _, a := range w.alerts() {
		ordered := a.Order != ""
		out = append(out, fmt.Sprintf("%s %s %s %v %s %d ordered=%v", a.Rule, a.Device, a.Measured.Format(time.TimeOnly), a.Severity, a.State, len(a.Evidence), ordered))
	}
	for _, o := range w.orders() {
		ds, err := w.mem.Deliveries(w.t.Context(), o.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("order %s %v teams=%d", o.Issuer, o.Level, len(ds)))
	}
	slices.Sort(out)
	return out
}
