package alerts

import (
	"math"
	"time"

	contract "firewatch/firmware-contracts"
)

// scene is what an expression is judged on: one subject at one measured time.
type scene struct {
	at     int64 // measured, ms since 1970
	now    time.Time
	series *Series // nil: of an area
	rule   *Rule
	ctx    *Context
	id     contract.DeviceID
	r      *contract.Reading // nil: none
	towns  []string          // names of the townships that count; of a county
}

func (s *scene) local() time.Time { return time.UnixMilli(s.at).In(Zone) }

// latest is the field's newest value, NaN when there is none young enough.
func (s *scene) latest(f contract.Field, within int64) float64 {
	x, _, ok := s.series.latest(f, s.at, within)
	if !ok {
		return math.NaN()
	}
	return rounded(x)
}

func (s *scene) flag(f contract.Field) truth {
	if x := s.latest(f, latestSpan.Milliseconds()); x == x {
		return truthOf(x != 0)
	}
	return unknown
}

// ever is longer ago than any value is kept; the newest one always is.
const ever = int64(1) << 41

// mute is why a sensor's values do not count at a time.
type mute uint8

const (
	muteNot         mute = iota
	muteCalibrating      // the sensor, or the registry, says so
	muteBlind            // it has just calibrated, and its model sees nothing for a while after
)

func (s *scene) muted() mute {
	if d := s.ctx.Device; d != nil && d.Calibration == Calibrating {
		return muteCalibrating
	}
	if s.series.ring(contract.Calibrating) == nil {
		return muteNot
	}
	if x, _, ok := s.series.latest(contract.Calibrating, s.at, ever); ok && x != 0 {
		return muteCalibrating
	}
	if blind := s.rule.blind(s.ctx); blind > 0 {
		if t, ok := s.series.lastSet(contract.Calibrating, s.at); ok && s.at-t <= blind.Milliseconds() {
			return muteBlind
		}
	}
	return muteNot
}

// area is the township.
func (s *scene) area() string {
	switch {
	case s.ctx.Place != nil:
		return s.ctx.Place.Code
	case s.ctx.Device != nil:
		return s.ctx.Device.Area
	}
	return ""
}

// place is where the subject is: its newest fix, else its site.
func (s *scene) place() (lat, lon float64, ok bool) {
	span := latestSpan.Milliseconds()
	if lat, lon = s.latest(contract.Lat, span), s.latest(contract.Lon, span); lat == lat && lon == lon {
		return lat, lon, true
	}
	if p := s.ctx.Place; p != nil {
		return p.Lat, p.Lon, p.Lat != 0 || p.Lon != 0
	}
	if d := s.ctx.Device; d != nil {
		return d.Lat, d.Lon, d.Lat != 0 || d.Lon != 0
	}
	return 0, 0, false
}

// word is a name of the vocabulary; one of num, is and text is set.
type word struct {
	num    numFunc
	is     boolFunc
	text   textFunc
	fields []contract.Field // that the series must hold
	timed  bool             // changes with time alone
	around bool             // changes with the surroundings
	plain  bool             // a constant
}

func colour(s Severity) word {
	return word{num: func(*scene) float64 { return float64(s) }, plain: true}
}

func known(text string, ok bool) (string, bool) { return text, ok }

