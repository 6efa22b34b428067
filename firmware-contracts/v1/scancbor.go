package contractv1

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// CBOR's major types, RFC 8949 §3.1.
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

const (
	cborIndefinite = 31   // additional information: the end is marked
	cborBreak      = 0xff // the mark
	tagSelf        = 55799
)

func (s *scanner) peekCBOR() kind {
	if s.i >= len(s.b) {
		s.failShort("a value")
		return kindNull
	}
	switch s.b[s.i] >> 5 {
	case majorUint, majorNegative:
		return kindNumber
	case majorBytes:
		return kindBytes
	case majorText:
		return kindText
	case majorArray:
		return kindArray
	case majorMap:
		return kindObject
	case majorTag:
		return kindOther
	}
	switch s.b[s.i] & 31 {
	case 20, 21:
		return kindBool
	case 22, 23:
		return kindNull
	case 25, 26, 27:
		return kindNumber
	}
	return kindOther
}

// head reads the initial byte and its argument. Indefinite lengths have none.
func (s *scanner) head() (major, info byte, arg uint64, ok bool) {
	if s.i >= len(s.b) {
		s.failShort("a value")
		return 0, 0, 0, false
	}
	at := s.i
	major, info = s.b[at]>>5, s.b[at]&31
	s.i++
	switch {
	case info < 24:
		return major, info, uint64(info), true
	case info == cborIndefinite:
		if major >= majorBytes && major <= majorMap {
			return major, info, 0, true
		}
		if major == majorSimple {
			s.fail(at, "a break where a value is wanted")
		} else {
			s.fail(at, "an indefinite length on a type that has none")
		}
		return 0, 0, 0, false
	case info > 27:
		s.fail(at, "additional information %d is reserved", info)
		return 0, 0, 0, false
	}
	n := 1 << (info - 24)
	if len(s.b)-s.i < n {
		s.failShort("a value")
		return 0, 0, 0, false
	}
	p := s.b[s.i : s.i+n]
	s.i += n
	switch n {
	case 1:
		arg = uint64(p[0])
	case 2:
		arg = uint64(binary.BigEndian.Uint16(p))
	case 4:
		arg = uint64(binary.BigEndian.Uint32(p))
	default:
		arg = binary.BigEndian.Uint64(p)
	}
	return major, info, arg, true
}

func (s *scanner) openCBOR() bool {
	major, info, n, ok := s.head()
	if !ok {
		return false
	}
	if info == cborIndefinite {
		s.left[s.depth] = -1
		return true
	}
	room := uint64(len(s.b) - s.i) //nolint:gosec // not negative
	if major == majorMap {
		room /= 2
	}
	if n > room { // every item takes a byte
		if major == majorMap {
			s.failShort("a map")
		} else {
			s.failShort("an array")
		}
		return false
	}
	s.left[s.depth] = int(n) //nolint:gosec // at most the bytes of the message
	return true
}

// moreCBOR reports whether the open container has another item, or leaves it.
func (s *scanner) moreCBOR() bool {
	if s.err != "" {
		return false
	}
	switch n := &s.left[s.depth]; {
	case *n > 0:
		*n--
		return true
	case *n < 0:
		if s.i >= len(s.b) {
			s.failShort("a map or array whose end is not marked")
			return false
		}
		if s.b[s.i] != cborBreak {
			return true
		}
		s.i++
	}
	s.depth--
	return false
}

func (s *scanner) keyCBOR() ([]byte, bool) {
	if !s.moreCBOR() {
		return nil, false
	}
	if s.i < len(s.b) && s.b[s.i]>>5 != majorText {
		s.badKey = true
		s.skip()
		return nil, s.err == ""
	}
	s.badKey = false
	return s.stringCBOR(majorText)
}

