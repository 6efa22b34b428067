package rehearsal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Script is a file of tests of a rule set: what is measured, and which alerts and
// orders are to come of it. README.md tells how it is written.
type Script struct {
	Name  string
	Sets  []alerts.RuleSet // each test runs with each of them
	Tests []Test
	doc   *alerts.YAML
}

// Test is one story with what is expected of it.
type Test struct {
	Name     string
	Start    time.Time
	Tick     time.Duration
	World    World
	Readings []contract.Reading // in the order in which they come
	Expect   []Expect           // by time
	path     string
}

// Expect is what is to be so at one time. What is nil is not looked at.
type Expect struct {
	At     time.Duration // since the start
	Of     []string      // names of the rules that are looked at; none: all
	Alerts *[]AlertLike  // those that fire, no others; resolved ones where they are named
	Orders *[]OrderLike  // given or proposed until then, no others
	Held   *[]HeldLike   // held back until then; others may be, but none at all where it is empty
	path   string
}

// AlertLike is an alert by what is said of it; what is empty is not looked at.
type AlertLike struct {
	Rule     string             `yaml:"rule"`
	Device   contract.DeviceID  `yaml:"device"`
	Area     string             `yaml:"area"`
	Severity string             `yaml:"severity"`
	State    alerts.AlertState  `yaml:"state"` // firing or resolved; empty: firing
	Since    string             `yaml:"since"` // measured, since the start
	Says     string             `yaml:"says"`  // in the summary or the reasons
	Late     alerts.LateOutcome `yaml:"late"`
	Hushed   bool               `yaml:"hushed"`
}

// OrderLike is an order by what is said of it.
type OrderLike struct {
	Rule  string            `yaml:"rule"`
	Kind  alerts.OrderKind  `yaml:"kind"`
	Level string            `yaml:"level"`
	Mode  alerts.OrderMode  `yaml:"mode"`
	Area  string            `yaml:"area"`
	Teams []contract.TeamID `yaml:"teams"` // all of them, in any order
	Count int               `yaml:"count"` // of teams
}

// HeldLike is something held back, of an alert or in place of one.
type HeldLike struct {
	Rule   string            `yaml:"rule"`
	Device contract.DeviceID `yaml:"device"`
	Reason string            `yaml:"reason"` // in its words
}

// Failure is an expectation that was not met.
type Failure struct {
	File  string
	Line  int
	Test  string
	Rules string // version of the rule set
	At    time.Duration
	Diff  string // lines that begin with -, +, or a blank
}

// String is the failure for people, without a line end.
func (f *Failure) String() string {
	return fmt.Sprintf("%s:%d: test %q at %s with rules %s:\n%s", f.File, f.Line, f.Test, short(f.At), f.Rules, strings.TrimRight(f.Diff, "\n"))
}

// Run runs all tests.
func (s *Script) Run(ctx context.Context) ([]Failure, error) {
	var out []Failure
	for _, set := range s.Sets {
		for i := range s.Tests {
			fs, err := s.run(ctx, set, &s.Tests[i])
			if err != nil {
				return nil, fmt.Errorf("%s:%d: test %q: %w", s.Name, s.doc.Line(s.Tests[i].path), s.Tests[i].Name, err)
			}
			out = append(out, fs...)
		}
	}
	return out, nil
}

func (s *Script) run(ctx context.Context, set alerts.RuleSet, t *Test) ([]Failure, error) {
	r, err := New(ctx, Options{Rules: set, World: t.World, Start: t.Start, Tick: t.Tick})
	if err != nil {
		return nil, err
	}
	var out []Failure
	rest := t.Readings
	for i := range t.Expect {
		x := &t.Expect[i]
		at := t.Start.Add(x.At)
		for len(rest) > 0 && !rest[0].Received.After(at) {
			if err := r.Judge(ctx, &rest[0]); err != nil {
				return nil, err
			}
			rest = rest[1:]
		}
		if err := r.Until(ctx, at); err != nil {
			return nil, err
		}
		if err := r.Settle(ctx); err != nil {
			return nil, err
		}
		res := x.only(r.Result())
		for _, d := range []struct{ key, diff string }{
			{".alerts", x.diffAlerts(&res, t.Start)}, {".orders", x.diffOrders(&res)}, {".held", x.diffHeld(&res)},
		} {
			if d.diff != "" {
				out = append(out, Failure{s.Name, s.doc.Line(x.path + d.key), t.Name, set.Version, x.At, d.diff})
			}
		}
	}
	return out, nil
}

// only leaves out what other rules have made.
func (x *Expect) only(res Result) Result {
	if len(x.Of) == 0 {
		return res
	}
	other := func(rule string) bool { return !slices.Contains(x.Of, rule) }
	res.Alerts = slices.DeleteFunc(res.Alerts, func(a alerts.Alert) bool { return other(a.Rule) })
	res.Orders = slices.DeleteFunc(res.Orders, func(o Order) bool { return other(o.Rule) })
	res.Held = slices.DeleteFunc(res.Held, func(h alerts.Holdback) bool { return other(h.Rule) })
	return res
}

// diff lists what was wanted and not found with -, what was found and not wanted
// with +, and the rest; empty when all is as it should be.
type diff struct {
	what  string
	lines []string
	bad   bool
}

func (d *diff) add(sign, line string) {
	d.lines = append(d.lines, "    "+sign+" "+line)
	d.bad = d.bad || sign != " "
}

func (d *diff) String() string {
	if !d.bad {
		return ""
	}
	return "  " + d.what + " (- wanted, + found):\n" + strings.Join(d.lines, "\n")
}

