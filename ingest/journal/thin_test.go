package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// patrol is the i-th message of a fleet: positions every 10 s of each device,
// and among them what must never go. Seq tells them apart.
func patrol(i, devices int) ingest.Entry {
	at := noon.Add(time.Duration(i/devices) * 10 * time.Second)
	r := contract.Reading{
		Device: contract.DeviceID(fmt.Sprintf("tr-%d", i%devices)), Kind: contract.Tracker, Class: contract.Position,
		Measured: at, Received: at.Add(time.Second), Seq: uint64(i), HasSeq: true,
	}
	r.Values.Set(contract.Lat, 39.1)
	r.Values.Set(contract.Lon, 115.7)
	r.Values.Set(contract.BatteryPct, 60)
	switch i % 211 {
	case 17:
		r.Class, r.Code = contract.SOS, "button"
	case 60:
		r.Values.Set(contract.Tamper, 1)
	case 99:
		r.Values.Set(contract.BatteryPct, criticalBatteryPct)
	case 140:
		r = contract.Reading{Device: r.Device, Kind: contract.Sensor, Class: contract.Environment, Measured: at, Received: at, Seq: r.Seq, HasSeq: true}
		r.Values.Set(contract.Flame, 1)
	case 180:
		return ingest.Entry{Answer: &contract.Answer{
			Team: "yixian-1", Order: fmt.Sprint("or-", i), Receipt: contract.Accepted, At: at, Received: at.Add(time.Second),
		}}
	}
	return ingest.Entry{Reading: r}
}

func patrols(from, to, devices int) (es []ingest.Entry) {
	for i := from; i < to; i++ {
		es = append(es, patrol(i, devices))
	}
	return es
}

func mustStay(e ingest.Entry) bool { return e.Answer != nil || protected(&e.Reading) }

// thinAll thins every segment but the last.
func thinAll(tb testing.TB, j *Journal) {
	tb.Helper()
	j.writing.Lock()
	defer j.writing.Unlock()
	for {
		found, err := j.thinNext("a test", func(*segment) bool { return true })
		if err != nil {
			tb.Fatal(err)
		}
		if !found {
			return
		}
	}
}

// survivors checks that got is want without some ordinary readings, each of
// which has a copy as rich in its window, and returns how many are missing.
func survivors(tb testing.TB, got, want []ingest.Entry) (missing int) {
	tb.Helper()
	richest := map[window]int{}
	for i := range got {
		if r := &got[i].Reading; got[i].Answer == nil {
			richest[windowOf(r, DefaultThinTo)] = max(richest[windowOf(r, DefaultThinTo)], 1+richness(r))
		}
	}
	k := 0
	for i := range want {
		if k < len(got) && same(got[k], want[i]) {
			k++
			continue
		}
		missing++
		if mustStay(want[i]) {
			tb.Fatalf("lost: %+v", want[i])
		}
		if r := &want[i].Reading; richest[windowOf(r, DefaultThinTo)] < 1+richness(r) {
			tb.Fatalf("nothing as rich is left in the window of %+v", r)
		}
	}
	if k != len(got) {
		tb.Fatalf("%d of %d entries are out of order, twice, or were never appended, beginning with %+v", len(got)-k, len(got), got[k])
	}
	return missing
}

