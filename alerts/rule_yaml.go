package alerts

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

//go:embed rules/default.yaml
var defaultRules []byte

//go:embed rules/demo.yaml
var demoRules []byte

// DefaultRules is the shipped rule set, as YAML: fires propose an order.
func DefaultRules() []byte { return slices.Clone(defaultRules) }

// DemoRules is the rule set of the demonstration, as YAML: a fire gives its
// order by itself.
func DemoRules() []byte { return slices.Clone(demoRules) }

type ruleFile struct {
	Version   string                   `yaml:"version"`
	Effective string                   `yaml:"effective"`
	Weather   []string                 `yaml:"weather"`
	Blind     map[string]time.Duration `yaml:"blind"`
	Incidents *struct {
		WithinKM *float64       `yaml:"within_km"`
		Quiet    *time.Duration `yaml:"quiet"`
	} `yaml:"incidents"`
	Rules []ruleLine `yaml:"rules"`
}

type ruleLine struct {
	Name       string             `yaml:"name"`
	Type       RuleType           `yaml:"type"`
	Family     Family             `yaml:"family"`
	Severity   Severity           `yaml:"severity"`
	For        time.Duration      `yaml:"for"`
	ClearAfter time.Duration      `yaml:"clear_after"`
	Fresh      time.Duration      `yaml:"fresh"`
	Actionable time.Duration      `yaml:"actionable"`
	Raise      ByContext[int]     `yaml:"raise"`
	RaiseMax   Severity           `yaml:"raise_max"`
	Scale      ByContext[float64] `yaml:"scale"`
	Order      *OrderPolicy       `yaml:"order"`
	Inhibits   []string           `yaml:"inhibits"`
	Fire       *fireLine          `yaml:"fire"`
	SOS        *sosLine           `yaml:"sos"`
	Silent     *silentLine        `yaml:"silent"`
	Report     *reportLine        `yaml:"report"`
	Battery    *batteryLine       `yaml:"battery"`
	Hotspot    *hotspotLine       `yaml:"hotspot"`
	Condition  *conditionLine     `yaml:"condition"`
}

type fireLine struct {
	Window      time.Duration `yaml:"window"`
	Baseline    time.Duration `yaml:"baseline"`
	Corroborate time.Duration `yaml:"corroborate"`
	NeighbourKM float64       `yaml:"neighbour_km"`
	Readings    int           `yaml:"readings"`
	OutOf       int           `yaml:"out_of"`
	ClearRatio  float64       `yaml:"clear_ratio"`
	GateDanger  DangerLevel   `yaml:"gate_danger"`
	Smoke       Threshold     `yaml:"smoke_obs_pct_m"`
	CO          Threshold     `yaml:"co_ppm"`
	TempRise    Threshold     `yaml:"temp_rise_c"`
	TempAbs     Threshold     `yaml:"temp_c"`
}

type sosLine struct {
	EpisodeGap time.Duration `yaml:"episode_gap"`
}

type silentLine struct {
	Trackers SilentKind  `yaml:"trackers"`
	Sensors  SilentKind  `yaml:"sensors"`
	Storm    SilentStorm `yaml:"storm"`
}

type reportLine struct {
	Categories map[string]Severity `yaml:"categories"`
	Join       time.Duration       `yaml:"join"`
}

type batteryLine struct {
	Below float64 `yaml:"below_pct"`
	Clear float64 `yaml:"clear_pct"`
}

type hotspotLine struct {
	MinConfidence string              `yaml:"min_confidence"`
	Severity      map[string]Severity `yaml:"severity"`
}

