package outlook

import (
	"math"
	"math/bits"
	"strings"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	contract "firewatch/firmware-contracts"
)

// HalfHour is the length of the windows in which weather comes.
const HalfHour = 30 * time.Minute

// Sum sums up one field's readings; without any (N 0) the rest means nothing.
type Sum struct {
	N             int
	Min, Max, Sum float64
}

// A Half sums up the weather that one sensor measured in [At, At+HalfHour).
type Half struct {
	Station contract.DeviceID
	At      time.Time
	TempC   Sum // °C
	RHPct   Sum // %
	WindMS  Sum // m/s
	RainMM  Sum // mm, each since the reading before; Sum is the rain of the half hour
}

// MinHours is in how many hours of 24 a station must have measured something for
// its highest, lowest and sum to stand for the day: three quarters.
const MinHours = 18

// MinAfternoon is in how many of the six hours from 12:00 to 18:00 a station must
// have measured temperature and humidity: a day without its afternoon has neither
// its highest temperature nor its lowest humidity.
const MinAfternoon = 4

// The fields of weather, in the order in which Half has them.
const (
	temp = iota
	humidity
	wind
	rain
	numFields
)

var fieldNames = [numFields]string{"气温", "相对湿度", "风速", "降水"}

// Observation is what one station measured on one local day. A figure that is
// missing, or of too few hours to stand for the day, is NaN.
type Observation struct {
	// Noon is the mean of 11:30 to 12:30, and the rain of the 24 hours to 12:00.
	Noon danger.Noon
	// Day is of the local day or, while it lasts, of its last 24 hours; but its rain
	// is always of the local day alone, so far: that of yesterday is counted already.
	Day danger.HTZDay
	// Hours are those of 24 in which each field of Day was measured: temperature,
	// humidity, wind, rain. NoonRainHours are those of the rain up to noon.
	Hours         [numFields]int
	NoonRainHours int
}

// station reports whether all fields of weather were measured at all.
func (o *Observation) station() bool {
	for _, n := range o.Hours {
		if n == 0 {
			return false
		}
	}
	return true
}

// missing says in Chinese what lacks for a rating by the method; empty: nothing.
func (o *Observation) missing(method string) string {
	var out []string
	add := func(lacks bool, text string) {
		if lacks {
			out = append(out, text)
		}
	}
	if method == alerts.DangerFWI {
		add(math.IsNaN(o.Noon.TempC), "正午气温")
		add(math.IsNaN(o.Noon.RHPct), "正午相对湿度")
		add(math.IsNaN(o.Noon.WindKMH), "正午风速")
		add(math.IsNaN(o.Noon.RainMM), "24小时降水")
	} else {
		for i, n := range o.Hours {
			add(n < MinHours, fieldNames[i])
		}
		add(o.Hours[temp] >= MinHours && math.IsNaN(o.Day.TempMaxC), "午后气温")
		add(o.Hours[humidity] >= MinHours && math.IsNaN(o.Day.RHMinPct), "午后相对湿度")
	}
	if len(out) == 0 {
		return ""
	}
	return "资料不足：缺" + strings.Join(out, "、")
}

// An Observer makes observations of one local day out of half hours.
type Observer struct {
	midnight         time.Time
	dayFrom, dayTo   time.Time // what stands for the day
	over             bool      // the day
	noonDue          bool
	stations         map[contract.DeviceID]*sums
	noonFrom, noonTo time.Time
}

// sums are one station's so far.
type sums struct {
	day   [numFields]Sum
	hours [numFields]uint32 // bit by hour of the day
	after [numFields]uint32 // bit by local hour, of the afternoon
	noon  [numFields]Sum
	rain  float64 // of the 24 hours to noon
	rainy uint32  // hours of them in which rain was measured
}

// noonDue is how long after midnight noon can be rated: half an hour of it comes
// after 12:00, and what was measured must arrive.
const noonDue = 12*time.Hour + 40*time.Minute

