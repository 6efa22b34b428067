package alerts

import (
	"time"

	contract "firewatch/firmware-contracts"
)

// OrderKind is what an order asks for.
type OrderKind string

// The kinds of orders.
const (
	OrderStandby   OrderKind = "standby"    // 待命
	OrderForward   OrderKind = "forward"    // 靠前驻防
	OrderCheck     OrderKind = "check"      // go and look (核查)
	OrderMuster    OrderKind = "muster"     // 集结
	OrderStandDown OrderKind = "stand_down" // 解除
)

// OrderKinds lists every kind.
var OrderKinds = []OrderKind{OrderStandby, OrderForward, OrderCheck, OrderMuster, OrderStandDown}

// OrderStatus is where an order as a whole stands.
type OrderStatus string

// The states of an order.
const (
	OrderOpen      OrderStatus = "open"      // some team has not answered
	OrderComplete  OrderStatus = "complete"  // every team has answered
	OrderCancelled OrderStatus = "cancelled" // withdrawn by the office
)

// Order is an order to teams.
type Order struct {
	ID             string
	Kind           OrderKind
	Level          Severity // Blue..Red; sets the deadlines
	Text           string
	Drill          bool // 演练
	Demo           bool
	Alert          string // id of the alert that caused it, or empty
	Issuer         string // username, or "rule:NAME" for an automatic order
	Area           string // the smallest area that holds all targets
	Lat, Lon       float64
	HasPlace       bool
	Issued         time.Time
	AnswerBy       time.Time
	Status         OrderStatus
	Completed      time.Time // zero until complete
	IdempotencyKey string    // unique per issuer
	Asked          string    // stands for the request as it was asked, before targets became teams; compared with the key, may be empty
	Shortfalls     []string  // who could not be ordered and why, 中文; "nobody was notified" is one
}

// DeliveryState is the life of one order to one team.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending   DeliveryState = "pending"   // no channel has taken it yet
	DeliverySending   DeliveryState = "sending"   // a channel is at it
	DeliverySent      DeliveryState = "sent"      // a channel has taken it
	DeliveryDelivered DeliveryState = "delivered" // the team's device has it
	DeliveryRead      DeliveryState = "read"      // a person has opened it
	DeliveryAnswered  DeliveryState = "answered"  // a person has answered
	DeliveryFailed    DeliveryState = "failed"    // every channel gave up
	DeliveryStale     DeliveryState = "stale"     // the order ended before an answer came
)

// Delivery is one order to one team. All four times are kept: sent is not
// delivered, delivered not read, read not answered.
type Delivery struct {
	Order      string
	Team       contract.TeamID
	Reason     string // why this team was picked, 中文
	State      DeliveryState
	Sent       time.Time
	Delivered  time.Time
	Read       time.Time
	Answered   time.Time
	Answer     contract.Receipt // the newest answer
	AnswerNote string           // reason given with it
	AnsweredBy string           // who said it
	OnBehalf   bool             // said by the office on the team's behalf
	Tries      int              // sendings so far, over all channels
	Escalation int              // 0 team, 1 township duty officer, 2 county, 3 city
	NextAt     time.Time        // when the dispatcher must look again; zero: never
	LastError  string
	Updated    time.Time
}

// Attempt is one sending or one call, kept for the record.
type Attempt struct {
	Order   string
	Team    contract.TeamID
	Channel string // "mqtt", "page", …; "escalation" for a call to the next level
	At      time.Time
	Try     int
	Error   string // empty: the channel took it
	Note    string // 中文
}

// Tally counts an order's answers: 应叫应, 已叫应, 未叫应.
type Tally struct {
	Total     int
	Sent      int // sent or beyond
	Delivered int // delivered or beyond
	Read      int // read or beyond
	Answered  int
	Failed    int
}
