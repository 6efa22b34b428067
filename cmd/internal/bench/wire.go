//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// What of MQTT 3.1.1 a publisher needs, so cheap that the instrument does not
// dominate a machine with two cores.

const (
	patience  = 30 * time.Second // for an answer of the broker
	keepAlive = 90               // s; every device says something more often
)

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s))) //nolint:gosec // our own words
	return append(b, s...)
}

// appendPacket puts the fixed header before the body.
func appendPacket(b []byte, kind byte, body []byte) []byte {
	b = appendLength(append(b, kind), len(body))
	return append(b, body...)
}

func appendLength(b []byte, n int) []byte {
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n)) //nolint:gosec // at most 0x7f
}

// connect says CONNECT on the connection and waits for CONNACK. An empty secret
// means no credential.
func connect(c net.Conn, id, secret string, clean bool) error {
	flags := byte(0)
	if clean {
		flags |= 0x02
	}
	if secret != "" {
		flags |= 0xc0
	}
	body := append(appendText(nil, "MQTT"), 4, flags)
	body = binary.BigEndian.AppendUint16(body, keepAlive)
	body = appendText(body, id)
	if secret != "" {
		body = appendText(appendText(body, id), secret)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(appendPacket(nil, 0x10, body)); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	var answer [4]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("waiting for CONNACK: %w", err)
	}
	if answer[0] != 0x20 || answer[1] != 2 || answer[3] != 0 {
		return fmt.Errorf("the broker refuses %s: % x", id, answer)
	}
	return c.SetDeadline(time.Time{})
}

// leaveSession makes a persistent session that hears the filter with QoS 1, and
// leaves it to the consumer that comes later under the same client id.
func leaveSession(ctx context.Context, addr, id, filter string) error {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it is over
	if err := connect(c, id, "", false); err != nil {
		return err
	}
	body := append(appendText([]byte{0, 1}, filter), 1)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(appendPacket(nil, 0x82, body)); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	var answer [5]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return fmt.Errorf("waiting for SUBACK: %w", err)
	}
	if answer[0] != 0x90 || answer[4] != 1 {
		return fmt.Errorf("the broker refuses the subscription: % x", answer)
	}
	_, err = c.Write([]byte{0xe0, 0})
	return err
}

// appendPublish appends a PUBLISH with QoS 1.
func appendPublish(b []byte, topic string, id uint16, payload []byte) []byte {
	b = appendLength(append(b, 0x32), 2+len(topic)+2+len(payload))
	b = appendText(b, topic)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}

var errOrder = errors.New("the broker acknowledges out of order, or what was not sent")

// acks reads PUBACKs, which MQTT wants in the order of the PUBLISHes.
type acks struct {
	next uint16 // id that is due
	part [4]byte
	have int // bytes of a PUBACK that came in pieces
}

// take reads the bytes and returns how many PUBACKs they completed.
func (a *acks) take(b []byte) (n int, err error) {
	for _, c := range b {
		a.part[a.have] = c
		if a.have++; a.have < len(a.part) {
			continue
		}
		a.have = 0
		if a.part[0] != 0x40 || a.part[1] != 2 || binary.BigEndian.Uint16(a.part[2:]) != a.next {
			return n, fmt.Errorf("%w: % x, id %d was due", errOrder, a.part, a.next)
		}
		a.next = nextID(a.next)
		n++
	}
	return n, nil
}

// nextID is the packet id after id: 1 to 65,535 in turn.
func nextID(id uint16) uint16 {
	if id++; id == 0 {
		id = 1
	}
	return id
}
