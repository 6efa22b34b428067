package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// olderCommand orders commands oldest first.
func olderCommand(a, b alerts.Command) int {
	return cmp.Or(a.Issued.Compare(b.Issued), cmp.Compare(a.ID, b.ID))
}

// CreateCommand implements alerts.CommandStore.
func (s *Store) CreateCommand(ctx context.Context, n alerts.Command, evs []alerts.Event) (saved alerts.Command, created bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Command{}, false, err
	}
	defer leave()
	for _, old := range s.commands {
		if n.Key != "" && old.Issuer == n.Issuer && old.Key == n.Key {
			if old.Device != n.Device || old.Kind != n.Kind || old.Text != n.Text || old.Drill != n.Drill {
				return alerts.Command{}, false, fmt.Errorf("idempotency key %q: %w", n.Key, alerts.ErrConflict)
			}
			return old, false, nil
		}
	}
	if _, taken := s.commands[n.ID]; taken {
		return alerts.Command{}, false, fmt.Errorf("command %q: %w", n.ID, alerts.ErrConflict)
	}
	var ended []alerts.Command
	stay := 0
	for _, old := range s.live(n.Device, time.Time{}) {
		if n.Supersedes(&old) && old.End(alerts.CommandSuperseded, n.ID, "", n.Issued) {
			ended = append(ended, old)
		} else if old.State.Open() {
			stay++
		}
	}
	if stay >= alerts.MaxOpenCommands {
		return alerts.Command{}, false, fmt.Errorf("device %s: %w", n.Device, alerts.ErrTooManyCommands)
	}
	for _, old := range ended {
		s.commands[old.ID] = old
		evs = append(slices.Clip(evs), alerts.CommandEvent(&old, n.Issued))
	}
	s.commands[n.ID] = n
	s.publish(evs)
	return n, true, nil
}

// live are the device's commands that are open or due, oldest first.
func (s *Store) live(device contract.DeviceID, now time.Time) (out []alerts.Command) {
	for _, c := range s.commands {
		if c.Device == device && (c.State.Open() || !c.NextAt.IsZero() && !c.NextAt.After(now)) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, olderCommand)
	return out
}

// Command implements alerts.CommandStore.
func (s *Store) Command(ctx context.Context, id string) (alerts.Command, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Command{}, err
	}
	defer leave()
	c, ok := s.commands[id]
	if !ok {
		return alerts.Command{}, fmt.Errorf("command %q: %w", id, alerts.ErrNotFound)
	}
	return c, nil
}

// Commands implements alerts.CommandStore.
func (s *Store) Commands(ctx context.Context, q alerts.CommandQuery) ([]alerts.Command, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	before, paged := s.commands[q.Before]
	if q.Before != "" && !paged {
		return nil, fmt.Errorf("command %q: %w", q.Before, alerts.ErrNotFound)
	}
	var out []alerts.Command
	for _, c := range s.commands {
		if (q.Device == "" || c.Device == q.Device) && (!q.Open || c.State.Open()) && s.below(c.Area, q.Area) &&
			(!paged || olderCommand(c, before) < 0) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b alerts.Command) int { return olderCommand(b, a) })
	return out[:min(len(out), q.Limit)], nil
}

// DueCommands implements alerts.CommandStore.
func (s *Store) DueCommands(ctx context.Context, now time.Time, limit int) ([]contract.DeviceID, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	first := map[contract.DeviceID]time.Time{}
	for _, c := range s.commands {
		if c.NextAt.IsZero() || c.NextAt.After(now) {
			continue
		}
		if at, ok := first[c.Device]; !ok || c.NextAt.Before(at) {
			first[c.Device] = c.NextAt
		}
	}
	out := slices.SortedFunc(maps.Keys(first), func(a, b contract.DeviceID) int {
		return cmp.Or(first[a].Compare(first[b]), cmp.Compare(a, b))
	})
	return out[:min(len(out), max(limit, 0))], nil
}

// OpenDevices implements alerts.CommandStore, sorted.
func (s *Store) OpenDevices(ctx context.Context, now time.Time) ([]contract.DeviceID, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	of := map[contract.DeviceID]bool{}
	for _, c := range s.commands {
		if !c.NextAt.IsZero() || c.Expires.After(now) {
			of[c.Device] = true
		}
	}
	return slices.Sorted(maps.Keys(of)), nil
}

// UpdateCommands implements alerts.CommandStore.
func (s *Store) UpdateCommands(ctx context.Context, device contract.DeviceID, now time.Time,
	change func([]alerts.Command) ([]alerts.Command, []alerts.Event, error),
) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	had := s.live(device, now)
	known := map[string]bool{}
	for _, c := range had {
		known[c.ID] = true
	}
	changed, evs, err := change(had)
	if err != nil {
		return err
	}
	for _, c := range changed {
		if !known[c.ID] {
			return fmt.Errorf("command %q: %w", c.ID, alerts.ErrNotFound)
		}
	}
	for _, c := range changed {
		s.commands[c.ID] = unchanging(c, s.commands[c.ID])
	}
	s.publish(evs)
	return nil
}

// unchanging is the command with all that was settled when it was given.
func unchanging(c, given alerts.Command) alerts.Command {
	given.State, given.Sent, given.Delivered, given.Read, given.Ended = c.State, c.Sent, c.Delivered, c.Read, c.Ended
	given.Answer, given.Reason, given.By, given.NextAt = c.Answer, c.Reason, c.By, c.NextAt
	return given
}

// UpdateCommand implements alerts.CommandStore.
func (s *Store) UpdateCommand(ctx context.Context, id string, change func(*alerts.Command) ([]alerts.Event, error)) (alerts.Command, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Command{}, err
	}
	defer leave()
	given, ok := s.commands[id]
	if !ok {
		return alerts.Command{}, fmt.Errorf("command %q: %w", id, alerts.ErrNotFound)
	}
	c := given
	evs, err := change(&c)
	if err != nil {
		return alerts.Command{}, err
	}
	c = unchanging(c, given)
	s.commands[id] = c
	s.publish(evs)
	return c, nil
}
