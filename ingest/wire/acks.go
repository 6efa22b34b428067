package wire

import (
	"cmp"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// keepAcks is the most that a connection keeps for its next acknowledgements
// when none wait, in bytes.
const keepAcks = 1 << 10

// acks are the PUBACKs that wait to be written.
type acks struct {
	write sync.Mutex // held over each write to the connection; before mu
	out   frames     // what has been written; guarded by write
	spare []byte     // guarded by write

	mu      sync.Mutex
	pending []byte // whole PUBACK packets
	running bool   // a goroutine writes them
	ended   bool   // nothing is written any more
	broken  error  // why the connection was closed, when that was not the library's will
}

// breakOff closes the connection after acknowledgements could not be written.
// The library, which has not asked for that, reads the reason: of a connection
// that is merely closed it would think that it had closed it itself.
func (c *Conn) breakOff(err error) {
	a := &c.acks
	a.mu.Lock()
	if !a.ended {
		a.broken = fmt.Errorf("writing acknowledgements: %w", err)
	}
	a.mu.Unlock()
	_ = c.Close()
}

// reason is the error that the library is told for one of its reads.
func (c *Conn) reason(err error) error {
	c.acks.mu.Lock()
	defer c.acks.mu.Unlock()
	return cmp.Or(c.acks.broken, err)
}

// Ack queues the PUBACK of a publication that was taken out. It never waits for
// the peer: a goroutine that lives while there is something to write sends all
// that is queued in one write, in the order given, between two packets of the
// library. When the connection has ended it is dropped.
func (c *Conn) Ack(id uint16) {
	a := &c.acks
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		c.acked(1)
		return
	}
	a.pending = appendPuback(a.pending, id)
	start := !a.running
	a.running = true
	a.mu.Unlock()
	if start {
		go c.writeAcks()
	}
}

func (c *Conn) acked(n int) {
	if c.o.Acked != nil && n > 0 {
		c.o.Acked(n)
	}
}

func (c *Conn) writeAcks() {
	runtime.Gosched() // whoever acknowledges one mostly has more
	for {
		n, err := c.writeSome()
		if err != nil {
			c.breakOff(err)
		}
		if n == 0 {
			return
		}
		c.acked(n)
	}
}

// writeSome writes the acknowledgements that wait and says how many they were.
// None: the caller's work is over.
func (c *Conn) writeSome() (int, error) {
	a := &c.acks
	a.write.Lock()
	defer a.write.Unlock()
	a.mu.Lock()
	if len(a.pending) == 0 || !a.out.between() {
		a.running = false // the Write that ends the packet starts the next one
		if cap(a.pending) > keepAcks && len(a.pending) == 0 {
			a.pending = nil
		}
		if cap(a.spare) > keepAcks {
			a.spare = nil
		}
		a.mu.Unlock()
		return 0, nil
	}
	batch := a.pending
	a.pending, a.spare = a.spare[:0], nil
	a.mu.Unlock()
	n := len(batch) / 4
	if err := c.beginAcking(); err != nil {
		return n, err
	}
	_, err := c.Conn.Write(batch)
	a.spare = batch[:0]
	if e := c.endAcking(); err == nil {
		err = e
	}
	return n, err
}

// beginAcking makes the write deadline ours.
func (c *Conn) beginAcking() error {
	d := &c.deadlines
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acking = true
	return c.Conn.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout))
}

// endAcking gives the write deadline back to the library.
func (c *Conn) endAcking() error {
	d := &c.deadlines
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acking = false
	return c.Conn.SetWriteDeadline(d.writeBy)
}

// Write implements net.Conn for the library. After an error the connection is
// closed: the peer may have got a part of a packet.
func (c *Conn) Write(p []byte) (int, error) {
	a := &c.acks
	a.write.Lock()
	n, err := c.Conn.Write(p)
	a.out.pass(p[:n])
	a.mu.Lock()
	start := err == nil && len(a.pending) > 0 && !a.running && a.out.between()
	if start {
		a.running = true
	}
	a.mu.Unlock()
	a.write.Unlock()
	if start {
		go c.writeAcks()
	}
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// drop forgets what waits, for good.
func (a *acks) drop(acked func(int)) {
	a.mu.Lock()
	n := len(a.pending) / 4
	a.pending = nil
	a.ended = true
	a.mu.Unlock()
	if acked != nil && n > 0 {
		acked(n)
	}
}
