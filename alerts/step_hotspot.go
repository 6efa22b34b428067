package alerts

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// HotspotRule holds the parameters of hotspot.
type HotspotRule struct {
	MinConfidence string              // low, nominal or high: what is below it raises nothing
	Severities    map[string]Severity // by confidence; others get Rule.Severity
}

// HotspotSubject is the subject of what a rule knows about a hotspot.
func HotspotSubject(id string) string { return hotspotSubject + id }

const hotspotSubject = "hotspot:"

// CutHotspot is the id of the hotspot whose subject it is.
func CutHotspot(subject string) (id string, ok bool) {
	return strings.CutPrefix(subject, hotspotSubject)
}

// StepHotspot is a rule's judgement of a hotspot as it is now. One in no
// township, one that a static source explains, one below the rule's confidence
// and one older than Rule.Actionable raise nothing: they are on record. The rest
// raise one alert each, and passes that are added to a hotspot its evidence.
func StepHotspot(now time.Time, rule *Rule, st SubjectState, h *Hotspot, ctx *Context) (SubjectState, []Finding) {
	if h.Last.After(st.Through) {
		st.Through = h.Last
	}
	evidence := h.evidence()
	base, listed := rule.Hotspot.Severities[h.Confidence]
	if !listed {
		base = rule.Severity
	}
	if len(st.Memory.Episodes) > 0 {
		return growHotspot(now, rule, st, h, base, evidence, ctx)
	}
	switch {
	case h.Alert != "", h.Area == "", h.Masked != "",
		ConfidenceRank(h.Confidence) < ConfidenceRank(rule.Hotspot.MinConfidence),
		rule.Actionable > 0 && now.Sub(h.Last) > rule.Actionable:
		return st, nil
	}
	a := &Alert{
		ID:   alertID(h.Imported, rule.Name, st.Subject, h.Seen),
		Rule: rule.Name, RuleVersion: rule.Version, State: Firing, Area: h.Area, Lat: h.Lat, Lon: h.Lon, HasPlace: true,
		Measured: h.Last, Raised: now, Updated: now, Demo: ctx.Demo,
	}
	if late := now.Sub(h.Last); late >= lateAfter {
		a.Late, a.Explain.Outcome = late, LateActionable
	}
	a.Explain.Base, a.Explain.Inputs = base, ctx.Around
	a.Explain.Condition = "置信度不低于" + confidenceWords(rule.Hotspot.MinConfidence)
	h.tell(now, a, ctx)
	a.raise(rule.severity(base, ctx.Around))
	if rule.Family == FamilyFire {
		a.Annotate(ctx.Sources)
	}
	if h.SizeKM > 1 {
		a.addReason(fmt.Sprintf("像元宽 %.1f 公里，位置和乡镇只是大致", h.SizeKM))
	}
	a.addEvidence(evidence...)
	noOrderWhenLate(now, rule, a)
	st.open(Episode{ID: a.ID, From: h.Seen, To: h.Last, Open: true, Alert: a})
	st.State, st.Since = Firing, h.Seen
	return st, []Finding{{Kind: Raised, Alert: a, Late: a.Explain.Outcome}}
}

// growHotspot adds later passes to the alert that the hotspot has.
func growHotspot(now time.Time, rule *Rule, st SubjectState, h *Hotspot, base Severity, evidence []Evidence, ctx *Context) (SubjectState, []Finding) {
	last := len(st.Memory.Episodes) - 1
	known := *st.Memory.Episodes[last].Alert
	if !known.addEvidence(evidence...) {
		return st, nil
	}
	open := st.Memory.Episodes[last].Open
	a := st.change(now, last, func(ep *Episode, a *Alert) {
		a.addEvidence(evidence...)
		if h.Last.After(ep.To) {
			ep.To = h.Last
		}
		if open {
			h.tell(now, a, ctx)
			a.worsen(rule, base, ctx)
		}
	})
	if open {
		return st, []Finding{{Kind: Updated, Alert: a, Late: LateActionable}}
	}
	return st, []Finding{{Kind: Recorded, Alert: a, Late: LateRecord}}
}

// FileHotspot ends the alert of a hotspot when it is Rule.ClearAfter old. Then
// nothing is remembered of it.
func FileHotspot(now time.Time, rule *Rule, st SubjectState) (SubjectState, []Finding) {
	if rule.ClearAfter <= 0 {
		return st, nil
	}
	st, found := fileReports(now, rule, st)
	if len(found) > 0 && st.standing() < 0 {
		st.Memory.Episodes = nil
		st.set("", now)
	}
	return st, found
}

