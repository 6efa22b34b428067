package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"firewatch/alerts"
	"firewatch/alerts/engine"
	contract "firewatch/firmware-contracts"
)

// history is a Past in memory.
type history struct {
	mu       sync.Mutex
	readings []contract.Reading
	away     error
	asked    []alerts.PastQuery
}

func (h *history) store(rs ...contract.Reading) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readings = append(h.readings, rs...)
}

func (h *history) setAway(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = err
}

func (h *history) Readings(_ context.Context, q alerts.PastQuery, each func([]contract.Reading) error) error {
	h.mu.Lock()
	h.asked = append(h.asked, q)
	away := h.away
	var out []contract.Reading
	for _, r := range h.readings {
		call := r.Class == contract.SOS || r.Class == contract.Report
		if r.Measured.Before(q.From) || !r.Measured.Before(q.To) || q.Calls && !call ||
			!q.ReceivedTo.IsZero() && (r.Received.Before(q.ReceivedFrom) || !r.Received.Before(q.ReceivedTo)) {
			continue
		}
		out = append(out, r)
	}
	h.mu.Unlock()
	if away != nil {
		return away
	}
	slices.SortStableFunc(out, func(x, y contract.Reading) int { return x.Measured.Compare(y.Measured) })
	for i := range out {
		if err := each([]contract.Reading{out[i]}); err != nil {
			return err
		}
	}
	return nil
}

// looksBack has the engine look at a history, which it returns.
func (w *world) looksBack(apart bool) *history {
	h := &history{}
	before := w.tune
	w.tune = func(o *engine.Options) {
		if before != nil {
			before(o)
		}
		o.Past, o.Apart = h, apart
	}
	return h
}

// of are the alerts of one rule.
func (w *world) of(rule string) []alerts.Alert {
	return slices.DeleteFunc(w.alerts(), func(a alerts.Alert) bool { return a.Rule != rule })
}

// sos is a call for help that was measured and received so long ago.
func (w *world) sos(ago, received time.Duration) contract.Reading {
	r := w.reading("T1", contract.SOS, ago, nil)
	r.Received = time.Now().Add(-received)
	return r
}

// Traccar tells nobody about an event over 15 min old.
func TestABufferedSOSIsNotSilent(t *testing.T) {
	for name, x := range map[string]struct {
		apart         bool
		ago, received time.Duration
	}{
		"received by another process while we were down": {false, 95 * time.Minute, 94 * time.Minute},
		"pressed out of reach, hours before":             {true, 7 * time.Hour, 90 * time.Minute},
		"just before the start":                          {true, 2 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				h := w.looksBack(x.apart)
				w.run()
				w.sees("S1", values{smoke: 0.1})
				w.pass(time.Minute)
				w.stop()
				w.pass(95 * time.Minute)
				call := w.sos(x.ago, x.received)
				h.store(call)
				w.run()
				w.pass(4 * time.Second)
				as := w.of("sos")
				if len(as) != 1 {
					t.Fatalf("%d alerts of the call that was missed", len(as))
				}
				a := as[0]
				if a.State != alerts.Firing || a.Severity != alerts.Red || !a.Measured.Equal(call.Measured) || a.Hush.Hushed() {
					t.Errorf("alert %+v", a)
				}
				if x.ago > time.Minute {
					if a.Explain.Outcome != alerts.LateActionable || a.Late < x.ago {
						t.Errorf("late %s, outcome %q", a.Late, a.Explain.Outcome)
					}
					if !strings.Contains(a.Summary, "前（") {
						t.Errorf("the summary does not tell its age: %s", a.Summary)
					}
				}
				if !slices.ContainsFunc(a.Reasons, func(r string) bool { return strings.HasSuffix(r, "从历史补判") }) {
					t.Errorf("reasons %q", a.Reasons)
				}
				evs, err := w.mem.Events(t.Context(), 0, 1000)
				if err != nil || !slices.ContainsFunc(evs, func(e alerts.Event) bool {
					return e.Type == alerts.EventAlert && strings.Contains(string(e.Data), a.ID)
				}) {
					t.Errorf("nobody was notified: %v, %v", evs, err)
				}
				w.pass(10 * time.Second)
				note := w.of("catch_up")
				if len(note) != 1 || note[0].State != alerts.Firing || note[0].Severity != alerts.Notice || note[0].Area != "130600" {
					t.Fatalf("notices %+v", note)
				}
				if want := "已从历史补判 1 条，发现 1 起告警，其中 1 起仍需处置"; !strings.Contains(note[0].Summary, want) {
					t.Errorf("notice %q, want %q", note[0].Summary, want)
				}
				if err := w.engine.Note(); err == nil || err.Error() != note[0].Summary {
					t.Errorf("note %v", err)
				}
				// It is looked at again later, and again after a restart: once is enough.
				before := w.told()
				w.pass(20 * time.Minute)
				w.stop()
				w.run()
				w.pass(10 * time.Minute)
				if diff := cmp.Diff(before, w.told()); diff != "" {
					t.Errorf("told again:\n%s", diff)
				}
				w.pass(2 * time.Hour)
				if note := w.of("catch_up"); note[0].State != alerts.Resolved || w.engine.Note() != nil {
					t.Errorf("hours later: %+v, %v", note, w.engine.Note())
				}
			})
		})
	}
}

