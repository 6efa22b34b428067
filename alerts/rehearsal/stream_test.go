package rehearsal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts/rehearsal"
	contract "firewatch/firmware-contracts"
)

var noon = time.Date(2026, 3, 17, 4, 0, 0, 0, time.UTC)

// given yields readings of one device: pairs of minutes measured and received.
func given(id contract.DeviceID, pairs ...int) rehearsal.Stream {
	return func(context.Context) (x contract.Reading, ok bool, err error) {
		if len(pairs) == 0 {
			return x, false, nil
		}
		x = contract.Reading{
			Device: id, Kind: contract.Sensor, Class: contract.Environment,
			Measured: noon.Add(time.Duration(pairs[0]) * time.Minute), Received: noon.Add(time.Duration(pairs[1]) * time.Minute),
		}
		pairs = pairs[2:]
		return x, true, nil
	}
}

func TestMergeIsInOrderOfReceipt(t *testing.T) {
	in := rehearsal.Merge(
		given("A", 0, 0, 1, 90, 2, 90, 3, 3, 100, 100), // two came late
		given("B", 0, 1, 2, 2, 95, 95),
		given("C"),
	)
	var got []string
	last := time.Time{}
	for {
		x, ok, err := in(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if x.Received.Before(last) {
			t.Errorf("%s comes after %s", x.Received, last)
		}
		last = x.Received
		got = append(got, fmt.Sprintf("%s%d", x.Device, int(x.Measured.Sub(noon).Minutes())))
	}
	if want := []string{"A0", "B0", "B2", "A3", "A1", "A2", "B95", "A100"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAFaultOfAStreamEndsTheRun(t *testing.T) {
	broken := errors.New("broken")
	in := func(context.Context) (contract.Reading, bool, error) { return contract.Reading{}, false, broken }
	r, err := rehearsal.New(t.Context(), rehearsal.Options{Rules: shippedSet(t, smallRules), World: rehearsal.World{Roster: oneSensor()}, Start: noon})
	if err != nil {
		t.Fatal(err)
	}
	if err := rehearsal.RunAll(t.Context(), in, noon.Add(time.Hour), r); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rehearsal.RunAll(ctx, given("S1", 0, 0), noon.Add(time.Hour), r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

const smallRules = `version: small
effective: 2026-01-01
rules:
  - name: battery_low
    type: battery_low
    severity: notice
    battery: {below_pct: 15, clear_pct: 25}
`

func TestParseValues(t *testing.T) {
	nan := math.NaN()
	for text, want := range map[string][]float64{
		"":             nil,
		"1":            {1},
		"1 2.5 -3":     {1, 2.5, -3},
		"1x3":          {1, 1, 1, 1},
		"1+2x3":        {1, 3, 5, 7},
		"1-2x3":        {1, -1, -3, -5},
		"-1-2x1":       {-1, -3},
		"0.1+0.2x2":    {0.1, 0.3, 0.5},
		"1e2+1e1x1":    {100, 110},
		"_":            {nan},
		"1 _x2 3x0":    {1, nan, nan, 3},
		"  1\n  +2x1 ": {1, 2, 2},
	} {
		got, err := rehearsal.ParseValues(text)
		same := len(got) == len(want)
		for i := range got {
			same = same && (got[i] == want[i] || got[i] != got[i] && want[i] != want[i])
		}
		if err != nil || !same {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "1x", "1x-1", "1+2", "1+x3", "one", "NaN", "Inf", "_+1x2", "1x100001", "1x99999 1x99999", "1e300"} {
		if got, err := rehearsal.ParseValues(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func FuzzParseValues(f *testing.F) {
	for _, s := range []string{"1+2x3", "_x4 1", "1e9-1x2", "0.1x3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		xs, err := rehearsal.ParseValues(text)
		if err == nil && len(xs) > 100_000 {
			t.Errorf("%d values", len(xs))
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add("device,time,co_ppm\nS1,2026-03-17 08:00,1\n")
	f.Add("time,device,received,class,kind,code,text,lat,lon\n2026-03-17T08:00:00Z,W1,,sos,tracker,fall,help,39,115\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := rehearsal.NewCSVReader("x", strings.NewReader(text), func(contract.DeviceID) (contract.Kind, bool) { return 0, false })
		if err != nil {
			return
		}
		for {
			x, ok, err := r.Next(t.Context())
			if err != nil || !ok {
				return
			}
			if x.Measured.IsZero() || x.Received.IsZero() || contract.Uplink(x.Kind, x.Class, x.Device) == "" {
				t.Fatalf("%+v", x)
			}
		}
	})
}

func FuzzScript(f *testing.F) {
	f.Add(`rules: [shipped]
devices: [{id: S1}]
tests:
  - name: a
    seasons: [{kind: closure}]
    series: [{device: S1, temp_c: 1+1x3, delay: 2m}]
    expect: [{at: 3m, alerts: [], orders: [], held: []}]
`)
	set := shippedSet(f, smallRules)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := rehearsal.ParseScript("x", []byte(text), nil, set)
		if err == nil && len(s.Tests) == 0 {
			t.Error("no tests, and no fault")
		}
	})
}
