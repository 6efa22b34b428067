package ingest

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// runCounts writes the quarantine counts that have changed, now and then.
func (d *Drain) runCounts(ctx, hard context.Context) {
	if d.o.QuarantineLog == nil {
		return
	}
	tick := time.NewTicker(d.o.CountsEvery)
	defer tick.Stop()
	failing := false
	for {
		stopping := false
		select {
		case <-ctx.Done():
			stopping = true
		case <-tick.C:
		}
		err := d.writeCounts(hard)
		if err != nil && !failing {
			d.log.Warn("drain: writing quarantine counts", zap.Error(err))
		}
		failing = err != nil
		if stopping {
			return
		}
	}
}

func (d *Drain) writeCounts(ctx context.Context) error {
	var changed []QuarantineCount
	for _, c := range d.o.Quarantine.Counts() {
		if d.written[c.Device] != c.Total {
			changed = append(changed, c)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := d.o.QuarantineLog.WriteQuarantine(ctx, changed); err != nil {
		return fmt.Errorf("writing %d counts: %w", len(changed), err)
	}
	for _, c := range changed {
		d.written[c.Device] = c.Total
	}
	return nil
}
