package alerts

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// run is how far a condition has come with one subject: since when it is so, and
// in which of the last readings. It is no durable state: the series tells it
// again.
type run struct {
	since int64  // measured, ms since 1970; 0: nothing is the matter
	mask  uint32 // of the readings since then, the newest in the lowest bit
	seen  uint8
	calm  int64 // since when an alert's condition is over; 0: it is not
}

// push takes one judgement, in order of measured time, and tells whether the
// condition has held long and often enough.
func (p *run) push(rule *Rule, t int64, v truth) bool {
	c := rule.Condition
	switch {
	case v == unknown:
		return false
	case v == no && p.since == 0:
		return false
	case v == yes && p.since == 0:
		p.since, p.mask, p.seen = t, 0, 0
	}
	p.mask <<= 1
	if v == yes {
		p.mask |= 1
	}
	p.seen = min(p.seen+1, 32)
	last := bits.OnesCount32(p.mask & (1<<c.N - 1))
	if last == 0 || int(p.seen) >= c.N && last < c.K {
		p.since = 0
		return false
	}
	return v == yes && last >= c.K && t-p.since >= rule.For.Milliseconds()
}

// Idle reports whether nothing is the matter and nothing was: the state can be
// forgotten.
func (st *SubjectState) Idle() bool {
	return st.State == "" && st.run == run{} && len(st.Memory.Episodes) == 0 && st.Memory.Held == ""
}

// Asker asks conditions without leaving garbage behind; one goroutine may use it.
type Asker struct{ s scene }

// Holds reports whether a reading, which the series has already, makes the
// condition true, or unknown. It is the cheap question before Step, which need
// not be asked of a subject without a state when nothing is the matter.
func (a *Asker) Holds(r *Rule, now time.Time, id contract.DeviceID, reading *contract.Reading, ctx *Context) bool {
	if !r.Condition.has(reading) {
		return false
	}
	a.s = scene{at: reading.Measured.UnixMilli(), now: now, series: ctx.Series, rule: r, ctx: ctx, id: id, r: reading}
	return r.Condition.when.is(&a.s) != no
}

// HoldsNow is Holds of what is known already: of an area, or of a device's newest
// values.
func (a *Asker) HoldsNow(r *Rule, now time.Time, id contract.DeviceID, ctx *Context) bool {
	var ok bool
	if a.s, ok = r.sceneNow(now, id, ctx); !ok {
		return false
	}
	v := r.Condition.when.is(&a.s)
	return v == yes || v == unknown && (ctx.Place == nil || r.Condition.UnknownFires)
}

// sceneNow is the newest scene that there is to judge: an area's is now, a
// device's that of its newest needed value, unless that is too long ago.
func (r *Rule) sceneNow(now time.Time, id contract.DeviceID, ctx *Context) (scene, bool) {
	s := scene{at: now.UnixMilli(), now: now, series: ctx.Series, rule: r, ctx: ctx, id: id}
	switch {
	case ctx.Place != nil:
		return s, true
	case ctx.Series == nil || ctx.Series.newest == 0:
		return s, false
	case r.Condition.timed:
		return s, true
	}
	if s.at = ctx.Series.newest; r.Condition.needs != 0 {
		s.at = ctx.Series.newestOf(r.Condition.needs)
	}
	return s, s.at > 0 && now.UnixMilli()-s.at <= max(r.For, latestSpan).Milliseconds()
}

// stepCondition judges a condition. The newest reading moves the state on; one
// that comes late is judged at its own time, by what was measured around it: it
// may raise an alert, or be put on record, and clears nothing.
func stepCondition(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	id := contract.DeviceID(st.Subject)
	if rule.Condition.Counties() {
		return stepCounty(now, rule, st, ctx)
	}
	switch in.Kind {
	case Observe:
		return st, nil
	case Changed:
		return conditionAnew(now, rule, st, ctx)
	case Tick:
		s, ok := rule.sceneNow(now, id, ctx)
		if !ok {
			return st, nil
		}
		return conditionNext(now, rule, st, &s)
	case Judge:
	}
	r := in.Reading
	c := rule.Condition
	if ctx.Series == nil || !c.has(r) {
		return st, nil
	}
	s := scene{at: r.Measured.UnixMilli(), now: now, series: ctx.Series, rule: rule, ctx: ctx, id: id, r: r}
	newest := ctx.Series.newest
	if c.needs != 0 {
		newest = ctx.Series.newestOf(c.needs)
	}
	if s.at < newest || !r.Measured.After(st.Through) && !st.Through.IsZero() && r.Measured.Before(st.Through) {
		return conditionLate(now, rule, st, &s)
	}
	st.Through = r.Measured
	return conditionNext(now, rule, st, &s)
}

