package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/ingest/wire"
)

func connect(version byte) []byte {
	name := "MQTT"
	if version == wire.V31 {
		name = "MQIsdp"
	}
	b := append([]byte{0, byte(len(name))}, name...)
	b = append(b, version, 2, 0, 60)
	if version == wire.V5 {
		b = append(b, 0)
	}
	b = append(b, 0, 1, 'c')
	return packet(0x10, b)
}

func packet(first byte, body []byte) []byte {
	b := []byte{first}
	n := len(body)
	for {
		c := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			b = append(b, c|0x80)
			continue
		}
		return append(append(b, c), body...)
	}
}

func publish(version, qos byte, id uint16, topic, payload string) []byte {
	b := append([]byte{byte(len(topic) >> 8), byte(len(topic))}, topic...)
	if qos > 0 {
		b = append(b, byte(id>>8), byte(id))
	}
	if version == wire.V5 {
		b = append(b, 0)
	}
	return packet(0x30|qos<<1, append(b, payload...))
}

var (
	ping      = []byte{0xc0, 0}
	puback7   = []byte{0x40, 2, 0, 7}
	subscribe = packet(0x82, []byte{0, 9, 0, 1, 'a', 1})
)

// script is a connection that reads the given pieces, then EOF, and keeps what
// is written.
type script struct {
	net.Conn // nil: the rest is not for use
	pieces   [][]byte

	mu      sync.Mutex
	written bytes.Buffer
	closed  bool
}

func (s *script) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 {
		if len(s.pieces[0]) == 0 {
			s.pieces = s.pieces[1:]
			continue
		}
		n := copy(p, s.pieces[0])
		s.pieces[0] = s.pieces[0][n:]
		return n, nil
	}
	return 0, io.EOF
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.Write(p)
}

func (s *script) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.written.Bytes())
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

func wrap(tb testing.TB, c net.Conn, o wire.Options) *wire.Conn {
	tb.Helper()
	conn, err := wire.New(c, o)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

func TestPublicationsLeaveTheStream(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	props := packet(0x32, []byte{0, 1, 'a', 0, 1, 3, 35, 0, 1, 'p'}) // MQTT 5 with a topic alias
	for name, tt := range map[string]struct {
		version byte
		in      [][]byte
		library [][]byte
		taken   []string
	}{
		"between the library's packets": {
			in:      [][]byte{connect(4), publish(4, 1, 7, "a", "one"), ping, publish(4, 0, 0, "a/b", ""), subscribe},
			library: [][]byte{connect(4), ping, subscribe},
			taken:   []string{"a=one", "a/b="},
		},
		"of a client that knows its version": {
			version: wire.V311,
			in:      [][]byte{{0x20, 2, 1, 0}, publish(4, 1, 7, "a", "one"), puback7},
			library: [][]byte{{0x20, 2, 1, 0}, puback7},
			taken:   []string{"a=one"},
		},
		"MQTT 3.1": {in: [][]byte{connect(3), publish(3, 1, 7, "a", "one")}, library: [][]byte{connect(3)}, taken: []string{"a=one"}},
		"MQTT 5 without properties": {
			in:      [][]byte{connect(5), publish(5, 1, 7, "a", "one"), props},
			library: [][]byte{connect(5), props},
			taken:   []string{"a=one"},
		},
		"not before CONNECT":       {in: [][]byte{publish(4, 1, 7, "a", "x")}, library: [][]byte{publish(4, 1, 7, "a", "x")}},
		"not of an unknown MQTT":   {in: [][]byte{connect(9), publish(4, 1, 7, "a", "x")}, library: [][]byte{connect(9), publish(4, 1, 7, "a", "x")}},
		"not QoS 2":                {version: 4, in: [][]byte{publish(4, 2, 7, "a", "x")}, library: [][]byte{publish(4, 2, 7, "a", "x")}},
		"not QoS 3":                {version: 4, in: [][]byte{publish(4, 3, 7, "a", "x")}, library: [][]byte{publish(4, 3, 7, "a", "x")}},
		"not packet id 0":          {version: 4, in: [][]byte{publish(4, 1, 0, "a", "x")}, library: [][]byte{publish(4, 1, 0, "a", "x")}},
		"not without a topic":      {version: 4, in: [][]byte{publish(4, 1, 7, "", "x")}, library: [][]byte{publish(4, 1, 7, "", "x")}},
		"not with a wildcard":      {version: 4, in: [][]byte{publish(4, 1, 7, "a/+", "x")}, library: [][]byte{publish(4, 1, 7, "a/+", "x")}},
		"not with bad UTF-8":       {version: 4, in: [][]byte{publish(4, 1, 7, "\xff", "x")}, library: [][]byte{publish(4, 1, 7, "\xff", "x")}},
		"not a duplicate of QoS 0": {version: 4, in: [][]byte{packet(0x38, []byte{0, 1, 'a'})}, library: [][]byte{packet(0x38, []byte{0, 1, 'a'})}},
		"not cut short inside":     {version: 4, in: [][]byte{packet(0x32, []byte{0, 9, 'a'}), ping}, library: [][]byte{packet(0x32, []byte{0, 9, 'a'}), ping}},
		"not larger than the buffer": {
			version: 4,
			in:      [][]byte{publish(4, 1, 7, "a", long), publish(4, 1, 8, "a", "x")},
			library: [][]byte{publish(4, 1, 7, "a", long)},
			taken:   []string{"a=x"},
		},
		"as large as the buffer": {version: 4, in: [][]byte{publish(4, 1, 7, "a", long[:65_000])}, taken: []string{"a=" + long[:65_000]}},
		"not after a length without end": {
			version: 4,
			in:      [][]byte{{0x30, 0xff, 0xff, 0xff, 0xff, 1}, publish(4, 1, 8, "a", "x")},
			library: [][]byte{{0x30, 0xff, 0xff, 0xff, 0xff, 1}, publish(4, 1, 8, "a", "x")},
		},
		"not what the callback does not want": {
			version: 4,
			in:      [][]byte{publish(4, 1, 7, "no", "x"), publish(4, 1, 8, "a", "x")},
			library: [][]byte{publish(4, 1, 7, "no", "x")},
			taken:   []string{"a=x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
				var taken []string
				c := wrap(t, &script{pieces: cut(bytes.Join(tt.in, nil), piece)}, wire.Options{
					Version: tt.version,
					Publish: func(p wire.Publish) (bool, error) {
						if p.Topic == "no" {
							return false, nil
						}
						taken = append(taken, p.Topic+"="+string(p.Payload))
						return true, nil
					},
				})
				library, err := io.ReadAll(c)
				if err != nil {
					t.Fatal(err)
				}
				if want := bytes.Join(tt.library, nil); !bytes.Equal(library, want) {
					t.Errorf("in pieces of %d bytes the library got %.80q, want %.80q", piece, library, want)
				}
				if got, want := strings.Join(taken, ","), strings.Join(tt.taken, ","); got != want {
					t.Errorf("in pieces of %d bytes taken: %.80q, want %.80q", piece, got, want)
				}
			}
		})
	}
}

