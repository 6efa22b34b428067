package broker

import (
	"sync"
	"time"

	"firewatch/ingest"
)

// Limits are a token bucket each for messages and bytes, of one username over
// all its connections.
type Limits struct {
	Rate      float64 // messages a second for ever
	Burst     int     // messages at once after a rest
	ByteRate  float64 // bytes a second for ever, topic and payload
	ByteBurst int     // bytes at once after a rest
}

func (l Limits) or(d Limits) Limits {
	if l.Rate <= 0 {
		l.Rate = d.Rate
	}
	if l.Burst <= 0 {
		l.Burst = d.Burst
	}
	if l.ByteRate <= 0 {
		l.ByteRate = d.ByteRate
	}
	if l.ByteBurst <= 0 {
		l.ByteBurst = d.ByteBurst
	}
	return l
}

// Flood says how much a username may send. Beyond it its messages are taken more
// slowly. A device that waits for acknowledgements is held by that for as long as
// it takes; one that pushes more than is read ahead of its turn (1,000 messages
// or 2 MiB a connection), logs in again and again, or sends many packets that are
// no publications, is ended and kept out for a while. Zero
// fields have defaults that an honest device never meets: a week of fixes a
// minute apart, one message each, goes out at full speed, and so do 500 batches
// of 500 readings. Our own roles have no limit.
type Flood struct {
	Device Limits // default 20 messages/s, 12,000 at once; 256 KiB/s, 32 MiB at once
	Team   Limits // default 50 messages/s, 12,000 at once; 256 KiB/s, 32 MiB at once
	// SOS is a bucket of a device's own for messages on its SOS topic: they pass
	// all others. Beyond it they count as the others. Default 2 messages/s, 300
	// at once; 64 KiB/s, 4 MiB at once.
	SOS Limits
	// CutAfter is how long a username may push beyond what slowing holds before it
	// is cut off.
	// Default 60 s.
	CutAfter time.Duration
	// KeepOut is how long it is then refused; it doubles with each further cut up
	// to KeepOutMax, and begins anew after a day without one. Default 1 and 15
	// minutes.
	KeepOut, KeepOutMax time.Duration
	// Hear is how often a connection of a username that is kept out is let in
	// nevertheless, for 5 s: a fire or a person may be behind the flood. Its first
	// 10 messages and its SOS are taken; what else it says is not acknowledged.
	// Default 10 s.
	Hear time.Duration
}

func (f Flood) withDefaults() Flood {
	wide := Limits{Rate: 20, Burst: 12_000, ByteRate: 256 << 10, ByteBurst: 32 << 20}
	f.Device = f.Device.or(wide)
	wide.Rate = 50
	f.Team = f.Team.or(wide)
	f.SOS = f.SOS.or(Limits{Rate: 2, Burst: 300, ByteRate: 64 << 10, ByteBurst: 4 << 20})
	for _, d := range []struct {
		v    *time.Duration
		zero time.Duration
	}{
		{&f.CutAfter, time.Minute}, {&f.KeepOut, time.Minute}, {&f.KeepOutMax, 15 * time.Minute}, {&f.Hear, 10 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.zero
		}
	}
	f.KeepOutMax = max(f.KeepOutMax, f.KeepOut)
	return f
}

const (
	loginCost  = 5              // packets: a device that connects in a loop floods too
	loseCost   = 50             // packets: and so does one that pushes, leaves and comes again
	forgetCuts = 24 * time.Hour // after which a cut is the first again
)

// bucket holds tokens of messages and bytes. The zero bucket is full.
type bucket struct {
	messages, bytes float64 // that are missing
	at              time.Time
}

func (b *bucket) refill(l *Limits, now time.Time) {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.messages = max(0, b.messages-d*l.Rate)
		b.bytes = max(0, b.bytes-d*l.ByteRate)
		b.at = now
	}
}

// take takes n messages of size bytes in all, or says how long to wait for them.
// Bytes may go into debt, so that no message is too large to pass ever.
func (b *bucket) take(l *Limits, n, size int, now time.Time) time.Duration {
	b.refill(l, now)
	var wait float64
	if over := b.messages + float64(n) - float64(l.Burst); over > 0 {
		wait = over / l.Rate
	}
	if over := b.bytes - float64(l.ByteBurst); over >= 0 {
		wait = max(wait, (over+1)/l.ByteRate)
	}
	if wait > 0 {
		return max(time.Millisecond, time.Duration(wait*float64(time.Second)))
	}
	b.messages += float64(n)
	b.bytes += float64(size)
	return 0
}

// rested reports whether a tenth of the bucket is full again.
func (b *bucket) rested(l *Limits) bool {
	return b.messages <= 0.9*float64(l.Burst) && b.bytes <= 0.9*float64(l.ByteBurst)
}

// full reports whether nothing is missing.
func (b *bucket) full() bool { return b.messages == 0 && b.bytes == 0 }

// A verdict is what is done with a message or a login.
type verdict uint8

const (
	pass   verdict = iota
	slow           // wait as long as told, then ask again
	cutOff         // end all its connections
	refuse         // it is kept out
	hear           // it is kept out, but this one may say a little
)

