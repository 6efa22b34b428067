package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Town is a township with what is around it.
type Town struct {
	Area   Area
	Around Surroundings
}

// Counties reports whether the rule judges the townships of a county together.
func (c *ConditionRule) Counties() bool { return slices.Contains(c.On, OnCounty) }

// maxListed bounds the townships that an alert names.
const maxListed = 40

// stepCounty judges a county by its townships, Context.Towns: one alert stands
// while the condition holds in any of them, and lists them. A township is listed
// until its condition is over; one of which that is not known stays.
func stepCounty(now time.Time, rule *Rule, st SubjectState, ctx *Context) (SubjectState, []Finding) {
	in := countyTowns(now, rule, st.Memory.Towns, ctx)
	i := st.standing()
	switch {
	case len(in) == 0 && i < 0:
		return st, nil
	case len(in) == 0:
		a := st.change(now, i, func(ep *Episode, a *Alert) {
			ep.Open, ep.To = false, now
			a.State, a.Resolved = Resolved, now
			why := "全部乡镇的条件已解除"
			if len(ctx.Towns) == 0 {
				why = "此地不再由这条规则判断"
			}
			a.addReason(why)
		})
		st.Memory.Episodes, st.Memory.Towns = nil, nil // nothing late belongs to it
		st.set("", now)
		return st, []Finding{{Kind: Ended, Alert: a}}
	}
	w := countyWords(now, rule, ctx, in)
	joined, left := w.changes(st.Memory.Towns, ctx.Areas)
	st.Memory.Towns = w.codes
	if i < 0 {
		a := newAlert(now, rule, &st, nil, rule.Severity, &w.gravest)
		a.Device, a.Area, a.Reasons = "", ctx.Place.Code, nil
		a.Lat, a.Lon, a.HasPlace = ctx.Place.Lat, ctx.Place.Lon, ctx.Place.Lat != 0 || ctx.Place.Lon != 0
		a.raise(a.Severity, a.Explain.Raised)
		w.tell(a)
		a.addEvidence(w.evidence(now, dangerWords(w.gravest.Around)))
		st.open(Episode{ID: a.ID, From: now, To: now, Open: true, Alert: a})
		st.set(Firing, now)
		return st, []Finding{{Kind: Raised, Alert: a}}
	}
	known := *st.Memory.Episodes[i].Alert
	if worse := known.worsen(rule, rule.Severity, &w.gravest); !worse && known.Summary == w.zh && joined == "" && left == "" {
		return st, nil
	}
	a := st.change(now, i, func(ep *Episode, a *Alert) {
		a.worsen(rule, rule.Severity, &w.gravest)
		w.tell(a)
		if joined != "" {
			ep.To = now
			a.addEvidence(w.evidence(now, "新增："+joined))
		} else if left != "" {
			a.addEvidence(w.evidence(now, "已解除："+left))
		}
	})
	return st, []Finding{{Kind: Updated, Alert: a}}
}

// countyTowns are the townships that count, by what is around them and by which
// of them did before.
func countyTowns(now time.Time, rule *Rule, before []string, ctx *Context) (in []Town) {
	c := rule.Condition
	one := *ctx
	one.Towns = nil
	s := scene{at: now.UnixMilli(), now: now, rule: rule, ctx: &one}
	for k := range ctx.Towns {
		t := &ctx.Towns[k]
		one.Place, one.Around = &t.Area, t.Around
		v := c.when.is(&s)
		holds := v == yes || v == unknown && c.UnknownFires
		if !holds && slices.Contains(before, t.Area.Code) {
			over := v.not()
			if c.clear.is != nil {
				over = c.clear.is(&s)
			}
			holds = over != yes
		}
		if holds {
			in = append(in, *t)
		}
	}
	return in
}

// countyAlert is what is to be told of the townships that count.
type countyAlert struct {
	codes   []string
	gravest Context // of the county, with what is around the gravest township
	zh, en  string
	values  map[string]float64
	when    string
}

func countyWords(now time.Time, rule *Rule, ctx *Context, in []Town) countyAlert {
	w := countyAlert{gravest: *ctx, when: rule.Condition.When}
	worst := slices.MaxFunc(in, func(a, b Town) int {
		x, _ := rule.severity(rule.Severity, a.Around)
		y, _ := rule.severity(rule.Severity, b.Around)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.Around.Danger, b.Around.Danger), cmp.Compare(a.Around.DryDays, b.Around.DryDays))
	})
	w.gravest.Around, w.gravest.Towns = worst.Around, nil
	names := make([]string, len(in))
	for i, t := range in {
		w.codes, names[i] = append(w.codes, t.Area.Code), areaName(t.Area)
	}
	s := scene{at: now.UnixMilli(), now: now, rule: rule, ctx: &w.gravest, towns: names}
	w.zh, w.en = rule.Condition.zh.fill(&s, false), rule.Condition.en.fill(&s, true)
	w.values, _ = rule.Condition.when.values(&s)
	return w
}

func (w *countyAlert) tell(a *Alert) {
	a.Summary, a.SummaryEn = w.zh, w.en
	a.Explain.Condition, a.Explain.Why, a.Explain.Values = w.when, w.zh, w.values
	a.Explain.Inputs = w.gravest.Around
}

// evidence is one row for each change: there may be as many as townships.
func (w *countyAlert) evidence(now time.Time, note string) Evidence {
	return Evidence{Measured: now, Received: now, Field: "danger", Value: float64(w.gravest.Around.Danger), Note: note}
}

// changes names the townships that were not there before, and those that are not
// there any more.
func (w *countyAlert) changes(before []string, areas Areas) (joined, left string) {
	var in, out []string
	for _, c := range w.codes {
		if !slices.Contains(before, c) {
			in = append(in, areaName(areas[c]))
		}
	}
	for _, c := range before {
		if !slices.Contains(w.codes, c) {
			out = append(out, cmp.Or(areaName(areas[c]), c))
		}
	}
	return listed(in), listed(out)
}

// listed is a list of names for people.
func listed(names []string) string {
	if n := len(names); n > maxListed {
		return fmt.Sprintf("%s等 %d 个", strings.Join(names[:maxListed], "、"), n)
	}
	return strings.Join(names, "、")
}
