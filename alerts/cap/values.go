package cap

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// alert makes the message of an element that has the right shape, and checks
// its values.
func (p *parser) alert(n *node) *Alert {
	a := &Alert{
		Identifier: p.name(n, "identifier"), Sender: p.name(n, "sender"), Sent: p.time(n, "sent"),
		Status: n.get("status"), MsgType: n.get("msgType"), Source: n.get("source"),
		Scope: n.get("scope"), Restriction: n.get("restriction"), Addresses: n.get("addresses"),
		Note: n.get("note"), Incidents: n.get("incidents"),
	}
	for _, k := range n.kids["code"] {
		a.Codes = append(a.Codes, k.text)
	}
	for _, k := range n.kids["references"] {
		a.References = p.references(k)
	}
	for _, k := range n.kids["incidents"] {
		if strings.Count(k.text, `"`)%2 != 0 {
			p.fault(k.line, k.path, "%q has a quotation mark that is not closed: names with blanks stand between two", clip(k.text))
		}
	}
	for _, k := range n.kids["info"] {
		a.Infos = append(a.Infos, p.info(k))
	}
	if a.MsgType != "Alert" && collapse(n.get("references")) == "" {
		p.fault(n.line, "references", "is missing: %s says which message it is about, as sender,identifier,sent", a.MsgType)
	}
	if a.Scope == "Restricted" && collapse(a.Restriction) == "" {
		p.fault(n.line, "restriction", "is missing: scope Restricted says to whom")
	}
	if a.Scope == "Private" && collapse(a.Addresses) == "" {
		p.fault(n.line, "addresses", "is missing: scope Private says to whom")
	}
	p.upgrade(a, n)
	return a
}

// name reads an identifier or a sender.
func (p *parser) name(n *node, name string) string {
	s := n.get(name)
	if !p.strict {
		s = collapse(s)
	}
	if msg := checkName(s); msg != "" {
		p.fault(n.kids[name][0].line, name, "%s", msg)
	}
	return s
}

// checkName says what is wrong with an identifier or a sender.
func checkName(s string) string {
	if len(s) > 1000 {
		return "is longer than 1000 bytes"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",<&", r) }) {
		return fmt.Sprintf("%q has a blank, a comma, < or &: CAP allows none of them, because references are told apart by them", clip(s))
	}
	return ""
}

func (p *parser) time(n *node, name string) time.Time {
	kids := n.kids[name]
	if len(kids) == 0 {
		return time.Time{}
	}
	t, ok := p.parseTime(kids[0].text)
	if !ok {
		p.fault(kids[0].line, kids[0].path, "%q: %s", clip(kids[0].text), timeHelp)
	}
	return t
}

func (p *parser) parseTime(s string) (time.Time, bool) {
	t, ok := parseTime(s, p.version.patterned)
	if !p.strict { // what a clock may say
		ok = ok && t.Year() >= 1970 && t.Year() < 9999
	}
	return t, ok
}

func (p *parser) references(n *node) (out []Reference) {
	if p.version.name == "1.0" {
		return p.references10(n)
	}
	for _, s := range fields(n.text) {
		parts := strings.Split(s, ",")
		if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
			p.fault(n.line, n.path, "%q: want sender,identifier,sent, several with blanks between them", clip(s))
			continue
		}
		if strings.ContainsAny(s, "<&") {
			p.fault(n.line, n.path, "%q has < or &, which no sender and no identifier has", clip(s))
			continue
		}
		t, ok := p.parseTime(parts[2])
		if !ok {
			p.fault(n.line, n.path, "%q: %s", clip(parts[2]), timeHelp)
			continue
		}
		out = append(out, Reference{Sender: parts[0], Identifier: parts[1], Sent: t})
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
		EventCodes: p.pairs(n, "eventCode"), Parameters: p.pairs(n, "parameter"),
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
		f.Resources = append(f.Resources, p.resource(k))
	}
	for _, k := range n.kids["area"] {
		f.Areas = append(f.Areas, p.area(k))
	}
	// An onset may lie after expires, when a later message will tell more; the
	// message itself must be in effect before it lapses.
	if !f.Effective.IsZero() && !f.Expires.IsZero() && f.Expires.Before(f.Effective) {
		k := n.kids["expires"][0]
		p.fault(k.line, k.path, "lies before effective: the message would never be in effect")
	}
	return f
}

func (p *parser) resource(n *node) Resource {
	r := Resource{
		Desc: n.get("resourceDesc"), MIMEType: n.get("mimeType"), Size: n.get("size"),
		URI: n.get("uri"), DerefURI: n.get("derefUri"), Digest: n.get("digest"),
	}
	if !p.strict {
		return r
	}
	at := func(name string) (int, string) { return n.kids[name][0].line, n.kids[name][0].path }
	if s := collapse(r.MIMEType); s != "" && !mimeForm.MatchString(s) {
		line, path := at("mimeType")
		p.fault(line, path, "%q is no MIME type, like image/png", clip(s))
	}
	if strings.HasPrefix(r.Size, "-") && strings.Trim(r.Size, "-0") != "" {
		line, path := at("size")
		p.fault(line, path, "%q: a size in bytes is not negative", clip(r.Size))
	}
	if r.DerefURI != "" && !isBase64(r.DerefURI) {
		line, path := at("derefUri")
		p.fault(line, path, "is not the content in base64")
	}
	if s := collapse(r.Digest); s != "" && !hexDigest.MatchString(s) && !textDigest.MatchString(s) {
		line, path := at("digest")
		p.fault(line, path, "%q is no SHA-1: want 40 hexadecimal digits", clip(s))
	}
	return r
}

