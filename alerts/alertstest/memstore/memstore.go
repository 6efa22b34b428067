// Package memstore keeps everything that the alerts ports keep in memory. It
// is for tests of what stands on the ports, and passes the same suite as the
// real stores.
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Store implements every store port of package alerts. Its zero value is not
// ready: use New. What goes in and what comes out is copied.
type Store struct {
	mu         sync.Mutex
	fail       error
	roster     alerts.Roster
	areas      alerts.Areas
	version    int64
	users      map[string]alerts.User
	sessions   map[string]alerts.Session
	alerts     map[string]alerts.Alert
	states     map[[2]string]alerts.RuleState
	judged     map[string]uint64
	orders     map[string]alerts.Order
	deliveries map[deliveryKey]alerts.Delivery
	attempts   []alerts.Attempt
	commands   map[string]alerts.Command
	warnings   []alerts.Warning
	feeds      map[string]alerts.WarningFeed
	seasons    []savedSeasons
	events     []alerts.Event
	audits     []alerts.Audit
	leases     map[string]lease
	dangers    dangers
	documents  []alerts.Document // in the order of being saved
	hotspots   map[string]alerts.Hotspot
	incidents  map[string]alerts.Incident
	silences   map[string]alerts.Silence
	holdbacks  []alerts.Holdback
	readiness  map[string][]alerts.Readiness // by area, each save
}

type (
	deliveryKey struct {
		order string
		team  contract.TeamID
	}
	savedSeasons struct {
		table alerts.SeasonTable
		at    time.Time
	}
	lease struct {
		holder string
		until  time.Time
	}
)

var (
	_ alerts.RosterStore  = (*Store)(nil)
	_ alerts.DeviceStore  = (*Store)(nil)
	_ alerts.AccountStore = (*Store)(nil)
	_ alerts.AlertStore   = (*Store)(nil)
	_ alerts.OrderStore   = (*Store)(nil)
	_ alerts.CommandStore = (*Store)(nil)
	_ alerts.WarningStore = (*Store)(nil)
	_ alerts.EventStore   = (*Store)(nil)
	_ alerts.AuditStore   = (*Store)(nil)
	_ alerts.LeaseStore   = (*Store)(nil)
	_ alerts.DangerStore  = (*Store)(nil)

	_ alerts.DocumentStore  = (*Store)(nil)
	_ alerts.HotspotStore   = (*Store)(nil)
	_ alerts.IncidentStore  = (*Store)(nil)
	_ alerts.SilenceStore   = (*Store)(nil)
	_ alerts.HoldbackStore  = (*Store)(nil)
	_ alerts.ReadinessStore = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{
		areas:      alerts.Areas{},
		users:      map[string]alerts.User{},
		sessions:   map[string]alerts.Session{},
		alerts:     map[string]alerts.Alert{},
		states:     map[[2]string]alerts.RuleState{},
		judged:     map[string]uint64{},
		orders:     map[string]alerts.Order{},
		deliveries: map[deliveryKey]alerts.Delivery{},
		commands:   map[string]alerts.Command{},
		leases:     map[string]lease{},
		hotspots:   map[string]alerts.Hotspot{},
		incidents:  map[string]alerts.Incident{},
		silences:   map[string]alerts.Silence{},
		readiness:  map[string][]alerts.Readiness{},
	}
}

// Fail makes every call return err until it is called with nil: a store that is
// away.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// enter locks the store for one call.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	s.mu.Lock()
	if err := cmp.Or(s.fail, ctx.Err()); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	return s.mu.Unlock, nil
}

// publish appends events with rising ids.
func (s *Store) publish(evs []alerts.Event) {
	for _, e := range evs {
		e.ID = int64(len(s.events)) + 1
		e.Data = bytes.Clone(e.Data)
		s.events = append(s.events, e)
	}
}

// Events implements alerts.EventStore.
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]alerts.Event, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	from := min(max(after, 0), int64(len(s.events)))
	page := s.events[from:]
	page = page[:min(max(limit, 0), len(page))]
	out := make([]alerts.Event, len(page))
	for i, e := range page {
		e.Data = bytes.Clone(e.Data)
		out[i] = e
	}
	return out, nil
}

// LastEvent implements alerts.EventStore.
func (s *Store) LastEvent(ctx context.Context) (int64, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	return int64(len(s.events)), nil
}

// SaveAudit implements alerts.AuditStore.
func (s *Store) SaveAudit(ctx context.Context, a alerts.Audit) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.audits = append(s.audits, a)
	return nil
}

// Audits implements alerts.AuditStore: the newest first.
func (s *Store) Audits(ctx context.Context, limit int) ([]alerts.Audit, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out := slices.Clone(s.audits)
	slices.Reverse(out)
	return out[:min(max(limit, 0), len(out))], nil
}

// AcquireLease implements alerts.LeaseStore.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if l, ok := s.leases[name]; ok && l.holder != holder && now.Before(l.until) {
		return false, nil
	}
	s.leases[name] = lease{holder, now.Add(ttl)}
	return true, nil
}

// ReleaseLease implements alerts.LeaseStore.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.leases[name].holder == holder {
		delete(s.leases, name)
	}
	return nil
}

// below reports whether the area is the wanted one or below it; an empty wish
// is fulfilled by all.
func (s *Store) below(area, want string) bool {
	return want == "" || s.areas.Within(area, want)
}
