package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// rosterComplaints bounds how many faults of a roster one error lists.
const rosterComplaints = 20

// checkRoster reports every row that does not fit: ids that come twice, and
// areas that are not there. Rows count from 1. had is what the registry holds of
// the devices.
func checkRoster(r alerts.Roster, had map[contract.DeviceID]alerts.Device) error {
	var errs []error
	complain := func(what, id string, row int, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %q (row %d): %w", what, id, row+1, err))
		}
	}
	areas := make(alerts.Areas, len(r.Areas))
	seen := make(map[string]int, len(r.Devices))
	for i, a := range r.Areas {
		if a.Code == "" {
			complain("area", a.Name, i, errors.New("has no code"))
		}
		complain("area", a.Code, i, unique(seen, a.Code, i))
		complain("area", a.Code, i, finitePlace(a.Lat, a.Lon))
		areas[a.Code] = a
	}
	for i, a := range r.Areas {
		complain("area", a.Code, i, checkParent(areas, a))
	}
	clear(seen)
	for i, t := range r.Teams {
		complain("team", string(t.ID), i, t.ID.Validate())
		complain("team", string(t.ID), i, unique(seen, string(t.ID), i))
		complain("team", string(t.ID), i, known(areas, t.Area))
		complain("team", string(t.ID), i, finitePlace(t.Lat, t.Lon))
	}
	clear(seen)
	aliases := make(map[string]int)
	for i, d := range r.Devices {
		if d.Alias != "" {
			complain("device", string(d.ID), i, unique(aliases, d.Alias, i))
		}
		complain("device", string(d.ID), i, checkDevice(d, had))
		complain("device", string(d.ID), i, unique(seen, string(d.ID), i))
		complain("device", string(d.ID), i, known(areas, d.Area))
	}
	if n := len(errs); n > rosterComplaints {
		errs = append(errs[:rosterComplaints], fmt.Errorf("and %d more", n-rosterComplaints))
	}
	return errors.Join(errs...)
}

func checkDevice(d alerts.Device, had map[contract.DeviceID]alerts.Device) error {
	var before *alerts.Device
	if x, known := had[d.ID]; known {
		before = &x
	}
	if err := d.ValidateOver(before); err != nil {
		return err
	}
	return finitePlace(d.Lat, d.Lon)
}

// faulty are the ids of devices that a registry without them would not take. It
// is asked what it holds of these only: most changes have none.
func faulty(ds []alerts.Device) (ids []contract.DeviceID) {
	for _, d := range ds {
		if d.Validate() != nil {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// held is what the registry holds under the ids.
func held(ctx context.Context, c conn, ids []contract.DeviceID) (map[contract.DeviceID]alerts.Device, error) {
	out := make(map[contract.DeviceID]alerts.Device, len(ids))
	for some := range slices.Chunk(ids, maxParams) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		ds, err := queryAll(ctx, c, scanDevice, "SELECT "+deviceCols+" FROM devices WHERE id IN (?"+strings.Repeat(",?", len(some)-1)+")", args...)
		if err != nil {
			return nil, err
		}
		for _, d := range ds {
			out[d.ID] = d
		}
	}
	return out, nil
}

func finitePlace(lat, lon float64) error {
	if !finite(lat) || !finite(lon) {
		return fmt.Errorf("position %v, %v is not a number", lat, lon)
	}
	return nil
}

func unique(seen map[string]int, id string, row int) error {
	if first, ok := seen[id]; ok {
		return fmt.Errorf("is already in row %d: %w", first+1, alerts.ErrConflict)
	}
	seen[id] = row
	return nil
}

func known(areas alerts.Areas, code string) error {
	if _, ok := areas[code]; !ok {
		return fmt.Errorf("area %q is not in the roster: %w", code, alerts.ErrNotFound)
	}
	return nil
}

// checkParent also finds a chain of parents that never ends.
func checkParent(areas alerts.Areas, a alerts.Area) error {
	if a.Parent == "" {
		return nil
	}
	if _, ok := areas[a.Parent]; !ok {
		return fmt.Errorf("parent %q is not in the roster: %w", a.Parent, alerts.ErrNotFound)
	}
	chain := areas.Chain(a.Code)
	if top := chain[len(chain)-1]; top.Parent != "" {
		if _, ok := areas[top.Parent]; ok {
			return errors.New("its parents form a circle, or lie more than 8 deep")
		}
	}
	return nil
}
