package alerts

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	contract "firewatch/firmware-contracts"
)

// truth is a judgement that may be unknown.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	case unknown:
	}
	return unknown
}

// The three kinds of values. An unknown number is NaN; an unknown text is not ok.
type (
	numFunc  func(*scene) float64
	boolFunc func(*scene) truth
	textFunc func(*scene) (string, bool)
)

// expression is one compiled expression; exactly one of num, is and text is set.
type expression struct {
	source string
	num    numFunc
	is     boolFunc
	text   textFunc
	terms  []term // what it looks at, by the words of the source
}

// term is one thing that an expression looks at.
type term struct {
	name  string
	value expression
	plain bool // a constant of the language, not worth telling
}

// expressionError is a fault of an expression, with its place in it.
type expressionError struct {
	line, column int // from 1
	message      string
}

func (e *expressionError) Error() string {
	return fmt.Sprintf("column %d: %s", e.column, e.message)
}

// compiler turns what expr-lang has parsed and checked into functions.
type compiler struct {
	source string
	terms  []term
	looks  map[contract.Field]time.Duration
	needs  []contract.Field
	timed  bool
	around bool
	err    error
}

// language is expr-lang's view of the vocabulary: names and types. None of its
// own functions, and nothing that loops, is part of it.
var language = func() []expr.Option {
	env := map[string]any{}
	for name, w := range names {
		switch {
		case w.num != nil:
			env[name] = float64(0)
		case w.is != nil:
			env[name] = false
		default:
			env[name] = ""
		}
	}
	out := []expr.Option{expr.Env(env), expr.DisableAllBuiltins(), expr.Optimize(false), expr.MaxNodes(300)}
	for name, f := range functions {
		out = append(out, expr.Function(name, func(...any) (any, error) { return nil, errors.ErrUnsupported }, f.types...))
	}
	return out
}()

