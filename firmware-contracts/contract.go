// Package contract holds what devices, team terminals and firewatch say to
// each other: identifiers, the readings and answers that travel, their units
// and ranges, and (in topic.go) every topic. The bytes on the wire are the
// business of the versioned packages beside it (contractv1).
//
// The package depends on the standard library only, so that a firmware test
// bench can import it.
package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of one message. A message over them is quarantined whole.
const (
	MaxMessageBytes = 64 << 10 // 64 KiB of payload, in either encoding
	MaxReadings     = 500      // readings in one store-and-forward batch
	MaxTextBytes    = 1000     // bytes of UTF-8 in any text field
	MaxCodeBytes    = 64       // bytes of UTF-8 in a firmware version
	MaxIDBytes      = 64       // bytes in a DeviceID or TeamID
	MaxSeq          = 1<<53 - 1
)

// Earliest is the first measured time that is believed, and MaxAhead how far
// ahead of the receiving clock a measured time may be. Outside of them a
// device's clock is wrong and the reading goes to quarantine.
var Earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// MaxAhead is the tolerated lead of a device's clock.
const MaxAhead = 10 * time.Minute

// A DeviceID names one tracker or sensor: 1 to 64 bytes of ASCII letters,
// digits, '.', '_' and '-', beginning with a letter or a digit; so it is safe as
// a topic level, a tag value and a file name.
type DeviceID string

// A TeamID names one team, in the letters of a DeviceID.
type TeamID string

// Validate reports why the id cannot be one, or nil.
func (id DeviceID) Validate() error { return validateID("device id", string(id)) }

// Validate reports why the id cannot be one, or nil.
func (id TeamID) Validate() error { return validateID("team id", string(id)) }

func validateID(what, id string) error {
	if id == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(id) > MaxIDBytes {
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", what, len(id), MaxIDBytes)
	}
	for i := range len(id) {
		c := id[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fmt.Errorf("%s %q: byte %d is not allowed (letters, digits, and after the first also . _ -)", what, id, i)
		}
	}
	return nil
}

// Kind tells the two families of devices apart.
type Kind uint8

// The kinds of devices.
const (
	Tracker Kind = iota + 1 // carried by a warden (护林员)
	Sensor                  // stands at a site
)

