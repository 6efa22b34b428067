package engine

import (
	"context"
	"fmt"
	"time"

	"firewatch/alerts"
)

const (
	dangerEvery = 30 * time.Second
	// dangerDays is for how many days back the danger is kept at hand: what comes
	// late is judged with that of its own day.
	dangerDays = 8
)

// reloadDanger takes over the fire danger of the last days. What was read last
// rules on while the store is away, until it is too old to count.
func (b *bench) reloadDanger(ctx context.Context, now time.Time) error {
	if b.Danger == nil || !b.dangerAt.IsZero() && now.Sub(b.dangerAt) < dangerEvery {
		return nil
	}
	ds, err := b.Danger.AreaDangers(ctx, "", alerts.DangerDay(now.AddDate(0, 0, -dangerDays)), alerts.DangerDay(now))
	if err != nil {
		return fmt.Errorf("reading fire danger: %w", err)
	}
	b.danger, b.dangerAt = alerts.NewDangerTable(b.DangerMethod, ds), now
	return nil
}
