package broker_test

import (
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/broker"
	"firewatch/ingest/ingesttest"
)

type told struct {
	device contract.DeviceID
	state  ingest.FloodState
}

// floodLog keeps what it is told.
type floodLog chan told

func (l floodLog) Flood(id contract.DeviceID, f ingest.FloodState, _ time.Time) { l <- told{id, f} }

func (l floodLog) next(t *testing.T, want ingest.FloodState) {
	t.Helper()
	select {
	case got := <-l:
		if got != (told{"tr-1", want}) {
			t.Fatalf("told %v, want %v", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("not told: %v", want)
	}
}

// counts counts what a broker's taker is given.
type counts struct{ positions, sos, others atomic.Int64 }

func count(got taker) *counts {
	c := &counts{}
	go func() {
		for m := range got {
			switch m.Topic {
			case "fw/v1/trackers/tr-1/positions":
				c.positions.Add(1)
			case "fw/v1/trackers/tr-1/sos":
				c.sos.Add(1)
			default:
				c.others.Add(1)
			}
		}
	}()
	return c
}

// acked reads a PUBACK.
func (c rawClient) acked(t *testing.T, id uint16) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	for ack := make([]byte, 4); ; {
		if _, err := io.ReadFull(c, ack); err != nil {
			t.Fatalf("waiting for PUBACK %d: %v", id, err)
		}
		if binary.BigEndian.Uint16(ack[2:]) == id {
			return
		}
	}
}

func TestAFloodIsSlowedCutAndForgiven(t *testing.T) {
	log := make(floodLog, 100)
	const burst = 100
	addr, got := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{
		Device:   broker.Limits{Rate: 20, Burst: burst},
		CutAfter: 3 * time.Second, KeepOut: 4 * time.Second, Hear: time.Second,
	}})
	n := count(got)
	flooder := dialRaw(t, addr, "flooder")
	packet := appendPublish(nil, "fw/v1/trackers/tr-1/positions", 7, []byte("{}"))
	const sent = 500
	for range sent {
		if _, err := flooder.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	log.next(t, ingest.FloodSlowed)
	// An SOS behind it all passes it.
	if _, err := flooder.Write(appendPublish(nil, "fw/v1/trackers/tr-1/sos", 9, []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	flooder.acked(t, 9)
	if p := n.positions.Load(); p >= sent {
		t.Errorf("the SOS came after %d positions", p)
	}
	// Another device is answered meanwhile.
	other, err := tryDial(addr, "tr-2", "other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for id := range uint16(20) {
		if _, err := other.Write(appendPublish(nil, "fw/v1/trackers/tr-2/positions", id+1, []byte("{}"))); err != nil {
			t.Fatal(err)
		}
		other.acked(t, id+1)
	}
	if len(log) > 0 {
		t.Errorf("the other device was answered only after the flooder was told %v", <-log)
	}
	// It goes on pushing.
	go func() {
		for {
			if _, err := flooder.Write(packet); err != nil {
				return
			}
		}
	}()
	log.next(t, ingest.FloodCut)
	if _, err := io.Copy(io.Discard, flooder); err == nil {
		_ = flooder.Close()
	}
	if p := n.positions.Load(); p < burst || p > 3*burst {
		t.Errorf("%d positions were taken", p)
	}
	if _, err := tryDial(addr, "tr-1", "flooder"); err == nil {
		t.Error("it is let in after it was cut off")
	}
	// A little is heard.
	var back rawClient
	ingesttest.Eventually(t, "a connection to be heard", func() bool {
		back, err = tryDial(addr, "tr-1", "flooder")
		return err == nil
	})
	before := n.positions.Load()
	for range 30 {
		_, _ = back.Write(packet)
	}
	_, _ = back.Write(appendPublish(nil, "fw/v1/trackers/tr-1/sos", 11, []byte("{}")))
	back.acked(t, 11)
	if p := n.positions.Load() - before; p != 10 {
		t.Errorf("%d positions of a device that is kept out were taken", p)
	}
	_ = back.Close()
	log.next(t, ingest.FloodNone)
	forgiven := dialRaw(t, addr, "flooder")
	_, _ = forgiven.Write(packet)
	forgiven.acked(t, 7)
	if n.others.Load() != 20 || n.sos.Load() != 2 {
		t.Errorf("%d of the other device, %d SOS", n.others.Load(), n.sos.Load())
	}
}

// TestABacklogIsNoFlood has the usual limits, and a device that was away for a
// week.
func TestABacklogIsNoFlood(t *testing.T) {
	log := make(floodLog, 100)
	addr, got := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{}})
	n := count(got)
	c := dialRaw(t, addr, "back")
	var b []byte
	const backlog = 7 * 24 * 60
	for range backlog {
		b = appendPublish(b, "fw/v1/trackers/tr-1/positions", 7, []byte("{}"))
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	ingesttest.Eventually(t, "the backlog", func() bool { return n.positions.Load() == backlog })
	if len(log) > 0 {
		t.Errorf("told %v", <-log)
	}
}

// TestAFloodOfWhatIsNoPublicationCountsToo pings without end.
func TestAFloodOfWhatIsNoPublicationCountsToo(t *testing.T) {
	log := make(floodLog, 100)
	addr, _ := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{
		Device: broker.Limits{Rate: 20, Burst: 100}, CutAfter: time.Second,
	}})
	c := dialRaw(t, addr, "pings")
	go func() {
		for {
			if _, err := c.Write([]byte{0xc0, 0}); err != nil {
				return
			}
		}
	}()
	log.next(t, ingest.FloodSlowed)
	log.next(t, ingest.FloodCut)
	_, _ = io.Copy(io.Discard, c)
}

