// Package mqttclient is a lean MQTT 3.1.1 client for playing many devices in
// one process: one goroutine and a few KiB for each connection. It publishes
// with QoS 1, sends again what was not acknowledged, and comes back by itself.
package mqttclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a Client. MQTT and ClientID are required.
type Options struct {
	MQTT     string      // host:port, or tcp://, mqtt://, ssl://, tls://, mqtts:// before it
	TLS      *tls.Config // nil: plain TCP, unless MQTT asks for TLS
	ClientID string
	Username string
	Password string

	Subscribe string // filter to hear with QoS 1; empty: none
	WillTopic string // topic of the last will, QoS 1, not retained; empty: none

	Window    int           // messages on their way at once; default 8
	KeepAlive time.Duration // default 60 s
	// BackoffMax bounds the wait between two tries to connect; default 10 s.
	BackoffMax time.Duration
	// Dials, when not nil, is a semaphore that several clients share, so that
	// they do not all connect at once.
	Dials chan struct{}

	// The functions below are called by the client's goroutine and must not
	// block. Each may be nil.
	Will        func() []byte // the last will's payload, asked for at every connect
	OnConnect   func(again bool)
	OnMessage   func(topic string, payload []byte) // payload is the receiver's own
	OnLost      func(err error)                    // the connection, or a try to have one
	OnSubscribe func(err error)                    // a refusal of the subscription
}

// RefusedError is a broker's refusal of a client.
type RefusedError struct {
	Username string
	Code     byte // of CONNACK
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("broker refuses user name %q: %s", e.Username, e.words())
}

func (e *RefusedError) words() string {
	switch e.Code {
	case 1:
		return "protocol version not supported"
	case 2:
		return "client id not allowed"
	case 3:
		return "server not available"
	case 4:
		return "bad user name or password"
	case 5:
		return "not authorized"
	}
	return fmt.Sprintf("code %d", e.Code)
}

// Credential reports whether the credential is what is refused.
func (e *RefusedError) Credential() bool { return e.Code == 4 || e.Code == 5 }

// Client is one connection to a broker.
type Client struct {
	o       Options
	network string // host:port
	resent  atomic.Uint64

	mu       sync.Mutex
	conn     net.Conn // nil while away
	wrote    time.Time
	nextID   uint16
	inflight []message // oldest first
}

type message struct {
	id     uint16
	sent   bool
	packet []byte
	acked  func()
}

// New checks the options.
func New(o Options) (*Client, error) {
	if o.ClientID == "" {
		return nil, errors.New("mqttclient: ClientID is missing")
	}
	address, secure, err := parseAddress(o.MQTT)
	if err != nil {
		return nil, err
	}
	if secure && o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.TLS != nil && o.TLS.ServerName == "" {
		o.TLS = o.TLS.Clone()
		o.TLS.ServerName, _, _ = net.SplitHostPort(address)
	}
	if o.Window <= 0 {
		o.Window = 8
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = time.Minute
	}
	if o.BackoffMax <= 0 {
		o.BackoffMax = 10 * time.Second
	}
	return &Client{o: o, network: address}, nil
}

func parseAddress(s string) (address string, secure bool, err error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "tcp", s
	}
	rest = strings.TrimSuffix(rest, "/")
	port := "1883"
	switch scheme {
	case "tcp", "mqtt":
	case "ssl", "tls", "mqtts":
		secure, port = true, "8883"
	default:
		return "", false, fmt.Errorf("MQTT address %q: want host:port, tcp://host:port or ssl://host:port", s)
	}
	if _, _, err := net.SplitHostPort(rest); err != nil && strings.Contains(err.Error(), "missing port") {
		rest = net.JoinHostPort(strings.Trim(rest, "[]"), port)
	} else if err != nil {
		return "", false, fmt.Errorf("MQTT address %q: %w", s, err)
	}
	if strings.HasPrefix(rest, ":") {
		rest = "127.0.0.1" + rest
	}
	return rest, secure, nil
}

