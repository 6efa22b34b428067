package dispatch_test

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

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/dispatch"
	contract "firewatch/firmware-contracts"
)

// call is one Notify that a channel got.
type call struct {
	after  time.Duration // since the bench was set up
	team   contract.TeamID
	orders []string
}

// channel is a Notifier that remembers.
type channel struct {
	name  string
	began time.Time
	fail  func(team contract.TeamID) error // nil: takes all
	delay time.Duration

	mu    sync.Mutex
	calls []call
	state map[contract.TeamID][]contract.Order
}

func (c *channel) Channel() string { return c.name }

func (c *channel) Notify(ctx context.Context, team alerts.Team, open []contract.Order) error {
	if c.delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.delay):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := call{after: time.Since(c.began), team: team.ID}
	for _, o := range open {
		x.orders = append(x.orders, o.ID)
	}
	c.calls = append(c.calls, x)
	if c.fail != nil {
		if err := c.fail(team.ID); err != nil {
			return err
		}
	}
	if c.state == nil {
		c.state = map[contract.TeamID][]contract.Order{}
	}
	c.state[team.ID] = open
	return nil
}

func (c *channel) to(team contract.TeamID) (out []call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.calls {
		if x.team == team {
			out = append(out, x)
		}
	}
	return out
}

func (c *channel) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = nil
}

func (c *channel) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}

func (c *channel) shows(team contract.TeamID) (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.state[team] {
		out = append(out, o.ID)
	}
	return out
}

// retaining is a channel that keeps the last state.
type retaining struct {
	channel
	renewed chan struct{}
}

func (r *retaining) Renewed() <-chan struct{} { return r.renewed }

func newRetaining() *retaining {
	return &retaining{channel: channel{name: "mqtt", began: time.Now()}, renewed: make(chan struct{}, 1)}
}

// bench is a store with teams, and dispatchers over it.
type bench struct {
	t     *testing.T
	store *memstore.Store
	began time.Time
}

func newBench(t *testing.T, teams int) *bench {
	t.Helper()
	b := &bench{t: t, store: memstore.New(), began: time.Now()}
	r := alerts.Roster{Areas: []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
		{Code: "130633100", Name: "易州镇", Level: alerts.Township, Parent: "130633"},
	}}
	for i := range teams {
		r.Teams = append(r.Teams, alerts.Team{ID: teamID(i), Name: "队", Kind: alerts.TownshipTeam, Area: "130633100"})
	}
	if err := b.store.ReplaceRoster(t.Context(), r, b.began); err != nil {
		t.Fatal(err)
	}
	return b
}

func teamID(i int) contract.TeamID { return contract.TeamID(fmt.Sprintf("team-%03d", i)) }

func (b *bench) options(holder string, ns ...alerts.Notifier) dispatch.Options {
	return dispatch.Options{
		Orders: b.store, Roster: b.store, Events: b.store, Lease: b.store, Audit: b.store,
		Holder: holder, Notifiers: ns, Log: zap.NewNop(),
		Registerer: prometheus.NewRegistry(),
	}
}

// run starts a dispatcher and returns how to stop it.
func (b *bench) run(o dispatch.Options) (*dispatch.Dispatcher, func()) {
	b.t.Helper()
	d, err := dispatch.New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("run: %v", err)
		}
	}
	b.t.Cleanup(stop)
	return d, stop
}

// order gives an order to the teams.
func (b *bench) order(id string, level alerts.Severity, teams ...int) alerts.Order {
	b.t.Helper()
	now := time.Now()
	o := alerts.Order{
		ID: id, Kind: alerts.OrderStandby, Level: level, Text: "待命", Issuer: "office", Area: "130600",
		Issued: now, AnswerBy: alerts.DefaultPolicy().AnswerBy(level, now), Status: alerts.OrderOpen, IdempotencyKey: id,
	}
	var picks []alerts.Pick
	for _, i := range teams {
		picks = append(picks, alerts.Pick{Team: alerts.Team{ID: teamID(i)}})
	}
	if _, _, err := b.store.CreateOrder(b.t.Context(), o, alerts.NewDeliveries(o, picks, now), nil); err != nil {
		b.t.Fatal(err)
	}
	return o
}

