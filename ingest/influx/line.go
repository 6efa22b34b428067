package influx

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Names in the database, beside the contract's field names. Tags are a closed
// set: device, kind and area. Everything else is a field.
const (
	measurementPosition    = "position" // positions, SOS and reports
	measurementEnvironment = "environment"
	measurementStatus      = "device_status"
	measurementQuarantine  = "quarantine"

	tagDevice = "device"
	tagKind   = "kind"
	tagArea   = "area"

	fieldClass    = "class"
	fieldReceived = "received_ms"
	fieldSeq      = "seq"
	fieldCode     = "code"
	fieldText     = "text"
)

// measurementOf is where readings of the class are stored, or empty.
func measurementOf(c contract.Class) string {
	switch c {
	case contract.Position, contract.SOS, contract.Report:
		return measurementPosition
	case contract.Environment:
		return measurementEnvironment
	case contract.Status:
		return measurementStatus
	default:
		return ""
	}
}

// A fieldKey is how one field is written: `,name=` and its type.
type fieldKey struct {
	key  string
	kind byte // 'f' float, 'i' integer, 'b' boolean
}

var fieldKeys = func() (keys [contract.NumFields]fieldKey) {
	for f := range contract.Fields() {
		k := fieldKey{key: "," + f.String() + "=", kind: 'f'}
		switch info := f.Info(); {
		case info.Bool:
			k.kind = 'b'
		case info.Integer:
			k.kind = 'i'
		}
		keys[f] = k
	}
	return keys
}()

// msMax is the last millisecond whose every tie fits InfluxDB's time.
const (
	tieRange = 1_000_000 // ns in the ms
	msMax    = math.MaxInt64/tieRange - 1
)

// An encoder writes readings as line protocol. It holds no state.
type encoder struct {
	registry ingest.Registry
}

var errNoClass = errors.New("class: not one that is stored")

// append adds the reading as one line, or nothing and the reason.
//
//	position,area=130633,device=w-17,kind=tracker class="position",received_ms=1i,seq=7i,lat=39.1 1700000000000000007
func (e *encoder) append(b []byte, r *contract.Reading) ([]byte, error) {
	begin := len(b)
	b, err := e.appendSeries(b, r)
	if err != nil {
		return b, err
	}
	b, err = appendPoint(b, r)
	if err != nil {
		return b[:begin], err
	}
	return b, nil
}

// appendSeries adds what all readings of one device in one measurement have in
// common: the measurement and the tags. On an error nothing is added.
func (e *encoder) appendSeries(b []byte, r *contract.Reading) ([]byte, error) {
	m := measurementOf(r.Class)
	if m == "" {
		return b, errNoClass
	}
	if err := r.Device.Validate(); err != nil {
		return b, err
	}
	if r.Kind != contract.Tracker && r.Kind != contract.Sensor {
		return b, errors.New("kind: neither tracker nor sensor")
	}
	b = append(b, m...)
	if e.registry != nil {
		if area, known := e.registry.Lookup(r.Device); known && area != "" {
			b = append(b, ","+tagArea+"="...)
			b = appendTag(b, area)
		}
	}
	b = append(b, ","+tagDevice+"="...)
	b = appendTag(b, string(r.Device))
	b = append(b, ","+tagKind+"="...)
	return append(b, r.Kind.String()...), nil
}

// appendPoint adds the fields, the time and the line break. On an error what it
// has added is worth nothing.
func appendPoint(b []byte, r *contract.Reading) ([]byte, error) {
	ms := r.Measured.UnixMilli()
	if ms < 0 || ms > msMax {
		return b, fmt.Errorf("measured time %s cannot be stored", r.Measured.Format(time.RFC3339))
	}
	if r.Seq > math.MaxInt64 {
		return b, fmt.Errorf("seq: %d cannot be stored", r.Seq)
	}

	b = append(b, " "+fieldClass+`="`...)
	b = append(b, r.Class.String()...)
	b = append(b, '"')
	if !r.Received.IsZero() {
		b = append(b, ","+fieldReceived+"="...)
		b = append(strconv.AppendInt(b, r.Received.UnixMilli(), 10), 'i')
	}
	if r.HasSeq {
		b = append(b, ","+fieldSeq+"="...)
		b = append(strconv.AppendInt(b, int64(r.Seq), 10), 'i') // checked above
	}
	// Among positions only SOS and reports have a code, always, even an empty
	// one: so the newest SOS is found without looking at the positions.
	if r.Code != "" || r.Class == contract.SOS || r.Class == contract.Report {
		b = append(b, ","+fieldCode+"="...)
		b = appendString(b, r.Code)
	}
	if r.Text != "" {
		b = append(b, ","+fieldText+"="...)
		b = appendString(b, r.Text)
	}
	for f, x := range r.Values.All() {
		k := &fieldKeys[f]
		if math.IsNaN(x) || math.IsInf(x, 0) || k.kind == 'i' && math.Abs(x) > 1<<53 {
			return b, fmt.Errorf("%s: %v cannot be stored", f, x)
		}
		b = append(b, k.key...)
		switch k.kind {
		case 'b':
			if x != 0 {
				b = append(b, 't')
			} else {
				b = append(b, 'f')
			}
		case 'i':
			b = append(strconv.AppendInt(b, int64(x), 10), 'i')
		default:
			b = strconv.AppendFloat(b, x, 'g', -1, 64)
		}
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, ms*tieRange+tie(r), 10)
	return append(b, '\n'), nil
}

// tie is the place of the reading within its millisecond, so that the same
// reading again is the same point, and another of the same millisecond is not:
// the sequence number where the device counts, else a hash of what it measured.
// SOS and reports are moved aside, because they share their measurement with
// the positions, and a device that counts each topic apart must not have its
// SOS overwritten.
func tie(r *contract.Reading) int64 {
	n := r.Seq
	if !r.HasSeq {
		n = valueHash(r)
	}
	n %= tieRange
	switch r.Class {
	case contract.SOS:
		n = (n + tieRange/3) % tieRange
	case contract.Report:
		n = (n + 2*tieRange/3) % tieRange
	case contract.Position, contract.Environment, contract.Status:
	}
	return int64(n) // below tieRange
}

// valueHash is FNV-1a over the values, the code and the text.
func valueHash(r *contract.Reading) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for f, x := range r.Values.All() {
		h = (h ^ uint64(f)) * prime
		for bits := math.Float64bits(x + 0); ; bits >>= 8 { // +0: both zeros are one value
			h = (h ^ bits&0xff) * prime
			if bits>>8 == 0 {
				break
			}
		}
	}
	for _, s := range [2]string{r.Code, r.Text} {
		h = (h ^ 0xff) * prime
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	return h
}

// appendTag writes a tag value. Device ids need no escape; area codes come from
// an office's file and may hold anything. Control characters, and a backslash,
// which cannot be written at the end of a tag, become '_'.
func appendTag(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f || c == '\\':
			b = append(b, '_')
		case c == ',' || c == '=' || c == ' ':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendString writes a string field's value, in quotes. Line breaks are
// allowed in it as they are.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
