package firms

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"firewatch/alerts"
)

// Row is one line of a file.
type Row struct {
	alerts.Pixel
	Line int // from 1, the header included
}

// RowError is what is wrong with one value, or one line.
type RowError struct {
	Line   int // from 1, the header included
	Column string
	Value  string // as it is in the file, clipped; may be empty
	Want   string
}

// Error names the line and the column.
func (f *RowError) Error() string {
	s := fmt.Sprintf("line %d", f.Line)
	if f.Column != "" {
		s += ": " + f.Column
	}
	if f.Value != "" {
		s += fmt.Sprintf(" %q", f.Value)
	}
	return s + ": " + f.Want
}

// ahead is how far a satellite's time may be after ours: clocks differ.
const ahead = time.Hour

// MaxRows bounds a file. A day of the whole world has some 150,000.
const MaxRows = 1_000_000

// The columns that a file must have; the others are read where they are.
var required = []string{"latitude", "longitude", "acq_date", "acq_time", "satellite", "confidence"}

var known = append(slices.Clone(required), "brightness", "bright_t31", "bright_ti4", "bright_ti5", "scan", "track", "instrument", "frp", "daynight", "type", "path")

// Read reads a whole file. Err says why it cannot be read as a table of FIRMS at
// all; faults name every line that cannot be taken, and rows are the others, in
// the order of the file. Of a file without hotspots there are none of both. What
// was seen after now is a fault.
func Read(raw []byte, now time.Time) (rows []Row, faults []RowError, err error) {
	lines, err := split(raw)
	if err != nil {
		return nil, nil, err
	}
	var head *header
	for _, l := range lines {
		cells, err := l.cells(head)
		if head == nil {
			if err != nil {
				return nil, nil, &RowError{Line: l.number, Want: err.Error()}
			}
			if head, err = readHeader(l, cells); err != nil {
				return nil, nil, err
			}
			continue
		}
		if err != nil {
			faults = append(faults, RowError{Line: l.number, Want: err.Error()})
			continue
		}
		if len(rows)+len(faults) >= MaxRows {
			return nil, nil, &RowError{Line: l.number, Want: fmt.Sprintf("a file may have %d rows at most", MaxRows)}
		}
		if len(cells) != len(head.names) {
			faults = append(faults, RowError{Line: l.number, Want: fmt.Sprintf("want %d columns as in the header, there are %d", len(head.names), len(cells))})
			continue
		}
		r := reader{head: head, cells: cells, line: l.number, now: now}
		row := Row{Pixel: r.pixel(), Line: l.number}
		if len(r.faults) > 0 {
			faults = append(faults, r.faults...)
			continue
		}
		rows = append(rows, row)
	}
	if head == nil {
		return nil, nil, errors.New("the file is empty: want at least a line with the names of the columns")
	}
	return rows, faults, nil
}

type line struct {
	number int
	text   string
}

// split cuts the file into lines that are not empty. It takes the line ends of
// Windows and of old Macs, and a byte order mark.
func split(raw []byte) ([]line, error) {
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return nil, errors.New("the file is UTF-16: save it as CSV in UTF-8")
	}
	if bytes.HasPrefix(raw, []byte("PK\x03\x04")) {
		return nil, errors.New("the file is a ZIP archive or a workbook: give the CSV in it")
	}
	text := string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	var out []line
	n := 0
	for l := range strings.SplitSeq(text, "\n") {
		n++
		if strings.TrimSpace(l) != "" {
			out = append(out, line{n, l})
		}
	}
	return out, nil
}

// cells are the line's values without blanks around them. A value of FIRMS never
// holds a line end, so each line is read by itself and one broken line spoils no
// other.
func (l line) cells(head *header) ([]string, error) {
	sep := ','
	switch {
	case head != nil:
		sep = head.sep
	case !strings.Contains(l.text, ",") && strings.Contains(l.text, ";"):
		sep = ';'
	case !strings.Contains(l.text, ",") && strings.Contains(l.text, "\t"):
		sep = '\t'
	}
	if !utf8.ValidString(l.text) || strings.ContainsRune(l.text, 0) {
		return nil, errors.New("holds bytes that are no text in UTF-8")
	}
	var cells []string
	if strings.ContainsRune(l.text, '"') {
		r := csv.NewReader(strings.NewReader(l.text))
		r.Comma, r.TrimLeadingSpace = sep, true
		var err error
		if cells, err = r.Read(); err != nil {
			cause := err
			if at, ok := errors.AsType[*csv.ParseError](err); ok {
				cause = at.Err
			}
			return nil, fmt.Errorf("quotes: %w", cause)
		}
	} else {
		cells = strings.Split(l.text, string(sep))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, nil
}

// header says which column is where.
type header struct {
	names []string
	sep   rune
	at    map[string]int
}

func readHeader(l line, cells []string) (*header, error) {
	h := &header{names: cells, sep: ',', at: make(map[string]int)}
	for _, sep := range []rune{',', ';', '\t'} {
		if strings.ContainsRune(l.text, sep) {
			h.sep = sep
			break
		}
	}
	for i, name := range cells {
		name = strings.ToLower(name)
		if !slices.Contains(known, name) {
			continue
		}
		if _, twice := h.at[name]; twice {
			return nil, &RowError{Line: l.number, Column: name, Want: "the column is there twice"}
		}
		h.at[name] = i
	}
	var missing []string
	for _, name := range required {
		if _, ok := h.at[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) == len(required) {
		return nil, &RowError{Line: l.number, Value: clip(l.text), Want: "want the names of FIRMS' columns: latitude, longitude, acq_date, …"}
	}
	if len(missing) > 0 {
		return nil, &RowError{Line: l.number, Want: "missing columns: " + strings.Join(missing, ", ")}
	}
	return h, nil
}

func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
