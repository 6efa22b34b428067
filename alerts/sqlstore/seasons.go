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

// specialDoc is the stored JSON of a special day.
type specialDoc struct {
	Name   string `json:"name"`
	Area   string `json:"area"`
	Lunar  string `json:"lunar,omitempty"`
	Term   string `json:"term,omitempty"`
	Solar  string `json:"solar,omitempty"`
	Before int    `json:"before,omitempty"`
	After  int    `json:"after,omitempty"`
}

// seasonsDoc is what the column holds: a list of seasons, or an object where
// there are special days too. Tables of before there were any are lists.
type seasonsDoc struct {
	Seasons []seasonDoc  `json:"seasons"`
	Special []specialDoc `json:"special"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *seasonsDoc) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, &d.Seasons)
	}
	type plain seasonsDoc
	return json.Unmarshal(text, (*plain)(d))
}

// MarshalJSON implements json.Marshaler.
func (d seasonsDoc) MarshalJSON() ([]byte, error) {
	if len(d.Special) == 0 {
		return json.Marshal(d.Seasons)
	}
	type plain seasonsDoc
	return json.Marshal(plain(d))
}

func scanSeasons(r row) (t alerts.SeasonTable, err error) {
	var doc seasonsDoc
	if err := r.Scan(&t.Version, scanTime{&t.Effective}, scanJSON{&doc}); err != nil {
		return t, err
	}
	for _, d := range doc.Seasons {
		t.Seasons = append(t.Seasons, alerts.Season(d))
	}
	for _, d := range doc.Special {
		t.Special = append(t.Special, alerts.SpecialDay(d))
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
	doc := seasonsDoc{Seasons: make([]seasonDoc, len(t.Seasons)), Special: make([]specialDoc, len(t.Special))}
	for i, v := range t.Seasons {
		doc.Seasons[i] = seasonDoc(v)
	}
	for i, v := range t.Special {
		doc.Special[i] = specialDoc(v)
	}
	text, err := json.Marshal(doc)
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
			case !old.Effective.Equal(toMillis(t.Effective)) || !slices.Equal(old.Seasons, t.Seasons), !slices.Equal(old.Special, t.Special):
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
