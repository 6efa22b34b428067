package cap

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Document is one warning out of what an aggregator answers.
type Document struct {
	Alert *Alert
	Raw   []byte // its own part of the answer; ParseAggregator reads it again
}

const maxItems = 1000

// aggregate is what an aggregator answers. Warning is the list of QWeather's
// v7/warning/now, Alerts that of its weatheralert/v1.
type aggregate struct {
	Code    loose             `json:"code"`
	Warning []json.RawMessage `json:"warning"`
	Alerts  []json.RawMessage `json:"alerts"`
}

// item is one warning: the names of v7, of v1, and those of CAP, under which the
// national warning platform (12379) passes on.
type item struct {
	ID, Identifier                           loose
	Sender, SenderName                       loose
	PubTime, IssuedTime, SendTime, Sent      loose
	Title, Headline                          loose
	StartTime, OnsetTime, Onset              loose
	EffectiveTime, Effective                 loose
	EndTime, ExpireTime, Expires             loose
	Status, MsgType                          loose
	Level, Severity, SeverityColor           loose
	Type, TypeName, Event                    loose
	EventType                                coded
	MessageType                              coded
	Color                                    coded
	Urgency, Certainty                       loose
	Text, Description, Instruction, AreaDesc loose
	Geocode                                  loose
	Related, References                      loose
}

// loose is a text that may be a number, null or missing.
type loose string

// UnmarshalJSON takes what is no text or number for nothing.
func (l *loose) UnmarshalJSON(b []byte) error {
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(b, &s) == nil:
	case len(b) > 0 && b[0] != '"' && json.Unmarshal(b, &n) == nil:
		s = n.String()
	}
	*l = loose(collapse(strings.ToValidUTF8(s, "?")))
	return nil
}

// coded is an object with a code, or the code alone.
type coded struct {
	Name, Code loose
	Supersedes []loose
}

// UnmarshalJSON takes what is neither for nothing.
func (c *coded) UnmarshalJSON(b []byte) error {
	type plain coded
	var p plain
	if json.Unmarshal(b, &p) != nil {
		p = plain{}
		if err := json.Unmarshal(b, &p.Code); err != nil {
			return err
		}
	}
	*c = coded(p)
	return nil
}

// ParseAggregator reads what a Chinese aggregator makes of warnings, in JSON:
// QWeather's v7/warning/now and weatheralert/v1, or a list or one of objects with
// the names of CAP. A warning without an end holds for 24 h. Where some are faulty
// the others come with the error, which is an *Error.
func ParseAggregator(doc []byte) ([]Document, error) {
	refuse := func(format string, args ...any) ([]Document, error) {
		return nil, &Error{[]Fault{{Message: fmt.Sprintf(format, args...)}}}
	}
	if len(doc) > MaxBytes {
		return refuse("the document has %d bytes, at most %d are read", len(doc), MaxBytes)
	}
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	raws, err := rawItems(doc)
	if err != nil {
		return refuse("%s", err)
	}
	if len(raws) > maxItems {
		return refuse("there are %d warnings, at most %d are read", len(raws), maxItems)
	}
	var out []Document
	var faults []Fault
	for i, raw := range raws {
		a, err := readItem(raw)
		if err == nil {
			out = append(out, Document{Alert: a, Raw: bytes.Clone(raw)})
		} else if len(faults) < maxFaults {
			faults = append(faults, Fault{Element: fmt.Sprintf("warning[%d]", i+1), Message: err.Error()})
		}
	}
	if len(faults) > 0 {
		return out, &Error{faults}
	}
	return out, nil
}

