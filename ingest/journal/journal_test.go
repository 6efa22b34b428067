package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

func TestMain(m *testing.M) {
	if f := children[os.Getenv("FIREWATCH_JOURNAL_CHILD")]; f != nil {
		f()
		return
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 4, 4, 4, 0, 0, 123456789, time.UTC)

// entry is a believable entry that can be told from the others.
func entry(i int) ingest.Entry {
	if i%10 == 9 {
		return ingest.Entry{Answer: &contract.Answer{
			Team: "yixian-1", Order: fmt.Sprintf("or-%d", i), Receipt: contract.Accepted, By: "王",
			At: noon.Add(time.Duration(i) * time.Second), Received: noon.Add(time.Duration(i) * time.Second),
		}}
	}
	r := contract.Reading{
		Device: contract.DeviceID(fmt.Sprintf("tr-%d", i%7)), Kind: contract.Tracker, Class: contract.Position,
		Measured: noon.Add(time.Duration(i-30) * time.Second), Received: noon.Add(time.Duration(i) * time.Second),
		Seq: uint64(i), HasSeq: true,
	}
	r.Values.Set(contract.Lat, 39.1234567)
	r.Values.Set(contract.Lon, 115.7654321)
	r.Values.Set(contract.BatteryPct, float64(i%100))
	return ingest.Entry{Reading: r}
}

func entries(from, to int) (es []ingest.Entry) {
	for i := from; i < to; i++ {
		es = append(es, entry(i))
	}
	return es
}

func open(tb testing.TB, o Options) *Journal {
	tb.Helper()
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	j, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { j.Close() })
	return j
}

func add(tb testing.TB, j *Journal, es ...ingest.Entry) {
	tb.Helper()
	if err := j.Append(context.Background(), es); err != nil {
		tb.Fatal(err)
	}
}

// readAll reads from a position to the end.
func readAll(tb testing.TB, j *Journal, from ingest.Position, limit int) ([]ingest.Entry, ingest.Position) {
	tb.Helper()
	done, cancel := context.WithCancel(context.Background())
	cancel() // so that Read returns what is there and does not wait
	var all []ingest.Entry
	for {
		es, next, err := j.Read(done, from, limit)
		if errors.Is(err, context.Canceled) {
			return all, next
		}
		if err != nil {
			tb.Fatal(err)
		}
		if len(es) == 0 || len(es) > limit || next <= from {
			tb.Fatalf("Read(%d, %d) gave %d entries and %d", from, limit, len(es), next)
		}
		all, from = append(all, es...), next
	}
}

func same(a, b ingest.Entry) bool {
	if (a.Answer == nil) != (b.Answer == nil) {
		return false
	}
	if a.Answer != nil {
		return *a.Answer == *b.Answer
	}
	return a.Reading == b.Reading
}

