package alertstest

import (
	"fmt"
	"testing"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func stationDay(station contract.DeviceID, method, day string) alerts.StationDay {
	return alerts.StationDay{
		Station: station, Day: day, Method: method, Version: method + "-1", Inputs: []byte(`{"temp_c":21.5}`), Result: []byte(`{"level":3}`),
		Level: 3, Chain: "next", Note: "缺一天，按前一日补算", Provisional: true, At: at(5),
	}
}

func areaDanger(area, method, day string, level alerts.DangerLevel) alerts.AreaDanger {
	return alerts.AreaDanger{
		Area: area, Day: day, Level: level, Method: method, Version: method + "-1", Degraded: true, HeldFrom: "2026-03-10", DryDays: -1,
		Value: 71.25, Note: "沿用", Provisional: true, At: at(6),
		Stations: []alerts.StationWeight{
			{Station: "sensor-1", KM: 3.5, Weight: 0.75, Value: 70, Level: 3},
			{Station: "sensor-2", KM: 9.25, Weight: 0.25, Value: 75, Level: 4},
		},
	}
}

func saveDanger(tb testing.TB, s Store, stations []alerts.StationDay, areas []alerts.AreaDanger, evs ...alerts.Event) {
	tb.Helper()
	must(tb, s.SaveDanger(tb.Context(), stations, areas, evs))
}

var dangerTests = map[string]func(check){
	"DaysComeBackAsSaved": func(t check) {
		s := t.store
		days := []alerts.StationDay{
			stationDay("sensor-1", alerts.DangerFWI, "2026-03-13"), stationDay("sensor-1", alerts.DangerHTZ, "2026-03-13"),
			stationDay("sensor-2", alerts.DangerHTZ, "2026-03-13"), stationDay("sensor-1", alerts.DangerHTZ, "2026-03-14"),
			{Station: "sensor-2", Day: "2026-03-14", Method: alerts.DangerHTZ}, // nothing known
		}
		areas := []alerts.AreaDanger{
			areaDanger("130633100", alerts.DangerFWI, "2026-03-13", 2), areaDanger("130633100", alerts.DangerHTZ, "2026-03-13", 3),
			areaDanger("130633101", alerts.DangerHTZ, "2026-03-13", 4), areaDanger("130633100", alerts.DangerHTZ, "2026-03-14", 5),
			{Area: "130633101", Day: "2026-03-14", Method: alerts.DangerHTZ},
		}
		saveDanger(t, s, []alerts.StationDay{days[4], days[1], days[3], days[0], days[2]},
			[]alerts.AreaDanger{areas[3], areas[4], areas[1], areas[0], areas[2]}, event(alerts.EventDanger))
		equal(t, "stations", got(s.StationDays(t.Context(), "", "2026-03-13", "2026-03-14"))(t), days)
		equal(t, "one station", got(s.StationDays(t.Context(), "sensor-2", "2026-03-01", "2026-03-31"))(t), []alerts.StationDay{days[2], days[4]})
		equal(t, "one day", got(s.StationDays(t.Context(), "", "2026-03-14", "2026-03-14"))(t), days[3:])
		equal(t, "areas", got(s.AreaDangers(t.Context(), "", "2026-03-13", "2026-03-14"))(t), areas)
		equal(t, "one area", got(s.AreaDangers(t.Context(), "130633101", "2026-03-01", "2026-03-31"))(t), []alerts.AreaDanger{areas[2], areas[4]})
		equal(t, "no day", got(s.AreaDangers(t.Context(), "", "2026-03-15", "2026-03-20"))(t), nil)
		equal(t, "events", types(newEvents(t, s, 0)), []alerts.EventType{alerts.EventDanger})
	},
	"AgainReplaces": func(t check) {
		s := t.store
		day, area := stationDay("sensor-1", alerts.DangerHTZ, "2026-03-13"), areaDanger("130633100", alerts.DangerHTZ, "2026-03-13", 3)
		saveDanger(t, s, []alerts.StationDay{day}, []alerts.AreaDanger{area})
		day.Version, day.Level, day.Chain, day.Note, day.Result, day.Inputs, day.Provisional, day.At = "htz-2", 4, "restarted", "", []byte(`{"level":4}`), nil, false, at(60)
		area.Version, area.Level, area.Degraded, area.HeldFrom, area.DryDays, area.Value, area.Stations, area.Note, area.Provisional, area.At = "htz-2", 4, false, "", 0, -20, nil, "", false, at(60)
		// Of two with one key the later counts.
		other, elsewhere := day, area
		other.Level, elsewhere.Level = 1, 1
		saveDanger(t, s, []alerts.StationDay{other, day}, []alerts.AreaDanger{elsewhere, area})
		equal(t, "stations", got(s.StationDays(t.Context(), "", "2026-03-13", "2026-03-13"))(t), []alerts.StationDay{day})
		equal(t, "areas", got(s.AreaDangers(t.Context(), "", "2026-03-13", "2026-03-13"))(t), []alerts.AreaDanger{area})
	},
	"ManyStationsInOneSave": func(t check) {
		s := t.store
		var days []alerts.StationDay
		for i := range 3000 {
			days = append(days, stationDay(contract.DeviceID(fmt.Sprintf("s-%04d", i)), alerts.DangerHTZ, "2026-03-13"))
		}
		saveDanger(t, s, days, nil)
		equal(t, "stations", len(got(s.StationDays(t.Context(), "", "2026-03-13", "2026-03-13"))(t)), len(days))
	},
	"NothingIsSavedOfAnEmptyStore": func(t check) {
		equal(t, "stations", got(t.store.StationDays(t.Context(), "", "0000", "9999"))(t), nil)
		equal(t, "areas", got(t.store.AreaDangers(t.Context(), "", "0000", "9999"))(t), nil)
		saveDanger(t, t.store, nil, nil)
		equal(t, "events", newEvents(t, t.store, 0), nil)
	},
}
