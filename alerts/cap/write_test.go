package cap_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"firewatch/alerts/cap"
)

func TestWriteOfAllThatTheStandardHas(t *testing.T) {
	a, err := cap.Parse([]byte(strictly))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := cap.Write(a)
	if err != nil {
		t.Fatal(err)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	want := strings.NewReplacer("115.0", "115").Replace(squeeze(strictly))
	if diff := gocmp.Diff(want, squeeze(string(doc))); diff != "" {
		t.Error(diff)
	}
	back, err := cap.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(a, back); diff != "" {
		t.Error(diff)
	}
	_, offset := back.Sent.Zone()
	if offset != 8*3600 {
		t.Errorf("the offset of sent is lost: %s", back.Sent)
	}
}

func TestWriteRefusesByField(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*cap.Alert)
		want   string
	}{
		{"identifier", func(a *cap.Alert) { a.Identifier = "a b" }, "identifier: "},
		{"no sender", func(a *cap.Alert) { a.Sender = "" }, "sender: is empty"},
		{"no time", func(a *cap.Alert) { a.Sent = time.Time{} }, "sent: is missing"},
		{"fractions", func(a *cap.Alert) { a.Sent = a.Sent.Add(time.Millisecond) }, "sent: "},
		{"offset of seconds", func(a *cap.Alert) { a.Sent = a.Sent.In(time.FixedZone("LMT", 8*3600+343)) }, "sent: "},
		{"offset beyond the Earth", func(a *cap.Alert) { a.Sent = a.Sent.In(time.FixedZone("", 15*3600)) }, "sent: "},
		{"status", func(a *cap.Alert) { a.Status = "Real" }, "status: "},
		{"scope", func(a *cap.Alert) { a.Scope, a.Addresses = "Private", "" }, "addresses: is missing"},
		{"no references", func(a *cap.Alert) { a.References = nil }, "references: is missing"},
		{"references without time", func(a *cap.Alert) { a.References[0].Sent = time.Time{} }, "references: "},
		{"references with a comma", func(a *cap.Alert) { a.References[0].Sender = "a,b" }, "references: "},
		{"references with a blank", func(a *cap.Alert) { a.References[0].Sender = "x,y,2026-03-13T08:00:00+08:00 z" }, "references: "},
		{"category", func(a *cap.Alert) { a.Infos[0].Categories = nil }, "info[1]/category: is missing"},
		{"severity", func(a *cap.Alert) { a.Infos[0].Severity = "RED" }, "info[1]/severity: "},
		{"a control character", func(a *cap.Alert) { a.Infos[0].Headline = "a\x00b" }, "info[1]/headline: has the character U+0000"},
		{"not UTF-8", func(a *cap.Alert) { a.Infos[0].Areas[0].Desc = "\xff" }, "info[1]/area[1]/areaDesc: is not UTF-8"},
		{"no areaDesc", func(a *cap.Alert) { a.Infos[0].Areas[0].Desc = "" }, "area[1]/areaDesc: is empty"},
		{"no valueName", func(a *cap.Alert) { a.Infos[0].Parameters[0].Name = "" }, "parameter[1]/valueName: is empty"},
		{"an open polygon", func(a *cap.Alert) { a.Infos[0].Areas[0].Polygons[0][0].Lat++ }, "polygon[1]: is not closed"},
		{"NaN", func(a *cap.Alert) { a.Infos[0].Areas[0].Circles[0].RadiusKM = math.NaN() }, "circle[1]: "},
		{"size", func(a *cap.Alert) { a.Infos[0].Resources[0].Size = "big" }, "resource[1]/size: "},
		{"expires", func(a *cap.Alert) { a.Infos[0].Expires = a.Infos[0].Effective.Add(-time.Second) }, "info[1]/expires: "},
		{"language", func(a *cap.Alert) { a.Infos[0].Language = "zh_CN" }, "info[1]/language: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := cap.Parse([]byte(strictly))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(a)
			doc, err := cap.Write(a)
			var e *cap.Error
			if doc != nil || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "line ") {
				t.Errorf("names a line of a document that nobody sees: %v", err)
			}
		})
	}
}

