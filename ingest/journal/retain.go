package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"

	"firewatch/ingest"
)

// saveEvery is how far the positions on disk may lag behind: after a crash a
// reader sees again what it read in that time.
const saveEvery = time.Second

// Retain implements ingest.Journal.
func (j *Journal) Retain(reader string, pos ingest.Position) error {
	if reader == "" {
		return errors.New("retaining in the journal: the reader has no name")
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.readers[reader] = pos
	j.holding[reader] = true
	j.mu.Unlock()
	j.drop()
	return j.save(false)
}

// Retained implements ingest.Journal.
func (j *Journal) Retained(reader string) ingest.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	pos := j.readers[reader]
	if len(j.segments) == 0 {
		return pos
	}
	if first := j.segments[0].base; pos < first || pos > j.end() {
		return first
	}
	return pos
}

// end is the position after the last entry. The caller holds mu.
func (j *Journal) end() ingest.Position {
	if n := len(j.segments); n > 0 {
		return j.segments[n-1].end()
	}
	return 0
}

// oldestHeld is the position before which no reader needs anything, and the
// reader that stands there. Without any reader all is held. The caller holds mu.
func (j *Journal) oldestHeld() (pos ingest.Position, reader string) {
	for name := range j.holding {
		if p := j.readers[name]; reader == "" || p < pos {
			pos, reader = p, name
		}
	}
	return pos, reader
}

// drop removes the segments that all readers have passed, but never the last.
func (j *Journal) drop() {
	j.mu.Lock()
	pos, _ := j.oldestHeld()
	if pos != j.held {
		j.held, j.moved = pos, time.Now()
	}
	var gone []*segment
	for len(j.segments) > 1 && j.segments[0].end() <= pos {
		gone = append(gone, j.segments[0])
		j.bytes -= headerLen + j.segments[0].frames()
		j.segments = j.segments[1:]
	}
	j.mu.Unlock()
	for _, s := range gone {
		if err := os.Remove(s.path); err != nil {
			j.log.Error("journal: removing a segment that was read", zap.String("file", s.path), zap.Error(err))
		}
	}
}

// save writes the readers' positions, when the last time is long enough ago or
// when it must be now.
func (j *Journal) save(now bool) error {
	j.saving.Lock()
	defer j.saving.Unlock()
	if !now && time.Since(j.saved) < saveEvery {
		return nil
	}
	j.saved = time.Now() // also when it fails: a full disk is not asked more often
	j.mu.Lock()
	positions := maps.Clone(j.readers)
	j.mu.Unlock()
	b, err := json.Marshal(positions)
	if err != nil {
		return fmt.Errorf("saving the journal's readers: %w", err)
	}
	if err := replaceFile(j.readersPath(), b); err != nil {
		return fmt.Errorf("saving the journal's readers: %w", err)
	}
	return nil
}

func (j *Journal) readersPath() string { return filepath.Join(j.o.Dir, "readers.json") }

// loadReaders reads the positions of an earlier run. A file that does not read
// is reported and forgotten: readers then begin at the oldest entry, which
// repeats but loses nothing.
func (j *Journal) loadReaders() error {
	b, err := os.ReadFile(j.readersPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("reading the journal's readers: %w", err)
	default:
		if err := json.Unmarshal(b, &j.readers); err != nil || j.readers == nil {
			j.log.Error("journal: the readers' positions do not read; all begin at the oldest entry", zap.Error(err))
			j.readers = map[string]ingest.Position{}
		}
	}
	if len(j.o.Readers) == 0 {
		for name := range j.readers {
			j.holding[name] = true
		}
	}
	for _, name := range j.o.Readers {
		j.holding[name] = true
		if _, known := j.readers[name]; !known {
			j.readers[name] = 0 // the beginning, whatever it is
		}
	}
	return nil
}

// forget drops the positions of readers that are not declared, and refuses to
// when one is owed entries. The positions are then on disk, so that a crash
// right now does not hide who was owed.
func (j *Journal) forget() error {
	if len(j.o.Readers) == 0 {
		return nil
	}
	for name, pos := range j.readers {
		if j.holding[name] {
			continue
		}
		if slices.Contains(j.o.Owed, name) && pos < j.end() {
			return fmt.Errorf("journal: %w: %s stands at %d of %d", ErrOwed, name, pos, j.end())
		}
		delete(j.readers, name)
	}
	return j.save(true)
}

// unfinished ends the names of files that become another when they are whole.
const unfinished = ".new"

// replaceFile writes and syncs a file in the place of an older one.
func replaceFile(path string, b []byte) error {
	if err := writeFile(path+unfinished, b); err != nil {
		return err
	}
	return os.Rename(path+unfinished, path)
}

// writeFile writes and syncs a file.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// takeLock makes sure that no other process uses the folder. The lock ends with
// the process, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640) //nolint:gosec // our own folder
	if err != nil {
		return nil, fmt.Errorf("locking the journal's folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = fmt.Errorf("locking the journal's folder: %s is held by another process: %w", path, err)
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
