package contract

import "time"

// Receipt is what a team or a tracker says about one order: first the machine's word that it
// arrived, then a person's. Sent is not delivered, delivered not read, read not
// answered.
type Receipt string

// The receipts, in the order of a delivery's life.
const (
	Delivered  Receipt = "delivered"   // the terminal has it
	Read       Receipt = "read"        // a person has opened it
	Accepted   Receipt = "accepted"    // we go
	Standby    Receipt = "standby"     // we can, not yet
	Rejected   Receipt = "rejected"    // we cannot; needs a reason
	InPosition Receipt = "in_position" // we are where we were sent
	StoodDown  Receipt = "stood_down"  // we are released and home
)

// Receipts lists every receipt.
var Receipts = []Receipt{Delivered, Read, Accepted, Standby, Rejected, InPosition, StoodDown}

// Answer reports whether the receipt is a person's answer, which alone ends
// the chasing (叫应).
func (r Receipt) Answer() bool {
	switch r {
	case Accepted, Standby, Rejected, InPosition, StoodDown:
		return true
	case Delivered, Read:
	}
	return false
}

// Answer is one message on an answers topic. Exactly one of Team and Device is
// set.
type Answer struct {
	Team     TeamID
	Device   DeviceID // a tracker
	Order    string   // the order's id
	Receipt  Receipt
	Reason   string    // asked for with Rejected
	By       string    // name of the person, or empty
	At       time.Time // when it was said, by the terminal's clock
	Received time.Time
}

// Order is one order as a team's terminal or a tracker sees it.
type Order struct {
	ID       string
	Kind     string // to a team standby, forward, check, muster, stand_down; to a tracker message, locate, return, config; may grow
	Level    string // blue, yellow, orange, red
	Text     string
	Drill    bool // 演练: the real path, marked
	Issued   time.Time
	AnswerBy time.Time
	Issuer   string
	Lat, Lon float64 // where, when HasPlace
	HasPlace bool
}
