package roster

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// The formats of tables.
const (
	FormatCSV  = "csv"
	FormatXLSX = "xlsx"
)

// Bounds of a workbook: what it is unpacked, in bytes, and its sheets' lines and
// columns. 30,000 devices need 15 MiB.
const (
	maxUnzip   = 48 << 20
	maxLines   = 100_000
	maxColumns = 100
)

// The sheets of a workbook, under any of their names.
var (
	areasSheet   = []string{"areas", "区划", "区域"}
	teamsSheet   = []string{"teams", "队伍"}
	devicesSheet = []string{"devices", "设备"}
)

// book is a workbook that is being read.
type book struct {
	name  string
	file  *excelize.File
	epoch bool // its dates count from 1904
	dates map[int]bool
	f     *faults
}

// openBook opens a workbook within bounds; nil when it is none.
func openBook(name string, raw []byte, f *faults) *book {
	x, err := excelize.OpenReader(bytes.NewReader(raw), excelize.Options{
		RawCellValue: true, UnzipSizeLimit: maxUnzip, UnzipXMLSizeLimit: maxUnzip,
	})
	switch {
	case bytes.HasPrefix(raw, []byte("\xd0\xcf\x11\xe0")):
		err = errors.New("is protected by a password, or of the old format .xls; save it as .xlsx without one")
	case err != nil:
		err = fmt.Errorf("is no workbook that can be read: %w", err)
	}
	if err != nil {
		if x != nil {
			_ = x.Close() // it was never used
		}
		f.add(name, "%w", err)
		return nil
	}
	b := &book{name: name, file: x, dates: map[int]bool{}, f: f}
	if props, err := x.GetWorkbookProps(); err == nil && props.Date1904 != nil {
		b.epoch = *props.Date1904
	}
	return b
}

func (b *book) close() { _ = b.file.Close() } // nothing was written

// table reads a sheet; nil when it cannot be read at all. only: a workbook of one
// sheet needs no name for it.
func (b *book) table(sheetNames []string, columns []column, only bool) *table {
	sheets, hidden := b.sheets()
	i := slices.IndexFunc(sheets, func(s string) bool { return slices.Contains(sheetNames, strings.ToLower(strings.TrimSpace(s))) })
	if i < 0 && only && len(sheets) == 1 {
		i = 0
	}
	if i < 0 {
		want := strings.Join(sheetNames, "（") + strings.Repeat("）", len(sheetNames)-1)
		if len(hidden) > 0 {
			b.f.add(b.name, "has no sheet %s that is shown; hidden sheets are not read: %s", want, strings.Join(hidden, ", "))
			return nil
		}
		b.f.add(b.name, "has no sheet %s", want)
		return nil
	}
	t := &table{name: sheets[i], changes: only, at: map[string]int{}, f: b.f}
	t.date = func(serial float64) (time.Time, error) { return excelize.ExcelDateToTime(serial, b.epoch) }
	rows, err := b.file.Rows(t.name)
	if err != nil {
		t.fail(0, "", "cannot be read: %w", err)
		return nil
	}
	defer rows.Close() //nolint:errcheck // nothing was written
	head := 0
	for line := 1; rows.Next(); line++ {
		if line > maxLines {
			t.fail(line, "", "the sheet has more than %d lines", maxLines)
			return t
		}
		fields, err := rows.Columns()
		if err != nil {
			t.fail(line, "", "cannot be read: %w", err)
			return t
		}
		for len(fields) > 0 && strings.TrimSpace(fields[len(fields)-1]) == "" {
			fields = fields[:len(fields)-1]
		}
		switch {
		case len(fields) > maxColumns:
			t.fail(line, "", "has more than %d columns", maxColumns)
			return t
		case head == 0 && len(fields) == 0: // people leave the first lines empty
		case head == 0:
			if head = len(fields); !t.header(fields, line, columns) {
				return nil
			}
		case len(fields) > head:
			t.fail(line, "", "has %d fields, the header has %d", len(fields), head)
		default:
			b.line(t, line, fields, head)
		}
	}
	if err := rows.Error(); err != nil {
		t.fail(0, "", "cannot be read: %w", err)
	}
	if head == 0 {
		t.fail(0, "", "is empty; want a header with %s", names(columns))
		return nil
	}
	return t
}

