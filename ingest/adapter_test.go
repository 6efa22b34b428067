package ingest_test

import (
	"strings"
	"testing"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// echo is an adapter that makes a reading of every message.
type echo struct {
	name    string
	filters []string
	makes   []ingest.Entry
}

func (e *echo) Name() string      { return e.name }
func (e *echo) Filters() []string { return e.filters }

func (e *echo) Decode(dst []ingest.Entry, rejected []ingest.Rejection, _ *ingest.Message) ([]ingest.Entry, []ingest.Rejection) {
	return append(dst, e.makes...), rejected
}

func sound(device string) ingest.Entry {
	return ingest.Entry{Reading: contract.Reading{
		Device: contract.DeviceID(device), Kind: contract.Tracker, Class: contract.Status, Measured: noon, Received: noon,
	}}
}

func TestDecodersAskTheFirstAdapterWhoseFilterMatches(t *testing.T) {
	d := &ingest.Decoders{Adapters: []ingest.Adapter{
		&echo{"one", []string{"one/+", "both/#"}, []ingest.Entry{sound("one")}},
		&echo{"two", []string{"both/+", "two/#"}, []ingest.Entry{sound("two")}},
	}}
	for topic, want := range map[string]string{
		"one/a": "one", "both/a": "one", "both": "one", "two/a/b": "two", positionTopic("tr-1"): "tr-1",
	} {
		got, rejected := d.Decode(nil, nil, &ingest.Message{Topic: topic, Payload: fix(1), Received: noon})
		if len(got) != 1 || len(rejected) != 0 || string(got[0].Reading.Device) != want {
			t.Errorf("%s: %v, %v; want a reading of %s", topic, got, rejected, want)
		}
	}
	got, rejected := d.Decode(nil, nil, &ingest.Message{Topic: "one/a/b", Payload: fix(1), Received: noon})
	if len(got) != 0 || len(rejected) != 1 {
		t.Errorf("a topic of nobody: %v, %v; want the contract's rejection", got, rejected)
	}
}

func TestDecodersLetNothingInThatTheContractWouldNot(t *testing.T) {
	bad := sound("bad")
	bad.Reading.Values.Set(contract.BatteryPct, 101)
	noTime := sound("no-time")
	noTime.Reading.Measured = noTime.Reading.Measured.AddDate(-20, 0, 0)
	answer := ingest.Entry{Answer: &contract.Answer{Team: "t", Receipt: contract.Read}}
	d := &ingest.Decoders{Adapters: []ingest.Adapter{
		&echo{"echo", []string{"#"}, []ingest.Entry{bad, sound("a"), noTime, answer, sound("b"), bad}},
	}}
	before := []ingest.Entry{bad} // of another message: not its business
	m := &ingest.Message{Topic: "x", Payload: []byte("{}"), Received: noon}
	got, rejected := d.Decode(before, nil, m)
	if len(got) != 4 || got[1].Reading.Device != "a" || got[2].Answer == nil || got[3].Reading.Device != "b" {
		t.Errorf("entries %v", got)
	}
	if len(rejected) != 3 {
		t.Fatalf("rejections %v", rejected)
	}
	for _, r := range rejected {
		if !strings.HasPrefix(r.Reason, "echo: ") || r.Topic != "x" || r.Device == "" {
			t.Errorf("rejection %+v", r)
		}
	}
}

func TestMatchTopic(t *testing.T) {
	for _, tt := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/b/c", false},
		{"a/b", "a", false},
		{"a/+", "a/b", true},
		{"a/+", "a", false},
		{"a/+", "a/", true},
		{"a/+", "a/b/c", false},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "ab", false},
		{"#", "a/b", true},
		{"#", "", true},
		{"+", "a", true},
		{"+/+", "/a", true},
		{"/+", "/a", true},
		{"+/b/#", "a/b", true},
		{"owntracks/+/+/#", "owntracks/jane/phone", true},
		{"owntracks/+/+/#", "owntracks/jane", false},
		{"owntracks/+/+/#", "owntracks/jane/phone/event", true},
		{"#", "$SYS/uptime", false},
		{"+/uptime", "$SYS/uptime", false},
		{"$SYS/#", "$SYS/uptime", true},
	} {
		if got := ingest.MatchTopic(tt.filter, tt.topic); got != tt.want {
			t.Errorf("%s receives %s: %v", tt.filter, tt.topic, got)
		}
	}
}

// matchLevels is MatchTopic by the words of MQTT 3.1.1, 4.7.
func matchLevels(filter, topic []string) bool {
	switch {
	case len(filter) == 0:
		return len(topic) == 0
	case filter[0] == "#":
		return true
	case len(topic) == 0:
		return false
	case filter[0] != "+" && filter[0] != topic[0]:
		return false
	case len(topic) == 1 && len(filter) == 2 && filter[1] == "#":
		return true
	}
	return matchLevels(filter[1:], topic[1:])
}

func FuzzMatchTopic(f *testing.F) {
	f.Add("owntracks/+/+/#", "owntracks/jane/phone")
	f.Add("a/#", "a")
	f.Add("+/+", "/")
	f.Add("#", "$SYS/a")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if i := strings.IndexByte(filter, '#'); i >= 0 && i != len(filter)-1 {
			t.Skip("not a filter")
		}
		want := matchLevels(strings.Split(filter, "/"), strings.Split(topic, "/"))
		if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
			want = false
		}
		if got := ingest.MatchTopic(filter, topic); got != want {
			t.Errorf("%q receives %q: %v, want %v", filter, topic, got, want)
		}
	})
}