// ParseRules reads a rule set in YAML and checks it as a whole: the error names
// every fault with its line. Unknown keys are faults.
func ParseRules(data []byte) (RuleSet, error) {
	doc, err := parseYAML("rules", data)
	if err != nil {
		return RuleSet{}, err
	}
	var f ruleFile
	err = doc.decode(&f, yaml.CustomUnmarshaler(func(s *Severity, b []byte) error {
		var err error
		*s, err = ParseSeverity(strings.Trim(strings.TrimSpace(string(b)), `"'`))
		return err
	}))
	if err != nil {
		return RuleSet{}, placed(doc.body(), err)
	}
	c := ruleCheck{doc}
	set := c.set(&f)
	return set, errors.Join(c.faults...)
}

// placed adds the line to a fault of a value whose text the library quotes
// without saying where it stands.
func placed(body ast.Node, err error) error {
	text, line := err.Error(), 0
	if strings.HasPrefix(text, "rules: line ") {
		return err
	}
	ast.Walk(scalars(func(n *ast.StringNode) {
		if line == 0 && strings.Contains(text, strconv.Quote(n.Value)) {
			line = n.GetToken().Position.Line
		}
	}), body)
	if line == 0 {
		return err
	}
	return fmt.Errorf("rules: line %d: %s", line, strings.TrimPrefix(text, "rules: "))
}

type scalars func(*ast.StringNode)

// Visit calls the function for every plain text.
func (f scalars) Visit(n ast.Node) ast.Visitor {
	if s, ok := n.(*ast.StringNode); ok {
		f(s)
	}
	return f
}

type ruleCheck struct{ yamlDocument }

// want is a check whose fault names the key.
func (c *ruleCheck) want(ok bool, path, format string, args ...any) {
	if !ok {
		c.fault(path, "%s: %s", path[strings.LastIndexByte(path, '.')+1:], fmt.Sprintf(format, args...))
	}
}

// Bounds of a rule set: what each device costs hangs on them.
const (
	maxRules  = 100
	maxFields = 24
)

var ruleName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

func (c *ruleCheck) set(f *ruleFile) RuleSet {
	s := RuleSet{Version: f.Version, Weather: f.Weather, Blind: f.Blind}
	c.want(f.Version != "" && len(f.Version) <= 100 && strings.TrimSpace(f.Version) == f.Version,
		"$.version", "%q: want 1 to 100 characters without blanks around", f.Version)
	day, err := time.ParseInLocation(time.DateOnly, f.Effective, Zone)
	c.want(err == nil, "$.effective", "%q: want a day as YYYY-MM-DD", f.Effective)
	s.Effective = day.UTC()
	c.want(len(f.Rules) > 0, "$.rules", "want at least one")
	c.want(len(f.Rules) <= maxRules, "$.rules", "%d rules, at most %d are allowed", len(f.Rules), maxRules)
	for _, d := range f.Blind {
		c.duration("$.blind", d, 0, 24*time.Hour)
	}
	seen := make(map[string]bool)
	for i := range f.Rules {
		at := fmt.Sprintf("$.rules[%d]", i)
		l := &f.Rules[i]
		c.want(ruleName.MatchString(l.Name), at+".name", "%q: want a to z, 0 to 9 and _, a letter first, at most 40", l.Name)
		c.want(!seen[l.Name], at+".name", "%q: is there twice", l.Name)
		seen[l.Name] = true
		r := c.rule(at, l, f.Version)
		r.Blind = f.Blind
		s.Rules = append(s.Rules, r)
	}
	if n := s.Series().Fields(); n > maxFields {
		c.fault("$.rules", "the conditions look at %d fields, at most %d are allowed", n, maxFields)
	}
	c.incidents(f, &s)
	return s
}

