package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"
)

// maxDamagedFiles bounds the files kept aside as evidence; the oldest go first.
const maxDamagedFiles = 8

// damage is what was found unreadable. The journal's mutex guards it.
type damage struct {
	files  int // set aside by earlier runs
	places map[place]bool
	bytes  int64
}

type place struct {
	path   string
	offset int64
}

func (d *damage) load(dir string) {
	names, err := os.ReadDir(dir)
	if err == nil {
		d.files = len(names)
	}
}

// add notes n unreadable bytes and reports whether the place is a new one.
func (d *damage) add(path string, offset, n int64) bool {
	p := place{path, offset}
	if d.places[p] {
		return false
	}
	if d.places == nil {
		d.places = map[place]bool{}
	}
	if len(d.places) < 10_000 { // more are counted each time they are met
		d.places[p] = true
	}
	d.bytes += n
	return true
}

// Health reports damage that was found on disk and what was thinned, now or by
// an earlier run, or nil. The journal goes on around both. Of damage a person
// must look at the files kept aside, move them away, and start again for it to
// be nil; thinning is told for a day after the last one.
func (j *Journal) Health() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.damaged(), j.note.told(time.Now()))
}

// damaged is the part of Health about damage. The caller holds mu.
func (j *Journal) damaged() error {
	if j.damage.files == 0 && len(j.damage.places) == 0 {
		return nil
	}
	return fmt.Errorf("journal: %d damaged places of %d bytes met since the start, %d files set aside before it; see %s",
		len(j.damage.places), j.damage.bytes, j.damage.files, j.damagedDir())
}

// reportDamage tells once of n bytes at an offset of a segment that do not read
// (n is 0 when their number is not known yet) and keeps a copy of the file.
func (j *Journal) reportDamage(seg *segment, offset, n int64) {
	j.mu.Lock()
	fresh := j.damage.add(seg.path, offset, n)
	first := !seg.broken
	seg.broken = true
	j.mu.Unlock()
	if !fresh {
		return
	}
	j.log.Error("journal: entries on disk are damaged and were skipped; the file is kept aside",
		zap.String("file", seg.path), zap.Int64("offset", headerLen+offset), zap.Int64("bytes", n))
	if !first {
		return
	}
	if err := j.setAside(seg.path, false); err != nil {
		j.log.Error("journal: keeping a damaged segment aside", zap.String("file", seg.path), zap.Error(err))
	}
}

// setAside moves a segment into the damaged folder, or gives it a second name
// there, so that it outlives its deletion after reading.
func (j *Journal) setAside(path string, move bool) error {
	dir := j.damagedDir()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	to := filepath.Join(dir, filepath.Base(path))
	var err error
	if move {
		err = os.Rename(path, to)
	} else if err = os.Link(path, to); errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(names) > maxDamagedFiles {
		slices.SortFunc(names, func(a, b os.DirEntry) int { return slices.Compare([]byte(a.Name()), []byte(b.Name())) })
		for _, e := range names[:len(names)-maxDamagedFiles] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
