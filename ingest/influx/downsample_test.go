package influx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/ingesttest"
)

// A clock stands until it is moved.
type clock struct{ ns atomic.Int64 }

func clockAt(t time.Time) *clock {
	c := &clock{}
	c.ns.Store(t.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func downsampler(tb testing.TB, c *influx.Client, now time.Time) *influx.Downsampler {
	tb.Helper()
	return downsamplerOn(tb, c, clockAt(now))
}

func downsamplerOn(tb testing.TB, c *influx.Client, k *clock) *influx.Downsampler {
	tb.Helper()
	d, err := influx.NewDownsampler(influx.DownsamplerOptions{Client: c, Now: k.now})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// roundsOf runs rounds until nothing is due, and as the days follow the windows,
// once more.
func roundsOf(tb testing.TB, d *influx.Downsampler) {
	tb.Helper()
	for range 2 {
		for {
			again, err := d.Round(tb.Context())
			if err != nil {
				tb.Fatal(err)
			}
			if !again {
				break
			}
		}
		d.Hurry()
	}
}

// storedWindows counts points, and sums up their field count.
func storedWindows(t *testing.T, db, policy, measurement string) (points, readings int) {
	t.Helper()
	text := say(t, http.MethodGet, "/query", url.Values{"db": {db}, "q": {fmt.Sprintf(`SELECT count("count"), sum("count") FROM %q.%q`, policy, measurement)}}, "")
	if _, values, ok := strings.Cut(text, `"values":[[`); ok {
		if _, err := fmt.Sscanf(values, `"1970-01-01T00:00:00Z",%d,%d`, &points, &readings); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	return points, readings
}

func TestTouchedWindowsAreSummedUp(t *testing.T) {
	c := client(t, influx.Options{Database: "touched"})
	k := clockAt(day.Add(6 * time.Hour))
	d := downsamplerOn(t, c, k)
	sink := influx.Observe(c, d)
	write := func(rs ...contract.Reading) {
		t.Helper()
		if err := sink.Write(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	want := func(policy, measurement string, points, readings int) {
		t.Helper()
		if p, r := storedWindows(t, "touched", policy, measurement); p != points || r != readings {
			t.Errorf("%s.%s has %d windows of %d readings, want %d of %d", policy, measurement, p, r, points, readings)
		}
	}
	round(t, d) // at the start, what is there is summed up at once
	now := k.now()
	write(fix("w-1", now, 1), fix("w-1", now.Add(time.Minute), 2), fix("w-2", now, 1), weather("s-1", now, 1))
	round(t, d)
	want("m10", "position_10m", 0, 0) // the window is not over
	k.advance(15 * time.Minute)
	round(t, d)
	want("m10", "position_10m", 2, 3)
	want("m10", "environment_10m", 1, 1)
	// A tracker comes back with what it measured five hours ago.
	write(fix("w-1", now.Add(-5*time.Hour), 3), fix("w-1", now.Add(-5*time.Hour), 3))
	round(t, d)
	want("m10", "position_10m", 2, 3)
	k.advance(6 * time.Hour)
	round(t, d)
	want("m10", "position_10m", 3, 4)
	want("daily", "position_1d", 0, 0)
	k.advance(24 * time.Hour)
	round(t, d)
	want("daily", "position_1d", 2, 4)
	// Again changes nothing; later changes what it must.
	write(fix("w-1", now, 1), fix("w-1", now.Add(2*time.Minute), 4))
	k.advance(24 * time.Hour)
	round(t, d)
	k.advance(24 * time.Hour)
	round(t, d)
	want("m10", "position_10m", 3, 5)
	want("daily", "position_1d", 2, 5)
	want("daily", "environment_1d", 1, 1)
}

func round(t *testing.T, d *influx.Downsampler) {
	t.Helper()
	if again, err := d.Round(t.Context()); err != nil || again {
		t.Fatal(again, err)
	}
}

// TestACrashLeavesNoHole: another process begins where one was killed, whatever
// was touched when.
func TestACrashLeavesNoHole(t *testing.T) {
	c := client(t, influx.Options{Database: "crash"})
	k := clockAt(day.Add(6 * time.Hour))
	total := 0
	write := func(d *influx.Downsampler, at time.Time) {
		t.Helper()
		if err := influx.Observe(c, d).Write(t.Context(), []contract.Reading{fix("w-1", at, uint64(total))}); err != nil {
			t.Fatal(err)
		}
		total++
	}
	for range 3 {
		d := downsamplerOn(t, c, k) // the one before is not stopped, it is gone
		write(d, k.now())
		round(t, d)
		write(d, k.now().Add(-30*time.Minute)) // before the crash, late and not yet done
		write(d, k.now().Add(-50*24*time.Hour))
		write(d, k.now().Add(-400*24*time.Hour))
		k.advance(3 * time.Hour)
	}
	d := downsamplerOn(t, c, k)
	for range 4 {
		round(t, d)
		k.advance(30 * time.Hour)
	}
	for policy, m := range map[string]string{"m10": "position_10m", "daily": "position_1d"} {
		if _, n := storedWindows(t, "crash", policy, m); n != total {
			t.Errorf("%s holds %d readings, want %d", policy, n, total)
		}
	}
	// Nothing is left to do: the notes were taken off.
	text := say(t, http.MethodGet, "/query", url.Values{"db": {"crash"}, "q": {`SELECT * FROM "daily"."downsampling" WHERE "pending" = true`}}, "")
	if strings.Contains(text, "values") {
		t.Errorf("left: %s", text)
	}
}

// TestADatabaseOfYearsIsSweptOnce sums up what was stored before there was a
// downsampler, gaps and all.
func TestADatabaseOfYearsIsSweptOnce(t *testing.T) {
	c := client(t, influx.Options{Database: "years"})
	var rs []contract.Reading
	for i := range 8 {
		at := day.Add(-time.Duration(i) * 190 * 24 * time.Hour)
		rs = append(rs, fix("w-1", at, 1), weather("s-1", at.Add(time.Hour), 2), weather("s-1", at.Add(26*time.Hour), 3))
	}
	mustWrite(t, c, rs...)
	k := clockAt(day.Add(72 * time.Hour))
	roundsOf(t, downsamplerOn(t, c, k))
	if p, n := storedWindows(t, "years", "daily", "environment_1d"); p != 16 || n != 16 {
		t.Errorf("%d days of %d readings, want 16", p, n)
	}
	if p, n := storedWindows(t, "years", "m10", "position_10m"); p != 8 || n != 8 {
		t.Errorf("%d windows of %d readings, want 8", p, n)
	}
	d := downsamplerOn(t, c, k)
	if again, err := d.Round(t.Context()); err != nil || again {
		t.Fatal(again, err)
	}
	if n := d.Done(); n > 3*6*4 {
		t.Errorf("%v windows are summed up again after a start", n)
	}
}

// TestDaysBeyondTheTenMinutesAreMadeOfReadings: a replay of old years, with
// readings kept for ever.
func TestDaysBeyondTheTenMinutesAreMadeOfReadings(t *testing.T) {
	c := client(t, influx.Options{Database: "replay", KeepTenMinutes: 30 * 24 * time.Hour})
	k := clockAt(day.Add(72 * time.Hour))
	d := downsamplerOn(t, c, k)
	var rs []contract.Reading
	for i := range 10 {
		rs = append(rs, weather("s-1", day.Add(-365*24*time.Hour).Add(time.Duration(i)*10*time.Minute), uint64(i)))
	}
	if err := influx.Observe(c, d).Write(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	k.advance(24 * time.Hour)
	roundsOf(t, d)
	if p, n := storedWindows(t, "replay", "daily", "environment_1d"); n != 10 {
		t.Errorf("%d days of %d readings, want 10", p, n)
	}
}

// A gate is InfluxDB behind a proxy that can fail.
type gate struct {
	*httptest.Server
	shut atomic.Pointer[string] // requests whose URL or body contains this fail
	cut  atomic.Bool            // answers in CSV break off
	slow atomic.Int64           // ns that answers in CSV take longer
	long atomic.Int64           // answers in CSV so far
	most atomic.Int64           // bytes of a request; 0: any
}

func gated(t *testing.T) *gate {
	t.Helper()
	to, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(to)
	g := &gate{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if s := g.shut.Load(); s != nil && (strings.Contains(r.URL.String(), *s) || strings.Contains(string(body), *s)) {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if most := g.most.Load(); most > 0 && int64(len(body)) > most {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if r.Header.Get("Accept") == "application/csv" {
			g.long.Add(1)
			select {
			case <-time.After(time.Duration(g.slow.Load())):
			case <-r.Context().Done():
			}
		}
		if g.cut.Load() && r.Header.Get("Accept") == "application/csv" {
			rec := httptest.NewRecorder()
			p.ServeHTTP(rec, r)
			text, _, _ := strings.Cut(rec.Body.String(), "\n\n") // as when a statement fails in the middle
			_, _ = io.WriteString(w, text)
			return
		}
		p.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gate) close(what string) { g.shut.Store(&what) }
func (g *gate) open()             { g.shut.Store(nil) }

func TestALateReadingIsNotSafeBeforeItIsNoted(t *testing.T) {
	g := gated(t)
	c := client(t, influx.Options{URL: g.URL, Database: "noted"})
	d := downsampler(t, c, day.Add(6*time.Hour))
	sink := influx.Observe(c, d)
	late := []contract.Reading{fix("w-1", day.Add(-3*24*time.Hour), 1)}
	round(t, d)
	g.close("downsampling")
	for range 2 {
		if err := sink.Write(t.Context(), late); err == nil {
			t.Fatal("a write succeeds whose windows cannot be noted")
		}
	}
	g.open()
	if err := sink.Write(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	d = downsampler(t, c, day.Add(48*time.Hour)) // after a crash
	round(t, d)
	if _, n := storedWindows(t, "noted", "m10", "position_10m"); n != 1 {
		t.Errorf("%d readings summed up, want 1", n)
	}
}

func TestABrokenAnswerIsNoAnswer(t *testing.T) {
	g := gated(t)
	c := client(t, influx.Options{URL: g.URL, Database: "broken"})
	mustWrite(t, c, fix("w-1", day, 1))
	d := downsampler(t, c, day.Add(48*time.Hour))
	g.cut.Store(true)
	if _, err := d.Round(t.Context()); err == nil {
		t.Error("an answer that broke off is summed up")
	}
	if _, err := c.Last(t.Context(), contract.Position); !errors.Is(err, ingest.ErrHistoryAway) {
		t.Errorf("last of an answer that broke off: %v", err)
	}
	g.cut.Store(false)
	roundsOf(t, d)
	if _, n := storedWindows(t, "broken", "daily", "position_1d"); n != 1 {
		t.Errorf("%d readings summed up, want 1", n)
	}
}

func TestDownsamplerWaitsForInflux(t *testing.T) {
	mustWrite(t, client(t, influx.Options{Database: "waits"}), fix("w-1", day, 1))
	g := gated(t)
	g.close("/")
	c := connect(t, influx.Options{URL: g.URL, Database: "waits"})
	d, err := influx.NewDownsampler(influx.DownsamplerOptions{Client: c, Every: time.Millisecond, Now: func() time.Time { return time.Now().Add(48 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()
	g.open()
	ingesttest.Eventually(t, "the window to be summed up", func() bool {
		_, n := storedWindows(t, "waits", "m10", "position_10m")
		return n == 1
	})
}

func TestTouchingKnownWindowsAllocatesNothing(t *testing.T) {
	c := client(t, influx.Options{})
	now := time.Now()
	d := downsampler(t, c, now)
	rs := make([]contract.Reading, 500)
	list := make([]*contract.Reading, len(rs))
	for i := range rs {
		rs[i] = fix("w-1", now.Add(-time.Duration(i)*time.Second), uint64(i))
		list[i] = &rs[i]
	}
	if n := testing.AllocsPerRun(10, func() {
		if err := d.Touched(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestObserversHearOfWhatIsStored(t *testing.T) {
	c := client(t, influx.Options{Database: "observed", RetentionPolicy: "week", Keep: 7 * 24 * time.Hour, KeepDaily: 7 * 24 * time.Hour})
	var heard []uint64
	sink := influx.Observe(c, observing(func(rs []*contract.Reading) error {
		for _, r := range rs {
			heard = append(heard, r.Seq)
		}
		return nil
	}))
	old := fix("w-1", day.Add(-90*24*time.Hour), 2)
	err := sink.WriteEntries(t.Context(), []ingest.Entry{
		{Reading: fix("w-1", day, 1)}, {Answer: &contract.Answer{}}, {Reading: old}, {Reading: fix("w-1", day.Add(time.Hour), 3)},
	})
	rejected(t, err, []int{2}, "retention policy")
	rejected(t, sink.Write(t.Context(), []contract.Reading{old, fix("w-1", day, 4)}), []int{0}, "retention policy")
	if fmt.Sprint(heard) != "[1 3 4]" {
		t.Errorf("heard of %v", heard)
	}
	fault := errors.New("not noted")
	sink = influx.Observe(c, observing(func([]*contract.Reading) error { return fault }))
	if err := sink.Write(t.Context(), []contract.Reading{fix("w-1", day, 5)}); !errors.Is(err, fault) {
		t.Errorf("%v", err)
	}
}

type observing func([]*contract.Reading) error

func (f observing) Touched(_ context.Context, rs []*contract.Reading) error { return f(rs) }

func TestDownsamplerOptions(t *testing.T) {
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"})
	for want, o := range map[string]influx.DownsamplerOptions{
		"Client":   {},
		"Instance": {Client: c, Instance: "a b"},
		"Every":    {Client: c, Every: -1},
		"Keep":     {Client: connect(t, influx.Options{URL: "http://127.0.0.1:1", Keep: 2 * time.Hour})},
	} {
		if _, err := influx.NewDownsampler(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
}
