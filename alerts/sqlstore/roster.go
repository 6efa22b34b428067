package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	areaCols   = "code, name, level, parent, lat, lon, outline, surveyed"
	teamCols   = "id, name, kind, area, lat, lon, members, contact, phone, secret_hash"
	deviceCols = "id, kind, area, name, phone, lat, lon, expect_ms, secret_hash, disabled, model, alias, site, firmware, calibration, calibrated_ms"
)

func scanArea(r row) (a alerts.Area, err error) {
	err = r.Scan(&a.Code, &a.Name, &a.Level, &a.Parent, &a.Lat, &a.Lon, scanRaw{&a.Outline}, &a.Surveyed)
	return a, err
}

func scanTeam(r row) (t alerts.Team, err error) {
	err = r.Scan(&t.ID, &t.Name, &t.Kind, &t.Area, &t.Lat, &t.Lon, &t.Members, &t.Contact, &t.Phone, &t.SecretHash)
	return t, err
}

func scanDevice(r row) (d alerts.Device, err error) {
	var kind string
	if err := r.Scan(&d.ID, &kind, &d.Area, &d.Name, &d.Phone, &d.Lat, &d.Lon,
		scanDuration{&d.Expect}, &d.SecretHash, &d.Disabled,
		&d.Model, &d.Alias, &d.Site, &d.Firmware, &d.Calibration, scanTime{&d.CalibratedAt}); err != nil {
		return d, err
	}
	d.Kind, err = contract.ParseKind(kind)
	return d, err
}

func deviceArgs(d alerts.Device) []any {
	return []any{
		d.ID, d.Kind.String(), d.Area, d.Name, d.Phone, d.Lat, d.Lon, d.Expect, d.SecretHash, d.Disabled,
		d.Model, d.Alias, d.Site, d.Firmware, d.Calibration, d.CalibratedAt,
	}
}

// Areas implements alerts.RosterStore, sorted by code.
func (s *Store) Areas(ctx context.Context) ([]alerts.Area, error) {
	as, err := queryAll(ctx, s.read(), scanArea, "SELECT "+areaCols+" FROM areas WHERE gone_ms IS NULL ORDER BY code")
	return as, doing("reading areas", err)
}

// Teams implements alerts.RosterStore, sorted by id.
func (s *Store) Teams(ctx context.Context) ([]alerts.Team, error) {
	ts, err := queryAll(ctx, s.read(), scanTeam, "SELECT "+teamCols+" FROM teams ORDER BY id")
	return ts, doing("reading teams", err)
}

// Devices implements alerts.RosterStore, sorted by id.
func (s *Store) Devices(ctx context.Context) ([]alerts.Device, error) {
	ds, err := queryAll(ctx, s.read(), scanDevice, "SELECT "+deviceCols+" FROM devices ORDER BY id")
	return ds, doing("reading devices", err)
}

// RosterVersion implements alerts.RosterStore.
func (s *Store) RosterVersion(ctx context.Context) (version int64, demo bool, err error) {
	version, err = queryOne(ctx, s.read(), func(r row) (v int64, err error) {
		err = r.Scan(&v, &demo)
		return v, err
	}, "SELECT version, demo FROM roster WHERE id = 1")
	return version, demo, doing("reading roster version", err)
}

// ReplaceRoster implements alerts.RosterStore. A roster that does not fit
// together is refused whole; the error names the rows. Areas that are not in
// the new roster are hidden, not deleted, so that alerts and orders of their
// time are still found through the areas above.
func (s *Store) ReplaceRoster(ctx context.Context, r alerts.Roster, at time.Time) error {
	had, err := held(ctx, s.read(), faulty(r.Devices))
	if err != nil {
		return doing("replacing roster", err)
	}
	if err := checkRoster(r, had); err != nil {
		return fmt.Errorf("replacing roster: %w", err)
	}
	return doing("replacing roster", s.write(ctx, func(c conn) error {
		// First, because the row also keeps other writers of the roster off.
		version, err := bumpRoster(ctx, c, "UPDATE roster SET version = version + 1, changed_ms = ?, demo = ? WHERE id = 1 RETURNING version", at, r.Demo)
		if err != nil {
			return err
		}
		if err := replaceAreas(ctx, c, r.Areas, at); err != nil {
			return doing("areas", err)
		}
		if err := replaceTeams(ctx, c, r.Teams); err != nil {
			return doing("teams", err)
		}
		if err := replaceDevices(ctx, c, r.Devices); err != nil {
			return doing("devices", err)
		}
		return appendEvents(ctx, c, []alerts.Event{rosterEvent(version, "", at)})
	}))
}

