package v1

import "time"

// AreaReadiness is where one township, or the professional teams (area
// "professional"), stand.
type AreaReadiness struct {
	Area         string     `json:"area"` // township code, or professional
	AreaName     string     `json:"area_name"`
	Posture      string     `json:"posture"`      // normal, standby, defence, combat_ready, emergency
	PostureName  string     `json:"posture_name"` // 中文
	Since        time.Time  `json:"since"`
	By           string     `json:"by"`      // username, or table:VERSION when it was automatic
	ByName       string     `json:"by_name"` // the person or post, when known
	Word         string     `json:"word"`    // why, where it is not what was proposed
	Proposed     string     `json:"proposed"`
	ProposedName string     `json:"proposed_name"`
	ProposedAt   time.Time  `json:"proposed_at"`
	Open         bool       `json:"open"`         // the proposal waits for a person
	Order        string     `json:"order"`        // id of the order that goes with the posture; empty: none, or not given yet
	OrderOwed    bool       `json:"order_owed"`   // the order is not given yet; it is tried again
	Reasons      []string   `json:"reasons"`      // 中文, of the proposal
	Sentence     string     `json:"sentence"`     // the reasons and the proposal in one
	Degraded     bool       `json:"degraded"`     // an input is unknown, or known from earlier only
	EasingSince  *time.Time `json:"easing_since"` // from when on the inputs ask for less; null: they do not
	Easing       string     `json:"easing"`       // what they ask for since; empty: nothing less
	Inputs       Inputs     `json:"inputs"`
	Version      string     `json:"version"` // of the table
	Updated      time.Time  `json:"updated"`
	Measures     Measures   `json:"measures"`
}

// Inputs are what a proposal rests on.
type Inputs struct {
	Season         string `json:"season"` // prevention, high_danger, closure; empty: none
	SeasonName     string `json:"season_name"`
	SeasonUnknown  bool   `json:"season_unknown"`
	Warning        string `json:"warning"` // blue, yellow, orange, red; empty: none
	WarningEvent   string `json:"warning_event"`
	WarningUnknown bool   `json:"warning_unknown"`
	Danger         int    `json:"danger"` // 1..5; 0: not known
	DangerName     string `json:"danger_name"`
	DangerHeld     bool   `json:"danger_held"`
	DryDays        *int   `json:"dry_days"` // null: not known
	Special        string `json:"special"`  // 中文 name of the special day; empty: none
}

// Measures are what the row of the table in force asks of people on the ground.
type Measures struct {
	Row       string `json:"row"`     // name of the row, 中文
	Patrols   int    `json:"patrols"` // tracked patrols a day of each warden, at least
	Wardens   string `json:"wardens"`
	Entrances string `json:"entrances"`
}

// ConfirmationRequest is the body of POST /readiness/confirmations.
type ConfirmationRequest struct {
	Areas   []SeenProposal `json:"areas"`   // 1..1000
	Posture string         `json:"posture"` // empty: of each area what is proposed
	Word    string         `json:"word"`    // why; needed where posture is not what is proposed
	Order   bool           `json:"order"`   // give the teams the order that belongs to the posture
	Drill   bool           `json:"drill"`   // of the order
}

// SeenProposal is an area with the proposal that the officer saw.
type SeenProposal struct {
	Area     string `json:"area"`
	Proposed string `json:"proposed"`
}

// Confirmation answers POST /readiness/confirmations.
type Confirmation struct {
	Items      []AreaReadiness `json:"items"`
	Orders     []Order         `json:"orders"`
	Shortfalls []string        `json:"shortfalls"` // for whom no order was given and why, 中文
}

// Document is one version of rules, of the readiness table or of a list.
type Document struct {
	Kind      string     `json:"kind"`
	Version   string     `json:"version"`
	Effective time.Time  `json:"effective"`
	Author    string     `json:"author"` // username, or file
	Saved     time.Time  `json:"saved"`
	Approver  string     `json:"approver"` // empty: it waits for a second person
	Approved  *time.Time `json:"approved"`
	InForce   bool       `json:"in_force"`
	Body      string     `json:"body,omitempty"` // YAML; not in lists
}
