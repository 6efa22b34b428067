package broker

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// listener is a listeners.Listener that ends connections which do not log in,
// and at Close all that are left: mochi closes only clients that have logged in,
// and then waits for the others too.
type listener struct {
	net.Listener
	patience time.Duration // within which a connection must log in

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	served sync.WaitGroup
}

func newListener(l net.Listener, patience time.Duration) *listener {
	return &listener{Listener: l, patience: patience, conns: map[net.Conn]struct{}{}}
}

// Init implements listeners.Listener.
func (l *listener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (l *listener) ID() string { return "mqtt" }

// Address implements listeners.Listener.
func (l *listener) Address() string { return l.Addr().String() }

// Protocol implements listeners.Listener.
func (l *listener) Protocol() string { return "tcp" }

// Serve implements listeners.Listener.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		c, err := l.Accept()
		if err != nil {
			l.mu.Lock()
			closed := l.closed
			l.mu.Unlock()
			if closed {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of file descriptors, or a peer that is gone: others may come
			continue
		}
		if !l.keep(c) {
			_ = c.Close() // stopping
			return
		}
		go func() {
			defer l.forget(c)
			// mochi replaces the deadline by that of the keep-alive once the
			// client has sent its CONNECT.
			if c.SetDeadline(time.Now().Add(l.patience)) == nil {
				_ = establish(l.ID(), c) // why a client left is told by the hook
			}
		}()
	}
}

func (l *listener) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[c] = struct{}{}
	l.served.Add(1)
	return true
}

func (l *listener) forget(c net.Conn) {
	_ = c.Close() // mochi has, unless it never got that far
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.served.Done()
}

// Close implements listeners.Listener. It returns when every connection has
// ended.
func (l *listener) Close(closeClients listeners.CloseFn) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.Listener.Close() // a second time is no harm
	closeClients(l.ID())
	l.mu.Lock()
	for c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.served.Wait()
}
