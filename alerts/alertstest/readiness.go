package alertstest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
)

func newReadiness(area string) alerts.Readiness {
	return alerts.Readiness{
		Area: area, Posture: alerts.PostureStandby, Since: at(-60), By: "zhang", Word: "经会商",
		Proposed: alerts.PostureCombatReady, ProposedAt: at(0), Reasons: []string{"森林火险橙色预警生效", "高火险期"},
		Inputs: alerts.Surroundings{
			Season: alerts.HighDanger, SeasonUnknown: true, Warning: alerts.Orange, WarningEvent: "森林火险", WarnUnknown: true,
			Danger: 4, DangerHeld: true, DryDays: -1, Special: "清明",
		},
		Version: "shipped-1", Open: true, Easing: alerts.PostureDefence, EasingSince: at(5),
		Order: alerts.OrderKey{Issuer: "zhang", Key: "k1:standby"},
	}
}

// saved is the row as it comes back from its save.
func saved(r alerts.Readiness, minutes int) alerts.Readiness {
	r.Revision, r.Updated = r.Revision+1, at(minutes)
	return r
}

func saveReadiness(tb testing.TB, s Store, minutes int, rs ...alerts.Readiness) {
	tb.Helper()
	must(tb, s.SaveReadiness(tb.Context(), rs, at(minutes), []alerts.Event{event(alerts.EventReadiness)}))
}

var readinessTests = map[string]func(check){
	"ReadinessComesBackByArea": func(t check) {
		s := t.store
		equal(t, "none", len(got(s.Readiness(t.Context()))(t)), 0)
		a, b := newReadiness("130633101"), newReadiness("130633100")
		b.Reasons, b.Easing, b.Inputs, b.Open = nil, 0, alerts.Surroundings{}, false
		b.EasingSince = time.Time{}
		saveReadiness(t, s, 1, a, b)
		equal(t, "rows", got(s.Readiness(t.Context()))(t), []alerts.Readiness{saved(b, 1), saved(a, 1)})
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"EachSaveIsInTheHistory": func(t check) {
		s := t.store
		r := newReadiness("130633100")
		saveReadiness(t, s, 1, r)
		first := saved(r, 1)
		next := first
		next.Posture, next.By, next.Word, next.Open = alerts.PostureCombatReady, "li", "", false
		saveReadiness(t, s, 2, next)
		equal(t, "row", got(s.Readiness(t.Context()))(t), []alerts.Readiness{saved(next, 2)})
		equal(t, "history", got(s.ReadinessHistory(t.Context(), r.Area, 10))(t), []alerts.Readiness{saved(next, 2), first})
		equal(t, "newest", got(s.ReadinessHistory(t.Context(), r.Area, 1))(t), []alerts.Readiness{saved(next, 2)})
		equal(t, "of another area", len(got(s.ReadinessHistory(t.Context(), "130633", 10))(t)), 0)
	},
	"ChangeOfAnOldRowConflictsAndSavesNothing": func(t check) {
		s := t.store
		a, b := newReadiness("130633100"), newReadiness("130633101")
		saveReadiness(t, s, 1, a)
		for _, rs := range [][]alerts.Readiness{{b, a}, {b, saved(saved(a, 1), 2)}, {saved(b, 1)}} {
			if err := s.SaveReadiness(t.Context(), rs, at(2), []alerts.Event{event(alerts.EventReadiness)}); !errors.Is(err, alerts.ErrConflict) {
				t.Errorf("%v, want ErrConflict", err)
			}
		}
		equal(t, "rows", got(s.Readiness(t.Context()))(t), []alerts.Readiness{saved(a, 1)})
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"OfManyWhoChangeOneRowOneWins": func(t check) {
		s := t.store
		for round, start := range [][]alerts.Readiness{nil, {newReadiness("130633101")}} {
			r := newReadiness(fmt.Sprint("13063310", round))
			if start != nil {
				saveReadiness(t, s, 1, r)
				r = saved(r, 1)
			}
			var wg sync.WaitGroup
			var mu sync.Mutex
			won := 0
			for i := range 6 {
				wg.Go(func() {
					mine := r
					mine.By = fmt.Sprint("user", i)
					err := s.SaveReadiness(t.Context(), []alerts.Readiness{mine}, at(2), nil)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
					case !errors.Is(err, alerts.ErrConflict):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			equal(t, "won", won, 1)
		}
	},
}
