package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const (
	// heldKept is how many hold-backs are kept for whoever asks why nothing was
	// told.
	heldKept  = 500
	heldEvery = 5 * time.Second
)

// heldKey makes one of hold-backs of the same thing.
type heldKey struct {
	rule   string
	device contract.DeviceID
	why    string
}

// reloadSilences reads the silences that are not over.
func (b *bench) reloadSilences(ctx context.Context, now time.Time) error {
	xs, err := b.Silences.Silences(ctx, now, maxSilences)
	if err != nil {
		return fmt.Errorf("reading silences: %w", err)
	}
	b.desk.Silence(xs)
	return nil
}

// heldBack notes what a rule held back without an alert.
func (b *bench) heldBack(now time.Time, rule *alerts.Rule, st *alerts.SubjectState, f alerts.Finding) {
	b.Log.Debug("held back", zap.String("rule", rule.Name), zap.String("device", st.Subject), zap.String("reason", f.Reason))
	if b.Holdbacks == nil {
		return
	}
	key := heldKey{rule.Name, contract.DeviceID(st.Subject), f.Reason}
	h, known := b.desk.held[key]
	switch {
	case known:
	case len(b.desk.held) >= heldKept:
		return
	default:
		h = alerts.Holdback{Rule: key.rule, Device: key.device, Why: key.why, First: now}
		if s := b.subjects[key.device]; s != nil && s.ctx.Device != nil {
			h.Area = s.ctx.Device.Area
		}
	}
	h.RuleVersion, h.Last = rule.Version, now
	h.Count++
	b.desk.held[key] = h
}

// saveHeld puts hold-backs on record. They are told, not acted upon: what cannot
// be saved now is tried again, and holds up nothing.
func (b *bench) saveHeld(ctx context.Context, now time.Time) {
	if b.Holdbacks == nil || len(b.desk.held) == 0 || now.Sub(b.desk.heldAt) < heldEvery {
		return
	}
	b.desk.heldAt = now
	hs := make([]alerts.Holdback, 0, len(b.desk.held))
	for _, h := range b.desk.held {
		hs = append(hs, h)
	}
	slices.SortFunc(hs, func(x, y alerts.Holdback) int {
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Device, y.Device), cmp.Compare(x.Why, y.Why))
	})
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err := b.Holdbacks.SaveHoldbacks(ctx, hs, heldKept); err != nil {
		b.Log.Warn("hold-backs not saved yet", zap.Error(err))
		return
	}
	clear(b.desk.held)
}
