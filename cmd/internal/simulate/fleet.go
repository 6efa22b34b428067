package simulate

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// Member is one device of a fleet, with its credential.
type Member struct {
	ID       contract.DeviceID
	Kind     contract.Kind
	Secret   string
	Lat, Lon float64       // a sensor's site, the middle of a warden's beat; degrees, WGS-84
	Area     string        // code of a township
	Expect   time.Duration // 0: not on duty
}

// Terminal is the terminal of a team, with its credential.
type Terminal struct {
	Team   contract.TeamID
	Secret string
}

var (
	fleetColumns    = []string{"id", "kind", "secret", "lat", "lon", "area", "expect_s"}
	terminalColumns = []string{"team", "secret"}
)

// WriteFleet writes the fleet as CSV: id,kind,secret,lat,lon,area,expect_s.
func WriteFleet(w io.Writer, fleet []Member) error {
	rows := make([][]string, 0, len(fleet)+1)
	rows = append(rows, fleetColumns)
	for _, m := range fleet {
		rows = append(rows, []string{
			string(m.ID), m.Kind.String(), m.Secret, number(m.Lat), number(m.Lon), m.Area, number(m.Expect.Seconds()),
		})
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("writing the fleet: %w", err)
	}
	return nil
}

// ReadFleet reads what WriteFleet writes. All errors are reported, with their
// lines.
func ReadFleet(r io.Reader) ([]Member, error) {
	var fleet []Member
	seen := map[contract.DeviceID]int{}
	err := readRows(r, fleetColumns, func(line int, f func(string) string) error {
		m := Member{ID: contract.DeviceID(f("id")), Secret: f("secret"), Area: f("area")}
		var errs [5]error
		errs[0] = m.ID.Validate()
		m.Kind, errs[1] = contract.ParseKind(f("kind"))
		m.Lat, errs[2] = parseNumber("lat", f("lat"), 90)
		m.Lon, errs[3] = parseNumber("lon", f("lon"), 180)
		expect, err := parseNumber("expect_s", f("expect_s"), 1e9)
		if err == nil && expect < 0 {
			err = fmt.Errorf("expect_s: %v is negative", expect)
		}
		errs[4] = err
		m.Expect = time.Duration(math.Round(expect * float64(time.Second)))
		if before, twice := seen[m.ID]; twice {
			return fmt.Errorf("device %s stands already in line %d", m.ID, before)
		}
		seen[m.ID] = line
		fleet = append(fleet, m)
		return errors.Join(errs[:]...)
	})
	if err != nil {
		return nil, err
	}
	return fleet, nil
}

// WriteTerminals writes the terminals as CSV: team,secret.
func WriteTerminals(w io.Writer, terminals []Terminal) error {
	rows := make([][]string, 0, len(terminals)+1)
	rows = append(rows, terminalColumns)
	for _, t := range terminals {
		rows = append(rows, []string{string(t.Team), t.Secret})
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("writing the terminals: %w", err)
	}
	return nil
}

// ReadTerminals reads what WriteTerminals writes.
func ReadTerminals(r io.Reader) ([]Terminal, error) {
	var terminals []Terminal
	seen := map[contract.TeamID]int{}
	err := readRows(r, terminalColumns, func(line int, f func(string) string) error {
		t := Terminal{Team: contract.TeamID(f("team")), Secret: f("secret")}
		if before, twice := seen[t.Team]; twice {
			return fmt.Errorf("team %s stands already in line %d", t.Team, before)
		}
		seen[t.Team] = line
		terminals = append(terminals, t)
		return t.Team.Validate()
	})
	if err != nil {
		return nil, err
	}
	return terminals, nil
}

// maxErrors bounds what is said about one file.
const maxErrors = 20

// readRows reads CSV whose header holds the columns in any order.
func readRows(r io.Reader, columns []string, row func(line int, field func(string) string) error) error {
	in := bufio.NewReader(r)
	if bom, err := in.Peek(3); err == nil && string(bom) == "\ufeff" {
		_, _ = in.Discard(3) // it was peeked at
	}
	rows := csv.NewReader(in)
	rows.FieldsPerRecord = -1
	head, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the file is empty; want the columns %s", strings.Join(columns, ","))
	}
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	at := make(map[string]int, len(columns))
	for _, c := range columns {
		i := slices.IndexFunc(head, func(s string) bool { return strings.TrimSpace(s) == c })
		if i < 0 {
			return fmt.Errorf("line 1: column %s is missing; want %s", c, strings.Join(columns, ","))
		}
		at[c] = i
	}
	var errs []error
	for {
		rec, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		line, _ := rows.FieldPos(0)
		if len(rec) != len(head) {
			err = fmt.Errorf("has %d fields, the header has %d", len(rec), len(head))
		} else {
			err = row(line, func(c string) string { return strings.TrimSpace(rec[at[c]]) })
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", line, err))
		}
		if len(errs) >= maxErrors {
			return errors.Join(append(errs, errors.New("and perhaps more"))...)
		}
	}
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func parseNumber(what, s string, limit float64) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || math.Abs(x) > limit {
		return 0, fmt.Errorf("%s: %q is not a number up to %v", what, s, limit)
	}
	return x, nil
}
