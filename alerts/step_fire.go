package alerts

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// stepFire judges a sensor. Readings are judged at their own measured time: one
// that comes out of order is put in its place, and it and those after it whose
// window it belongs to are judged again. Only the newest readings resolve, and
// only those measured after the alert was raised: late data clears nothing, and
// an alert that came late stands for a while in front of people.
func stepFire(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	switch in.Kind {
	case Tick:
		return st, nil
	case Changed:
		return fireAnew(now, rule, st, ctx)
	case Judge, Observe:
	}
	r := in.Reading
	calibrating, said := r.Values.Get(contract.Calibrating)
	if said && r.Measured.After(st.Memory.CalibratedT) && (st.Memory.Calibrating != (calibrating != 0)) {
		st.Memory.Calibrating, st.Memory.CalibratedT = calibrating != 0, r.Measured
		st.Revision++
	}
	if r.Class != contract.Environment {
		return st, nil
	}
	s, ok := newSample(r)
	if !ok {
		return st, nil
	}
	why := muteNot
	switch {
	case calibrating != 0 || !said && st.Memory.Calibrating && !r.Measured.Before(st.Memory.CalibratedT):
		why = muteCalibrating
	case !st.Memory.Calibrating && !st.Memory.CalibratedT.IsZero() && !r.Measured.Before(st.Memory.CalibratedT) &&
		r.Measured.Before(st.Memory.CalibratedT.Add(rule.blind(ctx))):
		why = muteBlind
	}
	s.mute = why != muteNot
	list, at, fresh := st.window.insert(s)
	if !fresh {
		return st, nil
	}
	lim := rule.Fire.limits(rule.scale(ctx.Around))
	if list == &st.window.live {
		lim.past = st.window.past
	}
	markFrom(*list, at, &lim)
	if r.Measured.After(st.Through) {
		st.Through = r.Measured
	}
	if in.Kind == Observe {
		return st, nil
	}
	if s.mute {
		return st, mutedSuspicion(&s, &lim, ctx, r.Device, why)
	}
	var out []Finding
	until := s.measured + rule.Fire.Window.Milliseconds()
	for i := at; i < len(*list) && (*list)[i].measured <= until; i++ {
		if (*list)[i].suspect != 0 {
			out = fireAt(now, rule, &st, *list, i, ctx, out)
		}
	}
	if list == &st.window.live {
		out = fireSettle(now, rule, &st, out)
	}
	return st, out
}

// mutedSuspicion tells that a calibrating sensor showed what would have counted.
func mutedSuspicion(s *sample, l *limits, ctx *Context, id contract.DeviceID, why mute) []Finding {
	for q := range numQuantities {
		if q != qTemp && s.v[q] >= l.suspect[q] {
			return []Finding{*why.held(ctx, id)}
		}
	}
	return nil
}

// held tells that values which would have counted did not.
func (m mute) held(ctx *Context, id contract.DeviceID) *Finding {
	if m == muteBlind {
		return &Finding{Kind: Held, By: "blind", Reason: ctx.who(id) + "刚完成校准扫描，盲期内读数不作判断"}
	}
	return &Finding{Kind: Held, By: "calibrating", Reason: ctx.who(id) + "正在校准，读数不作判断"}
}

// fireAnew judges what is already in the window when the surroundings change: a
// season that opens while there is smoke already, a warning that comes.
func fireAnew(now time.Time, rule *Rule, st SubjectState, ctx *Context) (SubjectState, []Finding) {
	var out []Finding
	if i := st.standing(); i >= 0 {
		worse := *st.Memory.Episodes[i].Alert
		if !worse.byThePast(rule) && worse.worsen(rule, rule.Severity, ctx) {
			a := st.change(now, i, func(_ *Episode, a *Alert) { a.worsen(rule, rule.Severity, ctx) })
			out = append(out, Finding{Kind: Updated, Alert: a})
		}
	}
	live := st.window.live
	if len(live) == 0 {
		return st, out
	}
	lim := rule.Fire.limits(rule.scale(ctx.Around))
	lim.past = st.window.past
	for i := range live {
		mark(live, i, &lim)
	}
	from := now.Add(-rule.Fire.Window).UnixMilli()
	for i := range live {
		if live[i].measured > from && live[i].suspect != 0 {
			out = fireAt(now, rule, &st, live, i, ctx, out)
		}
	}
	return st, fireSettle(now, rule, &st, out)
}

