package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// saveDevice is what follows the rows of devices: those that exist are changed,
// and keep their credential when none is given.
const saveDevice = ` ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, area = excluded.area, name = excluded.name, phone = excluded.phone,
lat = excluded.lat, lon = excluded.lon, expect_ms = excluded.expect_ms, disabled = excluded.disabled,
secret_hash = CASE WHEN excluded.secret_hash = '' THEN devices.secret_hash ELSE excluded.secret_hash END,
model = excluded.model, alias = excluded.alias, site = excluded.site, firmware = excluded.firmware,
calibration = excluded.calibration, calibrated_ms = excluded.calibrated_ms`

// SaveDevice implements alerts.RosterStore. As in ReplaceRoster a device
// without SecretHash keeps the one it had; alerts.Revoked takes it away.
func (s *Store) SaveDevice(ctx context.Context, d alerts.Device, at time.Time) error {
	if err := s.changeDevices(ctx, alerts.DeviceChange{Save: []alerts.Device{d}}, d.ID, at); err != nil {
		return fmt.Errorf("saving device %q: %w", d.ID, err)
	}
	return nil
}

// ChangeDevices implements alerts.DeviceStore.
func (s *Store) ChangeDevices(ctx context.Context, c alerts.DeviceChange, at time.Time) error {
	return doing("changing devices", s.changeDevices(ctx, c, "", at))
}

// UpdateDevice implements alerts.DeviceStore.
func (s *Store) UpdateDevice(ctx context.Context, id contract.DeviceID, change func(*alerts.Device) error, at time.Time) (alerts.Device, error) {
	var d alerts.Device
	err := s.write(ctx, func(c conn) error {
		version, err := touchRoster(ctx, c, at)
		if err != nil {
			return err
		}
		if d, err = queryOne(ctx, c, scanDevice, "SELECT "+deviceCols+" FROM devices WHERE id = ?", id); err != nil {
			return notFound("device", string(id), err)
		}
		had := d.SecretHash
		if err := change(&d); err != nil {
			return err
		}
		if d.ID != id {
			return fmt.Errorf("its id became %q", d.ID)
		}
		if d.SecretHash == "" {
			d.SecretHash = had
		}
		d.CalibratedAt = toMillis(d.CalibratedAt)
		if err := saveDevices(ctx, c, nil, []alerts.Device{d}); err != nil {
			return err
		}
		return appendEvents(ctx, c, []alerts.Event{rosterEvent(version, id, at)})
	})
	if err != nil {
		return alerts.Device{}, fmt.Errorf("updating device %q: %w", id, err)
	}
	return d, nil
}

// changeDevices names one in the event when it is not empty.
func (s *Store) changeDevices(ctx context.Context, ch alerts.DeviceChange, one contract.DeviceID, at time.Time) error {
	return s.write(ctx, func(c conn) error {
		version, err := touchRoster(ctx, c, at)
		if err != nil {
			return err
		}
		if ch.Base != 0 && ch.Base != version-1 {
			return fmt.Errorf("the roster has changed meanwhile: %w", alerts.ErrConflict)
		}
		if err := byIDs(ctx, c, "DELETE FROM devices WHERE id IN ", ch.Remove); err != nil {
			return err
		}
		if err := saveDevices(ctx, c, ch.Add, ch.Save); err != nil {
			return err
		}
		return appendEvents(ctx, c, []alerts.Event{rosterEvent(version, one, at)})
	})
}

// touchRoster comes first in a transaction: the row keeps other writers of the
// roster off.
func touchRoster(ctx context.Context, c conn, at time.Time) (version int64, err error) {
	return bumpRoster(ctx, c, "UPDATE roster SET version = version + 1, changed_ms = ? WHERE id = 1 RETURNING version", at)
}

func saveDevices(ctx context.Context, c conn, add, save []alerts.Device) error {
	codes, err := queryAll(ctx, c, scanString, "SELECT code FROM areas WHERE gone_ms IS NULL")
	if err != nil {
		return err
	}
	areas := make(alerts.Areas, len(codes))
	for _, code := range codes {
		areas[code] = alerts.Area{Code: code}
	}
	had, err := held(ctx, c, faulty(save))
	if err != nil {
		return err
	}
	var errs []error
	seen := make(map[string]int, len(add)+len(save))
	check := func(ds []alerts.Device, had map[contract.DeviceID]alerts.Device) [][]any {
		rows := make([][]any, len(ds))
		for i, d := range ds {
			if err := errors.Join(checkDevice(d, had), unique(seen, string(d.ID), len(seen)), known(areas, d.Area)); err != nil && len(errs) < rosterComplaints {
				errs = append(errs, fmt.Errorf("device %q: %w", d.ID, err))
			}
			rows[i] = deviceArgs(d)
		}
		return rows
	}
	added, saved := check(add, nil), check(save, had)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(save) > 1 { // aliases that go from one device to another are free in between
		ids := make([]contract.DeviceID, len(save))
		for i, d := range save {
			ids[i] = d.ID
		}
		if err := byIDs(ctx, c, "UPDATE devices SET alias = '' WHERE alias <> '' AND id IN ", ids); err != nil {
			return err
		}
	}
	if _, err := insertRows(ctx, c, "INSERT INTO devices ("+deviceCols+") VALUES ", saveDevice, saved); err != nil {
		return err
	}
	_, err = insertRows(ctx, c, "INSERT INTO devices ("+deviceCols+") VALUES ", "", added)
	return err
}

// byIDs runs the query with the ids in brackets behind it, as many at a time as
// a statement should have.
func byIDs(ctx context.Context, c conn, query string, ids []contract.DeviceID) error {
	for some := range slices.Chunk(ids, maxParams) {
		args := make([]any, len(some))
		for i, id := range some {
			args[i] = id
		}
		if _, err := c.exec(ctx, query+"(?"+strings.Repeat(",?", len(some)-1)+")", args...); err != nil {
			return err
		}
	}
	return nil
}
