package alerts

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
)

// Where everything is known, an expression means what it means to expr-lang.
func TestExpressionsMeanWhatExprSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var gen func(depth int) string
		num := rapid.SampledFrom([]string{"danger", "dry_days", "warning", "3", "4.5", "-1", "0", "danger + dry_days", "(warning - 2) * 3", "danger / 2"})
		gen = func(depth int) string {
			if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
				switch rapid.IntRange(0, 4).Draw(t, "kind") {
				case 0:
					return rapid.SampledFrom([]string{"danger_held", "danger_known", "season_known", "true", "false"}).Draw(t, "bool")
				case 1:
					return "season " + rapid.SampledFrom([]string{"== ", "!= "}).Draw(t, "op") + rapid.SampledFrom([]string{`""`, `"closure"`}).Draw(t, "season")
				case 2:
					return rapid.SampledFrom([]string{`season in ["closure", "prevention"]`, "danger in [1, 4, 5]", `season contains "o"`, "dry_days not in [3]"}).Draw(t, "in")
				}
				op := rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op")
				return num.Draw(t, "l") + " " + op + " " + num.Draw(t, "r")
			}
			l, r := gen(depth-1), gen(depth-1)
			switch rapid.IntRange(0, 2).Draw(t, "logic") {
			case 0:
				return "(" + l + " and " + r + ")"
			case 1:
				return "(" + l + " or " + r + ")"
			}
			return "not (" + l + ")"
		}
		source := gen(3)
		if len(source) > maxExpression {
			t.Skip("too long")
		}
		around := Surroundings{
			Danger: DangerLevel(rapid.IntRange(1, 5).Draw(t, "danger")), DryDays: rapid.IntRange(0, 9).Draw(t, "dry"),
			Warning: Severity(rapid.IntRange(0, 4).Draw(t, "warning")), DangerHeld: rapid.Bool().Draw(t, "held"),
			Season: rapid.SampledFrom([]SeasonKind{"", Prevention, HighDanger, Closure}).Draw(t, "season"),
		}
		c := compiler{looks: map[contract.Field]time.Duration{}}
		x, err := c.compile(source, "bool")
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		want, err := expr.Eval(source, map[string]any{
			"danger": float64(around.Danger), "dry_days": float64(around.DryDays), "warning": float64(around.Warning),
			"danger_held": around.DangerHeld, "danger_known": true, "season_known": true, "season": string(around.Season),
		})
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		s := scene{ctx: &Context{Around: around}, rule: &Rule{}}
		if got := x.is(&s); got != truthOf(want.(bool)) {
			t.Errorf("%s with %+v: %v, expr says %v", source, around, got, want)
		}
	})
}

func TestUnknownIsAThirdAnswer(t *testing.T) {
	s := scene{ctx: &Context{Around: Surroundings{DryDays: 3}}, rule: &Rule{}} // the danger is unknown
	for source, want := range map[string]truth{
		"danger > 3":                   unknown,
		"danger != 3":                  unknown,
		"not (danger > 3)":             unknown,
		"danger > 3 or dry_days == 3":  yes,
		"dry_days == 3 or danger > 3":  yes,
		"danger > 3 and dry_days == 4": no,
		"danger > 3 and dry_days == 3": unknown,
		"danger + dry_days > 0":        unknown,
		"danger in [1, 2]":             unknown,
		"dry_days / 0 > 1":             unknown,
		"danger_known":                 no,
		`latest("co_ppm") < 5`:         unknown,
		`count("co_ppm", "1h") == 0`:   yes,
		"moving == false":              unknown,
	} {
		c := compiler{looks: map[contract.Field]time.Duration{}}
		x, err := c.compile(source, "bool")
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if got := x.is(&s); got != want {
			t.Errorf("%s: %d, want %d", source, got, want)
		}
	}
}

// Windows are by measured time, in whatever order and however often readings come.
func TestSeriesIsByMeasuredTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := &SeriesPlan{}
		plan.span[contract.CoPPM], plan.wanted = 10*time.Minute, 1<<contract.CoPPM
		s := NewSeries(plan)
		begin := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
		n := rapid.IntRange(1, 40).Draw(t, "n")
		vals := make([]float64, n)
		for i := range vals {
			vals[i] = float64(rapid.IntRange(0, 50).Draw(t, "v"))
		}
		add := func(i int) {
			r := contract.Reading{Measured: begin.Add(time.Duration(i) * time.Minute), Received: begin.Add(time.Hour)}
			r.Values.Set(contract.CoPPM, vals[i])
			s.Add(&r)
		}
		order := rapid.Permutation(seq(n)).Draw(t, "order")
		for _, i := range order {
			add(i)
		}
		for range 3 { // again
			add(order[rapid.IntRange(0, n-1).Draw(t, "again")])
		}
		at := rapid.IntRange(0, n-1).Draw(t, "at")
		low, high, sum, count := math.Inf(1), math.Inf(-1), 0.0, 0
		for i := max(0, at-9); i <= at; i++ {
			low, high, sum, count = min(low, vals[i]), max(high, vals[i]), sum+vals[i], count+1
		}
		got := s.over(contract.CoPPM, begin.Add(time.Duration(at)*time.Minute).UnixMilli(), (10 * time.Minute).Milliseconds())
		if float64(got.low) != low || float64(got.high) != high || got.sum != sum || got.count != count || float64(got.last) != vals[at] {
			t.Errorf("at %d of %v, come as %v: %+v; want low %v, high %v, sum %v, count %d", at, vals, order, got, low, high, sum, count)
		}
	})
}

