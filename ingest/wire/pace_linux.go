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
	// Pacing begins when so many reads in a row came that close to each other:
	// slower ones cost little as they are, and are better not held back. It ends
	// when less than few bytes came within the ceiling.
	hurried = 8
	near    = 250 * time.Microsecond
	few     = 1 << 10
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
	quick int // reads in a row that came close to each other
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
		return p.plain(c)
	}
	p.tell(p.low)
	by, err := c.limit(time.Now().Add(ceiling))
	if err != nil {
		return 0, err
	}
	n, err := p.wait(c.buf[c.w:])
	now := time.Now()
	reached := errors.Is(err, os.ErrDeadlineExceeded)
	if reached {
		n, err = p.take(c.buf[c.w:])
	}
	switch {
	case errors.Is(err, syscall.EAGAIN): // nothing came
		if err := p.quiet(c); err != nil {
			return 0, err
		}
		if !by.IsZero() && !now.Before(by) {
			return 0, os.ErrDeadlineExceeded
		}
		return p.plain(c)
	case err != nil:
		return n, err
	case reached && n < few:
		err = p.quiet(c)
	case reached:
		p.low = n / 2
	case now.Sub(p.last) < ceiling/4:
		p.low = min(maxLow, 2*p.low)
	}
	p.last, p.dry = now, n < len(c.buf)-c.w
	return n, err
}

// plain reads without pacing, and looks out for when to begin.
func (p *pace) plain(c *Conn) (int, error) {
	n, err := c.Conn.Read(c.buf[c.w:])
	now := time.Now()
	p.quick++
	if now.Sub(p.last) >= near {
		p.quick = 0
	}
	p.last, p.dry = now, n < len(c.buf)-c.w
	if p.quick >= hurried && n > 0 {
		p.low = min(maxLow, 2*n)
	}
	return n, err
}

// quiet ends the pacing.
func (p *pace) quiet(c *Conn) error {
	p.low, p.quick = 0, 0
	p.tell(1)
	_, err := c.limit(time.Time{})
	return err
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
