package contractv1

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// writer writes one document of either encoding. Texts are UTF-8 and numbers
// finite: the caller has checked.
type writer struct {
	b     []byte
	cbor  bool
	comma bool // JSON: something stands before the next item
}

func (w *writer) object(n int) { w.open(majorMap, '{', n) }
func (w *writer) endObject()   { w.close('}') }
func (w *writer) array(n int)  { w.open(majorArray, '[', n) }
func (w *writer) endArray()    { w.close(']') }

func (w *writer) open(major, c byte, n int) {
	if w.cbor {
		w.head(major, uint64(n)) //nolint:gosec // a count
		return
	}
	w.b = append(w.b, c)
	w.comma = false
}

func (w *writer) close(c byte) {
	if !w.cbor {
		w.b = append(w.b, c)
		w.comma = true
	}
}

// item comes before each element of an array.
func (w *writer) item() {
	if w.cbor {
		return
	}
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
}

func (w *writer) key(k string) {
	w.item()
	w.text(k)
	if !w.cbor {
		w.b = append(w.b, ':')
	}
}

func (w *writer) string(k, v string) {
	w.key(k)
	w.text(v)
}

func (w *writer) optional(k, v string) {
	if v != "" {
		w.string(k, v)
	}
}

func (w *writer) time(k string, at time.Time) {
	w.key(k)
	w.uint(uint64(at.UnixMilli())) // checked: not before 1970
}

func (w *writer) bool(v bool) {
	switch {
	case !w.cbor:
		w.b = strconv.AppendBool(w.b, v)
	case v:
		w.b = append(w.b, 0xf5)
	default:
		w.b = append(w.b, 0xf4)
	}
}

func (w *writer) uint(v uint64) {
	if w.cbor {
		w.head(majorUint, v)
		return
	}
	w.b = strconv.AppendUint(w.b, v, 10)
}

// float writes whole numbers as integers and others in the shortest form that
// reads back the same.
func (w *writer) float(x float64) {
	switch {
	case whole(x) && x >= 0:
		w.uint(uint64(x))
	case whole(x) && w.cbor:
		w.head(majorNegative, uint64(-x)-1)
	case !w.cbor:
		format := byte('f')
		if a := math.Abs(x); a < 1e-6 || a >= 1e21 {
			format = 'e'
		}
		w.b = strconv.AppendFloat(w.b, x, format, -1, 64)
	case float64(float32(x)) == x:
		w.b = append(w.b, majorSimple<<5|26)
		w.b = binary.BigEndian.AppendUint32(w.b, math.Float32bits(float32(x)))
	default:
		w.b = append(w.b, majorSimple<<5|27)
		w.b = binary.BigEndian.AppendUint64(w.b, math.Float64bits(x))
	}
}

func (w *writer) text(s string) {
	if w.cbor {
		w.head(majorText, uint64(len(s)))
		w.b = append(w.b, s...)
		return
	}
	const hex = "0123456789abcdef"
	w.b = append(w.b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		w.b = append(w.b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			w.b = append(w.b, '\\', c)
		case '\n':
			w.b = append(w.b, '\\', 'n')
		case '\r':
			w.b = append(w.b, '\\', 'r')
		case '\t':
			w.b = append(w.b, '\\', 't')
		default:
			w.b = append(w.b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	w.b = append(append(w.b, s[from:]...), '"')
}

func (w *writer) head(major byte, n uint64) {
	switch major <<= 5; {
	case n < 24:
		w.b = append(w.b, major|byte(n))
	case n <= math.MaxUint8:
		w.b = append(w.b, major|24, byte(n))
	case n <= math.MaxUint16:
		w.b = binary.BigEndian.AppendUint16(append(w.b, major|25), uint16(n))
	case n <= math.MaxUint32:
		w.b = binary.BigEndian.AppendUint32(append(w.b, major|26), uint32(n))
	default:
		w.b = binary.BigEndian.AppendUint64(append(w.b, major|27), n)
	}
}
