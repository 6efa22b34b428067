package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
)

const warningCols = "id, identifier, sender, sent_ms, status, msg_type, event, event_code, issuer, headline, text, " +
	"measures, ended_ms, ended_by, received_ms, raw"

func scanWarning(r row) (w alerts.Warning, err error) {
	err = r.Scan(&w.ID, &w.Identifier, &w.Sender, scanTime{&w.Sent}, &w.Status, &w.MsgType, &w.Event, &w.EventCode,
		&w.Issuer, &w.Headline, &w.Text, &w.Measures, scanTime{&w.Ended}, &w.EndedBy, scanTime{&w.Received}, &w.Raw)
	return w, err
}

// mayEnd reports whether an Update or Cancel of the one status may end a
// warning of the other: a drill or a test never ends a real warning.
func mayEnd(status, warning string) bool { return status == "Actual" || warning != "Actual" }

func ends(msgType string) bool { return msgType == "Update" || msgType == "Cancel" }

// SaveWarning implements alerts.WarningStore. An Update or Cancel ends the
// messages it refers to (same sender, identifier and time sent, or sent before it
// where the reference gives no time) from the time
// it was sent itself, whichever of them comes first; of several the earliest
// counts. Each warning that it ends gets an EventWarning behind evs.
func (s *Store) SaveWarning(ctx context.Context, w alerts.Warning, evs []alerts.Event) (saved alerts.Warning, created bool, err error) {
	err = s.write(ctx, func(c conn) error {
		// One at a time: a message and its Update, stored at once, must see each other.
		if _, err := c.exec(ctx, "UPDATE counters SET value = value + 1 WHERE name = 'warnings'"); err != nil {
			return err
		}
		known, err := queryOne(ctx, c, scanWarning, "SELECT "+warningCols+
			" FROM warnings WHERE sender = ? AND identifier = ? AND sent_ms = ?", w.Sender, w.Identifier, w.Sent)
		if !errors.Is(err, alerts.ErrNotFound) {
			if err == nil && !bytes.Equal(known.Raw, w.Raw) {
				err = fmt.Errorf("%s is another message with the same time sent: %w", known.ID, alerts.ErrConflict)
			}
			if err == nil {
				saved, err = withParts(ctx, c, known)
			}
			return err
		}
		if err := endedBefore(ctx, c, &w); err != nil {
			return err
		}
		if err := insertWarning(ctx, c, &w); err != nil {
			return err
		}
		ended, err := endReferences(ctx, c, &w)
		if err != nil {
			return doing("ending earlier warnings", err)
		}
		if saved, err = readWarning(ctx, c, w.ID); err != nil {
			return err
		}
		created = true
		return appendEvents(ctx, c, append(slices.Clip(evs), ended...))
	})
	if err != nil {
		return alerts.Warning{}, false, fmt.Errorf("saving warning %q of %q: %w", w.Identifier, w.Sender, err)
	}
	return saved, created, nil
}

// endedBefore ends w if an Update or Cancel that refers to it came before it.
func endedBefore(ctx context.Context, c conn, w *alerts.Warning) error {
	enders, err := queryAll(ctx, c, scanWarning, "SELECT "+warningCols+` FROM warnings WHERE id IN
(SELECT warning_id FROM warning_refs WHERE sender = ? AND identifier = ? AND sent_ms = ?)
OR sent_ms >= ? AND id IN (SELECT warning_id FROM warning_refs WHERE sender = ? AND identifier = ? AND sent_ms = 0)
ORDER BY sent_ms, id`, w.Sender, w.Identifier, w.Sent, w.Sent, w.Sender, w.Identifier)
	if err != nil {
		return doing("looking for what ended it", err)
	}
	for _, e := range enders {
		if ends(e.MsgType) && mayEnd(e.Status, w.Status) && (w.Ended.IsZero() || e.Sent.Before(w.Ended)) {
			w.Ended, w.EndedBy = e.Sent, e.Identifier
		}
	}
	return nil
}

func insertWarning(ctx context.Context, c conn, w *alerts.Warning) error {
	if w.ID == "" || w.Sent.IsZero() {
		return errors.New("it needs an id and the time sent")
	}
	if _, err := insertRows(ctx, c, "INSERT INTO warnings ("+warningCols+") VALUES ", "", [][]any{{
		w.ID, w.Identifier, w.Sender, w.Sent, w.Status, w.MsgType, w.Event, w.EventCode, w.Issuer, w.Headline, w.Text,
		w.Measures, w.Ended, w.EndedBy, w.Received, w.Raw,
	}}); err != nil {
		return err
	}
	rows := make([][]any, len(w.Blocks))
	for i, b := range w.Blocks {
		rows[i] = []any{w.ID, i, b.Area, b.AreaDesc, b.Level, b.From, b.To}
	}
	if _, err := insertRows(ctx, c, "INSERT INTO warning_blocks (warning_id, n, area, area_desc, level, from_ms, to_ms) VALUES ", "", rows); err != nil {
		return doing("blocks", err)
	}
	rows = make([][]any, len(w.References))
	for i, r := range w.References {
		rows[i] = []any{w.ID, i, r.Sender, r.Identifier, docMillis(r.Sent)}
	}
	_, err := insertRows(ctx, c, "INSERT INTO warning_refs (warning_id, n, sender, identifier, sent_ms) VALUES ", "", rows)
	return doing("references", err)
}

