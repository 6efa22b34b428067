package ingest

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
)

const (
	heldDevices = 1 << 16 // names that are remembered; with more, all readings are written again
	heldBatch   = 2000    // entries read at once
)

// held is what limits of the sink keep out: readings of these devices somewhere
// in a part of the journal, whose other readings are stored. The journal itself
// keeps them.
type held struct {
	from, until Position
	devices     map[contract.DeviceID]struct{} // nil: any
	readings    int                            // that were refused, counted once
	reason      string
}

func (h *held) Error() string {
	return fmt.Sprintf("%d readings of %d devices are kept out of storage by a limit that its operator must raise; they stay in the journal: %s",
		h.readings, len(h.devices), h.reason)
}

// has reports whether the reading may be one that was refused.
func (h *held) has(r *contract.Reading) bool {
	if h.devices == nil {
		return true
	}
	_, ok := h.devices[r.Device]
	return ok
}

// hold notes readings over a limit.
func (d *Drain) hold(from, next Position, entries []Entry, e *LimitedError) {
	d.mu.Lock()
	h := d.held
	if h == nil {
		h = &held{from: from, until: next, devices: map[contract.DeviceID]struct{}{}}
		d.held = h
	}
	h.from, h.until = min(h.from, from), max(h.until, next)
	for _, i := range e.Indexes {
		if i < 0 || i >= len(entries) {
			continue
		}
		h.readings++
		if h.devices != nil {
			h.devices[entries[i].Reading.Device] = struct{}{}
		}
		if len(h.devices) > heldDevices {
			h.devices = nil
		}
	}
	first := h.reason == ""
	h.reason = e.Reason
	d.mu.Unlock()
	if first {
		d.log.Error("drain: a limit of storage keeps readings out; its operator must raise it; they stay in the journal and are tried again",
			zap.Int("readings", len(e.Indexes)), zap.String("reason", e.Reason), zap.Duration("every", d.o.LimitRetry), zap.Duration("for", d.o.LimitHold))
		select {
		case d.heldKnown <- struct{}{}:
		default:
		}
	}
}

// heldReadings is how many readings a limit keeps out.
func (d *Drain) heldReadings() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil {
		return 0
	}
	return d.held.readings
}

// heldFrom is the position of the first reading that a limit keeps out.
func (d *Drain) heldFrom() (Position, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil {
		return 0, false
	}
	return d.held.from, true
}

// runHeld tries again what limits keep out.
func (d *Drain) runHeld(ctx, hard context.Context, p *pipeline) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.heldKnown:
		}
		for {
			pause(ctx, d.o.LimitRetry)
			if ctx.Err() != nil {
				return
			}
			done := d.retryHeld(ctx, hard)
			p.retain()
			if done {
				break
			}
		}
	}
}

// retryHeld writes what is held, in order, until a limit stands in the way again,
// and reports whether nothing is held any more.
func (d *Drain) retryHeld(ctx, hard context.Context) bool {
	for {
		d.mu.Lock()
		h := *d.held
		d.mu.Unlock()
		if h.from >= h.until {
			return d.release()
		}
		entries, next, err := d.o.Journal.Read(ctx, h.from, heldBatch)
		if err != nil {
			if ctx.Err() == nil {
				d.log.Error("drain: reading what a limit kept out", zap.Error(err))
			}
			return false
		}
		d.mu.Lock()
		due := entries[:0]
		for i := range entries {
			if entries[i].Answer == nil && d.held.has(&entries[i].Reading) {
				due = append(due, entries[i])
			}
		}
		d.mu.Unlock()
		if !d.storeHeld(hard, due) {
			return false
		}
		d.mu.Lock()
		if d.held.from == h.from { // else an older write came back meanwhile, with some more
			d.held.from = next
		}
		d.mu.Unlock()
	}
}

// storeHeld reports whether each of the entries is now in the sink or in
// quarantine.
func (d *Drain) storeHeld(ctx context.Context, entries []Entry) bool {
	if len(entries) == 0 {
		return true
	}
	rejected, limited, err := d.put(ctx, entries)
	if err != nil {
		d.log.Warn("drain: writing what a limit kept out", zap.Error(err))
		return false
	}
	if limited != nil {
		for _, i := range limited.Indexes {
			if i >= 0 && i < len(entries) && time.Since(entries[i].Received()) < d.o.LimitHold {
				return false
			}
		}
		expired := &RejectedError{
			Indexes: limited.Indexes, Reason: fmt.Sprintf("for %s it was kept out by a limit: %s", d.o.LimitHold, limited.Reason),
			Advice: "a limit of storage keeps readings out for good now, and its operator must raise it: " + limited.Reason,
		}
		if err := d.quarantine(ctx, entries, expired); err != nil {
			d.log.Error("drain: giving up what a limit kept out", zap.Error(err))
			return false
		}
		d.metrics.rejected.Add(float64(len(expired.Indexes)))
	}
	if rejected != nil {
		if err := d.quarantine(ctx, entries, rejected); err != nil {
			d.log.Error("drain: writing what a limit kept out", zap.Error(err))
			return false
		}
	}
	return true
}

// release ends the holding, unless more came meanwhile.
func (d *Drain) release() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held.from < d.held.until {
		return false
	}
	d.held = nil
	d.log.Info("drain: nothing is kept out by a limit any more")
	return true
}
