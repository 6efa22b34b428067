package influx_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

func policies(t *testing.T, db string) string {
	t.Helper()
	return say(t, http.MethodGet, "/query", url.Values{"q": {`SHOW RETENTION POLICIES ON "` + db + `"`}}, "")
}

func TestSetupMakesThreePolicies(t *testing.T) {
	client(t, influx.Options{Database: "three", Keep: 90 * 24 * time.Hour, KeepTenMinutes: 2 * 365 * 24 * time.Hour})
	for _, want := range []string{
		`["autogen","2160h0m0s","168h0m0s",1,true]`, `["m10","17520h0m0s","672h0m0s",1,false]`, `["daily","0s","8736h0m0s",1,false]`,
	} {
		if got := policies(t, "three"); !strings.Contains(got, want) {
			t.Errorf("want %s in %s", want, got)
		}
	}
}

// TestNothingIsDeletedBeforeItIsSummedUp: a database that kept readings for ever
// is given 90 days.
func TestNothingIsDeletedBeforeItIsSummedUp(t *testing.T) {
	c := client(t, influx.Options{Database: "shorter"})
	old := day.Add(-200 * 24 * time.Hour)
	mustWrite(t, c, weather("s-1", old, 1), sos("w-1", old))
	c = client(t, influx.Options{Database: "shorter", Keep: 90 * 24 * time.Hour})
	if got := policies(t, "shorter"); strings.Contains(got, "2160h") {
		t.Fatalf("shortened with readings that are not summed up: %s", got)
	}
	ask := ingest.WindowQuery{Device: "s-1", Class: contract.Environment, From: old.Add(-time.Hour), To: old.Add(time.Hour), Every: 10 * time.Minute}
	before, err := c.Windows(t.Context(), ask)
	if err != nil || len(before) != 1 {
		t.Fatalf("%v %+v", err, before)
	}
	roundsOf(t, downsampler(t, c, day.Add(72*time.Hour)))
	if got := policies(t, "shorter"); !strings.Contains(got, `"2160h0m0s"`) {
		t.Fatalf("not shortened: %s", got)
	}
	// What the retention would do in its own time.
	say(t, http.MethodPost, "/query", url.Values{"db": {"shorter"}, "q": {`DROP MEASUREMENT "environment"`}}, "")
	c = connect(t, influx.Options{Database: "shorter", Keep: 90 * 24 * time.Hour})
	after, err := c.Windows(t.Context(), ask)
	if err != nil || !slices.Equal(after, before) {
		t.Errorf("%v\nbefore %+v\n after %+v", err, before, after)
	}
}

func TestAnOldSOSIsStillFound(t *testing.T) {
	c := client(t, influx.Options{Database: "sos-kept", Keep: 90 * 24 * time.Hour})
	// A policy that still keeps all stands for a year that has gone by.
	say(t, http.MethodPost, "/query", url.Values{"q": {`ALTER RETENTION POLICY "autogen" ON "sos-kept" DURATION INF`}}, "")
	old := day.Add(-365 * 24 * time.Hour)
	want := sos("w-1", old)
	want.Text = "在山沟里, 左腿\n\"断\" 了"
	report := fix("w-1", old.Add(time.Minute), 8)
	report.Class, report.Code = contract.Report, "smoke"
	mustWrite(t, c, want, report, fix("w-1", old.Add(2*time.Minute), 9), fix("w-1", old.Add(3*time.Minute), 10))
	roundsOf(t, downsampler(t, c, day.Add(72*time.Hour)))
	for range 2 {
		c = connect(t, influx.Options{Database: "sos-kept", Keep: 90 * 24 * time.Hour})
		if got := history(t, c, "w-1", contract.SOS); len(got) != 1 || got[0] != want {
			t.Errorf("SOS: %+v", got)
		}
		last, err := c.Last(t.Context(), contract.SOS)
		if err != nil || len(last) != 1 || last[0] != want {
			t.Errorf("last SOS: %v %+v", err, last)
		}
		ws, err := c.Windows(t.Context(), ingest.WindowQuery{Device: "w-1", Class: contract.SOS, From: old.Add(-time.Hour), To: old.Add(time.Hour), Every: time.Hour})
		if err != nil || len(ws) != 1 || ws[0].Count != 1 {
			t.Errorf("windows of SOS: %v %+v", err, ws)
		}
		// And once the readings are gone.
		say(t, http.MethodPost, "/query", url.Values{"q": {`DROP RETENTION POLICY "autogen" ON "sos-kept"`}}, "")
		say(t, http.MethodPost, "/query", url.Values{"q": {`CREATE RETENTION POLICY "autogen" ON "sos-kept" DURATION 2160h REPLICATION 1 SHARD DURATION 168h DEFAULT`}}, "")
	}
	got := history(t, c, "w-1", contract.Position)
	if len(got) != 2 || got[0] != want || got[1] != report {
		t.Errorf("places: %+v", got)
	}
}

