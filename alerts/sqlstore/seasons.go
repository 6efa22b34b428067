package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"firewatch/alerts"
)

// seasonDoc is the stored JSON; its names are part of the schema.
type seasonDoc struct {
	Area string            `json:"area"`
	Kind alerts.SeasonKind `json:"kind"`
	From string            `json:"from"`
	To   string            `json:"to"`
	Year int               `json:"year,omitempty"`
}

func scanSeasons(r row) (t alerts.SeasonTable, err error) {
	var docs []seasonDoc
	if err := r.Scan(&t.Version, scanTime{&t.Effective}, scanJSON{&docs}); err != nil {
		return t, err
	}
	for _, d := range docs {
		t.Seasons = append(t.Seasons, alerts.Season(d))
	}
	return t, nil
}

// Seasons implements alerts.WarningStore. Of two tables that take effect at the
// same time the one saved later rules.
func (s *Store) Seasons(ctx context.Context, at time.Time) (alerts.SeasonTable, error) {
	t, err := queryOne(ctx, s.read(), scanSeasons, `SELECT version, effective_ms, seasons FROM season_tables
WHERE effective_ms IS NULL OR effective_ms <= ? ORDER BY COALESCE(effective_ms, ?) DESC, n DESC LIMIT 1`,
		at, int64(math.MinInt64))
	return t, doing("reading seasons", err)
}

// SaveSeasons implements alerts.WarningStore. The same table again changes
// nothing.
func (s *Store) SaveSeasons(ctx context.Context, t alerts.SeasonTable, at time.Time) error {
	docs := make([]seasonDoc, len(t.Seasons))
	for i, v := range t.Seasons {
		docs[i] = seasonDoc(v)
	}
	text, err := json.Marshal(docs)
	if err != nil {
		return fmt.Errorf("saving seasons %q: %w", t.Version, err)
	}
	data, err := json.Marshal(struct {
		Version string `json:"version"`
	}{t.Version})
	if err != nil {
		return fmt.Errorf("saving seasons %q: %w", t.Version, err)
	}
	err = s.write(ctx, func(c conn) error {
		n, err := c.exec(ctx, `INSERT INTO season_tables (version, effective_ms, seasons, saved_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (version) DO NOTHING`, t.Version, t.Effective, string(text), at)
		if err != nil {
			return err
		}
		if n == 0 {
			old, err := queryOne(ctx, c, scanSeasons, "SELECT version, effective_ms, seasons FROM season_tables WHERE version = ?", t.Version)
			switch {
			case errors.Is(err, alerts.ErrNotFound):
				return fmt.Errorf("the version vanished: %w", err)
			case err != nil:
				return err
			case !old.Effective.Equal(toMillis(t.Effective)) || !slices.Equal(old.Seasons, t.Seasons):
				return fmt.Errorf("the version exists with other content: %w", alerts.ErrConflict)
			}
			return nil
		}
		return appendEvents(ctx, c, []alerts.Event{{At: at, Type: alerts.EventSeason, Data: data}})
	})
	if err != nil {
		return fmt.Errorf("saving seasons %q: %w", t.Version, err)
	}
	return nil
}
