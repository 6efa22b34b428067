package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zapcore"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

func TestOptionsNameTheFaultyField(t *testing.T) {
	good := newEnv(t).options()
	good.Log = newEnv(t).o.Log
	for field, change := range map[string]func(*Options){
		"Roster":         func(o *Options) { o.Roster = nil },
		"Accounts":       func(o *Options) { o.Accounts = nil },
		"Alerts":         func(o *Options) { o.Alerts = nil },
		"Orders":         func(o *Options) { o.Orders = nil },
		"Warnings":       func(o *Options) { o.Warnings = nil },
		"Danger":         func(o *Options) { o.Danger = nil },
		"DangerMethod":   func(o *Options) { o.DangerMethod = "hunch" },
		"Events":         func(o *Options) { o.Events = nil },
		"Audit":          func(o *Options) { o.Audit = nil },
		"History":        func(o *Options) { o.History = nil },
		"Health":         func(o *Options) { o.Health = nil },
		"Gatherer":       func(o *Options) { o.Gatherer = nil },
		"Registerer":     func(o *Options) { o.Registerer = nil },
		"Log":            func(o *Options) { o.Log = nil },
		"Version":        func(o *Options) { o.Version = "" },
		"Policy":         func(o *Options) { o.Policy = alerts.Policy{} },
		"EventPoll":      func(o *Options) { o.EventPoll = time.Hour },
		"TrustedProxies": func(o *Options) { o.TrustedProxies = []string{"localhost:80"} },
	} {
		o := good
		o.Registerer = prometheus.NewRegistry()
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "api options: "+field) {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

func TestEveryRouteIsInTheDocumentAndBack(t *testing.T) {
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	var documented, routed []string
	for path, item := range doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range newEnv(t).engine.Routes() {
		parts := strings.Split(r.Path, "/")
		for i, p := range parts {
			if name, ok := strings.CutPrefix(p, ":"); ok {
				parts[i] = "{" + name + "}"
			}
		}
		routed = append(routed, r.Method+" "+strings.Join(parts, "/"))
	}
	slices.Sort(documented)
	slices.Sort(routed)
	if !slices.Equal(documented, routed) {
		t.Errorf("documented:\n%s\nrouted:\n%s", strings.Join(documented, "\n"), strings.Join(routed, "\n"))
	}
}

// TestDocumentRefusesWhatItDoesNotDescribe shows that the checks of all other
// tests can fail.
func TestDocumentRefusesWhatItDoesNotDescribe(t *testing.T) {
	s, err := schemaAt("/paths/~1api~1v1~1sessions~1current/get/responses/200/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]any{
		"username": "a", "name": "", "role": "admin", "area": "", "area_name": "", "team": "", "team_name": "", "demo": true,
	}
	if err := s.Validate(good); err != nil {
		t.Fatal(err)
	}
	for field, value := range map[string]any{"role": "root", "demo": "yes", "more": 1.0} {
		bad := maps.Clone(good)
		bad[field] = value
		if s.Validate(bad) == nil {
			t.Errorf("%s = %v passes", field, value)
		}
	}
	delete(good, "demo")
	if s.Validate(good) == nil {
		t.Error("passes without demo")
	}
	now, err := schemaAt("/components/schemas/Time")
	if err != nil {
		t.Fatal(err)
	}
	if now.Validate("2026-03-14T08:00:00+08:00") == nil || now.Validate("yesterday Z") == nil {
		t.Error("a time that is no UTC time passes")
	}
}

func TestBothFormsOfTheDocument(t *testing.T) {
	e := newEnv(t)
	if got := e.get("", "/openapi.yaml").want(200).Body.String(); got != string(v1.OpenAPI()) {
		t.Error("openapi.yaml is not the file")
	}
	var doc struct{ Openapi string }
	if err := json.Unmarshal(e.get("", "/openapi.json").want(200).Body.Bytes(), &doc); err != nil || doc.Openapi != "3.1.0" {
		t.Errorf("openapi.json: %v, %q", err, doc.Openapi)
	}
}

func TestUnknownErrorsStayInside(t *testing.T) {
	e := newEnv(t)
	e.store.Fail(errAway)
	r := e.get("yixian", "/areas")
	r.problem(http.StatusInternalServerError, "internal")
	secretless(t, r.Body)
	if n := e.logs.FilterMessage("http request").FilterFieldKey("error").Len(); n != 1 {
		t.Errorf("%d lines with the error, want 1", n)
	}
	line := e.logs.FilterMessage("http request").All()[0].ContextMap()
	if line["request_id"] != r.Header().Get("X-Request-Id") || !strings.Contains(line["error"].(string), "hunter2") {
		t.Errorf("log line %v", line)
	}

	// Whether the store is away is told by its error and not by its health of a
	// moment ago.
	e.store.Fail(fmt.Errorf("%w: %w", alerts.ErrUnavailable, errAway))
	for _, r := range []response{e.get("yixian", "/areas"), e.post("", "/sessions", `{"username":"yixian","password":"p"}`)} {
		if r.problem(http.StatusServiceUnavailable, "unavailable"); r.Header().Get("Retry-After") != "5" {
			t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
		}
		secretless(t, r.Body)
	}
	e.store.Fail(errAway)
	e.setHealth(Check{Name: "store", Reason: "no answer since 08:00"}, Check{Name: v1.PartHistory, OK: true})
	e.get("yixian", "/areas").problem(http.StatusInternalServerError, "internal")
	if s := into[v1.Status](e.get("", "/status").want(200)); s.Parts[0].OK || s.Version != "1.2.3" {
		t.Errorf("status %+v", s)
	}
}

func TestPanicIsAnInternalProblem(t *testing.T) {
	e := newEnv(t)
	e.engine.GET("/boom", func(*gin.Context) { panic(errAway) })
	r := e.do(request{method: "GET", path: "/boom"})
	r.problem(500, "internal")
	secretless(t, r.Body)
	if e.logs.FilterMessage("panic in a request").Len() != 1 {
		t.Error("the panic is not in the log")
	}
}

func TestBodiesAreStrict(t *testing.T) {
	e := newEnv(t)
	const acks = "/alerts/al-yixian/acks"
	for body, status := range map[string]int{
		`{"note":"a"}`: 201, ` {"note":"b"} `: 201, `{}`: 201,
		``: 415, `{`: 400, `null {}`: 400, `{"note":"a"}{}`: 400, `{"note":1}`: 400, `{"nota":"a"}`: 400, `[]`: 400,
		`{"note":"` + strings.Repeat("x", 300<<10) + `"}`: 413,
	} {
		if r := e.post("yixian", acks, body); r.Code != status {
			t.Errorf("%.40q: status %d, want %d: %s", body, r.Code, status, r.Body)
		}
	}
	p := e.post("yixian", acks, `{"nota":"a"}`).problem(400, "invalid")
	if len(p.Errors) != 1 || p.Errors[0].Field != "nota" {
		t.Errorf("unknown field: %+v", p)
	}
	for body, fields := range map[string]string{
		`{"note":"a","note":"b"}`:                 "note",
		`{"NOTE":"a"}`:                            "NOTE",
		`{"note":"a","Note":"b"}`:                 "Note",
		`{"note":"a","n\u006fte":"b","nOte":"c"}`: "note nOte",
	} {
		p := e.post("yixian", acks, body).problem(400, "invalid")
		var got []string
		for _, f := range p.Errors {
			got = append(got, f.Field)
		}
		if strings.Join(got, " ") != fields {
			t.Errorf("%s: faults in %q, want %q", body, got, fields)
		}
	}
	for body, field := range map[string]string{
		`{"kind":"check","text":"a","text":"b"}`:                                 "text",
		`{"KIND":"check","text":"a"}`:                                            "KIND",
		`{"kind":"check","targets":{"areas":["130633"],"areas":["130630"]}}`:     "targets.areas",
		`{"kind":"check","targets":{"Areas":["130633"]}}`:                        "targets.Areas",
		`{"targets":{"areas":["130633"]},"kind":"check","targets":{"teams":[]}}`: "targets",
	} {
		p := e.post("yixian", "/orders", body, "Idempotency-Key", "strict-bodies-1").problem(400, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %+v, want a fault in %s", body, p.Errors, field)
		}
	}
	e.post("yixian", acks, `{}`, "Content-Type", "text/plain").problem(415, "invalid")
	e.post("yixian", acks, `{}`, "Content-Type", "application/x-www-form-urlencoded").problem(415, "invalid")
}

func TestWhatHasNoRoute(t *testing.T) {
	e := newEnv(t)
	for _, row := range []struct {
		method, path string
		status       int
		code, body   string
	}{
		{"GET", "/api/v1/nothing", 404, "not_found", ""},
		{"GET", "/api/v2/areas", 404, "not_found", ""},
		{"GET", "/api", 404, "not_found", ""},
		{"PUT", "/api/v1/areas", 405, "invalid", ""},
		{"POST", "/healthz", 405, "invalid", ""},
		{"POST", "/", 405, "invalid", ""},
		{"GET", "/assets/gone.js", 404, "not_found", ""},
		{"GET", "/", 200, "", "console"},
		{"GET", "/orders/or-1", 200, "", "console"},
		{"GET", "/team", 200, "", "console"},
		{"GET", "/../../etc/passwd", 200, "", "console"},
		{"GET", "/assets", 200, "", "console"},
		{"GET", "/assets/app-1f2e3d.js", 200, "", "export{}"},
	} {
		r := e.do(request{method: row.method, path: row.path})
		switch {
		case row.code != "":
			r.problem(row.status, row.code)
		case r.Code != row.status || !strings.Contains(r.Body.String(), row.body):
			t.Errorf("%s %s: %d %.60s", row.method, row.path, r.Code, r.Body)
		}
		if r.Code == 405 && r.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", row.method, row.path)
		}
	}
	for path, want := range map[string][2]string{
		"/":                     {"text/html; charset=utf-8", "no-cache"},
		"/assets/app-1f2e3d.js": {"text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/favicon.png":          {"image/png", "no-cache"},
	} {
		h := e.do(request{method: "GET", path: path}).Header()
		if h.Get("Content-Type") != want[0] || h.Get("Cache-Control") != want[1] {
			t.Errorf("%s: %q, %q", path, h.Get("Content-Type"), h.Get("Cache-Control"))
		}
	}
	if r := e.do(request{method: "HEAD", path: "/"}); r.Code != 200 || r.Body.Len() != 0 || r.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD /: %d, %d bytes", r.Code, r.Body.Len())
	}
}

func TestConsoleThatWasNotBuilt(t *testing.T) {
	for name, files := range map[string]fs.FS{"none": nil, "empty": fstest.MapFS{"keep": {}}} {
		e := newEnv(t, func(o *Options) { o.Console = files })
		r := e.do(request{method: "GET", path: "/"}).want(200)
		if !strings.Contains(r.Body.String(), "make console") || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s", name, r.Body)
		}
		e.do(request{method: "GET", path: "/api/x"}).problem(404, "not_found")
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{"/", "/api/v1/areas", "/api/v1/nothing", "/healthz"} {
		h := e.do(request{method: "GET", path: path}).Header()
		if !strings.Contains(h.Get("Content-Security-Policy"), "worker-src 'self' blob:") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	for id, kept := range map[string]bool{"abcdef-12345": true, "x": false, "a b c d e f g": false, strings.Repeat("a", 65): false} {
		r := e.do(request{method: "GET", path: "/healthz", headers: map[string]string{"X-Request-Id": id}})
		if got := r.Header().Get("X-Request-Id"); (got == id) != kept {
			t.Errorf("request id %q became %q", id, got)
		}
	}
	if got := e.get("yixian", "/areas").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of the API: %q", got)
	}
}

func TestLongAnswersAreCompressed(t *testing.T) {
	e := newEnv(t)
	plain := e.do(request{method: "GET", path: "/"})
	r := e.do(request{method: "GET", path: "/", headers: map[string]string{"Accept-Encoding": "br, gzip;q=0.8"}})
	if r.Header().Get("Content-Encoding") != "gzip" || r.Body.Len() >= plain.Body.Len() {
		t.Fatalf("not compressed: %v, %d bytes", r.Header(), r.Body.Len())
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, plain.Body.Bytes()) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if r := e.do(request{method: "GET", path: "/", headers: map[string]string{"Accept-Encoding": "gzip;q=0"}}); r.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for a client that refuses it")
	}
}

