// Package quarantine keeps what cannot be accepted as evidence on disk, within
// fixed bounds of disk, memory and work. It implements ingest.Quarantine.
//
// A folder holds files of JSON lines, one for each kept rejection, and the
// counts. Each device has a budget of kept rejections; beyond it a rejection is
// only counted, which costs about as much as a look into a map. So 100,000
// garbage messages of one device are 100,000 increments and a few lines.
//
// # Readings refused by storage
//
// A reading that its device was told is safe, and that storage does not take, is
// neither budgeted nor cut: the folder "refused" holds all of them, up to
// MaxRefused bytes; then Keep fails, and they stay in the journal. Each line of
// its files refused-*.jsonl is one reading:
//
//	{"received":"2026-04-04T04:00:00Z","device":"se-1","topic":"fw/v1/sensors/se-1/readings",
//	 "reason":"storage refuses the reading: …","payload":{"t":1775275200000,"seq":7,"temp_c":21.5}}
//
// payload is the document of the contract that the device could send on the
// topic. When storage takes such readings again, an operator moves the files out
// of the folder, which also makes room in a full one without a restart, and then
// sends them once more; the same reading twice changes nothing:
//
//	jq -r '.topic, (.payload | tojson)' refused-*.jsonl |
//	while IFS= read -r topic && IFS= read -r doc; do mosquitto_pub -q 1 -t "$topic" -m "$doc"; done
//
// A line with payload_text in the place of payload is a reading that is no
// document; it is for reading only.
package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Names in Counts that are no device's: neither can be a DeviceID.
const (
	NoDevice     contract.DeviceID = "_none"  // the topic named no device
	OtherDevices contract.DeviceID = "_other" // beyond MaxDevices
)

const (
	exampleBytes = 1 << 10 // of a payload in Counts
	topicBytes   = 256     // of a topic, kept
	reasonBytes  = 512     // of a reason, kept
	files        = 8       // the bytes on disk are divided among about so many files
	maxFiles     = 64      // every start begins one, however small
	flushBytes   = 1 << 18 // of lines that are held in memory
)

// Options configures a Quarantine. Dir and Log are required.
type Options struct {
	Dir        string        // created when absent; one process at a time
	MaxBytes   int64         // of all files with rejections; default 64 MiB, at least 256 KiB
	MaxRefused int64         // bytes of readings refused by storage; default 256 MiB, at least 64 KiB
	MaxPayload int           // bytes of a payload that are kept; default 4 KiB
	MaxDevices int           // counted by name, all further ones together; default 20,000
	Burst      int           // rejections of one device kept at once; default 20
	Refill     time.Duration // until a device may have one more kept; default 1 min
	CountsLag  time.Duration // how far the counts on disk may lag behind; default 10 s
	Log        *zap.Logger
	Metrics    prometheus.Registerer // may be nil
}

// Quarantine is an ingest.Quarantine in a folder. It is safe for concurrent
// use. When the disk does not take a rejection it is counted all the same and
// Ready says so: a full disk must not turn garbage into a standstill. It does for
// what was acknowledged.
type Quarantine struct {
	o       Options
	log     *zap.Logger
	metrics metrics

	mu      sync.Mutex
	devices map[contract.DeviceID]*device
	parts   []part // files on disk, oldest first
	file    *os.File
	refused refused
	line    bytes.Buffer
	saved   time.Time // counts
	dirty   bool      // counts differ from those on disk
	state   error     // why nothing can be kept; nil when it can
	told    time.Time
	closed  bool
}

// device is the count and the budget of one device.
type device struct {
	total  uint64
	reason string
	topic  string
	ex     []byte // replaced, never written into
	last   time.Time

	tokens int       // rejections that may be kept now
	filled time.Time // when tokens was right
}

