package dispatch_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// strike leaves only the first teams in the roster.
func (b *bench) strike(keep int) {
	b.t.Helper()
	teams, err := b.store.Teams(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	areas, err := b.store.Areas(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.ReplaceRoster(b.t.Context(), alerts.Roster{Areas: areas, Teams: teams[:keep]}, time.Now()); err != nil {
		b.t.Fatal(err)
	}
}

// A team that was struck off while no dispatcher worked does not keep an order
// on its terminal.
func TestATeamStruckOffBeforeTheTenureIsCleared(t *testing.T) {
	for name, c := range map[string]struct {
		wait  time.Duration
		more  int // orders to others
		again bool
	}{
		"while a call is due":       {10 * time.Minute, 0, false},
		"before a call is due":      {0, 0, false},
		"on a later page":           {0, 30, false},
		"while a call is due again": {10 * time.Minute, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 3)
				ch := newRetaining()
				_, stop := b.run(b.options("a", ch))
				b.order("or-1", alerts.Red, 0, 2)
				for i := range c.more {
					b.order("or-2-"+string(rune('a'+i)), alerts.Blue, 0)
				}
				settle(10 * time.Second)
				if got := ch.shows(teamID(2)); !slices.Equal(got, []string{"or-1"}) {
					t.Fatalf("shown %v", got)
				}
				stop()
				b.strike(2)
				settle(c.wait)
				_, stop = b.run(b.options("b", ch))
				settle(10 * time.Second)
				if c.again { // the store says already that it cannot be reached
					stop()
					if err := ch.Notify(t.Context(), alerts.Team{ID: teamID(2)}, []contract.Order{{ID: "or-1"}}); err != nil {
						t.Fatal(err)
					}
					settle(c.wait)
					b.run(b.options("c", ch))
					settle(10 * time.Second)
				}
				if got := ch.shows(teamID(2)); got != nil {
					t.Errorf("the team that was struck off is shown %v", got)
				}
				if got := ch.shows(teamID(0)); len(got) != 1+c.more {
					t.Errorf("the team that stayed is shown %v", got)
				}
			})
		})
	}
}

// What a former leader publishes too late is put right.
func TestAStalePublicationHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		o := b.options("a", ch)
		o.Retell = 0
		d, _ := b.run(o)
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if err := ch.Notify(t.Context(), alerts.Team{ID: teamID(0)}, []contract.Order{{ID: "or-1"}}); err != nil {
			t.Fatal(err)
		}
		settle(4 * time.Minute)
		if got := ch.shows(teamID(0)); got != nil {
			t.Errorf("minutes later the team is still shown %v", got)
		}
		ch.reset()
		settle(48 * time.Hour)
		ch.reset()
		settle(time.Hour)
		if n := ch.total(); n != 0 {
			t.Errorf("told %d times of an order of the day before yesterday", n)
		}
	})
}

// paused is a store in which a visit stands still after it was begun.
type paused struct {
	alerts.OrderStore
	once   sync.Once
	begun  chan struct{}
	resume chan struct{}
}

func (p *paused) TeamDeliveries(ctx context.Context, team contract.TeamID, limit int) ([]alerts.Delivery, error) {
	ds, err := p.OrderStore.TeamDeliveries(ctx, team, limit)
	p.once.Do(func() {
		close(p.begun)
		<-p.resume
	})
	return ds, err
}

// lost is a lease that another holds from some time on.
type lost struct {
	alerts.LeaseStore
	gone atomic.Bool
}

func (l *lost) AcquireLease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error) {
	if l.gone.Load() {
		return false, nil
	}
	return l.LeaseStore.AcquireLease(ctx, name, holder, now, ttl)
}

func TestNothingIsPublishedWithoutTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		o := b.options("a", ch)
		p := &paused{OrderStore: b.store, begun: make(chan struct{}), resume: make(chan struct{})}
		l := &lost{LeaseStore: b.store}
		o.Orders, o.Lease = p, l
		b.order("or-1", alerts.Red, 0)
		b.run(o)
		<-p.begun
		l.gone.Store(true)
		settle(20 * time.Second) // another works meanwhile
		close(p.resume)
		settle(time.Second)
		if got := ch.to(teamID(0)); len(got) != 0 {
			t.Errorf("published without the lease: %v", got)
		}
		if x := b.delivery("or-1", 0); x.State == alerts.DeliverySent || x.Tries != 0 || x.NextAt.After(time.Now().Add(time.Minute)) {
			t.Errorf("the call that was not made: %+v", x)
		}
	})
}