// String is the kind's name in tags, topics' singular and the registry.
func (k Kind) String() string {
	switch k {
	case Tracker:
		return "tracker"
	case Sensor:
		return "sensor"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// ParseKind is the inverse of String.
func ParseKind(s string) (Kind, error) {
	switch s {
	case "tracker":
		return Tracker, nil
	case "sensor":
		return Sensor, nil
	}
	return 0, fmt.Errorf("device kind %q: want tracker or sensor", s)
}

// Class says what sort of measurement set a Reading is. It follows from the
// topic the message came on, never from the payload.
type Class uint8

// The classes of readings.
const (
	Position    Class = iota + 1 // a tracker's fix
	SOS                          // a warden asks for help; never thinned, never held back
	Report                       // a warden reports an ignition source or a hazard
	Environment                  // a sensor's measurement
	Status                       // state of the device itself
)

// Classes lists every class, in order.
var Classes = []Class{Position, SOS, Report, Environment, Status}

// String is the class's name in logs, metrics and stored fields.
func (c Class) String() string {
	switch c {
	case Position:
		return "position"
	case SOS:
		return "sos"
	case Report:
		return "report"
	case Environment:
		return "environment"
	case Status:
		return "status"
	default:
		return fmt.Sprintf("class(%d)", uint8(c))
	}
}

// ParseClass is the inverse of String.
func ParseClass(s string) (Class, error) {
	for _, c := range Classes {
		if c.String() == s {
			return c, nil
		}
	}
	return 0, fmt.Errorf("class %q: want position, sos, report, environment or status", s)
}

// The words that a Reading's Code can be. They may grow; a consumer treats a
// word that it does not know as other.
var (
	// SOSCauses are the causes of an SOS.
	SOSCauses = []string{"button", "fall", "no_motion", "other"}
	// ReportCategories are what a warden reports: an ignition source (field fire
	// of farming, ritual, production, household, recreation), smoke or fire, or a
	// hazard.
	ReportCategories = []string{
		"farm", "ritual", "production", "household", "recreation",
		"smoke", "fire", "grave", "kiln", "power_line", "hazard", "other",
	}
)

// A Reading is one measurement set of one device at one measured time.
// The zero Seq with HasSeq false means that the device does not count.
type Reading struct {
	Device   DeviceID
	Kind     Kind
	Class    Class
	Measured time.Time // when the device measured, UTC, millisecond resolution on the wire
	Received time.Time // when we got it, UTC; set by the receiver, never by the device
	Seq      uint64    // counts up per device; 0..MaxSeq
	HasSeq   bool
	Values   Values
	Code     string // class-specific word: SOS cause, Report category, Status firmware version
	Text     string // free text of a person or a device, at most MaxTextBytes
}

// Late is how long after the measurement the reading came; negative when the
// device's clock is ahead.
func (r *Reading) Late() time.Duration { return r.Received.Sub(r.Measured) }

// Validate reports why the reading is not one that a device of the contract
// could have sent at its time of receipt, or nil. Decoders of the contract give
// only valid ones; it is for those who make readings of something else.
func (r *Reading) Validate() error {
	if err := r.Device.Validate(); err != nil {
		return err
	}
	if Uplink(r.Kind, r.Class, r.Device) == "" {
		return fmt.Errorf("a %s has no readings of class %s", r.Kind, r.Class)
	}
	if err := CheckMeasured(r.Measured, r.Received); err != nil {
		return err
	}
	if r.Seq > MaxSeq {
		return fmt.Errorf("seq: %d is above %d", r.Seq, uint64(MaxSeq))
	}
	for f, x := range r.Values.All() {
		if !f.In(r.Class) {
			return fmt.Errorf("%s: not a field of class %s", f, r.Class)
		}
		if err := f.Check(x); err != nil {
			return err
		}
	}
	switch {
	case r.Values.Has(Lat) != r.Values.Has(Lon):
		return errors.New("lat and lon: one without the other")
	case r.Class == Position && !r.Values.Has(Lat):
		return errors.New("lat and lon: a position needs both")
	case r.Class == Environment && r.Values.Len() == 0:
		return errors.New("an environment reading without any value")
	case r.Class == SOS && r.Code != "" && !slices.Contains(SOSCauses, r.Code):
		return fmt.Errorf("cause %q: want one of %s", r.Code, strings.Join(SOSCauses, ", "))
	case r.Class == Report && r.Code != "" && !slices.Contains(ReportCategories, r.Code):
		return fmt.Errorf("category %q: want one of %s", r.Code, strings.Join(ReportCategories, ", "))
	case len(r.Code) > MaxCodeBytes:
		return fmt.Errorf("code has %d bytes, at most %d are allowed", len(r.Code), MaxCodeBytes)
	case len(r.Text) > MaxTextBytes || !utf8.ValidString(r.Text):
		return fmt.Errorf("text has %d bytes, at most %d of UTF-8 are allowed", len(r.Text), MaxTextBytes)
	}
	return nil
}

// ErrMeasuredTime is matched by the error of CheckMeasured.
var ErrMeasuredTime = errors.New("measured time not believable")

// CheckMeasured reports whether a device's clock can be believed at the
// receiver's time now: not before Earliest, not more than MaxAhead ahead.
func CheckMeasured(measured, now time.Time) error {
	if measured.Before(Earliest) {
		return fmt.Errorf("%w: %s is before 2020-01-01", ErrMeasuredTime, measured.UTC().Format(time.RFC3339Nano))
	}
	if ahead := measured.Sub(now); ahead > MaxAhead {
		return fmt.Errorf("%w: %s is %s ahead, at most %s are allowed", ErrMeasuredTime,
			measured.UTC().Format(time.RFC3339Nano), ahead.Round(time.Second), MaxAhead)
	}
	return nil
}