// Open reads the counts of earlier runs and returns the quarantine ready for use.
func Open(o Options) (*Quarantine, error) {
	switch {
	case o.Dir == "":
		return nil, errors.New("quarantine: Dir is missing")
	case o.Log == nil:
		return nil, errors.New("quarantine: Log is missing")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxBytes < 256<<10 {
		return nil, fmt.Errorf("quarantine: MaxBytes %d: want at least 256 KiB", o.MaxBytes)
	}
	if o.MaxRefused == 0 {
		o.MaxRefused = 256 << 20
	}
	if o.MaxRefused < 64<<10 {
		return nil, fmt.Errorf("quarantine: MaxRefused %d: want at least 64 KiB", o.MaxRefused)
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 4 << 10
	}
	if o.MaxPayload < 0 || int64(o.MaxPayload) > o.MaxBytes/64 {
		return nil, fmt.Errorf("quarantine: MaxPayload %d: want 1 to a 64th of MaxBytes (%d)", o.MaxPayload, o.MaxBytes)
	}
	if o.MaxDevices <= 0 {
		o.MaxDevices = 20_000
	}
	if o.Burst <= 0 {
		o.Burst = 20
	}
	if o.Refill <= 0 {
		o.Refill = time.Minute
	}
	if o.CountsLag <= 0 {
		o.CountsLag = 10 * time.Second
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the quarantine's folder: %w", err)
	}
	q := &Quarantine{
		o: o, log: o.Log, devices: map[contract.DeviceID]*device{},
		refused: refused{dir: filepath.Join(o.Dir, "refused"), most: o.MaxRefused},
	}
	if err := q.load(); err != nil {
		return nil, fmt.Errorf("reading the quarantine: %w", err)
	}
	var err error
	if q.metrics, err = newMetrics(q, o.Metrics); err != nil {
		return nil, err
	}
	return q, nil
}

// Keep implements ingest.Quarantine. It syncs once, and only when something is
// kept.
func (q *Quarantine) Keep(_ context.Context, rs []ingest.Rejection) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errors.New("keeping rejections: the quarantine is closed")
	}
	now := time.Now()
	if err := q.keepRefused(rs, now); err != nil {
		return err
	}
	kept := 0
	var err error
	for i := range rs {
		r := &rs[i]
		d := q.device(r, now)
		other := d.count(r)
		keep := !r.Acknowledged && err == nil && d.spend(now, &q.o)
		if keep || other { // the example is always one of the last reason
			d.ex = bytes.Clone(r.Payload[:min(len(r.Payload), exampleBytes)])
		}
		if !keep {
			continue
		}
		q.encode(r)
		kept++
		if q.line.Len() >= flushBytes {
			err = q.flush()
		}
	}
	q.dirty = q.dirty || len(rs) > 0
	q.metrics.total.Add(float64(len(rs)))
	if kept > 0 {
		if err == nil {
			err = q.flush()
		}
		if err == nil {
			err = q.sync()
		}
		if err != nil {
			q.failed(err, kept, now)
		} else {
			q.state = nil
			q.metrics.kept.Add(float64(kept))
		}
	}
	if q.dirty && now.Sub(q.saved) >= q.o.CountsLag {
		if err := q.saveCounts(); err != nil {
			q.failed(err, 0, now)
		}
	}
	return nil
}

// failed notes that the disk refuses. The caller holds mu.
func (q *Quarantine) failed(err error, lost int, now time.Time) {
	q.state = fmt.Errorf("quarantine: rejections are counted but not kept: %w", err)
	q.metrics.lost.Add(float64(lost))
	if now.Sub(q.told) >= time.Minute {
		q.told = now
		q.log.Error("quarantine: the disk refuses; rejections are counted but not kept", zap.Error(err), zap.Int("rejections", lost))
	}
}

// device finds whose count a rejection goes to.
func (q *Quarantine) device(r *ingest.Rejection, now time.Time) *device {
	id := r.Device
	if id == "" {
		id = NoDevice
	}
	if d := q.devices[id]; d != nil {
		return d
	}
	if len(q.devices) >= q.o.MaxDevices && id != NoDevice {
		id = OtherDevices
		if d := q.devices[id]; d != nil {
			return d
		}
	}
	d := &device{tokens: q.o.Burst, filled: now}
	q.devices[contract.DeviceID(strings.Clone(string(id)))] = d
	return d
}

// count reports whether the reason is another than before.
func (d *device) count(r *ingest.Rejection) (other bool) {
	d.total++
	d.last = r.Received
	// Copies, and only when they differ: the message's bytes are let go of.
	if s := cut(r.Reason, reasonBytes); s != d.reason {
		d.reason, other = strings.Clone(s), true
	}
	if s := cut(r.Topic, topicBytes); s != d.topic {
		d.topic = strings.Clone(s)
	}
	return other
}

// spend takes one from the budget, if there is one.
func (d *device) spend(now time.Time, o *Options) bool {
	if n := int64(now.Sub(d.filled) / o.Refill); n > 0 {
		d.tokens = int(min(int64(o.Burst), int64(d.tokens)+n))
		d.filled = d.filled.Add(time.Duration(n) * o.Refill)
	}
	if d.tokens <= 0 {
		return false
	}
	d.tokens--
	return true
}

// Counts implements ingest.Quarantine. Rejections of no device are under
// NoDevice, those of devices beyond MaxDevices under OtherDevices.
func (q *Quarantine) Counts() []ingest.QuarantineCount {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]ingest.QuarantineCount, 0, len(q.devices))
	for id, d := range q.devices {
		out = append(out, d.export(id))
	}
	return out
}

func (d *device) export(id contract.DeviceID) ingest.QuarantineCount {
	return ingest.QuarantineCount{
		Device: id, Total: d.total, LastReason: d.reason, LastTopic: d.topic, Example: d.ex, Last: d.last,
	}
}

// Ready reports why rejections cannot be kept now, or nil.
func (q *Quarantine) Ready() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Join(q.refused.state, q.state)
}

// Close saves the counts.
func (q *Quarantine) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	var err error
	if q.dirty {
		err = q.saveCounts()
	}
	if q.file != nil {
		err = errors.Join(err, q.file.Close())
	}
	return err
}

// cut shortens s to at most n bytes, at the beginning of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
