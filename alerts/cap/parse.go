package cap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBytes is the size of the largest document that Parse reads.
	MaxBytes = 1 << 20

	// Namespace is that of CAP 1.2.
	Namespace = "urn:oasis:names:tc:emergency:cap:1.2"

	namespaceOf     = "urn:oasis:names:tc:emergency:cap:" // of any version
	dsig            = "http://www.w3.org/2000/09/xmldsig#"
	maxSignature    = 32 // depth of a signature that is passed over
	maxFaults       = 20
	maxElementBytes = 256 << 10 // text of one element, but for what is attached
)

// Error is why a document is refused: every fault, in order.
type Error struct {
	Faults []Fault
}

// Fault is one thing that is wrong.
type Fault struct {
	Line    int    // 1 is the first; 0: of the document as a whole
	Element string // path like info[2]/area/polygon; empty: of the document as a whole
	Message string // what is wrong, and what to do
}

// Error puts the faults into one line.
func (e *Error) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.String()
	}
	return "CAP: " + strings.Join(parts, "; ")
}

// String is the fault with its place.
func (f Fault) String() string {
	s := f.Message
	if f.Element != "" {
		s = f.Element + ": " + s
	}
	if f.Line > 0 {
		s = fmt.Sprintf("line %d: %s", f.Line, s)
	}
	return s
}

// Parse reads one CAP 1.2 document and checks all of it: order and number of
// elements, words, times, identifiers, references and shapes. A document type
// or an entity of its own is refused, so nothing is ever fetched or unfolded.
// The error is an *Error.
func Parse(doc []byte) (*Alert, error) {
	if len(doc) > MaxBytes {
		return nil, &Error{[]Fault{{Message: fmt.Sprintf("the document has %d bytes, at most %d are read", len(doc), MaxBytes)}}}
	}
	p := &parser{dec: xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(doc, []byte("\ufeff"))))}
	p.dec.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("encoding %s is not read: send UTF-8", clip(charset))
	}
	root, err := p.document()
	if err != nil {
		p.fault(p.line(), "", "%s", reason(err))
	}
	if len(p.faults) > 0 {
		return nil, &Error{p.faults}
	}
	a := p.alert(root)
	if len(p.faults) > 0 {
		return nil, &Error{p.faults}
	}
	return a, nil
}

func reason(err error) string {
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return "not well-formed XML: " + clip(syntax.Msg)
	}
	if errors.Is(err, io.EOF) {
		return "the document has no element alert"
	}
	return strings.TrimPrefix(clip(err.Error()), "xml: ")
}

// clip keeps a foreign text in an error short.
func clip(s string) string {
	const most = 80
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// A node is an element that the schema allows in its place.
type node struct {
	line int
	path string
	text string
	kids map[string][]*node
}

func (n *node) get(name string) string {
	if k := n.kids[name]; len(k) > 0 {
		return k[0].text
	}
	return ""
}

type parser struct {
	dec    *xml.Decoder
	faults []Fault
}

// errEnough ends the reading of a document that is wrong all over.
var errEnough = errors.New("and more")

func (p *parser) line() int {
	line, _ := p.dec.InputPos()
	return line
}

func (p *parser) fault(line int, path, format string, args ...any) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, Fault{line, path, fmt.Sprintf(format, args...)})
	}
}

func (p *parser) document() (*node, error) {
	var root *node
	for {
		t, err := p.dec.Token()
		if errors.Is(err, io.EOF) && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, errors.New("a document type (<!DOCTYPE …>) is not allowed: leave it out")
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("there is text outside of the element alert")
			}
		case xml.StartElement:
			if root != nil {
				return nil, fmt.Errorf("a second element %s after the end of alert: send one alert in one document", clip(t.Name.Local))
			}
			if err := checkRoot(t.Name); err != nil {
				return nil, err
			}
			root = &node{line: p.line()}
			if err := p.element(root, schema, 1); err != nil {
				return nil, err
			}
		}
	}
}

