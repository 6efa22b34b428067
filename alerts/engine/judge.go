package engine

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// maxStrange bounds the unregistered devices that are remembered. Beyond it
// their SOS still notify, but the same call may do so more than once.
const maxStrange = 4096

func (b *bench) subject(id contract.DeviceID) *subject {
	s := b.subjects[id]
	if s == nil {
		s = &subject{
			id: id, strange: true, ctx: alerts.Context{Areas: b.areas, Demo: b.demo, Listening: b.listening, Sources: b.sources},
			states: make([]*alerts.SubjectState, len(b.rules)), lazy: make([]bool, len(b.rules)),
		}
		b.subjects[id] = s
	}
	return s
}

// judge asks every rule that a reading concerns.
func (b *bench) judge(now time.Time, in alerts.Input) {
	r := in.Reading
	s := b.subjects[r.Device]
	if s == nil || s.strange {
		if r.Class != contract.SOS { // fail open for those in need only
			b.met.unknown.Inc()
			return
		}
		if s == nil && len(b.subjects)-len(b.order) < maxStrange {
			s = b.subject(r.Device)
		} else if s == nil {
			s = b.subject(r.Device)
			defer delete(b.subjects, r.Device)
		}
	}
	if s.disabled && r.Class != contract.SOS {
		return
	}
	if in.Kind == alerts.Judge {
		b.judgedBy[r.Class].Inc()
	}
	if !s.strange && !s.disabled {
		if s.ctx.Series == nil {
			s.ctx.Series = alerts.NewSeries(b.plan)
		}
		s.ctx.Series.Add(r)
		if r.Measured.Before(b.since[s.ctx.Device.Area]) { // by what was so then
			is := s.ctx.Around
			s.ctx.Around = b.aroundAt(s.ctx.Device.Area, r.Measured)
			defer func() { s.ctx.Around = is }()
		}
	}
	for i := range b.rules {
		if (s.strange || s.disabled) && b.rules[i].Type != alerts.SOSCall {
			continue
		}
		if rule := &b.rules[i]; rule.Judges(r.Kind, r.Class) && (rule.Type != alerts.Condition || b.worth(now, i, s, r)) {
			b.step(now, i, s, in)
		}
	}
}

// step asks one rule about one device and notes what came of it.
func (b *bench) step(now time.Time, i int, s *subject, in alerts.Input) {
	st := s.states[i]
	if st == nil {
		st = &alerts.SubjectState{Rule: b.rules[i].Name, Subject: string(s.id)}
	}
	s.ctx.Neighbours = b.near[i]
	if b.rules[i].ByArea() {
		s.ctx.AreaAlert = b.areaAlert(i, s)
	}
	next, found, ok := b.safely(now, i, st, in, &s.ctx)
	if !ok {
		return
	}
	moved := next.Through.After(st.Through)
	changed := next.Revision != st.Revision
	*st = next
	switch {
	case b.rules[i].Type == alerts.Condition:
		if s.states[i] = st; !changed && st.Idle() {
			s.states[i] = nil
		}
	case s.states[i] == nil && (moved || changed || len(found) > 0 || b.rules[i].Type == alerts.SensorFire):
		s.states[i] = st
	}
	if changed {
		b.pend.states[st] = i
	} else if moved && b.rules[i].Type == alerts.DeviceSilent && !s.lazy[i] {
		s.lazy[i] = true
		b.pend.later = append(b.pend.later, laterRow{s, i, now})
	}
	b.note(now, i, st, found)
}

