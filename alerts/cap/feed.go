package cap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"slices"
	"time"
)

const (
	// MaxFeedBytes is the size of the largest feed that ParseFeed reads.
	MaxFeedBytes = 4 << 20
	// MaxEntries is how many entries of a feed are read at most.
	MaxEntries = 2000

	maxFeedDepth = 64
	maxFeedText  = 4 << 10 // of an id, a title, a link
)

// Form is what a document is, by its content.
type Form uint8

// The forms.
const (
	FormUnknown Form = iota
	FormAlert        // one CAP document
	FormFeed         // Atom, RSS or EDXL-DE with CAP in it or links to it
	FormJSON         // what an aggregator makes of warnings
)

// FormOf looks at the start of a document; it does not check it.
func FormOf(doc []byte) Form {
	if at := bytes.TrimLeft(doc, xmlSpace+"\ufeff"); len(at) > 0 && (at[0] == '{' || at[0] == '[') {
		return FormJSON
	}
	plain, err := toUTF8(doc)
	if err != nil {
		return FormUnknown
	}
	dec := newDecoder(plain)
	for {
		t, err := dec.Token()
		if err != nil {
			return FormUnknown
		}
		if root, ok := t.(xml.StartElement); ok {
			switch root.Name.Local {
			case "alert":
				return FormAlert
			case "feed", "rss", "RDF", "EDXLDistribution":
				return FormFeed
			}
			return FormUnknown
		}
	}
}

// Feed is a list of warnings in Atom, RSS 2.0 or EDXL-DE.
type Feed struct {
	Title   string
	Updated time.Time // zero: not said
	Entries []Entry
}

// Entry is one warning of a feed: the document itself, or where it is.
type Entry struct {
	ID      string
	Title   string
	Updated time.Time // zero: not said
	URL     string    // of the CAP document, perhaps relative to the feed; empty: none is named
	Inline  []byte    // the CAP document when the feed carries it, as Parse reads it; else nil
}

// ParseFeed reads a feed of CAP. An entry without a document and without a link
// to one is kept, so that what is missing can be told. The error is an *Error.
func ParseFeed(doc []byte) (*Feed, error) {
	refuse := func(line int, format string, args ...any) (*Feed, error) {
		return nil, &Error{[]Fault{{Line: line, Message: fmt.Sprintf(format, args...)}}}
	}
	if len(doc) > MaxFeedBytes {
		return refuse(0, "the feed has %d bytes, at most %d are read", len(doc), MaxFeedBytes)
	}
	plain, err := toUTF8(doc)
	if err != nil {
		return refuse(0, "%s", err)
	}
	r := &feedReader{doc: plain, dec: newDecoder(plain)}
	if err := r.read(); err != nil {
		line, _ := r.dec.InputPos()
		return refuse(line, "%s", reason(err))
	}
	return &r.feed, nil
}

// A frame is an element that is open, with what is in force inside it.
type frame struct {
	name  xml.Name
	attrs []xml.Attr
	bound []xml.Attr // namespaces declared so far, the innermost last
	base  string     // xml:base
	text  []byte
	large bool // its text may be a whole document
}

type feedReader struct {
	doc   []byte
	dec   *xml.Decoder
	feed  Feed
	stack []frame
	entry *Entry // nil outside of one
	best  int    // how good the link of the entry is
}

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

func (r *feedReader) read() error {
	for started := false; ; {
		at := r.dec.InputOffset()
		t, err := r.dec.Token()
		if errors.Is(err, io.EOF) && started {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.Directive:
			return errors.New("a document type or entity (<!…>) is not allowed")
		case xml.StartElement:
			if !started && !slices.Contains([]string{"feed", "rss", "RDF", "EDXLDistribution"}, t.Name.Local) {
				return fmt.Errorf("the document is a %s: want a feed in Atom or RSS", clip(t.Name.Local))
			}
			started = true
			if err := r.start(t, at); err != nil {
				return err
			}
		case xml.CharData:
			r.chars(t)
		case xml.EndElement:
			r.end()
		}
	}
}

func (r *feedReader) start(t xml.StartElement, at int64) error {
	if t.Name.Local == "alert" && slices.ContainsFunc(versions, func(v *version) bool { return v.namespace == t.Name.Space }) {
		return r.inline(at)
	}
	if len(r.stack) >= maxFeedDepth {
		return errors.New("elements are nested too deep")
	}
	f := frame{name: t.Name, attrs: t.Attr, large: slices.Contains([]string{"content", "encoded", "description"}, t.Name.Local)}
	if n := len(r.stack); n > 0 {
		f.bound, f.base = slices.Clip(r.stack[n-1].bound), r.stack[n-1].base
	}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns", a.Name.Space == "" && a.Name.Local == "xmlns":
			f.bound = append(f.bound, a)
		case a.Name.Local == "base" && (a.Name.Space == xmlNamespace || a.Name.Space == "xml"):
			f.base = resolve(f.base, a.Value)
		}
	}
	if len(f.bound) > maxFeedDepth {
		return errors.New("there are too many namespaces")
	}
	r.stack = append(r.stack, f)
	if t.Name.Local == "entry" || t.Name.Local == "item" {
		if len(r.feed.Entries) >= MaxEntries {
			return fmt.Errorf("there are more than %d entries", MaxEntries)
		}
		r.feed.Entries = append(r.feed.Entries, Entry{})
		r.entry, r.best = &r.feed.Entries[len(r.feed.Entries)-1], 0
	}
	return nil
}

