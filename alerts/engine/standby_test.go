package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/engine"
	contract "firewatch/firmware-contracts"
)

// brings delivers a reading to both feeds, to the second a little later.
func (w *world) brings(other *feed, r contract.Reading) {
	w.feed.add(r)
	r.Received = r.Received.Add(200 * time.Millisecond)
	w.pass(200 * time.Millisecond)
	other.add(r)
	w.pass(0)
}

// second starts another engine on the feed, over the same store.
func (w *world) second(other *feed) {
	w.t.Helper()
	w.tune = func(o *engine.Options) { o.Holder, o.Feed = "two", other }
	w.start(&store{Store: w.mem})
	w.pass(time.Second)
}

func TestTakeoverOnAnotherFeed(t *testing.T) {
	const gap = 65 // minutes after which a call is another one
	inBubble(t, func(w *world) {
		other := newFeed()
		other.name = "other"
		w.run()
		stopFirst := w.stop
		w.second(other)
		// More calls for help than an episode's memory holds, each an alert.
		for range 20 {
			w.brings(other, w.reading("T1", contract.SOS, 0, nil))
			for range gap / 5 {
				w.pass(5 * time.Minute)
				w.brings(other, w.reading("S1", contract.Environment, 0, values{smoke: 0.1}))
			}
		}
		w.pass(2 * time.Minute)
		before := w.told()
		if len(before) != 20 {
			t.Fatalf("%d alerts of 20 calls: %q", len(before), before)
		}
		other.mu.Lock()
		released, all := other.released, uint64(len(other.readings))
		other.mu.Unlock()
		if kept := all - released; kept < 6 || kept > 12 {
			t.Errorf("standing by, %d of %d entries are kept, want those of 35 minutes or so", kept, all)
		}
		// The first one dies; what comes meanwhile is the second one's to judge.
		stopFirst()
		late := w.reading("T1", contract.SOS, 0, nil)
		late.Measured = late.Measured.Add(time.Second)
		w.brings(other, late)
		w.pass(30 * time.Second)
		after := w.told()
		if len(after) != 21 {
			t.Errorf("%d alerts after the takeover, want one new:\n%s", len(after), cmp.Diff(before, after))
		}
		if pos, ok, err := w.mem.JudgedPosition(t.Context(), "other"); err != nil || !ok || pos != all+1 {
			t.Errorf("position %d of %d, %v, %v", pos, all+1, ok, err)
		}
		// And back again, hours later, to one whose position is old.
		for range 20 {
			w.pass(gap * time.Minute)
			w.brings(other, w.reading("T1", contract.SOS, 0, nil))
		}
		w.pass(time.Minute)
		if before = w.told(); len(before) != 41 {
			t.Fatalf("%d alerts, want 41", len(before))
		}
		w.stop()
		w.tune = nil
		w.run()
		w.pass(30 * time.Second)
		if diff := cmp.Diff(before, w.told()); diff != "" {
			t.Errorf("taking over again (-before +after):\n%s", diff)
		}
	})
}

// What fills the windows of one that takes over was judged by another, and
// counts with what comes then.
func TestTakeoverFillsWindowsFromItsOwnFeed(t *testing.T) {
	inBubble(t, func(w *world) {
		other := newFeed()
		other.name = "other"
		w.run()
		stopFirst := w.stop
		w.second(other)
		w.pass(3 * time.Hour)
		w.brings(other, w.reading("S1", contract.Environment, 0, values{smoke: 3}))
		w.pass(time.Minute)
		w.brings(other, w.reading("S1", contract.Environment, 0, values{smoke: 3}))
		w.pass(30 * time.Second)
		stopFirst()
		w.pass(30 * time.Second)
		w.brings(other, w.reading("S1", contract.Environment, 0, values{smoke: 3}))
		if a := w.only(); len(a.Evidence) != 3 {
			t.Errorf("%d pieces of evidence, want 3", len(a.Evidence))
		}
	})
}

// stuck is a store that does not save from some time on.
type stuck struct {
	*memstore.Store
	down atomic.Bool
}

func (s *stuck) SaveJudged(ctx context.Context, j alerts.Judged) error {
	if s.down.Load() {
		return errors.New("disk full")
	}
	return s.Store.SaveJudged(ctx, j)
}

// An engine that is behind does not say that it has followed: what waits before
// it when it dies is judged by the next, on its own feed.
func TestBehindIsNotFollowed(t *testing.T) {
	inBubble(t, func(w *world) {
		other := newFeed()
		other.name = "other"
		w.feed.maxRead = 1
		s := &stuck{Store: w.mem}
		var slow atomic.Bool
		w.tune = func(o *engine.Options) {
			o.Alerts = s
			o.Answers = func(ctx context.Context, _ contract.Answer) error {
				if slow.Load() { // each answer takes its time, so that the rest waits
					select {
					case <-time.After(200 * time.Millisecond):
					case <-ctx.Done():
					}
				}
				return ctx.Err()
			}
		}
		w.run()
		stopFirst := w.stop
		w.second(other)
		w.pass(time.Minute)
		slow.Store(true)
		for range 15_000 {
			w.feed.addAnswer(contract.Answer{Team: "t-a", Order: "or-1", Receipt: contract.Accepted, Received: time.Now()})
		}
		w.pass(time.Second)
		w.brings(other, w.reading("T1", contract.SOS, 0, nil))
		w.pass(40 * time.Minute) // the first one works, and has not come to the call
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts: the first one is not behind", n)
		}
		other.mu.Lock()
		released := other.released
		other.mu.Unlock()
		if released != 0 {
			t.Errorf("released up to %d, before the call was judged", released)
		}
		s.down.Store(true)
		stopFirst()
		w.pass(30 * time.Second)
		if a := w.only(); a.Rule != "sos" {
			t.Errorf("alert %+v", a)
		}
	})
}
