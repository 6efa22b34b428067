package rehearsal

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// CSVReader reads readings of a table. Columns, in any order:
//
//	device    id
//	time      when it was measured: RFC 3339, or YYYY-MM-DD HH:MM[:SS] in local time
//	received  when it came; without the column, or empty: when it was measured
//	class     position, sos, report, environment or status; empty: by the device
//	kind      tracker or sensor; needed only for a device that is not registered
//	code      SOS cause, category of a report
//	text      words of a warden
//
// and fields by their names on the wire (temp_c, co_ppm, …), true and false as 1
// and 0. An empty cell is no value. The rows rise by time or by received.
type CSVReader struct {
	name    string
	rows    *csv.Reader
	columns []csvColumn
	device  func(contract.DeviceID) (contract.Kind, bool)
	lastM   time.Time
	lastR   time.Time
	jumpM   bool // the measured times do not rise
	jumpR   bool
}

type csvColumn struct {
	name  string
	field contract.Field
	known bool
}

var csvWords = []string{"device", "time", "received", "class", "kind", "code", "text"}

// NewCSVReader reads the header. device tells the kind of a registered device;
// name begins every error.
func NewCSVReader(name string, r io.Reader, device func(contract.DeviceID) (contract.Kind, bool)) (*CSVReader, error) {
	c := &CSVReader{name: name, rows: csv.NewReader(r), device: device}
	c.rows.ReuseRecord = true
	head, err := c.rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%s:1: reading the header: %w", name, plain(err))
	}
	for i, h := range head {
		h = strings.TrimSpace(h)
		if i == 0 {
			h = strings.TrimPrefix(h, "\ufeff")
		}
		f, known := contract.FieldByName(h)
		if !known && !slices.Contains(csvWords, h) {
			return nil, fmt.Errorf("%s:1: column %q: want %s, or a field's name on the wire", name, h, strings.Join(csvWords, ", "))
		}
		if slices.ContainsFunc(c.columns, func(o csvColumn) bool { return o.name == h }) {
			return nil, fmt.Errorf("%s:1: column %q is there twice", name, h)
		}
		c.columns = append(c.columns, csvColumn{h, f, known})
	}
	for _, need := range []string{"device", "time"} {
		if !slices.ContainsFunc(c.columns, func(o csvColumn) bool { return o.name == need }) {
			return nil, fmt.Errorf("%s:1: column %s is missing", name, need)
		}
	}
	return c, nil
}

// plain is a fault of the csv package without its line, which we name ourselves.
func plain(err error) error {
	if pe, ok := errors.AsType[*csv.ParseError](err); ok {
		return pe.Err
	}
	return err
}

func lineOf(err error) int {
	if pe, ok := errors.AsType[*csv.ParseError](err); ok {
		return pe.Line
	}
	return 1
}

// Next is a Stream.
func (c *CSVReader) Next(context.Context) (x contract.Reading, ok bool, err error) {
	cells, err := c.rows.Read()
	if errors.Is(err, io.EOF) {
		return x, false, nil
	}
	if err != nil {
		return x, false, fmt.Errorf("%s:%d: %w", c.name, lineOf(err), plain(err))
	}
	line, _ := c.rows.FieldPos(0)
	if err := c.row(cells, &x); err != nil {
		return x, false, fmt.Errorf("%s:%d: %w", c.name, line, err)
	}
	c.jumpM = c.jumpM || x.Measured.Before(c.lastM)
	c.jumpR = c.jumpR || x.Received.Before(c.lastR)
	c.lastM, c.lastR = x.Measured, x.Received
	if c.jumpM && c.jumpR {
		return x, false, fmt.Errorf("%s:%d: neither time nor received rises: sort the rows by one of them", c.name, line)
	}
	return x, true, nil
}