func cut(b []byte, n int) [][]byte {
	var out [][]byte
	for len(b) > n {
		out = append(out, b[:n])
		b = b[n:]
	}
	return append(out, b)
}

func TestFieldsOfAPublication(t *testing.T) {
	in := publish(4, 1, 0x1234, "fw/v1/x", "payload")
	in[0] |= 0x09 // dup and retain
	var got wire.Publish
	c := wrap(t, &script{pieces: [][]byte{in}}, wire.Options{Version: 4, Publish: func(p wire.Publish) (bool, error) {
		got = p
		return true, nil
	}})
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	if got.ID != 0x1234 || got.QoS != 1 || !got.Dup || !got.Retain || got.Topic != "fw/v1/x" || string(got.Payload) != "payload" {
		t.Errorf("got %+v", got)
	}
	if cap(got.Payload) > 16 && cap(got.Payload) >= len(in) {
		t.Error("the payload is not the receiver's own")
	}
}

// A broker has checked a CONNECT when it reads on: what follows in the same
// segment must not overtake that.
func TestLibraryReadsWhatCameBefore(t *testing.T) {
	taken := false
	in := bytes.Join([][]byte{connect(4), publish(4, 1, 7, "a", "x"), ping}, nil)
	c := wrap(t, &script{pieces: [][]byte{in}}, wire.Options{Publish: func(wire.Publish) (bool, error) {
		taken = true
		return true, nil
	}})
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil || !bytes.Equal(b[:n], connect(4)) || taken {
		t.Fatalf("read %q, %v, taken %t; want CONNECT alone", b[:n], err, taken)
	}
	if n, err = c.Read(b); err != nil || !bytes.Equal(b[:n], ping) || !taken {
		t.Fatalf("then read %q, %v, taken %t", b[:n], err, taken)
	}
}

func TestErrorsEndTheStream(t *testing.T) {
	full := errors.New("full")
	for name, tt := range map[string]struct {
		o    wire.Options
		want error
	}{
		"of the callback":    {wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) { return false, full }}, full},
		"a packet too large": {wire.Options{Version: 4, MaxPacket: 10, Publish: func(wire.Publish) (bool, error) { return true, nil }}, wire.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			c := wrap(t, &script{pieces: [][]byte{publish(4, 1, 7, "a", "payload"), ping}}, tt.o)
			for range 2 {
				if n, err := c.Read(make([]byte, 10)); n != 0 || !errors.Is(err, tt.want) {
					t.Errorf("read %d bytes, %v; want %v", n, err, tt.want)
				}
			}
		})
	}
}

func TestAcksGoOutInOrderInFewWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		acked := 0
		c := wrap(t, s, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) { return true, nil }, Acked: func(n int) { acked += n }})
		var want []byte
		for id := uint16(1); id <= 300; id++ {
			c.Ack(id)
			want = append(want, 0x40, 2, byte(id>>8), byte(id))
		}
		synctest.Wait()
		if !bytes.Equal(s.bytes(), want) || acked != 300 {
			t.Errorf("%d told, written %x", acked, s.bytes())
		}
	})
}

func TestAckNeverLandsInsideAPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		c := wrap(t, s, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) { return true, nil }})
		write := func(b []byte) {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		write(subscribe[:1])
		c.Ack(7)
		synctest.Wait()
		write(subscribe[1:4])
		synctest.Wait()
		if !bytes.Equal(s.bytes(), subscribe[:4]) {
			t.Fatalf("written %x inside a packet", s.bytes())
		}
		write(append(bytes.Clone(subscribe[4:]), ping[0]))
		synctest.Wait()
		write(ping[1:])
		synctest.Wait()
		if want := bytes.Join([][]byte{subscribe, ping, puback7}, nil); !bytes.Equal(s.bytes(), want) {
			t.Errorf("written %x, want %x", s.bytes(), want)
		}
	})
}

func TestAcksOfAnEndedConnectionAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		told := 0
		c := wrap(t, s, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) { return true, nil }, Acked: func(n int) { told += n }})
		_, _ = c.Write(subscribe[:1])
		c.Ack(1) // waits for the rest of the packet
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c.Ack(2)
		synctest.Wait()
		if len(s.bytes()) != 1 || told != 2 {
			t.Errorf("written %x, %d told; want 2 dropped", s.bytes(), told)
		}
	})
}

func TestPeerThatDoesNotReadEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe() // its writes wait for the reader
		defer there.Close()
		told := 0
		c := wrap(t, here, wire.Options{
			Version: 4, WriteTimeout: 3 * time.Second, Acked: func(n int) { told += n },
			Publish: func(wire.Publish) (bool, error) { return true, nil },
		})
		began := time.Now()
		c.Ack(1) // must not wait
		if time.Since(began) != 0 {
			t.Fatal("Ack waited for the peer")
		}
		// The library's own deadlines change nothing in that.
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		// Of a connection that is merely closed paho thinks that it did that itself,
		// and goes on waiting.
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), "closed") {
			t.Errorf("the reader met %v, want why the connection was closed", err)
		}
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("ended after %s, want the write timeout", d)
		}
		synctest.Wait()
		if told != 1 {
			t.Errorf("%d told, want the one that was dropped", told)
		}
	})
}

func TestTakenPacketsExtendTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		c := wrap(t, here, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) { return true, nil }})
		go func() {
			for range 5 {
				time.Sleep(40 * time.Second)
				_, _ = there.Write(publish(4, 0, 0, "a", "x"))
			}
			time.Sleep(40 * time.Second)
			_, _ = there.Write(publish(4, 0, 0, "a", "x")[:3]) // a part of a packet is no sign of life
		}()
		began := time.Now()
		if err := c.SetDeadline(began.Add(60 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		if d := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || d != 260*time.Second {
			t.Errorf("%v after %s, want the deadline 60 s after the last packet at 200 s", err, d)
		}
		// The library may read on after a deadline.
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		began = time.Now()
		if _, err = c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		// What is written goes by the deadline that was moved on, too.
		_ = c.SetDeadline(time.Time{})
		go func() { _, _ = there.Read(make([]byte, 1)) }()
		if _, err = c.Write([]byte{0xc0}); err != nil {
			t.Error(err)
		}
	})
}

func TestBlockedCallbackStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		release := make(chan struct{})
		c := wrap(t, here, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) {
			<-release
			return true, nil
		}})
		go func() { _, _ = c.Read(make([]byte, 1)) }()
		sent := 0
		go func() {
			for range 2 {
				if _, err := there.Write(publish(4, 1, 1, "a", "x")); err != nil {
					return
				}
				sent++
			}
		}()
		synctest.Wait()
		if sent != 1 {
			t.Errorf("%d messages were read while the first was not handed over", sent)
		}
		close(release)
		synctest.Wait()
		if sent != 2 {
			t.Error("reading did not go on")
		}
		_ = c.Close()
	})
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	ok := func(wire.Publish) (bool, error) { return true, nil }
	for want, o := range map[string]wire.Options{
		"Publish":   {},
		"Version":   {Publish: ok, Version: 6},
		"MaxBuffer": {Publish: ok, MaxBuffer: 100},
		"MaxPacket": {Publish: ok, MaxPacket: -1},
	} {
		if _, err := wire.New(&script{}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
	if _, err := wire.New(nil, wire.Options{Publish: ok}); err == nil {
		t.Error("no error without a connection")
	}
}

func TestOneAllocationPerMessageOfADevice(t *testing.T) {
	const n = 1000
	in := bytes.Repeat(publish(4, 1, 7, "fw/v1/trackers/a/positions", strings.Repeat("x", 150)), n)
	s := &script{}
	got := 0
	c := wrap(t, s, wire.Options{Version: 4, Publish: func(wire.Publish) (bool, error) {
		got++
		return true, nil
	}})
	b := make([]byte, 1)
	allocs := testing.AllocsPerRun(5, func() {
		s.pieces = [][]byte{in}
		_, _ = c.Read(b)
	})
	if got < n || allocs > n*1.1 {
		t.Errorf("%.0f allocations for %d messages", allocs, n)
	}
}