// judge is the verdict of a scene, and what holds it back.
func (s *scene) judge() (v truth, held *Finding) {
	c := s.rule.Condition
	v = c.when.is(s)
	if v == unknown {
		if c.UnknownFires {
			return yes, nil
		}
		if s.ctx.Place != nil {
			return unknown, nil // the township's own page shows what is unknown there
		}
		_, lost := c.when.values(s)
		if len(lost) == 0 { // every value is known, and what is made of them is none
			return unknown, &Finding{Kind: Held, By: "unknown", Reason: s.ctx.who(s.id) + "：算式没有结果（除以零），条件无法判断"}
		}
		why := s.ctx.who(s.id) + "：" + strings.Join(lost, "、") + " 不明"
		return unknown, &Finding{Kind: Held, By: "unknown", Reason: why + "，条件无法判断"}
	}
	if v == yes && s.rule.Family == FamilyFire && s.ctx.Device != nil && s.ctx.Device.Kind == contract.Sensor {
		if m := s.muted(); m != muteNot {
			return no, m.held(s.ctx, s.id)
		}
	}
	return v, nil
}

// conditionNext moves the state on by the newest scene.
func conditionNext(now time.Time, rule *Rule, st SubjectState, s *scene) (SubjectState, []Finding) {
	v, held := s.judge()
	var out []Finding
	if held != nil {
		out = append(out, *held)
	}
	holds := st.run.push(rule, s.at, v)
	if i := st.standing(); i >= 0 {
		return conditionStands(now, rule, st, s, i, v, out)
	}
	if !holds {
		if st.run.since == 0 && st.Memory.Held != "" {
			st.Memory.Held = ""
			st.Revision++
		}
		return st, out
	}
	if st, more, known := conditionRecorded(now, rule, st, s); known {
		return st, append(out, more...)
	}
	return conditionRaise(now, rule, st, s, out)
}

// conditionRecorded adds a scene that is too old to call anybody to the alert on
// record that knows of its time: what a device buffered through a long absence
// comes in order, and is one record, not one of each reading.
func conditionRecorded(now time.Time, rule *Rule, st SubjectState, s *scene) (SubjectState, []Finding, bool) {
	t := time.UnixMilli(s.at).UTC()
	if !rule.past(now, t) {
		return st, nil, false
	}
	for i := range slices.Backward(st.Memory.Episodes) {
		ep := &st.Memory.Episodes[i]
		if ep.Open || ep.Alert.Explain.Outcome != LateRecord || t.Before(ep.From) || t.After(ep.To) {
			continue
		}
		next, out := conditionAdds(now, rule, st, s, i)
		return next, out, true
	}
	return st, nil, false
}

// conditionAdds puts a scene on record with the alert that knows of its time. Of
// plenty only some is kept, as with an alert that stands.
func conditionAdds(now time.Time, rule *Rule, st SubjectState, s *scene, i int) (SubjectState, []Finding) {
	t := time.UnixMilli(s.at).UTC()
	ep := st.Memory.Episodes[i]
	known := *ep.Alert
	newest := len(known.Evidence) - 1
	plenty := newest >= firstEvidence && t.After(known.Evidence[newest].Measured) && t.Sub(known.Evidence[newest].Measured) < moreEvery
	if plenty && ep.To.Sub(t) > rule.joins()/2 || !plenty && !known.addEvidence(s.evidence()...) {
		return st, nil
	}
	a := st.change(now, i, func(ep *Episode, a *Alert) {
		if !plenty {
			a.addEvidence(s.evidence()...)
		}
		if t.Before(ep.From) {
			ep.From = t
		}
		ep.extend(rule, t)
	})
	return st, []Finding{{Kind: Recorded, Alert: a}}
}

// conditionRaise raises the alert, unless one of the township stands for it.
func conditionRaise(now time.Time, rule *Rule, st SubjectState, s *scene, out []Finding) (SubjectState, []Finding) {
	if rule.Condition.ByArea && s.ctx.AreaAlert != "" {
		if st.Memory.Held == s.ctx.AreaAlert {
			return st, out
		}
		st.Memory.Held = s.ctx.AreaAlert
		st.Revision++
		return st, append(out, Finding{Kind: Held, By: "area", Reason: s.ctx.who(s.id) + "：本乡镇已有同类告警 " + s.ctx.AreaAlert})
	}
	t := time.UnixMilli(s.at).UTC()
	from := t
	if st.run.since > 0 && st.run.since <= s.at {
		from = time.UnixMilli(st.run.since).UTC()
	}
	a := s.alert(now, &st)
	st.Memory.Held, st.run.calm = "", 0
	st.open(Episode{ID: a.ID, From: from, To: t, Open: true, Alert: a})
	st.set(Firing, t)
	return st, append(out, Finding{Kind: Raised, Alert: a})
}

