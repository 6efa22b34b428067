package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"
)

// TestCrashAtEachStepOfThinning: the copy is torn at any place, or whole; the
// note is there or not; the names are exchanged or not.
func TestCrashAtEachStepOfThinning(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 1 << 20, Readers: []string{"r"}}
	j := open(t, o)
	want := patrols(0, 1000, 10)
	for i := 0; i < len(want); i += 10 {
		add(t, j, want[i:i+10]...)
	}
	_, ahead, err := j.Read(t.Context(), 0, 40) // inside of the first segment
	if err != nil {
		t.Fatal(err)
	}
	before := t.TempDir()
	copyDir(t, o.Dir, before)
	victim := filepath.Base(j.segments[0].path)
	j.writing.Lock()
	_, err = j.thinNext("a test", func(*segment) bool { return true })
	j.writing.Unlock()
	if err != nil || !j.segments[0].thinned {
		t.Fatal(err)
	}
	lost := j.note.Readings
	j.Close()
	thinned, err := os.ReadFile(filepath.Join(o.Dir, victim))
	if err != nil {
		t.Fatal(err)
	}
	note, err := os.ReadFile(filepath.Join(o.Dir, "thinned.json"))
	if err != nil {
		t.Fatal(err)
	}
	type state struct {
		name   string
		from   string
		copied int // bytes of the unfinished copy; -1: there is none
		note   bool
	}
	states := []state{{"note without exchange", before, len(thinned), true}, {"exchanged", o.Dir, -1, true}}
	for cut := 0; cut <= len(thinned); cut += 1 + len(thinned)/40 {
		states = append(states, state{fmt.Sprintf("copy of %d bytes", cut), before, cut, false})
	}
	for _, s := range states {
		dir := t.TempDir()
		copyDir(t, s.from, dir)
		if s.copied >= 0 {
			if err := os.WriteFile(filepath.Join(dir, victim+unfinished), thinned[:s.copied], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if s.note {
			if err := os.WriteFile(filepath.Join(dir, "thinned.json"), note, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		at := o
		at.Dir = dir
		j := open(t, at)
		got, _ := readAll(t, j, 0, 33)
		missing := survivors(t, got, want)
		if exchanged := s.copied < 0; exchanged != (missing > 0) {
			t.Errorf("%s: %d readings are missing", s.name, missing)
		}
		tail, _ := readAll(t, j, ahead, 33) // who had read 40 gets the others
		survivors(t, append(slices.Clone(want[:40]), tail...), want)
		if s.note != (j.Health() != nil) || j.damaged() != nil {
			t.Errorf("%s: health %v", s.name, j.Health())
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*"+unfinished)); len(left) != 0 {
			t.Errorf("%s: %v is left", s.name, left)
		}
		// Thinned again, nothing else goes, and the number told is never too small.
		thinAll(t, j)
		got, end := readAll(t, j, 0, 33)
		missing = survivors(t, got, want)
		if uint64(missing) > j.note.Readings || j.note.Readings > uint64(missing)+lost {
			t.Errorf("%s: %d are missing, told %d", s.name, missing, j.note.Readings)
		}
		add(t, j, entry(1))
		if after, _ := readAll(t, j, end, 10); len(after) != 1 {
			t.Errorf("%s: %d entries after all", s.name, len(after))
		}
		j.Close()
	}
}

// childThin appends to a small journal that nobody reads, and says each number
// that is safe, until it is full for good.
func childThin() {
	j, err := Open(Options{
		Dir: os.Getenv("FIREWATCH_JOURNAL_DIR"), SegmentBytes: 4 << 10, MaxBytes: 64 << 10, Readers: []string{"stuck"}, Log: zap.NewNop(),
	})
	if err != nil {
		panic(err)
	}
	for n := 0; ; n += 5 {
		if err := j.Append(context.Background(), patrols(n, n+5, 5)); errors.Is(err, ErrFull) {
			return
		} else if err != nil {
			panic(err)
		}
		if _, err := fmt.Fprintln(os.Stdout, n+5); err != nil {
			return
		}
	}
}

func TestKilledWhileThinningLosesNothingThatMustStay(t *testing.T) {
	told := uint64(0)
	for round := range 10 {
		dir := t.TempDir()
		cmd := child(t, "thin", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		safe := 0
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			if _, err := fmt.Sscan(lines.Text(), &safe); err != nil {
				t.Fatal(err)
			}
			if i == 230+round*13 { // about when every few appends thin
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		cmd.Wait()
		j := open(t, Options{Dir: dir, SegmentBytes: 4 << 10, MaxBytes: 64 << 10, Readers: []string{"stuck"}})
		got, _ := readAll(t, j, 0, 100)
		all := safe // the last write may be there although nobody was told
		if last := got[len(got)-1].Reading.Seq; int(last) >= safe {
			all = safe + 5
		}
		missing := survivors(t, got, patrols(0, all, 5))
		if uint64(missing) > j.note.Readings {
			t.Errorf("round %d: %d are missing, told %d", round, missing, j.note.Readings)
		}
		told += j.note.Readings
		if err := j.damaged(); err != nil {
			t.Error(err)
		}
		j.Close()
	}
	if told == 0 {
		t.Error("nothing was thinned; the test proves nothing")
	}
}

// TestReaderOfASegmentThatWasThinned: it had looked the segment up before, and
// opens the file that took its name.
func TestReaderOfASegmentThatWasThinned(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 1 << 20})
	for i := 0; i < 500; i += 10 {
		add(t, j, patrols(i, i+10, 5)...)
	}
	old := j.segments[0]
	thinAll(t, j)
	if es, next, err := j.readSegment(old, old.size, old.base, nil, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d entries, %d, %v", len(es), next, err)
	}
	if err := j.damaged(); err != nil {
		t.Error(err)
	}
}

// TestSegmentThatIsReadWhileItIsThinned: it is gone before the copy is whole,
// and nothing was lost or told.
func TestSegmentThatIsReadWhileItIsThinned(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 8 << 10, MaxBytes: 1 << 20, Readers: []string{"r"}})
	for i := 0; i < 500; i += 10 {
		add(t, j, patrols(i, i+10, 5)...)
	}
	seg := j.segments[0]
	b, err := readFrames(seg)
	if err != nil {
		t.Fatal(err)
	}
	s := sift(b, seg.salt, 0, DefaultThinTo, nil)
	if err := j.Retain("r", seg.end()); err != nil {
		t.Fatal(err)
	}
	before := j.bytes
	took, err := j.swap(seg, header{salt: 1, base: seg.base, thinned: true, span: seg.size, kept: s.bytes}, b, &s)
	if took || err != nil || j.bytes != before {
		t.Fatalf("took %t, %v; %d bytes of %d", took, err, j.bytes, before)
	}
	files, err := filepath.Glob(filepath.Join(j.o.Dir, "*"+unfinished))
	if err != nil || len(files) != 0 {
		t.Errorf("%v %v", files, err)
	}
	if _, err := os.Stat(seg.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the segment is back: %v", err)
	}
	if j.Health() != nil || s.lost.readings() == 0 {
		t.Errorf("health %v", j.Health())
	}
	j.note = note{}
	if j.loadNote(); j.note.Readings != 0 {
		t.Errorf("told after a restart: %d", j.note.Readings)
	}
}