func equal(tb testing.TB, got, want []ingest.Entry) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if !same(got[i], want[i]) {
			tb.Fatalf("entry %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func segmentFiles(tb testing.TB, dir string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

func genTime(t *rapid.T, label string) time.Time {
	return time.UnixMilli(rapid.Int64Range(-1e14, 1e14).Draw(t, label)).Add(time.Duration(rapid.IntRange(0, 999_999).Draw(t, label+" ns"))).UTC()
}

func genEntry(t *rapid.T) ingest.Entry {
	text := rapid.String()
	if rapid.Bool().Draw(t, "answer") {
		return ingest.Entry{Answer: &contract.Answer{
			Team: contract.TeamID(text.Draw(t, "team")), Order: text.Draw(t, "order"),
			Receipt: rapid.SampledFrom(contract.Receipts).Draw(t, "receipt"), Reason: text.Draw(t, "reason"),
			By: text.Draw(t, "by"), At: genTime(t, "at"), Received: genTime(t, "received"),
		}}
	}
	r := contract.Reading{
		Device: contract.DeviceID(text.Draw(t, "device")), Kind: contract.Kind(rapid.Byte().Draw(t, "kind")),
		Class: contract.Class(rapid.Byte().Draw(t, "class")), Measured: genTime(t, "measured"), Received: genTime(t, "received"),
		Seq: rapid.Uint64().Draw(t, "seq"), HasSeq: rapid.Bool().Draw(t, "counts"), Code: text.Draw(t, "code"), Text: text.Draw(t, "text"),
	}
	for f := range contract.Fields() {
		if rapid.Bool().Draw(t, "has") {
			r.Values.Set(f, rapid.Float64().Draw(t, f.String()))
		}
	}
	return ingest.Entry{Reading: r}
}

func TestWhatIsAppendedIsReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{Dir: t.TempDir(), SegmentBytes: rapid.Int64Range(1<<10, 4<<10).Draw(rt, "segment"), MaxBytes: 1 << 20}
		j := open(t, o)
		var want []ingest.Entry
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			if rapid.IntRange(0, 3).Draw(rt, "reopen") == 0 {
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				j = open(t, o)
			}
			batch := rapid.SliceOfN(rapid.Custom(genEntry), 1, 6).Draw(rt, "batch")
			add(t, j, batch...)
			want = append(want, batch...)
		}
		got, _ := readAll(t, j, 0, rapid.IntRange(1, 10).Draw(rt, "limit"))
		equal(t, got, want)
		if err := j.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestReadWaitsForTheNextEntry(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir()})
	type result struct {
		es  []ingest.Entry
		err error
	}
	got := make(chan result)
	for range 2 {
		go func() {
			es, _, err := j.Read(context.Background(), 0, 10)
			got <- result{es, err}
		}()
	}
	add(t, j, entry(1))
	for range 2 {
		r := <-got
		if r.err != nil {
			t.Fatal(r.err)
		}
		equal(t, r.es, entries(1, 2))
	}
	_, end := readAll(t, j, 0, 10)
	closed := make(chan error)
	go func() {
		_, _, err := j.Read(context.Background(), end, 10)
		closed <- err
	}()
	j.Close()
	if err := <-closed; !errors.Is(err, ErrClosed) {
		t.Errorf("Read at the end of a closed journal: %v", err)
	}
	if err := j.Append(context.Background(), entries(0, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Append to a closed journal: %v", err)
	}
}

