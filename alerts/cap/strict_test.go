package cap_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"firewatch/alerts/cap"
)

// strictly is a message with all that the standard has.
const strictly = `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>13060041600000_20260314080000</identifier>
<sender>13060041600000</sender>
<sent>2026-03-14T08:00:00+08:00</sent>
<status>Actual</status>
<msgType>Update</msgType>
<source>预警中心</source>
<scope>Private</scope>
<restriction>for duty officers</restriction>
<addresses>"duty officer" a@b.cn</addresses>
<code>IPAWSv1.0</code>
<code>profile:CAP-CN:1</code>
<note>a note</note>
<references>s,i,2026-03-13T08:00:00+08:00 s,j,2026-03-13T09:00:00+08:00</references>
<incidents>spring "Fire 7"</incidents>
<info>
<language>zh-CN</language>
<category>Met</category>
<category>Fire</category>
<event>森林火险</event>
<responseType>Avoid</responseType>
<responseType>AllClear</responseType>
<urgency>Expected</urgency>
<severity>Severe</severity>
<certainty>Likely</certainty>
<audience>wardens</audience>
<eventCode><valueName>CN</valueName><value>11B25</value></eventCode>
<effective>2026-03-14T08:00:00+08:00</effective>
<onset>2026-03-14T12:00:00+08:00</onset>
<expires>2026-03-16T20:00:00+08:00</expires>
<senderName>保定市气象台</senderName>
<headline>h</headline>
<description>d</description>
<instruction>i</instruction>
<web>http://example.org/a?b=c</web>
<contact>12379</contact>
<parameter><valueName>p</valueName><value></value></parameter>
<resource>
<resourceDesc>map</resourceDesc>
<mimeType>image/png</mimeType>
<size>12</size>
<uri>http://example.org/map.png</uri>
<derefUri>aGVsbG8=</derefUri>
<digest>aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d</digest>
</resource>
<area>
<areaDesc>易县</areaDesc>
<polygon>39.2,115.0 39.2,115.6 39.6,115.6 39.2,115.0</polygon>
<circle>38.93,113.85 12.5</circle>
<geocode><valueName>行政区划代码</valueName><value>130633</value></geocode>
<altitude>100.5</altitude>
<ceiling>200</ceiling>
</area>
</info>
</alert>
`

// schemaSees says whether the schema, which knows nothing of the rules in the
// text, is to find the fault too.
type schemaSees uint8

const (
	inSchema schemaSees = iota
	inText
	// disputed is what versions of libxml2 judge differently: blanks in a URI,
	// integers of more than 24 digits, a wildcard that comes too early.
	disputed
)