func (c *CSVReader) row(cells []string, x *contract.Reading) error {
	for i, col := range c.columns {
		cell := strings.TrimSpace(cells[i])
		if cell == "" {
			continue
		}
		var err error
		switch {
		case col.known:
			var v float64
			if v, err = csvNumber(cell); err == nil {
				if err = col.field.Check(v); err == nil {
					x.Values.Set(col.field, v)
				}
			}
		default:
			err = c.word(col.name, cell, x)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", col.name, err)
		}
	}
	if x.Measured.IsZero() {
		return errors.New("column time: is empty")
	}
	if x.Received.IsZero() {
		x.Received = x.Measured
	}
	if kind, known := c.device(x.Device); known {
		x.Kind = kind
	}
	if x.Kind == 0 {
		x.Kind = contract.Sensor
	}
	if x.Class == 0 {
		x.Class = contract.Environment
		if x.Kind == contract.Tracker {
			x.Class = contract.Position
		}
	}
	if contract.Uplink(x.Kind, x.Class, x.Device) == "" {
		return fmt.Errorf("column class: a %s has no readings of class %s", x.Kind, x.Class)
	}
	return nil
}

func (c *CSVReader) word(name, cell string, x *contract.Reading) (err error) {
	switch name {
	case "device":
		x.Device = contract.DeviceID(cell)
		err = x.Device.Validate()
	case "time":
		x.Measured, err = ParseTime(cell)
	case "received":
		x.Received, err = ParseTime(cell)
	case "class":
		x.Class, err = contract.ParseClass(cell)
	case "kind":
		x.Kind, err = contract.ParseKind(cell)
	case "code":
		x.Code = cell
	case "text":
		x.Text = cell
	}
	return err
}

func csvNumber(cell string) (float64, error) {
	switch cell {
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || v != v {
		return 0, fmt.Errorf("%q is no number", cell)
	}
	return v, nil
}

// ParseTime reads RFC 3339, and YYYY-MM-DD with HH:MM or HH:MM:SS or nothing
// behind a blank or a T in local time.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02 15:04:05.999", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, alerts.Zone); err == nil {
			return t.Truncate(time.Millisecond).UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time like 2026-03-14T08:00:00+08:00 or 2026-03-14 08:00", text)
}

// Fire is a fire that is known to have been.
type Fire struct {
	Name     string
	Time     time.Time // when it began
	Lat, Lon float64
}

// ReadFires reads a table of fires with the columns time, lat, lon and name, in any
// order; name may be left out.
func ReadFires(name string, r io.Reader) ([]Fire, error) {
	rows := csv.NewReader(r)
	head, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%s:1: reading the header: %w", name, plain(err))
	}
	at := make(map[string]int)
	for i, h := range head {
		h = strings.TrimPrefix(strings.TrimSpace(h), "\ufeff")
		if !slices.Contains([]string{"time", "lat", "lon", "name"}, h) {
			return nil, fmt.Errorf("%s:1: column %q: want time, lat, lon or name", name, h)
		}
		at[h] = i
	}
	for _, need := range []string{"time", "lat", "lon"} {
		if _, has := at[need]; !has {
			return nil, fmt.Errorf("%s:1: column %s is missing", name, need)
		}
	}
	var out []Fire
	for {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, lineOf(err), plain(err))
		}
		line, _ := rows.FieldPos(0)
		var f Fire
		if f.Time, err = ParseTime(strings.TrimSpace(cells[at["time"]])); err != nil {
			return nil, fmt.Errorf("%s:%d: column time: %w", name, line, err)
		}
		for _, c := range []struct {
			name  string
			field contract.Field
			to    *float64
		}{{"lat", contract.Lat, &f.Lat}, {"lon", contract.Lon, &f.Lon}} {
			if *c.to, err = csvNumber(strings.TrimSpace(cells[at[c.name]])); err == nil {
				err = c.field.Check(*c.to)
			}
			if err != nil {
				return nil, fmt.Errorf("%s:%d: column %s: %w", name, line, c.name, err)
			}
		}
		if i, has := at["name"]; has {
			f.Name = strings.TrimSpace(cells[i])
		}
		out = append(out, f)
	}
}