func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	e := newEnv(t)
	for _, broken := range []bool{false, true} {
		if broken {
			e.setHealth(Check{Name: "broker", Reason: "connection refused"})
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			get, head := e.do(request{method: "GET", path: path}), e.do(request{method: "HEAD", path: path})
			if head.Code != get.Code || head.Body.Len() != 0 {
				t.Errorf("HEAD %s: %d with %d bytes, want %d and none", path, head.Code, head.Body.Len(), get.Code)
			}
			for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control"} {
				if got, want := head.Header().Get(name), get.Header().Get(name); got != want {
					t.Errorf("HEAD %s: %s %q, want %q", path, name, got, want)
				}
			}
		}
	}
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	e := newEnv(t)
	e.do(request{method: "GET", path: "/healthz"}).want(200)
	const here = "127.0.0.1:4711"
	if x := into[v1.Readiness](e.do(request{method: "GET", path: "/readyz", from: here}).want(200)); !x.Ready || len(x.Parts) != 2 {
		t.Errorf("readyz %+v", x)
	}
	e.setHealth(Check{Name: v1.PartStore, OK: true}, Check{Name: "broker", Reason: "connection refused"})
	x := into[v1.Readiness](e.do(request{method: "GET", path: "/readyz", from: here}).want(503))
	if x.Ready || x.Parts[1].Reason != "connection refused" {
		t.Errorf("readyz %+v", x)
	}
	e.get("yixian", "/devices/s-yixian")
	e.do(request{method: "BREW", path: "/pot"})
	got := e.do(request{method: "GET", path: "/metrics", from: here}).want(200).Body.String()
	for _, line := range []string{
		`firewatch_http_requests_total{method="GET",route="/api/v1/devices/:id",status="200"} 1`,
		`firewatch_http_requests_total{method="other",route="other",status="405"} 1`,
		`firewatch_http_event_streams 0`,
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %s", line)
		}
	}
}

