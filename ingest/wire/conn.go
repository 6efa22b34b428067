package wire

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	minBuffer = 2 << 10  // bytes; what a connection keeps that says little
	bigBuffer = 64 << 10 // bytes; what it has while reads fill that
)

// buffers lends the big ones.
var buffers = sync.Pool{New: func() any { return new([bigBuffer]byte) }}

// Options configures a Conn. Publish is required.
type Options struct {
	// Publish gets each publication in order, on the goroutine that calls Read,
	// and after the library has read everything that came before. While it blocks
	// nothing is read. Not taken: the library gets the packet. An error ends the
	// stream: Read returns it, now and later.
	Publish func(p Publish) (taken bool, err error)
	// Version is that of a client's session: V31, V311 or V5. 0 is for the server's
	// side: it is learnt from the CONNECT packet that is read, and nothing is
	// taken out before.
	Version byte
	// Acked, if set, is told when n more acknowledgements have been written, or
	// dropped because the connection has ended. It must not block.
	Acked func(n int)
	// MaxPacket ends the stream with ErrTooLarge at a packet of more bytes. 0: no
	// limit here, and the library sees the packet.
	MaxPacket int
	// MaxConnect is MaxPacket for the server's side and the first packet alone,
	// which has nearly the buffer that is kept for a connection that says little:
	// nobody has logged in yet. 0: no limit but MaxPacket.
	MaxConnect int
	// MaxBuffer bounds the buffer for what is read, 4 KiB to 1 MiB; default 64 KiB.
	// A publication that does not fit goes to the library.
	MaxBuffer int
	// Pace makes Read wait up to 2 ms for more while much comes: fewer system
	// calls and wake-ups for a delay that small. It has an effect on TCP without
	// TLS on Linux. For the client's side: a server has many connections with
	// little on each.
	Pace bool
	// WriteTimeout bounds one write of acknowledgements to a peer that does not
	// read; then the connection ends. Default 10 s.
	WriteTimeout time.Duration
}

// Conn is a net.Conn for an MQTT library. One goroutine reads; any number may
// write, acknowledge, set deadlines and close.
//
// What it relies on: the library reads on one goroutine, and has dealt with what
// it read before it reads on (so it has checked a client's CONNECT before the
// first publication is taken out). And each Write holds whole packets, so an
// acknowledgement may follow it. paho v1.5.1 packs each packet into a
// bytes.Buffer and writes that once (packets/*.go; pings come from a goroutine
// of their own); mochi v2.7.9 writes one packet, or its buffer of several, under
// the client's lock (clients.go, WritePacket and flushOutbuf). Should a Write
// end inside a packet, acknowledgements wait for the rest.
type Conn struct {
	net.Conn
	o Options

	// Of the goroutine that reads.
	buf     []byte
	own     []byte // the small buffer
	lent    *[bigBuffer]byte
	r, w    int  // buf[r:w] is read and not yet passed on
	dry     bool // the last read took all that there was
	pass    int  // bytes of the packet at r that are the library's
	raw     bool // framing is lost: everything is the library's
	begun   bool // the library has got the first packet, or a part of it
	open    bool // it has got all of it, or is the client
	version byte
	topic   string // the last one: a device's are the same for long
	taken   bool   // something since the deadlines were last set
	fail    error
	pace    *pace // nil: none

	deadlines deadlines
	acks      acks
}

