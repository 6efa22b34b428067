// Package stream brings the event log to many listeners with one reader: it
// polls the store once for all of them, and only while there is one.
package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

const (
	page    = 500             // events read at once
	backlog = 64              // pages that may wait for a slow listener
	backoff = 2 * time.Second // after the store has refused
	readFor = 5 * time.Second // longest read of the store
)

// The errors of Subscribe.
var (
	ErrFull   = errors.New("too many listeners")
	ErrClosed = errors.New("the stream has ended")
)

// Options configure a Hub.
type Options struct {
	Store       alerts.EventStore
	Poll        time.Duration // between two looks at the store
	MaxTotal    int           // listeners at once
	MaxPerOwner int           // listeners at once with the same owner
	Log         *zap.Logger
}

// Hub fans the event log out.
type Hub struct {
	o     Options
	nudge chan struct{}
	ctx   context.Context //nolint:containedctx // ends the poller, which outlives the call that started it
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu      sync.Mutex
	subs    map[*Subscription]struct{}
	polling bool
	closed  bool
}

// New returns a hub. Close it.
func New(o Options) *Hub {
	ctx, stop := context.WithCancel(context.Background())
	return &Hub{o: o, nudge: make(chan struct{}, 1), ctx: ctx, stop: stop, subs: map[*Subscription]struct{}{}}
}

// Subscription is one listener.
type Subscription struct {
	// C brings pages of events with rising ids; they are shared and not to be
	// changed. It is closed when the listener is too slow, when its session has
	// ended, or when the hub closes. Some events of the first pages may be older
	// than those that Replay returned.
	C <-chan []alerts.Event

	c     chan []alerts.Event
	hub   *Hub
	owner string
	key   string
	last  int64
}

// Subscribe adds a listener from now on. owner is who listens, for the bound;
// key is the session's, for Drop.
func (h *Hub) Subscribe(ctx context.Context, owner, key string) (*Subscription, error) {
	last, err := h.o.Store.LastEvent(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the last event: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	mine := 0
	for s := range h.subs {
		if s.owner == owner {
			mine++
		}
	}
	switch {
	case h.closed:
		return nil, ErrClosed
	case len(h.subs) >= h.o.MaxTotal || mine >= h.o.MaxPerOwner:
		return nil, ErrFull
	}
	c := make(chan []alerts.Event, backlog)
	s := &Subscription{C: c, c: c, hub: h, owner: owner, key: key, last: last}
	h.subs[s] = struct{}{}
	if !h.polling {
		// The poller starts from what this listener knew before it was added, so
		// that nothing falls between its replay and the first poll.
		h.polling = true
		h.done.Go(func() { h.poll(last) })
	}
	return s, nil
}

// Last is the newest event at the time of Subscribe.
func (s *Subscription) Last() int64 { return s.last }

// Replay returns up to one page of events after the given id, as the store has
// them. An empty page means that C brings all the rest.
func (s *Subscription) Replay(ctx context.Context, after int64) ([]alerts.Event, error) {
	evs, err := s.hub.o.Store.Events(ctx, after, page)
	if err != nil {
		return nil, fmt.Errorf("replaying events: %w", err)
	}
	return evs, nil
}

// Close removes the listener.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.remove(s)
}

// remove needs the lock.
func (h *Hub) remove(s *Subscription) {
	if _, ok := h.subs[s]; ok {
		delete(h.subs, s)
		close(s.c)
	}
}

// Drop ends the listeners of a session.
func (h *Hub) Drop(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if s.key == key {
			h.remove(s)
		}
	}
}

// Listeners is how many there are.
func (h *Hub) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// Nudge makes the hub look at the store at once. It never blocks.
func (h *Hub) Nudge() {
	select {
	case h.nudge <- struct{}{}:
	default:
	}
}

// Close ends all listeners and waits for the poller.
func (h *Hub) Close() {
	h.stop()
	h.mu.Lock()
	h.closed = true
	for s := range h.subs {
		h.remove(s)
	}
	h.mu.Unlock()
	h.done.Wait()
}

func (h *Hub) poll(pos int64) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
		case <-h.nudge:
		case <-h.ctx.Done():
			return
		}
		wait := h.o.Poll
		ctx, cancel := context.WithTimeout(h.ctx, readFor)
		evs, err := h.o.Store.Events(ctx, pos, page)
		cancel()
		switch {
		case err != nil:
			if !failing && h.ctx.Err() == nil {
				h.o.Log.Warn("events cannot be read, trying again", zap.Error(err))
			}
			failing, wait = true, backoff
		case len(evs) > 0:
			failing = false
			pos = evs[len(evs)-1].ID
			if len(evs) == page {
				wait = 0
			}
		default:
			failing = false
		}
		if !h.fanOut(evs) {
			return
		}
		tick.Reset(wait)
	}
}

// fanOut hands a page to every listener and drops the ones that do not keep up;
// they resume from the last event they saw. It reports whether anyone is left.
func (h *Hub) fanOut(evs []alerts.Event) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(evs) > 0 {
		evs = slices.Clip(evs)
		for s := range h.subs {
			select {
			case s.c <- evs:
			default:
				h.remove(s)
			}
		}
	}
	h.polling = len(h.subs) > 0
	return h.polling
}
