package cap

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// alert makes the message of an element that has the right shape, and checks
// its values.
func (p *parser) alert(n *node) *Alert {
	a := &Alert{
		Identifier: n.get("identifier"), Sender: n.get("sender"), Sent: p.time(n, "sent"),
		Status: n.get("status"), MsgType: n.get("msgType"), Source: n.get("source"),
		Scope: n.get("scope"), Restriction: n.get("restriction"), Addresses: n.get("addresses"),
		Note: n.get("note"), Incidents: n.get("incidents"),
	}
	for _, name := range []string{"identifier", "sender"} {
		if msg := checkName(n.get(name)); msg != "" {
			p.fault(n.kids[name][0].line, name, "%s", msg)
		}
	}
	for _, k := range n.kids["code"] {
		a.Codes = append(a.Codes, k.text)
	}
	for _, k := range n.kids["references"] {
		a.References = p.references(k)
	}
	for _, k := range n.kids["info"] {
		a.Infos = append(a.Infos, p.info(k))
	}
	switch {
	case a.MsgType != "Alert" && n.get("references") == "":
		p.fault(n.line, "references", "is missing: %s says which message it is about, as sender,identifier,sent", a.MsgType)
	case (a.MsgType == "Alert" || a.MsgType == "Update") && len(a.Infos) == 0:
		p.fault(n.line, "info", "is missing: %s says what it warns of", a.MsgType)
	}
	if a.Scope == "Restricted" && a.Restriction == "" {
		p.fault(n.line, "restriction", "is missing: scope Restricted says to whom")
	}
	if a.Scope == "Private" && a.Addresses == "" {
		p.fault(n.line, "addresses", "is missing: scope Private says to whom")
	}
	return a
}

// checkName says what is wrong with an identifier or a sender.
func checkName(s string) string {
	if len(s) > 1000 {
		return "is longer than 1000 bytes"
	}
	if strings.ContainsAny(s, " \t\r\n,<&") {
		return fmt.Sprintf("%q has a blank, a comma, < or &: CAP allows none of them, because references are told apart by them", clip(s))
	}
	return ""
}

const timeHelp = "want a time with seconds and numeric offset, like 2026-03-14T08:00:00+08:00 (no Z, no fractions)"

func parseTime(s string) (time.Time, bool) {
	const form = "2006-01-02T15:04:05-07:00"
	if len(s) != len(form) || s[19] != '+' && s[19] != '-' {
		return time.Time{}, false
	}
	t, err := time.Parse(form, s)
	if err != nil {
		return time.Time{}, false
	}
	if _, offset := t.Zone(); offset < -14*3600 || offset > 14*3600 {
		return time.Time{}, false
	}
	return t, t.Year() >= 1970 && t.Year() < 9999
}

func (p *parser) time(n *node, name string) time.Time {
	kids := n.kids[name]
	if len(kids) == 0 {
		return time.Time{}
	}
	t, ok := parseTime(kids[0].text)
	if !ok {
		p.fault(kids[0].line, kids[0].path, "%q: %s", clip(kids[0].text), timeHelp)
	}
	return t.UTC()
}

func (p *parser) references(n *node) (out []Reference) {
	for s := range strings.FieldsSeq(n.text) {
		parts := strings.Split(s, ",")
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
			p.fault(n.line, n.path, "%q: want sender,identifier,sent, several with blanks between them", clip(s))
			continue
		}
		t, ok := parseTime(parts[2])
		if !ok {
			p.fault(n.line, n.path, "%q: %s", clip(parts[2]), timeHelp)
			continue
		}
		out = append(out, Reference{Sender: parts[0], Identifier: parts[1], Sent: t.UTC()})
	}
	return out
}

func (p *parser) info(n *node) Info {
	f := Info{
		Language: n.get("language"), Event: n.get("event"), Urgency: n.get("urgency"),
		Certainty: n.get("certainty"), Audience: n.get("audience"),
		Effective: p.time(n, "effective"), Onset: p.time(n, "onset"), Expires: p.time(n, "expires"),
		SenderName: n.get("senderName"), Headline: n.get("headline"), Description: n.get("description"),
		Instruction: n.get("instruction"), Web: n.get("web"), Contact: n.get("contact"),
		EventCodes: pairs(n.kids["eventCode"]), Parameters: pairs(n.kids["parameter"]),
	}
	for _, k := range n.kids["category"] {
		f.Categories = append(f.Categories, k.text)
	}
	for _, k := range n.kids["responseType"] {
		f.Responses = append(f.Responses, k.text)
	}
	for _, k := range n.kids["severity"] {
		f.Severity, f.Colour = p.severity(k)
	}
	for _, k := range n.kids["resource"] {
		f.ResourceDesc = append(f.ResourceDesc, k.get("resourceDesc"))
	}
	for _, k := range n.kids["area"] {
		f.Areas = append(f.Areas, p.area(k))
	}
	for _, from := range []struct {
		name string
		at   time.Time
	}{{"effective", f.Effective}, {"onset", f.Onset}} {
		if !from.at.IsZero() && !f.Expires.IsZero() && f.Expires.Before(from.at) {
			k := n.kids["expires"][0]
			p.fault(k.line, k.path, "lies before %s: the warning would never be in force", from.name)
			break
		}
	}
	return f
}

