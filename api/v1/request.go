package v1

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// Bounds of requests.
const (
	maxJSON      = 256 << 10 // bytes of a JSON body
	maxCAP       = 1 << 20   // bytes of a CAP document
	defaultLimit = 100
	maxLimit     = 1000
)

// faults collects what is wrong with the fields of a request.
type faults []FieldError

func (f *faults) add(field, format string, args ...any) {
	if len(*f) < 50 {
		*f = append(*f, FieldError{field, fmt.Sprintf(format, args...)})
	}
}

func (f *faults) err() error {
	if len(*f) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Detail: "请更正标出的内容", Fields: *f}
}

// readJSON decodes a body of exactly one JSON document without unknown fields.
// Encoding/json takes KIND for kind and the last of two texts; here each is a
// fault: nobody may read another order than was meant.
func readJSON(c *gin.Context, into any) error {
	if t, _, err := mime.ParseMediaType(c.ContentType()); err != nil || t != "application/json" {
		return &Error{Code: CodeMediaType, Detail: "请以 application/json 发送"}
	}
	var body bytes.Buffer
	d := json.NewDecoder(io.TeeReader(c.Request.Body, &body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			fs := faults{}
			if err = exactKeys(json.NewDecoder(&body), reflect.TypeOf(into), "", &fs); err != nil {
				return &Error{Code: CodeMalformed, Detail: "不是有效的 JSON", Cause: err}
			}
			if len(fs) > 0 {
				return &Error{Code: CodeMalformed, Detail: "字段名有误", Fields: fs}
			}
			return nil
		}
		if err == nil {
			err = errors.New("more than one document")
		}
	}
	if e := AsError(err); e.Code == CodeTooLarge {
		return e
	}
	e := &Error{Code: CodeMalformed, Detail: "不是有效的 JSON", Cause: err}
	var (
		syntax *json.SyntaxError
		typed  *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		e.Detail = fmt.Sprintf("第 %d 字节处不是有效的 JSON", syntax.Offset)
	case errors.As(err, &typed):
		e.Detail, e.Fields = "类型不符", []FieldError{{typed.Field, "不能是 " + typed.Value}}
	case strings.HasPrefix(err.Error(), `json: unknown field "`): // encoding/json has no type for it
		name := strings.TrimSuffix(strings.TrimPrefix(err.Error(), `json: unknown field "`), `"`)
		e.Detail, e.Fields = "有不认识的字段", []FieldError{{clip(name, 60), "不认识的字段"}}
	}
	return e
}

// exactKeys walks one value that decodes into t and notes the keys that come
// twice in their object or are not spelled as t's tags are.
func exactKeys(d *json.Decoder, t reflect.Type, at string, fs *faults) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tok, err := d.Token()
	if err != nil || tok != json.Delim('{') && tok != json.Delim('[') {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		inner, field := elem(t), at
		if tok == json.Delim('{') {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			field = strings.TrimPrefix(at+"."+name, ".")
			known := true
			if t != nil && t.Kind() == reflect.Struct {
				inner, known = tagged(t, name)
			}
			switch {
			case seen[name]:
				fs.add(clip(field, 60), "重复的字段")
			case !known:
				fs.add(clip(field, 60), "不认识的字段")
			}
			seen[name] = true
		}
		if err := exactKeys(d, inner, field, fs); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

// elem is the type of t's elements, nil when it has none.
func elem(t reflect.Type) reflect.Type {
	if t != nil && slices.Contains([]reflect.Kind{reflect.Slice, reflect.Array, reflect.Map}, t.Kind()) {
		return t.Elem()
	}
	return nil
}

// tagged is the type of t's field with exactly this name in JSON.
func tagged(t reflect.Type, name string) (reflect.Type, bool) {
	for f := range t.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f.Type, true
		}
	}
	return nil, false
}

// rfc3339 says what a time must look like.
const rfc3339 = "应为 RFC 3339 时间，例如 2026-03-14T08:00:00+08:00"

// queryParams reads the query of a request and refuses what it does not know.
type queryParams struct {
	c      *gin.Context
	known  []string
	faults faults
}

func query(c *gin.Context) *queryParams { return &queryParams{c: c} }

func (q *queryParams) text(name string) string {
	q.known = append(q.known, name)
	v := q.c.Query(name)
	if len(v) > 200 || !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
		q.faults.add(name, "过长或含有控制字符")
		return ""
	}
	return v
}

func (q *queryParams) word(name string, allowed ...string) string {
	v := q.text(name)
	if v != "" && !slices.Contains(allowed, v) {
		q.faults.add(name, "应为 %s 之一", strings.Join(allowed, "、"))
		return ""
	}
	return v
}

func (q *queryParams) flag(name string) bool { return q.word(name, "true", "false") == "true" }

func (q *queryParams) time(name string) time.Time {
	v := q.text(name)
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		q.faults.add(name, "%s", rfc3339)
		return time.Time{}
	}
	return t.UTC()
}

func (q *queryParams) limit() int {
	v := q.text("limit")
	if v == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		q.faults.add("limit", "应为 1 至 %d 的整数", maxLimit)
		return defaultLimit
	}
	return n
}

// cursor is the place after which a page begins; empty at the start.
func (q *queryParams) cursor() string {
	v := q.text("cursor")
	raw, err := base64.RawURLEncoding.DecodeString(v)
	if err != nil || !utf8.Valid(raw) || strings.ContainsFunc(string(raw), unicode.IsControl) {
		q.faults.add("cursor", "不是服务器给出的 next")
		return ""
	}
	return string(raw)
}

// err reports the faults found, unknown names among them.
func (q *queryParams) err() error {
	for name := range q.c.Request.URL.Query() {
		if !slices.Contains(q.known, name) {
			q.faults.add(clip(name, 60), "不认识的参数")
		}
	}
	if len(q.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(q.faults, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
	return &Error{Code: CodeMalformed, Detail: "请更正标出的参数", Fields: q.faults}
}

// cursorTo is the cursor of the page after the place.
func cursorTo(place string) *string {
	s := base64.RawURLEncoding.EncodeToString([]byte(place))
	return &s
}

// page cuts one page out of items that are sorted by key.
func page[T any](items []T, key func(T) string, after string, limit int) List[T] {
	from := 0
	if after != "" {
		i, found := slices.BinarySearchFunc(items, after, func(x T, k string) int { return strings.Compare(key(x), k) })
		if from = i; found {
			from++
		}
	}
	l := List[T]{Items: items[from:min(len(items), from+limit)]}
	if from+limit < len(items) {
		l.Next = cursorTo(key(l.Items[limit-1]))
	}
	return l
}

// convert turns every element and never returns nil, which JSON would show as
// null.
func convert[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, x := range in {
		out = append(out, f(x))
	}
	return out
}

// textFault says why s cannot be words of a person, or "".
func textFault(s string, maxBytes int) string {
	switch {
	case len(s) > maxBytes:
		return fmt.Sprintf("最多 %d 字节，现有 %d", maxBytes, len(s))
	case !utf8.ValidString(s):
		return "不是有效的 UTF-8"
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }):
		return "含有控制字符"
	}
	return ""
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// at is the time as it goes out: UTC, milliseconds.
func at(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// atOrNull is nil for a time that is not known.
func atOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	u := at(t)
	return &u
}
