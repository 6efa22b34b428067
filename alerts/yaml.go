package alerts

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxYAMLBytes bounds a document: some thousand seasons fit.
const maxYAMLBytes = 256 << 10

// yamlDocument is one document that people write. It is checked as a whole, and
// every fault begins with what it is and names its line.
type yamlDocument struct {
	what   string
	file   *ast.File
	faults []error
}

func parseYAML(what string, data []byte) (yamlDocument, error) {
	return parseYAMLUpTo(what, data, maxYAMLBytes)
}

func parseYAMLUpTo(what string, data []byte, most int) (yamlDocument, error) {
	d := yamlDocument{what: what}
	if len(data) > most {
		return d, fmt.Errorf("%s: %d bytes, at most %d are allowed", what, len(data), most)
	}
	tokens := lexer.Tokenize(string(data))
	if err := checkDepth(tokens); err != nil {
		return d, fmt.Errorf("%s: %w", what, err)
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return d, d.libraryFault(err)
	}
	if len(strings.TrimSpace(string(data))) == 0 || len(file.Docs) == 1 && file.Docs[0].Body == nil {
		return d, fmt.Errorf("%s: want one YAML document, nothing is there", what)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return d, fmt.Errorf("%s: want one YAML document, found %d", what, len(file.Docs))
	}
	d.file = file
	if d.aliases() > 0 {
		return d, fmt.Errorf("%s: anchors and aliases are not used here", what)
	}
	return d, nil
}

func (d *yamlDocument) body() ast.Node { return d.file.Docs[0].Body }

// decode fills in to. Unknown keys are faults.
func (d *yamlDocument) decode(to any, how ...yaml.DecodeOption) (err error) {
	defer func() { // the library panics on a tag without a value, as in "rules: !"
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: not to be understood: %v", d.what, p)
		}
	}()
	if err := yaml.NodeToValue(d.body(), to, append(how, yaml.Strict())...); err != nil {
		return d.libraryFault(err)
	}
	return nil
}

// libraryFault puts a fault of the YAML library into one line that names the
// line.
func (d *yamlDocument) libraryFault(err error) error {
	if at, ok := errors.AsType[yaml.Error](err); ok && at.GetToken() != nil {
		return fmt.Errorf("%s: line %d: %s", d.what, at.GetToken().Position.Line, at.GetMessage())
	}
	return fmt.Errorf("%s: %w", d.what, err)
}

// fault notes a fault of the value at the path, or of the nearest one above it
// that is there.
func (d *yamlDocument) fault(path, format string, args ...any) {
	d.faultBelow(path, 0, format, args...)
}

// faultBelow is fault of a place some lines below where the value begins.
func (d *yamlDocument) faultBelow(path string, lines int, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	line, whole := d.find(path)
	switch {
	case line == 0:
		d.faults = append(d.faults, fmt.Errorf("%s: %s", d.what, msg))
		return
	case whole:
		line += lines
	}
	d.faults = append(d.faults, fmt.Errorf("%s: line %d: %s", d.what, line, msg))
}

// line is where the value at the path begins, or the nearest one above it that is
// there; 0: not known.
func (d *yamlDocument) line(path string) int {
	line, _ := d.find(path)
	return line
}

// find is line; whole tells whether the value itself is there.
func (d *yamlDocument) find(path string) (line int, whole bool) {
	for whole = true; path != "$"; whole = false {
		if p, err := yaml.PathString(path); err == nil {
			if n, err := p.FilterFile(d.file); err == nil && n != nil && n.GetToken() != nil {
				return n.GetToken().Position.Line, whole
			}
		}
		path = path[:strings.LastIndexAny(path, ".[")]
	}
	return 0, false
}

// aliases counts them: a few lines of them can stand for gigabytes.
func (d *yamlDocument) aliases() int {
	n := 0
	ast.Walk(aliasCounter(func() { n++ }), d.body())
	return n
}

type aliasCounter func()

// Visit counts the node when it is an alias.
func (f aliasCounter) Visit(n ast.Node) ast.Visitor {
	if n.Type() == ast.AliasType {
		f()
	}
	return f
}

// checkDepth refuses what is nested deeper than any of our documents: the time
// that the YAML parser takes grows with the square of the depth.
func checkDepth(tokens token.Tokens) error {
	flow, inLine, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			inLine, line = 0, t.Position.Line
		}
		switch t.Type { //nolint:exhaustive // the other tokens do not nest
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			inLine++
		}
		if flow > 8 || inLine > 50 || t.Position.Column > 2000 {
			return fmt.Errorf("line %d: nested too deep, or too long", line)
		}
	}
	return nil
}
