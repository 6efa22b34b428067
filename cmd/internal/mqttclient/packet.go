package mqttclient

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Control packets of MQTT 3.1.1, first bytes.
const (
	connectType    = 1 << 4
	connackType    = 2 << 4
	publishType    = 3 << 4
	pubackType     = 4 << 4
	subscribeType  = 8<<4 | 2
	subackType     = 9 << 4
	pingreqType    = 12 << 4
	disconnectType = 14 << 4

	dupFlag = 1 << 3

	// subscribeID is the packet id that publications leave to SUBSCRIBE.
	subscribeID = 1
	qos1        = 1 << 1
)

// maxPacket bounds what a broker may send.
const maxPacket = 1 << 20

func connect(o *Options, will []byte) []byte {
	flags := byte(1 << 1) // a clean session: the client itself keeps what is not acknowledged
	body := appendText(nil, "MQTT")
	body = append(body, 4, 0)
	keepAlive := max(1, min(o.KeepAlive/time.Second, math.MaxUint16))
	body = binary.BigEndian.AppendUint16(body, uint16(keepAlive))
	body = appendText(body, o.ClientID)
	if will != nil {
		flags |= 1<<2 | 1<<3 // QoS 1
		body = appendText(body, o.WillTopic)
		body = appendText(body, string(will))
	}
	if o.Username != "" {
		flags |= 1<<7 | 1<<6
		body = appendText(body, o.Username)
		body = appendText(body, o.Password)
	}
	body[7] = flags
	return packet(connectType, body)
}

func publish(topic string, id uint16, payload []byte) []byte {
	n := 2 + len(topic) + 2 + len(payload)
	b := make([]byte, 0, n+5)
	b = appendLength(append(b, publishType|qos1), n)
	b = appendText(b, topic)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}

func subscribe(filter string) []byte {
	return packet(subscribeType, append(appendText([]byte{0, subscribeID}, filter), 1))
}

func packet(kind byte, body []byte) []byte {
	return append(appendLength([]byte{kind}, len(body)), body...)
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) //nolint:gosec // cut above
}

func appendLength(b []byte, n int) []byte {
	return binary.AppendUvarint(b, uint64(n)) //nolint:gosec // the same code, for 0 to 2^28
}

// readPacket reads one packet into buf, which may grow.
func readPacket(in *bufio.Reader, buf []byte) (kind byte, body []byte, err error) {
	if kind, err = in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := in.ReadByte()
		if err != nil {
			return 0, nil, noEOF(err)
		}
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 21 {
			return 0, nil, errors.New("broker sends a packet with a length of five bytes")
		}
	}
	if n > maxPacket {
		return 0, nil, fmt.Errorf("broker sends a packet of %d bytes, at most %d are taken", n, maxPacket)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	body = buf[:n]
	if _, err := io.ReadFull(in, body); err != nil {
		return 0, nil, noEOF(err)
	}
	return kind, body, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func parsePublish(kind byte, body []byte) (topic string, id uint16, payload []byte, err error) {
	if len(body) < 2 {
		return "", 0, nil, errors.New("broker sends a PUBLISH without a topic")
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if len(body) < n {
		return "", 0, nil, errors.New("broker sends a PUBLISH whose topic is cut off")
	}
	topic, body = string(body[:n]), body[n:]
	if kind&(3<<1) != 0 {
		if len(body) < 2 {
			return "", 0, nil, errors.New("broker sends a PUBLISH without an id")
		}
		id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	return topic, id, body, nil
}
