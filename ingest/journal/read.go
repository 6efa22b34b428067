package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/ingest"
)

// readAhead is how much of a file is read at once. It holds at least one whole
// frame of any size.
const readAhead = 4 * (maxRecord + frameLen)

// scratch is what a Read works with and gives back.
type scratch struct {
	buf   []byte
	names interner
}

func (j *Journal) takeScratch() *scratch {
	select {
	case s := <-j.scratch:
		return s
	default:
		return &scratch{buf: make([]byte, readAhead)}
	}
}

func (j *Journal) giveScratch(s *scratch) {
	select {
	case j.scratch <- s:
	default:
	}
}

// Read implements ingest.Journal. It returns what is there before it looks at
// ctx. Entries that are damaged on disk are passed over; see Health.
func (j *Journal) Read(ctx context.Context, from ingest.Position, limit int) ([]ingest.Entry, ingest.Position, error) {
	if limit <= 0 {
		return nil, from, fmt.Errorf("reading the journal: limit %d, want at least 1", limit)
	}
	return j.read(ctx, from, nil, limit)
}

// ReadInto implements ingest.EntryReader.
func (j *Journal) ReadInto(ctx context.Context, from ingest.Position, entries []ingest.Entry) ([]ingest.Entry, ingest.Position, error) {
	limit := cap(entries) - len(entries)
	if limit == 0 {
		return entries, from, errors.New("reading the journal: no room for an entry")
	}
	return j.read(ctx, from, entries, limit)
}

// read appends up to limit entries to those given; into may be nil.
func (j *Journal) read(ctx context.Context, from ingest.Position, into []ingest.Entry, limit int) ([]ingest.Entry, ingest.Position, error) {
	for {
		j.mu.Lock()
		if j.closed {
			j.mu.Unlock()
			return into, from, ErrClosed
		}
		seg, pos := j.locate(from)
		size := seg.size
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		changed := j.changed
		j.mu.Unlock()

		from = pos
		if pos < seg.position(size) {
			entries, next, err := j.readSegment(seg, size, pos, into, limit)
			switch {
			case errors.Is(err, fs.ErrNotExist) && !j.keeps(seg):
				continue // thinned meanwhile, or every reader let go of it
			case err != nil:
				return into, from, fmt.Errorf("reading the journal: %w", err)
			case len(entries) > len(into):
				return entries, next, nil
			}
			from = next
			continue
		}
		select {
		case <-ctx.Done():
			return into, from, ctx.Err()
		case <-changed:
		}
	}
}

// position is that of an offset into the frames.
func (s *segment) position(off int64) ingest.Position { return s.base + ingest.Position(off) } //nolint:gosec // never negative

// locate finds the segment in which to read on, and the place in it. The caller
// holds mu.
func (j *Journal) locate(from ingest.Position) (*segment, ingest.Position) {
	first := j.segments[0]
	if from > j.end() {
		j.log.Warn("journal: a reader asks for a position that was never given out; it begins at the oldest entry",
			zap.Uint64("asked", uint64(from)), zap.Uint64("end", uint64(j.end())))
		return first, first.base
	}
	if from < first.base {
		return first, first.base
	}
	for i := len(j.segments) - 1; ; i-- {
		if s := j.segments[i]; s.base <= from {
			if from >= s.end() && i+1 < len(j.segments) {
				s = j.segments[i+1]
				return s, s.base
			}
			return s, min(from, s.end())
		}
	}
}

// keeps reports whether the segment is still part of the journal.
func (j *Journal) keeps(seg *segment) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Contains(j.segments, seg)
}

