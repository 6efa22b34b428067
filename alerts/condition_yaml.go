package alerts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	contract "firewatch/firmware-contracts"
)

type conditionLine struct {
	On        []SubjectKind `yaml:"on"`
	When      string        `yaml:"when"`
	Clear     string        `yaml:"clear"`
	Of        *ofLine       `yaml:"of"`
	Needs     []string      `yaml:"needs"`
	Summary   string        `yaml:"summary"`
	SummaryEn string        `yaml:"summary_en"`
	Family    Family        `yaml:"family"`
	Key       string        `yaml:"key"`
	Unknown   string        `yaml:"unknown"`
}

type ofLine struct {
	K int `yaml:"k"`
	N int `yaml:"n"`
}

// condition checks and compiles a condition.
func (c *ruleCheck) condition(at string, l *ruleLine, r *Rule) {
	at += ".condition"
	x := l.Condition
	out := &ConditionRule{
		On: x.On, When: x.When, Clear: x.Clear, K: 1, N: 1, ByArea: x.Key == "area", UnknownFires: x.Unknown == "fire",
		looks: map[contract.Field]time.Duration{},
	}
	c.want(len(x.On) > 0, at+".on", "want some of tracker, sensor, area, county")
	for _, on := range x.On {
		c.want(slices.Contains([]SubjectKind{OnTracker, OnSensor, OnArea, OnCounty}, on), at+".on", "%q: want tracker, sensor, area or county", on)
	}
	county := slices.Contains(x.On, OnCounty)
	area := county || slices.Contains(x.On, OnArea)
	c.want(!area || len(x.On) == 1, at+".on", "area and county stand alone")
	if county {
		rule := at[:len(at)-len(".condition")]
		c.want(l.For == 0, rule+".for", "not of a county: its townships count at once")
		c.want(l.ClearAfter == 0, rule+".clear_after", "not of a county: its townships count until the condition is over")
		c.want(l.Order == nil, rule+".order", "not of a county: no team is the nearest to all of it")
	}
	c.want(slices.Contains([]string{"", "device", "area"}, x.Key), at+".key", "%q: want device or area", x.Key)
	c.want(slices.Contains([]string{"", "hold", "fire"}, x.Unknown), at+".unknown", "%q: want hold or fire", x.Unknown)
	if of := x.Of; of != nil {
		c.want(of.N >= 1 && of.N <= 32, at+".of.n", "%d: want 1..32", of.N)
		c.want(of.K >= 1 && of.K <= of.N, at+".of.k", "%d: want 1..%d", of.K, of.N)
		c.want(!area, at+".of", "an area has no readings to count")
		out.K, out.N = of.K, of.N
	}
	cc := compiler{looks: out.looks}
	out.when = c.expression(&cc, at+".when", x.When)
	needs := slices.Clone(cc.needs) // of when alone, where the rule names none
	if x.Clear != "" {
		out.clear = c.expression(&cc, at+".clear", x.Clear)
	}
	out.timed, out.watchful = cc.timed || area, cc.around || area
	c.want(!area || len(cc.looks) == 0, at+".when", "an area measures nothing: %s", fieldNames(slices.Sorted(maps.Keys(cc.looks))))
	if r.Family == FamilyFire && slices.Contains(x.On, OnSensor) {
		out.looks[contract.Calibrating] = latestSpan // its values do not count then
	}
	if x.Needs != nil {
		needs = nil
		for i, name := range x.Needs {
			f, ok := contract.FieldByName(name)
			c.want(ok, fmt.Sprintf("%s.needs[%d]", at, i), "unknown field %q", name)
			if ok {
				needs = append(needs, f)
				out.looks[f] = max(out.looks[f], latestSpan) // its times are when the condition is judged
			}
		}
	}
	out.Needs = needs
	for _, f := range needs {
		out.needs |= 1 << f
	}
	c.want(x.Summary != "", at+".summary", "want one sentence in Chinese")
	c.want(x.SummaryEn != "", at+".summary_en", "want one sentence in English")
	out.zh = c.template(&cc, at+".summary", x.Summary, county)
	out.en = c.template(&cc, at+".summary_en", x.SummaryEn, county)
	r.Condition = out
}

func fieldNames(fs []contract.Field) string {
	var out []string
	for _, f := range fs {
		out = append(out, f.String())
	}
	return strings.Join(out, ", ")
}

func (c *ruleCheck) expression(cc *compiler, path, source string) expression {
	key := path[strings.LastIndexByte(path, '.')+1:]
	if strings.TrimSpace(source) == "" {
		c.fault(path, "%s: want an expression", key)
		return expression{}
	}
	x, err := cc.compile(source, "bool")
	if err == nil {
		return x
	}
	line := 0
	if e, ok := errors.AsType[*expressionError](err); ok && c.isBlock(path) {
		line = e.line // a block begins on the line after its sign
	}
	c.faultBelow(path, line, "%s: %v in %q", key, err, clipText(oneLine(source), maxExpression))
	return expression{}
}

