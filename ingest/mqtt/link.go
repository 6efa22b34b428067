package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/net/proxy"

	"firewatch/ingest/wire"
)

// schemes are the kinds of connections: whether over TLS, whether WebSocket.
var schemes = map[string]struct{ tls, web bool }{
	"tcp": {}, "mqtt": {},
	"ssl": {tls: true}, "tls": {tls: true}, "mqtts": {tls: true}, "mqtt+ssl": {tls: true}, "tcps": {tls: true},
	"ws": {web: true}, "wss": {web: true, tls: true},
}

func known(scheme string) bool {
	_, ok := schemes[scheme]
	return ok
}

// A link is one connection to the broker. Acknowledgements belong to the link
// that brought the message: on another one the same packet id is another
// message.
type link struct {
	*wire.Conn
	run    *run
	window *window
	ended  chan struct{} // closed by Close
	end    sync.Once
}

// open is paho's way to a connection. It is paho's to close.
func (r *run) open(u *url.URL, o paho.ClientOptions) (net.Conn, error) {
	c, err := dial(r.stop, u, o)
	if err != nil {
		return nil, err
	}
	l := &link{run: r, ended: make(chan struct{}), window: r.watch.connected(time.Now())}
	l.Conn, err = wire.New(c, wire.Options{Publish: l.take, Acked: l.acked, Version: wire.V311, Pace: true})
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return l, nil
}

func dial(ctx context.Context, u *url.URL, o paho.ClientOptions) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	kind := schemes[u.Scheme]
	conf := o.TLSConfig
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if kind.web {
		address := *u
		address.User = nil // the account goes into CONNECT
		if !kind.tls {
			conf = nil
		}
		return paho.NewWebsocket(address.String(), conf, dialTime, o.HTTPHeaders, o.WebsocketOptions)
	}
	c, err := proxy.Dial(ctx, "tcp", u.Host) // straight, or as ALL_PROXY says
	if err != nil || !kind.tls {
		return c, err
	}
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		conf = conf.Clone()
		conf.ServerName = u.Hostname()
	}
	t := tls.Client(c, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return t, nil
}

// take hands a message over. It blocks while the intake is full, so that
// nothing more is read. When nothing more is to be taken it waits for the end of
// the connection: were reading to go on, or the connection to be opened again,
// the broker would only send more that is left lying.
func (l *link) take(p wire.Publish) (bool, error) {
	if strings.HasPrefix(p.Topic, "$SYS/") {
		return false, nil
	}
	if !l.run.over() {
		ack := l.run.outstanding.Done
		if p.QoS > 0 {
			l.window.taken(time.Now())
			id := p.ID
			ack = func() {
				// Before it is written: the broker's answer may be read first.
				l.window.acked(time.Now())
				l.Ack(id)
			}
		}
		if l.run.put(p.Topic, p.Payload, ack) == nil {
			return true, nil
		}
	}
	<-l.ended
	return false, net.ErrClosed
}

func (l *link) acked(n int) {
	for range n {
		l.run.outstanding.Done()
	}
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.end.Do(func() { close(l.ended) })
	return l.Conn.Close()
}