// verdict is why a sample fires.
type verdict struct {
	zh, en string
	from   int // evidence begins at this sample
	around []Evidence
	weak   bool // one quantity alone, nowhere strong, and nothing else beside it
}

// fireVerdict judges the sample at i by itself and those before it.
func fireVerdict(rule *Rule, st *SubjectState, list []sample, i int, ctx *Context) (verdict, bool) {
	f, s := rule.Fire, &list[i]
	if bits.OnesCount8(s.strong) >= 2 {
		return verdict{zh: "同一读数中两种量都远超阈值", en: "two quantities far above their thresholds in one reading", from: i}, true
	}
	floor := s.measured - f.Window.Milliseconds()
	for _, ep := range st.Memory.Episodes { // what an earlier alert rests on does not count again
		if to := ep.To.UnixMilli(); !ep.Open && to < s.measured {
			floor = max(floor, to)
		}
	}
	together := s.measured - f.Corroborate.Milliseconds()
	var lasts verdict
	kinds, total, suspicious, strong := s.suspect, 1, 1, s.strong
	for j := i - 1; j >= 0 && list[j].measured > floor; j-- {
		o := &list[j]
		if o.mute {
			continue
		}
		total++
		if o.suspect == 0 {
			continue
		}
		suspicious++
		strong |= o.strong
		if o.measured >= together {
			if kinds |= o.suspect; bits.OnesCount8(kinds) >= 2 {
				return verdict{zh: "两种量相互印证", en: "two quantities agree", from: j}, true
			}
		}
		lasted := time.Duration(s.measured-o.measured) * time.Millisecond
		if suspicious >= f.Readings && lasted >= rule.For && suspicious*f.OutOf >= f.Readings*total {
			zh, en := span(lasted)
			v := verdict{
				zh: fmt.Sprintf("持续 %s，%d 次读数中 %d 次超阈值", zh, total, suspicious),
				en: fmt.Sprintf("for %s, %d of %d readings above the threshold", en, suspicious, total), from: j,
			}
			if v.weak = strong == 0 && f.GateDanger > 0; !v.weak {
				return v, true
			}
			if lasts.zh == "" {
				lasts = v // what lies before may corroborate it yet
			}
		}
	}
	if f.NeighbourKM > 0 && ctx.Neighbours != nil {
		at := time.UnixMilli(s.measured)
		if around := ctx.Neighbours.Suspicions(contract.DeviceID(st.Subject), at, f.Corroborate, f.NeighbourKM); len(around) > 0 {
			zh := fmt.Sprintf("%g 公里内的传感器 %s 同时可疑", f.NeighbourKM, around[0].Device)
			en := fmt.Sprintf("sensor %s within %g km sees it too", around[0].Device, f.NeighbourKM)
			return verdict{zh: zh, en: en, from: i, around: around}, true
		}
	}
	return lasts, lasts.zh != ""
}

// values are what the sample says, by the names of the fields, beside the limits
// that it was weighed against.
func (s *sample) values(f *FireRule) map[string]float64 {
	out := map[string]float64{}
	for q := range numQuantities {
		if s.has(q) {
			out[q.field().String()] = rounded(s.v[q])
		}
	}
	if s.base == s.base {
		out["baseline_temp_c"] = rounded(s.base)
		out["temp_rise_c"] = rounded(s.v[qTemp] - s.base)
	}
	out["suspect_smoke_obs_pct_m"], out["suspect_co_ppm"] = f.Smoke.Suspect, f.CO.Suspect
	return out
}

