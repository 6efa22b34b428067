package alerts

import (
	"fmt"
	"time"

	contract "firewatch/firmware-contracts"
)

// proves is the time up to which the reading proves the device alive. A last
// will speaks of the device's end; a sensor that only says it is on measures
// nothing; a clock that runs ahead proves nothing about the future.
func proves(r *contract.Reading) (time.Time, bool) {
	if online, said := r.Values.Get(contract.Online); said && online == 0 {
		return time.Time{}, false
	}
	if r.Kind == contract.Sensor && r.Class != contract.Environment {
		return time.Time{}, false
	}
	if r.Measured.After(r.Received) {
		return r.Received, true
	}
	return r.Measured, true
}

// stepSilent judges by the registry who is expected, and by measured time who
// is alive. A device that never reported is as silent as one that stopped: it
// counts from when it was first expected.
func stepSilent(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	if in.Reading != nil {
		if t, ok := proves(in.Reading); ok && t.After(st.Through) {
			st.Through = t
		}
	}
	d := ctx.Device
	if d == nil || d.Expect <= 0 || d.Disabled {
		if in.Kind != Tick || st.State == "" && st.Memory.Known.IsZero() {
			return st, nil
		}
		st.Memory.Known, st.Memory.Held = time.Time{}, ""
		st.Revision++
		return silenceOver(now, st, "设备不再要求上报")
	}
	if in.Kind == Observe {
		return st, nil
	}
	if st.Memory.Known.IsZero() {
		st.Memory.Known = now
		st.Revision++
	}
	limit, base := rule.Silent.limit(d)
	last := aliveAt(&st, ctx)
	if now.Before(last.Add(limit)) {
		if st.State == Pending || st.State == Firing {
			return silenceOver(now, st, "恢复上报："+clock(now, st.Through)+" 有新的测量")
		}
		return st, nil
	}
	if in.Kind != Tick || st.State == Firing {
		return st, nil
	}
	if st.State != Pending {
		st.set(Pending, now)
	}
	if st.Memory.Held != ctx.Outage {
		st.Memory.Held = ctx.Outage
		st.Revision++
	}
	if ctx.Outage != "" {
		return st, nil // the county's alert lists it
	}
	if now.Before(st.Since.Add(rule.For)) {
		return st, nil
	}
	a := newAlert(now, rule, &st, nil, base, ctx)
	a.Measured = last
	if !st.Through.IsZero() {
		a.Measured = st.Through
	}
	zh, en := span(now.Sub(a.Measured))
	every, everyEn := span(d.Expect)
	name := ctx.where() + ctx.who(d.ID)
	if st.Through.IsZero() {
		a.Summary = fmt.Sprintf("%s登记后 %s从未上报（应每 %s一次）", name, zh, every)
		a.SummaryEn = fmt.Sprintf("%s has never reported in the %s since it is expected to (every %s)", ctx.whoEn(d.ID), en, everyEn)
	} else {
		a.Summary = fmt.Sprintf("%s已 %s没有新的测量（应每 %s一次）", name, zh, every)
		a.SummaryEn = fmt.Sprintf("%s has measured nothing new for %s (every %s expected)", ctx.whoEn(d.ID), en, everyEn)
		a.addEvidence(Evidence{
			Device: d.ID, Measured: st.Through, Received: st.Through, Field: "t",
			Value: now.Sub(st.Through).Seconds(), Note: "最后一次测量",
		})
	}
	a.Explain.Condition, a.Explain.Why = fmt.Sprintf("silent for %s", limit), a.Summary
	a.Explain.Values = map[string]float64{"silent_s": now.Sub(a.Measured).Seconds(), "expect_s": d.Expect.Seconds(), "limit_s": limit.Seconds()}
	if st.Heard.After(last) {
		a.addReason("仍收到消息（" + clock(now, st.Heard) + "），但没有新的测量：补传、时钟不准或探头故障")
	}
	st.open(Episode{ID: a.ID, From: a.Measured, To: now, Open: true, Alert: a})
	st.set(Firing, now)
	return st, []Finding{{Kind: Raised, Alert: a}}
}

// aliveAt is when the device was last known to be alive, or began to count.
func aliveAt(st *SubjectState, ctx *Context) time.Time {
	last := st.Through
	for _, t := range [2]time.Time{st.Memory.Known, ctx.Listening} {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// AliveUntil is the time before which a tick of device_silent would find
// nothing; zero while something is the matter, or nothing is expected.
func (r *Rule) AliveUntil(st *SubjectState, ctx *Context) time.Time {
	d := ctx.Device
	if d == nil || d.Expect <= 0 || d.Disabled || st.State != "" || st.Memory.Known.IsZero() {
		return time.Time{}
	}
	limit, _ := r.Silent.limit(d)
	return aliveAt(st, ctx).Add(limit)
}

// kind holds the parameters for devices of the kind.
func (s *SilentRule) kind(k contract.Kind) SilentKind {
	if k == contract.Tracker {
		return s.Trackers
	}
	return s.Sensors
}

// Silence is when a device of the kind counts as silent, so that lists and
// alerts tell the same: after factor times its expected interval, and at
// least that time. A set without a rule of type device_silent has the values of the default
// rules.
func (r RuleSet) Silence(kind contract.Kind) (factor float64, least time.Duration) {
	found := &SilentRule{
		Trackers: SilentKind{Factor: 4, Min: 10 * time.Minute},
		Sensors:  SilentKind{Factor: 3, Min: 5 * time.Minute},
	}
	for i := range r.Rules {
		if s := r.Rules[i].Silent; r.Rules[i].Type == DeviceSilent && s != nil {
			found = s
			break
		}
	}
	k := found.kind(kind)
	return k.Factor, k.Min
}

func (s *SilentRule) limit(d *Device) (time.Duration, Severity) {
	k := s.kind(d.Kind)
	return max(time.Duration(k.Factor*float64(d.Expect)), k.Min), k.Severity
}

func silenceOver(now time.Time, st SubjectState, why string) (SubjectState, []Finding) {
	var out []Finding
	if i := st.standing(); i >= 0 {
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			ep.Open, ep.To = false, now
			a.State, a.Resolved = Resolved, now
			a.addReason(why)
		})
		out = append(out, Finding{Kind: Ended, Alert: a})
		// A silence needs no memory: nothing late belongs to it.
		st.Memory.Episodes = nil
	}
	st.Memory.Held = ""
	st.set("", now)
	return st, out
}

