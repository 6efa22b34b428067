package alerts

import (
	"context"
	"time"

	contract "firewatch/firmware-contracts"
)

// Incident is what the alerts of one place are about: one fire, not each sensor
// that sees it.
type Incident struct {
	ID        string
	Area      string // township code of its first alert
	Lat, Lon  float64
	HasPlace  bool
	Title     string // 中文
	Severity  Severity
	Opened    time.Time
	Updated   time.Time
	Closed    time.Time // zero while it is open
	Alerts    int       // that belong to it
	Confirmed time.Time // when a person said that it is a fire; zero: nobody has
	By        string    // who said so, or who said that it is none
	Refuted   time.Time // when a person said that it is none; zero: nobody has
	Order     string    // id of its first order; empty: none
	Demo      bool
}

// IncidentStore keeps incidents. They are made and changed by AlertStore.SaveJudged.
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
