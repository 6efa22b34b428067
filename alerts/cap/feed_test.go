package cap_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"firewatch/alerts/cap"
)

func TestFeeds(t *testing.T) {
	inline := string(message(info("zh-CN", "大风", "RED", "", "", "")))
	prefixed := strings.NewReplacer("</", "</c:", "<", "<c:", ` xmlns="urn:oasis:names:tc:emergency:cap:1.2"`, "").Replace(inline)
	for _, tt := range []struct {
		name, doc string
		want      []cap.Entry
		event     string // of the document inside
	}{
		{
			"Atom with links", `<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><updated>2026-03-14T00:00:00Z</updated>
<link rel="self" href="http://x/feed"/>
<entry><id>a</id><title>A</title><updated>2026-03-14T08:00:00+08:00</updated>
  <link rel="alternate" type="text/html" href="http://x/a.html"/><link rel="related" type="application/cap+xml; charset=utf-8" href="http://x/a.cap"/></entry>
<entry><id>b</id><link href="b.cap"/><summary>s</summary></entry>
<entry><id>c</id><link type="text/html" href="c.html"/></entry>
<entry><id>d</id><link type="application/cap+xml" href="first"/><link type="application/cap+xml" href="second"/></entry></feed>`,
			[]cap.Entry{
				{ID: "a", Title: "A", Updated: utc("2026-03-14T00:00:00Z"), URL: "http://x/a.cap"},
				{ID: "b", URL: "b.cap"},
				{ID: "c"},
				{ID: "d", URL: "first"},
			},
			"",
		},
		{
			"RSS with links", `<rss version="2.0"><channel><title>t</title><pubDate>Sat, 14 Mar 2026 00:00:00 GMT</pubDate>
<item><title>A</title><link> http://x/a?b=1&amp;c=2 </link><guid>a</guid><pubDate>Sat, 14 Mar 2026 08:00:00 +0800</pubDate></item>
<item><link>http://x/b.html</link><enclosure url="http://x/b.cap" type="application/cap+xml" length="1"/><guid>b</guid></item></channel></rss>`,
			[]cap.Entry{
				{ID: "a", Title: "A", Updated: utc("2026-03-14T00:00:00Z"), URL: "http://x/a?b=1&c=2"},
				{ID: "b", URL: "http://x/b.cap"},
			},
			"",
		},
		{
			"xml:base", `<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://x/y/"><entry xml:base="z/"><id>a</id><link href="a.cap"/></entry></feed>`,
			[]cap.Entry{{ID: "a", URL: "http://x/y/z/a.cap"}},
			"",
		},
		{"inline in Atom", `<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>a</id><content type="text/xml">` + inline + `</content></entry></feed>`, []cap.Entry{{ID: "a"}}, "大风"},
		{
			"inline with a prefix of the feed", `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:c="urn:oasis:names:tc:emergency:cap:1.2"><entry><id>a</id><content>` +
				prefixed + `</content></entry></feed>`, []cap.Entry{{ID: "a"}}, "大风",
		},
		{"as text in RSS", `<rss><channel><item><guid>a</guid><description><![CDATA[` + inline + `]]></description></item></channel></rss>`, []cap.Entry{{ID: "a"}}, "大风"},
		{
			"in EDXL-DE", `<EDXLDistribution xmlns="urn:oasis:names:tc:emergency:EDXL:DE:1.0"><contentObject><xmlContent><embeddedXMLContent>` +
				inline + `</embeddedXMLContent></xmlContent></contentObject></EDXLDistribution>`, []cap.Entry{{}}, "大风",
		},
		{"nothing in it", `<feed xmlns="http://www.w3.org/2005/Atom"/>`, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f := cap.FormOf([]byte(tt.doc)); f != cap.FormFeed {
				t.Errorf("form %d", f)
			}
			f, err := cap.ParseFeed([]byte(tt.doc))
			if err != nil {
				t.Fatal(err)
			}
			for i := range f.Entries {
				e := &f.Entries[i]
				if e.Inline == nil && tt.event != "" {
					t.Fatal("no document")
				}
				if e.Inline == nil {
					continue
				}
				a, err := cap.Parse(e.Inline)
				if err != nil {
					t.Fatalf("%v\n%s", err, e.Inline)
				}
				if a.Infos[0].Event != tt.event {
					t.Errorf("event %q", a.Infos[0].Event)
				}
				e.Inline = nil
			}
			if diff := gocmp.Diff(tt.want, f.Entries); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFormOf(t *testing.T) {
	for doc, want := range map[string]cap.Form{
		string(message("")): cap.FormAlert, "\n{}": cap.FormJSON, "\ufeff[": cap.FormJSON, "<rss/>": cap.FormFeed,
		"<html/>": cap.FormUnknown, "": cap.FormUnknown, "hello": cap.FormUnknown,
	} {
		if got := cap.FormOf([]byte(doc)); got != want {
			t.Errorf("%q: %d, want %d", doc, got, want)
		}
	}
}

func TestHostileFeedsAreRefused(t *testing.T) {
	for name, doc := range map[string]string{
		"empty":            "",
		"HTML":             "<html></html>",
		"an alert":         string(message("")),
		"document type":    `<!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed>&x;</feed>`,
		"type in an alert": `<feed><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><!ENTITY x "y"></alert></feed>`,
		"deep":             "<feed>" + strings.Repeat("<a>", 1<<20),
		"deep in an alert": `<feed><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">` + strings.Repeat("<a>", 1<<20),
		"many entries":     "<feed>" + strings.Repeat("<entry/>", cap.MaxEntries+1) + "</feed>",
		"many alerts":      "<rss>" + strings.Repeat(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"/>`, cap.MaxEntries+1) + "</rss>",
		"cut off":          "<feed><entry>",
		"large":            "<feed>" + strings.Repeat(" ", cap.MaxFeedBytes) + "</feed>",
	} {
		began := time.Now()
		f, err := cap.ParseFeed([]byte(doc))
		var e *cap.Error
		if f != nil || !errors.As(err, &e) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func FuzzParseFeed(f *testing.F) {
	inline := string(message(info("zh-CN", "大风", "RED", "", "", "")))
	f.Add([]byte(`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://x/"><entry><id>a</id><link href="a"/><content>` + inline + `</content></entry></feed>`))
	f.Add([]byte(`<rss><channel><item><guid>a</guid><link>x</link><description><![CDATA[` + inline + `]]></description></item></channel></rss>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		feed, err := cap.ParseFeed(doc)
		if (feed == nil) == (err == nil) {
			t.Fatalf("got %v and %v", feed, err)
		}
		if err != nil {
			return
		}
		for _, e := range feed.Entries {
			if e.Inline != nil && cap.FormOf(e.Inline) != cap.FormAlert {
				t.Fatalf("no alert: %q", e.Inline)
			}
		}
	})
}
