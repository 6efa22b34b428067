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

	namespaceOf     = "urn:oasis:names:tc:emergency:cap:" // of any version of OASIS
	xsi             = "http://www.w3.org/2001/XMLSchema-instance"
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

// A Mode is how a document is judged.
type Mode uint8

// The modes.
const (
	// Lenient reads what Chinese sources and careless ones send: a colour as
	// severity, white space around words and inside pairs of coordinates, empty
	// polygons, foreign attributes, and faults in what is attached.
	Lenient Mode = iota
	// Strict judges by the standard alone: the schema with its types, and the
	// rules that stand in the text beside it.
	Strict
)

// Parse reads one document of CAP 1.2, 1.1 or 1.0 leniently and checks all of
// it: order and number of elements, words, times, identifiers, references and
// shapes. A document type or an entity of its own is refused, so nothing is ever
// fetched or unfolded. The error is an *Error.
func Parse(doc []byte) (*Alert, error) { return ParseMode(doc, Lenient) }

// Check says what is wrong with a document by the standard of its own version;
// nil: it is valid. The error is an *Error.
func Check(doc []byte) error {
	_, err := ParseMode(doc, Strict)
	return err
}

// ParseMode is Parse in the given mode.
func ParseMode(doc []byte, mode Mode) (*Alert, error) {
	if len(doc) > MaxBytes {
		return nil, &Error{[]Fault{{Message: fmt.Sprintf("the document has %d bytes, at most %d are read", len(doc), MaxBytes)}}}
	}
	plain, err := toUTF8(doc)
	if err != nil {
		return nil, &Error{[]Fault{{Message: err.Error()}}}
	}
	p := &parser{dec: newDecoder(plain), strict: mode == Strict}
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

// newDecoder reads XML that is in UTF-8 already, whatever it declares.
func newDecoder(doc []byte) *xml.Decoder {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return dec
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
	dec     *xml.Decoder
	strict  bool
	version *version
	faults  []Fault
	notes   []string // of the upgrade
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
		at := p.dec.InputOffset()
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
		case xml.ProcInst:
			if err := checkInstruction(t, at); err != nil {
				return nil, err
			}
		case xml.CharData:
			if len(bytes.Trim(t, xmlSpace)) > 0 {
				return nil, errors.New("there is text outside of the element alert")
			}
		case xml.StartElement:
			if root != nil {
				return nil, fmt.Errorf("a second element %s after the end of alert: send one alert in one document", clip(t.Name.Local))
			}
			if p.version, err = versionOf(t.Name); err != nil {
				return nil, err
			}
			root = &node{line: p.line()}
			if err := p.attributes(root, t.Attr); err != nil {
				return nil, err
			}
			if err := p.element(root, p.version.root, 1); err != nil {
				return nil, err
			}
		}
	}
}

// checkInstruction finds an XML declaration that is none: it stands at the very
// start and names its version.
func checkInstruction(t xml.ProcInst, at int64) error {
	if !strings.EqualFold(t.Target, "xml") {
		return nil
	}
	if at != 0 || t.Target != "xml" {
		return errors.New("not well-formed XML: the declaration <?xml …?> stands at the very start")
	}
	if !bytes.HasPrefix(bytes.Trim(t.Inst, xmlSpace), []byte("version")) {
		return errors.New("not well-formed XML: the declaration <?xml …?> names no version")
	}
	return nil
}

func versionOf(name xml.Name) (*version, error) {
	if name.Local != "alert" {
		return nil, fmt.Errorf("the document is a %s: want the element alert of CAP 1.2", clip(name.Local))
	}
	for _, v := range versions {
		if v.namespace == name.Space {
			return v, nil
		}
	}
	if v, known := strings.CutPrefix(name.Space, namespaceOf); known {
		return nil, fmt.Errorf("this is CAP %s: send CAP 1.2 (xmlns=%q)", clip(v), Namespace)
	}
	return nil, fmt.Errorf("alert is in the namespace %q: want xmlns=%q", clip(name.Space), Namespace)
}

