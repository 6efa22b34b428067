package v1

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Bounds of asking the history for the newest readings.
const (
	latestFor  = time.Second     // an answer, or a failure, is good for so long
	latestWait = 8 * time.Second // longest question
)

// latest is what the history knew of each device at one time. It is shared and
// never changed. When the history did not answer, why says so in words for
// people and the maps are empty: unknown is not silent, and not alive either.
type latest struct {
	asked time.Time
	// seen is the devices that had ever reported when the history last answered.
	seen       map[contract.DeviceID]bool
	main       map[contract.DeviceID]*contract.Reading // position of a tracker, environment of a sensor
	status     map[contract.DeviceID]*contract.Reading
	quarantine map[contract.DeviceID]ingest.QuarantineCount
	health     map[contract.DeviceID]*ingest.DeviceHealth
	changed    map[contract.DeviceID]time.Time // when the newest reading was first seen here
	why        string
}

// latestCache asks the history once for all who want to know within a second.
type latestCache struct {
	history ingest.History
	now     func() time.Time
	log     *zap.Logger
	flight  singleflight.Group

	epoch string // of this process, in the marks that it gives

	mu   sync.Mutex
	last *latest
	good *latest // the last one that the history answered
}

func (c *latestCache) get(ctx context.Context) (*latest, error) {
	if l := c.fresh(); l != nil {
		return l, nil
	}
	ch := c.flight.DoChan("", func() (any, error) {
		if l := c.fresh(); l != nil {
			return l, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), latestWait)
		defer cancel()
		l, err := c.ask(ctx)
		if err != nil {
			l = &latest{why: historyFault(err)}
		}
		l.asked = c.now()
		c.mu.Lock()
		if err != nil && c.last != nil {
			l.seen = c.last.seen
		}
		if err == nil {
			l.compare(c.good)
			c.good = l
		}
		changed := c.last == nil && l.why != "" || c.last != nil && c.last.why != l.why
		c.last = l
		c.mu.Unlock()
		if changed && err != nil {
			c.log.Warn("history does not answer, devices are listed without readings", zap.Error(err))
		} else if changed {
			c.log.Info("history answers again")
		}
		return l, nil
	})
	select {
	case r := <-ch:
		return r.Val.(*latest), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the newest readings: %w", ctx.Err())
	}
}

func (c *latestCache) fresh() *latest {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return nil
	}
	if age := c.now().Sub(c.last.asked); age < 0 || age >= latestFor {
		return nil
	}
	return c.last
}

// degraded is why the newest readings are missing, or "", as far as is known
// without asking.
func (c *latestCache) degraded() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		return ""
	}
	return c.last.why
}

// ask asks for everything at once. It returns the history's errors as they are,
// for historyFault.
func (c *latestCache) ask(ctx context.Context) (*latest, error) {
	l := &latest{
		seen: map[contract.DeviceID]bool{},
		main: map[contract.DeviceID]*contract.Reading{}, status: map[contract.DeviceID]*contract.Reading{},
		quarantine: map[contract.DeviceID]ingest.QuarantineCount{}, health: map[contract.DeviceID]*ingest.DeviceHealth{},
	}
	classes := []struct {
		class contract.Class
		into  map[contract.DeviceID]*contract.Reading
		found []contract.Reading
	}{
		{class: contract.Position, into: l.main}, {class: contract.Environment, into: l.main}, {class: contract.Status, into: l.status},
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range classes {
		g.Go(func() (err error) {
			classes[i].found, err = c.history.Last(ctx, classes[i].class)
			return err
		})
	}
	var quarantine []ingest.QuarantineCount
	g.Go(func() (err error) {
		quarantine, err = c.history.Quarantine(ctx)
		return err
	})
	var health []ingest.DeviceHealth
	g.Go(func() (err error) {
		health, err = c.history.Health(ctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i := range health {
		l.health[health[i].Device] = &health[i]
	}
	for _, k := range classes {
		for i := range k.found {
			r := &k.found[i]
			l.seen[r.Device] = true
			if old := k.into[r.Device]; old == nil || old.Measured.Before(r.Measured) {
				k.into[r.Device] = r
			}
		}
	}
	for _, q := range quarantine {
		l.quarantine[q.Device] = q
	}
	return l, nil
}

// compare finds out when each device's newest reading was first seen.
func (l *latest) compare(before *latest) {
	l.changed = make(map[contract.DeviceID]time.Time, len(l.seen))
	same := func(a, b *contract.Reading) bool { return a == b || a != nil && b != nil && *a == *b }
	for id := range l.seen {
		l.changed[id] = l.asked
		if before != nil && same(l.main[id], before.main[id]) && same(l.status[id], before.status[id]) {
			if t, known := before.changed[id]; known {
				l.changed[id] = t
			}
		}
	}
}

// historyFault is why the history does not answer, in words that may leave the
// house and fit in a header.
func historyFault(err error) string {
	var throttled *ingest.ThrottledError
	switch {
	case errors.Is(err, ingest.ErrUnauthorized):
		return "credential refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &throttled):
		return "asked to wait"
	case errors.Is(err, ingest.ErrHistoryAway): // its text may be shown
		return strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, err.Error()[:min(len(err.Error()), 200)])
	}
	return "not answering"
}

// When a device is late: in expected intervals, and at least a time, so that one
// lost message is no silence.
const (
	lateFactor, lateMin = 2, 2 * time.Minute
	// unexpectedFor is how long a device that nobody expects counts as online.
	unexpectedFor = 30 * time.Minute
)

// Silence tells when a device of a kind is silent: after so many of its expected
// intervals, and at least a time.
type Silence func(contract.Kind) (factor float64, least time.Duration)

// DefaultSilence follows the sample rule device_silent.
func DefaultSilence(k contract.Kind) (factor float64, least time.Duration) {
	if k == contract.Sensor {
		return 3, 5 * time.Minute
	}
	return 4, 10 * time.Minute
}

// The words of liveness.
const (
	liveOnline  = "online"
	liveLate    = "late"
	liveSilent  = "silent"
	liveNever   = "never_seen"
	liveUnknown = "unknown"
)

// isLiveness reports whether a device that is shown as live is asked for by the
// word: one that is expected and has never reported is as silent as one that
// stopped.
func isLiveness(word, live string, d alerts.Device) bool {
	return word == "" || word == live || word == liveSilent && live == liveNever && d.Expect > 0
}

// liveness says whether a device lives. Only a new measurement of its own proves
// life: not the arrival of old ones, and not what the broker says in its name.
func (l *latest) liveness(d alerts.Device, silence Silence, now time.Time) string {
	if l.why != "" {
		return liveUnknown
	}
	var proof time.Time
	for _, r := range []*contract.Reading{l.main[d.ID], l.status[d.ID]} {
		if r == nil {
			continue
		}
		if online, has := r.Values.Get(contract.Online); has && online == 0 {
			continue
		}
		t := r.Measured
		if r.Received.Before(t) { // the device's clock is ahead
			t = r.Received
		}
		if t.After(proof) {
			proof = t
		}
	}
	factor, least := silence(d.Kind)
	silent := max(time.Duration(factor*float64(d.Expect)), least)
	age := now.Sub(proof)
	switch {
	case proof.IsZero() && l.status[d.ID] == nil:
		return liveNever
	case d.Expect <= 0 && age <= unexpectedFor:
		return liveOnline
	case d.Expect <= 0:
		return liveUnknown
	case age <= min(max(lateFactor*d.Expect, lateMin), silent): // a strict rule leaves no time to be late
		return liveOnline
	case age <= silent:
		return liveLate
	}
	return liveSilent
}
