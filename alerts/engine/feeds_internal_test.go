package engine

import (
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
)

func TestAStaleFeedOfWarningsIsUnknown(t *testing.T) {
	store, now := memstore.New(), time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC)
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(&Engine{Options: Options{Roster: store, Warnings: store, Feeds: store}, met: m}, now)
	unknown := func(at time.Time) bool {
		t.Helper()
		if err := b.reload(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		return b.surroundingsNow(at, "130633").WarnUnknown
	}
	if unknown(now) {
		t.Error("unknown without any feed")
	}
	save := func(fresh time.Time) {
		t.Helper()
		f := alerts.WarningFeed{Name: "https://a.cn/feed", Since: now, Fresh: fresh, StaleAfter: 15 * time.Minute}
		if err := store.SaveWarningFeed(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	save(time.Time{})
	if !unknown(now) {
		t.Error("calm before the feed was ever read")
	}
	save(now)
	if unknown(now.Add(15 * time.Minute)) {
		t.Error("unknown while the feed is heard")
	}
	if !unknown(now.Add(15*time.Minute + time.Second)) {
		t.Error("calm while the feed is stale")
	}
}