// CountySilence counts the devices of a county.
type CountySilence struct {
	County   Area
	Expected int // devices that must report
	Silent   int // pending and not told, held, or firing
	Recent   int // of them, those that fell silent within Storm.Within
	Held     []Evidence
}

// Count takes in the state of one of the devices that are expected. A device that is
// surely alive need not be counted.
func (s *CountySilence) Count(now time.Time, rule *Rule, st *SubjectState) {
	if st.State != Pending && st.State != Firing {
		return
	}
	s.Silent++
	if now.Sub(st.Since) <= rule.Silent.Storm.Within {
		s.Recent++
	}
	if st.State == Pending && len(s.Held) < maxEvidence {
		last, note := st.Through, "失联，并入本告警，未单独告警"
		if last.IsZero() {
			last, note = st.Memory.Known, "从未上报，并入本告警，未单独告警"
		}
		s.Held = append(s.Held, Evidence{
			Device: contract.DeviceID(st.Subject), Measured: last, Received: last, Field: "t",
			Value: now.Sub(last).Seconds(), Note: note,
		})
	}
}

// OutageSubject is the subject of a county's state under device_silent.
func OutageSubject(county string) string { return "area:" + county }

// StepOutage judges a county: when many devices fall silent at once it is the
// broker, the network or the power, and one alert stands for all of them. It
// lists whom it holds back. When fewer than half of that many are silent it is
// over, and those that still are get alerts of their own.
func StepOutage(now time.Time, rule *Rule, st SubjectState, s CountySilence, ctx *Context) (SubjectState, []Finding) {
	storm := rule.Silent.Storm
	enough := func(n int) bool { return n >= storm.Devices && float64(n) >= storm.Share*float64(s.Expected) }
	i := st.standing()
	switch {
	case i < 0 && enough(s.Recent):
		a := newAlert(now, rule, &st, nil, storm.Severity, ctx)
		a.Device, a.Area, a.Reasons = "", s.County.Code, nil
		a.Lat, a.Lon, a.HasPlace = s.County.Lat, s.County.Lon, s.County.Lat != 0 || s.County.Lon != 0
		a.raise(rule.severity(storm.Severity, ctx.Around))
		zh, en := span(storm.Within)
		a.Summary = fmt.Sprintf("%s %d 台设备中 %d 台在 %s内同时失联，疑似网络、服务器或供电中断", s.County.Name, s.Expected, s.Recent, zh)
		a.SummaryEn = fmt.Sprintf("%d of %d devices of %s fell silent within %s: network, broker or power?", s.Recent, s.Expected, s.County.Code, en)
		a.Explain.Condition, a.Explain.Why = fmt.Sprintf("%d of a county's devices within %s", storm.Devices, storm.Within), a.Summary
		a.Explain.Values = map[string]float64{"expected": float64(s.Expected), "silent": float64(s.Silent), "recent": float64(s.Recent)}
		a.addReason("失联设备不逐台告警，由本告警代表，名单见证据")
		a.addEvidence(s.Held...)
		st.open(Episode{ID: a.ID, From: now, To: now, Open: true, Alert: a})
		st.set(Firing, now)
		return st, []Finding{{Kind: Raised, Alert: a}}
	case i >= 0 && s.Silent*2 < storm.Devices || i >= 0 && float64(s.Silent)*2 < storm.Share*float64(s.Expected):
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			ep.Open, ep.To = false, now
			a.State, a.Resolved = Resolved, now
			a.addReason(fmt.Sprintf("大部分设备恢复，仍失联 %d 台改为逐台告警", s.Silent))
		})
		st.Memory.Episodes = nil
		st.set("", now)
		return st, []Finding{{Kind: Ended, Alert: a}}
	case i >= 0:
		known := *st.Memory.Episodes[i].Alert
		var more []Evidence
		for _, e := range s.Held { // by device: the value differs at every tick
			if len(known.Evidence)+len(more) < maxEvidence && !known.names(e.Device) {
				more = append(more, e)
			}
		}
		if len(more) == 0 {
			return st, nil
		}
		a := st.change(now, i, func(_ *Episode, a *Alert) { a.addEvidence(more...) })
		return st, []Finding{{Kind: Updated, Alert: a}}
	}
	return st, nil
}

func (a *Alert) names(id contract.DeviceID) bool {
	for i := range a.Evidence {
		if a.Evidence[i].Device == id {
			return true
		}
	}
	return false
}

// Standing is the id of the alert that stands, empty when none does.
func (st *SubjectState) Standing() string {
	if i := st.standing(); i >= 0 {
		return st.Memory.Episodes[i].ID
	}
	return ""
}
