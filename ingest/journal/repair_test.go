package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"firewatch/ingest"
)

func TestTornTailIsRemovedAtEveryOffset(t *testing.T) {
	src := t.TempDir()
	j := open(t, Options{Dir: src})
	add(t, j, entries(0, 5)...)
	sound := j.last().size
	add(t, j, entries(5, 8)...) // this one is torn below
	path := j.last().path
	_, known := readAll(t, j, 0, 100)
	j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := headerLen + int(sound); cut < len(whole); cut++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.WarnLevel)
		j := open(t, Options{Dir: dir, Log: zap.New(core)})
		got, _ := readAll(t, j, 0, 100)
		if len(got) < 5 || len(got) > 7 {
			t.Fatalf("cut at %d: %d entries", cut, len(got))
		}
		equal(t, got, entries(0, len(got)))
		torn := headerLen+j.last().size != int64(cut)
		if torn != (logs.FilterMessageSnippet("torn").Len() == 1) {
			t.Errorf("cut at %d: torn is %t, but the log says %v", cut, torn, logs.All())
		}
		add(t, j, entry(100), entry(101))
		got, _ = readAll(t, j, 0, 100)
		equal(t, got[len(got)-2:], entries(100, 102))
		if err := j.Health(); err != nil {
			t.Errorf("cut at %d: a torn tail is no damage: %v", cut, err)
		}
		j.Close()
		j = open(t, Options{Dir: dir})
		again, _ := readAll(t, j, 0, 100)
		equal(t, again, got)
		// A reader that had seen beyond the cut misses nothing that is new.
		if fresh, _ := readAll(t, j, min(known, j.Seek(noon.Add(time.Hour))), 100); cut == len(whole)-1 && len(fresh) < 2 {
			t.Errorf("%d new entries from a position beyond the cut", len(fresh))
		}
		j.Close()
	}
}

// TestBlocksWrittenOutOfOrder: after a power cut the last write may lack a part
// in the middle while a later part is there. None of it was acknowledged.
func TestBlocksWrittenOutOfOrder(t *testing.T) {
	dir := t.TempDir()
	j := open(t, Options{Dir: dir})
	add(t, j, entries(0, 5)...)
	at := headerLen + j.last().size
	add(t, j, entries(5, 30)...)
	path := j.last().path
	j.Close()
	overwrite(t, path, at+20, make([]byte, 200))
	j = open(t, Options{Dir: dir})
	got, _ := readAll(t, j, 0, 100)
	equal(t, got, entries(0, 5))
	if err := j.Health(); err != nil {
		t.Error(err)
	}
}

func TestFlippedBitsLoseOnlyTheirEntry(t *testing.T) {
	src := t.TempDir()
	j := open(t, Options{Dir: src, SegmentBytes: 1 << 10, MaxBytes: 1 << 20})
	n := 0
	for ; len(segmentFiles(t, src)) < 4; n++ {
		add(t, j, entry(n))
	}
	j.Close()
	files := segmentFiles(t, src)
	for _, which := range []int{0, 1, 3} { // the last one too: what follows the flip had been synced
		victim := files[which]
		whole, err := os.ReadFile(victim)
		if err != nil {
			t.Fatal(err)
		}
		limit := len(whole)
		if which == 3 { // leave a later Append as proof; a flip in the last one looks torn
			limit = headerLen + 1
			add := Options{Dir: src, SegmentBytes: 1 << 10, MaxBytes: 1 << 20}
			j := open(t, add)
			n++
			if err := j.Append(context.Background(), entries(n-1, n)); err != nil {
				t.Fatal(err)
			}
			j.Close()
		}
		for off := headerLen; off < limit; off += 37 {
			dir := t.TempDir()
			copyDir(t, src, dir)
			path := filepath.Join(dir, filepath.Base(victim))
			overwrite(t, path, int64(off), []byte{whole[off] ^ 0x10})
			o := Options{Dir: dir, SegmentBytes: 1 << 10, MaxBytes: 1 << 20, Readers: []string{"r"}}
			j := open(t, o)
			got, end := readAll(t, j, 0, 7)
			missing := 0
			for i, k := 0, 0; i < n; i++ {
				if k < len(got) && same(got[k], entry(i)) {
					k++
				} else {
					missing++
				}
			}
			if missing != 1 || len(got) != n-1 {
				t.Fatalf("flip in file %d at %d: %d of %d entries read, %d missing", which, off, len(got), n, missing)
			}
			if j.Health() == nil {
				t.Fatal("damage is not reported")
			}
			if err := j.Ready(); err != nil {
				t.Errorf("damage stops nothing new: %v", err)
			}
			add(t, j, entry(500))
			if after, _ := readAll(t, j, end, 10); len(after) != 1 {
				t.Errorf("%d entries after the damage", len(after))
			}
			// The evidence outlives the segment, and the next start still tells.
			if err := j.Retain("r", end); err != nil {
				t.Fatal(err)
			}
			if kept, _ := filepath.Glob(filepath.Join(dir, "damaged", "*")); len(kept) != 1 {
				t.Errorf("%d files set aside", len(kept))
			}
			j.Close()
			j = open(t, o)
			if j.Health() == nil {
				t.Error("damage is forgotten after a restart")
			}
			j.Close()
		}
	}
}

