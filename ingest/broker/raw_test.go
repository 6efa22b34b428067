package broker_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// rawClient speaks just enough MQTT 3.1.1 to misbehave.
type rawClient struct{ net.Conn }

func dialRaw(t *testing.T, addr, clientID string) rawClient {
	t.Helper()
	c, err := tryDial(addr, "tr-1", clientID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func tryDial(addr, username, clientID string) (rawClient, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return rawClient{}, err
	}
	if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		return rawClient{}, err
	}
	var b bytes.Buffer
	str := func(s string) {
		_ = binary.Write(&b, binary.BigEndian, uint16(len(s)))
		b.WriteString(s)
	}
	str("MQTT")
	b.Write([]byte{4, 0xc2, 0, 0}) // 3.1.1; user name, password, clean session; no keepalive
	str(clientID)
	str(username)
	str("pw-" + username)
	if _, err := c.Write(append([]byte{0x10, byte(b.Len())}, b.Bytes()...)); err != nil {
		return rawClient{}, errors.Join(err, c.Close())
	}
	ack := make([]byte, 4)
	if _, err := io.ReadFull(c, ack); err != nil || ack[3] != 0 {
		return rawClient{}, errors.Join(fmt.Errorf("CONNACK %v: %w", ack, err), c.Close())
	}
	return rawClient{c}, nil
}

// publish sends n messages with QoS 1, or as many as the broker takes before it
// stops reading.
func (c rawClient) publish(t *testing.T, topic string, n int) {
	t.Helper()
	var b []byte
	for i := range n {
		b = appendPublish(b, topic, uint16(i%65535+1), []byte("{}"))
	}
	_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	_, _ = c.Write(b) // a broker that stops reading is right too
}

// subscribe asks for QoS 1 and waits for the answer.
func (c rawClient) subscribe(t *testing.T, filter string) {
	t.Helper()
	b := []byte{0x82, byte(2 + 2 + len(filter) + 1), 0, 1, 0, byte(len(filter))}
	b = append(append(b, filter...), 1)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, 5)
	if _, err := io.ReadFull(c, ack); err != nil || ack[0] != 0x90 || ack[4] != 1 {
		t.Fatalf("SUBACK %x: %v", ack, err)
	}
}

func appendPublish(b []byte, topic string, id uint16, payload []byte) []byte {
	b = append(b, 0x32) // PUBLISH, QoS 1
	b = binary.AppendUvarint(b, uint64(2+len(topic)+2+len(payload)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}

// device is a tracker as its maker should have written it: it sends again, in
// order, what was not acknowledged before the connection broke. (paho's tokens
// cannot be used to watch PUBACKs: a reconnection completes them.)
type device struct {
	mu      sync.Mutex
	conn    rawClient
	last    uint16
	unacked []sent
}

type sent struct {
	id     uint16
	packet []byte
	acked  chan struct{}
}

func newDevice(t *testing.T, addr, username string) *device {
	t.Helper()
	d := &device{}
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				d.session(addr, username)
				time.Sleep(10 * time.Millisecond) // before the next try to connect
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		d.mu.Lock()
		if d.conn.Conn != nil {
			_ = d.conn.Close()
		}
		d.mu.Unlock()
		done.Wait()
	})
	return d
}

func (d *device) session(addr, username string) {
	c, err := tryDial(addr, username, "raw")
	if err != nil {
		return
	}
	defer c.Close()
	d.mu.Lock()
	d.conn = c
	for _, s := range d.unacked {
		_, _ = c.Write(s.packet)
	}
	d.mu.Unlock()
	for ack := make([]byte, 4); ; {
		if _, err := io.ReadFull(c, ack); err != nil {
			return
		}
		id := binary.BigEndian.Uint16(ack[2:])
		d.mu.Lock()
		if i := slices.IndexFunc(d.unacked, func(s sent) bool { return s.id == id }); i >= 0 && ack[0] == 0x40 {
			close(d.unacked[i].acked)
			d.unacked = slices.Delete(d.unacked, i, i+1)
		}
		d.mu.Unlock()
	}
}

func (d *device) publish(topic string, payload []byte) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	s := sent{d.last, appendPublish(nil, topic, d.last, payload), make(chan struct{})}
	d.unacked = append(d.unacked, s)
	if d.conn.Conn != nil {
		_, _ = d.conn.Write(s.packet)
	}
	return s.acked
}
