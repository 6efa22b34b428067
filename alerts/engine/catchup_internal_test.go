package engine

import (
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
)

// The plan covers its time without a hole, and asks for everything only where
// windows are filled.
func TestThePlanOfALookHasNoHoles(t *testing.T) {
	now := time.Date(2026, 4, 4, 12, 0, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		look  look
		reach time.Duration
		most  int // questions
	}{
		"ten minutes, wide": {look{gaps: []*gap{{}}, from: now.Add(-10 * time.Minute), until: now}, lateReach, 13},
		"near":              {look{gaps: []*gap{{}}, from: now.Add(-15 * time.Minute), until: now}, nearReach, 6},
		"with windows to fill": {look{
			gaps: []*gap{{}}, from: now.Add(-time.Hour), until: now,
			observe: [2]period{{now.Add(-24 * time.Hour), now}, {now.Add(-90 * time.Minute), now.Add(-time.Hour)}},
		}, lateReach, 147},
		"windows alone": {look{from: now.Add(-followMargin), until: now, observe: [2]period{{now.Add(-30 * time.Minute), now}, {}}}, 0, 5},
	} {
		l := x.look
		l.ask(x.reach)
		plan := l.plan
		if len(l.gaps) > 0 {
			if !plan[0].Calls || plan[0].From.After(l.from.Add(-callsReach)) {
				t.Errorf("%s: SOS do not come first: %+v", name, plan[0])
			}
			plan = plan[1:]
		}
		at := plan[0].From
		if at.After(l.from.Add(-x.reach)) || !l.observe[0].from.IsZero() && at.After(l.observe[0].from) {
			t.Errorf("%s: begins at %s", name, at)
		}
		for _, q := range plan {
			if !q.From.Equal(at) || !q.To.After(q.From) {
				t.Fatalf("%s: after %s comes %+v", name, at, q)
			}
			if all := q.ReceivedTo.IsZero(); all != l.observes(period{q.From, q.To}) || all && q.To.Sub(q.From) > pastSlice {
				t.Errorf("%s: asks for all: %v in %+v", name, all, q)
			}
			at = q.To
		}
		if !at.Equal(now.Add(contract.MaxAhead)) || len(plan) > x.most {
			t.Errorf("%s: ends at %s after %d questions", name, at, len(plan))
		}
	}
}

func TestSeenKnowsAReadingHoweverItComes(t *testing.T) {
	now := time.Date(2026, 4, 4, 12, 0, 0, 0, time.UTC)
	s := newSeen(now)
	one := contract.Reading{Device: "S1", Class: contract.Environment, Measured: now, Received: now, Seq: 7, HasSeq: true}
	uncounted := one
	uncounted.Seq, uncounted.HasSeq = 0, false
	uncounted.Values.Set(contract.TempC, 20)
	s.add(now, &one)
	s.add(now, &uncounted)
	for name, x := range map[string]struct {
		base contract.Reading
		edit func(*contract.Reading)
		want bool
	}{
		"again":               {one, func(r *contract.Reading) { r.Received = now.Add(time.Hour) }, true},
		"another number":      {one, func(r *contract.Reading) { r.Seq = 8 }, false},
		"another class":       {one, func(r *contract.Reading) { r.Class = contract.Status }, false},
		"another device":      {one, func(r *contract.Reading) { r.Device = "S2" }, false},
		"another time":        {one, func(r *contract.Reading) { r.Measured = now.Add(time.Millisecond) }, false},
		"uncounted, again":    {uncounted, func(*contract.Reading) {}, true},
		"uncounted, another":  {uncounted, func(r *contract.Reading) { r.Values.Set(contract.TempC, 21) }, false},
		"uncounted, and more": {uncounted, func(r *contract.Reading) { r.Values.Set(contract.RhPct, 21) }, false},
	} {
		r := x.base
		x.edit(&r)
		if got := s.has(&r); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	s.most = 100
	for i := range 2*s.most + 10 {
		r := one
		r.Seq = uint64(i + 100)
		s.add(now.Add(time.Duration(i)*time.Millisecond), &r)
	}
	if n := len(s.now) + len(s.was); n > 2*s.most {
		t.Errorf("remembers %d", n)
	}
	if s.has(&one) || !s.whole.After(now) {
		t.Errorf("what is forgotten is told: whole since %s", s.whole)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
