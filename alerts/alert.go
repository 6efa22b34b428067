package alerts

import (
	"encoding/json"
	"time"

	contract "firewatch/firmware-contracts"
)

// Severity orders alerts for people. It uses the four colours of the warning
// signals, with Notice below for what is no alarm (a low battery).
type Severity uint8

// The severities, rising.
const (
	Notice Severity = iota
	Blue
	Yellow
	Orange
	Red
)

// AlertState is where an alert stands.
type AlertState string

// The states of an alert. Pending alerts are kept in RuleState only.
const (
	Pending  AlertState = "pending"  // the condition holds, but not for long enough
	Firing   AlertState = "firing"   // a person should look
	Resolved AlertState = "resolved" // the condition has ended
)

// Alert is one thing that a person should look at. It is raised once and keeps
// its evidence.
type Alert struct {
	ID          string
	Rule        string // name of the rule
	RuleVersion string
	Device      contract.DeviceID
	Area        string // township code
	Lat, Lon    float64
	HasPlace    bool
	Severity    Severity
	State       AlertState
	Summary     string        // one sentence, 中文
	SummaryEn   string        // the same in English
	Reasons     []string      // what raised or lowered the severity, 中文
	Measured    time.Time     // when what it tells of was measured
	Raised      time.Time     // when we raised it
	Late        time.Duration // how late the decisive reading came; 0 when in time
	Resolved    time.Time     // zero while it stands
	Updated     time.Time
	Evidence    []Evidence
	Acks        []Ack
	Order       string // id of the order it caused, or empty
	Incident    string // id of the incident it belongs to; empty: of none
	Hush        Hush   // what keeps it from people; zero: nothing
	Explain     Explanation
	Demo        bool
}

// Evidence is one reading that the alert rests on.
type Evidence struct {
	Device   contract.DeviceID
	Measured time.Time
	Received time.Time
	Field    string // wire name of the decisive field
	Value    float64
	Note     string // 中文
}

// Ack is one person's word that they have seen the alert.
type Ack struct {
	By   string // username
	At   time.Time
	Note string
}

// RuleState is the durable state of one rule for one subject: all that Step
// needs beside the windows of recent readings.
type RuleState struct {
	Rule    string
	Subject string // device id
	State   AlertState
	Since   time.Time // measured time at which the state began
	AlertID string    // of the firing alert
	Through time.Time // newest measured time judged
	Data    json.RawMessage
}

// EventType is a kind of Event.
type EventType string

// The events that go out on GET /events.
const (
	EventAlert     EventType = "alert"     // an alert was raised or changed; Data is {"id"}
	EventOrder     EventType = "order"     // an order was given or changed; Data is {"id"}
	EventDelivery  EventType = "delivery"  // one team's delivery changed; Data is {"order","team"}
	EventWarning   EventType = "warning"   // a weather warning came, changed or ended; Data is {"id"}
	EventSeason    EventType = "season"    // the season table changed
	EventRoster    EventType = "roster"    // areas, teams or devices changed
	EventCommand   EventType = "command"   // a command to a tracker was given or changed; Data is {"id","device","state"}
	EventIncident  EventType = "incident"  // an incident was opened, changed or closed; Data is {"id"}
	EventSilence   EventType = "silence"   // a silence was made or lifted; Data is {"id"}
	EventDanger    EventType = "danger"    // fire danger was rated; Data is {"day"}
	EventReadiness EventType = "readiness" // readiness was proposed or set; Data is {"areas":[…]}
	EventDocument  EventType = "document"  // a version of rules, a table or a list was saved or approved; Data is {"kind","version"}
	EventHotspot   EventType = "hotspot"   // hotspots were imported; Data is {"added":n}
)

// Event tells that something changed. Events are rows with a rising id, written
// in the transaction that made the change, so that a listener can resume.
type Event struct {
	ID   int64
	At   time.Time
	Type EventType
	Area string          // who may see it: offices whose scope holds this area (empty: all offices)
	Team contract.TeamID // and this team
	Data json.RawMessage
}
