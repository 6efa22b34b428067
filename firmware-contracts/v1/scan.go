package contractv1

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may stand in each other. The
// contract's own documents need three.
const maxDepth = 16

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindBytes  // CBOR only
	kindOther  // CBOR only: tagged items and simple values without a meaning here
	kindArray  // skipped
	kindObject // skipped
)

// value is one value read from a document. Arrays and objects are skipped.
type value struct {
	kind  kind
	truth bool
	whole bool    // the number has no fraction, exactly
	num   float64 // may be infinite, and in CBOR not a number
	raw   []byte  // the text; or the digits of a JSON number
}

// String shows the value in a reason, shortened.
func (v *value) String() string {
	switch v.kind {
	case kindNull:
		return "null"
	case kindBool:
		return strconv.FormatBool(v.truth)
	case kindNumber:
		if v.raw != nil {
			return clip(v.raw)
		}
		return strconv.FormatFloat(v.num, 'g', -1, 64)
	case kindText:
		return strconv.Quote(clip(v.raw))
	case kindBytes:
		return "a byte string"
	case kindArray:
		return "an array"
	case kindObject:
		return "an object"
	case kindOther:
		return "a CBOR tag or simple value"
	}
	return "nothing"
}

// named is String with the type before it.
func (v *value) named() string {
	if v.kind == kindNumber {
		return "the number " + v.String()
	}
	if v.kind == kindText {
		return "the text " + v.String()
	}
	return v.String()
}

func clip(b []byte) string {
	const most = 40
	if len(b) <= most {
		return string(b)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return string(b[:cut]) + "…"
}

// scanner reads one document of either encoding, front to back. The first thing
// that is not well formed stops it: err says what, and every method returns
// false from then on.
type scanner struct {
	b      []byte
	i      int
	cbor   bool
	badKey bool // CBOR: the key just read is not a text
	depth  int
	// left is, per open container, 0 before its first item and 1 after in JSON;
	// in CBOR the number of items left, or -1 when the end is marked.
	left [maxDepth + 1]int
	text []byte // the last text that had to be put together
	err  string
	rule Rule
}

func (s *scanner) reset(b []byte, cbor bool) {
	s.b, s.i, s.cbor, s.badKey, s.depth, s.err, s.rule = b, 0, cbor, false, 0, "", ""
}

func (s *scanner) fail(at int, format string, args ...any) {
	if s.err == "" {
		s.err, s.rule = fmt.Sprintf("byte %d: ", at)+fmt.Sprintf(format, args...), RuleSyntax
	}
	s.i = len(s.b)
}

func (s *scanner) failShort(inside string) {
	s.fail(len(s.b), "the document ends inside %s: was it cut off?", inside)
}

// peek tells what comes next without reading it.
func (s *scanner) peek() kind {
	if s.cbor {
		return s.peekCBOR()
	}
	return s.peekJSON()
}

// open enters the object or array that peek has announced.
func (s *scanner) open() bool {
	if s.depth == maxDepth {
		s.fail(s.i, "nested deeper than %d levels", maxDepth)
		s.rule = RuleSize
		return false
	}
	s.depth++
	if s.cbor {
		return s.openCBOR()
	}
	s.left[s.depth] = 0
	s.i++
	return true
}

// key reads the next key of the object, or its end. The key is good until the
// next call.
func (s *scanner) key() ([]byte, bool) {
	if s.cbor {
		return s.keyCBOR()
	}
	return s.keyJSON()
}

// elem reports whether the array has another element, or reads its end.
func (s *scanner) elem() bool {
	if s.cbor {
		return s.moreCBOR()
	}
	return s.elemJSON()
}

// value reads one value into v, which is good until the next call.
func (s *scanner) value(v *value) {
	*v = value{}
	switch k := s.peek(); {
	case s.err != "":
	case k == kindObject:
		if s.open() {
			for {
				if _, ok := s.key(); !ok {
					break
				}
				s.skip()
			}
		}
		v.kind = kindObject
	case k == kindArray:
		if s.open() {
			for s.elem() {
				s.skip()
			}
		}
		v.kind = kindArray
	case s.cbor:
		s.scalarCBOR(v)
	default:
		s.scalarJSON(k, v)
	}
}

func (s *scanner) skip() {
	var v value
	s.value(&v)
}

// end checks that nothing follows the document.
func (s *scanner) end() {
	if s.err != "" {
		return
	}
	if !s.cbor {
		s.space()
	}
	if s.i < len(s.b) {
		s.fail(s.i, "%d bytes follow the document: send one document per message", len(s.b)-s.i)
	}
}
