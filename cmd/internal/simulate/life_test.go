package simulate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// highDanger is the worst surroundings: thresholds are lowest.
var highDanger = alerts.Surroundings{Season: alerts.HighDanger, Warning: alerts.Red, SeasonUnknown: true}

func testFleet(n int) []Member {
	fleet := make([]Member, n)
	for i := range fleet {
		m := Member{ID: contract.DeviceID(fmt.Sprintf("t-%d", i)), Kind: contract.Tracker, Area: "130624101", Lat: 38.8 + 0.01*float64(i), Lon: 114.2}
		if i%2 == 1 {
			m.ID, m.Kind = contract.DeviceID(fmt.Sprintf("s-%d", i)), contract.Sensor
		}
		fleet[i] = m
	}
	return fleet
}

// day plays the lives from the start for the span and hands over every moment.
func day(fleet []Member, seed uint64, start time.Time, every, span time.Duration, sc *script, f func(l *life, at time.Duration, m moment)) {
	var lives []*life
	for i := range fleet {
		lives = append(lives, newLife(&fleet[i], seed, start, every, sc))
	}
	for at := time.Duration(0); at < span; at += every {
		for _, l := range lives {
			f(l, at, l.measure(at))
		}
	}
}

// judge holds one rule set over a fleet, as the engine does.
type judge struct {
	rules  alerts.RuleSet
	fleet  map[contract.DeviceID]*alerts.Device
	states map[[2]string]alerts.SubjectState
	raised []alerts.Alert
}

func newJudge(t *testing.T, rules []byte, fleet []Member) *judge {
	t.Helper()
	set, err := alerts.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{rules: set, fleet: map[contract.DeviceID]*alerts.Device{}, states: map[[2]string]alerts.SubjectState{}}
	for _, m := range fleet {
		j.fleet[m.ID] = &alerts.Device{ID: m.ID, Kind: m.Kind, Area: m.Area, Lat: m.Lat, Lon: m.Lon, Expect: time.Minute}
	}
	return j
}

// Suspicions lets every sensor be a neighbour of every other: the hardest case.
func (j *judge) Suspicions(id contract.DeviceID, at time.Time, within time.Duration, _ float64) (out []alerts.Evidence) {
	for key, st := range j.states {
		if key[0] == "sensor_fire" && key[1] != string(id) {
			if e, ok := st.Suspicion(at, within); ok {
				out = append(out, e)
			}
		}
	}
	return out
}

func (j *judge) take(now time.Time, r contract.Reading) {
	r.Received = now
	for i := range j.rules.Rules {
		rule := &j.rules.Rules[i]
		if rule.Type == alerts.DeviceSilent || !rule.Judges(r.Kind, r.Class) {
			continue
		}
		key := [2]string{rule.Name, string(r.Device)}
		st, known := j.states[key]
		if !known {
			st = alerts.SubjectState{Rule: rule.Name, Subject: string(r.Device)}
		}
		ctx := alerts.Context{Device: j.fleet[r.Device], Around: highDanger, Neighbours: j, Listening: now}
		st, found := alerts.Step(now, rule, st, alerts.Input{Kind: alerts.Judge, Reading: &r}, &ctx)
		j.states[key] = st
		for _, f := range found {
			if f.Kind == alerts.Raised {
				j.raised = append(j.raised, *f.Alert)
			}
		}
	}
}

// count is how many alerts the rule raised about the device; empty: any.
func (j *judge) count(rule string, id contract.DeviceID) (n int) {
	for _, a := range j.raised {
		if a.Rule == rule && (id == "" || a.Device == id) {
			n++
		}
	}
	return n
}

