// Package fleet tells from the stream of readings how the devices themselves
// are: whose clock is wrong, whose readings are missing, whose battery runs out,
// who floods. It follows the journal as a reader of its own, so that a crash
// neither forgets nor counts twice.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Reader is the fleet's name at the journal.
const Reader = "health"

const (
	batchEntries = 2000
	mostWritten  = 5000 // healths in one write
)

// Options configures a Fleet. Journal, Dir and Log are required.
type Options struct {
	Journal ingest.Journal
	Dir     string           // for the snapshot; created when absent
	Health  ingest.HealthLog // nil: nothing is written
	// Shared says that other processes read a part of the same devices' messages
	// (a shared subscription): sequence numbers are then not followed.
	Shared    bool
	SaveEvery time.Duration // between snapshots; default 1 min
	TellEvery time.Duration // between writes of what has changed; default 10 s
	// Refresh is how old the written health of a device that reports may become
	// when nothing of note changes. Default 5 min.
	Refresh time.Duration
	Forget  time.Duration // devices silent for longer are forgotten; default 90 days
	// MaxDevices bounds those that are followed, because on a broker that is not
	// ours anybody may make up ids. Readings of further ones are only counted.
	// Default 100,000.
	MaxDevices int
	Log        *zap.Logger
	Metrics    prometheus.Registerer // may be nil
}

// Fleet is the health of all devices. It is an ingest.FloodLog.
type Fleet struct {
	o   Options
	log *zap.Logger

	mu       sync.Mutex
	devices  map[contract.DeviceID]*device
	position ingest.Position // everything before it is in devices
	state    error           // why it does not work; nil when it does
	beyond   uint64          // readings of devices beyond MaxDevices
	told     bool            // of them, since there was room
}

var _ ingest.FloodLog = (*Fleet)(nil)

// New checks the options and reads the snapshot of an earlier run. One that does
// not read is set aside and said; the counts then begin anew.
func New(o Options) (*Fleet, error) {
	switch {
	case o.Journal == nil:
		return nil, errors.New("fleet: Journal is missing")
	case o.Dir == "":
		return nil, errors.New("fleet: Dir is missing")
	case o.Log == nil:
		return nil, errors.New("fleet: Log is missing")
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.SaveEvery, time.Minute},
		{&o.TellEvery, 10 * time.Second},
		{&o.Refresh, 5 * time.Minute},
		{&o.Forget, 90 * 24 * time.Hour},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if o.MaxDevices <= 0 {
		o.MaxDevices = 100_000
	}
	f := &Fleet{o: o, log: o.Log, devices: map[contract.DeviceID]*device{}, state: errors.New("not running")}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("fleet: creating its folder: %w", err)
	}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return f, f.register(o.Metrics)
}

func (f *Fleet) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	total := func(of func(*device) uint64) func() float64 {
		return func() float64 {
			f.mu.Lock()
			defer f.mu.Unlock()
			var n uint64
			for _, d := range f.devices {
				n += of(d)
			}
			return float64(n)
		}
	}
	for _, g := range []prometheus.Collector{
		gauge("firewatch_fleet_devices", "Devices that have reported.", total(func(*device) uint64 { return 1 })),
		gauge("firewatch_fleet_missing_readings", "Sequence numbers passed over by devices and not seen since.",
			total(func(d *device) uint64 { return d.Sequence.Missing })),
		gauge("firewatch_fleet_repeated_readings", "Readings that came again.", total(func(d *device) uint64 { return d.Sequence.Repeated })),
		gauge("firewatch_fleet_flooding_devices", "Devices that are slowed or cut off because they send too much.",
			total(func(d *device) uint64 {
				if d.flood != ingest.FloodNone {
					return 1
				}
				return 0
			})),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "firewatch_fleet_beyond_readings_total", Help: "Readings of devices that are not followed because there are too many.",
		}, func() float64 {
			f.mu.Lock()
			defer f.mu.Unlock()
			return float64(f.beyond)
		}),
	} {
		if err := r.Register(g); err != nil {
			return fmt.Errorf("fleet: Metrics: %w", err)
		}
	}
	return nil
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

// Run follows the journal until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	f.setState(nil)
	defer f.setState(errors.New("stopped"))
	var telling sync.WaitGroup
	telling.Go(func() { f.tell(ctx) })
	defer telling.Wait()
	pos := f.position
	if pos == 0 {
		pos = f.o.Journal.Retained(Reader)
	}
	saved := time.Now()
	// The journal holds nothing back for us before the first snapshot otherwise.
	f.save(pos)
	for {
		reading, cancel := context.WithTimeout(ctx, f.o.SaveEvery)
		entries, next, err := f.o.Journal.Read(reading, pos, batchEntries)
		cancel()
		switch {
		case err == nil:
			f.observe(entries, next)
			pos = next
			f.setState(nil)
		case ctx.Err() != nil:
			f.save(pos)
			return nil
		case !errors.Is(err, context.DeadlineExceeded):
			f.setState(err)
			f.log.Error("fleet: reading the journal", zap.Error(err))
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		if time.Since(saved) >= f.o.SaveEvery {
			f.save(pos)
			saved = time.Now()
		}
	}
}

func (f *Fleet) observe(entries []ingest.Entry, next ingest.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range entries {
		if entries[i].Answer == nil {
			r := &entries[i].Reading
			if d := f.device(r.Device); d != nil {
				d.observe(r, !f.o.Shared)
			} else {
				f.beyond++
			}
		}
	}
	f.position = next
}

