package relay

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"time"

	"firewatch/alerts"
)

// atomFeed and what it holds are RFC 4287, as far as a list of warnings needs it.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Link    atomLink    `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomEntry struct {
	ID        string   `xml:"id"`
	Title     string   `xml:"title"`
	Updated   string   `xml:"updated"`
	Published string   `xml:"published"`
	Author    string   `xml:"author>name"`
	Link      atomLink `xml:"link"`
	Summary   string   `xml:"summary"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

// Atom lists the warnings that count, each with a link to its CAP document.
// Exercise, Test, System and Draft go no further. self is the address of the list
// and base the one below which a warning's document is, as ID.cap.
func Atom(ws []alerts.Warning, self, base string, now time.Time) ([]byte, error) {
	f := atomFeed{
		ID: self, Title: "预警信号", Author: "firewatch", Updated: stamp(time.Time{}, now),
		Link: atomLink{"self", "application/atom+xml", self},
	}
	var newest time.Time
	for i := range ws {
		w := &ws[i]
		if w.Status != "Actual" {
			continue
		}
		changed := w.Received
		if w.Ended.After(changed) {
			changed = w.Ended
		}
		if changed.After(newest) {
			newest = changed
		}
		url := base + "/" + w.ID + ".cap"
		f.Entries = append(f.Entries, atomEntry{
			ID: url, Title: plain(cmp.Or(w.Headline, w.Event, w.Identifier)), Updated: stamp(changed, now), Published: stamp(w.Sent, now),
			Author: plain(cmp.Or(w.Issuer, w.Sender)), Link: atomLink{"alternate", "application/cap+xml", url}, Summary: plain(w.Text),
		})
	}
	f.Updated = stamp(newest, now)
	var out bytes.Buffer
	out.WriteString(xml.Header)
	enc := xml.NewEncoder(&out)
	enc.Indent("", " ")
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func stamp(t, now time.Time) string {
	if t.IsZero() {
		t = now
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// plain is a text that is not empty, which Atom asks for.
func plain(s string) string { return cmp.Or(s, "—") }
