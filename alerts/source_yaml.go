package alerts

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

const (
	// MaxSourceBytes bounds a register as YAML or CSV: about 6,000 sources.
	MaxSourceBytes = 1 << 20
	maxSources     = 10_000
	defaultRadiusM = 100 // m, of a source that says none
	maxRadiusM     = 5000
	// maxSourceFaults bounds the faults that one reading names.
	maxSourceFaults = 50
)

//go:embed sources/baoding.yaml
var sampleSources []byte

// SampleSources is a sample register near the townships of the sample set, as
// YAML. It is made up.
func SampleSources() []byte { return slices.Clone(sampleSources) }

type sourceFile struct {
	Version   string       `yaml:"version"`
	Effective string       `yaml:"effective"`
	Sources   []sourceLine `yaml:"sources"`
}

// sourceLine is a source as people write it.
type sourceLine struct {
	ID      string   `yaml:"id"`
	Kind    string   `yaml:"kind"`
	Name    string   `yaml:"name,omitempty"`
	Area    string   `yaml:"area"`
	Lat     *float64 `yaml:"lat"`
	Lon     *float64 `yaml:"lon"`
	RadiusM *float64 `yaml:"radius_m,omitempty"`
	From    string   `yaml:"from,omitempty"`
	To      string   `yaml:"to,omitempty"`
	Holder  string   `yaml:"holder,omitempty"`
	Phone   string   `yaml:"phone,omitempty"`
}

// ParseSources reads a register of ignition sources in YAML and checks it as a
// whole: the error names every fault with its line, of very many the first.
// Unknown keys are faults.
func ParseSources(data []byte) (SourceTable, error) {
	doc, err := parseYAMLUpTo("source register", data, MaxSourceBytes)
	if err != nil {
		return SourceTable{}, err
	}
	var f sourceFile
	if err := doc.decode(&f); err != nil {
		return SourceTable{}, err
	}
	t := SourceTable{Version: f.Version}
	if why := versionFault(f.Version); why != "" {
		doc.fault("$.version", "%s", why)
	}
	day, err := time.ParseInLocation(time.DateOnly, f.Effective, Zone)
	if err != nil {
		doc.fault("$.effective", "effective %q: want a day as YYYY-MM-DD", f.Effective)
	}
	t.Effective = day.UTC()
	c := sourceCheck{
		seen:  make(map[string]int, len(f.Sources)),
		fault: func(i int, field, msg string) { doc.fault(fmt.Sprintf("$.sources[%d]%s", i, field), "%s", msg) },
	}
	t.Sources = c.all(f.Sources)
	return t, errors.Join(doc.faults...)
}

func versionFault(v string) string {
	if v == "" || len(v) > 100 || strings.TrimSpace(v) != v {
		return fmt.Sprintf("version %q: want 1 to 100 characters without blanks around", v)
	}
	return ""
}

// sourceCheck reads sources, however they came.
type sourceCheck struct {
	seen   map[string]int // by id: index
	faults int
	fault  func(i int, field, msg string) // of the source i; field like ".lat", or empty
}

func (c *sourceCheck) all(lines []sourceLine) []Source {
	if len(lines) > maxSources {
		c.fault(maxSources, "", fmt.Sprintf("sources: %d, at most %d are allowed", len(lines), maxSources))
		return nil
	}
	out := make([]Source, 0, len(lines))
	for i := range lines {
		if c.faults >= maxSourceFaults {
			c.fault(i, "", "too many faults, the rest was not checked")
			break
		}
		out = append(out, c.source(i, &lines[i]))
	}
	return out
}

func (c *sourceCheck) bad(i int, field, format string, args ...any) {
	c.faults++
	c.fault(i, field, fmt.Sprintf(format, args...))
}

