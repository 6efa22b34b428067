package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"firewatch/alerts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type log struct {
	mu    sync.Mutex
	evs   []alerts.Event
	err   error
	reads atomic.Int64
}

func (l *log) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.evs = append(l.evs, alerts.Event{ID: int64(len(l.evs)) + 1})
	}
}

func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *log) Events(_ context.Context, after int64, limit int) ([]alerts.Event, error) {
	l.reads.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	evs := l.evs[min(int(after), len(l.evs)):]
	return append([]alerts.Event(nil), evs[:min(limit, len(evs))]...), nil
}

func (l *log) LastEvent(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.evs)), l.err
}

func hub(store alerts.EventStore) *Hub {
	return New(Options{Store: store, Poll: 250 * time.Millisecond, MaxTotal: 20, MaxPerOwner: 3, Log: zap.NewNop()})
}

// TestEveryEventOnceAndInOrder lets listeners join while events are written,
// each resuming from an older event: every one sees all that follow.
func TestEveryEventOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &log{}
		store.add(1200)
		h := hub(store)
		defer h.Close()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 70 * time.Millisecond)
				from := int64(i * 100)
				got, err := follow(t.Context(), h, fmt.Sprint(i), from, 3200)
				if err != nil {
					t.Error(err)
				}
				for k, id := range got {
					if id != from+int64(k)+1 {
						t.Errorf("listener %d: event %d is number %d", i, id, k)
						return
					}
				}
			})
		}
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			store.add(20)
		}
		all.Wait()
	})
}

func follow(ctx context.Context, h *Hub, owner string, last, until int64) (ids []int64, err error) {
	s, err := h.Subscribe(ctx, owner, owner)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	see := func(evs []alerts.Event) {
		for _, e := range evs {
			if e.ID > last {
				last = e.ID
				ids = append(ids, e.ID)
			}
		}
	}
	for {
		evs, err := s.Replay(ctx, last)
		if err != nil {
			return nil, err
		}
		if len(evs) == 0 {
			break
		}
		see(evs)
	}
	for last < until {
		evs, ok := <-s.C
		if !ok {
			return ids, errors.New("dropped")
		}
		see(evs)
	}
	return ids, nil
}

func TestOnePollForAllAndNoneForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &log{}
		h := hub(store)
		defer h.Close()
		var subs []*Subscription
		for i := range 10 {
			s, err := h.Subscribe(t.Context(), fmt.Sprint(i), "")
			if err != nil {
				t.Fatal(err)
			}
			subs = append(subs, s)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if n := store.reads.Load(); n < 40 || n > 42 {
			t.Errorf("%d reads in 10 s for 10 listeners, want about 40", n)
		}
		for _, s := range subs {
			s.Close()
		}
		time.Sleep(time.Second)
		before := store.reads.Load()
		time.Sleep(time.Minute)
		if n := store.reads.Load() - before; n != 0 {
			t.Errorf("%d reads without a listener", n)
		}
	})
}

func TestNudgeIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &log{}
		h := hub(store)
		defer h.Close()
		s, err := h.Subscribe(t.Context(), "a", "")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		begin := time.Now()
		store.add(1)
		h.Nudge()
		if evs := <-s.C; len(evs) != 1 || time.Since(begin) != 0 {
			t.Errorf("got %v after %s", evs, time.Since(begin))
		}
	})
}

func TestSlowListenerIsDroppedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &log{}
		h := hub(store)
		defer h.Close()
		slow, err := h.Subscribe(t.Context(), "slow", "")
		if err != nil {
			t.Fatal(err)
		}
		quick, err := h.Subscribe(t.Context(), "quick", "")
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for range backlog + 5 {
			store.add(1)
			h.Nudge()
			seen += len(<-quick.C)
		}
		if seen != backlog+5 {
			t.Errorf("the quick one saw %d of %d", seen, backlog+5)
		}
		pages := 0
		for range slow.C { // ends because it was closed
			pages++
		}
		if pages != backlog {
			t.Errorf("the slow one had %d pages waiting, want %d", pages, backlog)
		}
	})
}

func TestBoundsAndDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub(&log{})
		for i := range 3 {
			if _, err := h.Subscribe(t.Context(), "a", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Subscribe(t.Context(), "a", ""); !errors.Is(err, ErrFull) {
			t.Errorf("a fourth listener of one owner: %v, want ErrFull", err)
		}
		h.Drop("1")
		s, err := h.Subscribe(t.Context(), "a", "")
		if err != nil {
			t.Errorf("after one was dropped: %v", err)
		}
		h.Close()
		if _, open := <-s.C; open {
			t.Error("a listener outlived the hub")
		}
		if _, err := h.Subscribe(t.Context(), "b", ""); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	})
}

func TestStoreThatComesBackLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &log{}
		h := hub(store)
		defer h.Close()
		s, err := h.Subscribe(t.Context(), "a", "")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		store.fail(errors.New("away"))
		time.Sleep(10 * time.Second)
		store.add(3)
		store.fail(nil)
		if evs := <-s.C; len(evs) != 3 {
			t.Errorf("got %d events, want 3", len(evs))
		}
	})
}
