package downlink_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/downlink"
	contract "firewatch/firmware-contracts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a Teller that remembers.
type broker struct {
	renewed chan struct{}
	fail    func(contract.DeviceID) error // nil: takes all
	during  func(contract.DeviceID)       // runs before the state is taken

	mu    sync.Mutex
	calls map[contract.DeviceID]int
	state map[contract.DeviceID][]contract.Order
}

func newBroker() *broker {
	return &broker{
		renewed: make(chan struct{}, 1), calls: map[contract.DeviceID]int{}, state: map[contract.DeviceID][]contract.Order{},
	}
}

func (b *broker) Renewed() <-chan struct{} { return b.renewed }

func (b *broker) Tell(ctx context.Context, device contract.DeviceID, open []contract.Order) error {
	b.mu.Lock()
	b.calls[device]++
	fail, during := b.fail, b.during
	b.mu.Unlock()
	if during != nil {
		during(device)
	}
	if fail != nil {
		if err := fail(device); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state[device] = open
	return nil
}

func (b *broker) failing(f func(contract.DeviceID) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = f
}

func (b *broker) told(device contract.DeviceID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[device]
}

// shows is the ids of what stands for the device.
func (b *broker) shows(device contract.DeviceID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for _, o := range b.state[device] {
		ids = append(ids, o.ID)
	}
	return strings.Join(ids, " ")
}

// bench is a store and runners over it.
type bench struct {
	*testing.T
	store *memstore.Store
}

func (b *bench) options(holder string, teller downlink.Teller) downlink.Options {
	return downlink.Options{
		Store: b.store, Lease: b.store, Audit: b.store, Holder: holder, Teller: teller,
		Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	}
}

// run starts a runner and returns how to stop it.
func (b *bench) run(o downlink.Options) (*downlink.Runner, func()) {
	b.Helper()
	r, err := downlink.New(o)
	if err != nil {
		b.Fatal(err)
	}
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

// give gives a command for an hour.
func (b *bench) give(id string, device contract.DeviceID, kind alerts.CommandKind, ttl ...time.Duration) {
	b.Helper()
	now := time.Now()
	c, err := alerts.NewCommand(alerts.Command{
		Device: device, Area: "130633", Kind: kind, Text: "请返回", Issuer: "duty", Expires: now.Add(append(ttl, time.Hour)[0]),
	}, now)
	if err != nil {
		b.Fatal(err)
	}
	c.ID = id
	if _, _, err := b.store.CreateCommand(b.Context(), c, nil); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) command(id string) alerts.Command {
	b.Helper()
	c, err := b.store.Command(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func (b *bench) withdraw(id string) {
	b.Helper()
	if _, err := b.store.UpdateCommand(b.Context(), id, func(c *alerts.Command) ([]alerts.Event, error) {
		c.End(alerts.CommandWithdrawn, "duty", "", time.Now())
		return nil, nil
	}); err != nil {
		b.Error(err)
	}
}

// events are the states that events told of a command, in order.
func (b *bench) events(id string) (states []string) {
	b.Helper()
	evs, err := b.store.Events(b.Context(), 0, 10_000)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range evs {
		if rest, ok := strings.CutPrefix(string(e.Data), `{"id":"`+id+`","device":"trk-1","state":"`); ok {
			states = append(states, strings.TrimSuffix(rest, `"}`))
		}
	}
	return states
}

func say(device contract.DeviceID, command string, r contract.Receipt) contract.Answer {
	return contract.Answer{Device: device, Order: command, Receipt: r, At: time.Now(), Received: time.Now()}
}

func settle(d time.Duration) {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
}

// in runs the test in a bubble.
func in(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(&bench{t, memstore.New()}) })
}

func TestLifeOfACommand(t *testing.T) {
	in(t, func(b *bench) {
		to := newBroker()
		b.give("cm-1", "trk-1", alerts.CommandMessage)
		r, _ := b.run(b.options("a", to))
		settle(time.Second)
		if c := b.command("cm-1"); c.State != alerts.CommandSent || to.shows("trk-1") != "cm-1" || to.told("trk-1") != 1 {
			t.Fatalf("%+v, shown %q, told %d times", c, to.shows("trk-1"), to.told("trk-1"))
		}
		for _, what := range []contract.Receipt{contract.Delivered, contract.Read, contract.Read} {
			if err := r.Answer(b.Context(), say("trk-1", "cm-1", what)); err != nil {
				t.Fatal(err)
			}
			settle(time.Minute)
		}
		if to.told("trk-1") != 1 {
			t.Errorf("told %d times though nothing has changed for the device", to.told("trk-1"))
		}
		settle(20 * time.Minute)
		if to.told("trk-1") != 1 {
			t.Errorf("told again %d times though the device has it", to.told("trk-1")-1)
		}
		if err := r.Answer(b.Context(), say("trk-1", "cm-1", contract.Accepted)); err != nil {
			t.Fatal(err)
		}
		settle(0) // nudged
		c := b.command("cm-1")
		if c.State != alerts.CommandAnswered || c.Answer != contract.Accepted || !c.NextAt.IsZero() || to.shows("trk-1") != "" || to.told("trk-1") != 2 {
			t.Errorf("%+v, shown %q, told %d times", c, to.shows("trk-1"), to.told("trk-1"))
		}
		if got := b.events("cm-1"); !slices.Equal(got, []string{"sent", "delivered", "read", "answered"}) {
			t.Errorf("events %v", got)
		}
		settle(2 * time.Hour)
		if to.told("trk-1") > 4 { // every 30 minutes until it would have expired
			t.Errorf("told %d times", to.told("trk-1"))
		}
	})
}

func TestSupersededExpiredAndWithdrawnLeaveTheState(t *testing.T) {
	in(t, func(b *bench) {
		to := newBroker()
		b.run(b.options("a", to))
		b.give("cm-1", "trk-1", alerts.CommandLocate)
		b.give("cm-2", "trk-1", alerts.CommandMessage, 5*time.Minute)
		settle(time.Second)
		b.give("cm-3", "trk-1", alerts.CommandReturn)
		settle(time.Second)
		if got := to.shows("trk-1"); got != "cm-3 cm-2 cm-1" {
			t.Fatalf("shown %q, want the gravest first and then the newest", got)
		}
		b.give("cm-4", "trk-1", alerts.CommandLocate)
		settle(time.Second)
		if got := to.shows("trk-1"); got != "cm-3 cm-4 cm-2" || b.command("cm-1").State != alerts.CommandSuperseded {
			t.Errorf("shown %q", got)
		}
		settle(5*time.Minute - 4*time.Second)
		if got := to.shows("trk-1"); !strings.Contains(got, "cm-2") {
			t.Errorf("gone before its time: %q", got)
		}
		settle(3 * time.Second)
		if got := to.shows("trk-1"); got != "cm-3 cm-4" || b.command("cm-2").State != alerts.CommandExpired {
			t.Errorf("shown %q, %s", got, b.command("cm-2").State)
		}
		b.withdraw("cm-3")
		settle(time.Second)
		if got := to.shows("trk-1"); got != "cm-4" {
			t.Errorf("shown %q", got)
		}
		settle(time.Hour)
		if got := to.shows("trk-1"); got != "" || b.command("cm-4").State != alerts.CommandExpired {
			t.Errorf("shown %q", got)
		}
		if got := b.events("cm-2"); !slices.Equal(got, []string{"sent", "expired"}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestSilentDeviceIsToldAgain(t *testing.T) {
	in(t, func(b *bench) {
		to := newBroker()
		o := b.options("a", to)
		o.Retell = 24 * time.Hour
		b.run(o)
		b.give("cm-1", "trk-1", alerts.CommandMessage)
		settle(31 * time.Minute)
		if n := to.told("trk-1"); n != 4 {
			t.Errorf("told %d times in 31 minutes, want at once and every 10", n)
		}
	})
}

// What changes while the device is being told was not told.
func TestWhatComesMeanwhileStaysDue(t *testing.T) {
	in(t, func(b *bench) {
		to := newBroker()
		once := sync.OnceFunc(func() {
			b.give("cm-2", "trk-1", alerts.CommandMessage)
			b.withdraw("cm-1")
		})
		to.during = func(contract.DeviceID) { once() }
		b.give("cm-1", "trk-1", alerts.CommandMessage)
		b.run(b.options("a", to))
		settle(10 * time.Millisecond)
		if c := b.command("cm-2"); c.State != alerts.CommandQueued {
			t.Errorf("%s though nobody told it", c.State)
		}
		if c := b.command("cm-1"); c.NextAt.IsZero() {
			t.Error("withdrawn, and the device still shows it")
		}
		settle(time.Second)
		if got := to.shows("trk-1"); got != "cm-2" || b.command("cm-2").State != alerts.CommandSent || !b.command("cm-1").NextAt.IsZero() {
			t.Errorf("shown %q, %+v", got, b.command("cm-2"))
		}
	})
}

func TestOneDeviceHoldsUpNoOther(t *testing.T) {
	in(t, func(b *bench) {
		to := newBroker()
		to.failing(func(id contract.DeviceID) error {
			switch id {
			case "trk-bad":
				return errors.New("no")
			case "trk-slow":
				time.Sleep(9 * time.Second)
			}
			return nil
		})
		o := b.options("a", to)
		o.Workers = 2
		r, _ := b.run(o)
		b.give("cm-bad", "trk-bad", alerts.CommandMessage)
		b.give("cm-slow", "trk-slow", alerts.CommandMessage)
		settle(time.Millisecond)
		for i := range 20 {
			b.give(fmt.Sprint("cm-", i), contract.DeviceID(fmt.Sprint("trk-", i)), alerts.CommandMessage)
		}
		settle(2 * time.Second)
		for i := range 20 {
			if c := b.command(fmt.Sprint("cm-", i)); c.State != alerts.CommandSent {
				t.Errorf("%s is %s", c.ID, c.State)
			}
		}
		settle(58 * time.Second)
		if n := to.told("trk-bad"); n < 4 || n > 9 {
			t.Errorf("the one that fails was tried %d times in a minute", n)
		}
		if c := b.command("cm-slow"); c.State != alerts.CommandSent {
			t.Errorf("the slow one is %s", c.State)
		}
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
		to.failing(nil)
		settle(31 * time.Second)
		if c := b.command("cm-bad"); c.State != alerts.CommandSent {
			t.Errorf("the one that failed is %s", c.State)
		}
	})
}

func TestRenewedBrokerIsToldAll(t *testing.T) {
	in(t, func(b *bench) {
		to := newBroker()
		b.run(b.options("a", to))
		for _, id := range []contract.DeviceID{"trk-read", "trk-withdrawn"} {
			b.give("cm-"+string(id), id, alerts.CommandMessage)
		}
		settle(time.Second)
		b.withdraw("cm-trk-withdrawn")
		settle(time.Second)
		// The broker comes back with what it had long ago; one device could not be
		// told meanwhile.
		to.failing(func(contract.DeviceID) error { return errors.New("not connected") })
		b.give("cm-new", "trk-new", alerts.CommandMessage)
		settle(5 * time.Minute)
		to.failing(nil)
		to.mu.Lock()
		clear(to.calls)
		to.state = map[contract.DeviceID][]contract.Order{"trk-withdrawn": {{ID: "cm-trk-withdrawn"}}}
		to.mu.Unlock()
		to.renewed <- struct{}{}
		settle(10 * time.Millisecond)
		for id, want := range map[contract.DeviceID]string{"trk-read": "cm-trk-read", "trk-withdrawn": "", "trk-new": "cm-new"} {
			if got := to.shows(id); got != want || to.told(id) != 1 {
				t.Errorf("%s shows %q, told %d times; want %q once", id, got, to.told(id), want)
			}
		}
	})
}

func TestAnswers(t *testing.T) {
	in(t, func(b *bench) {
		r, _ := b.run(b.options("a", newBroker()))
		b.give("cm-1", "trk-1", alerts.CommandMessage)
		settle(time.Second)
		for name, a := range map[string]contract.Answer{
			"no such command":       say("trk-1", "cm-9", contract.Read),
			"of another device":     say("trk-2", "cm-1", contract.Read),
			"a rejection unexcused": say("trk-1", "cm-1", contract.Rejected),
			"no receipt":            say("trk-1", "cm-1", "maybe"),
		} {
			if err := r.Answer(b.Context(), a); err != nil {
				t.Errorf("%s would come back for ever: %v", name, err)
			}
		}
		if c := b.command("cm-1"); c.State != alerts.CommandSent {
			t.Errorf("%s", c.State)
		}
		as, err := b.store.Audits(b.Context(), 100)
		if err != nil || len(as) != 4 || !strings.HasPrefix(as[0].Actor, "device:trk-") || as[0].Action != "command.answer_refused" {
			t.Errorf("on record: %+v, %v", as, err)
		}
		for range 100 { // gone wild
			if err := r.Answer(b.Context(), say("trk-1", "cm-9", contract.Read)); err != nil {
				t.Fatal(err)
			}
		}
		if as, _ := b.store.Audits(b.Context(), 1000); len(as) != 60 {
			t.Errorf("%d on record", len(as))
		}
		away := errors.New("store away")
		b.store.Fail(away)
		if err := r.Answer(b.Context(), say("trk-1", "cm-1", contract.Read)); !errors.Is(err, away) {
			t.Errorf("an answer was lost: %v", err)
		}
		settle(time.Second)
		if err := r.Ready(); err == nil {
			t.Error("ready without its store")
		}
		b.store.Fail(nil)
		settle(time.Second)
		if err := r.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	b := &bench{t, memstore.New()}
	for want, change := range map[string]func(*downlink.Options){
		"Store":    func(o *downlink.Options) { o.Store = nil },
		"Lease":    func(o *downlink.Options) { o.Lease = nil },
		"Holder":   func(o *downlink.Options) { o.Holder = "" },
		"Teller":   func(o *downlink.Options) { o.Teller = nil },
		"Log":      func(o *downlink.Options) { o.Log = nil },
		"Tick":     func(o *downlink.Options) { o.Tick = -1 },
		"LeaseTTL": func(o *downlink.Options) { o.LeaseTTL = time.Millisecond },
		"Workers":  func(o *downlink.Options) { o.Workers = -1 },
		"Timeout":  func(o *downlink.Options) { o.Timeout = -1 },
		"RetryMax": func(o *downlink.Options) { o.RetryMax = -1 },
		"Retell":   func(o *downlink.Options) { o.Retell = -1 },
	} {
		o := b.options("a", newBroker())
		change(&o)
		if _, err := downlink.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
