package contractv1

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	contract "firewatch/firmware-contracts"
)

type ref struct {
	Ref string `yaml:"$ref"`
}

type asyncAPI struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address    string         `yaml:"address"`
		Parameters map[string]ref `yaml:"parameters"`
		Messages   map[string]ref `yaml:"messages"`
	} `yaml:"channels"`
	Operations map[string]struct {
		Action   string `yaml:"action"`
		Channel  ref    `yaml:"channel"`
		Messages []ref  `yaml:"messages"`
		Bindings struct {
			MQTT struct {
				QoS    int  `yaml:"qos"`
				Retain bool `yaml:"retain"`
			} `yaml:"mqtt"`
		} `yaml:"bindings"`
	} `yaml:"operations"`
	Components struct {
		Parameters map[string]any `yaml:"parameters"`
		Messages   map[string]struct {
			Payload struct {
				Format string `yaml:"schemaFormat"`
				Schema ref    `yaml:"schema"`
			} `yaml:"payload"`
			Examples []struct {
				Payload any `yaml:"payload"`
			} `yaml:"examples"`
		} `yaml:"messages"`
	} `yaml:"components"`
}

func TestAsyncAPI(t *testing.T) {
	raw, err := AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc asyncAPI
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.AsyncAPI, "3.0.") {
		t.Errorf("version %s", doc.AsyncAPI)
	}

	// Every topic of topic.go is a channel, and every channel a topic.
	want := map[string]string{
		contract.DeviceOrders("x"): DocumentOrders, contract.TeamOrders("x"): DocumentOrders, contract.TeamAnswers("x"): DocumentAnswer, contract.DeviceAnswers("x"): DocumentAnswer,
	}
	for _, k := range []contract.Kind{contract.Tracker, contract.Sensor} {
		for _, c := range contract.Classes {
			if s := contract.Uplink(k, c, "x"); s != "" {
				want[s] = c.String()
			}
		}
	}
	channels := map[string]contract.Topic{}
	for name, ch := range doc.Channels {
		address := strings.NewReplacer("{device}", "x", "{team}", "x").Replace(ch.Address)
		topic, err := contract.ParseTopic(address)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		channels["#/channels/"+name] = topic
		message, ok := want[address]
		if !ok || len(ch.Messages) != 1 || ch.Messages[message].Ref != "#/components/messages/"+message {
			t.Errorf("%s carries %v, want %s", name, ch.Messages, message)
		}
		delete(want, address)
		for p, r := range ch.Parameters {
			if !strings.Contains(ch.Address, "{"+p+"}") || doc.Components.Parameters[p] == nil || r.Ref != "#/components/parameters/"+p {
				t.Errorf("%s: parameter %s", name, p)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("no channel for %v", want)
	}

	for name, op := range doc.Operations {
		topic, ok := channels[op.Channel.Ref]
		if !ok {
			t.Errorf("%s: channel %s", name, op.Channel.Ref)
			continue
		}
		delete(channels, op.Channel.Ref)
		action := "receive"
		if topic.Orders {
			action = "send"
		}
		mqtt := op.Bindings.MQTT
		if op.Action != action || mqtt.QoS != 1 || mqtt.Retain != topic.Orders {
			t.Errorf("%s: %s with %+v", name, op.Action, mqtt)
		}
		if len(op.Messages) != 1 || !strings.HasPrefix(op.Messages[0].Ref, op.Channel.Ref+"/messages/") {
			t.Errorf("%s: messages %v", name, op.Messages)
		}
	}
	if len(channels) > 0 {
		t.Errorf("no operation for %v", channels)
	}

	for name, m := range doc.Components.Messages {
		if !slices.Contains(Documents(), name) {
			t.Errorf("message %s", name)
		}
		if m.Payload.Schema.Ref != "./schema/"+name+".schema.json" {
			t.Errorf("%s: schema %s", name, m.Payload.Schema.Ref)
		}
		if _, err := os.Stat(filepath.FromSlash(m.Payload.Schema.Ref)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(m.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, e := range m.Examples {
			b, err := yaml.MarshalWithOptions(e.Payload, yaml.JSON())
			if err != nil {
				t.Fatal(err)
			}
			if _, faults := judge(name, b); len(faults) > 0 {
				t.Errorf("%s: its example %s: %v", name, b, faults)
			}
			if err := validate(t, name, b); err != nil {
				t.Errorf("%s: its example: %v", name, err)
			}
		}
	}
	if len(doc.Components.Messages) != len(Documents()) {
		t.Errorf("%d messages", len(doc.Components.Messages))
	}
}