// compile checks an expression. want is "bool", or empty for any kind.
func (c *compiler) compile(source, want string) (x expression, err error) {
	if len(source) > maxExpression {
		return x, &expressionError{1, 1, fmt.Sprintf("%d bytes, at most %d are allowed", len(source), maxExpression)}
	}
	options := language
	if want == "bool" {
		options = append(slices.Clip(options), expr.AsBool())
	}
	program, err := expr.Compile(source, options...)
	if err != nil {
		if fe, ok := errors.AsType[*file.Error](err); ok {
			return x, &expressionError{max(fe.Line, 1), fe.Column + 1, oneLine(fe.Message)}
		}
		return x, &expressionError{1, 1, oneLine(err.Error())}
	}
	c.source, c.terms, c.err = source, nil, nil
	x = c.node(program.Node())
	x.source, x.terms = source, c.terms
	if c.err == nil && len(c.terms) > maxTerms {
		c.err = &expressionError{1, 1, fmt.Sprintf("looks at %d things, at most %d are allowed", len(c.terms), maxTerms)}
	}
	return x, c.err
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// fail notes the first fault, and stands in for what cannot be compiled.
func (c *compiler) fail(n ast.Node, format string, args ...any) expression {
	if c.err == nil {
		line, column := 1, 1
		for i, r := range []rune(c.source) {
			if i == n.Location().From {
				break
			}
			if column++; r == '\n' {
				line, column = line+1, 1
			}
		}
		c.err = &expressionError{line, column, fmt.Sprintf(format, args...)}
	}
	return expression{is: func(*scene) truth { return unknown }}
}

func (c *compiler) node(n ast.Node) expression {
	switch n := n.(type) {
	case *ast.BoolNode:
		t := truthOf(n.Value)
		return expression{is: func(*scene) truth { return t }}
	case *ast.IntegerNode:
		x := float64(n.Value)
		return expression{num: func(*scene) float64 { return x }}
	case *ast.FloatNode:
		x := n.Value
		return expression{num: func(*scene) float64 { return x }}
	case *ast.StringNode:
		s := n.Value
		return expression{text: func(*scene) (string, bool) { return s, true }}
	case *ast.IdentifierNode:
		return c.name(n)
	case *ast.CallNode:
		return c.call(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	}
	return c.fail(n, "this is not part of the language of rules")
}

func (c *compiler) name(n *ast.IdentifierNode) expression {
	w, ok := names[n.Value]
	if !ok {
		return c.fail(n, "unknown name %s", n.Value)
	}
	c.timed, c.around = c.timed || w.timed, c.around || w.around
	for _, f := range w.fields {
		c.look(f, latestSpan)
	}
	x := expression{num: w.num, is: w.is, text: w.text}
	c.note(n.Value, x, w.plain)
	return x
}

func (c *compiler) note(name string, x expression, plain bool) {
	if !slices.ContainsFunc(c.terms, func(t term) bool { return t.name == name }) {
		c.terms = append(c.terms, term{name, x, plain})
	}
}

func (c *compiler) look(f contract.Field, d time.Duration) {
	c.looks[f] = max(c.looks[f], d)
}

func (c *compiler) call(n *ast.CallNode) expression {
	id, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return c.fail(n, "only the functions of the rules can be called")
	}
	f, ok := functions[id.Value]
	if !ok {
		return c.fail(n, "unknown function %s", id.Value)
	}
	a := arguments{c: c, call: n}
	x := f.make(&a)
	if c.err == nil {
		var words []string
		for _, arg := range n.Arguments {
			words = append(words, arg.String())
		}
		c.around = c.around || f.around
		c.note(id.Value+"("+strings.Join(words, ", ")+")", x, false)
	}
	return x
}

// arguments reads the arguments of a call, which are all constants.
type arguments struct {
	c    *compiler
	call *ast.CallNode
	next int
}

func (a *arguments) more() bool { return a.next < len(a.call.Arguments) }

func (a *arguments) text() (string, ast.Node) {
	n := a.call.Arguments[a.next]
	a.next++
	s, ok := n.(*ast.StringNode)
	if !ok {
		a.c.fail(n, "want a text in quotes")
		return "", n
	}
	return s.Value, n
}

func (a *arguments) field() contract.Field {
	name, n := a.text()
	f, ok := contract.FieldByName(name)
	if !ok {
		a.c.fail(n, "unknown field %q", name)
		return 0
	}
	if !slices.Contains(a.c.needs, f) {
		a.c.needs = append(a.c.needs, f)
	}
	return f
}

// window reads a duration; of a field, it is noted that the series must hold it.
func (a *arguments) window(fields ...contract.Field) int64 {
	text, n := a.text()
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > MaxWindow {
		a.c.fail(n, "%q: want a duration of 1s to 24h, like \"10m\"", text)
		return 0
	}
	for _, f := range fields {
		a.c.look(f, d)
	}
	return d.Milliseconds()
}

func (a *arguments) number(low, high float64) float64 {
	n := a.call.Arguments[a.next]
	a.next++
	x := math.NaN()
	sign, inner := 1.0, n
	if u, ok := n.(*ast.UnaryNode); ok && u.Operator == "-" {
		sign, inner = -1, u.Node
	}
	switch v := inner.(type) {
	case *ast.IntegerNode:
		x = sign * float64(v.Value)
	case *ast.FloatNode:
		x = sign * v.Value
	}
	if !(x >= low && x <= high) { // NaN is none
		a.c.fail(n, "want a number from %g to %g", low, high)
	}
	return x
}

func (c *compiler) unary(n *ast.UnaryNode) expression {
	x := c.node(n.Node)
	switch {
	case (n.Operator == "not" || n.Operator == "!") && x.is != nil:
		is := x.is
		return expression{is: func(s *scene) truth { return is(s).not() }}
	case n.Operator == "-" && x.num != nil:
		num := x.num
		return expression{num: func(s *scene) float64 { return -num(s) }}
	}
	return c.fail(n, "%s does not fit here", n.Operator)
}

func (c *compiler) binary(n *ast.BinaryNode) expression {
	if n.Operator == "in" {
		return c.in(n)
	}
	l, r := c.node(n.Left), c.node(n.Right)
	switch {
	case c.err != nil:
		return l
	case l.is != nil && r.is != nil:
		return c.logic(n, l.is, r.is)
	case l.num != nil && r.num != nil:
		return c.arithmetic(n, l.num, r.num)
	case l.text != nil && r.text != nil:
		return c.texts(n, l.text, r.text)
	}
	return c.fail(n, "the two sides of %s are of different kinds", n.Operator)
}

func (c *compiler) logic(n ast.Node, l, r boolFunc) expression {
	switch n.(*ast.BinaryNode).Operator {
	case "and", "&&":
		return expression{is: func(s *scene) truth {
			a := l(s)
			if a == no {
				return no
			}
			if b := r(s); b != yes {
				return b
			}
			return a
		}}
	case "or", "||":
		return expression{is: func(s *scene) truth {
			a := l(s)
			if a == yes {
				return yes
			}
			if b := r(s); b != no {
				return b
			}
			return a
		}}
	case "==", "!=":
		want := n.(*ast.BinaryNode).Operator == "=="
		return expression{is: func(s *scene) truth {
			a, b := l(s), r(s)
			if a == unknown || b == unknown {
				return unknown
			}
			return truthOf((a == b) == want)
		}}
	}
	return c.fail(n, "%s does not fit here", n.(*ast.BinaryNode).Operator)
}

func (c *compiler) arithmetic(n *ast.BinaryNode, l, r numFunc) expression {
	var do func(a, b float64) float64
	switch n.Operator {
	case "+":
		do = func(a, b float64) float64 { return a + b }
	case "-":
		do = func(a, b float64) float64 { return a - b }
	case "*":
		do = func(a, b float64) float64 { return a * b }
	case "/":
		do = func(a, b float64) float64 {
			if b == 0 {
				return math.NaN()
			}
			return a / b
		}
	}
	if do != nil {
		return expression{num: func(s *scene) float64 { return do(l(s), r(s)) }}
	}
	var is func(a, b float64) bool
	switch n.Operator {
	case "<":
		is = func(a, b float64) bool { return a < b }
	case "<=":
		is = func(a, b float64) bool { return a <= b }
	case ">":
		is = func(a, b float64) bool { return a > b }
	case ">=":
		is = func(a, b float64) bool { return a >= b }
	case "==":
		is = func(a, b float64) bool { return a == b }
	case "!=":
		is = func(a, b float64) bool { return a != b }
	default:
		return c.fail(n, "%s is not part of the language of rules", n.Operator)
	}
	return expression{is: func(s *scene) truth {
		a, b := l(s), r(s)
		if a != a || b != b {
			return unknown
		}
		return truthOf(is(a, b))
	}}
}

func (c *compiler) texts(n *ast.BinaryNode, l, r textFunc) expression {
	var is func(a, b string) bool
	switch n.Operator {
	case "==":
		is = func(a, b string) bool { return a == b }
	case "!=":
		is = func(a, b string) bool { return a != b }
	case "contains":
		is = strings.Contains
	case "startsWith":
		is = strings.HasPrefix
	case "endsWith":
		is = strings.HasSuffix
	default:
		return c.fail(n, "%s is not for texts", n.Operator)
	}
	return expression{is: func(s *scene) truth {
		a, ok1 := l(s)
		b, ok2 := r(s)
		if !ok1 || !ok2 {
			return unknown
		}
		return truthOf(is(a, b))
	}}
}

// in compiles "x in [a, b, …]".
func (c *compiler) in(n *ast.BinaryNode) expression {
	list, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		return c.fail(n, "want a list in brackets after in")
	}
	l := c.node(n.Left)
	var nums []float64
	var texts []string
	for _, e := range list.Nodes {
		switch v := e.(type) {
		case *ast.IntegerNode:
			nums = append(nums, float64(v.Value))
		case *ast.FloatNode:
			nums = append(nums, v.Value)
		case *ast.StringNode:
			texts = append(texts, v.Value)
		default:
			return c.fail(e, "want numbers or texts in the list")
		}
	}
	switch {
	case c.err != nil:
	case l.num != nil && len(nums) == len(list.Nodes):
		return expression{is: func(s *scene) truth {
			x := l.num(s)
			if x != x {
				return unknown
			}
			return truthOf(slices.Contains(nums, x))
		}}
	case l.text != nil && len(texts) == len(list.Nodes):
		return expression{is: func(s *scene) truth {
			x, ok := l.text(s)
			if !ok {
				return unknown
			}
			return truthOf(slices.Contains(texts, x))
		}}
	}
	return c.fail(n, "the two sides of in are of different kinds")
}
