package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"firewatch/ingest"
)

const (
	// What a slowed connection may have sent ahead of its turn: read, so that an
	// SOS behind it is found, and not yet taken.
	heldMessages = 1000
	heldBytes    = 2 << 20
	allHeld      = 64 << 20 // bytes, of all connections; beyond it each holds one message
	// What a connection may say while its username is kept out: so many messages
	// are taken, and so many bytes more are read.
	heardMessages = 10
	heardBytes    = 1 << 20
	heardTime     = 5 * time.Second
)

type held struct {
	m    ingest.Message
	size int
}

// judge asks the user's meter about a message.
func (c *conn) judge(size int, sos bool, now time.Time) (verdict, time.Duration) {
	v, wait, change := c.user.meter.message(c.h.users.flood, c.limits, size, sos, now)
	return c.judged(v, wait, change, now), wait
}

// judged makes a change known, and ends the user's connections when it is cut
// off, but for those that are heard.
func (c *conn) judged(v verdict, wait time.Duration, change bool, now time.Time) verdict {
	us := &c.h.users
	if v == refuse && !c.little.Load() {
		v = cutOff // it was cut while this one was connected
	}
	if change {
		us.tell(c.user, c.principal, now, wait)
	}
	if v == cutOff {
		for _, other := range us.of(c.user.name) {
			if !other.little.Load() {
				other.silence(packets.ErrMessageRateTooHigh)
			}
		}
	}
	return v
}

// silence ends the connection for a reason that makes its last will void too.
func (c *conn) silence(why packets.Code) {
	c.mute.Store(true)
	c.end(why)
}

// uplink takes the message when it may be taken. An error ends the connection.
func (c *conn) uplink(m ingest.Message, sos bool) error {
	size := len(m.Topic) + len(m.Payload)
	if c.limits == nil {
		return c.put(m)
	}
	if !sos {
		if held, err := c.behind(m, size); held {
			return err
		}
	}
	switch v, _ := c.judge(size, sos, m.Received); v {
	case pass:
		return c.put(m)
	case slow:
		return c.hold(m, size)
	case refuse:
		if ok, err := c.listen(size); !ok {
			return err
		}
		return c.put(m)
	case cutOff, hear:
	}
	return errCut
}

// listen reports whether a message of a connection that is heard while its
// username is kept out is one of the few that are taken.
func (c *conn) listen(size int) (bool, error) {
	if c.few < heardMessages {
		c.few++
		return true, nil
	}
	return false, c.unheard(size)
}

// unheard passes over what a connection says beyond the few messages.
func (c *conn) unheard(size int) error {
	if c.heard += size; c.heard > heardBytes {
		return errCut
	}
	return nil
}

// behind puts the message behind those that are held, if there are any.
func (c *conn) behind(m ingest.Message, size int) (bool, error) {
	c.mu.Lock()
	some := c.dripped
	c.mu.Unlock()
	if !some {
		return false, nil
	}
	return true, c.hold(m, size)
}

// hold keeps the message until the limit allows it, and waits while too many are
// kept. What is held is lost with the connection: the device sends it again. A
// device that waits for acknowledgements never fills what may be held; one that
// keeps it full is cut off.
func (c *conn) hold(m ingest.Message, size int) error {
	c.mu.Lock()
	for c.bytes > 0 {
		full := len(c.held) >= heldMessages || c.bytes+size > heldBytes
		if !full && c.h.held.Load() <= allHeld {
			break
		}
		room := c.wake()
		c.mu.Unlock()
		from := time.Now()
		select {
		case <-room:
		case <-c.Done():
			return c.Err()
		}
		if now := time.Now(); full { // else others fill it
			v, out, change := c.user.meter.overflow(c.h.users.flood, from, now)
			if v = c.judged(v, out, change, now); v != slow && v != refuse {
				return errCut
			}
		}
		c.mu.Lock()
	}
	c.held = append(c.held, held{m, size})
	c.bytes += size
	c.h.held.Add(int64(size))
	if !c.dripped {
		c.dripped = true
		go c.drip()
	}
	c.mu.Unlock()
	return c.Err()
}

// settled waits until nothing is held any more.
func (c *conn) settled() error {
	for {
		c.mu.Lock()
		if !c.dripped {
			c.mu.Unlock()
			return nil
		}
		room := c.wake()
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.Done():
			return c.Err()
		}
	}
}

// drip takes the held messages as the limit allows.
func (c *conn) drip() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		c.mu.Lock()
		if len(c.held) == 0 || c.Err() != nil {
			c.h.held.Add(-int64(c.bytes))
			c.held, c.bytes, c.dripped = nil, 0, false
			c.free()
			c.mu.Unlock()
			return
		}
		next := c.held[0]
		c.mu.Unlock()
		if c.h.draining.Load() {
			<-c.Done()
			continue
		}
		v, wait := c.judge(next.size, false, time.Now())
		if v == slow {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-c.Done():
			}
			continue
		}
		if v == pass && c.put(next.m) == nil {
			c.mu.Lock()
			c.held[0] = held{}
			c.held = c.held[1:]
			c.bytes -= next.size
			c.h.held.Add(-int64(next.size))
			c.free()
			c.mu.Unlock()
			continue
		}
		// One that is heard is not among those that the cut has ended.
		c.silence(packets.ErrMessageRateTooHigh)
		<-c.Done()
	}
}

// wake is closed when held messages have gone; the caller holds mu.
func (c *conn) wake() <-chan struct{} {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// free wakes the reader that waits for room; the caller holds mu.
func (c *conn) free() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// metered counts a packet that is no message, and waits as long as the limit
// says. An error ends the connection.
func (c *conn) metered(pk *packets.Packet) error {
	if c.limits == nil {
		return nil
	}
	size := pk.FixedHeader.Remaining + 2
	ask := (*meter).packet
	if pk.FixedHeader.Type == packets.Pubrel { // of a message that was slowed already
		ask = (*meter).release
	}
	switch c.wait(func(now time.Time) (verdict, time.Duration, bool) {
		return ask(&c.user.meter, c.h.users.flood, c.limits, size, now)
	}) {
	case pass:
		return nil
	case refuse:
		if c.unheard(size) == nil {
			return nil // it must ping to be heard
		}
	case slow, cutOff, hear:
	}
	return packets.ErrRejectPacket // no other error of a hook ends the connection
}

// turned waits until a message that cannot be held may be taken, after those that
// are, and reports whether it may. An error ends the connection.
func (c *conn) turned(size int, sos bool) (bool, error) {
	if c.limits == nil {
		return true, nil
	}
	if !sos {
		if err := c.settled(); err != nil {
			return false, err
		}
	}
	switch c.wait(func(now time.Time) (verdict, time.Duration, bool) {
		return c.user.meter.message(c.h.users.flood, c.limits, size, sos, now)
	}) {
	case pass:
		return true, nil
	case refuse:
		return c.listen(size)
	case slow, cutOff, hear:
	}
	return false, errCut
}

// wait asks until the answer is no longer to wait; cutOff when the connection has
// ended.
func (c *conn) wait(ask func(time.Time) (verdict, time.Duration, bool)) verdict {
	for {
		now := time.Now()
		v, wait, change := ask(now)
		if v = c.judged(v, wait, change, now); v != slow {
			return v
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-c.Done():
			t.Stop()
			return cutOff
		}
	}
}
