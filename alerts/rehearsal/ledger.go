package rehearsal

import (
	"context"
	"maps"
	"slices"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// ledger is what the engine asks of its stores, in memory and by the clock of the
// rehearsal. What a rehearsal does not keep is not there: the embedded ports are
// nil, and no method of theirs is called.
type ledger struct {
	world    *World
	now      func() time.Time
	lean     bool
	alerts   map[string]*alerts.Alert
	order    []string // of the alerts, as they were raised
	open     map[string]*alerts.Incident
	closed   map[string]*alerts.Incident
	orders   []Order
	held     map[heldKey]*alerts.Holdback
	danger   map[string][]alerts.AreaDanger // by day
	hotspots int                            // handed out
	judged   map[string]bool                // hotspots
	sources  *alerts.Document
}

type heldKey struct {
	rule   string
	device contract.DeviceID
	why    string
}

func newLedger(w *World, now func() time.Time, lean bool) *ledger {
	l := &ledger{
		world: w, now: now, lean: lean, alerts: make(map[string]*alerts.Alert), open: make(map[string]*alerts.Incident),
		closed: make(map[string]*alerts.Incident),
		held:   make(map[heldKey]*alerts.Holdback), danger: make(map[string][]alerts.AreaDanger), judged: make(map[string]bool),
	}
	for _, d := range w.Danger {
		l.danger[d.Day] = append(l.danger[d.Day], d)
	}
	if w.Sources != nil {
		l.sources = &alerts.Document{Kind: alerts.DocumentSources, Version: "rehearsal", Body: w.Sources}
	}
	return l
}

// silent is a feed that brings nothing: input comes by call.
type silent struct{}

func (silent) Name() string { return "rehearsal" }

func (silent) Read(ctx context.Context, _ uint64, _ int) (alerts.Batch, error) {
	<-ctx.Done()
	return alerts.Batch{}, ctx.Err()
}
func (silent) Seek(time.Time) uint64 { return 0 }
func (silent) Release(uint64) error  { return nil }

type rosterPort struct {
	alerts.RosterStore
	*ledger
}

func (p rosterPort) RosterVersion(context.Context) (int64, bool, error) {
	return 1, p.world.Roster.Demo, nil
}

func (p rosterPort) Areas(context.Context) ([]alerts.Area, error) { return p.world.Roster.Areas, nil }

func (p rosterPort) Teams(context.Context) ([]alerts.Team, error) { return p.world.Roster.Teams, nil }

func (p rosterPort) Devices(context.Context) ([]alerts.Device, error) {
	return p.world.Roster.Devices, nil
}

type alertPort struct {
	alerts.AlertStore
	*ledger
}

func (alertPort) JudgedPosition(context.Context, string) (uint64, bool, error) { return 0, false, nil }

func (alertPort) RuleStates(context.Context) ([]alerts.RuleState, error) { return nil, nil }

func (alertPort) Alerts(context.Context, alerts.AlertQuery) ([]alerts.Alert, error) { return nil, nil }

func (p alertPort) Alert(_ context.Context, id string) (alerts.Alert, error) {
	if a := p.alerts[id]; a != nil {
		return *a, nil
	}
	return alerts.Alert{}, alerts.ErrNotFound
}

// SaveJudged keeps the newest of each alert and incident.
func (p alertPort) SaveJudged(_ context.Context, j alerts.Judged) error {
	for i := range j.Alerts {
		a := j.Alerts[i]
		was := p.alerts[a.ID]
		if was == nil {
			p.order = append(p.order, a.ID)
		} else if a.Order == "" {
			a.Order = was.Order
		}
		if p.lean {
			a.Evidence, a.Explain.Values, a.Explain.Sources = nil, nil, nil
		}
		p.alerts[a.ID] = &a
	}
	for i := range j.Incidents {
		in := j.Incidents[i]
		if was := p.open[in.ID]; was != nil {
			in.Order, in.OrderLevel = was.Order, was.OrderLevel
		}
		if in.Closed.IsZero() {
			p.open[in.ID] = &in
			continue
		}
		delete(p.open, in.ID)
		p.closed[in.ID] = &in
	}
	for _, h := range j.Hotspots {
		p.judged[h.ID] = true
	}
	return nil
}

type incidentPort struct {
	alerts.IncidentStore
	*ledger
}

func (p incidentPort) Incident(_ context.Context, id string) (alerts.Incident, error) {
	if in := p.open[id]; in != nil {
		return *in, nil
	}
	return alerts.Incident{}, alerts.ErrNotFound
}

func (p incidentPort) Incidents(context.Context, alerts.IncidentQuery) ([]alerts.Incident, error) {
	out := make([]alerts.Incident, 0, len(p.open))
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(p.open))) {
		out = append(out, *p.open[id])
	}
	return out, nil
}

type orderPort struct {
	alerts.OrderStore
	*ledger
}

