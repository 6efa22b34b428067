package rehearsal

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	contract "firewatch/firmware-contracts"
)

// Stream yields readings, one at a time; ok false: there are no more. Of one that
// yields by measured or by received time, none that follows was received before
// the measured time of the last.
type Stream func(ctx context.Context) (x contract.Reading, ok bool, err error)

// maxWaiting bounds the readings that wait for their time of receipt because they
// came late. Beyond it the one that is due first goes ahead of its time.
const maxWaiting = 200_000

// Merge yields the readings of all streams in the order in which they were
// received. It holds one reading of each stream, and those that came late.
func Merge(streams ...Stream) Stream {
	m := &merger{}
	for _, s := range streams {
		m.heads.all = append(m.heads.all, &head{stream: s})
	}
	return m.next
}

type merger struct {
	begun   bool
	heads   heads
	waiting waiting
}

type head struct {
	stream Stream
	next   contract.Reading
}

func (m *merger) next(ctx context.Context) (x contract.Reading, ok bool, err error) {
	if !m.begun {
		m.begun = true
		kept := m.heads.all[:0]
		for _, h := range m.heads.all {
			if h.next, ok, err = h.stream(ctx); err != nil {
				return x, false, err
			} else if ok {
				kept = append(kept, h)
			}
		}
		m.heads.all = kept
		heap.Init(&m.heads)
	}
	for {
		w := m.waiting
		if len(w) > 0 && (len(m.heads.all) == 0 || !w[0].Received.After(m.heads.all[0].next.Measured) || len(w) >= maxWaiting) {
			first, _ := heap.Pop(&m.waiting).(*contract.Reading)
			return *first, true, nil
		}
		if len(m.heads.all) == 0 {
			return x, false, nil
		}
		h := m.heads.all[0]
		late := h.next
		heap.Push(&m.waiting, &late)
		if h.next, ok, err = h.stream(ctx); err != nil {
			return x, false, err
		} else if ok {
			heap.Fix(&m.heads, 0)
		} else {
			heap.Pop(&m.heads)
		}
	}
}

type heads struct{ all []*head }

func (h *heads) Len() int           { return len(h.all) }
func (h *heads) Less(i, j int) bool { return h.all[i].next.Measured.Before(h.all[j].next.Measured) }
func (h *heads) Swap(i, j int)      { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *heads) Push(any)           {} // none comes later

func (h *heads) Pop() any {
	last := h.all[len(h.all)-1]
	h.all = h.all[:len(h.all)-1]
	return last
}

type waiting []*contract.Reading

func (w waiting) Len() int      { return len(w) }
func (w waiting) Swap(i, j int) { w[i], w[j] = w[j], w[i] }

func (w waiting) Less(i, j int) bool {
	a, b := w[i], w[j]
	return cmp.Or(a.Received.Compare(b.Received), a.Measured.Compare(b.Measured), cmp.Compare(a.Device, b.Device),
		cmp.Compare(a.Class, b.Class), cmp.Compare(a.Seq, b.Seq)) < 0
}

func (w *waiting) Push(x any) {
	r, _ := x.(*contract.Reading)
	*w = append(*w, r)
}

func (w *waiting) Pop() any {
	old := *w
	last := old[len(old)-1]
	*w = old[:len(old)-1]
	return last
}

// batchSize is how many readings go to each rehearsal at once.
const batchSize = 2048

// RunAll has all rehearsals judge the readings of the stream, each on its own, up
// to the time; zero: up to the last reading. The stream is read once.
func RunAll(ctx context.Context, in Stream, until time.Time, rs ...*Rehearsal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	to := make([]chan []contract.Reading, len(rs))
	for i, r := range rs {
		to[i] = make(chan []contract.Reading, 2)
		all.Go(func() {
			if err := r.take(ctx, to[i], until); err != nil {
				cancel(err)
			}
		})
	}
	err := deal(ctx, in, until, to)
	if err != nil {
		cancel(err)
	}
	for _, c := range to {
		close(c)
	}
	all.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

// deal reads the stream and hands it out in batches that nobody changes.
func deal(ctx context.Context, in Stream, until time.Time, to []chan []contract.Reading) error {
	for more := true; more; {
		batch := make([]contract.Reading, 0, batchSize)
		for len(batch) < batchSize {
			x, ok, err := in(ctx)
			if err != nil {
				return fmt.Errorf("reading the readings: %w", err)
			}
			if more = ok && (until.IsZero() || x.Received.Before(until)); !more {
				break
			}
			batch = append(batch, x)
		}
		for _, c := range to {
			select {
			case c <- batch:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func (r *Rehearsal) take(ctx context.Context, from <-chan []contract.Reading, until time.Time) error {
	for batch := range from {
		for i := range batch {
			if err := r.Judge(ctx, &batch[i]); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Until(ctx, until); err != nil {
		return err
	}
	return r.Settle(ctx)
}
