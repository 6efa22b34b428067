package quarantine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

var noon = time.Date(2026, 4, 4, 4, 0, 0, 0, time.UTC)

func garbage(id string, i int) ingest.Rejection {
	return ingest.Rejection{
		Device: contract.DeviceID(id), Topic: "fw/v1/trackers/" + id + "/positions",
		Reason:  fmt.Sprintf("lat: %d is outside -90..90", 91+i%3),
		Payload: fmt.Appendf(nil, `{"t":1775275200000,"seq":%d,"lat":91}`, i), Received: noon.Add(time.Duration(i) * time.Millisecond),
	}
}

func open(tb testing.TB, o Options) *Quarantine {
	tb.Helper()
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	q, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { q.Close() })
	return q
}

func keep(tb testing.TB, q *Quarantine, rs ...ingest.Rejection) {
	tb.Helper()
	if err := q.Keep(context.Background(), rs); err != nil {
		tb.Fatal(err)
	}
}

func countOf(q *Quarantine, id contract.DeviceID) ingest.QuarantineCount {
	for _, c := range q.Counts() {
		if c.Device == id {
			return c
		}
	}
	return ingest.QuarantineCount{}
}

// lines reads all kept rejections, oldest first.
func lines(tb testing.TB, dir string) (out []record) {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "rejected-*.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			var r record
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				tb.Fatalf("%s: %v in %q", name, err, s.Text())
			}
			out = append(out, r)
		}
	}
	return out
}

func size(tb testing.TB, dir string) (n int64) {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "rejected-*.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil {
			tb.Fatal(err)
		}
		n += st.Size()
	}
	return n
}

func TestEvidenceIsOnDiskWhenKeepReturns(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir})
	binary := garbage("se-2", 2)
	binary.Payload = []byte{0xff, 0, 1}
	long := garbage("se-3", 3)
	long.Payload = []byte(strings.Repeat("火", 3000))
	long.Topic, long.Reason = strings.Repeat("t", 70_000), strings.Repeat("r", 70_000)
	nobody := garbage("", 4)
	keep(t, q, garbage("tr-1", 1), binary, long, nobody)
	got := lines(t, dir) // not closed: as a crash would leave it
	want := []record{
		{Received: noon.Add(time.Millisecond), Device: "tr-1", Topic: "fw/v1/trackers/tr-1/positions", Reason: "lat: 92 is outside -90..90", Text: `{"t":1775275200000,"seq":1,"lat":91}`, Bytes: 36},
		{Received: binary.Received, Device: "se-2", Topic: binary.Topic, Reason: binary.Reason, Base64: binary.Payload, Bytes: 3},
		{Received: long.Received, Device: "se-3", Topic: long.Topic[:256], Reason: long.Reason[:512], Text: strings.Repeat("火", 1365), Bytes: 9000},
		{Received: nobody.Received, Topic: nobody.Topic, Reason: nobody.Reason, Text: string(nobody.Payload), Bytes: 36},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if c := countOf(q, "se-3"); c.Total != 1 || len(c.Example) != exampleBytes || len(c.LastTopic) != 256 {
		t.Errorf("count %+v", c)
	}
	if c := countOf(q, NoDevice); c.Total != 1 {
		t.Errorf("count of no device %+v", c)
	}
}

func TestFloodOfOneDeviceCostsLittle(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir, Burst: 20, Refill: time.Hour})
	const n = 100_000
	batch := make([]ingest.Rejection, 1000)
	for i := 0; i < n; i += len(batch) {
		for k := range batch {
			batch[k] = garbage("tr-1", i+k)
		}
		keep(t, q, batch...)
	}
	keep(t, q, garbage("tr-2", 0))
	if got := len(lines(t, dir)); got != 21 {
		t.Errorf("%d rejections on disk, want 20 of the flood and 1 of the other", got)
	}
	if c := countOf(q, "tr-1"); c.Total != n || c.LastReason != garbage("", n-1).Reason || !c.Last.Equal(garbage("", n-1).Received) {
		t.Errorf("count %+v", c)
	}
	if c := countOf(q, "tr-2"); c.Total != 1 || len(c.Example) == 0 {
		t.Errorf("count of the other %+v", c)
	}
	// Beyond the budget nothing is allocated.
	same := garbage("tr-1", 0)
	rs := []ingest.Rejection{same}
	keep(t, q, rs...)
	if a := testing.AllocsPerRun(100, func() { keep(t, q, rs...) }); a > 0 {
		t.Errorf("%v allocations for a rejection beyond the budget", a)
	}
}

