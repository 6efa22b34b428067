// Package mqtt reads uplinks from an external MQTT broker with
// eclipse/paho.mqtt.golang: a persistent session, QoS 1, and an acknowledgement
// only after the message is safe. What was not acknowledged, the broker sends
// again.
//
// paho keeps the session; the messages themselves are taken off the connection
// before paho sees them (package wire), which costs a fraction.
package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

const (
	dialTime  = 10 * time.Second // to connect, without the MQTT handshake
	drainTime = 5 * time.Second  // for the acknowledgements at a stop
	// A broker that was killed has forgotten the session, and acknowledges what
	// nobody hears until the subscription is back.
	reconnectMax = 2 * time.Second
)

// Options configures a Source. URL, ClientID and Log are required.
type Options struct {
	URL      string // tcp://host:1883, ssl://host:8883, ws://…
	ClientID string // names the session at the broker; must be the same after a restart
	Username string
	Password string
	TLS      *tls.Config
	Group    string   // shared subscription group ($share/GROUP/…); empty: none
	Filters  []string // default contract.Uplinks
	// BestEffort accepts that the broker grants only QoS 0, where what comes
	// while nobody is connected is lost; Warnings says so. Otherwise that is an
	// error.
	BestEffort bool
	Log        *zap.Logger
}

// Source reads an external broker. It implements ingest.Source.
type Source struct {
	o       Options
	filters map[string]byte
	watch   watch

	mu    sync.Mutex
	state error // why the source is not ready; nil when it is
}

// New checks the options. It does not dial.
func New(o Options) (*Source, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("mqtt: URL: %w", err)
	case u.Scheme == "" || u.Host == "":
		return nil, fmt.Errorf("mqtt: URL %q: want scheme://host:port, like tcp://127.0.0.1:1883", u.Redacted())
	case !known(u.Scheme):
		return nil, fmt.Errorf("mqtt: URL %q: want tcp, ssl, ws or wss", u.Redacted())
	case o.ClientID == "":
		return nil, errors.New("mqtt: ClientID is missing")
	case o.Log == nil:
		return nil, errors.New("mqtt: Log is missing")
	}
	if len(o.Filters) == 0 {
		o.Filters = contract.Uplinks
	}
	s := &Source{o: o, filters: make(map[string]byte, len(o.Filters)), state: errors.New("not connected yet")}
	for _, f := range o.Filters {
		if o.Group != "" {
			f = "$share/" + o.Group + "/" + f
		}
		s.filters[f] = 1
	}
	return s, nil
}

// Ready reports why nothing can be received now, or that the broker loses
// messages now, or nil.
func (s *Source) Ready() error {
	s.mu.Lock()
	err := s.state
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.watch.losing(time.Now())
}

// Warnings names what at the broker has lost messages, or slows them down, as
// far as can be seen from here.
func (s *Source) Warnings() []string { return s.watch.warnings() }

func (s *Source) setState(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = err
}

// A run is one call of Run.
type run struct {
	*Source
	to          ingest.Acceptor
	stop        context.Context //nolint:containedctx // ends when nothing more is to be taken
	handing     context.Context //nolint:containedctx // ends when what was taken is not waited for any more
	outstanding ingest.Outstanding
	acks        ingest.AckQueue // of messages that paho delivered
	refused     chan error      // has why the intake refused a message
	unanswered  atomic.Int32    // how often the broker was asked for its counters since it last answered
}

// Run connects, again and again when it must, and delivers messages until ctx
// ends. Then it takes no more, waits a few seconds for the acknowledgements of
// those it took, and disconnects; the session stays at the broker.
func (s *Source) Run(ctx context.Context, to ingest.Acceptor) error {
	// What was taken before the stop must still be handed over.
	handing, stopHanding := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHanding()
	r := &run{Source: s, to: to, stop: ctx, handing: handing, refused: make(chan error, 1)}
	client := paho.NewClient(r.options())
	client.Connect() // retries for ever; OnConnect tells
	var err error
	select {
	case <-ctx.Done():
	case err = <-r.refused:
		r.refused <- err // so that no other is taken
	}
	if left := r.outstanding.Drain(drainTime); left > 0 {
		s.o.Log.Warn("messages left unacknowledged at the stop; the broker will send them again", zap.Int64("messages", left))
	}
	stopHanding()
	client.Disconnect(250)
	s.setState(errors.New("stopped"))
	return err
}