// TestInsideIsForInsiders: how the system is inside is for the machine itself
// and for those on duty.
func TestInsideIsForInsiders(t *testing.T) {
	e := newEnv(t)
	e.setHealth(Check{Name: v1.PartStore, OK: true}, Check{Name: "broker", Reason: "dial tcp 10.9.8.7:5432: refused"})
	for _, row := range []struct {
		as, from, header string
		inside, duty     bool
	}{
		{"", "192.0.2.1:1234", "", false, false},
		{"", "not an address", "", false, false},
		{"", "127.0.0.1:1", "", true, false},
		{"", "127.8.0.1:1", "", true, false},
		{"", "[::1]:1", "", true, false},
		{"", "[::ffff:127.0.0.1]:1", "", true, false},
		{"", "192.0.2.1:1", "X-Forwarded-For", false, false},
		{"", "127.0.0.1:1", "X-Forwarded-For", false, false},
		{"", "127.0.0.1:1", "x-forwarded-host", false, false},
		{"", "127.0.0.1:1", "Forwarded", false, false},
		{"", "127.0.0.1:1", "X-Real-IP", false, false},
		{"", "127.0.0.1:1", "Via", false, false},
		{"nobody", "192.0.2.1:1", "", false, false},
		{"team-yizhou", "192.0.2.1:1", "", false, false},
		{"yixian", "192.0.2.1:1", "", true, true},
		{"admin", "127.0.0.1:1", "X-Forwarded-For", true, true},
	} {
		r := request{method: "GET", as: row.as, from: row.from, headers: map[string]string{}}
		if row.header != "" {
			r.headers[row.header] = "127.0.0.1"
		}
		reason := func(path string) string {
			r.path = path
			got := e.do(r)
			if path == "/readyz" {
				return into[v1.Readiness](got.want(503)).Parts[1].Reason
			}
			return into[v1.Status](got.want(200)).Parts[1].Reason
		}
		if got := reason("/readyz"); strings.Contains(got, "10.9.8.7") != row.inside || !row.inside && got != "见日志 see the log" {
			t.Errorf("%+v: /readyz gives %q", row, got)
		}
		if got := reason(v1.Prefix + "/status"); strings.Contains(got, "10.9.8.7") != row.duty || !row.duty && got != "" {
			t.Errorf("%+v: /status gives %q", row, got)
		}
		r.path = "/metrics"
		if got := e.do(r); row.inside && got.Code != 200 {
			t.Errorf("%+v: /metrics: %d", row, got.Code)
		} else if !row.inside {
			got.problem(403, "forbidden")
		}
	}
}

