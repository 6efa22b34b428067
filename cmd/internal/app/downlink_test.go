package app

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/sample"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
	"firewatch/ingest/ingesttest"
)

const tracker = "bd-t-00001"

type commandView struct {
	ID, Kind, State, Answer, Reason, By   string
	Open                                  bool
	Sent, Delivered, Read, Ended, Expires *time.Time
}

// Commands are given while the tracker is away, and firewatch is killed before
// it comes. The tracker finds what still counts, once; what it says is shown,
// and then nothing stands for it any more.
func TestCommandsReachATrackerThatWasAway(t *testing.T) {
	t.Run("embedded broker", func(t *testing.T) {
		data := t.TempDir()
		commandsToOneAway(t, data, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	})
	t.Run("mosquitto", func(t *testing.T) {
		data := t.TempDir()
		broker := ingesttest.StartMosquitto(t)
		commandsToOneAway(t, data, "--data", data, "--http", "127.0.0.1:0", "--mqtt-broker", broker.URL())
	})
}

func commandsToOneAway(t *testing.T, data string, args ...string) { //nolint:thelper // the body of tests: its lines matter
	file := "sqlite:" + filepath.Join(data, "firewatch.db")
	seed(t, file)
	broker := func(p *process) string {
		if p.MQTT != "" {
			return p.MQTT
		}
		return strings.TrimPrefix(args[len(args)-1], "tcp://")
	}
	fw := spawn(t, args...)
	office := login1(t, fw.HTTP, "city", testPassword)
	keys := 0
	give := func(kind, text string) commandView {
		t.Helper()
		keys++
		var c commandView
		office.must(t, http.StatusCreated, "POST", "/devices/"+tracker+"/commands", map[string]any{"kind": kind, "text": text, "expires_s": 3600}, &c,
			"Idempotency-Key", fmt.Sprint("key-", keys))
		return c
	}
	shown := func(id string) commandView {
		t.Helper()
		for _, c := range items[commandView](t, office, "/devices/"+tracker+"/commands") {
			if c.ID == id {
				return c
			}
		}
		t.Fatalf("%s is not listed", id)
		return commandView{}
	}
	becomes := func(id, state string) commandView {
		t.Helper()
		var c commandView
		eventually(t, id+" to be "+state, func() bool {
			c = shown(id)
			return c.State == state
		})
		return c
	}

	older := give("locate", "")
	message := give("message", "请撤到公路")
	becomes(older.ID, "sent")
	short := giveShort(t, file, 5*time.Second)
	becomes(short, "sent")
	locate := give("locate", "")
	becomes(older.ID, "superseded")
	called := give("return", "火险升高，请返回")
	fw.kill() // whatever of it is done by now

	fw = spawn(t, args...)
	office = login1(t, fw.HTTP, "city", testPassword)
	for _, c := range []commandView{message, locate, called} {
		becomes(c.ID, "sent")
	}
	becomes(short, "expired")
	office.must(t, http.StatusOK, "GET", "/commands?open=true&area=130600", nil, nil)

	warden := connectTracker(t, broker(fw))
	first := warden.state(t)
	if want := []string{called.ID, locate.ID, message.ID}; !slices.Equal(first.ids, want) || !first.retained {
		t.Fatalf("the tracker hears %v (retained %v), want %v", first.ids, first.retained, want)
	}
	for _, say := range []struct{ id, receipt, more string }{
		{locate.ID, "delivered", ""},
		{called.ID, "accepted", `,"by":"李四"`}, // before the others: the network does not keep order
		{called.ID, "delivered", ""},
		{called.ID, "read", ""},
		{message.ID, "delivered", ""},
		{message.ID, "read", ""},
		{message.ID, "read", ""},
		{message.ID, "rejected", `,"reason":"路断了","by":"李四"`},
		{older.ID, "delivered", ""}, // shown by an earlier state, had there been one
		{"cm-unknown", "read", ""},
		{locate.ID, "read", ""},
		{locate.ID, "accepted", ""},
	} {
		warden.say(t, fmt.Sprintf(`{"t":%d,"order":%q,"answer":%q%s}`, time.Now().UnixMilli(), say.id, say.receipt, say.more))
	}
	for _, want := range []struct{ id, answer, reason, by string }{
		{called.ID, "accepted", "", "李四"}, {message.ID, "rejected", "路断了", "李四"}, {locate.ID, "accepted", "", ""},
	} {
		c := becomes(want.id, "answered")
		if c.Answer != want.answer || c.Reason != want.reason || c.By != want.by || c.Open ||
			c.Sent == nil || c.Delivered == nil || c.Read == nil || c.Ended == nil {
			t.Errorf("%+v", c)
		}
	}
	if c := shown(older.ID); c.State != "superseded" || c.By != locate.ID {
		t.Errorf("%+v", c)
	}
	// The state empties, and what was answered never comes back.
	answered := map[string]bool{}
	for last := first; len(last.ids) > 0; {
		last = warden.state(t)
		for _, id := range last.ids {
			if !slices.Contains(first.ids, id) || answered[id] {
				t.Errorf("the tracker hears %v", last.ids)
			}
		}
		for _, id := range first.ids {
			answered[id] = answered[id] || !slices.Contains(last.ids, id)
		}
	}
	warden.client.Disconnect(250)

	// Nothing stands there for one who comes anew, but what is new.
	late := give("message", "明早八点集合")
	becomes(late.ID, "sent")
	warden = connectTracker(t, broker(fw))
	if s := warden.state(t); !slices.Equal(s.ids, []string{late.ID}) || !s.retained {
		t.Errorf("the tracker hears %v (retained %v), want %s", s.ids, s.retained, late.ID)
	}
	var gone commandView
	office.must(t, http.StatusOK, "DELETE", "/commands/"+late.ID+"?reason=x", nil, &gone)
	if s := warden.state(t); len(s.ids) != 0 || gone.State != "withdrawn" {
		t.Errorf("taken back, and the tracker hears %v", s.ids)
	}
}

// giveShort gives a command that ends sooner than the API takes one.
func giveShort(t *testing.T, file string, ttl time.Duration) string {
	t.Helper()
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: file, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	c := alerts.Command{
		ID: alerts.NewID("cm", now), Device: tracker, Area: sample.City, Kind: alerts.CommandMessage, Text: "马上有雨", Issuer: "city",
		Issued: now, Expires: now.Add(ttl), State: alerts.CommandQueued, NextAt: now,
	}
	if _, _, err := store.CreateCommand(ctx, c, nil); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// trackerState is what a tracker heard once.
type trackerState struct {
	ids      []string
	retained bool
}

// terminal is a tracker that hears its orders.
type terminal struct {
	client paho.Client
	heard  chan trackerState
}

func connectTracker(t *testing.T, addr string) *terminal {
	t.Helper()
	d := &terminal{heard: make(chan trackerState, 100)}
	d.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(tracker).
		SetUsername(tracker).SetPassword(secretOf).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			doc, err := contractv1.DecodeOrders(m.Payload())
			if err != nil || m.Qos() != 1 {
				t.Errorf("QoS %d, %v: %s", m.Qos(), err, m.Payload())
			}
			s := trackerState{retained: m.Retained()}
			for _, o := range doc.Orders {
				s.ids = append(s.ids, o.ID)
			}
			d.heard <- s
		}))
	settled(t, d.client.Connect())
	t.Cleanup(func() { d.client.Disconnect(0) })
	settled(t, d.client.Subscribe(contract.DeviceOrders(tracker), 1, nil))
	return d
}

func settled(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the broker: %v", token.Error())
	}
}

// state is the next that the tracker hears.
func (d *terminal) state(t *testing.T) trackerState {
	t.Helper()
	select {
	case s := <-d.heard:
		return s
	case <-time.After(patience):
		t.Fatal("the tracker hears nothing")
		return trackerState{}
	}
}

// say publishes an answer and waits for the PUBACK.
func (d *terminal) say(t *testing.T, payload string) {
	t.Helper()
	settled(t, d.client.Publish(contract.DeviceAnswers(tracker), 1, false, payload))
}