func TestWhatIsProtected(t *testing.T) {
	with := func(c contract.Class, f contract.Field, x float64) contract.Reading {
		r := contract.Reading{Class: c}
		r.Values.Set(f, x)
		return r
	}
	for _, c := range []struct {
		name string
		r    contract.Reading
		want bool
	}{
		{"SOS", contract.Reading{Class: contract.SOS}, true},
		{"report", contract.Reading{Class: contract.Report}, true},
		{"class of a later version", contract.Reading{Class: 77}, true},
		{"position", with(contract.Position, contract.Lat, 39), false},
		{"position with a word", contract.Reading{Class: contract.Position, Text: "着火"}, true},
		{"tamper", with(contract.Position, contract.Tamper, 1), true},
		{"no tamper", with(contract.Position, contract.Tamper, 0), false},
		{"battery at the limit", with(contract.Position, contract.BatteryPct, criticalBatteryPct), true},
		{"battery above it", with(contract.Position, contract.BatteryPct, criticalBatteryPct+0.1), false},
		{"battery that is no number", with(contract.Position, contract.BatteryPct, math.NaN()), true},
		{"flame", with(contract.Environment, contract.Flame, 1), true},
		{"no flame", with(contract.Environment, contract.Flame, 0), false},
		{"smoke", with(contract.Environment, contract.SmokeObsPctM, suspectSmokePctM), true},
		{"clear air", with(contract.Environment, contract.SmokeObsPctM, 0.7), false},
		{"smoke at which a red warning's rules suspect a fire", with(contract.Environment, contract.SmokeObsPctM, 1.75), true},
		{"carbon monoxide likewise", with(contract.Environment, contract.CoPPM, 10.5), true},
		{"heat likewise", with(contract.Environment, contract.TempC, 40.6), true},
		{"carbon monoxide", with(contract.Environment, contract.CoPPM, suspectCOPPM), true},
		{"heat", with(contract.Environment, contract.TempC, suspectTempC), true},
		{"a warm day", with(contract.Environment, contract.TempC, 39), false},
		{"last will", with(contract.Status, contract.Online, 0), true},
		{"birth", with(contract.Status, contract.Online, 1), true},
		{"tamper is over", with(contract.Status, contract.Tamper, 0), true},
		{"calibration", with(contract.Status, contract.Calibrating, 1), true},
		{"heartbeat", with(contract.Status, contract.UptimeS, 10), false},
	} {
		if got := protected(&c.r); got != c.want {
			t.Errorf("%s: protected %t, want %t", c.name, got, c.want)
		}
	}
}

func TestWindowsHoldBefore1970(t *testing.T) {
	at := func(s int64) int64 {
		return windowOf(&contract.Reading{Measured: time.Unix(s, 0)}, 10*time.Minute).number
	}
	for s, want := range map[int64]int64{-601: -2, -600: -1, -1: -1, 0: 0, 599: 0, 600: 1} {
		if got := at(s); got != want {
			t.Errorf("%d s: window %d, want %d", s, got, want)
		}
	}
}

// TestFullJournalStillTakesAnSOS: fifty devices fill the journal while nobody
// reads; then a warden calls for help.
func TestFullJournalStillTakesAnSOS(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	o := Options{
		Dir: t.TempDir(), SegmentBytes: 32 << 10, MaxBytes: 256 << 10, Readers: []string{"influx", "alerts"}, Log: zap.New(core),
	}
	j := open(t, o)
	n := 0
	for logs.Len() < 5 {
		add(t, j, patrols(n, n+20, 50)...)
		n += 20
	}
	sos := patrol(n+211-(n-17)%211, 50)
	if sos.Reading.Class != contract.SOS {
		t.Fatal("the test wants an SOS")
	}
	add(t, j, sos)
	want := append(patrols(0, n, 50), sos)
	got, end := readAll(t, j, j.Retained("influx"), 7)
	missing := survivors(t, got, want)
	if missing == 0 || !same(got[len(got)-1], sos) {
		t.Fatalf("%d were thinned, and the SOS is not the last", missing)
	}
	if j.bytes > o.MaxBytes {
		t.Errorf("%d bytes, %d allowed", j.bytes, o.MaxBytes)
	}
	// It is told by the log, the counter, Health, and Health after a restart.
	told := uint64(0)
	for _, e := range logs.All() {
		told += e.ContextMap()["readings"].(uint64)
	}
	counted := testutil.ToFloat64(j.metrics.thinned.WithLabelValues("position"))
	if j.note.Readings != uint64(missing) || told != uint64(missing) || counted != float64(missing) {
		t.Errorf("%d are missing; noted %d, logged %d, counted %v", missing, j.note.Readings, told, counted)
	}
	if j.Health() == nil || j.Ready() != nil {
		t.Errorf("health %v, ready %v", j.Health(), j.Ready())
	}
	j.Close()
	j = open(t, o)
	if err := j.Health(); err == nil {
		t.Error("what was thinned is forgotten after a restart")
	}
	again, _ := readAll(t, j, 0, 1000)
	equal(t, again, got)
	// Only as much as needed: the newest segments are whole.
	if j.segments[0].thinned == j.segments[len(j.segments)-2].thinned {
		t.Error("more was thinned than needed")
	}
	for _, r := range o.Readers {
		if err := j.Retain(r, end); err != nil {
			t.Fatal(err)
		}
	}
	if files := segmentFiles(t, j.o.Dir); len(files) != 1 {
		t.Errorf("%d segments after both have read", len(files))
	}
}

