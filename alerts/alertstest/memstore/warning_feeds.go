package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"firewatch/alerts"
)

// SaveWarningFeed implements alerts.WarningFeedStore.
func (s *Store) SaveWarningFeed(ctx context.Context, f alerts.WarningFeed) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.feeds == nil {
		s.feeds = map[string]alerts.WarningFeed{}
	}
	f.StaleAfter = f.StaleAfter.Truncate(time.Millisecond)
	s.feeds[f.Name] = f
	return nil
}

// KeepWarningFeeds implements alerts.WarningFeedStore.
func (s *Store) KeepWarningFeeds(ctx context.Context, names []string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	maps.DeleteFunc(s.feeds, func(name string, _ alerts.WarningFeed) bool { return !slices.Contains(names, name) })
	return nil
}

// WarningFeeds implements alerts.WarningFeedStore.
func (s *Store) WarningFeeds(ctx context.Context) ([]alerts.WarningFeed, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return slices.SortedFunc(maps.Values(s.feeds), func(a, b alerts.WarningFeed) int { return cmp.Compare(a.Name, b.Name) }), nil
}