func rawItems(doc []byte) ([]json.RawMessage, error) {
	if at := bytes.TrimLeft(doc, xmlSpace); len(at) > 0 && at[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(doc, &list); err != nil {
			return nil, fmt.Errorf("not JSON: %s", clip(err.Error()))
		}
		return list, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(doc, &keys); err != nil {
		return nil, fmt.Errorf("not a JSON object: %s", clip(err.Error()))
	}
	_, v7 := keys["warning"]
	_, v1 := keys["alerts"]
	if !v7 && !v1 {
		if _, one := keys["id"]; one {
			return []json.RawMessage{doc}, nil
		}
		if _, one := keys["identifier"]; one {
			return []json.RawMessage{doc}, nil
		}
	}
	var all aggregate
	if err := json.Unmarshal(doc, &all); err != nil {
		return nil, fmt.Errorf("warning, alerts: want a list: %s", clip(err.Error()))
	}
	switch {
	case all.Code != "" && all.Code != "200" && all.Code != "204": // 204: nothing there
		return nil, fmt.Errorf("the aggregator answers with code %s", clip(string(all.Code)))
	case !v7 && !v1 && all.Code != "204":
		return nil, errors.New("there is neither a list warning nor a list alerts")
	}
	return append(all.Warning, all.Alerts...), nil
}

// first is the first that says something.
func first(of ...loose) string { return string(cmp.Or(of...)) }

func readItem(raw []byte) (*Alert, error) {
	var it item
	if err := json.Unmarshal(raw, &it); err != nil {
		return nil, fmt.Errorf("not a JSON object: %s", clip(err.Error()))
	}
	a := &Alert{Identifier: first(it.Identifier, it.ID), Status: "Actual", MsgType: "Alert", Scope: "Public"}
	a.Upgraded.From = "JSON"
	a.Sender = "QWeather"
	if it.Identifier != "" {
		a.Sender = string(cmp.Or(it.Sender, "12379"))
	}
	for name, value := range map[string]string{"identifier": a.Identifier, "sender": a.Sender} {
		if msg := checkName(value); msg != "" || value == "" {
			return nil, fmt.Errorf("%s: %s", name, cmp.Or(msg, "is missing"))
		}
	}
	sent := first(it.PubTime, it.IssuedTime, it.SendTime, it.Sent)
	var ok bool
	if a.Sent, ok = looseTime(sent); !ok {
		return nil, fmt.Errorf("the time of issue %q: want one like 2026-03-14T08:00+08:00", clip(sent))
	}
	f, err := it.info()
	if err != nil {
		return nil, err
	}
	a.Infos = []Info{f}
	it.kind(a)
	return a, nil
}

// kind says whether a is new, an update or the end of another, and of which. An
// end that names no other is that of the warning with its own id.
func (it *item) kind(a *Alert) {
	note := func(s string) { a.Upgraded.Notes = append(a.Upgraded.Notes, s) }
	for _, s := range []string{"Actual", "Exercise", "System", "Test", "Draft"} {
		if strings.EqualFold(string(it.Status), s) {
			a.Status = s
		}
	}
	switch word := strings.ToLower(first(it.MsgType, it.MessageType.Code, it.Status)); word {
	case "update", "cancel":
		a.MsgType = strings.ToUpper(word[:1]) + word[1:]
	case "ack", "error":
		a.MsgType = map[string]string{"ack": "Ack", "error": "Error"}[word]
	}
	for _, id := range append(slices.Clone(it.MessageType.Supersedes), splitIDs(string(it.Related))...) {
		if checkName(string(id)) == "" && id != "" && string(id) != a.Identifier {
			a.References = append(a.References, Reference{Sender: a.Sender, Identifier: string(id)})
		}
	}
	for _, s := range fields(string(it.References)) {
		parts := strings.Split(s, ",")
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
			continue
		}
		if t, ok := parseTime(parts[2], false); ok {
			a.References = append(a.References, Reference{Sender: parts[0], Identifier: parts[1], Sent: t})
		}
	}
	switch {
	case len(a.References) > 0:
	case a.MsgType == "Update":
		a.MsgType = "Alert"
		note("an update of nothing is a new warning")
	case a.MsgType == "Cancel":
		a.References = []Reference{{Sender: a.Sender, Identifier: a.Identifier}}
		a.Identifier += ".cancel"
		note("a cancel of nothing ends the warning with its own id")
	}
}

func splitIDs(s string) (out []loose) {
	for _, id := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",;| \t\r\n", r) }) {
		out = append(out, loose(id))
	}
	return out
}

func (it *item) info() (Info, error) {
	name := first(it.TypeName, it.EventType.Name, it.Event)
	code := first(it.Type, it.EventType.Code)
	title := first(it.Title, it.Headline)
	if name = cmp.Or(name, code, title); name == "" {
		return Info{}, errors.New("it does not say what it warns of")
	}
	f := Info{
		Language: "zh-CN", Event: name, Categories: []string{"Met"},
		SenderName: first(it.SenderName, it.Sender), Headline: title,
		Description: first(it.Text, it.Description), Instruction: string(it.Instruction),
		Urgency:   oneOf(string(it.Urgency), "Immediate", "Expected", "Future", "Past"),
		Certainty: oneOf(string(it.Certainty), "Observed", "Likely", "Possible", "Unlikely"),
	}
	if code != "" {
		f.EventCodes = append(f.EventCodes, Pair{Name: "eventType", Value: code})
	}
	if known, _ := event(f); known != "" && known != strings.ToUpper(code) {
		f.EventCodes = append(f.EventCodes, Pair{Name: "eventType", Value: known})
	}
	if strings.Contains(name, "火险") {
		f.Categories = []string{"Fire"}
	}
	it.severity(&f)
	it.times(&f)
	f.Areas = []Area{it.area(title, f.SenderName)}
	return f, nil
}

