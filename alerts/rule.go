package alerts

import (
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// RuleType says which judgement a Rule is; each has its own parameters.
type RuleType string

// The types of rules.
const (
	SensorFire       RuleType = "sensor_fire"   // fire suspicion from a sensor's readings
	SOSCall          RuleType = "sos"           // a warden asks for help
	DeviceSilent     RuleType = "device_silent" // a device that is expected does not report
	SourceReport     RuleType = "report"        // a warden reports an ignition source or a hazard
	BatteryLow       RuleType = "battery_low"   // a notice, no alarm
	Condition        RuleType = "condition"     // what its own expression says
	SatelliteHotspot RuleType = "hotspot"       // satellites saw a fire
)

// Family groups rules by what they are about: the alerts of one family and place
// belong together.
type Family string

// The families.
const (
	FamilyFire    Family = "fire"
	FamilyPerson  Family = "person"
	FamilyDevice  Family = "device"
	FamilyWeather Family = "weather"
)

// Families lists every family.
var Families = []Family{FamilyFire, FamilyPerson, FamilyDevice, FamilyWeather}

// family is that of a type, where the rule names none.
func (t RuleType) family() Family {
	switch t {
	case SOSCall:
		return FamilyPerson
	case DeviceSilent, BatteryLow:
		return FamilyDevice
	case SensorFire, SourceReport, Condition, SatelliteHotspot:
	}
	return FamilyFire
}

// RuleTypes lists every type.
var RuleTypes = []RuleType{SensorFire, SOSCall, DeviceSilent, SourceReport, BatteryLow, SatelliteHotspot, Condition}

// RuleSet is one version of the rules. It is never changed; another version
// takes its place.
type RuleSet struct {
	Version   string
	Effective time.Time // from when this version may rule
	// Weather lists the event codes of weather warnings that bear on fire. A
	// national code (11B…) that is not listed changes nothing; a warning with
	// another code, or none, counts.
	Weather []string
	// Blind is, by model, for how long a gas sensor sees nothing after it has
	// calibrated (a scan).
	Blind     map[string]time.Duration
	Incidents IncidentSettings
	Rules     []Rule
}

// Rule is what to look for and how grave it is. It holds no state.
type Rule struct {
	Name     string
	Version  string // of the rule set
	Type     RuleType
	Family   Family
	Severity Severity // before season, danger and warnings
	// For is how long, in measured time, the condition must hold before the
	// alert is raised; for device_silent, how long a silence is watched before
	// it is told.
	For time.Duration
	// ClearAfter is how long, in measured time, the lower threshold must be
	// kept before the alert is resolved. For report: after how long it is
	// filed. 0 where nothing resolves by time (sos).
	ClearAfter time.Duration
	// Fresh is how old a reading may be, when it is judged, to give an order
	// by itself. Older ones notify.
	Fresh time.Duration
	// Actionable is how old what is judged late may be to still call people; what
	// is older goes on record only. 0: always; an SOS always calls.
	Actionable time.Duration
	// Raise is by how many levels season, danger, special day and warning raise
	// the severity, and RaiseMax the highest level they may reach.
	Raise    ByContext[int]
	RaiseMax Severity
	// Scale multiplies the thresholds: below 1 is more watchful. The lowest
	// of those that apply counts.
	Scale ByContext[float64]
	Order OrderPolicy // Mode empty: none
	// Inhibits names rules whose lesser alerts of the same device are kept from
	// people while an alert of this rule stands.
	Inhibits []string

	// Exactly one of these, by type.
	Fire    *FireRule
	SOS     *SOSRule
	Silent  *SilentRule
	Report  *ReportRule
	Battery *BatteryRule
	Hotspot *HotspotRule
	// Condition is that of the type of its name.
	Condition *ConditionRule
	// Blind is RuleSet.Blind.
	Blind map[string]time.Duration
}

// blind is for how long the device sees nothing after each calibration.
func (r *Rule) blind(ctx *Context) time.Duration {
	if ctx.Device == nil || len(r.Blind) == 0 {
		return 0
	}
	return r.Blind[ctx.Device.Model]
}

// ByContext holds a value per season, per high danger level, for special days
// and per colour of a warning in force. Zero means no change. Unknown rules while
// the season table or the warnings cannot be read: unknown is not calm.
type ByContext[T int | float64] struct {
	Prevention T `yaml:"prevention"`
	HighDanger T `yaml:"high_danger"`
	Closure    T `yaml:"closure"`
	Danger4    T `yaml:"danger_4"`    // 高度危险
	Danger5    T `yaml:"danger_5"`    // 极度危险
	SpecialDay T `yaml:"special_day"` // 清明 and the like
	Blue       T `yaml:"blue"`
	Yellow     T `yaml:"yellow"`
	Orange     T `yaml:"orange"`
	Red        T `yaml:"red"`
	Unknown    T `yaml:"unknown"`
}

func (b *ByContext[T]) season(k SeasonKind) T {
	switch k {
	case Prevention:
		return b.Prevention
	case HighDanger:
		return b.HighDanger
	case Closure:
		return b.Closure
	}
	return 0
}

func (b *ByContext[T]) danger(l DangerLevel) T {
	if l >= 5 {
		return b.Danger5
	}
	if l == 4 {
		return b.Danger4
	}
	return 0
}

// all lists the values, for checks.
func (b *ByContext[T]) all() []T {
	return []T{
		b.Prevention, b.HighDanger, b.Closure, b.Danger4, b.Danger5, b.SpecialDay,
		b.Blue, b.Yellow, b.Orange, b.Red, b.Unknown,
	}
}

func (b *ByContext[T]) warning(s Severity) T {
	switch s {
	case Blue:
		return b.Blue
	case Yellow:
		return b.Yellow
	case Orange:
		return b.Orange
	case Red:
		return b.Red
	case Notice:
	}
	return 0
}

// Threshold is one quantity's limits: from Suspect on it counts, from Strong on
// it is far above anything ordinary.
type Threshold struct {
	Suspect float64 `yaml:"suspect"`
	Strong  float64 `yaml:"strong"`
}

// FireRule holds the parameters of sensor_fire. One spike never fires: an alert
// needs one of
//
//   - agreement at once: two different quantities Strong in the same reading
//     (a flame counts as strong);
//   - agreement: two different quantities over Suspect within Corroborate, in
//     at least two readings;
//   - neighbours: this sensor and another within NeighbourKM both over Suspect
//     within Corroborate of each other;
//   - persistence: at least Readings suspicious ones over at least Rule.For,
//     among which no more than the share OutOf−Readings of OutOf is calm.
//
// Strong needs no special case beside these: a strong quantity is suspicious.
type FireRule struct {
	Window      time.Duration // measured time that one judgement looks back over
	Baseline    time.Duration // measured time from which the sensor's own usual temperature is taken
	Corroborate time.Duration
	NeighbourKM float64 // km; 0: neighbours do not count
	Readings    int     // k of …
	OutOf       int     // … n
	ClearRatio  float64 // share of Suspect below which a quantity is calm
	// GateDanger is the danger level below which persistence of one quantity alone,
	// nowhere strong, is held back. While the level is unknown it is not. 0: never.
	GateDanger DangerLevel

	Smoke    Threshold // %/m
	CO       Threshold // ppm
	TempRise Threshold // °C above the sensor's own median over Baseline
	TempAbs  Threshold // °C
}

// SOSRule holds the parameters of sos.
type SOSRule struct {
	// EpisodeGap is the measured time without a call after which another press
	// is another call for help, with an alert of its own.
	EpisodeGap time.Duration
}

// SilentRule holds the parameters of device_silent.
type SilentRule struct {
	Trackers SilentKind
	Sensors  SilentKind
	Storm    SilentStorm
}

// SilentKind is when a device of one kind counts as silent: after Factor times
// its expected interval, at least Min.
type SilentKind struct {
	Factor   float64       `yaml:"factor"`
	Min      time.Duration `yaml:"min"`
	Severity Severity      `yaml:"severity"`
}

// SilentStorm says when silences are one outage: at least Devices, and at least
// Share of those expected in a county, within Within. Then one alert for the
// county stands for all of them.
type SilentStorm struct {
	Devices  int           `yaml:"devices"`
	Share    float64       `yaml:"share"`
	Within   time.Duration `yaml:"within"`
	Severity Severity      `yaml:"severity"`
}

// ReportRule holds the parameters of report.
type ReportRule struct {
	Categories map[string]Severity // by category; others get Rule.Severity
	Join       time.Duration       // same warden, same category, within this time: the same report
}

// BatteryRule holds the parameters of battery_low.
type BatteryRule struct {
	Below float64 // %
	Clear float64 // %
}

// Judges reports whether readings of the class from a device of the kind mean
// anything to the rule.
func (r *Rule) Judges(k contract.Kind, c contract.Class) bool {
	switch r.Type {
	case SensorFire:
		return k == contract.Sensor && (c == contract.Environment || c == contract.Status)
	case SOSCall:
		return c == contract.SOS
	case DeviceSilent:
		return true
	case SourceReport:
		return c == contract.Report
	case BatteryLow:
		return true
	case Condition:
		return r.Condition.judges(k, c)
	case SatelliteHotspot:
	}
	return false
}

// Timed reports whether the rule must also be asked at ticks.
func (r *Rule) Timed() bool {
	return r.Type == DeviceSilent || r.Type == SourceReport || r.Type == Condition && r.Condition.timed
}

// WantsOrder reports whether the alert asks for an order that nobody has given
// yet, by its row alone, so that a restart finds what a crash left undone. A
// reading older than Fresh when it was judged gives no order by itself.
func (r *Rule) WantsOrder(a *Alert) bool {
	if r.Order.Mode != ModeAutomatic || a.State != Firing || a.Order != "" {
		return false
	}
	return a.freshEvidence(r.Fresh)
}

// freshEvidence reports whether some reading that the alert rests on was at
// most this old when the alert was raised, or younger.
func (a *Alert) freshEvidence(fresh time.Duration) bool {
	oldest := a.Raised.Add(-fresh)
	return slices.ContainsFunc(a.Evidence, func(e Evidence) bool { return !e.Measured.Before(oldest) })
}

// byThePast reports whether the alert rests on readings alone that came too late
// to be fresh: it is as grave as the surroundings of their time made it, whatever
// begins now.
func (a *Alert) byThePast(rule *Rule) bool {
	return a.Late >= lateAfter && !a.freshEvidence(rule.Fresh)
}