func (c *sourceCheck) source(i int, l *sourceLine) Source {
	s := Source{ID: l.ID, Kind: SourceKind(l.Kind), Name: l.Name, Area: l.Area, RadiusM: defaultRadiusM, Holder: l.Holder, Phone: l.Phone}
	if first, again := c.seen[l.ID]; again && l.ID != "" {
		c.bad(i, ".id", "id %q: number %d has it too", l.ID, first+1)
	}
	c.seen[l.ID] = i
	if l.ID == "" {
		c.bad(i, ".id", "id: want one, of its own for each source")
	}
	for _, x := range []struct {
		field, text string
		most        int
	}{{"id", l.ID, 64}, {"name", l.Name, 100}, {"holder", l.Holder, 100}, {"phone", l.Phone, 40}} {
		if utf8.RuneCountInString(x.text) > x.most || strings.TrimSpace(x.text) != x.text || strings.ContainsFunc(x.text, unicode.IsControl) || !utf8.ValidString(x.text) {
			c.bad(i, "."+x.field, "%s %q: want at most %d characters in one line, without blanks around", x.field, x.text, x.most)
		}
	}
	if !slices.Contains(SourceKinds, s.Kind) {
		c.bad(i, ".kind", "kind %q: want permit, grave, kiln, power_line, heat or other", l.Kind)
	}
	if !isAreaCode(l.Area) {
		c.bad(i, ".area", "area %q: want a code of 6 to 12 digits, in quotes", l.Area)
	}
	if l.Lat == nil || l.Lon == nil {
		c.bad(i, "", "lat, lon: want both, in degrees of WGS-84")
	} else if err := CheckPlace(*l.Lat, *l.Lon); err != nil {
		c.bad(i, ".lat", "lat, lon: %v", err)
	} else {
		s.Lat, s.Lon = *l.Lat, *l.Lon
	}
	if l.RadiusM != nil {
		if s.RadiusM = *l.RadiusM; !(s.RadiusM >= 1 && s.RadiusM <= maxRadiusM) {
			c.bad(i, ".radius_m", "radius_m %v: want 1 to %d m", s.RadiusM, maxRadiusM)
		}
	}
	var ok1, ok2 bool
	if s.From, ok1 = sourceTime(l.From, 0); !ok1 {
		c.bad(i, ".from", "from %q: want YYYY-MM-DD or YYYY-MM-DDThh:mm, local time", l.From)
	}
	if s.To, ok2 = sourceTime(l.To, 1); !ok2 {
		c.bad(i, ".to", "to %q: want YYYY-MM-DD or YYYY-MM-DDThh:mm, local time", l.To)
	}
	switch {
	case s.Kind == SourcePermit && (l.From == "" || l.To == ""):
		c.bad(i, "", "a permit wants from and to")
	case ok1 && ok2 && !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To):
		c.bad(i, ".to", "to %q: want it after from", l.To)
	}
	return s
}

// sourceMinute is a time of a source when it is no whole day.
const sourceMinute = "2006-01-02T15:04"

// sourceTime reads a local day or minute; of a day its beginning, or so many days
// later. Empty is the zero time.
func sourceTime(text string, days int) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation(time.DateOnly, text, Zone)
	if err == nil {
		t = t.AddDate(0, 0, days)
	} else if t, err = time.ParseInLocation(sourceMinute, text, Zone); err != nil {
		t, err = time.ParseInLocation("2006-01-02 15:04", text, Zone)
	}
	if err != nil || t.Year() < 1900 || t.Year() > 2200 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// YAML is the register as ParseSources reads it.
func (t SourceTable) YAML() ([]byte, error) {
	f := sourceFile{Version: t.Version, Effective: t.Effective.In(Zone).Format(time.DateOnly), Sources: make([]sourceLine, len(t.Sources))}
	minute := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.In(Zone).Format(sourceMinute)
	}
	for i := range t.Sources {
		s := &t.Sources[i]
		f.Sources[i] = sourceLine{
			ID: s.ID, Kind: string(s.Kind), Name: s.Name, Area: s.Area, Lat: &s.Lat, Lon: &s.Lon, RadiusM: &s.RadiusM,
			From: minute(s.From), To: minute(s.To), Holder: s.Holder, Phone: s.Phone,
		}
	}
	out, err := yaml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("writing the source register: %w", err)
	}
	return out, nil
}

