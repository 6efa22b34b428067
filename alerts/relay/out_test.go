package relay_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/cap"
	"firewatch/alerts/relay"
)

// valid asks the schema of OASIS, and our own check.
func valid(t *testing.T, doc []byte) {
	t.Helper()
	if err := cap.Check(doc); err != nil {
		t.Errorf("%v\n%s", err, doc)
	}
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Fatal("xmllint is missing: run make test-deps, or apt-get install libxml2-utils")
	}
	dir := os.Getenv("FIREWATCH_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	xsd := filepath.Join(dir, "cap", "CAP-v1.2.xsd")
	if _, err := os.Stat(xsd); err != nil {
		t.Skipf("no schema at %s: set FIREWATCH_TESTDATA", xsd)
	}
	cmd := exec.CommandContext(t.Context(), "xmllint", "--nonet", "--noout", "--schema", xsd, "-")
	cmd.Stdin = bytes.NewReader(doc)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the schema refuses: %s\n%s", out, doc)
	}
}

func noTime(string, string) time.Time { return time.Time{} }

func TestDocument(t *testing.T) {
	strict := message("Actual", "Alert", info("Severe", "", "易县"))
	asItCame, err := relay.Document(&alerts.Warning{Raw: []byte(strict)}, noTime)
	if err != nil || string(asItCame) != strict {
		t.Errorf("%v\n%s", err, asItCame)
	}
	for name, tt := range map[string]struct{ doc, want string }{
		"a colour":         {message("Actual", "Alert", info("橙色", "", "易县")), "<severity>Severe</severity>"},
		"the colour stays": {message("Actual", "Alert", info("ORANGE", "", "易县")), "<value>ORANGE</value>"},
		"a bad language":   {strings.Replace(message("Exercise", "Alert", info("RED", "", "易县")), "zh-CN", "zh_CN", 1), "<status>Exercise</status>"},
		"CAP 1.1":          {strings.Replace(strict, "cap:1.2", "cap:1.1", 1), cap.Namespace},
		"JSON":             {`{"id":"7","pubTime":"2026-03-14T08:00+08:00","typeName":"大风","title":"易县气象台发布大风红色预警"}`, "<areaDesc>易县</areaDesc>"},
	} {
		doc, err := relay.Document(&alerts.Warning{Raw: []byte(tt.doc)}, noTime)
		if err != nil || !strings.Contains(string(doc), tt.want) {
			t.Errorf("%s: %v\n%s", name, err, doc)
			continue
		}
		valid(t, doc)
	}
}

func TestDocumentOfACancelWithoutTime(t *testing.T) {
	w := alerts.Warning{
		Raw:        []byte(`{"id":"8","pubTime":"2026-03-14T09:00+08:00","typeName":"大风","title":"易县气象台解除大风红色预警","status":"cancel","related":"7"}`),
		References: []alerts.WarningRef{{Sender: "QWeather", Identifier: "7"}},
	}
	if _, err := relay.Document(&w, noTime); !errors.Is(err, relay.ErrNotCAP) {
		t.Errorf("nobody knows when 7 was sent, and yet %v", err)
	}
	doc, err := relay.Document(&w, func(string, string) time.Time { return utc("2026-03-14T08:00:00+08:00") })
	if err != nil || !strings.Contains(string(doc), "<references>QWeather,7,2026-03-14T00:00:00-00:00</references>") {
		t.Fatalf("%v\n%s", err, doc)
	}
	valid(t, doc)
}