// alertOf draws a valid message.
func alertOf(t *rapid.T) *cap.Alert {
	name := rapid.StringMatching(`[A-Za-z0-9_.@:/\p{Han}-]{1,20}`)
	word := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "word") }
	free := rapid.StringOf(rapid.RuneFrom([]rune(" \t\r\n<>&\"']é森🔥-")))
	text := func() string { return free.Draw(t, "text") }
	filled := func() string { return "x" + text() }
	when := func() time.Time {
		zone := time.UTC
		if m := rapid.IntRange(-14*60, 14*60).Draw(t, "offset"); m != 0 {
			zone = time.FixedZone("", m*60)
		}
		return time.Unix(rapid.Int64Range(86400*365, 250000000000).Draw(t, "time"), 0).In(zone)
	}
	many := func(n int, do func()) {
		for range rapid.IntRange(0, n).Draw(t, "n") {
			do()
		}
	}
	pairs := func() (out []cap.Pair) {
		many(3, func() { out = append(out, cap.Pair{Name: filled(), Value: text()}) })
		return out
	}
	point := func() cap.Point {
		return cap.Point{Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lon: rapid.Float64Range(-180, 180).Draw(t, "lon")}
	}
	area := func() cap.Area {
		a := cap.Area{Desc: filled(), Geocodes: pairs()}
		many(2, func() {
			ring := []cap.Point{point(), point(), point()}
			many(3, func() { ring = append(ring, point()) })
			a.Polygons = append(a.Polygons, append(ring, ring[0]))
		})
		many(2, func() {
			a.Circles = append(a.Circles, cap.Circle{Centre: point(), RadiusKM: rapid.Float64Range(0, 20000).Draw(t, "km")})
		})
		if rapid.Bool().Draw(t, "altitude") {
			a.Altitude = word("0", "-1.5", "+100.")
			if rapid.Bool().Draw(t, "ceiling") {
				a.Ceiling = word("100.00", "3000")
			}
		}
		return a
	}
	info := func() cap.Info {
		f := cap.Info{
			Language: word("", "zh-CN", "en", "x-klingon"), Event: filled(), Urgency: word("Immediate", "Expected", "Future", "Past", "Unknown"),
			Severity: word("Extreme", "Severe", "Moderate", "Minor", "Unknown"), Certainty: word("Observed", "Likely", "Possible", "Unlikely", "Unknown"),
			Categories: []string{word("Fire", "Met", "CBRNE", "Other")}, Audience: text(), EventCodes: pairs(), SenderName: text(),
			Headline: text(), Description: text(), Instruction: text(), Web: word("", "http://example.org/%E4%BF%9D?x=1&y=2#z", "relative"),
			Contact: text(), Parameters: pairs(),
		}
		many(2, func() { f.Responses = append(f.Responses, word("Shelter", "Avoid", "AllClear", "None")) })
		if rapid.Bool().Draw(t, "times") {
			f.Effective, f.Onset = when(), when()
			f.Expires = f.Effective.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "length")) * time.Second)
		}
		many(2, func() {
			f.Resources = append(f.Resources, cap.Resource{
				Desc: filled(), MIMEType: word("image/png", "text/plain; charset=utf-8"), Size: word("", "0", "17"),
				URI: word("", "a/b", "http://x"), DerefURI: word("", "aGVsbG8=", "aGVs\nbG8="), Digest: word("", strings.Repeat("0a", 20)),
			})
		})
		many(2, func() { f.Areas = append(f.Areas, area()) })
		return f
	}
	a := &cap.Alert{
		Identifier: name.Draw(t, "identifier"), Sender: name.Draw(t, "sender"), Sent: when(),
		Status: word("Actual", "Exercise", "System", "Test", "Draft"), MsgType: word("Alert", "Update", "Cancel", "Ack", "Error"),
		Source: text(), Scope: word("Public", "Restricted", "Private"), Restriction: filled(), Addresses: filled(), Note: text(),
		Incidents: word("", `a "b c"`),
	}
	many(3, func() { a.Codes = append(a.Codes, text()) })
	a.References = []cap.Reference{{Sender: name.Draw(t, "ref"), Identifier: name.Draw(t, "ref"), Sent: when()}}
	many(2, func() { a.References = append(a.References, a.References[0]) })
	many(3, func() { a.Infos = append(a.Infos, info()) })
	return a
}

func TestWhatIsWrittenReadsTheSame(t *testing.T) {
	var docs [][]byte
	rapid.Check(t, func(t *rapid.T) {
		a := alertOf(t)
		doc, err := cap.Write(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []cap.Mode{cap.Lenient, cap.Strict} {
			back, err := cap.ParseMode(doc, mode)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(a, back); diff != "" {
				t.Fatal(diff)
			}
			_, want := a.Sent.Zone()
			if _, got := back.Sent.Zone(); got != want {
				t.Fatalf("offset %d became %d", want, got)
			}
		}
		docs = append(docs, doc)
	})
	for i, valid := range xmllint(t, docs) {
		if !valid {
			t.Fatalf("the schema refuses:\n%s", docs[i])
		}
	}
}

func TestOASISExamplesSurviveARoundTrip(t *testing.T) {
	for _, name := range []string{"v1dot2_appendix_adot1", "v1dot2_appendix_adot2", "v1dot2_appendix_adot3", "v1dot2_appendix_adot4", "nws_example"} {
		a, err := cap.Parse(shared(t, "cap/"+name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := cap.Write(a)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !xmllint(t, [][]byte{doc})[0] {
			t.Errorf("%s: the schema refuses:\n%s", name, doc)
		}
		back, err := cap.Parse(doc)
		if err != nil {
			t.Fatal(err)
		}
		a.Upgraded = cap.Upgrade{} // it is 1.2 now
		if diff := gocmp.Diff(a, back); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
