// Package broker is the embedded MQTT broker, and the ingest.Source that reads
// it: a device's PUBACK is held back until its message is safe.
//
// mochi acknowledges a publication before anyone has stored it. Package wire
// therefore takes uplinks out of the connection before mochi reads it, and writes
// the PUBACK when the intake says so; the few that wire does not understand are
// taken away from mochi in its hook (packets.ErrRejectPacket). Uplinks go to
// nobody else: our roles follow the journal.
//
// Sessions and retained messages survive a restart, but nothing hangs on them:
// what must not be lost is in the journal and in the store, and is said again
// from there.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	Addr string      // host:port to listen on; port 0 picks a free one
	TLS  *tls.Config // nil: plain TCP
	// ClientCAs, if set, lets a client show a certificate of these authorities. It
	// must name the username: as common name, or without one as a DNS name or URI
	// among the alternative names. With it and no password, Credential is asked as
	// an ingest.CertificateCredential, if it is one. Needs TLS.
	ClientCAs *x509.CertPool
	// RequireClientCert refuses devices and teams without such a certificate.
	RequireClientCert bool
	Credential        ingest.Credential
	// Dir is the folder where sessions and retained messages are kept. Empty: they
	// end with the process.
	Dir      string
	Sessions SessionOptions
	// Flood limits what a username may send; &Flood{} has the usual limits. Nil:
	// nobody is limited.
	Flood  *Flood
	Floods ingest.FloodLog // told of devices that flood; may be nil
	// MaxClients is the most clients at once. Default 25,000, or what the limit of
	// open files allows.
	MaxClients int
	// MaxPerUser is the most connections of one username; the oldest gives way.
	// Our own roles have no limit. Default 16.
	MaxPerUser int
	LoginTime  time.Duration // within which a connection must log in; default 15 s
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// spareFiles is what the process needs beside its clients, in open files.
const spareFiles = 512

func (o *Options) check() error {
	switch {
	case o.Credential == nil:
		return errors.New("broker: Credential is missing")
	case o.Log == nil:
		return errors.New("broker: Log is missing")
	case o.ClientCAs != nil && o.TLS == nil:
		return errors.New("broker: ClientCAs needs TLS")
	case o.RequireClientCert && o.ClientCAs == nil:
		return errors.New("broker: RequireClientCert needs ClientCAs")
	}
	if o.LoginTime <= 0 {
		o.LoginTime = 15 * time.Second
	}
	if o.MaxClients <= 0 {
		o.MaxClients = 25_000
	}
	if o.MaxPerUser <= 0 {
		o.MaxPerUser = 16
	}
	return nil
}

// Broker is the embedded broker. It implements ingest.Source.
type Broker struct {
	server   *mqtt.Server
	listener net.Listener
	hook     *hook
	log      *zap.Logger
	fewer    int          // clients that the limit of open files allows; 0: enough
	close    func() error // once: mochi panics at a second time
}

// New checks the options and opens the port, so that a taken port is an error
// here and Addr is known; nobody is served before Run.
func New(o Options) (*Broker, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &Broker{log: o.Log}
	if files := openFiles(uint64(o.MaxClients) + spareFiles); files > 0 && files < uint64(o.MaxClients)+spareFiles { //nolint:gosec // positive
		b.fewer = max(1, int(files)-spareFiles) //nolint:gosec // below MaxClients
		o.Log.Warn("the limit of open files (ulimit -n) keeps MQTT clients out: raise it",
			zap.Uint64("open_files", files), zap.Int("clients_wanted", o.MaxClients), zap.Int("clients_possible", b.fewer))
		o.MaxClients = b.fewer
	}
	b.server = newServer(&o)
	b.hook = &hook{
		server: b.server, credential: o.Credential, log: o.Log,
		certificate: certificates{require: o.RequireClientCert},
	}
	h := b.hook
	h.metrics = newMetrics(o.Registerer, b.server)
	h.done = h.outstanding.Done
	h.certificate.credential, _ = o.Credential.(ingest.CertificateCredential)
	h.users = users{floods: o.Floods, log: o.Log, most: o.MaxPerUser, told: h.metrics.flood, byName: map[string]*user{}}
	if o.Flood != nil {
		f := o.Flood.withDefaults()
		h.users.flood = &f
	}
	h.sessions = newSessions(b.server, o.Sessions, h.metrics.dropped.Inc)
	if err := b.server.AddHook(h, nil); err != nil {
		return nil, fmt.Errorf("adding the broker's hook: %w", err)
	}
	// A dead peer that sends nothing is found in seven minutes, and a tracker's
	// radio is not woken four times a minute as by Go's default.
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Minute, Interval: 30 * time.Second, Count: 4}}
	l, err := lc.Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for MQTT: %w", err)
	}
	b.listener = l
	if o.TLS != nil && o.ClientCAs != nil {
		o.TLS = withClients(o.TLS, o.ClientCAs)
	}
	listener := &listener{
		Listener: l, h: h, tls: o.TLS, patience: o.LoginTime, most: o.MaxClients + o.MaxClients/20 + 16,
		conns: map[*conn]struct{}{},
	}
	if err := b.server.AddListener(listener); err != nil {
		return nil, errors.Join(fmt.Errorf("adding the MQTT listener: %w", err), l.Close())
	}
	if o.Dir != "" {
		if err := h.sessions.restore(o.Dir, o.Log); err != nil {
			return nil, errors.Join(fmt.Errorf("MQTT sessions: %w", err), l.Close())
		}
	}
	h.metrics.gauges(o.Registerer, h.sessions)
	b.close = sync.OnceValue(func() error {
		return errors.Join(b.server.Close(), h.sessions.store.close())
	})
	return b, nil
}

func newServer(o *Options) *mqtt.Server {
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumClients = int64(o.MaxClients)
	// Wider than the contract allows: a message that is too large belongs into
	// quarantine, where it is seen. Beyond this the connection ends.
	capabilities.MaximumPacketSize = 4 * contract.MaxMessageBytes
	// Of our own roles; sessions have limits of their own.
	capabilities.MaximumInflight = 65_535
	// mochi makes a queue of this size for every client, of 8 bytes a place. Only
	// our own roles hear through it, mostly $SYS.
	capabilities.MaximumClientWritesPending = 64
	// mochi asks whether a client may publish before it knows what an alias means.
	capabilities.TopicAliasMaximum = 0
	capabilities.MaximumSessionExpiryInterval = 24 * 3600
	// Retained state stays until it is replaced or, by MQTT 5, expires.
	capabilities.MaximumMessageExpiryInterval = 0
	return mqtt.New(&mqtt.Options{
		Capabilities: capabilities,
		Logger:       slog.New(&bridge{log: o.Log.WithOptions(zap.AddCallerSkip(3))}),
		// wire has read the stream in large pieces already.
		ClientNetReadBufferSize: 64,
	})
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
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
			b.hook.users.tick(now)
			b.hook.sessions.tick(now)
		}
	}
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

// Disconnect ends the connections and the session of the username at once, after
// its credential was revoked.
func (b *Broker) Disconnect(username string) { b.hook.disconnect(username) }

// Ready tells when clients are kept out because the limit of open files is too
// low, or nil.
func (b *Broker) Ready() error {
	if b.fewer > 0 && b.Clients() >= int64(b.fewer) {
		return fmt.Errorf("broker: %d clients are connected, and the limit of open files (ulimit -n) allows no more: raise it", b.fewer)
	}
	return nil
}

// Clients is the count of connected clients.
func (b *Broker) Clients() int64 { return atomic.LoadInt64(&b.server.Info.ClientsConnected) }