// endReferences ends the stored messages that w refers to.
func endReferences(ctx context.Context, c conn, w *alerts.Warning) ([]alerts.Event, error) {
	if !ends(w.MsgType) {
		return nil, nil
	}
	var evs []alerts.Event
	for _, ref := range w.References {
		which, sent := " AND sent_ms = ?", ref.Sent
		if sent.IsZero() { // the reference does not say when it was sent
			which, sent = " AND sent_ms <= ?", w.Sent
		}
		earlier, err := queryAll(ctx, c, scanWarning, "SELECT "+warningCols+
			" FROM warnings WHERE sender = ? AND identifier = ?"+which, ref.Sender, ref.Identifier, sent)
		if err != nil {
			return nil, err
		}
		for _, e := range earlier {
			if e.ID == w.ID || !mayEnd(w.Status, e.Status) || !e.Ended.IsZero() && !w.Sent.Before(e.Ended) {
				continue
			}
			if _, err := c.exec(ctx, "UPDATE warnings SET ended_ms = ?, ended_by = ? WHERE id = ?", w.Sent, w.Identifier, e.ID); err != nil {
				return nil, err
			}
			evs = append(evs, alerts.Event{At: w.Received, Type: alerts.EventWarning, Data: idData(e.ID)})
		}
	}
	return evs, nil
}

// withParts adds blocks and references.
func withParts(ctx context.Context, c conn, w alerts.Warning) (alerts.Warning, error) {
	ws := []alerts.Warning{w}
	err := readParts(ctx, c, ws)
	return ws[0], err
}

func readParts(ctx context.Context, c conn, ws []alerts.Warning) error {
	at := make(map[string]*alerts.Warning, len(ws))
	ids := make([]any, len(ws))
	for i := range ws {
		at[ws[i].ID] = &ws[i]
		ids[i] = ws[i].ID
	}
	for chunk := range slices.Chunk(ids, maxParams) {
		in := " WHERE warning_id IN (" + strings.TrimSuffix(strings.Repeat("?,", len(chunk)), ",") + ") ORDER BY warning_id, n"
		if _, err := queryAll(ctx, c, func(r row) (struct{}, error) {
			var id string
			var b alerts.WarningBlock
			err := r.Scan(&id, &b.Area, &b.AreaDesc, &b.Level, scanTime{&b.From}, scanTime{&b.To})
			if w := at[id]; w != nil {
				w.Blocks = append(w.Blocks, b)
			}
			return struct{}{}, err
		}, "SELECT warning_id, area, area_desc, level, from_ms, to_ms FROM warning_blocks"+in, slices.Clone(chunk)...); err != nil {
			return err
		}
		if _, err := queryAll(ctx, c, func(r row) (struct{}, error) {
			var id string
			var ref alerts.WarningRef
			var sent int64
			err := r.Scan(&id, &ref.Sender, &ref.Identifier, &sent)
			ref.Sent = docTime(sent)
			if w := at[id]; w != nil {
				w.References = append(w.References, ref)
			}
			return struct{}{}, err
		}, "SELECT warning_id, sender, identifier, sent_ms FROM warning_refs"+in, slices.Clone(chunk)...); err != nil {
			return err
		}
	}
	return nil
}

func readWarning(ctx context.Context, c conn, id string) (alerts.Warning, error) {
	w, err := queryOne(ctx, c, scanWarning, "SELECT "+warningCols+" FROM warnings WHERE id = ?", id)
	if err != nil {
		return w, notFound("warning", id, err)
	}
	return withParts(ctx, c, w)
}

// Warning implements alerts.WarningStore.
func (s *Store) Warning(ctx context.Context, id string) (alerts.Warning, error) {
	w, err := readWarning(ctx, s.read(), id)
	return w, doing("reading warning", err)
}

// Warnings implements alerts.WarningStore. Newest is by the time sent. In force
// means what alerts.Warning.LevelAt means: Actual, no Cancel, not ended, and a
// block that holds the time.
func (s *Store) Warnings(ctx context.Context, inForceAt time.Time, limit int) ([]alerts.Warning, error) {
	var q where
	if !inForceAt.IsZero() {
		q.and("status = 'Actual' AND msg_type <> 'Cancel'")
		q.and("(ended_ms IS NULL OR ended_ms > ?)", inForceAt)
		q.and(`EXISTS (SELECT 1 FROM warning_blocks b WHERE b.warning_id = warnings.id AND b.to_ms > ?
AND (b.from_ms IS NULL OR b.from_ms <= ?))`, inForceAt, inForceAt)
	}
	c := s.read()
	ws, err := queryAll(ctx, c, scanWarning, "SELECT "+warningCols+" FROM warnings"+q.text+
		" ORDER BY sent_ms DESC, id DESC LIMIT ?", q.all("", listLimit(limit))...)
	if err == nil {
		err = readParts(ctx, c, ws)
	}
	return ws, doing("listing warnings", err)
}
