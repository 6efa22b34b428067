// Package mqtt reads uplinks from an external MQTT broker with
// eclipse/paho.mqtt.golang: a persistent session, QoS 1, and an acknowledgement
// only after the message is safe. What was not acknowledged, the broker sends
// again.
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

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
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
	Log      *zap.Logger
}

// Source reads an external broker. It implements ingest.Source.
type Source struct {
	o       Options
	filters map[string]byte

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

// Ready reports why nothing can be received now, or nil.
func (s *Source) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *Source) setState(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = err
}

// Run connects, again and again when it must, and delivers messages until ctx
// ends. Then it takes no more, waits a few seconds for the acknowledgements of
// those it took, and disconnects; the session stays at the broker.
func (s *Source) Run(ctx context.Context, to ingest.Acceptor) error {
	// What was taken before the stop must still be handed over.
	handing, stopHanding := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHanding()
	var outstanding ingest.Outstanding
	var acks ingest.AckQueue
	refused := make(chan error, 1)

	receive := func(_ paho.Client, m paho.Message) {
		if ctx.Err() != nil || len(refused) > 0 {
			return // not acknowledged: it comes again
		}
		outstanding.Take()
		err := to.Put(handing, ingest.Message{
			Topic: m.Topic(), Payload: m.Payload(), Received: time.Now().UTC(),
			Ack: func() {
				acks.Add(func() {
					m.Ack()
					outstanding.Done()
				})
			},
		})
		if err != nil {
			outstanding.Done()
			// Reading on would leave a gap that the broker never fills.
			select {
			case refused <- fmt.Errorf("handing a message over: %w", err):
			default:
			}
		}
	}

	opts := paho.NewClientOptions().AddBroker(s.o.URL).
		SetClientID(s.o.ClientID).SetUsername(s.o.Username).SetPassword(s.o.Password).
		SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetAutoReconnect(true).SetMaxReconnectInterval(10 * time.Second).
		SetConnectRetry(true).SetConnectRetryInterval(time.Second).SetConnectTimeout(10 * time.Second).
		SetKeepAlive(30 * time.Second).SetPingTimeout(60 * time.Second).
		SetDefaultPublishHandler(receive)
	if s.o.TLS != nil {
		opts.SetTLSConfig(s.o.TLS)
	}
	opts.SetConnectionLostHandler(func(_ paho.Client, err error) {
		s.setState(fmt.Errorf("connection to the MQTT broker lost: %w", err))
		s.o.Log.Warn("connection to the MQTT broker lost", zap.Error(err))
	})
	opts.SetConnectionNotificationHandler(func(_ paho.Client, n paho.ConnectionNotification) {
		if f, ok := n.(paho.ConnectionNotificationFailed); ok {
			s.setState(fmt.Errorf("connecting to the MQTT broker: %w", f.Reason))
		}
	})
	opts.SetOnConnectHandler(func(c paho.Client) {
		// Off paho's own goroutine: waiting for a token inside a handler blocks it.
		go s.subscribe(ctx, c, receive)
	})

	client := paho.NewClient(opts)
	client.Connect() // retries for ever; OnConnect tells
	var err error
	select {
	case <-ctx.Done():
	case err = <-refused:
	}
	if left := outstanding.Drain(5 * time.Second); left > 0 {
		s.o.Log.Warn("messages left unacknowledged at the stop; the broker will send them again", zap.Int64("messages", left))
	}
	stopHanding()
	client.Disconnect(250)
	s.setState(errors.New("stopped"))
	return err
}

// subscribe asks for the uplinks until the broker grants all of them.
func (s *Source) subscribe(ctx context.Context, c paho.Client, receive paho.MessageHandler) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := s.trySubscribe(ctx, c, receive)
		if err == nil {
			s.setState(nil)
			s.o.Log.Info("reading uplinks from the MQTT broker", zap.Int("filters", len(s.filters)))
			return
		}
		if ctx.Err() != nil || !c.IsConnectionOpen() {
			return // OnConnect comes again
		}
		s.setState(err)
		s.o.Log.Error("subscribing to uplinks", zap.Error(err), zap.Duration("again_in", wait))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *Source) trySubscribe(ctx context.Context, c paho.Client, receive paho.MessageHandler) error {
	t := c.SubscribeMultiple(s.filters, receive)
	select {
	case <-ctx.Done():
		return ctx.Err()
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
			if code == 0 {
				return fmt.Errorf("subscribing: the broker granted only QoS 0 for %q: readings could be lost", filter)
			}
		}
	}
	return nil
}
