package mqttclient

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzReadPacket reads whatever a broker may send, within bounds.
func FuzzReadPacket(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0})
	f.Add(publish("a/b", 7, []byte("payload")))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x32, 3, 0, 9, 'a'})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			kind, body, err := readPacket(in, nil)
			if err != nil {
				return
			}
			if len(body) > len(data) {
				t.Fatal("more than was sent")
			}
			if kind&0xf0 == publishType {
				if topic, _, payload, err := parsePublish(kind, body); err == nil && len(topic)+len(payload) > len(body) {
					t.Fatal("more than was sent")
				}
			}
		}
	})
}

func TestPublishIsReadBack(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16_383, 16_384, 65_536} {
		payload := bytes.Repeat([]byte{7}, size)
		kind, body, err := readPacket(bufio.NewReader(bytes.NewReader(publish("fw/v1/x", 513, payload))), nil)
		if err != nil {
			t.Fatal(err)
		}
		topic, id, got, err := parsePublish(kind, body)
		if err != nil || topic != "fw/v1/x" || id != 513 || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: %q %d %d bytes, %v", size, topic, id, len(got), err)
		}
	}
}
