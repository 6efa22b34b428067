package v1

import (
	"encoding/json"
	"time"
)

// The JSON of version 1. Times are RFC 3339 in UTC with milliseconds; an absent
// time is null. Field names carry units. Words for people are Chinese, with an
// English twin where the name ends in _en.

// List is every list: one page of items, and the cursor of the next page or
// null at the end. Ask with ?limit= (1..1000, default 100) and ?cursor=.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// Problem is an error, application/problem+json (RFC 9457).
type Problem struct {
	Type   string       `json:"type"`   // about:blank, or a URN of ours
	Title  string       `json:"title"`  // 中文
	Status int          `json:"status"` // HTTP status
	Code   string       `json:"code"`   // for machines: invalid, unauthenticated, forbidden, not_found, conflict, too_large, unavailable, internal, rate_limited
	Detail string       `json:"detail,omitempty"`
	Errors []FieldError `json:"errors,omitempty"`
}

// FieldError says what is wrong with one field of the request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// SessionRequest is the body of POST /sessions.
type SessionRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// SessionResponse answers POST /sessions (201); the token is also set as the
// HttpOnly cookie "firewatch_session".
type SessionResponse struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	User    Me        `json:"user"`
}

// Me is the account that asks: GET /sessions/current.
type Me struct {
	Username string `json:"username"`
	Name     string `json:"name"`
	Role     string `json:"role"` // admin, office, team
	Area     string `json:"area"` // scope of an office
	AreaName string `json:"area_name"`
	Team     string `json:"team"` // of a team
	TeamName string `json:"team_name"`
	Demo     bool   `json:"demo"` // show 演示
}

// Area is one area: GET /areas (?level= ?parent= ?outline=true).
type Area struct {
	Code     string          `json:"code"`
	Name     string          `json:"name"`
	Level    string          `json:"level"`
	Parent   string          `json:"parent"`
	Lat      float64         `json:"lat"`
	Lon      float64         `json:"lon"`
	Surveyed bool            `json:"surveyed"` // false: outline for show only (未勘测)
	Outline  json.RawMessage `json:"outline,omitempty"`
}

// Team is one team: GET /teams (?kind= ?area=).
type Team struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Kind     string  `json:"kind"` // professional, township
	Area     string  `json:"area"`
	AreaName string  `json:"area_name"`
	Lat      float64 `json:"lat"`
	Lon      float64 `json:"lon"`
	Members  int     `json:"members"`
	Contact  string  `json:"contact"`
	Phone    string  `json:"phone"`
}

// Device is one device: GET /devices (?kind= ?area=), GET /devices/{id}.
type Device struct {
	ID         string      `json:"id"`
	Kind       string      `json:"kind"` // tracker, sensor
	Area       string      `json:"area"`
	AreaName   string      `json:"area_name"`
	Name       string      `json:"name"`
	Lat        *float64    `json:"lat"` // registered site
	Lon        *float64    `json:"lon"`
	ExpectS    float64     `json:"expect_s"`
	Disabled   bool        `json:"disabled"`
	Registered             // the rest of what the registry says
	Liveness   string      `json:"liveness"` // online, late, silent, never_seen, unknown
	Last       *Reading    `json:"last"`     // newest by measured time; null when none, or history is away
	Quarantine *Quarantine `json:"quarantine"`
	Health     *Health     `json:"health"` // null: nothing is known
}

// Registered is what a Device says of itself beyond its place.
type Registered struct {
	Site             string     `json:"site"`
	Phone            string     `json:"phone"`
	Model            string     `json:"model"`
	Alias            string     `json:"alias"`
	Firmware         string     `json:"firmware"`          // at the registration
	FirmwareReported string     `json:"firmware_reported"` // of the newest status reading
	Calibration      string     `json:"calibration"`       // unknown, calibrating, calibrated, due
	CalibratedAt     *time.Time `json:"calibrated_at"`
	Credential       string     `json:"credential"` // none, active, revoked
}

// Quarantine sums up what could not be taken from a device.
type Quarantine struct {
	Total      uint64    `json:"total"`
	LastReason string    `json:"last_reason"`
	Last       time.Time `json:"last"`
	Example    string    `json:"example"` // a payload, shortened; base64: in front when it is not text
}

