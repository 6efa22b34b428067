package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
)

// surroundingsDoc is the stored JSON; its names are part of the schema.
type surroundingsDoc struct {
	Season        alerts.SeasonKind  `json:"season,omitempty"`
	SeasonUnknown bool               `json:"season_unknown,omitempty"`
	Warning       alerts.Severity    `json:"warning,omitempty"`
	WarningEvent  string             `json:"warning_event,omitempty"`
	WarnUnknown   bool               `json:"warn_unknown,omitempty"`
	Danger        alerts.DangerLevel `json:"danger,omitempty"`
	DangerHeld    bool               `json:"danger_held,omitempty"`
	DryDays       int                `json:"dry_days,omitempty"`
	Special       string             `json:"special,omitempty"`
}

const readinessCols = "area, revision, updated_ms, posture, since_ms, set_by, word, proposed, proposed_ms, reasons, inputs, table_version, open, easing, easing_ms, order_issuer, order_key"

func scanReadiness(r row) (out alerts.Readiness, err error) {
	var in surroundingsDoc
	err = r.Scan(&out.Area, &out.Revision, scanTime{&out.Updated}, &out.Posture, scanTime{&out.Since}, &out.By, &out.Word,
		&out.Proposed, scanTime{&out.ProposedAt}, scanJSON{&out.Reasons}, scanJSON{&in}, &out.Version, &out.Open,
		&out.Easing, scanTime{&out.EasingSince}, &out.Order.Issuer, &out.Order.Key)
	out.Inputs = alerts.Surroundings(in)
	return out, err
}

// Readiness implements alerts.ReadinessStore.
func (s *Store) Readiness(ctx context.Context) ([]alerts.Readiness, error) {
	rs, err := queryAll(ctx, s.read(), scanReadiness, "SELECT "+readinessCols+" FROM readiness ORDER BY area")
	return rs, doing("reading readiness", err)
}

// ReadinessHistory implements alerts.ReadinessStore.
func (s *Store) ReadinessHistory(ctx context.Context, area string, limit int) ([]alerts.Readiness, error) {
	rs, err := queryAll(ctx, s.read(), scanReadiness, "SELECT "+readinessCols+
		" FROM readiness_history WHERE area = ? ORDER BY revision DESC LIMIT ?", area, listLimit(limit))
	return rs, doing("reading readiness history", err)
}

// SaveReadiness implements alerts.ReadinessStore. The history's key tells two
// that save the same next revision apart: the later one conflicts.
func (s *Store) SaveReadiness(ctx context.Context, rs []alerts.Readiness, at time.Time, evs []alerts.Event) error {
	rows := make([][]any, len(rs))
	for i := range rs {
		r := &rs[i]
		reasons, err := jsonText(r.Reasons)
		if err != nil {
			return fmt.Errorf("saving readiness of %s: %w", r.Area, err)
		}
		inputs, err := json.Marshal(surroundingsDoc(r.Inputs))
		if err != nil {
			return fmt.Errorf("saving readiness of %s: %w", r.Area, err)
		}
		rows[i] = []any{
			r.Area, r.Revision + 1, at, r.Posture, r.Since, r.By, r.Word, r.Proposed, r.ProposedAt, reasons, string(inputs),
			r.Version, r.Open, r.Easing, r.EasingSince, r.Order.Issuer, r.Order.Key,
		}
	}
	return doing("saving readiness", s.write(ctx, func(c conn) error {
		known := map[string]int64{}
		if _, err := queryAll(ctx, c, func(r row) (struct{}, error) {
			var area string
			var n int64
			err := r.Scan(&area, &n)
			known[area] = n
			return struct{}{}, err
		}, "SELECT area, revision FROM readiness ORDER BY area"+s.d.forUpdate()); err != nil {
			return err
		}
		for i := range rs {
			if rs[i].Area == "" || at.IsZero() {
				return errors.New("it needs an area and a time")
			}
			if n := known[rs[i].Area]; n != rs[i].Revision {
				return fmt.Errorf("%s is at revision %d, not %d: %w", rs[i].Area, n, rs[i].Revision, alerts.ErrConflict)
			}
		}
		if _, err := insertRows(ctx, c, "INSERT INTO readiness_history ("+readinessCols+") VALUES ", "", rows); err != nil {
			return err
		}
		if _, err := insertRows(ctx, c, "INSERT INTO readiness ("+readinessCols+") VALUES ", ` ON CONFLICT (area) DO UPDATE SET
revision = excluded.revision, updated_ms = excluded.updated_ms, posture = excluded.posture, since_ms = excluded.since_ms,
set_by = excluded.set_by, word = excluded.word, proposed = excluded.proposed, proposed_ms = excluded.proposed_ms,
reasons = excluded.reasons, inputs = excluded.inputs, table_version = excluded.table_version, open = excluded.open,
easing = excluded.easing, easing_ms = excluded.easing_ms, order_issuer = excluded.order_issuer, order_key = excluded.order_key`, rows); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	}))
}