// sourceColumns are the columns of a register in CSV, with the names that offices
// give them.
var sourceColumns = map[string][]string{
	"id": {"编号"}, "kind": {"类别", "类型"}, "name": {"名称"}, "area": {"区域", "区划代码"}, "lat": {"纬度"}, "lon": {"经度"},
	"radius_m": {"半径", "半径(米)", "半径（米）"}, "from": {"起", "开始"}, "to": {"止", "结束"}, "holder": {"责任人"}, "phone": {"电话"},
}

// ParseSourcesCSV reads a register from a table in UTF-8 whose first line names
// the columns, in English or Chinese: id, kind, name, area, lat, lon, radius_m,
// from, to, holder, phone. A CSV has no version, so it is given. Faults are
// named with their line.
func ParseSourcesCSV(version string, effective time.Time, data []byte) (SourceTable, error) {
	const what = "source register"
	t := SourceTable{Version: version, Effective: effective.UTC()}
	if why := versionFault(version); why != "" {
		return t, fmt.Errorf("%s: %s", what, why)
	}
	if len(data) > MaxSourceBytes {
		return t, fmt.Errorf("%s: %d bytes, at most %d are allowed", what, len(data), MaxSourceBytes)
	}
	if !utf8.Valid(data) {
		return t, fmt.Errorf("%s: not UTF-8; save the table as CSV UTF-8", what)
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(data), "\ufeff")))
	head, err := r.Read()
	if err != nil {
		return t, fmt.Errorf("%s: reading the names of the columns: %w", what, err)
	}
	columns, err := sourceHead(head)
	if err != nil {
		return t, fmt.Errorf("%s: line 1: %w", what, err)
	}
	var (
		faults []error
		lines  []sourceLine
		at     []int
	)
	bad := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: line %d: %s", what, line, fmt.Sprintf(format, args...)))
	}
	for len(faults) < maxSourceFaults {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // the rest cannot be told apart
			return t, errors.Join(append(faults, fmt.Errorf("%s: %w", what, err))...)
		}
		line, _ := r.FieldPos(0)
		l, why := sourceRow(columns, row)
		if why != "" {
			bad(line, "%s", why)
		}
		lines, at = append(lines, l), append(at, line)
	}
	c := sourceCheck{
		seen: make(map[string]int, len(lines)), faults: len(faults),
		fault: func(i int, _, msg string) { bad(at[min(i, len(at)-1)], "%s", msg) },
	}
	t.Sources = c.all(lines)
	return t, errors.Join(faults...)
}

// sourceHead gives the column of each index.
func sourceHead(head []string) ([]string, error) {
	out := make([]string, len(head))
	for i, name := range head {
		name = strings.TrimSpace(name)
		for column, others := range sourceColumns {
			if name == column || slices.Contains(others, name) {
				out[i] = column
			}
		}
		if out[i] == "" {
			return nil, fmt.Errorf("column %q: want id, kind, name, area, lat, lon, radius_m, from, to, holder or phone", name)
		}
		if slices.Contains(out[:i], out[i]) {
			return nil, fmt.Errorf("column %q comes twice", name)
		}
	}
	for _, need := range []string{"id", "kind", "area", "lat", "lon"} {
		if !slices.Contains(out, need) {
			return nil, fmt.Errorf("column %q is missing", need)
		}
	}
	return out, nil
}

func sourceRow(columns, row []string) (l sourceLine, why string) {
	number := func(field, text string) *float64 {
		if text == "" {
			return nil
		}
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			why = fmt.Sprintf("%s %q: want a number", field, text)
		}
		return &x
	}
	for i, text := range row {
		text = strings.TrimSpace(text)
		switch columns[i] {
		case "id":
			l.ID = text
		case "kind":
			l.Kind = text
			for _, k := range SourceKinds {
				if k.Chinese() == text {
					l.Kind = string(k)
				}
			}
		case "name":
			l.Name = text
		case "area":
			l.Area = text
		case "lat":
			l.Lat = number("lat", text)
		case "lon":
			l.Lon = number("lon", text)
		case "radius_m":
			l.RadiusM = number("radius_m", text)
		case "from":
			l.From = text
		case "to":
			l.To = text
		case "holder":
			l.Holder = text
		case "phone":
			l.Phone = text
		}
	}
	return l, why
}