func (p *parser) severity(n *node) (severity string, colour Level) {
	switch n.text {
	case "Extreme", "Severe", "Moderate", "Minor", "Unknown":
		return n.text, None
	}
	if colour := colourWord(n.text); colour != None {
		return map[Level]string{Red: "Extreme", Orange: "Severe", Yellow: "Moderate", Blue: "Minor"}[colour], colour
	}
	p.fault(n.line, n.path, "%q is not one of Extreme, Severe, Moderate, Minor, Unknown, nor a colour: RED, ORANGE, YELLOW, BLUE", clip(n.text))
	return "", None
}

func pairs(ns []*node) (out []Pair) {
	for _, n := range ns {
		out = append(out, Pair{Name: n.get("valueName"), Value: n.get("value")})
	}
	return out
}

func (p *parser) area(n *node) Area {
	a := Area{Desc: n.get("areaDesc"), Geocodes: pairs(n.kids["geocode"]), Altitude: n.get("altitude"), Ceiling: n.get("ceiling")}
	for _, k := range n.kids["polygon"] {
		if ring, msg := parsePolygon(k.text); msg != "" {
			p.fault(k.line, k.path, "%s", msg)
		} else if ring != nil {
			a.Polygons = append(a.Polygons, ring)
		}
	}
	for _, k := range n.kids["circle"] {
		if c, msg := parseCircle(k.text); msg != "" {
			p.fault(k.line, k.path, "%s", msg)
		} else {
			a.Circles = append(a.Circles, c)
		}
	}
	for _, name := range []string{"altitude", "ceiling"} {
		for _, k := range n.kids[name] {
			if _, ok := number(k.text, -1e6, 1e6); !ok {
				p.fault(k.line, k.path, "%q: want feet above mean sea level as a decimal number", clip(k.text))
			}
		}
	}
	if a.Ceiling != "" && a.Altitude == "" {
		p.fault(n.line, joinPath(n.path, "altitude"), "is missing: a ceiling needs the altitude below it")
	}
	return a
}

// parsePolygon reads a ring; an empty element, which the schema allows, is none.
func parsePolygon(s string) (ring []Point, fault string) {
	for word := range strings.FieldsSeq(s) {
		pt, ok := parsePoint(word)
		if !ok {
			return nil, fmt.Sprintf("%q: want latitude,longitude in degrees (WGS-84), pairs with blanks between them", clip(word))
		}
		ring = append(ring, pt)
	}
	if ring == nil {
		return nil, ""
	}
	if len(ring) < 4 {
		return nil, fmt.Sprintf("has %d points: want at least 4, the last one the same as the first", len(ring))
	}
	if ring[0] != ring[len(ring)-1] {
		return nil, "is not closed: repeat the first point at the end"
	}
	return ring, ""
}

func parseCircle(s string) (c Circle, fault string) {
	const help = "want latitude,longitude in degrees (WGS-84), a blank and the radius in km"
	words := strings.Fields(s)
	if len(words) != 2 {
		return c, fmt.Sprintf("%q: %s", clip(s), help)
	}
	pt, ok := parsePoint(words[0])
	radius, ok2 := number(words[1], 0, 20100)
	if !ok || !ok2 {
		return c, fmt.Sprintf("%q: %s", clip(s), help)
	}
	return Circle{Centre: pt, RadiusKM: radius}, ""
}

func parsePoint(s string) (Point, bool) {
	lat, lon, ok := strings.Cut(s, ",")
	y, ok1 := number(lat, -90, 90)
	x, ok2 := number(lon, -180, 180)
	return Point{Lat: y, Lon: x}, ok && ok1 && ok2
}

// number reads a plain decimal within limits: no exponent, no hexadecimal, no NaN.
func number(s string, low, high float64) (float64, bool) {
	if s == "" || strings.Trim(s, "+-.0123456789") != "" {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil && x >= low && x <= high
}