func (s *scanner) scalarCBOR(v *value) {
	at := s.i
	switch s.b[at] >> 5 {
	case majorText:
		v.raw, _ = s.stringCBOR(majorText)
		v.kind = kindText
		return
	case majorBytes:
		s.stringCBOR(majorBytes)
		v.kind = kindBytes
		return
	}
	major, info, n, ok := s.head()
	if !ok {
		return
	}
	switch major {
	case majorUint:
		v.kind, v.num, v.whole = kindNumber, float64(n), true
	case majorNegative:
		v.kind, v.num, v.whole = kindNumber, -float64(n+1), true
		if n == math.MaxUint64 {
			v.num = -(1 << 64)
		}
	case majorTag:
		s.taggedCBOR()
		v.kind = kindOther
	default:
		s.simpleCBOR(at, info, n, v)
	}
}

// taggedCBOR reads past what a tag stands before. Tags on tags count as depth.
func (s *scanner) taggedCBOR() {
	for range maxDepth {
		if s.i >= len(s.b) {
			s.failShort("a tag")
			return
		}
		if s.b[s.i]>>5 != majorTag {
			s.skip()
			return
		}
		if _, _, _, ok := s.head(); !ok {
			return
		}
	}
	s.fail(s.i, "more than %d tags on one value", maxDepth)
	s.rule = RuleSize
}

func (s *scanner) simpleCBOR(at int, info byte, arg uint64, v *value) {
	v.kind = kindNumber
	switch info {
	case 20, 21:
		v.kind, v.truth = kindBool, info == 21
		return
	case 22, 23:
		v.kind = kindNull
		return
	case 25:
		v.num = half(uint16(arg)) //nolint:gosec // read from two bytes
	case 26:
		v.num = float64(math.Float32frombits(uint32(arg))) //nolint:gosec // read from four bytes
	case 27:
		v.num = math.Float64frombits(arg)
	default:
		if info == 24 && arg < 32 {
			s.fail(at, "simple value %d in two bytes", arg)
		}
		v.kind = kindOther
		return
	}
	if v.num == 0 {
		v.num = 0 // also for -0
	}
	v.whole = v.num == math.Trunc(v.num)
}

// half is the value of a 16-bit float, RFC 8949 appendix D.
func half(h uint16) float64 {
	exp, mant := int(h>>10&31), float64(h&1023)
	var x float64
	switch exp {
	case 0:
		x = math.Ldexp(mant, -24)
	case 31:
		x = math.Inf(1)
		if mant != 0 {
			x = math.NaN()
		}
	default:
		x = math.Ldexp(mant+1024, exp-25)
	}
	if h&0x8000 != 0 {
		return -x
	}
	return x
}

// stringCBOR reads a text or byte string. A definite one is a part of the
// document.
func (s *scanner) stringCBOR(want byte) ([]byte, bool) {
	at := s.i
	_, info, n, ok := s.head()
	if !ok {
		return nil, false
	}
	if info != cborIndefinite {
		return s.chunkCBOR(want, n)
	}
	t := s.text[:0]
	for {
		if s.i >= len(s.b) {
			s.failShort("a text whose end is not marked")
			return nil, false
		}
		if s.b[s.i] == cborBreak {
			s.i++
			s.text = t
			return t, true
		}
		major, info, n, ok := s.head()
		if !ok {
			return nil, false
		}
		if major != want || info == cborIndefinite {
			s.fail(at, "a string in parts has a part of another type")
			return nil, false
		}
		part, ok := s.chunkCBOR(want, n)
		if !ok {
			return nil, false
		}
		t = append(t, part...)
	}
}

func (s *scanner) chunkCBOR(want byte, n uint64) ([]byte, bool) {
	if n > uint64(len(s.b)-s.i) { //nolint:gosec // not negative
		s.failShort("a text or byte string")
		return nil, false
	}
	end := s.i + int(n) //nolint:gosec // at most the bytes of the message
	t := s.b[s.i:end:end]
	if want == majorText && !utf8.Valid(t) {
		return nil, s.utf8(t, s.i)
	}
	s.i = end
	return t, true
}