// New wraps c. It does not read or write.
func New(c net.Conn, o Options) (*Conn, error) {
	switch {
	case c == nil:
		return nil, errors.New("wire: no connection")
	case o.Publish == nil:
		return nil, errors.New("wire: Publish is missing")
	case o.Version != 0 && o.Version != V31 && o.Version != V311 && o.Version != V5:
		return nil, fmt.Errorf("wire: Version %d: want 3, 4, 5 or 0", o.Version)
	case o.MaxBuffer != 0 && (o.MaxBuffer < 4<<10 || o.MaxBuffer > 1<<20):
		return nil, fmt.Errorf("wire: MaxBuffer %d: want 4 KiB to 1 MiB", o.MaxBuffer)
	case o.MaxPacket < 0:
		return nil, fmt.Errorf("wire: MaxPacket %d: want 0 or more", o.MaxPacket)
	case o.MaxConnect < 0:
		return nil, fmt.Errorf("wire: MaxConnect %d: want 0 or more", o.MaxConnect)
	}
	if o.MaxBuffer == 0 {
		o.MaxBuffer = 64 << 10
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	conn := &Conn{Conn: c, o: o, version: o.Version, open: o.Version != 0}
	if o.Pace {
		conn.pace = newPace(c)
	}
	return conn, nil
}

// Read implements net.Conn for the library: it gives what is not taken out.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.fail == nil {
		if c.raw {
			c.pass = c.w - c.r
		}
		if c.pass > 0 && c.w > c.r {
			n := copy(p, c.buf[c.r:min(c.w, c.r+c.pass)])
			c.r += n
			c.pass -= n
			return n, nil
		}
		need := 1
		if c.pass == 0 && !c.raw {
			var more bool
			if need, more = c.next(); !more {
				continue
			}
		}
		if c.fail == nil {
			if err := c.fill(need); err != nil {
				return 0, c.reason(err) // not kept: after a deadline the library may read on
			}
		}
	}
	return 0, c.fail
}

// next looks at the packet at r. It takes it out, or makes it the library's, or
// says that more must be read and how many bytes it will have in all.
func (c *Conn) next() (need int, more bool) {
	b := c.buf[c.r:c.w]
	if len(b) == 0 {
		return 1, true
	}
	c.open = c.open || c.begun
	head, total, err := header(b)
	switch {
	case err != nil:
		c.raw = true // the library will say what is wrong with it
		return 0, false
	case total == 0:
		return maxHeader, true
	case c.o.MaxConnect > 0 && !c.open && total > c.o.MaxConnect:
		c.fail = tooLarge(total, c.o.MaxConnect)
		return 0, false
	case c.o.MaxPacket > 0 && total > c.o.MaxPacket:
		c.fail = tooLarge(total, c.o.MaxPacket)
		return 0, false
	}
	if b[0]>>4 == typeConnect && c.version == 0 {
		v, ok := connectVersion(b, head, total)
		if !ok {
			return min(total, maxHeader+2+len("MQIsdp")+1), true
		}
		c.version = v
	}
	c.begun = true
	if !quick(b[0]) || c.version == 0 || total > c.o.MaxBuffer {
		c.pass = total
		return 0, false
	}
	if len(b) < total {
		return total, true
	}
	in, ok := parse(b[:total], head, c.version)
	if !ok {
		c.pass = total
		return 0, false
	}
	if string(in.topic) != c.topic {
		c.topic = string(in.topic)
	}
	taken, err := c.o.Publish(Publish{
		Topic: c.topic, Payload: append(make([]byte, 0, len(in.payload)), in.payload...),
		ID: in.id, QoS: b[0] >> 1 & 3, Dup: b[0]&(1<<3) != 0, Retain: b[0]&1 != 0,
	})
	switch {
	case err != nil:
		c.fail = err
	case taken:
		c.r += total
		c.taken = true
	default:
		c.pass = total
	}
	return 0, false
}