// alert makes the alert of a scene.
func (s *scene) alert(now time.Time, st *SubjectState) *Alert {
	t := time.UnixMilli(s.at).UTC()
	r := s.r
	if r == nil && s.ctx.Place == nil {
		r = &contract.Reading{Device: s.id, Measured: t, Received: t}
		if s.ctx.Device != nil {
			r.Kind = s.ctx.Device.Kind
		}
	}
	c := s.rule.Condition
	a := newAlert(now, s.rule, st, r, s.rule.Severity, s.ctx)
	if p := s.ctx.Place; p != nil {
		a.Device, a.Area = "", p.Code
		a.Lat, a.Lon, a.HasPlace = p.Lat, p.Lon, p.Lat != 0 || p.Lon != 0
		a.Reasons = nil
		a.raise(a.Severity, a.Explain.Raised)
	}
	a.Summary, a.SummaryEn = c.zh.fill(s, false), c.en.fill(s, true)
	a.Explain.Condition, a.Explain.Why = c.When, a.Summary
	values, lost := c.when.values(s)
	a.Explain.Values = values
	if len(lost) > 0 && c.when.is(s) == unknown {
		a.addReason(strings.Join(lost, "、") + " 不明，从严上报")
	}
	if s.rule.For > 0 && st.run.since > 0 {
		zh, _ := span(time.Duration(s.at-st.run.since) * time.Millisecond)
		a.addReason("条件已持续 " + zh)
	}
	a.addEvidence(s.evidence()...)
	if z, e := ago(now, t); z != "" {
		a.Summary = fmt.Sprintf("%s（%s）测得，%s", z, clock(now, t), a.Summary)
		a.SummaryEn = fmt.Sprintf("Measured %s. %s", e, a.SummaryEn)
	}
	noOrderWhenLate(now, s.rule, a)
	return a
}

// conditionField marks evidence of a condition that asks for no measured value.
const conditionField = "condition"

// evidence is what the scene was judged on.
func (s *scene) evidence() []Evidence {
	t := time.UnixMilli(s.at).UTC()
	e := Evidence{Device: s.id, Measured: t, Received: t}
	if s.r != nil {
		e.Received = s.r.Received
		if late := s.r.Late(); late >= lateAfter {
			zh, _ := span(late)
			e.Note = "迟到 " + zh
		}
	}
	var out []Evidence
	if s.ctx.Place != nil {
		e.Device, e.Field, e.Value, e.Note = "", "danger", float64(s.ctx.Around.Danger), dangerWords(s.ctx.Around)
		return []Evidence{e}
	}
	for _, f := range s.rule.Condition.Needs {
		if x := s.latest(f, 0); x == x {
			e.Field, e.Value = f.String(), x
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		e.Field, e.Value = conditionField, 1
		out = append(out, e)
	}
	return out
}

// moreEvery is how much apart, in measured time, the evidence of an alert that
// stands is once there is plenty.
const moreEvery = 10 * time.Minute

// conditionStands goes on with an alert that stands: more evidence, a graver
// severity, or the end.
func conditionStands(now time.Time, rule *Rule, st SubjectState, s *scene, i int, v truth, out []Finding) (SubjectState, []Finding) {
	t := time.UnixMilli(s.at).UTC()
	ep := &st.Memory.Episodes[i]
	if v == yes {
		st.run.calm = 0
		known := *ep.Alert
		plenty := len(known.Evidence) >= firstEvidence && t.Sub(known.Evidence[len(known.Evidence)-1].Measured) < moreEvery
		more := s.ctx.Place == nil && !plenty && known.addEvidence(s.evidence()...)
		if worse := known.worsen(rule, rule.Severity, s.ctx); !more && !worse {
			return st, out
		}
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			wasFresh := a.freshEvidence(rule.Fresh)
			if more {
				a.addEvidence(s.evidence()...)
			}
			a.worsen(rule, rule.Severity, s.ctx)
			if t.After(ep.To) {
				ep.To = t
			}
			if !wasFresh && more && a.freshEvidence(rule.Fresh) && a.Late > 0 {
				zh, _ := span(a.Late)
				a.addReason("最早的证据迟到 " + zh + "，现有新的读数证实")
				a.Late = 0
			}
		})
		return st, append(out, Finding{Kind: Updated, Alert: a})
	}
	over := v.not()
	if c := rule.Condition; c.clear.is != nil {
		over = c.clear.is(s)
	}
	switch {
	case over != yes || s.at <= ep.To.UnixMilli() || s.at < ep.Alert.Raised.UnixMilli():
		st.run.calm = 0
		return st, out
	case st.run.calm == 0:
		st.run.calm = s.at
	}
	lasted := time.Duration(s.at-st.run.calm) * time.Millisecond
	if lasted < rule.ClearAfter {
		return st, out
	}
	a := st.change(now, i, func(ep *Episode, a *Alert) {
		ep.Open, ep.To = false, t
		a.State, a.Resolved = Resolved, now
		why := "条件已解除"
		if lasted > 0 {
			zh, _ := span(lasted)
			why += " " + zh
		}
		a.addReason(why)
	})
	st.run = run{}
	st.set(Resolved, t)
	return st, append(out, Finding{Kind: Ended, Alert: a})
}