// isBlock reports whether the value is written in lines of its own, as they are.
func (c *ruleCheck) isBlock(path string) bool {
	p, err := yaml.PathString(path)
	if err != nil {
		return false
	}
	n, err := p.FilterFile(c.file)
	if err != nil {
		return false
	}
	l, ok := n.(*ast.LiteralNode)
	return ok && strings.HasPrefix(l.Start.Value, "|")
}

// template is a sentence with expressions in braces.
type template struct {
	words []string     // one more than values
	of    []expression // between them; without any function: one of the names below
	names []string
}

// ofTemplates are what a sentence may have beside expressions; those that are
// true are of a county's alone.
var ofTemplates = map[string]bool{"device": false, "where": false, "townships": true, "how_many": true}

func (c *ruleCheck) template(cc *compiler, path, source string, county bool) (t template) {
	key := path[strings.LastIndexByte(path, '.')+1:]
	c.want(len(source) <= maxSummary, path, "%d bytes, at most %d are allowed", len(source), maxSummary)
	rest := source
	for len(t.of) <= maxTerms {
		before, after, open := strings.Cut(rest, "{")
		t.words = append(t.words, before)
		if !open {
			return t
		}
		inner, next, closed := strings.Cut(after, "}")
		if !closed {
			c.fault(path, "%s: a brace is not closed", key)
			return t
		}
		inner = strings.TrimSpace(inner)
		x := expression{}
		if ofCounty, is := ofTemplates[inner]; is {
			c.want(county || !ofCounty, path, "{%s} is of a rule on county", inner)
		} else {
			var err error
			if x, err = cc.compile(inner, ""); err != nil {
				c.fault(path, "%s: {%s}: %v", key, inner, err)
				return t
			}
		}
		t.of, t.names = append(t.of, x), append(t.names, inner)
		rest = next
	}
	c.fault(path, "%s: at most %d values", key, maxTerms)
	return t
}

// fill writes the sentence for a scene.
func (t *template) fill(s *scene, english bool) string {
	var out strings.Builder
	for i, w := range t.words {
		out.WriteString(w)
		if i >= len(t.of) {
			break
		}
		switch {
		case t.names[i] == "where":
			out.WriteString(s.ctx.where())
		case t.names[i] == "device" && english:
			out.WriteString(s.ctx.whoEn(s.id))
		case t.names[i] == "device":
			out.WriteString(s.ctx.who(s.id))
		case t.names[i] == "townships":
			out.WriteString(listed(s.towns))
		case t.names[i] == "how_many":
			out.WriteString(strconv.Itoa(len(s.towns)))
		default:
			out.WriteString(t.of[i].words(s, english))
		}
	}
	return out.String()
}

// words puts the value into words.
func (x *expression) words(s *scene, english bool) string {
	lost := "不明"
	if english {
		lost = "unknown"
	}
	switch {
	case x.num != nil:
		if v := x.num(s); v == v {
			return plainNumber(v)
		}
	case x.text != nil:
		if v, ok := x.text(s); ok {
			return v
		}
	case x.is != nil:
		switch x.is(s) {
		case yes:
			return map[bool]string{false: "是", true: "yes"}[english]
		case no:
			return map[bool]string{false: "否", true: "no"}[english]
		case unknown:
		}
	}
	return lost
}

// plainNumber is for people: three digits, never an exponent.
func plainNumber(v float64) string {
	places := 2
	switch a := max(v, -v); {
	case a >= 100:
		places = 0
	case a >= 10:
		places = 1
	}
	text := strconv.FormatFloat(v, 'f', places, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return cmp.Or(text, "0")
}

// values are what the expression looks at, by the words of its source; what is
// unknown is left out and named.
func (x *expression) values(s *scene) (values map[string]float64, lost []string) {
	values = map[string]float64{}
	for i := range x.terms {
		t := &x.terms[i]
		if t.plain {
			continue
		}
		switch {
		case t.value.num != nil:
			if v := t.value.num(s); v == v {
				values[t.name] = v
			} else {
				lost = append(lost, t.name)
			}
		case t.value.is != nil:
			switch t.value.is(s) {
			case yes:
				values[t.name] = 1
			case no:
				values[t.name] = 0
			case unknown:
				lost = append(lost, t.name)
			}
		case t.value.text != nil:
			if _, ok := t.value.text(s); !ok {
				lost = append(lost, t.name)
			}
		}
	}
	return values, lost
}
