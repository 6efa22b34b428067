//go:build linux

package main

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	contract "firewatch/firmware-contracts"
)

// flood publishes o.N messages. Message i is that of device i modulo the count of
// devices, so that (device, seq) and (device, time) are unique.
func (p *publisher) flood(o order) (report, error) {
	var acked atomic.Int64
	err := p.each(0, func(i int, c *client) error {
		f := flooder{client: c, order: o, devices: p.devices, stride: len(p.clients), device: i}
		err := f.run()
		acked.Add(int64(f.acked))
		return err
	})
	return report{Acked: int(acked.Load())}, err
}

// flooder is one connection that publishes as fast as it may.
type flooder struct {
	*client
	order
	devices, stride int
	device          int   // of the next message
	round           int64 // of the next message: the device's seq
	topics          []string
	lowat           int
	acked           int
}

// run fills the window, and fills it again when a quarter of it is acknowledged.
func (f *flooder) run() error {
	for d := f.device; d < f.devices; d += f.stride {
		f.topics = append(f.topics, contract.Uplink(contract.Tracker, contract.Position, deviceID(d)))
	}
	var buf [1024]byte
	flying, more := 0, true
	for first := f.device; more || flying > 0; {
		f.buf = f.buf[:0]
		for ; more && flying < f.Window; flying++ {
			if more = f.append(); !more {
				break
			}
			if f.device += f.stride; f.device >= f.devices {
				f.device, f.round = first, f.round+1
			}
		}
		if err := f.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
			return err
		}
		if len(f.buf) > 0 {
			if _, err := f.conn.Write(f.buf); err != nil {
				return err
			}
		}
		// A full window is topped up a quarter at a time, not one by one.
		for quarter := max(1, f.Window/4); flying > 0 && (!more || flying > f.Window-quarter); {
			if err := f.wake(min(quarter, flying)); err != nil {
				return err
			}
			n, err := f.conn.Read(buf[:])
			if err != nil {
				return err
			}
			if n, err = f.acks.take(buf[:n]); err != nil {
				return err
			}
			flying -= n
			f.acked += n
		}
	}
	f.seq = f.round + 1
	return f.wake(0)
}

// append appends the next message; it is false when there are no more.
func (f *flooder) append() bool {
	if int(f.round)*f.devices+f.device >= f.N {
		return false
	}
	f.sent = nextID(f.sent)
	var payload [256]byte
	f.last = f.Begin.Add(time.Duration(f.round) * time.Second)
	f.buf = appendPublish(f.buf, f.topics[f.device/f.stride], f.sent, appendReading(payload[:0], f.device, f.round, f.last))
	return true
}

// wake makes the socket readable only when so many PUBACKs wait in it. Go's poller
// is edge-triggered: a thread would wake for each small segment, and the publisher
// would cost as much as the broker.
func (f *flooder) wake(pubacks int) error {
	bytes := max(1, 4*pubacks-f.acks.have)
	if bytes == f.lowat {
		return nil
	}
	f.lowat = bytes
	return setLowat(f.conn, bytes)
}

func setLowat(c *net.TCPConn, bytes int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes))
	})
	if err != nil {
		return err
	}
	return set
}