// maxReplay bounds the readings that one look back judges again.
const maxReplay = 64

// replay judges the readings in (from, to] in order, and returns the run and the
// last scene in which the condition held; hold false: it never did.
func (s *scene) replay(from, to, must int64) (p run, last scene, hold bool) {
	c := s.rule.Condition
	wanted := c.needs
	if wanted == 0 {
		wanted = ^uint64(0)
	}
	for _, t := range s.series.times(wanted, from, to, maxReplay) {
		x := *s
		if x.at = t; t != s.at {
			x.r = nil
		}
		v, _ := x.judge()
		if p.push(s.rule, t, v) && t >= must && (must == 0 || p.since <= must) {
			last, hold = x, true
		}
	}
	return p, last, hold
}

// lookback is how far before a scene its run may have begun.
func (r *Rule) lookback() int64 {
	return max(2*r.For, latestSpan).Milliseconds()
}

// conditionLate judges a reading that is not the newest at its own time.
func conditionLate(now time.Time, rule *Rule, st SubjectState, s *scene) (SubjectState, []Finding) {
	v, held := s.judge()
	if v != yes {
		if held != nil {
			return st, []Finding{*held}
		}
		return st, nil
	}
	t := time.UnixMilli(s.at).UTC()
	for i := range st.Memory.Episodes {
		ep := &st.Memory.Episodes[i]
		if t.Before(ep.From.Add(-max(rule.For, lateAfter))) || !ep.Open && t.After(ep.To) {
			continue
		}
		if !ep.Open && ep.Alert.Explain.Outcome == LateRecord && !rule.past(now, t) {
			continue // what is still actionable does not end on a record
		}
		return conditionAdds(now, rule, st, s, i)
	}
	p, at, hold := s.replay(s.at-rule.lookback(), s.at+rule.For.Milliseconds(), s.at)
	if !hold {
		return st, nil
	}
	was := st.run
	st.run = p
	if at.r == nil {
		at.r = s.r // how late the reading was that decided
	}
	st, out := conditionRaise(now, rule, st, &at, nil)
	st.run = was
	return st, out
}

// conditionAnew judges what is already so when the surroundings change: a season
// that opens while it is dry already fires at once when the readings have held
// for long enough.
func conditionAnew(now time.Time, rule *Rule, st SubjectState, ctx *Context) (SubjectState, []Finding) {
	var out []Finding
	if i := st.standing(); i >= 0 {
		worse := *st.Memory.Episodes[i].Alert
		if !worse.byThePast(rule) && worse.worsen(rule, rule.Severity, ctx) {
			a := st.change(now, i, func(_ *Episode, a *Alert) { a.worsen(rule, rule.Severity, ctx) })
			out = append(out, Finding{Kind: Updated, Alert: a})
		}
		return st, out
	}
	s, ok := rule.sceneNow(now, contract.DeviceID(st.Subject), ctx)
	if !ok {
		return st, out
	}
	if ctx.Place != nil || rule.Condition.timed {
		next, more := conditionNext(now, rule, st, &s)
		return next, append(out, more...)
	}
	if s.at <= st.overSince() {
		return st, out
	}
	p, at, hold := s.replay(max(s.at-rule.lookback(), st.overSince()), s.at, 0)
	st.run = p
	if !hold || at.at != s.at {
		return st, out
	}
	return conditionRaise(now, rule, st, &at, out)
}

// overSince is the measured time at which the newest alert that is over ended:
// what it rested on does not count again.
func (st *SubjectState) overSince() int64 {
	var t int64
	for _, ep := range st.Memory.Episodes {
		if !ep.Open {
			t = max(t, ep.To.UnixMilli())
		}
	}
	return t
}
