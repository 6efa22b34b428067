package ingest

import (
	"sync"
	"sync/atomic"
	"time"
)

// AckQueue runs acknowledgements of one connection in the order they were
// added, away from the goroutine that adds them: a peer that does not read
// delays nobody else. The goroutine that runs them exists only while there are
// some. The zero value is ready for use.
type AckQueue struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// Add puts an acknowledgement at the end of the queue.
func (q *AckQueue) Add(ack func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, ack)
	if !q.running {
		q.running = true
		go q.run()
	}
}

func (q *AckQueue) run() {
	var batch []func()
	for {
		q.mu.Lock()
		clear(batch)
		batch, q.queue = q.queue, batch[:0]
		if len(batch) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for _, ack := range batch {
			ack()
		}
	}
}

// Outstanding counts messages that a Source has taken and not yet
// acknowledged. The zero value is ready for use.
type Outstanding struct{ n atomic.Int64 }

// Take counts one message taken.
func (o *Outstanding) Take() { o.n.Add(1) }

// Done counts one message acknowledged, or not taken after all.
func (o *Outstanding) Done() { o.n.Add(-1) }

// Drain waits until none is outstanding, at most so long, and returns how many
// still are.
func (o *Outstanding) Drain(patience time.Duration) int64 {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for o.n.Load() > 0 {
		select {
		case <-deadline.C:
			return o.n.Load()
		case <-tick.C:
		}
	}
	return 0
}
