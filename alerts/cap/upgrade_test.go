package cap_test

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"firewatch/alerts/cap"
)

const old10 = `<alert xmlns="http://www.incident.com/cap/1.0">
<identifier>i</identifier><sender>s</sender><sent>2004-03-14T08:00:00.5Z</sent>
<status>Actual</status><msgType>Update</msgType><password>geheim</password>
<references>s/h</references>
<info><event>Forest fire</event><urgency>Expected</urgency><severity>Severe</severity><certainty>Very Likely</certainty>
<eventCode>same = FRW</eventCode><eventCode>bare</eventCode>
<parameter>level=orange</parameter>
<resource><resourceDesc>map</resourceDesc><uri>http://example.org</uri></resource>
<area><areaDesc>Baoding</areaDesc><geocode>GB=130633</geocode><altitude>high</altitude><ceiling>9</ceiling></area>
</info></alert>`

func TestCAP10IsUpgraded(t *testing.T) {
	if err := cap.Check([]byte(old10)); err != nil {
		t.Errorf("invalid by its own rules: %v", err)
	}
	a, err := cap.Parse([]byte(old10))
	if err != nil {
		t.Fatal(err)
	}
	want := &cap.Alert{
		Identifier: "i", Sender: "s", Sent: utc("2004-03-14T08:00:00Z"), Status: "Actual", MsgType: "Update", Scope: "Public",
		References: []cap.Reference{{Sender: "s", Identifier: "h"}},
		Infos: []cap.Info{{
			Categories: []string{"Other"}, Event: "Forest fire", Urgency: "Expected", Severity: "Severe", Certainty: "Likely",
			EventCodes: []cap.Pair{{Name: "same", Value: "FRW"}, {Name: "eventCode", Value: "bare"}},
			Parameters: []cap.Pair{{Name: "level", Value: "orange"}},
			Resources:  []cap.Resource{{Desc: "map", MIMEType: "application/octet-stream", URI: "http://example.org"}},
			Areas:      []cap.Area{{Desc: "Baoding", Geocodes: []cap.Pair{{Name: "GB", Value: "130633"}}}},
		}},
		Upgraded: cap.Upgrade{From: "1.0"},
	}
	notes := strings.Join(a.Upgraded.Notes, "; ")
	for _, w := range []string{"password", "scope", "category", "Very Likely", "eventCode", "geocode", "mimeType", "altitude", "references"} {
		if !strings.Contains(notes, w) {
			t.Errorf("no note of %s: %s", w, notes)
		}
	}
	if strings.Contains(notes, "geheim") {
		t.Error("the password is told")
	}
	a.Upgraded.Notes = nil
	if diff := gocmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
	if b := cap.Blocks(a)[0]; b.Level != cap.Orange || len(b.Codes) != 1 {
		t.Errorf("block %+v", b)
	}
	a.References[0].Sent = a.Sent
	if _, err := cap.Write(a); err != nil {
		t.Errorf("upgraded, it cannot be written: %v", err)
	}
}

func TestCAP11IsUpgraded(t *testing.T) {
	a, err := cap.Parse(shared(t, "cap/nws_example.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Upgraded.From != "1.1" || a.Upgraded.Notes != nil {
		t.Errorf("upgraded %+v", a.Upgraded)
	}
	b := cap.Blocks(a)
	if len(b) != 1 || b[0].Event != "Blizzard Warning" || b[0].Level != cap.Orange || b[0].Polygons != nil || !b[0].To.Equal(utc("2021-12-27T18:00:00-06:00")) {
		t.Errorf("blocks %+v", b)
	}
}

func TestOlderVersionsKeepTheirOwnRules(t *testing.T) {
	const form = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.1"><identifier>i</identifier><sender>s</sender><sent>2005-03-14T08:00:00+08:00</sent>` +
		`<status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>Met</category><event>e</event>RESPONSE` +
		`<urgency>Past</urgency><severity>Minor</severity><certainty>Likely</certainty><resource><resourceDesc>d</resourceDesc></resource></info></alert>`
	for _, tt := range []struct{ old, with, want string }{
		{"RESPONSE", "", ""},
		{"RESPONSE", "<responseType>None</responseType>", ""},
		{"RESPONSE", "<responseType>Avoid</responseType>", `"Avoid" is not one of`},
		{"RESPONSE", "<polygon/>", "CAP 1.1 has no element polygon"},
		{"<scope>Public</scope>", "", "scope: is missing"},
		{"<category>Met</category>", "", "category: is missing"},
		{"cap:1.1", "cap:1.2", "mimeType: is missing"},
	} {
		doc := strings.Replace(form, tt.old, tt.with, 1)
		err := cap.Check([]byte(strings.Replace(doc, "RESPONSE", "", 1)))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: got %v, want %q", tt.with, err, tt.want)
		}
	}
	for _, tt := range []struct{ old, with, want string }{
		{"Very Likely", "Observed", `"Observed" is not one of`},
		{"s/h", "h", "want sender/identifier"},
		{"Actual", "Draft", `"Draft" is not one of`},
		{"08:00:00.5Z", "08:00:00", "want a time"},
		{"<area>", "<area><polygon/>", "areaDesc: stands too late"},
	} {
		err := cap.Check([]byte(strings.Replace(old10, tt.old, tt.with, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.with, err, tt.want)
		}
	}
}
