package ingesttest

import (
	"context"
	"sync"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// MemoryJournal is an ingest.Journal that forgets at the end of the process.
// Its zero value is ready for use.
type MemoryJournal struct {
	mu       sync.Mutex
	entries  []ingest.Entry
	appends  int
	refusal  error
	retained map[string]ingest.Position
	changed  chan struct{}
}

// Refuse makes Append return err from now on; nil ends that.
func (j *MemoryJournal) Refuse(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refusal = err
}

// Append implements ingest.Journal.
func (j *MemoryJournal) Append(_ context.Context, entries []ingest.Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refusal != nil {
		return j.refusal
	}
	j.appends++
	j.entries = append(j.entries, entries...)
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	return nil
}

// Read implements ingest.Journal.
func (j *MemoryJournal) Read(ctx context.Context, from ingest.Position, limit int) ([]ingest.Entry, ingest.Position, error) {
	for {
		j.mu.Lock()
		if n := ingest.Position(len(j.entries)); from < n {
			to := min(n, from+ingest.Position(limit)) //nolint:gosec // a count
			out := append([]ingest.Entry(nil), j.entries[from:to]...)
			j.mu.Unlock()
			return out, to, nil
		}
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		c := j.changed
		j.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, from, ctx.Err()
		case <-c:
		}
	}
}

// Retain implements ingest.Journal.
func (j *MemoryJournal) Retain(reader string, pos ingest.Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.retained == nil {
		j.retained = map[string]ingest.Position{}
	}
	j.retained[reader] = pos
	return nil
}

// Retained implements ingest.Journal.
func (j *MemoryJournal) Retained(reader string) ingest.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.retained[reader]
}

// Seek implements ingest.Journal.
func (j *MemoryJournal) Seek(t time.Time) ingest.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.entries {
		if !j.entries[i].Received().Before(t) {
			return ingest.Position(i)
		}
	}
	return ingest.Position(len(j.entries))
}

// Entries is a copy of everything appended.
func (j *MemoryJournal) Entries() []ingest.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]ingest.Entry(nil), j.entries...)
}

// Appends counts the successful calls of Append.
func (j *MemoryJournal) Appends() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appends
}

// MemoryQuarantine is an ingest.Quarantine that keeps every rejection. Its zero
// value is ready for use.
type MemoryQuarantine struct {
	mu   sync.Mutex
	kept []ingest.Rejection
}

// Keep implements ingest.Quarantine.
func (q *MemoryQuarantine) Keep(_ context.Context, rs []ingest.Rejection) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.kept = append(q.kept, rs...)
	return nil
}

// Counts implements ingest.Quarantine.
func (q *MemoryQuarantine) Counts() []ingest.QuarantineCount {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []ingest.QuarantineCount
	at := map[contract.DeviceID]int{}
	for _, r := range q.kept {
		i, ok := at[r.Device]
		if !ok {
			i = len(out)
			at[r.Device] = i
			out = append(out, ingest.QuarantineCount{Device: r.Device})
		}
		c := &out[i]
		c.Total++
		c.LastReason, c.LastTopic, c.Example, c.Last = r.Reason, r.Topic, r.Payload, r.Received
	}
	return out
}

// Kept is a copy of every rejection, in order.
func (q *MemoryQuarantine) Kept() []ingest.Rejection {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]ingest.Rejection(nil), q.kept...)
}
