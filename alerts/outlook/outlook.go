// Package outlook rates the fire danger of each local day: what the weather
// stations measured, by both methods of package danger, and from that each
// area's level.
//
// A day is rated soon after noon, when FWI is final and HTZ stands for the 24
// hours before, and again after it has ended. Rating again changes nothing that
// has not changed, so a crash, a second process or a day that was missed is
// made good by doing it again.
package outlook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

const (
	leaseName   = "alerts/outlook"
	leaseTTL    = 2 * time.Minute
	lookEvery   = 30 * time.Second
	saveTimeout = 10 * time.Second
	// catchUpDays is how far back missed days are rated: a chain of FWI that begins
	// so long ago has forgotten what it began with, but for its drought code.
	catchUpDays = 30
)

// slots are when a day is rated, after local midnight: the day before, once its
// last readings are here, and the day itself after noon. Both slots rate
// yesterday and today, so that what came late counts.
var slots = [...]time.Duration{20 * time.Minute, noonDue}

// Weather is where what the stations measured is read.
type Weather interface {
	// Weather hands over what all sensors measured in [from, to), by half hours,
	// each once. Both times are at a half hour.
	Weather(ctx context.Context, from, to time.Time, each func(Half) error) error
}

// Options are what an Outlook needs.
type Options struct {
	Roster  alerts.RosterStore
	Danger  alerts.DangerStore
	Weather Weather
	Lease   alerts.LeaseStore // nil: this is the only outlook
	Holder  string            // names this process in the lease
	Nudge   func()            // called after levels have changed; may be nil
	Now     func() time.Time  // nil: time.Now
	Mark    string            // before each note: 【演示】; may be empty
	Log     *zap.Logger
}

// Outlook is the rating role.
type Outlook struct {
	Options

	mu   sync.Mutex
	down error
}

// New checks the options.
func New(o Options) (*Outlook, error) {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Roster", o.Roster == nil},
		{"Danger", o.Danger == nil},
		{"Weather", o.Weather == nil},
		{"Holder", o.Lease != nil && o.Holder == ""},
		{"Log", o.Log == nil},
	} {
		if need.missing {
			return nil, fmt.Errorf("outlook options: %s is missing", need.name)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nudge == nil {
		o.Nudge = func() {}
	}
	return &Outlook{Options: o}, nil
}

// Ready says why the danger is not rated at present, or nil. An outlook that
// stands by while another holds the lease is ready.
func (t *Outlook) Ready() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.down
}

// set notes why nothing is rated, or nil; what is news is logged.
func (t *Outlook) set(err error) {
	t.mu.Lock()
	was := t.down
	t.down = err
	t.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		t.Log.Warn("fire danger is not rated; it is tried again", zap.Error(err))
	case err == nil && was != nil:
		t.Log.Info("fire danger is rated again")
	}
}

// Run rates until ctx ends: at once what was missed, then at each slot. It
// outlives outages of the store and of the weather, and makes good afterwards.
func (t *Outlook) Run(ctx context.Context) error {
	var done time.Time // when the last round that succeeded began
	for ctx.Err() == nil {
		now := t.Now()
		switch held, err := t.acquire(ctx, now); {
		case err != nil:
			t.set(fmt.Errorf("asking for the lease: %w", err))
		case !held:
			t.set(nil)
			done = time.Time{} // whoever takes over looks again
		case !due(done, now):
		default:
			if err := t.Round(ctx); err == nil {
				done = now
				t.set(nil)
			} else if ctx.Err() == nil {
				t.set(err)
			}
		}
		sleep(ctx, lookEvery)
	}
	if t.Lease != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		if err := t.Lease.ReleaseLease(ctx, leaseName, t.Holder); err != nil {
			t.Log.Warn("lease not released; it runs out by itself", zap.Error(err))
		}
	}
	return nil
}

func (t *Outlook) acquire(ctx context.Context, now time.Time) (bool, error) {
	if t.Lease == nil {
		return true, nil
	}
	return t.Lease.AcquireLease(ctx, leaseName, t.Holder, now, leaseTTL)
}

// due reports whether a slot has come since the round that began at done.
func due(done, now time.Time) bool {
	if done.IsZero() {
		return true
	}
	local := now.In(alerts.Zone)
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, alerts.Zone)
	latest := today.Add(slots[len(slots)-1] - 24*time.Hour)
	for _, s := range slots {
		if at := today.Add(s); !now.Before(at) {
			latest = at
		}
	}
	return done.Before(latest)
}

var errLeaseLost = errors.New("another outlook holds the lease")

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
