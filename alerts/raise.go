package alerts

import (
	"fmt"
	"slices"
)

// severity is the base raised by season, danger, special day and warning, and
// the steps by which it rose.
func (r *Rule) severity(base Severity, s Surroundings) (Severity, []RaisedBy) {
	out := base
	var steps []RaisedBy
	raise := func(n int, by string, words func(Surroundings) string) {
		to := min(out+Severity(n), max(r.RaiseMax, base)) //nolint:gosec // at most 4
		if n > 0 && to > out {
			steps = append(steps, RaisedBy{By: by, Why: words(s), From: out, To: to})
			out = to
		}
	}
	if s.Season != "" {
		raise(r.Raise.season(s.Season), "season", func(s Surroundings) string { return seasonWords(s.Season) })
	}
	if s.Danger >= 4 {
		raise(r.Raise.danger(s.Danger), "danger", dangerWords)
	}
	if s.Special != "" {
		raise(r.Raise.SpecialDay, "special_day", func(s Surroundings) string { return s.Special })
	}
	if s.Warning > Notice {
		raise(r.Raise.warning(s.Warning), "warning", warningWords)
	}
	if s.SeasonUnknown || s.WarnUnknown {
		raise(r.Raise.Unknown, "unknown", unknownWords)
	}
	return out, steps
}

// words says the step in one sentence.
func (b RaisedBy) words() string {
	return fmt.Sprintf("%s：由%s提高到%s", b.Why, b.From.Chinese(), b.To.Chinese())
}

// raise has the alert at the severity that the surroundings ask for, and says by
// what it came there.
func (a *Alert) raise(level Severity, steps []RaisedBy) {
	a.Severity = level
	for _, s := range steps {
		a.addReason(s.words())
	}
	a.Explain.Raised = steps
}

// holdBack notes that something was kept from people or from teams, once.
func (a *Alert) holdBack(h HeldBack) {
	for _, o := range a.Explain.Held {
		if o.By == h.By && o.Why == h.Why {
			return
		}
	}
	a.Explain.Held = append(slices.Clip(a.Explain.Held), h)
}

// scale is the factor on the thresholds: the lowest of those that apply.
func (r *Rule) scale(s Surroundings) float64 {
	f, _ := r.scaling(s)
	return f
}

type scaledBy uint8

const (
	byNothing scaledBy = iota
	bySeason
	byDanger
	bySpecial
	byWarning
	byUnknown
)

func (r *Rule) scaling(s Surroundings) (f float64, by scaledBy) {
	f = 1
	lower := func(x float64, because scaledBy) {
		if x != 0 && (x < f || by == byNothing) {
			f, by = x, because
		}
	}
	lower(r.Scale.season(s.Season), bySeason)
	lower(r.Scale.danger(s.Danger), byDanger)
	if s.Special != "" {
		lower(r.Scale.SpecialDay, bySpecial)
	}
	lower(r.Scale.warning(s.Warning), byWarning)
	if s.SeasonUnknown || s.WarnUnknown {
		lower(r.Scale.Unknown, byUnknown)
	}
	return f, by
}

// scaleWords says why the thresholds are not the usual ones; empty when they are.
func (r *Rule) scaleWords(s Surroundings) string {
	f, by := r.scaling(s)
	if f == 1 {
		return ""
	}
	why := unknownWords(s)
	switch by {
	case bySeason:
		why = seasonWords(s.Season)
	case byDanger:
		why = dangerWords(s)
	case bySpecial:
		why = s.Special
	case byWarning:
		why = warningWords(s)
	case byUnknown, byNothing:
	}
	return fmt.Sprintf("%s：阈值按 %g 倍计", why, f)
}

func seasonWords(k SeasonKind) string {
	if k == Closure {
		return "封山禁火期"
	}
	return k.Chinese()
}

func dangerWords(s Surroundings) string {
	if s.DangerHeld {
		return fmt.Sprintf("火险等级%d级（%s，沿用）", s.Danger, s.Danger.Chinese())
	}
	return fmt.Sprintf("火险等级%d级（%s）", s.Danger, s.Danger.Chinese())
}

func warningWords(s Surroundings) string {
	if s.WarningEvent == "" {
		return s.Warning.Chinese() + "预警生效"
	}
	return s.WarningEvent + s.Warning.Chinese() + "预警生效"
}

func unknownWords(s Surroundings) string {
	switch {
	case s.SeasonUnknown && s.WarnUnknown:
		return "防火期和预警都不明，从严"
	case s.SeasonUnknown:
		return "防火期不明，从严"
	}
	return "预警不明，从严"
}
