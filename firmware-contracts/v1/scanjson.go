package contractv1

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) peekJSON() kind {
	s.space()
	if s.i >= len(s.b) {
		s.failShort("a value")
		return kindNull
	}
	switch c := s.b[s.i]; c {
	case '{':
		return kindObject
	case '[':
		return kindArray
	case '"':
		return kindText
	case 't', 'f':
		return kindBool
	case 'n':
		return kindNull
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return kindNumber
	case 'N', 'I':
		s.fail(s.i, "NaN and Infinity are not JSON: leave out a key that has no value")
	case '\'':
		s.fail(s.i, "JSON text stands in double quotes")
	case '+', '.':
		s.fail(s.i, "a JSON number begins with a digit or a minus sign")
	case '/', '#':
		s.fail(s.i, "JSON has no comments")
	default:
		s.fail(s.i, "%s where a value is wanted", char(c))
	}
	return kindNull
}

// char shows a byte in a reason.
func char(c byte) string {
	if c > ' ' && c < 0x7f {
		return strconv.QuoteRune(rune(c))
	}
	const hex = "0123456789abcdef"
	return "byte 0x" + string([]byte{hex[c>>4], hex[c&15]})
}

func (s *scanner) keyJSON() ([]byte, bool) {
	if !s.nextJSON('}', "an object") {
		return nil, false
	}
	if s.b[s.i] != '"' {
		s.fail(s.i, "%s where a key in double quotes is wanted", char(s.b[s.i]))
		return nil, false
	}
	k, ok := s.stringJSON()
	if !ok {
		return nil, false
	}
	s.space()
	if s.i >= len(s.b) {
		s.failShort("an object")
		return nil, false
	}
	if s.b[s.i] != ':' {
		s.fail(s.i, "%s where a colon is wanted", char(s.b[s.i]))
		return nil, false
	}
	s.i++
	return k, true
}

func (s *scanner) elemJSON() bool { return s.nextJSON(']', "an array") }

// nextJSON goes to the next item of the open container, or past its end.
func (s *scanner) nextJSON(closer byte, what string) bool {
	if s.err != "" {
		return false
	}
	s.space()
	if s.i >= len(s.b) {
		s.failShort(what)
		return false
	}
	if s.b[s.i] == closer {
		s.i++
		s.depth--
		return false
	}
	if s.left[s.depth] == 0 {
		s.left[s.depth] = 1
		return true
	}
	if s.b[s.i] != ',' {
		s.fail(s.i, "%s where a comma or %q is wanted", char(s.b[s.i]), closer)
		return false
	}
	s.i++
	s.space()
	if s.i >= len(s.b) {
		s.failShort(what)
		return false
	}
	if s.b[s.i] == closer {
		s.fail(s.i, "a comma before %q", closer)
		return false
	}
	return true
}

func (s *scanner) scalarJSON(k kind, v *value) {
	switch {
	case k == kindText:
		v.raw, _ = s.stringJSON()
	case k == kindNumber:
		s.numberJSON(v)
	case k == kindBool && s.b[s.i] == 't':
		s.wordJSON("true")
		v.truth = true
	case k == kindBool:
		s.wordJSON("false")
	default:
		s.wordJSON("null")
	}
	v.kind = k
}

func (s *scanner) wordJSON(w string) {
	have := s.b[s.i:min(s.i+len(w), len(s.b))]
	switch {
	case string(have) == w:
		s.i += len(w)
	case len(have) < len(w) && string(have) == w[:len(have)]:
		s.failShort(w)
	case w == "null" && len(have) > 1 && have[1] == 'a':
		s.fail(s.i, "nan is not JSON: leave out a key that has no value")
	default:
		s.fail(s.i, "want %s", w)
	}
}

// stringJSON reads a text. Without escapes it is a part of the document.
func (s *scanner) stringJSON() ([]byte, bool) {
	start := s.i + 1
	high := false
	for i := start; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			t := s.b[start:i:i]
			if high && !s.utf8(t, start) {
				return nil, false
			}
			s.i = i + 1
			return t, true
		case c == '\\':
			return s.escapedJSON(start, i)
		case c < ' ':
			s.fail(i, `control character 0x%02x in a text: write it as \u%04x`, c, c)
			return nil, false
		case c >= utf8.RuneSelf:
			high = true
		}
	}
	s.failShort("a text")
	return nil, false
}

func (s *scanner) utf8(t []byte, at int) bool {
	if utf8.Valid(t) {
		return true
	}
	for len(t) > 0 {
		r, n := utf8.DecodeRune(t)
		if r == utf8.RuneError && n == 1 {
			break
		}
		t, at = t[n:], at+n
	}
	s.fail(at, "the text is not UTF-8 (GBK text must be converted)")
	return false
}

