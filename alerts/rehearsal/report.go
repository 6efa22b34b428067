package rehearsal

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"firewatch/alerts"
)

// maxTowns and maxFires bound what a report for people lists; all are counted.
const (
	maxTowns = 20
	maxFires = 50
)

// wording is one language of the report.
type wording struct {
	title, scale, strange, same, more, fewer, towns, kinds func(...any) string
	automatic, orders, none, alerts, change, held          func(...any) string
	firesGiven, firesSeen, earlier, later, equal           func(...any) string
	onlyNew, onlyOld, missed, nuisance, fire, and          func(...any) string
	of                                                     func(...any) string
	early, late, span                                      func(time.Duration) string
	kind                                                   func(alerts.OrderKind) string
	comma, semicolon                                       string
}

func format(f string) func(...any) string {
	return func(a ...any) string { return fmt.Sprintf(f, a...) }
}

var chinese = wording{
	title:      format("规则 %s 对比 %s：%s 至 %s（%s）\n"),
	scale:      format("%s 台设备，%s 条读数\n"),
	strange:    format("另有 %s 条读数的设备未登记，没有判断\n"),
	orders:     format("指令："),
	none:       format("两套规则都没有下达或建议任何指令\n"),
	same:       format("  %s：%d 条，没有变化"),
	more:       format("  %s：多 %d 条（%d → %d）"),
	fewer:      format("  %s：少 %d 条（%d → %d）"),
	towns:      format("，涉及 %s"),
	kinds:      format("，另有 %d 个乡镇"),
	automatic:  format("  其中自动下达 %d → %d 条，其余为建议\n"),
	alerts:     format("告警：%d → %d\n"),
	change:     format("  %s：%d → %d\n"),
	held:       format("未上报的可疑情况：%d → %d 次\n"),
	firesGiven: format("已知火情 %d 起："),
	firesSeen:  format("疑似火情（任一规则发现）%d 起："),
	earlier:    format("%d 起更早，早 %s"),
	later:      format("%d 起更晚，晚 %s"),
	equal:      format("%d 起同时发现"),
	of:         format("%d 起%s"),
	onlyNew:    format("只有 %s 发现"),
	onlyOld:    format("只有 %s 发现"),
	missed:     format("都没有发现"),
	nuisance:   format("与已知火情无关的疑似火情：%d → %d 起\n"),
	fire:       format("  %s  %s（%.4f, %.4f）：%s\n"),
	and:        format("  其余 %d 起略\n"),
	early:      func(d time.Duration) string { return "早 " + spanZh(d) },
	late:       func(d time.Duration) string { return "晚 " + spanZh(d) },
	span:       spanZh,
	kind:       alerts.OrderKind.Chinese,
	comma:      "、", semicolon: "；",
}

var english = wording{
	title:      format("rules %s against %s: %s to %s (%s)\n"),
	scale:      format("%s devices, %s readings\n"),
	strange:    format("%s more readings are of devices that are not registered; they were not judged\n"),
	orders:     format("orders:"),
	none:       format(" neither gives or proposes any order\n"),
	same:       format("  %s: %d, as before"),
	more:       format("  %s: %d more (%d → %d)"),
	fewer:      format("  %s: %d fewer (%d → %d)"),
	towns:      format(", to %s"),
	kinds:      format(" and %d more townships"),
	automatic:  format("  of these given by themselves: %d → %d; the others are proposed\n"),
	alerts:     format("alerts: %d → %d\n"),
	change:     format("  %s: %d → %d\n"),
	held:       format("suspicions held back: %d → %d times\n"),
	firesGiven: format("%d known fires: "),
	firesSeen:  format("%d suspected fires, by either: "),
	earlier:    format("%d earlier by %s"),
	later:      format("%d later by %s"),
	equal:      format("%d at the same time"),
	of:         format("%d %s"),
	onlyNew:    format("seen by %s alone"),
	onlyOld:    format("seen by %s alone"),
	missed:     format("seen by neither"),
	nuisance:   format("suspected fires that were none of the known: %d → %d\n"),
	fire:       format("  %s  %s (%.4f, %.4f): %s\n"),
	and:        format("  and %d more\n"),
	early:      func(d time.Duration) string { return spanEn(d) + " earlier" },
	late:       func(d time.Duration) string { return spanEn(d) + " later" },
	span:       spanEn,
	kind:       func(k alerts.OrderKind) string { return strings.ReplaceAll(string(k), "_", " ") },
	comma:      ", ", semicolon: "; ",
}

// Text is the comparison for people; lang is zh or en.
func (c *Comparison) Text(lang string) string {
	w := &chinese
	if lang == "en" {
		w = &english
	}
	var out strings.Builder
	day := func(t time.Time) string { return t.In(alerts.Zone).Format("2006-01-02 15:04") }
	out.WriteString(w.title(c.New.Version, c.Old.Version, day(c.From), day(c.To), w.span(c.To.Sub(c.From))))
	out.WriteString(w.scale(thousands(c.Devices), thousands(c.Readings)))
	if c.Strange > 0 {
		out.WriteString(w.strange(thousands(c.Strange)))
	}
	c.tellOrders(&out, w)
	c.tellFires(&out, w)
	out.WriteString(w.alerts(c.Old.Alerts, c.New.Alerts))
	for _, r := range c.Rules {
		out.WriteString(w.change(r.Rule, r.Old, r.New))
	}
	out.WriteString(w.held(c.Old.Held, c.New.Held))
	return out.String()
}