func (x *Expect) diffAlerts(res *Result, start time.Time) string {
	if x.Alerts == nil {
		return ""
	}
	d := diff{what: "alerts"}
	taken := make([]bool, len(res.Alerts))
	for _, want := range *x.Alerts {
		i := slices.IndexFunc(res.Alerts, func(a alerts.Alert) bool { return want.is(&a, start) })
		for i >= 0 && taken[i] {
			n := slices.IndexFunc(res.Alerts[i+1:], func(a alerts.Alert) bool { return want.is(&a, start) })
			if n < 0 {
				i = -1
				break
			}
			i += n + 1
		}
		if i < 0 {
			d.add("-", want.String())
			continue
		}
		taken[i] = true
		d.add(" ", describe(&res.Alerts[i], start))
	}
	for i := range res.Alerts {
		switch a := &res.Alerts[i]; {
		case taken[i]:
		case a.State == alerts.Firing:
			d.add("+", describe(a, start))
		case d.bad: // it may be what is looked for
			d.add(" ", describe(a, start))
		}
	}
	return d.String()
}

func (w *AlertLike) is(a *alerts.Alert, start time.Time) bool {
	return a.State == cmp.Or(w.State, alerts.Firing) && like(w.Rule, a.Rule) && like(w.Device, a.Device) && like(w.Area, a.Area) &&
		like(w.Severity, a.Severity.String()) && like(w.Since, short(a.Measured.Sub(start))) && like(w.Late, a.Explain.Outcome) &&
		(w.Says == "" || strings.Contains(a.Summary+"\n"+strings.Join(a.Reasons, "\n"), w.Says)) && (!w.Hushed || a.Hush.Hushed())
}

func like[T ~string](want, is T) bool { return want == "" || want == is }

// String is what is asked for.
func (w *AlertLike) String() string {
	return words("rule", w.Rule, "device", string(w.Device), "area", w.Area, "severity", w.Severity, "state", string(cmp.Or(w.State, alerts.Firing)),
		"since", w.Since, "late", string(w.Late), "hushed", map[bool]string{true: "true"}[w.Hushed], "says", w.Says)
}

func describe(a *alerts.Alert, start time.Time) string {
	return words("rule", a.Rule, "device", string(a.Device), "area", a.Area, "severity", a.Severity.String(), "state", string(a.State),
		"since", short(a.Measured.Sub(start)), "late", string(a.Explain.Outcome), "hushed", map[bool]string{true: "true"}[a.Hush.Hushed()],
		"says", strings.Join(append([]string{a.Summary}, a.Reasons...), "；"))
}

// words are pairs of keys and values, without those that are empty.
func words(pairs ...string) string {
	var out []string
	for pair := range slices.Chunk(pairs, 2) {
		if value := pair[len(pair)-1]; value != "" {
			out = append(out, pair[0]+": "+value)
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func (x *Expect) diffOrders(res *Result) string {
	if x.Orders == nil {
		return ""
	}
	d := diff{what: "orders"}
	left := slices.Clone(res.Orders)
	for _, want := range *x.Orders {
		i := slices.IndexFunc(left, func(o Order) bool { return want.is(&o) })
		if i < 0 {
			d.add("-", want.String())
			continue
		}
		d.add(" ", left[i].String())
		left = slices.Delete(left, i, i+1)
	}
	for i := range left {
		d.add("+", left[i].String())
	}
	return d.String()
}

func (w *OrderLike) is(o *Order) bool {
	return like(w.Rule, o.Rule) && like(w.Kind, o.Kind) && like(w.Level, o.Level.String()) && like(w.Mode, o.Mode) && like(w.Area, o.Area) &&
		(w.Count == 0 || w.Count == len(o.Teams)) &&
		(w.Teams == nil || slices.Equal(slices.Sorted(slices.Values(w.Teams)), slices.Sorted(slices.Values(o.Teams))))
}

// String is what is asked for.
func (w *OrderLike) String() string {
	count := ""
	if w.Count > 0 {
		count = fmt.Sprint(w.Count)
	}
	return words("rule", w.Rule, "kind", string(w.Kind), "level", w.Level, "mode", w.Mode, "area", w.Area, "teams", teamList(w.Teams), "count", count)
}

// String is the order in the words of a script.
func (o *Order) String() string {
	return words("rule", o.Rule, "kind", string(o.Kind), "level", o.Level.String(), "mode", o.Mode, "area", o.Area, "teams", teamList(o.Teams),
		"count", fmt.Sprint(len(o.Teams)))
}

func teamList(ts []contract.TeamID) string {
	if ts == nil {
		return ""
	}
	return fmt.Sprint(ts)
}

func (x *Expect) diffHeld(res *Result) string {
	if x.Held == nil {
		return ""
	}
	d := diff{what: "held back"}
	var all []HeldLike
	for i := range res.Held {
		h := &res.Held[i]
		all = append(all, HeldLike{h.Rule, h.Device, h.Why})
	}
	for i := range res.Alerts {
		a := &res.Alerts[i]
		for _, h := range a.Explain.Held {
			all = append(all, HeldLike{a.Rule, a.Device, h.Why})
		}
	}
	for _, want := range *x.Held {
		sign := "-"
		if slices.ContainsFunc(all, want.is) {
			sign = " "
		}
		d.add(sign, want.String())
	}
	for _, h := range all {
		switch {
		case len(*x.Held) == 0:
			d.add("+", h.String())
		case d.bad:
			d.add(" ", h.String()+" (found)")
		}
	}
	return d.String()
}

func (w *HeldLike) is(h HeldLike) bool {
	return like(w.Rule, h.Rule) && like(w.Device, h.Device) && strings.Contains(h.Reason, w.Reason)
}

// String is what is asked for.
func (w *HeldLike) String() string {
	return words("rule", w.Rule, "device", string(w.Device), "reason", w.Reason)
}

// short writes a duration without zero parts: 1h30m, 20m, 0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