// Reading is one reading: GET /devices/{id}/readings (?class= ?from= ?to=).
type Reading struct {
	Device   string             `json:"device"`
	Class    string             `json:"class"`
	Measured time.Time          `json:"measured"`
	Received time.Time          `json:"received"`
	Seq      *uint64            `json:"seq"`
	Values   map[string]float64 `json:"values"` // keys are the contract's field names
	Code     string             `json:"code,omitempty"`
	Text     string             `json:"text,omitempty"`
}

// Alert is one alert: GET /alerts (?state= ?area= ?device= ?incident= ?hushed=), GET /alerts/{id}.
type Alert struct {
	ID          string     `json:"id"`
	Rule        string     `json:"rule"`
	RuleVersion string     `json:"rule_version"`
	Device      string     `json:"device"`
	Area        string     `json:"area"`
	AreaName    string     `json:"area_name"`
	Lat         *float64   `json:"lat"`
	Lon         *float64   `json:"lon"`
	Severity    string     `json:"severity"` // notice, blue, yellow, orange, red
	State       string     `json:"state"`    // firing, resolved
	Summary     string     `json:"summary"`
	SummaryEn   string     `json:"summary_en"`
	Reasons     []string   `json:"reasons"`
	Measured    time.Time  `json:"measured"`
	Raised      time.Time  `json:"raised"`
	LateS       float64    `json:"late_s"` // how late the decisive reading came
	Resolved    *time.Time `json:"resolved"`
	Updated     time.Time  `json:"updated"`
	Evidence    []Evidence `json:"evidence"`
	Acks        []Ack      `json:"acks"`
	Order       string     `json:"order"`
	Incident    string     `json:"incident"` // id of the incident that it belongs to, or empty
	Hush        *Hush      `json:"hush"`     // what keeps it from people; null: nothing
	Demo        bool       `json:"demo"`
	// Of one alert only.
	Explanation *Explanation `json:"explanation,omitempty"`
	Sentence    string       `json:"sentence,omitempty"`
	SentenceEn  string       `json:"sentence_en,omitempty"`
	Series      *Series      `json:"series,omitempty"` // not for teams
}

// Evidence is one reading that an alert rests on.
type Evidence struct {
	Device   string    `json:"device"`
	Measured time.Time `json:"measured"`
	Received time.Time `json:"received"`
	Field    string    `json:"field"`
	Value    float64   `json:"value"`
	Note     string    `json:"note"`
}

// Ack is one acknowledgement.
type Ack struct {
	By     string    `json:"by"`
	ByName string    `json:"by_name"` // the person or post, when known
	At     time.Time `json:"at"`
	Note   string    `json:"note"`
}

// AckRequest is the body of POST /alerts/{id}/acks.
type AckRequest struct {
	Note string `json:"note"`
}

// OrderRequest is the body of POST /orders. The header Idempotency-Key is
// required: the same key again gives the first order back (200 instead of 201).
type OrderRequest struct {
	Kind    string  `json:"kind"`  // standby, forward, check, muster, stand_down
	Level   string  `json:"level"` // blue, yellow, orange, red
	Text    string  `json:"text"`
	Targets Targets `json:"targets"`
	Drill   bool    `json:"drill"`
	Alert   string  `json:"alert"`
}

// Targets picks teams: those named, and those of the areas (and below). Kinds,
// when given, keeps only such teams of the areas; kinds without areas means the
// whole scope of the account.
type Targets struct {
	Areas []string `json:"areas"`
	Teams []string `json:"teams"`
	Kinds []string `json:"kinds"`
}

// Order is one order: GET /orders (?status=) and GET /orders/{id}. Deliveries
// and Attempts are only in the latter; a team sees only its own delivery.
type Order struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	Level      string     `json:"level"`
	Text       string     `json:"text"`
	Drill      bool       `json:"drill"`
	Demo       bool       `json:"demo"`
	Alert      string     `json:"alert"`
	Issuer     string     `json:"issuer"`      // username, or rule:NAME
	IssuerName string     `json:"issuer_name"` // the person or post, when known
	Area       string     `json:"area"`
	AreaName   string     `json:"area_name"`
	Lat        *float64   `json:"lat"`
	Lon        *float64   `json:"lon"`
	Issued     time.Time  `json:"issued"`
	AnswerBy   time.Time  `json:"answer_by"`
	Status     string     `json:"status"` // open, complete, cancelled
	Completed  *time.Time `json:"completed"`
	Shortfalls []string   `json:"shortfalls"`
	Tally      Tally      `json:"tally"`
	Deliveries []Delivery `json:"deliveries,omitempty"`
	Attempts   []Attempt  `json:"attempts,omitempty"`
}