// attributes checks those of an element: CAP has none of its own.
func (p *parser) attributes(n *node, attrs []xml.Attr) error {
	if len(attrs) == 0 {
		return nil
	}
	seen := make(map[xml.Name]bool, len(attrs))
	for _, a := range attrs {
		if seen[a.Name] {
			return fmt.Errorf("not well-formed XML: the attribute %s is there twice", clip(a.Name.Local))
		}
		seen[a.Name] = true
		switch {
		case a.Name.Space == "xmlns", a.Name.Space == "" && a.Name.Local == "xmlns":
		case a.Name.Space == xsi && (a.Name.Local == "schemaLocation" || a.Name.Local == "noNamespaceSchemaLocation"):
		case p.strict:
			p.fault(n.line, n.path, "CAP %s has no attribute %s here: leave it out", p.version.name, clip(a.Name.Local))
		}
	}
	return nil
}

// element reads what is inside n up to its end. The depth is that of the schema,
// so a document cannot nest deeper than CAP does.
func (p *parser) element(n *node, s *spec, depth int) error {
	n.kids = map[string][]*node{}
	at := 0 // children before this one may not come any more
	var content []byte
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
		case xml.ProcInst:
			if err := checkInstruction(t, 1); err != nil {
				return err
			}
		case xml.CharData:
			content = append(content, t...)
			if len(content) > maxElementBytes && !s.large {
				return fmt.Errorf("%s has more than %d bytes of text", n.path, maxElementBytes)
			}
		case xml.StartElement:
			if at, err = p.child(n, s, t, at, depth); err != nil {
				return err
			}
		case xml.EndElement:
			n.text = string(content)
			p.complete(n, s)
			return nil
		}
	}
}

func (p *parser) child(n *node, s *spec, t xml.StartElement, at, depth int) (next int, err error) {
	line, name := p.line(), t.Name
	if name.Space == dsig && depth == 1 && p.version.signed {
		return len(s.kids), p.skip()
	}
	i := slices.IndexFunc(s.kids, func(k *spec) bool { return k.name == name.Local })
	if i < 0 || name.Space != p.version.namespace {
		p.fault(line, n.path, "CAP %s has no element %s here: leave it out, or send it as a parameter", p.version.name, clip(name.Local))
		return at, p.skip()
	}
	k := s.kids[i]
	kid := &node{line: line, path: joinPath(n.path, k.name)}
	before := n.kids[k.name]
	if k.many {
		kid.path = fmt.Sprintf("%s[%d]", kid.path, len(before)+1)
	}
	switch {
	case i < at && at == len(s.kids):
		p.fault(line, kid.path, "stands too late: it comes before the signature")
	case i < at:
		p.fault(line, kid.path, "stands too late: it comes before %s", s.kids[at].name)
	case len(before) > 0 && !k.many:
		p.fault(line, kid.path, "is there twice: leave one out")
	}
	n.kids[k.name] = append(before, kid)
	if err := p.attributes(kid, t.Attr); err != nil {
		return at, err
	}
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
	if len(s.kids) > 0 {
		if stray := collapse(n.text); stray != "" {
			p.fault(n.line, n.path, "there is text between the elements: %q", clip(stray))
		}
		return
	}
	if len(s.words) > 0 && !p.strict {
		n.text = collapse(n.text)
	}
	switch {
	case s.filled && collapse(n.text) == "":
		p.fault(n.line, n.path, "is empty")
	case len(s.words) > 0 && !slices.Contains(s.words, n.text):
		p.fault(n.line, n.path, "%q is not one of %s", clip(n.text), strings.Join(s.words, ", "))
	case p.strict:
		if msg := s.kind.check(n.text); msg != "" {
			p.fault(n.line, n.path, "%q %s", clip(n.text), msg)
		}
	}
	if s.kind != kindString {
		n.text = collapse(n.text)
	}
}

func joinPath(a, b string) string {
	if a == "" {
		return b
	}
	return a + "/" + b
}