func TestOrder(t *testing.T) {
	now := utc("2026-03-14T12:00:00+08:00")
	base := alerts.Order{
		ID: "or-1", Kind: alerts.OrderStandby, Level: alerts.Orange, Text: "立即待命 <&>\x00", Area: "130633101", Issued: now.Add(-time.Hour - 3*time.Millisecond),
		AnswerBy: now, Lat: 39.05, Lon: 115.05, HasPlace: true, Status: alerts.OrderOpen,
	}
	teams := []alerts.Delivery{{Team: "tw-b"}, {Team: "tw-a"}}
	for name, tt := range map[string]struct {
		change func(*alerts.Order)
		ds     []alerts.Delivery
		want   []string
	}{
		"real": {nil, teams, []string{
			"<status>Actual</status>", "<scope>Private</scope>", "<addresses>tw-a tw-b</addresses>", "<areaDesc>保定市易县西南</areaDesc>",
			"<value>130633101</value>", "<sent>2026-03-14T10:59:59+08:00</sent>", "<circle>39.05,115.05 0</circle>", "立即待命 &lt;&amp;&gt;<", "<responseType>Prepare</responseType>",
		}},
		"a drill":        {func(o *alerts.Order) { o.Drill = true }, teams, []string{"<status>Exercise</status>", "【演练】"}},
		"the sample set": {func(o *alerts.Order) { o.Demo = true }, teams, []string{"<status>Exercise</status>"}},
		"withdrawn": {func(o *alerts.Order) { o.Status = alerts.OrderCancelled }, teams, []string{
			"<msgType>Cancel</msgType>", "<identifier>or-1.cancel</identifier>", "<references>firewatch.130600,or-1,2026-03-14T10:59:59+08:00</references>",
		}},
		"a drill withdrawn": {func(o *alerts.Order) { o.Status, o.Drill = alerts.OrderCancelled, true }, teams, []string{"<status>Exercise</status>", "<msgType>Cancel</msgType>"}},
		"to nobody":         {nil, nil, []string{"<scope>Restricted</scope>", "<restriction>duty office</restriction>"}},
		"nowhere":           {func(o *alerts.Order) { o.Area, o.HasPlace = "", false }, teams, []string{"<areaDesc>全市</areaDesc>"}},
		"stand down":        {func(o *alerts.Order) { o.Kind = alerts.OrderStandDown }, teams, []string{"<responseType>AllClear</responseType>"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := base
			if tt.change != nil {
				tt.change(&o)
			}
			doc, err := cap.Write(relay.Order(&o, tt.ds, alerts.IndexAreas(roster()), relay.OrderSender(roster()), now))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(doc), want) {
					t.Errorf("no %s in\n%s", want, doc)
				}
			}
			if (o.Drill || o.Demo) && strings.Contains(string(doc), "Actual") {
				t.Error("a drill goes out as real")
			}
			valid(t, doc)
		})
	}
}

func TestAtom(t *testing.T) {
	ws := []alerts.Warning{
		{ID: "wa-1", Status: "Actual", Headline: "a < b", Issuer: "易县气象台", Text: "x", Sent: utc("2026-03-14T08:00:00+08:00"), Received: utc("2026-03-14T08:01:00+08:00"), Ended: utc("2026-03-14T09:00:00+08:00")},
		{ID: "wa-2", Status: "Exercise", Headline: "演练"},
		{ID: "wa-3", Status: "Actual", Event: "大风", Sender: "s", Sent: utc("2026-03-14T07:00:00+08:00"), Received: utc("2026-03-14T07:01:00+08:00")},
	}
	doc, err := relay.Atom(ws, "https://a/w.atom", "https://a/w", utc("2026-03-14T10:00:00+08:00"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(doc), "wa-2") || strings.Contains(string(doc), "演练") {
		t.Error("a drill leaks")
	}
	f, err := cap.ParseFeed(doc)
	if err != nil || len(f.Entries) != 2 || f.Entries[0].URL != "https://a/w/wa-1.cap" || f.Entries[0].Title != "a < b" ||
		!f.Updated.Equal(utc("2026-03-14T01:00:00Z")) || !f.Entries[1].Updated.Equal(utc("2026-03-13T23:01:00Z")) {
		t.Errorf("%v\n%s", err, doc)
	}
	var root struct {
		XMLName xml.Name
		Author  string `xml:"author>name"`
		Entries []struct {
			Author, ID string
			Link       struct {
				Rel  string `xml:"rel,attr"`
				Type string `xml:"type,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(doc, &root); err != nil || root.XMLName.Space != "http://www.w3.org/2005/Atom" || root.Author == "" ||
		root.Entries[0].Link.Rel != "alternate" || root.Entries[0].Link.Type != "application/cap+xml" {
		t.Errorf("%v %+v", err, root)
	}
	if empty, err := relay.Atom(nil, "https://a/w.atom", "https://a/w", utc("2026-03-14T10:00:00+08:00")); err != nil ||
		!strings.Contains(string(empty), "<updated>2026-03-14T02:00:00Z</updated>") {
		t.Errorf("%v\n%s", err, empty)
	}
}
