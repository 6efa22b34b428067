package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// checkDevices finds devices that must not be kept instead of those that are
// had, and shared aliases.
func checkDevices(ds, had []alerts.Device) error {
	alias := map[string]contract.DeviceID{}
	for _, d := range ds {
		var before *alerts.Device
		if i, known := find(had, d.ID); known {
			before = &had[i]
		}
		if err := d.ValidateOver(before); err != nil {
			return err
		}
		if other, taken := alias[d.Alias]; taken && d.Alias != "" {
			return fmt.Errorf("alias %q is of %s and %s: %w", d.Alias, other, d.ID, alerts.ErrConflict)
		}
		alias[d.Alias] = d.ID
	}
	return nil
}

func find(ds []alerts.Device, id contract.DeviceID) (int, bool) {
	return slices.BinarySearchFunc(ds, id, func(d alerts.Device, id contract.DeviceID) int { return cmp.Compare(d.ID, id) })
}

// SaveDevice implements alerts.RosterStore.
func (s *Store) SaveDevice(ctx context.Context, d alerts.Device, at time.Time) error {
	return s.ChangeDevices(ctx, alerts.DeviceChange{Save: []alerts.Device{d}}, at)
}

// ChangeDevices implements alerts.DeviceStore.
func (s *Store) ChangeDevices(ctx context.Context, c alerts.DeviceChange, at time.Time) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.change(c, at)
}

func (s *Store) change(c alerts.DeviceChange, at time.Time) error {
	if c.Base != 0 && c.Base != s.version {
		return fmt.Errorf("the roster has changed meanwhile: %w", alerts.ErrConflict)
	}
	next := slices.DeleteFunc(slices.Clone(s.roster.Devices), func(d alerts.Device) bool { return slices.Contains(c.Remove, d.ID) })
	seen := map[contract.DeviceID]bool{}
	for i, d := range slices.Concat(c.Add, c.Save) {
		at, known := find(next, d.ID)
		if seen[d.ID] || known && i < len(c.Add) {
			return fmt.Errorf("device %s is there: %w", d.ID, alerts.ErrConflict)
		}
		seen[d.ID] = true
		if _, ok := s.areas[d.Area]; !ok {
			return fmt.Errorf("area %q: %w", d.Area, alerts.ErrNotFound)
		}
		if known {
			d.SecretHash = cmp.Or(d.SecretHash, next[at].SecretHash)
			next[at] = d
		} else {
			next = slices.Insert(next, at, d)
		}
	}
	if err := checkDevices(next, s.roster.Devices); err != nil {
		return err
	}
	s.roster.Devices = next
	s.version++
	s.publish([]alerts.Event{{At: at, Type: alerts.EventRoster}})
	return nil
}

// UpdateDevice implements alerts.DeviceStore.
func (s *Store) UpdateDevice(ctx context.Context, id contract.DeviceID, change func(*alerts.Device) error, at time.Time) (alerts.Device, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Device{}, err
	}
	defer leave()
	i, known := find(s.roster.Devices, id)
	if !known {
		return alerts.Device{}, fmt.Errorf("device %s: %w", id, alerts.ErrNotFound)
	}
	d := s.roster.Devices[i]
	if err := change(&d); err != nil {
		return alerts.Device{}, err
	}
	if d.ID != id {
		return alerts.Device{}, fmt.Errorf("device %s became %s", id, d.ID)
	}
	if err := s.change(alerts.DeviceChange{Save: []alerts.Device{d}}, at); err != nil {
		return alerts.Device{}, err
	}
	return s.roster.Devices[i], nil
}
