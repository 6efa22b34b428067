// Package tenure is what the roles have in common of which one process works
// while others stand by: a lease that is taken, renewed and given up, and the
// reason why nothing is done.
package tenure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"firewatch/alerts"
)

// Tenure is one process's hold of one lease. Elect, Retry, Leader and Release
// are for the loop that works; Owns, Ready and Report for anyone.
type Tenure struct {
	lease  alerts.LeaseStore
	name   string
	holder string
	ttl    time.Duration

	leader bool
	next   time.Time // when the lease is to be asked for again

	mu      sync.Mutex
	till    time.Time // until when the lease is ours
	problem error
}

// New is a tenure that has not begun. ttl is after how long another may take
// over.
func New(lease alerts.LeaseStore, name, holder string, ttl time.Duration) *Tenure {
	return &Tenure{lease: lease, name: name, holder: holder, ttl: ttl, problem: errors.New("not started")}
}

// Reset makes it a tenure that has not begun.
func (t *Tenure) Reset() {
	t.leader, t.next = false, time.Time{}
	t.own(time.Time{})
}

// Elect takes or renews the lease when that is due. changed says that Leader is
// another than before. While the lease cannot be asked for, a tenure goes on to
// the end of what it has.
func (t *Tenure) Elect(ctx context.Context, now time.Time) (changed bool, err error) {
	if now.Before(t.next) {
		return false, nil
	}
	was := t.leader
	ok, err := t.lease.AcquireLease(ctx, t.name, t.holder, now, t.ttl)
	if err != nil {
		t.leader = t.leader && t.Owns(now)
		return t.leader != was, fmt.Errorf("taking the lease: %w", err)
	}
	t.leader = ok
	if ok {
		t.own(now.Add(t.ttl))
		t.next = now.Add(t.ttl / 3)
	} else {
		t.own(time.Time{})
		t.next = now.Add(min(t.ttl/3, time.Second))
	}
	return t.leader != was, nil
}

// Retry takes it that what the beginning of a tenure asks for did not succeed:
// the next Elect begins it again.
func (t *Tenure) Retry() { t.leader, t.next = false, time.Time{} }

// Leader reports whether this process works.
func (t *Tenure) Leader() bool { return t.leader }

// Owns reports whether the lease is surely ours. A process that was paused must
// ask right before it does what only one may do.
func (t *Tenure) Owns(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now.Before(t.till)
}

func (t *Tenure) own(till time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.till = till
}

// Ready reports why nothing is done, or nil. Who stands by while another works
// is ready.
func (t *Tenure) Ready() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem
}

// Report notes why nothing is done, or nil; news says that this was not known.
func (t *Tenure) Report(err error) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.problem
	t.problem = err
	return (err == nil) != (was == nil) || err != nil && err.Error() != was.Error()
}

// Release gives the lease up, if it is ours, within the time.
func (t *Tenure) Release(ctx context.Context, within time.Duration) error {
	if !t.leader {
		return nil
	}
	t.leader = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := t.lease.ReleaseLease(ctx, t.name, t.holder); err != nil {
		return fmt.Errorf("giving up the lease: %w", err)
	}
	return nil
}
