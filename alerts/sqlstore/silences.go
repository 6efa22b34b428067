package sqlstore

import (
	"context"
	"fmt"
	"time"

	"firewatch/alerts"
)

const silenceCols = "id, rule, device, area, from_ms, until_ms, author, reason, made_ms, ended_ms, lifted_by"

func scanSilence(r row) (x alerts.Silence, err error) {
	err = r.Scan(&x.ID, &x.Rule, &x.Device, &x.Area, scanTime{&x.From}, scanTime{&x.Until}, &x.Author, &x.Reason,
		scanTime{&x.Made}, scanTime{&x.Ended}, &x.Lifted)
	return x, err
}

// SaveSilence implements alerts.SilenceStore. An id that is taken is
// alerts.ErrConflict.
func (s *Store) SaveSilence(ctx context.Context, x alerts.Silence, evs []alerts.Event) error {
	err := s.write(ctx, func(c conn) error {
		if _, err := insertRows(ctx, c, "INSERT INTO silences ("+silenceCols+", over_ms) VALUES ", "", [][]any{{
			x.ID, x.Rule, x.Device, x.Area, x.From, x.Until, x.Author, x.Reason, x.Made, x.Ended, x.Lifted, x.Over(),
		}}); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return fmt.Errorf("saving silence %q: %w", x.ID, err)
	}
	return nil
}

// Silences implements alerts.SilenceStore.
func (s *Store) Silences(ctx context.Context, after time.Time, limit int) ([]alerts.Silence, error) {
	xs, err := queryAll(ctx, s.read(), scanSilence, "SELECT "+silenceCols+" FROM silences WHERE over_ms > ? ORDER BY made_ms DESC, id DESC LIMIT ?",
		after.UnixMilli(), listLimit(limit))
	return xs, doing("listing silences", err)
}

// LiftSilence implements alerts.SilenceStore.
func (s *Store) LiftSilence(ctx context.Context, id, by string, at time.Time, evs []alerts.Event) (alerts.Silence, error) {
	var saved alerts.Silence
	err := s.write(ctx, func(c conn) error {
		x, err := queryOne(ctx, c, scanSilence, "SELECT "+silenceCols+" FROM silences WHERE id = ?"+s.d.forUpdate(), id)
		switch {
		case err != nil:
			return err
		case !x.Over().After(at):
			return fmt.Errorf("it is over: %w", alerts.ErrConflict)
		}
		if _, err := c.exec(ctx, "UPDATE silences SET ended_ms = ?, over_ms = ?, lifted_by = ? WHERE id = ?", at, at, by, id); err != nil {
			return err
		}
		x.Ended, x.Lifted = toMillis(at), clean(by)
		saved = x
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Silence{}, fmt.Errorf("lifting silence %q: %w", id, err)
	}
	return saved, nil
}
