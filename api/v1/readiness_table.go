package v1

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// showReadinessTable shows the table in force.
func (a *API) showReadinessTable(c *gin.Context, _ scope) error {
	d, err := a.Documents.Document(c.Request.Context(), alerts.DocumentReadiness, a.Now())
	if errors.Is(err, alerts.ErrNotFound) {
		_, d, err = a.readinessTable(c.Request.Context())
	}
	if err != nil {
		return fmt.Errorf("reading the readiness table: %w", err)
	}
	WriteJSON(c, http.StatusOK, toDocument(d, d.Version, true))
	return nil
}

// createReadinessTable saves a version of the table, checked as a whole. Where
// two people are asked for, it waits for the other one.
func (a *API) createReadinessTable(c *gin.Context, s scope) error {
	if !s.whole() {
		return &Error{Code: CodeForbidden, Detail: "只有辖区为全市的账号可以更改备勤表"}
	}
	body, err := readYAML(c)
	if err != nil {
		return err
	}
	t, err := alerts.ParseReadinessTable(body)
	if err != nil {
		return yamlFaults("readiness table", err)
	}
	ctx, now := c.Request.Context(), at(a.Now())
	d := alerts.Document{
		Kind: alerts.DocumentReadiness, Version: t.Version, Effective: t.Effective, Body: body, Author: s.user.Username, Saved: now,
	}
	if !a.TwoPerson {
		d.Approver, d.Approved = d.Author, now
	}
	switch err := a.Documents.SaveDocument(ctx, d, []alerts.Event{documentEvent(d.Kind, d.Version, now)}); {
	case errors.Is(err, alerts.ErrConflict):
		return &Error{
			Code: CodeConflict, Detail: fmt.Sprintf("版本 %s 已有不同内容，请换一个版本号", clip(t.Version, 100)), Cause: err,
			Fields: []FieldError{{"version", "已有不同内容"}},
		}
	case err != nil:
		return fmt.Errorf("saving the readiness table: %w", err)
	}
	a.audit(ctx, s.user.Username, "document.create", string(d.Kind)+"/"+d.Version, fmt.Sprintf("effective %s, approved by %q", d.Effective.In(alerts.Zone).Format(time.DateOnly), d.Approver))
	a.Hub.Nudge()
	return a.writeDocument(c, http.StatusCreated, d.Kind, d.Version)
}

// approveReadinessTable is the second person's word.
func (a *API) approveReadinessTable(c *gin.Context, s scope) error {
	if !s.whole() {
		return &Error{Code: CodeForbidden, Detail: "只有辖区为全市的账号可以更改备勤表"}
	}
	ctx, now, version := c.Request.Context(), at(a.Now()), c.Param("version")
	all, _, err := a.versions(c, alerts.DocumentReadiness)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(d alerts.Document) bool { return d.Version == version })
	switch {
	case i < 0:
		return &Error{Code: CodeNotFound, Detail: "没有此版本"}
	case all[i].Approver != "":
		return &Error{Code: CodeConflict, Detail: "此版本已由 " + all[i].Approver + " 批准"}
	case all[i].Author == s.user.Username:
		return &Error{Code: CodeConflict, Detail: "须由起草人以外的另一人批准"}
	}
	d, err := a.Documents.ApproveDocument(ctx, alerts.DocumentReadiness, version, s.user.Username, now,
		[]alerts.Event{documentEvent(alerts.DocumentReadiness, version, now)})
	if err != nil {
		return fmt.Errorf("approving the readiness table: %w", err)
	}
	a.audit(ctx, s.user.Username, "document.approve", string(d.Kind)+"/"+d.Version, "author "+d.Author)
	a.Hub.Nudge()
	return a.writeDocument(c, http.StatusOK, d.Kind, d.Version)
}

// writeDocument answers with the version as it is stored.
func (a *API) writeDocument(c *gin.Context, status int, kind alerts.DocumentKind, version string) error {
	all, inForce, err := a.versions(c, kind)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(d alerts.Document) bool { return d.Version == version })
	if i < 0 {
		return fmt.Errorf("%s %q vanished: %w", kind, version, alerts.ErrNotFound)
	}
	WriteJSON(c, status, toDocument(all[i], inForce, true))
	return nil
}
