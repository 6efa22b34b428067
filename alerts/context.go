package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// Surroundings is what an area's season and the weather warnings mean for the
// rules at one time. It is a plain value: two compare with ==.
type Surroundings struct {
	Season        SeasonKind // the strictest in force; empty: none
	SeasonUnknown bool       // no season table could be read
	Warning       Severity   // the highest in force that bears on fire; Notice: none
	WarningEvent  string     // 中文 name of what it warns of
	WarnUnknown   bool       // the warnings could not be read, or their feed is stale
	Danger        DangerLevel
	DangerHeld    bool   // the level is degraded: held from an earlier day, or of too few stations
	DryDays       int    // whole days since rain of 0.3 mm or more; -1: unknown
	Special       string // 中文 name of the special day: 清明; empty: none
}

// SurroundingsAt works out an area's surroundings, but for the fire danger,
// which WithDanger adds. A nil table is an unknown one; weather is
// RuleSet.Weather.
func SurroundingsAt(areas Areas, table *SeasonTable, warnings []Warning, weather []string, area string, at time.Time) Surroundings {
	s := Surroundings{DryDays: -1}
	if table == nil {
		s.SeasonUnknown = true
	} else {
		if kinds := table.KindsOn(areas, area, at); len(kinds) > 0 {
			s.Season = kinds[len(kinds)-1]
		}
		s.Special = table.SpecialOn(areas, area, at)
	}
	return s.WithWarnings(areas, warnings, weather, area, at)
}

// WithWarnings is s with the highest of the warnings; weather is RuleSet.Weather.
func (s Surroundings) WithWarnings(areas Areas, warnings []Warning, weather []string, area string, at time.Time) Surroundings {
	s.Warning, s.WarningEvent = Notice, ""
	for i := range warnings {
		w := &warnings[i]
		if !bearsOnFire(w, weather) {
			continue
		}
		if l := w.LevelAt(areas, area, at); l > s.Warning || l == s.Warning && l > Notice && w.Event < s.WarningEvent {
			s.Warning, s.WarningEvent = l, w.Event
		}
	}
	return s
}

// bearsOnFire keeps heavy rain from raising fire alerts. Only a national code
// can say so; what cannot be recognised counts.
func bearsOnFire(w *Warning, weather []string) bool {
	return !strings.HasPrefix(w.EventCode, "11B") || slices.Contains(weather, w.EventCode)
}

// Neighbours answers what the sensors around a place see.
type Neighbours interface {
	// Suspicions are the suspicious readings of other sensors within km of the
	// device's site, measured within the time of at, the nearest in time of
	// each sensor.
	Suspicions(device contract.DeviceID, at time.Time, within time.Duration, km float64) []Evidence
}

// Context is what a rule may know beside the subject's own readings. Step does
// not change it.
type Context struct {
	Areas      Areas
	Device     *Device // nil: not in the roster
	Around     Surroundings
	Neighbours Neighbours // nil: none are known
	Sources    Register   // of ignition sources; nil: none are known
	// Series are the device's recent values; nil: none are known, or it is no device.
	Series *Series
	Others Sightings // what other sensors measure; nil: it is not known
	// Place is the township that is judged, in place of a device; or the county,
	// by its Towns.
	Place *Area
	Towns []Town
	// AreaAlert is the alert of the rule that stands for the township of another
	// device; empty: none does.
	AreaAlert string
	// Listening is since when readings could reach the engine without a break.
	// A silence before it is not the device's.
	Listening time.Time
	// Outage is the id of the alert that stands for all silent devices of the
	// county; empty: none stands.
	Outage string
	Demo   bool
}

// place is where the alert is: the reading's own fix, else the registered site.
func (c *Context) place(r *contract.Reading) (lat, lon float64, ok, registered bool) {
	if r != nil {
		la, ok1 := r.Values.Get(contract.Lat)
		lo, ok2 := r.Values.Get(contract.Lon)
		if ok1 && ok2 {
			return la, lo, true, false
		}
	}
	if c.Device != nil && (c.Device.Lat != 0 || c.Device.Lon != 0) {
		return c.Device.Lat, c.Device.Lon, true, true
	}
	return 0, 0, false, false
}

// where names the device's county and township.
func (c *Context) where() string {
	var code string
	switch {
	case c.Place != nil:
		code = c.Place.Code
	case c.Device != nil:
		code = c.Device.Area
	default:
		return ""
	}
	chain := c.Areas.Chain(code)
	var name strings.Builder
	for _, a := range slices.Backward(chain[:min(len(chain), 2)]) {
		if a.Level != City {
			name.WriteString(a.Name)
		}
	}
	return name.String()
}

// who names the device for people.
func (c *Context) who(id contract.DeviceID) string {
	if c.Device == nil {
		return "未登记设备 " + string(id)
	}
	kind := "传感器"
	if c.Device.Kind == contract.Tracker {
		kind = "护林员"
	}
	if c.Device.Name == "" {
		return kind + " " + string(id)
	}
	return kind + c.Device.Name
}

// whoEn is who in English.
func (c *Context) whoEn(id contract.DeviceID) string {
	if c.Device == nil {
		return "unregistered device " + string(id)
	}
	if c.Device.Kind == contract.Tracker {
		return "warden " + string(id)
	}
	return "sensor " + string(id)
}

// lateAfter is the delay up to which a reading is called in time: radios retry,
// gateways batch.
const lateAfter = time.Minute

// ago says how long before now something was, in Chinese and English; empty
// when that is no delay worth telling.
func ago(now, t time.Time) (zh, en string) {
	d := now.Sub(t)
	if d < lateAfter {
		return "", ""
	}
	zh, en = span(d)
	return zh + "前", en + " ago"
}

// span puts a duration into words, to the minute; below one, to the second.
func span(d time.Duration) (zh, en string) {
	if d < time.Minute {
		s := int(d / time.Second)
		return fmt.Sprintf("%d 秒", s), fmt.Sprintf("%d s", s)
	}
	m := int(d / time.Minute)
	switch {
	case m < 60:
		return fmt.Sprintf("%d 分钟", m), fmt.Sprintf("%d min", m)
	case m < 24*60 && m%60 == 0:
		return fmt.Sprintf("%d 小时", m/60), fmt.Sprintf("%d h", m/60)
	case m < 24*60:
		return fmt.Sprintf("%d 小时 %d 分钟", m/60, m%60), fmt.Sprintf("%d h %d min", m/60, m%60)
	default:
		return fmt.Sprintf("%d 天 %d 小时", m/1440, m%1440/60), fmt.Sprintf("%d d %d h", m/1440, m%1440/60)
	}
}
