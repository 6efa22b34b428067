package alerts

import (
	"context"
	"time"

	contract "firewatch/firmware-contracts"
)

// Incident is what the alerts of one place are about: one fire, not each sensor
// that sees it.
type Incident struct {
	ID         string
	Area       string            // township code of its first alert
	Device     contract.DeviceID // of its first alert; with no place, only this device's alerts join
	Lat, Lon   float64           // of its first alert: it does not wander with the later ones
	HasPlace   bool
	Title      string    // 中文
	Severity   Severity  // the gravest that its alerts have had
	Began      time.Time // earliest measured time of its alerts
	Opened     time.Time
	Updated    time.Time
	Quiet      time.Time // since when none of its alerts stands; zero: one does
	Closed     time.Time // zero while it is open
	Alerts     int       // that belong to it
	Confirmed  time.Time // when a person said that it is a fire; zero: nobody has
	By         string    // who said so, or who said that it is none
	Refuted    time.Time // when a person said that it is none; zero: nobody has
	Order      string    // id of its first order; empty: none
	OrderLevel Severity  // the highest level of its orders; Notice: none
	Demo       bool
}

// IncidentState is where an incident stands.
type IncidentState string

// The states of an incident.
const (
	IncidentOpen      IncidentState = "open"
	IncidentConfirmed IncidentState = "confirmed" // a person said that it is a fire
	IncidentRefuted   IncidentState = "refuted"   // a person said that it is none
	IncidentClosed    IncidentState = "closed"    // its alerts are over and it was quiet for long enough
)

// State is where the incident stands. A person's word that it is no fire ends it
// at once, however soon the row says so too.
func (i *Incident) State() IncidentState {
	switch {
	case !i.Refuted.IsZero():
		return IncidentRefuted
	case !i.Closed.IsZero():
		return IncidentClosed
	case !i.Confirmed.IsZero():
		return IncidentConfirmed
	}
	return IncidentOpen
}

// IncidentStore keeps incidents. They are made and changed by
// AlertStore.SaveJudged; Order and OrderLevel by OrderStore.CreateOrder, when an
// order that is no drill names an alert of the incident.
type IncidentStore interface {
	Incident(ctx context.Context, id string) (Incident, error)
	// Incidents are listed newest first.
	Incidents(ctx context.Context, q IncidentQuery) ([]Incident, error)
	// UpdateIncident reads, changes and saves an incident in one transaction.
	UpdateIncident(ctx context.Context, id string, change func(*Incident) ([]Event, error)) (Incident, error)
}

// IncidentQuery selects incidents.
type IncidentQuery struct {
	Open   bool   // only open ones
	Area   string // empty: all; else this area and below
	Before string
	Limit  int // 1..1000
}

// Silence is a person's word that alerts like these need no attention for a
// while (静默). It always has an end and an author. An SOS is never silenced.
type Silence struct {
	ID     string
	Rule   string            // empty: every rule
	Device contract.DeviceID // empty: every device
	Area   string            // this area and below; empty only with a device
	From   time.Time
	Until  time.Time
	Author string
	Reason string
	Made   time.Time
	Ended  time.Time // when it was lifted before its time; zero: it was not
	Lifted string    // who lifted it
}

// Over is when the silence ends, or ended.
func (s *Silence) Over() time.Time {
	if !s.Ended.IsZero() && s.Ended.Before(s.Until) {
		return s.Ended
	}
	return s.Until
}

// InForce reports whether the silence holds at the time.
func (s *Silence) InForce(at time.Time) bool { return !at.Before(s.From) && at.Before(s.Over()) }

// SilenceStore keeps silences.
type SilenceStore interface {
	SaveSilence(ctx context.Context, s Silence, evs []Event) error
	// Silences are those that end, or were lifted, after the time, newest first.
	Silences(ctx context.Context, after time.Time, limit int) ([]Silence, error)
	// LiftSilence ends a silence; ErrConflict when it has ended.
	LiftSilence(ctx context.Context, id, by string, at time.Time, evs []Event) (Silence, error)
}

// HushKind is why an alert is kept from people.
type HushKind string

// The kinds of hushes.
const (
	HushNone      HushKind = ""
	HushInhibited HushKind = "inhibited" // a graver alert, or a confirmed fire, says it already
	HushSilenced  HushKind = "silenced"  // a person said so
)

// Hush is what keeps an alert from people. The alert is stored all the same, is
// found when asked for, and comes forth when its hush ends while it stands.
type Hush struct {
	Kind  HushKind  `json:"kind,omitempty"`
	By    string    `json:"by,omitempty"`  // id of the incident or the silence
	Why   string    `json:"why,omitempty"` // 中文
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // of a silence
	// Severity is the alert's when it was hushed. An alert that becomes graver
	// comes forth, and By is added to Past: what hushes it no more, by blanks.
	Severity Severity `json:"severity,omitempty"`
	Past     string   `json:"past,omitempty"`
}

// Hushed reports whether something keeps the alert from people.
func (h Hush) Hushed() bool { return h.Kind != HushNone }

// Holdback is something that a rule saw and held back without an alert: a sensor
// that calibrates, a gate that was shut. Those of one rule and device for one
// reason are one.
type Holdback struct {
	Rule        string
	RuleVersion string
	Device      contract.DeviceID
	Area        string
	Why         string // 中文
	First, Last time.Time
	Count       int // times; a crash may count some twice
}

// HoldbackStore keeps the newest hold-backs.
type HoldbackStore interface {
	// SaveHoldbacks adds to those of the same rule, device and reason, and
	// forgets all but the newest keep.
	SaveHoldbacks(ctx context.Context, hs []Holdback, keep int) error
	// Holdbacks are the newest first; an area means it and those below.
	Holdbacks(ctx context.Context, area string, limit int) ([]Holdback, error)
}

// Explanation tells why an alert stands, as data. The sentence for people is
// made of it.
type Explanation struct {
	Condition string             `json:"condition,omitempty"` // as the rule has it
	Why       string             `json:"why,omitempty"`       // 中文: what decided
	Values    map[string]float64 `json:"values,omitempty"`    // what the condition saw, by name
	Base      Severity           `json:"base"`
	Raised    []RaisedBy         `json:"raised,omitempty"`
	Inputs    Surroundings       `json:"inputs"` // at the measured time
	Outcome   LateOutcome        `json:"outcome,omitempty"`
	Held      []HeldBack         `json:"held,omitempty"`
	Sources   []NearbySource     `json:"sources,omitempty"` // registered ones that could explain it
}

// RaisedBy is one step by which the severity was raised.
type RaisedBy struct {
	By   string   `json:"by"`  // season, warning, danger, special_day, unknown
	Why  string   `json:"why"` // 中文
	From Severity `json:"from"`
	To   Severity `json:"to"`
}

// HeldBack is one time that something was kept from people, or from teams.
type HeldBack struct {
	At  time.Time `json:"at"`
	By  string    `json:"by"`  // inhibition, silence, late, calibrating, blind, gate, incident
	Why string    `json:"why"` // 中文
}

// LateOutcome is what a late reading was still good for.
type LateOutcome string

// The outcomes of judging a late reading at its own time.
const (
	LateNone       LateOutcome = ""
	LateActionable LateOutcome = "actionable"      // it still calls people
	LateRecord     LateOutcome = "record_only"     // it is on record and calls nobody
	LateCloses     LateOutcome = "closes_question" // it answers what was open
)
