package posture_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/posture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a store with the roster and the sample seasons, and runners over it.
type bench struct {
	*testing.T
	store *memstore.Store
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t, memstore.New()}
	b.must(b.store.ReplaceRoster(t.Context(), alertstest.Roster(), time.Now()))
	seasons, err := alerts.ParseSeasons(alerts.SampleSeasons())
	b.must(err)
	seasons.Effective = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) // a bubble begins in 2000
	b.must(b.store.SaveSeasons(t.Context(), seasons, time.Now()))
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) options(holder string) posture.Options {
	return posture.Options{
		Roster: b.store, Warnings: b.store, Readiness: b.store, Documents: b.store, Orders: b.store, Danger: b.store, DangerMethod: "htz",
		Lease: b.store, Holder: holder, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	}
}

func (b *bench) run(o posture.Options) (*posture.Runner, func()) {
	b.Helper()
	r, err := posture.New(o)
	b.must(err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.Errorf("run: %v", err)
		}
	})
	b.Cleanup(stop)
	return r, stop
}

// warn puts a warning over 易县 in force for so long.
func (b *bench) warn(level alerts.Severity, lasts time.Duration) {
	b.Helper()
	b.warnAgain("w1", level, lasts)
}

func (b *bench) warnAgain(id string, level alerts.Severity, lasts time.Duration) {
	b.Helper()
	now := time.Now()
	_, _, err := b.store.SaveWarning(b.Context(), alerts.Warning{
		ID: id, Identifier: id, Sender: "weather", Sent: now, Status: "Actual", MsgType: "Alert", Event: "森林火险", EventCode: "11B25",
		Blocks: []alerts.WarningBlock{{Area: "130633", Level: level, From: now, To: now.Add(lasts)}}, Raw: []byte(id),
	}, nil)
	b.must(err)
}

func (b *bench) row(area string) alerts.Readiness {
	b.Helper()
	rs, err := b.store.Readiness(b.Context())
	b.must(err)
	for _, r := range rs {
		if r.Area == area {
			return r
		}
	}
	b.Fatalf("no readiness of %s among %d", area, len(rs))
	return alerts.Readiness{}
}

func after(d time.Duration) {
	time.Sleep(d) // of the bubble: its clock jumps
	synctest.Wait()
}

func TestWarningIsProposedSavedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r, _ := b.run(b.options("a"))
		after(time.Second)
		if err := r.Ready(); err != nil {
			t.Fatal(err)
		}
		if x := b.row("130633100"); x.Proposed != alerts.PostureNormal || x.Version != "shipped-1" {
			t.Fatalf("%+v", x)
		}
		last, err := b.store.LastEvent(t.Context())
		b.must(err)
		b.warn(alerts.Orange, 24*time.Hour)
		after(10 * time.Second)
		x := b.row("130633100")
		if x.Proposed != alerts.PostureCombatReady || x.Posture != alerts.PostureNormal || !x.Open ||
			!strings.HasPrefix(x.Sentence(), "森林火险橙色预警生效；火险等级不明；") {
			t.Errorf("%s: %+v", x.Sentence(), x)
		}
		if p := b.row(alerts.ProfessionalArea); p.Proposed != alerts.PostureCombatReady || !strings.HasPrefix(p.Sentence(), "易州镇等 2 个乡镇达到此条件") {
			t.Errorf("professional: %s", p.Sentence())
		}
		if y := b.row("130630100"); y.Proposed != alerts.PostureNormal {
			t.Errorf("another county: %+v", y)
		}
		evs, err := b.store.Events(t.Context(), last, 10)
		b.must(err)
		if len(evs) != 1 || evs[0].Type != alerts.EventReadiness || string(evs[0].Data) != `{"areas":["130633100","130633101","professional"]}` {
			t.Errorf("events %+v", evs)
		}
		// Nothing changes, nothing is saved, however often it is worked out.
		n := x.Revision
		after(10 * time.Minute)
		if x := b.row("130633100"); x.Revision != n {
			t.Errorf("saved %d times for nothing", x.Revision-n)
		}
	})
}

// TestPersonsWordIsKeptAcrossRestartsAndTakeovers: rows, not memory.
func TestPersonsWordIsKeptAcrossRestartsAndTakeovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.warn(alerts.Orange, 2*time.Hour)
		_, stop := b.run(b.options("a"))
		after(time.Second)
		x := b.row("130633100")
		b.must(b.store.SaveReadiness(t.Context(), []alerts.Readiness{x.Confirm(alerts.PostureStandby, "zhang", "已封山", time.Now())}, time.Now(), nil))
		other := b.options("b")
		b.run(other)
		after(time.Minute)
		stop()
		after(time.Minute)
		if y := b.row("130633100"); y.Posture != alerts.PostureStandby || y.By != "zhang" || y.Open {
			t.Errorf("%+v", y)
		}
		// The warning runs out: an hour later lowering is proposed, and a person is asked.
		after(2 * time.Hour)
		if y := b.row("130633100"); y.Proposed != alerts.PostureCombatReady || y.EasingSince.IsZero() {
			t.Errorf("before the hold: %+v", y)
		}
		after(2 * time.Hour)
		if y := b.row("130633100"); y.Proposed != alerts.PostureNormal || y.Posture != alerts.PostureStandby || !y.Open {
			t.Errorf("%+v", y)
		}
	})
}

