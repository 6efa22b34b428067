package alerts

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	contract "firewatch/firmware-contracts"
)

type readinessFile struct {
	Version     string                 `yaml:"version"`
	Effective   string                 `yaml:"effective"`
	Weather     []string               `yaml:"weather"`
	Hold        time.Duration          `yaml:"hold"`
	NeighbourKM float64                `yaml:"neighbour_km"`
	Postures    map[string]postureLine `yaml:"postures"`
	Rows        []readinessLine        `yaml:"rows"`
}

type postureLine struct {
	Lower any               `yaml:"lower"` // person, or {after: 6h}
	Order *postureOrderLine `yaml:"order"`
}

type postureOrderLine struct {
	Kind  OrderKind `yaml:"kind"`
	Level string    `yaml:"level"`
	Text  string    `yaml:"text"`
}

type readinessLine struct {
	Name         string   `yaml:"name"`
	Warning      []string `yaml:"warning"`
	Danger       []string `yaml:"danger"`
	Season       []string `yaml:"season"`
	Special      *bool    `yaml:"special"`
	Township     string   `yaml:"township"`
	Professional string   `yaml:"professional"`
	Neighbours   string   `yaml:"neighbours"`
	Automatic    bool     `yaml:"automatic"`
	Order        string   `yaml:"order"`
	Patrols      int      `yaml:"patrols"`
	Wardens      string   `yaml:"wardens"`
	Entrances    string   `yaml:"entrances"`
}

// maxReadinessRows bounds a table: there are 240 combinations of inputs.
const maxReadinessRows = 240

// ParseReadinessTable reads a readiness table in YAML and checks it as a whole:
// every combination of inputs has exactly one row that rules, every row can
// rule, and graver inputs never give a lower posture. The error joins one error
// per fault, with its line. Unknown keys are faults.
func ParseReadinessTable(data []byte) (ReadinessTable, error) {
	doc, err := parseYAML("readiness table", data)
	if err != nil {
		return ReadinessTable{}, err
	}
	var f readinessFile
	if err := doc.decode(&f); err != nil {
		return ReadinessTable{}, err
	}
	c := readinessCheck{doc}
	t := c.table(&f)
	if len(c.faults) == 0 { // of rows that are wrong in themselves the whole says nothing
		c.whole(&t)
	}
	return t, errors.Join(c.faults...)
}

type readinessCheck struct{ yamlDocument }

func (c *readinessCheck) table(f *readinessFile) ReadinessTable {
	t := ReadinessTable{Version: f.Version, Weather: f.Weather, Hold: f.Hold, NeighbourKM: f.NeighbourKM}
	if f.Version == "" || len(f.Version) > 100 || strings.TrimSpace(f.Version) != f.Version || strings.ContainsAny(f.Version, "/?#%") {
		c.fault("$.version", "version %q: want 1 to 100 characters without blanks around and without / ? # %%", f.Version)
	}
	day, err := time.ParseInLocation(time.DateOnly, f.Effective, Zone)
	if err != nil || day.Year() < 2000 || day.Year() > 2200 {
		c.fault("$.effective", "effective %q: want a day as YYYY-MM-DD", f.Effective)
	}
	t.Effective = day.UTC()
	for i, code := range f.Weather {
		if len(code) > 20 || !strings.HasPrefix(code, "11") {
			c.fault(fmt.Sprintf("$.weather[%d]", i), "weather %q: want a national code as 11B25", code)
		}
	}
	if f.Hold < 0 || f.Hold > 24*time.Hour {
		c.fault("$.hold", "hold %s: want 0s..24h", f.Hold)
	}
	if !(f.NeighbourKM >= 0 && f.NeighbourKM <= 200) {
		c.fault("$.neighbour_km", "neighbour_km %v: want 0..200", f.NeighbourKM)
	}
	for name, l := range f.Postures {
		at := "$.postures." + name
		p, err := ParsePosture(name)
		if err != nil || p == PostureNormal {
			c.fault("$.postures", "postures: %q is none, want standby, defence, combat_ready or emergency", name)
			continue
		}
		t.Postures[p] = c.posture(at, l)
	}
	if len(f.Rows) == 0 || len(f.Rows) > maxReadinessRows {
		c.fault("$.rows", "rows: want 1 to %d, have %d", maxReadinessRows, len(f.Rows))
		return t
	}
	for i := range f.Rows {
		at := fmt.Sprintf("$.rows[%d]", i)
		t.Rows = append(t.Rows, c.row(at, &f.Rows[i]))
		c.rowOrder(at, &f.Rows[i], &t.Rows[i], &t)
	}
	return t
}