func TestWhenNothingMoreMayGoTheJournalRefuses(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, MaxBytes: 64 << 10, Readers: []string{"influx"}})
	var accepted []ingest.Entry
	var err error
	for i := 0; err == nil && i < 1_000_000; i++ {
		e := patrol(i, 50)
		if err = j.Append(t.Context(), []ingest.Entry{e}); err == nil {
			accepted = append(accepted, e)
		}
	}
	if !errors.Is(err, ErrFull) || !errors.Is(j.Ready(), ErrFull) {
		t.Fatalf("%v, ready %v; want ErrFull", err, j.Ready())
	}
	files := len(segmentFiles(t, j.o.Dir))
	for range 5 {
		if err := j.Append(t.Context(), accepted[:10]); !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if n := len(segmentFiles(t, j.o.Dir)); n != files || j.bytes > j.o.MaxBytes {
		t.Errorf("refusing made %d files of %d, and %d bytes", n, files, j.bytes)
	}
	got, end := readAll(t, j, 0, 1000)
	survivors(t, got, accepted)
	if err := j.Retain("influx", end); err != nil {
		t.Fatal(err)
	}
	add(t, j, patrol(0, 50))
	if err := j.Ready(); err != nil {
		t.Error(err)
	}
}

// TestTooLargeABatchThinsNothing: it could never fit.
func TestTooLargeABatchThinsNothing(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, MaxBytes: 64 << 10})
	add(t, j, patrols(0, 400, 5)...)
	add(t, j, patrols(400, 800, 5)...)
	if err := j.Append(t.Context(), patrols(0, 2000, 5)); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	got, _ := readAll(t, j, 0, 1000)
	equal(t, got, patrols(0, 800, 5))
}

// TestPassedEntriesGoUncounted: nobody needs them.
func TestPassedEntriesGoUncounted(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 64 << 10, Readers: []string{"a", "b"}})
	sos := func(i int) ingest.Entry { return patrol(17+211*i, 50) }
	for i := range 300 {
		add(t, j, sos(i))
	}
	first := len(segmentFiles(t, j.o.Dir))
	_, pos, err := j.Read(t.Context(), 0, 30)
	if err != nil {
		t.Fatal(err)
	}
	_, far, err := j.Read(t.Context(), pos, 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Retain("a", pos), j.Retain("b", far)); err != nil {
		t.Fatal(err)
	}
	before := j.bytes
	thinAll(t, j)
	if j.bytes >= before || len(segmentFiles(t, j.o.Dir)) != first {
		t.Fatalf("%d bytes of %d", j.bytes, before)
	}
	if j.note.Readings != 0 || j.Health() != nil {
		t.Errorf("told of %d readings: %v", j.note.Readings, j.Health())
	}
	got, _ := readAll(t, j, pos, 7)
	if len(got) != 270 || !same(got[0], sos(30)) {
		t.Fatalf("%d entries", len(got))
	}
}

type follower struct {
	name   string
	pos    ingest.Position
	got    []ingest.Entry
	parked []int // how many of got were had at each position that may be retained
	at     []ingest.Position
}