func (r *feedReader) chars(t xml.CharData) {
	if len(r.stack) == 0 {
		return
	}
	f := &r.stack[len(r.stack)-1]
	limit := maxFeedText
	if f.large {
		limit = MaxBytes
	}
	f.text = append(f.text, t[:min(len(t), max(0, limit-len(f.text)))]...)
}

func (r *feedReader) end() {
	n := len(r.stack) - 1
	f := r.stack[n]
	r.stack = r.stack[:n]
	s := collapse(string(f.text))
	if r.entry == nil {
		switch f.name.Local {
		case "title":
			if r.feed.Title == "" {
				r.feed.Title = s
			}
		case "updated", "lastBuildDate", "pubDate":
			if r.feed.Updated.IsZero() {
				r.feed.Updated = feedTime(s)
			}
		}
		return
	}
	e := r.entry
	switch f.name.Local {
	case "entry", "item":
		r.entry = nil
	case "id", "guid":
		if e.ID == "" {
			e.ID = s
		}
	case "title":
		if e.Title == "" {
			e.Title = s
		}
	case "updated", "pubDate":
		e.Updated = feedTime(s)
	case "link", "enclosure":
		r.link(f, s)
	case "content", "encoded", "description":
		if e.Inline == nil && FormOf([]byte(s)) == FormAlert {
			e.Inline = []byte(s)
		}
	}
}

// link keeps the link that says best that it leads to CAP: by its type, or else
// what an entry links to without saying what it is.
func (r *feedReader) link(f frame, text string) {
	attr := func(name string) string {
		for _, a := range f.attrs {
			if a.Name.Local == name && a.Name.Space == "" {
				return collapse(a.Value)
			}
		}
		return ""
	}
	href, rel := attr("href"), attr("rel")
	if f.name.Local == "enclosure" {
		href, rel = attr("url"), "enclosure"
	} else if href == "" {
		href = text
	}
	kind, _, err := mime.ParseMediaType(attr("type"))
	if err != nil {
		kind = attr("type")
	}
	rank := 0
	switch {
	case href == "" || len(href) > maxFeedText:
	case kind == "application/cap+xml":
		rank = 3
	case rel != "" && rel != "alternate" && rel != "enclosure":
	case kind == "application/xml" || kind == "text/xml":
		rank = 2
	case kind == "" && rel != "enclosure":
		rank = 1
	}
	if rank > r.best {
		r.best, r.entry.URL = rank, resolve(f.base, href)
	}
}

// inline takes the CAP document that begins at an offset out of the feed, with
// the namespaces that are declared around it.
func (r *feedReader) inline(at int64) error {
	for depth := 1; depth > 0; {
		t, err := r.dec.Token()
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.Directive:
			return errors.New("a document type or entity (<!…>) is not allowed")
		case xml.StartElement:
			if depth++; depth > maxFeedDepth {
				return errors.New("elements are nested too deep")
			}
		case xml.EndElement:
			depth--
		}
	}
	raw := r.doc[at:r.dec.InputOffset()]
	e := r.entry
	if e == nil { // EDXL-DE has no entries
		if len(r.feed.Entries) >= MaxEntries {
			return fmt.Errorf("there are more than %d entries", MaxEntries)
		}
		r.feed.Entries = append(r.feed.Entries, Entry{})
		e = &r.feed.Entries[len(r.feed.Entries)-1]
	}
	if e.Inline == nil {
		e.Inline = r.withNamespaces(raw)
	}
	return nil
}

func (r *feedReader) withNamespaces(raw []byte) []byte {
	tag := raw[:bytes.IndexByte(raw, '>')] // a value with > in it only makes the tag shorter
	name := bytes.IndexAny(tag, xmlSpace+"/")
	if name < 0 {
		name = len(tag)
	}
	var out bytes.Buffer
	out.Write(raw[:name])
	done := map[string]bool{}
	if n := len(r.stack); n > 0 {
		for _, a := range slices.Backward(r.stack[n-1].bound) {
			prefix := "xmlns"
			if a.Name.Space != "" {
				prefix += ":" + a.Name.Local
			}
			if done[prefix] || bytes.Contains(tag, []byte(prefix+"=")) || bytes.Contains(tag, []byte(prefix+" ")) || a.Value == "" {
				continue
			}
			done[prefix] = true
			out.WriteString(" " + prefix + `="`)
			if err := xml.EscapeText(&out, []byte(a.Value)); err != nil {
				continue // a bytes.Buffer takes all
			}
			out.WriteString(`"`)
		}
	}
	out.Write(raw[name:])
	return out.Bytes()
}

func resolve(base, ref string) string {
	if base == "" {
		return ref
	}
	b, err1 := url.Parse(base)
	u, err2 := url.Parse(ref)
	if err1 != nil || err2 != nil {
		return ref
	}
	return b.ResolveReference(u).String()
}

func feedTime(s string) time.Time {
	for _, form := range []string{time.RFC3339, time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST"} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
