//go:build linux

package main

import (
	"fmt"
	"math"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// A prefecture is an office with its devices, and what they say: nine counties,
// 128 townships, and of each 20 devices 11 wardens' trackers and 9 sensors. Two
// of three sensors smell smoke and carbon monoxide, one of ten is a weather
// station. It is the same each time, and a reading is a function of the device
// and the time, so that each side of a comparison is told the same.
type prefecture struct {
	devices int
	every   time.Duration // between two readings of a device
	story   time.Time     // when what happens begins
	roster  alerts.Roster
}

// What happens, by the number of the device's kind.
const (
	stillOne   = 500  // of so many wardens one has lain still all the time
	silentOne  = 1000 // of so many devices one has never reported
	emptyOne   = 100  // of so many devices one has a low battery
	blindOne   = 2000 // of so many sensors one calibrates
	storyFires = 20   // sensors in a fire, one more after the other
	storyCalls = 5    // wardens who press SOS
	fireApart  = 5 * time.Second
	fireLasts  = 3 * time.Minute
)

const (
	cityCode       = "130600"
	townships      = 128
	firstTownship  = 10 // in roster.Areas
	countyCount    = 9
	kmPerDegree    = 111.2
	prefectureSide = 1.6 // °, of the square in which devices are
)

func newPrefecture(devices int, every time.Duration, story time.Time) *prefecture {
	p := &prefecture{devices: devices, every: every, story: story}
	p.roster.Areas = []alerts.Area{{Code: cityCode, Name: "保定市", Level: alerts.City, Lat: 39, Lon: 115}}
	for c := range countyCount {
		p.roster.Areas = append(p.roster.Areas, alerts.Area{Code: countyCode(c), Name: fmt.Sprintf("%d县", c), Level: alerts.County, Parent: cityCode, Lat: 39, Lon: 115})
	}
	for i := range townships {
		p.roster.Areas = append(p.roster.Areas, alerts.Area{
			Code: townshipCode(i), Name: fmt.Sprintf("%d镇", i), Level: alerts.Township, Parent: countyCode(i % countyCount), Lat: 39, Lon: 115,
		})
	}
	for i := range devices {
		lat, lon := p.site(i)
		p.roster.Devices = append(p.roster.Devices, alerts.Device{
			ID: deviceID(i), Kind: kindOf(i), Area: townshipCode(i % townships), Name: fmt.Sprintf("%d号", i), Lat: lat, Lon: lon, Expect: every,
		})
	}
	return p
}

func countyCode(c int) string { return fmt.Sprintf("1306%02d", 20+c) }

func townshipCode(i int) string { return fmt.Sprintf("%s%03d", countyCode(i%countyCount), 100+i) }

// kindOf mixes the kinds, so that each stretch of devices has both.
func kindOf(i int) contract.Kind {
	if i%20 < 11 {
		return contract.Tracker
	}
	return contract.Sensor
}

// nth numbers the devices of a kind.
func nth(i int) int {
	if i%20 < 11 {
		return i/20*11 + i%20
	}
	return i/20*9 + i%20 - 11
}

// smells reports whether the sensor measures smoke and carbon monoxide.
func smells(i int) bool { return kindOf(i) == contract.Sensor && nth(i)%3 != 0 }

// weather reports whether the sensor is a weather station.
func weather(i int) bool { return kindOf(i) == contract.Sensor && nth(i)%10 == 0 }

// silent reports whether the device never says anything.
func silent(i int) bool { return i%silentOne == silentOne-1 }

func (p *prefecture) site(i int) (lat, lon float64) {
	return 38.3 + prefectureSide*noise(i, -1), 114.2 + prefectureSide*noise(i, -2)
}

// phase is when in each interval the device speaks.
func (p *prefecture) phase(i int) time.Duration {
	return time.Duration(float64(p.every) * float64(i) / float64(p.devices))
}

// noise is between 0 and 1, of the device and the step (splitmix64).
func noise(i int, step int64) float64 {
	x := uint64(i)*0x9e3779b97f4a7c15 + uint64(step)*0xbf58476d1ce4e5b9 //nolint:gosec // a hash
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// burning is when the fire at the sensor begins; ok is false where there is none.
// Some of the sensors that smell are in a fire, far apart from each other.
func (p *prefecture) burning(i int) (from time.Time, ok bool) {
	if !smells(i) || silent(i) {
		return from, false
	}
	apart := max(1, p.devices/storyFires)
	k := i / apart
	if k >= storyFires || firstSmelling(k*apart) != i {
		return from, false
	}
	return p.story.Add(time.Duration(k) * fireApart), true
}

// firstSmelling is the first sensor that smells, and speaks, from the number on.
func firstSmelling(i int) int {
	for !smells(i) || silent(i) {
		i++
	}
	return i
}

// calls reports whether the warden presses SOS in the reading of the time.
func (p *prefecture) calls(i int, at time.Time) bool {
	since := at.Sub(p.story)
	return kindOf(i) == contract.Tracker && nth(i)%max(1, p.devices*11/20/storyCalls) == 1 && since >= 0 && since < p.every
}

// still reports whether the warden does not move.
func still(i int) bool { return kindOf(i) == contract.Tracker && nth(i)%stillOne == 7 }

// read fills in what the device says at a time; false: nothing.
func (p *prefecture) read(i int, at time.Time, r *contract.Reading) bool {
	if silent(i) {
		return false
	}
	step := at.UnixNano() / int64(p.every)
	*r = contract.Reading{
		Device: p.roster.Devices[i].ID, Kind: kindOf(i), Measured: at, Received: at.Add(500 * time.Millisecond),
		Seq: uint64(step), HasSeq: true, //nolint:gosec // after 1970
	}
	r.Values.Set(contract.BatteryPct, battery(i))
	if r.Kind == contract.Tracker {
		p.walk(i, step, r)
		if r.Class = contract.Position; p.calls(i, at) {
			r.Class = contract.SOS
			r.Values.Set(contract.Active, 1)
		}
		return true
	}
	r.Class = contract.Environment
	hours := float64(at.Unix()%86_400) / 3600
	temp := 14 + 6*math.Sin((hours-2)*math.Pi/12) + noise(i, step) // UTC: the warmest at 16 of local time
	smoke, co := 0.6*noise(i, step+1), 3*noise(i, step+2)
	if from, ok := p.burning(i); ok && !at.Before(from) && at.Before(from.Add(fireLasts)) {
		temp, smoke, co = temp+30, smoke+12, co+80
	}
	r.Values.Set(contract.TempC, math.Round(temp*10)/10)
	r.Values.Set(contract.RhPct, math.Round(30+20*noise(i, step+3)))
	if smells(i) {
		r.Values.Set(contract.SmokeObsPctM, math.Round(smoke*100)/100)
		r.Values.Set(contract.CoPPM, math.Round(co*10)/10)
	}
	if weather(i) {
		r.Values.Set(contract.WindMS, math.Round(60*noise(i, step+4))/10)
		r.Values.Set(contract.RainMM, 0)
	}
	if nth(i)%blindOne == 3 {
		r.Values.Set(contract.Calibrating, 1)
	}
	return true
}

func battery(i int) float64 {
	if i%emptyOne == 42 {
		return 11
	}
	return 40 + math.Round(60*noise(i, -3))
}

// walk is a beat of some hundred metres.
func (p *prefecture) walk(i int, step int64, r *contract.Reading) {
	lat, lon := p.site(i)
	moving := 1.0
	turn := float64(step%40) / 40 * 2 * math.Pi
	if still(i) {
		turn, moving = 0, 0
	}
	r.Values.Set(contract.Lat, lat+0.3/kmPerDegree*math.Sin(turn))
	r.Values.Set(contract.Lon, lon+0.3/kmPerDegree*math.Cos(turn))
	r.Values.Set(contract.SpeedMS, moving)
	r.Values.Set(contract.Moving, moving)
	r.Values.Set(contract.Charging, 0)
}

// second calls f for what is measured in the second that begins at the time, in
// order.
func (p *prefecture) second(at time.Time, r *contract.Reading, f func(i int) error) error {
	into := time.Duration(at.UnixNano() % int64(p.every))
	first := int(math.Ceil(float64(into) / float64(p.every) * float64(p.devices)))
	for i := first; i < p.devices; i++ {
		off := p.phase(i) - into
		if off >= time.Second {
			break
		}
		if !p.read(i, at.Add(max(0, off)).Truncate(time.Millisecond), r) {
			continue
		}
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}
