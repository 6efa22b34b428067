package simulate

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// clock calls tasks when they are due, all from one goroutine: thousands of
// devices need no timers of their own.
type clock struct {
	mu    sync.Mutex
	tasks tasks
	wake  chan struct{}
}

// task is called with the time at which it was due, and returns when to be
// called next; the zero time is never.
type task struct {
	at time.Time
	do func(due time.Time) (next time.Time)
}

type tasks []task

func (h tasks) Len() int           { return len(h) }
func (h tasks) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h tasks) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *tasks) Push(x any)        { *h = append(*h, x.(task)) }
func (h *tasks) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func newClock() *clock { return &clock{wake: make(chan struct{}, 1)} }

// at adds a task.
func (c *clock) at(t time.Time, do func(time.Time) time.Time) {
	c.mu.Lock()
	heap.Push(&c.tasks, task{t, do})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// once adds a task that is called one time.
func (c *clock) once(t time.Time, do func()) {
	c.at(t, func(time.Time) time.Time { do(); return time.Time{} })
}

// tooLate is when a task is not made up for any more, as after the machine
// slept.
const tooLate = time.Minute

// run calls tasks until ctx ends.
func (c *clock) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait := c.due()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// due calls the tasks that are due and returns how long until the next.
func (c *clock) due() time.Duration {
	for {
		now := time.Now()
		c.mu.Lock()
		if len(c.tasks) == 0 {
			c.mu.Unlock()
			return time.Hour
		}
		if wait := c.tasks[0].at.Sub(now); wait > 0 {
			c.mu.Unlock()
			return wait
		}
		t := heap.Pop(&c.tasks).(task)
		c.mu.Unlock()
		due := t.at
		if now.Sub(due) > tooLate {
			due = now
		}
		if next := t.do(due); !next.IsZero() {
			c.mu.Lock()
			heap.Push(&c.tasks, task{next, t.do})
			c.mu.Unlock()
		}
	}
}
