package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"firewatch/ingest"
)

// A segment file is a header and then frames, one for each record:
//
//	header: magic[8] version u32 salt u32 base u64 before i64 span u64 kept u64 reserved[12] crc u32
//	frame:  length u32 crc u32 record[length]
//
// All little-endian. base is the position of the first frame. before is the
// latest received time, in ns, of the segment before this one; it spares a
// start reading whole files for Seek. The CRC-32C of a frame covers the salt,
// the length and the record: with a random salt no payload can imitate a frame,
// so a reader may search for the next one after damage. The top bit of the
// length marks the first record of an Append: such a record proves that all
// before it had been synced. span and kept are of a thinned segment, see
// thinned.go, and 0 in others.
const (
	headerLen     = 64
	frameLen      = 8
	segmentFormat = 1
	thinnedFormat = 2
	firstOfAppend = 1 << 31
	suffix        = ".segment"
)

var (
	magic      = [8]byte{'f', 'w', 'j', 'o', 'u', 'r', 'n', '\n'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errHeader = errors.New("segment header does not read")
)

// segment is one file. Everything but the immutable fields is guarded by the
// journal's mutex.
type segment struct {
	path string
	base ingest.Position // of the first frame
	salt uint32

	size   int64     // bytes of frames that are on disk and may be read
	oldest time.Time // received time of the first entry; only known of the last segment
	latest time.Time // of the received times in it
	broken bool      // damage in it has been reported

	// Of a thinned segment size is what it was before: the positions in it are
	// those of the frames that it had. kept is the bytes of the frames it has.
	thinned bool // immutable
	kept    int64
	spent   bool   // thinning would free nothing
	marks   []mark // places in a thinned file where readers go on
}

// frames is how many bytes of frames the file has.
func (s *segment) frames() int64 {
	if s.thinned {
		return s.kept
	}
	return s.size
}

func (s *segment) end() ingest.Position { return s.base + ingest.Position(s.size) } //nolint:gosec // never negative

func segmentPath(dir string, base ingest.Position) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", base, suffix))
}

// parseSegmentName is the inverse of segmentPath.
func parseSegmentName(name string) (ingest.Position, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return ingest.Position(n), err == nil
}

type header struct {
	salt   uint32
	base   ingest.Position
	before time.Time // zero when there is none

	thinned    bool
	span, kept int64 // bytes, of a thinned segment
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerLen)
	b = append(b, magic[:]...)
	format := uint32(segmentFormat)
	if h.thinned {
		format = thinnedFormat
	}
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, h.salt)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.base))
	var before int64
	if !h.before.IsZero() {
		before = h.before.UnixNano()
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(before))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.span)) //nolint:gosec // never negative
	b = binary.LittleEndian.AppendUint64(b, uint64(h.kept)) //nolint:gosec // never negative
	b = b[:headerLen-4]
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeHeader(b []byte) (header, error) {
	switch {
	case len(b) < headerLen || !bytes.Equal(b[:8], magic[:]):
		return header{}, errHeader
	case binary.LittleEndian.Uint32(b[headerLen-4:]) != crc32.Checksum(b[:headerLen-4], castagnoli):
		return header{}, fmt.Errorf("%w: wrong checksum", errHeader)
	}
	v := binary.LittleEndian.Uint32(b[8:])
	if v != segmentFormat && v != thinnedFormat {
		return header{}, fmt.Errorf("%w: format %d, this version reads %d and %d", errHeader, v, segmentFormat, thinnedFormat)
	}
	h := header{
		salt: binary.LittleEndian.Uint32(b[12:]),
		base: ingest.Position(binary.LittleEndian.Uint64(b[16:])),
	}
	if h.thinned = v == thinnedFormat; h.thinned {
		h.span = int64(binary.LittleEndian.Uint64(b[32:])) //nolint:gosec // checked below
		h.kept = int64(binary.LittleEndian.Uint64(b[40:])) //nolint:gosec // checked below
		if h.span <= 0 || h.kept < 0 || h.kept >= h.span {
			return header{}, fmt.Errorf("%w: %d bytes thinned to %d", errHeader, h.span, h.kept)
		}
	}
	if ns := int64(binary.LittleEndian.Uint64(b[24:])); ns != 0 { //nolint:gosec // bits are kept
		h.before = time.Unix(0, ns).UTC()
	}
	return h, nil
}

