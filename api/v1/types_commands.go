package v1

import "time"

// CommandRequest is the body of POST /devices/{id}/commands, which needs the
// header Idempotency-Key.
type CommandRequest struct {
	Kind  string `json:"kind"` // message, locate, return, config
	Text  string `json:"text"` // needed by message and config
	Drill bool   `json:"drill"`
	// ExpiresS is for how long the tracker shows it, s; 60 to 604800, without it
	// 3600.
	ExpiresS float64 `json:"expires_s"`
}

// Command is one order to one tracker.
type Command struct {
	ID         string     `json:"id"`
	Device     string     `json:"device"`
	DeviceName string     `json:"device_name"`
	Area       string     `json:"area"` // of the device when it was given
	AreaName   string     `json:"area_name"`
	Kind       string     `json:"kind"`
	Level      string     `json:"level"`
	Text       string     `json:"text"`
	Drill      bool       `json:"drill"`
	Issuer     string     `json:"issuer"`
	IssuerName string     `json:"issuer_name"`
	Issued     time.Time  `json:"issued"`
	Expires    time.Time  `json:"expires"`
	State      string     `json:"state"` // queued, sent, delivered, read, answered, expired, superseded, withdrawn
	Open       bool       `json:"open"`  // the tracker is to have it before it
	Sent       *time.Time `json:"sent"`  // at the broker, which keeps it for the tracker
	Delivered  *time.Time `json:"delivered"`
	Read       *time.Time `json:"read"`
	Ended      *time.Time `json:"ended"`
	Answer     string     `json:"answer"` // accepted, standby, rejected, in_position, stood_down; empty: none
	Reason     string     `json:"reason"` // of a rejection, or of a withdrawal
	By         string     `json:"by"`     // who answered or withdrew it, or the id of the command that superseded it
}
