package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

// sourcesEvery is how often the register of ignition sources is asked for; it is
// large and seldom changes.
const sourcesEvery = 30 * time.Second

// register is the register of ignition sources that rules see. The rules keep
// it; what it knows is exchanged.
type register struct {
	index   *alerts.SourceIndex
	version string // that was read last, good or not
	saved   time.Time
	asked   time.Time
}

// Explains implements alerts.Register.
func (r *register) Explains(lat, lon float64, at time.Time) []alerts.SourceNear {
	return r.index.Explains(lat, lon, at)
}

// reloadSources takes over the register when another version rules. One that
// cannot be used changes nothing: no alert waits for it.
func (b *bench) reloadSources(ctx context.Context, now time.Time) error {
	r := b.sources
	if b.Documents == nil || now.Sub(r.asked) < sourcesEvery {
		return nil
	}
	d, err := b.Documents.Document(ctx, alerts.DocumentSources, now)
	switch {
	case errors.Is(err, alerts.ErrNotFound):
		*r = register{asked: now}
		return nil
	case err != nil:
		return fmt.Errorf("reading the register of ignition sources: %w", err)
	}
	if r.asked = now; d.Version == r.version && d.Saved.Equal(r.saved) {
		return nil
	}
	r.version, r.saved = d.Version, d.Saved
	t, err := alerts.ParseSources(d.Body)
	if err != nil {
		b.Log.Error("register of ignition sources cannot be used; the one before stays", zap.String("version", d.Version), zap.Error(err))
		return nil
	}
	r.index = alerts.IndexSources(t)
	b.Log.Info("register of ignition sources", zap.String("version", d.Version), zap.Int("sources", len(t.Sources)))
	return nil
}