func checkRoot(name xml.Name) error {
	version, known := strings.CutPrefix(name.Space, namespaceOf)
	switch {
	case name.Local == "alert" && name.Space == Namespace:
		return nil
	case name.Local == "alert" && known:
		return fmt.Errorf("this is CAP %s: send CAP 1.2 (xmlns=%q)", clip(version), Namespace)
	case name.Local == "alert":
		return fmt.Errorf("alert is in the namespace %q: want xmlns=%q", clip(name.Space), Namespace)
	}
	return fmt.Errorf("the document is a %s: want the element alert of CAP 1.2", clip(name.Local))
}

// element reads what is inside n up to its end. The depth is that of the schema,
// so a document cannot nest deeper than CAP does.
func (p *parser) element(n *node, s *spec, depth int) error {
	n.kids = map[string][]*node{}
	at := 0 // children before this one may not come any more
	var text []byte
	for {
		t, err := p.dec.Token()
		if err != nil {
			return err
		}
		if len(p.faults) >= maxFaults {
			return errEnough
		}
		switch t := t.(type) {
		case xml.Directive:
			return errors.New("a document type or entity (<!…>) is not allowed: leave it out")
		case xml.CharData:
			text = append(text, t...)
			if len(text) > maxElementBytes && !s.large {
				return fmt.Errorf("%s has more than %d bytes of text", n.path, maxElementBytes)
			}
		case xml.StartElement:
			if at, err = p.child(n, s, t.Name, at, depth); err != nil {
				return err
			}
		case xml.EndElement:
			n.text = string(bytes.TrimSpace(text))
			p.complete(n, s)
			return nil
		}
	}
}

func (p *parser) child(n *node, s *spec, name xml.Name, at, depth int) (next int, err error) {
	line := p.line()
	if name.Space == dsig && depth == 1 {
		return len(s.kids), p.skip()
	}
	i := slices.IndexFunc(s.kids, func(k *spec) bool { return k.name == name.Local })
	if i < 0 || name.Space != Namespace {
		p.fault(line, n.path, "CAP 1.2 has no element %s here: leave it out, or send it as a parameter", clip(name.Local))
		return at, p.skip()
	}
	k := s.kids[i]
	kid := &node{line: line, path: joinPath(n.path, k.name)}
	before := n.kids[k.name]
	if k.many {
		kid.path = fmt.Sprintf("%s[%d]", kid.path, len(before)+1)
	}
	switch {
	case i < at:
		p.fault(line, kid.path, "stands too late: it comes before %s", s.kids[at].name)
	case len(before) > 0 && !k.many:
		p.fault(line, kid.path, "is there twice: leave one out")
	}
	n.kids[k.name] = append(before, kid)
	return max(at, i), p.element(kid, k, depth+1)
}

// skip passes over the element that has begun, and over no deep one.
func (p *parser) skip() error {
	for depth := 1; depth > 0; {
		t, err := p.dec.Token()
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.Directive:
			return errors.New("a document type or entity (<!…>) is not allowed: leave it out")
		case xml.StartElement:
			if depth++; depth > maxSignature {
				return errors.New("elements are nested too deep")
			}
		case xml.EndElement:
			depth--
		}
	}
	return nil
}

// complete checks an element that has ended.
func (p *parser) complete(n *node, s *spec) {
	for _, k := range s.kids {
		if k.required && len(n.kids[k.name]) == 0 {
			p.fault(n.line, joinPath(n.path, k.name), "is missing")
		}
	}
	switch {
	case len(s.kids) > 0 && n.text != "":
		p.fault(n.line, n.path, "there is text between the elements: %q", clip(n.text))
	case len(s.kids) > 0:
	case n.text == "" && s.filled:
		p.fault(n.line, n.path, "is empty")
	case len(s.words) > 0 && !slices.Contains(s.words, n.text):
		p.fault(n.line, n.path, "%q is not one of %s", clip(n.text), strings.Join(s.words, ", "))
	}
}

func joinPath(a, b string) string {
	if a == "" {
		return b
	}
	return a + "/" + b
}
