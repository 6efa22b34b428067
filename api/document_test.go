package api

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	v1 "firewatch/api/v1"
)

// document is openapi.yaml, with its schemas closed: in a test, a field that
// the document does not know is a fault.
var document = sync.OnceValues(func() (map[string]any, error) {
	b, err := yaml.YAMLToJSON(v1.OpenAPI())
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var closed func(any)
	closed = func(x any) {
		switch x := x.(type) {
		case map[string]any:
			if _, object := x["properties"]; object && x["type"] == "object" && x["additionalProperties"] == nil {
				x["additionalProperties"] = false
			}
			for _, v := range x {
				closed(v)
			}
		case []any:
			for _, v := range x {
				closed(v)
			}
		}
	}
	closed(doc.(map[string]any)["components"].(map[string]any)["schemas"])
	return doc.(map[string]any), nil
})

var schemas struct {
	sync.Mutex
	compiled map[string]*jsonschema.Schema
}

func schemaAt(pointer string) (*jsonschema.Schema, error) {
	schemas.Lock()
	defer schemas.Unlock()
	if s := schemas.compiled[pointer]; s != nil {
		return s, nil
	}
	doc, err := document()
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("https://firewatch/openapi.json", doc); err != nil {
		return nil, err
	}
	s, err := c.Compile("https://firewatch/openapi.json#" + pointer)
	if err != nil {
		return nil, err
	}
	if schemas.compiled == nil {
		schemas.compiled = map[string]*jsonschema.Schema{}
	}
	schemas.compiled[pointer] = s
	return s, nil
}

// conforms holds a response against the document: the status must be foreseen
// for the route, with that content type, and JSON must fit the schema.
func (e *env) conforms(r request, w *httptest.ResponseRecorder) {
	e.t.Helper()
	path, _, _ := strings.Cut(r.path, "?")
	doc, err := document()
	if err != nil {
		e.t.Fatal(err)
	}
	template, item := findPath(doc["paths"].(map[string]any), path)
	op, _ := item[strings.ToLower(r.method)].(map[string]any)
	if op == nil {
		return // no route: that such are answered with problems is tested apart
	}
	status := fmt.Sprint(w.Code)
	found, ok := op["responses"].(map[string]any)[status].(map[string]any)
	if !ok {
		e.t.Errorf("%s %s answers %s, which the document does not foresee: %s", r.method, template, status, w.Body)
		return
	}
	at := "/paths/" + escape(template) + "/" + strings.ToLower(r.method) + "/responses/" + status
	if found["$ref"] != nil {
		at = strings.TrimPrefix(found["$ref"].(string), "#")
		found = doc["components"].(map[string]any)["responses"].(map[string]any)["problem"].(map[string]any)
	}
	content, _ := found["content"].(map[string]any)
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	if content == nil {
		if w.Body.Len() > 0 {
			e.t.Errorf("%s %s answers %s with a body, which the document does not foresee", r.method, template, status)
		}
		return
	}
	if content[kind] == nil {
		e.t.Errorf("%s %s answers %s as %q, which the document does not foresee", r.method, template, status, kind)
		return
	}
	if !strings.HasSuffix(kind, "json") || w.Header().Get("Content-Encoding") != "" {
		return
	}
	s, err := schemaAt(at + "/content/" + escape(kind) + "/schema")
	if err != nil {
		e.t.Fatal(err)
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		e.t.Fatalf("%s %s: %v in %s", r.method, template, err, w.Body)
	}
	if err := s.Validate(body); err != nil {
		e.t.Errorf("%s %s answers %s against the document: %v", r.method, template, status, err)
	}
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(s)
}

func findPath(paths map[string]any, path string) (template string, item map[string]any) {
	if it, ok := paths[path].(map[string]any); ok {
		return path, it
	}
	parts := strings.Split(path, "/")
	for template, it := range paths {
		ps := strings.Split(template, "/")
		if len(ps) == len(parts) && strings.Contains(template, "{") && slices.EqualFunc(ps, parts, func(a, b string) bool {
			return a == b || strings.HasPrefix(a, "{")
		}) {
			return template, it.(map[string]any)
		}
	}
	return "", nil
}