func (c *readinessCheck) posture(at string, l postureLine) (r PostureRule) {
	const want = "lower: want person, or {after: 6h} with 1m..168h"
	switch v := l.Lower.(type) {
	case nil: // a person
	case string:
		if v != "person" {
			c.fault(at+".lower", want)
		}
	case map[string]any:
		text, _ := v["after"].(string)
		d, err := time.ParseDuration(text)
		if err != nil || len(v) != 1 || d < time.Minute || d > 168*time.Hour {
			c.fault(at+".lower", want)
		}
		r.LowerAfter = d
	default:
		c.fault(at+".lower", want)
	}
	if l.Order == nil {
		return r
	}
	if l.Order.Kind != OrderStandby && l.Order.Kind != OrderForward && l.Order.Kind != OrderMuster {
		c.fault(at+".order.kind", "kind %q: want standby, forward or muster", l.Order.Kind)
	}
	level, err := ParseSeverity(l.Order.Level)
	if err != nil || level == Notice {
		c.fault(at+".order.level", "level %q: want blue, yellow, orange or red", l.Order.Level)
	}
	c.text(at+".order.text", l.Order.Text, 1, contract.MaxTextBytes/2) // the reasons come before it
	r.Order, r.Level, r.Text = l.Order.Kind, level, l.Order.Text
	return r
}

// text checks words for people; the bounds are in bytes.
func (c *readinessCheck) text(path, s string, least, most int) {
	if len(s) < least || len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.fault(path, "%s: want %d to %d bytes of text on one line", path[strings.LastIndexByte(path, '.')+1:], least, most)
	}
}

func (c *readinessCheck) row(at string, l *readinessLine) ReadinessRow {
	r := ReadinessRow{Name: l.Name, Automatic: l.Automatic, Patrols: l.Patrols, Wardens: l.Wardens, Entrances: l.Entrances}
	c.text(at+".name", l.Name, 1, 120)
	c.text(at+".wardens", l.Wardens, 0, 600)
	c.text(at+".entrances", l.Entrances, 0, 600)
	if l.Patrols < 0 || l.Patrols > 24 {
		c.fault(at+".patrols", "patrols %d: want 0..24", l.Patrols)
	}
	r.Warning = conditions(c, at+".warning", l.Warning, func(s string) (Severity, bool) {
		if s == "none" {
			return Notice, true
		}
		v, err := ParseSeverity(s)
		return v, err == nil && v != Notice
	}, "none, blue, yellow, orange or red")
	r.Danger = conditions(c, at+".danger", l.Danger, func(s string) (DangerLevel, bool) {
		if s == "unknown" {
			return DangerUnknown, true
		}
		n, err := strconv.ParseUint(s, 10, 8)
		return DangerLevel(n), err == nil && n >= 1 && n <= 5
	}, "unknown or 1..5")
	r.Season = conditions(c, at+".season", l.Season, func(s string) (SeasonKind, bool) {
		if s == "none" {
			return "", true
		}
		return SeasonKind(s), slices.Contains(SeasonKinds, SeasonKind(s))
	}, "none, prevention, high_danger or closure")
	if l.Special != nil {
		r.Special = []bool{*l.Special}
	}
	for _, p := range []struct {
		key, name string
		to        *Posture
	}{{"township", l.Township, &r.Township}, {"professional", l.Professional, &r.Professional}, {"neighbours", l.Neighbours, &r.Neighbours}} {
		if p.name == "" {
			continue // normal
		}
		var err error
		if *p.to, err = ParsePosture(p.name); err != nil {
			c.fault(at+"."+p.key, "%s: %v", p.key, err)
		}
	}
	return r
}

// rowOrder checks who gives the orders of a row.
func (c *readinessCheck) rowOrder(at string, l *readinessLine, r *ReadinessRow, t *ReadinessTable) {
	at += ".order"
	switch r.Order = cmp.Or(l.Order, ModePropose); {
	case r.Order == ModePropose:
		return
	case r.Order != ModeAutomatic:
		c.fault(at, "order %q: want %s or %s", l.Order, ModePropose, ModeAutomatic)
		return
	case !r.Automatic:
		c.fault(at, "order: automatic goes with automatic: true, for it follows the posture")
	}
	for _, p := range []Posture{r.Township, r.Professional, r.Neighbours} {
		if p != PostureNormal && t.Rule(p).Order == "" {
			c.fault(at, "order: automatic: the posture %s has no order", p)
		}
	}
}