// Tally counts an order's deliveries, each state including those beyond it.
type Tally struct {
	Total      int     `json:"total"` // 应叫应
	Sent       int     `json:"sent"`
	Delivered  int     `json:"delivered"`
	Read       int     `json:"read"`
	Answered   int     `json:"answered"` // 已叫应
	Failed     int     `json:"failed"`
	AnswerRate float64 `json:"answer_rate"` // 叫应率, 0..1
}

// Delivery is an order to one team.
type Delivery struct {
	Team       string     `json:"team"`
	TeamName   string     `json:"team_name"`
	TeamKind   string     `json:"team_kind"`
	Area       string     `json:"area"`
	AreaName   string     `json:"area_name"`
	Phone      string     `json:"phone"`
	Reason     string     `json:"reason"`
	State      string     `json:"state"` // pending, sending, sent, delivered, read, answered, failed, stale
	Sent       *time.Time `json:"sent"`
	Delivered  *time.Time `json:"delivered"`
	Read       *time.Time `json:"read"`
	Answered   *time.Time `json:"answered"`
	Answer     string     `json:"answer"`
	AnswerNote string     `json:"answer_note"`
	AnsweredBy string     `json:"answered_by"`
	OnBehalf   bool       `json:"on_behalf"`
	Tries      int        `json:"tries"`
	Escalation int        `json:"escalation"` // 0 team, 1 township, 2 county, 3 city
	Overdue    bool       `json:"overdue"`
	LastError  string     `json:"last_error"`
}

// Attempt is one sending or call.
type Attempt struct {
	Team    string    `json:"team"`
	Channel string    `json:"channel"`
	At      time.Time `json:"at"`
	Try     int       `json:"try"`
	Error   string    `json:"error"`
	Note    string    `json:"note"`
}

// AnswerRequest is the body of POST /orders/{id}/answers. A team account
// answers for itself; an office names the team and answers on its behalf.
type AnswerRequest struct {
	Team   string `json:"team"`
	Answer string `json:"answer"` // delivered, read, accepted, standby, rejected, in_position, stood_down
	Reason string `json:"reason"` // required with rejected
	By     string `json:"by"`     // name of the person
	// Said is when the person said it, by the phone's clock, RFC 3339; empty: now.
	// A time that cannot be true (before the order was issued, or more than 10
	// minutes ahead) is put aside, and the time of receipt stands in its place.
	Said string `json:"said,omitempty"`
}

// Warning is one weather warning: GET /warnings (?in_force=true), and the
// answer of POST /warnings (a CAP 1.2 document as application/cap+xml or
// application/xml): 201 when new, 200 when known.
type Warning struct {
	ID         string         `json:"id"`
	Identifier string         `json:"identifier"`
	Sender     string         `json:"sender"`
	Sent       time.Time      `json:"sent"`
	Status     string         `json:"status"`
	MsgType    string         `json:"msg_type"`
	Event      string         `json:"event"`
	EventCode  string         `json:"event_code"`
	Issuer     string         `json:"issuer"`
	Headline   string         `json:"headline"`
	Text       string         `json:"text"`
	Measures   string         `json:"measures"`
	Blocks     []WarningBlock `json:"blocks"`
	InForce    bool           `json:"in_force"`
	Ended      *time.Time     `json:"ended"`
	EndedBy    string         `json:"ended_by"`
	Received   time.Time      `json:"received"`
	Unmatched  []string       `json:"unmatched"` // areaDesc of what lies in none of our areas: it affects nobody here
}

// WarningBlock is one level for one area over one time.
type WarningBlock struct {
	Area     string    `json:"area"`
	AreaDesc string    `json:"area_desc"`
	Level    string    `json:"level"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

// Event is the data of one server-sent event of GET /events; its SSE id is the
// cursor for Last-Event-ID, its SSE event name is Type.
type Event struct {
	At      time.Time       `json:"at"`
	Type    string          `json:"type"`
	Subject json.RawMessage `json:"subject"`
}

// Status answers GET /status: the parts of the system as they are, and for an
// office or an administrator the reason of each that does not work.
type Status struct {
	Version string  `json:"version"`
	Demo    bool    `json:"demo"` // show 演示
	Parts   []Check `json:"parts"`
}

// Readiness answers GET /readyz, outside of the version: 503 while a part does
// not work. Reasons are for the machine itself and for offices.
type Readiness struct {
	Ready bool    `json:"ready"`
	Parts []Check `json:"parts"`
}
