package simulate

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"firewatch/cmd/internal/mqttclient"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// maxBatch is how many readings a device sends in one message: far below the
// contract's limits.
const maxBatch = 100

// device lives, and sends what it lived as soon as it can.
type device struct {
	life   *life
	run    *run
	client *mqttclient.Client
	enc    contractv1.Encoding

	errands *errands // nil: it hears no commands

	connected atomic.Bool // it has been let in, once at least
	refused   atomic.Bool // its credential was refused, the last time

	mu      sync.Mutex
	offline bool
	urgent  []contract.Reading // goes first
	queue   []contract.Reading // oldest first
}

// tick measures at the time that was due, and returns when to measure next.
func (d *device) tick(due time.Time) time.Time {
	m := d.life.measure(due.Sub(d.run.start))
	d.run.count.measured.Add(uint64(len(m.readings)))
	d.mu.Lock()
	defer d.mu.Unlock()
	back := d.offline && !m.offline
	d.offline = m.offline
	for _, r := range m.readings {
		if back || r.Class == contract.SOS {
			d.urgent = append(d.urgent, r) // what is new does not wait behind what is old
		} else {
			d.queue = append(d.queue, r)
		}
	}
	if over := len(d.queue) + len(d.urgent) - d.run.maxBacklog; over > 0 {
		d.run.count.dropped.Add(uint64(over))
		n := min(over, len(d.queue))
		d.queue = slices.Delete(d.queue, 0, n)
		d.urgent = slices.Delete(d.urgent, 0, over-n)
	}
	if !m.offline {
		d.pump()
	}
	if m.again && !m.offline {
		d.again(m.readings[len(m.readings)-1])
	}
	return due.Add(d.life.every)
}

// pump sends while there is something to send and room; the caller holds mu.
func (d *device) pump() {
	for d.client.Room() > 0 {
		var batch []contract.Reading
		switch {
		case len(d.urgent) > 0:
			batch, d.urgent = split(d.urgent, 1)
		case len(d.queue) > 0:
			batch, d.queue = split(d.queue, maxBatch)
		default:
			return
		}
		if !d.send(batch) {
			return
		}
	}
}

// split takes the first readings of one class off the list.
func split(list []contract.Reading, most int) (first, rest []contract.Reading) {
	n := 1
	for n < len(list) && n < most && list[n].Class == list[0].Class {
		n++
	}
	first = slices.Clone(list[:n])
	if rest = list[n:]; len(rest) == 0 {
		rest = list[:0]
	}
	return first, rest
}

// send publishes the readings and counts them when they are acknowledged.
func (d *device) send(batch []contract.Reading) bool {
	payload, err := contractv1.AppendReadings(nil, d.enc, batch)
	if errors.Is(err, contractv1.ErrTooLarge) && len(batch) > 1 {
		half := len(batch) / 2
		return d.send(batch[:half]) && d.send(batch[half:])
	}
	if err != nil {
		d.run.fail(err)
		return true
	}
	class := batch[0].Class
	c := &d.run.count
	ids := ids(batch)
	ok := d.client.Publish(contract.Uplink(d.life.m.Kind, class, d.life.m.ID), payload, func() {
		c.messagesAcked.Add(1)
		c.acked[class].Add(uint64(len(ids)))
		d.run.record(d.life.m.ID, ids)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.offline || d.run.draining.Load() {
			d.pump()
		}
	})
	if !ok { // another took the last place: wait for the next PUBACK
		d.queue = append(slices.Clone(batch), d.queue...)
		return false
	}
	c.messages.Add(1)
	c.published[class].Add(uint64(len(batch)))
	return true
}

// again sends a reading a second time.
func (d *device) again(r contract.Reading) {
	payload, err := contractv1.AppendReadings(nil, d.enc, []contract.Reading{r})
	if err != nil {
		return
	}
	c := &d.run.count
	if d.client.Publish(contract.Uplink(r.Kind, r.Class, r.Device), payload, func() { c.messagesAcked.Add(1) }) {
		c.messages.Add(1)
		c.duplicates.Add(1)
	}
}

// away reports whether it has no network.
func (d *device) away() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.offline
}

// finish sends what was held back for the want of a network.
func (d *device) finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pump()
}

// idle reports whether nothing waits.
func (d *device) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)+len(d.urgent)+d.client.Outstanding() == 0
}

// will is the last will: it speaks of the time of connecting.
func (d *device) will() []byte {
	r := contract.Reading{Device: d.life.m.ID, Kind: d.life.m.Kind, Class: contract.Status, Measured: time.Now().Add(d.life.skew)}
	r.Values.Set(contract.Online, 0)
	payload, err := contractv1.AppendReadings(nil, d.enc, []contract.Reading{r})
	if err != nil {
		return nil
	}
	return payload
}

// id is how the ledger names a reading of a device.
type id struct {
	t   int64 // ms since 1970
	seq uint64
}

func ids(batch []contract.Reading) []id {
	out := make([]id, len(batch))
	for i := range batch {
		out[i] = id{batch[i].Measured.UnixMilli(), batch[i].Seq}
	}
	return out
}

func appendLedger(dst []byte, device contract.DeviceID, list []id) []byte {
	for _, x := range list {
		dst = append(dst, device...)
		dst = strconv.AppendInt(append(dst, ','), x.t, 10)
		dst = strconv.AppendUint(append(dst, ','), x.seq, 10)
		dst = append(dst, '\n')
	}
	return dst
}