func TestAnOrdinaryDayRaisesNoFire(t *testing.T) {
	for _, start := range []time.Time{
		time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 16, 0, 0, 0, time.UTC), time.Date(2026, 7, 25, 0, 0, 0, 0, time.UTC),
	} {
		fleet := testFleet(24)
		for _, rules := range [][]byte{alerts.DefaultRules(), alerts.DemoRules()} {
			j := newJudge(t, rules, fleet)
			readings := 0
			held := map[contract.DeviceID][]contract.Reading{}
			day(fleet, uint64(start.Unix()), start, time.Minute, 24*time.Hour, nil, func(l *life, at time.Duration, m moment) {
				readings += len(m.readings)
				held[l.m.ID] = append(held[l.m.ID], m.readings...)
				if m.offline {
					return
				}
				for _, r := range held[l.m.ID] {
					j.take(start.Add(at), r)
				}
				held[l.m.ID] = nil
			})
			for _, a := range j.raised {
				if a.Rule != "battery_low" {
					t.Errorf("%s of %s: %v", a.Rule, a.Device, a.Reasons)
				}
			}
			if readings < 24*24*60 {
				t.Errorf("%d readings", readings)
			}
		}
	}
}

func TestTheStoryRaisesFireAndSOS(t *testing.T) {
	fleet := testFleet(12)
	for i := range fleet[:4] {
		fleet[i].Area = "130633101" // not where it burns
	}
	for seed := range uint64(5) {
		sc := newScript(fleet, rand.New(rand.NewPCG(seed, 0)))
		if sc.first < time.Minute || sc.first > 90*time.Second {
			t.Errorf("first smoke after %v", sc.first)
		}
		start := time.Date(2026, 3, 20, 3, 0, 0, 0, time.UTC)
		for _, rules := range [][]byte{alerts.DefaultRules(), alerts.DemoRules()} {
			j := newJudge(t, rules, fleet)
			var fire, sos, off time.Duration
			day(fleet, seed, start, 10*time.Second, 30*time.Minute, sc, func(l *life, at time.Duration, m moment) {
				if sc.involves(l.m.ID) && m.offline {
					t.Errorf("%s has no network", l.m.ID)
				}
				for _, r := range m.readings {
					j.take(start.Add(at), r)
					if active, _ := r.Values.Get(contract.Active); r.Class == contract.SOS && active == 1 {
						sos = at
					} else if r.Class == contract.SOS {
						off = at
					}
				}
				if fire == 0 && j.count("sensor_fire", "") > 0 {
					fire = at
				}
			})
			if n := j.count("sensor_fire", sc.sensor.ID); n != 1 || j.count("sensor_fire", "") != 1 {
				t.Errorf("%d alerts of the sensor, %d of all", n, j.count("sensor_fire", ""))
			}
			if fire < sc.first || fire > sc.first+2*time.Minute {
				t.Errorf("first smoke %v, alert %v", sc.first, fire)
			}
			if j.count("sos", sc.warden) != 1 || sos < 4*time.Minute || off <= sos {
				t.Errorf("SOS %v, off %v, %d alerts", sos, off, j.count("sos", ""))
			}
		}
		if sc.sensor.Area != "130624101" {
			t.Errorf("it burns in %s", sc.sensor.Area)
		}
	}
}

func TestTheCalmSensorAlsoRaisesInTheCalmestSeason(t *testing.T) {
	fleet := testFleet(4)
	sc := newScript(fleet, rand.New(rand.NewPCG(1, 0)))
	peak := sc.smell(sc.sensor.ID, sc.first+smokeRises+time.Minute)
	if peak.co < 50 || peak.smoke < 8 { // both strong in demo.yaml without any scaling
		t.Errorf("peak is %+v", peak)
	}
	if end := sc.smell(sc.sensor.ID, sc.first+20*time.Minute); end != (smell{}) {
		t.Errorf("still %+v after 20 min", end)
	}
	if again := sc.smell(sc.sensor.ID, sc.first+storyAgain+2*time.Minute); again.co < 50 || storyAgain < 30*time.Minute {
		t.Errorf("no second time: %+v", again)
	}
}

func TestAFleetWithoutSensorsHasNoStory(t *testing.T) {
	fleet := testFleet(1)
	sc := newScript(fleet, rand.New(rand.NewPCG(1, 0)))
	if sc != nil || sc.involves("t-0") || sc.smell("t-0", time.Hour) != (smell{}) {
		t.Error("a story without a sensor")
	}
}

