package v1

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/api/session"
	"firewatch/api/stream"
)

// Code is an error's word for machines. Each has one HTTP status and one title
// for people.
type Code string

// The codes of problems.
const (
	CodeMalformed       Code = "malformed" // goes out as invalid, with 400
	CodeInvalid         Code = "invalid"
	CodeUnauthenticated Code = "unauthenticated"
	CodeForbidden       Code = "forbidden"
	CodeNotFound        Code = "not_found"
	CodeMethod          Code = "method_not_allowed" // goes out as invalid, with 405
	CodeMediaType       Code = "media_type"         // goes out as invalid, with 415
	CodeConflict        Code = "conflict"
	CodeTooLarge        Code = "too_large"
	CodeRateLimited     Code = "rate_limited"
	CodeUnavailable     Code = "unavailable"
	CodeInternal        Code = "internal"
)

var mapping = map[Code]struct {
	status int
	code   Code
	title  string
}{
	CodeMalformed:       {http.StatusBadRequest, CodeInvalid, "请求无效"},
	CodeInvalid:         {http.StatusUnprocessableEntity, CodeInvalid, "内容无效"},
	CodeUnauthenticated: {http.StatusUnauthorized, CodeUnauthenticated, "请先登录"},
	CodeForbidden:       {http.StatusForbidden, CodeForbidden, "没有权限"},
	CodeNotFound:        {http.StatusNotFound, CodeNotFound, "没有找到"},
	CodeMethod:          {http.StatusMethodNotAllowed, CodeInvalid, "不支持此方法"},
	CodeMediaType:       {http.StatusUnsupportedMediaType, CodeInvalid, "不支持此格式"},
	CodeConflict:        {http.StatusConflict, CodeConflict, "内容冲突"},
	CodeTooLarge:        {http.StatusRequestEntityTooLarge, CodeTooLarge, "内容过大"},
	CodeRateLimited:     {http.StatusTooManyRequests, CodeRateLimited, "请求过于频繁"},
	CodeUnavailable:     {http.StatusServiceUnavailable, CodeUnavailable, "服务暂不可用"},
	CodeInternal:        {http.StatusInternalServerError, CodeInternal, "内部错误"},
}

// Error is the one error of the API: a code for machines, words for people, and
// a cause that stays in the log.
type Error struct {
	Code   Code
	Detail string       // for people; leaves the house
	Fields []FieldError // what is wrong with which field
	After  time.Duration
	Cause  error // for the log only
}

func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(string(e.Code))
	if e.Detail != "" {
		s.WriteString(": " + e.Detail)
	}
	for _, f := range e.Fields {
		fmt.Fprintf(&s, "; %s: %s", f.Field, f.Message)
	}
	if e.Cause != nil {
		s.WriteString(": " + e.Cause.Error())
	}
	return s.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Problem is what goes out. It holds nothing of the cause.
func (e *Error) Problem() Problem {
	m := mapping[e.Code]
	if m.status == 0 {
		m = mapping[CodeInternal]
	}
	return Problem{Type: "about:blank", Title: m.title, Status: m.status, Code: string(m.code), Detail: e.Detail, Errors: e.Fields}
}

// AsError finds the API's error in err, or makes one of it. What is not known
// is internal.
func AsError(err error) *Error {
	var (
		known     *Error
		throttled *session.ThrottledError
		tooLarge  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &throttled):
		return &Error{Code: CodeRateLimited, Detail: "登录失败次数过多，请稍后再试", After: throttled.After, Cause: err}
	case errors.As(err, &tooLarge):
		return &Error{Code: CodeTooLarge, Detail: fmt.Sprintf("最多 %d 字节", tooLarge.Limit), Cause: err}
	case errors.Is(err, session.ErrCredentials):
		return &Error{Code: CodeUnauthenticated, Detail: "用户名或密码错误", Cause: err}
	case errors.Is(err, session.ErrNoSession):
		return &Error{Code: CodeUnauthenticated, Detail: "登录已失效", Cause: err}
	case errors.Is(err, session.ErrBusy):
		return &Error{Code: CodeUnavailable, Detail: "登录请求过多，请稍后再试", After: 2 * time.Second, Cause: err}
	case errors.Is(err, stream.ErrFull):
		return &Error{Code: CodeRateLimited, Detail: "事件连接过多", After: 10 * time.Second, Cause: err}
	case errors.Is(err, stream.ErrClosed):
		return &Error{Code: CodeUnavailable, Detail: "服务正在停止", After: 2 * time.Second, Cause: err}
	case errors.Is(err, alerts.ErrNotFound):
		return &Error{Code: CodeNotFound, Cause: err}
	case errors.Is(err, alerts.ErrConflict):
		return &Error{Code: CodeConflict, Cause: err}
	case errors.Is(err, alerts.ErrUnavailable):
		return &Error{Code: CodeUnavailable, Detail: "数据库暂不可用，请稍后再试", After: 5 * time.Second, Cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeUnavailable, Detail: "没有及时完成", After: 2 * time.Second, Cause: err}
	default:
		return &Error{Code: CodeInternal, Cause: err}
	}
}

// WriteError sends the error as application/problem+json and leaves it in the
// context's errors for the access log.
func WriteError(c *gin.Context, err error) {
	e := AsError(err)
	_ = c.Error(e) // returns what it was given
	p := e.Problem()
	if e.After > 0 {
		c.Header("Retry-After", strconv.Itoa(int((e.After+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", `Bearer realm="firewatch"`)
	}
	writeAs(c, p.Status, "application/problem+json", p)
	c.Abort()
}

// WriteJSON sends an answer.
func WriteJSON(c *gin.Context, status int, v any) { writeAs(c, status, "application/json", v) }

func writeAs(c *gin.Context, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // our own types: a fault of ours
		_ = c.Error(fmt.Errorf("encoding an answer: %w", err))
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	WriteBytes(c, status, contentType, body)
}

// gzipFrom is the size in bytes from which compressing an answer pays.
const gzipFrom = 1400

var gzips = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	return w
}}

// WriteBytes sends a body, compressed when it is long and the client takes it.
func WriteBytes(c *gin.Context, status int, contentType string, body []byte) {
	h := c.Writer.Header()
	h.Set("Content-Type", contentType)
	if len(body) >= gzipFrom {
		h.Add("Vary", "Accept-Encoding")
		if AcceptsGzip(c.Request) {
			var buf bytes.Buffer
			z := gzips.Get().(*gzip.Writer)
			z.Reset(&buf)
			_, err := z.Write(body)
			if err = errors.Join(err, z.Close()); err == nil { // a buffer takes all
				body = buf.Bytes()
				h.Set("Content-Encoding", "gzip")
			}
			gzips.Put(z)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Status(status)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	_, _ = c.Writer.Write(body) // the client may be gone: nobody is left to tell
}

// AcceptsGzip reports whether the client takes gzip.
func AcceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, weighed := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !weighed || err == nil && weight > 0
		}
	}
	return false
}
