package dispatch_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
		Retell:     24 * time.Hour, // so that calls can be counted
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
func (b *bench) order(id string, level alerts.Severity, teams ...int) {
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
