// Package mqtt tells teams their orders over MQTT: one retained message per
// team, QoS 1, with all the orders that the team has not answered. A terminal
// that connects later finds it; when nothing is left to answer, it is cleared.
// Trackers are told their commands in the same way.
package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"
)

// Options configures a Notifier. URL, ClientID and Log are required.
type Options struct {
	URL      string // tcp://host:1883, ssl://host:8883, ws://…
	ClientID string // no other client of the broker may have it
	Username string
	Password string
	TLS      *tls.Config
	Log      *zap.Logger

	// RetryMin and RetryMax bound the wait between two attempts to connect, which
	// doubles. Defaults 250 ms and 10 s.
	RetryMin, RetryMax time.Duration
}

// Notifier is the channel "mqtt". Run keeps it connected.
//
// Each connection is a paho client of its own, with a clean session and without
// paho's reconnection: that one sends what an earlier connection left behind
// when it comes back, so an old state could be retained over a newer one. What
// was under way when a connection ended is an error, and the caller tells anew.
type Notifier struct {
	o        Options
	renewed  chan struct{}
	trackers Trackers

	mu    sync.Mutex
	conn  *connection // nil: not connected
	state error       // why there is none
}

type connection struct {
	client paho.Client
	lost   chan struct{} // closed when it has ended
	once   sync.Once
	cause  error // valid when lost is closed
}

func (c *connection) end(cause error) {
	c.once.Do(func() {
		c.cause = cause
		close(c.lost)
	})
}

// New checks the options. It does not dial.
func New(o Options) (*Notifier, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("mqtt: URL cannot be read: want scheme://host:port, like tcp://127.0.0.1:1883")
	case u.Scheme == "" || u.Host == "":
		return nil, fmt.Errorf("mqtt: URL %q: want scheme://host:port, like tcp://127.0.0.1:1883", u.Redacted())
	case o.ClientID == "":
		return nil, errors.New("mqtt: ClientID is missing")
	case o.Log == nil:
		return nil, errors.New("mqtt: Log is missing")
	}
	if o.RetryMin <= 0 {
		o.RetryMin = 250 * time.Millisecond
	}
	if o.RetryMax < o.RetryMin {
		o.RetryMax = max(10*time.Second, o.RetryMin)
	}
	n := &Notifier{o: o, renewed: make(chan struct{}, 1), state: errors.New("not connected yet")}
	n.trackers = Trackers{n: n, renewed: make(chan struct{}, 1)}
	return n, nil
}

// Channel is "mqtt".
func (n *Notifier) Channel() string { return "mqtt" }

// Renewed receives after each connection: the broker may have lost what it kept.
func (n *Notifier) Renewed() <-chan struct{} { return n.renewed }

// Ready reports why nobody can be told anything now, or nil.
func (n *Notifier) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

// Run connects, again and again when it must, until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	wait := n.o.RetryMin
	for ctx.Err() == nil {
		c, err := n.connect(ctx)
		if err == nil {
			wait = n.o.RetryMin
			n.set(c, nil)
			n.o.Log.Info("connected to the MQTT broker")
			for _, renewed := range []chan struct{}{n.renewed, n.trackers.renewed} {
				select {
				case renewed <- struct{}{}:
				default:
				}
			}
			select {
			case <-ctx.Done():
				c.end(errors.New("stopped"))
			case <-c.lost:
				n.o.Log.Warn("connection to the MQTT broker lost", zap.Error(c.cause))
			}
			n.set(nil, fmt.Errorf("connection to the MQTT broker lost: %w", c.cause))
			c.client.Disconnect(250)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if was := n.Ready(); was == nil || was.Error() != err.Error() {
			n.o.Log.Warn("connecting to the MQTT broker", zap.Error(err))
		}
		n.set(nil, err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, n.o.RetryMax)
	}
	n.set(nil, errors.New("stopped"))
	return nil //nolint:nilerr // the end was asked for
}

func (n *Notifier) set(c *connection, state error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conn, n.state = c, state
}

func (n *Notifier) connect(ctx context.Context) (*connection, error) {
	c := &connection{lost: make(chan struct{})}
	opts := paho.NewClientOptions().AddBroker(n.o.URL).
		SetClientID(n.o.ClientID).SetUsername(n.o.Username).SetPassword(n.o.Password).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectTimeout(5 * time.Second).SetWriteTimeout(10 * time.Second).
		SetKeepAlive(15 * time.Second).SetPingTimeout(10 * time.Second).
		SetOrderMatters(false). // nothing is subscribed to
		SetConnectionLostHandler(func(_ paho.Client, err error) { c.end(err) })
	if n.o.TLS != nil {
		opts.SetTLSConfig(n.o.TLS)
	}
	c.client = paho.NewClient(opts)
	t := c.client.Connect()
	select {
	case <-ctx.Done():
		c.client.Disconnect(0)
		return nil, ctx.Err()
	case <-t.Done():
	}
	if err := t.Error(); err != nil {
		c.client.Disconnect(0)
		return nil, fmt.Errorf("connecting to the MQTT broker: %w", err)
	}
	return c, nil
}
