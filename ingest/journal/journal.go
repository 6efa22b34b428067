package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/ingest"
)

// Defaults of Options.
const (
	DefaultSegmentBytes = 64 << 20 // 64 MiB
	DefaultMaxBytes     = 10 << 30 // 10 GiB
	DefaultMaxAge       = 72 * time.Hour
	DefaultThinTo       = 10 * time.Minute
)

// ageParts bounds the time that one segment spans, and the time for which the
// slowest reader must have stood still before the age counts: an eighth of
// MaxAge each.
const ageParts = 8

// ErrOwed is matched by Open's error when a reader that no longer reads has not
// passed all entries.
var ErrOwed = errors.New("entries are owed to a reader that does not run")

// ErrFull is matched by Append's error when the journal holds as much as it may
// and nothing in it may be thinned any more. It takes entries again once a
// reader lets go of a segment.
var ErrFull = errors.New("journal is full")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("journal is closed")

// Options configures a Journal. Dir and Log are required.
type Options struct {
	Dir          string // created when absent
	SegmentBytes int64  // size at which a new file is begun; default 64 MiB, at most a quarter of MaxBytes
	// MaxBytes bounds the size of all segments: default 10 GiB, at least 64 KiB.
	// When an Append would go beyond it, the oldest segments are thinned first.
	// While one is thinned, its copy takes room on the disk too.
	MaxBytes int64
	// MaxAge is how long entries wait in full: default 72 h, at least 1 h. A
	// segment is thinned when its newest entry was received longer ago and the
	// slowest reader has not moved for an eighth of MaxAge. So a journal that
	// was switched off for days is read in full, and so is one that a reader is
	// slow to empty; then only MaxBytes counts. It is looked at once a minute,
	// in an Append, and thins one segment then.
	MaxAge time.Duration
	// ThinTo is the length of the windows of measured time, counted from 1970,
	// of which thinning keeps one ordinary reading of a device and class:
	// default 10 min, from 1 min to MaxAge.
	ThinTo time.Duration
	// Readers names those for whom entries are kept, from the start. Positions of
	// others that an earlier run left behind hold nothing. When it is empty,
	// everyone who ever called Retain is a reader.
	Readers []string
	// Owed names readers that must not be forgotten while they are behind: when
	// an earlier run left one with entries that it had not passed, and it is not
	// among Readers, Open fails with ErrOwed.
	Owed    []string
	Log     *zap.Logger
	Metrics prometheus.Registerer // may be nil
}

// Journal is an ingest.Journal in a folder. It is safe for concurrent use.
type Journal struct {
	o       Options
	log     *zap.Logger
	metrics metrics
	lock    *os.File
	scratch chan *scratch

	writing sync.Mutex // held by the one Append at work, before mu
	file    *os.File   // open for writing the last segment; nil when there is none
	buf     []byte
	// nextBase, when not 0, forbids writing to the last segment: it ends in bytes
	// that must not be written over, and the next one begins here.
	nextBase ingest.Position
	aged     time.Time // when the age of the segments was looked at

	saving sync.Mutex // held while the readers' positions are written, before mu
	saved  time.Time

	mu       sync.Mutex
	segments []*segment // by base; positions between two of them were never given out
	bytes    int64      // of all segment files
	readers  map[string]ingest.Position
	holding  map[string]bool // readers for whom segments are kept
	held     ingest.Position // where the slowest of them stood when it last moved
	moved    time.Time       // when that was
	changed  chan struct{}   // closed at the next Append or Close
	refusing error           // why the last Append failed; nil after one that worked
	damage   damage
	note     note
	closed   bool
}

// Open takes the folder over, repairs what an interrupted write left behind,
// and returns the journal ready for use.
func Open(o Options) (*Journal, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the journal's folder: %w", err)
	}
	lock, err := takeLock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	j := &Journal{
		o: o, log: o.Log, lock: lock,
		scratch: make(chan *scratch, 4),
		readers: map[string]ingest.Position{}, holding: map[string]bool{},
		moved: time.Now(),
	}
	if err := j.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if j.metrics, err = newMetrics(j, o.Metrics); err != nil {
		return nil, errors.Join(err, j.file.Close(), lock.Close())
	}
	return j, nil
}

