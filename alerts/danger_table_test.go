package alerts_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"firewatch/alerts"
)

func localTime(day string, hour int) time.Time {
	d, err := time.ParseInLocation(time.DateOnly, day, alerts.Zone)
	if err != nil {
		panic(err)
	}
	return d.Add(time.Duration(hour) * time.Hour)
}

func TestDangerThatCounts(t *testing.T) {
	const area = "130633101"
	row := func(day string, level alerts.DangerLevel, change ...func(*alerts.AreaDanger)) alerts.AreaDanger {
		d := alerts.AreaDanger{Area: area, Day: day, Method: alerts.DangerHTZ, Level: level, DryDays: 5}
		for _, f := range change {
			f(&d)
		}
		return d
	}
	heldFrom := func(day string) func(*alerts.AreaDanger) {
		return func(d *alerts.AreaDanger) { d.HeldFrom, d.Degraded = day, true }
	}
	of := func(code string) func(*alerts.AreaDanger) { return func(d *alerts.AreaDanger) { d.Area = code } }
	fwi := func(d *alerts.AreaDanger) { d.Method = alerts.DangerFWI }
	for name, c := range map[string]struct {
		rows []alerts.AreaDanger
		area string // empty: area
		at   time.Time
		want alerts.Surroundings
	}{
		"of the day":                          {[]alerts.AreaDanger{row("2026-03-14", 4)}, "", localTime("2026-03-14", 20), alerts.Surroundings{Danger: 4, DryDays: 5}},
		"nothing is known: unknown, not calm": {nil, "", localTime("2026-03-14", 20), alerts.Surroundings{DryDays: -1}},
		"of the other method":                 {[]alerts.AreaDanger{row("2026-03-14", 4, fwi)}, "", localTime("2026-03-14", 20), alerts.Surroundings{DryDays: -1}},
		"of yesterday in the morning":         {[]alerts.AreaDanger{row("2026-03-13", 3)}, "", localTime("2026-03-14", 8), alerts.Surroundings{Danger: 3, DryDays: 5}},
		"of yesterday in the afternoon":       {[]alerts.AreaDanger{row("2026-03-13", 3)}, "", localTime("2026-03-14", 15), alerts.Surroundings{Danger: 3, DangerHeld: true, DryDays: 5}},
		"of two days ago":                     {[]alerts.AreaDanger{row("2026-03-12", 3)}, "", localTime("2026-03-14", 8), alerts.Surroundings{Danger: 3, DangerHeld: true, DryDays: 5}},
		"of three days ago":                   {[]alerts.AreaDanger{row("2026-03-11", 3)}, "", localTime("2026-03-14", 8), alerts.Surroundings{DryDays: -1}},
		"held from two days ago":              {[]alerts.AreaDanger{row("2026-03-14", 3, heldFrom("2026-03-12"))}, "", localTime("2026-03-14", 8), alerts.Surroundings{Danger: 3, DangerHeld: true, DryDays: 5}},
		"held from three days ago":            {[]alerts.AreaDanger{row("2026-03-14", 3, heldFrom("2026-03-11"))}, "", localTime("2026-03-14", 8), alerts.Surroundings{DryDays: -1}},
		"rated unknown today, known before":   {[]alerts.AreaDanger{row("2026-03-13", 3), row("2026-03-14", 0)}, "", localTime("2026-03-14", 20), alerts.Surroundings{DryDays: -1}},
		"the day is local":                    {[]alerts.AreaDanger{row("2026-03-14", 2), row("2026-03-15", 5)}, "", time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC), alerts.Surroundings{Danger: 5, DryDays: 5}},
		"of the county":                       {[]alerts.AreaDanger{row("2026-03-14", 4, of("130633"))}, "", localTime("2026-03-14", 20), alerts.Surroundings{Danger: 4, DryDays: 5}},
		"an area that left the roster":        {[]alerts.AreaDanger{row("2026-03-14", 4, of("999"))}, "999", localTime("2026-03-14", 20), alerts.Surroundings{Danger: 4, DryDays: 5}},
		"what came late has its own day":      {[]alerts.AreaDanger{row("2026-03-10", 5), row("2026-03-14", 1)}, "", localTime("2026-03-10", 12), alerts.Surroundings{Danger: 5, DryDays: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.area == "" {
				c.area = area
			}
			got := alerts.Surroundings{}.WithDanger(alerts.NewDangerTable(alerts.DangerHTZ, c.rows), someAreas, c.area, c.at)
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestNoDangerOlderThanTwoDaysCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := localTime("2026-03-14", rapid.IntRange(0, 23).Draw(t, "hour"))
		day := at.AddDate(0, 0, -rapid.IntRange(0, 6).Draw(t, "days ago"))
		d := alerts.AreaDanger{Area: "130633101", Day: alerts.DangerDay(day), Method: alerts.DangerHTZ, Level: 3}
		from := day
		if rapid.Bool().Draw(t, "held") {
			from = day.AddDate(0, 0, -rapid.IntRange(1, 6).Draw(t, "held for"))
			d.HeldFrom, d.Degraded = alerts.DangerDay(from), true
		}
		_, held, ok := alerts.NewDangerTable(alerts.DangerHTZ, []alerts.AreaDanger{d}).At(someAreas, d.Area, at)
		if want := at.Sub(from) <= 2*24*time.Hour; ok != want {
			t.Fatalf("%+v at %s: counts %v", d, at, ok)
		}
		if ok && d.Degraded && !held {
			t.Fatal("a held level is not told apart")
		}
	})
}
