package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"firewatch/ingest/wire"
)

func TestTheFirstPacketIsBounded(t *testing.T) {
	const limit = 8 << 10
	will := func(size int) []byte { // a CONNECT of so many bytes in all
		b := append([]byte{0, 4}, "MQTT\x04\x06\x00\x3c\x00\x01c\x00\x01w"...)
		return packet(0x10, append(b, make([]byte, size-len(b)-3)...))
	}
	large := packet(0x82, make([]byte, 3*limit))
	for _, tt := range []struct {
		name  string
		first []byte
		fails bool
	}{
		{"as large as allowed", will(limit), false},
		{"larger", will(limit + 1), true},
		{"larger, of nonsense", packet(0x82, make([]byte, limit)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := append(bytes.Clone(tt.first), large...)
			c := wrap(t, &script{pieces: cut(all, 1000)}, wire.Options{
				Publish:    func(wire.Publish) (bool, error) { return true, nil },
				MaxConnect: limit,
			})
			got, err := io.ReadAll(c)
			switch {
			case tt.fails && (!errors.Is(err, wire.ErrTooLarge) || len(got) > 0):
				t.Errorf("%d bytes, %v", len(got), err)
			case !tt.fails && (err != nil || !bytes.Equal(got, all)):
				t.Errorf("%d bytes of %d, %v", len(got), len(all), err)
			}
		})
	}
}
