package influx_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/influx"
	"firewatch/ingest/ingesttest"
)

// TestLiveWritesWaitForNoQuestion: InfluxDB takes writes and answers nothing else,
// from the start.
func TestLiveWritesWaitForNoQuestion(t *testing.T) {
	client(t, influx.Options{Database: "mute"})
	g := gated(t)
	g.close("/query")
	c := connect(t, influx.Options{URL: g.URL, Database: "mute"})
	k := clockAt(time.Now())
	d := downsamplerOn(t, c, k)
	sink := influx.Observe(c, d)
	total := 0
	write := func(at time.Time) error {
		total++
		return sink.Write(t.Context(), []contract.Reading{fix("w-1", at, uint64(total))})
	}
	for _, age := range []time.Duration{0, 3 * time.Hour, 50 * 24 * time.Hour} {
		if err := write(k.now().Add(-age)); err != nil {
			t.Errorf("measured %s ago: %v", age, err)
		}
	}
	if _, err := d.Round(t.Context()); err == nil {
		t.Error("a round without an answer")
	}
	// It dies before it could ask anything: the next one finds all of it.
	g.open()
	k.advance(6 * time.Hour)
	d = downsamplerOn(t, c, k)
	roundsOf(t, d)
	if _, n := storedWindows(t, "mute", "m10", "position_10m"); n != total {
		t.Errorf("%d readings summed up, want %d", n, total)
	}
	// And so it is when there is a mark from before.
	g.close("/query")
	k.advance(48 * time.Hour)
	d = downsamplerOn(t, c, k)
	sink = influx.Observe(c, d)
	if err := write(k.now().Add(-5 * 24 * time.Hour)); err != nil {
		t.Error(err)
	}
	g.open()
	d = downsamplerOn(t, c, k)
	roundsOf(t, d)
	if _, n := storedWindows(t, "mute", "m10", "position_10m"); n != total {
		t.Errorf("%d readings summed up after a restart, want %d", n, total)
	}
}

// TestManyWindowsBeforeTheFirstAnswer: more than are remembered.
func TestManyWindowsBeforeTheFirstAnswer(t *testing.T) {
	c := client(t, influx.Options{Database: "many-notes"})
	round(t, downsampler(t, c, day.Add(-1000*24*time.Hour))) // so that a mark is there
	k := clockAt(day)
	d := downsamplerOn(t, c, k)
	sink := influx.Observe(c, d)
	var rs []contract.Reading
	const total = 10_050
	for i := range total {
		rs = append(rs, fix("w-1", day.Add(-200*24*time.Hour).Add(time.Duration(i)*10*time.Minute), uint64(i)))
	}
	if err := sink.Write(t.Context(), rs); err != nil {
		t.Fatal(err)
	}
	if n := d.Pending(); n > 10_000 {
		t.Errorf("%d windows are remembered before the first answer", n)
	}
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := d.Pending(); n != total {
		t.Errorf("%d windows are to be summed up, want %d", n, total)
	}
}

