package v1

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/alerts/cap"
	"firewatch/alerts/relay"
)

const (
	typeCAP  = "application/cap+xml"
	typeAtom = "application/atom+xml"

	// suffixCAP behind an id asks for the CAP document.
	suffixCAP = ".cap"
	maxAtom   = 100
)

// showWarningCAP gives a warning as it came, or as CAP 1.2 where it came in
// another form.
func (a *API) showWarningCAP(c *gin.Context, id string) error {
	ctx := c.Request.Context()
	w, err := a.Warnings.Warning(ctx, id)
	if errors.Is(err, alerts.ErrNotFound) {
		return &Error{Code: CodeNotFound, Detail: "没有此预警"}
	} else if err != nil {
		return fmt.Errorf("reading a warning: %w", err)
	}
	known, err := a.Warnings.Warnings(ctx, time.Time{}, maxLimit)
	if err != nil {
		return fmt.Errorf("listing warnings: %w", err)
	}
	doc, err := relay.Document(&w, func(sender, identifier string) (sent time.Time) {
		for _, k := range known { // the newest first
			if k.Sender == sender && k.Identifier == identifier && !k.Sent.After(w.Sent) {
				return k.Sent
			}
		}
		return sent
	})
	if errors.Is(err, relay.ErrNotCAP) {
		return &Error{Code: CodeConflict, Detail: "此预警的原文不能表示为 CAP 1.2", Cause: err}
	} else if err != nil {
		return err
	}
	WriteBytes(c, http.StatusOK, typeCAP, doc)
	return nil
}

// showOrderCAP gives an order as CAP 1.2, addressed to the teams that the caller
// may see.
func (a *API) showOrderCAP(c *gin.Context, s scope, id string) error {
	o, ds, err := a.visibleOrder(c.Request.Context(), s, id)
	if err != nil {
		return err
	}
	doc, err := cap.Write(relay.Order(&o, ds, s.roster.areas, relay.OrderSender(s.roster.list), a.Now()))
	if err != nil {
		return fmt.Errorf("writing order %s as CAP: %w", o.ID, err)
	}
	WriteBytes(c, http.StatusOK, typeCAP, doc)
	return nil
}

// listWarningsAtom lists the newest warnings that count, for other systems.
func (a *API) listWarningsAtom(c *gin.Context, _ scope) error {
	found, err := a.Warnings.Warnings(c.Request.Context(), time.Time{}, maxAtom)
	if err != nil {
		return fmt.Errorf("listing warnings: %w", err)
	}
	scheme := "http"
	if c.Request.TLS != nil || c.GetHeader("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	base := scheme + "://" + c.Request.Host + Prefix + "/warnings"
	doc, err := relay.Atom(found, base+".atom", base, a.Now())
	if err != nil {
		return fmt.Errorf("writing the list of warnings: %w", err)
	}
	WriteBytes(c, http.StatusOK, typeAtom, doc)
	return nil
}