func TestWindowsAreFilledFromHistory(t *testing.T) {
	for name, x := range map[string]struct {
		history bool
		want    int
	}{"with history": {true, 1}, "without": {false, 0}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				h := &history{}
				if x.history {
					h = w.looksBack(false)
				}
				w.run()
				for _, wait := range []time.Duration{8 * time.Minute, 10 * time.Second} {
					r := w.reading("S1", contract.Environment, 0, values{smoke: 3})
					h.store(r)
					w.feed.add(r)
					w.pass(wait)
				}
				w.stop()
				w.feed = newFeed() // the journal was removed
				w.feed.name = "another"
				w.run()
				w.pass(15 * time.Second)
				if n := len(w.of("sensor_fire")); n != 0 {
					t.Fatalf("%d fires of two readings", n)
				}
				w.sees("S1", values{smoke: 3})
				if as := w.of("sensor_fire"); len(as) != x.want {
					t.Errorf("%d fires, want %d", len(as), x.want)
				}
				if n := len(w.of("catch_up")); n != 0 {
					t.Errorf("%d notices although nothing was missed", n)
				}
			})
		})
	}
}

func TestMissedReadingsAreJudgedOnceAndAtTheirOwnTime(t *testing.T) {
	inBubble(t, func(w *world) {
		h := w.looksBack(true)
		w.run()
		for range 4 { // a fire that was judged as it came
			r := w.reading("S2", contract.Environment, 0, values{smoke: 20, co: 90})
			h.store(r)
			w.feed.add(r)
			w.pass(30 * time.Second)
		}
		w.stop()
		w.pass(25 * time.Hour) // S1 saw a fire, most of which is too long ago to call people
		for i, ago := range []time.Duration{24*time.Hour + 50*time.Minute, 36 * time.Hour, 65 * time.Minute, 64 * time.Minute} {
			r := w.reading("S1", contract.Environment, ago, values{smoke: 20, co: 90})
			r.Received = time.Now().Add(-ago)
			if i < 2 {
				r.Received = time.Now().Add(-23 * time.Hour)
			}
			h.store(r)
		}
		both := w.reading("T1", contract.SOS, time.Minute, nil) // the broker kept this one for us
		h.store(both)
		w.feed.add(both)
		before := w.of("sensor_fire")
		w.run()
		w.pass(30 * time.Second)
		if len(before) != 1 {
			t.Fatalf("%d fires before", len(before))
		}
		var states []string
		for _, a := range w.of("sensor_fire") {
			if a.Device == "S1" {
				states = append(states, string(a.State)+" "+string(a.Explain.Outcome))
			}
		}
		slices.Sort(states)
		want := []string{"firing " + string(alerts.LateActionable), "resolved " + string(alerts.LateRecord)}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("fires of S1:\n%s", diff)
		}
		if n := len(w.of("sos")); n != 1 {
			t.Errorf("%d alerts of a call that the feed brought too", n)
		}
		note := w.of("catch_up")
		if len(note) != 1 || !strings.Contains(note[0].Summary, "补判 3 条，发现 2 起告警，其中 1 起仍需处置；") || !strings.HasSuffix(note[0].Summary, "的过早，未判读") {
			t.Errorf("notice %+v", note)
		}
		for _, o := range w.orders() {
			if a, err := w.mem.Alert(t.Context(), o.Alert); err != nil || a.Device != "S2" {
				t.Errorf("order %+v of what is over an hour ago", o)
			}
		}
	})
}

