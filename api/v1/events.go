package v1

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/api/session"
	"firewatch/api/stream"
)

const (
	heartbeat = 15 * time.Second
	retryMS   = 2000             // ms after which a browser comes back
	writeFor  = 10 * time.Second // longest write to a listener
)

// streamEvents sends what changes as server-sent events, from now on or after
// the id in Last-Event-ID. A listener that is too slow is cut off and resumes.
func (a *API) streamEvents(c *gin.Context, s scope) error {
	q := query(c)
	last := q.text("last_event_id")
	if err := q.err(); err != nil {
		return err
	}
	if h := c.GetHeader("Last-Event-ID"); h != "" {
		last = h
	}
	from := int64(-1)
	if last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return &Error{
				Code: CodeMalformed, Detail: "请更正标出的参数",
				Fields: []FieldError{{"last_event_id", "不是服务器给出的事件编号"}},
			}
		}
		from = n
	}
	ctx := c.Request.Context()
	n := sessionOf(c)
	sub, err := a.Hub.Subscribe(ctx, s.user.Username, n.TokenHash)
	if err != nil {
		return fmt.Errorf("listening to events: %w", err)
	}
	defer sub.Close()

	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold events back
	c.Status(http.StatusOK)
	l := &listener{api: a, c: c, rc: http.NewResponseController(c.Writer), scope: s, session: n, last: from}
	// A read deadline would end the stream as if the client had gone. Not every
	// writer has one.
	_ = l.rc.SetReadDeadline(time.Time{})
	fmt.Fprintf(&l.buf, "retry: %d\n", retryMS)
	if from < 0 || from > sub.Last() { // from > Last: the ids are of another store
		l.last = sub.Last()
		if from >= 0 {
			l.buf.WriteString("event: reset\ndata: {}\n")
		}
	}
	fmt.Fprintf(&l.buf, "id: %d\n\n", l.last)
	err = l.run(ctx, sub)
	if err != nil && ctx.Err() == nil && !errors.Is(err, session.ErrNoSession) {
		a.Log.Debug("event stream ended", zap.String("user", s.user.Username), zap.Error(err))
	}
	return nil
}

// listener is one open stream.
type listener struct {
	api     *API
	c       *gin.Context
	rc      *http.ResponseController
	scope   scope
	session alerts.Session
	last    int64 // newest event seen, sent or not
	buf     bytes.Buffer
}

func (l *listener) run(ctx context.Context, sub *stream.Subscription) error {
	for {
		evs, err := sub.Replay(ctx, l.last)
		if err != nil {
			return err
		}
		l.skipPurged(evs, sub.Last())
		if err := l.send(ctx, evs); err != nil {
			return err
		}
		if len(evs) == 0 {
			break
		}
	}
	beat := time.NewTimer(l.wait())
	defer beat.Stop()
	for {
		select {
		case evs, open := <-sub.C:
			if !open {
				return nil
			}
			l.skipPurged(evs, sub.Last())
			if err := l.send(ctx, evs); err != nil {
				return err
			}
		case <-beat.C:
			if err := l.refresh(ctx); err != nil {
				return err
			}
			// The id lets a listener resume behind events that were not for it.
			fmt.Fprintf(&l.buf, ": heartbeat\nid: %d\n\n", l.last)
			if err := l.flush(); err != nil {
				return err
			}
			beat.Reset(l.wait())
		case <-ctx.Done():
			return fmt.Errorf("sending events: %w", ctx.Err())
		}
	}
}

// skipPurged tells the listener to load everything anew when events that it has
// not seen are gone from the log, and goes on from the newest. Ids have no gaps:
// evs, which follow on the last one seen, must begin with the next, and must not
// be empty while there is a newer one.
func (l *listener) skipPurged(evs []alerts.Event, newest int64) {
	var next int64 // 0: none
	for _, e := range evs {
		if e.ID > l.last {
			next = e.ID
			break
		}
	}
	if next == l.last+1 || next == 0 && l.last >= newest {
		return
	}
	l.last = max(newest, next-1)
	fmt.Fprintf(&l.buf, "id: %d\nevent: reset\ndata: {}\n\n", l.last)
}

// wait is the time to the next heartbeat, or to the end of the session.
func (l *listener) wait() time.Duration {
	return max(min(heartbeat, l.session.Expires.Sub(l.api.Now())), time.Millisecond)
}

// refresh asks whether the session still stands, and what its user may see now.
// While the store is away the stream goes on to the end of the session.
func (l *listener) refresh(ctx context.Context) error {
	if !l.api.Now().Before(l.session.Expires) {
		return session.ErrNoSession
	}
	now, err := l.api.Sessions.Refresh(ctx, l.session.TokenHash)
	if errors.Is(err, session.ErrNoSession) {
		return err
	}
	if err != nil {
		return nil //nolint:nilerr // decided above
	}
	r, err := l.api.roster.get(ctx)
	if err != nil {
		return nil //nolint:nilerr // the roster of a moment ago will do
	}
	if now.User.Role != l.scope.user.Role {
		return session.ErrNoSession
	}
	l.scope = scope{user: now.User, roster: r}
	return nil
}

// send writes the events that are new and visible.
func (l *listener) send(ctx context.Context, evs []alerts.Event) error {
	for _, e := range evs {
		if e.ID <= l.last {
			continue
		}
		l.last = e.ID
		if e.Type == alerts.EventRoster { // the scope may hang on it
			if r, err := l.api.roster.get(ctx); err == nil {
				l.scope.roster = r
			}
		}
		if !l.hears(ctx, e) {
			continue
		}
		out := Event{At: at(e.At), Type: string(e.Type), Subject: e.Data}
		if !json.Valid(e.Data) {
			out.Subject = json.RawMessage("null")
		}
		data, err := json.Marshal(out)
		if err != nil {
			return fmt.Errorf("encoding an event: %w", err)
		}
		fmt.Fprintf(&l.buf, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data)
	}
	return l.flush()
}

func (l *listener) hears(ctx context.Context, e alerts.Event) bool {
	hears, ask := l.scope.event(e)
	if !ask {
		return hears
	}
	var subject struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(e.Data, &subject) != nil {
		return false
	}
	_, _, err := l.api.visibleOrder(ctx, l.scope, subject.ID)
	return err == nil
}

func (l *listener) flush() error {
	if l.buf.Len() == 0 {
		return nil
	}
	_ = l.rc.SetWriteDeadline(time.Now().Add(writeFor)) // not every writer has one
	_, err := l.buf.WriteTo(l.c.Writer)
	if err == nil {
		err = l.rc.Flush()
	}
	if err != nil {
		return fmt.Errorf("sending events: %w", err)
	}
	return nil
}
