package contract

import (
	"fmt"
	"strings"
)

// Topics of version 1. They are built and recognised in this file only.
//
//	fw/v1/trackers/{device}/positions|sos|reports|status   device → firewatch
//	fw/v1/sensors/{device}/readings|status                 device → firewatch
//	fw/v1/trackers/{device}/answers                        device → firewatch
//	fw/v1/teams/{team}/answers                             team   → firewatch
//	fw/v1/trackers/{device}/orders                         firewatch → device, retained
//	fw/v1/teams/{team}/orders                              firewatch → team, retained
const root = "fw/v1/"

// Uplinks are the filters that together receive everything devices and teams
// say, and nothing that firewatch says.
var Uplinks = []string{
	root + "trackers/+/positions", root + "trackers/+/sos", root + "trackers/+/reports", root + "trackers/+/status",
	root + "sensors/+/readings", root + "sensors/+/status",
	root + "trackers/+/answers", root + "teams/+/answers",
}

// Topic is a recognised topic: exactly one of Device and Team is set.
type Topic struct {
	Device  DeviceID
	Team    TeamID
	Kind    Kind  // of the device
	Class   Class // of the readings on an uplink of a device; 0 on other topics
	Orders  bool  // a downlink
	Answers bool  // an uplink of answers to orders
}

// ParseTopic recognises a topic of version 1. The error names what is wrong
// and is fit to be shown to a firmware engineer.
func ParseTopic(s string) (Topic, error) {
	rest, ok := strings.CutPrefix(s, root)
	if !ok {
		return Topic{}, fmt.Errorf("topic %q: does not begin with %s", clip(s), root)
	}
	group, rest, _ := strings.Cut(rest, "/")
	id, leaf, ok := strings.Cut(rest, "/")
	if !ok {
		return Topic{}, fmt.Errorf("topic %q: want %s{trackers|sensors|teams}/{id}/{what}", clip(s), root)
	}
	var t Topic
	switch group + "/" + leaf {
	case "trackers/positions":
		t = Topic{Kind: Tracker, Class: Position}
	case "trackers/sos":
		t = Topic{Kind: Tracker, Class: SOS}
	case "trackers/reports":
		t = Topic{Kind: Tracker, Class: Report}
	case "trackers/status":
		t = Topic{Kind: Tracker, Class: Status}
	case "trackers/answers":
		t = Topic{Kind: Tracker, Answers: true}
	case "trackers/orders":
		t = Topic{Kind: Tracker, Orders: true}
	case "sensors/readings":
		t = Topic{Kind: Sensor, Class: Environment}
	case "sensors/status":
		t = Topic{Kind: Sensor, Class: Status}
	case "teams/answers":
		t = Topic{Answers: true}
	case "teams/orders":
		t = Topic{Orders: true}
	default:
		return Topic{}, fmt.Errorf("topic %q: version 1 has no %s/…/%s", clip(s), clip(group), clip(leaf))
	}
	var err error
	if group == "teams" {
		t.Team = TeamID(id)
		err = t.Team.Validate()
	} else {
		t.Device = DeviceID(id)
		err = t.Device.Validate()
	}
	if err != nil {
		return Topic{}, fmt.Errorf("topic %q: %w", clip(s), err)
	}
	return t, nil
}

// String builds the topic.
func (t Topic) String() string {
	if t.Team != "" {
		if t.Orders {
			return TeamOrders(t.Team)
		}
		return TeamAnswers(t.Team)
	}
	switch {
	case t.Orders:
		return DeviceOrders(t.Device)
	case t.Answers:
		return DeviceAnswers(t.Device)
	}
	return Uplink(t.Kind, t.Class, t.Device)
}

// Uplink is the topic on which a device of the kind publishes readings of the
// class. It is empty when that kind of device has no such readings.
func Uplink(k Kind, c Class, id DeviceID) string {
	switch {
	case k == Tracker && c == Position:
		return root + "trackers/" + string(id) + "/positions"
	case k == Tracker && c == SOS:
		return root + "trackers/" + string(id) + "/sos"
	case k == Tracker && c == Report:
		return root + "trackers/" + string(id) + "/reports"
	case k == Tracker && c == Status:
		return root + "trackers/" + string(id) + "/status"
	case k == Sensor && c == Environment:
		return root + "sensors/" + string(id) + "/readings"
	case k == Sensor && c == Status:
		return root + "sensors/" + string(id) + "/status"
	}
	return ""
}

// DeviceOrders is where a tracker hears orders.
func DeviceOrders(id DeviceID) string { return root + "trackers/" + string(id) + "/orders" }

// DeviceAnswers is where a tracker says received, read, and its answers.
func DeviceAnswers(id DeviceID) string { return root + "trackers/" + string(id) + "/answers" }

// TeamOrders is where a team's terminal hears orders: one retained message
// that holds all orders the team has not answered yet.
func TeamOrders(id TeamID) string { return root + "teams/" + string(id) + "/orders" }

// TeamAnswers is where a team's terminal says received, read, and its answers.
func TeamAnswers(id TeamID) string { return root + "teams/" + string(id) + "/answers" }

func clip(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}
