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

// listWarnings pages through the newest warnings, at most maxLimit of them in
// all.
func (a *API) listWarnings(c *gin.Context, _ scope) error {
	q := query(c)
	inForce := q.flag("in_force")
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	now := a.Now()
	var when time.Time
	if inForce {
		when = now
	}
	found, err := a.Warnings.Warnings(c.Request.Context(), when, maxLimit)
	if err != nil {
		return fmt.Errorf("listing warnings: %w", err)
	}
	if after != "" { // gone from the list meanwhile: the rest is not known, so begin anew
		i := slices.IndexFunc(found, func(w alerts.Warning) bool { return w.ID == after })
		found = found[i+1:]
	}
	out := List[Warning]{Items: convert(found[:min(limit, len(found))], func(w alerts.Warning) Warning { return toWarning(w, now) })}
	if len(found) > limit {
		out.Next = cursorTo(found[limit-1].ID)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func (a *API) showWarning(c *gin.Context, _ scope) error {
	w, err := a.Warnings.Warning(c.Request.Context(), c.Param("id"))
	if errors.Is(err, alerts.ErrNotFound) {
		return &Error{Code: CodeNotFound, Detail: "没有此预警"}
	} else if err != nil {
		return fmt.Errorf("reading a warning: %w", err)
	}
	WriteJSON(c, http.StatusOK, toWarning(w, a.Now()))
	return nil
}

func (a *API) createWarning(c *gin.Context, s scope) error { return errors.New("not yet") }