// Publish sends the payload with QoS 1 and calls acked, from the client's
// goroutine, when the broker has acknowledged it. It is false when the window
// is full: nothing was taken then. While the connection is away the message
// waits in the window.
func (c *Client) Publish(topic string, payload []byte, acked func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inflight) >= c.o.Window {
		return false
	}
	for {
		c.nextID++
		if c.nextID != 0 && c.nextID != subscribeID && !slices.ContainsFunc(c.inflight, func(m message) bool { return m.id == c.nextID }) {
			break
		}
	}
	m := message{id: c.nextID, packet: publish(topic, c.nextID, payload), acked: acked, sent: c.conn != nil}
	c.inflight = append(c.inflight, m)
	if c.conn != nil {
		c.write(m.packet)
	}
	return true
}

// Outstanding is the count of messages that are not acknowledged.
func (c *Client) Outstanding() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inflight)
}

// Room is the count of messages that Publish would take now.
func (c *Client) Room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.o.Window - len(c.inflight)
}

// Resent is the count of messages that were sent again after a reconnect.
func (c *Client) Resent() uint64 { return c.resent.Load() }

// write sends a packet; the caller holds mu. When it cannot, the connection is
// closed, and the reader notices.
func (c *Client) write(packet []byte) {
	c.wrote = time.Now()
	err := c.conn.SetWriteDeadline(c.wrote.Add(writePatience))
	if err == nil {
		_, err = c.conn.Write(packet)
	}
	if err != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

const (
	writePatience   = 20 * time.Second
	connectPatience = 30 * time.Second
	firstBackoff    = 300 * time.Millisecond
)

// Run connects, and connects again whenever the connection is lost, until ctx
// ends. A refused credential is no reason to end, as it may be granted later,
// but is tried again only at the longest wait.
func (c *Client) Run(ctx context.Context) {
	backoff := firstBackoff
	for again := false; ctx.Err() == nil; {
		connected, err := c.session(ctx, again)
		if ctx.Err() != nil {
			return
		}
		if c.o.OnLost != nil {
			c.o.OnLost(err)
		}
		if connected {
			again, backoff = true, firstBackoff
		}
		if refused := (*RefusedError)(nil); errors.As(err, &refused) && refused.Code != 3 {
			backoff = c.o.BackoffMax
		}
		wait := backoff/2 + rand.N(backoff/2+1) //nolint:gosec // spreads reconnects
		backoff = min(2*backoff, c.o.BackoffMax)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// session is one connection, from its beginning to its end.
func (c *Client) session(ctx context.Context, again bool) (connected bool, err error) {
	conn, in, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.conn != nil {
			c.write([]byte{disconnectType, 0})
		}
		_ = conn.Close()
	})
	defer stop()
	defer conn.Close() //nolint:errcheck // it is over
	defer func() {
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
	}()

	c.mu.Lock()
	c.conn = conn
	if c.o.Subscribe != "" {
		c.write(subscribe(c.o.Subscribe))
	}
	for i := range c.inflight {
		if c.conn == nil {
			break
		}
		m := &c.inflight[i]
		if m.sent {
			m.packet[0] |= dupFlag
			c.resent.Add(1)
		}
		m.sent = true
		c.write(m.packet)
	}
	c.mu.Unlock()
	if c.o.OnConnect != nil {
		c.o.OnConnect(again)
	}
	return true, c.listen(conn, in)
}

// connect dials and is let in.
func (c *Client) connect(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	if c.o.Dials != nil {
		select {
		case c.o.Dials <- struct{}{}:
			defer func() { <-c.o.Dials }()
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	var conn net.Conn
	var err error
	if c.o.TLS != nil {
		conn, err = (&tls.Dialer{Config: c.o.TLS}).DialContext(ctx, "tcp", c.network)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.network)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	in, err := c.greet(conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, in, nil
}

func (c *Client) greet(conn net.Conn) (*bufio.Reader, error) {
	var will []byte
	if c.o.WillTopic != "" && c.o.Will != nil {
		will = c.o.Will()
	}
	if _, err := conn.Write(connect(&c.o, will)); err != nil {
		return nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	in := bufio.NewReaderSize(conn, 512)
	kind, body, err := readPacket(in, nil)
	if err != nil {
		return nil, fmt.Errorf("waiting for the broker's CONNACK: %w", err)
	}
	if kind != connackType || len(body) != 2 {
		return nil, fmt.Errorf("broker answers CONNECT with packet type %d", kind>>4)
	}
	if body[1] != 0 {
		return nil, &RefusedError{Username: c.o.Username, Code: body[1]}
	}
	return in, nil
}

// listen reads packets until the connection ends. The keep-alive needs no timer
// of its own: it is the read deadline.
func (c *Client) listen(conn net.Conn, in *bufio.Reader) error {
	var buf []byte
	pinged := false
	if err := conn.SetReadDeadline(time.Now().Add(c.idle())); err != nil {
		return err
	}
	for {
		if _, err := in.Peek(1); err != nil {
			timeout := net.Error(nil)
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				return fmt.Errorf("connection lost: %w", err)
			}
			if pinged {
				return errors.New("connection lost: no answer to a ping")
			}
			next, err := c.keepAlive(&pinged)
			if err != nil {
				return err
			}
			if err := conn.SetReadDeadline(next); err != nil {
				return fmt.Errorf("connection lost: %w", err)
			}
			continue
		}
		if pinged {
			pinged = false
			if err := conn.SetReadDeadline(time.Now().Add(c.idle())); err != nil {
				return fmt.Errorf("connection lost: %w", err)
			}
		}
		kind, body, err := readPacket(in, buf)
		if err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
		buf = body[:0]
		if cap(buf) > 4096 {
			buf = nil
		}
		if err := c.handle(kind, body); err != nil {
			return err
		}
	}
}

// keepAlive pings when nothing was written for long, and says when to look
// again.
func (c *Client) keepAlive(pinged *bool) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return time.Time{}, errors.New("connection lost while writing")
	}
	due := c.wrote.Add(c.idle())
	if time.Now().Before(due) {
		return due, nil
	}
	c.write([]byte{pingreqType, 0})
	*pinged = true
	return time.Now().Add(min(c.o.KeepAlive, writePatience)), nil
}

func (c *Client) handle(kind byte, body []byte) error {
	switch kind & 0xf0 {
	case pubackType:
		if len(body) < 2 {
			return errors.New("broker sends a PUBACK without an id")
		}
		c.settle(binary.BigEndian.Uint16(body))
	case publishType:
		topic, id, payload, err := parsePublish(kind, body)
		if err != nil {
			return err
		}
		if c.o.OnMessage != nil {
			c.o.OnMessage(topic, slices.Clone(payload))
		}
		if id != 0 {
			c.mu.Lock()
			if c.conn != nil {
				c.write(binary.BigEndian.AppendUint16([]byte{pubackType, 2}, id))
			}
			c.mu.Unlock()
		}
	case subackType:
		if len(body) == 3 && body[2]&0x80 != 0 && c.o.OnSubscribe != nil {
			c.o.OnSubscribe(fmt.Errorf("broker refuses user name %q the subscription to %q", c.o.Username, c.o.Subscribe))
		}
	}
	return nil
}

func (c *Client) settle(id uint16) {
	c.mu.Lock()
	i := slices.IndexFunc(c.inflight, func(m message) bool { return m.id == id })
	if i < 0 {
		c.mu.Unlock()
		return
	}
	acked := c.inflight[i].acked
	c.inflight = slices.Delete(c.inflight, i, i+1)
	c.mu.Unlock()
	if acked != nil {
		acked()
	}
}

// idle is how long nothing may be written before a ping: some brokers take the
// keep-alive to the letter.
func (c *Client) idle() time.Duration { return c.o.KeepAlive * 3 / 4 }
