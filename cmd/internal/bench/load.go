//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	contract "firewatch/firmware-contracts"
)

// loadCommand makes this program a publisher, which has a process of its own so
// that its cost can be told apart.
const loadCommand = "load"

// An order tells the publisher what to do next. It answers each with a report.
type order struct {
	Do string // connect, flood, pace, storm

	// connect: Conns connections for the devices First … First+Devices-1, which
	// they share in turn.
	Addr    string
	Local   string // address to connect from, so that ports do not run out; empty: any
	First   int
	Devices int
	Conns   int
	Login   string // secret of every device; empty: none

	// flood: N messages in all, as fast as they are acknowledged.
	N, Window int
	Begin     time.Time // time of each device's first reading; a second between two

	// pace: each connection, for its one device, every Every, for For.
	Every, For time.Duration

	// storm: cut the connections, or wait until the other side does; all come back
	// and have another reading acknowledged.
	Cut bool
}

// A report is what came of an order.
type report struct {
	Err   string `json:",omitempty"`
	Secs  float64
	Acked int     // PUBACKs
	Took  []int32 `json:",omitempty"` // µs from PUBLISH to PUBACK
	// Of a storm: seconds until the last connection stood again, and tries that
	// failed.
	Back  float64 `json:",omitempty"`
	Tries int     `json:",omitempty"`
}

// runLoad obeys orders until there are no more, and returns the exit code.
func runLoad(in io.Reader, out io.Writer) int {
	p := &publisher{}
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return 0
		} else if err != nil {
			return 1
		}
		if reports.Encode(p.obey(o)) != nil {
			return 1 // nobody listens any more
		}
	}
}

// publisher is the devices of one process.
type publisher struct {
	devices int
	clients []*client
}

func (p *publisher) obey(o order) report {
	begin := time.Now()
	var r report
	var err error
	switch o.Do {
	case "connect":
		err = p.connect(o)
	case "flood":
		r, err = p.flood(o)
	case "pace":
		r, err = p.pace(o)
	case "storm":
		r, err = p.storm(o)
	default:
		err = fmt.Errorf("no order %q", o.Do)
	}
	r.Secs = time.Since(begin).Seconds()
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

// each does f for every client at once, at most parallel at a time (0: all), and
// returns the first error.
func (p *publisher) each(parallel int, f func(i int, c *client) error) error {
	if parallel == 0 {
		parallel = len(p.clients)
	}
	var wg sync.WaitGroup
	var first atomic.Pointer[error]
	turns := make(chan struct{}, parallel)
	for i, c := range p.clients {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := f(i, c); err != nil {
				err = fmt.Errorf("%s: %w", c.id, err)
				first.CompareAndSwap(nil, &err)
			}
		})
	}
	wg.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

// calm is how many of a process connect at once when there is no storm: with two
// processes fewer than wait in mosquitto's backlog of 100.
const calm = 40

func (p *publisher) connect(o order) error {
	p.devices = o.Devices
	p.clients = make([]*client, o.Conns)
	for i := range p.clients {
		p.clients[i] = &client{addr: o.Addr, local: o.Local, secret: o.Login, id: deviceID(o.First + i), number: o.First + i}
	}
	return p.each(calm, func(_ int, c *client) error { return c.dial() })
}

// client is one connection.
type client struct {
	addr, local, secret string
	id                  contract.DeviceID
	number              int

	conn *net.TCPConn
	acks acks
	sent uint16 // last packet id
	seq  int64  // of the next reading
	last time.Time
	due  time.Time // of the next reading, once it was tried
	buf  []byte
}

func (c *client) dial() error {
	d := net.Dialer{Timeout: patience}
	if c.local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.local)}
	}
	conn, err := d.DialContext(context.Background(), "tcp", c.addr)
	if err != nil {
		return err
	}
	if err := connect(conn, string(c.id), c.secret, true); err != nil {
		_ = conn.Close()
		return err
	}
	c.conn, c.sent, c.acks = conn.(*net.TCPConn), 0, acks{next: 1}
	return nil
}

// drop ends the connection as a dead radio link does, without DISCONNECT.
func (c *client) drop() {
	_ = c.conn.SetLinger(0)
	_ = c.conn.Close()
}

// send publishes the next reading and waits for its PUBACK. Until then it stays the
// next one, with the time of the first try.
func (c *client) send(at time.Time) error {
	if c.due.IsZero() {
		c.due = at
		if !at.After(c.last) {
			c.due = c.last.Add(time.Millisecond) // two readings of one device never share a time
		}
	}
	c.sent = nextID(c.sent)
	var payload [256]byte
	c.buf = appendPublish(c.buf[:0], contract.Uplink(contract.Tracker, contract.Position, c.id), c.sent,
		appendReading(payload[:0], c.number, c.seq, c.due))
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	for got := 0; got == 0; {
		n, err := c.conn.Read(payload[:])
		if err != nil {
			return fmt.Errorf("waiting for PUBACK: %w", err)
		}
		if got, err = c.acks.take(payload[:n]); err != nil {
			return err
		}
	}
	c.seq++
	c.last, c.due = c.due, time.Time{}
	return nil
}

// wait waits until the time; that the connection ends before it is the error.
func (c *client) wait(until time.Time) error {
	if err := c.conn.SetDeadline(until); err != nil {
		return err
	}
	var b [1]byte
	_, err := c.conn.Read(b[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err == nil {
		err = errors.New("the broker says something unasked")
	}
	return err
}

// pace is devices that report at their interval, each at its own moment of it.
func (p *publisher) pace(o order) (report, error) {
	begin := time.Now()
	took := make([][]int32, len(p.clients))
	err := p.each(0, func(i int, c *client) error {
		phase := time.Duration(float64(o.Every) * float64(i) / float64(len(p.clients)))
		for due := begin.Add(phase); due.Before(begin.Add(o.For)); due = due.Add(o.Every) {
			if err := c.wait(due); err != nil {
				return err
			}
			at := time.Now()
			if err := c.send(due); err != nil {
				return err
			}
			took[i] = append(took[i], micros(time.Since(at)))
		}
		return nil
	})
	var r report
	for _, t := range took {
		r.Took = append(r.Took, t...)
	}
	r.Acked = len(r.Took)
	return r, err
}

func micros(d time.Duration) int32 { return int32(min(d, time.Hour/2).Microseconds()) } //nolint:gosec // half an hour fits

// stormPatience bounds how long a device tries to come back.
const stormPatience = 3 * time.Minute

// storm is every device coming back at once, each with a reading at hand. One that
// is not let in tries again after 200 ms.
func (p *publisher) storm(o order) (report, error) {
	begin := time.Now()
	if o.Cut {
		for _, c := range p.clients {
			c.drop()
		}
	}
	var tries atomic.Int64
	took := make([]int32, len(p.clients))
	back := make([]time.Duration, len(p.clients))
	err := p.each(0, func(i int, c *client) error {
		if !o.Cut {
			if c.wait(begin.Add(stormPatience)) == nil {
				return errors.New("the connection still stands")
			}
			c.drop()
		}
		for {
			at := time.Now()
			err := c.dial()
			if err == nil {
				back[i] = time.Since(begin)
				if err = c.send(time.Now()); err == nil {
					took[i] = micros(time.Since(at))
					return nil
				}
				c.drop()
			}
			if time.Since(begin) > stormPatience {
				return err
			}
			tries.Add(1)
			time.Sleep(200 * time.Millisecond)
		}
	})
	r := report{Acked: len(p.clients), Took: took, Tries: int(tries.Load())}
	for _, b := range back {
		r.Back = max(r.Back, b.Seconds())
	}
	return r, err
}
