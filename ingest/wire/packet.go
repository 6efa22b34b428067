// Package wire takes the publications out of an MQTT byte stream before the
// library behind it sees them. A Conn wraps the connection of a client library
// (eclipse/paho.mqtt.golang) or of a broker (mochi-mqtt): PUBLISH packets of
// QoS 0 and 1 go to a callback with two allocations and no hop to another
// goroutine, their PUBACKs go out many to a write, and everything else (connect,
// session, subscriptions, ping, downlink, QoS 2) stays with the library.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The types of packets that are looked at: the upper half of the first byte.
const (
	typeConnect = 1
	typePublish = 3
	typePuback  = 4
)

// Versions of the protocol, as the CONNECT packet names them.
const (
	V31  = 3
	V311 = 4
	V5   = 5
)

// maxHeader is the length of the longest fixed header, in bytes: the type and
// four bytes of length.
const maxHeader = 5

// A Publish is one PUBLISH packet of QoS 0 or 1. Topic and Payload are the
// receiver's own.
type Publish struct {
	Topic   string // at least one byte of UTF-8, without wildcards and NUL
	Payload []byte
	ID      uint16 // 1..65535 with QoS 1, 0 with QoS 0
	QoS     byte   // 0 or 1
	Dup     bool
	Retain  bool
}

// ErrTooLarge is matched by the error of a Read that met a packet over
// Options.MaxPacket.
var ErrTooLarge = errors.New("packet too large")

// errHeader says that four bytes of length did not end.
var errHeader = errors.New("malformed packet length")

// header returns the length of the fixed header at the start of b and that of
// the whole packet; 0, 0 when b does not hold all of the header yet.
func header(b []byte) (head, total int, err error) {
	n := 0
	for i := 1; i < len(b) && i < maxHeader; i++ {
		n |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return i + 1, i + 1 + n, nil
		}
	}
	if len(b) >= maxHeader {
		return 0, 0, errHeader
	}
	return 0, 0, nil
}

// quick reports whether a packet with this first byte may be one that is taken
// out: a PUBLISH of QoS 0 or 1 that breaks no rule yet.
func quick(first byte) bool {
	const dup, qos = 1 << 3, 3 << 1
	return first>>4 == typePublish && first&qos < 2<<1 && first&(dup|qos) != dup
}

// A body is what a PUBLISH holds, in the bytes of the packet.
type body struct {
	topic, payload []byte
	id             uint16
}

// parse reads a whole PUBLISH packet of QoS 0 or 1 whose fixed header has head
// bytes. It is false for whatever the library should judge: malformed packets,
// and those of MQTT 5 with a property.
func parse(p []byte, head int, version byte) (body, bool) {
	rest := p[head:]
	if len(rest) < 2 {
		return body{}, false
	}
	n := int(rest[0])<<8 | int(rest[1])
	if len(rest) < 2+n {
		return body{}, false
	}
	b := body{topic: rest[2 : 2+n]}
	rest = rest[2+n:]
	if p[0]&(3<<1) != 0 {
		if len(rest) < 2 {
			return body{}, false
		}
		b.id = uint16(rest[0])<<8 | uint16(rest[1])
		rest = rest[2:]
		if b.id == 0 {
			return body{}, false
		}
	}
	if version == V5 {
		if len(rest) == 0 || rest[0] != 0 {
			return body{}, false
		}
		rest = rest[1:]
	}
	b.payload = rest
	return b, validTopic(b.topic)
}

func validTopic(t []byte) bool {
	var all byte
	for _, c := range t {
		if c == 0 || c == '+' || c == '#' {
			return false
		}
		all |= c
	}
	return len(t) > 0 && (all < utf8.RuneSelf || utf8.Valid(t))
}

// connectVersion finds the version in a CONNECT packet whose fixed header has
// head bytes and that has total bytes in all. It is false when b does not reach
// that far yet, and 0 when there is none.
func connectVersion(b []byte, head, total int) (version byte, ok bool) {
	if total < head+2 {
		return 0, true
	}
	if len(b) < head+2 {
		return 0, false
	}
	at := head + 2 + int(b[head])<<8 + int(b[head+1])
	switch {
	case at >= total || at > head+2+len("MQIsdp"):
		return 0, true
	case at >= len(b):
		return 0, false
	}
	switch v := b[at]; v {
	case V31, V311, V5:
		return v, true
	default:
		return 0, true
	}
}

// appendPuback appends a PUBACK packet: the same bytes in all versions, since
// MQTT 5 leaves out the reason "success".
func appendPuback(b []byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, typePuback<<4, 2), id)
}

// frames follows the packets of a stream without keeping them.
type frames struct {
	left int  // bytes of the packet that are still to come, once its length is known
	head int  // bytes of its fixed header seen so far
	size int  // the length, as far as it is known
	lost bool // the stream made no sense; it is never between packets again
}

// between reports whether the stream stands between two packets.
func (f *frames) between() bool { return f.left == 0 && f.head == 0 && !f.lost }

// pass takes the next bytes of the stream.
func (f *frames) pass(b []byte) {
	for len(b) > 0 && !f.lost {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]
			continue
		}
		c := b[0]
		b = b[1:]
		if f.head > 0 {
			f.size |= int(c&0x7f) << (7 * (f.head - 1))
		}
		f.head++
		switch {
		case f.head == 1 || c >= 0x80 && f.head < maxHeader:
		case c >= 0x80:
			f.lost = true
		default:
			f.left, f.head, f.size = f.size, 0, 0
		}
	}
}

func tooLarge(total, limit int) error {
	return fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, total, limit)
}
