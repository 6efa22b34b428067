package influx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// say talks to InfluxDB past the client.
func say(tb testing.TB, method, path string, params url.Values, body string) string {
	tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, server.URL()+path+"?"+params.Encode(), strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode/100 != 2 || strings.Contains(string(b), `"error"`) {
		tb.Fatalf("%s %s: %d %s", path, params, resp.StatusCode, b)
	}
	return string(b)
}

func count(tb testing.TB, db, measurement string) int {
	tb.Helper()
	n := 0
	answer := say(tb, http.MethodGet, "/query", url.Values{"db": {db}, "q": {"SELECT count(received_ms) FROM " + measurement}}, "")
	if _, rest, ok := strings.Cut(answer, `1970-01-01T00:00:00Z",`); ok {
		if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
			tb.Fatal(err)
		}
	}
	return n
}

// rejected checks for a RejectedError with these indexes.
func rejected(t *testing.T, err error, want []int, reasons ...string) {
	t.Helper()
	r := (*ingest.RejectedError)(nil)
	if !errors.As(err, &r) {
		t.Fatalf("error %v, want a RejectedError", err)
	}
	if !slices.Equal(r.Indexes, want) {
		t.Errorf("rejected %v, want %v (%s)", r.Indexes, want, r.Reason)
	}
	for _, s := range reasons {
		if !strings.Contains(r.Reason, s) {
			t.Errorf("reason %q does not say %q", r.Reason, s)
		}
	}
}

func TestBigBatchIsStoredOnceHoweverOften(t *testing.T) {
	c := client(t, influx.Options{Database: "big"})
	var rs []contract.Reading
	for i := range 5000 {
		rs = append(rs, fix(contract.DeviceID(fmt.Sprintf("w-%d", i%1000)), day.Add(time.Duration(i/1000)*time.Second), uint64(i)))
	}
	for range 3 {
		mustWrite(t, c, rs...)
	}
	if n := count(t, "big", "position"); n != 5000 {
		t.Errorf("%d points, want 5000", n)
	}
}

