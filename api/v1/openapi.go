package v1

import (
	_ "embed"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI is the document that describes version 1, in YAML.
func OpenAPI() []byte { return slices.Clone(openAPI) }

var openAPIJSON = sync.OnceValues(func() ([]byte, error) {
	b, err := yaml.YAMLToJSON(openAPI)
	if err != nil {
		return nil, fmt.Errorf("converting openapi.yaml: %w", err)
	}
	return b, nil
})

func (a *API) showOpenAPI(c *gin.Context, _ scope) error {
	WriteBytes(c, http.StatusOK, "application/yaml", openAPI)
	return nil
}

func (a *API) showOpenAPIJSON(c *gin.Context, _ scope) error {
	b, err := openAPIJSON()
	if err != nil {
		return err
	}
	WriteBytes(c, http.StatusOK, "application/vnd.oai.openapi+json", b)
	return nil
}