func TestDamagedHeaderLosesOnlyItsSegment(t *testing.T) {
	for _, which := range []int{0, 1, 3} {
		dir := t.TempDir()
		o := Options{Dir: dir, SegmentBytes: 1 << 10, MaxBytes: 1 << 20}
		j := open(t, o)
		n := 0
		for ; len(segmentFiles(t, dir)) < 4; n++ {
			add(t, j, entry(n))
		}
		add(t, j, entry(n))
		n++
		_, end := readAll(t, j, 0, 100)
		j.Close()
		overwrite(t, segmentFiles(t, dir)[which], 3, []byte("???"))
		j = open(t, o)
		got, _ := readAll(t, j, 0, 100)
		if len(got) >= n || len(got) < n/2 {
			t.Errorf("segment %d of 4: %d of %d entries are left", which, len(got), n)
		}
		if j.Health() == nil || len(segmentFiles(t, filepath.Join(dir, "damaged"))) != 1 {
			t.Errorf("health %v", j.Health())
		}
		add(t, j, entry(700))
		if after, _ := readAll(t, j, end, 10); len(after) == 0 || !same(after[len(after)-1], entry(700)) {
			t.Errorf("segment %d: a reader at the old end sees %d entries", which, len(after))
		}
		for s := 0; s < n; s++ {
			at := noon.Add(time.Duration(s) * time.Second)
			rest, _ := readAll(t, j, j.Seek(at), 100)
			want := 0
			for _, e := range got {
				if !e.Received().Before(at) {
					want++
				}
			}
			if len(rest) < want {
				t.Fatalf("Seek passes over entries when a header is lost: %d, want at least %d", len(rest), want)
			}
		}
	}
}