// escapedJSON reads on from the first backslash, putting the text together.
func (s *scanner) escapedJSON(start, i int) ([]byte, bool) {
	t := s.text[:0]
	t = append(t, s.b[start:i]...)
	for i < len(s.b) {
		c := s.b[i]
		switch {
		case c == '"':
			s.text = t
			if !s.utf8(t, start) {
				return nil, false
			}
			s.i = i + 1
			return t, true
		case c < ' ':
			s.fail(i, `control character 0x%02x in a text: write it as \u%04x`, c, c)
			return nil, false
		case c != '\\':
			t = append(t, c)
			i++
			continue
		}
		if i+1 >= len(s.b) {
			break
		}
		switch e := s.b[i+1]; e {
		case '"', '\\', '/':
			t = append(t, e)
		case 'b':
			t = append(t, '\b')
		case 'f':
			t = append(t, '\f')
		case 'n':
			t = append(t, '\n')
		case 'r':
			t = append(t, '\r')
		case 't':
			t = append(t, '\t')
		case 'u':
			r, n := s.unicodeJSON(i)
			if n == 0 {
				return nil, false
			}
			t = utf8.AppendRune(t, r)
			i += n
			continue
		default:
			s.fail(i, `\%s is not an escape of JSON`, strings.ToValidUTF8(clip(s.b[i+1:i+2]), "\uFFFD"))
			return nil, false
		}
		i += 2
	}
	s.failShort("a text")
	return nil, false
}

// unicodeJSON reads the \uXXXX, or the pair of them, at i, and returns the rune
// and how many bytes it took; 0 after a failure.
func (s *scanner) unicodeJSON(i int) (rune, int) {
	r, ok := s.hexJSON(i)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if i+7 < len(s.b) && s.b[i+6] == '\\' && s.b[i+7] == 'u' {
		low, ok := s.hexJSON(i + 6)
		if !ok {
			return 0, 0
		}
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, 12
		}
	}
	s.fail(i, "half of a surrogate pair")
	return 0, 0
}

func (s *scanner) hexJSON(i int) (rune, bool) {
	if i+6 > len(s.b) {
		s.failShort("a text")
		return 0, false
	}
	var r rune
	for _, c := range s.b[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			s.fail(i, `\u wants four hexadecimal digits`)
			return 0, false
		}
	}
	return r, true
}

// pow10 holds the powers of ten that a float64 holds exactly.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// numberJSON reads a number to the nearest float64, and whether it is whole,
// which the float64 alone cannot tell.
func (s *scanner) numberJSON(v *value) {
	b, start, i := s.b, s.i, s.i
	neg := b[i] == '-'
	if neg {
		i++
	}
	var (
		mant   uint64 // the digits so far, good while digits ≤ 15
		digits int    // significant ones in mant
		n      int    // digits read
		last   = -1   // index among the digits of the last that is not 0
	)
	digit := func(c byte) {
		if c != '0' {
			last = n
		}
		if digits > 0 || c != '0' {
			digits++
		}
		if digits <= 15 {
			mant = mant*10 + uint64(c-'0')
		}
		n++
	}
	for i < len(b) && b[i]-'0' < 10 {
		digit(b[i])
		i++
	}
	switch {
	case n == 0 && i >= len(b):
		s.failShort("a number")
		return
	case n == 0:
		s.fail(i, "%s where a digit is wanted", char(b[i]))
		return
	case n > 1 && b[i-n] == '0':
		s.fail(i-n, "a number must not begin with 0")
		return
	}
	before := n
	if i < len(b) && b[i] == '.' {
		i++
		for i < len(b) && b[i]-'0' < 10 {
			digit(b[i])
			i++
		}
		if n == before {
			s.digitWanted(i)
			return
		}
	}
	exp := 0
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		minus := false
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			minus = b[i] == '-'
			i++
		}
		from := i
		for i < len(b) && b[i]-'0' < 10 {
			exp = min(exp*10+int(b[i]-'0'), 1<<24) // far beyond the digits a message has room for
			i++
		}
		if i == from {
			s.digitWanted(i)
			return
		}
		if minus {
			exp = -exp
		}
	}
	s.i = i
	v.raw = b[start:i:i]
	v.whole = last < 0 || before-1-last+exp >= 0
	e10 := exp - (n - before)
	switch {
	case last < 0:
		v.num = 0 // also for -0
		return
	case digits <= 15 && e10 >= 0 && e10 < len(pow10):
		v.num = float64(mant) * pow10[e10]
	case digits <= 15 && e10 < 0 && -e10 < len(pow10):
		v.num = float64(mant) / pow10[-e10]
	default:
		v.num, _ = strconv.ParseFloat(string(v.raw), 64) // an overflow is ±Inf, and out of every range
		return
	}
	if neg {
		v.num = -v.num
	}
}

func (s *scanner) digitWanted(i int) {
	if i >= len(s.b) {
		s.failShort("a number")
		return
	}
	s.fail(i, "%s where a digit is wanted", char(s.b[i]))
}
