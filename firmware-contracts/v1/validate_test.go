package contractv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"

	"github.com/fxamacker/cbor/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	m := map[string]*jsonschema.Schema{}
	for _, d := range Documents() {
		raw, err := Schema(d)
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(d+".json", doc); err != nil {
			return nil, err
		}
		if m[d], err = c.Compile(d + ".json"); err != nil {
			return nil, err
		}
	}
	return m, nil
})

// validate judges a payload of either encoding by the schema, with other
// people's decoders.
func validate(t interface {
	Helper()
	Fatal(args ...any)
}, document string, payload []byte,
) error {
	t.Helper()
	schemas, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if enc, _ := Sniff(payload); enc == CBOR {
		doc, err = fromCBOR(payload)
	} else {
		doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	}
	if err != nil {
		return err
	}
	return schemas[document].Validate(doc)
}

var errNotJSON = errors.New("JSON has no such value")

func fromCBOR(payload []byte) (any, error) {
	mode, err := cbor.DecOptions{MaxNestedLevels: maxDepth, DupMapKey: cbor.DupMapKeyEnforcedAPF}.DecMode()
	if err != nil {
		return nil, err
	}
	var v any
	if err := mode.Unmarshal(payload, &v); err != nil {
		return nil, err
	}
	return plain(v)
}

// plain turns what the CBOR library decodes into what a JSON library does.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string:
		return v, nil
	case uint64:
		return json.Number(strconv.FormatUint(v, 10)), nil
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return []any{"no number"}, nil // of no type that the contract takes
		}
		return v, nil
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = plain(x); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[any]any:
		out := map[string]any{}
		for k, x := range v {
			name, ok := k.(string)
			if !ok {
				return nil, fmt.Errorf("key %v: %w", k, errNotJSON)
			}
			var err error
			if out[name], err = plain(x); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return []any{fmt.Sprint(v)}, nil // tags, byte strings and the like, of no type that the contract takes
	}
}
