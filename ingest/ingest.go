// Package ingest takes the messages of trackers, sensors and teams from an MQTT
// broker, makes them safe in a journal on disk before anyone is told that they
// are safe, and writes the readings to InfluxDB.
//
//	Source ──▶ Intake ──▶ Journal ──▶ Drain ──▶ Sink
//	               └────▶ Quarantine
//
// The ports below are named by role; the adapters in the folders beside this
// file are named by technology.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// A Message is one publication as the broker handed it over.
type Message struct {
	Topic    string
	Payload  []byte // the receiver's own
	Received time.Time
	// Ack tells the sender that the message is safe. Intake calls it exactly
	// once, in order of arrival, after the message is in the journal or in
	// quarantine, and never when it is in neither. It may be nil.
	Ack func()
}

// An Acceptor takes messages over. Put blocks while too many wait for the disk:
// that is the back-pressure, and a Source must not read on meanwhile. An error
// means that the message was not taken and will not be acknowledged.
type Acceptor interface {
	Put(ctx context.Context, m Message) error
}

// A Source delivers messages until ctx ends or it cannot go on.
type Source interface {
	Run(ctx context.Context, to Acceptor) error
}

// An Entry is what the journal keeps: one reading, or one answer of a team or a
// tracker.
// Exactly one of the two is set; Answer is nil for a reading.
type Entry struct {
	Reading contract.Reading
	Answer  *contract.Answer
}

// Received is when the entry came.
func (e *Entry) Received() time.Time {
	if e.Answer != nil {
		return e.Answer.Received
	}
	return e.Reading.Received
}

// A Position is a place in the journal. Positions grow and are never reused.
type Position uint64

// A Journal keeps accepted entries on disk, in order of arrival, until every
// named reader has let go of them.
type Journal interface {
	// Append returns after the entries are on disk, or with an error and none
	// of them accepted.
	Append(ctx context.Context, entries []Entry) error
	// Read returns up to limit entries from the position on, and the position
	// after them. It waits while there are none, and returns what there is before
	// it looks at ctx. A position that is no longer kept is moved to the oldest
	// that is.
	Read(ctx context.Context, from Position, limit int) ([]Entry, Position, error)
	// Retain says that the named reader needs nothing before pos. It is durable
	// in its own time: after a crash an older position may come back.
	Retain(reader string, pos Position) error
	// Retained is the position last given by the named reader, or the oldest
	// one kept.
	Retained(reader string) Position
	// Seek is a position from which all entries received at t or later follow.
	Seek(t time.Time) Position
}

// A Sink stores readings where they can be queried. Writing the same reading
// again changes nothing. A nil error means that every reading is stored.
// Errors are typed: *RejectedError for readings that will never be taken,
// *LimitedError for readings that a limit keeps out for now (one error may be
// both, joined), *ThrottledError for "not before", anything else is worth
// another try.
type Sink interface {
	Write(ctx context.Context, readings []contract.Reading) error
}

// An EntrySink is a Sink that takes the readings where they stand among the
// entries of a journal, without a copy of them. Answers are passed over; the
// indexes of errors are those of the entries.
type EntrySink interface {
	Sink
	WriteEntries(ctx context.Context, entries []Entry) error
}

// An EntryReader is a Journal that reads into memory of the caller: ReadInto is
// Read with the entries appended to those given, up to their capacity, which is
// larger than their length.
type EntryReader interface {
	Journal
	ReadInto(ctx context.Context, from Position, entries []Entry) ([]Entry, Position, error)
}

// RejectedError names the readings of a batch that the sink will never take.
// All others of the batch are stored, or in a LimitedError beside it.
type RejectedError struct {
	Indexes []int    // into the batch, ascending
	Reason  string   // the first few reasons, in one
	Reasons []string // beside the indexes; nil when Reason is that of all
	// Advice is what an operator must do so that no more are rejected; empty when
	// it is not in an operator's hands.
	Advice string
}

// LimitedError names the readings of a batch that a limit of the sink, set by
// its operator, keeps out for now. It is not their device's fault, and they may
// be taken when the limit is raised. All others of the batch are stored, or in
// a RejectedError beside it.
type LimitedError struct {
	Indexes []int // into the batch, ascending
	Reason  string
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("%d readings over a limit: %s", len(e.Indexes), e.Reason)
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("%d readings rejected: %s", len(e.Indexes), e.Reason)
}

// ThrottledError asks the writer to wait.
type ThrottledError struct {
	After time.Duration
	Cause error
}

func (e *ThrottledError) Error() string { return fmt.Sprintf("wait %s: %v", e.After, e.Cause) }

// Unwrap returns the cause.
func (e *ThrottledError) Unwrap() error { return e.Cause }

// ErrUnauthorized is matched by a Sink's error when its credential is refused.
// Trying again is right, but a person must act.
var ErrUnauthorized = errors.New("credential refused")

// A Rejection is one message, or one reading of a batch, that cannot be
// accepted. It is kept as evidence for the firmware's engineers.
type Rejection struct {
	Device   contract.DeviceID // empty when the topic names none
	Topic    string
	Reason   string // what is wrong, in words for a firmware engineer
	Payload  []byte // the message, or the one reading of it; may be cut
	Received time.Time
	// Acknowledged says that the Payload is a whole document of the contract whose
	// sender was told that it is safe, and whom nobody will ask again.
	Acknowledged bool
}

// A Quarantine keeps rejections within fixed bounds of disk and memory. What
// does not fit is still counted, except for what was acknowledged: that is kept
// whole or not taken.
type Quarantine interface {
	// Keep returns after the rejections are on disk or, beyond the bounds,
	// counted. An error means that an Acknowledged one is not on disk, and none
	// of rs counted.
	Keep(ctx context.Context, rs []Rejection) error
	// Counts reports the quarantine of every device that has one.
	Counts() []QuarantineCount
}

