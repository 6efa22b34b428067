package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"firewatch/ingest/wire"
)

// reference is the same job done the simple way: all of the stream at once,
// each packet copied. It returns what the library gets, what is taken out, and
// an incomplete packet at the end, of which the library may get a part.
func reference(in []byte, version byte, limit int) (library []byte, taken []string, tail []byte) {
	for len(in) > 0 {
		total, ok := 0, false
		for i, shift := 1, 0; i < 5 && i < len(in); i, shift = i+1, shift+7 {
			total |= int(in[i]&127) << shift
			if in[i] < 128 {
				total, ok = total+i+1, true
				break
			}
		}
		if !ok {
			if len(in) >= 5 {
				return append(library, in...), taken, nil
			}
			return library, taken, in
		}
		if len(in) < total {
			return library, taken, in
		}
		packet := in[:total]
		if version == 0 && packet[0]>>4 == 1 {
			version = versionOf(packet)
		}
		p, fast := packet[0]>>4 == 3 && version != 0 && total <= limit && packet[0]&6 != 6 && packet[0]&6 != 4 && packet[0]&14 != 8, ""
		if p {
			fast = takes(packet, version)
		}
		if fast != "" {
			taken = append(taken, fast)
		} else {
			library = append(library, packet...)
		}
		in = in[total:]
	}
	return library, taken, nil
}

func versionOf(packet []byte) byte {
	r := bytes.NewReader(packet[1:])
	for c, _ := r.ReadByte(); c >= 128; c, _ = r.ReadByte() {
		continue
	}
	hi, err := r.ReadByte()
	lo, err2 := r.ReadByte()
	n := int64(hi)<<8 | int64(lo)
	if err != nil || err2 != nil || n > 6 {
		return 0
	}
	_, _ = r.Seek(n, io.SeekCurrent)
	if v, err := r.ReadByte(); err == nil && v >= 3 && v <= 5 {
		return v
	}
	return 0
}

func takes(packet []byte, version byte) string {
	r := bytes.NewReader(packet[1:])
	for c, _ := r.ReadByte(); c >= 128; c, _ = r.ReadByte() {
		continue
	}
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return ""
	}
	topic := make([]byte, int(size[0])<<8|int(size[1]))
	if _, err := io.ReadFull(r, topic); err != nil || len(topic) == 0 || !utf8.Valid(topic) || bytes.ContainsAny(topic, "+#\x00") {
		return ""
	}
	var id [2]byte
	if packet[0]&2 != 0 {
		if _, err := io.ReadFull(r, id[:]); err != nil || id == [2]byte{} {
			return ""
		}
	}
	if version == 5 {
		if n, err := r.ReadByte(); err != nil || n != 0 {
			return ""
		}
	}
	payload, _ := io.ReadAll(r)
	return told(string(topic), payload, uint16(id[0])<<8|uint16(id[1]), packet[0]>>1&3, packet[0]&8 != 0, packet[0]&1 != 0)
}

func told(topic string, payload []byte, id uint16, qos byte, dup, retain bool) string {
	return fmt.Sprintf("%q %q %d %d %t %t", topic, payload, id, qos, dup, retain)
}

// FuzzRead cuts arbitrary bytes at arbitrary places: what the library gets and
// what is taken out must be what a simple parser makes of the whole.
func FuzzRead(f *testing.F) {
	for _, version := range []byte{0, 4, 5} {
		f.Add(bytes.Join([][]byte{connect(4), publish(4, 1, 7, "a", "one"), ping, publish(4, 0, 0, "b", ""), subscribe}, nil), version, uint64(1))
		f.Add(bytes.Join([][]byte{connect(5), publish(5, 1, 7, "a", "one"), packet(0x32, []byte{0, 1, 'a', 0, 1, 3, 35, 0, 1}), publish(5, 2, 7, "a", "x")}, nil), version, uint64(2))
		f.Add(bytes.Join([][]byte{publish(4, 1, 7, "a", strings.Repeat("x", 5000)), publish(4, 1, 7, "a", strings.Repeat("x", 3000)), ping}, nil), version, uint64(3))
		f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 1, 2, 3}, version, uint64(4))
		f.Add([]byte{0x10, 0, 0x30, 3, 0, 1, 'a'}, version, uint64(5))
	}
	f.Fuzz(func(t *testing.T, in []byte, version byte, seed uint64) {
		if version != 0 {
			version = 3 + version%3
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		var pieces [][]byte
		for rest := in; len(rest) > 0; {
			n := 1 + rnd.IntN(1+rnd.IntN(len(rest)))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		const limit = 4 << 10
		var taken []string
		c := wrap(t, &script{pieces: pieces}, wire.Options{
			Version: version, MaxBuffer: limit,
			Publish: func(p wire.Publish) (bool, error) {
				taken = append(taken, told(p.Topic, p.Payload, p.ID, p.QoS, p.Dup, p.Retain))
				return true, nil
			},
		})
		var library []byte
		for b := make([]byte, 3000); ; {
			n, err := c.Read(b[:1+rnd.IntN(len(b))])
			library = append(library, b[:n]...)
			if err != nil {
				break
			}
		}
		wantLibrary, wantTaken, tail := reference(in, version, limit)
		rest, ok := bytes.CutPrefix(library, wantLibrary)
		if !ok || !bytes.HasPrefix(tail, rest) {
			t.Errorf("the library got %q, want %q", library, wantLibrary)
		}
		if got, want := strings.Join(taken, "\n"), strings.Join(wantTaken, "\n"); got != want {
			t.Errorf("taken out:\n%s\nwant:\n%s", got, want)
		}
	})
}

// FuzzWrite lets a library write packets in arbitrary pieces among
// acknowledgements: the peer must still see whole packets, all of them.
func FuzzWrite(f *testing.F) {
	f.Add(uint64(1), 10)
	f.Add(uint64(2), 200)
	f.Fuzz(func(t *testing.T, seed uint64, n int) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		s := &script{}
		left := make(chan struct{}, 1<<16)
		c := wrap(t, s, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) { return true, nil }, Acked: func(n int) {
			for range n {
				left <- struct{}{}
			}
		}})
		n = min(max(0, n), 300)
		var acks []uint16
		var library []byte
		for i := range n {
			p := packet(0x30, append([]byte{0, 1, 'a'}, make([]byte, rnd.IntN(400))...))
			library = append(library, p...)
			for len(p) > 0 {
				k := 1 + rnd.IntN(len(p))
				if _, err := c.Write(p[:k]); err != nil {
					t.Fatal(err)
				}
				p = p[k:]
				if rnd.IntN(2) == 0 {
					c.Ack(uint16(i + 1))
					acks = append(acks, uint16(i+1))
				}
			}
		}
		for range acks {
			<-left
		}
		var gotLibrary []byte
		var gotAcks []uint16
		for b := s.bytes(); len(b) > 0; {
			total := 2 + int(b[1])
			if b[1] >= 128 {
				total = 3 + int(b[1]&127) + int(b[2])<<7
			}
			if b[0] == 0x40 {
				gotAcks = append(gotAcks, uint16(b[2])<<8|uint16(b[3]))
			} else {
				gotLibrary = append(gotLibrary, b[:total]...)
			}
			b = b[total:]
		}
		if !bytes.Equal(gotLibrary, library) || fmt.Sprint(gotAcks) != fmt.Sprint(acks) {
			t.Errorf("the peer got %d bytes of the library and acks %v, want %d and %v", len(gotLibrary), gotAcks, len(library), acks)
		}
	})
}