// TestOfficeSeesWhyTheStoreIsAway although its session cannot be read then.
func TestOfficeSeesWhyTheStoreIsAway(t *testing.T) {
	e := newEnv(t)
	status := func(as string) string {
		t.Helper()
		return into[v1.Status](e.get(as, "/status").want(200)).Parts[0].Reason
	}
	for _, as := range []string{"yixian", "laiyuan", "team-yizhou"} {
		status(as)
	}
	e.do(request{method: "DELETE", path: v1.Prefix + "/sessions/current", as: "laiyuan"}).want(204)
	e.store.Fail(errAway)
	e.setHealth(Check{Name: v1.PartStore, Reason: "no answer"})
	for as, want := range map[string]string{"yixian": "no answer", "laiyuan": "", "team-yizhou": "", "city": "", "": ""} {
		if got := status(as); got != want {
			t.Errorf("%q sees %q, want %q", as, got, want)
		}
	}
	e.advance(2 * time.Hour)
	if got := status("yixian"); got != "" {
		t.Errorf("after the session's end it sees %q", got)
	}
}

func TestAccessLogIsQuietAboutReading(t *testing.T) {
	e := newEnv(t)
	const secret = "s3cret-word"
	line := func(r request) (zapcore.Level, map[string]any) {
		t.Helper()
		e.logs.TakeAll()
		e.do(r)
		lines := e.logs.FilterMessage("http request").All()
		if len(lines) != 1 {
			t.Fatalf("%s %s: %d lines, want 1", r.method, r.path, len(lines))
		}
		return lines[0].Level, lines[0].ContextMap()
	}
	for _, row := range []struct {
		r    request
		want zapcore.Level
	}{
		{request{method: "GET", path: v1.Prefix + "/alerts?area=130633", as: "yixian"}, zapcore.DebugLevel},
		{request{method: "GET", path: v1.Prefix + "/status"}, zapcore.DebugLevel},
		{request{method: "HEAD", path: "/"}, zapcore.DebugLevel},
		{request{method: "GET", path: v1.Prefix + "/alerts?token=" + secret, as: "yixian"}, zapcore.InfoLevel}, // 400
		{request{method: "GET", path: v1.Prefix + "/areas", headers: map[string]string{"Authorization": "Bearer " + secret}}, zapcore.InfoLevel},
		{request{method: "GET", path: "/gone.js"}, zapcore.InfoLevel},
		{request{method: "POST", path: v1.Prefix + "/sessions", body: `{"username":"yixian","password":"` + secret + `"}`}, zapcore.InfoLevel},
		{request{method: "POST", path: v1.Prefix + "/alerts/al-yixian/acks", as: "yixian", body: `{"note":"` + secret + `"}`}, zapcore.InfoLevel},
	} {
		level, fields := line(row.r)
		if level != row.want {
			t.Errorf("%s %s: %s, want %s", row.r.method, row.r.path, level, row.want)
		}
		if text := fmt.Sprint(fields); strings.Contains(text, secret) || row.r.as != "" && strings.Contains(text, tokenFor(row.r.as)) {
			t.Errorf("%s %s: the line tells a secret: %s", row.r.method, row.r.path, text)
		}
	}
	e.store.Fail(errAway)
	if level, _ := line(request{method: "GET", path: v1.Prefix + "/areas", as: "yixian"}); level != zapcore.ErrorLevel {
		t.Errorf("a 500: %s, want error", level)
	}
	if level := levelOf("GET", "/api/v1/events", 503); level != zapcore.WarnLevel {
		t.Errorf("a 503: %s, want warn", level)
	}
	if level := levelOf("GET", "/readyz", 503); level != zapcore.DebugLevel {
		t.Errorf("a readiness that says no: %s, want debug", level)
	}
}

func TestGoneClientIsNoError(t *testing.T) {
	e := newEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, v1.Prefix+"/areas", nil)
	r.Header.Set("Authorization", "Bearer "+tokenFor("yixian"))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if n := len(e.logs.FilterLevelExact(zapcore.ErrorLevel).All()); n != 0 || w.Body.Len() != 0 {
		t.Errorf("%d errors in the log, body %s", n, w.Body)
	}
}