func TestUnfinishedSegmentIsRemoved(t *testing.T) {
	for size := 0; size <= headerLen; size += 8 {
		dir := t.TempDir()
		j := open(t, Options{Dir: dir})
		add(t, j, entries(0, 3)...)
		end := j.last().end()
		j.Close()
		h := header{base: end, salt: 1}.encode()
		if err := os.WriteFile(segmentPath(dir, end), h[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		j = open(t, Options{Dir: dir})
		add(t, j, entry(3))
		got, _ := readAll(t, j, 0, 100)
		equal(t, got, entries(0, 4))
		if err := j.Health(); err != nil {
			t.Error(err)
		}
		j.Close()
	}
}

func TestUnreadablePositionsBeginAtTheOldest(t *testing.T) {
	dir := t.TempDir()
	j := open(t, Options{Dir: dir})
	add(t, j, entries(0, 5)...)
	_, end := readAll(t, j, 0, 100)
	if err := j.Retain("r", end); err != nil {
		t.Fatal(err)
	}
	j.Close()
	for _, text := range []string{"", "null", "{\"r\":", "garbage"} {
		if err := os.WriteFile(filepath.Join(dir, "readers.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j = open(t, Options{Dir: dir, Readers: []string{"r"}})
		got, _ := readAll(t, j, j.Retained("r"), 100)
		equal(t, got, entries(0, 5))
		j.mu.Lock()
		j.readers = map[string]ingest.Position{"r": end}
		j.mu.Unlock()
		j.Close()
	}
}

// children are the parts of tests that run in a process of their own.
var children = map[string]func(){"append": childAppend, "limit": childLimit, "thin": childThin}

func child(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "FIREWATCH_JOURNAL_CHILD="+name, "FIREWATCH_JOURNAL_DIR="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// childAppend appends for ever and says each number that is safe.
func childAppend() {
	j, err := Open(Options{Dir: os.Getenv("FIREWATCH_JOURNAL_DIR"), SegmentBytes: 8 << 10, MaxBytes: 1 << 30, Log: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	n := 0
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for pos := j.Retained("none"); ; {
		es, next, err := j.Read(done, pos, 1000)
		if err != nil {
			break
		}
		n, pos = n+len(es), next
	}
	for i := 0; ; i++ {
		batch := entries(n, n+1+i%20)
		if err := j.Append(context.Background(), batch); err != nil {
			panic(err)
		}
		n += len(batch)
		if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
			return
		}
	}
}

func TestKilledWhileAppendingLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	safe := 0
	for round := range 12 {
		cmd := child(t, "append", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for i := 0; lines.Scan(); i++ {
			if _, err := fmt.Sscan(lines.Text(), &safe); err != nil {
				t.Fatal(err)
			}
			if i == 3+round*7 {
				if err := cmd.Process.Kill(); err != nil { // and read on what it still said
					t.Fatal(err)
				}
			}
		}
		cmd.Wait()
		j := open(t, Options{Dir: dir, SegmentBytes: 8 << 10, MaxBytes: 1 << 30})
		got, _ := readAll(t, j, 0, 1000)
		if len(got) < safe {
			t.Fatalf("round %d: %d entries after the kill, %d had been acknowledged", round, len(got), safe)
		}
		equal(t, got, entries(0, len(got)))
		if err := j.Health(); err != nil {
			t.Error(err)
		}
		j.Close()
	}
	if safe < 100 {
		t.Errorf("only %d entries were acknowledged in all", safe)
	}
}

// childLimit meets a limit of the file's size in the middle of a write.
func childLimit() {
	fail := func(err error) {
		fmt.Fprintln(os.Stdout, "FAIL", err)
		os.Exit(1) //nolint:forbidigo // the child is a program of its own
	}
	j, err := Open(Options{Dir: os.Getenv("FIREWATCH_JOURNAL_DIR"), Log: zap.NewNop()})
	if err != nil {
		fail(err)
	}
	if err := j.Append(context.Background(), entries(0, 10)); err != nil {
		fail(err)
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &lim); err != nil {
		fail(err)
	}
	small := lim
	small.Cur = uint64(headerLen + j.last().size + 100) // the first frame fits, not all
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		fail(err)
	}
	for range 3 {
		if err := j.Append(context.Background(), entries(10, 20)); err == nil {
			fail(errors.New("an append over the limit succeeded"))
		}
		if j.Ready() == nil {
			fail(errors.New("ready although the last append failed"))
		}
		st, err := os.Stat(j.last().path)
		if err != nil {
			fail(err)
		}
		if st.Size() != headerLen+j.last().size {
			fail(fmt.Errorf("a part of the failed write stays: %d bytes, want %d", st.Size(), headerLen+j.last().size))
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lim); err != nil {
		fail(err)
	}
	if err := j.Append(context.Background(), entries(10, 20)); err != nil {
		fail(err)
	}
	if err := j.Ready(); err != nil {
		fail(err)
	}
	fmt.Fprintln(os.Stdout, "PASS")
}

func TestPartialWriteIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "limit", dir).Output()
	if err != nil || strings.TrimSpace(string(out)) != "PASS" {
		t.Fatalf("%s %v", out, err)
	}
	j := open(t, Options{Dir: dir})
	got, _ := readAll(t, j, 0, 100)
	equal(t, got, entries(0, 20))
}

// tmpfs mounts a file system of one megabyte.
func tmpfs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a tmpfs needs root; TestPartialWriteIsTakenBack covers the write")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("root may mount nothing here: %v; give the container CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN), or test as another user", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDiskRefusesUntilReadersMakeRoom(t *testing.T) {
	for _, segment := range []int64{64 << 10, 4 << 20} { // of the larger there is only one
		t.Run(fmt.Sprint(segment), func(t *testing.T) {
			j := open(t, Options{Dir: filepath.Join(tmpfs(t), "journal"), SegmentBytes: segment, Readers: []string{"r"}})
			n := 0
			var err error
			for err == nil && n < 100_000 {
				if err = j.Append(context.Background(), entries(n, n+50)); err == nil {
					n += 50
				}
			}
			for range 3 {
				if !errors.Is(err, syscall.ENOSPC) || !errors.Is(j.Ready(), syscall.ENOSPC) {
					t.Fatalf("after %d entries: %v, ready %v; want ENOSPC", n, err, j.Ready())
				}
				err = j.Append(context.Background(), entries(n, n+50))
			}
			got, end := readAll(t, j, 0, 1000)
			equal(t, got, entries(0, n))
			// Reading makes room, although saving the position may find none.
			if err := j.Retain("r", end); err != nil {
				t.Logf("saving the position on the full disk: %v", err)
			}
			if err := j.Append(context.Background(), entries(n, n+50)); err != nil {
				add(t, j, entries(n, n+50)...) // the first try gave the space back
			}
			got, _ = readAll(t, j, end, 1000)
			equal(t, got, entries(n, n+50))
			if err := errors.Join(j.Ready(), j.Health()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReadOnlyDiskRefusesUntilItIsWritable holds no file open for writing, as
// the kernel asks of a remount: a read-only disk is met when a segment begins.
func TestReadOnlyDiskRefusesUntilItIsWritable(t *testing.T) {
	dir := tmpfs(t)
	o := Options{Dir: filepath.Join(dir, "journal"), SegmentBytes: 64 << 10}
	j := open(t, o)
	add(t, j, entries(0, 50)...)
	j.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	o.Log = zap.NewNop()
	if _, err := Open(o); !errors.Is(err, syscall.EROFS) {
		t.Errorf("opening on a read-only disk: %v", err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	j = open(t, o)
	// A disk that turns read-only by itself answers like a closed file does here.
	j.file.Close()
	for range 2 {
		if err := j.Append(context.Background(), entries(50, 60)); err == nil {
			break // the first refusal made it go on in a new file
		} else if j.Ready() == nil {
			t.Error("ready although an append failed")
		}
	}
	add(t, j, entries(60, 70)...)
	got, _ := readAll(t, j, 0, 1000)
	equal(t, got, entries(0, 70))
}

func overwrite(tb testing.TB, path string, at int64, b []byte) {
	tb.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		tb.Fatal(err)
	}
}

func copyDir(tb testing.TB, from, to string) {
	tb.Helper()
	for _, f := range segmentFiles(tb, from) {
		b, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), b, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
