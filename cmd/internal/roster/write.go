package roster

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"firewatch/alerts"
)

// Write writes the roster as the files that Read reads, without any credential.
// The CSV files begin with a byte order mark, so that Excel shows Chinese.
func Write(dir string, r alerts.Roster) error {
	areas, err := areasFile(r)
	if err != nil {
		return fmt.Errorf("writing %s: %w", areasJSON, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // holds no secrets
		return fmt.Errorf("writing the roster: %w", err)
	}
	return errors.Join(writeFile(dir, areasJSON, areas), writeTable(dir, teamsCSV, teamRows(r.Teams)), writeTable(dir, devicesCSV, deviceRows(r.Devices)))
}

// areasFile is one feature a line, so that a change can be read.
func areasFile(r alerts.Roster) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"type":"FeatureCollection",`)
	if r.Demo {
		b.WriteString(`"demo":true,`)
	}
	b.WriteString(`"features":[`)
	for i, a := range r.Areas {
		geometry := a.Outline
		if len(geometry) == 0 {
			geometry = json.RawMessage("null")
		}
		line, err := json.Marshal(feature{
			Type: "Feature", Geometry: geometry,
			Properties: properties{Code: a.Code, Name: a.Name, Level: a.Level, Parent: a.Parent, Lat: &a.Lat, Lon: &a.Lon, Surveyed: &a.Surveyed},
		})
		if err != nil {
			return nil, fmt.Errorf("area %s: %w", a.Code, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

func areaRows(r alerts.Roster) [][]string {
	rows := [][]string{{"code", "name", "level", "parent", "lat", "lon", "demo"}}
	for _, a := range r.Areas {
		rows = append(rows, []string{a.Code, a.Name, string(a.Level), a.Parent, number(a.Lat), number(a.Lon), strconv.FormatBool(r.Demo)})
	}
	return rows
}

func teamRows(ts []alerts.Team) [][]string {
	rows := [][]string{{"id", "name", "kind", "area", "lat", "lon", "members", "contact", "phone"}}
	for _, t := range ts {
		rows = append(rows, []string{
			string(t.ID), t.Name, string(t.Kind), t.Area, number(t.Lat), number(t.Lon), strconv.Itoa(t.Members), t.Contact, t.Phone,
		})
	}
	return rows
}

func deviceRows(ds []alerts.Device) [][]string {
	rows := [][]string{{
		"id", "kind", "area", "name", "site", "phone", "lat", "lon", "expect_s", "disabled",
		"model", "alias", "firmware", "calibration", "calibrated_at",
	}}
	for _, d := range ds {
		calibrated := ""
		if !d.CalibratedAt.IsZero() {
			calibrated = d.CalibratedAt.In(office).Format(time.RFC3339Nano)
		}
		rows = append(rows, []string{
			string(d.ID), d.Kind.String(), d.Area, d.Name, d.Site, d.Phone, number(d.Lat), number(d.Lon),
			number(float64(d.Expect.Milliseconds()) / 1000), strconv.FormatBool(d.Disabled),
			d.Model, d.Alias, d.Firmware, d.Calibration.String(), calibrated,
		})
	}
	return rows
}

func writeTable(dir, name string, rows [][]string) error {
	raw, err := csvTable(rows)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return writeFile(dir, name, raw)
}

// csvTable is the rows as CSV that a spreadsheet opens without harm.
func csvTable(rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	for _, fields := range rows {
		safe := make([]string, len(fields))
		for i, s := range fields {
			safe[i] = guard(s)
		}
		if err := w.Write(safe); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// writeFile replaces the file as a whole.
func writeFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil { // names and telephone numbers
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
