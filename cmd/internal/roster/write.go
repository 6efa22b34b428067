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

	"firewatch/alerts"
)

// Write writes the roster as the files that Read reads, without any credential.
// The CSV files begin with a byte order mark, so that Excel shows Chinese.
func Write(dir string, r alerts.Roster) error {
	areas, err := areasFile(r)
	if err != nil {
		return fmt.Errorf("writing %s: %w", areasJSON, err)
	}
	teams := [][]string{{"id", "name", "kind", "area", "lat", "lon", "members", "contact", "phone"}}
	for _, t := range r.Teams {
		teams = append(teams, []string{
			string(t.ID), t.Name, string(t.Kind), t.Area, number(t.Lat), number(t.Lon), strconv.Itoa(t.Members), t.Contact, t.Phone,
		})
	}
	devices := [][]string{{"id", "kind", "area", "name", "phone", "lat", "lon", "expect_s", "disabled"}}
	for _, d := range r.Devices {
		devices = append(devices, []string{
			string(d.ID), d.Kind.String(), d.Area, d.Name, d.Phone, number(d.Lat), number(d.Lon),
			number(float64(d.Expect.Milliseconds()) / 1000), strconv.FormatBool(d.Disabled),
		})
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // holds no secrets
		return fmt.Errorf("writing the roster: %w", err)
	}
	return errors.Join(writeFile(dir, areasJSON, areas), writeTable(dir, teamsCSV, teams), writeTable(dir, devicesCSV, devices))
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

func writeTable(dir, name string, rows [][]string) error {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return writeFile(dir, name, b.Bytes())
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