// CreateOrder notes an automatic order.
func (p orderPort) CreateOrder(_ context.Context, o alerts.Order, ds []alerts.Delivery, _ []alerts.Event) (alerts.Order, bool, error) {
	x := Order{
		At: o.Issued, Kind: o.Kind, Level: o.Level, Mode: alerts.ModeAutomatic, Alert: o.Alert, Shortfalls: o.Shortfalls,
	}
	for _, d := range ds {
		x.Teams = append(x.Teams, d.Team)
	}
	if a := p.alerts[o.Alert]; a != nil {
		a.Order = o.ID
		x.Rule, x.Area, x.Incident = a.Rule, a.Area, a.Incident
		if in := p.open[a.Incident]; in != nil && len(ds) > 0 {
			if in.Order == "" {
				in.Order = o.ID
			}
			in.OrderLevel = max(in.OrderLevel, o.Level)
		}
	}
	p.orders = append(p.orders, x)
	return o, true, nil
}

// proposed notes an order that a person would have been asked for.
func (l *ledger) proposed(a alerts.Alert, p alerts.OrderPolicy, picks []alerts.Pick, shortfalls []string) {
	x := Order{
		At: l.now(), Kind: p.Kind, Level: max(a.Severity, alerts.Blue), Mode: alerts.ModePropose, Rule: a.Rule, Alert: a.ID,
		Incident: a.Incident, Area: a.Area, Shortfalls: slices.Clone(shortfalls),
	}
	for _, pick := range picks {
		x.Teams = append(x.Teams, pick.Team.ID)
	}
	l.orders = append(l.orders, x)
}

type warningPort struct {
	alerts.WarningStore
	*ledger
}

func (p warningPort) Warnings(_ context.Context, inForceAt time.Time, limit int) ([]alerts.Warning, error) {
	ws := p.world.warnings(p.now(), !inForceAt.IsZero())
	return ws[:min(len(ws), limit)], nil
}

func (p warningPort) Seasons(_ context.Context, at time.Time) (alerts.SeasonTable, error) {
	if t := p.world.seasons(at); t != nil {
		return *t, nil
	}
	return alerts.SeasonTable{}, alerts.ErrNotFound
}

type dangerPort struct {
	alerts.DangerStore
	*ledger
}

func (p dangerPort) AreaDangers(_ context.Context, _, from, to string) ([]alerts.AreaDanger, error) {
	now := p.now()
	var out []alerts.AreaDanger
	day, err := time.Parse(time.DateOnly, from)
	for ; err == nil && day.Format(time.DateOnly) <= to; day = day.AddDate(0, 0, 1) {
		for _, d := range p.danger[day.Format(time.DateOnly)] {
			if !d.At.After(now) {
				out = append(out, d)
			}
		}
	}
	return out, err
}

type silencePort struct {
	alerts.SilenceStore
	*ledger
}

func (p silencePort) Silences(_ context.Context, after time.Time, _ int) ([]alerts.Silence, error) {
	var out []alerts.Silence
	for i := range p.world.Silences {
		if s := &p.world.Silences[i]; !s.Made.After(p.now()) && s.Over().After(after) {
			out = append(out, *s)
		}
	}
	return out, nil
}

type holdbackPort struct {
	alerts.HoldbackStore
	*ledger
}

// maxHeld bounds the hold-backs that are kept apart.
const maxHeld = 10_000

// SaveHoldbacks adds up those of the same rule, device and reason.
func (p holdbackPort) SaveHoldbacks(_ context.Context, hs []alerts.Holdback, _ int) error {
	for _, h := range hs {
		key := heldKey{h.Rule, h.Device, h.Why}
		was := p.held[key]
		switch {
		case was != nil:
			was.Last, was.Count = h.Last, was.Count+h.Count
		case len(p.held) < maxHeld:
			p.held[key] = &h
		}
	}
	return nil
}

type documentPort struct {
	alerts.DocumentStore
	*ledger
}

func (p documentPort) Document(_ context.Context, kind alerts.DocumentKind, _ time.Time) (alerts.Document, error) {
	if kind == alerts.DocumentSources && p.sources != nil {
		return *p.sources, nil
	}
	return alerts.Document{}, alerts.ErrNotFound
}

type hotspotPort struct {
	alerts.HotspotStore
	*ledger
}

func (p hotspotPort) UnjudgedHotspots(_ context.Context, limit int) ([]alerts.Hotspot, error) {
	var out []alerts.Hotspot
	for i := p.hotspots; i < len(p.world.Hotspots) && len(out) < limit; i++ {
		h := &p.world.Hotspots[i]
		if h.Imported.After(p.now()) {
			break
		}
		if !p.judged[h.ID] {
			out = append(out, *h)
		} else if i == p.hotspots {
			p.hotspots++
		}
	}
	return out, nil
}
