// Package simulate plays a fleet: wardens who walk their beats, sensors on
// their sites, team terminals that answer orders, and a scripted story. It
// speaks to firewatch as real devices do, over MQTT, each with its own
// connection and credential.
package simulate

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"firewatch/cmd/internal/mqttclient"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// Options says who plays what, where and how fast.
type Options struct {
	MQTT      string      // host:port, or tcp://host:port, ssl://host:port
	TLS       *tls.Config // nil: plain TCP, unless MQTT asks for TLS
	Fleet     []Member
	Terminals []Terminal    // connect only in the story Fire
	Rate      float64       // readings/s of all devices together; 0: from Every
	Every     time.Duration // between two readings of a device; default 10 s
	Duration  time.Duration // 0: until ctx ends
	Seed      uint64        // the same seed and start give the same readings
	Story     Story
	// Ledger gets a line for each acknowledged reading: device,t_ms,seq. It is
	// written at once, so that a kill loses little.
	Ledger io.Writer
	Log    *zap.Logger
}

// Patience at the end, for what is not acknowledged.
const (
	patience        = 10 * time.Second
	patienceStopped = 1500 * time.Millisecond // when asked to stop
)

// run is one Run.
type run struct {
	o          Options
	log        *zap.Logger
	start      time.Time
	maxBacklog int // readings that one device keeps
	script     *script
	clock      *clock
	devices    []*device
	terminals  []*terminal
	count      counts
	draining   atomic.Bool
	away       atomic.Int64 // when a lost connection was last told, unix ns
	refusals   atomic.Int64 // devices that are refused now
	allRefused chan struct{}
	refusedAll sync.Once
	unheard    sync.Once

	ledger sync.Mutex
	line   []byte

	mu    sync.Mutex
	first error // the first thing that should not happen
}

// Run plays until Duration or ctx ends, and waits for the outstanding
// acknowledgements. That devices were refused is an error that names them.
func Run(ctx context.Context, o Options) (Summary, error) {
	r, err := newRun(o)
	if err != nil {
		return Summary{}, err
	}
	return r.play(ctx)
}

