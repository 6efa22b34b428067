//go:build linux

package main

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// TestThePrefectureSpeaksTheContract: each device that speaks does so once in an
// interval, in valid readings, the same each time.
func TestThePrefectureSpeaksTheContract(t *testing.T) {
	const devices, every = 2000, 30 * time.Second
	p, again := newPrefecture(devices, every, storyAt), newPrefecture(devices, every, storyAt)
	said := map[contract.DeviceID]int{}
	var r, other contract.Reading
	var last time.Time
	sos := 0
	for at := storyAt; at.Before(storyAt.Add(every)); at = at.Add(time.Second) {
		if err := p.second(at, &r, func(i int) error {
			said[r.Device]++
			if r.Class == contract.SOS {
				sos++
			}
			if r.Measured.Before(last) || r.Measured.Before(at) || !r.Measured.Before(at.Add(time.Second)) {
				t.Errorf("%s is measured at %s, in the second of %s, after %s", r.Device, r.Measured, at, last)
			}
			last = r.Measured
			if !again.read(i, r.Measured, &other) || !cmp.Equal(r, other, cmp.Comparer(func(a, b contract.Values) bool { return a == b })) {
				t.Errorf("%s says %+v, and then %+v", r.Device, r, other)
			}
			return r.Validate()
		}); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
	}
	for i := range devices {
		want := 1
		if silent(i) {
			want = 0
		}
		if got := said[deviceID(i)]; got != want {
			t.Errorf("%s said %d readings, want %d", deviceID(i), got, want)
		}
	}
	if sos != storyCalls {
		t.Errorf("%d calls, want %d", sos, storyCalls)
	}
}

func TestThePrefectureIsAsLargeAsItSays(t *testing.T) {
	for _, devices := range []int{400, 2000, 20_000} {
		p := newPrefecture(devices, 30*time.Second, storyAt)
		kinds, fires := map[contract.Kind]int{}, 0
		for i := range devices {
			kinds[kindOf(i)]++
			if _, ok := p.burning(i); ok {
				fires++
			}
		}
		if kinds[contract.Tracker] != devices*11/20 || kinds[contract.Sensor] != devices*9/20 || fires != storyFires {
			t.Errorf("%d devices: %v, %d fires", devices, kinds, fires)
		}
	}
}

func TestAFireIsOfTheContractAndNeedsNoSecondReading(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	topic, err := contract.ParseTopic(contract.Uplink(contract.Sensor, contract.Environment, sensorID(7)))
	if err != nil {
		t.Fatal(err)
	}
	readings, faults := contractv1.Decode(nil, topic, appendFire(nil, 1, now), now)
	if len(faults) > 0 || len(readings) != 1 {
		t.Fatalf("%+v %v", readings, faults)
	}
	set, err := alerts.ParseRules(alerts.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	rule := &set.Rules[slices.IndexFunc(set.Rules, func(r alerts.Rule) bool { return r.Name == "sensor_fire" })]
	_, found := alerts.Step(now, rule, alerts.SubjectState{Rule: rule.Name, Subject: string(sensorID(7))},
		alerts.Input{Kind: alerts.Judge, Reading: &readings[0]}, &alerts.Context{})
	if len(found) != 1 || found[0].Kind != alerts.Raised {
		t.Errorf("found %+v", found)
	}
}

func TestTookLeavesOutWhatWasNeverSeen(t *testing.T) {
	at := time.Now()
	f := fires{at: []time.Time{at, at.Add(time.Second), at.Add(2 * time.Second)}}
	got := f.took(map[contract.DeviceID]time.Time{sensorID(0): at.Add(30 * time.Millisecond), sensorID(2): at.Add(2020 * time.Millisecond)})
	if !cmp.Equal(got, []float64{20, 30}, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6 })) {
		t.Errorf("got %v", got)
	}
}

func TestVerdictInFigures(t *testing.T) {
	v := values{}
	v.judged(verdict{Readings: 500_000, CPU: 2, Span: 800, Heap: 100, RSS: 200, Allocs: 3, Ticks: 1.5, Fires: 18, Alerts: map[string]int{"sos": 5, "sensor_fire": 18}}, 20_000)
	want := values{keyCPU: 4, keyShare: 0.25, keyHeap: 5.12, keyMemory: 10.24, keyAllocs: 3, keyTick: 1.5, keyLost: 2, keyAlerts: 23}
	if !cmp.Equal(v, want) {
		t.Errorf("got %v, want %v", v, want)
	}
}

// TestRemoteWrite holds the bytes against protoc's of the same message:
// timeseries { labels { name: "a" value: "b" } samples { value: 1 timestamp: 300 } }.
func TestRemoteWrite(t *testing.T) {
	got := appendSeries(nil, encodeLabels(label{"a", "b"}), sampleAt{300, 1})
	if want := "0a160a060a01611201621" + "20c09000000000000f03f10ac02"; hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
	for _, n := range []int{0, 1, 65_535, 65_536, 65_537, 200_000} {
		raw := bytes.Repeat([]byte("firewatch"), n/9+1)[:n]
		back, err := snappy.Decode(nil, snappyBlock(raw))
		if err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%d bytes come back as %d: %v", n, len(back), err)
		}
	}
}

func TestParseMetrics(t *testing.T) {
	got := parseMetrics("# HELP a b\nup 1\nheap_bytes 1.5e+06\nfailed{rule=\"a b\"} 2\nfailed{rule=\"}\"} 3\n")
	if want := map[string]float64{"up": 1, "heap_bytes": 1.5e6, "failed": 5}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSidesOfTheirOwn(t *testing.T) {
	for _, tt := range []struct {
		experiment, sides string
		want              []string
	}{
		{"judge", "", []string{engineSide, prometheusSide}},
		{"judge", "engine", []string{engineSide}},
		{"judge", "embedded,telegraf", nil},
		{"live", "engine,paho", []string{"paho"}},
		{"alert-latency", "embedded", nil},
	} {
		s, err := parse([]string{tt.experiment, "-sides", tt.sides}, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, sd := range sides {
			if s.wants(s.experiments[0], sd) {
				got = append(got, sd.name)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s of %q: %v, want %v", tt.experiment, tt.sides, got, tt.want)
		}
	}
}
