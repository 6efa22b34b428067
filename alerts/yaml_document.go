package alerts

import "errors"

// YAML is a document that people write, of which the line of each value is known.
type YAML struct{ doc yamlDocument }

// ReadYAML reads a document by the rules of all of them here: one document, no
// anchors, unknown keys are faults. What begins every error.
func ReadYAML(what string, data []byte, to any) (*YAML, error) {
	doc, err := parseYAML(what, data)
	if err != nil {
		return nil, err
	}
	return &YAML{doc}, doc.decode(to)
}

// Fault notes a fault of the value at the path ($.tests[0].name), or of the
// nearest one above it that is there.
func (y *YAML) Fault(path, format string, args ...any) { y.doc.fault(path, format, args...) }

// Err is all faults, each with its line; nil: there are none.
func (y *YAML) Err() error { return errors.Join(y.doc.faults...) }

// Line is where the value at the path stands, or the nearest one above it; 0: not
// known.
func (y *YAML) Line(path string) int { return y.doc.line(path) }