// TestReadersAndThinning: whatever is appended, thinned, read ahead, retained
// and reopened in whatever order, every reader gets what is kept exactly once,
// in order, and what is missing is ordinary, has a copy in its window, and was
// told.
func TestReadersAndThinning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{
			Dir: t.TempDir(), SegmentBytes: rapid.Int64Range(1<<10, 8<<10).Draw(rt, "segment"), MaxBytes: 64 << 10,
			Readers: []string{"stuck", "slow", "fast"},
		}
		j := open(t, o)
		defer func() { j.Close() }()
		devices := rapid.IntRange(1, 50).Draw(rt, "devices")
		followers := map[string]*follower{}
		for _, name := range o.Readers {
			followers[name] = &follower{name: name, pos: j.Retained(name), at: []ingest.Position{j.Retained(name)}, parked: []int{0}}
		}
		var accepted []ingest.Entry
		next := 0
		done, cancel := context.WithCancel(t.Context())
		cancel()
		read := func(f *follower, limit int) bool {
			es, pos, err := j.Read(done, f.pos, limit)
			if err != nil {
				return false
			}
			f.got, f.pos = append(f.got, es...), pos
			f.at, f.parked = append(f.at, pos), append(f.parked, len(f.got))
			return true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				n := rapid.IntRange(1, 60).Draw(rt, "n")
				batch := patrols(next, next+n, devices)
				for i := range batch {
					if rapid.IntRange(0, 9).Draw(rt, "richer") == 0 && batch[i].Answer == nil {
						batch[i].Reading.Code = "v2"
					}
				}
				switch err := j.Append(t.Context(), batch); {
				case err == nil:
					next += n
					accepted = append(accepted, batch...)
				case !errors.Is(err, ErrFull):
					rt.Fatal(err)
				}
			},
			"thin": func(rt *rapid.T) {
				j.writing.Lock()
				defer j.writing.Unlock()
				if _, err := j.thinNext("a test", func(*segment) bool { return true }); err != nil {
					rt.Fatal(err)
				}
			},
			"read": func(rt *rapid.T) {
				f := followers[rapid.SampledFrom([]string{"slow", "fast"}).Draw(rt, "who")]
				read(f, rapid.IntRange(1, 100).Draw(rt, "limit"))
			},
			"retain": func(rt *rapid.T) {
				f := followers[rapid.SampledFrom([]string{"slow", "fast"}).Draw(rt, "who")]
				i := rapid.IntRange(0, len(f.at)-1).Draw(rt, "behind")
				f.at, f.parked = f.at[i:], f.parked[i:] // the rest is read ahead
				if err := j.Retain(f.name, f.at[0]); err != nil {
					rt.Fatal(err)
				}
			},
			"reopen": func(rt *rapid.T) {
				j.Close()
				j = open(t, o)
				for _, f := range followers { // each goes on where it retained
					f.pos, f.got = f.at[0], f.got[:f.parked[0]]
					f.at, f.parked = f.at[:1], f.parked[:1]
					if got := j.Retained(f.name); got != f.pos && got != j.segments[0].base {
						rt.Fatalf("%s retained %d, and stands at %d", f.name, f.pos, got)
					}
				}
			},
		})
		for _, f := range followers {
			for read(f, 50) {
			}
			missing := survivors(t, f.got, accepted)
			if f.name == "stuck" && uint64(missing) != j.note.Readings || uint64(missing) > j.note.Readings {
				rt.Fatalf("%s misses %d readings, told were %d", f.name, missing, j.note.Readings)
			}
		}
		if err := j.damaged(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestReadersFollowWhileSegmentsAreThinned: files are exchanged under a reader
// that is in the middle of them.
func TestReadersFollowWhileSegmentsAreThinned(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 128 << 10, Readers: []string{"stuck", "one", "two"}})
	const n = 8000
	done := make(chan error)
	for _, name := range []string{"one", "two"} {
		go func() {
			last, sos := -1, 0
			for pos := j.Retained(name); last < n-1; {
				es, next, err := j.Read(t.Context(), pos, 13)
				if err != nil {
					done <- err
					return
				}
				for _, e := range es {
					if e.Answer != nil {
						continue
					}
					if int(e.Reading.Seq) <= last {
						done <- fmt.Errorf("%s: reading %d after %d", name, e.Reading.Seq, last)
						return
					}
					last = int(e.Reading.Seq)
					if e.Reading.Class == contract.SOS {
						sos++
					}
				}
				pos = next
			}
			if want := (n - 17 + 210) / 211; sos != want {
				done <- fmt.Errorf("%s: %d SOS, want %d", name, sos, want)
				return
			}
			done <- nil
		}()
	}
	for i := 0; i < n; i += 20 {
		add(t, j, patrols(i, i+20, 10)...)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if j.note.Readings == 0 {
		t.Error("nothing was thinned; the test proves nothing")
	}
	if err := j.damaged(); err != nil {
		t.Error(err)
	}
}

// BenchmarkThin thins one segment of the default size.
func BenchmarkThin(b *testing.B) {
	j := open(b, Options{Dir: b.TempDir()})
	n := 0
	for len(j.segments) < 2 {
		add(b, j, patrols(n, n+5000, 2000)...)
		n += 5000
	}
	data, err := readFrames(j.segments[0])
	if err != nil {
		b.Fatal(err)
	}
	salt, path := j.segments[0].salt, j.o.Dir+"/copy"
	b.ReportAllocs()
	for b.Loop() {
		s := sift(data, salt, 0, DefaultThinTo, nil)
		h := header{salt: 1, thinned: true, span: int64(len(data)), kept: s.bytes}
		if err := writeThinned(path, h, salt, data, s.keep); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(s.keep)), "readings")
		b.ReportMetric(float64(s.bytes)/float64(len(data)), "kept")
	}
}