// fill reads once into the buffer and makes room for need bytes at r before.
func (c *Conn) fill(need int) error {
	c.room(need)
	if c.taken {
		c.taken = false
		if err := c.extend(time.Now()); err != nil {
			return err
		}
	}
	var n int
	var err error
	if c.pace != nil {
		n, err = c.pace.read(c)
	} else {
		n, err = c.Conn.Read(c.buf[c.w:])
	}
	c.dry = n < len(c.buf)-c.w
	c.w += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// room moves what is left to the front and sees to it that need bytes fit, which
// are more than are left. The buffer grows when a read has filled it, and is
// given back as soon as one has not: with many connections, few are in the
// middle of something.
func (c *Conn) room(need int) {
	switch {
	case c.buf == nil || c.dry && len(c.buf) > minBuffer && need <= len(c.buf)/2:
		c.move(need)
	case !c.dry && len(c.buf) < c.o.MaxBuffer && c.open:
		c.move(max(need, c.o.MaxBuffer))
	case len(c.buf) < need:
		c.move(need)
	case c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
}

// move takes a buffer of at least size bytes, and gives the former one back.
func (c *Conn) move(size int) {
	former, lent := c.buf[c.r:c.w], c.lent
	c.lent = nil
	switch {
	case size <= minBuffer:
		if c.own == nil {
			c.own = make([]byte, minBuffer)
		}
		c.buf = c.own
	case size > bigBuffer/2 && size <= bigBuffer && lent == nil:
		c.lent = buffers.Get().(*[bigBuffer]byte)
		c.buf = c.lent[:]
	default:
		c.buf = make([]byte, size)
	}
	c.r, c.w = 0, copy(c.buf, former)
	if lent != nil {
		buffers.Put(lent)
	}
}

// Version is that of the session, or 0 while no CONNECT has been read. It is for
// the goroutine that reads, thus for Options.Publish.
func (c *Conn) Version() byte { return c.version }

// Close closes the connection and drops the acknowledgements that wait.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.acks.drop(c.o.Acked)
	return err
}

// deadlines remembers what the library set, to go on with it for packets that
// the library does not see, and beside writes of our own.
type deadlines struct {
	mu                  sync.Mutex
	readBy, writeBy     time.Time     // zero: none
	readSpan, writeSpan time.Duration // how far ahead they were set; 0: none
	acking              bool          // the write deadline is ours for now
}

// span is how far ahead of now a deadline lies; 0 when it is none or not ahead.
func span(t, now time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, t.Sub(now))
}

// SetDeadline implements net.Conn. A packet that is taken out moves the deadline
// as far ahead again as it was set, as a library does that sets it anew for each
// packet.
func (c *Conn) SetDeadline(t time.Time) error {
	d := &c.deadlines
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readBy, d.readSpan = t, span(t, now)
	d.writeBy, d.writeSpan = t, d.readSpan
	return c.apply(true, true)
}

// SetReadDeadline implements net.Conn; see SetDeadline.
func (c *Conn) SetReadDeadline(t time.Time) error {
	d := &c.deadlines
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readBy, d.readSpan = t, span(t, time.Now())
	return c.apply(true, false)
}

// SetWriteDeadline implements net.Conn; see SetDeadline.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	d := &c.deadlines
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeBy, d.writeSpan = t, span(t, time.Now())
	return c.apply(false, true)
}

// extend moves the deadlines on for packets that were taken out.
func (c *Conn) extend(now time.Time) error {
	d := &c.deadlines
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readSpan > 0 {
		d.readBy = now.Add(d.readSpan)
	}
	if d.writeSpan > 0 {
		d.writeBy = now.Add(d.writeSpan)
	}
	return c.apply(d.readSpan > 0, d.writeSpan > 0)
}

// apply gives the connection the deadlines; the caller holds the lock.
func (c *Conn) apply(read, write bool) error {
	d := &c.deadlines
	write = write && !d.acking // taken up again by endAcking
	switch {
	case read && write && d.readBy.Equal(d.writeBy):
		return c.Conn.SetDeadline(d.readBy)
	case read && write:
		return errors.Join(c.Conn.SetReadDeadline(d.readBy), c.Conn.SetWriteDeadline(d.writeBy))
	case read:
		return c.Conn.SetReadDeadline(d.readBy)
	case write:
		return c.Conn.SetWriteDeadline(d.writeBy)
	}
	return nil
}

// limit makes the connection's read deadline the sooner of t and the library's,
// which it returns. A zero t leaves the library's alone.
func (c *Conn) limit(t time.Time) (by time.Time, err error) {
	d := &c.deadlines
	d.mu.Lock()
	defer d.mu.Unlock()
	by = d.readBy
	if t.IsZero() || !by.IsZero() && by.Before(t) {
		t = by
	}
	return by, c.Conn.SetReadDeadline(t)
}