func TestTheSameSeedGivesTheSameReadings(t *testing.T) {
	fleet := testFleet(10)
	start := time.Date(2026, 3, 20, 3, 0, 0, 0, time.UTC)
	play := func(seed uint64) (out []contract.Reading) {
		day(fleet, seed, start, 30*time.Second, time.Hour, nil, func(_ *life, _ time.Duration, m moment) { out = append(out, m.readings...) })
		return out
	}
	a, b, c := play(4), play(4), play(5)
	if d := cmp.Diff(a, b, cmp.AllowUnexported(contract.Values{})); d != "" {
		t.Error(d)
	}
	if cmp.Equal(a, c, cmp.AllowUnexported(contract.Values{})) {
		t.Error("another seed gives the same readings")
	}
}

// TestLivesArePlausible checks walks, clocks, sequence and the contract.
func TestLivesArePlausible(t *testing.T) {
	fleet := testFleet(120)
	start := time.Date(2026, 3, 20, 3, 0, 0, 0, time.UTC)
	const every = 20 * time.Second
	type last struct {
		seq      uint64
		lat, lon float64
		walked   float64
	}
	seen := map[contract.DeviceID]*last{}
	gaps, again, skewed := 0, 0, map[contract.DeviceID]bool{}
	day(fleet, 9, start, every, 4*time.Hour, nil, func(l *life, at time.Duration, m moment) {
		now := start.Add(at)
		for _, r := range m.readings {
			topic, err := contract.ParseTopic(contract.Uplink(r.Kind, r.Class, r.Device))
			if err != nil {
				t.Fatal(err)
			}
			doc, err := contractv1.AppendReadings(nil, contractv1.CBOR, []contract.Reading{r})
			if err != nil {
				t.Fatal(err)
			}
			if _, faults := contractv1.Decode(nil, topic, doc, now); len(faults) != 0 {
				t.Fatalf("%v", faults)
			}
			p := seen[r.Device]
			if p == nil {
				p = &last{}
				seen[r.Device] = p
			} else if r.Seq <= p.seq {
				t.Fatalf("%s: seq %d after %d", r.Device, r.Seq, p.seq)
			}
			p.seq = r.Seq
			if r.Seq > contract.MaxSeq {
				t.Fatalf("seq %d", r.Seq)
			}
			if d := r.Measured.Sub(now); d != 0 {
				skewed[r.Device] = true
				if d > 9*time.Minute || d < -2*time.Minute {
					t.Errorf("clock off by %v", d)
				}
			}
			if r.Class != contract.Position {
				continue
			}
			lat, _ := r.Values.Get(contract.Lat)
			lon, _ := r.Values.Get(contract.Lon)
			if d := distance(lat, lon, l.m.Lat, l.m.Lon); d > 2000 {
				t.Errorf("%s is %.0f m from the middle of its beat", r.Device, d)
			}
			if p.lat != 0 {
				step := distance(lat, lon, p.lat, p.lon)
				if step > 1.5*every.Seconds()+25 {
					t.Errorf("%s jumps %.0f m in %v", r.Device, step, every)
				}
				p.walked += step
			}
			p.lat, p.lon = lat, lon
		}
		if m.offline {
			gaps++
		}
		if m.again {
			again++
		}
	})
	for id, p := range seen {
		if p.lat != 0 && (p.walked < 4000 || p.walked > 24_000) {
			t.Errorf("%s walked %.0f m in 4 h", id, p.walked)
		}
	}
	if gaps == 0 || again == 0 || len(skewed) < 3 || len(skewed) > 40 {
		t.Errorf("%d moments offline, %d sent twice, %d clocks wrong", gaps, again, len(skewed))
	}
	if later := newLife(&fleet[0], 9, start.Add(4*time.Hour), every, nil); later.seq <= seen[fleet[0].ID].seq {
		t.Error("a later run counts from below")
	}
}
