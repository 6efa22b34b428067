package broker_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/zap/zaptest"

	"firewatch/ingest/broker"
)

// terminal is a client that hears, and sees what MQTT says about its session.
type terminal struct {
	net.Conn
	t       testing.TB
	present bool
}

func dialTerminal(tb testing.TB, addr, username, clientID string, clean bool) *terminal {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = "MQTT", 4
	p.ClientIdentifier, p.CleanSession = clientID, clean
	p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, username, true, []byte("pw-"+username)
	if err := p.Write(c); err != nil {
		tb.Fatal(err)
	}
	ack, err := packets.ReadPacket(c)
	if err != nil {
		tb.Fatal(err)
	}
	connack, ok := ack.(*packets.ConnackPacket)
	if !ok || connack.ReturnCode != packets.Accepted {
		tb.Fatalf("CONNACK: %v", ack)
	}
	return &terminal{Conn: c, t: tb, present: connack.SessionPresent}
}

// next is the next message; it is not acknowledged.
func (c *terminal) next() *packets.PublishPacket {
	c.t.Helper()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			c.t.Fatal(err)
		}
		if m, ok := p.(*packets.PublishPacket); ok {
			return m
		}
	}
}

func (c *terminal) ack(m *packets.PublishPacket) {
	p := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	p.MessageID = m.MessageID
	_ = p.Write(c)
}

// hears expects these payloads in this order and acknowledges them.
func (c *terminal) hears(want ...string) {
	c.t.Helper()
	for _, w := range want {
		m := c.next()
		if string(m.Payload) != w {
			c.t.Fatalf("heard %q, want %q", m.Payload, w)
		}
		c.ack(m)
	}
}

// quiet expects that nothing has come: a ping is answered first.
func (c *terminal) quiet() {
	c.t.Helper()
	if err := packets.NewControlPacket(packets.Pingreq).Write(c); err != nil {
		c.t.Fatal(err)
	}
	for {
		switch p, err := packets.ReadPacket(c); p := p.(type) {
		case *packets.PingrespPacket:
			return
		case *packets.PublishPacket:
			c.t.Fatalf("heard %q too", p.Payload)
		case nil:
			c.t.Fatal(err)
		}
	}
}

func (c *terminal) subscribe(topic string) {
	c.t.Helper()
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = 1, []string{topic}, []byte{1}
	if err := p.Write(c); err != nil {
		c.t.Fatal(err)
	}
	ack, err := packets.ReadPacket(c)
	if a, ok := ack.(*packets.SubackPacket); !ok || a.ReturnCodes[0] != 1 {
		c.t.Fatalf("SUBACK %v: %v", ack, err)
	}
}

func (c *terminal) leave() {
	_ = packets.NewControlPacket(packets.Disconnect).Write(c)
	_, _ = packets.ReadPacket(c) // until the broker has closed
	_ = c.Close()
}

// office publishes downlinks and waits for each PUBACK.
func office(tb testing.TB, addr string) func(topic, payload string, retained bool) {
	tb.Helper()
	c := dialTerminal(tb, addr, "service", "office", true)
	id := uint16(0)
	return func(topic, payload string, retained bool) {
		tb.Helper()
		id++
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.Qos, p.Retain, p.MessageID, p.TopicName, p.Payload = 1, retained, id, topic, []byte(payload)
		if err := p.Write(c); err != nil {
			tb.Fatal(err)
		}
		ack, err := packets.ReadPacket(c)
		if a, ok := ack.(*packets.PubackPacket); !ok || a.MessageID != id {
			tb.Fatalf("PUBACK %v: %v", ack, err)
		}
	}
}

const orders = "fw/v1/trackers/tr-1/orders"

func TestASessionKeepsWhatItsClientMissed(t *testing.T) {
	addr, _ := start(t)
	say := office(t, addr)
	c := dialTerminal(t, addr, "tr-1", "a", false)
	if c.present {
		t.Error("a first session is present")
	}
	c.subscribe(orders)
	say(orders, "1", false)
	c.hears("1")
	say(orders, "2", false)
	c.next() // not acknowledged
	c.leave()
	for i := 3; i <= 20; i++ {
		say(orders, fmt.Sprint(i), false)
	}
	c = dialTerminal(t, addr, "tr-1", "a", false)
	if !c.present {
		t.Error("the session is not present")
	}
	m := c.next()
	if string(m.Payload) != "2" || !m.Dup {
		t.Errorf("heard %s, dup %v; want what was not acknowledged, again", m.Payload, m.Dup)
	}
	c.ack(m)
	for i := 3; i <= 20; i++ {
		c.hears(fmt.Sprint(i))
	}
	c.quiet()
	c.leave()
	// Clean start ends it.
	c = dialTerminal(t, addr, "tr-1", "a", true)
	if c.present {
		t.Error("the session is present after a clean start")
	}
	say(orders, "not subscribed", false)
	c.quiet()
	c.leave()
	if c = dialTerminal(t, addr, "tr-1", "a", false); c.present {
		t.Error("the session of a clean client was kept")
	}
}

