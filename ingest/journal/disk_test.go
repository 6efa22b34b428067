package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDiskUnderAFullJournal: the copy that thinning needs finds no room.
// Nothing changes until the disk has some.
func TestFullDiskUnderAFullJournal(t *testing.T) {
	disk := tmpfs(t)
	o := Options{Dir: filepath.Join(disk, "journal"), SegmentBytes: 48 << 10, MaxBytes: 256 << 10, Readers: []string{"r"}}
	j := open(t, o)
	n := 0
	for ; j.bytes < 254<<10; n += 10 { // the next hundred need room
		add(t, j, patrols(n, n+10, 50)...)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	for range 3 {
		err := j.Append(t.Context(), patrols(n, n+100, 50))
		if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) || !errors.Is(j.Ready(), syscall.ENOSPC) {
			t.Fatalf("%v, ready %v; want ErrFull and ENOSPC", err, j.Ready())
		}
		got, _ := readAll(t, j, 0, 1000)
		equal(t, got, patrols(0, n, 50))
		if err := j.Health(); err != nil {
			t.Fatalf("told of what did not happen: %v", err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(o.Dir, "*"+suffix+unfinished)); len(left) != 0 {
		t.Errorf("%v takes room", left)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	add(t, j, patrols(n, n+100, 50)...)
	if j.Ready() != nil || j.note.Readings == 0 {
		t.Errorf("ready %v, %d thinned", j.Ready(), j.note.Readings)
	}
	got, _ := readAll(t, j, 0, 1000)
	survivors(t, got, patrols(0, n+100, 50))
}

// TestDiskThatTurnsReadOnlyUnderARunningJournal: the folder refuses new files,
// for the next segment and for thinning, while the open one is written still.
func TestDiskThatTurnsReadOnlyUnderARunningJournal(t *testing.T) {
	disk := tmpfs(t)
	dir := filepath.Join(disk, "journal")
	o := Options{Dir: dir, SegmentBytes: 16 << 10, MaxBytes: 64 << 10, Readers: []string{"r"}}
	j := open(t, o)
	for _, c := range []struct {
		name string
		fill int64 // bytes to begin with
	}{{"at the next segment", 20 << 10}, {"at thinning", 63 << 10}} {
		t.Run(c.name, func(t *testing.T) {
			before, _ := readAll(t, j, 0, 1000)
			n := len(before)
			for ; j.bytes < c.fill; n++ {
				add(t, j, patrol(n, 50))
			}
			if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
					t.Error(err)
				}
			}()
			if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			var err error
			for err == nil {
				if err = j.Append(t.Context(), patrols(n, n+1, 50)); err == nil {
					n++
				}
			}
			for range 3 {
				err := j.Append(t.Context(), patrols(n, n+1, 50))
				if !errors.Is(err, syscall.EROFS) || !errors.Is(j.Ready(), syscall.EROFS) {
					t.Fatalf("%v, ready %v; want EROFS", err, j.Ready())
				}
			}
			got, _ := readAll(t, j, 0, 1000)
			equal(t, got, patrols(0, n, 50))
			if err := j.Health(); err != nil {
				t.Errorf("told of what did not happen: %v", err)
			}
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
			add(t, j, patrol(n, 50))
			if err := j.Ready(); err != nil {
				t.Error(err)
			}
			got, _ = readAll(t, j, 0, 1000)
			survivors(t, got, patrols(0, n+1, 50))
		})
	}
}
