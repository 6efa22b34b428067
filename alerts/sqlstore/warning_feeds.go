package sqlstore

import (
	"context"
	"time"

	"firewatch/alerts"
)

const warningFeedCols = "name, since_ms, polled_ms, fresh_ms, stale_ms, fault"

// SaveWarningFeed implements alerts.WarningFeedStore.
func (s *Store) SaveWarningFeed(ctx context.Context, f alerts.WarningFeed) error {
	err := s.write(ctx, func(c conn) error {
		_, err := c.exec(ctx, "INSERT INTO warning_feeds ("+warningFeedCols+`) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET since_ms = excluded.since_ms, polled_ms = excluded.polled_ms, fresh_ms = excluded.fresh_ms,
stale_ms = excluded.stale_ms, fault = excluded.fault`, f.Name, f.Since, f.Polled, f.Fresh, f.StaleAfter.Milliseconds(), f.Fault)
		return err
	})
	return doing("saving a feed of warnings", err)
}

// KeepWarningFeeds implements alerts.WarningFeedStore.
func (s *Store) KeepWarningFeeds(ctx context.Context, names []string) error {
	keep := make(map[string]bool, len(names))
	for _, n := range names {
		keep[n] = true
	}
	err := s.write(ctx, func(c conn) error {
		feeds, err := queryAll(ctx, c, scanWarningFeed, "SELECT "+warningFeedCols+" FROM warning_feeds")
		if err != nil {
			return err
		}
		for _, f := range feeds {
			if keep[f.Name] {
				continue
			}
			if _, err := c.exec(ctx, "DELETE FROM warning_feeds WHERE name = ?", f.Name); err != nil {
				return err
			}
		}
		return nil
	})
	return doing("forgetting feeds of warnings", err)
}

func scanWarningFeed(r row) (f alerts.WarningFeed, err error) {
	var stale int64
	err = r.Scan(&f.Name, scanTime{&f.Since}, scanTime{&f.Polled}, scanTime{&f.Fresh}, &stale, &f.Fault)
	f.StaleAfter = time.Duration(stale) * time.Millisecond
	return f, err
}

// WarningFeeds implements alerts.WarningFeedStore.
func (s *Store) WarningFeeds(ctx context.Context) ([]alerts.WarningFeed, error) {
	feeds, err := queryAll(ctx, s.read(), scanWarningFeed, "SELECT "+warningFeedCols+" FROM warning_feeds ORDER BY name")
	return feeds, doing("reading feeds of warnings", err)
}