// safely keeps a rule that panics on one input from stopping the judging for
// ever: the journal would bring the same input back after every restart. That
// input is lost to that rule, counted and logged; the other rules judge it. An
// SOS is raised all the same.
func (b *bench) safely(now time.Time, i int, st *alerts.SubjectState, in alerts.Input, ctx *alerts.Context) (
	next alerts.SubjectState, found []alerts.Finding, ok bool,
) {
	rule := &b.rules[i]
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		b.met.panics.WithLabelValues(rule.Name).Inc()
		b.Log.Error("rule panicked", zap.String("rule", rule.Name), zap.String("device", st.Subject),
			zap.String("panic", fmt.Sprint(p)), zap.ByteString("stack", debug.Stack()))
		if rule.Type == alerts.SOSCall && in.Kind == alerts.Judge {
			b.note(now, i, st, []alerts.Finding{{Kind: alerts.Raised, Alert: bareSOS(now, rule, in.Reading)}})
		}
	}()
	next, found = alerts.Step(now, rule, *st, in, ctx)
	return next, found, true
}

// bareSOS is the alert of an SOS that the rule could not judge.
func bareSOS(now time.Time, rule *alerts.Rule, r *contract.Reading) *alerts.Alert {
	a := &alerts.Alert{
		ID: alerts.NewID("al", now), Rule: rule.Name, RuleVersion: rule.Version, Device: r.Device, Severity: alerts.Red,
		State: alerts.Firing, Summary: "SOS，设备 " + string(r.Device), SummaryEn: "SOS, device " + string(r.Device),
		Reasons: []string{"规则出错，未经判断直接上报"}, Measured: r.Measured, Raised: now, Updated: now,
	}
	a.Lat, a.HasPlace = r.Values.Get(contract.Lat)
	a.Lon, _ = r.Values.Get(contract.Lon)
	return a
}

// note keeps findings for the next save.
func (b *bench) note(now time.Time, i int, st *alerts.SubjectState, found []alerts.Finding) {
	rule := &b.rules[i]
	for _, f := range found {
		b.met.findings.WithLabelValues(rule.Name, findingName(f.Kind)).Inc()
		if f.Alert == nil {
			b.rememberHeld(now, rule, st, f)
			b.heldBack(now, rule, st, f)
			continue
		}
		if f.Kind == alerts.Raised {
			f.Alert.Explain.Held = append(f.Alert.Explain.Held, b.heldLately(now, f.Alert.Device)...)
		}
		if rule.ByArea() && f.Alert.Area != "" {
			b.noteAreaAlert(i, st, f)
		}
		b.late(now, f)
		b.hear(now, rule, st, f)
		if f.Kind == alerts.Raised || f.Kind == alerts.Ended {
			b.pend.urgent = true
		}
		b.pend.alerts[f.Alert.ID] = f.Alert
		b.pend.at[f.Alert.ID] = now
	}
}

func findingName(k alerts.FindingKind) string {
	switch k {
	case alerts.Raised:
		return "raised"
	case alerts.Updated:
		return "updated"
	case alerts.Ended:
		return "ended"
	case alerts.Recorded:
		return "recorded"
	case alerts.Held:
		return "held"
	}
	return "other"
}

// propose says which teams the rule would call, for the person who decides; once
// for what is one fire. The alert is the caller's to change.
func (b *bench) propose(now time.Time, rule *alerts.Rule, a *alerts.Alert) {
	if rule.Order.Mode != alerts.ModePropose || a.State != alerts.Firing {
		return
	}
	if ok, held := b.desk.Propose(now, a); !ok {
		a.HoldBack(held)
		return
	}
	err := b.guard(func() error {
		picks, short := alerts.PickForAlert(b.areas, b.teams, *a, rule.Order)
		names := make([]string, 0, len(picks))
		for _, p := range picks {
			names = append(names, p.Team.Name)
		}
		if len(names) > 0 {
			a.Reasons = append(a.Reasons, "建议"+rule.Order.Kind.Chinese()+"："+strings.Join(names, "、"))
		}
		for _, s := range short {
			a.Reasons = append(a.Reasons, "建议的缺口："+s)
		}
		if b.Proposed != nil {
			b.Proposed(*a, rule.Order, picks, short)
		}
		return nil
	})
	if err != nil {
		b.Log.Error("proposing an order", zap.Error(err), zap.String("alert", a.ID))
	}
}