func newRun(o Options) (*run, error) {
	switch {
	case len(o.Fleet) == 0:
		return nil, errors.New("simulate: Fleet is empty")
	case o.Rate < 0 || math.IsNaN(o.Rate) || math.IsInf(o.Rate, 0):
		return nil, fmt.Errorf("simulate: Rate is %v", o.Rate)
	case o.Every < 0 || o.Duration < 0:
		return nil, errors.New("simulate: Every and Duration must not be negative")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Rate > 0 {
		o.Every = max(time.Duration(float64(len(o.Fleet))/o.Rate*float64(time.Second)), time.Microsecond)
	}
	r := &run{
		o: o, log: o.Log, start: time.Now().Truncate(time.Millisecond), clock: newClock(),
		maxBacklog: max(200, min(5000, 500_000/len(o.Fleet))), allRefused: make(chan struct{}),
	}
	rng := mathrand.New(mathrand.NewPCG(o.Seed, 0)) //nolint:gosec // repeatable by intent
	if o.Story == Fire {
		r.script = newScript(o.Fleet, rng)
	}
	dials := make(chan struct{}, 32)
	session := "sim-" + rand.Text()[:10]
	for i := range o.Fleet {
		d, err := r.newDevice(&r.o.Fleet[i], session, dials)
		if err != nil {
			return nil, err
		}
		r.devices = append(r.devices, d)
		// Spread evenly over the interval, in an order of their own.
		phase := time.Duration((float64(i) + rng.Float64()) / float64(len(o.Fleet)) * float64(o.Every))
		r.clock.at(r.start.Add(phase), d.tick)
	}
	if o.Story == Fire {
		c := &crew{run: r, orders: map[string]*muster{}}
		for _, t := range o.Terminals {
			term, err := r.newTerminal(t, c, session, dials)
			if err != nil {
				return nil, err
			}
			r.terminals = append(r.terminals, term)
		}
	}
	return r, nil
}

func (r *run) newDevice(m *Member, session string, dials chan struct{}) (*device, error) {
	if err := m.ID.Validate(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	if m.Kind != contract.Tracker && m.Kind != contract.Sensor {
		return nil, fmt.Errorf("simulate: device %s: %v", m.ID, m.Kind)
	}
	d := &device{life: newLife(m, r.o.Seed, r.start, r.o.Every, r.script), run: r}
	if hash(string(m.ID))%3 == 0 {
		d.enc = contractv1.CBOR
	}
	hears := ""
	if r.o.Story == Fire && m.Kind == contract.Tracker {
		hears = contract.DeviceOrders(m.ID)
		d.errands = &errands{run: r, device: m.ID, enc: d.enc, skew: d.life.skew, away: d.away}
	}
	var err error
	d.client, err = mqttclient.New(mqttclient.Options{
		MQTT: r.o.MQTT, TLS: r.o.TLS, ClientID: session, Username: string(m.ID), Password: m.Secret, Dials: dials,
		Subscribe: hears, OnMessage: func(_ string, payload []byte) { d.errands.hear(payload) },
		OnSubscribe: func(err error) {
			r.unheard.Do(func() {
				r.log.Warn("a tracker may not hear commands", zap.String("device", string(m.ID)), zap.Error(err))
			})
		},
		WillTopic: contract.Uplink(m.Kind, contract.Status, m.ID), Will: d.will,
		OnConnect: func(again bool) {
			d.connected.Store(true)
			if d.refused.Swap(false) {
				r.refusals.Add(-1)
			}
			if again {
				r.count.reconnects.Add(1)
			}
		},
		OnLost: func(err error) { r.lost(d, err) },
	})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	if d.errands != nil {
		d.errands.client = d.client
	}
	return d, nil
}

func (r *run) newTerminal(t Terminal, c *crew, session string, dials chan struct{}) (*terminal, error) {
	if err := t.Team.Validate(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	term := &terminal{team: t.Team, crew: c, seen: map[string]bool{}}
	client, err := mqttclient.New(mqttclient.Options{
		MQTT: r.o.MQTT, TLS: r.o.TLS, ClientID: session, Username: "team:" + string(t.Team), Password: t.Secret, Dials: dials, Window: 64,
		Subscribe: contract.TeamOrders(t.Team), OnMessage: func(_ string, payload []byte) { term.hear(payload) },
		OnSubscribe: r.fail,
		OnLost: func(err error) {
			if credential(err) {
				r.fail(err)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	term.client, term.connection, term.outstanding = client, client.Run, client.Outstanding
	return term, nil
}

// lost notes a lost connection, or that there is none.
func (r *run) lost(d *device, err error) {
	if credential(err) {
		if !d.refused.Swap(true) {
			n := r.refusals.Add(1)
			if n <= namedRefused {
				r.log.Warn("device refused by the broker", zap.String("device", string(d.life.m.ID)), zap.Error(err))
			}
			if int(n) == len(r.devices) && !r.everConnected() {
				r.refusedAll.Do(func() { close(r.allRefused) })
			}
		}
		return
	}
	now := time.Now().UnixNano()
	if last := r.away.Load(); now-last > int64(30*time.Second) && r.away.CompareAndSwap(last, now) {
		r.log.Warn("connection to the broker lost; trying again", zap.String("device", string(d.life.m.ID)), zap.Error(err))
	}
}

func credential(err error) bool {
	var refused *mqttclient.RefusedError
	return errors.As(err, &refused) && refused.Credential()
}

// play runs all parts until the end.
func (r *run) play(ctx context.Context) (Summary, error) {
	r.log.Info("simulated fleet starts", zap.Int("devices", len(r.devices)), zap.Int("terminals", len(r.terminals)),
		zap.Duration("every", r.o.Every), zap.Stringer("story", r.o.Story), zap.Uint64("seed", r.o.Seed))
	online, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	var parts sync.WaitGroup
	for _, d := range r.devices {
		parts.Go(func() { d.client.Run(online) })
	}
	for _, t := range r.terminals {
		parts.Go(func() { t.connection(online) })
	}
	living, stop := context.WithCancel(ctx)
	defer stop()
	if r.o.Duration > 0 {
		defer time.AfterFunc(time.Until(r.start.Add(r.o.Duration)), stop).Stop()
	}
	refused := make(chan struct{})
	parts.Go(func() {
		defer close(refused)
		select {
		case <-r.allRefused:
			stop()
		case <-living.Done():
		}
	})
	r.clock.run(living)
	<-refused
	lived := time.Since(r.start)

	r.draining.Store(true)
	for _, d := range r.devices {
		d.finish()
	}
	wait := patience
	if ctx.Err() != nil || !r.everConnected() {
		wait = patienceStopped
	}
	r.drain(wait)
	disconnect()
	parts.Wait()
	s := r.summary(lived)
	r.log.Info("simulated fleet ends", zap.Uint64("published", s.Published), zap.Uint64("acknowledged", s.Acknowledged))
	return s, r.err(&s)
}

// drain waits until all that were let in are done.
func (r *run) drain(wait time.Duration) {
	deadline := time.Now().Add(wait)
	for time.Now().Before(deadline) && r.busy() {
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *run) busy() bool {
	return slices.ContainsFunc(r.devices, func(d *device) bool { return !d.refused.Load() && !d.idle() }) ||
		slices.ContainsFunc(r.terminals, func(t *terminal) bool { return t.outstanding() > 0 })
}

// record writes acknowledged readings to the ledger.
func (r *run) record(device contract.DeviceID, list []id) {
	if r.o.Ledger == nil {
		return
	}
	r.ledger.Lock()
	defer r.ledger.Unlock()
	r.line = appendLedger(r.line[:0], device, list)
	if _, err := r.o.Ledger.Write(r.line); err != nil {
		r.fail(fmt.Errorf("writing the ledger: %w", err))
	}
}

// fail keeps the first thing that should not happen; the run goes on.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
}
