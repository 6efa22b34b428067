package broker

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/wire"
)

const (
	// A device uses a handful of topics.
	knownTopics = 8
	// farewell is how long a client is told why it is disconnected, if it does not
	// read.
	farewell = time.Second
)

var (
	errCut   = errors.New("the username is cut off: it floods")
	errEnded = errors.New("the connection has been ended")
)

// A conn is one client's connection, and what it is allowed. Publications of
// devices and teams are taken out of its stream before mochi sees them; before
// the login, and of what only mochi understands, nothing is.
type conn struct {
	*wire.Conn
	h      *hook
	socket net.Conn      // closed first: it ends every wait of the layers above
	login  *patient      // over socket
	stream net.Conn      // over login: TLS, or nothing more
	left   chan struct{} // closed when nothing of the connection is left in mochi
	life
	closing sync.Once
	client  atomic.Pointer[mqtt.Client] // once it has logged in
	ending  atomic.Bool                 // nothing more is taken
	mute    atomic.Bool                 // not even its last will

	// Of the goroutine that reads, from the login on.
	principal *ingest.Principal // nil: not logged in
	user      *user
	limits    *Limits // nil: none
	topics    map[string]topic
	few       int  // messages taken while the username is kept out
	heard     int  // bytes passed over meanwhile
	turn      bool // this connection has the user's turn
	counted   bool // among those connected
	denied    bool // it was told once
	keepAlive time.Duration
	first     [32]byte // what has come of mochi's next packet
	ready     int      // bytes of first

	session *session
	present bool          // the session went on
	expiry  time.Duration // granted
	asked   time.Duration // for the session, by the client
	little  atomic.Bool   // the username was kept out at the login: little is heard

	mu      sync.Mutex
	held    []held // in order
	bytes   int    // of them
	room    chan struct{}
	dripped bool // a goroutine works the held ones off
}

// topic is what is known of one that the client uses.
type topic struct{ allowed, sos bool }

// life ends with the connection. It is a Context, for calls that wait.
type life struct{ done chan struct{} }

// Deadline implements context.Context.
func (life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (l life) Done() <-chan struct{} { return l.done }

// Err implements context.Context.
func (l life) Err() error {
	select {
	case <-l.done:
		return context.Canceled
	default:
		return nil
	}
}

// Value implements context.Context.
func (life) Value(any) any { return nil }

// Close implements net.Conn. It never waits for the peer.
func (c *conn) Close() error {
	var err error
	c.closing.Do(func() {
		close(c.done)
		err = c.socket.Close()
		_ = c.Conn.Close() // what waits in it
	})
	return err
}

// end ends the connection for a reason that a client of MQTT 5 is told.
func (c *conn) end(why packets.Code) {
	again := c.ending.Swap(true)
	cl := c.client.Load()
	switch {
	case cl == nil:
		_ = c.Close()
	case again:
	case cl.Properties.ProtocolVersion == 5:
		go func() {
			defer time.AfterFunc(farewell, func() { _ = c.Close() }).Stop()
			_ = c.h.server.DisconnectClient(cl, why)
			cl.Stop(why)
		}()
	default:
		cl.Stop(why)
	}
}

// topic tells what the client may do on the topic.
func (c *conn) topic(name string) topic {
	t, ok := c.topics[name]
	if ok {
		return t
	}
	t.allowed = c.principal.MayPublish(name)
	if t.allowed {
		p, err := contract.ParseTopic(name)
		t.sos = err == nil && p.Class == contract.SOS
	}
	if c.topics == nil || len(c.topics) >= knownTopics {
		c.topics = make(map[string]topic, 1)
	}
	c.topics[strings.Clone(name)] = t
	return t
}

// publish is wire's callback: it takes an uplink over.
func (c *conn) publish(p wire.Publish) (bool, error) {
	if c.principal == nil || c.principal.Service {
		return false, nil
	}
	t := c.topic(p.Topic)
	if !t.allowed {
		return false, nil // mochi refuses it, by the rules of the client's version
	}
	if c.ending.Load() {
		return false, errEnded
	}
	if c.h.draining.Load() {
		return true, nil // not taken, and so not acknowledged
	}
	info := c.h.server.Info
	atomic.AddInt64(&info.PacketsReceived, 1)
	atomic.AddInt64(&info.MessagesReceived, 1)
	atomic.AddInt64(&info.BytesReceived, int64(len(p.Topic)+len(p.Payload)))
	m := ingest.Message{Topic: p.Topic, Payload: p.Payload, Received: time.Now().UTC(), Ack: c.h.done}
	if p.QoS > 0 {
		id := p.ID
		m.Ack = func() { c.Ack(id) }
	}
	return true, c.uplink(m, t.sos)
}

// put hands the message over. It blocks while the intake is full, and with it
// this one connection. A message that is not taken ends the connection, so that
// the device sends it again.
func (c *conn) put(m ingest.Message) error {
	c.h.metrics.uplinks.Inc()
	c.h.outstanding.Take()
	if err := c.h.to.Put(c.life, m); err != nil {
		c.h.outstanding.Done()
		c.end(packets.ErrServerBusy)
		return err
	}
	return nil
}
