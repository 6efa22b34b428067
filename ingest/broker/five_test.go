package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/broker"
	"firewatch/ingest/ingesttest"
)

// five speaks just enough MQTT 5.
type five struct{ net.Conn }

// dial5 connects, with a last will on the topic if there is one.
func dial5(t *testing.T, addr, username, will string) five {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write(connect5(username, will, []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	if ack := (five{c}).packet(t); ack[0] != 0x20 || ack[3] != 0 {
		t.Fatalf("CONNACK % x", ack)
	}
	return five{c}
}

func connect5(username, will string, payload []byte) []byte {
	var b bytes.Buffer
	str := func(s string) {
		_ = binary.Write(&b, binary.BigEndian, uint16(len(s)))
		b.WriteString(s)
	}
	str("MQTT")
	if will == "" {
		b.Write([]byte{5, 0xc2, 0, 0, 0})
		str("five")
	} else {
		b.Write([]byte{5, 0xc2 | 1<<3 | 1<<2, 0, 0, 0})
		str("five")
		b.WriteByte(0) // no properties of the will
		str(will)
		str(string(payload))
	}
	str(username)
	str("pw-" + username)
	return append(binary.AppendUvarint([]byte{0x10}, uint64(b.Len())), b.Bytes()...)
}

// packet reads one packet of at most 127 bytes.
func (c five) packet(t *testing.T) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	var b [2 + 127]byte
	if _, err := io.ReadFull(c, b[:2]); err != nil {
		t.Fatal(err)
	}
	all := b[:2+b[1]&127]
	if _, err := io.ReadFull(c, all[2:]); err != nil {
		t.Fatal(err)
	}
	return all
}

// appendPublish5 appends a small position with QoS 1.
func appendPublish5(b []byte, id uint16, properties []byte) []byte {
	const topic = "fw/v1/trackers/tr-1/positions"
	b = append(b, 0x32, byte(2+len(topic)+2+1+len(properties)+2))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, byte(len(properties)))
	b = append(b, properties...)
	return append(b, "{}"...)
}

// TestAcknowledgementsKeepTheOrder of publications with and without properties
// [MQTT-4.6.0-2].
func TestAcknowledgementsKeepTheOrder(t *testing.T) {
	addr, got := start(t)
	count(got)
	c := dial5(t, addr, "tr-1", "")
	const each = 20
	for range 50 {
		var b []byte
		for id := range uint16(each) {
			b = appendPublish5(b, id+1, []byte{1, 1}[:id%2*2])
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		for id := range uint16(each) {
			if ack := c.packet(t); ack[0] != 0x40 || binary.BigEndian.Uint16(ack[2:]) != id+1 {
				t.Fatalf("% x, want the PUBACK of %d", ack, id+1)
			}
		}
	}
}

// TestARevokedDeviceHasNoLastWord but one that is lost has.
func TestARevokedDeviceHasNoLastWord(t *testing.T) {
	b, err := broker.New(broker.Options{Addr: "127.0.0.1:0", Credential: credentials{}, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	got := make(taker, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, got) }()
	defer func() { cancel(); <-done }()
	revoked := dial5(t, b.Addr(), "tr-1", "fw/v1/trackers/tr-1/sos")
	lost := dial5(t, b.Addr(), "tr-2", "fw/v1/trackers/tr-2/sos")
	b.Disconnect("tr-1")
	_, _ = io.Copy(io.Discard, revoked)
	ingesttest.Eventually(t, "it to be gone", func() bool { return b.Clients() == 1 })
	_ = lost.Close()
	if m := got.next(t); m.Topic != "fw/v1/trackers/tr-2/sos" {
		t.Errorf("first came %s", m.Topic)
	}
}

// phone is a tracker of another system.
type phone struct{}

func (phone) Authenticate(string, []byte) (ingest.Principal, bool) {
	return ingest.Principal{Device: "jane", Kind: contract.Tracker, Topic: "owntracks/jane/phone"}, true
}

func TestTheWillOfAPhoneIsTaken(t *testing.T) {
	addr, got := startWith(t, broker.Options{Credential: phone{}})
	c := dial5(t, addr, "jane", "owntracks/jane/phone")
	_ = c.Close()
	if m := got.next(t); m.Topic != "owntracks/jane/phone" {
		t.Errorf("%s", m.Topic)
	}
}

func TestAConnectIsSmall(t *testing.T) {
	addr, _ := start(t)
	for _, tt := range []struct {
		will int
		ok   bool
	}{{15 << 10, true}, {20 << 10, false}} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(connect5("tr-1", "fw/v1/trackers/tr-1/sos", make([]byte, tt.will)))
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 4)
		_, err = io.ReadFull(c, b)
		if errors.Is(err, context.DeadlineExceeded) || (err == nil && b[3] == 0) != tt.ok {
			t.Errorf("a will of %d bytes: % x, %v", tt.will, b, err)
		}
		_ = c.Close()
	}
}

// TestAWindowOfExactlyOnceIsNoFlood waits as TestAWindowIsNoFlood does.
func TestAWindowOfExactlyOnceIsNoFlood(t *testing.T) {
	log := make(floodLog, 10)
	addr, got := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{
		Device: broker.Limits{Rate: 100, Burst: 50}, CutAfter: time.Second,
	}})
	n := count(got)
	c := dial5(t, addr, "tr-1", "")
	const all = 200
	for id := range uint16(all) {
		b := appendPublish5(nil, id+1, nil)
		b[0] = 0x34
		_, _ = c.Write(b)
		if rec := c.packet(t); rec[0] != 0x50 {
			t.Fatalf("message %d: % x, want a PUBREC", id, rec)
		}
		_, _ = c.Write([]byte{0x62, 2, byte((id + 1) >> 8), byte(id + 1)})
		if comp := c.packet(t); comp[0] != 0x70 {
			t.Fatalf("message %d: % x, want a PUBCOMP", id, comp)
		}
	}
	if n.positions.Load() != all {
		t.Errorf("%d taken", n.positions.Load())
	}
	log.next(t, ingest.FloodSlowed)
	if len(log) > 0 {
		t.Errorf("told %v", <-log)
	}
}
