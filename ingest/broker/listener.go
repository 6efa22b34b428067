package broker

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/wire"
)

const listenerID = "mqtt"

// listener is a listeners.Listener that ends connections which do not log in,
// and at Close all that are left.
type listener struct {
	net.Listener
	h        *hook
	tls      *tls.Config   // nil: none
	patience time.Duration // within which a connection must log in
	most     int           // connections, logged in or not

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	served sync.WaitGroup
}

// Init implements listeners.Listener.
func (l *listener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (l *listener) ID() string { return listenerID }

// Address implements listeners.Listener.
func (l *listener) Address() string { return l.Addr().String() }

// Protocol implements listeners.Listener.
func (l *listener) Protocol() string { return "tcp" }

// Serve implements listeners.Listener.
func (l *listener) Serve(listeners.EstablishFn) {
	var told time.Time
	for {
		socket, err := l.Accept()
		if err != nil {
			l.mu.Lock()
			closed := l.closed
			l.mu.Unlock()
			if closed {
				return
			}
			if time.Since(told) > time.Minute {
				told = time.Now()
				l.h.log.Warn("MQTT connections cannot be accepted now", zap.Error(err))
			}
			time.Sleep(10 * time.Millisecond) // out of file descriptors, or a peer that is gone: others may come
			continue
		}
		c, ok := l.keep(socket)
		if !ok {
			_ = socket.Close() // stopping, or full
			continue
		}
		go func() {
			defer l.forget(c)
			// That of the keep-alive takes its place after the CONNECT.
			if socket.SetReadDeadline(time.Now().Add(l.patience)) == nil {
				l.h.serve(c)
			}
		}()
	}
}

// maxBuffer is the largest publication that wire takes out, in bytes: all that
// the contract allows. What is larger goes the longer way, into quarantine.
const maxBuffer = contract.MaxMessageBytes + 4<<10

// maxConnect is the largest CONNECT, in bytes: a last will with its payload, two
// topics and a password fit well. Nobody has proved who he is by then.
const maxConnect = 16 << 10

// keep builds the layers of a connection: the socket, patience until the login,
// TLS, and the one that takes publications out.
func (l *listener) keep(socket net.Conn) (*conn, bool) {
	c := &conn{
		h: l.h, socket: socket, login: &patient{Conn: socket},
		left: make(chan struct{}), life: life{done: make(chan struct{})},
	}
	c.stream = c.login
	if l.tls != nil {
		c.stream = tls.Server(c.stream, l.tls)
	}
	var err error
	if c.Conn, err = wire.New(c.stream, wire.Options{
		Publish: c.publish, Acked: l.h.acked, MaxConnect: maxConnect, MaxBuffer: maxBuffer,
	}); err != nil {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, false
	}
	if len(l.conns) >= l.most {
		l.h.metrics.full.Inc()
		return nil, false
	}
	l.conns[c] = struct{}{}
	l.served.Add(1)
	return c, true
}

func (l *listener) forget(c *conn) {
	_ = c.Close() // mochi has, unless it never got that far
	l.h.leave(c)
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.served.Done()
}

// Close implements listeners.Listener. It returns when every connection has
// ended. mochi would end them one after the other, and wait for those that do
// not read.
func (l *listener) Close(listeners.CloseFn) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.Listener.Close() // a second time is no harm
	l.mu.Lock()
	for c := range l.conns {
		c.end(packets.ErrServerShuttingDown)
	}
	l.mu.Unlock()
	l.served.Wait()
}

const (
	// grace is what a peer gets once more before the login, when its time is up.
	grace = time.Second
	// graces is how often: enough for the reads of a handshake and a CONNECT, and
	// no way to stay by a byte a second.
	graces = 16
)

// patient is a socket whose peer is not blamed for our own delay: when the
// deadline of the login has passed, what the peer has sent meanwhile is read
// nevertheless. With 20,000 devices that come back at once, a login waits longer
// for a processor than for the device.
type patient struct {
	net.Conn
	over atomic.Bool // the login is
	used int
}

// Read implements net.Conn.
func (p *patient) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if n == 0 && p.used < graces && !p.over.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		p.used++
		if err := p.SetReadDeadline(time.Now().Add(grace)); err != nil {
			return 0, err
		}
		n, err = p.Conn.Read(b)
		if err == nil {
			return n, p.SetReadDeadline(time.Now().Add(grace))
		}
	}
	return n, err
}