// A QuarantineLog stores the counts where the api can read them, as a point per
// device; the last one stands.
type QuarantineLog interface {
	WriteQuarantine(ctx context.Context, counts []QuarantineCount) error
}

// QuarantineCount sums up one device's rejections.
type QuarantineCount struct {
	Device     contract.DeviceID
	Total      uint64
	LastReason string
	LastTopic  string
	Example    []byte // a payload, at most 1 KiB of it
	Last       time.Time
}

// A Registry tells what the office knows of a device. Implementations answer
// from memory and keep their last list when the store is away.
type Registry interface {
	// Lookup returns the registered area code and whether the device exists.
	Lookup(id contract.DeviceID) (area string, known bool)
}

// A Directory knows the devices that report through somebody else's system.
// Implementations answer from memory.
type Directory interface {
	// ByAlias finds the device that another system calls so; see Registered.
	ByAlias(alias string) (Registered, bool)
}

// Registered is what an adapter needs to know of a device.
type Registered struct {
	ID   contract.DeviceID
	Kind contract.Kind
	// Alias is what another system calls the device, beginning with that
	// system's name: "owntracks/jane/phone", "chirpstack/24e124136b323456" (the
	// DevEUI in lower case), "tts/app1@tenant/dev1".
	Alias string
	Model string // of the device, like "s2120": tells how a raw frame is read; may be empty
}

// A Credential checks what a client presents to the broker.
type Credential interface {
	// Authenticate reports who the client is, or false. It must take about the
	// same time for a wrong password as for an unknown name.
	Authenticate(username string, password []byte) (Principal, bool)
}

// A CertificateCredential is a Credential that also knows clients by the name in
// their certificate, which the broker has checked.
type CertificateCredential interface {
	// AuthenticateCertificate reports who the client is, or false when the name
	// may not connect: it is unknown, disabled or revoked.
	AuthenticateCertificate(username string) (Principal, bool)
}

// A Principal is an authenticated client of the broker. Exactly one of the
// fields is set.
type Principal struct {
	Device  contract.DeviceID // may publish under, and hear, its own id only
	Kind    contract.Kind     // of Device
	Team    contract.TeamID   // may hear its own orders and publish its own answers
	Service bool              // one of our own roles: hears all uplinks, says all downlinks
	// Topic is where a Device that does not speak the contract publishes: there
	// and below, like owntracks/jane/phone. Empty: nowhere else.
	Topic string
	// Unheard: nobody takes what a Device answers to commands. It may not say it
	// then: an answer that nobody judges must not be acknowledged.
	Unheard bool
}

// MayPublish reports whether the principal may publish on the topic.
func (p Principal) MayPublish(topic string) bool {
	if below, ok := strings.CutPrefix(topic, p.Topic); ok && p.Topic != "" && (below == "" || below[0] == '/') {
		return true
	}
	t, err := contract.ParseTopic(topic)
	if err != nil {
		return false
	}
	switch {
	case p.Service:
		return t.Orders
	case t.Orders:
		return false
	case p.Device != "":
		return t.Device == p.Device && t.Kind == p.Kind && (!t.Answers || !p.Unheard)
	default:
		return p.Team != "" && t.Team == p.Team
	}
}

// MaySubscribe reports whether the principal may subscribe to the filter.
func (p Principal) MaySubscribe(filter string) bool {
	switch {
	case p.Service:
		return true
	case p.Device != "":
		return p.Kind == contract.Tracker && filter == contract.DeviceOrders(p.Device)
	default:
		return p.Team != "" && filter == contract.TeamOrders(p.Team)
	}
}

// ErrHistoryAway is matched by a History's error when the store cannot be asked
// now: it is down, has no database yet, or refuses the credential. The text says
// which, and may be shown.
var ErrHistoryAway = errors.New("history is away")

// History reads back what the sink stored.
type History interface {
	// Readings returns a device's readings measured in [from, to), oldest
	// first, at most Limit of them.
	Readings(ctx context.Context, q ReadingQuery) ([]contract.Reading, error)
	// Last returns the newest reading by measured time of each device; class
	// Position counts SOS and Report too, which also carry a place.
	Last(ctx context.Context, class contract.Class) ([]contract.Reading, error)
	// Quarantine returns the newest count of each device that has one.
	Quarantine(ctx context.Context) ([]QuarantineCount, error)
	// Windows returns what a device measured in [From, To), summed up by windows
	// of equal length that begin at multiples of it since 1970 in UTC+8 (a day is
	// a day of the office), oldest first, without empty ones.
	Windows(ctx context.Context, q WindowQuery) ([]Window, error)
	// Health returns the newest health of each device that has one.
	Health(ctx context.Context) ([]DeviceHealth, error)
}

// WindowQuery asks for one device's readings summed up.
type WindowQuery struct {
	Device contract.DeviceID
	Class  contract.Class
	Fields []contract.Field // empty: all of the class
	From   time.Time        // measured, included
	To     time.Time        // measured, excluded
	Every  time.Duration    // length of a window; at least 10 s, and at most 5,000 windows in [From, To)
}

// A Window sums up what was measured in [At, At+Every).
type Window struct {
	At    time.Time
	Count int // readings
	// Of each field that was measured; in Mean, RainMM is the sum.
	Min, Mean, Max contract.Values
}

// ReadingQuery asks for a window of one device's readings.
type ReadingQuery struct {
	Device contract.DeviceID
	Class  contract.Class // Position answers also SOS and Report, which are stored beside it
	From   time.Time      // measured, included
	To     time.Time      // measured, excluded
	Limit  int            // 1..10000
	Newest bool           // the newest Limit of the window instead of the oldest; still returned oldest first
}
