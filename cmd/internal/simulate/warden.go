package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	contract "firewatch/firmware-contracts"
)

// beat is how far from its middle a warden walks, m.
const beat = 1900.0

// warden walks along the valleys around the middle of its beat.
type warden struct {
	rng      *rand.Rand
	lat, lon float64 // middle of the beat
	x, y     float64 // m from it
	course   float64 // rad, from east, counterclockwise
	pace     float64 // m/s, what the warden tends to
	speed    float64 // m/s, now; 0 while resting
	rest     time.Duration
	drift    [2]float64 // error of the fix, m
	battery  float64
	last     time.Time
}

func newWarden(m *Member, rng *rand.Rand) *warden {
	w := &warden{
		rng: rng, lat: m.Lat, lon: m.Lon, course: rng.Float64() * 2 * math.Pi,
		pace: 0.7 + 0.6*rng.Float64(), battery: 45 + 55*rng.Float64(),
	}
	if rng.IntN(40) == 0 {
		w.battery = 11 + 8*rng.Float64()
	}
	r, a := 1200*math.Sqrt(rng.Float64()), rng.Float64()*2*math.Pi
	w.x, w.y = r*math.Cos(a), r*math.Sin(a)
	return w
}

// measure walks on to the time and takes a fix.
func (w *warden) measure(t time.Time) contract.Values {
	if !w.last.IsZero() {
		left := min(t.Sub(w.last), time.Hour)
		w.drain(left)
		for left > 0 {
			step := min(left, 10*time.Second)
			w.walk(step)
			left -= step
		}
	}
	w.last = t
	return w.fix()
}

func (w *warden) walk(step time.Duration) {
	dt := step.Seconds()
	for i := range w.drift {
		w.drift[i] += -w.drift[i]*dt/120 + 0.45*math.Sqrt(dt)*w.rng.NormFloat64()
		w.drift[i] = max(-25, min(25, w.drift[i]))
	}
	if w.rest > 0 {
		w.rest -= step
		w.speed = 0
		return
	}
	if w.rng.Float64() < dt/1500 {
		w.rest = time.Duration(60+w.rng.IntN(360)) * time.Second
	}
	ox, oy := meters(w.lat, w.lon)
	gx, gy := slope(ox+w.x, oy+w.y)
	along := math.Atan2(gx, -gy) // the contour line: a quarter turn from the gradient
	if math.Cos(along-w.course) < 0 {
		along += math.Pi
	}
	tx, ty := math.Cos(along)-1.5*gx, math.Sin(along)-1.5*gy // and down, to the valley floor
	if r := math.Hypot(w.x, w.y); r > beat*0.7 {
		pull := 3 * (r - beat*0.7) / (beat * 0.3)
		tx -= pull * w.x / r
		ty -= pull * w.y / r
	}
	turn := angle(math.Atan2(ty, tx) - w.course)
	most := 0.06 * dt
	w.course = angle(w.course + max(-most, min(most, turn)) + 0.02*math.Sqrt(dt)*w.rng.NormFloat64())
	uphill := math.Hypot(gx, gy) * math.Cos(math.Atan2(gy, gx)-w.course)
	aim := w.pace - 0.8*uphill + 0.08*w.rng.NormFloat64()
	w.speed = max(0.5, min(1.5, aim))
	nx, ny := w.x+w.speed*dt*math.Cos(w.course), w.y+w.speed*dt*math.Sin(w.course)
	if math.Hypot(nx, ny) > beat { // turn round
		w.course = math.Atan2(-w.y, -w.x)
		nx, ny = w.x+w.speed*dt*math.Cos(w.course), w.y+w.speed*dt*math.Sin(w.course)
	}
	w.x, w.y = nx, ny
}

func (w *warden) drain(d time.Duration) {
	w.battery -= 4.5 * d.Hours()
	if w.battery < 6 {
		w.battery = 92 + 8*w.rng.Float64() // exchanged
	}
}

func (w *warden) fix() (v contract.Values) {
	lat, lon := w.place()
	v.Set(contract.Lat, round(lat, 6))
	v.Set(contract.Lon, round(lon, 6))
	ox, oy := meters(w.lat, w.lon)
	h := height(ox+w.x, oy+w.y)
	v.Set(contract.AltM, round(h+3*w.rng.NormFloat64(), 1))
	speed := max(0, w.speed+0.05*w.rng.NormFloat64())
	if w.speed == 0 {
		speed = 0
	}
	v.Set(contract.SpeedMS, round(speed, 2))
	if speed > 0 {
		v.Set(contract.CourseDeg, round(math.Mod(450-w.course*180/math.Pi, 360), 0))
	}
	v.Set(contract.AccM, round(4+3*w.rng.ExpFloat64(), 1))
	v.Set(contract.Sats, float64(7+w.rng.IntN(9)))
	v.Set(contract.BatteryPct, math.Round(w.battery))
	v.Set(contract.RssiDBm, math.Round(-88+9*w.rng.NormFloat64()))
	v.Set(contract.Moving, b2f(w.speed > 0))
	return inRange(v)
}

// place is where the warden is, as the receiver sees it.
func (w *warden) place() (lat, lon float64) {
	lat = w.lat + (w.y+w.drift[1])/metersPerDegree
	return lat, w.lon + (w.x+w.drift[0])/(metersPerDegree*math.Cos(w.lat*math.Pi/180))
}

func angle(a float64) float64 { return math.Remainder(a, 2*math.Pi) }

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// inRange keeps each value within what the contract allows.
func inRange(v contract.Values) contract.Values {
	for f, x := range v.All() {
		i := f.Info()
		v.Set(f, max(i.Min, min(i.Max, x)))
	}
	return v
}