func TestReadersFollowWhileOthersAppend(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, MaxBytes: 1 << 20, Readers: []string{"a", "b"}})
	const n = 3000
	done := make(chan error)
	for _, name := range []string{"a", "b"} {
		go func() {
			var got int
			for pos := j.Retained(name); got < n; {
				es, next, err := j.Read(context.Background(), pos, 17)
				if err != nil {
					done <- err
					return
				}
				for _, e := range es {
					if !same(e, entry(got)) {
						done <- fmt.Errorf("reader %s: entry %d is %+v", name, got, e)
						return
					}
					got++
				}
				pos = next
				if err := j.Retain(name, pos); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := 0; i < n; i += 5 {
		add(t, j, entries(i, i+5)...)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if files := segmentFiles(t, j.o.Dir); len(files) > 2 {
		t.Errorf("%d segments are left after both readers have passed", len(files))
	}
}

func TestSegmentsStayUntilEveryReaderHasPassed(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, SegmentBytes: 1 << 10, MaxBytes: 1 << 20}
	j := open(t, o)
	for i := range 100 {
		add(t, j, entry(i))
	}
	all := len(segmentFiles(t, dir))
	if all < 5 {
		t.Fatalf("%d segments; the test wants several", all)
	}
	_, end := readAll(t, j, 0, 1000)
	j.Close()

	// Declared readers hold from the first start, before they ever retained.
	o.Readers = []string{"influx", "alerts"}
	j = open(t, o)
	if err := j.Retain("influx", end); err != nil {
		t.Fatal(err)
	}
	if n := len(segmentFiles(t, dir)); n != all {
		t.Fatalf("%d segments after one of two readers passed, want %d", n, all)
	}
	got, _ := readAll(t, j, j.Retained("alerts"), 1000)
	equal(t, got, entries(0, 100))
	if err := j.Retain("alerts", end); err != nil {
		t.Fatal(err)
	}
	if n := len(segmentFiles(t, dir)); n != 1 {
		t.Fatalf("%d segments after both passed, want 1", n)
	}
	if got, want := j.Retained("influx"), end; got != want {
		t.Errorf("retained %d, want %d", got, want)
	}
	// A position that is gone is moved to the oldest.
	if got, _ := readAll(t, j, 1, 1000); len(got) == 0 || len(got) >= 100 {
		t.Errorf("%d entries from a position that is gone", len(got))
	}
	for i := range 100 {
		add(t, j, entry(i))
	}
	j.Close()

	// "alerts" is no longer declared: its old position holds nothing.
	o.Readers = []string{"influx"}
	j = open(t, o)
	if got := j.Retained("influx"); got != end {
		t.Errorf("after a restart %d is retained, want %d", got, end)
	}
	_, end = readAll(t, j, j.Retained("influx"), 1000)
	if err := j.Retain("influx", end); err != nil {
		t.Fatal(err)
	}
	if n := len(segmentFiles(t, dir)); n != 1 {
		t.Errorf("%d segments are held for a reader that is not declared", n)
	}
}

func TestAReaderThatIsOwedEntriesIsNotForgotten(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 1 << 10, MaxBytes: 1 << 20, Readers: []string{"influx", "alerts"}}
	j := open(t, o)
	for i := range 100 {
		add(t, j, entry(i))
	}
	_, end := readAll(t, j, j.Retained("alerts"), 1000)
	if err := j.Retain("alerts", end); err != nil {
		t.Fatal(err)
	}
	j.Close()

	// Without "influx", which has read nothing, the journal does not open.
	o.Readers, o.Owed, o.Log = []string{"alerts"}, []string{"influx"}, zaptest.NewLogger(t)
	for range 2 {
		if j, err := Open(o); !errors.Is(err, ErrOwed) {
			if err == nil {
				j.Close()
			}
			t.Fatalf("opening: %v, want ErrOwed", err)
		}
	}
	// With it, everything is still there; once it has passed, it may go.
	o.Readers = []string{"influx", "alerts"}
	j = open(t, o)
	got, end := readAll(t, j, j.Retained("influx"), 1000)
	equal(t, got, entries(0, 100))
	if err := j.Retain("influx", end); err != nil {
		t.Fatal(err)
	}
	j.Close()
	o.Readers = []string{"alerts"}
	j = open(t, o)
	add(t, j, entry(100)) // owed to nobody
	j.Close()
	open(t, o)
}

func TestNothingIsRemovedWithoutAReader(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 1 << 10, MaxBytes: 1 << 20})
	for i := range 50 {
		add(t, j, entry(i))
	}
	got, _ := readAll(t, j, j.Retained("anyone"), 1000)
	equal(t, got, entries(0, 50))
}

func TestFullJournalRefusesAndRecovers(t *testing.T) {
	entries := func(from, to int) []ingest.Entry { // of which none may be thinned
		es := entries(from, to)
		for i := range es {
			es[i].Reading.Class = contract.SOS
		}
		return es
	}
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, MaxBytes: 64 << 10, Readers: []string{"influx"}})
	n := 0
	var err error
	for ; err == nil && n < 10_000; n++ {
		err = j.Append(context.Background(), entries(n, n+1))
	}
	n--
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d entries: %v, want ErrFull", n, err)
	}
	if !errors.Is(j.Ready(), ErrFull) {
		t.Errorf("Ready: %v, want ErrFull", j.Ready())
	}
	got, next := readAll(t, j, 0, 1000)
	equal(t, got, entries(0, n))
	var size int64
	for _, f := range segmentFiles(t, j.o.Dir) {
		st, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
	}
	if size > 64<<10 || size != j.bytes {
		t.Errorf("%d bytes on disk, %d counted, 65536 allowed", size, j.bytes)
	}
	if err := j.Retain("influx", next); err != nil {
		t.Fatal(err)
	}
	add(t, j, entries(n, n+1)...)
	if err := errors.Join(j.Ready(), j.Health()); err != nil {
		t.Errorf("Ready and Health after it recovered: %v", err)
	}
	got, _ = readAll(t, j, j.Retained("influx"), 1000)
	equal(t, got, entries(n, n+1))
}

