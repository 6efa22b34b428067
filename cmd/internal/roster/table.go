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
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// column is a column of a table: its name, other names that people give it, and
// whether it must be there.
type column struct {
	name     string
	also     []string
	required bool
}

// table is a CSV file that is being read.
type table struct {
	file string
	at   map[string]int // column name → field
	rows []row
}

// row is one line of a table.
type row struct {
	t      *table
	fields []string
	where  string // file:line
	f      *faults
}

// readTable reads a CSV file; nil when it cannot be read at all.
func readTable(fsys fs.FS, file string, columns []column, f *faults) *table {
	raw, err := readFile(fsys, file)
	if err != nil {
		f.add(file, "%w", err)
		return nil
	}
	if raw, err = toUTF8(raw); err != nil {
		f.add(file, "%w", err)
		return nil
	}
	in := csv.NewReader(bytes.NewReader(raw))
	in.FieldsPerRecord = -1
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		f.add(file, "is empty; want a header with %s", names(columns))
		return nil
	}
	if err != nil {
		f.add(file, "%w", err)
		return nil
	}
	t := &table{file: file, at: map[string]int{}}
	if !t.header(head, columns, f) {
		return nil
	}
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return t
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			f.add(fmt.Sprintf("%s:%d", file, parse.Line), "column %d: %w; what follows was not read", parse.Column, parse.Err)
			return t
		}
		line, _ := in.FieldPos(0)
		if blank(fields) {
			continue
		}
		where := fmt.Sprintf("%s:%d", file, line)
		if len(fields) > len(head) || len(fields) < len(head) {
			f.add(where, "has %d fields, the header has %d", len(fields), len(head))
			continue
		}
		t.rows = append(t.rows, row{t: t, fields: fields, where: where, f: f})
	}
}

// header finds the columns by any of their names.
func (t *table) header(head []string, columns []column, f *faults) bool {
	where := t.file + ":1"
	ok := true
	for i, h := range head {
		h = plain(h)
		c := slices.IndexFunc(columns, func(c column) bool { return h == plain(c.name) || slices.Contains(c.also, h) })
		if c < 0 {
			if h != "" {
				f.add(where, "column %q is not known; want %s", strings.TrimSpace(head[i]), names(columns))
				ok = false
			}
			continue
		}
		if _, twice := t.at[columns[c].name]; twice {
			f.add(where, "column %s stands twice", columns[c].name)
			ok = false
		}
		t.at[columns[c].name] = i
	}
	for _, c := range columns {
		if _, has := t.at[c.name]; !has && c.required {
			f.add(where, "column %s is missing", c.label())
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
	r.f.add(r.where, column+": "+format, args...)
}

// text is a field without blanks around it; empty when the column is not there.
func (r row) text(name string) string {
	i, has := r.t.at[name]
	if !has {
		return ""
	}
	s := strings.TrimSpace(r.fields[i])
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

// place is a row's lat and lon; has is false when both are empty.
func (r row) place() (lat, lon float64, has bool) {
	if r.text("lat") == "" && r.text("lon") == "" {
		return 0, 0, false
	}
	if r.text("lat") == "" || r.text("lon") == "" {
		r.fail("lat, lon", "only one of the two is given")
		return 0, 0, true
	}
	nan := math.NaN()
	lat, lon = r.number("lat", nan, -180, 180, false), r.number("lon", nan, -180, 180, false)
	if math.IsNaN(lat) || math.IsNaN(lon) {
		return 0, 0, true
	}
	if why := badPlace(lat, lon); why != "" {
		r.fail("lat, lon", "%s", why)
	}
	return lat, lon, true
}

// badPlace says why a place cannot be in China; empty when it can.
func badPlace(lat, lon float64) string {
	switch {
	case inChina(lat, lon):
		return ""
	case inChina(lon, lat):
		return fmt.Sprintf("%v, %v are swapped: lat is degrees north, lon degrees east", lat, lon)
	}
	return fmt.Sprintf("%v, %v is not in China; want degrees of WGS-84 as decimals", lat, lon)
}

func inChina(lat, lon float64) bool { return lat >= 3 && lat <= 54 && lon >= 73 && lon <= 136 }

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