func (c *ruleCheck) rule(at string, l *ruleLine, version string) Rule {
	r := Rule{
		Name: l.Name, Version: version, Type: l.Type, Severity: l.Severity, For: l.For, ClearAfter: l.ClearAfter,
		Family: cmp.Or(l.Family, l.Type.family()), Inhibits: l.Inhibits,
		Fresh: l.Fresh, Actionable: l.Actionable, Raise: l.Raise, RaiseMax: max(l.RaiseMax, l.Severity), Scale: l.Scale,
	}
	if !slices.Contains(RuleTypes, l.Type) {
		c.fault(at+".type", "type %q: want one of %v", l.Type, RuleTypes)
		return r
	}
	if l.Condition != nil {
		r.Family = cmp.Or(l.Condition.Family, r.Family)
		c.want(l.Family == "" || l.Condition.Family == "" || l.Family == l.Condition.Family, at+".family", "the condition has another one")
	}
	c.want(slices.Contains(Families, r.Family), at+".family", "%q: want one of %v", l.Family, Families)
	c.duration(at+".actionable", l.Actionable, 0, 90*24*time.Hour)
	c.want(l.Actionable == 0 || l.Type != SOSCall, at+".actionable", "an SOS calls people however late it is")
	c.duration(at+".for", l.For, 0, 24*time.Hour)
	c.duration(at+".clear_after", l.ClearAfter, 0, 90*24*time.Hour)
	for _, x := range l.Raise.all() {
		c.want(x >= 0 && x <= 4, at+".raise", "%d: want 0..4 levels", x)
	}
	for _, x := range l.Scale.all() {
		c.want(x == 0 || x >= 0.3 && x <= 2, at+".scale", "%v: want 0.3..2", x)
	}
	if l.Order != nil {
		r.Order = *l.Order
		if err := l.Order.Validate(); err != nil {
			c.fault(at+".order", "order: %v", err)
		}
		c.duration(at+".fresh", l.Fresh, time.Second, 24*time.Hour)
	}
	c.params(at, l, &r)
	return r
}

func (c *ruleCheck) params(at string, l *ruleLine, r *Rule) {
	for _, p := range []struct {
		key  string
		have bool
		of   RuleType
	}{
		{"fire", l.Fire != nil, SensorFire},
		{"sos", l.SOS != nil, SOSCall},
		{"silent", l.Silent != nil, DeviceSilent},
		{"report", l.Report != nil, SourceReport},
		{"battery", l.Battery != nil, BatteryLow},
		{"hotspot", l.Hotspot != nil, SatelliteHotspot},
		{"condition", l.Condition != nil, Condition},
	} {
		c.want(p.have || l.Type != p.of, at+"."+p.key, "a rule of type %s needs it", l.Type)
		c.want(!p.have || l.Type == p.of, at+"."+p.key, "does not belong to type %s", l.Type)
	}
	switch {
	case l.Type == SensorFire && l.Fire != nil:
		c.fire(at, l, r)
	case l.Type == SOSCall && l.SOS != nil:
		c.duration(at+".sos.episode_gap", l.SOS.EpisodeGap, time.Minute, 7*24*time.Hour)
		c.want(l.Severity == Red, at+".severity", "an SOS is always red")
		c.want(l.ClearAfter == 0, at+".clear_after", "an SOS never ends by time")
		r.SOS = &SOSRule{EpisodeGap: l.SOS.EpisodeGap}
	case l.Type == DeviceSilent && l.Silent != nil:
		s := l.Silent
		for _, k := range []struct {
			key string
			SilentKind
		}{{".silent.trackers", s.Trackers}, {".silent.sensors", s.Sensors}} {
			c.want(k.Factor >= 1 && k.Factor <= 1000, at+k.key+".factor", "%v: want 1..1000", k.Factor)
			c.duration(at+k.key+".min", k.Min, time.Second, 7*24*time.Hour)
		}
		c.want(s.Storm.Devices >= 2, at+".silent.storm.devices", "%d: want at least 2", s.Storm.Devices)
		c.want(s.Storm.Share > 0 && s.Storm.Share <= 1, at+".silent.storm.share", "%v: want above 0, at most 1", s.Storm.Share)
		c.duration(at+".silent.storm.within", s.Storm.Within, time.Second, 24*time.Hour)
		r.Silent = &SilentRule{Trackers: s.Trackers, Sensors: s.Sensors, Storm: s.Storm}
	case l.Type == SourceReport && l.Report != nil:
		c.duration(at+".report.join", l.Report.Join, 0, 24*time.Hour)
		c.duration(at+".clear_after", l.ClearAfter, time.Minute, 90*24*time.Hour)
		r.Report = &ReportRule{Categories: l.Report.Categories, Join: l.Report.Join}
	case l.Type == Condition && l.Condition != nil:
		c.condition(at, l, r)
	case l.Type == BatteryLow && l.Battery != nil:
		b := l.Battery
		c.want(b.Below > 0 && b.Below < 100, at+".battery.below_pct", "%v: want above 0, below 100", b.Below)
		c.want(b.Clear > b.Below && b.Clear <= 100, at+".battery.clear_pct", "%v: want above below_pct, at most 100", b.Clear)
		r.Battery = &BatteryRule{Below: b.Below, Clear: b.Clear}
	case l.Type == SatelliteHotspot && l.Hotspot != nil:
		h := l.Hotspot
		c.want(ConfidenceRank(h.MinConfidence) > 0, at+".hotspot.min_confidence", "%q: want low, nominal or high", h.MinConfidence)
		for _, word := range slices.Sorted(maps.Keys(h.Severity)) {
			c.want(ConfidenceRank(word) > 0, at+".hotspot.severity", "%q: want low, nominal or high", word)
		}
		c.duration(at+".clear_after", l.ClearAfter, time.Hour, 90*24*time.Hour)
		r.Hotspot = &HotspotRule{MinConfidence: h.MinConfidence, Severities: h.Severity}
	}
}

