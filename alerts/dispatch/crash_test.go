package dispatch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

var errDead = errors.New("the process is dead")

// mortal is the store and the channel of a process that dies at its n-th touch
// of either: from then on nothing it does has any effect.
type mortal struct {
	alerts.OrderStore
	alerts.LeaseStore
	ch *retaining

	mu    sync.Mutex
	left  int
	after bool // die after the touch took effect, not before it
}

// touch runs f, unless the process is dead or dies here.
func (m *mortal) touch(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left <= 0 {
		return errDead
	}
	m.left--
	if m.left > 0 {
		return f()
	}
	if m.after {
		_ = f()
	}
	return errDead
}

func (m *mortal) dead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left <= 0
}

func (m *mortal) AcquireLease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error) {
	if m.dead() {
		return false, errDead
	}
	return m.LeaseStore.AcquireLease(ctx, name, holder, now, ttl)
}

func (m *mortal) ReleaseLease(context.Context, string, string) error { return nil } // it dies, it does not say goodbye

func (m *mortal) DueDeliveries(ctx context.Context, now time.Time, limit int) (ds []alerts.Delivery, err error) {
	err = m.touch(func() (err error) {
		ds, err = m.OrderStore.DueDeliveries(ctx, now, limit)
		return err
	})
	return ds, err
}

func (m *mortal) UpdateDelivery(ctx context.Context, id string, team contract.TeamID,
	change func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error),
) (d alerts.Delivery, err error) {
	err = m.touch(func() (err error) {
		d, err = m.OrderStore.UpdateDelivery(ctx, id, team, change)
		return err
	})
	return d, err
}

func (m *mortal) TeamDeliveries(ctx context.Context, team contract.TeamID, limit int) (ds []alerts.Delivery, err error) {
	err = m.touch(func() (err error) {
		ds, err = m.OrderStore.TeamDeliveries(ctx, team, limit)
		return err
	})
	return ds, err
}

func (m *mortal) Channel() string          { return m.ch.Channel() }
func (m *mortal) Renewed() <-chan struct{} { return m.ch.Renewed() }

func (m *mortal) Notify(ctx context.Context, team alerts.Team, open []contract.Order) error {
	return m.touch(func() error { return m.ch.Notify(ctx, team, open) })
}

// Whatever moment a dispatcher dies at, the one after it reaches every team.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, after := range []bool{false, true} {
		survived := false
		for n := 1; !survived; n++ {
			if n > 200 {
				t.Fatal("the dispatcher never gets done")
			}
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 3)
				ch := newRetaining()
				b.order("or-1", alerts.Blue, 0, 1, 2)
				o := b.options("a", nil)
				m := &mortal{OrderStore: b.store, LeaseStore: b.store, ch: ch, left: n, after: after}
				o.Orders, o.Lease, o.Notifiers = m, m, []alerts.Notifier{m}
				_, stop := b.run(o)
				settle(10 * time.Second)
				survived = !m.dead()
				m.mu.Lock()
				m.left = 0
				m.mu.Unlock()
				b.run(b.options("b", ch))
				settle(2 * time.Minute) // lease, claim and backoff
				stop()
				for i := range 3 {
					calls := 0
					for _, c := range ch.to(teamID(i)) {
						if len(c.orders) == 1 {
							calls++
						}
					}
					if calls < 1 || calls > 4 {
						t.Errorf("dead at %d (after: %t): team %d was called %d times", n, after, i, calls)
					}
					if x := b.delivery("or-1", i); x.State != alerts.DeliverySent {
						t.Errorf("dead at %d (after: %t): team %d is %s", n, after, i, x.State)
					}
				}
			})
		}
	}
}

func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		one, two := newRetaining(), newRetaining()
		d1, stop1 := b.run(b.options("a", one))
		settle(time.Second)
		d2, _ := b.run(b.options("b", two))
		settle(time.Minute)
		if d1.Ready() != nil || d2.Ready() != nil {
			t.Errorf("ready: %v, %v", d1.Ready(), d2.Ready())
		}
		if two.total() != 0 {
			t.Error("both work")
		}
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		if err := d2.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err != nil { // who stands by takes answers
			t.Fatal(err)
		}
		settle(time.Second)
		if one.shows(teamID(0)) != nil || one.shows(teamID(1)) == nil || two.total() != 0 {
			t.Errorf("shown %v %v, calls of the one that stands by: %d", one.shows(teamID(0)), one.shows(teamID(1)), two.total())
		}
		stop1() // gives up the lease
		settle(2 * time.Second)
		if got := two.to(teamID(1)); len(got) != 1 || len(got[0].orders) != 1 {
			t.Errorf("the new one told %v", got)
		}
		settle(2 * time.Minute)
		if got := two.to(teamID(1)); len(got) != 2 {
			t.Errorf("the new one called %v", got)
		}
		if x := b.delivery("or-1", 0); x.State != alerts.DeliveryAnswered {
			t.Errorf("%+v", x)
		}
	})
}

func TestHandoverWhenTheHolderCannotRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		one, two := newRetaining(), newRetaining()
		o := b.options("a", one)
		m := &mortal{OrderStore: b.store, LeaseStore: b.store, ch: one, left: 1 << 30}
		o.Lease = m
		b.run(o)
		settle(time.Second)
		d2, _ := b.run(b.options("b", two))
		m.mu.Lock()
		m.left = 0
		m.mu.Unlock()
		settle(20 * time.Second)
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		if d2.Ready() != nil || len(two.to(teamID(0))) == 0 {
			t.Errorf("the second does not work: %v", d2.Ready())
		}
		if got := one.shows(teamID(0)); got != nil {
			t.Errorf("the first works on without the lease: %v", got)
		}
	})
}