func oneOf(s string, words ...string) string {
	for _, w := range words {
		if strings.EqualFold(s, w) {
			return w
		}
	}
	return "Unknown"
}

// severity takes the colour, which is what a Chinese warning has, before a word.
func (it *item) severity(f *Info) {
	for _, s := range []loose{it.SeverityColor, it.Color.Code, it.Level, it.Severity} {
		if l := colourWord(string(s)); l != None {
			f.Severity = severityOf(l)
			f.Parameters = append(f.Parameters, Pair{Name: "severityColor", Value: strings.ToUpper(l.String())})
			return
		}
	}
	switch strings.ToLower(string(it.Severity)) { // QWeather has two more words than CAP
	case "major":
		f.Severity = "Severe"
	case "standard":
		f.Severity = "Minor"
	default:
		f.Severity = oneOf(string(it.Severity), "Extreme", "Severe", "Moderate", "Minor")
	}
}

func (it *item) times(f *Info) {
	f.Onset, _ = looseTime(first(it.StartTime, it.OnsetTime, it.Onset))
	f.Effective, _ = looseTime(first(it.EffectiveTime, it.Effective))
	f.Expires, _ = looseTime(first(it.EndTime, it.ExpireTime, it.Expires))
	if !f.Expires.IsZero() && f.Expires.Before(f.Effective) {
		f.Effective = time.Time{}
	}
}

var (
	titleArea   = regexp.MustCompile(`^(.{1,60}?)(?:[0-9]{4}年|继续发布|更新发布|变更发布|发布|解除|取消|将|更新|变更|继续|升级|降级)`)
	issuerTail  = regexp.MustCompile(`(?:中心)?(?:气象灾害防御指挥部|森林(?:草原)?防(?:灭)?火指挥部|森防指|森防办|防火办|应急管理[局厅]|应急[局厅]|自然资源(?:和规划)?[局厅]|林业(?:和草原)?局|气象[台局站]|预警信息发布中心|办公室|与|和|、)+(?:办公室)?(?:（.*）|\(.*\))?$`)
	provinceTop = regexp.MustCompile(`^\p{Han}{2,3}省|^\p{Han}{2,8}自治区`)
	centreID    = regexp.MustCompile(`^([1-8][0-9]{5})[0-9]{8}_[0-9]{14}$`) // the national platform's
)

// area names the place that the warning is for. What is given is taken as it is;
// else the issuer's place stands for it: its code is in the platform's
// identifiers, its name before the word 发布 in the title.
func (it *item) area(title, issuer string) Area {
	a := Area{Desc: string(it.AreaDesc)}
	if code := string(it.Geocode); code != "" {
		a.Geocodes = []Pair{{Name: "GB/T 2260", Value: code}}
	} else if m := centreID.FindStringSubmatch(first(it.Identifier, it.ID)); m != nil && a.Desc == "" {
		a.Geocodes = []Pair{{Name: "GB/T 2260", Value: m[1]}}
	}
	if a.Desc == "" {
		if m := titleArea.FindStringSubmatch(title); m != nil {
			a.Desc = placeOf(m[1])
		}
	}
	a.Desc = cmp.Or(a.Desc, placeOf(issuer), "未注明")
	return a
}

func placeOf(issuer string) string {
	place := provinceTop.ReplaceAllString(issuerTail.ReplaceAllString(issuer, ""), "")
	return cmp.Or(place, issuer)
}

// looseTime reads the forms of time that aggregators use. Without an offset it is
// Beijing's.
func looseTime(s string) (time.Time, bool) {
	for _, form := range []string{
		"2006-01-02T15:04Z07:00", time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04",
		"2006/01/02 15:04:05", "2006/01/02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "20060102150405",
	} {
		t, err := time.ParseInLocation(form, s, beijing)
		if err != nil || t.Year() < 1970 || t.Year() >= 9999 {
			continue
		}
		_, offset := t.Zone()
		if offset%60 != 0 || offset < -14*3600 || offset > 14*3600 {
			return time.Time{}, false
		}
		zone := time.UTC
		if offset != 0 {
			zone = time.FixedZone("", offset)
		}
		return t.Truncate(time.Second).In(zone), true
	}
	return time.Time{}, false
}

var beijing = time.FixedZone("", 8*3600)

// Read reads one warning that is a CAP document or one object of ParseAggregator,
// which is what a store keeps of it.
func Read(doc []byte) (*Alert, error) {
	if FormOf(doc) != FormJSON {
		return Parse(doc)
	}
	docs, err := ParseAggregator(doc)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, &Error{[]Fault{{Message: fmt.Sprintf("there are %d warnings, want one", len(docs))}}}
	}
	return docs[0].Alert, nil
}
