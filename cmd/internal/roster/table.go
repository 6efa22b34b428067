package roster

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"firewatch/alerts"
)

// column is a column of a table: its name, other names that people give it, and
// whether it must be there.
type column struct {
	name     string
	also     []string
	required bool
}

// table is a CSV file, or a sheet of a workbook, that is being read.
type table struct {
	name    string
	changes bool           // it changes what is known and is not all there will be
	at      map[string]int // column name → field
	rows    []row
	f       *faults
	date    func(serial float64) (time.Time, error) // of a spreadsheet's number
}

// cell is one field.
type cell struct {
	text   string
	number bool // the spreadsheet holds a number, not a text
	date   bool // and shows it as a date
}

// row is one line of a table.
type row struct {
	t      *table
	fields []cell
	line   int
	where  string // devices.csv:12, 设备!12
}

func texts(fields []string) []cell {
	out := make([]cell, len(fields))
	for i, s := range fields {
		out[i].text = s
	}
	return out
}

// readCSV reads a CSV file of a folder; nil when it cannot be read at all.
func readCSV(fsys fs.FS, file string, columns []column, f *faults) *table {
	raw, err := readFile(fsys, file)
	if err != nil {
		f.add(file, "%w", err)
		return nil
	}
	t := parseCSV(file, raw, columns, f)
	if t != nil {
		t.changes = false
	}
	return t
}

func parseCSV(file string, raw []byte, columns []column, f *faults) *table {
	raw, err := toUTF8(raw)
	if err != nil {
		f.add(file, "%w", err)
		return nil
	}
	in := csv.NewReader(bytes.NewReader(raw))
	in.FieldsPerRecord, in.Comma = -1, separator(raw)
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		f.add(file, "is empty; want a header with %s", names(columns))
		return nil
	}
	if err != nil {
		f.add(file, "%w", err)
		return nil
	}
	t := &table{name: file, changes: true, at: map[string]int{}, f: f}
	if !t.header(head, 1, columns) {
		return nil
	}
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return t
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			t.fail(parse.Line, "", "column %d: %w; what follows was not read", parse.Column, parse.Err)
			return t
		}
		line, _ := in.FieldPos(0)
		if blank(fields) {
			continue
		}
		if len(fields) > len(head) && !blank(fields[len(head):]) {
			t.fail(line, "", "has %d fields, the header has %d", len(fields), len(head))
			continue
		}
		cells := make([]cell, len(head)) // who edits by hand leaves off the last, empty ones
		copy(cells, texts(fields[:min(len(fields), len(head))]))
		for i := range cells {
			cells[i].text = unguard(cells[i].text)
		}
		t.add(line, cells)
	}
}

// separator is what stands between the fields: a spreadsheet takes a semicolon
// where the system's settings say so, and “text, tab delimited” is CSV to people.
func separator(raw []byte) rune {
	head, _, _ := bytes.Cut(bytes.TrimLeft(raw, "\r\n"), []byte("\n"))
	for _, r := range ",;\t" {
		if bytes.ContainsRune(head, r) {
			return r
		}
	}
	return ','
}

func (t *table) add(line int, cells []cell) {
	t.rows = append(t.rows, row{t: t, fields: cells, line: line, where: t.where(line)})
}

func (t *table) where(line int) string {
	if t.date != nil {
		return fmt.Sprintf("%s!%d", t.name, line)
	}
	return fmt.Sprintf("%s:%d", t.name, line)
}

func (t *table) fail(line int, column, format string, args ...any) {
	t.f.put(fault{
		RowFault: alerts.RowFault{Sheet: t.name, Row: line, Column: column}, where: t.where(line), err: fmt.Errorf(format, args...),
	})
}

// header finds the columns by any of their names.
func (t *table) header(head []string, line int, columns []column) bool {
	ok := true
	for i, h := range head {
		h = plain(h)
		c := slices.IndexFunc(columns, func(c column) bool { return h == plain(c.name) || slices.Contains(c.also, h) })
		if c < 0 {
			if h != "" {
				t.fail(line, "", "column %q is not known; want %s", strings.TrimSpace(head[i]), names(columns))
				ok = false
			}
			continue
		}
		if _, twice := t.at[columns[c].name]; twice {
			t.fail(line, "", "column %s stands twice", columns[c].name)
			ok = false
		}
		t.at[columns[c].name] = i
	}
	for _, c := range columns {
		if _, has := t.at[c.name]; !has && c.required {
			t.fail(line, "", "column %s is missing", c.label())
			ok = false
		}
	}
	return ok
}

// plain is a header's name without what does not matter.
func plain(h string) string {
	h = strings.ToLower(strings.TrimSpace(h))
	return strings.NewReplacer(" ", "", "（", "(", "）", ")", "_", "").Replace(h)
}

func (c column) label() string {
	if len(c.also) == 0 {
		return c.name
	}
	return c.name + "（" + c.also[0] + "）"
}

func names(columns []column) string {
	var out []string
	for _, c := range columns {
		out = append(out, c.label())
	}
	return strings.Join(out, ", ")
}

func blank(fields []string) bool {
	return !slices.ContainsFunc(fields, func(s string) bool { return strings.TrimSpace(s) != "" })
}

func (r row) fail(column, format string, args ...any) {
	r.t.fail(r.line, column, format, args...)
}

// has reports whether the table has the column.
func (r row) has(name string) bool {
	_, has := r.t.at[name]
	return has
}

