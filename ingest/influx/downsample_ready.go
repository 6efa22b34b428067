package influx

import (
	"errors"
	"fmt"
	"time"
)

// behindMost is how far behind is no reason yet to call for somebody.
const behindMost = oneDay

// behind is how old the oldest window is that is due.
func (d *Downsampler) behind() time.Duration {
	now := d.o.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	oldest := now.UnixNano()
	for w, e := range d.pending {
		if e.due <= now.UnixNano() {
			oldest = min(oldest, w.end())
		}
	}
	if d.sweep < d.sweepEnd {
		oldest = min(oldest, d.sweep)
	}
	return now.Sub(time.Unix(0, oldest))
}

// Ready reports why readings are not summed up, or that this is more than a day
// behind, or nil. Somebody has to see to it: readings go when their time is over,
// summed up or not.
func (d *Downsampler) Ready() error {
	now := d.o.Now().UnixNano()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		return fmt.Errorf("readings cannot be summed up, and are lost when their time is over: %w", d.fault)
	}
	// A late reading makes an old window due: that is no delay of ours.
	due := now
	for _, e := range d.pending {
		due = min(due, e.due)
	}
	switch {
	case d.sweep < d.sweepEnd && now-d.sweep > int64(behindMost):
		return fmt.Errorf("old readings are being summed up: done up to %s", time.Unix(0, d.sweep).UTC().Format(time.DateTime))
	case now-due > int64(behindMost):
		return fmt.Errorf("summing up is %s behind", time.Duration(now-due).Round(time.Hour))
	}
	return nil
}

// refused is the reason that InfluxDB gave, while windows wait that it refused.
func (d *Downsampler) refused() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.pending {
		if e.refused {
			return d.refusal
		}
	}
	return nil
}

func isRefusal(err error) bool {
	refused := (*refusal)(nil)
	return errors.As(err, &refused)
}
