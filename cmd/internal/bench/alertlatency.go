//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	contract "firewatch/firmware-contracts"
)

const (
	alertDevices = 2000                 // that report beside the fires
	alertLength  = time.Minute          // of alert-latency
	alertPoll    = 2 * time.Millisecond // between two looks into the store
	alertWait    = 10 * time.Second     // for the last alerts
)

// sensorID names a sensor that sees a fire.
func sensorID(i int) contract.DeviceID { return contract.DeviceID(fmt.Sprintf("bench-s-%05d", i)) }

// sensorSite is where it stands: some three kilometres from the next, so that no two
// fires are one incident.
func sensorSite(i int) (lat, lon float64) {
	return 38.3 + float64(i/50)*0.03, 113.5 + float64(i%50)*0.04
}

// appendFire appends the payload of a sensor in a fire: two quantities far above
// what the shipped rules ask for, which need no second reading.
func appendFire(b []byte, seq int64, at time.Time) []byte {
	b = strconv.AppendInt(append(b, `{"t":`...), at.UnixMilli(), 10)
	b = strconv.AppendInt(append(b, `,"seq":`...), seq, 10)
	return append(b, `,"temp_c":41.5,"rh_pct":18,"smoke_obs_pct_m":14.2,"co_ppm":96,"battery_pct":88}`...)
}

// sightings are when each sensor's alert was first seen in the store.
type sightings struct {
	mu   sync.Mutex
	seen map[contract.DeviceID]time.Time
}

func (s *sightings) note(id contract.DeviceID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[id]; !known {
		s.seen[id] = at
	}
}

func (s *sightings) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// watch looks into the store for new alerts, by the log of changes, until ctx ends.
func (s *sightings) watch(ctx context.Context, store *sqlstore.Store) error {
	after, err := store.LastEvent(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(alertPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		last, err := store.LastEvent(ctx)
		if err == nil && last > after {
			seen := time.Now()
			after = last
			var page []alerts.Alert
			if page, err = store.Alerts(ctx, alerts.AlertQuery{State: alerts.Firing, Limit: 50}); err == nil {
				for i := range page {
					if page[i].Rule == "sensor_fire" {
						s.note(page[i].Device, seen)
					}
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("looking into the store: %w", err)
		}
	}
}

// alertLatency is the whole system under its load, and fires beside it.
func alertLatency(ctx context.Context, s settings, sd side) (values, error) {
	devices, length := s.deviceCount(alertDevices), s.length(alertLength)
	w, err := newWorldWith(ctx, s, sd, devices+1, s.alerts)
	defer w.close()
	if err != nil {
		return nil, err
	}
	if err := w.serve(ctx, devices, 1); err != nil {
		return nil, err
	}
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: "sqlite:" + filepath.Join(w.dir, "firewatch", "firewatch.db"), Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	defer store.Close() //nolint:errcheck // only read
	f, err := w.light(ctx, s.alerts)
	if err != nil {
		return nil, err
	}
	defer f.drop()

	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := &sightings{seen: map[contract.DeviceID]time.Time{}}
	watched := make(chan error, 1)
	go func() { watched <- seen.watch(wctx, store) }()
	burnt := make(chan error, 1)
	go func() { burnt <- f.burn(wctx, length) }()
	v, _, err := w.paced(ctx, devices, time.Second*time.Duration(devices)/time.Duration(s.rate), length)
	if err = errors.Join(err, <-burnt); err != nil {
		return nil, err
	}
	for end := time.Now().Add(alertWait); seen.count() < len(f.at) && time.Now().Before(end); {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	cancel()
	if err := <-watched; err != nil {
		return nil, err
	}
	took := f.took(seen.seen)
	v[keyStored], v[keyLost] = float64(len(took)), float64(len(f.at)-len(took))
	v[keyP50], v[keyP99], v[keyMax] = quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1)
	return v, nil
}

// fires are the sensors, each with its connection and when it published.
type fires struct {
	sensors []*client
	at      []time.Time
}

// light connects the sensors.
func (w *world) light(_ context.Context, n int) (*fires, error) {
	f := &fires{}
	for i := range n {
		c := &client{addr: w.addr, secret: w.secret, id: sensorID(i), number: i}
		if err := c.dial(); err != nil {
			f.drop()
			return nil, fmt.Errorf("%s: %w", c.id, err)
		}
		f.sensors = append(f.sensors, c)
	}
	return f, nil
}

func (f *fires) drop() {
	for _, c := range f.sensors {
		c.drop()
	}
}

// burn has one sensor after the other see a fire, all within the time. The first
// fifth of it is left to the load alone.
func (f *fires) burn(ctx context.Context, during time.Duration) error {
	begin := time.Now().Add(during / 5)
	// A step that is no multiple of the engine's tick keeps the fires from falling
	// into its rhythm.
	step := during*4/5/time.Duration(len(f.sensors)) - 13*time.Microsecond
	for i, c := range f.sensors {
		if err := pause(ctx, time.Until(begin.Add(time.Duration(i)*step))); err != nil {
			return err
		}
		at := time.Now()
		payload := appendFire(nil, 1, at)
		if err := c.conn.SetDeadline(at.Add(patience)); err != nil {
			return err
		}
		f.at = append(f.at, at)
		if _, err := c.conn.Write(appendPublish(nil, contract.Uplink(contract.Sensor, contract.Environment, c.id), 1, payload)); err != nil {
			return fmt.Errorf("%s: %w", c.id, err)
		}
	}
	return nil
}

// took is how long each alert took to be seen, in ms, sorted. What was never seen
// is left out.
func (f *fires) took(seen map[contract.DeviceID]time.Time) []float64 {
	var out []float64
	for i, at := range f.at {
		if t, ok := seen[sensorID(i)]; ok {
			out = append(out, max(0, t.Sub(at).Seconds()*1000))
		}
	}
	slices.Sort(out)
	return out
}