// readSegment appends up to limit entries of one segment, of which size bytes
// may be read. It appends none when there are only damaged ones.
func (j *Journal) readSegment(seg *segment, size int64, from ingest.Position, into []ingest.Entry, limit int) ([]ingest.Entry, ingest.Position, error) {
	f, err := os.Open(seg.path)
	if err != nil {
		return into, from, err
	}
	defer f.Close() //nolint:errcheck // read only
	sc := j.takeScratch()
	defer j.giveScratch(sc)

	pos, end := from, seg.position(size)
	off := int64(from - seg.base) //nolint:gosec // within the segment
	thinned := seg.thinned
	if thinned {
		size, off = seg.kept, j.marked(seg, from)
	}
	start := off
	const typical = 64 // bytes of a small record, to guess how many follow
	entries := into
	if entries == nil {
		entries = make([]ingest.Entry, 0, min(int64(limit), (size-off)/typical+1))
	}
	limit += len(into)
	for off < size && len(entries) < limit {
		b := sc.buf[:min(int64(len(sc.buf)), size-off)]
		n, err := f.ReadAt(b, headerLen+off)
		if err != nil && !errors.Is(err, io.EOF) {
			return into, from, err
		}
		clear(b[n:]) // a file that somebody cut
		whole := off+int64(len(b)) == size
		used, bad := 0, false
		for len(entries) < limit {
			var fr frame
			var st frameState
			at := off + int64(used) // where the frame stood when it was appended
			if thinned {
				fr, st = nextThinned(b[used:], seg.salt, seg.size)
				at = fr.at
			} else {
				fr, st = nextFrame(b[used:], seg.salt)
			}
			if st == frameNone || st == frameCut && !whole && used > 0 {
				break
			}
			if st != frameOK {
				bad = true
				break
			}
			if next := seg.position(at + int64(frameLen+len(fr.record))); next > pos {
				pos = next
				n := len(entries)
				if n == cap(entries) {
					entries = slices.Grow(entries, 1)
				}
				entries = entries[:n+1] // what stood there is written over
				if err := decodeRecord(fr.record, &entries[n], &sc.names); err != nil {
					j.log.Error("journal: an entry does not decode and is passed over", zap.Error(err))
					j.reportDamage(seg, off+int64(used), int64(fr.size))
					entries = entries[:n]
				}
			}
			used += fr.size
		}
		off += int64(used)
		if !bad {
			continue
		}
		if len(entries) > len(into) {
			break // hand over what there is; the next call comes back here
		}
		if off, err = j.passDamage(f, seg, size, off, off == start); err != nil {
			return into, from, err
		}
	}
	if off == size {
		pos = end
	}
	j.mark(seg, from, mark{pos, off})
	return entries, pos, nil
}

// passDamage returns where to go on when no frame stands at off.
func (j *Journal) passDamage(f *os.File, seg *segment, size, off int64, asked bool) (int64, error) {
	b := make([]byte, size)
	if _, err := f.ReadAt(b, headerLen); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if asked && !seg.thinned {
		// A position from elsewhere may point into a frame that is sound.
		for at := int64(0); at < off; {
			fr, st := nextFrame(b[at:], seg.salt)
			if st != frameOK {
				break
			}
			if at+int64(fr.size) > off {
				j.log.Warn("journal: a reader asks for a position inside an entry; it begins with that entry",
					zap.Uint64("asked", uint64(seg.position(off))))
				return at, nil
			}
			at += int64(fr.size)
		}
	}
	if !j.keeps(seg) {
		// Taken away while it was read, or thinned before the file was opened: in
		// the one that took its name no frame reads with the old salt.
		return 0, fs.ErrNotExist
	}
	next := int64(seg.resync(b, int(off)+1))
	if next < 0 {
		next = size
	}
	j.reportDamage(seg, off, next-off)
	return next, nil
}

// Seek implements ingest.Journal. It answers with the beginning of a segment,
// so entries from before t may come first.
func (j *Journal) Seek(t time.Time) ingest.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		// Without a known time a segment may hold anything.
		if s.size > 0 && (s.latest.IsZero() || !s.latest.Before(t)) {
			return s.base
		}
	}
	return j.end()
}