func TestConcurrentWritesKeepTheirOwnReadings(t *testing.T) {
	c := client(t, influx.Options{Database: "many"})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for w := range errs {
		wg.Go(func() {
			for i := range 20 {
				rs := make([]contract.Reading, 50)
				for j := range rs {
					rs[j] = fix(contract.DeviceID(fmt.Sprintf("w-%d", w)), day.Add(time.Duration(i)*time.Minute), uint64(i*50+j))
				}
				errs[w] = errors.Join(errs[w], c.Write(context.Background(), rs))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if n := count(t, "many", "position"); n != 8*20*50 {
		t.Errorf("%d points, want %d", n, 8*20*50)
	}
}

func TestTypeConflictRejectsOnlyWhatConflicts(t *testing.T) {
	c := client(t, influx.Options{Database: "conflict"})
	// Somebody else wrote the field as text before.
	say(t, http.MethodPost, "/write", url.Values{"db": {"conflict"}}, fmt.Sprintf(`environment,device=x temp_c="warm" %d`, day.UnixNano()))
	var rs []contract.Reading
	var bad []int
	for i := range 500 {
		at := day.Add(time.Duration(i) * time.Second)
		switch i % 3 {
		case 0:
			rs = append(rs, fix("w-1", at, uint64(i)))
		case 1:
			r := weather("s-1", at, uint64(i))
			r.Values = contract.Values{}
			r.Values.Set(contract.RhPct, 50)
			rs = append(rs, r)
		case 2:
			rs = append(rs, weather("s-2", at, uint64(i)))
			bad = append(bad, i)
		}
	}
	rejected(t, c.Write(t.Context(), rs), bad, "field type conflict", "temp_c")
	if n := count(t, "conflict", "position"); n != 167 {
		t.Errorf("%d positions, want 167", n)
	}
	if n := count(t, "conflict", "environment"); n != 167 {
		t.Errorf("%d environment points, want 167", n)
	}
}

func TestBeyondAllRetentionIsRejected(t *testing.T) {
	c := client(t, influx.Options{Database: "short", RetentionPolicy: "week", Keep: 7 * 24 * time.Hour, KeepDaily: 7 * 24 * time.Hour})
	rs := []contract.Reading{
		fix("w-1", day, 1),
		fix("w-1", day.Add(-30*24*time.Hour), 2),
		fix("w-2", day.Add(time.Hour), 3),
		weather("s-1", day.Add(-365*24*time.Hour), 4),
	}
	rejected(t, c.Write(t.Context(), rs), []int{1, 3}, "retention policy")
	if got := history(t, c, "w-1", contract.Position); len(got) != 1 || got[0].Seq != 1 {
		t.Errorf("stored %v", got)
	}
	// All of a batch, without looking at each.
	rejected(t, c.Write(t.Context(), []contract.Reading{rs[1], rs[3], rs[1]}), []int{0, 1, 2}, "retention policy")
}

// Somebody was told that they are safe: readings that came later than readings
// are kept are kept all the same, each once, and found.
func TestLaterThanReadingsAreKeptIsKept(t *testing.T) {
	c := client(t, influx.Options{Keep: 7 * 24 * time.Hour})
	rs := []contract.Reading{
		fix("w-1", day, 1),
		fix("w-1", day.Add(-30*24*time.Hour), 2),
		weather("s-1", day.Add(-365*24*time.Hour), 3),
		weather("s-1", day, 4),
		fix("w-1", day.Add(-40*24*time.Hour), 5),
	}
	for range 2 {
		if err := c.Write(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	if got := history(t, c, "w-1", contract.Position); len(got) != 3 || got[0].Seq != 5 || got[1].Seq != 2 || got[2].Seq != 1 {
		t.Errorf("positions %v", got)
	}
	if got := history(t, c, "s-1", contract.Environment); len(got) != 2 || got[0].Seq != 3 || got[1].Seq != 4 {
		t.Errorf("weather %v", got)
	}
}

func TestTwoFaultsInOneBatch(t *testing.T) {
	c := client(t, influx.Options{Database: "faults", RetentionPolicy: "week", Keep: 7 * 24 * time.Hour, KeepDaily: 7 * 24 * time.Hour})
	say(t, http.MethodPost, "/write", url.Values{"db": {"faults"}, "rp": {"week"}}, fmt.Sprintf(`environment,device=x temp_c="warm" %d`, day.UnixNano()))
	nan := fix("w-3", day, 5)
	nan.Values.Set(contract.Lat, math.NaN())
	rs := []contract.Reading{
		weather("s-1", day, 1),
		fix("w-1", day, 2),
		nan,
		fix("w-1", day.Add(-30*24*time.Hour), 3),
		fix("w-2", day, 4),
	}
	rejected(t, c.Write(t.Context(), rs), []int{0, 2, 3}, "type conflict", "retention policy", "lat: NaN")
	if n := len(history(t, c, "w-1", contract.Position)) + len(history(t, c, "w-2", contract.Position)); n != 2 {
		t.Errorf("%d good readings stored, want 2", n)
	}
}

func TestOnlyBadReadings(t *testing.T) {
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"}) // nobody is asked
	bad := fix("a b", day, 1)
	rejected(t, c.Write(t.Context(), []contract.Reading{bad, bad}), []int{0, 1}, "device id")
}

func TestMissingDatabaseIsMadeAgain(t *testing.T) {
	for name, rp := range map[string]string{"never": "autogen", "never-either": "raw"} {
		c := connect(t, influx.Options{Database: name, RetentionPolicy: rp})
		mustWrite(t, c, fix("w-1", day, 1))
		say(t, http.MethodPost, "/query", url.Values{"q": {`DROP DATABASE "` + name + `"`}}, "")
		mustWrite(t, c, fix("w-1", day, 2))
		if got := history(t, c, "w-1", contract.Position); len(got) != 1 || got[0].Seq != 2 {
			t.Errorf("%s: stored %v", name, got)
		}
	}
	// The database is there, its policy is not.
	say(t, http.MethodPost, "/query", url.Values{"q": {`CREATE DATABASE "policyless"`}}, "")
	c := connect(t, influx.Options{Database: "policyless", RetentionPolicy: "raw"})
	mustWrite(t, c, fix("w-1", day, 1))
}

func TestSetupIsRepeatable(t *testing.T) {
	db := "again"
	client(t, influx.Options{Database: db})
	client(t, influx.Options{Database: db})
	policies := func() string {
		return say(t, http.MethodGet, "/query", url.Values{"q": {`SHOW RETENTION POLICIES ON "again"`}}, "")
	}
	// What exists is shortened by the downsampler only.
	c := client(t, influx.Options{Database: db, Keep: 90 * 24 * time.Hour})
	if strings.Contains(policies(), `"2160h0m0s"`) {
		t.Errorf("shortened before anything was looked at: %s", policies())
	}
	roundsOf(t, downsampler(t, c, time.Now()))
	if !strings.Contains(policies(), `"2160h0m0s"`) {
		t.Errorf("want 90 days: %s", policies())
	}
	client(t, influx.Options{Database: db}) // for ever again
	if strings.Contains(policies(), `"2160h0m0s"`) {
		t.Errorf("want 90 days no more: %s", policies())
	}
}

func TestRefusedCredential(t *testing.T) {
	s := ownServer(t, true)
	for name, o := range map[string]influx.Options{
		"none":  {},
		"wrong": {User: "firewatch", Password: "wrong"},
		"token": {Token: "nobody:wrong"},
	} {
		o.URL = s.URL()
		c := connect(t, o)
		if err := c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1)}); !errors.Is(err, ingest.ErrUnauthorized) {
			t.Errorf("%s: write: %v", name, err)
		}
		if err := c.Setup(t.Context()); !errors.Is(err, ingest.ErrUnauthorized) {
			t.Errorf("%s: setup: %v", name, err)
		}
		_, err := c.Last(t.Context(), contract.Position)
		if !errors.Is(err, ingest.ErrUnauthorized) || !errors.Is(err, ingest.ErrHistoryAway) {
			t.Errorf("%s: read: %v", name, err)
		}
	}
	user, password, _ := strings.Cut(s.Token(), ":")
	for _, o := range []influx.Options{{Token: s.Token()}, {User: user, Password: password}} {
		o.URL = s.URL()
		c := client(t, o)
		mustWrite(t, c, fix("w-1", day, 1))
		if got := history(t, c, "w-1", contract.Position); len(got) != 1 {
			t.Errorf("stored %v", got)
		}
	}
}

func TestKilledServerLosesNothingAcknowledged(t *testing.T) {
	s := ownServer(t, false)
	c := client(t, influx.Options{URL: s.URL(), HTTPTimeout: 5 * time.Second})
	var acknowledged []contract.Reading
	failed := 0
	for i := range 400 {
		if i == 100 || i == 250 {
			if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		rs := []contract.Reading{fix("w-1", day.Add(time.Duration(i)*time.Second), uint64(i)), weather("s-1", day.Add(time.Duration(i)*time.Second), uint64(i))}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			err := c.Write(t.Context(), rs)
			if err == nil {
				break
			}
			failed++
			if r := (*ingest.RejectedError)(nil); errors.As(err, &r) || time.Now().After(end) {
				t.Fatal(err)
			}
		}
		acknowledged = append(acknowledged, rs[0])
	}
	if s.Restarts() != 2 || failed == 0 {
		t.Errorf("%d restarts, %d failed writes: the test did not test", s.Restarts(), failed)
	}
	got := history(t, c, "w-1", contract.Position)
	if len(got) != len(acknowledged) {
		t.Fatalf("%d readings, want %d", len(got), len(acknowledged))
	}
	for i := range got {
		if got[i] != acknowledged[i] {
			t.Fatalf("reading %d: got %+v, want %+v", i, got[i], acknowledged[i])
		}
	}
	if n := len(history(t, c, "s-1", contract.Environment)); n != 400 {
		t.Errorf("%d environment readings, want 400", n)
	}
}

func TestServerAway(t *testing.T) {
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"})
	err := c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1)})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("write: %v", err)
	}
	if err := c.Ready(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("ready: %v", err)
	}
	_, err = c.Last(t.Context(), contract.Position)
	if !errors.Is(err, ingest.ErrHistoryAway) || strings.Contains(err.Error(), "SELECT") {
		t.Errorf("read: %v", err)
	}
	if want := "history is away: dial tcp 127.0.0.1:1: connect: connection refused"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// anyText draws texts with all that line protocol and JSON find hard.
