package engine

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

// InForce is the rule set that judges.
func (e *Engine) InForce() alerts.RuleSet {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.set
}

// Swap puts another rule set into force, which has been checked as a whole,
// between two batches. What is known of rules of the same name and type goes on;
// that of others is left as it stands. Windows are kept.
func (e *Engine) Swap(set alerts.RuleSet) {
	e.mu.Lock()
	e.set = set
	e.mu.Unlock()
	select {
	case e.swaps <- struct{}{}:
	default:
	}
}

// span is how far back windows reach.
func (b *bench) span() time.Duration { return max(alerts.WindowSpan, b.plan.Span()) }

func spanOf(set alerts.RuleSet) time.Duration { return max(alerts.WindowSpan, set.Series().Span()) }

// adoptSet takes a set without looking at what is known.
func (b *bench) adoptSet(set alerts.RuleSet) {
	b.set, b.rules, b.plan = set, set.Rules, set.Series()
	b.byArea = make(map[outageKey]areaAlert)
	b.near, b.others = b.near[:0], neighbours{b, -1}
	fire := slices.IndexFunc(b.rules, func(r alerts.Rule) bool { return r.Type == alerts.SensorFire })
	for i := range b.rules {
		of := i
		if b.rules[i].Type == alerts.Condition {
			of = fire
		}
		b.near = append(b.near, neighbours{b, of})
	}
}

// swap takes the set that is in force now. What is pending is saved before, so
// that nothing points at a rule that is no more.
func (b *bench) swap(ctx context.Context) error {
	if err := b.save(ctx, true); err != nil {
		return err
	}
	set, now := b.InForce(), b.Now()
	was := b.rules
	b.adoptSet(set)
	moved := make(map[int]int, len(was)) // old to new index
	for i := range was {
		if k := b.ruleIndex(was[i].Name); k >= 0 && b.rules[k].Type == was[i].Type {
			moved[i] = k
		}
	}
	for _, s := range b.subjects {
		b.move(s, moved)
	}
	b.alive = nil // the limits may be others
	outages := make(map[outageKey]*alerts.SubjectState, len(b.outages))
	for key, st := range b.outages {
		if k, ok := moved[key.rule]; ok {
			outages[outageKey{k, key.county}] = st
		}
	}
	b.outages = outages
	for id, w := range b.wanting {
		k, ok := moved[w.rule]
		if !ok {
			delete(b.wanting, id)
			continue
		}
		w.rule = k
		b.wanting[id] = w
	}
	later := b.pend.later
	b.pend = newPending()
	for _, l := range later {
		if k, ok := moved[l.rule]; ok {
			l.rule = k
			b.pend.later = append(b.pend.later, l)
		}
	}
	sky := make(map[skyKey]*alerts.SubjectState, len(b.sky.states))
	for key, st := range b.sky.states {
		if k, ok := moved[key.rule]; ok {
			sky[skyKey{k, key.id}] = st
		}
	}
	b.sky.states = sky
	b.desk.rules = "" // the same version may hold other rules
	b.useRules()
	clear(b.around)
	b.past.forget()
	b.refresh(now)
	for _, s := range b.order {
		b.changed(now, s)
	}
	b.met.swaps.WithLabelValues("taken").Inc()
	b.Log.Info("rules taken into force", zap.String("version", set.Version), zap.Int("rules", len(b.rules)), zap.Int("kept", len(moved)))
	return nil
}

// move has a subject's states follow their rules.
func (b *bench) move(s *subject, moved map[int]int) {
	states, lazy := s.states, s.lazy
	n := len(b.rules)
	s.states, s.lazy = make([]*alerts.SubjectState, n), make([]bool, n)
	for i, k := range moved {
		s.states[k], s.lazy[k] = states[i], lazy[i]
		if st := states[i]; st != nil && b.rules[k].ByArea() && s.ctx.Device != nil {
			if id := st.Standing(); id != "" {
				b.byArea[outageKey{k, s.ctx.Device.Area}] = areaAlert{string(s.id), id}
			}
		}
	}
	if s.ctx.Series != nil {
		s.ctx.Series.Replan(b.plan)
	}
}