func (c *Comparison) tellOrders(out *strings.Builder, w *wording) {
	out.WriteString(w.orders())
	if len(c.Orders) == 0 {
		out.WriteString(w.none())
		return
	}
	out.WriteString("\n")
	for _, o := range c.Orders {
		say, n := w.more, o.New-o.Old
		if n < 0 {
			say, n = w.fewer, -n
		}
		var towns []string
		for _, t := range o.Towns {
			if t.Old != t.New {
				towns = append(towns, fmt.Sprintf("%s %+d", cmp.Or(t.Name, t.Area), t.New-t.Old))
			}
		}
		if n == 0 {
			out.WriteString(w.same(w.kind(o.Kind), o.New))
		} else {
			out.WriteString(say(w.kind(o.Kind), n, o.Old, o.New))
		}
		if len(towns) > 0 {
			out.WriteString(w.towns(strings.Join(towns[:min(len(towns), maxTowns)], w.comma)))
		}
		if more := len(towns) - maxTowns; more > 0 {
			out.WriteString(w.kinds(more))
		}
		out.WriteString("\n")
	}
	if c.Old.Automatic+c.New.Automatic > 0 {
		out.WriteString(w.automatic(c.Old.Automatic, c.New.Automatic))
	}
}

func (c *Comparison) tellFires(out *strings.Builder, w *wording) {
	head := w.firesSeen
	if c.Known {
		head = w.firesGiven
	}
	out.WriteString(head(len(c.Fires)))
	var early, late []time.Duration
	var equal, onlyOld, onlyNew, neither int
	for _, f := range c.Fires {
		switch {
		case f.Old.IsZero() && f.New.IsZero():
			neither++
		case f.Old.IsZero():
			onlyNew++
		case f.New.IsZero():
			onlyOld++
		case f.Earlier > 0:
			early = append(early, f.Earlier)
		case f.Earlier < 0:
			late = append(late, -f.Earlier)
		default:
			equal++
		}
	}
	var parts []string
	for _, p := range []struct {
		all []time.Duration
		say func(...any) string
	}{{early, w.earlier}, {late, w.later}} {
		if len(p.all) > 0 {
			slices.SortFunc(p.all, func(a, b time.Duration) int { return cmp.Compare(b, a) })
			parts = append(parts, p.say(len(p.all), list(p.all, w)))
		}
	}
	if equal > 0 {
		parts = append(parts, w.equal(equal))
	}
	if onlyNew > 0 {
		parts = append(parts, w.of(onlyNew, w.onlyNew(c.New.Version)))
	}
	if onlyOld > 0 {
		parts = append(parts, w.of(onlyOld, w.onlyOld(c.Old.Version)))
	}
	if neither > 0 {
		parts = append(parts, w.of(neither, w.missed()))
	}
	out.WriteString(cmp.Or(strings.Join(parts, w.semicolon), "-") + "\n")
	told := 0
	for i := range c.Fires {
		f := &c.Fires[i]
		if !f.Old.IsZero() && f.Old.Equal(f.New) {
			continue
		}
		if told++; told <= maxFires {
			out.WriteString(c.tellFire(f, w))
		}
	}
	if told > maxFires {
		out.WriteString(w.and(told - maxFires))
	}
	if c.Known {
		out.WriteString(w.nuisance(c.Nuisance[0], c.Nuisance[1]))
	}
}

func (c *Comparison) tellFire(f *FireDiff, w *wording) string {
	what := w.late(-f.Earlier)
	switch {
	case f.Old.IsZero() && f.New.IsZero():
		what = w.missed()
	case f.Old.IsZero():
		what = w.onlyNew(c.New.Version)
	case f.New.IsZero():
		what = w.onlyOld(c.Old.Version)
	case f.Earlier > 0:
		what = w.early(f.Earlier)
	}
	when := f.Began
	if when.IsZero() {
		when = f.first()
	}
	return w.fire(when.In(alerts.Zone).Format("2006-01-02 15:04"), f.Name, f.Lat, f.Lon, what)
}

// list joins the longest spans: 31、14、9 分钟.
func list(ds []time.Duration, w *wording) string {
	var out []string
	for _, d := range ds[:min(len(ds), 10)] {
		out = append(out, w.span(d))
	}
	if len(ds) > 10 {
		out = append(out, "…")
	}
	return strings.Join(out, w.comma)
}

func spanZh(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d 秒", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d 分钟", d.Round(time.Minute)/time.Minute)
	case d < 48*time.Hour:
		return strconv.FormatFloat(d.Hours(), 'f', 1, 64) + " 小时"
	}
	return fmt.Sprintf("%d 天", d.Round(24*time.Hour)/(24*time.Hour))
}

func spanEn(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < 48*time.Hour:
		return strconv.FormatFloat(d.Hours(), 'f', 1, 64) + " h"
	}
	return fmt.Sprintf("%d days", d.Round(24*time.Hour)/(24*time.Hour))
}

// thousands is a count for people: 12,960,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
