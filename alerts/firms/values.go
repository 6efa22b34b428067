package firms

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"firewatch/alerts"
)

// The instruments.
const (
	modis = "MODIS"
	viirs = "VIIRS"
	oli   = "OLI" // of Landsat
)

// satellites are the names that files give, in lower case, and ours.
var satellites = map[string]struct{ name, instrument string }{
	"t": {"Terra", modis}, "terra": {"Terra", modis},
	"a": {"Aqua", modis}, "aqua": {"Aqua", modis},
	"n": {"Suomi-NPP", viirs}, "npp": {"Suomi-NPP", viirs}, "snpp": {"Suomi-NPP", viirs}, "suominpp": {"Suomi-NPP", viirs},
	"1": {"NOAA-20", viirs}, "n20": {"NOAA-20", viirs}, "noaa20": {"NOAA-20", viirs}, "j1": {"NOAA-20", viirs}, "jpss1": {"NOAA-20", viirs},
	"2": {"NOAA-21", viirs}, "n21": {"NOAA-21", viirs}, "noaa21": {"NOAA-21", viirs}, "j2": {"NOAA-21", viirs}, "jpss2": {"NOAA-21", viirs},
	"l8": {"Landsat-8", oli}, "landsat8": {"Landsat-8", oli},
	"l9": {"Landsat-9", oli}, "landsat9": {"Landsat-9", oli},
}

// reader reads one row.
type reader struct {
	head   *header
	cells  []string
	line   int
	now    time.Time
	faults []RowError
}

func (r *reader) has(column string) bool {
	_, ok := r.head.at[column]
	return ok
}

// cell is the value of the column, empty where it is missing.
func (r *reader) cell(column string) string {
	if i, ok := r.head.at[column]; ok {
		return r.cells[i]
	}
	return ""
}

func (r *reader) fault(column, want string, args ...any) {
	r.faults = append(r.faults, RowError{Line: r.line, Column: column, Value: clip(r.cell(column)), Want: fmt.Sprintf(want, args...)})
}

func (r *reader) pixel() alerts.Pixel {
	p := alerts.Pixel{
		Lat: r.number("latitude", true, -90, 90, "°"), Lon: r.number("longitude", true, -180, 180, "°"),
		Seen:  r.seen(),
		FRP:   r.number("frp", false, 0, 1e6, " MW"),
		Scan:  r.size("scan"),
		Track: r.size("track"),
		Kind:  r.kind(),
	}
	p.Satellite, p.Instrument = r.platform()
	p.Confidence, p.Percent = r.confidence()
	for _, column := range []string{"brightness", "bright_t31", "bright_ti4", "bright_ti5"} {
		r.number(column, false, 0, 2000, " K")
	}
	switch strings.ToLower(r.cell("daynight")) {
	case "", "d", "n", "day", "night":
	default:
		r.fault("daynight", "want D or N")
	}
	return p
}