func TestWindowsThatCannotBe(t *testing.T) {
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"}) // nobody is asked
	ok := ingest.WindowQuery{Device: "s-1", Class: contract.Environment, From: day, To: day.Add(time.Hour), Every: time.Minute}
	for want, change := range map[string]func(*ingest.WindowQuery){
		"device id":    func(q *ingest.WindowQuery) { q.Device = "a' OR 'a'='a" },
		"class":        func(q *ingest.WindowQuery) { q.Class = 0 },
		"lat":          func(q *ingest.WindowQuery) { q.Fields = []contract.Field{contract.Lat} },
		"at least 10s": func(q *ingest.WindowQuery) { q.Every = time.Second },
		"before":       func(q *ingest.WindowQuery) { q.To = q.From },
		"more than":    func(q *ingest.WindowQuery) { q.To = q.From.Add(5001 * time.Minute) },
	} {
		q := ok
		change(&q)
		if _, err := c.Windows(t.Context(), q); err == nil || errors.Is(err, ingest.ErrHistoryAway) || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
}

// TestWindowsAreTheSameFromAllPolicies: what is asked of readings, of stored
// windows of ten minutes and of stored days has the same answer.
func TestWindowsAreTheSameFromAllPolicies(t *testing.T) {
	c := client(t, influx.Options{Database: "windows"})
	begin := day.Add(-40 * 24 * time.Hour).Add(-8 * time.Hour) // midnight of the office
	var rs []contract.Reading
	for i := range 3 * 24 * 4 { // three days, a reading each quarter of an hour
		r := weather("s-1", begin.Add(time.Duration(i)*15*time.Minute), uint64(i))
		r.Values.Set(contract.TempC, float64(i%96)/4)
		r.Values.Set(contract.RainMM, 0.5)
		r.Values.Set(contract.WindDirDeg, []float64{350, 10}[i%2])
		r.Values.Set(contract.Flame, float64((i%96)/95))
		if i%3 == 0 {
			r.Values.Clear(contract.RhPct)
		}
		rs = append(rs, r)
	}
	mustWrite(t, c, rs...)
	roundsOf(t, downsampler(t, c, day.Add(72*time.Hour)))
	for _, every := range []time.Duration{24 * time.Hour, 48 * time.Hour} {
		q := ingest.WindowQuery{Device: "s-1", Class: contract.Environment, From: begin, To: begin.Add(72 * time.Hour), Every: every}
		var first []ingest.Window
		for name, o := range map[string]influx.Options{
			"readings":     {},
			"ten minutes":  {Keep: 30 * 24 * time.Hour},
			"days":         {Keep: 7 * 24 * time.Hour, KeepTenMinutes: 30 * 24 * time.Hour},
			"all of them":  {Keep: time.Since(begin.Add(47 * time.Hour)), KeepTenMinutes: time.Since(begin.Add(23 * time.Hour))},
			"all, shifted": {Keep: time.Since(begin.Add(25 * time.Hour)), KeepTenMinutes: time.Since(begin.Add(time.Hour))},
		} {
			o.Database = "windows"
			// The policy keeps all, so say what it would keep.
			keep := "INF"
			if o.Keep > 0 {
				keep = fmt.Sprintf("%ds", int64(o.Keep.Seconds()))
			}
			say(t, http.MethodPost, "/query", url.Values{"q": {`ALTER RETENTION POLICY "autogen" ON "windows" DURATION ` + keep + ` SHARD DURATION 1h`}}, "")
			got, err := connect(t, o).Windows(t.Context(), q)
			say(t, http.MethodPost, "/query", url.Values{"q": {`ALTER RETENTION POLICY "autogen" ON "windows" DURATION INF`}}, "")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if first == nil {
				first = got
			}
			if !sameWindows(got, first) {
				t.Errorf("%s, every %s:\n got %+v\nwant %+v", name, every, got, first)
			}
		}
		w := first[len(first)-1]
		if every == 24*time.Hour && (len(first) != 3 || !w.At.Equal(begin.Add(48*time.Hour)) || w.Count != 96) {
			t.Fatalf("%d windows, the last %+v", len(first), w)
		}
	}
	w, err := c.Windows(t.Context(), ingest.WindowQuery{Device: "s-1", Class: contract.Environment, From: begin, To: begin.Add(24 * time.Hour), Every: 24 * time.Hour})
	if err != nil || len(w) != 1 {
		t.Fatal(err, w)
	}
	near := func(what string, v *contract.Values, f contract.Field, want float64) {
		t.Helper()
		if x, ok := v.Get(f); !ok || x < want-1e-9 || x > want+1e-9 {
			t.Errorf("%s of %s: %v %v, want %v", what, f, x, ok, want)
		}
	}
	near("min", &w[0].Min, contract.TempC, 0)
	near("max", &w[0].Max, contract.TempC, 23.75)
	near("mean", &w[0].Mean, contract.TempC, 11.875)
	near("sum", &w[0].Mean, contract.RainMM, 48)
	near("max", &w[0].Max, contract.Flame, 1)
	near("min", &w[0].Min, contract.Flame, 0)
	if x, _ := w[0].Mean.Get(contract.WindDirDeg); x > 1e-6 && x < 360-1e-6 {
		t.Errorf("the wind of 350° and 10° comes from %v°", x)
	}
	if w[0].Mean.Has(contract.Flame) || w[0].Min.Has(contract.WindDirDeg) || w[0].Min.Has(contract.CoPPM) {
		t.Errorf("fields that cannot be: %+v", w[0])
	}
}

// sameWindows compares with a grain of salt: sums of floats depend on the order.
func sameWindows(a, b []ingest.Window) bool {
	return slices.EqualFunc(a, b, func(x, y ingest.Window) bool {
		return x.At.Equal(y.At) && x.Count == y.Count && nearly(&x.Min, &y.Min) && nearly(&x.Mean, &y.Mean) && nearly(&x.Max, &y.Max)
	})
}

func nearly(a, b *contract.Values) bool {
	for f := range contract.Fields() {
		x, hasX := a.Get(f)
		y, hasY := b.Get(f)
		if hasX != hasY || x-y > 1e-6 || y-x > 1e-6 {
			if f == contract.WindDirDeg && hasX && hasY && (x-y > 359 || y-x > 359) {
				continue // 0 and 360
			}
			return false
		}
	}
	return true
}

func sos(id contract.DeviceID, at time.Time) contract.Reading {
	r := fix(id, at, 7)
	r.Class, r.Code = contract.SOS, "button"
	return r
}