func (r row) cell(name string) cell {
	i, has := r.t.at[name]
	if !has || i >= len(r.fields) {
		return cell{}
	}
	return r.fields[i]
}

// text is a field without blanks around it; empty when the column is not there.
func (r row) text(name string) string {
	c := r.cell(name)
	s := strings.TrimSpace(c.text)
	if c.date {
		r.fail(name, "was made a date by the spreadsheet; format the column as text and enter it again")
		return ""
	}
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		r.fail(name, "%q has a control character or a line break", s)
	}
	if len(s) > 200 {
		r.fail(name, "has %d bytes, at most 200 are allowed", len(s))
	}
	return s
}

// must is a text that may not be empty.
func (r row) must(name string) string {
	s := r.text(name)
	if s == "" {
		r.fail(name, "is empty")
	}
	return s
}

// code is an area's code or a telephone number: Excel must not have made a
// number of it.
func (r row) code(name string) string {
	s := strings.TrimPrefix(r.text(name), "'")
	if notText(s) {
		r.fail(name, "%q was made a number by the spreadsheet; format the column as text and enter it again", s)
		return ""
	}
	return s
}

func notText(s string) bool {
	mantissa, exponent, found := strings.Cut(strings.ToUpper(s), "E+")
	return found && isDigits(strings.Replace(mantissa, ".", "", 1)) && isDigits(exponent)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// number is a field's number within the range; what stands in for an empty one.
func (r row) number(name string, empty, low, high float64, whole bool) float64 {
	s := r.text(name)
	if s == "" {
		return empty
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(x):
		r.fail(name, "%q is not a number", s)
	case x < low || x > high:
		r.fail(name, "%s is outside %v to %v", s, low, high)
	case whole && x != math.Trunc(x):
		r.fail(name, "%s is not a whole number", s)
	default:
		return x
	}
	return empty
}

// truth is a field's yes or no.
func (r row) truth(name string, empty bool) bool {
	switch s := strings.ToLower(r.text(name)); s {
	case "":
		return empty
	case "true", "1", "yes", "y", "是":
		return true
	case "false", "0", "no", "n", "否":
		return false
	default:
		r.fail(name, "%q; want true or false, 是 or 否", s)
		return empty
	}
}

// office is the time zone of dates without one: the office's.
var office = time.FixedZone("UTC+8", 8*3600)

// time is a field's date or time; zero when it is empty.
func (r row) time(name string) time.Time {
	c := r.cell(name)
	s := strings.TrimSpace(c.text)
	if s == "" {
		return time.Time{}
	}
	at, err := time.Time{}, error(nil)
	switch serial, isNumber := strconv.ParseFloat(s, 64); {
	case c.number && isNumber == nil && r.t.date != nil:
		if at, err = r.t.date(serial); err == nil { // the clock on the wall, to the second
			at = at.Round(time.Second)
			at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, office)
		}
	default:
		err = errors.New("no layout fits")
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006/1/2", "2006-1-2", "2006年1月2日", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006/1/2 15:04", "2006/1/2 15:04:05"} {
			if at, err = time.ParseInLocation(layout, s, office); err == nil {
				break
			}
		}
	}
	if err != nil || at.Year() < 2000 || at.Year() > 2200 {
		r.fail(name, "%q is no date; want one like 2026-03-14 or 2026-03-14T08:30:00+08:00", s)
		return time.Time{}
	}
	return at.UTC().Truncate(time.Millisecond)
}

// degrees are a row's lat and lon, NaN when what is wrong with them was said; has
// is false when both are empty.
func (r row) degrees() (lat, lon float64, has bool) {
	if r.text("lat") == "" && r.text("lon") == "" {
		return 0, 0, false
	}
	nan := math.NaN()
	if r.text("lat") == "" || r.text("lon") == "" {
		r.fail("lat, lon", "only one of the two is given")
		return nan, nan, true
	}
	const all = math.MaxFloat64 // the check of the place has a better word for it
	return r.number("lat", nan, -all, all, false), r.number("lon", nan, -all, all, false), true
}

// checkPlace says what is wrong with a place, unless that was said.
func (r row) checkPlace(lat, lon float64) {
	if math.IsNaN(lat) || math.IsNaN(lon) {
		return
	}
	if err := alerts.CheckPlace(lat, lon); err != nil {
		r.fail("lat, lon", "%w", err)
	}
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("is missing in the folder")
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("is larger than %d MiB", maxFile>>20)
	}
	return raw, err
}

var errEncoding = errors.New("is not UTF-8; in Excel save it as “CSV UTF-8（逗号分隔）”, in WPS choose the encoding UTF-8")

// toUTF8 takes the byte order mark off, and converts GBK, which Excel writes on
// Chinese Windows.
func toUTF8(raw []byte) ([]byte, error) {
	if bytes.HasPrefix(raw, []byte{0xff, 0xfe}) || bytes.HasPrefix(raw, []byte{0xfe, 0xff}) {
		return nil, fmt.Errorf("is UTF-16: it %w", errEncoding)
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if utf8.Valid(raw) {
		return raw, nil
	}
	// Chinese text of UTF-8 with a broken byte in it must not be read as GBK.
	good, bad := 0, 0
	for rest := raw; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n >= 3:
			good++
		}
		rest = rest[n:]
	}
	if good > bad {
		return nil, errEncoding
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return nil, errEncoding
	}
	return out, nil
}
