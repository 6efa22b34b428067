package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// The first byte of a record says what it is and in which version. A number is
// never reused; the decoder keeps every one that was ever written.
const (
	readingV1 = 1
	answerV1  = 2 // of a team
	answerV2  = 3 // of a tracker
)

// maxRecord bounds one record: twice the largest message that the contract allows.
const maxRecord = 2 * contract.MaxMessageBytes

const hasSeq = 1 // bit of a reading's flags

var errRecord = errors.New("record does not decode")

// appendRecord appends the binary form of an entry:
//
//	reading: 1 received measured kind class flags seq device code text mask value…
//	answer:  2 received at team order receipt reason by
//	answer:  3 received at device order receipt reason by
//
// A time is its milliseconds since 1970 as a zigzag varint, then the remaining
// nanoseconds as a varint; a text is its length as a varint, then its bytes;
// the mask has a bit for each field present, lowest first, and each value is
// the 8 bytes of a float64, little-endian.
func appendRecord(b []byte, e *ingest.Entry) []byte {
	if a := e.Answer; a != nil {
		version, who := byte(answerV1), string(a.Team)
		if a.Device != "" {
			version, who = answerV2, string(a.Device)
		}
		b = append(b, version)
		b = appendTime(b, a.Received)
		b = appendTime(b, a.At)
		b = appendText(b, who)
		b = appendText(b, a.Order)
		b = appendText(b, string(a.Receipt))
		b = appendText(b, a.Reason)
		return appendText(b, a.By)
	}
	r := &e.Reading
	b = append(b, readingV1)
	b = appendTime(b, r.Received)
	b = appendTime(b, r.Measured)
	var flags byte
	if r.HasSeq {
		flags |= hasSeq
	}
	b = append(b, byte(r.Kind), byte(r.Class), flags)
	b = binary.AppendUvarint(b, r.Seq)
	b = appendText(b, string(r.Device))
	b = appendText(b, r.Code)
	b = appendText(b, r.Text)
	var mask uint64
	for f := range r.Values.All() {
		mask |= 1 << f
	}
	b = binary.AppendUvarint(b, mask)
	for _, x := range r.Values.All() {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.UnixMilli())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()%1e6)) //nolint:gosec // 0..999,999
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decodeRecord is the inverse of appendRecord. It accepts nothing that
// appendRecord would not write, so that damage that got past the checksum is
// noticed. The interner may be nil.
func decodeRecord(b []byte, e *ingest.Entry, names *interner) error {
	d := decoder{b: b}
	switch v := d.byte(); v {
	case readingV1:
		e.Answer = nil
		r := &e.Reading
		r.Received = d.time()
		r.Measured = d.time()
		r.Kind = contract.Kind(d.byte())
		r.Class = contract.Class(d.byte())
		flags := d.byte()
		if flags&^hasSeq != 0 {
			d.bad = true
		}
		r.HasSeq = flags&hasSeq != 0
		r.Seq = d.uvarint()
		r.Device = contract.DeviceID(names.text(d.bytes()))
		r.Code = names.text(d.bytes())
		r.Text = string(d.bytes())
		r.Values = contract.Values{}
		mask := d.uvarint()
		if mask>>contract.NumFields != 0 {
			return fmt.Errorf("%w: it has fields of a later version", errRecord)
		}
		for ; mask != 0; mask &= mask - 1 {
			r.Values.Set(contract.Field(bits.TrailingZeros64(mask)), math.Float64frombits(d.uint64())) //nolint:gosec // 0..63
		}
	case answerV1, answerV2:
		var a contract.Answer
		a.Received = d.time()
		a.At = d.time()
		if v == answerV2 {
			a.Device = contract.DeviceID(names.text(d.bytes()))
		} else {
			a.Team = contract.TeamID(d.bytes())
		}
		a.Order = string(d.bytes())
		a.Receipt = contract.Receipt(names.text(d.bytes()))
		a.Reason = string(d.bytes())
		a.By = string(d.bytes())
		*e = ingest.Entry{Answer: &a}
	default:
		return fmt.Errorf("%w: version byte %d is not known", errRecord, v)
	}
	if d.bad {
		return errRecord
	}
	if len(d.b) != 0 {
		return fmt.Errorf("%w: %d bytes too many", errRecord, len(d.b))
	}
	return nil
}

// receivedOf reads only the received time of a record.
func receivedOf(b []byte) (time.Time, bool) {
	d := decoder{b: b}
	d.byte()
	t := d.time()
	return t, !d.bad
}

// decoder reads from the front of b. After the first fault bad stays set and
// every value is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	x := d.b[0]
	d.b = d.b[1:]
	return x
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.bad = true
		return 0
	}
	x := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return x
}

func (d *decoder) uvarint() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 { // cut, overlong, or padded
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return x
}

func (d *decoder) time() time.Time {
	u := d.uvarint() // zigzag
	ms := int64(u>>1) ^ -int64(u&1)
	ns := d.uvarint()
	if ns >= 1e6 {
		d.bad = true
		return time.Time{}
	}
	sec, rest := ms/1000, ms%1000
	if rest < 0 {
		sec, rest = sec-1, rest+1000
	}
	return time.Unix(sec, rest*1e6+int64(ns)).UTC() // ns < 1e6
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	x := d.b[:n]
	d.b = d.b[n:]
	return x
}

// interner returns one string for equal bytes, so that a device's name is
// allocated once and not for each of its readings. Not safe for concurrent use.
type interner struct{ known map[string]string }

const maxInterned = 1 << 16 // names; then it starts anew

func (in *interner) text(b []byte) string {
	if in == nil || len(b) == 0 || len(b) > contract.MaxIDBytes {
		return string(b)
	}
	if s, ok := in.known[string(b)]; ok {
		return s
	}
	if in.known == nil || len(in.known) >= maxInterned {
		in.known = make(map[string]string)
	}
	s := string(b)
	in.known[s] = s
	return s
}