func TestFullJournalOfOnePassedSegmentMakesRoom(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, MaxBytes: 64 << 10, Readers: []string{"influx"}})
	big := entry(1)
	big.Reading.Text = string(make([]byte, 50<<10))
	add(t, j, big) // over SegmentBytes, alone in its segment
	if err := j.Append(context.Background(), []ingest.Entry{big}); !errors.Is(err, ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	_, next := readAll(t, j, 0, 10)
	if err := j.Retain("influx", next); err != nil {
		t.Fatal(err)
	}
	add(t, j, big)
	got, _ := readAll(t, j, next, 10)
	equal(t, got, []ingest.Entry{big})
}

func TestSeekNeverSkips(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, SegmentBytes: 1 << 10, MaxBytes: 1 << 20}
	j := open(t, o)
	var es []ingest.Entry
	for i := range 200 {
		e := entry(i - i%10) // no answers
		// The receiving clock goes forth and back.
		e.Reading.Received = noon.Add(time.Duration(i+60*int(math.Sin(float64(i)))) * time.Second)
		es = append(es, e)
		add(t, j, e)
	}
	for range 2 {
		skipped := false
		for s := -100; s < 400; s += 7 {
			at := noon.Add(time.Duration(s) * time.Second)
			pos := j.Seek(at)
			got, _ := readAll(t, j, pos, 50)
			if len(got) < len(es) {
				skipped = true
			}
			for _, e := range es[:len(es)-len(got)] {
				if !e.Received().Before(at) {
					t.Fatalf("Seek(%s) passes over an entry received at %s", at, e.Received())
				}
			}
		}
		if !skipped {
			t.Error("Seek never passes over anything")
		}
		if got, _ := readAll(t, j, j.Seek(noon.Add(24*time.Hour)), 10); len(got) != 0 {
			t.Errorf("%d entries after the last", len(got))
		}
		j.Close()
		j = open(t, o) // the same from the headers
	}
}

func TestOneProcessPerFolder(t *testing.T) {
	dir := t.TempDir()
	j := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir, Log: zap.NewNop()}); err == nil {
		t.Fatal("the folder was opened twice")
	}
	j.Close()
	open(t, Options{Dir: dir})
}

func TestPositionsAreNotReusedAfterTheFolderWasRemoved(t *testing.T) {
	dir := t.TempDir()
	j := open(t, Options{Dir: dir})
	add(t, j, entries(0, 100)...)
	_, before := readAll(t, j, 0, 1000)
	j.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	j = open(t, Options{Dir: dir})
	add(t, j, entry(1))
	got, after := readAll(t, j, before, 10) // a reader that kept its position elsewhere
	equal(t, got, entries(1, 2))
	if after <= before {
		t.Errorf("position %d after %d", after, before)
	}
}

func TestPositionInsideAnEntryBeginsWithIt(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	j := open(t, Options{Dir: t.TempDir(), Log: zap.New(core)})
	add(t, j, entries(0, 3)...)
	_, second, err := j.Read(context.Background(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, end := readAll(t, j, second+5, 10)
	equal(t, got, entries(1, 3))
	got, _, err = j.Read(context.Background(), end+1_000_000, 10) // nothing is waited for in vain
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, entries(0, 3))
	if logs.Len() != 2 || j.Health() != nil {
		t.Errorf("%d warnings, health %v", logs.Len(), j.Health())
	}
}