// TestMissingInputKeepsThePostureAndSomebodyIsTold: one station or feed that
// fails removes nothing; the row says so.
func TestMissingInputKeepsThePostureAndSomebodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.warn(alerts.Orange, time.Hour)
		var mu sync.Mutex
		stale := ""
		o := b.options("a")
		o.WarningsUnknown = func(time.Time) string {
			mu.Lock()
			defer mu.Unlock()
			return stale
		}
		b.run(o)
		after(time.Second)
		mu.Lock()
		stale = "the feed is two hours old"
		mu.Unlock()
		last, err := b.store.LastEvent(t.Context())
		b.must(err)
		after(24 * time.Hour) // the warning has long run out, and nobody knows whether another came
		x := b.row("130633100")
		if x.Proposed != alerts.PostureCombatReady || !x.Degraded() || !strings.Contains(x.Sentence(), "预警现已不明，沿用") {
			t.Errorf("%s: %+v", x.Sentence(), x)
		}
		if now, err := b.store.LastEvent(t.Context()); err != nil || now == last {
			t.Errorf("nobody was told: %v", err)
		}
	})
}

// TestTableInForceIsTheNewestApproved: versions follow one another by day and
// approval, earlier ones are kept, a wrong one is mended by the next.
func TestTableInForceIsTheNewestApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.warn(alerts.Blue, 240*time.Hour)
		r, _ := b.run(b.options("a"))
		after(time.Second)
		save := func(version string, approved bool, from, to string) {
			t.Helper()
			body := strings.Replace(string(alerts.DefaultReadiness()), "version: shipped-1", "version: "+version, 1)
			body = strings.Replace(body, from, to, 1)
			d := alerts.Document{
				Kind: alerts.DocumentReadiness, Version: version, Effective: time.Now().Add(time.Hour), Body: []byte(body), Author: "zhang", Saved: time.Now(),
			}
			if approved {
				d.Approver, d.Approved = "li", time.Now()
			}
			b.must(b.store.SaveDocument(t.Context(), d, nil))
		}
		const blue = "    warning: [blue]\n    township: standby"
		save("wrong", true, blue, "    warning: [blue]\n    township: defence")
		save("pending", false, blue, blue)
		after(30 * time.Minute)
		if x := b.row("130633100"); x.Proposed != alerts.PostureStandby {
			t.Errorf("before its day: %+v", x)
		}
		after(time.Hour)
		if x := b.row("130633100"); x.Proposed != alerts.PostureDefence || x.Version != "wrong" {
			t.Errorf("the new version: %+v", x)
		}
		save("right", true, blue, blue)
		after(3 * time.Hour)
		if x := b.row("130633100"); x.Proposed != alerts.PostureStandby || x.Version != "right" || r.Ready() != nil {
			t.Errorf("mended: %+v, %v", x, r.Ready())
		}
		// A version that cannot be read changes nothing, and is said.
		save("broken", true, "rows:", "rowz:")
		after(3 * time.Hour)
		if x := b.row("130633100"); x.Version != "right" || r.Ready() == nil || !strings.Contains(r.Ready().Error(), `"broken"`) {
			t.Errorf("broken: %+v, %v", x, r.Ready())
		}
		ds, err := b.store.Documents(t.Context(), alerts.DocumentReadiness, 10)
		if err != nil || len(ds) != 4 {
			t.Errorf("%d versions kept, %v", len(ds), err)
		}
	})
}

func TestOutageOfTheStoreIsSaidAndOutlived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r, _ := b.run(b.options("a"))
		after(time.Second)
		b.store.Fail(errors.New("away"))
		after(time.Minute)
		if r.Ready() == nil {
			t.Error("an outage is ready")
		}
		b.store.Fail(nil)
		b.warn(alerts.Red, time.Hour)
		after(time.Minute)
		if x := b.row("130633100"); r.Ready() != nil || x.Proposed != alerts.PostureEmergency {
			t.Errorf("%v, %+v", r.Ready(), x)
		}
	})
}

func TestOnlyOneWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run(b.options("a"))
		b.run(b.options("b"))
		after(time.Hour)
		h, err := b.store.ReadinessHistory(t.Context(), "130633100", 10)
		if err != nil || len(h) != 1 {
			t.Errorf("%d saves, %v", len(h), err)
		}
	})
}

func TestOptionsNameTheField(t *testing.T) {
	b := newBench(t)
	for field, spoil := range map[string]func(*posture.Options){
		"Roster":       func(o *posture.Options) { o.Roster = nil },
		"Readiness":    func(o *posture.Options) { o.Readiness = nil },
		"Documents":    func(o *posture.Options) { o.Documents = nil },
		"Orders":       func(o *posture.Options) { o.Orders = nil },
		"Policy":       func(o *posture.Options) { o.Policy.Claim = time.Second },
		"Holder":       func(o *posture.Options) { o.Holder = "" },
		"DangerMethod": func(o *posture.Options) { o.DangerMethod = "" },
		"LeaseTTL":     func(o *posture.Options) { o.LeaseTTL = time.Millisecond },
		"Tick":         func(o *posture.Options) { o.Tick = -1 },
	} {
		o := b.options("a")
		spoil(&o)
		if _, err := posture.New(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
