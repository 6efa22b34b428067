package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
)

// A reading beyond one of these is never thinned. Those of fire are well below
// where the rules that come with firewatch suspect one: that is at 2.5 %/m,
// 15 ppm and 58 °C, and, while they are scaled down by a red warning, at 0.7 times
// as much, 1.75 %/m, 10.5 ppm and 40.6 °C. The battery's is where they give notice.
const (
	criticalBatteryPct = 15   // %, and below
	suspectSmokePctM   = 0.75 // %/m, and above
	suspectCOPPM       = 4.5  // ppm, and above
	suspectTempC       = 40   // °C, and above
)

// protected reports whether thinning must keep the reading.
func protected(r *contract.Reading) bool {
	switch r.Class {
	case contract.Position, contract.Environment, contract.Status:
	case contract.SOS, contract.Report:
		return true
	default: // of a later version
		return true
	}
	v := &r.Values
	over := func(f contract.Field, limit float64) bool {
		x, has := v.Get(f)
		return has && !(x < limit) // what is no number stays
	}
	if r.Text != "" || over(contract.Flame, 1) || over(contract.Tamper, 1) ||
		over(contract.SmokeObsPctM, suspectSmokePctM) || over(contract.CoPPM, suspectCOPPM) || over(contract.TempC, suspectTempC) {
		return true
	}
	if pct, has := v.Get(contract.BatteryPct); has && !(pct > criticalBatteryPct) {
		return true
	}
	return r.Class == contract.Status && (v.Has(contract.Online) || v.Has(contract.Tamper) || v.Has(contract.Calibrating))
}

// window names the readings of which one stays.
type window struct {
	device contract.DeviceID
	class  contract.Class
	number int64 // of windows since 1970
}

func windowOf(r *contract.Reading, length time.Duration) window {
	ms, each := r.Measured.UnixMilli(), length.Milliseconds()
	n := ms / each
	if ms%each < 0 {
		n--
	}
	return window{r.Device, r.Class, n}
}

// richness orders the readings of a window.
func richness(r *contract.Reading) int {
	n := r.Values.Len()
	if r.Code != "" {
		n++
	}
	return n
}

// eachFrame yields the frames in b with their offsets, and passes over what is
// damaged between them, which it tells when damaged is not nil.
func eachFrame(b []byte, salt uint32, damaged func(off, n int64)) iter.Seq2[int64, frame] {
	return func(yield func(int64, frame) bool) {
		for off := 0; off < len(b); {
			f, st := nextFrame(b[off:], salt)
			if st == frameOK {
				if !yield(int64(off), f) {
					return
				}
				off += f.size
				continue
			}
			next := resync(b, off+1, salt)
			if next < 0 {
				next = len(b)
			}
			if damaged != nil {
				damaged(int64(off), int64(next-off))
			}
			off = next
		}
	}
}

// thinByAge thins the oldest segment of which all entries are too old, when
// nobody reads on. It looks once a minute, so that an Append waits for one.
func (j *Journal) thinByAge(now time.Time) {
	const every = time.Minute
	if now.Sub(j.aged) < every {
		return
	}
	j.aged = now
	j.mu.Lock()
	still := now.Sub(j.moved)
	j.mu.Unlock()
	if still < j.o.MaxAge/ageParts {
		return
	}
	before := now.Add(-j.o.MaxAge)
	_, err := j.thinNext("entries are too old", func(s *segment) bool {
		return !s.latest.IsZero() && s.latest.Before(before)
	})
	if err != nil {
		j.log.Error("journal: thinning what is too old; it stays as it is", zap.Error(err))
	}
}

