package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"firewatch/alerts/capfeed"
)

// startFeeds polls the feeds of weather warnings that the settings name. Without
// any, none is known, so that none is stale.
func (s *system) startFeeds(ctx context.Context) error {
	urls := s.FeedURLs()
	if len(urls) == 0 {
		if err := s.store.KeepWarningFeeds(ctx, nil); err != nil {
			return fmt.Errorf("cap-feeds: %w", err)
		}
		return nil
	}
	poller, err := capfeed.New(capfeed.Options{
		URLs: urls, Every: s.CAPFeedEvery, StaleAfter: s.CAPFeedStale,
		Warnings: s.store, Feeds: s.store, Roster: s.store, Audit: s.store, Lease: s.store, Holder: s.holder,
		Nudge: s.nudgeAPI, Log: s.log.Named("capfeed"),
	})
	if err != nil {
		return fmt.Errorf("cap-feeds: %w", err)
	}
	s.health.add("capfeed", func(context.Context) error { return poller.Ready() })
	s.stack.Go("capfeed", poller.Run)
	return nil
}

// watchFeeds shows in the state of the system which feeds are stale, wherever
// they are polled. The system works without them, so it is a note.
func (s *system) watchFeeds(context.Context) error {
	s.health.add("warnings", func(ctx context.Context) error {
		why, err := s.staleFeeds(ctx, time.Now())
		if err != nil {
			return err
		}
		if why != "" {
			return note(why)
		}
		return nil
	})
	return nil
}

// staleFeeds says which feeds of warnings are not heard, or what they bring that
// cannot be read; empty: nothing.
func (s *system) staleFeeds(ctx context.Context, now time.Time) (string, error) {
	feeds, err := s.store.WarningFeeds(ctx)
	if err != nil {
		return "", err
	}
	var out []string
	for _, f := range feeds {
		switch {
		case f.Stale(now) && f.Fresh.IsZero():
			out = append(out, fmt.Sprintf("预警不明：%s 尚未读到  warnings unknown: never read %s", f.Name, f.Fault))
		case f.Stale(now):
			out = append(out, fmt.Sprintf("预警不明：%s 自 %s 未更新  warnings unknown: not read since then %s", f.Name, f.Fresh.Local().Format("01-02 15:04"), f.Fault))
		case f.Fault != "":
			out = append(out, f.Name+": "+f.Fault)
		}
	}
	return strings.Join(out, "; "), nil
}

// warningsUnknown says why warnings that should have come may not have; empty:
// every feed is heard.
func (s *system) warningsUnknown(now time.Time) string {
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	feeds, err := s.store.WarningFeeds(ctx)
	if err != nil {
		return "reading the feeds of warnings: " + err.Error()
	}
	for _, f := range feeds {
		if f.Stale(now) {
			return f.Name + " is stale"
		}
	}
	return ""
}