func TestOnlyTheNewestClientIDOfAUserIsKept(t *testing.T) {
	addr, _ := start(t)
	say := office(t, addr)
	a := dialTerminal(t, addr, "tr-1", "a", false)
	a.subscribe(orders)
	b := dialTerminal(t, addr, "tr-1", "b", false)
	b.subscribe(orders)
	say(orders, "both", false)
	a.hears("both")
	b.hears("both")
	b.leave()
	a.leave()
	say(orders, "later", false)
	if a = dialTerminal(t, addr, "tr-1", "a", true); a.present { // a clean one takes nobody's place
		t.Error("the older session was kept")
	}
	if b = dialTerminal(t, addr, "tr-1", "b", false); !b.present {
		t.Error("the newer session was not kept")
	}
	b.hears("later")
}

func TestASessionIsBounded(t *testing.T) {
	addr, _ := startWith(t, broker.Options{Sessions: broker.SessionOptions{Messages: 3}})
	say := office(t, addr)
	c := dialTerminal(t, addr, "tr-1", "a", false)
	c.subscribe(orders)
	c.leave()
	say(orders, "state 1", true)
	say(orders, "command", false)
	say(orders, "state 2", true)
	say(orders, "state 3", true) // the first state gives way: it is no longer true
	c = dialTerminal(t, addr, "tr-1", "a", false)
	c.hears("command", "state 2", "state 3")
	c.quiet()
}

func TestAnExpiredSessionIsGone(t *testing.T) {
	addr, _ := startWith(t, broker.Options{Sessions: broker.SessionOptions{For: time.Nanosecond}})
	c := dialTerminal(t, addr, "tr-1", "a", false)
	c.subscribe(orders)
	c.leave()
	if c = dialTerminal(t, addr, "tr-1", "a", false); c.present {
		t.Error("it is present")
	}
}

func TestMQTT5SaysHowLongASessionLives(t *testing.T) {
	addr, _ := start(t)
	say := office(t, addr)
	sub := func(args ...string) string {
		t.Helper()
		_, port, _ := net.SplitHostPort(addr)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "mosquitto_sub", append([]string{
			"-h", "127.0.0.1", "-p", port, "-V", "5", "-c", "-i", "five", "-u", "tr-1", "-P", "pw-tr-1", "-q", "1", "-t", orders,
		}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("mosquitto_sub: %v: %s", err, out)
		}
		return string(out)
	}
	sub("-x", "3600", "-E")
	say(orders, "kept", false)
	if got := sub("-x", "3600", "-C", "1"); got != "kept\n" {
		t.Errorf("heard %q", got)
	}
	say(orders, "kept too", false)
	if got := sub("-x", "0", "-C", "1"); got != "kept too\n" { // resumed, and ends with this connection
		t.Errorf("heard %q", got)
	}
	say(orders, "not kept", false)
	say(orders, "state", true)
	if got := sub("-x", "0", "-C", "1"); got != "state\n" {
		t.Errorf("heard %q", got)
	}
}

// TestATakeoverLosesNoDownlink has a client come back with the same id again and
// again while orders are published to it.
func TestATakeoverLosesNoDownlink(t *testing.T) {
	addr, _ := startWith(t, broker.Options{Sessions: broker.SessionOptions{Messages: 2000}})
	say := office(t, addr)
	dialTerminal(t, addr, "tr-1", "a", false).subscribe(orders)
	const n = 1000
	said := make(chan struct{})
	go func() {
		defer close(said)
		for i := range n {
			say(orders, fmt.Sprint(i), false)
		}
	}()
	heard, next := map[string]bool{}, 0
	for len(heard) < n {
		c := dialTerminal(t, addr, "tr-1", "a", false) // the former one is never closed by its client
		for range 20 {
			if len(heard) == n {
				break
			}
			m := c.next()
			var i int
			_, _ = fmt.Sscan(string(m.Payload), &i)
			if i > next {
				t.Fatalf("heard %d before %d", i, next)
			}
			if i == next {
				next++
			}
			heard[string(m.Payload)] = true
			c.ack(m)
		}
	}
	<-said
}

func TestRevokingEndsConnectionAndSession(t *testing.T) {
	b, err := broker.New(broker.Options{Addr: "127.0.0.1:0", Credential: credentials{}, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, make(taker, 1)) }()
	t.Cleanup(func() { cancel(); <-done })
	c := dialTerminal(t, b.Addr(), "tr-1", "a", false)
	other := dialTerminal(t, b.Addr(), "tr-2", "a", false)
	c.subscribe(orders)
	b.Disconnect("tr-1")
	if _, err := packets.ReadPacket(c); err == nil {
		t.Error("the connection goes on")
	}
	other.quiet()
	if c = dialTerminal(t, b.Addr(), "tr-1", "a", false); c.present {
		t.Error("the session went on")
	}
}

func TestTooManyConnectionsOfAUserEndTheOldest(t *testing.T) {
	addr, _ := startWith(t, broker.Options{MaxPerUser: 2})
	a := dialTerminal(t, addr, "tr-1", "a", true)
	b := dialTerminal(t, addr, "tr-1", "b", true)
	c := dialTerminal(t, addr, "tr-1", "c", true)
	if _, err := packets.ReadPacket(a); err == nil {
		t.Error("the oldest goes on")
	}
	b.quiet()
	c.quiet()
}

func TestServicesHearSYS(t *testing.T) {
	addr, _ := start(t)
	c := dialTerminal(t, addr, "service", "s", true)
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = 1, []string{"$SYS/broker/clients/connected"}, []byte{0}
	if err := p.Write(c); err != nil {
		t.Fatal(err)
	}
	if m := c.next(); m.TopicName != "$SYS/broker/clients/connected" {
		t.Errorf("heard %s", m.TopicName)
	}
}
