package alerts

import (
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

const maxOffs = 16

// stepSOS judges a warden's calls for help. Nothing holds one back: neither
// lateness nor an unknown device. Calls belong to one episode until the warden
// calls it off, or is quiet for EpisodeGap and presses again. Only the warden's
// word, measured after the newest press, ends it; time never does.
func stepSOS(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	if in.Kind != Judge {
		return st, nil
	}
	r := in.Reading
	if r.Measured.After(st.Through) {
		st.Through = r.Measured
	}
	if active, said := r.Values.Get(contract.Active); said && active == 0 {
		return sosOff(now, st, r)
	}
	evidence := sosEvidence(r)
	for i, ep := range st.Memory.Episodes { // the same message again is no press
		known := *ep.Alert
		if !slices.ContainsFunc(known.Evidence, evidence.same) {
			continue
		}
		if !known.addEvidence(evidence) {
			return st, nil
		}
		a := st.change(now, i, func(_ *Episode, a *Alert) { a.addEvidence(evidence) })
		return st, []Finding{{Kind: Recorded, Alert: a}} // this copy has the text
	}
	pressed := st.after(said(r)) // of the same moment as a word that came before it: it came after it
	gap := rule.SOS.EpisodeGap
	for i := len(st.Memory.Episodes) - 1; i >= 0; i-- {
		ep := &st.Memory.Episodes[i]
		if pressed.Before(ep.From.Add(-gap)) || pressed.After(ep.To.Add(gap)) {
			continue
		}
		if n := st.offsBefore(pressed); n != st.offsBefore(ep.From) && n != st.offsBefore(ep.To) {
			continue // the warden called it off in between
		}
		kind := Recorded
		if ep.Open {
			kind = Updated
		}
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			a.addEvidence(evidence)
			if lat, lon, ok, registered := ctx.place(r); ok && !registered && !pressed.Before(ep.To) {
				a.Lat, a.Lon, a.HasPlace = lat, lon, true
			}
			if pressed.Before(ep.From) {
				ep.From, a.Measured = pressed, r.Measured
			}
			if ep.Open && pressed.After(ep.To) {
				ep.To = pressed
			}
		})
		return st, []Finding{{Kind: kind, Alert: a}}
	}

	a := newAlert(now, rule, &st, r, Red, ctx)
	a.Severity = Red
	a.addEvidence(evidence)
	noOrderWhenLate(now, rule, a)
	a.Summary, a.SummaryEn = sosSummary(now, r, ctx)
	cause, _ := sosCause(r.Code)
	a.Explain.Condition, a.Explain.Why = "sos "+r.Code, "护林员"+cause
	ep := Episode{ID: a.ID, From: pressed, To: pressed, Open: true, Alert: a}
	if n := st.offsBefore(pressed); n < len(st.Memory.Offs) { // the call came after the word that it is over
		off := st.Memory.Offs[n]
		ep.Open, ep.To = false, off
		a.State, a.Resolved = Resolved, now
		a.addReason("护林员已于 " + clock(now, off) + " 取消求救，此呼叫迟于取消到达")
	} else {
		st.State, st.Since = Firing, r.Measured
	}
	st.open(ep)
	return st, []Finding{{Kind: Raised, Alert: a}}
}

// said is when the warden spoke: as measured, but no later than it was received.
// A clock that runs ahead must not call off what has not been called yet.
func said(r *contract.Reading) time.Time {
	if r.Measured.After(r.Received) {
		return r.Received
	}
	return r.Measured
}

// after is the time, or the next moment after it that is no word's.
func (st *SubjectState) after(t time.Time) time.Time {
	for {
		if _, taken := slices.BinarySearchFunc(st.Memory.Offs, t, time.Time.Compare); !taken {
			return t
		}
		t = t.Add(1)
	}
}

// offsBefore counts the words "called off" before the time.
func (st *SubjectState) offsBefore(t time.Time) int {
	n, _ := slices.BinarySearchFunc(st.Memory.Offs, t, time.Time.Compare)
	return n
}

// sosOff takes the warden's word that it is over. The same word again is none: a
// copy of one whose clock ran ahead is received later, and must not end a call
// that came in between.
func sosOff(now time.Time, st SubjectState, r *contract.Reading) (SubjectState, []Finding) {
	if slices.ContainsFunc(st.Memory.Ahead, r.Measured.Equal) {
		return st, nil
	}
	t := said(r)
	if t.Before(r.Measured) {
		t = st.after(t)
		st.Memory.Ahead = append(slices.Clip(st.Memory.Ahead), r.Measured)
		if n := len(st.Memory.Ahead); n > maxOffs {
			st.Memory.Ahead = st.Memory.Ahead[n-maxOffs:]
		}
	}
	at, known := slices.BinarySearchFunc(st.Memory.Offs, t, time.Time.Compare)
	if known {
		return st, nil
	}
	st.Memory.Offs = slices.Insert(slices.Clip(st.Memory.Offs), at, t)
	if n := len(st.Memory.Offs); n > maxOffs {
		st.Memory.Offs = st.Memory.Offs[n-maxOffs:]
	}
	st.Revision++
	var out []Finding
	for i := range st.Memory.Episodes {
		ep := &st.Memory.Episodes[i]
		if !ep.Open || ep.From.After(t) {
			continue
		}
		if ep.To.After(t) { // late word: there was a press after it
			a := st.change(now, i, func(_ *Episode, a *Alert) {
				a.addReason("护林员曾于 " + clock(now, t) + " 取消，其后又求救")
			})
			out = append(out, Finding{Kind: Updated, Alert: a})
			continue
		}
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			ep.Open, ep.To = false, t
			a.State, a.Resolved = Resolved, now
			a.addReason("护林员于 " + clock(now, t) + " 取消求救")
		})
		out = append(out, Finding{Kind: Ended, Alert: a})
	}
	if st.standing() < 0 && len(st.Memory.Episodes) > 0 {
		st.set(Resolved, t)
	}
	return st, out
}

func sosEvidence(r *contract.Reading) Evidence {
	zh, _ := sosCause(r.Code)
	if r.Text != "" {
		zh += "：“" + r.Text + "”"
	}
	if late := r.Late(); late >= lateAfter {
		d, _ := span(late)
		zh += "，迟到 " + d
	}
	return Evidence{Device: r.Device, Measured: r.Measured, Received: r.Received, Field: contract.Active.String(), Value: 1, Note: zh}
}

func sosCause(code string) (zh, en string) {
	switch code {
	case "button", "":
		return "按下求救键", "pressed the SOS button"
	case "fall":
		return "跌倒", "fell"
	case "no_motion":
		return "长时间不动", "has not moved for long"
	}
	return "求救", "calls for help"
}

func sosSummary(now time.Time, r *contract.Reading, ctx *Context) (zh, en string) {
	zh, en = "SOS，", "SOS, "
	if z, e := ago(now, r.Measured); z != "" {
		zh += z + "（" + clock(now, r.Measured) + "），"
		en += e + ", "
	}
	cause, causeEn := sosCause(r.Code)
	zh += ctx.where() + ctx.who(r.Device) + cause
	en += ctx.whoEn(r.Device) + " " + causeEn
	if ctx.Device == nil {
		zh, en = zh+"，区域不明", en+", area unknown"
	}
	if r.Text != "" {
		zh, en = zh+"：“"+r.Text+"”", en+": “"+r.Text+"”"
	}
	return zh, en
}