// decimal is a plain decimal number; strconv takes hexadecimal ones, NaN and
// infinities too.
var decimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$`)

func (r *reader) number(column string, needed bool, low, high float64, unit string) float64 {
	text := r.cell(column)
	if text == "" && !needed {
		return 0
	}
	x, err := strconv.ParseFloat(text, 64)
	switch {
	case text == "":
		r.fault(column, "is empty")
	case !decimal.MatchString(text) || err != nil:
		r.fault(column, "is not a number")
	case !(x >= low && x <= high):
		r.fault(column, "want %s to %s%s", number(low), number(high), unit)
	default:
		return x
	}
	return 0
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// size is the width of a pixel in km; 0: unknown. Landsat's tables, which have
// path and row, may count the pixels of the scene there: no widths.
func (r *reader) size(column string) float64 {
	if r.has("path") {
		r.number(column, false, 0, 1e6, "")
		return 0
	}
	return r.number(column, false, 0, 100, " km")
}

var (
	dayText  = regexp.MustCompile(`^(\d{4})[-/](\d{1,2})[-/](\d{1,2})$`)
	dayFirst = regexp.MustCompile(`^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}$`)
	// timeText takes what is left of HHMM when a program has read it as a number,
	// and what a person makes of it.
	timeText = regexp.MustCompile(`^(\d{1,4})(?:\.0+)?$`)
	clock    = regexp.MustCompile(`^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?$`)
)

// seen is when the satellite passed, in UTC.
func (r *reader) seen() time.Time {
	day, ok := r.day()
	minutes, ok2 := r.minutes()
	if !ok || !ok2 {
		return time.Time{}
	}
	t := day.Add(time.Duration(minutes) * time.Minute)
	switch {
	case t.After(r.now.Add(ahead)):
		column := "acq_time"
		if day.After(r.now.Add(ahead)) {
			column = "acq_date"
		}
		r.fault(column, "%s UTC is in the future: it is %s", t.Format("2006-01-02 15:04"), r.now.UTC().Format("2006-01-02 15:04"))
	case day.Year() < 1999: // before Terra
		r.fault("acq_date", "want a day since 1999")
	}
	return t
}

func (r *reader) day() (time.Time, bool) {
	text := r.cell("acq_date")
	m := dayText.FindStringSubmatch(text)
	switch {
	case text == "":
		r.fault("acq_date", "is empty")
		return time.Time{}, false
	case m == nil && dayFirst.MatchString(text):
		r.fault("acq_date", "day and month cannot be told apart; want YYYY-MM-DD")
		return time.Time{}, false
	case m == nil:
		r.fault("acq_date", "want YYYY-MM-DD")
		return time.Time{}, false
	}
	year, month, day := atoi(m[1]), atoi(m[2]), atoi(m[3])
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Year() != year || int(t.Month()) != month || t.Day() != day {
		r.fault("acq_date", "there is no such day")
		return time.Time{}, false
	}
	return t, true
}

func (r *reader) minutes() (int, bool) {
	text := r.cell("acq_time")
	var h, m int
	if c := clock.FindStringSubmatch(text); c != nil {
		h, m = atoi(c[1]), atoi(c[2])
	} else if d := timeText.FindStringSubmatch(text); d != nil {
		h, m = atoi(d[1])/100, atoi(d[1])%100
	} else {
		want := "want HHMM in UTC, like 0236"
		if text == "" {
			want = "is empty"
		}
		r.fault("acq_time", "%s", want)
		return 0, false
	}
	if h > 23 || m > 59 {
		r.fault("acq_time", "there is no %02d:%02d; want HHMM in UTC, 0000 to 2359", h, m)
		return 0, false
	}
	return h*60 + m, true
}

// atoi reads digits that a pattern has matched.
func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return math.MaxInt32
	}
	return n
}

var satelliteName = regexp.MustCompile(`^[\pL\pN][\pL\pN ._-]{0,19}$`)

// platform is the satellite and the instrument. Which instrument it was is told
// by its own column, by the satellite, or by which temperatures there are.
func (r *reader) platform() (satellite, instrument string) {
	text := r.cell("satellite")
	if text == "" {
		r.fault("satellite", "is empty")
		return "", ""
	}
	if !satelliteName.MatchString(text) {
		r.fault("satellite", "want a name like Terra, A, N or N20")
		return "", ""
	}
	// An archive read by a spreadsheet or by pandas may have 1.0 for 1.
	name := strings.TrimSuffix(strings.ToLower(text), ".0")
	s, known := satellites[strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name)]
	satellite, instrument = s.name, s.instrument
	if !known {
		satellite = text
	}
	switch said := strings.ToUpper(r.cell("instrument")); {
	case said == "":
	case known && strings.HasPrefix(said, instrument):
	case known:
		r.fault("instrument", "%s carries %s", satellite, instrument)
	case !satelliteName.MatchString(said):
		r.fault("instrument", "want MODIS, VIIRS or OLI")
	default:
		instrument = said
	}
	for _, t := range []struct{ column, instrument string }{{"bright_ti4", viirs}, {"brightness", modis}} {
		if r.cell(t.column) == "" {
			continue
		}
		if instrument == "" {
			instrument = t.instrument
		}
	}
	if instrument == "" && r.has("path") {
		instrument = oli
	}
	return satellite, instrument
}

// confidence is one of the classes, and the percentage where the file gives one.
// The limits of the classes are those of the MODIS Collection 6.1 user guide: low
// below 30 %, nominal below 80 %, high from there.
func (r *reader) confidence() (class string, percent int) {
	text := r.cell("confidence")
	switch strings.ToLower(text) {
	case "l", "low":
		return alerts.ConfidenceLow, -1
	case "n", "nominal", "m", "medium":
		return alerts.ConfidenceNominal, -1
	case "h", "high":
		return alerts.ConfidenceHigh, -1
	case "":
		r.fault("confidence", "is empty")
		return "", -1
	}
	x, err := strconv.ParseFloat(text, 64)
	if !decimal.MatchString(text) || err != nil {
		r.fault("confidence", "want 0 to 100, or low, nominal or high")
		return "", -1
	}
	if !(x >= 0 && x <= 100) {
		r.fault("confidence", "want 0 to 100")
		return "", -1
	}
	switch percent = int(math.Round(x)); {
	case x < 30:
		return alerts.ConfidenceLow, percent
	case x < 80:
		return alerts.ConfidenceNominal, percent
	}
	return alerts.ConfidenceHigh, percent
}

// kind is what the archive takes the pixel for.
func (r *reader) kind() alerts.PixelKind {
	switch strings.TrimSuffix(r.cell("type"), ".0") {
	case "":
		return alerts.PixelUnknown
	case "0":
		return alerts.PixelVegetation
	case "1":
		return alerts.PixelVolcano
	case "2":
		return alerts.PixelStatic
	case "3":
		return alerts.PixelOffshore
	}
	r.fault("type", "want 0 (vegetation), 1 (volcano), 2 (other static land source) or 3 (offshore)")
	return alerts.PixelUnknown
}