func checksum(salt uint32, length []byte, record []byte) uint32 {
	return crc32.Update(crc32.Update(salt, castagnoli, length), castagnoli, record)
}

// appendFrame appends the frame of one entry.
func appendFrame(b []byte, salt uint32, first bool, e *ingest.Entry) ([]byte, error) {
	at := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = appendRecord(b, e)
	n := len(b) - at - frameLen
	if n > maxRecord {
		return b[:at], fmt.Errorf("an entry of %d bytes is over the journal's limit of %d", n, maxRecord)
	}
	length := uint32(n) //nolint:gosec // at most maxRecord
	if first {
		length |= firstOfAppend
	}
	binary.LittleEndian.PutUint32(b[at:], length)
	binary.LittleEndian.PutUint32(b[at+4:], checksum(salt, b[at:at+4], b[at+frameLen:]))
	return b, nil
}

// frame is one record found in a buffer.
type frame struct {
	record []byte
	size   int   // of the whole frame
	first  bool  // first of an Append
	at     int64 // offset of the frame when it was appended; of a thinned segment's frames only
}

// frameState says what stands at the front of a buffer.
type frameState uint8

const (
	frameOK   frameState = iota
	frameCut             // could be a frame that goes on past the buffer
	frameBad             // is none
	frameNone            // the buffer is empty
)

// nextFrame reads the frame at the front of b.
func nextFrame(b []byte, salt uint32) (frame, frameState) {
	if len(b) == 0 {
		return frame{}, frameNone
	}
	if len(b) < frameLen {
		return frame{}, frameCut
	}
	length := binary.LittleEndian.Uint32(b)
	n := int(length &^ firstOfAppend)
	switch {
	case n == 0 || n > maxRecord:
		return frame{}, frameBad
	case frameLen+n > len(b):
		return frame{}, frameCut
	}
	record := b[frameLen : frameLen+n]
	if binary.LittleEndian.Uint32(b[4:]) != checksum(salt, b[:4], record) {
		return frame{}, frameBad
	}
	return frame{record: record, size: frameLen + n, first: length&firstOfAppend != 0}, frameOK
}

// resync returns the offset of the next frame at or after off, or -1.
func resync(b []byte, off int, salt uint32) int {
	for ; off+frameLen < len(b); off++ {
		if _, st := nextFrame(b[off:], salt); st == frameOK {
			return off
		}
	}
	return -1
}

// tail is what a scan of a segment's frames found.
type tail struct {
	good   int       // bytes of frames from the start that read without a fault
	oldest time.Time // received, of the first record found
	latest time.Time // received, of all records found
	// damaged says that records stand after a fault which had been synced before
	// them: not a torn tail.
	damaged bool
}

// scan reads the frames of a whole segment.
func scan(b []byte, salt uint32) (t tail) {
	t.good = -1
	for off := 0; ; {
		f, st := nextFrame(b[off:], salt)
		if st == frameOK {
			if t.good >= 0 && f.first {
				t.damaged = true
			}
			if at, ok := receivedOf(f.record); ok {
				if at.After(t.latest) {
					t.latest = at
				}
				if t.oldest.IsZero() {
					t.oldest = at
				}
			}
			off += f.size
			continue
		}
		if t.good < 0 {
			t.good = off
		}
		if st == frameNone {
			return t
		}
		next := resync(b, off+1, salt)
		if next < 0 {
			return t
		}
		off = next
	}
}

// readHeader reads the header of a segment file and its size.
func readHeader(path string) (h header, size int64, err error) {
	f, err := os.Open(path) //nolint:gosec // our own folder
	if err != nil {
		return header{}, 0, err
	}
	defer f.Close() //nolint:errcheck // read only
	st, err := f.Stat()
	if err != nil {
		return header{}, 0, err
	}
	b := make([]byte, headerLen)
	n, _ := f.ReadAt(b, 0)
	h, err = decodeHeader(b[:n])
	return h, st.Size(), err
}

// syncDir makes the creation, renaming and removal of files durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
