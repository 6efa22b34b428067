package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// ceiling is the longest that pacing holds back what has come.
	ceiling = 2 * time.Millisecond
	// maxLow is the most that is waited for, in bytes. Loopback and Ethernet have
	// it in well under the ceiling when the peer has it.
	maxLow = 16 << 10
	// hurried is how many reads in a row must come within the ceiling before
	// pacing begins.
	hurried = 4
)

// pace reads a TCP connection with fewer and larger reads. Go's poller wakes a
// thread for each segment that comes; SO_RCVLOWAT lets the kernel tell of the
// first only when enough has come, and a deadline bounds the wait. What is
// enough follows the peer: it doubles while reads come quickly, and halves
// below what came when the ceiling was reached, so a peer that sends no more
// before it is acknowledged (a broker's in-flight window) is not waited for.
type pace struct {
	raw   syscall.RawConn
	low   int // what is waited for; 0: nothing, the connection is quiet
	set   int // what the kernel knows
	quick int // reads in a row that came within the ceiling
	last  time.Time
	dry   bool // the last read took all that there was
}

// newPace is nil for a connection that cannot be paced.
func newPace(c net.Conn) *pace {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return &pace{raw: raw, set: 1}
}

// read is c.Conn.Read into the rest of c.buf, paced.
func (p *pace) read(c *Conn) (int, error) {
	if p.low == 0 {
		n, err := c.Conn.Read(c.buf[c.w:])
		p.heed(n, n < len(c.buf)-c.w, time.Now())
		return n, err
	}
	p.tell(p.low)
	for {
		until := time.Now().Add(ceiling)
		by, err := c.limit(until)
		if err != nil {
			return 0, err
		}
		n, err := p.wait(c.buf[c.w:])
		now := time.Now()
		reached := errors.Is(err, os.ErrDeadlineExceeded)
		if reached {
			if n, err = p.take(c.buf[c.w:]); errors.Is(err, syscall.EAGAIN) {
				n, err = 0, nil
			}
		}
		if err == nil && n == 0 { // nothing came: quiet again
			p.low, p.quick = 0, 0
			p.tell(1)
			if _, err := c.limit(time.Time{}); err != nil {
				return 0, err
			}
			if !by.IsZero() && !now.Before(by) {
				return 0, os.ErrDeadlineExceeded
			}
			n, err := c.Conn.Read(c.buf[c.w:])
			p.heed(n, n < len(c.buf)-c.w, time.Now())
			return n, err
		}
		switch {
		case reached:
			p.low = max(1, n/2)
		case now.Sub(p.last) < ceiling/4:
			p.low = min(maxLow, 2*p.low)
		}
		p.last, p.dry = now, n < len(c.buf)-c.w
		return n, err
	}
}

// heed watches the reads of a quiet connection.
func (p *pace) heed(n int, dry bool, now time.Time) {
	if now.Sub(p.last) < ceiling {
		p.quick++
	} else {
		p.quick = 0
	}
	p.last, p.dry = now, dry
	if p.quick >= hurried {
		p.low = min(maxLow, max(1, 2*n))
	}
}

// tell sets the kernel's mark. Where that is not allowed, Read is only not
// paced: the wait ends with the first byte.
func (p *pace) tell(low int) {
	if p.set == low {
		return
	}
	p.set = low
	_ = p.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, low)
	})
}

// wait reads when the kernel says that enough is there. What came since the last
// read, which found the end, is not asked for at once: that would be the small
// read that pacing avoids.
func (p *pace) wait(b []byte) (n int, err error) {
	waited := !p.dry
	e := p.raw.Read(func(fd uintptr) bool {
		if !waited {
			waited = true
			return false
		}
		n, err = recv(fd, b)
		return !errors.Is(err, syscall.EAGAIN)
	})
	return result(n, err, e)
}

// take reads what is there.
func (p *pace) take(b []byte) (n int, err error) {
	e := p.raw.Control(func(fd uintptr) { n, err = recv(fd, b) })
	return result(n, err, e)
}

func recv(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.EOF
		}
		return max(0, n), err
	}
}

func result(n int, err, outer error) (int, error) {
	var errno syscall.Errno
	switch {
	case outer != nil:
		return 0, outer
	case errors.As(err, &errno):
		return 0, os.NewSyscallError("read", errno)
	}
	return n, err
}
