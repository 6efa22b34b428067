package cap

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Write makes the document of a message, in CAP 1.2, in UTF-8 and in the order of
// the schema. It is judged like any other before it leaves: the error is an
// *Error that names the field, and there is no document then. What is not of
// CAP is not written: Upgraded, and the colour of an Info beside its severity. A
// signature is not written either, for it holds for the bytes it was made for.
func Write(a *Alert) ([]byte, error) {
	w := &writer{}
	w.buf.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<alert xmlns="` + Namespace + `">` + "\n")
	w.alert(a)
	w.buf.WriteString("</alert>\n")
	if len(w.faults) > 0 {
		return nil, &Error{w.faults}
	}
	doc := w.buf.Bytes()
	back, err := ParseMode(doc, Strict)
	if e, ok := errors.AsType[*Error](err); ok {
		for i := range e.Faults {
			e.Faults[i].Line = 0 // of a document that nobody sees
		}
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	if field := differs(a, back); field != "" {
		return nil, &Error{[]Fault{{Element: field, Message: "cannot be written so that it reads the same"}}}
	}
	return doc, nil
}

// Validate says what is wrong with a message by the standard; nil: it is valid.
// The error is an *Error whose faults name the field.
func Validate(a *Alert) error {
	_, err := Write(a)
	return err
}

// differs finds what splitting at blanks and commas would change.
func differs(a, back *Alert) string {
	same := func(x, y Reference) bool {
		return x.Sender == y.Sender && x.Identifier == y.Identifier && x.Sent.Equal(y.Sent)
	}
	if !slices.EqualFunc(a.References, back.References, same) {
		return "references"
	}
	return ""
}

type writer struct {
	buf    bytes.Buffer
	depth  int
	path   []string
	faults []Fault
}

func (w *writer) fault(name, format string, args ...any) {
	path := strings.Join(append(slices.Clone(w.path), name), "/")
	w.faults = append(w.faults, Fault{Element: path, Message: fmt.Sprintf(format, args...)})
}

func (w *writer) indent() {
	for range w.depth + 1 {
		w.buf.WriteString("  ")
	}
}

// must writes an element even when it is empty, which is for the check to say.
func (w *writer) must(name, value string) {
	w.indent()
	w.buf.WriteString("<" + name + ">")
	w.text(name, value)
	w.buf.WriteString("</" + name + ">\n")
}

func (w *writer) opt(name, value string) {
	if value != "" {
		w.must(name, value)
	}
}

func (w *writer) each(name string, values []string) {
	for _, v := range values {
		w.must(name, v)
	}
}

func (w *writer) time(name string, t time.Time, required bool) {
	if t.IsZero() && !required {
		return
	}
	switch _, offset := t.Zone(); {
	case t.IsZero():
		w.fault(name, "is missing")
	case t.Nanosecond() != 0 || offset%60 != 0 || t.Year() < 1 || t.Year() > 9999:
		w.fault(name, "%s: CAP has whole seconds, an offset of whole minutes and years from 1 to 9999", t.Format(time.RFC3339Nano))
	default:
		w.must(name, formTime(t))
	}
}

func (w *writer) group(name string, n int, inside func()) {
	w.indent()
	w.buf.WriteString("<" + name + ">\n")
	w.depth++
	w.path = append(w.path, fmt.Sprintf("%s[%d]", name, n+1))
	inside()
	w.path = w.path[:len(w.path)-1]
	w.depth--
	w.indent()
	w.buf.WriteString("</" + name + ">\n")
}

func (w *writer) pairs(name string, ps []Pair) {
	for i, p := range ps {
		w.group(name, i, func() {
			w.must("valueName", p.Name)
			w.must("value", p.Value)
		})
	}
}

// text escapes so that what is read is the same to the byte: a carriage return
// would become a line feed.
func (w *writer) text(name, s string) {
	if !utf8.ValidString(s) {
		w.fault(name, "is not UTF-8")
		return
	}
	for _, r := range s {
		switch {
		case r == '&':
			w.buf.WriteString("&amp;")
		case r == '<':
			w.buf.WriteString("&lt;")
		case r == '>':
			w.buf.WriteString("&gt;")
		case r == '\r':
			w.buf.WriteString("&#xD;")
		case r == '\n' || r == '\t' || r >= ' ' && r != 0xfffe && r != 0xffff:
			w.buf.WriteRune(r)
		default:
			w.fault(name, "has the character %U, which XML does not have", r)
			return
		}
	}
}

func (w *writer) alert(a *Alert) {
	w.must("identifier", a.Identifier)
	w.must("sender", a.Sender)
	w.time("sent", a.Sent, true)
	w.must("status", a.Status)
	w.must("msgType", a.MsgType)
	w.opt("source", a.Source)
	w.must("scope", a.Scope)
	w.opt("restriction", a.Restriction)
	w.opt("addresses", a.Addresses)
	w.each("code", a.Codes)
	w.opt("note", a.Note)
	if refs := w.references(a.References); refs != "" {
		w.must("references", refs)
	}
	w.opt("incidents", a.Incidents)
	for i := range a.Infos {
		w.group("info", i, func() { w.info(&a.Infos[i]) })
	}
}

func (w *writer) references(refs []Reference) string {
	out := make([]string, 0, len(refs))
	for _, r := range refs {
		if r.Sent.IsZero() || r.Sent.Nanosecond() != 0 {
			w.fault("references", "%q: the time that it was sent is missing, or has fractions", clip(r.Identifier))
			continue
		}
		out = append(out, r.Sender+","+r.Identifier+","+formTime(r.Sent))
	}
	return strings.Join(out, " ")
}

func (w *writer) info(f *Info) {
	w.opt("language", f.Language)
	w.each("category", f.Categories)
	w.must("event", f.Event)
	w.each("responseType", f.Responses)
	w.must("urgency", f.Urgency)
	w.must("severity", f.Severity)
	w.must("certainty", f.Certainty)
	w.opt("audience", f.Audience)
	w.pairs("eventCode", f.EventCodes)
	w.time("effective", f.Effective, false)
	w.time("onset", f.Onset, false)
	w.time("expires", f.Expires, false)
	w.opt("senderName", f.SenderName)
	w.opt("headline", f.Headline)
	w.opt("description", f.Description)
	w.opt("instruction", f.Instruction)
	w.opt("web", f.Web)
	w.opt("contact", f.Contact)
	w.pairs("parameter", f.Parameters)
	for i := range f.Resources {
		r := &f.Resources[i]
		w.group("resource", i, func() {
			w.must("resourceDesc", r.Desc)
			w.must("mimeType", r.MIMEType)
			w.opt("size", r.Size)
			w.opt("uri", r.URI)
			w.opt("derefUri", r.DerefURI)
			w.opt("digest", r.Digest)
		})
	}
	for i := range f.Areas {
		w.group("area", i, func() { w.area(&f.Areas[i]) })
	}
}

func (w *writer) area(a *Area) {
	w.must("areaDesc", a.Desc)
	for _, ring := range a.Polygons {
		points := make([]string, len(ring))
		for i, p := range ring {
			points[i] = formPoint(p)
		}
		w.must("polygon", strings.Join(points, " "))
	}
	for _, c := range a.Circles {
		w.must("circle", formPoint(c.Centre)+" "+formNumber(c.RadiusKM))
	}
	w.pairs("geocode", a.Geocodes)
	w.opt("altitude", a.Altitude)
	w.opt("ceiling", a.Ceiling)
}

func formPoint(p Point) string { return formNumber(p.Lat) + "," + formNumber(p.Lon) }

func formNumber(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
