package journal

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"firewatch/ingest"
)

// thinnedFile is a folder with one thinned segment and one that follows it.
func thinnedFile(tb testing.TB) (o Options, path string, kept []ingest.Entry, end ingest.Position) {
	tb.Helper()
	o = Options{Dir: tb.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 1 << 20}
	j := open(tb, o)
	for i := 0; len(j.segments) < 2; i += 10 {
		add(tb, j, patrols(i, i+10, 5)...)
	}
	thinAll(tb, j)
	if !j.segments[0].thinned {
		tb.Fatal("nothing was thinned")
	}
	kept, _ = readAll(tb, j, 0, 10)
	_, end = readAll(tb, j, 0, 1000)
	path = j.segments[0].path
	j.Close()
	return o, path, kept, end
}

func TestFlippedBitsInAThinnedSegmentLoseOnlyTheirEntry(t *testing.T) {
	src, path, kept, end := thinnedFile(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for off := headerLen; off < len(whole); off += 41 {
		o := src
		o.Dir = t.TempDir()
		copyDir(t, src.Dir, o.Dir)
		overwrite(t, filepath.Join(o.Dir, filepath.Base(path)), int64(off), []byte{whole[off] ^ 0x04})
		j := open(t, o)
		got, at := readAll(t, j, 0, 3)
		if len(got) != len(kept)-1 || at != end {
			t.Fatalf("flip at %d: %d of %d entries, then %d of %d", off, len(got), len(kept), at, end)
		}
		for i, k := 0, 0; i < len(kept); i++ {
			if k < len(got) && same(got[k], kept[i]) {
				k++
			} else if i-k > 1 {
				t.Fatalf("flip at %d: entry %d is not what it was", off, i)
			}
		}
		if j.Health() == nil || len(segmentFiles(t, filepath.Join(o.Dir, "damaged"))) != 1 {
			t.Errorf("flip at %d: health %v", off, j.Health())
		}
		j.Close()
	}
}

func TestThinnedSegmentThatIsCutIsReported(t *testing.T) {
	o, path, kept, end := thinnedFile(t)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, headerLen+(st.Size()-headerLen)/2); err != nil {
		t.Fatal(err)
	}
	j := open(t, o)
	got, at := readAll(t, j, 0, 3)
	if len(got) >= len(kept) || len(got) == 0 || at != end || j.Health() == nil {
		t.Errorf("%d of %d entries, then %d of %d; health %v", len(got), len(kept), at, end, j.Health())
	}
}

// TestThinnedSegmentThatIsTheLast: the one that was written after it is lost.
func TestThinnedSegmentThatIsTheLast(t *testing.T) {
	o, path, _, end := thinnedFile(t)
	for _, f := range segmentFiles(t, o.Dir) {
		if f != path {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		j := open(t, o)
		before, at := readAll(t, j, 0, 100)
		if at > end {
			t.Fatalf("position %d of %d", at, end)
		}
		add(t, j, entry(1))
		after, next := readAll(t, j, at, 100)
		if len(before) == 0 || len(after) != 1 || next <= at {
			t.Errorf("%d entries before and %d after", len(before), len(after))
		}
		end = next
		j.Close()
	}
}

// TestDamageIsPassedOverByThinning: the evidence stays, and the entries around it.
func TestDamageIsPassedOverByThinning(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 1 << 20}
	j := open(t, o)
	want := patrols(0, 400, 5)
	for i := 0; i < len(want); i += 10 {
		add(t, j, want[i:i+10]...)
	}
	overwrite(t, j.segments[0].path, headerLen+1000, make([]byte, 5)) // in one frame, or two
	thinAll(t, j)
	if len(segmentFiles(t, filepath.Join(o.Dir, "damaged"))) != 1 || j.damaged() == nil {
		t.Errorf("damage is not told: %v", j.Health())
	}
	got, _ := readAll(t, j, 0, 10)
	if missing := len(want) - len(got); missing < int(j.note.Readings)+1 || missing > int(j.note.Readings)+2 {
		t.Errorf("%d are missing, %d were thinned", missing, j.note.Readings)
	}
}

// TestWhatIsNotUnderstoodIsKept: a record of a later version may be an SOS.
func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	const salt = 7
	var b []byte
	for i := range 40 {
		e := patrol(20+i, 1) // an ordinary position
		at := len(b)
		b, _ = appendFrame(b, salt, i == 0, &e)
		if i%2 == 0 {
			b[at+frameLen] = 99
			binary.LittleEndian.PutUint32(b[at+4:], checksum(salt, b[at:at+4], b[at+frameLen:]))
		}
	}
	s := sift(b, salt, 0, DefaultThinTo, func(off, _ int64) { t.Errorf("damage at %d", off) })
	for i, keep := range s.keep {
		if !keep && i%2 == 0 {
			t.Errorf("record %d is dropped", i)
		}
	}
	if n := s.lost.readings(); n == 0 || n > 20 {
		t.Errorf("%d are dropped", n)
	}
}

func FuzzNextThinned(f *testing.F) {
	const salt, span = 7, 10_000
	for i := range 5 {
		e := patrol(i, 5)
		f.Add(appendThinned(nil, salt, int64(i*100), appendRecord(nil, &e)))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, st := nextThinned(b, salt, span)
		if st != frameOK {
			return
		}
		if fr.at < 0 || fr.at+int64(frameLen+len(fr.record)) > span || len(fr.record) > maxRecord {
			t.Errorf("frame at %d of %d bytes", fr.at, len(fr.record))
		}
		if again := appendThinned(nil, salt, fr.at, fr.record); !bytes.Equal(again, b[:fr.size]) {
			t.Errorf("read %x, which is written %x", b[:fr.size], again)
		}
	})
}

// FuzzThinnedSegment: whatever stands in the file, a reader comes to its end.
func FuzzThinnedSegment(f *testing.F) {
	o, path, _, end := thinnedFile(f)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[headerLen:])
	f.Add(whole[headerLen : len(whole)/2])
	f.Add(append(bytes.Clone(whole[len(whole)-100:]), whole[headerLen:]...))
	f.Add([]byte{})
	dir := f.TempDir()
	copyDir(f, o.Dir, dir)
	at := filepath.Join(dir, filepath.Base(path))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.RemoveAll(filepath.Join(dir, "damaged")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, append(bytes.Clone(whole[:headerLen]), b...), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(Options{Dir: dir, SegmentBytes: o.SegmentBytes, MaxBytes: o.MaxBytes, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if got, pos := readAll(t, j, 0, 7); pos != end || len(got) == 0 {
			t.Errorf("%d entries, then %d of %d", len(got), pos, end)
		}
	})
}

// FuzzDecodeHeader: what decodes is what would be written, but for the bytes
// that are reserved.
func FuzzDecodeHeader(f *testing.F) {
	f.Add(header{salt: 1, base: 2, before: noon}.encode())
	f.Add(header{salt: 1, base: 2, thinned: true, span: 1000, kept: 10}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= headerLen { // a fuzzer finds no checksum
			b = append(bytes.Clone(b[:headerLen-4]), 0, 0, 0, 0)
			copy(b, magic[:])
			binary.LittleEndian.PutUint32(b[headerLen-4:], checksum(0, nil, b[:headerLen-4]))
		}
		h, err := decodeHeader(b)
		if err != nil {
			return
		}
		again, err := decodeHeader(h.encode())
		if err != nil || again != h {
			t.Errorf("%+v is written as %+v: %v", h, again, err)
		}
		if h.thinned && (h.span <= 0 || h.kept < 0) {
			t.Errorf("%+v", h)
		}
	})
}
