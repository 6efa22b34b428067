package provision_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/api/provision"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

func TestWhereTheBrokerIs(t *testing.T) {
	for raw, want := range map[string]string{
		"tcp://10.0.0.1:1884":        "mqtt://10.0.0.1:1884",
		"mqtt://broker.example":      "mqtt://broker.example:1883",
		"mqtts://broker.example":     "mqtts://broker.example:8883",
		"ssl://[2001:db8::1]:8884":   "mqtts://[2001:db8::1]:8884",
		"wss://broker.example:443/m": "mqtts://broker.example:8883",
	} {
		if b, err := provision.ParseBroker(raw); err != nil || b.URL() != want {
			t.Errorf("%s: %s, %v; want %s", raw, b.URL(), err, want)
		}
	}
	for addr, want := range map[string]provision.Broker{
		"127.0.0.1:1883": {Host: "127.0.0.1", Port: 1883, TLS: true}, "0.0.0.0:8883": {Port: 8883, TLS: true}, ":1883": {Port: 1883, TLS: true},
		"[::]:1883": {Port: 1883, TLS: true},
	} {
		if b, err := provision.ParseListener(addr, true); err != nil || b != want {
			t.Errorf("%s: %+v, %v; want %+v", addr, b, err, want)
		}
	}
	for _, bad := range []string{"", "broker", "tcp://:1883", "\x00"} {
		if b, err := provision.ParseBroker(bad); err == nil {
			t.Errorf("%q is %+v", bad, b)
		}
		if b, err := provision.ParseListener(bad, false); err == nil {
			t.Errorf("%q listens on %+v", bad, b)
		}
	}
}

// TestACardAllowsWhatTheBrokerDoes: what stands on the card is what the broker
// lets the device do.
func TestACardAllowsWhatTheBrokerDoes(t *testing.T) {
	for _, d := range []alerts.Device{
		{ID: "tr-1", Kind: contract.Tracker},
		{ID: "s-1", Kind: contract.Sensor, Alias: "chirpstack/24e124136b323456"},
		{ID: "phone", Kind: contract.Tracker, Alias: "owntracks/jane/phone"},
	} {
		c, err := provision.NewCard(provision.Broker{Host: "h", Port: 1883}, d, "secret")
		if err != nil {
			t.Fatal(err)
		}
		p := ingest.Principal{Device: d.ID, Kind: d.Kind, Topic: d.Topic()}
		if len(c.Publish) == 0 {
			t.Errorf("%s may say nothing", d.ID)
		}
		for _, topic := range c.Publish {
			if !p.MayPublish(strings.TrimSuffix(topic, "/#")) {
				t.Errorf("%s may not publish on %s", d.ID, topic)
			}
		}
		for _, topic := range c.Subscribe {
			if !p.MaySubscribe(topic) {
				t.Errorf("%s may not hear %s", d.ID, topic)
			}
		}
		if want := d.Kind == contract.Tracker; slices.Contains(c.Subscribe, contract.DeviceOrders(d.ID)) != want {
			t.Errorf("%s hears %v", d.ID, c.Subscribe)
		}
	}
}

func TestWhatTheCodeHolds(t *testing.T) {
	b := provision.Broker{Host: "broker.example", Port: 8883, TLS: true}
	c, err := provision.NewCard(b, alerts.Device{ID: "s-1", Kind: contract.Sensor}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"host":"broker.example","port":8883,"tls":true,"username":"s-1","password":"secret","publish":["fw/v1/sensors/s-1/readings","fw/v1/sensors/s-1/status"]}`
	if c.QR != want {
		t.Errorf("got %s\nwant %s", c.QR, want)
	}
	// The app unescapes the query and decodes standard base64.
	if c, err = provision.NewCard(b, alerts.Device{ID: "p-1", Kind: contract.Tracker, Alias: "owntracks/护林员/手机", Expect: 90 * time.Second}, "s>?~crét"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(c.QR)
	if err != nil || u.Scheme != "owntracks" || u.Host != "" || u.Path != "/config" {
		t.Fatalf("%s: %v", c.QR, err)
	}
	raw, err := base64.StdEncoding.DecodeString(u.Query().Get("inline"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]any{
		"monitoring": 2.0, "locatorInterval": 90.0, "moveModeLocatorInterval": 90.0,
		"_type": "configuration", "mode": 0.0, "host": "broker.example", "port": 8883.0, "tls": true, "auth": true, "username": "p-1",
		"password": "s>?~crét", "pubTopicBase": "owntracks/护林员/手机", "deviceId": "手机",
	} {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
}

// TestAPhoneThatNeedNotReportSavesItsBattery: without an interval that is
// expected of it, the app keeps its own.
func TestAPhoneThatNeedNotReportSavesItsBattery(t *testing.T) {
	c, err := provision.NewCard(provision.Broker{Host: "h", Port: 1883}, alerts.Device{ID: "p-1", Kind: contract.Tracker, Alias: "owntracks/a/b"}, "x")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(c.QR)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(u.Query().Get("inline"))
	if err != nil || !strings.Contains(string(raw), `"monitoring":1`) || strings.Contains(string(raw), "nterval") {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestTheCodeIsDrawn(t *testing.T) {
	svg, err := provision.SVG("HELLO")
	if err != nil || !strings.HasPrefix(svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 29 29"`) || !strings.Contains(svg, "M4 4h7v1h-7z") {
		t.Errorf("%v %s", err, svg) // 21 modules of version 1, a border of 4, and the corner's top edge of 7
	}
	text, err := provision.Terminal("HELLO")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if err != nil || len(lines) != 15 || len([]rune(lines[0])) != 29 || strings.Trim(lines[0], "█") != "" {
		t.Errorf("%v\n%s", err, text)
	}
	if row := []rune(lines[2]); string(row[4:11]) != " ▄▄▄▄▄ " {
		t.Errorf("the corner is %q", string(row[4:11]))
	}
	if _, err := provision.SVG(strings.Repeat("x", 5000)); err == nil {
		t.Error("too much for a code is drawn")
	}
}
