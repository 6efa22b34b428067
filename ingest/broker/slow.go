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
	heldBytes    = 256 << 10
	allHeld      = 64 << 20 // bytes, of all connections; beyond it each holds one message
	// What a connection may say beside SOS while its username is kept out.
	heardBytes = 1 << 20
	heardTime  = 5 * time.Second
)

type held struct {
	m    ingest.Message
	size int
}

// judge asks the user's meter.
func (c *conn) judge(size int, sos bool, now time.Time) (verdict, time.Duration) {
	us := &c.h.users
	v, wait, change := c.user.meter.message(us.flood, c.limits, size, sos, now)
	if v == refuse && !c.onlySOS.Load() {
		v = cutOff // it was cut while this one was connected
	}
	if change {
		us.tell(c.user, c.principal, now, wait)
	}
	if v == cutOff {
		for _, other := range us.of(c.user.name) {
			if !other.onlySOS.Load() {
				other.end(packets.ErrMessageRateTooHigh)
			}
		}
	}
	return v, wait
}

// unheard passes over what a connection says that is heard for SOS only.
func (c *conn) unheard(size int) error {
	if c.heard += size; c.heard > heardBytes {
		return errCut
	}
	return nil
}

// behind puts the message behind those that are held, if there are any.
func (c *conn) behind(m ingest.Message, size int) bool {
	c.mu.Lock()
	some := c.dripped
	c.mu.Unlock()
	if some {
		c.hold(m, size)
	}
	return some
}

// hold keeps the message until the limit allows it, and waits while too many are
// kept. What is held is lost with the connection: the device sends it again.
func (c *conn) hold(m ingest.Message, size int) {
	c.mu.Lock()
	for c.bytes > 0 && (len(c.held) >= heldMessages || c.bytes+size > heldBytes || c.h.held.Load() > allHeld) {
		room := c.room
		if room == nil {
			room = make(chan struct{})
			c.room = room
		}
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.Done():
			return
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
		<-c.Done() // it is being ended
	}
}

// free wakes the reader that waits for room; the caller holds mu.
func (c *conn) free() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// metered counts a packet that wire has left to mochi, and waits as long as the
// limit says. An error ends the connection.
func (c *conn) metered(pk *packets.Packet) error {
	if c.limits == nil {
		return nil
	}
	sos := pk.FixedHeader.Type == packets.Publish && c.topic(pk.TopicName).sos
	for {
		v, wait := c.judge(pk.FixedHeader.Remaining, sos, time.Now())
		switch v {
		case pass:
			return nil
		case slow:
			t := time.NewTimer(wait)
			select {
			case <-t.C:
				continue
			case <-c.Done():
				t.Stop()
			}
		case refuse:
			if pk.FixedHeader.Type != packets.Publish && c.unheard(pk.FixedHeader.Remaining+2) == nil {
				return nil // it must ping to be heard
			}
		case cutOff, hear:
		}
		return packets.ErrRejectPacket // no other error of a hook ends the connection
	}
}
