package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// received is an entry that is measured and received now.
func received(n int, c contract.Class) ingest.Entry {
	r := contract.Reading{
		Device: "tr-1", Kind: contract.Tracker, Class: c, Measured: time.Now().UTC(), Received: time.Now().UTC(), Seq: uint64(n), HasSeq: true,
	}
	r.Values.Set(contract.Lat, 39)
	return ingest.Entry{Reading: r}
}

// hours lets time pass and appends ten positions and an SOS in the first minute
// of each hour. It returns what was appended.
func hours(t *testing.T, j *Journal, n int, each func()) (es []ingest.Entry) {
	t.Helper()
	for range n {
		for i := range 11 {
			c := contract.Position
			if i == 10 {
				c = contract.SOS
			}
			e := received(i, c)
			add(t, j, e)
			es = append(es, e)
			time.Sleep(time.Second)
		}
		each()
		time.Sleep(time.Hour - 11*time.Second)
	}
	return es
}

func TestWhatNobodyReadsForTooLongIsThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		j := open(t, Options{Dir: t.TempDir(), Readers: []string{"stuck"}, Log: zap.New(core)})
		all := hours(t, j, 72, func() {})
		got, _ := readAll(t, j, 0, 100)
		equal(t, got, all) // in full for 72 h
		all = append(all, hours(t, j, 28, func() {})...)
		got, _ = readAll(t, j, 0, 100)
		missing := survivors(t, got, all)
		// Of each hour of the segments that are over 72 h old nine positions are
		// missing; a segment spans at most 9 h.
		if missing < 9*(28-10) || missing > 9*28 {
			t.Errorf("%d readings are missing", missing)
		}
		if logs.Len() == 0 || j.Health() == nil {
			t.Errorf("%d times logged, health %v", logs.Len(), j.Health())
		}
	})
}

func TestWhatIsReadIsNotThinnedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Dir: t.TempDir(), Readers: []string{"slow"}}
		j := open(t, o)
		all := hours(t, j, 70, func() {})
		j.Close()
		time.Sleep(96 * time.Hour) // switched off
		j = open(t, o)
		var got []ingest.Entry
		pos := j.Retained("slow")
		all = append(all, hours(t, j, 100, func() { // slow, four days behind
			es, next, err := j.Read(t.Context(), pos, 9)
			if err != nil {
				t.Fatal(err)
			}
			got, pos = append(got, es...), next
			if err := j.Retain("slow", pos); err != nil {
				t.Fatal(err)
			}
		})...)
		rest, _ := readAll(t, j, pos, 100)
		equal(t, append(got, rest...), all)
		if err := j.Health(); err != nil {
			t.Error(err)
		}
	})
}

func TestThinningIsToldForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Dir: t.TempDir(), SegmentBytes: 1 << 10, MaxBytes: 1 << 20}
		j := open(t, o)
		thin := func() uint64 {
			for i := range 100 {
				add(t, j, received(i, contract.Position))
			}
			thinAll(t, j)
			return j.note.Readings
		}
		first := thin()
		if first == 0 || j.Health() == nil {
			t.Fatalf("%d readings, health %v", first, j.Health())
		}
		time.Sleep(23 * time.Hour)
		j.Close()
		j = open(t, o)
		if err := j.Health(); err == nil {
			t.Error("forgotten after a restart")
		}
		if both := thin(); both < first+first/2 {
			t.Errorf("after a second thinning %d readings, %d after the first", both, first)
		}
		time.Sleep(24 * time.Hour)
		if err := j.Health(); err != nil {
			t.Errorf("a day later: %v", err)
		}
		if third := thin(); third > first+first/2 || j.Health() == nil {
			t.Errorf("%d readings, health %v; want a new count", third, j.Health())
		}
		j.Close()
		if err := os.WriteFile(filepath.Join(o.Dir, "thinned.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.ErrorLevel)
		o.Log = zap.New(core)
		j = open(t, o)
		if logs.FilterMessageSnippet("forgotten").Len() != 1 {
			t.Error("a note that does not read is forgotten in silence")
		}
		if err := errors.Join(j.Ready(), j.Health()); err != nil {
			t.Error(err)
		}
	})
}
