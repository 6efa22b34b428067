package cap

import (
	"fmt"
	"slices"
	"strings"
)

// upgrade makes a message of CAP 1.1 or 1.0 one of 1.2 and notes what it changes:
// a missing scope, category or MIME type gets the word for "not said", Very
// Likely becomes Likely, heights that are no numbers and a password are left out.
func (p *parser) upgrade(a *Alert, n *node) {
	if p.version.patterned {
		return
	}
	a.Upgraded.From = p.version.name
	if len(n.kids["password"]) > 0 {
		p.note("the password is left out")
	}
	if a.Scope == "" {
		a.Scope = "Public"
		p.note("scope was not given: Public")
	}
	for i := range a.Infos {
		p.upgradeInfo(&a.Infos[i])
	}
	a.Upgraded.Notes = p.notes
}

func (p *parser) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); len(p.notes) < maxFaults && !slices.Contains(p.notes, s) {
		p.notes = append(p.notes, s)
	}
}

func (p *parser) upgradeInfo(f *Info) {
	if len(f.Categories) == 0 {
		f.Categories = []string{"Other"}
		p.note("category was not given: Other")
	}
	if f.Certainty == "Very Likely" {
		f.Certainty = "Likely"
		p.note("certainty Very Likely is Likely")
	}
	for i := range f.Resources {
		if r := &f.Resources[i]; collapse(r.MIMEType) == "" {
			r.MIMEType = "application/octet-stream"
			p.note("mimeType was not given: application/octet-stream")
		}
	}
	for i := range f.Areas {
		area := &f.Areas[i]
		low, lowOK := number(collapse(area.Altitude), -1e6, 1e6)
		high, highOK := number(collapse(area.Ceiling), -1e6, 1e6)
		if area.Altitude != "" && !lowOK || area.Ceiling != "" && (!highOK || !lowOK || low > high) {
			area.Altitude, area.Ceiling = "", ""
			p.note("altitude and ceiling that are no range of numbers are left out")
		}
		area.Altitude, area.Ceiling = collapse(area.Altitude), collapse(area.Ceiling)
	}
}

// references10 reads references of CAP 1.0, which name no time: sender/identifier.
// The form of 1.1 is taken too.
func (p *parser) references10(n *node) (out []Reference) {
	for _, s := range fields(n.text) {
		if parts := strings.Split(s, ","); len(parts) == 3 {
			if t, ok := p.parseTime(parts[2]); ok && parts[0] != "" && parts[1] != "" {
				out = append(out, Reference{Sender: parts[0], Identifier: parts[1], Sent: t})
				continue
			}
		}
		sender, identifier, ok := strings.Cut(s, "/")
		if !ok || sender == "" || identifier == "" || strings.ContainsAny(s, ",<&") {
			p.fault(n.line, n.path, "%q: want sender/identifier, several with blanks between them", clip(s))
			continue
		}
		p.note("references give no time")
		out = append(out, Reference{Sender: sender, Identifier: identifier})
	}
	return out
}

// pair10 reads NAME=VALUE of CAP 1.0; a text without = is a value under the
// element's own name.
func (p *parser) pair10(n *node, element string) Pair {
	p.note("%s was NAME=VALUE", element)
	name, value, ok := strings.Cut(n.text, "=")
	if name = collapse(name); !ok || name == "" {
		return Pair{Name: element, Value: collapse(n.text)}
	}
	return Pair{Name: name, Value: collapse(value)}
}