// meter watches one username. Its methods are pure but for its own fields;
// change reports a new state to be told.
type meter struct {
	mu      sync.Mutex
	all     bucket // messages
	sos     bucket
	talk    bucket // logins, and packets that are no messages
	state   ingest.FloodState
	pressed time.Time // since when it pushes more than slowing holds; zero: it does not
	last    time.Time // it last did
	cuts    int
	cutAt   time.Time
	until   time.Time // kept out
	heard   time.Time // when it was last let in to be heard, or cut

	telling sync.Mutex
	told    ingest.FloodState // guarded by telling
}

// message judges one message of the size. It is slowed for as long as it takes:
// what is not acknowledged holds a device that waits. See overflow for others.
func (m *meter) message(f *Flood, l *Limits, size int, sos bool, now time.Time) (v verdict, wait time.Duration, change bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sos && m.sos.take(&f.SOS, 1, size, now) == 0 {
		return pass, 0, false
	}
	if m.state == ingest.FloodCut {
		return refuse, 0, false
	}
	if wait = m.all.take(l, 1, size, now); wait == 0 {
		return pass, 0, false
	}
	return slow, wait, m.slowed()
}

// release judges the packet that completes a message of QoS 2.
func (m *meter) release(f *Flood, l *Limits, size int, now time.Time) (v verdict, wait time.Duration, change bool) {
	return m.message(f, l, size, false, now)
}

// packet judges one packet of the size that is no message.
func (m *meter) packet(f *Flood, l *Limits, size int, now time.Time) (v verdict, wait time.Duration, change bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == ingest.FloodCut {
		return refuse, 0, false
	}
	wait = m.talk.take(l, 1, size, now)
	if wait == 0 {
		return pass, 0, false
	}
	return m.press(f, now, now, 2*wait, wait)
}

// overflow judges a connection that has pushed more than is read ahead of its
// turn, from then until now.
func (m *meter) overflow(f *Flood, from, now time.Time) (v verdict, out time.Duration, change bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == ingest.FloodCut {
		return refuse, 0, false
	}
	return m.press(f, from, now, 0, 0)
}

// login judges one login.
func (m *meter) login(f *Flood, l *Limits, now time.Time) (v verdict, change bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == ingest.FloodCut {
		if now.Before(m.until) {
			if now.Sub(m.heard) < f.Hear {
				return refuse, false
			}
			m.heard = now
			return hear, false
		}
		change = m.calm(l, now)
	}
	cost := loginCost
	if m.state == ingest.FloodSlowed {
		cost = loseCost
	}
	wait := m.talk.take(l, min(cost, l.Burst), 0, now)
	if wait == 0 {
		return pass, change
	}
	v, _, more := m.press(f, now, now, 2*wait, wait)
	if v == slow {
		v = refuse
	}
	return v, change || more
}

// slowed notes that it is at its limit, and reports whether that is new.
func (m *meter) slowed() bool {
	was := m.state
	m.state = ingest.FloodSlowed
	return was != ingest.FloodSlowed
}

// press counts how long it has pushed. A pause of half the time, or of what it
// may have been told to wait, begins the count anew.
func (m *meter) press(f *Flood, from, now time.Time, pause, wait time.Duration) (v verdict, _ time.Duration, change bool) {
	if m.pressed.IsZero() || from.Sub(m.last) > max(f.CutAfter/2, pause) {
		m.pressed = from
	}
	m.last = now
	if now.Sub(m.pressed) < f.CutAfter {
		return slow, wait, m.slowed()
	}
	if now.Sub(m.cutAt) > forgetCuts {
		m.cuts = 0
	}
	out := min(f.KeepOut<<min(m.cuts, 20), f.KeepOutMax)
	if out <= 0 { // it overflowed
		out = f.KeepOutMax
	}
	m.cuts++
	m.state, m.cutAt, m.heard, m.until, m.pressed = ingest.FloodCut, now, now, now.Add(out), time.Time{}
	return cutOff, out, true
}

// calm ends what is over, and reports whether that is a change.
func (m *meter) calm(l *Limits, now time.Time) bool {
	m.all.refill(l, now)
	m.talk.refill(l, now)
	switch m.state {
	case ingest.FloodCut:
		if now.Before(m.until) {
			return false
		}
	case ingest.FloodSlowed:
		if !m.all.rested(l) || !m.talk.rested(l) {
			return false
		}
	case ingest.FloodNone:
		return false
	}
	m.state, m.pressed = ingest.FloodNone, time.Time{}
	return true
}

// settle is calm for a username that says nothing, and reports whether the meter
// need not be kept.
func (m *meter) settle(f *Flood, l *Limits, now time.Time) (change, idle bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change = m.calm(l, now)
	m.sos.refill(&f.SOS, now)
	idle = m.state == ingest.FloodNone && m.all.full() && m.sos.full() && m.talk.full() && now.Sub(m.cutAt) > forgetCuts
	return change, idle
}

func (m *meter) now() ingest.FloodState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}