// fireAt raises, or adds to the alert that the sample belongs to.
func fireAt(now time.Time, rule *Rule, st *SubjectState, list []sample, i int, ctx *Context, out []Finding) []Finding {
	t := time.UnixMilli(list[i].measured).UTC()
	standing, over := st.standing(), -1
	for k, ep := range st.Memory.Episodes {
		if !ep.Open && !t.After(ep.To) && t.After(ep.From.Add(-rule.Fire.Window)) &&
			(ep.Alert.Explain.Outcome != LateRecord || rule.past(now, t)) { // what is still actionable does not end on a record
			over = k
		}
	}
	v, fires := fireVerdict(rule, st, list, i, ctx)
	if !fires {
		return out
	}
	if v.weak && standing < 0 && over < 0 {
		if f := rule.Fire; f.GateDanger > 0 && ctx.Around.Danger != DangerUnknown && ctx.Around.Danger < f.GateDanger {
			return append(out, Finding{Kind: Held, By: "gate", Reason: fmt.Sprintf(
				"%s：弱信号，只有一种量且无旁证（%s）；%s，低于%d级，不上报", ctx.who(contract.DeviceID(st.Subject)), v.zh, dangerWords(ctx.Around), f.GateDanger)})
		}
	}
	id := contract.DeviceID(st.Subject)
	var evidence []Evidence
	for j := v.from; j <= i; j++ {
		evidence = append(evidence, list[j].evidence(id)...)
	}
	evidence = append(evidence, v.around...)
	late := time.Duration(list[i].received-list[i].measured) * time.Millisecond

	switch {
	case over >= 0: // an alert that is over knows of this time
		known := *st.Memory.Episodes[over].Alert
		if !known.addEvidence(evidence...) {
			return out
		}
		a := st.change(now, over, func(ep *Episode, a *Alert) {
			a.addEvidence(evidence...)
			ep.extend(rule, t)
		})
		return append(out, Finding{Kind: Recorded, Alert: a})
	case standing >= 0:
		known := *st.Memory.Episodes[standing].Alert
		more, worse := known.addEvidence(evidence...), known.worsen(rule, rule.Severity, ctx)
		if !more && !worse {
			return out
		}
		a := st.change(now, standing, func(ep *Episode, a *Alert) {
			wasFresh := a.freshEvidence(rule.Fresh)
			a.addEvidence(evidence...)
			a.worsen(rule, rule.Severity, ctx)
			if t.Before(ep.From) {
				ep.From = t
			}
			if t.After(ep.To) {
				ep.To = t
			}
			if !wasFresh && a.freshEvidence(rule.Fresh) {
				zh, _ := span(a.Late)
				a.addReason("最早的证据迟到 " + zh + "，现有新的读数证实")
				a.Summary, a.SummaryEn = fireSummary(now, t, &list[i], v, ctx, id)
				a.Late = 0
			}
		})
		return append(out, Finding{Kind: Updated, Alert: a})
	}
	r := contract.Reading{Device: id, Kind: contract.Sensor, Class: contract.Environment, Measured: t, Received: t.Add(late)}
	a := newAlert(now, rule, st, &r, rule.Severity, ctx)
	a.addReason(v.zh)
	a.Explain.Condition, a.Explain.Why, a.Explain.Values = "sensor_fire", v.zh, list[i].values(rule.Fire)
	if v.weak && rule.Fire.GateDanger > 0 && ctx.Around.Danger == DangerUnknown {
		a.addReason("火险等级不明，弱信号也上报")
	}
	if w := rule.scaleWords(ctx.Around); w != "" {
		a.addReason(w)
	}
	a.addEvidence(evidence...)
	noOrderWhenLate(now, rule, a)
	a.Summary, a.SummaryEn = fireSummary(now, t, &list[i], v, ctx, id)
	st.open(Episode{ID: a.ID, From: t, To: t, Open: true, Alert: a})
	st.set(Firing, t)
	return append(out, Finding{Kind: Raised, Alert: a})
}

