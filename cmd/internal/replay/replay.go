// Package replay publishes recorded tracks and series as the readings of one
// device, over real MQTT.
package replay

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"firewatch/cmd/internal/mqttclient"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// Options says what is replayed as what.
type Options struct {
	Path   string
	Format string // gpx, nmea, plt, weather or smoke; empty: from the name and the content
	Device contract.DeviceID
	Kind   contract.Kind // 0: follows from the file
	Secret string
	MQTT   string      // host:port, or tcp://host:port, ssl://host:port
	TLS    *tls.Config // nil: plain TCP, unless MQTT asks for TLS
	Start  time.Time   // measured time of the first reading; zero: the file's own times
	Speed  float64     // 1: in real time, 60: a minute in a second; 0: as fast as it is acknowledged
	Log    *zap.Logger
}

// Summary is what was done. Records are the fixes or rows of the file: each was
// published as one reading or left out.
type Summary struct {
	File          string            `json:"file"`
	Format        string            `json:"format"`
	Device        contract.DeviceID `json:"device"`
	Kind          string            `json:"kind"`
	Records       int               `json:"records"`
	Published     int               `json:"published"`       // readings, distinct by seq
	Acknowledged  int               `json:"acknowledged"`    // readings
	LeftOut       map[string]int    `json:"left_out"`        // records, by reason
	ValuesLeftOut map[string]int    `json:"values_left_out"` // single values of published readings, by reason
	Unread        map[string]int    `json:"unread"`          // lines that hold no record, by what they are
	Times         string            `json:"times,omitempty"` // where the times are from, when not the file's own
	First         time.Time         `json:"first,omitzero"`  // measured
	Last          time.Time         `json:"last,omitzero"`   // measured
	Messages      int               `json:"messages"`        // published
	Resent        uint64            `json:"resent"`          // messages sent again after a reconnect
	Seconds       float64           `json:"seconds"`
}

// maxBatch is how many readings go into one message.
const maxBatch = 100

// window is how many messages are on their way at once.
const window = 16

// patience bounds the wait for the first connection and for the last PUBACKs.
const patience = 30 * time.Second

// Run replays the file. It returns when all readings are acknowledged, ctx ends
// or the broker refuses the device.
func Run(ctx context.Context, o Options) (Summary, error) {
	s := Summary{File: filepath.Base(o.Path), Device: o.Device, LeftOut: map[string]int{}, ValuesLeftOut: map[string]int{}, Unread: map[string]int{}}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	readings, err := load(o, &s, time.Now())
	if err != nil {
		return s, fmt.Errorf("replay %s: %w", o.Path, err)
	}
	o.Log.Info("replay starts", zap.String("file", s.File), zap.String("format", s.Format), zap.Int("readings", len(readings)),
		zap.Time("first", s.First), zap.Time("last", s.Last))
	began := time.Now()
	err = publish(ctx, o, readings, &s)
	s.Seconds = math.Round(time.Since(began).Seconds()*1000) / 1000
	if err != nil {
		return s, fmt.Errorf("replay %s: %w", o.Path, err)
	}
	return s, nil
}

// load reads the file and makes readings of it.
func load(o Options, s *Summary, now time.Time) ([]contract.Reading, error) {
	if err := o.Device.Validate(); err != nil {
		return nil, err
	}
	if o.Speed < 0 || math.IsNaN(o.Speed) || math.IsInf(o.Speed, 0) {
		return nil, fmt.Errorf("the speed %v is not one", o.Speed)
	}
	file, err := os.Open(o.Path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer file.Close() //nolint:errcheck // only read
	f, err := chooseFormat(o.Format, o.Path, file)
	if err != nil {
		return nil, err
	}
	s.Format, s.Kind = f.name, f.kind.String()
	if o.Kind != 0 && o.Kind != f.kind {
		return nil, fmt.Errorf("a %s file holds the readings of a %s, not of a %s", f.name, f.kind, o.Kind)
	}
	in := &input{summary: s}
	if err := f.read(file, in); err != nil {
		return nil, err
	}
	return in.readings(o, f, now)
}

// publish sends the readings and waits for their acknowledgement.
func publish(ctx context.Context, o Options, readings []contract.Reading, s *Summary) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	connected := make(chan struct{}, 1)
	client, err := mqttclient.New(mqttclient.Options{
		MQTT: o.MQTT, TLS: o.TLS, ClientID: "replay-" + rand.Text()[:10], Username: string(o.Device), Password: o.Secret, Window: window,
		OnConnect: func(bool) {
			select {
			case connected <- struct{}{}:
			default:
			}
		},
		OnLost: func(err error) {
			var refused *mqttclient.RefusedError
			if errors.As(err, &refused) && refused.Credential() {
				cancel(err)
				return
			}
			o.Log.Warn("connection to the broker lost; trying again", zap.Error(err))
		},
	})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		client.Run(ctx)
	}()
	defer func() {
		cancel(nil)
		<-done
		s.Resent = client.Resent()
	}()
	select {
	case <-connected:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		return fmt.Errorf("no connection to the broker at %s in %s", o.MQTT, patience)
	}
	acked := make(chan int, window)
	p := &publisher{o: o, client: client, acked: acked, summary: s}
	return p.run(ctx, readings)
}

// publisher is one replay on its way.
type publisher struct {
	o       Options
	client  *mqttclient.Client
	acked   chan int // readings of an acknowledged message
	flying  int      // messages
	summary *Summary
}

func (p *publisher) run(ctx context.Context, readings []contract.Reading) error {
	began := time.Now()
	for len(readings) > 0 {
		n := min(maxBatch, len(readings))
		if p.o.Speed > 0 {
			due := func(i int) time.Time {
				return began.Add(time.Duration(float64(readings[i].Measured.Sub(p.summary.First)) / p.o.Speed))
			}
			if err := p.until(ctx, due(0)); err != nil {
				return err
			}
			now := time.Now()
			for n = 1; n < maxBatch && n < len(readings) && !due(n).After(now); {
				n++
			}
		}
		if err := p.send(ctx, readings[:n]); err != nil {
			return err
		}
		readings = readings[n:]
	}
	for p.flying > 0 {
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// until waits for the time, and takes acknowledgements meanwhile.
func (p *publisher) until(ctx context.Context, t time.Time) error {
	wait := time.Until(t)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case n := <-p.acked:
			p.count(n)
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// send publishes the readings in one message, or in several when they are too
// large for one.
func (p *publisher) send(ctx context.Context, batch []contract.Reading) error {
	payload, err := contractv1.AppendReadings(nil, contractv1.JSON, batch)
	if errors.Is(err, contractv1.ErrTooLarge) && len(batch) > 1 {
		half := len(batch) / 2
		if err := p.send(ctx, batch[:half]); err != nil {
			return err
		}
		return p.send(ctx, batch[half:])
	}
	if err != nil {
		return err
	}
	for p.flying >= window {
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
	topic := contract.Uplink(batch[0].Kind, batch[0].Class, batch[0].Device)
	if !p.client.Publish(topic, payload, func() { p.acked <- len(batch) }) {
		return errors.New("the window is full")
	}
	p.flying++
	p.summary.Messages++
	p.summary.Published += len(batch)
	return nil
}

// settle waits for one acknowledgement.
func (p *publisher) settle(ctx context.Context) error {
	select {
	case n := <-p.acked:
		p.count(n)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *publisher) count(readings int) {
	p.flying--
	p.summary.Acknowledged += readings
}
