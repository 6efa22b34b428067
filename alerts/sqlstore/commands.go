package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	commandCols = "id, device, area, kind, text, drill, issuer, idempotency_key, issued_ms, expires_ms, " + commandChanges
	// commandChanges are the columns that change after a command was given.
	commandChanges = "state, sent_ms, delivered_ms, read_ms, ended_ms, answer, reason, ended_by, next_ms"
	openCommands   = "state IN ('queued', 'sent', 'delivered', 'read')"
)

func commandArgs(c *alerts.Command) []any {
	var key any
	if c.Key != "" {
		key = c.Key
	}
	return append([]any{c.ID, c.Device, c.Area, c.Kind, c.Text, c.Drill, c.Issuer, key, c.Issued, c.Expires}, commandChanged(c)...)
}

func commandChanged(c *alerts.Command) []any {
	return []any{c.State, c.Sent, c.Delivered, c.Read, c.Ended, c.Answer, c.Reason, c.By, c.NextAt}
}

func scanCommand(r row) (c alerts.Command, err error) {
	var key *string
	err = r.Scan(&c.ID, &c.Device, &c.Area, &c.Kind, &c.Text, &c.Drill, &c.Issuer, &key, scanTime{&c.Issued}, scanTime{&c.Expires},
		&c.State, scanTime{&c.Sent}, scanTime{&c.Delivered}, scanTime{&c.Read}, scanTime{&c.Ended}, &c.Answer, &c.Reason, &c.By,
		scanTime{&c.NextAt})
	if key != nil {
		c.Key = *key
	}
	return c, err
}

// sameCommand reports whether a second request with the key of the earlier
// command asks for the same thing. Until when it is shown may differ: that hangs
// on when it is asked.
func sameCommand(earlier, c *alerts.Command) bool {
	return earlier.Device == c.Device && earlier.Kind == c.Kind && earlier.Text == clean(c.Text) && earlier.Drill == c.Drill
}

// CreateCommand implements alerts.CommandStore. A command without a key is
// always new.
func (s *Store) CreateCommand(ctx context.Context, n alerts.Command, evs []alerts.Event) (saved alerts.Command, created bool, err error) {
	err = s.write(ctx, func(c conn) error {
		// Two commands to one device at once must see each other: the counter lets
		// them come one after the other.
		if _, err := c.exec(ctx, "UPDATE counters SET value = value + 1 WHERE name = 'commands'"); err != nil {
			return err
		}
		if n.Key != "" {
			earlier, err := queryOne(ctx, c, scanCommand,
				"SELECT "+commandCols+" FROM commands WHERE issuer = ? AND idempotency_key = ?", n.Issuer, n.Key)
			switch {
			case err == nil && !sameCommand(&earlier, &n):
				return fmt.Errorf("idempotency key %q of %s was used for another command, %s: %w", n.Key, n.Issuer, earlier.ID, alerts.ErrConflict)
			case err == nil:
				saved = earlier
				return nil
			case !errors.Is(err, alerts.ErrNotFound):
				return err
			}
		}
		ended, err := supersede(ctx, c, &n)
		if err != nil {
			return err
		}
		if _, err := insertRows(ctx, c, "INSERT INTO commands ("+commandCols+") VALUES ", "", [][]any{commandArgs(&n)}); err != nil {
			return err
		}
		if saved, err = queryOne(ctx, c, scanCommand, "SELECT "+commandCols+" FROM commands WHERE id = ?", n.ID); err != nil {
			return err
		}
		created = true
		return appendEvents(ctx, c, slices.Concat(evs, ended))
	})
	if err != nil {
		return alerts.Command{}, false, fmt.Errorf("creating command %q: %w", n.ID, err)
	}
	return saved, created, nil
}

// supersede ends what the new command takes the place of, and refuses it when
// too many others are open.
func supersede(ctx context.Context, c conn, n *alerts.Command) ([]alerts.Event, error) {
	open, err := queryAll(ctx, c, scanCommand, "SELECT "+commandCols+" FROM commands WHERE device = ? AND next_ms IS NOT NULL AND "+
		openCommands+" ORDER BY issued_ms, id"+c.d.forUpdate(), n.Device)
	if err != nil {
		return nil, err
	}
	var evs []alerts.Event
	stay := 0
	for i := range open {
		old := &open[i]
		if !n.Supersedes(old) || !old.End(alerts.CommandSuperseded, n.ID, "", n.Issued) {
			stay++
			continue
		}
		if err := saveCommand(ctx, c, old); err != nil {
			return nil, err
		}
		evs = append(evs, alerts.CommandEvent(old, n.Issued))
	}
	if stay >= alerts.MaxOpenCommands {
		return nil, fmt.Errorf("device %s has %d: %w", n.Device, stay, alerts.ErrTooManyCommands)
	}
	return evs, nil
}

func saveCommand(ctx context.Context, c conn, x *alerts.Command) error {
	_, err := c.exec(ctx, "UPDATE commands SET "+strings.ReplaceAll(commandChanges, ", ", " = ?, ")+" = ? WHERE id = ?",
		append(commandChanged(x), x.ID)...)
	return err
}

