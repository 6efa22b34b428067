package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// Story is what happens beside everyday life.
type Story uint8

// The stories.
const (
	None Story = iota // everyday life
	Fire              // a sensor smells smoke, teams answer, a warden calls for help
)

// ParseStory reads a story's name.
func ParseStory(s string) (Story, error) {
	switch s {
	case "none":
		return None, nil
	case "fire":
		return Fire, nil
	}
	return None, fmt.Errorf("story %q: want none or fire", s)
}

// String is the story's name.
func (s Story) String() string {
	if s == Fire {
		return "fire"
	}
	return "none"
}

// Times of the story, from its first smoke.
const (
	storyAgain = 35 * time.Minute // from one first smoke to the next
	smokeRises = 90 * time.Second
	smokeHolds = 7 * time.Minute
	smokeFades = 6 * time.Minute
	downwind   = 2 * time.Minute // later at the neighbours
	sosPressed = 4 * time.Minute
	sosOff     = 9 * time.Minute
)

// script is the story of a fire for one fleet. It is fixed once made.
type script struct {
	first      time.Duration // first smoke, from the start
	sensor     *Member
	neighbours []contract.DeviceID
	warden     contract.DeviceID // who calls for help
}

// mountains are the counties that the story prefers: 阜平县 and 涞源县.
var mountains = []string{"130624", "130630"}

// newScript chooses where it burns: of the mountain counties' sensors the one
// with the nearest neighbour, so that the same fleet has the same story.
func newScript(fleet []Member, rng *rand.Rand) *script {
	var sensors []*Member
	for i := range fleet {
		if fleet[i].Kind == contract.Sensor {
			sensors = append(sensors, &fleet[i])
		}
	}
	if len(sensors) == 0 {
		return nil
	}
	candidates := slices.DeleteFunc(slices.Clone(sensors), func(m *Member) bool {
		return !slices.ContainsFunc(mountains, func(c string) bool { return strings.HasPrefix(m.Area, c) })
	})
	if len(candidates) == 0 {
		candidates = sensors
	}
	sc := &script{first: 60*time.Second + upTo(rng, 30*time.Second)}
	best := math.Inf(1)
	for _, c := range candidates {
		d := math.Inf(1)
		for _, o := range sensors {
			if o != c {
				d = min(d, apart(c, o))
			}
		}
		if sc.sensor == nil || d < best || d == best && c.ID < sc.sensor.ID {
			sc.sensor, best = c, d
		}
	}
	near := slices.DeleteFunc(slices.Clone(sensors), func(m *Member) bool { return m == sc.sensor || apart(m, sc.sensor) > 8000 })
	slices.SortFunc(near, func(a, b *Member) int { return byDistance(sc.sensor, a, b) })
	for _, m := range near[:min(2, len(near))] {
		sc.neighbours = append(sc.neighbours, m.ID)
	}
	var nearest *Member
	for i := range fleet {
		if m := &fleet[i]; m.Kind == contract.Tracker && (nearest == nil || byDistance(sc.sensor, m, nearest) < 0) {
			nearest = m
		}
	}
	if nearest != nil {
		sc.warden = nearest.ID
	}
	return sc
}

func apart(a, b *Member) float64 { return distance(a.Lat, a.Lon, b.Lat, b.Lon) }

func byDistance(from, a, b *Member) int {
	if da, db := apart(from, a), apart(from, b); da != db {
		if da < db {
			return -1
		}
		return 1
	}
	return strings.Compare(string(a.ID), string(b.ID))
}

// since is the time from the newest first smoke; false before the first one.
func (sc *script) since(at time.Duration) (time.Duration, bool) {
	if sc == nil || at < sc.first {
		return 0, false
	}
	return (at - sc.first) % storyAgain, true
}

// smell is what the sensor smells of the fire at the time from the start.
func (sc *script) smell(id contract.DeviceID, at time.Duration) smell {
	since, burns := sc.since(at)
	if !burns {
		return smell{}
	}
	if id == sc.sensor.ID {
		k := plume(since)
		return smell{co: 68 * k, smoke: 13 * k, temp: 12 * k}
	}
	if slices.Contains(sc.neighbours, id) {
		// Thinned on the way: to be seen on the chart, not an alert of its own.
		k := plume(since - downwind)
		return smell{co: 5.5 * k, smoke: 1.1 * k, temp: 1 * k}
	}
	return smell{}
}

// plume rises, holds and fades, 0..1.
func plume(since time.Duration) float64 {
	switch {
	case since <= 0:
		return 0
	case since < smokeRises:
		return smooth(since.Seconds() / smokeRises.Seconds())
	case since < smokeRises+smokeHolds:
		return 0.9 + 0.1*math.Sin(since.Seconds()/37)
	case since < smokeRises+smokeHolds+smokeFades:
		left := 1 - (since-smokeRises-smokeHolds).Seconds()/smokeFades.Seconds()
		return 0.9 * smooth(left)
	}
	return 0
}

// calls is which call for help the warden must have made by now: the number of
// the round, and whether it stands.
func (sc *script) calls(id contract.DeviceID, at time.Duration) (round int, stands bool) {
	since, burns := sc.since(at)
	if !burns || id != sc.warden || since < sosPressed {
		return 0, false
	}
	return int((at-sc.first)/storyAgain) + 1, since < sosOff
}

// involves reports whether the device plays a part, and so has no gaps and a
// clock that is right.
func (sc *script) involves(id contract.DeviceID) bool {
	return sc != nil && (id == sc.sensor.ID || id == sc.warden || slices.Contains(sc.neighbours, id))
}
