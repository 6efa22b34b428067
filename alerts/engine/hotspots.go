package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

// hotspotBatch bounds the hotspots that one tick judges. An import of a whole
// country is judged over some ticks.
const hotspotBatch = 500

// sky is what the engine knows of the hotspots whose alerts it may still change.
type sky struct {
	states map[skyKey]*alerts.SubjectState
	fault  string // of the last look at the store, for the log
}

type skyKey struct {
	rule int
	id   string // of the hotspot
}

// judgeHotspots asks the rules about hotspots that came or grew, and ends the
// alerts of those that are old. What comes of it is pending. A store without an
// answer holds up nothing else: they stay to be judged.
func (b *bench) judgeHotspots(ctx context.Context, now time.Time) {
	var rules []int
	for i := range b.rules {
		if b.rules[i].Type == alerts.SatelliteHotspot {
			rules = append(rules, i)
		}
	}
	if b.Hotspots == nil || len(rules) == 0 {
		return
	}
	b.fileHotspots(now)
	sctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	hs, err := b.Hotspots.UnjudgedHotspots(sctx, hotspotBatch)
	if err != nil {
		if b.sky.fault != err.Error() && ctx.Err() == nil {
			b.Log.Warn("hotspots not judged", zap.Error(err))
		}
		b.sky.fault = err.Error()
		return
	}
	b.sky.fault = ""
	for i := range hs {
		h := &hs[i]
		judged := alerts.JudgedHotspot{ID: h.ID, Revision: h.Revision, At: now}
		for _, rule := range rules {
			judged.Alert = cmp.Or(judged.Alert, b.judgeHotspot(now, rule, h))
		}
		b.pend.hotspots = append(b.pend.hotspots, judged)
	}
}

// judgeHotspot asks one rule about one hotspot and returns the id of the alert
// that it has.
func (b *bench) judgeHotspot(now time.Time, i int, h *alerts.Hotspot) string {
	rule := &b.rules[i]
	key := skyKey{i, h.ID}
	st := b.sky.states[key]
	if st == nil {
		st = &alerts.SubjectState{Rule: rule.Name, Subject: alerts.HotspotSubject(h.ID)}
	}
	ctx := alerts.Context{Areas: b.areas, Demo: b.demo, Around: b.aroundAt(h.Area, h.Seen), Sources: b.sources}
	before := st.Revision
	var found []alerts.Finding
	err := b.guard(func() error {
		next, f := alerts.StepHotspot(now, rule, *st, h, &ctx)
		*st, found = next, f
		return nil
	})
	if err != nil { // the same again would come of the next tick
		b.met.panics.WithLabelValues(rule.Name).Inc()
		b.Log.Error("rule panicked", zap.String("rule", rule.Name), zap.String("hotspot", h.ID), zap.Error(err))
		return ""
	}
	if st.Revision != before {
		b.sky.states[key] = st
		b.pend.states[st] = i
	}
	b.note(now, i, st, found)
	if as := st.Alerts(); len(as) > 0 {
		return as[len(as)-1].ID
	}
	return ""
}

// fileHotspots ends alerts by time.
func (b *bench) fileHotspots(now time.Time) {
	keys := make([]skyKey, 0, len(b.sky.states))
	for k := range b.sky.states {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y skyKey) int { return cmp.Or(cmp.Compare(x.rule, y.rule), cmp.Compare(x.id, y.id)) })
	for _, k := range keys {
		st := b.sky.states[k]
		next, found := alerts.FileHotspot(now, &b.rules[k.rule], *st)
		if next.Revision == st.Revision {
			continue
		}
		*st = next
		b.pend.states[st] = k.rule
		b.note(now, k.rule, st, found)
		if len(st.Alerts()) == 0 {
			delete(b.sky.states, k)
		}
	}
}

// restoreHotspot takes the state back; false: the row is another subject's.
func (b *bench) restoreHotspot(i int, st *alerts.SubjectState) bool {
	id, ok := alerts.CutHotspot(st.Subject)
	if ok && b.rules[i].Type == alerts.SatelliteHotspot {
		b.sky.states[skyKey{i, id}] = st
	}
	return ok
}