func TestExampleGoesWithTheLastReason(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Burst: 2, Refill: time.Hour}
	q := open(t, o)
	rejection := func(reason, payload string) ingest.Rejection {
		r := garbage("tr-1", 0)
		r.Reason, r.Payload = reason, []byte(payload)
		return r
	}
	check := func(when, reason, example string) {
		t.Helper()
		if c := countOf(q, "tr-1"); c.LastReason != reason || string(c.Example) != example {
			t.Errorf("%s: %q with %q, want %q with %q", when, c.LastReason, c.Example, reason, example)
		}
	}
	keep(t, q, rejection("lat", "first"), rejection("lat", "second"))
	check("within the budget", "lat", "second")
	keep(t, q, rejection("lat", "third"))
	check("beyond it, the same reason", "lat", "second")
	long := strings.Repeat("x", 2*exampleBytes)
	keep(t, q, rejection("lon", long))
	check("beyond it, another reason", "lon", long[:exampleBytes])
	if n := len(lines(t, dir)); n != 2 {
		t.Errorf("%d rejections on disk, want 2", n)
	}
	q.Close()
	q = open(t, o)
	check("after a restart", "lon", long[:exampleBytes])
}

func TestBudgetComesBack(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		q := open(t, Options{Dir: dir, Burst: 3, Refill: time.Minute})
		for i := range 10 {
			keep(t, q, garbage("tr-1", i))
		}
		kept := func() int { return len(lines(t, dir)) }
		if kept() != 3 {
			t.Fatalf("%d kept of a burst, want 3", kept())
		}
		time.Sleep(2*time.Minute + time.Second)
		for i := range 10 {
			keep(t, q, garbage("tr-1", i))
		}
		if kept() != 5 {
			t.Fatalf("%d kept after two minutes, want 5", kept())
		}
		time.Sleep(24 * time.Hour)
		for i := range 10 {
			keep(t, q, garbage("tr-1", i))
		}
		if kept() != 8 {
			t.Fatalf("%d kept after a day, want 8", kept())
		}
		q.Close()
	})
}

func TestDiskIsBounded(t *testing.T) {
	dir := t.TempDir()
	const limit = 256 << 10
	o := Options{Dir: dir, MaxBytes: limit}
	q := open(t, o)
	rejection := func(i int) ingest.Rejection {
		r := garbage(fmt.Sprintf("tr-%d", i), i) // each within its budget
		r.Payload = bytes.Repeat([]byte{'\n', 1, 'a'}, 1000)
		return r
	}
	for i := 0; i < 2000; i += 7 {
		var rs []ingest.Rejection
		for k := range 7 {
			rs = append(rs, rejection(i+k))
		}
		keep(t, q, rs...)
		if n := size(t, dir); n > limit || n != q.bytes() {
			t.Fatalf("%d bytes on disk, %d counted, %d allowed", n, q.bytes(), limit)
		}
		if i%500 < 7 {
			q.Close()
			q = open(t, o)
		}
	}
	got := lines(t, dir)
	if len(got) < 5 || got[len(got)-1].Device != "tr-2001" {
		t.Errorf("%d rejections are left; the newest must be among them", len(got))
	}
	if n := len(q.Counts()); n != 2002 {
		t.Errorf("%d devices counted", n)
	}
}

func TestManyStartsKeepTheOldEvidence(t *testing.T) {
	dir := t.TempDir()
	for i := range maxFiles + 10 {
		q := open(t, Options{Dir: dir})
		keep(t, q, garbage(fmt.Sprintf("tr-%d", i), i))
		q.Close()
	}
	if n := len(lines(t, dir)); n != maxFiles {
		t.Errorf("%d kept, want %d", n, maxFiles)
	}
}

