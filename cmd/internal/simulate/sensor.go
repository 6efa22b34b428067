package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	contract "firewatch/firmware-contracts"
)

// local is the zone of the daily cycle: Baoding keeps UTC+8 all year.
var local = time.FixedZone("CST", 8*3600)

// sensor stands at its site and feels the day go by.
type sensor struct {
	rng      *rand.Rand
	alt      float64 // m
	shade    float64 // °C, of this site against others
	slow     [4]float64
	windDir  float64
	battery  float64
	dust     float64 // of a passing tractor or a stove; fades
	last     time.Time
	flame    bool // it has a flame detector
	particle bool // it measures PM2.5
}

// The slow wander of a quantity.
const (
	wanderTemp = iota
	wanderRh
	wanderWind
	wanderAir
)

func newSensor(m *Member, rng *rand.Rand) *sensor {
	x, y := meters(m.Lat, m.Lon)
	s := &sensor{
		rng: rng, alt: height(x, y), shade: 1.2 * rng.NormFloat64(), windDir: 360 * rng.Float64(),
		battery: 70 + 30*rng.Float64(), flame: rng.IntN(3) == 0, particle: rng.IntN(2) == 0,
	}
	if rng.IntN(50) == 0 {
		s.battery = 13
	}
	for i := range s.slow {
		s.slow[i] = rng.NormFloat64()
	}
	return s
}

// smell is what a fire adds to a sensor's air.
type smell struct{ co, smoke, temp float64 }

// measure lets the air change up to the time and measures it.
func (s *sensor) measure(t time.Time, fire smell) (v contract.Values) {
	dt := 60.0
	if !s.last.IsZero() {
		dt = max(0, min(t.Sub(s.last).Seconds(), 3600))
	}
	s.last = t
	s.wander(dt)
	day := t.In(local)
	hour := float64(day.Hour()) + float64(day.Minute())/60 + float64(day.Second())/3600
	sun := max(0, math.Sin((hour-6)/12*math.Pi))
	warm := math.Cos((hour - 14.5) / 12 * math.Pi) // -1 .. 1, warmest in the early afternoon
	year := math.Cos((float64(day.YearDay()) - 200) / 365.25 * 2 * math.Pi)

	temp := 11.5 + 14.5*year + 6.5*warm - 0.0055*(s.alt-300) + s.shade + 0.9*s.slow[wanderTemp]
	rh := 46 + 16*year - 17*warm + 6*s.slow[wanderRh]
	wind := max(0, 1.9+1.4*max(0, warm)+1.1*s.slow[wanderWind])
	gust := wind * (1.3 + 0.3*s.rng.Float64())
	s.windDir = math.Mod(s.windDir+360+4*math.Sqrt(min(dt, 600)/60)*s.rng.NormFloat64(), 360)

	v.Set(contract.TempC, round(temp+fire.temp+0.06*s.rng.NormFloat64(), 2))
	v.Set(contract.RhPct, round(max(5, min(100, rh-1.2*fire.temp+0.4*s.rng.NormFloat64())), 1))
	v.Set(contract.WindMS, round(wind, 1))
	v.Set(contract.WindGustMS, round(gust, 1))
	v.Set(contract.WindDirDeg, math.Round(s.windDir))
	v.Set(contract.PressureHPa, round(1013*math.Exp(-s.alt/8300)+3*s.slow[wanderAir], 1))
	// Far below the lowest thresholds: everyday life raises no alert.
	v.Set(contract.CoPPM, round(max(0.1, 0.5+0.12*s.slow[wanderAir]+0.05*s.rng.NormFloat64()+min(s.dust*2, 4)+fire.co), 2))
	v.Set(contract.SmokeObsPctM, round(max(0, min(100, 0.06+0.02*s.rng.NormFloat64()+min(s.dust*0.4, 0.8)+fire.smoke)), 3))
	if s.particle {
		v.Set(contract.PM25UgM3, math.Round(max(2, 34+14*s.slow[wanderAir]+30*s.dust+45*fire.smoke)))
	}
	if s.flame {
		v.Set(contract.Flame, 0)
	}
	v.Set(contract.SolarWM2, math.Round(760*sun*(0.75+0.1*s.slow[wanderRh])))
	v.Set(contract.RainMM, 0)
	s.battery = max(8, min(100, s.battery+(sun*6-1.6)*dt/3600))
	v.Set(contract.BatteryPct, math.Round(s.battery))
	return inRange(v)
}

func (s *sensor) wander(dt float64) {
	for i := range s.slow {
		k := math.Exp(-dt / 2700)
		s.slow[i] = max(-2.5, min(2.5, s.slow[i]*k+math.Sqrt(1-k*k)*s.rng.NormFloat64()))
	}
	s.dust *= math.Exp(-dt / 180)
	if s.rng.Float64() < dt/14_400 {
		s.dust += 0.5 + s.rng.Float64()
	}
}