func (r *run) options() *paho.ClientOptions {
	opts := paho.NewClientOptions().AddBroker(r.o.URL).
		SetClientID(r.o.ClientID).SetUsername(r.o.Username).SetPassword(r.o.Password).
		SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetAutoReconnect(true).SetMaxReconnectInterval(reconnectMax).
		SetConnectRetry(true).SetConnectRetryInterval(time.Second).SetConnectTimeout(dialTime).
		SetKeepAlive(30 * time.Second).SetPingTimeout(60 * time.Second).
		SetCustomOpenConnectionFn(r.open).
		SetDefaultPublishHandler(r.receive)
	if r.o.TLS != nil {
		opts.SetTLSConfig(r.o.TLS)
	}
	opts.SetConnectionLostHandler(func(_ paho.Client, err error) {
		r.setState(fmt.Errorf("connection to the MQTT broker lost: %w", err))
		r.o.Log.Warn("connection to the MQTT broker lost", zap.Error(err))
	})
	opts.SetConnectionNotificationHandler(func(_ paho.Client, n paho.ConnectionNotification) {
		if f, ok := n.(paho.ConnectionNotificationFailed); ok {
			r.setState(fmt.Errorf("connecting to the MQTT broker: %w", f.Reason))
		}
	})
	opts.SetOnConnectHandler(func(c paho.Client) {
		// Off paho's own goroutine: waiting for a token inside a handler blocks it.
		go r.subscribe(c)
	})
	return opts
}

// over reports that nothing more is to be taken.
func (r *run) over() bool { return r.stop.Err() != nil || len(r.refused) > 0 }

// put hands one message over, or makes Run return: reading on would leave a gap
// that the broker never fills.
func (r *run) put(topic string, payload []byte, ack func()) error {
	r.outstanding.Take()
	err := r.to.Put(r.handing, ingest.Message{Topic: topic, Payload: payload, Received: time.Now().UTC(), Ack: ack})
	if err == nil {
		return nil
	}
	r.outstanding.Done()
	err = fmt.Errorf("handing a message over: %w", err)
	select {
	case r.refused <- err:
	default:
	}
	return err
}

// receive is the slow path: what was left to paho, like QoS 2.
func (r *run) receive(_ paho.Client, m paho.Message) {
	if r.over() {
		return // not acknowledged: it comes again
	}
	_ = r.put(m.Topic(), m.Payload(), func() { // Run returns the error
		r.acks.Add(func() {
			m.Ack() // paho drops it when the connection is another one by now
			r.outstanding.Done()
		})
	})
}

// subscribe asks for the uplinks until the broker grants all of them.
func (r *run) subscribe(c paho.Client) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := r.trySubscribe(c)
		if err == nil {
			r.setState(nil)
			r.o.Log.Info("reading uplinks from the MQTT broker", zap.Int("filters", len(r.filters)))
			r.askCounters(c)
			return
		}
		if r.stop.Err() != nil || !c.IsConnectionOpen() {
			return // OnConnect comes again
		}
		r.setState(err)
		r.o.Log.Error("subscribing to uplinks", zap.Error(err), zap.Duration("again_in", wait))
		select {
		case <-r.stop.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (r *run) trySubscribe(c paho.Client) error {
	t := c.SubscribeMultiple(r.filters, r.receive)
	select {
	case <-r.stop.Done():
		return r.stop.Err()
	case <-t.Done():
	}
	if err := t.Error(); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	if st, ok := t.(*paho.SubscribeToken); ok {
		for filter, code := range st.Result() {
			if code == 0x80 {
				return fmt.Errorf("subscribing: the broker refused %q: check what the account may read", filter)
			}
			if code == 0 && r.o.BestEffort {
				r.watch.unsafe()
				continue
			}
			if code == 0 {
				return fmt.Errorf("subscribing: the broker granted only QoS 0 for %q: readings could be lost", filter)
			}
		}
	}
	return nil
}

// askCounters subscribes to what the broker says of its own losses. Most
// accounts may not read that, which is no error. Some brokers end a connection
// that asks; after three times without an answer it is left at that.
func (r *run) askCounters(c paho.Client) {
	if r.unanswered.Add(1) > 3 {
		return
	}
	t := c.SubscribeMultiple(counterFilters(), func(_ paho.Client, m paho.Message) {
		r.watch.counter(m.Topic(), m.Payload(), time.Now())
	})
	select {
	case <-r.stop.Done():
	case <-t.Done():
		if t.Error() == nil {
			r.unanswered.Store(0)
		}
	}
}
