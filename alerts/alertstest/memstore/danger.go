package memstore

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// dangers are by station or area, method and day.
type dangers struct {
	stations map[[3]string]alerts.StationDay
	areas    map[[3]string]alerts.AreaDanger
}

// SaveDanger implements alerts.DangerStore.
func (s *Store) SaveDanger(ctx context.Context, stations []alerts.StationDay, areas []alerts.AreaDanger, evs []alerts.Event) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.dangers.stations == nil {
		s.dangers.stations, s.dangers.areas = map[[3]string]alerts.StationDay{}, map[[3]string]alerts.AreaDanger{}
	}
	for _, d := range stations {
		s.dangers.stations[[3]string{string(d.Station), d.Method, d.Day}] = cloneStationDay(d)
	}
	for _, d := range areas {
		s.dangers.areas[[3]string{d.Area, d.Method, d.Day}] = cloneAreaDanger(d)
	}
	s.publish(evs)
	return nil
}

func cloneStationDay(d alerts.StationDay) alerts.StationDay {
	d.Inputs, d.Result = bytes.Clone(d.Inputs), bytes.Clone(d.Result)
	return d
}

func cloneAreaDanger(d alerts.AreaDanger) alerts.AreaDanger {
	d.Stations = slices.Clone(d.Stations)
	return d
}

// StationDays implements alerts.DangerStore.
func (s *Store) StationDays(ctx context.Context, station contract.DeviceID, from, to string) ([]alerts.StationDay, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.StationDay
	for d := range maps.Values(s.dangers.stations) {
		if (station == "" || d.Station == station) && from <= d.Day && d.Day <= to {
			out = append(out, cloneStationDay(d))
		}
	}
	slices.SortFunc(out, func(x, y alerts.StationDay) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Station, y.Station), cmp.Compare(x.Method, y.Method))
	})
	return out, nil
}

// AreaDangers implements alerts.DangerStore.
func (s *Store) AreaDangers(ctx context.Context, area, from, to string) ([]alerts.AreaDanger, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.AreaDanger
	for d := range maps.Values(s.dangers.areas) {
		if (area == "" || d.Area == area) && from <= d.Day && d.Day <= to {
			out = append(out, cloneAreaDanger(d))
		}
	}
	slices.SortFunc(out, func(x, y alerts.AreaDanger) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Area, y.Area), cmp.Compare(x.Method, y.Method))
	})
	return out, nil
}
