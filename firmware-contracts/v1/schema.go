package contractv1

import (
	"embed"
	"fmt"
)

//go:generate go test -count=1 -run ^TestGenerated$ . -update

//go:embed schema/*.schema.json asyncapi.yaml
var files embed.FS

// Schema is the JSON Schema (2020-12) of one of Documents. It stands alone. The
// rules that it cannot say are named in its description.
func Schema(document string) ([]byte, error) {
	b, err := files.ReadFile("schema/" + document + ".schema.json")
	if err != nil {
		return nil, fmt.Errorf("schema of %q: %w", document, err)
	}
	return b, nil
}

// AsyncAPI is the AsyncAPI 3.0 document of all topics. It refers to the schemas
// by their paths beside it.
func AsyncAPI() ([]byte, error) {
	b, err := files.ReadFile("asyncapi.yaml")
	if err != nil {
		return nil, fmt.Errorf("asyncapi: %w", err)
	}
	return b, nil
}
