package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"firewatch/ingest"
)

// a session of the meter: what a device sends, and what becomes of it.
type metered struct {
	f   Flood
	m   meter
	now time.Time
}

func newMetered() *metered {
	return &metered{f: Flood{}.withDefaults(), now: time.Unix(1_800_000_000, 0)}
}

// push sends one message of 100 bytes after another for so long, without ever
// waiting for an acknowledgement, and returns how many passed and how it ended.
func (m *metered) push(d time.Duration) (passed int, last verdict) {
	ahead := 0 // what a connection has read ahead
	for end := m.now.Add(d); m.now.Before(end); {
		v, wait, _ := m.m.message(&m.f, &m.f.Device, 100, false, m.now)
		switch v {
		case pass:
			passed++
			m.now = m.now.Add(100 * time.Microsecond)
		case slow:
			from := m.now
			m.now = m.now.Add(wait)
			if ahead = min(ahead+10, heldMessages); ahead == heldMessages {
				v, _, _ = m.m.overflow(&m.f, from, m.now)
			}
		case cutOff, refuse, hear:
		}
		if v == cutOff || v == refuse {
			return passed, v
		}
		last = v
	}
	return passed, last
}

// TestABacklogThatWaitsIsNeverCut has a device that was away for six days, sends
// what it kept as fast as it is acknowledged, pings, and now and then loses its
// connection.
func TestABacklogThatWaitsIsNeverCut(t *testing.T) {
	for _, every := range []time.Duration{time.Minute, 30 * time.Second, 10 * time.Second} {
		t.Run(every.String(), func(t *testing.T) {
			m := newMetered()
			begin, pinged, came := m.now, m.now, m.now.Add(-time.Hour)
			for left := int(6 * 24 * time.Hour / every); left > 0; {
				if m.now.Sub(came) > 20*time.Second {
					if v, _ := m.m.login(&m.f, &m.f.Device, m.now); v != pass {
						t.Fatalf("login %s later: %v", m.now.Sub(begin), v)
					}
					came = m.now
				}
				if m.now.Sub(pinged) > 15*time.Second {
					if v, _, _ := m.m.packet(&m.f, &m.f.Device, 2, m.now); v != pass {
						t.Fatalf("ping %s later: %v", m.now.Sub(begin), v)
					}
					pinged = m.now
				}
				v, wait, _ := m.m.message(&m.f, &m.f.Device, 200, false, m.now)
				switch v {
				case pass:
					left--
					m.now = m.now.Add(2 * time.Millisecond)
				case slow:
					m.now = m.now.Add(wait)
				case cutOff, refuse, hear:
					t.Fatalf("%d left after %s: %v", left, m.now.Sub(begin), v)
				}
			}
			if m.m.cuts > 0 {
				t.Errorf("cut off %d times", m.m.cuts)
			}
			if took := m.now.Sub(begin); took > time.Hour {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestHonestBacklogsPassUntouched(t *testing.T) {
	tests := []struct {
		name        string
		count, size int
	}{
		{"six hours at a fix a minute, one by one", 360, 165},
		{"a week at a fix a minute, one by one", 7 * 24 * 60, 165},
		{"500 batches of 500 readings", 500, 64 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMetered()
			for i := range tt.count {
				if v, wait, _ := m.m.message(&m.f, &m.f.Device, tt.size, false, m.now); v != pass {
					t.Fatalf("message %d: %v, wait %s", i, v, wait)
				}
			}
		})
	}
}

func TestAFlooderIsSlowedThenCutThenBack(t *testing.T) {
	m := newMetered()
	begin := m.now
	passed, last := m.push(time.Hour)
	if last != cutOff {
		t.Fatalf("it ended with %v", last)
	}
	if want := m.f.Device.Burst + heldMessages/10 + int(m.f.CutAfter.Seconds()*m.f.Device.Rate); passed < m.f.Device.Burst || passed > want+2*m.f.Device.Burst/10 {
		t.Errorf("%d messages passed, want about %d", passed, want)
	}
	if took := m.now.Sub(begin); took < m.f.CutAfter || took > 2*m.f.CutAfter {
		t.Errorf("it was cut after %s", took)
	}
	// Refused, but for one connection now and then, that is heard for SOS.
	if v, _ := m.m.login(&m.f, &m.f.Device, m.now.Add(time.Second)); v != refuse {
		t.Errorf("login after the cut: %v", v)
	}
	if v, _ := m.m.login(&m.f, &m.f.Device, m.now.Add(m.f.Hear)); v != hear {
		t.Errorf("login later: %v", v)
	}
	if v, _ := m.m.login(&m.f, &m.f.Device, m.now.Add(m.f.Hear+time.Second)); v != refuse {
		t.Errorf("login after one that was heard: %v", v)
	}
	if v, _, _ := m.m.message(&m.f, &m.f.Device, 100, true, m.now.Add(m.f.Hear)); v != pass {
		t.Errorf("SOS of one that is kept out: %v", v)
	}
	if v, _, _ := m.m.message(&m.f, &m.f.Device, 100, false, m.now.Add(m.f.Hear)); v != refuse {
		t.Errorf("position of one that is kept out: %v", v)
	}
	m.now = m.now.Add(m.f.KeepOut)
	if v, change := m.m.login(&m.f, &m.f.Device, m.now); v != pass || !change || m.m.now() != ingest.FloodNone {
		t.Errorf("login when the time is over: %v, change %v, state %v", v, change, m.m.now())
	}
}

func TestEachCutKeepsOutLonger(t *testing.T) {
	m := newMetered()
	for _, minutes := range []int{1, 2, 4, 8, 15, 15} {
		want := time.Duration(minutes) * time.Minute
		if _, v := m.push(time.Hour); v != cutOff {
			t.Fatalf("not cut: %v", v)
		}
		if out := m.m.until.Sub(m.now); out != want {
			t.Errorf("kept out for %s, want %s", out, want)
		}
		m.now = m.m.until
		m.m.login(&m.f, &m.f.Device, m.now)
	}
	m.now = m.now.Add(48 * time.Hour)
	m.push(time.Hour)
	if out := m.m.until.Sub(m.now); out != time.Minute {
		t.Errorf("after two quiet days kept out for %s", out)
	}
}

func TestSOSHasItsOwnBucket(t *testing.T) {
	m := newMetered()
	m.push(30 * time.Second)
	if m.m.now() != ingest.FloodSlowed {
		t.Fatalf("state %v", m.m.now())
	}
	for i := range m.f.SOS.Burst {
		if v, _, _ := m.m.message(&m.f, &m.f.Device, 100, true, m.now); v != pass {
			t.Fatalf("SOS %d: %v", i, v)
		}
	}
	m.m.message(&m.f, &m.f.Device, 100, true, m.now) // the last that the limit for all allows
	if v, _, _ := m.m.message(&m.f, &m.f.Device, 100, true, m.now); v != slow {
		t.Errorf("a flood of SOS: %v", v)
	}
}

func TestALoopOfLoginsFloods(t *testing.T) {
	m := newMetered()
	for range m.f.Device.Burst / loginCost {
		if v, _ := m.m.login(&m.f, &m.f.Device, m.now); v != pass {
			t.Fatalf("%v", v)
		}
	}
	if v, change := m.m.login(&m.f, &m.f.Device, m.now); v != refuse || !change {
		t.Errorf("%v, change %v", v, change)
	}
}

func TestSlowedEndsByItself(t *testing.T) {
	m := newMetered()
	m.push(time.Second)
	m.push(10 * time.Second)
	if change, _ := m.m.settle(&m.f, &m.f.Device, m.now.Add(time.Second)); change || m.m.now() != ingest.FloodSlowed {
		t.Error("it is calm at once")
	}
	if change, idle := m.m.settle(&m.f, &m.f.Device, m.now.Add(2*time.Minute)); !change || idle || m.m.now() != ingest.FloodNone {
		t.Error("it is not calm after two minutes")
	}
	if change, idle := m.m.settle(&m.f, &m.f.Device, m.now.Add(time.Hour)); change || !idle {
		t.Error("it is not forgotten after an hour")
	}
}

// TestOurOwnDelayIsNotTheDevices has the login's time pass before anybody reads.
func TestOurOwnDelayIsNotTheDevices(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	device, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := device.Write([]byte("CONNECT")); err != nil {
		t.Fatal(err)
	}
	p := &patient{Conn: c}
	_ = c.SetReadDeadline(time.Now().Add(-time.Minute))
	b := make([]byte, 100)
	if n, err := p.Read(b); string(b[:n]) != "CONNECT" {
		t.Errorf("read %q: %v", b[:n], err)
	}
	// A device that says nothing is ended all the same, and so is one that says a
	// byte a second.
	_ = c.SetReadDeadline(time.Now().Add(-time.Minute))
	if _, err := p.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing was sent: %v", err)
	}
	for i := 0; ; i++ {
		if i > 2*graces {
			t.Fatal("it may go on for ever")
		}
		if _, err := device.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(-time.Minute))
		if _, err := io.ReadFull(p, b[:1]); err != nil {
			break
		}
	}
}
