package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"firewatch/alerts"
)

const eventCols = "id, at_ms, type, area, team, data"

func scanEvent(r row) (e alerts.Event, err error) {
	err = r.Scan(&e.ID, scanTime{&e.At}, &e.Type, &e.Area, &e.Team, scanRaw{&e.Data})
	return e, err
}

// appendEvents writes the events of a transaction. It is the last thing the
// transaction does: from here to the commit no other one gets an id.
func appendEvents(ctx context.Context, c conn, evs []alerts.Event) error {
	if len(evs) == 0 {
		return nil
	}
	last, err := queryOne(ctx, c, scanInt,
		"UPDATE counters SET value = value + ? WHERE name = 'events' RETURNING value", len(evs))
	if err != nil {
		return doing("numbering events", err)
	}
	rows := make([][]any, len(evs))
	for i, e := range evs {
		id := last - int64(len(evs)-1-i)
		rows[i] = []any{id, e.At, e.Type, e.Area, e.Team, e.Data}
	}
	_, err = insertRows(ctx, c, "INSERT INTO events ("+eventCols+") VALUES ", "", rows)
	return doing("writing events", err)
}

// idData is the Data of most events.
func idData(id string) json.RawMessage {
	b, err := json.Marshal(struct {
		ID string `json:"id"`
	}{id})
	if err != nil {
		return nil // a string always encodes
	}
	return b
}

// Events implements alerts.EventStore. Ids have no gaps: a first id above
// after+1 tells that PurgeEvents has taken what was between.
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]alerts.Event, error) {
	evs, err := queryAll(ctx, s.read(), scanEvent,
		"SELECT "+eventCols+" FROM events WHERE id > ? ORDER BY id LIMIT ?", after, listLimit(limit))
	return evs, doing("reading events", err)
}

// LastEvent implements alerts.EventStore.
func (s *Store) LastEvent(ctx context.Context) (int64, error) {
	id, err := queryOne(ctx, s.read(), scanInt, "SELECT value FROM counters WHERE name = 'events'")
	return id, doing("reading last event", err)
}

// purgeStep bounds how many events one transaction deletes, so that writers
// never wait long.
const purgeStep = 2000

// PurgeEvents deletes the oldest events: all but the newest keep, and of those
// the ones that lie before the first event at or after before (zero: none). It
// returns how many. Call it now and then; 100,000 kept events are weeks.
func (s *Store) PurgeEvents(ctx context.Context, keep int, before time.Time) (int64, error) {
	var total int64
	last, err := s.LastEvent(ctx)
	if err != nil {
		return 0, err
	}
	through := last - int64(max(keep, 0)) // the newest id that goes
	if !before.IsZero() {
		first, err := queryAll(ctx, s.read(), scanInt,
			"SELECT id FROM events WHERE at_ms >= ? ORDER BY id LIMIT 1", before)
		if err != nil {
			return 0, doing("purging events", err)
		}
		aged := last
		if len(first) > 0 {
			aged = first[0] - 1
		}
		through = max(through, aged)
	}
	for {
		oldest, err := queryAll(ctx, s.read(), scanInt, "SELECT id FROM events WHERE id <= ? ORDER BY id LIMIT 1", through)
		if err != nil {
			return total, doing("purging events", err)
		}
		if len(oldest) == 0 {
			return total, nil
		}
		var n int64
		err = s.write(ctx, func(c conn) (err error) {
			n, err = c.exec(ctx, "DELETE FROM events WHERE id <= ?", min(through, oldest[0]+purgeStep-1))
			return err
		})
		if err != nil {
			return total, fmt.Errorf("purging events: %w", err)
		}
		total += n
	}
}
