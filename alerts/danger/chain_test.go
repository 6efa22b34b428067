package danger

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var chainOptions = ChainOptions{Latitude: 39}

func mustNext(t *testing.T, c FWIChain, day Date, in Noon) (FWIDay, FWIChain) {
	t.Helper()
	d, next, err := c.Next(day, in, chainOptions)
	if err != nil {
		t.Fatal(err)
	}
	return d, next
}

func TestGapsAreBridgedOrRestartedAndSaid(t *testing.T) {
	day := NewDate(2026, time.March, 31)
	wet := Noon{TempC: 15, RHPct: 40, WindKMH: 20, RainMM: 12}
	in := Noon{TempC: 18, RHPct: 30, WindKMH: 15}
	first, c := mustNext(t, FWIChain{}, day, wet)
	if first.Link != LinkStart || first.Note() != "" {
		t.Errorf("%+v", first)
	}
	next, _ := mustNext(t, c, day+1, in)
	if next.Link != LinkNext || next.Gap != 0 || next.Note() != "" {
		t.Errorf("%+v", next)
	}
	// Two days are missing: they are the last weather without its rain, each in its
	// own month.
	bridged, after := mustNext(t, c, day+3, in)
	held := wet
	held.RainMM = 0
	_, by := mustNext(t, c, day+1, held)
	_, by = mustNext(t, by, day+2, held)
	byHand, _ := mustNext(t, by, day+3, in)
	if bridged.Link != LinkBridged || bridged.Gap != 2 || bridged.Note() == "" || bridged.Rating != byHand.Rating || after.Days != 4 {
		t.Errorf("%+v, by hand %+v", bridged, byHand)
	}
	// Three are too many.
	restarted, after := mustNext(t, c, day+4, in)
	anew, _ := mustNext(t, FWIChain{}, day+4, in)
	if restarted.Link != LinkRestarted || restarted.Gap != 3 || restarted.Note() == "" || restarted.Rating != anew.Rating || after.Days != 1 {
		t.Errorf("%+v, anew %+v", restarted, anew)
	}
}

func TestChainStartsFromTheCodesThatItIsGiven(t *testing.T) {
	o := chainOptions
	o.Start = &Codes{FFMC: 60, DMC: 2, DC: 300}
	in := Noon{TempC: 18, RHPct: 30, WindKMH: 15}
	day := NewDate(2026, time.May, 1)
	got, c, err := FWIChain{}.Next(day, in, o)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Next(*o.Start, in, Options{Latitude: 39, Month: time.May})
	if err != nil || got.Rating != want {
		t.Errorf("%+v, want %+v, %v", got.Rating, want, err)
	}
	got, _, err = c.Next(day+30, in, o)
	if err != nil || got.Link != LinkRestarted || got.Rating != want {
		t.Errorf("restarted: %+v, want %+v, %v", got, want, err)
	}
}

func TestChainRefusesWhatIsNotLaterAndKeepsItsState(t *testing.T) {
	day := NewDate(2026, time.May, 1)
	_, c := mustNext(t, FWIChain{}, day, Noon{RHPct: 40})
	for _, tt := range []struct {
		field string
		day   Date
		in    Noon
	}{{"date", day, Noon{RHPct: 40}}, {"date", day - 1, Noon{RHPct: 40}}, {"rh_pct", day + 2, Noon{RHPct: 140}}} {
		_, after, err := c.Next(tt.day, tt.in, chainOptions)
		var in *InputError
		if !errors.As(err, &in) || in.Field != tt.field || after != c {
			t.Errorf("want %s named and nothing changed: %v, %+v", tt.field, err, after)
		}
	}
	_, h, err := HTZChain{}.Next(day, HTZDay{})
	if err != nil {
		t.Fatal(err)
	}
	_, after, err := h.Next(day, HTZDay{})
	if err == nil || after != h {
		t.Errorf("%v, %+v", err, after)
	}
}

func TestHTZChainRemembersRainOverAGap(t *testing.T) {
	day := NewDate(2026, time.March, 10)
	rain := HTZDay{TempMaxC: 22, RHMinPct: 25, RainMM: 3, WindMaxMS: 9}
	dry := rain
	dry.RainMM = 0
	_, c, err := HTZChain{}.Next(day, rain)
	if err != nil {
		t.Fatal(err)
	}
	for gap, want := range map[int]struct {
		link     Link
		c, days  int
		degraded bool
	}{
		0:                 {LinkNext, 10, 1, false},
		3:                 {LinkBridged, 25, 4, true},
		HTZBridgeDays:     {LinkBridged, 50, 11, true},
		HTZBridgeDays + 1: {LinkRestarted, 50, -1, true},
		400:               {LinkRestarted, 50, -1, true},
	} {
		got, next, err := c.Next(day+Date(gap)+1, dry)
		if err != nil || got.Link != want.link || got.Gap != gap || got.C != want.c || got.Degraded != want.degraded || next.Rain.DryDays() != want.days {
			t.Errorf("gap of %d: %+v, %+v, %v", gap, got, next, err)
		}
	}
}

func TestAChainGoesOnFromJSON(t *testing.T) {
	day := NewDate(2026, time.March, 10)
	_, c := mustNext(t, FWIChain{}, day, Noon{TempC: 11.3, RHPct: 33.3, WindKMH: 7, RainMM: 0.7})
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back FWIChain
	if err := json.Unmarshal(raw, &back); err != nil || back != c {
		t.Errorf("%s: %+v, %v; want %+v", raw, back, err, c)
	}
	if back.Day.String() != "2026-03-10" {
		t.Errorf("%s", raw)
	}
}

func TestDates(t *testing.T) {
	for _, bad := range []string{"", "2026-3-14", "2026-02-29", "26-03-14", "2026/03/14", "2026-03-14T00:00:00Z", "0000-01-01", "9999-01-01", " 2026-03-14"} {
		var in *InputError
		if _, err := ParseDate(bad); !errors.As(err, &in) || in.Field != "date" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := Date(rapid.Int32Range(-60000, 300000).Draw(t, "day"))
		back, err := ParseDate(d.String())
		if err != nil || back != d {
			t.Fatalf("%d: %s, %d, %v", d, d, back, err)
		}
	})
	// The day is the one that the clock on the wall shows.
	beijing := time.FixedZone("", 8*3600)
	if d := DateOf(time.Date(2026, 3, 14, 1, 0, 0, 0, beijing)); d.String() != "2026-03-14" || d.Month() != time.March {
		t.Errorf("%s", d)
	}
	if d := NewDate(1969, time.December, 31); d != -1 {
		t.Errorf("%d", d)
	}
}