// fireSettle brings the state up to the newest live reading: pending, calm
// again, or resolved.
func fireSettle(now time.Time, rule *Rule, st *SubjectState, out []Finding) []Finding {
	live := st.window.live
	last := &live[len(live)-1]
	t := time.UnixMilli(last.measured).UTC()
	standing := st.standing()
	switch {
	case standing < 0 && last.suspect != 0:
		st.set(Pending, t)
	case standing < 0 && st.State == Pending:
		from := last.measured - rule.Fire.Window.Milliseconds()
		for i := len(live) - 1; i >= 0 && live[i].measured > from; i-- {
			if live[i].suspect != 0 {
				return out
			}
		}
		st.set("", t)
	case standing >= 0 && last.calm:
		ep := &st.Memory.Episodes[standing]
		from := max(ep.Alert.Raised.UnixMilli(), ep.To.UnixMilli()+1)
		first, count := last.measured, 0
		for i := len(live) - 1; i >= 0 && live[i].measured >= from && (live[i].calm || live[i].mute); i-- {
			if live[i].calm {
				first = live[i].measured
				count++
			}
		}
		lasted := time.Duration(last.measured-first) * time.Millisecond
		if count < 2 || lasted < rule.ClearAfter {
			return out
		}
		zh, _ := span(lasted)
		a := st.change(now, standing, func(ep *Episode, a *Alert) {
			ep.Open, ep.To = false, t
			a.State, a.Resolved = Resolved, now
			a.addReason("各项读数低于解除阈值已 " + zh)
		})
		st.set(Resolved, t)
		return append(out, Finding{Kind: Ended, Alert: a})
	}
	return out
}

// Suspicion is the subject's suspicious sample nearest to the time, if it has
// one within that span.
func (st *SubjectState) Suspicion(at time.Time, within time.Duration) (Evidence, bool) {
	t, best := at.UnixMilli(), within.Milliseconds()+1
	var found *sample
	for _, list := range [2][]sample{st.window.live, st.window.late} {
		for i := range list {
			if d := max(list[i].measured-t, t-list[i].measured); list[i].suspect != 0 && d < best {
				found, best = &list[i], d
			}
		}
	}
	if found == nil {
		return Evidence{}, false
	}
	return found.evidence(contract.DeviceID(st.Subject))[0], true
}

// evidence tells the quantities that made the sample suspicious.
func (s *sample) evidence(id contract.DeviceID) []Evidence {
	var out []Evidence
	for q := range numQuantities {
		if s.suspect&(1<<q) == 0 {
			continue
		}
		e := Evidence{
			Device: id, Measured: time.UnixMilli(s.measured).UTC(), Received: time.UnixMilli(s.received).UTC(),
			Field: q.field().String(), Value: rounded(s.v[q]), Note: "超阈值",
		}
		if s.strong&(1<<q) != 0 {
			e.Note = "远超阈值"
		}
		if q == qTemp && s.base == s.base {
			e.Note += fmt.Sprintf("，平时 %.1f °C", s.base)
		}
		if late := e.Received.Sub(e.Measured); late >= lateAfter {
			zh, _ := span(late)
			e.Note += "，迟到 " + zh
		}
		out = append(out, e)
	}
	return out
}

// rounded undoes what storing in 32 bits adds to a decimal number.
func rounded(x float32) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	return short
}

func fireSummary(now, t time.Time, s *sample, v verdict, ctx *Context, id contract.DeviceID) (zh, en string) {
	var vs, vsEn []string
	for q := range numQuantities {
		if s.suspect&(1<<q) == 0 {
			continue
		}
		x := rounded(s.v[q])
		switch q {
		case qSmoke:
			vs, vsEn = append(vs, fmt.Sprintf("烟雾 %.3g %%/m", x)), append(vsEn, fmt.Sprintf("smoke %.3g %%/m", x))
		case qCO:
			vs, vsEn = append(vs, fmt.Sprintf("一氧化碳 %.3g ppm", x)), append(vsEn, fmt.Sprintf("CO %.3g ppm", x))
		case qTemp:
			vs, vsEn = append(vs, fmt.Sprintf("气温 %.1f °C", x)), append(vsEn, fmt.Sprintf("%.1f °C", x))
		case qFlame:
			vs, vsEn = append(vs, "见火焰"), append(vsEn, "a flame")
		}
	}
	what, whatEn := strings.Join(vs, "、"), strings.Join(vsEn, ", ")
	zh = fmt.Sprintf("疑似起火：%s%s，%s；%s", ctx.where(), ctx.who(id), what, v.zh)
	en = fmt.Sprintf("Fire suspected by %s: %s; %s", ctx.whoEn(id), whatEn, v.en)
	if z, e := ago(now, t); z != "" {
		zh = fmt.Sprintf("%s（%s）测得，%s", z, clock(now, t), zh)
		en = fmt.Sprintf("Measured %s. %s", e, en)
	}
	return zh, en
}
