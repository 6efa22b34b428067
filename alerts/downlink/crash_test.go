package downlink_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

var errDead = errors.New("the process is dead")

// mortal is the store and the broker of a process that dies at its n-th touch of
// either: from then on nothing it does has any effect.
type mortal struct {
	alerts.CommandStore
	alerts.LeaseStore
	*broker

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

func (m *mortal) kill() (lived bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lived, m.left = m.left > 0, 0
	return lived
}

func (m *mortal) AcquireLease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error) {
	m.mu.Lock()
	dead := m.left <= 0
	m.mu.Unlock()
	if dead {
		return false, errDead
	}
	return m.LeaseStore.AcquireLease(ctx, name, holder, now, ttl)
}

func (m *mortal) ReleaseLease(context.Context, string, string) error { return nil } // it dies, it does not say goodbye

func (m *mortal) DueCommands(ctx context.Context, now time.Time, limit int) (ids []contract.DeviceID, err error) {
	err = m.touch(func() (err error) {
		ids, err = m.CommandStore.DueCommands(ctx, now, limit)
		return err
	})
	return ids, err
}

func (m *mortal) OpenDevices(ctx context.Context, now time.Time) (ids []contract.DeviceID, err error) {
	err = m.touch(func() (err error) {
		ids, err = m.CommandStore.OpenDevices(ctx, now)
		return err
	})
	return ids, err
}

func (m *mortal) UpdateCommands(ctx context.Context, device contract.DeviceID, now time.Time,
	change func([]alerts.Command) ([]alerts.Command, []alerts.Event, error),
) error {
	return m.touch(func() error { return m.CommandStore.UpdateCommands(ctx, device, now, change) })
}

func (m *mortal) Tell(ctx context.Context, device contract.DeviceID, open []contract.Order) error {
	return m.touch(func() error { return m.broker.Tell(ctx, device, open) })
}

// Whatever moment a runner dies at, the one after it leaves the broker with what
// is open, and no row undone.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, after := range []bool{false, true} {
		survived := false
		for n := 1; !survived; n++ {
			if n > 200 {
				t.Fatal("the runner never gets done")
			}
			in(t, func(b *bench) {
				to := newBroker()
				b.give("cm-1", "trk-1", alerts.CommandMessage)
				b.give("cm-2", "trk-1", alerts.CommandLocate)
				b.give("cm-3", "trk-2", alerts.CommandMessage, 2*time.Minute)
				b.give("cm-4", "trk-3", alerts.CommandMessage)
				o := b.options("a", nil)
				m := &mortal{CommandStore: b.store, LeaseStore: b.store, broker: to, left: n, after: after}
				o.Store, o.Lease, o.Teller, o.Tick = m, m, m, 5*time.Second
				b.run(o)
				settle(6 * time.Second)
				b.give("cm-5", "trk-1", alerts.CommandLocate) // takes the place of cm-2
				b.withdraw("cm-4")
				settle(3 * time.Minute) // cm-3 expires
				survived = m.kill()
				b.run(b.options("b", to))
				settle(time.Minute)
				for id, want := range map[contract.DeviceID]string{"trk-1": "cm-5 cm-1", "trk-2": "", "trk-3": ""} {
					if got := to.shows(id); got != want {
						b.Errorf("dead at %d (after: %t): %s shows %q, want %q", n, after, id, got, want)
					}
					if calls := to.told(id); calls > 8 {
						b.Errorf("dead at %d (after: %t): %s was told %d times", n, after, id, calls)
					}
				}
				for id, want := range map[string]alerts.CommandState{
					"cm-1": alerts.CommandSent, "cm-2": alerts.CommandSuperseded, "cm-3": alerts.CommandExpired,
					"cm-4": alerts.CommandWithdrawn, "cm-5": alerts.CommandSent,
				} {
					c := b.command(id)
					if c.State != want || c.State.Open() == c.NextAt.IsZero() {
						b.Errorf("dead at %d (after: %t): %s is %s, next at %v", n, after, id, c.State, c.NextAt)
					}
				}
			})
		}
	}
}

func TestHandover(t *testing.T) {
	in(t, func(b *bench) {
		one, two := newBroker(), newBroker()
		r1, stop1 := b.run(b.options("a", one))
		settle(time.Second)
		r2, _ := b.run(b.options("b", two))
		settle(time.Minute)
		if r1.Ready() != nil || r2.Ready() != nil {
			t.Errorf("ready: %v, %v", r1.Ready(), r2.Ready())
		}
		b.give("cm-1", "trk-1", alerts.CommandMessage)
		b.give("cm-2", "trk-2", alerts.CommandMessage)
		settle(time.Second)
		if err := r2.Answer(b.Context(), say("trk-1", "cm-1", contract.Accepted)); err != nil { // who stands by takes answers
			t.Fatal(err)
		}
		settle(time.Second)
		if one.shows("trk-1") != "" || one.shows("trk-2") != "cm-2" || two.told("trk-1")+two.told("trk-2") != 0 {
			t.Errorf("shown %q %q, the one that stands by told %d", one.shows("trk-1"), one.shows("trk-2"), two.told("trk-1"))
		}
		stop1() // gives up the lease
		settle(2 * time.Second)
		if two.shows("trk-2") != "cm-2" || two.told("trk-1") != 1 || two.shows("trk-1") != "" {
			t.Errorf("the new one shows %q %q", two.shows("trk-1"), two.shows("trk-2"))
		}
	})
}

// A runner that was paused for longer than its lease must not publish what it
// read before.
func TestPausedRunnerPublishesNothing(t *testing.T) {
	in(t, func(b *bench) {
		one, two := newBroker(), newBroker()
		o := b.options("a", one)
		m := &mortal{CommandStore: b.store, LeaseStore: b.store, broker: one, left: 1 << 30}
		s := &slow{CommandStore: m}
		o.Store, o.Lease = s, m
		b.run(o)
		settle(time.Second)
		b.run(b.options("b", two))
		s.pause(20 * time.Second) // between reading and telling
		b.give("cm-1", "trk-1", alerts.CommandMessage)
		m.kill() // its lease is not renewed
		settle(time.Minute)
		if one.told("trk-1") != 0 || two.shows("trk-1") != "cm-1" {
			t.Errorf("the paused one told %d times; the other shows %q", one.told("trk-1"), two.shows("trk-1"))
		}
	})
}

// slow is a store that answers late.
type slow struct {
	alerts.CommandStore
	mu sync.Mutex
	d  time.Duration
}

func (s *slow) pause(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d = d
}

func (s *slow) UpdateCommands(ctx context.Context, device contract.DeviceID, now time.Time,
	change func([]alerts.Command) ([]alerts.Command, []alerts.Event, error),
) error {
	err := s.CommandStore.(*mortal).CommandStore.UpdateCommands(ctx, device, now, change)
	s.mu.Lock()
	d := s.d
	s.mu.Unlock()
	time.Sleep(d)
	return err
}

func (s *slow) DueCommands(ctx context.Context, now time.Time, limit int) ([]contract.DeviceID, error) {
	return s.CommandStore.(*mortal).CommandStore.DueCommands(ctx, now, limit)
}