func (c *ruleCheck) fire(at string, l *ruleLine, r *Rule) {
	f := l.Fire
	c.duration(at+".fire.window", f.Window, time.Minute, time.Hour)
	c.duration(at+".fire.baseline", f.Baseline, f.Window, WindowSpan)
	c.duration(at+".fire.corroborate", f.Corroborate, time.Second, f.Window)
	c.duration(at+".for", l.For, time.Second, f.Window)
	c.duration(at+".clear_after", l.ClearAfter, time.Minute, WindowSpan)
	c.want(f.Readings >= 2 && f.Readings <= maxSamples/2, at+".fire.readings", "%d: want 2..%d", f.Readings, maxSamples/2)
	c.want(f.OutOf >= f.Readings && f.OutOf <= maxSamples, at+".fire.out_of", "%d: want at least readings (%d)", f.OutOf, f.Readings)
	c.want(f.ClearRatio > 0 && f.ClearRatio < 1, at+".fire.clear_ratio", "%v: want between 0 and 1", f.ClearRatio)
	c.want(f.GateDanger <= 5, at+".fire.gate_danger", "%d: want 0..5", f.GateDanger)
	c.want(f.NeighbourKM >= 0 && f.NeighbourKM <= 20, at+".fire.neighbour_km", "%v: want 0..20", f.NeighbourKM)
	for _, t := range []struct {
		key string
		Threshold
	}{{".smoke_obs_pct_m", f.Smoke}, {".co_ppm", f.CO}, {".temp_rise_c", f.TempRise}, {".temp_c", f.TempAbs}} {
		c.want(t.Suspect > 0 && t.Strong > t.Suspect, at+".fire"+t.key, "want 0 < suspect < strong")
	}
	r.Fire = &FireRule{
		Window: f.Window, Baseline: f.Baseline, Corroborate: f.Corroborate, NeighbourKM: f.NeighbourKM,
		Readings: f.Readings, OutOf: f.OutOf, ClearRatio: f.ClearRatio, GateDanger: f.GateDanger,
		Smoke: f.Smoke, CO: f.CO, TempRise: f.TempRise, TempAbs: f.TempAbs,
	}
}

func (c *ruleCheck) duration(path string, d, low, high time.Duration) {
	c.want(d >= low && d <= high, path, "%s: want %s..%s", d, low, high)
}