func TestDevicesAreBounded(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir, MaxDevices: 10, Burst: 2, Refill: time.Hour})
	for i := range 1000 {
		keep(t, q, garbage(fmt.Sprintf("tr-%d", i), i), garbage("", i))
	}
	if n := len(q.Counts()); n > 12 {
		t.Errorf("%d devices are counted by name, 10 allowed and two that are none", n)
	}
	total := uint64(0)
	for _, c := range q.Counts() {
		total += c.Total
	}
	if total != 2000 || countOf(q, OtherDevices).Total < 900 {
		t.Errorf("%d counted in all, %d of others", total, countOf(q, OtherDevices).Total)
	}
	if n := len(lines(t, dir)); n > 12*2 {
		t.Errorf("%d kept", n)
	}
}

func TestCountsSurvive(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprintf("crash=%t", crash), func(t *testing.T) {
			dir := t.TempDir()
			o := Options{Dir: dir, Burst: 100, CountsLag: time.Hour}
			q := open(t, o)
			for i := range 50 { // the first Keep saves the counts; the rest stands in the lines only
				keep(t, q, garbage("tr-1", i), garbage(fmt.Sprintf("tr-%d", i+2), i))
			}
			want := q.Counts()
			if !crash {
				q.Close()
			}
			if crash { // and the last line was torn
				f, err := os.OpenFile(q.path(q.parts[len(q.parts)-1].number), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteString(`{"received":"2026`); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			for range 2 {
				q = open(t, o)
				got := q.Counts()
				for _, cs := range [][]ingest.QuarantineCount{got, want} {
					slices.SortFunc(cs, func(a, b ingest.QuarantineCount) int { return strings.Compare(string(a.Device), string(b.Device)) })
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatal(d)
				}
				q.Close()
			}
			q = open(t, o)
			keep(t, q, garbage("tr-1", 99))
			if c := countOf(q, "tr-1"); c.Total != 51 {
				t.Errorf("%d counted after the restart", c.Total)
			}
		})
	}
}

func TestUnreadableCountsAreMadeAnew(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir})
	keep(t, q, garbage("tr-1", 1), garbage("tr-1", 2))
	q.Close()
	if err := os.WriteFile(filepath.Join(dir, "counts.json"), []byte(`{"part":1,`), 0o600); err != nil {
		t.Fatal(err)
	}
	q = open(t, Options{Dir: dir})
	if c := countOf(q, "tr-1"); c.Total != 2 {
		t.Errorf("%d counted", c.Total)
	}
}

func TestRefusingDiskCountsAndRecovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	q := open(t, Options{Dir: dir})
	keep(t, q, garbage("tr-1", 1))
	// The folder goes away and a file stands in its place: nothing can be created.
	q.mu.Lock()
	q.file.Close()
	q.mu.Unlock()
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		keep(t, q, garbage("tr-1", i))
		if q.Ready() == nil {
			t.Fatal("ready although nothing is kept")
		}
	}
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	keep(t, q, garbage("tr-1", 7))
	if err := q.Ready(); err != nil {
		t.Errorf("after it recovered: %v", err)
	}
	if n := len(lines(t, dir)); n != 1 {
		t.Errorf("%d kept", n)
	}
	if c := countOf(q, "tr-1"); c.Total != 7 {
		t.Errorf("%d counted", c.Total)
	}
}

func TestOptionsAndMetrics(t *testing.T) {
	log := zap.NewNop()
	for _, o := range []Options{{}, {Dir: "x"}, {Dir: "x", Log: log, MaxBytes: 1}, {Dir: "x", Log: log, MaxPayload: 2 << 20}, {Dir: "x", Log: log, MaxRefused: 1}} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	reg := prometheus.NewRegistry()
	q := open(t, Options{Dir: t.TempDir(), Metrics: reg})
	keep(t, q, garbage("tr-1", 1))
	if got, err := reg.Gather(); err != nil || len(got) != 7 {
		t.Errorf("%d metrics, %v", len(got), err)
	}
}

func BenchmarkFlood(b *testing.B) {
	q := open(b, Options{Dir: b.TempDir()})
	batch := make([]ingest.Rejection, 1000)
	for k := range batch {
		batch[k] = garbage("tr-1", k)
	}
	b.ReportAllocs()
	for b.Loop() {
		keep(b, q, batch...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/rejection")
}