// names is the part of the vocabulary that takes no arguments; rules/README.md
// tells what each means.
var names = map[string]word{
	"danger": {around: true, num: func(s *scene) float64 {
		if d := s.ctx.Around.Danger; d != DangerUnknown {
			return float64(d)
		}
		return math.NaN()
	}},
	"danger_known": {around: true, is: func(s *scene) truth { return truthOf(s.ctx.Around.Danger != DangerUnknown) }},
	"danger_held":  {around: true, is: func(s *scene) truth { return truthOf(s.ctx.Around.DangerHeld) }},
	"dry_days": {around: true, num: func(s *scene) float64 {
		if d := s.ctx.Around.DryDays; d >= 0 {
			return float64(d)
		}
		return math.NaN()
	}},
	"season":       {around: true, text: func(s *scene) (string, bool) { return known(string(s.ctx.Around.Season), !s.ctx.Around.SeasonUnknown) }},
	"season_known": {around: true, is: func(s *scene) truth { return truthOf(!s.ctx.Around.SeasonUnknown) }},
	"warning": {around: true, num: func(s *scene) float64 {
		if a := &s.ctx.Around; !a.WarnUnknown || a.Warning > Notice {
			return float64(a.Warning)
		}
		return math.NaN()
	}},
	"warning_known": {around: true, is: func(s *scene) truth { return truthOf(!s.ctx.Around.WarnUnknown) }},
	"warning_event": {around: true, text: func(s *scene) (string, bool) {
		return known(s.ctx.Around.WarningEvent, !s.ctx.Around.WarnUnknown || s.ctx.Around.Warning > Notice)
	}},
	"special_day": {around: true, text: func(s *scene) (string, bool) { return s.ctx.Around.Special, true }},
	"permit": {around: true, fields: []contract.Field{contract.Lat, contract.Lon}, is: func(s *scene) truth {
		lat, lon, ok := s.place()
		if !ok || s.ctx.Sources == nil {
			return unknown
		}
		for _, n := range s.ctx.Sources.Explains(lat, lon, time.UnixMilli(s.at)) {
			if n.Kind == SourcePermit {
				return yes
			}
		}
		return no
	}},
	"area":  {text: func(s *scene) (string, bool) { a := s.area(); return a, a != "" }},
	"hour":  {num: func(s *scene) float64 { return float64(s.local().Hour()) }},
	"month": {num: func(s *scene) float64 { return float64(s.local().Month()) }},

	"kind": {text: func(s *scene) (string, bool) {
		if s.ctx.Device == nil {
			return "", false
		}
		return s.ctx.Device.Kind.String(), true
	}},
	"model": {text: func(s *scene) (string, bool) {
		if s.ctx.Device == nil {
			return "", false
		}
		return s.ctx.Device.Model, true
	}},
	"battery": {fields: []contract.Field{contract.BatteryPct}, num: func(s *scene) float64 {
		return s.latest(contract.BatteryPct, latestSpan.Milliseconds())
	}},
	"moving":      {fields: []contract.Field{contract.Moving}, is: func(s *scene) truth { return s.flag(contract.Moving) }},
	"calibrating": {fields: []contract.Field{contract.Calibrating}, is: func(s *scene) truth { return truthOf(s.muted() == muteCalibrating) }},
	"blind":       {fields: []contract.Field{contract.Calibrating}, is: func(s *scene) truth { return truthOf(s.muted() == muteBlind) }},
	"silent_for": {timed: true, num: func(s *scene) float64 {
		if s.series == nil || s.series.newest == 0 {
			return math.NaN()
		}
		return float64(max(s.at-s.series.newest, 0)) / 1000
	}},

	"notice": colour(Notice), "blue": colour(Blue), "yellow": colour(Yellow), "orange": colour(Orange), "red": colour(Red),
}

// function is a word that takes arguments, all of them constants.
type function struct {
	types  []any
	make   func(*arguments) expression
	around bool
}

type (
	fieldFunc  = func(string) float64
	windowFunc = func(string, string) float64
)

// windowed is a function of a field over a window of measured time; what it does
// is asked only when the window holds something.
func windowed(do func(stats) float64, empty float64) function {
	return function{types: []any{new(windowFunc)}, make: func(a *arguments) expression {
		f := a.field()
		w := a.window(f)
		return expression{num: func(s *scene) float64 {
			st := s.series.over(f, s.at, w)
			if st.count == 0 {
				return empty
			}
			return do(st)
		}}
	}}
}

var nan = math.NaN()

