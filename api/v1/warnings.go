package v1

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/alerts/cap"
	"firewatch/alerts/relay"
)

// listWarnings pages through the newest warnings, at most maxLimit of them in
// all.
func (a *API) listWarnings(c *gin.Context, s scope) error {
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
	shown := found[:min(limit, len(found))]
	out := List[Warning]{Items: convert(shown, func(w alerts.Warning) Warning { return toWarning(s.roster, w, now) })}
	if len(found) > limit {
		out.Next = cursorTo(found[limit-1].ID)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func (a *API) showWarning(c *gin.Context, s scope) error {
	if id, ok := strings.CutSuffix(c.Param("id"), suffixCAP); ok {
		return a.showWarningCAP(c, id)
	}
	w, err := a.Warnings.Warning(c.Request.Context(), c.Param("id"))
	if errors.Is(err, alerts.ErrNotFound) {
		return &Error{Code: CodeNotFound, Detail: "没有此预警"}
	} else if err != nil {
		return fmt.Errorf("reading a warning: %w", err)
	}
	WriteJSON(c, http.StatusOK, toWarning(s.roster, w, a.Now()))
	return nil
}

// createWarning takes in a CAP document. A warning changes what the rules ask
// everywhere, so it takes the whole prefecture to post one.
func (a *API) createWarning(c *gin.Context, s scope) error {
	if !s.warn() {
		return &Error{Code: CodeForbidden, Detail: "只有辖区为全市的账号可以录入预警"}
	}
	kind, _, err := mime.ParseMediaType(c.ContentType())
	if err != nil || !slices.Contains([]string{"application/cap+xml", "application/xml", "text/xml"}, kind) {
		return &Error{Code: CodeMediaType, Detail: "请以 application/cap+xml 发送 CAP 1.2 文档"}
	}
	doc, err := io.ReadAll(c.Request.Body)
	if e := AsError(err); err != nil && e.Code == CodeTooLarge {
		return e
	} else if err != nil {
		return &Error{Code: CodeMalformed, Detail: "文档没有传完", Cause: err}
	}
	msg, err := cap.Parse(doc)
	if err != nil {
		return capProblem(err)
	}
	ctx := c.Request.Context()
	now := at(a.Now())
	w, err := relay.Warning(s.roster.places(), msg)
	switch {
	case errors.Is(err, relay.ErrNoInfo):
		return &Error{
			Code: CodeInvalid, Detail: "消息没有 info，未说明预警内容",
			Fields: []FieldError{{"info", "is missing: " + msg.MsgType + " says what it warns of"}},
		}
	case errors.Is(err, relay.ErrTooMany):
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("文档写明的区域与时段过多，最多 %d 项", relay.MaxBlocks)}
	case err != nil:
		return err
	}
	w.ID, w.Received, w.Raw = alerts.NewID("wa", now), now, doc
	saved, created, err := a.Warnings.SaveWarning(ctx, w, []alerts.Event{idEvent(alerts.EventWarning, w.ID, "", now)})
	if errors.Is(err, alerts.ErrConflict) {
		return &Error{
			Code: CodeConflict, Cause: err,
			Detail: "已有 sender、identifier、sent 相同而内容不同的消息，未录入；更正须以 Update 发送，使用自己的 identifier，并以 references 指明所更正的消息",
		}
	} else if err != nil {
		return fmt.Errorf("saving a warning: %w", err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		a.audit(ctx, s.user.Username, "warning.create", saved.ID,
			clip(fmt.Sprintf("%s %s %s,%s", w.Status, w.MsgType, w.Sender, w.Identifier), 300))
		a.Hub.Nudge()
	}
	c.Header("Location", Prefix+"/warnings/"+saved.ID)
	WriteJSON(c, status, toWarning(s.roster, saved, now))
	return nil
}

func capProblem(err error) error {
	e := &Error{Code: CodeInvalid, Detail: "不是有效的 CAP 文档", Cause: err}
	if faulty, ok := errors.AsType[*cap.Error](err); ok {
		for _, f := range faulty.Faults {
			field := f.Element
			if f.Line > 0 {
				field = strings.TrimSpace(fmt.Sprintf("line %d %s", f.Line, f.Element))
			}
			e.Fields = append(e.Fields, FieldError{field, f.Message})
		}
	}
	return e
}
