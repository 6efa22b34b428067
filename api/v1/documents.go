package v1

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

var documentKinds = []string{string(alerts.DocumentRules), string(alerts.DocumentReadiness), string(alerts.DocumentSources)}

func toDocument(d alerts.Document, inForce string, body bool) Document {
	out := Document{
		Kind: string(d.Kind), Version: d.Version, Effective: at(d.Effective), Author: d.Author, Saved: at(d.Saved),
		Approver: d.Approver, Approved: atOrNull(d.Approved), InForce: inForce != "" && d.Version == inForce,
	}
	if body {
		out.Body = string(d.Body)
	}
	return out
}

// versions are all versions of a kind, and which of them is in force.
func (a *API) versions(c *gin.Context, kind alerts.DocumentKind) (all []alerts.Document, inForce string, err error) {
	ctx := c.Request.Context()
	if all, err = a.Documents.Documents(ctx, kind, maxLimit); err != nil {
		return nil, "", fmt.Errorf("listing versions of %s: %w", kind, err)
	}
	d, err := a.Documents.Document(ctx, kind, a.Now())
	if err != nil && !errors.Is(err, alerts.ErrNotFound) {
		return nil, "", fmt.Errorf("reading the version in force of %s: %w", kind, err)
	}
	return all, d.Version, nil
}

func kindOf(c *gin.Context) (alerts.DocumentKind, error) {
	kind := c.Param("kind")
	if !slices.Contains(documentKinds, kind) {
		return "", &Error{Code: CodeNotFound, Detail: "没有此类文件，应为 " + strings.Join(documentKinds, "、") + " 之一"}
	}
	return alerts.DocumentKind(kind), nil
}

// listDocuments shows the versions of a kind, the last saved first.
func (a *API) listDocuments(c *gin.Context, _ scope) error {
	q := query(c)
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	kind, err := kindOf(c)
	if err != nil {
		return err
	}
	all, inForce, err := a.versions(c, kind)
	if err != nil {
		return err
	}
	if after != "" {
		all = all[slices.IndexFunc(all, func(d alerts.Document) bool { return d.Version == after })+1:]
	}
	shown := all[:min(limit, len(all))]
	out := List[Document]{Items: convert(shown, func(d alerts.Document) Document { return toDocument(d, inForce, false) })}
	if len(all) > limit {
		out.Next = cursorTo(all[limit-1].Version)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func (a *API) showDocument(c *gin.Context, _ scope) error {
	kind, err := kindOf(c)
	if err != nil {
		return err
	}
	all, inForce, err := a.versions(c, kind)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(d alerts.Document) bool { return d.Version == c.Param("version") })
	if i < 0 {
		return &Error{Code: CodeNotFound, Detail: "没有此版本"}
	}
	WriteJSON(c, http.StatusOK, toDocument(all[i], inForce, true))
	return nil
}

// readYAML reads a body of YAML.
func readYAML(c *gin.Context) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(c.ContentType())
	if err != nil || !slices.Contains([]string{"application/yaml", "application/x-yaml", "text/yaml"}, kind) {
		return nil, &Error{Code: CodeMediaType, Detail: "请以 application/yaml 发送"}
	}
	body, err := io.ReadAll(c.Request.Body)
	if e := AsError(err); err != nil && e.Code == CodeTooLarge {
		return nil, e
	} else if err != nil {
		return nil, &Error{Code: CodeMalformed, Detail: "文件没有传完", Cause: err}
	}
	return body, nil
}

// yamlFaults puts every fault of a document that was checked as a whole into one
// answer; the field is the line.
func yamlFaults(what string, err error) error {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var f faults
	for _, e := range list {
		text := strings.TrimPrefix(e.Error(), what+": ")
		field := "yaml"
		if line, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(line, "line ") {
			field, text = line, rest
		}
		f.add(field, "%s", clip(text, 500))
	}
	return f.err()
}
