package app

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
)

func TestStaleFeedsAreShown(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s := &system{store: store}
	state := func(f alerts.WarningFeed) string {
		t.Helper()
		f.Name, f.StaleAfter = "https://a.cn/feed", 15*time.Minute
		if err := store.SaveWarningFeed(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		why, err := s.staleFeeds(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	if why := state(alerts.WarningFeed{Since: now}); !strings.Contains(why, "预警不明") || !strings.Contains(why, "尚未读到") {
		t.Errorf("never read: %q", why)
	}
	if why := state(alerts.WarningFeed{Since: now, Fresh: now}); why != "" || s.warningsUnknown(now) != "" {
		t.Errorf("heard: %q", why)
	}
	if why := state(alerts.WarningFeed{Since: now, Fresh: now, Fault: "a warning could not be read: x"}); !strings.Contains(why, "could not be read") {
		t.Errorf("with a fault: %q", why)
	}
	if why := state(alerts.WarningFeed{Since: now, Fresh: now.Add(-16 * time.Minute), Fault: "status 503"}); !strings.Contains(why, "预警不明") || !strings.Contains(why, "503") || s.warningsUnknown(now) == "" {
		t.Errorf("stale: %q", why)
	}
	s.log = zap.NewNop()
	s.CAPFeeds, s.CAPFeedEvery, s.CAPFeedStale = "ftp://x", time.Minute, time.Hour
	if err := s.startFeeds(t.Context()); err == nil || !strings.Contains(err.Error(), "cap-feeds") {
		t.Errorf("a bad address: %v", err)
	}
	s.CAPFeeds = ""
	if err := s.startFeeds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if why, err := s.staleFeeds(t.Context(), now); err != nil || why != "" {
		t.Errorf("none is polled any more, and yet %q, %v", why, err)
	}
}
