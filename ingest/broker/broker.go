// Package broker is the embedded MQTT broker, and the ingest.Source that reads
// it: a device's PUBACK is held back until its message is safe.
//
// mochi acknowledges a publication before anyone has stored it. The broker
// therefore takes uplinks away from mochi (packets.ErrRejectPacket), gives them
// to the intake, and writes the PUBACK itself when the intake says so. Uplinks go
// to nobody else: our roles follow the journal.
//
// Retained messages live in memory, and sessions end with their connection:
// what must not be lost is in the journal and in the store, and is said again
// from there.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Options configures a Broker. Addr, Credential and Log are required.
type Options struct {
	Addr       string      // host:port to listen on; port 0 picks a free one
	TLS        *tls.Config // nil: plain TCP
	Credential ingest.Credential
	MaxClients int           // connections at once; default 25,000
	LoginTime  time.Duration // within which a connection must log in; default 15 s
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Broker is the embedded broker. It implements ingest.Source.
type Broker struct {
	server   *mqtt.Server
	listener net.Listener
	hook     *hook
	log      *zap.Logger
	close    func() error // once: mochi panics at a second time
}

// New checks the options and opens the port, so that a taken port is an error
// here and Addr is known; nobody is served before Run.
func New(o Options) (*Broker, error) {
	if o.Credential == nil {
		return nil, errors.New("broker: Credential is missing")
	}
	if o.Log == nil {
		return nil, errors.New("broker: Log is missing")
	}
	if o.LoginTime <= 0 {
		o.LoginTime = 15 * time.Second
	}
	if o.MaxClients <= 0 {
		o.MaxClients = 25_000
	}
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumClients = int64(o.MaxClients)
	// Wider than the contract allows: a message that is too large belongs into
	// quarantine, where it is seen. Beyond this the connection ends.
	capabilities.MaximumPacketSize = 4 * contract.MaxMessageBytes
	capabilities.MaximumInflight = 65_535
	// mochi makes a queue of this size for every client, of 8 bytes a place.
	capabilities.MaximumClientWritesPending = 256
	capabilities.MaximumSessionExpiryInterval = 24 * 3600
	capabilities.MaximumMessageExpiryInterval = 24 * 3600
	server := mqtt.New(&mqtt.Options{
		Capabilities: capabilities,
		Logger:       slog.New(&bridge{log: o.Log.WithOptions(zap.AddCallerSkip(3))}),
	})
	b := &Broker{server: server, log: o.Log, close: sync.OnceValue(server.Close)}
	b.hook = &hook{server: server, credential: o.Credential, log: o.Log, metrics: newMetrics(o.Registerer, server)}
	if err := server.AddHook(b.hook, nil); err != nil {
		return nil, fmt.Errorf("adding the broker's hook: %w", err)
	}
	l, err := net.Listen("tcp", o.Addr) //nolint:noctx // a constructor has no context, and listening does not wait
	if err != nil {
		return nil, fmt.Errorf("listening for MQTT: %w", err)
	}
	b.listener = l
	if o.TLS != nil {
		l = tls.NewListener(l, o.TLS)
	}
	if err := server.AddListener(newListener(l, o.LoginTime)); err != nil {
		return nil, errors.Join(fmt.Errorf("adding the MQTT listener: %w", err), l.Close())
	}
	return b, nil
}

// Addr is the address that is listened on.
func (b *Broker) Addr() string { return b.listener.Addr().String() }

// Run serves devices until ctx ends. Then it takes no more messages, waits a
// few seconds until those it took are acknowledged, and closes.
func (b *Broker) Run(ctx context.Context, to ingest.Acceptor) error {
	b.hook.start(ctx, to)
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("serving MQTT: %w", err)
	}
	<-ctx.Done()
	if left := b.hook.drain(5 * time.Second); left > 0 {
		b.log.Warn("messages left unacknowledged at the stop; their devices will send them again", zap.Int64("messages", left))
	}
	if err := b.close(); err != nil {
		return fmt.Errorf("closing the MQTT broker: %w", err)
	}
	return nil
}

// Close closes the port. It does nothing after Run, which closes too.
func (b *Broker) Close() error { return b.close() }

// Disconnect ends the connections of the username, after its credential was
// revoked.
func (b *Broker) Disconnect(username string) { b.hook.disconnect(username) }

// Ready is always nil: an embedded broker that runs is reachable.
func (b *Broker) Ready() error { return nil }

// Clients is the count of connected clients.
func (b *Broker) Clients() int64 { return atomic.LoadInt64(&b.server.Info.ClientsConnected) }