func (b *bench) delivery(order string, team int) alerts.Delivery {
	b.t.Helper()
	ds, err := b.store.Deliveries(b.t.Context(), order)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range ds {
		if d.Team == teamID(team) {
			return d
		}
	}
	b.t.Fatalf("no delivery of %s to %s", order, teamID(team))
	return alerts.Delivery{}
}

// say is what a team's terminal says now.
func say(order string, team int, r contract.Receipt, reason string) contract.Answer {
	return contract.Answer{Team: teamID(team), Order: order, Receipt: r, Reason: reason, At: time.Now(), Received: time.Now()}
}

// overHTTP is what the api does with an answer.
func (b *bench) overHTTP(a contract.Answer) {
	b.t.Helper()
	_, err := b.store.UpdateDelivery(b.t.Context(), a.Order, a.Team, func(d *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
		c, _, err := alerts.TakeAnswer(d, o, "130633100", a, false, "HTTP")
		return c, err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) attempts(order, channel string) (out []alerts.Attempt) {
	b.t.Helper()
	as, err := b.store.Attempts(b.t.Context(), order)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range as {
		if a.Channel == channel {
			out = append(out, a)
		}
	}
	return out
}

func (b *bench) events(contains string) (n int) {
	b.t.Helper()
	evs, err := b.store.Events(b.t.Context(), 0, 100_000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range evs {
		if strings.Contains(string(e.Data), contains) {
			n++
		}
	}
	return n
}

func settle(d time.Duration) {
	time.Sleep(d) // of the bubble's clock
	synctest.Wait()
}

func TestOrderTo128Teams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 128)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		settle(time.Second)
		if err := d.Ready(); err != nil {
			t.Fatal(err)
		}
		ch.reset()
		ch.delay = 20 * time.Millisecond
		all := make([]int, 128)
		for i := range all {
			all[i] = i
		}
		b.order("or-1", alerts.Red, all...)
		d.Nudge()
		settle(500 * time.Millisecond)
		for i := range 128 {
			if got := ch.to(teamID(i)); len(got) != 1 || !slices.Equal(got[0].orders, []string{"or-1"}) {
				t.Fatalf("team %d: calls %v", i, got)
			}
			if x := b.delivery("or-1", i); x.State != alerts.DeliverySent || x.Tries != 1 || !x.NextAt.After(time.Now()) {
				t.Fatalf("team %d: %+v", i, x)
			}
		}
		if last := ch.calls[len(ch.calls)-1].after - ch.calls[0].after; last > 100*time.Millisecond {
			t.Errorf("all teams were called within %s", last)
		}
		if n := len(b.attempts("or-1", "page")); n != 128 {
			t.Errorf("%d pages on record", n)
		}
	})
}

func TestEachSilentTeamIsChasedUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 4)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0, 1, 2, 3)
		settle(time.Minute)
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		b.overHTTP(say("or-1", 1, contract.Standby, ""))
		if err := d.Answer(t.Context(), say("or-1", 2, contract.Rejected, "车坏了")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		for i := range 3 {
			if got := ch.shows(teamID(i)); got != nil {
				t.Errorf("team %d has answered and is still shown %v", i, got)
			}
		}
		if got := ch.shows(teamID(3)); !slices.Equal(got, []string{"or-1"}) {
			t.Errorf("the silent team is shown %v", got)
		}
		ch.reset()
		settle(16 * time.Minute)
		for i := range 3 {
			if got := ch.to(teamID(i)); got != nil {
				t.Errorf("team %d has answered and was called: %v", i, got)
			}
			if x := b.delivery("or-1", i); x.State != alerts.DeliveryAnswered || x.Escalation != 0 {
				t.Errorf("team %d: %+v", i, x)
			}
		}
		var minutes []int
		for _, x := range ch.to(teamID(3)) {
			minutes = append(minutes, int(x.after.Round(time.Minute).Minutes()))
		}
		if want := []int{2, 4, 5, 7, 9, 10, 12, 14, 15, 17}; !slices.Equal(minutes, want) {
			t.Errorf("the silent team was called at minutes %v, want %v", minutes, want)
		}
		if x := b.delivery("or-1", 3); x.Escalation != alerts.MaxEscalation {
			t.Errorf("the silent team came before level %d", x.Escalation)
		}
		if as := b.attempts("or-1", alerts.ChannelEscalation); len(as) != 3 || as[2].Note != "未应答，报市级值班员" {
			t.Errorf("escalations %+v", as)
		}
		if x := b.delivery("or-1", 2); x.Answer != contract.Rejected || x.AnswerNote != "车坏了" {
			t.Errorf("the rejection: %+v", x)
		}
		if o, _ := b.store.Order(t.Context(), "or-1"); o.Status != alerts.OrderOpen {
			t.Errorf("the order is %s while a team is silent", o.Status)
		}
		b.overHTTP(say("or-1", 3, contract.Accepted, ""))
		settle(time.Second)
		if o, _ := b.store.Order(t.Context(), "or-1"); o.Status != alerts.OrderComplete {
			t.Errorf("the order is %s when all have answered", o.Status)
		}
		if got := ch.shows(teamID(3)); got != nil {
			t.Errorf("after the last answer the team is shown %v", got)
		}
		ch.reset()
		settle(time.Hour)
		if n := ch.total(); n != 0 {
			t.Errorf("%d calls for a complete order", n)
		}
	})
}

func TestTeamIsToldAllItsOrdersGravestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		b.order("or-1", alerts.Blue, 0)
		time.Sleep(time.Second)
		b.order("or-2", alerts.Red, 0)
		time.Sleep(time.Second)
		b.order("or-3", alerts.Red, 0)
		d, _ := b.run(b.options("a", ch))
		settle(time.Second)
		got := ch.to(teamID(0))
		if len(got) != 1 || !slices.Equal(got[0].orders, []string{"or-3", "or-2", "or-1"}) {
			t.Fatalf("calls %v", got)
		}
		if err := d.Answer(t.Context(), say("or-2", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got := ch.shows(teamID(0)); !slices.Equal(got, []string{"or-3", "or-1"}) {
			t.Errorf("shown %v", got)
		}
	})
}

func TestReceiptsDoNotRepeatTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		ch.reset()
		for range 3 {
			for _, r := range []contract.Receipt{contract.Delivered, contract.Read} {
				if err := d.Answer(t.Context(), say("or-1", 0, r, "")); err != nil {
					t.Fatal(err)
				}
			}
		}
		settle(time.Minute)
		if n := ch.total(); n != 0 {
			t.Errorf("%d calls after receipts", n)
		}
		if x := b.delivery("or-1", 0); x.State != alerts.DeliveryRead {
			t.Errorf("%+v", x)
		}
	})
}

func TestRefusedAnswersDoNotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		d, _ := b.run(b.options("a", newRetaining()))
		b.order("or-1", alerts.Red, 0)
		for _, a := range []contract.Answer{
			say("or-9", 0, contract.Accepted, ""),
			say("or-1", 1, contract.Accepted, ""),
			say("or-1", 0, contract.Rejected, ""),
			say("or-1", 0, "maybe", ""),
		} {
			if err := d.Answer(t.Context(), a); err != nil {
				t.Errorf("%s: %v", a.Receipt, err)
			}
		}
		as, err := b.store.Audits(t.Context(), 10)
		if err != nil || len(as) != 4 || as[0].Actor != "team:team-000" || as[0].Action != "answer.refused" {
			t.Errorf("on record %+v, %v", as, err)
		}
		for range 1000 {
			if err := d.Answer(t.Context(), say("or-9", 0, contract.Accepted, "")); err != nil {
				t.Fatal(err)
			}
		}
		if as, _ = b.store.Audits(t.Context(), 10_000); len(as) > 60 {
			t.Errorf("a terminal gone wild filled the record with %d entries", len(as))
		}
		b.store.Fail(errors.New("away"))
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err == nil {
			t.Error("an answer was lost while the store was away")
		}
		b.store.Fail(nil)
	})
}

func TestChannelThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := &channel{name: "sms", began: time.Now(), fail: func(contract.TeamID) error { return errors.New("gateway away") }}
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0)
		settle(10 * time.Second)
		x := b.delivery("or-1", 0)
		if x.State != alerts.DeliverySending || x.LastError != "sms: gateway away" || x.Tries < 2 {
			t.Errorf("%+v", x)
		}
		ch.mu.Lock()
		ch.fail = nil
		ch.mu.Unlock()
		settle(time.Minute)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent || x.LastError != "" {
			t.Errorf("%+v", x)
		}
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestPermanentErrorFailsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		dead := map[contract.TeamID]bool{teamID(0): true}
		ch := &channel{name: "sms", began: time.Now(), fail: func(id contract.TeamID) error {
			if dead[id] {
				return &alerts.PermanentError{Cause: errors.New("no number")}
			}
			return nil
		}}
		b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		x := b.delivery("or-1", 0)
		if x.State != alerts.DeliveryFailed || x.Escalation != 1 || x.NextAt.IsZero() || !strings.Contains(x.LastError, "no number") {
			t.Errorf("%+v", x)
		}
		if n := b.events(`"shortfall":"team-000 无法送达`); n != 1 {
			t.Errorf("%d events tell of it", n)
		}
		if n := b.events(alerts.NobodyNotified); n != 0 {
			t.Error("one team was notified")
		}
		b.order("or-2", alerts.Red, 0)
		settle(time.Second)
		if n := b.events(alerts.NobodyNotified); n != 1 {
			t.Errorf("%d events say that nobody was notified", n)
		}
		settle(30 * time.Minute)
		if x := b.delivery("or-1", 0); x.Escalation != alerts.MaxEscalation || x.NextAt.IsZero() {
			t.Errorf("a failed delivery was forgotten: %+v", x)
		}
	})
}

func TestTeamStruckOffTheRosterIsNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 7)
		settle(time.Second)
		if x := b.delivery("or-1", 7); x.State != alerts.DeliveryFailed || !strings.Contains(x.LastError, "名册") {
			t.Errorf("%+v", x)
		}
	})
}

func TestThrottleIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 50)
		var window time.Time
		taken := 0
		early := 0
		ch := &channel{name: "robot", began: time.Now()}
		ch.fail = func(contract.TeamID) error { // 20 a minute
			now := time.Now()
			if now.Sub(window) >= time.Minute {
				window, taken = now, 0
			}
			if taken == 20 {
				early++
				return &alerts.ThrottledError{After: time.Minute - now.Sub(window), Cause: errors.New("20 a minute")}
			}
			taken++
			return nil
		}
		o := b.options("a", ch)
		o.Workers = 4
		b.run(o)
		all := make([]int, 50)
		for i := range all {
			all[i] = i
		}
		b.order("or-1", alerts.Yellow, all...)
		settle(2*time.Minute + 10*time.Second)
		for i := range 50 {
			if x := b.delivery("or-1", i); x.State != alerts.DeliverySent || x.Escalation != 0 {
				t.Fatalf("team %d: %+v", i, x)
			}
			if as := ch.to(teamID(i)); len(as) > 2 {
				t.Errorf("team %d was tried %d times", i, len(as))
			}
		}
		if early > 3*o.Workers {
			t.Errorf("the channel was asked %d times while it had asked to wait", early)
		}
	})
}

func TestGravestGoesFirstThroughAThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 10)
		ch := &channel{name: "robot", began: time.Now()}
		first := true
		ch.fail = func(contract.TeamID) error {
			if first {
				first = false
				return &alerts.ThrottledError{After: 10 * time.Second, Cause: errors.New("wait")}
			}
			return nil
		}
		o := b.options("a", ch)
		o.Workers = 1
		b.order("or-blue", alerts.Blue, 0, 1, 2, 3)
		b.run(o)
		settle(time.Second)
		b.order("or-red", alerts.Red, 9)
		settle(time.Minute)
		ch.mu.Lock()
		defer ch.mu.Unlock()
		if got := ch.calls[1]; !slices.Equal(got.orders, []string{"or-red"}) {
			t.Errorf("after the wait the first call was %+v", got)
		}
	})
}

func TestFurtherChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		one := &channel{name: "one", began: time.Now()}
		two := &channel{name: "two", began: time.Now()}
		one.fail = func(id contract.TeamID) error {
			if id == teamID(1) {
				return errors.New("away")
			}
			return nil
		}
		b.run(b.options("a", one, two))
		b.order("or-1", alerts.Red, 0, 1)
		settle(4*time.Minute + 30*time.Second)
		if n := len(two.to(teamID(0))); n != 0 {
			t.Errorf("the second channel was used %d times before the deadline though the first works", n)
		}
		if n := len(two.to(teamID(1))); n == 0 {
			t.Error("the second channel was not used though the first does not work")
		}
		settle(time.Minute)
		if n := len(two.to(teamID(0))); n != 1 {
			t.Errorf("the second channel was used %d times at the deadline", n)
		}
	})
}

func TestStatesAreToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3)
		b.order("or-1", alerts.Red, 0, 1)
		ch := newRetaining()
		_, stop := b.run(b.options("a", ch))
		settle(time.Second)
		b.overHTTP(say("or-1", 1, contract.Accepted, ""))
		settle(time.Second)
		stop()

		ch = newRetaining() // another broker, or one that has forgotten
		b.run(b.options("b", ch))
		settle(time.Second)
		want := map[contract.TeamID][]string{teamID(0): {"or-1"}, teamID(1): nil, teamID(2): nil}
		for id, orders := range want {
			if got := ch.to(id); len(got) != 1 || !slices.Equal(got[0].orders, orders) {
				t.Errorf("at the start %s was told %v, want once %v", id, got, orders)
			}
		}
		ch.reset()
		ch.renewed <- struct{}{}
		settle(time.Second)
		for id, orders := range want {
			if got := ch.to(id); len(got) != 1 || !slices.Equal(got[0].orders, orders) {
				t.Errorf("after a reconnection %s was told %v, want once %v", id, got, orders)
			}
		}
	})
}

func TestStateThatCouldNotBeToldIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		ch.mu.Lock()
		ch.fail = func(contract.TeamID) error { return errors.New("not connected") }
		ch.mu.Unlock()
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		settle(5 * time.Second)
		if got := ch.shows(teamID(0)); !slices.Equal(got, []string{"or-1"}) {
			t.Fatalf("shown %v", got)
		}
		ch.mu.Lock()
		ch.fail = nil
		ch.mu.Unlock()
		settle(5 * time.Second)
		if got := ch.shows(teamID(0)); got != nil {
			t.Errorf("the answered order is still shown: %v", got)
		}
	})
}

func TestOrderThatWentOutByReconnectionIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		ch.fail = func(contract.TeamID) error { return errors.New("not connected") }
		b.run(b.options("a", ch))
		b.order("or-1", alerts.Blue, 0)
		settle(10 * time.Minute) // far into the backoff
		ch.mu.Lock()
		ch.fail = nil
		ch.mu.Unlock()
		ch.renewed <- struct{}{}
		settle(10 * time.Millisecond)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent || x.LastError != "" {
			t.Errorf("%+v", x)
		}
	})
}

// withdrawing is a store in which an order can be withdrawn.
type withdrawing struct {
	alerts.OrderStore
	mu   sync.Mutex
	gone map[string]bool
}

func (w *withdrawing) Order(ctx context.Context, id string) (alerts.Order, error) {
	o, err := w.OrderStore.Order(ctx, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone[id] {
		o.Status = alerts.OrderCancelled
	}
	return o, err
}

func (w *withdrawing) UpdateDelivery(ctx context.Context, id string, team contract.TeamID,
	change func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error),
) (alerts.Delivery, error) {
	return w.OrderStore.UpdateDelivery(ctx, id, team, func(d *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gone[id] {
			o.Status = alerts.OrderCancelled
		}
		return change(d, o)
	})
}

func TestWithdrawnOrderBecomesStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		ch := newRetaining()
		o := b.options("a", ch)
		w := &withdrawing{OrderStore: b.store, gone: map[string]bool{}}
		o.Orders = w
		d, _ := b.run(o)
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		if err := d.Answer(t.Context(), say("or-1", 1, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.gone["or-1"] = true
		w.mu.Unlock()
		if err := b.store.SaveJudged(t.Context(), alerts.Judged{Events: []alerts.Event{
			{At: time.Now(), Type: alerts.EventOrder, Data: []byte(`{"id":"or-1"}`)},
		}}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliveryStale || !x.NextAt.IsZero() {
			t.Errorf("%+v", x)
		}
		if x := b.delivery("or-1", 1); x.State != alerts.DeliveryAnswered {
			t.Errorf("%+v", x)
		}
		if got := ch.shows(teamID(0)); got != nil {
			t.Errorf("a withdrawn order is shown: %v", got)
		}
	})
}

func TestWithoutChannelsThePageIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		b.run(b.options("a"))
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent {
			t.Errorf("%+v", x)
		}
		if as := b.attempts("or-1", "page"); len(as) != 1 {
			t.Errorf("pages on record: %+v", as)
		}
	})
}

func TestStoreThatIsAwayIsSaidAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		settle(time.Second)
		b.order("or-1", alerts.Red, 0)
		b.store.Fail(errors.New("disk on fire"))
		settle(time.Minute)
		if err := d.Ready(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("ready: %v", err)
		}
		b.store.Fail(nil)
		settle(time.Second)
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent {
			t.Errorf("%+v", x)
		}
	})
}

func TestHangingTeamDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3)
		ch := &channel{name: "sms", began: time.Now()}
		ch.fail = nil
		slow := &hanging{channel: ch, team: teamID(0)}
		b.run(b.options("a", slow))
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		b.order("or-2", alerts.Red, 2)
		settle(time.Second)
		for i, order := range map[int]string{1: "or-1", 2: "or-2"} {
			if x := b.delivery(order, i); x.State != alerts.DeliverySent {
				t.Errorf("team %d: %+v", i, x)
			}
		}
		settle(20 * time.Second)
		if x := b.delivery("or-1", 0); !strings.Contains(x.LastError, "deadline") {
			t.Errorf("%+v", x)
		}
	})
}

type hanging struct {
	*channel
	team contract.TeamID
}

func (h *hanging) Notify(ctx context.Context, team alerts.Team, open []contract.Order) error {
	if team.ID == h.team {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.channel.Notify(ctx, team, open)
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	b := newBench(t, 0)
	for want, change := range map[string]func(*dispatch.Options){
		"Orders":    func(o *dispatch.Options) { o.Orders = nil },
		"Roster":    func(o *dispatch.Options) { o.Roster = nil },
		"Events":    func(o *dispatch.Options) { o.Events = nil },
		"Lease":     func(o *dispatch.Options) { o.Lease = nil },
		"Holder":    func(o *dispatch.Options) { o.Holder = "" },
		"Log":       func(o *dispatch.Options) { o.Log = nil },
		"Policy":    func(o *dispatch.Options) { o.Policy.Claim = time.Second },
		"Timeout":   func(o *dispatch.Options) { o.Timeout = time.Minute },
		"LeaseTTL":  func(o *dispatch.Options) { o.LeaseTTL = 1 },
		"Notifiers": func(o *dispatch.Options) { o.Notifiers = []alerts.Notifier{&channel{name: "x"}, &channel{name: "x"}} },
	} {
		o := b.options("a")
		change(&o)
		if _, err := dispatch.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if diff := cmp.Diff(nil, func() any { _, err := dispatch.New(b.options("a")); return err }()); diff != "" {
		t.Error(diff)
	}
}