func conditions[T comparable](c *readinessCheck, at string, in []string, read func(string) (T, bool), want string) []T {
	var out []T
	for i, s := range in {
		v, ok := read(s)
		switch path := fmt.Sprintf("%s[%d]", at, i); {
		case !ok:
			c.fault(path, "%s %q: want %s", at[strings.LastIndexByte(at, '.')+1:], s, want)
		case slices.Contains(out, v):
			c.fault(path, "%s %q: is there twice", at[strings.LastIndexByte(at, '.')+1:], s)
		default:
			out = append(out, v)
		}
	}
	return out
}

// The inputs, each rising. An unknown danger is checked apart: it must give no
// less than a low one.
var (
	readinessWarnings = []Severity{Notice, Blue, Yellow, Orange, Red}
	readinessDangers  = []DangerLevel{1, 2, 3, 4, 5}
	readinessSeasons  = []SeasonKind{"", Prevention, HighDanger, Closure}
	readinessSpecials = []string{"", "清明"}
)

// whole checks that every combination of inputs has a row, that every row can
// rule, and that no graver input gives less.
func (c *readinessCheck) whole(t *ReadinessTable) {
	rules := make([]bool, len(t.Rows))
	missing, example := 0, Surroundings{}
	seen := map[[2]int]bool{}
	less := func(graver, milder Surroundings, what string) {
		g, m := t.index(graver), t.index(milder)
		if g < 0 || m < 0 || seen[[2]int{g, m}] {
			return
		}
		for _, p := range []struct {
			who  string
			g, m Posture
		}{
			{"township", t.Rows[g].Township, t.Rows[m].Township},
			{"professional", t.Rows[g].Professional, t.Rows[m].Professional},
			{"neighbours", t.Rows[g].Neighbours, t.Rows[m].Neighbours},
		} {
			if p.g < p.m {
				seen[[2]int{g, m}] = true
				c.fault(fmt.Sprintf("$.rows[%d]", g), "%q gives %s to %s, but with a milder %s %q gives %s (%s)",
					t.Rows[g].Name, p.g, p.who, what, t.Rows[m].Name, p.m, combination(graver))
			}
		}
	}
	for w, warning := range readinessWarnings {
		for d := -1; d < len(readinessDangers); d++ {
			for s, season := range readinessSeasons {
				for p, special := range readinessSpecials {
					in := Surroundings{Warning: warning, Season: season, Special: special}
					if d >= 0 {
						in.Danger = readinessDangers[d]
					}
					i := t.index(in)
					if i < 0 {
						if missing++; missing == 1 {
							example = in
						}
						continue
					}
					rules[i] = true
					milder := in
					if w > 0 {
						milder.Warning = readinessWarnings[w-1]
						less(in, milder, "warning")
					}
					milder = in
					if d != 0 { // 2 to 5, or unknown
						milder.Danger = readinessDangers[max(d-1, 0)]
						less(in, milder, "danger")
					}
					milder = in
					if s > 0 {
						milder.Season = readinessSeasons[s-1]
						less(in, milder, "season")
					}
					milder = in
					if p > 0 {
						milder.Special = ""
						less(in, milder, "special day")
					}
				}
			}
		}
	}
	if missing > 0 {
		c.fault("$.rows", "rows: none fits %d of 240 combinations of inputs, as %s", missing, combination(example))
	}
	for i, ok := range rules {
		if !ok {
			c.fault(fmt.Sprintf("$.rows[%d]", i), "%q never rules: the rows above take all that it fits", t.Rows[i].Name)
		}
	}
}

func (t *ReadinessTable) index(s Surroundings) int {
	return slices.IndexFunc(t.Rows, func(r ReadinessRow) bool { return r.Fits(s) })
}

// combination tells one combination of inputs as the table writes it.
func combination(s Surroundings) string {
	warning, danger, season := "none", "unknown", "none"
	if s.Warning > Notice {
		warning = s.Warning.String()
	}
	if s.Danger != DangerUnknown {
		danger = strconv.Itoa(int(s.Danger))
	}
	if s.Season != "" {
		season = string(s.Season)
	}
	return fmt.Sprintf("warning %s, danger %s, season %s, special %v", warning, danger, season, s.Special != "")
}