func (o *Options) check() error {
	switch {
	case o.Dir == "":
		return errors.New("journal: Dir is missing")
	case o.Log == nil:
		return errors.New("journal: Log is missing")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxBytes < 64<<10 {
		return fmt.Errorf("journal: MaxBytes %d: want at least 64 KiB", o.MaxBytes)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(DefaultSegmentBytes, o.MaxBytes/4)
	}
	if o.SegmentBytes < 1<<10 || o.SegmentBytes > o.MaxBytes/4 {
		return fmt.Errorf("journal: SegmentBytes %d: want 1 KiB to a quarter of MaxBytes (%d)", o.SegmentBytes, o.MaxBytes)
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.MaxAge < time.Hour {
		return fmt.Errorf("journal: MaxAge %s: want at least 1h", o.MaxAge)
	}
	if o.ThinTo == 0 {
		o.ThinTo = DefaultThinTo
	}
	if o.ThinTo < time.Minute || o.ThinTo > o.MaxAge {
		return fmt.Errorf("journal: ThinTo %s: want 1m to MaxAge (%s)", o.ThinTo, o.MaxAge)
	}
	return nil
}

// Append implements ingest.Journal. An error leaves the journal as it was
// before; trying again later is right for every error but ErrClosed.
func (j *Journal) Append(ctx context.Context, entries []ingest.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j.writing.Lock()
	defer j.writing.Unlock()
	start := time.Now()
	n, err := j.append(entries)
	j.mu.Lock()
	j.refusing = err
	j.mu.Unlock()
	if err != nil {
		return fmt.Errorf("appending to the journal: %w", err)
	}
	j.metrics.entries.Add(float64(len(entries)))
	j.metrics.written.Add(float64(n))
	j.metrics.seconds.Observe(time.Since(start).Seconds())
	j.thinByAge(start)
	return nil
}

// append is Append under the writing lock; it returns the bytes written.
func (j *Journal) append(entries []ingest.Entry) (int, error) {
	j.mu.Lock()
	closed := j.closed
	j.mu.Unlock()
	if closed {
		return 0, ErrClosed
	}
	seg, err := j.prepare(entries)
	if err != nil {
		return 0, err
	}
	at := headerLen + seg.size
	if _, err := j.file.WriteAt(j.buf, at); err != nil {
		j.takeBack(seg, at)
		j.giveBack(seg)
		return 0, err
	}
	if err := j.file.Sync(); err != nil {
		// After a failed fsync the kernel may call the same pages clean: nothing
		// more is written to this file.
		j.takeBack(seg, at)
		j.nextBase = seg.end() + ingest.Position(len(j.buf))
		return 0, fmt.Errorf("syncing: %w", err)
	}

	latest := seg.latest
	for i := range entries {
		if r := entries[i].Received(); r.After(latest) {
			latest = r
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if seg.size == 0 {
		seg.oldest = entries[0].Received()
	}
	seg.size += int64(len(j.buf))
	seg.latest = latest
	j.bytes += int64(len(j.buf))
	j.wake()
	return len(j.buf), nil
}

// prepare encodes the entries into buf for the segment that it returns, which
// is a new one when the last is full.
func (j *Journal) prepare(entries []ingest.Entry) (*segment, error) {
	if j.file == nil || j.nextBase != 0 {
		if err := j.roll(); err != nil {
			return nil, err
		}
	}
	for {
		seg := j.last()
		if err := j.encode(seg.salt, entries); err != nil {
			return nil, err
		}
		finished := seg.size > 0 && (headerLen+seg.size+int64(len(j.buf)) > j.o.SegmentBytes ||
			entries[0].Received().Sub(seg.oldest) >= j.o.MaxAge/ageParts)
		if !finished {
			ends, err := j.makeRoom(seg, len(j.buf))
			if err == nil {
				return seg, nil
			}
			if !ends {
				return nil, err
			}
		}
		if err := j.roll(); err != nil { // then size is 0, so this comes once
			return nil, err
		}
		j.drop()
	}
}

// encode fills buf with the frames of the entries.
func (j *Journal) encode(salt uint32, entries []ingest.Entry) (err error) {
	const keep = 8 << 20 // a larger buffer is not kept for the next call
	if cap(j.buf) > keep {
		j.buf = nil
	}
	j.buf = j.buf[:0]
	for i := range entries {
		if j.buf, err = appendFrame(j.buf, salt, i == 0, &entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// takeBack removes what a failed Append may have left at the end of the file.
func (j *Journal) takeBack(seg *segment, at int64) {
	if err := j.file.Truncate(at); err != nil {
		j.nextBase = seg.end() + ingest.Position(len(j.buf))
		j.log.Error("journal: removing a part of a failed write; going on in a new file when the disk allows",
			zap.String("file", seg.path), zap.Error(err))
	}
}

// giveBack frees the space of the last segment on a disk that is full, when
// every reader has passed it: otherwise the journal itself could keep the disk
// full for ever.
func (j *Journal) giveBack(seg *segment) {
	j.mu.Lock()
	oldest, who := j.oldestHeld()
	passed := who != "" && seg.size > 0 && oldest >= seg.end()
	j.mu.Unlock()
	if !passed {
		return
	}
	if j.roll() == nil {
		j.drop()
		return
	}
	// Not even a new file fits: this one becomes the next.
	if err := j.renew(seg); err != nil {
		j.log.Error("journal: giving back the space of a segment that was read", zap.String("file", seg.path), zap.Error(err))
	}
}

// renew turns the last segment, which every reader has passed, into an empty one
// that begins where it ended. A crash in between leaves a file without entries.
func (j *Journal) renew(old *segment) error {
	h := header{salt: rand.Uint32(), base: max(j.nextBase, old.end())} //nolint:gosec // tells lives of a file apart, no secret
	seg := &segment{path: segmentPath(j.o.Dir, h.base), base: h.base, salt: h.salt}
	j.mu.Lock()
	j.segments[len(j.segments)-1] = seg
	j.bytes -= old.size // the last one is never thinned
	j.mu.Unlock()
	j.nextBase = h.base + 1 // until all has worked
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(old.path, seg.path); err != nil {
		return err
	}
	if err := syncDir(j.o.Dir); err != nil {
		return err
	}
	j.nextBase = 0
	return nil
}

// room returns ErrFull when n more bytes do not fit. Segments that all readers
// have passed are gone already, except the last one: passed says that they have
// passed that too, so that ending it would make room.
func (j *Journal) room(n int) (passed bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bytes+headerLen+int64(n) <= j.o.MaxBytes { // a new segment may be needed next
		return false, nil
	}
	oldest, who := j.oldestHeld()
	if who == "" {
		who = "(none yet)"
	}
	last := j.segments[len(j.segments)-1]
	return last.size > 0 && oldest >= last.end(),
		fmt.Errorf("%w: %d of %d bytes are kept for reader %s", ErrFull, j.bytes, j.o.MaxBytes, who)
}

// makeRoom thins until n more bytes fit. An error says that they do not: ends
// tells that ending the last segment, so that it can be dropped or thinned too,
// may help.
func (j *Journal) makeRoom(last *segment, n int) (ends bool, err error) {
	passed, err := j.room(n)
	for err != nil && !passed && 2*headerLen+int64(n) <= j.o.MaxBytes {
		found, cause := j.thinNext("the journal is full", func(*segment) bool { return true })
		if cause != nil {
			return false, fmt.Errorf("%w; thinning: %w", err, cause)
		}
		if !found {
			// A small segment is not worth a file of its own.
			return last.size >= j.o.SegmentBytes/8, err
		}
		passed, err = j.room(n)
	}
	return passed, err
}

func (j *Journal) last() *segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.segments[len(j.segments)-1]
}

// roll begins a new segment, durable in the folder before it is used.
func (j *Journal) roll() error {
	h := header{salt: rand.Uint32(), base: j.nextBase} //nolint:gosec // tells lives of a file apart, no secret
	j.mu.Lock()
	if n := len(j.segments); n > 0 {
		h.before = j.segments[n-1].latest
		h.base = max(h.base, j.segments[n-1].end())
	}
	j.mu.Unlock()
	seg := &segment{path: segmentPath(j.o.Dir, h.base), base: h.base, salt: h.salt}
	f, err := os.OpenFile(seg.path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640) //nolint:gosec // our own folder
	if err != nil {
		return fmt.Errorf("beginning a segment: %w", err)
	}
	_, err = f.WriteAt(h.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(j.o.Dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("beginning a segment: %w", err), f.Close(), os.Remove(seg.path))
	}
	if j.file != nil {
		if err := j.file.Close(); err != nil {
			j.log.Warn("journal: closing a finished segment", zap.Error(err))
		}
	}
	j.file, j.nextBase = f, 0
	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments = append(j.segments, seg)
	j.bytes += headerLen
	return nil
}

// wake tells waiting readers to look again. The caller holds mu.
func (j *Journal) wake() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
}

// Ready reports why entries cannot be accepted now, or nil.
func (j *Journal) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	if j.refusing != nil {
		return fmt.Errorf("nothing is taken, so nothing is acknowledged: %w", j.refusing)
	}
	return nil
}

// Close saves the readers' positions and releases the folder. Reads that wait
// return ErrClosed.
func (j *Journal) Close() error {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.wake()
	j.mu.Unlock()
	err := j.save(true)
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
	}
	return errors.Join(err, j.lock.Close())
}
