package sqlstore

import (
	"context"
	"fmt"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	stationDayCols = "station, method, day, version, inputs, result, level, chain, note, provisional, at_ms"
	areaDangerCols = "area, method, day, version, level, degraded, held_from, dry_days, value, stations, note, provisional, at_ms"
)

// SaveDanger implements alerts.DangerStore.
func (s *Store) SaveDanger(ctx context.Context, stations []alerts.StationDay, areas []alerts.AreaDanger, evs []alerts.Event) error {
	// Of two rows with one key in one statement PostgreSQL takes neither.
	stationRows := newKeyed[[3]string](len(stations))
	for _, d := range stations {
		stationRows.put([3]string{string(d.Station), d.Method, d.Day}, []any{
			d.Station, d.Method, d.Day, d.Version, d.Inputs, d.Result, d.Level, d.Chain, d.Note, d.Provisional, d.At,
		})
	}
	areaRows := newKeyed[[3]string](len(areas))
	for _, d := range areas {
		weights, err := jsonText(d.Stations)
		if err != nil {
			return fmt.Errorf("saving danger: area %s, day %s: %w", d.Area, d.Day, err)
		}
		if !finite(d.Value) {
			return fmt.Errorf("saving danger: area %s, day %s: value %v is no number", d.Area, d.Day, d.Value)
		}
		areaRows.put([3]string{d.Area, d.Method, d.Day}, []any{
			d.Area, d.Method, d.Day, d.Version, d.Level, d.Degraded, d.HeldFrom, d.DryDays, d.Value, weights, d.Note, d.Provisional, d.At,
		})
	}
	err := s.write(ctx, func(c conn) error {
		if _, err := insertRows(ctx, c, "INSERT INTO danger_stations ("+stationDayCols+") VALUES ",
			` ON CONFLICT (station, method, day) DO UPDATE SET version = excluded.version, inputs = excluded.inputs, result = excluded.result,
level = excluded.level, chain = excluded.chain, note = excluded.note, provisional = excluded.provisional, at_ms = excluded.at_ms`,
			stationRows.rows); err != nil {
			return doing("stations", err)
		}
		if _, err := insertRows(ctx, c, "INSERT INTO danger_areas ("+areaDangerCols+") VALUES ",
			` ON CONFLICT (area, method, day) DO UPDATE SET version = excluded.version, level = excluded.level, degraded = excluded.degraded,
held_from = excluded.held_from, dry_days = excluded.dry_days, value = excluded.value, stations = excluded.stations, note = excluded.note,
provisional = excluded.provisional, at_ms = excluded.at_ms`, areaRows.rows); err != nil {
			return doing("areas", err)
		}
		return appendEvents(ctx, c, evs)
	})
	return doing("saving danger", err)
}

// keyed are rows of which the last with a key counts.
type keyed[K comparable] struct {
	rows [][]any
	at   map[K]int
}

func newKeyed[K comparable](n int) *keyed[K] {
	return &keyed[K]{rows: make([][]any, 0, n), at: make(map[K]int, n)}
}

func (k *keyed[K]) put(key K, row []any) {
	if i, ok := k.at[key]; ok {
		k.rows[i] = row
		return
	}
	k.at[key] = len(k.rows)
	k.rows = append(k.rows, row)
}

func scanStationDay(r row) (d alerts.StationDay, err error) {
	err = r.Scan(&d.Station, &d.Method, &d.Day, &d.Version, scanRaw{&d.Inputs}, scanRaw{&d.Result}, &d.Level, &d.Chain, &d.Note,
		&d.Provisional, scanTime{&d.At})
	return d, err
}

func scanAreaDanger(r row) (d alerts.AreaDanger, err error) {
	err = r.Scan(&d.Area, &d.Method, &d.Day, &d.Version, &d.Level, &d.Degraded, &d.HeldFrom, &d.DryDays, &d.Value,
		scanJSON{&d.Stations}, &d.Note, &d.Provisional, scanTime{&d.At})
	return d, err
}

// StationDays implements alerts.DangerStore.
func (s *Store) StationDays(ctx context.Context, station contract.DeviceID, from, to string) ([]alerts.StationDay, error) {
	w := where{}
	w.and("day >= ? AND day <= ?", from, to)
	if station != "" {
		w.and("station = ?", station)
	}
	ds, err := queryAll(ctx, s.read(), scanStationDay,
		"SELECT "+stationDayCols+" FROM danger_stations"+w.text+" ORDER BY day, station, method", w.args...)
	return ds, doing("reading danger by station", err)
}

// AreaDangers implements alerts.DangerStore.
func (s *Store) AreaDangers(ctx context.Context, area, from, to string) ([]alerts.AreaDanger, error) {
	w := where{}
	w.and("day >= ? AND day <= ?", from, to)
	if area != "" {
		w.and("area = ?", area)
	}
	ds, err := queryAll(ctx, s.read(), scanAreaDanger,
		"SELECT "+areaDangerCols+" FROM danger_areas"+w.text+" ORDER BY day, area, method", w.args...)
	return ds, doing("reading danger by area", err)
}