// TestReadingsOlderThanTheTenMinutesBecomeDays: a database that kept readings for
// ever is given limits, and some of it is older than both.
func TestReadingsOlderThanTheTenMinutesBecomeDays(t *testing.T) {
	c := client(t, influx.Options{Database: "upgrade"})
	mustWrite(t, c, weather("s-3y", day.Add(-3*365*24*time.Hour), 1), weather("s-1y", day.Add(-200*24*time.Hour), 1))
	c = client(t, influx.Options{Database: "upgrade", Keep: 90 * 24 * time.Hour, KeepTenMinutes: 2 * 365 * 24 * time.Hour})
	k := clockAt(day.Add(72 * time.Hour))
	d := downsamplerOn(t, c, k)
	for again := true; again; {
		var err error
		if again, err = d.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := policies(t, "upgrade"); strings.Contains(got, `"2160h0m0s"`) {
		t.Fatalf("shortened before days are written: %s", got)
	}
	k.advance(2 * time.Hour)
	roundsOf(t, d)
	if p, n := storedWindows(t, "upgrade", "daily", "environment_1d"); p != 2 || n != 2 {
		t.Errorf("%d days of %d readings, want 2", p, n)
	}
	if got := policies(t, "upgrade"); !strings.Contains(got, `"2160h0m0s"`) {
		t.Errorf("not shortened: %s", got)
	}
}

// TestRefusedSummariesAreNotDone: somebody else has written a field of ours with
// another type.
func TestRefusedSummariesAreNotDone(t *testing.T) {
	for _, tt := range []struct{ policy, line string }{
		{"m10", `environment_10m,device=x count="a"`},
		{"daily", `environment_1d,device=x count="a"`},
		{"daily", `downsampling,instance=x pending="a"`},
		{"daily", `downsampling,instance=x mark_ms="a"`},
	} {
		t.Run(tt.line, func(t *testing.T) {
			db := fmt.Sprintf("refused%d", databases.Add(1))
			c := client(t, influx.Options{Database: db})
			old := day.Add(-200 * 24 * time.Hour)
			mustWrite(t, c, weather("s-1", old, 1), fix("w-1", old, 1))
			c = client(t, influx.Options{Database: db, Keep: 90 * 24 * time.Hour})
			// Of the time of the readings: types are those of a shard.
			say(t, http.MethodPost, "/write", url.Values{"db": {db}, "rp": {tt.policy}},
				fmt.Sprintf("%s %d\n%s %d", tt.line, old.Add(10*time.Hour).UnixNano(), tt.line, day.UnixNano()))
			k := clockAt(day.Add(72 * time.Hour))
			d := downsamplerOn(t, c, k)
			var last error
			for range 40 {
				_, last = d.Round(t.Context())
				d.Hurry()
			}
			if last == nil || !strings.Contains(last.Error(), "type conflict") {
				t.Errorf("what is refused is no fault: %v", last)
			}
			if got := policies(t, db); strings.Contains(got, `"2160h0m0s"`) {
				t.Errorf("shortened with readings that are not summed up: %s", got)
			}
			if strings.HasPrefix(tt.line, "environment") { // and nothing else waits for it
				if err := influx.Observe(c, d).Write(t.Context(), []contract.Reading{fix("w-2", day.Add(70*time.Hour), 2)}); err != nil {
					t.Fatal(err)
				}
				k.advance(7 * time.Hour)
				_, _ = d.Round(t.Context())
				text := say(t, http.MethodGet, "/query", url.Values{"db": {db}, "q": {`SELECT "count" FROM "m10"."position_10m" WHERE "device" = 'w-2'`}}, "")
				if !strings.Contains(text, "values") {
					t.Error("one refused window holds up all the others")
				}
			}
		})
	}
}

func TestReadyTellsOfWhatIsNotSummedUp(t *testing.T) {
	g := gated(t)
	c := client(t, influx.Options{URL: g.URL, Database: "ready"})
	k := clockAt(day.Add(6 * time.Hour))
	d, err := influx.NewDownsampler(influx.DownsamplerOptions{Client: c, Now: k.now, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
	if err := influx.Observe(c, d).Write(t.Context(), []contract.Reading{fix("w-1", k.now(), 1)}); err != nil {
		t.Fatal(err)
	}
	k.advance(20 * time.Hour)
	if err := d.Ready(); err != nil {
		t.Error("not a day behind:", err)
	}
	k.advance(20 * time.Hour)
	if err := d.Ready(); err == nil || !strings.Contains(err.Error(), "behind") {
		t.Errorf("behind: %v", err)
	}
	g.close("/query")
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	ingesttest.Eventually(t, "a fault to be told", func() bool {
		err := d.Ready()
		return err != nil && strings.Contains(err.Error(), "cannot be summed up")
	})
	g.open()
	ingesttest.Eventually(t, "the fault to be over", func() bool { return d.Ready() == nil })
	// A late reading makes nobody late.
	if err := influx.Observe(c, d).Write(t.Context(), []contract.Reading{fix("w-1", day.Add(-300*24*time.Hour), 1)}); err != nil {
		t.Fatal(err)
	}
	k.advance(7 * time.Hour)
	if err := d.Ready(); err != nil {
		t.Errorf("after a late reading: %v", err)
	}
}

// TestShorteningIsAnnounced: at the start, and before it is done.
func TestShorteningIsAnnounced(t *testing.T) {
	c := client(t, influx.Options{Database: "announced"})
	mustWrite(t, c, weather("s-1", day.Add(-200*24*time.Hour), 1))
	core, logs := observer.New(zapcore.WarnLevel)
	c = client(t, influx.Options{Database: "announced", Keep: 90 * 24 * time.Hour, Log: zap.New(core)})
	check := func(what, words string) {
		t.Helper()
		all := logs.TakeAll()
		if len(all) != 1 || !strings.Contains(all[0].Message, words) {
			t.Fatalf("%s: %+v", what, all)
		}
		fields := all[0].ContextMap()
		edge, _ := fields["deletes_what_is_before"].(time.Time)
		if age := time.Since(edge) - 90*24*time.Hour; age < 0 || age > time.Hour || fields["policy"] != "autogen" || fields["keeps"] != "INF" || fields["setting"] != "influx-keep" {
			t.Errorf("%s: %v", what, fields)
		}
	}
	check("at the start", "will be deleted")
	roundsOf(t, downsampler(t, c, day.Add(72*time.Hour)))
	check("before it is done", "deleted now")
	client(t, influx.Options{Database: "announced-not", Keep: 90 * 24 * time.Hour, Log: zap.New(core)})
	if all := logs.TakeAll(); len(all) > 0 {
		t.Errorf("of a new database: %+v", all)
	}
}

// TestSummariesGoInPartsThatAProxyTakes: a 413 is not the end of them.
func TestSummariesGoInPartsThatAProxyTakes(t *testing.T) {
	g := gated(t)
	c := client(t, influx.Options{URL: g.URL, Database: "parts"})
	var rs []contract.Reading
	for i := range 50 {
		rs = append(rs, fix(contract.DeviceID(fmt.Sprintf("w-%d", i)), day, 1))
	}
	mustWrite(t, c, rs...)
	g.most.Store(3000)
	roundsOf(t, downsampler(t, c, day.Add(72*time.Hour)))
	if _, n := storedWindows(t, "parts", "daily", "position_1d"); n != len(rs) {
		t.Errorf("%d readings summed up, want %d", n, len(rs))
	}
}

// TestALateDeviceIsSummedUpAlone: and many late ones as all.
func TestALateDeviceIsSummedUpAlone(t *testing.T) {
	for _, tt := range []struct {
		late  int
		alone bool
	}{{1, true}, {32, true}, {33, false}} {
		t.Run(fmt.Sprint(tt.late), func(t *testing.T) {
			db := fmt.Sprintf("alone%d", tt.late)
			c := client(t, influx.Options{Database: db})
			at := day.Add(-10 * 24 * time.Hour)
			mustWrite(t, c, fix("other", at, 1), fix("w-0", at, 1))
			k := clockAt(day.Add(72 * time.Hour))
			d := downsamplerOn(t, c, k)
			roundsOf(t, d)
			// What is summed up anew loses this.
			marked := at.Truncate(10 * time.Minute)
			say(t, http.MethodPost, "/write", url.Values{"db": {db}, "rp": {"m10"}},
				fmt.Sprintf("position_10m,device=other,kind=tracker count=1000i %d", marked.UnixNano()))
			var rs []contract.Reading
			for i := range tt.late {
				rs = append(rs, fix(contract.DeviceID(fmt.Sprintf("w-%d", i)), at, 2))
			}
			rs = append(rs, rs[0])
			if err := influx.Observe(c, d).Write(t.Context(), rs); err != nil {
				t.Fatal(err)
			}
			k.advance(7 * time.Hour)
			roundsOf(t, d)
			want := 2 + tt.late // readings
			if tt.alone {
				want += 999
			}
			if _, n := storedWindows(t, db, "m10", "position_10m"); n != want {
				t.Errorf("windows of %d readings, want %d", n, want)
			}
			days := 2 + tt.late // the other's day is not touched, or made of one reading again
			if _, n := storedWindows(t, db, "daily", "position_1d"); n != days {
				t.Errorf("days of %d readings, want %d", n, days)
			}
		})
	}
}
