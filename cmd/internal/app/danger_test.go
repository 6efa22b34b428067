package app

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/outlook"
	"firewatch/cmd/internal/sample"
	"firewatch/cmd/internal/simulate"
)

// Who opens the demo for the first time must see levels, not all the same, and
// that they are made up.
func TestTheDemoBeginsWithLevels(t *testing.T) {
	store, set := memstore.New(), sample.Roster()
	if err := store.ReplaceRoster(t.Context(), set, time.Now()); err != nil {
		t.Fatal(err)
	}
	fleet := make([]simulate.Member, len(set.Devices))
	for i := range set.Devices {
		fleet[i] = member(set.Devices[i], "")
	}
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, alerts.Zone)
	past, err := outlook.New(outlook.Options{
		Roster: store, Danger: store, Weather: pastWeather{fleet, now}, Now: func() time.Time { return now }, Mark: "【演示】", Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := past.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	ds, err := store.AreaDangers(t.Context(), "", "2026-03-14", "2026-03-14")
	if err != nil {
		t.Fatal(err)
	}
	seen, townships := map[alerts.DangerLevel]int{}, 0
	areas := alerts.IndexAreas(set.Areas)
	for _, d := range ds {
		if d.Method != alerts.DangerHTZ || areas[d.Area].Level != alerts.Township {
			continue
		}
		townships++
		seen[d.Level]++
		if len([]rune(d.Note)) < 4 || string([]rune(d.Note)[:4]) != "【演示】" {
			t.Errorf("%s is not marked: %q", d.Area, d.Note)
		}
	}
	t.Log(seen)
	if townships == 0 || seen[alerts.DangerUnknown] > townships/10 || len(seen) < 2 {
		t.Errorf("levels of %d townships: %v", townships, seen)
	}
}
