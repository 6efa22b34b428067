package app

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"firewatch/alerts/danger"
)

// maxTableBytes bounds a table on standard input: several thousand years of days.
const maxTableBytes = 256 << 20

// A dangerTable is a CSV of days and what is added to it.
type dangerTable struct {
	inputs   []string // columns of numbers, beside date
	added    []string
	optional bool // an empty cell is a missing figure, NaN, and no fault
	rate     func(date danger.Date, values []float64) (ratedRow, error)
}

// ratedRow is what one day gives.
type ratedRow struct {
	cells []string // as many as are added
	link  danger.Link
	say   string // for standard error; empty: nothing
}

// rateTable reads a table from standard input and writes it with its ratings, once
// all of it is good: nothing is half-written.
func rateTable(e Env, t dangerTable) error {
	raw, err := io.ReadAll(io.LimitReader(e.Stdin, maxTableBytes+1))
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	if len(raw) > maxTableBytes {
		return fmt.Errorf("standard input is larger than %d MiB", maxTableBytes>>20)
	}
	out, said, err := t.convert(raw)
	if err != nil {
		return err
	}
	for _, s := range said {
		if _, err := fmt.Fprintln(e.Stderr, s); err != nil {
			return err
		}
	}
	_, err = e.Stdout.Write(out)
	return err
}

func (t dangerTable) convert(raw []byte) (out []byte, said []string, err error) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	r := csv.NewReader(bytes.NewReader(raw))
	r.FieldsPerRecord = -1 // judged here, so that the line is named and blank ones may end the table
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, errors.New("standard input is empty; want a first line with the columns date, " + strings.Join(t.inputs, ", "))
	}
	if err != nil {
		return nil, nil, tableError(err)
	}
	columns, err := t.columns(header)
	if err != nil {
		return nil, nil, err
	}
	// A table that was rated before is rated anew.
	own := append(slices.Clone(t.added), "chain")
	passed := make([]int, 0, len(header))
	for i, h := range header {
		if slices.Contains(own, columnName(h)) {
			said = append(said, fmt.Sprintf("column %s of the input is replaced", columnName(h)))
			continue
		}
		passed = append(passed, i)
	}
	var rows [][]string
	var links []string
	gaps, blank := false, 0
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, tableError(err)
		}
		line, _ := r.FieldPos(0)
		if !slices.ContainsFunc(record, func(c string) bool { return strings.TrimSpace(c) != "" }) {
			if blank == 0 {
				blank = line
			}
			continue // spreadsheets end a table so
		}
		if blank > 0 {
			return nil, nil, fmt.Errorf("line %d: empty, in the middle of the table", blank)
		}
		if len(record) != len(header) {
			return nil, nil, fmt.Errorf("line %d, column %s: %d cells, the first line has %d",
				line, columnName(header[min(len(record), len(header)-1)]), len(record), len(header))
		}
		row, err := t.rateRecord(record, columns)
		if err != nil {
			return nil, nil, cellError(line, err)
		}
		if row.say != "" {
			said = append(said, fmt.Sprintf("line %d: %s", line, row.say))
		}
		gaps = gaps || row.link == danger.LinkBridged || row.link == danger.LinkRestarted
		rows = append(rows, append(pick(record, passed), row.cells...))
		links = append(links, string(row.link))
	}
	head := append(pick(header, passed), t.added...)
	if gaps {
		head = append(head, "chain")
		for i := range rows {
			rows[i] = append(rows[i], links[i])
		}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(append([][]string{head}, rows...)); err != nil {
		return nil, nil, fmt.Errorf("writing the table: %w", err)
	}
	return b.Bytes(), said, nil
}

// columns finds date and the inputs by name.
func (t dangerTable) columns(header []string) ([]int, error) {
	at := make([]int, 0, len(t.inputs)+1)
	for _, name := range append([]string{"date"}, t.inputs...) {
		found := -1
		for i, h := range header {
			if columnName(h) != name {
				continue
			}
			if found >= 0 {
				return nil, fmt.Errorf("line 1, column %s: it is there twice", name)
			}
			found = i
		}
		if found < 0 {
			return nil, fmt.Errorf("line 1, column %s: it is missing; want date, %s", name, strings.Join(t.inputs, ", "))
		}
		at = append(at, found)
	}
	return at, nil
}

func (t dangerTable) rateRecord(record []string, columns []int) (ratedRow, error) {
	date, err := danger.ParseDate(strings.TrimSpace(record[columns[0]]))
	if err != nil {
		return ratedRow{}, err
	}
	values := make([]float64, len(t.inputs))
	for i, name := range t.inputs {
		cell := strings.TrimSpace(record[columns[i+1]])
		if cell == "" && t.optional {
			values[i] = math.NaN()
			continue
		}
		v, ok := decimal(cell)
		if !ok {
			if cell == "" {
				return ratedRow{}, &danger.InputError{Field: name, Value: "empty", Want: "a number"}
			}
			return ratedRow{}, &danger.InputError{Field: name, Value: strconv.Quote(cell), Want: "a number"}
		}
		values[i] = v
	}
	return t.rate(date, values)
}

// decimal reads a number as tables hold it. strconv alone would also take what a
// programmer writes: 0x1p4, 1_7, Inf.
func decimal(s string) (float64, bool) {
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// tableError names the line of a fault in the form of the table.
func tableError(err error) error {
	if p, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("line %d, column %d: %w", p.Line, p.Column, p.Err)
	}
	return fmt.Errorf("reading the table: %w", err)
}

func columnName(h string) string { return strings.ToLower(strings.TrimSpace(h)) }

func pick(record []string, at []int) []string {
	out := make([]string, 0, len(at)+8)
	for _, i := range at {
		out = append(out, record[i])
	}
	return out
}
