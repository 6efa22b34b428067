package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Areas implements alerts.RosterStore.
func (s *Store) Areas(ctx context.Context) ([]alerts.Area, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := slices.Clone(s.roster.Areas)
	for i := range out {
		out[i].Outline = bytes.Clone(out[i].Outline)
	}
	return out, nil
}

// Teams implements alerts.RosterStore.
func (s *Store) Teams(ctx context.Context) ([]alerts.Team, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return slices.Clone(s.roster.Teams), nil
}

// Devices implements alerts.RosterStore.
func (s *Store) Devices(ctx context.Context) ([]alerts.Device, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return slices.Clone(s.roster.Devices), nil
}

// ReplaceRoster implements alerts.RosterStore.
func (s *Store) ReplaceRoster(ctx context.Context, r alerts.Roster, at time.Time) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	next := alerts.Roster{
		Areas: slices.Clone(r.Areas), Teams: slices.Clone(r.Teams), Devices: slices.Clone(r.Devices), Demo: r.Demo,
	}
	slices.SortFunc(next.Areas, func(a, b alerts.Area) int { return cmp.Compare(a.Code, b.Code) })
	slices.SortFunc(next.Teams, func(a, b alerts.Team) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(next.Devices, func(a, b alerts.Device) int { return cmp.Compare(a.ID, b.ID) })
	for i := range next.Areas {
		next.Areas[i].Outline = bytes.Clone(next.Areas[i].Outline)
		if i > 0 && next.Areas[i].Code == next.Areas[i-1].Code {
			return fmt.Errorf("area %s twice: %w", next.Areas[i].Code, alerts.ErrConflict)
		}
	}
	teams := map[contract.TeamID]string{}
	for _, t := range s.roster.Teams {
		teams[t.ID] = t.SecretHash
	}
	for i, t := range next.Teams {
		if i > 0 && t.ID == next.Teams[i-1].ID {
			return fmt.Errorf("team %s twice: %w", t.ID, alerts.ErrConflict)
		}
		next.Teams[i].SecretHash = cmp.Or(t.SecretHash, teams[t.ID])
	}
	devices := map[contract.DeviceID]string{}
	for _, d := range s.roster.Devices {
		devices[d.ID] = d.SecretHash
	}
	for i, d := range next.Devices {
		if i > 0 && d.ID == next.Devices[i-1].ID {
			return fmt.Errorf("device %s twice: %w", d.ID, alerts.ErrConflict)
		}
		next.Devices[i].SecretHash = cmp.Or(d.SecretHash, devices[d.ID])
	}
	if err := checkDevices(next.Devices, s.roster.Devices); err != nil {
		return err
	}
	s.roster, s.areas = next, alerts.IndexAreas(next.Areas)
	s.version++
	s.publish([]alerts.Event{{At: at, Type: alerts.EventRoster}})
	return nil
}

// RosterVersion implements alerts.RosterStore.
func (s *Store) RosterVersion(ctx context.Context) (version int64, demo bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, false, err
	}
	defer leave()
	return s.version, s.roster.Demo, nil
}

// User implements alerts.AccountStore.
func (s *Store) User(ctx context.Context, username string) (alerts.User, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.User{}, err
	}
	defer leave()
	u, ok := s.users[username]
	if !ok {
		return alerts.User{}, fmt.Errorf("user %q: %w", username, alerts.ErrNotFound)
	}
	return u, nil
}

// Users implements alerts.AccountStore, by username.
func (s *Store) Users(ctx context.Context) ([]alerts.User, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := make([]alerts.User, 0, len(s.users))
	for _, u := range s.users {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b alerts.User) int { return cmp.Compare(a.Username, b.Username) })
	return out, nil
}

// SaveUser implements alerts.AccountStore.
func (s *Store) SaveUser(ctx context.Context, u alerts.User) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.users[u.Username] = u
	return nil
}

// CreateSession implements alerts.AccountStore.
func (s *Store) CreateSession(ctx context.Context, n alerts.Session) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := s.users[n.Username]; !ok {
		return fmt.Errorf("user %q: %w", n.Username, alerts.ErrNotFound)
	}
	if _, taken := s.sessions[n.TokenHash]; taken {
		return fmt.Errorf("session: %w", alerts.ErrConflict)
	}
	s.sessions[n.TokenHash] = n
	return nil
}

// Session implements alerts.AccountStore.
func (s *Store) Session(ctx context.Context, tokenHash string, now time.Time) (alerts.Session, alerts.User, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Session{}, alerts.User{}, err
	}
	defer leave()
	n, ok := s.sessions[tokenHash]
	if !ok || !now.Before(n.Expires) {
		return alerts.Session{}, alerts.User{}, fmt.Errorf("session: %w", alerts.ErrNotFound)
	}
	return n, s.users[n.Username], nil
}

// DeleteSession implements alerts.AccountStore. Deleting what is not there is
// no error.
func (s *Store) DeleteSession(ctx context.Context, tokenHash string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	delete(s.sessions, tokenHash)
	return nil
}