var anyText = rapid.OneOf(
	rapid.String(),
	rapid.StringOfN(rapid.RuneFrom([]rune("\"\\\n\r\t ,=#'火🔥a\x00\u2028")), 0, 40, -1),
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	c := client(t, influx.Options{})
	var devices int
	rapid.Check(t, func(rt *rapid.T) {
		devices++ // its own device each time: nothing of the run before
		id := contract.DeviceID(fmt.Sprintf("rt.%d_%d", devices, time.Now().UnixNano()))
		class := rapid.SampledFrom(contract.Classes).Draw(rt, "class")
		var rs []contract.Reading
		for i := range rapid.IntRange(1, 8).Draw(rt, "n") {
			r := contract.Reading{
				Device: id, Kind: rapid.SampledFrom([]contract.Kind{contract.Tracker, contract.Sensor}).Draw(rt, "kind"), Class: class,
				Measured: day.Add(time.Duration(i)*time.Minute + time.Duration(rapid.IntRange(0, 999).Draw(rt, "ms"))*time.Millisecond),
				HasSeq:   rapid.Bool().Draw(rt, "counts"),
				Code:     anyText.Draw(rt, "code"),
				Text:     anyText.Draw(rt, "text"),
			}
			r.Received = r.Measured.Add(time.Duration(rapid.IntRange(-1000, 1e9).Draw(rt, "late")) * time.Millisecond)
			if r.HasSeq {
				r.Seq = rapid.Uint64Range(0, 1<<53-1).Draw(rt, "seq")
			}
			for f := range contract.Fields() {
				info := f.Info()
				if !f.In(class) || rapid.Bool().Draw(rt, "without "+info.Name) {
					continue
				}
				x := rapid.Float64Range(info.Min, info.Max).Draw(rt, info.Name)
				if info.Integer || info.Bool {
					x = math.Round(x)
				}
				r.Values.Set(f, x)
			}
			rs = append(rs, r)
		}
		if err := c.Write(t.Context(), rs); err != nil {
			rt.Fatal(err)
		}
		got := history(t, c, id, class)
		if len(got) != len(rs) {
			rt.Fatalf("%d readings, want %d", len(got), len(rs))
		}
		for i := range rs {
			if got[i] != rs[i] {
				rt.Fatalf("reading %d:\n got %+v\nwant %+v", i, got[i], rs[i])
			}
		}
	})
}