func seq(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// A day of a flooding device stays within its bound and keeps its extremes.
func TestSeriesIsBounded(t *testing.T) {
	plan := &SeriesPlan{}
	plan.span[contract.CoPPM], plan.wanted = MaxWindow, 1<<contract.CoPPM
	s := NewSeries(plan)
	begin := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	for i := range 24 * 3600 {
		r := contract.Reading{Measured: begin.Add(time.Duration(i) * time.Second), Received: begin.Add(time.Duration(i) * time.Second)}
		v := float64(i % 7)
		if i == 5000 {
			v = 400
		}
		r.Values.Set(contract.CoPPM, v)
		s.Add(&r)
	}
	if b := s.Bytes(); b > 40_000 {
		t.Errorf("%d bytes", b)
	}
	at := begin.Add(24 * time.Hour).UnixMilli()
	if st := s.over(contract.CoPPM, at, MaxWindow.Milliseconds()); st.high != 400 || st.low != 0 || st.to-st.from < 23*3600_000 {
		t.Errorf("%+v", st)
	}
}

// What a template says of numbers has no exponent and no noise.
func TestNumbersForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.005: "1", 0.126: "0.13", 12.34: "12.3", 1234567: "1234567", -3.5: "-3.5"} {
		if got := plainNumber(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

// FuzzExpression: no expression panics, at the check or at any scene, and none is
// taken that runs for long.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		`rise("co_ppm", "10m") >= 20 and count("co_ppm", "10m") >= 3`, `hour >= 7 and hour < 18 and moved_m("30m") < 30`,
		`not (danger > 3) or season in ["closure"]`, `neighbours("co_ppm", 5, 2, "3m") > 1`, `distance_km(39.1, -115) < 1`,
		`within("130630") and permit`, `all(1..9, # > 1)`, `-(-3) > 2`, `"a" + "b" == "ab"`, `latest("co_ppm")?.x`, `$env`, `count(1, # > 1)`,
	} {
		f.Add(s)
	}
	plan := &SeriesPlan{}
	for f := range contract.Fields() {
		plan.span[f] = time.Hour
		plan.wanted |= 1 << f
	}
	series := NewSeries(plan)
	r := contract.Reading{Device: "S1", Kind: contract.Sensor, Class: contract.Environment, Measured: time.Unix(1_800_000_000, 0), Received: time.Unix(1_800_000_000, 0)}
	r.Values.Set(contract.CoPPM, 4)
	series.Add(&r)
	f.Fuzz(func(t *testing.T, source string) {
		for _, want := range []string{"bool", ""} {
			c := compiler{looks: map[contract.Field]time.Duration{}}
			x, err := c.compile(source, want)
			if err != nil {
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("%q: the fault has several lines: %v", source, err)
				}
				continue
			}
			for _, ctx := range []*Context{{}, {Series: series, Device: &Device{ID: "S1", Kind: contract.Sensor}}, {Place: &Area{Code: "130630"}}} {
				s := scene{at: r.Measured.UnixMilli(), now: r.Measured, series: ctx.Series, rule: &Rule{}, ctx: ctx, id: "S1"}
				_ = x.words(&s, false)
				_, _ = x.values(&s)
			}
		}
	})
}

// FuzzConditionRules: a set with any expressions and sentences is taken or named
// by its line.
func FuzzConditionRules(f *testing.F) {
	f.Add("danger > 3", "danger < 2", "{where} {danger}", "sensor", "co_ppm")
	f.Add(`rise("co_ppm","5m") > 3`, "", "{", "area", "x")
	f.Fuzz(func(t *testing.T, when, clear, summary, on, needs string) {
		text := fmt.Sprintf("version: t\neffective: 2020-01-01\nrules:\n  - name: x\n    type: condition\n    condition:\n      on: [%q]\n      when: %q\n      clear: %q\n      needs: [%q]\n      summary: %q\n      summary_en: x\n",
			on, when, clear, needs, summary)
		set, err := ParseRules([]byte(text))
		switch {
		case err == nil && len(set.Rules) != 1:
			t.Error("taken without its rule")
		case err != nil && !strings.HasPrefix(err.Error(), "rules: "):
			t.Errorf("fault %v", err)
		}
	})
}
