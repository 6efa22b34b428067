package alerts

import (
	"slices"
	"strings"
	"time"
)

// OrderCall says whether an alert's automatic order may be given now, and what
// holds it back if not.
type OrderCall struct {
	Give bool
	Key  string   // its idempotency key
	Held HeldBack // By empty: nothing is to be told
}

// Calls reports whether the alert asks for an order of its rule: one that nobody
// has given, or a higher one than its incident was given. By rows alone.
func (d *Desk) Calls(rule *Rule, a *Alert) bool {
	if rule.WantsOrder(a) {
		return true
	}
	in := d.known[a.Incident]
	if in == nil || a.Order == "" || max(a.Severity, Blue) <= in.OrderLevel {
		return false
	}
	unordered := *a
	unordered.Order = ""
	return rule.WantsOrder(&unordered)
}

// Call decides about the order of an alert that asks for one: a fire gives one,
// and another only when it is graver than the one before.
func (d *Desk) Call(now time.Time, rule *Rule, a *Alert) OrderCall {
	level := max(a.Severity, Blue)
	if a.Hush.Hushed() {
		return OrderCall{} // why is in its hush; it asks again when it comes forth
	}
	came := slices.ContainsFunc(a.Explain.Held, func(h HeldBack) bool { return h.By == "silence" || h.By == "inhibition" })
	if came && !slices.ContainsFunc(a.Evidence, func(e Evidence) bool { return e.Measured.After(now.Add(-rule.Fresh)) }) {
		zh, _ := span(rule.Fresh)
		return OrderCall{Held: HeldBack{At: now, By: "late", Why: "重新提示时最近 " + zh + "内没有新的读数，不自动下令，请人工判断"}}
	}
	in := d.known[a.Incident]
	switch {
	case in == nil:
		return OrderCall{Give: true, Key: "alert:" + a.ID}
	case !in.Refuted.IsZero():
		return OrderCall{Held: HeldBack{At: now, By: "incident", Why: "事件已由 " + in.By + " 排除，不自动下令"}}
	case in.OrderLevel >= level:
		return OrderCall{Held: HeldBack{
			At: now, By: "incident", Why: "同一事件已下令（" + in.Order + "，" + in.OrderLevel.Chinese() + "），不再重复下令",
		}}
	}
	return OrderCall{Give: true, Key: "incident:" + in.ID + ":" + level.String()}
}

// Ordered notes that the incident of the alert was given an order.
func (d *Desk) Ordered(incident, order string, level Severity) {
	in := d.known[incident]
	if in == nil {
		return
	}
	if in.Order == "" {
		in.Order = order
	}
	in.OrderLevel = max(in.OrderLevel, level)
}

// proposed begins the reason by which an order is proposed.
const proposed = "建议"

// Propose reports whether the order of an alert is to be proposed, and what
// holds it back: an alert of the same incident has proposed one already, or one
// was given.
func (d *Desk) Propose(now time.Time, a *Alert) (bool, HeldBack) {
	if a.State != Firing || a.Hush.Hushed() || slices.ContainsFunc(a.Reasons, isProposal) {
		return false, HeldBack{}
	}
	in := d.known[a.Incident]
	if in == nil {
		return true, HeldBack{}
	}
	if in.OrderLevel >= max(a.Severity, Blue) {
		return false, HeldBack{
			At: now, By: "incident", Why: "同一事件已下令（" + in.Order + "，" + in.OrderLevel.Chinese() + "），不再建议下令",
		}
	}
	for _, o := range d.Standing() {
		if o.ID != a.ID && o.Incident == in.ID && o.Severity >= a.Severity && !o.Hush.Hushed() && slices.ContainsFunc(o.Reasons, isProposal) {
			return false, HeldBack{At: now, By: "incident", Why: "同一事件已有下令建议（见告警 " + o.ID + "），不再重复建议"}
		}
	}
	return true, HeldBack{}
}

func isProposal(why string) bool { return strings.HasPrefix(why, proposed) }

// HoldBack adds to the alert what was held back, once; it reports whether that
// is news. The alert is the caller's to change.
func (a *Alert) HoldBack(h HeldBack) bool {
	n := len(a.Explain.Held)
	if h.By != "" {
		a.holdBack(h)
	}
	return len(a.Explain.Held) > n
}

// Adopt takes over an alert that was changed at the desk; false: the state no
// longer minds it.
func (st *SubjectState) Adopt(a *Alert) bool {
	i := slices.IndexFunc(st.Memory.Episodes, func(ep Episode) bool { return ep.ID == a.ID })
	if i < 0 {
		return false
	}
	st.Memory.Episodes = slices.Clone(st.Memory.Episodes)
	st.Memory.Episodes[i].Alert = a
	return true
}
