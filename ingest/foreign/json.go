package foreign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of one message of another system. They are wider than the contract's,
// because these documents carry pictures and the metadata of many gateways.
const (
	MaxBytes = 256 << 10 // bytes of payload
	MaxDepth = 32        // levels of nesting
)

// A Kind is the sort of a JSON value.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	Text
	Array
	Object
)

// A Value is a JSON value. A nil *Value is one that is not there, and every
// method can be called on it, so that a path of keys needs no checks.
type Value struct {
	Kind    Kind
	Raw     []byte   // where it stands in the document; not a copy
	Items   []*Value // of an Array
	Members []Member // of an Object, in order
	text    string   // of a Text, a Number as it was written, a Bool
	twice   bool     // its key stands twice in the object
}

// A Member is a key of an object and its value.
type Member struct {
	Key   string
	Value *Value
}

// Parse reads one JSON document. Of a key that stands twice in an object, the
// value is neither one nor the other: it is there, and cannot be read.
func Parse(payload []byte) (*Value, error) {
	switch {
	case len(payload) > MaxBytes:
		return nil, fmt.Errorf("the message has %d bytes, at most %d are taken", len(payload), MaxBytes)
	case len(bytes.TrimLeft(payload, " \t\r\n")) == 0:
		return nil, errors.New("the message is empty")
	case bytes.HasPrefix(payload, []byte("\xef\xbb\xbf")):
		payload = payload[3:]
	}
	if !utf8.Valid(payload) {
		return nil, errors.New("the message is not UTF-8")
	}
	p := parser{doc: payload, dec: json.NewDecoder(bytes.NewReader(payload))}
	p.dec.UseNumber()
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("not a JSON document: %w", err)
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a JSON document: something follows its end")
	}
	return v, nil
}

type parser struct {
	doc []byte
	dec *json.Decoder
}

// begin is where the next value stands, or whatever is in front of it.
func (p *parser) begin() int {
	i := int(p.dec.InputOffset())
	for i < len(p.doc) && strings.IndexByte(" \t\r\n,:", p.doc[i]) >= 0 {
		i++
	}
	return i
}

func (p *parser) value(depth int) (*Value, error) {
	begin := p.begin()
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	v := &Value{}
	switch t := t.(type) {
	case nil:
	case bool:
		v.Kind, v.text = Bool, strconv.FormatBool(t)
	case json.Number:
		v.Kind, v.text = Number, t.String()
	case string:
		v.Kind, v.text = Text, t
	case json.Delim:
		if depth == MaxDepth {
			return nil, fmt.Errorf("it nests more than %d levels", MaxDepth)
		}
		if t == '[' {
			err = p.array(v, depth)
		} else {
			err = p.object(v, depth)
		}
		if err != nil {
			return nil, err
		}
	}
	v.Raw = p.doc[begin:p.dec.InputOffset()]
	return v, nil
}

// token is the next one; the end of the document is not expected here.
func (p *parser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	return t, err
}

func (p *parser) array(v *Value, depth int) error {
	v.Kind = Array
	for p.dec.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		v.Items = append(v.Items, item)
	}
	_, err := p.token()
	return err
}

func (p *parser) object(v *Value, depth int) error {
	v.Kind = Object
	var seen map[string]*Value
	for p.dec.More() {
		k, err := p.token()
		if err != nil {
			return err
		}
		key, ok := k.(string)
		if !ok {
			return fmt.Errorf("a key is %v", k)
		}
		m, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if seen == nil {
			seen = make(map[string]*Value)
		}
		if first := seen[key]; first != nil {
			first.twice = true
			continue
		}
		seen[key] = m
		v.Members = append(v.Members, Member{Key: key, Value: m})
	}
	_, err := p.token()
	return err
}

// Get is the value of the key, or nil where it is missing, null, or v is no
// object.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for i := range v.Members {
		if m := &v.Members[i]; m.Key == key {
			if m.Value.Kind == Null && !m.Value.twice {
				return nil
			}
			return m.Value
		}
	}
	return nil
}

// Path is Get of one key after the other.
func (v *Value) Path(keys ...string) *Value {
	for _, k := range keys {
		v = v.Get(k)
	}
	return v
}

// ErrAbsent is the error of a value that is not there.
var ErrAbsent = errors.New("missing")

var errTwice = errors.New("the key stands twice")

func (v *Value) check() error {
	switch {
	case v == nil:
		return ErrAbsent
	case v.twice:
		return errTwice
	}
	return nil
}

// Twice reports whether the key of v stands twice in its object.
func (v *Value) Twice() bool { return v != nil && v.twice }

// Float is the number, also one that is written as a text: "85".
func (v *Value) Float() (float64, error) {
	if err := v.check(); err != nil {
		return 0, err
	}
	s := v.text
	if v.Kind == Text {
		// Go's own spellings, like 0x1p4, 1_000 and Inf, are nobody else's.
		if s = strings.TrimSpace(s); strings.Trim(s, "0123456789+-.eE") != "" {
			return 0, fmt.Errorf("want a number, got the text %q", clip(s))
		}
	} else if v.Kind != Number {
		return 0, fmt.Errorf("want a number, got %s", v.Kind)
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) {
		return 0, fmt.Errorf("want a number, got %q", clip(s))
	}
	return x, nil
}

// Uint is the whole number from 0 to most, also one that is written as a text,
// as protobuf's JSON has 64-bit integers.
func (v *Value) Uint(most uint64) (uint64, error) {
	x, err := v.Float()
	switch {
	case err != nil:
		return 0, err
	case x != math.Trunc(x) || x < 0 || x > float64(most):
		return 0, fmt.Errorf("want a whole number from 0 to %d, got %v", most, x)
	}
	return uint64(x), nil
}

// Text is the text, or empty when v is none.
func (v *Value) Text() string {
	if v == nil || v.Kind != Text || v.twice {
		return ""
	}
	return v.text
}

// Truth is a boolean, or a number or text that stands for one.
func (v *Value) Truth() (bool, error) {
	if err := v.check(); err != nil {
		return false, err
	}
	switch v.Kind {
	case Bool, Number, Text:
		switch strings.ToLower(strings.TrimSpace(v.text)) {
		case "true", "1", "1.0":
			return true, nil
		case "false", "0", "0.0":
			return false, nil
		}
	case Null, Array, Object:
	}
	return false, fmt.Errorf("want true or false, got %s", v.Kind)
}

// String names the kind for a fault.
func (k Kind) String() string {
	switch k {
	case Bool:
		return "a boolean"
	case Number:
		return "a number"
	case Text:
		return "a text"
	case Array:
		return "an array"
	case Object:
		return "an object"
	case Null:
	}
	return "null"
}

// clip shortens what a device said for a fault.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