func bumpRoster(ctx context.Context, c conn, query string, args ...any) (int64, error) {
	v, err := queryOne(ctx, c, scanInt, query, args...)
	return v, doing("numbering the roster", err)
}

func rosterEvent(version int64, device contract.DeviceID, at time.Time) alerts.Event {
	data, err := json.Marshal(struct {
		Version int64             `json:"version"`
		Device  contract.DeviceID `json:"device,omitempty"`
	}{version, device})
	if err != nil {
		data = nil // a number and a string always encode
	}
	return alerts.Event{At: at, Type: alerts.EventRoster, Data: data}
}

func replaceAreas(ctx context.Context, c conn, as []alerts.Area, at time.Time) error {
	if _, err := c.exec(ctx, "UPDATE areas SET gone_ms = ? WHERE gone_ms IS NULL", at.UnixMilli()); err != nil {
		return err
	}
	rows := make([][]any, len(as))
	for i, a := range as {
		rows[i] = []any{a.Code, a.Name, a.Level, a.Parent, a.Lat, a.Lon, a.Outline, a.Surveyed}
	}
	_, err := insertRows(ctx, c, "INSERT INTO areas ("+areaCols+") VALUES ", ` ON CONFLICT (code) DO UPDATE SET
name = excluded.name, level = excluded.level, parent = excluded.parent, lat = excluded.lat, lon = excluded.lon,
outline = excluded.outline, surveyed = excluded.surveyed, gone_ms = NULL`, rows)
	return err
}

func replaceTeams(ctx context.Context, c conn, ts []alerts.Team) error {
	old, err := secrets(ctx, c, "SELECT id, secret_hash FROM teams WHERE secret_hash <> ''")
	if err != nil {
		return err
	}
	if _, err := c.exec(ctx, "DELETE FROM teams"); err != nil {
		return err
	}
	rows := make([][]any, len(ts))
	for i, t := range ts {
		if t.SecretHash == "" {
			t.SecretHash = old[string(t.ID)]
		}
		rows[i] = []any{t.ID, t.Name, t.Kind, t.Area, t.Lat, t.Lon, t.Members, t.Contact, t.Phone, t.SecretHash}
	}
	_, err = insertRows(ctx, c, "INSERT INTO teams ("+teamCols+") VALUES ", "", rows)
	return err
}

func replaceDevices(ctx context.Context, c conn, ds []alerts.Device) error {
	old, err := secrets(ctx, c, "SELECT id, secret_hash FROM devices WHERE secret_hash <> ''")
	if err != nil {
		return err
	}
	if _, err := c.exec(ctx, "DELETE FROM devices"); err != nil {
		return err
	}
	rows := make([][]any, len(ds))
	for i, d := range ds {
		if d.SecretHash == "" {
			d.SecretHash = old[string(d.ID)]
		}
		rows[i] = deviceArgs(d)
	}
	_, err = insertRows(ctx, c, "INSERT INTO devices ("+deviceCols+") VALUES ", "", rows)
	return err
}

func secrets(ctx context.Context, c conn, query string) (map[string]string, error) {
	out := map[string]string{}
	_, err := queryAll(ctx, c, func(r row) (struct{}, error) {
		var id, hash string
		err := r.Scan(&id, &hash)
		out[id] = hash
		return struct{}{}, err
	}, query)
	return out, err
}
