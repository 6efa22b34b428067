package alerts

import (
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// SubjectKind is what a condition is judged of.
type SubjectKind string

// The kinds of subjects.
const (
	OnTracker SubjectKind = "tracker" // each reading of a tracker
	OnSensor  SubjectKind = "sensor"  // each reading of a sensor
	OnArea    SubjectKind = "area"    // each township, as time goes
	OnCounty  SubjectKind = "county"  // the townships of each county together, as time goes
)

// Bounds of one condition.
const (
	maxExpression = 500 // bytes
	maxTerms      = 24  // windows and names in one expression
	maxSummary    = 500 // bytes
)

// ConditionRule holds the parameters of condition. Its expressions are written in
// the words of rules/README.md, parsed and checked by expr-lang, and judged here
// with a third value beside true and false: unknown. What is not measured, or not
// known, makes what is compared with it unknown; "x or true" is true all the
// same, as "x and false" is false. Only true fires; an unknown one does when
// UnknownFires says so.
type ConditionRule struct {
	On    []SubjectKind
	When  string
	Clear string // empty: not When
	// K of the last N readings must be so, and the newest one.
	K, N int
	// Needs are the fields one of which a reading must have to be judged; none:
	// every reading is.
	Needs        []contract.Field
	ByArea       bool // one alert per township, not per device
	UnknownFires bool

	when, clear expression
	zh, en      template
	looks       map[contract.Field]time.Duration // what the series must hold
	needs       uint64                           // Needs as bits by field
	timed       bool                             // time alone can change it
	watchful    bool                             // other surroundings can change it
}

// judges reports whether a reading of the class from a device of the kind may
// bear one of the fields.
func (c *ConditionRule) judges(k contract.Kind, class contract.Class) bool {
	if !c.of(k) {
		return false
	}
	if c.needs == 0 {
		return true
	}
	for _, f := range c.Needs {
		if f.In(class) {
			return true
		}
	}
	return false
}

// of reports whether devices of the kind are judged.
func (c *ConditionRule) of(k contract.Kind) bool {
	for _, on := range c.On {
		if on == OnTracker && k == contract.Tracker || on == OnSensor && k == contract.Sensor {
			return true
		}
	}
	return false
}

// Of reports whether the condition of a rule judges devices of the kind.
func (r *Rule) Of(k contract.Kind) bool { return r.Condition != nil && r.Condition.of(k) }

// ByArea reports whether the rule has one alert per township, not per device.
func (r *Rule) ByArea() bool { return r.Condition != nil && r.Condition.ByArea }

// Areas reports whether the rule judges townships.
func (c *ConditionRule) Areas() bool {
	return slices.Contains(c.On, OnArea)
}

// has reports whether the reading has a field that the condition needs.
func (c *ConditionRule) has(r *contract.Reading) bool {
	if c.needs == 0 {
		return true
	}
	return slices.ContainsFunc(c.Needs, r.Values.Has)
}

// AreaSubject is the subject of a township's state under a condition.
func AreaSubject(code string) string { return OutageSubject(code) }

// Sightings answers what other sensors measure.
type Sightings interface {
	// Above counts the other sensors within km of the device's site whose newest
	// value of the field, measured within the time up to at, is at least least.
	Above(device contract.DeviceID, f contract.Field, least, km float64, at time.Time, within time.Duration) int
}