// Command implements alerts.CommandStore.
func (s *Store) Command(ctx context.Context, id string) (alerts.Command, error) {
	c, err := queryOne(ctx, s.read(), scanCommand, "SELECT "+commandCols+" FROM commands WHERE id = ?", id)
	return c, doing("reading command", notFound("command", id, err))
}

// Commands implements alerts.CommandStore. Newest is by the time issued, then by
// id. An unknown Before is alerts.ErrNotFound.
func (s *Store) Commands(ctx context.Context, q alerts.CommandQuery) ([]alerts.Command, error) {
	var w where
	if q.Device != "" {
		w.and("device = ?", q.Device)
	}
	if q.Open {
		w.and("next_ms IS NOT NULL AND " + openCommands)
	}
	if q.Area != "" {
		w.and("(area = ? OR area IN (SELECT code FROM below))", q.Area)
	}
	c := s.read()
	if err := w.before(ctx, c, "commands", "issued_ms", q.Before); err != nil {
		return nil, fmt.Errorf("listing commands: before command %q: %w", q.Before, err)
	}
	cs, err := queryAll(ctx, c, scanCommand, below(q.Area)+"SELECT "+commandCols+" FROM commands"+w.text+
		" ORDER BY issued_ms DESC, id DESC LIMIT ?", w.all(q.Area, pageLimit(q.Limit))...)
	return cs, doing("listing commands", err)
}

// dueCommands is materialized so that SQLite looks for what is due and not at
// all that is open.
const dueCommands = "WITH due AS MATERIALIZED (SELECT device, next_ms FROM commands WHERE next_ms <= ?) " +
	"SELECT device FROM due GROUP BY device ORDER BY MIN(next_ms), device LIMIT ?"

// liveCommands are one device's that are open or due.
const liveCommands = "SELECT " + commandCols + " FROM commands WHERE device = ? AND next_ms IS NOT NULL AND (" +
	openCommands + " OR next_ms <= ?) ORDER BY issued_ms, id"

// DueCommands implements alerts.CommandStore.
func (s *Store) DueCommands(ctx context.Context, now time.Time, limit int) ([]contract.DeviceID, error) {
	ids, err := queryAll(ctx, s.read(), scanDeviceID, dueCommands, now, listLimit(limit))
	return ids, doing("reading due commands", err)
}

// OpenDevices implements alerts.CommandStore, sorted.
func (s *Store) OpenDevices(ctx context.Context, now time.Time) ([]contract.DeviceID, error) {
	ids, err := queryAll(ctx, s.read(), scanDeviceID, "SELECT device FROM commands WHERE next_ms IS NOT NULL "+
		"UNION SELECT device FROM commands WHERE expires_ms > ? ORDER BY device", now)
	return ids, doing("reading devices with commands", err)
}

func scanDeviceID(r row) (id contract.DeviceID, err error) {
	err = r.Scan(&id)
	return id, err
}

// UpdateCommands implements alerts.CommandStore. change runs inside the
// transaction, with the commands locked, and must not call the store; its error
// undoes everything.
func (s *Store) UpdateCommands(ctx context.Context, device contract.DeviceID, now time.Time,
	change func([]alerts.Command) ([]alerts.Command, []alerts.Event, error),
) error {
	err := s.write(ctx, func(c conn) error {
		had, err := queryAll(ctx, c, scanCommand, liveCommands+s.d.forUpdate(), device, now)
		if err != nil {
			return err
		}
		before := make(map[string]alerts.Command, len(had))
		for _, x := range had {
			before[x.ID] = x
		}
		changed, evs, err := change(had)
		if err != nil {
			return err
		}
		for _, x := range changed {
			old, known := before[x.ID]
			switch {
			case !known:
				return fmt.Errorf("command %q was not among those read: %w", x.ID, alerts.ErrNotFound)
			case x == old:
				continue
			}
			if err := saveCommand(ctx, c, &x); err != nil {
				return err
			}
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return fmt.Errorf("updating commands of device %q: %w", device, err)
	}
	return nil
}

// UpdateCommand implements alerts.CommandStore. As with UpdateCommands, change
// runs inside the transaction.
func (s *Store) UpdateCommand(ctx context.Context, id string, change func(*alerts.Command) ([]alerts.Event, error)) (alerts.Command, error) {
	var saved alerts.Command
	err := s.write(ctx, func(c conn) error {
		const one = "SELECT " + commandCols + " FROM commands WHERE id = ?"
		x, err := queryOne(ctx, c, scanCommand, one+s.d.forUpdate(), id)
		if err != nil {
			return notFound("command", id, err)
		}
		evs, err := change(&x)
		if err != nil {
			return err
		}
		x.ID = id
		if err := saveCommand(ctx, c, &x); err != nil {
			return err
		}
		if saved, err = queryOne(ctx, c, scanCommand, one, id); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Command{}, fmt.Errorf("updating command %q: %w", id, err)
	}
	return saved, nil
}
