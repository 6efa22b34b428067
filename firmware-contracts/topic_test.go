package contract

import (
	"slices"
	"strings"
	"testing"
)

// match is MQTT's matching of a topic with a filter of plain and '+' levels.
func match(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	return slices.EqualFunc(f, t, func(f, t string) bool { return f == "+" || f == t })
}

var topics = []struct {
	s      string
	t      Topic
	uplink bool
}{
	{"fw/v1/trackers/t1/positions", Topic{Device: "t1", Kind: Tracker, Class: Position}, true},
	{"fw/v1/trackers/t1/sos", Topic{Device: "t1", Kind: Tracker, Class: SOS}, true},
	{"fw/v1/trackers/t1/reports", Topic{Device: "t1", Kind: Tracker, Class: Report}, true},
	{"fw/v1/trackers/t1/status", Topic{Device: "t1", Kind: Tracker, Class: Status}, true},
	{"fw/v1/sensors/s.1/readings", Topic{Device: "s.1", Kind: Sensor, Class: Environment}, true},
	{"fw/v1/sensors/s.1/status", Topic{Device: "s.1", Kind: Sensor, Class: Status}, true},
	{"fw/v1/trackers/t1/answers", Topic{Device: "t1", Kind: Tracker, Answers: true}, true},
	{"fw/v1/teams/team-1/answers", Topic{Team: "team-1", Answers: true}, true},
	{"fw/v1/trackers/t1/orders", Topic{Device: "t1", Kind: Tracker, Orders: true}, false},
	{"fw/v1/teams/team-1/orders", Topic{Team: "team-1", Orders: true}, false},
}

func TestTopicsRoundTrip(t *testing.T) {
	for _, tc := range topics {
		got, err := ParseTopic(tc.s)
		if err != nil || got != tc.t {
			t.Errorf("%s: %+v, %v", tc.s, got, err)
		}
		if s := tc.t.String(); s != tc.s {
			t.Errorf("%+v is built as %s, want %s", tc.t, s, tc.s)
		}
		n := 0
		for _, f := range Uplinks {
			if match(f, tc.s) {
				n++
			}
		}
		if n != map[bool]int{true: 1}[tc.uplink] {
			t.Errorf("%s: %d of the uplinks' filters match", tc.s, n)
		}
	}
}

func TestUplinkOfEveryKindAndClass(t *testing.T) {
	built := 0
	for _, k := range []Kind{Tracker, Sensor} {
		for _, c := range Classes {
			s := Uplink(k, c, "d-1")
			if s == "" {
				continue
			}
			built++
			if got, err := ParseTopic(s); err != nil || got != (Topic{Device: "d-1", Kind: k, Class: c}) {
				t.Errorf("%s: %+v, %v", s, got, err)
			}
		}
	}
	if built != 6 {
		t.Errorf("%d uplinks of devices", built)
	}
	if Uplink(Sensor, SOS, "d") != "" || Uplink(Tracker, Environment, "d") != "" {
		t.Error("a sensor calls for help, or a tracker measures the weather")
	}
}

func TestForeignTopicsAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "fw", "fw/v1", "fw/v1/", "fw/v1/trackers", "fw/v1/trackers/t1", "fw/v1/trackers/t1/", "fw/v1/trackers//positions",
		"fw/v1/trackers/t1/positions/", "fw/v1/trackers/t1/positions/x", "fw/v1/trackers/t1/readings", "fw/v1/sensors/s1/positions",
		"fw/v1/sensors/s1/orders", "fw/v1/teams/a/status", "fw/v2/trackers/t1/positions", "/fw/v1/trackers/t1/positions",
		"fw/v1/trackers/+/positions", "fw/v1/trackers/#", "FW/v1/trackers/t1/positions", "fw/v1/trackers/t 1/positions",
		"fw/v1/trackers/护林员/positions", "fw/v1/trackers/../positions", "fw/v1/trackers/" + strings.Repeat("x", 65) + "/positions",
		strings.Repeat("fw/v1/", 20000),
	} {
		got, err := ParseTopic(s)
		if err == nil || got != (Topic{}) {
			t.Errorf("%.80q is taken for %+v", s, got)
		} else if len(err.Error()) > 1000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
	if s := (Topic{}).String(); s != "" {
		t.Errorf("no topic is %q", s)
	}
}

// FuzzParseTopic: what is recognised is built back the same.
func FuzzParseTopic(f *testing.F) {
	for _, tc := range topics {
		f.Add(tc.s)
	}
	f.Add("fw/v1/teams//orders")
	f.Add("fw/v1/sensors/-/status")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTopic(s)
		if err != nil {
			if got != (Topic{}) {
				t.Errorf("%q: %v and %+v", s, err, got)
			}
			return
		}
		if got.String() != s {
			t.Errorf("%q is built back as %q", s, got)
		}
		if (got.Device == "") == (got.Team == "") {
			t.Errorf("%q: %+v", s, got)
		}
	})
}