// thinNext thins the oldest segment that may be, and reports whether there was
// one: it may have been read meanwhile, or be such that nothing can go. The one
// that is written is left alone. The caller holds the writing lock.
func (j *Journal) thinNext(why string, may func(*segment) bool) (bool, error) {
	j.mu.Lock()
	var seg *segment
	h := header{salt: rand.Uint32(), thinned: true} //nolint:gosec // tells lives of a file apart, no secret
	for i, s := range j.segments[:len(j.segments)-1] {
		if !s.spent && s.size > 0 && may(s) {
			seg, h.base, h.span = s, s.base, s.size
			if i > 0 {
				h.before = j.segments[i-1].latest
			}
			break
		}
	}
	held, who := j.oldestHeld()
	j.mu.Unlock()
	if seg == nil {
		return false, nil
	}
	b, err := readFrames(seg)
	if errors.Is(err, fs.ErrNotExist) && !j.keeps(seg) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("thinning a segment: %w", err)
	}
	s := sift(b, seg.salt, int64(max(held, seg.base)-seg.base), j.o.ThinTo, func(off, n int64) { j.reportDamage(seg, off, n) }) //nolint:gosec // within int64
	h.kept = s.bytes
	if h.kept >= h.span {
		j.mu.Lock()
		seg.spent = true
		j.mu.Unlock()
		return true, nil
	}
	took, err := j.swap(seg, h, b, &s)
	if err != nil {
		return false, fmt.Errorf("thinning a segment: %w", err)
	}
	if n := s.lost.readings(); took && n > 0 {
		for _, c := range []contract.Class{contract.Position, contract.Environment, contract.Status} {
			j.metrics.thinned.WithLabelValues(c.String()).Add(float64(s.lost.classes[c]))
		}
		j.log.Error("journal: readings were thinned out before every reader had them; "+
			"SOS, reports, fire, tamper, critical batteries and answers are all kept",
			zap.String("why", why), zap.String("waits_for_reader", who), zap.String("file", seg.path), zap.Uint64("readings", n),
			zap.Uint64("positions", s.lost.classes[contract.Position]),
			zap.Uint64("environment", s.lost.classes[contract.Environment]),
			zap.Uint64("status", s.lost.classes[contract.Status]),
			zap.Time("measured_from", s.lost.from), zap.Time("measured_to", s.lost.to),
			zap.Int64("freed_bytes", h.span-h.kept))
	}
	return true, nil
}

// readFrames reads the frames of a segment that is not thinned.
func readFrames(seg *segment) ([]byte, error) {
	f, err := os.Open(seg.path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	b := make([]byte, seg.size)
	if _, err := f.ReadAt(b, headerLen); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// swap puts the thinned segment in the place of the whole one. It is on disk
// before, and so is the note: after a crash in between, readings may be told
// of twice, never not at all. It reports false when the segment was read
// meanwhile.
func (j *Journal) swap(old *segment, h header, b []byte, s *sieve) (took bool, err error) {
	copied := old.path + unfinished
	defer func() {
		if !took {
			err = errors.Join(err, ignore(os.Remove(copied), fs.ErrNotExist))
		}
	}()
	if err := writeThinned(copied, h, old.salt, b, s.keep); err != nil {
		return false, err
	}
	j.mu.Lock()
	note := j.note
	j.mu.Unlock()
	counted := s.lost.readings() > 0
	if counted {
		if err := j.setNote(note.with(&s.lost, time.Now())); err != nil {
			return false, err
		}
	}
	took, err = j.exchange(old, &segment{
		path: old.path, base: old.base, salt: h.salt, size: h.span, thinned: true, kept: h.kept, spent: true,
	}, copied)
	if !took && counted {
		err = errors.Join(err, j.setNote(note))
	}
	if !took {
		return false, err
	}
	if err := syncDir(j.o.Dir); err != nil {
		j.log.Warn("journal: syncing the folder after thinning; after a crash the segment may be whole again", zap.Error(err))
	}
	return true, nil
}

// exchange gives the name of one segment to the file of another, both at once
// for readers.
func (j *Journal) exchange(old, thinned *segment, path string) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.Index(j.segments, old)
	if i < 0 {
		return false, nil
	}
	if err := os.Rename(path, old.path); err != nil {
		return false, err
	}
	thinned.latest = old.latest
	j.segments[i] = thinned
	j.bytes -= thinned.size - thinned.kept
	return true, nil
}

// writeThinned writes and syncs the file of a thinned segment.
func writeThinned(path string, h header, salt uint32, b []byte, keep []bool) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	_, err = w.Write(h.encode())
	var buf []byte
	i := 0
	for off, fr := range eachFrame(b, salt, nil) {
		if err != nil {
			break
		}
		if keep[i] {
			buf = appendThinned(buf[:0], h.salt, off, fr.record)
			_, err = w.Write(buf)
		}
		i++
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ignore is err, or nil when it is of the kind.
func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}
