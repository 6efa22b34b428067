//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// A column is a figure in a table.
type column struct {
	key    string
	head   string
	digits int // behind the point
}

// A claim is what a figure must be.
type claim struct {
	what  string
	of    func(t table) (float64, bool)
	bound float64
	most  bool // the bound is the most; else the least
}

// table is the runs of an experiment.
type table struct {
	experiment experiment
	runs       map[string][]values // by side
	failed     map[string]error
}

// clean is the runs of a side that nothing disturbed, or all when there is none.
func (t table) clean(name string) (runs []values, disturbed bool) {
	for _, v := range t.runs[name] {
		if v[keyOthers] <= noiseLimit {
			runs = append(runs, v)
		}
	}
	if len(runs) == 0 {
		return t.runs[name], len(t.runs[name]) > 0
	}
	return runs, false
}

// median is that of a side's figure, with the least and the most.
func (t table) median(name, key string) (mid, low, high float64, ok bool) {
	var all []float64
	runs, _ := t.clean(name)
	for _, v := range runs {
		if x, has := v[key]; has {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		return 0, 0, 0, false
	}
	slices.Sort(all)
	mid = all[len(all)/2]
	if len(all)%2 == 0 {
		mid = (mid + all[len(all)/2-1]) / 2
	}
	return mid, all[0], all[len(all)-1], true
}

// ratio is that of a side's median to Telegraf's.
func ratio(of, key string) func(table) (float64, bool) { return against(of, "telegraf", key) }

// against is the ratio of a side's median to another's.
func against(of, than, key string) func(table) (float64, bool) {
	return func(t table) (float64, bool) {
		a, _, _, okA := t.median(of, key)
		b, _, _, okB := t.median(than, key)
		return a / b, okA && okB && b > 0
	}
}

// figure is the worst of a side when it must be 0, else its median.
func figure(of, key string) func(table) (float64, bool) {
	return func(t table) (float64, bool) {
		mid, low, high, ok := t.median(of, key)
		if key == keyLost && ok {
			if math.Abs(low) > math.Abs(high) {
				return math.Abs(low), ok // more were found than acknowledged: as wrong
			}
			return math.Abs(high), ok
		}
		return mid, ok
	}
}

// markdown writes the table, and what was claimed below it.
func (t table) markdown(w io.Writer, s settings) {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n%s\n\n|", t.experiment.name, t.experiment.title, t.experiment.about(s))
	for _, c := range t.experiment.table {
		b.WriteString(" | " + c.head)
	}
	b.WriteString(" |\n|---|" + strings.Repeat("---:|", len(t.experiment.table)) + "\n")
	for _, sd := range sides {
		runs, disturbed := t.clean(sd.name)
		if len(runs) == 0 {
			continue
		}
		b.WriteString("| " + sd.label)
		if disturbed {
			b.WriteString(" (disturbed)")
		}
		for _, c := range t.experiment.table {
			mid, low, high, ok := t.median(sd.name, c.key)
			switch {
			case !ok:
				b.WriteString(" | –")
			case show(low, c.digits) == show(high, c.digits):
				b.WriteString(" | " + show(mid, c.digits))
			default:
				fmt.Fprintf(&b, " | %s (%s–%s)", show(mid, c.digits), show(low, c.digits), show(high, c.digits))
			}
		}
		b.WriteString(" |\n")
	}
	b.WriteByte('\n')
	for _, c := range t.experiment.claims {
		x, ok := c.of(t)
		if !ok {
			continue
		}
		word, verdict := "at least", "holds"
		if c.most {
			word = "at most"
		}
		if c.most && x > c.bound || !c.most && x < c.bound {
			verdict = "**does not hold**"
		}
		fmt.Fprintf(&b, "- %s: %s, wanted %s %s: %s\n", c.what, brief(x), word, brief(c.bound), verdict)
	}
	for _, sd := range sides {
		if err := t.failed[sd.name]; err != nil {
			fmt.Fprintf(&b, "- %s: a run failed: %s\n", sd.label, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	_, _ = io.WriteString(w, b.String()+"\n") // a closed terminal
}

// show writes a figure with its thousands apart.
func show(x float64, digits int) string {
	s := fmt.Sprintf("%.*f", digits, math.Abs(x))
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	if x < 0 && strings.Trim(s, "0.") != "" {
		whole = "-" + whole
	}
	return whole
}

// brief writes a figure with three digits that count.
func brief(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100 || x == math.Trunc(x):
		return show(x, 0)
	case a >= 10:
		return show(x, 1)
	default:
		return show(x, 2)
	}
}

// sample writes one run as a line of JSON.
func sample(w io.Writer, e experiment, sd side, v values) error {
	return json.NewEncoder(w).Encode(struct {
		Experiment string
		Side       string
		Values     values
	}{e.name, sd.name, v})
}