func isBase64(s string) bool {
	s = strings.Join(fields(s), "")
	if len(s)%4 != 0 {
		s = strings.TrimRight(s, "=")
		_, err := base64.RawStdEncoding.DecodeString(s)
		return err == nil
	}
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}

func (p *parser) severity(n *node) (severity string, colour Level) {
	s := n.text
	if !p.strict {
		s = collapse(s)
	}
	switch s {
	case "Extreme", "Severe", "Moderate", "Minor", "Unknown":
		return s, None
	}
	if p.strict {
		p.fault(n.line, n.path, "%q is not one of Extreme, Severe, Moderate, Minor, Unknown", clip(s))
		return "", None
	}
	if colour := colourWord(s); colour != None {
		return severityOf(colour), colour
	}
	p.fault(n.line, n.path, "%q is not one of Extreme, Severe, Moderate, Minor, Unknown, nor a colour: RED, ORANGE, YELLOW, BLUE", clip(s))
	return "", None
}

// severityOf is the word of CAP that a colour stands for.
func severityOf(l Level) string {
	switch l {
	case Red:
		return "Extreme"
	case Orange:
		return "Severe"
	case Yellow:
		return "Moderate"
	case Blue:
		return "Minor"
	case None:
	}
	return "Unknown"
}

func (p *parser) pairs(n *node, name string) (out []Pair) {
	for _, k := range n.kids[name] {
		if p.version.name == "1.0" {
			out = append(out, p.pair10(k, name))
		} else {
			out = append(out, Pair{Name: k.get("valueName"), Value: k.get("value")})
		}
	}
	return out
}

func (p *parser) area(n *node) Area {
	a := Area{Desc: n.get("areaDesc"), Geocodes: p.pairs(n, "geocode"), Altitude: n.get("altitude"), Ceiling: n.get("ceiling")}
	for _, k := range n.kids["polygon"] {
		if ring, msg := p.polygon(k.text); msg != "" {
			p.fault(k.line, k.path, "%s", msg)
		} else if ring != nil {
			a.Polygons = append(a.Polygons, ring)
		}
	}
	for _, k := range n.kids["circle"] {
		if c, msg := p.circle(k.text); msg != "" {
			p.fault(k.line, k.path, "%s", msg)
		} else {
			a.Circles = append(a.Circles, c)
		}
	}
	if p.version.patterned {
		p.heights(n, a)
	}
	return a
}

// heights checks altitude and ceiling, which were any text before CAP 1.2.
func (p *parser) heights(n *node, a Area) {
	var at [2]float64
	for i, name := range []string{"altitude", "ceiling"} {
		for _, k := range n.kids[name] {
			ft, err := strconv.ParseFloat(k.text, 64)
			if at[i] = ft; err != nil || !decimalForm.MatchString(k.text) {
				p.fault(k.line, k.path, "%q: want feet above mean sea level as a decimal number", clip(k.text))
				return
			}
		}
	}
	switch {
	case a.Ceiling != "" && a.Altitude == "":
		p.fault(n.line, joinPath(n.path, "altitude"), "is missing: a ceiling needs the altitude below it")
	case a.Ceiling != "" && at[0] > at[1]:
		p.fault(n.line, joinPath(n.path, "ceiling"), "lies below the altitude")
	}
}

// spacedComma is what many a sender writes inside a pair of coordinates.
var spacedComma = regexp.MustCompile(`[ \t\r\n]*,[ \t\r\n]*`)

func (p *parser) coordinates(s string) []string {
	if !p.strict {
		s = spacedComma.ReplaceAllString(s, ",")
	}
	return fields(s)
}

// polygon reads a ring. Of an empty element, which the schema allows and the text
// of 1.2 does not, there is none.
func (p *parser) polygon(s string) (ring []Point, fault string) {
	for _, word := range p.coordinates(s) {
		pt, ok := parsePoint(word)
		if !ok {
			return nil, fmt.Sprintf("%q: want latitude,longitude in degrees (WGS-84), pairs with blanks between them", clip(word))
		}
		ring = append(ring, pt)
	}
	if ring == nil && (!p.strict || !p.version.patterned) {
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

func (p *parser) circle(s string) (c Circle, fault string) {
	const help = "want latitude,longitude in degrees (WGS-84), a blank and the radius in km"
	words := p.coordinates(s)
	if len(words) != 2 {
		return c, fmt.Sprintf("%q: %s", clip(s), help)
	}
	pt, ok := parsePoint(words[0])
	radius, ok2 := number(words[1], 0, 1e6)
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
	if !decimalForm.MatchString(s) {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil && x >= low && x <= high
}
