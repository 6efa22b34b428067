package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/ingest"
)

// load reads the folder at Open.
func (j *Journal) load() error {
	if err := j.loadReaders(); err != nil {
		return err
	}
	j.damage.load(j.damagedDir())
	j.loadNote()
	if err := j.loadSegments(); err != nil {
		return err
	}
	if len(j.segments) == 0 {
		// Positions are never reused, even when somebody removed the folder while
		// the readers keep positions elsewhere: a journal begins at its birth in ns
		// and never grows by a byte a nanosecond.
		j.nextBase = max(j.nextBase, ingest.Position(max(time.Now().UnixNano(), 1)))
		for _, p := range j.readers {
			j.nextBase = max(j.nextBase, p)
		}
		return j.roll()
	}
	if err := j.loadTail(); err != nil {
		return err
	}
	if err := j.forget(); err != nil {
		return err
	}
	f, err := os.OpenFile(j.segments[len(j.segments)-1].path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the last segment: %w", err)
	}
	j.file = f
	j.drop()
	return nil
}

// loadSegments lists the segments by their headers.
func (j *Journal) loadSegments() error {
	names, err := os.ReadDir(j.o.Dir)
	if err != nil {
		return fmt.Errorf("listing the journal's folder: %w", err)
	}
	var bases []ingest.Position
	for _, e := range names {
		if base, ok := parseSegmentName(e.Name()); ok {
			bases = append(bases, base)
		}
		if strings.HasSuffix(e.Name(), suffix+unfinished) { // the segment itself is there in full
			if err := os.Remove(filepath.Join(j.o.Dir, e.Name())); err != nil {
				return fmt.Errorf("removing an unfinished copy of a segment: %w", err)
			}
		}
	}
	slices.Sort(bases)
	unknown := true // whether the time of the latest entry of the segment before is not known
	for i, base := range bases {
		path := segmentPath(j.o.Dir, base)
		h, size, err := readHeader(path)
		if err == nil && h.base != base {
			err = fmt.Errorf("%w: it belongs to position %d", errHeader, h.base)
		}
		switch {
		case err != nil && size <= headerLen && i == len(bases)-1:
			// A crash while it was created; no entry can be in it.
			j.log.Warn("journal: removing a segment that was never finished", zap.String("file", path))
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("removing an unfinished segment: %w", err)
			}
			continue
		case err != nil:
			j.log.Error("journal: a segment cannot be read and is set aside; its entries are lost to the readers",
				zap.String("file", path), zap.Int64("bytes", size), zap.Error(err))
			if err := j.setAside(path, true); err != nil {
				return fmt.Errorf("setting a damaged segment aside: %w", err)
			}
			j.damage.add(path, 0, size)
			unknown = true
			j.nextBase = base + ingest.Position(max(size-headerLen, 1))
			continue
		}
		if n := len(j.segments); n > 0 && !unknown {
			j.segments[n-1].latest = h.before
		}
		unknown = false
		j.nextBase = 0
		seg := &segment{path: path, base: base, salt: h.salt, size: size - headerLen}
		if h.thinned {
			seg.thinned, seg.spent, seg.size, seg.kept = true, true, h.span, h.kept
		}
		j.segments = append(j.segments, seg)
		j.bytes += headerLen + seg.frames()
	}
	return nil
}

// loadTail finds where the last segment really ends and removes what an
// interrupted write left behind it.
func (j *Journal) loadTail() error {
	seg := j.segments[len(j.segments)-1]
	if seg.thinned { // the one that was written after it is lost
		j.nextBase = max(j.nextBase, seg.end())
		return nil
	}
	b, err := os.ReadFile(seg.path)
	if err != nil {
		return fmt.Errorf("reading the last segment: %w", err)
	}
	b = b[headerLen:]
	t := scan(b, seg.salt)
	seg.oldest, seg.latest = t.oldest, t.latest
	if t.good == len(b) {
		return nil
	}
	// Never write where something stood before: a reader may know the position.
	j.nextBase = max(j.nextBase, seg.base+ingest.Position(len(b)))
	if t.damaged {
		j.reportDamage(seg, int64(t.good), 0)
		return nil
	}
	j.log.Warn("journal: removing the torn end of an interrupted write; none of it had been acknowledged",
		zap.String("file", seg.path), zap.Int("kept_bytes", t.good), zap.Int("removed_bytes", len(b)-t.good))
	f, err := os.OpenFile(seg.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("repairing the last segment: %w", err)
	}
	defer f.Close() //nolint:errcheck // Sync tells
	if err := f.Truncate(headerLen + int64(t.good)); err != nil {
		return fmt.Errorf("repairing the last segment: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("repairing the last segment: %w", err)
	}
	j.bytes -= int64(len(b) - t.good)
	seg.size = int64(t.good)
	return nil
}

func (j *Journal) damagedDir() string { return filepath.Join(j.o.Dir, "damaged") }
