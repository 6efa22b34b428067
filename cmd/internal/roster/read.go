package roster

import (
	"errors"
	"fmt"
	"io/fs"

	"firewatch/alerts"
)

// The files of a roster. Areas are in one of the first two.
const (
	areasJSON  = "areas.geojson"
	areasCSV   = "areas.csv"
	teamsCSV   = "teams.csv"
	devicesCSV = "devices.csv"
)

// maxFile bounds a file, and maxErrors what is said about a folder.
const (
	maxFile   = 256 << 20
	maxErrors = 1000
)

// Read reads the folder's areas.geojson (or areas.csv, without outlines),
// teams.csv and devices.csv, and checks them as a whole. All that is wrong is
// reported at once, each with its file and line or feature; nothing is returned
// then.
//
// CSV is UTF-8, with or without a byte order mark, or GBK as Excel saves it.
// Columns come in any order, under their English or Chinese names. A team or
// device without a secret keeps the one that the store has.
func Read(fsys fs.FS) (alerts.Roster, error) { return ReadOver(fsys, alerts.Roster{}) }

// ReadOver is Read for an office that has a roster: what a device of the folder
// is in columns that devices.csv has not, it stays.
func ReadOver(fsys fs.FS, have alerts.Roster) (alerts.Roster, error) {
	var f faults
	var r alerts.Roster
	var areas map[string]placed
	r.Areas, r.Demo, areas = readAreas(fsys, &f)
	r.Teams = readTeams(readCSV(fsys, teamsCSV, teamColumns, &f), areas)
	r.Devices = readDevices(readCSV(fsys, devicesCSV, deviceColumns, &f), areas, indexDevices(have.Devices))
	if err := f.err(); err != nil {
		return alerts.Roster{}, err
	}
	return r, nil
}

// faults collects what is wrong.
type faults struct {
	list []fault
	said map[string]bool
	more int
}

// fault is one of them; where is its place in words.
type fault struct {
	alerts.RowFault
	where string
	err   error
}

func (f fault) text() error {
	if f.Column != "" {
		return fmt.Errorf("%s: %s: %w", f.where, f.Column, f.err)
	}
	return fmt.Errorf("%s: %w", f.where, f.err)
}

func (f *faults) add(where string, format string, args ...any) {
	f.put(fault{RowFault: alerts.RowFault{Sheet: where}, where: where, err: fmt.Errorf(format, args...)})
}

func (f *faults) put(x fault) {
	if len(f.list) >= maxErrors {
		f.more++
		return
	}
	if f.said == nil {
		f.said = map[string]bool{}
	}
	x.Message = x.err.Error()
	if text := x.text().Error(); !f.said[text] {
		f.said[text] = true
		f.list = append(f.list, x)
	}
}

func (f *faults) err() error {
	errs := make([]error, 0, len(f.list)+1)
	for _, x := range f.list {
		errs = append(errs, x.text())
	}
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("and %d more errors", f.more))
	}
	return errors.Join(errs...)
}

// rows are the faults for those who show them beside the table.
func (f *faults) rows() []alerts.RowFault {
	out := make([]alerts.RowFault, 0, len(f.list))
	for _, x := range f.list {
		out = append(out, x.RowFault)
	}
	return out
}

// placed is where an area stands in its file, and where on the map.
type placed struct {
	area  alerts.Area
	where string
}
