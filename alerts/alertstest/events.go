package alertstest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"firewatch/alerts"
)

var eventTests = map[string]func(check){
	"EventsComeBackOldestFirstInPages": func(t check) {
		s := t.store
		equal(t, "last of none", lastEvent(t, s), 0)
		evs := []alerts.Event{event(alerts.EventAlert), {At: at(1), Type: alerts.EventSeason}, event(alerts.EventOrder)}
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Events: evs}))
		back := newEvents(t, s, 0)
		for i := range evs {
			evs[i].ID = back[i].ID
			if i > 0 && back[i].ID <= back[i-1].ID {
				t.Errorf("id %d after %d", back[i].ID, back[i-1].ID)
			}
		}
		equal(t, "events", back, evs)
		equal(t, "last", lastEvent(t, s), back[2].ID)
		equal(t, "page", got(s.Events(t.Context(), back[0].ID, 1))(t), evs[1:2])
		equal(t, "after the last", got(s.Events(t.Context(), back[2].ID, 10))(t), nil)
	},
	"LowerIDNeverComesLater": func(t check) {
		s := t.store
		const writers, rounds = 6, 20
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		var done atomic.Int64
		for range writers {
			wg.Go(func() {
				defer done.Add(1)
				for range rounds {
					if err := s.SaveJudged(ctx, alerts.Judged{Events: []alerts.Event{event(alerts.EventAlert), event(alerts.EventAlert)}}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		// A listener that resumes from what it saw last must see everything.
		var after int64
		seen := 0
		for seen < writers*rounds*2 {
			finished := done.Load() == writers // before reading: what was written is there
			evs := got(s.Events(ctx, after, 7))(t)
			for _, e := range evs {
				if e.ID <= after {
					t.Fatalf("id %d after %d", e.ID, after)
				}
				after = e.ID
			}
			seen += len(evs)
			if finished && len(evs) == 0 {
				t.Fatalf("saw %d events of %d", seen, writers*rounds*2)
			}
		}
		wg.Wait()
		equal(t, "last", lastEvent(t, s), after)
	},
}

var auditTests = map[string]func(check){
	"AuditsComeBackNewestFirst": func(t check) {
		s := t.store
		first := alerts.Audit{At: at(1), Actor: "duty", Action: "order.create", Subject: "or-1", Detail: "待命"}
		second := alerts.Audit{At: at(0), Actor: "admin", Action: "session.create"}
		must(t, s.SaveAudit(t.Context(), first))
		must(t, s.SaveAudit(t.Context(), second))
		equal(t, "audits", got(s.Audits(t.Context(), 10))(t), []alerts.Audit{second, first})
		equal(t, "newest", got(s.Audits(t.Context(), 1))(t), []alerts.Audit{second})
	},
}

// LeaseByCallersClock checks a store in which the time that the caller gives
// decides when a lease ends.
func LeaseByCallersClock(t *testing.T, s Store) {
	t.Helper()
	acquire := func(holder string, now time.Time, want bool) {
		t.Helper()
		equal(t, holder+" holds", got(s.AcquireLease(t.Context(), "engine", holder, now, 10*time.Second))(t), want)
	}
	acquire("a", t0, true)
	acquire("b", t0.Add(9*time.Second), false)
	acquire("a", t0.Add(9*time.Second), true)
	acquire("b", t0.Add(18*time.Second), false)
	acquire("b", t0.Add(19*time.Second), true)
	acquire("a", t0.Add(20*time.Second), false)
}

// LeaseByServersClock checks a store in which its own clock decides when a lease
// ends, however wrong the callers' are.
func LeaseByServersClock(t *testing.T, s Store) {
	t.Helper()
	acquire := func(holder string, wrong time.Duration, want bool) {
		t.Helper()
		equal(t, holder+" holds", got(s.AcquireLease(t.Context(), "engine", holder, time.Now().Add(wrong), time.Hour))(t), want)
	}
	acquire("a", -48*time.Hour, true)
	acquire("b", 0, false)
	acquire("b", 48*time.Hour, false)
	acquire("a", 48*time.Hour, true)
	acquire("b", 0, false)
}

var leaseTests = map[string]func(check){
	"LeaseHasOneHolderUntilItExpires": func(t check) {
		s := t.store
		acquire := func(name, holder string, ttl time.Duration) bool {
			t.Helper()
			return got(s.AcquireLease(t.Context(), name, holder, time.Now(), ttl))(t)
		}
		equal(t, "a holds", acquire("engine", "a", time.Hour), true)
		equal(t, "b holds", acquire("engine", "b", time.Hour), false)
		equal(t, "another name", acquire("dispatch", "b", time.Hour), true)
		// The store may go by its own clock, so this one is a real wait.
		const ttl = 150 * time.Millisecond
		begun := time.Now()
		equal(t, "a holds on", acquire("engine", "a", ttl), true)
		for !acquire("engine", "b", time.Hour) {
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("b did not get the lease 20 s after %s had passed", ttl)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if d := time.Since(begun); d < ttl-2*time.Millisecond { // stores keep milliseconds
			t.Errorf("b got the lease of a after %s, before %s had passed", d, ttl)
		}
		equal(t, "a holds still", acquire("engine", "a", time.Hour), false)
	},
	"ReleaseFreesOnlyOnesOwn": func(t check) {
		s := t.store
		equal(t, "a holds", got(s.AcquireLease(t.Context(), "engine", "a", t0, time.Hour))(t), true)
		must(t, s.ReleaseLease(t.Context(), "engine", "b"))
		equal(t, "b holds", got(s.AcquireLease(t.Context(), "engine", "b", t0, time.Hour))(t), false)
		must(t, s.ReleaseLease(t.Context(), "engine", "a"))
		must(t, s.ReleaseLease(t.Context(), "engine", "a"))
		equal(t, "b holds then", got(s.AcquireLease(t.Context(), "engine", "b", t0, time.Hour))(t), true)
	},
	"OneOfManyGetsIt": func(t check) {
		s := t.store
		var wg sync.WaitGroup
		var holders atomic.Int64
		for _, holder := range []string{"a", "b", "c", "d", "e", "f"} {
			wg.Go(func() {
				ok, err := s.AcquireLease(t.Context(), "engine", holder, t0, time.Hour)
				if err != nil {
					t.Error(err)
				}
				if ok {
					holders.Add(1)
				}
			})
		}
		wg.Wait()
		equal(t, "holders", holders.Load(), 1)
	},
}
