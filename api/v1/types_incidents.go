package v1

import "time"

// Hush is what keeps an alert from people.
type Hush struct {
	Kind  string     `json:"kind"` // silenced, inhibited
	By    string     `json:"by"`   // id of the silence, the incident or the graver alert
	Why   string     `json:"why"`
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until"` // of a silence
}

// Explanation tells why an alert stands, as data.
type Explanation struct {
	Condition string             `json:"condition"`
	Why       string             `json:"why"`
	Values    map[string]float64 `json:"values"`
	Base      string             `json:"base"` // severity before anything raised it
	Raised    []RaisedBy         `json:"raised"`
	Inputs    Surroundings       `json:"inputs"`
	Outcome   string             `json:"outcome"` // of judging it late: actionable, record_only, closes_question; empty: it was in time
	Held      []HeldBack         `json:"held"`
}

// RaisedBy is one step by which the severity was raised.
type RaisedBy struct {
	By   string `json:"by"` // season, warning, danger, special_day, unknown
	Why  string `json:"why"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Surroundings is what the rule knew of the area at the measured time.
type Surroundings struct {
	Season         string `json:"season"` // prevention, high_danger, closure; empty: none
	SeasonUnknown  bool   `json:"season_unknown"`
	Warning        string `json:"warning"` // blue…red; empty: none
	WarningEvent   string `json:"warning_event"`
	WarningUnknown bool   `json:"warning_unknown"`
	Danger         int    `json:"danger"`      // 1..5; 0: unknown
	DangerHeld     bool   `json:"danger_held"` // degraded
	DryDays        int    `json:"dry_days"`    // -1: unknown
	Special        string `json:"special"`     // name of the special day
}

// HeldBack is one time that something was kept from people or from teams.
type HeldBack struct {
	At  time.Time `json:"at"`
	By  string    `json:"by"` // inhibition, silence, late, calibrating, blind, gate, incident
	Why string    `json:"why"`
}

// Series is what the devices of an alert measured around it.
type Series struct {
	From    time.Time    `json:"from"`
	To      time.Time    `json:"to"`
	Lines   []SeriesLine `json:"lines"`
	Missing string       `json:"missing"` // why something is not there, 中文; empty: all is
}

// SeriesLine is one quantity of one device.
type SeriesLine struct {
	Device string    `json:"device"`
	Field  string    `json:"field"` // the contract's name
	Unit   string    `json:"unit"`
	At     []int64   `json:"at_ms"` // measured, ms since 1970, rising
	Value  []float64 `json:"value"` // beside at_ms
}

// Incident is one incident: GET /incidents (?open= ?area=), GET /incidents/{id}.
type Incident struct {
	ID         string     `json:"id"`
	Area       string     `json:"area"`
	AreaName   string     `json:"area_name"`
	Device     string     `json:"device"` // of its first alert
	Lat        *float64   `json:"lat"`
	Lon        *float64   `json:"lon"`
	Title      string     `json:"title"`
	Severity   string     `json:"severity"`
	State      string     `json:"state"` // open, confirmed, refuted, closed
	Began      time.Time  `json:"began"` // earliest measured time of its alerts
	Opened     time.Time  `json:"opened"`
	Updated    time.Time  `json:"updated"`
	Quiet      *time.Time `json:"quiet"` // since when none of its alerts stands
	Closed     *time.Time `json:"closed"`
	Confirmed  *time.Time `json:"confirmed"`
	Refuted    *time.Time `json:"refuted"`
	By         string     `json:"by"` // who confirmed or refuted
	ByName     string     `json:"by_name"`
	Alerts     int        `json:"alerts"`
	Order      string     `json:"order"`       // its first order
	OrderLevel *string    `json:"order_level"` // the highest of its orders
	Demo       bool       `json:"demo"`
	Members    []Alert    `json:"members,omitempty"` // the newest, of one incident only
}

// WordRequest is the body of POST /incidents/{id}/confirmations and /refutations.
type WordRequest struct {
	Note string `json:"note"`
}

// AlertSilence is one silence: GET /silences (?area= ?over=true).
type AlertSilence struct {
	ID         string     `json:"id"`
	Rule       string     `json:"rule"`   // empty: every rule
	Device     string     `json:"device"` // empty: every device
	Area       string     `json:"area"`   // this area and below; empty: the device's
	AreaName   string     `json:"area_name"`
	From       time.Time  `json:"from"`
	Until      time.Time  `json:"until"`
	Author     string     `json:"author"`
	AuthorName string     `json:"author_name"`
	Reason     string     `json:"reason"`
	InForce    bool       `json:"in_force"`
	Ended      *time.Time `json:"ended"` // when it was lifted
	Lifted     string     `json:"lifted"`
}

// SilenceRequest is the body of POST /silences.
type SilenceRequest struct {
	Rule   string    `json:"rule"`
	Device string    `json:"device"`
	Area   string    `json:"area"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// Holdback is something that a rule held back without an alert: GET /holdbacks
// (?area=).
type Holdback struct {
	Rule        string    `json:"rule"`
	RuleVersion string    `json:"rule_version"`
	Device      string    `json:"device"`
	Area        string    `json:"area"`
	AreaName    string    `json:"area_name"`
	Why         string    `json:"why"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Count       int       `json:"count"`
}
