package influx

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	contract "firewatch/firmware-contracts"
)

// Asking InfluxDB for the newest point of each device costs as much as there are
// devices, fields and shards: some 0.2 ms of its CPU for each tracker in one
// shard, and a second for 30,000 that have nothing new. So what was learned is
// kept in memory, what this process writes is told to it, and InfluxDB is asked
// no more than a share of the time:
//
//   - recent: what was measured since the last question. That finds nearly all.
//   - day: the newest of the last day, for what came late.
//   - late: the newest of eight days, for what came very late.
//
// While there are few devices, or an answer takes no longer than cheap, the last
// day is asked about at every call, and nothing of it is ever missing.
const (
	few   = 1000
	cheap = 100 * time.Millisecond

	// A question that takes 2 s is asked again after 10 s, or 40 s.
	recentRest, dayRest, lateRest = 5, 20, 20

	// The least time between questions: while the writes of this process are told,
	// InfluxDB is asked for those of others only.
	recentFed, dayFed, lateLeast = 15 * time.Second, time.Minute, 10 * time.Minute

	recentOverlap = 2 * time.Minute     // before the last question, for what was on the way
	dayWindow     = 24 * time.Hour      // of the question day
	lateWindow    = 8 * 24 * time.Hour  // of the question late
	backWindow    = 28 * 24 * time.Hour // of the first question further back, at the start

	questionLimit = 5 * time.Minute // longest answer
)

// newest is what is remembered of each device: the newest point that was told.
type newest[T any] struct {
	mu     sync.Mutex
	index  map[contract.DeviceID]int // nil: nobody has asked yet
	points []known[T]
	order  []int // into points, by device

	warm   bool    // everything stored before the last question is known
	fed    bool    // what this process writes is told
	flying *flight // the question on its way
	landed *flight // the last one that was answered

	recent, day, late turn
	complete          time.Time // everything from here on has been looked at
}

type known[T any] struct {
	device contract.DeviceID
	at     int64 // the point's time
	value  T
}

// A flight is a question on its way.
type flight struct {
	began time.Time
	done  chan struct{}
	err   error // when done
}

// A turn is when a question was last asked, and how long the answer took.
type turn struct {
	asked time.Time
	took  time.Duration
}

func (t *turn) rested(now time.Time, rest int, least time.Duration) bool {
	return now.Sub(t.asked) >= max(time.Duration(rest)*t.took, least)
}

// A source is how InfluxDB is asked for what newest keeps.
type source[T any] struct {
	// ask hands over points of [from, to), among them the newest of each device; a
	// zero to is open. It is told that the time is short, so that few points lie in
	// it and all may be handed over.
	ask func(ctx context.Context, from, to time.Time, short bool, each func(contract.DeviceID, int64, *T)) error
	// before is asked once, for what is older than all that ask is asked for; it
	// may be nil.
	before func(ctx context.Context, each func(contract.DeviceID, int64, *T)) error
	// own makes the value independent of buffers.
	own func(contract.DeviceID, *T)
}

// put remembers a point unless a newer one is known. The caller holds mu.
func (k *newest[T]) put(id contract.DeviceID, at int64, v *T, own func(contract.DeviceID, *T)) {
	i, found := k.index[id]
	if !found {
		id = contract.DeviceID(strings.Clone(string(id)))
		i = len(k.points)
		k.points = append(k.points, known[T]{device: id, at: at, value: *v})
		k.index[id] = i
	}
	p := &k.points[i]
	if at < p.at {
		return
	}
	p.at, p.value = at, *v
	own(p.device, &p.value)
}

// all returns the values in the order of the devices. The caller holds mu.
func (k *newest[T]) all() []T {
	if len(k.order) != len(k.points) {
		k.order = k.order[:0]
		for i := range k.points {
			k.order = append(k.order, i)
		}
		slices.SortFunc(k.order, func(a, b int) int {
			return strings.Compare(string(k.points[a].device), string(k.points[b].device))
		})
	}
	out := make([]T, len(k.order))
	for i, j := range k.order {
		out[i] = k.points[j].value
	}
	return out
}

// dear reports whether the question is too long to be asked at every call.
func (k *newest[T]) dear(t *turn) bool { return t.took > cheap && len(k.points) > few }

