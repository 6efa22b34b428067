package alerts

import (
	"fmt"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// stepReport turns a warden's report into an alert. The same warden and
// category within Join is one report; each is filed after ClearAfter.
func stepReport(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	switch in.Kind {
	case Tick:
		return fileReports(now, rule, st)
	case Changed, Observe:
		return st, nil
	case Judge:
	}
	r := in.Reading
	if r.Measured.After(st.Through) {
		st.Through = r.Measured
	}
	zh, en := reportCategory(r.Code)
	note := "报告" + zh
	if r.Text != "" {
		note += "：“" + r.Text + "”"
	}
	evidence := Evidence{
		Device: r.Device, Measured: r.Measured, Received: r.Received,
		Field: "category:" + r.Code, Value: 1, Note: note,
	}
	base, listed := rule.Report.Categories[r.Code]
	if !listed {
		base = rule.Severity
	}
	join := rule.Report.Join
	for i := len(st.Memory.Episodes) - 1; i >= 0; i-- {
		ep := &st.Memory.Episodes[i]
		if ep.Code != r.Code || r.Measured.Before(ep.From.Add(-join)) || r.Measured.After(ep.To.Add(join)) {
			continue
		}
		known := *ep.Alert
		if !known.addEvidence(evidence) {
			return st, nil
		}
		kind := Recorded
		if ep.Open {
			kind = Updated
		}
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			a.addEvidence(evidence)
			if r.Measured.Before(ep.From) {
				ep.From = r.Measured
			}
			if r.Measured.After(ep.To) {
				ep.To = r.Measured
			}
		})
		return st, []Finding{{Kind: kind, Alert: a}}
	}
	a := newAlert(now, rule, &st, r, base, ctx)
	a.addEvidence(evidence)
	noOrderWhenLate(now, rule, a)
	if z, e := ago(now, r.Measured); z != "" {
		a.Summary, a.SummaryEn = z+"（"+clock(now, r.Measured)+"），", e+", "
	}
	a.Summary += ctx.where() + ctx.who(r.Device) + note
	a.SummaryEn += ctx.whoEn(r.Device) + " reports " + en
	a.Explain.Condition, a.Explain.Why = "report "+r.Code, note
	if r.Text != "" {
		a.SummaryEn += ": “" + r.Text + "”"
	}
	var out []Finding
	if eps := st.Memory.Episodes; len(eps) >= maxEpisodes && !slices.ContainsFunc(eps, func(e Episode) bool { return !e.Open }) {
		old := st.change(now, 0, func(ep *Episode, a *Alert) {
			ep.Open = false
			a.State, a.Resolved = Resolved, now
			a.addReason("该护林员报告过多，最早的一条归档")
		})
		out = append(out, Finding{Kind: Ended, Alert: old})
	}
	st.open(Episode{ID: a.ID, Code: r.Code, From: r.Measured, To: r.Measured, Open: true, Alert: a})
	st.State, st.Since = Firing, r.Measured
	return st, append(out, Finding{Kind: Raised, Alert: a})
}

func fileReports(now time.Time, rule *Rule, st SubjectState) (SubjectState, []Finding) {
	var out []Finding
	for i := range st.Memory.Episodes {
		ep := &st.Memory.Episodes[i]
		if !ep.Open || now.Before(ep.Alert.Raised.Add(rule.ClearAfter)) {
			continue
		}
		zh, _ := span(rule.ClearAfter)
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			ep.Open = false
			a.State, a.Resolved = Resolved, now
			a.addReason("满 " + zh + "，自动归档")
		})
		out = append(out, Finding{Kind: Ended, Alert: a})
	}
	if len(out) > 0 && st.standing() < 0 {
		st.set(Resolved, now)
	}
	return st, out
}

func reportCategory(code string) (zh, en string) {
	switch code {
	case "farm":
		return "农事用火", "field burning"
	case "ritual":
		return "祭祀用火", "ritual fire"
	case "production":
		return "生产用火", "fire at work"
	case "household":
		return "生活用火", "household fire"
	case "recreation":
		return "游玩用火", "recreational fire"
	case "smoke":
		return "烟", "smoke"
	case "fire":
		return "火情", "fire"
	case "grave":
		return "坟头火源", "a grave as ignition source"
	case "kiln":
		return "窑", "a kiln"
	case "power_line":
		return "电力线路隐患", "a power-line hazard"
	case "hazard":
		return "隐患", "a hazard"
	}
	return "其他情况", "something else"
}

// lateOrdinary is how late an ordinary reading may come and still say how a
// device is now.
const lateOrdinary = 30 * time.Minute

// stepBattery gives notice of a low battery. Only the newest reading counts,
// and only if it came while it was still true.
func stepBattery(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	r := in.Reading
	if r == nil {
		return st, nil
	}
	pct, ok := r.Values.Get(contract.BatteryPct)
	if !ok || !r.Measured.After(st.Through) || r.Late() > lateOrdinary {
		return st, nil
	}
	st.Through = r.Measured
	if in.Kind == Observe {
		return st, nil
	}
	charging, _ := r.Values.Get(contract.Charging)
	i := st.standing()
	switch {
	case i >= 0 && (pct >= rule.Battery.Clear || charging != 0 && pct >= rule.Battery.Below):
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			ep.Open, ep.To = false, r.Measured
			a.State, a.Resolved = Resolved, now
			a.addReason(fmt.Sprintf("电量回到 %.0f%%", pct))
		})
		st.Memory.Episodes = nil
		st.set("", r.Measured)
		return st, []Finding{{Kind: Ended, Alert: a}}
	case i >= 0 || pct >= rule.Battery.Below || charging != 0:
		if i < 0 && st.State == Pending {
			st.set("", r.Measured)
		}
		return st, nil
	}
	if st.State != Pending {
		st.set(Pending, r.Measured)
	}
	if r.Measured.Sub(st.Since) < rule.For {
		return st, nil
	}
	a := newAlert(now, rule, &st, r, rule.Severity, ctx)
	a.Summary = fmt.Sprintf("电量低：%s%s剩 %.0f%%", ctx.where(), ctx.who(r.Device), pct)
	a.SummaryEn = fmt.Sprintf("Battery low: %s at %.0f %%", ctx.whoEn(r.Device), pct)
	a.Explain.Condition, a.Explain.Why = fmt.Sprintf("battery_pct < %g", rule.Battery.Below), fmt.Sprintf("电量 %.0f%%，低于 %g%%", pct, rule.Battery.Below)
	a.Explain.Values = map[string]float64{contract.BatteryPct.String(): pct}
	a.addEvidence(Evidence{
		Device: r.Device, Measured: r.Measured, Received: r.Received,
		Field: contract.BatteryPct.String(), Value: pct, Note: fmt.Sprintf("低于 %g%%", rule.Battery.Below),
	})
	st.open(Episode{ID: a.ID, From: r.Measured, To: r.Measured, Open: true, Alert: a})
	st.set(Firing, r.Measured)
	return st, []Finding{{Kind: Raised, Alert: a}}
}
