package engine

import (
	"errors"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
)

func TestDangerOfTheStoreIsInTheSurroundings(t *testing.T) {
	store, now := memstore.New(), time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC)
	e, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(&Engine{Options: Options{Danger: store, DangerMethod: alerts.DangerHTZ}, met: e}, now)
	danger := func(now time.Time) alerts.DangerLevel { return b.surroundingsNow(now, "130633101").Danger }
	save := func(day string, level alerts.DangerLevel) {
		t.Helper()
		if err := store.SaveDanger(t.Context(), nil, []alerts.AreaDanger{
			{Area: "130633101", Day: day, Method: alerts.DangerHTZ, Level: level},
			{Area: "130633101", Day: day, Method: alerts.DangerFWI, Level: 1},
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := danger(now); got != alerts.DangerUnknown {
		t.Errorf("level %d before anything was read", got)
	}
	save("2026-03-14", 4)
	if err := b.reloadDanger(t.Context(), now); err != nil || danger(now) != 4 {
		t.Errorf("level %d, %v, want 4", danger(now), err)
	}
	save("2026-03-14", 5)
	if err := b.reloadDanger(t.Context(), now.Add(dangerEvery-1)); err != nil || danger(now) != 4 {
		t.Errorf("level %d, %v: read again too soon", danger(now), err)
	}
	now = now.Add(dangerEvery)
	if err := b.reloadDanger(t.Context(), now); err != nil || danger(now) != 5 {
		t.Errorf("level %d, %v, want 5", danger(now), err)
	}
	// The store goes away: the last level counts on, until it is too old.
	store.Fail(errors.New("away"))
	now = now.Add(2 * 24 * time.Hour)
	if err := b.reloadDanger(t.Context(), now); err == nil || danger(now) != 5 {
		t.Errorf("level %d, %v, want 5 held and an error", danger(now), err)
	}
	if now = now.Add(24 * time.Hour); danger(now) != alerts.DangerUnknown {
		t.Errorf("level %d three days later, want unknown", danger(now))
	}
}
