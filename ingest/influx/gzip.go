package influx

import (
	"bytes"
	"context"
	"fmt"
	"net"

	"github.com/klauspost/compress/gzip"
)

// Gzip says when requests are compressed.
type Gzip byte

// GzipAuto, the default, compresses when the connection leads out of the local
// network. On a LAN it only costs: about 3 CPU-seconds per million points at
// the server, and one third of one here, for a quarter of the bytes.
const (
	GzipAuto Gzip = iota
	GzipOff
	GzipOn
)

// ParseGzip reads auto, off or on.
func ParseGzip(s string) (Gzip, error) {
	switch s {
	case "", "auto":
		return GzipAuto, nil
	case "off":
		return GzipOff, nil
	case "on":
		return GzipOn, nil
	}
	return 0, fmt.Errorf("gzip %q: want auto, off or on", s)
}

// String is the inverse of ParseGzip.
func (g Gzip) String() string {
	switch g {
	case GzipAuto:
		return "auto"
	case GzipOff:
		return "off"
	case GzipOn:
		return "on"
	}
	return fmt.Sprintf("gzip(%d)", byte(g))
}

// packs reports whether the next request is to be compressed.
func (c *Client) packs() bool {
	return c.opt.Gzip == GzipOn || c.opt.Gzip == GzipAuto && c.remote.Load()
}

// dial notes where connections lead. Until there is one, nothing is compressed.
func (c *Client) dial(dialer *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err == nil {
			c.remote.Store(isRemote(conn.RemoteAddr()))
		}
		return conn, err
	}
}

// isRemote reports whether the address is outside of this machine and of every
// network that is private by its address.
func isRemote(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && !t.IP.IsLoopback() && !t.IP.IsPrivate() && !t.IP.IsLinkLocalUnicast()
}

// A packer is a compressor and its output, to be used again.
type packer struct {
	out bytes.Buffer
	zip *gzip.Writer
}

// pack returns the compressed text, which is valid until the next call.
func (p *packer) pack(text []byte) ([]byte, error) {
	p.out.Reset()
	if p.zip == nil {
		zip, err := gzip.NewWriterLevel(&p.out, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		p.zip = zip
	} else {
		p.zip.Reset(&p.out)
	}
	if _, err := p.zip.Write(text); err != nil {
		return nil, err
	}
	if err := p.zip.Close(); err != nil {
		return nil, err
	}
	return p.out.Bytes(), nil
}