// NewObserver observes a local day as it is known at a time: while the day lasts,
// its last 24 hours stand for it, but for their rain before midnight.
func NewObserver(day danger.Date, now time.Time) *Observer {
	m := midnight(day)
	o := &Observer{
		midnight: m, dayFrom: m, dayTo: m.Add(24 * time.Hour), noonFrom: m.Add(12*time.Hour - HalfHour), noonTo: m.Add(12*time.Hour + HalfHour),
		stations: make(map[contract.DeviceID]*sums),
	}
	o.over = !now.Before(o.dayTo)
	o.noonDue = !now.Before(m.Add(noonDue))
	if !o.over {
		o.dayTo = now.Truncate(HalfHour)
		o.dayFrom = o.dayTo.Add(-24 * time.Hour)
	}
	return o
}

func midnight(day danger.Date) time.Time {
	return time.Unix(int64(day)*86400, 0).Add(-localOffset).UTC()
}

// localOffset is how far alerts.Zone is ahead of UTC.
const localOffset = 8 * time.Hour

// Span is the time of which the observer wants to know.
func (o *Observer) Span() (from, to time.Time) {
	from, to = o.midnight.Add(-12*time.Hour), o.dayTo
	if o.dayFrom.Before(from) {
		from = o.dayFrom
	}
	return from, to
}

// Add takes a half hour in. Each is to be given once, in whatever order.
func (o *Observer) Add(h Half) {
	s := o.stations[h.Station]
	if s == nil {
		s = &sums{}
		o.stations[h.Station] = s
	}
	fields := [numFields]Sum{h.TempC, h.RHPct, h.WindMS, h.RainMM}
	if in(h.At, o.dayFrom, o.dayTo) {
		hour := int(h.At.Sub(o.dayFrom) / time.Hour)
		for i, f := range fields {
			if f.N == 0 {
				continue
			}
			s.hours[i] |= 1 << hour
			if local := h.At.In(alerts.Zone).Hour(); local >= 12 && local < 18 {
				s.after[i] |= 1 << local
			}
			if i == rain && h.At.Before(o.midnight) {
				// While the day lasts this shows that rain is measured, and is itself
				// yesterday's: twice it would put the last rain a day too late.
				continue
			}
			s.day[i].merge(f)
		}
	}
	if in(h.At, o.noonFrom, o.noonTo) {
		for i, f := range fields {
			s.noon[i].merge(f)
		}
	}
	if from := o.midnight.Add(-12 * time.Hour); h.RainMM.N > 0 && in(h.At, from, from.Add(24*time.Hour)) {
		s.rain += h.RainMM.Sum
		s.rainy |= 1 << int(h.At.Sub(from)/time.Hour)
	}
}

func in(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

func (s *Sum) merge(o Sum) {
	switch {
	case o.N == 0:
	case s.N == 0:
		*s = o
	default:
		s.N, s.Min, s.Max, s.Sum = s.N+o.N, min(s.Min, o.Min), max(s.Max, o.Max), s.Sum+o.Sum
	}
}

func (s *Sum) mean() float64 {
	if s.N == 0 {
		return math.NaN()
	}
	return s.Sum / float64(s.N)
}

// kmh turns m/s into km/h.
const kmh = 3.6

// Observations are those of all stations that measured anything.
func (o *Observer) Observations() map[contract.DeviceID]Observation {
	out := make(map[contract.DeviceID]Observation, len(o.stations))
	for id, s := range o.stations {
		nan := math.NaN()
		x := Observation{
			Noon:          danger.Noon{TempC: s.noon[temp].mean(), RHPct: s.noon[humidity].mean(), WindKMH: s.noon[wind].mean() * kmh, RainMM: nan},
			Day:           danger.HTZDay{TempMaxC: nan, RHMinPct: nan, RainMM: nan, WindMaxMS: nan, GreenPct: nan, SnowPct: nan},
			NoonRainHours: bits.OnesCount32(s.rainy),
		}
		if x.NoonRainHours >= MinHours {
			x.Noon.RainMM = s.rain
		}
		for i := range x.Hours {
			x.Hours[i] = bits.OnesCount32(s.hours[i])
		}
		for i, to := range [numFields]struct {
			field *float64
			value float64
		}{{&x.Day.TempMaxC, s.day[temp].Max}, {&x.Day.RHMinPct, s.day[humidity].Min}, {&x.Day.WindMaxMS, s.day[wind].Max}, {&x.Day.RainMM, s.day[rain].Sum}} {
			if x.Hours[i] >= MinHours && (i > humidity || bits.OnesCount32(s.after[i]) >= MinAfternoon) {
				*to.field = to.value
			}
		}
		out[id] = x
	}
	return out
}