func TestHistoryThatIsAwayKeepsNothingFromBeingJudged(t *testing.T) {
	inBubble(t, func(w *world) {
		h := w.looksBack(false)
		w.run()
		w.sees("S1", values{smoke: 0.1})
		w.pass(time.Minute)
		w.stop()
		w.pass(time.Hour)
		h.store(w.sos(31*time.Minute, 30*time.Minute))
		h.setAway(errors.New("connection refused"))
		w.run()
		w.pass(10 * time.Second)
		if err := w.engine.Note(); err == nil || !strings.Contains(err.Error(), "尚未全部判读") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("note %v", err)
		}
		if err := w.engine.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		w.sees("S1", values{smoke: 20, co: 90}) // live judging goes on
		if n := len(w.of("sensor_fire")); n != 1 {
			t.Fatalf("%d fires while history is away", n)
		}
		w.pass(2 * time.Minute)
		if note := w.of("catch_up"); len(note) != 1 || note[0].State != alerts.Firing {
			t.Fatalf("people are not told: %+v", note)
		}
		w.stop() // what is owed outlives a restart
		w.run()
		w.pass(5 * time.Minute)
		h.setAway(nil)
		w.pass(2 * time.Minute)
		if n := len(w.of("sos")); n != 1 {
			t.Fatalf("%d calls once history is back", n)
		}
		note := w.of("catch_up")
		if len(note) != 1 || !strings.Contains(note[0].Summary, "补判 1 条") {
			t.Errorf("notices %+v", note)
		}
		// What ingest stores only now was received then all the same.
		h.store(w.sos(2*time.Hour, 35*time.Minute))
		w.pass(15 * time.Minute)
		if n := len(w.of("sos")); n != 2 {
			t.Errorf("%d calls, want the one too that was stored later", n)
		}
		asked := len(h.asked)
		w.pass(3 * time.Hour)
		if n := len(h.asked) - asked; n != 0 {
			t.Errorf("asked %d times more although nothing is owed", n)
		}
	})
}

func TestHistoryThatStaysAwayIsToldAndGivenUp(t *testing.T) {
	inBubble(t, func(w *world) {
		h := w.looksBack(false)
		w.run()
		w.sees("S1", values{smoke: 0.1})
		w.pass(time.Minute)
		w.stop()
		w.pass(time.Hour)
		h.setAway(errors.New("connection refused"))
		w.run()
		w.pass(time.Minute)
		w.stop()
		w.pass(25 * time.Hour)
		w.run()
		w.pass(10 * time.Second)
		note := w.of("catch_up")
		if len(note) != 1 || note[0].State != alerts.Firing || !strings.Contains(note[0].Summary, "始终未能判读") {
			t.Errorf("notices %+v", note)
		}
	})
}

func TestWhatTheBrokerLostIsFoundByComparing(t *testing.T) {
	inBubble(t, func(w *world) {
		h := w.looksBack(true)
		w.run()
		w.pass(time.Minute)
		lost := func() {
			for i := range 30 {
				r := w.reading("S1", contract.Environment, 0, values{smoke: 0.1})
				h.store(r)
				if i != 7 {
					w.feed.add(r)
				}
				w.pass(10 * time.Second)
			}
		}
		lost()
		h.store(w.sos(time.Second, 0))
		lost()
		w.pass(6 * time.Minute)
		if n := len(w.of("sos")); n != 1 {
			t.Fatalf("%d calls, want the one that the broker lost", n)
		}
		note := w.of("catch_up")
		if len(note) != 1 || !strings.Contains(note[0].Summary, "补判 3 条，发现 1 起告警，其中 1 起仍需处置") {
			t.Errorf("notices %+v", note)
		}
		late := w.reading("T1", contract.SOS, 3*time.Hour, nil) // of hours ago
		h.store(late)
		w.pass(70 * time.Minute)
		if n := len(w.of("sos")); n != 2 {
			t.Errorf("%d calls, want the late one too", n)
		}
	})
}
