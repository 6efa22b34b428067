package journal

import (
	"encoding/binary"
	"slices"

	"firewatch/ingest"
)

// A thinned segment has the same header, with span, the bytes of frames that the
// segment had, and kept, the bytes of those it has now. Its frames carry where
// they stood before, so that every position stays what it was:
//
//	frame: at u64 length u32 crc u32 record[length]
//
// All little-endian. at is the offset that the record's first frame had, and
// grows. The CRC-32C covers the salt, at, the length and the record. The file is
// whole before it takes the name of the one that it replaces.
const thinnedFrameLen = 16

// appendThinned appends the frame of a record that stood at an offset.
func appendThinned(b []byte, salt uint32, at int64, record []byte) []byte {
	n := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(at))          //nolint:gosec // never negative
	b = binary.LittleEndian.AppendUint32(b, uint32(len(record))) //nolint:gosec // at most maxRecord
	b = binary.LittleEndian.AppendUint32(b, checksum(salt, b[n:n+12], record))
	return append(b, record...)
}

// nextThinned reads the frame at the front of b, of a segment that had span
// bytes of frames.
func nextThinned(b []byte, salt uint32, span int64) (frame, frameState) {
	if len(b) == 0 {
		return frame{}, frameNone
	}
	if len(b) < thinnedFrameLen {
		return frame{}, frameCut
	}
	at := binary.LittleEndian.Uint64(b)
	n := int(binary.LittleEndian.Uint32(b[8:]))
	switch {
	case n == 0 || n > maxRecord:
		return frame{}, frameBad
	case at >= uint64(span) || at+frameLen+uint64(n) > uint64(span): //nolint:gosec // never negative
		return frame{}, frameBad
	case thinnedFrameLen+n > len(b):
		return frame{}, frameCut
	}
	record := b[thinnedFrameLen : thinnedFrameLen+n]
	if binary.LittleEndian.Uint32(b[12:]) != checksum(salt, b[:12], record) {
		return frame{}, frameBad
	}
	return frame{record: record, size: thinnedFrameLen + n, at: int64(at)}, frameOK //nolint:gosec // below span
}

// resync returns the offset in b of the next frame at or after off, or -1.
func (s *segment) resync(b []byte, off int) int {
	if !s.thinned {
		return resync(b, off, s.salt)
	}
	for ; off+thinnedFrameLen < len(b); off++ {
		if _, st := nextThinned(b[off:], s.salt, s.size); st == frameOK {
			return off
		}
	}
	return -1
}

// mark is a place in a thinned file: no frame before off goes beyond pos.
type mark struct {
	pos ingest.Position
	off int64
}

// maxMarks bounds the places known of a segment: one for each reader will do.
const maxMarks = 16

// mark notes where the reader that came from one position goes on.
func (j *Journal) mark(seg *segment, from ingest.Position, to mark) {
	if !seg.thinned {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.IndexFunc(seg.marks, func(m mark) bool { return m.pos == from })
	if i < 0 && len(seg.marks) >= maxMarks {
		i = 0
	}
	if i >= 0 {
		seg.marks = slices.Delete(seg.marks, i, i+1)
	}
	seg.marks = append(seg.marks, to)
}

// marked is an offset in a thinned file before which nothing is for a reader
// that stands at pos.
func (j *Journal) marked(seg *segment, pos ingest.Position) (off int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range seg.marks {
		if m.pos <= pos {
			off = max(off, m.off)
		}
	}
	return off
}