// device finds or makes the device's entry, or gives nil when there are too
// many. The caller holds mu.
func (f *Fleet) device(id contract.DeviceID) *device {
	d := f.devices[id]
	if d == nil && len(f.devices) >= f.o.MaxDevices {
		if !f.told {
			f.told = true
			f.log.Error("fleet: too many devices; the health of further ones is not followed",
				zap.Int("devices", len(f.devices)), zap.String("first", string(id)))
		}
		return nil
	}
	if d == nil {
		d = new(device)
		f.devices[id] = d
	}
	return d
}

// Flood implements ingest.FloodLog.
func (f *Fleet) Flood(id contract.DeviceID, s ingest.FloodState, _ time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.device(id); d != nil {
		d.flood = s
	}
}

// Ready reports why the health of devices is not followed, or nil.
func (f *Fleet) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == nil {
		return nil
	}
	return fmt.Errorf("fleet: %w", f.state)
}

func (f *Fleet) setState(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = err
}

// Health is that of every device that has reported.
func (f *Fleet) Health() []ingest.DeviceHealth {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]ingest.DeviceHealth, 0, len(f.devices))
	for _, id := range slices.Sorted(maps.Keys(f.devices)) {
		out = append(out, f.devices[id].health(id))
	}
	return out
}

// tell writes what has changed, now and then, and once more at the end.
func (f *Fleet) tell(ctx context.Context) {
	if f.o.Health == nil {
		return
	}
	tick := time.NewTicker(f.o.TellEvery)
	defer tick.Stop()
	failing := false
	for stopping := false; !stopping; {
		select {
		case <-ctx.Done():
			stopping = true
		case <-tick.C:
		}
		writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.o.TellEvery)
		err := f.write(writing, time.Now())
		cancel()
		if err != nil && !failing {
			f.log.Warn("fleet: the health of devices is not written now; it will be", zap.Error(err))
		}
		failing = err != nil
	}
}

func (f *Fleet) write(ctx context.Context, now time.Time) error {
	for {
		changed := f.changed(now)
		if len(changed) == 0 {
			return nil
		}
		if err := f.o.Health.WriteHealth(ctx, changed); err != nil {
			return fmt.Errorf("writing the health of %d devices: %w", len(changed), err)
		}
		f.mu.Lock()
		for i := range changed {
			if d := f.devices[changed[i].Device]; d != nil {
				d.written, d.at = changed[i], now
			}
		}
		f.mu.Unlock()
	}
}

// changed is what is worth writing at the time, a bounded part of it.
func (f *Fleet) changed(now time.Time) []ingest.DeviceHealth {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ingest.DeviceHealth
	for id, d := range f.devices {
		if d.Received == 0 && d.flood == d.written.Flood {
			continue // never heard of, and nothing to say
		}
		h := d.health(id)
		if differs(&d.written, &h) || h.Received.After(d.written.Received) && now.Sub(d.at) >= f.o.Refresh {
			out = append(out, h)
		}
		if len(out) >= mostWritten {
			break
		}
	}
	return out
}

// snapshot is the file's content.
type snapshot struct {
	Version  int                           `json:"version"`
	Position ingest.Position               `json:"position"`
	Devices  map[contract.DeviceID]*device `json:"devices"`
}

const snapshotVersion = 1

func (f *Fleet) path() string { return filepath.Join(f.o.Dir, "fleet.json") }

// save writes the snapshot, and then lets go of the journal before it. A failure
// costs nothing but room in the journal; it is said and tried again.
func (f *Fleet) save(pos ingest.Position) {
	err := f.writeSnapshot(f.copied(pos))
	if err == nil {
		err = f.o.Journal.Retain(Reader, pos)
	}
	if err != nil {
		f.log.Error("fleet: saving the snapshot; the journal is kept from the last one on", zap.Error(err))
	}
}

// copied forgets who was silent for too long and copies the rest: encoding takes
// many times as long, and goes on while others ask for the health of devices.
func (f *Fleet) copied(pos ingest.Position) snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := time.Now().Add(-f.o.Forget).UnixMilli()
	maps.DeleteFunc(f.devices, func(_ contract.DeviceID, d *device) bool { return d.Received < oldest && d.flood == ingest.FloodNone })
	if len(f.devices) < f.o.MaxDevices {
		f.told = false
	}
	s := snapshot{snapshotVersion, pos, make(map[contract.DeviceID]*device, len(f.devices))}
	copies := make([]device, 0, len(f.devices))
	for id, d := range f.devices {
		copies = append(copies, *d)
		c := &copies[len(copies)-1]
		c.Sequence.Gaps = slices.Clone(d.Sequence.Gaps)
		c.Battery.Samples = slices.Clone(d.Battery.Samples)
		s.Devices[id] = c
	}
	return s
}

func (f *Fleet) writeSnapshot(s snapshot) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFile(f.path(), b)
}

// writeFile replaces the file in one step. It is not synced: after a power cut
// an older one and the journal behind it, or at worst a beginning anew, will do.
func writeFile(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (f *Fleet) load() error {
	b, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the snapshot: %w", err)
	}
	var s snapshot
	if err = json.Unmarshal(b, &s); err == nil && s.Version != snapshotVersion {
		err = fmt.Errorf("version %d is not known", s.Version)
	}
	if err != nil {
		aside := f.path() + ".bad"
		f.log.Error("fleet: the snapshot does not read; missing and repeated readings are counted anew",
			zap.String("kept_as", aside), zap.Error(err))
		if err := os.Rename(f.path(), aside); err != nil {
			return fmt.Errorf("setting a bad snapshot aside: %w", err)
		}
		return nil
	}
	for id, d := range s.Devices {
		if d != nil && id.Validate() == nil && len(f.devices) < f.o.MaxDevices {
			f.devices[id] = d
		}
	}
	f.position = s.Position
	return nil
}