// TestAWindowIsNoFlood has devices of each way through the broker, that send more
// than slowing lets pass in the time after which a flood is cut off, and wait for
// acknowledgements.
func TestAWindowIsNoFlood(t *testing.T) {
	for _, tt := range []struct {
		name    string
		publish func(id uint16) []byte
	}{
		{"QoS 1", func(id uint16) []byte { return appendPublish5(nil, id, nil) }},
		{"QoS 1 with properties", func(id uint16) []byte {
			return appendPublish5(nil, id, []byte{1, 1})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := make(floodLog, 100)
			addr, got := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{
				Device: broker.Limits{Rate: 100, Burst: 50}, CutAfter: time.Second,
			}})
			n := count(got)
			c := dial5(t, addr, "tr-1", "")
			const all, window = 450, 200
			for id := uint16(1); id <= window; id++ {
				_, _ = c.Write(tt.publish(id))
			}
			for id := uint16(1); id <= all; id++ {
				if ack := c.packet(t); ack[0] != 0x40 || binary.BigEndian.Uint16(ack[2:]) != id {
					t.Fatalf("% x, want the PUBACK of %d", ack, id)
				}
				if id+window <= all {
					_, _ = c.Write(tt.publish(id + window))
				}
			}
			if n.positions.Load() != all {
				t.Errorf("%d taken", n.positions.Load())
			}
			log.next(t, ingest.FloodSlowed)
			if len(log) > 0 {
				t.Errorf("told %v", <-log)
			}
		})
	}
}

// cut floods until the device is cut off.
func cut(t *testing.T, addr string, log floodLog) {
	t.Helper()
	c := dialRaw(t, addr, "flooder")
	go func() {
		packet := appendPublish(nil, "fw/v1/trackers/tr-1/positions", 7, []byte("{}"))
		for {
			if _, err := c.Write(packet); err != nil {
				return
			}
		}
	}()
	log.next(t, ingest.FloodSlowed)
	log.next(t, ingest.FloodCut)
}

// TestAConnectionThatIsHeardEnds has one that outlives the cut.
func TestAConnectionThatIsHeardEnds(t *testing.T) {
	log := make(floodLog, 100)
	addr, got := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{
		Device: broker.Limits{Rate: 20, Burst: 100}, CutAfter: time.Second, KeepOut: 2 * time.Second, Hear: time.Second,
	}})
	count(got)
	cut(t, addr, log)
	var back rawClient
	ingesttest.Eventually(t, "a connection to be heard", func() bool {
		var err error
		back, err = tryDial(addr, "tr-1", "flooder")
		return err == nil
	})
	log.next(t, ingest.FloodNone)
	_ = back.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, back); err != nil {
		t.Errorf("it is not ended: %v", err)
	}
}

// TestTheWillOfOneThatIsEndedIsVoid has a device that is cut off.
func TestTheWillOfOneThatIsEndedIsVoid(t *testing.T) {
	log := make(floodLog, 100)
	addr, got := startWith(t, broker.Options{Floods: log, Flood: &broker.Flood{
		Device: broker.Limits{Rate: 20, Burst: 100}, CutAfter: time.Second,
	}})
	n := count(got)
	c := dial5(t, addr, "tr-1", "fw/v1/trackers/tr-1/sos")
	cut(t, addr, log)
	_, _ = io.Copy(io.Discard, c)
	other := dial5(t, addr, "tr-2", "fw/v1/trackers/tr-2/sos")
	_ = other.Close()
	ingesttest.Eventually(t, "the will of another", func() bool { return n.others.Load() == 1 })
	if n.sos.Load() != 0 {
		t.Error("the will was taken")
	}
}