// sheets are the names of those that people see, and of those that are hidden: what
// nobody sees is not what anybody means to import.
func (b *book) sheets() (shown, hidden []string) {
	for _, s := range b.file.GetSheetList() {
		if visible, err := b.file.GetSheetVisible(s); err == nil && !visible {
			hidden = append(hidden, s)
			continue
		}
		shown = append(shown, s)
	}
	return shown, hidden
}

// line adds a line unless it is empty.
func (b *book) line(t *table, line int, fields []string, width int) {
	cells := make([]cell, width)
	full := false
	for i := range cells {
		text := ""
		if i < len(fields) {
			text = fields[i]
		}
		var err error
		if cells[i], err = b.cell(t.name, i+1, line, text); err != nil {
			t.fail(line, t.column(i), "%w", err)
		}
		full = full || cells[i].text != ""
	}
	if full {
		t.add(line, cells)
	}
}

// column is the name of the column at i; its letter when it has none.
func (t *table) column(i int) string {
	for name, at := range t.at {
		if at == i {
			return name
		}
	}
	letter, _ := excelize.ColumnNumberToName(i + 1)
	return letter
}

// cell reads one field as it is kept, not as it is shown. A formula counts by the
// value that the spreadsheet computed when it saved the file.
func (b *book) cell(sheet string, column, line int, text string) (cell, error) {
	name, err := excelize.CoordinatesToCellName(column, line)
	if err != nil {
		return cell{}, err
	}
	if strings.TrimSpace(text) == "" {
		if formula, err := b.file.GetCellFormula(sheet, name); err == nil && formula != "" {
			return cell{}, errors.New("is a formula without a value; put its value there")
		}
		return cell{}, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil && text[0] != '#' {
		return cell{text: text}, nil // whatever type it has, it is a text; to ask takes long
	}
	kind, err := b.file.GetCellType(sheet, name)
	if err != nil {
		return cell{}, err
	}
	switch kind {
	case excelize.CellTypeBool:
		if text == "1" || strings.EqualFold(text, "true") {
			return cell{text: "true"}, nil
		}
		return cell{text: "false"}, nil
	case excelize.CellTypeError:
		return cell{}, fmt.Errorf("holds the error %s", clip(text))
	case excelize.CellTypeUnset, excelize.CellTypeNumber:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return cell{text: text}, nil //nolint:nilerr // then it is a text
		}
		c := cell{text: text, number: true, date: b.isDate(sheet, name)}
		if x > -1e15 && x < 1e15 { // exact to the last digit; beyond, the spreadsheet has rounded
			c.text = strconv.FormatFloat(x, 'f', -1, 64)
		} else {
			c.text = strconv.FormatFloat(x, 'E', -1, 64)
		}
		return c, nil
	case excelize.CellTypeDate, excelize.CellTypeFormula, excelize.CellTypeInlineString, excelize.CellTypeSharedString:
	}
	return cell{text: text}, nil
}

// isDate reports whether the cell is shown as a date or a time.
func (b *book) isDate(sheet, name string) bool {
	id, err := b.file.GetCellStyle(sheet, name)
	if err != nil || id == 0 {
		return false
	}
	if known, ok := b.dates[id]; ok {
		return known
	}
	style, err := b.file.GetStyle(id)
	if err != nil {
		return false
	}
	n := style.NumFmt // ECMA-376 part 1, 18.8.30; 27 to 36 and 50 to 58 are those of East Asia
	is := n >= 14 && n <= 22 || n >= 27 && n <= 36 || n >= 45 && n <= 47 || n >= 50 && n <= 58
	if style.CustomNumFmt != nil {
		is = dateFormat(*style.CustomNumFmt)
	}
	b.dates[id] = is
	return is
}

// dateFormat reports whether a number format shows a year, a day, an hour or a
// second. What stands in quotes or brackets, or behind a backslash, does not count.
func dateFormat(format string) bool {
	var quoted, bracketed, escaped bool
	for _, r := range strings.ToLower(format) {
		switch {
		case escaped:
			escaped = false
		case r == '\\' || r == '_':
			escaped = true
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '[':
			bracketed = true
		case r == ']':
			bracketed = false
		case bracketed:
		case strings.ContainsRune("ydhs", r):
			return true
		}
	}
	return false
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