// tell puts the hotspot into the alert's words.
func (h *Hotspot) tell(now time.Time, a *Alert, ctx *Context) {
	zh := []string{fmt.Sprintf("%s %d 颗星 %d 像元", h.Instrument, len(h.Satellites), h.Pixels)}
	en := []string{fmt.Sprintf("%s, %d satellites, %d pixels", h.Instrument, len(h.Satellites), h.Pixels)}
	if h.FRP > 0 {
		zh, en = append(zh, fmt.Sprintf("FRP %.0f MW", h.FRP)), append(en, fmt.Sprintf("FRP %.0f MW", h.FRP))
	}
	sure := confidenceWords(h.Confidence)
	if h.Percent >= 0 {
		sure += fmt.Sprintf("（%d%%）", h.Percent)
	}
	place := degrees(h.Lat, "N", "S") + " " + degrees(h.Lon, "E", "W")
	zh, en = append(zh, "置信度"+sure, place), append(en, h.Confidence+" confidence", place)
	if where := townshipWords(ctx.Areas, h.Area); where != "" {
		zh = append(zh, where)
	}
	a.Summary = "卫星热点：" + strings.Join(zh, "，") + "；" + clock(now, h.Last) + " 过境"
	a.SummaryEn = "Satellite hotspot: " + strings.Join(en, ", ") + "; passed at " + clock(now, h.Last)
	if z, e := ago(now, h.Last); z != "" {
		a.Summary, a.SummaryEn = a.Summary+"，"+z, a.SummaryEn+", "+e
	}
	a.Explain.Why = a.Summary
	a.Explain.Values = map[string]float64{
		"satellites": float64(len(h.Satellites)), "pixels": float64(h.Pixels), "frp_mw": h.FRP, "size_km": h.SizeKM,
	}
	if h.Percent >= 0 {
		a.Explain.Values["confidence_pct"] = float64(h.Percent)
	}
}

func degrees(x float64, positive, negative string) string {
	if x < 0 {
		positive = negative
	}
	return fmt.Sprintf("%.3f%s", math.Abs(x), positive)
}

func confidenceWords(c string) string {
	switch c {
	case ConfidenceLow:
		return "低"
	case ConfidenceNominal:
		return "中"
	case ConfidenceHigh:
		return "高"
	}
	return "不明"
}

// townshipWords names the county and the township.
func townshipWords(areas Areas, code string) string {
	chain := areas.Chain(code)
	var name strings.Builder
	for _, a := range slices.Backward(chain[:min(len(chain), 2)]) {
		if a.Level != City {
			name.WriteString(areaName(a))
		}
	}
	return name.String()
}

// evidence is one piece per pass of a satellite: its strongest pixel's power.
func (h *Hotspot) evidence() []Evidence {
	type pass struct {
		satellite string
		seen      time.Time
	}
	pixels := make(map[pass][]Pixel)
	var passes []pass
	for _, p := range h.Members {
		k := pass{p.Satellite, p.Seen}
		if pixels[k] == nil {
			passes = append(passes, k)
		}
		pixels[k] = append(pixels[k], p)
	}
	slices.SortFunc(passes, func(a, b pass) int { return cmp.Or(a.seen.Compare(b.seen), cmp.Compare(a.satellite, b.satellite)) })
	out := make([]Evidence, 0, len(passes))
	for _, k := range passes {
		one := Hotspot{Members: slices.Clone(pixels[k])}
		one.sum()
		e := Evidence{
			Measured: k.seen, Received: h.Imported, Field: "frp_mw:" + k.satellite, Value: one.FRP,
			Note: fmt.Sprintf("%s %s %d 像元，置信度%s", k.satellite, one.Instrument, one.Pixels, confidenceWords(one.Confidence)),
		}
		if one.FRP == 0 {
			e.Note += "，FRP 不明"
		}
		out = append(out, e)
	}
	return out
}

// Heat is the id of the registered static source of heat that explains every
// pixel of the hotspot, empty when none does. A pixel lies by a source when its
// centre is within the source's radius and half the pixel's width, of the latter
// 300 m at least and 1 km at most. A fire that has left the factory is not
// explained by it.
func (x *SourceIndex) Heat(h *Hotspot) string {
	var ids []string
	for i := range h.Members {
		p := &h.Members[i]
		margin := min(max(p.SizeKM()*1000/2, SourceMargin), 1000)
		var here []string
		for _, n := range x.Near(p.Lat, p.Lon, (maxRadiusM+margin)/1000, p.Seen) {
			if n.Kind == SourceHeat && n.DistanceM <= n.RadiusM+margin {
				here = append(here, n.ID)
			}
		}
		if i == 0 {
			ids = here
		} else {
			ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(here, id) })
		}
		if len(ids) == 0 {
			return ""
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}