// dueDay and dueRecent report whether the question is to be asked now.
func (k *newest[T]) dueDay(now time.Time) bool {
	least := time.Duration(0)
	if k.fed {
		least = dayFed
	}
	return !k.dear(&k.day) || k.day.rested(now, dayRest, least)
}

func (k *newest[T]) dueRecent(now time.Time) bool {
	least := time.Duration(0)
	if k.fed {
		least = recentFed
	}
	return k.recent.rested(now, recentRest, least)
}

// get answers from memory, after a question if one is due. One that takes long
// is asked behind the caller's back, unless memory is empty or the last one
// failed.
func (k *newest[T]) get(ctx context.Context, c *Client, s source[T]) ([]T, error) {
	came := time.Now()
	for {
		k.mu.Lock()
		if k.index == nil {
			k.index = map[contract.DeviceID]int{}
		}
		long := false
		if l := k.landed; l != nil {
			// Many may ask at once: the answer to a question that began after this
			// call came is this call's answer too.
			joined := !l.began.Before(came)
			if l.err != nil && joined {
				k.mu.Unlock()
				return nil, l.err
			}
			if l.err == nil {
				day, recent := k.dueDay(came), k.dueRecent(came)
				if joined || !day && !recent {
					defer k.mu.Unlock()
					return k.all(), nil
				}
				long = day && k.dear(&k.day) || !day && k.dear(&k.recent)
			}
		}
		f := k.flying
		if f == nil {
			if c.life.Err() != nil {
				k.mu.Unlock()
				return nil, fmt.Errorf("reading history: %w", c.life.Err())
			}
			f = &flight{began: time.Now(), done: make(chan struct{})}
			k.flying = f
			c.flights.Go(func() { k.fly(c.life, f, s) })
		}
		if long {
			defer k.mu.Unlock()
			return k.all(), nil
		}
		k.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("reading history: %w", ctx.Err())
		}
	}
}

// fly asks what is due.
func (k *newest[T]) fly(ctx context.Context, f *flight, s source[T]) {
	ctx, cancel := context.WithTimeout(ctx, questionLimit)
	defer cancel()
	err := k.ask(ctx, f.began, s)
	k.mu.Lock()
	defer k.mu.Unlock()
	f.err = err
	k.landed, k.flying = f, nil
	close(f.done)
}

// ask brings what is remembered up to date. What it has learned before an error
// is kept, so that a second attempt has less to do. Only one runs at a time.
func (k *newest[T]) ask(ctx context.Context, now time.Time, s source[T]) error {
	put := func(id contract.DeviceID, at int64, v *T) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.put(id, at, v, s.own)
	}
	question := func(t *turn, from, to time.Time, short bool) error {
		began := time.Now()
		if err := s.ask(ctx, from, to, short, put); err != nil {
			return err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		t.asked, t.took = now, time.Since(began)
		return nil
	}
	k.mu.Lock()
	warm, day, recent, since := k.warm, k.dueDay(now), k.dueRecent(now), k.recent.asked
	late := k.late.rested(now, lateRest, lateLeast)
	k.mu.Unlock()
	switch {
	case !warm || day:
		if err := question(&k.day, now.Add(-dayWindow), time.Time{}, false); err != nil {
			return err
		}
		k.mu.Lock()
		k.recent.asked = now
		if k.recent.took == 0 { // not known yet
			k.recent.took = k.day.took
		}
		k.mu.Unlock()
	case recent:
		if err := question(&k.recent, since.Add(-recentOverlap), time.Time{}, true); err != nil {
			return err
		}
	}
	if !warm {
		return k.back(ctx, now, s, put)
	}
	if late {
		return question(&k.late, now.Add(-lateWindow), now.Add(-dayWindow), false)
	}
	return nil
}

// back asks for everything before the last day, window by window, each twice as
// long as the one before.
func (k *newest[T]) back(ctx context.Context, now time.Time, s source[T], put func(contract.DeviceID, int64, *T)) error {
	if k.complete.IsZero() {
		k.complete = now.Add(-dayWindow)
	}
	for k.complete.After(contract.Earliest) {
		from := k.complete.Add(-max(backWindow, now.Sub(k.complete)))
		if err := s.ask(ctx, from, k.complete, false, put); err != nil {
			return err
		}
		k.complete = from
	}
	if s.before != nil {
		if err := s.before(ctx, put); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.warm, k.late.asked = true, now
	return nil
}
