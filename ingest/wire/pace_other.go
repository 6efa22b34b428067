//go:build !linux

package wire

import "net"

// pace is for Linux only.
type pace struct{}

func newPace(net.Conn) *pace { return nil }

func (p *pace) read(c *Conn) (int, error) { return c.Conn.Read(c.buf[c.w:]) }
