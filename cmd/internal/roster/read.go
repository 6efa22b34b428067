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
func Read(fsys fs.FS) (alerts.Roster, error) {
	var f faults
	var r alerts.Roster
	var areas map[string]placed
	r.Areas, r.Demo, areas = readAreas(fsys, &f)
	r.Teams = readTeams(fsys, areas, &f)
	r.Devices = readDevices(fsys, areas, &f)
	if err := f.err(); err != nil {
		return alerts.Roster{}, err
	}
	return r, nil
}

// faults collects what is wrong.
type faults struct {
	errs []error
	said map[string]bool
	more int
}

func (f *faults) add(where string, format string, args ...any) {
	if len(f.errs) >= maxErrors {
		f.more++
		return
	}
	err := fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...))
	if f.said == nil {
		f.said = map[string]bool{}
	}
	if !f.said[err.Error()] {
		f.said[err.Error()] = true
		f.errs = append(f.errs, err)
	}
}

func (f *faults) err() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, fmt.Errorf("and %d more errors", f.more))...)
	}
	return errors.Join(f.errs...)
}

// placed is where an area stands in its file, and where on the map.
type placed struct {
	area  alerts.Area
	where string
}