// functions is the part of the vocabulary that takes arguments.
var functions = map[string]function{
	"min":  windowed(func(st stats) float64 { return rounded(st.low) }, nan),
	"max":  windowed(func(st stats) float64 { return rounded(st.high) }, nan),
	"avg":  windowed(func(st stats) float64 { return st.sum / float64(st.count) }, nan),
	"rise": windowed(func(st stats) float64 { return rounded(st.last - st.low) }, nan),
	"fall": windowed(func(st stats) float64 { return rounded(st.high - st.last) }, nan),
	"rate": windowed(func(st stats) float64 { // per minute
		if st.to <= st.from {
			return nan
		}
		return float64(st.last-st.first) * 60_000 / float64(st.to-st.from)
	}, nan),
	"count": windowed(func(st stats) float64 { return float64(st.count) }, 0),
	"span":  windowed(func(st stats) float64 { return float64(st.to-st.from) / 1000 }, 0),
	"latest": {types: []any{new(fieldFunc), new(windowFunc)}, make: func(a *arguments) expression {
		f, w := a.field(), latestSpan.Milliseconds()
		if a.more() {
			w = a.window(f)
		} else {
			a.c.look(f, latestSpan)
		}
		return expression{num: func(s *scene) float64 { return s.latest(f, w) }}
	}},
	"age": {types: []any{new(fieldFunc)}, make: func(a *arguments) expression {
		f := a.field()
		a.c.look(f, latestSpan)
		a.c.timed = true
		return expression{num: func(s *scene) float64 {
			_, t, ok := s.series.latest(f, s.at, ever)
			if !ok {
				return nan
			}
			return float64(s.at-t) / 1000
		}}
	}},
	"moved_m": {types: []any{new(fieldFunc)}, make: func(a *arguments) expression {
		w := a.window(contract.Lat, contract.Lon)
		return expression{num: func(s *scene) float64 {
			lat, lon := s.series.over(contract.Lat, s.at, w), s.series.over(contract.Lon, s.at, w)
			if lat.count == 0 || lon.count == 0 {
				return nan
			}
			const metres = 111_195 // one degree of a great circle, R = 6371 km
			north := float64(lat.high-lat.low) * metres
			east := float64(lon.high-lon.low) * metres * math.Cos(float64(lat.last)*math.Pi/180)
			return math.Hypot(north, east)
		}}
	}},
	"distance_km": {types: []any{new(func(float64, float64) float64)}, make: func(a *arguments) expression {
		lat, lon := a.number(-90, 90), a.number(-180, 180)
		a.c.look(contract.Lat, latestSpan)
		a.c.look(contract.Lon, latestSpan)
		return expression{num: func(s *scene) float64 {
			la, lo, ok := s.place()
			if !ok {
				return nan
			}
			return haversineKM(lat, lon, la, lo)
		}}
	}},
	"neighbours": {
		types: []any{new(func(float64, string) float64), new(func(string, float64, float64, string) float64)},
		make: func(a *arguments) expression {
			if len(a.call.Arguments) == 2 {
				km := a.number(0, 50)
				w := time.Duration(a.window()) * time.Millisecond
				return expression{num: func(s *scene) float64 {
					if s.ctx.Neighbours == nil {
						return nan
					}
					return float64(len(s.ctx.Neighbours.Suspicions(s.id, time.UnixMilli(s.at), w, km)))
				}}
			}
			f := a.field()
			least, km := a.number(math.Inf(-1), math.Inf(1)), a.number(0, 50)
			w := time.Duration(a.window(f)) * time.Millisecond
			return expression{num: func(s *scene) float64 {
				if s.ctx.Others == nil {
					return nan
				}
				return float64(s.ctx.Others.Above(s.id, f, least, km, time.UnixMilli(s.at), w))
			}}
		},
	},
	"within": {types: []any{new(func(string) bool)}, make: func(a *arguments) expression {
		code, n := a.text()
		if !isAreaCode(code) {
			return a.c.fail(n, "area %q: want a code of 6 to 12 digits", code)
		}
		return expression{is: func(s *scene) truth {
			area := s.area()
			if area == "" {
				return unknown
			}
			return truthOf(s.ctx.Areas.Within(area, code))
		}}
	}},
}

// haversineKM is the great-circle distance, R = 6371 km.
func haversineKM(lat1, lon1, lat2, lon2 float64) float64 {
	const rad = math.Pi / 180
	a := math.Sin((lat2 - lat1) * rad / 2)
	b := math.Sin((lon2 - lon1) * rad / 2)
	h := a*a + math.Cos(lat1*rad)*math.Cos(lat2*rad)*b*b
	return 2 * 6371 * math.Asin(math.Sqrt(min(h, 1)))
}