// mutations each make one document of strictly. An empty want is a valid one.
var mutations = []struct {
	name, old, with string
	sees            schemaSees
	want            string
}{
	// What the schema sees: presence, order, number.
	{"no identifier", "<identifier>13060041600000_20260314080000</identifier>\n", "", inSchema, "identifier: is missing"},
	{"no sender", "<sender>13060041600000</sender>\n", "", inSchema, "sender: is missing"},
	{"no sent", "<sent>2026-03-14T08:00:00+08:00</sent>\n", "", inSchema, "sent: is missing"},
	{"no status", "<status>Actual</status>\n", "", inSchema, "status: is missing"},
	{"no msgType", "<msgType>Update</msgType>\n", "", inSchema, "msgType: is missing"},
	{"no scope", "<scope>Private</scope>\n", "", inSchema, "scope: is missing"},
	{"no category", "<category>Met</category>\n<category>Fire</category>\n", "", inSchema, "category: is missing"},
	{"no event", "<event>森林火险</event>\n", "", inSchema, "event: is missing"},
	{"no urgency", "<urgency>Expected</urgency>\n", "", inSchema, "urgency: is missing"},
	{"no severity", "<severity>Severe</severity>\n", "", inSchema, "severity: is missing"},
	{"no certainty", "<certainty>Likely</certainty>\n", "", inSchema, "certainty: is missing"},
	{"no valueName", "<valueName>CN</valueName>", "", inSchema, "eventCode[1]/valueName: is missing"},
	{"no value", "<value>130633</value>", "", inSchema, "geocode[1]/value: is missing"},
	{"no resourceDesc", "<resourceDesc>map</resourceDesc>\n", "", inSchema, "resourceDesc: is missing"},
	{"no mimeType", "<mimeType>image/png</mimeType>\n", "", inSchema, "mimeType: is missing"},
	{"no areaDesc", "<areaDesc>易县</areaDesc>\n", "", inSchema, "areaDesc: is missing"},
	{"two senders", "<sender>", "<sender>x</sender><sender>", inSchema, "sender: is there twice"},
	{"two notes", "<note>", "<note>x</note><note>", inSchema, "note: is there twice"},
	{"two events", "<event>", "<event>x</event><event>", inSchema, "event: is there twice"},
	{"two areaDescs", "<areaDesc>", "<areaDesc>x</areaDesc><areaDesc>", inSchema, "areaDesc: is there twice"},
	{"value before valueName", "<valueName>CN</valueName><value>11B25</value>", "<value>11B25</value><valueName>CN</valueName>", inSchema, "valueName: stands too late"},
	{"sender before identifier", "<identifier>13060041600000_20260314080000</identifier>\n<sender>13060041600000</sender>", "<sender>13060041600000</sender><identifier>13060041600000_20260314080000</identifier>", inSchema, "identifier: stands too late"},
	{"msgType before status", "<status>Actual</status>\n<msgType>Update</msgType>", "<msgType>Update</msgType><status>Actual</status>", inSchema, "status: stands too late"},
	{"no note", "<note>a note</note>\n", "", inSchema, ""},
	{"incidents before references", "<references>", "<incidents>x</incidents><references>", inSchema, "stands too late"},
	{"event before category", "<category>Met</category>", "<event>x</event><category>Met</category>", inSchema, "category[1]: stands too late"},
	{"expires before onset in place", "<onset>2026-03-14T12:00:00+08:00</onset>\n<expires>2026-03-16T20:00:00+08:00</expires>", "<expires>2026-03-16T20:00:00+08:00</expires><onset>2026-03-14T12:00:00+08:00</onset>", inSchema, "onset: stands too late"},
	{"circle before polygon", "<polygon>", "<circle>1,1 1</circle><polygon>", inSchema, "polygon[1]: stands too late"},
	{"area before resource", "<resource>", "<area><areaDesc>x</areaDesc></area><resource>", inSchema, "resource[1]: stands too late"},
	{"ceiling before altitude", "<altitude>100.5</altitude>\n<ceiling>200</ceiling>", "<ceiling>200</ceiling><altitude>100.5</altitude>", inSchema, "altitude: stands too late"},
	{"unknown element", "<note>", "<colour>red</colour><note>", inSchema, "no element colour"},
	{"the password of 1.0", "<source>", "<password>x</password><source>", inSchema, "no element password"},
	{"element in an element of text", "<event>森林火险</event>", "<event>森林<b>火险</b></event>", inSchema, "no element b"},
	{"another namespace", "<note>", `<note xmlns="urn:x">`, inSchema, "no element note"},
	{"text between elements", "<note>", "hello<note>", inSchema, "text between the elements"},
	{"text in a pair", "<valueName>CN</valueName>", "<valueName>CN</valueName>x", inSchema, "text between the elements"},
	{"an attribute", "<event>", `<event lang="zh">`, inSchema, "no attribute lang"},
	{"xml:lang", "<headline>", `<headline xml:lang="zh">`, inSchema, "no attribute lang"},
	{"an attribute of alert", "<alert ", `<alert version="1.2" `, inSchema, "no attribute version"},
	// Words.
	{"status", ">Actual<", ">Real<", inSchema, `"Real" is not one of`},
	{"status in small letters", ">Actual<", ">actual<", inSchema, `"actual" is not one of`},
	{"status with blanks", ">Actual<", "> Actual <", inSchema, `" Actual " is not one of`},
	{"empty status", ">Actual<", "><", inSchema, `"" is not one of`},
	{"msgType", ">Update<", ">Upgrade<", inSchema, `"Upgrade" is not one of`},
	{"scope", ">Private<", ">Secret<", inSchema, `"Secret" is not one of`},
	{"category", ">Met<", ">Weather<", inSchema, `"Weather" is not one of`},
	{"responseType", ">Avoid<", ">Run<", inSchema, `"Run" is not one of`},
	{"urgency", ">Expected<", ">Soon<", inSchema, `"Soon" is not one of`},
	{"severity", ">Severe<", ">Bad<", inSchema, `"Bad" is not one of`},
	{"a colour as severity", ">Severe<", ">ORANGE<", inSchema, `"ORANGE" is not one of Extreme, Severe, Moderate, Minor, Unknown`},
	{"certainty of 1.0", ">Likely<", ">Very Likely<", inSchema, `"Very Likely" is not one of`},
	// Types.
	{"Z", "08:00:00+08:00</sent>", "08:00:00Z</sent>", inSchema, "no Z"},
	{"fractions", "08:00:00+08:00</sent>", "08:00:00.5+08:00</sent>", inSchema, "no fractions"},
	{"no offset", "08:00:00+08:00</sent>", "08:00:00</sent>", inSchema, "numeric offset"},
	{"no seconds", "08:00:00+08:00</sent>", "08:00+08:00</sent>", inSchema, "with seconds"},
	{"a date", "2026-03-14T08:00:00+08:00</sent>", "2026-03-14</sent>", inSchema, "want a time"},
	{"a blank for T", "2026-03-14T08:00:00+08:00</sent>", "2026-03-14 08:00:00+08:00</sent>", inSchema, "want a time"},
	{"offset without colon", "08:00:00+08:00</sent>", "08:00:00+0800</sent>", inSchema, "numeric offset"},
	{"the comma that the pattern lets pass", "08:00:00+08:00</sent>", "08:00:00,08:00</sent>", inSchema, "numeric offset"},
	{"month 13", "2026-03-14T08:00:00+08:00</sent>", "2026-13-14T08:00:00+08:00</sent>", inSchema, "want a time"},
	{"30 February", "2026-03-14T12", "2026-02-30T12", inSchema, "onset: "},
	{"29 February of no leap year", "2026-03-14T12", "2026-02-29T12", inSchema, "onset: "},
	{"hour 25", "T12:00:00", "T25:00:00", inSchema, "onset: "},
	{"minute 60", "T12:00:00", "T12:60:00", inSchema, "onset: "},
	{"second 60", "T12:00:00", "T12:00:60", inSchema, "onset: "},
	{"year 0", "2026-03-14T12", "0000-03-14T12", inSchema, "onset: "},
	{"offset of 15 hours", "T12:00:00+08:00", "T12:00:00+15:00", inSchema, "onset: "},
	{"offset of 14 hours and a minute", "T12:00:00+08:00", "T12:00:00+14:01", inSchema, "onset: "},
	{"empty time", "<onset>2026-03-14T12:00:00+08:00<", "<onset><", inSchema, "onset: is empty"},
	{"effective with Z", "<effective>2026-03-14T08:00:00+08:00", "<effective>2026-03-14T08:00:00Z", inSchema, "effective: "},
	{"expires with fractions", "20:00:00+08:00</expires>", "20:00:00.000+08:00</expires>", inSchema, "expires: "},
	{"language", ">zh-CN<", ">zh_CN<", inSchema, "no language tag"},
	{"a long language", ">zh-CN<", ">mandarinchinese<", inSchema, "no language tag"},
	{"blank language", ">zh-CN<", "> <", inSchema, "no language tag"},
	{"size", ">12<", ">12 kB<", inSchema, "no whole number"},
	{"a broken size", ">12<", ">1.5<", inSchema, "no whole number"},
	{"empty size", ">12<", "><", inSchema, "no whole number"},
	{"altitude", ">100.5<", ">100 ft<", inSchema, "no decimal number"},
	{"altitude with exponent", ">100.5<", ">1e2<", inSchema, "no decimal number"},
	{"ceiling", ">200<", ">INF<", inSchema, "no decimal number"},
	{"web", ">http://example.org/a?b=c<", ">http://[example<", inSchema, "no URI"},
	{"web with a blank", ">http://example.org/a?b=c<", ">see our page<", disputed, "no URI"},
	{"web with a broken escape", ">http://example.org/a?b=c<", ">http://example.org/%zz<", inSchema, "no URI"},
	{"uri", ">http://example.org/map.png<", ">http://exa mple.org/<", disputed, "no URI"},

	// What stands in the text alone.
	{"blank in the identifier", "13060041600000_20260314080000", "a b", inText, "identifier: "},
	{"blank around the identifier", ">13060041600000_20260314080000<", "> a <", inText, "identifier: "},
	{"comma in the identifier", "13060041600000_20260314080000", "a,b", inText, "identifier: "},
	{"& in the identifier", "13060041600000_20260314080000", "a&amp;b", inText, "identifier: "},
	{"< in the sender", "<sender>13060041600000", "<sender>a&lt;b", inText, "sender: "},
	{"blank in the sender", "<sender>13060041600000", "<sender>a b", inText, "sender: "},
	{"no-break space in the sender", "<sender>13060041600000", "<sender>a\u00a0b", inText, "sender: "},
	{"comma in the sender", "<sender>13060041600000", "<sender>a,b", inText, "sender: "},
	{"empty identifier", "13060041600000_20260314080000", "", inText, "identifier: is empty"},
	{"empty sender", "<sender>13060041600000", "<sender>", inText, "sender: is empty"},
	{"empty event", "森林火险", "", inText, "event: is empty"},
	{"Update of nothing", "<references>s,i,2026-03-13T08:00:00+08:00 s,j,2026-03-13T09:00:00+08:00</references>\n", "", inText, "references: is missing"},
	{"references of two parts", "s,i,2026-03-13T08:00:00+08:00 ", "s,i ", inText, "want sender,identifier,sent"},
	{"references of four parts", "s,i,2026-03-13T08:00:00+08:00 ", "s,i,x,2026-03-13T08:00:00+08:00 ", inText, "want sender,identifier,sent"},
	{"references without sender", "s,i,2026-03-13T08:00:00+08:00 ", ",i,2026-03-13T08:00:00+08:00 ", inText, "want sender,identifier,sent"},
	{"references with blanks behind commas", "s,i,2026-03-13T08:00:00+08:00 ", "s, i, 2026-03-13T08:00:00+08:00 ", inText, "want sender,identifier,sent"},
	{"references with semicolons", " s,j", ";s,j", inText, "references: "},
	{"references with Z", "s,i,2026-03-13T08:00:00+08:00 ", "s,i,2026-03-13T08:00:00Z ", inText, "no Z"},
	{"restricted to nobody", "<scope>Private</scope>\n<restriction>for duty officers</restriction>", "<scope>Restricted</scope>", inText, "restriction: is missing"},
	{"private to nobody", `<addresses>"duty officer" a@b.cn</addresses>`, "", inText, "addresses: is missing"},
	{"private to blanks", `"duty officer" a@b.cn`, "  ", inText, "addresses: is missing"},
	{"incidents", `"Fire 7"`, `"Fire 7`, inText, "incidents: "},
	{"expires before effective", "2026-03-16T20:00:00", "2026-03-14T07:59:59", inText, "expires: lies before effective"},
	{"polygon not closed", " 39.2,115.0<", " 39.3,115.0<", inText, "is not closed"},
	{"polygon of three points", "39.2,115.0 39.2,115.6 39.6,115.6 39.2,115.0", "39.2,115.0 39.2,115.6 39.2,115.0", inText, "at least 4"},
	{"empty polygon", "39.2,115.0 39.2,115.6 39.6,115.6 39.2,115.0", "", inText, "at least 4"},
	{"latitude beyond the pole", "39.6,115.6", "90.1,115.6", inText, "latitude,longitude"},
	{"longitude beyond the date line", "39.6,115.6", "39.6,180.1", inText, "latitude,longitude"},
	{"longitude first", "39.6,115.6", "115.6,39.6", inText, "latitude,longitude"},
	{"blanks behind the commas", "39.6,115.6", "39.6, 115.6", inText, "latitude,longitude"},
	{"semicolons between points", "39.2,115.0 39.2,115.6", "39.2,115.0;39.2,115.6", inText, "latitude,longitude"},
	{"heights in points", "39.6,115.6", "39.6,115.6,0", inText, "latitude,longitude"},
	{"a point of words", "39.6,115.6", "39.6N,115.6E", inText, "latitude,longitude"},
	{"circle without radius", "38.93,113.85 12.5", "38.93,113.85", inText, "circle[1]: "},
	{"circle with commas", "38.93,113.85 12.5", "38.93,113.85,12.5", inText, "circle[1]: "},
	{"circle with a unit", "38.93,113.85 12.5", "38.93,113.85 12.5km", inText, "circle[1]: "},
	{"negative radius", "38.93,113.85 12.5", "38.93,113.85 -12.5", inText, "circle[1]: "},
	{"centre beyond the pole", "38.93,113.85 12.5", "98.93,113.85 12.5", inText, "circle[1]: "},
	{"ceiling without altitude", "<altitude>100.5</altitude>\n", "", inText, "needs the altitude"},
	{"ceiling below the altitude", ">200<", ">20<", inText, "lies below the altitude"},
	{"mimeType", ">image/png<", ">png<", inText, "no MIME type"},
	{"negative size", ">12<", ">-12<", inText, "not negative"},
	{"derefUri", ">aGVsbG8=<", ">hello!<", inText, "base64"},
	{"digest of another hash", ">aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d<", ">5d41402abc4b2a76b9719d911017c592<", inText, "no SHA-1"},

	// What is valid.
	{"unchanged", "x-nothing", "", inSchema, ""},
	{"no info", strictly[strings.Index(strictly, "<info>"):strings.Index(strictly, "</alert>")], "", inSchema, ""},
	{"no area", strictly[strings.Index(strictly, "<area>"):strings.Index(strictly, "</info>")], "", inSchema, ""},
	{"UTC", "08:00:00+08:00</sent>", "00:00:00-00:00</sent>", inSchema, ""},
	{"UTC as many write it", "08:00:00+08:00</sent>", "00:00:00+00:00</sent>", inSchema, ""},
	{"time between blanks", "2026-03-14T08:00:00+08:00</sent>", "\n 2026-03-14T08:00:00+08:00\t</sent>", inSchema, ""},
	{"the end of a day", "T12:00:00", "T24:00:00", inSchema, ""},
	{"offset of 14 hours", "T12:00:00+08:00", "T12:00:00+14:00", inSchema, ""},
	{"long ago", "2026-03-13T08:00:00+08:00", "1911-03-13T08:00:00+08:00", inSchema, ""},
	{"onset after expires", "<onset>2026-03-14", "<onset>2026-03-24", inSchema, ""},
	{"empty language is the default", ">zh-CN<", "><", inSchema, ""},
	{"language between blanks", ">zh-CN<", "> zh-CN <", inSchema, ""},
	{"blanks in a text", ">h<", ">  h\n <", inSchema, ""},
	{"empty note", ">a note<", "><", inSchema, ""},
	{"CDATA", ">d<", "><![CDATA[a < b & c]]><", inSchema, ""},
	{"a comment in a value", ">Actual<", ">Act<!-- x -->ual<", inSchema, ""},
	{"an entity of XML", ">d<", ">a &lt; b &amp; c &#x4fdd;<", inSchema, ""},
	{"points over lines", " 39.6,115.6 ", "\n\t39.6,115.6\r\n", inSchema, ""},
	{"circle of nothing", "38.93,113.85 12.5", "38.93,113.85 0", inSchema, ""},
	{"negative altitude", ">100.5<", ">-.5<", inSchema, ""},
	{"a large size", ">12<", ">123456789012345678901234567890<", disputed, ""},
	{"a size between blanks", ">12<", "> 12 <", inSchema, ""},
	{"a URI in Chinese", ">http://example.org/a?b=c<", ">http://example.org/保定<", inSchema, ""},
	{"a relative URI", ">http://example.org/map.png<", ">map.png<", inSchema, ""},
	{"digest in base64", ">aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d<", ">qvTGHdzF6KLavt4PO0gs2a6pQ00=<", inSchema, ""},
	{"schemaLocation", "<alert ", `<alert xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:oasis:names:tc:emergency:cap:1.2 x.xsd" `, inSchema, ""},
	{"prefix", "<note>a note</note>", `<c:note xmlns:c="urn:oasis:names:tc:emergency:cap:1.2">a note</c:note>`, inSchema, ""},
	{"signature", "</alert>", `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo Id="x"/></Signature></alert>`, inSchema, ""},
	{"two signatures", "</alert>", strings.Repeat(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>`, 2) + "</alert>", inSchema, ""},
	{"signature before info", "<info>", `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/><info>`, disputed, "info[1]: stands too late: it comes before the signature"},
}

// mutated is strictly with one change.
func mutated(t *testing.T, i int) []byte {
	t.Helper()
	m := mutations[i]
	doc := strings.Replace(strictly, m.old, m.with, 1)
	if doc == strictly && m.name != "unchanged" {
		t.Fatalf("%s: nothing was replaced", m.name)
	}
	return []byte(doc)
}

func TestCheckIsStrict(t *testing.T) {
	for i, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			err := cap.Check(mutated(t, i))
			if m.want == "" && err != nil {
				t.Errorf("invalid: %v", err)
			}
			if m.want != "" && (err == nil || !strings.Contains(err.Error(), m.want)) {
				t.Errorf("got %v, want %q", err, m.want)
			}
			if strings.ContainsAny(fmt.Sprint(err), "\r\n") {
				t.Errorf("the reason has more than one line: %q", err)
			}
		})
	}
}

// xmllint judges documents by the schema of OASIS: one verdict for each.
func xmllint(t *testing.T, docs [][]byte) []bool {
	t.Helper()
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Fatal("xmllint is missing: run make test-deps, or apt-get install libxml2-utils")
	}
	xsd := filepath.Join(sharedDir(t), "cap", "CAP-v1.2.xsd")
	dir := t.TempDir()
	args := []string{"--nonet", "--noout", "--schema", xsd}
	for i, doc := range docs {
		name := filepath.Join(dir, fmt.Sprintf("%04d.xml", i))
		if err := os.WriteFile(name, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	verdicts := make([]bool, len(docs))
	for i := range docs {
		verdicts[i] = bytes.Contains(out, fmt.Appendf(nil, "%04d.xml validates\n", i))
	}
	return verdicts
}

// The schema of OASIS is the judge of what it can see.
func TestCheckAgreesWithTheSchema(t *testing.T) {
	docs := make([][]byte, len(mutations))
	faulty := 0
	for i, m := range mutations {
		docs[i] = mutated(t, i)
		if m.want != "" && m.sees == inSchema {
			faulty++
		}
	}
	if faulty < 60 {
		t.Errorf("%d documents that the schema refuses: want 60 and more", faulty)
	}
	for i, valid := range xmllint(t, docs) {
		m := mutations[i]
		if want := m.want == "" || m.sees == inText; valid != want && m.sees != disputed {
			t.Errorf("%s: by the schema it is valid: %v, here %q", m.name, valid, m.want)
		}
	}
}

func TestOASISExamplesAreValid(t *testing.T) {
	var docs [][]byte
	for i := range 4 {
		doc := shared(t, fmt.Sprintf("cap/v1dot2_appendix_adot%d.xml", i+1))
		if err := cap.Check(doc); err != nil {
			t.Errorf("A.%d: %v", i+1, err)
		}
		docs = append(docs, doc)
	}
	for i, valid := range xmllint(t, docs) {
		if !valid {
			t.Errorf("A.%d: the schema refuses it", i+1)
		}
	}
}

func TestLenientTakesWhatSourcesSend(t *testing.T) {
	for _, tt := range [][2]string{
		{">Severe<", ">ORANGE<"},
		{">Actual<", "> Actual\n<"},
		{">13060041600000_20260314080000<", ">\n13060041600000_20260314080000 <"},
		{"39.6,115.6", "39.6, 115.6"},
		{"39.2,115.0 39.2,115.6 39.6,115.6 39.2,115.0", ""},
		{"<event>", `<event lang="zh">`},
		{">12<", ">12 kB<"},
		{">aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d<", ">?<"},
		{">zh-CN<", ">zh_CN<"},
	} {
		doc := []byte(strings.Replace(strictly, tt[0], tt[1], 1))
		if _, err := cap.Parse(doc); err != nil {
			t.Errorf("%q: %v", tt[1], err)
		}
		if err := cap.Check(doc); err == nil {
			t.Errorf("%q: strictly valid", tt[1])
		}
	}
}

func TestEncodings(t *testing.T) {
	const text = "森林火险"
	form := string(message(info("zh-CN", text, "RED", "", "", "")))
	for name, enc := range map[string]encoding.Encoding{
		"GB2312":       simplifiedchinese.GBK,
		"gbk":          simplifiedchinese.GBK,
		"GB18030":      simplifiedchinese.GB18030,
		"UTF-16":       unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
		"utf-16":       unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
		"UTF-16LE":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
		"UTF-16BE":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
		"UTF-8":        unicode.UTF8BOM,
		"iso-2022-jp":  nil,
		"iso-8859-1":   nil,
		"KLINGON":      nil,
		"HZ-GB-2312":   nil,
		"replacement":  nil,
		"UTF-32":       nil,
		"windows-1252": nil,
	} {
		doc := []byte(`<?xml version="1.0" encoding="` + name + `"?>` + form)
		if enc != nil {
			var err error
			if doc, err = enc.NewEncoder().Bytes(doc); err != nil {
				t.Fatal(err)
			}
		}
		a, err := cap.Parse(doc)
		switch {
		case enc != nil && (err != nil || a.Infos[0].Event != text):
			t.Errorf("%s: %v, %v", name, a, err)
		case enc == nil && err == nil && a.Infos[0].Event == text:
			t.Errorf("%s: its bytes were taken for UTF-8", name)
		}
	}
}
