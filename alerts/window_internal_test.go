package alerts

import (
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
)

// TestWindowsHoldLittleMoreThanCanBeLookedAt: twice the span, for a reading that is
// late by the span has its window too, and a little, which goes at a time.
func TestWindowsHoldLittleMoreThanCanBeLookedAt(t *testing.T) {
	const every = 30 * time.Second
	needed := int(2 * WindowSpan / every)
	most := needed + needed/12 + 8
	set, err := ParseRules(DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	series, w := NewSeries(set.Series()), Window{}
	begin := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	for i := range 2000 {
		at := begin.Add(time.Duration(i) * every)
		r := contract.Reading{Measured: at, Received: at, Seq: uint64(i), HasSeq: true}
		r.Values.Set(contract.TempC, float64(i%7))
		r.Values.Set(contract.Lat, float64(i%5))
		s, ok := newSample(&r)
		if _, _, fresh := w.insert(s); !ok || !fresh {
			t.Fatalf("reading %d is not taken", i)
		}
		series.Add(&r)
		for what, n := range map[string][2]int{
			"fire":  {len(w.live), cap(w.live)},
			"temp":  {len(series.ring(contract.TempC).live.points), cap(series.ring(contract.TempC).live.points)},
			"place": {len(series.ring(contract.Lat).live.points), cap(series.ring(contract.Lat).live.points)},
		} {
			if n[1] > most || n[0] < min(i+1, needed) {
				t.Fatalf("after %d readings the window of %s holds %d with room for %d; want %d to %d", i+1, what, n[0], n[1], needed, most)
			}
		}
		if got := series.over(contract.TempC, at.Add(-WindowSpan).UnixMilli()+1, WindowSpan.Milliseconds()).count; i >= needed && got != needed/2 {
			t.Fatalf("after %d readings the window of one that is late by the span has %d values, want %d", i+1, got, needed/2)
		}
	}
}

// TestReplanKeepsWhatBothPlansLookAt: series have places for the fields of the plan
// only.
func TestReplanKeepsWhatBothPlansLookAt(t *testing.T) {
	plan := func(fields ...contract.Field) *SeriesPlan {
		p := &SeriesPlan{}
		for _, f := range fields {
			p.span[f], p.wanted = time.Hour, p.wanted|1<<f
		}
		return p
	}
	at := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	r := contract.Reading{Measured: at, Received: at}
	all := []contract.Field{contract.Lat, contract.TempC, contract.CoPPM, contract.Moving}
	for i, f := range all {
		r.Values.Set(f, float64(i+1))
	}
	s := NewSeries(plan(contract.TempC, contract.Lat, contract.Moving))
	s.Add(&r)
	s.Replan(plan(contract.Moving, contract.CoPPM, contract.TempC))
	for _, tt := range []struct {
		f    contract.Field
		want float64
	}{{contract.Lat, 0}, {contract.TempC, 2}, {contract.CoPPM, 0}, {contract.Moving, 4}} {
		x, ok := s.Latest(tt.f, at, time.Minute)
		if ok != (tt.want != 0) || ok && x != tt.want {
			t.Errorf("%s: got %v, %t, want %v", tt.f, x, ok, tt.want)
		}
	}
	s.Add(&r)
	if x, ok := s.Latest(contract.CoPPM, at, time.Minute); !ok || x != 3 {
		t.Errorf("what is new to the plan: got %v, %t", x, ok)
	}
}
