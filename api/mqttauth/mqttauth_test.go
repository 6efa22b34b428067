package mqttauth_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"firewatch/api/mqttauth"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

const token = "token-of-the-tests"

// people are a phone, a tracker, a team and a role of the embedded broker, each
// with the password "pw-" and its name.
var people = map[string]ingest.Principal{
	"phone":          {Device: "phone", Kind: contract.Tracker, Topic: "owntracks/jane/phone"},
	"tr-1":           {Device: "tr-1", Kind: contract.Tracker},
	"team:T1":        {Team: "T1"},
	"service:ingest": {Service: true},
}

type credentials struct{}

func (credentials) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	p, ok := people[username]
	return p, ok && string(password) == "pw-"+username
}

func options() mqttauth.Options {
	return mqttauth.Options{
		Credential: credentials{}, Token: token, ServiceUsername: "firewatch", ServicePassword: "pw-firewatch", Log: zap.NewNop(),
		Principal: func(username string) (ingest.Principal, bool) {
			p, ok := people[username]
			return p, ok && !p.Service
		},
	}
}

func newHandler(tb testing.TB, o mqttauth.Options) *mqttauth.Handler {
	tb.Helper()
	h, err := mqttauth.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func ask(tb testing.TB, h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestEMQX asks as EMQX 5 does with the bodies of its documentation.
func TestEMQX(t *testing.T) {
	h := newHandler(t, options())
	form := func(pairs ...string) string {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v.Encode()
	}
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	for _, row := range []struct{ name, path, kind, body, want string }{
		{"device", "auth", asJSON, `{"clientid":"c","username":"tr-1","password":"pw-tr-1","peerhost":"10.0.0.1"}`, `{"result":"allow","is_superuser":false}`},
		{"device by form", "auth", asForm, form("username", "tr-1", "password", "pw-tr-1"), `{"result":"allow","is_superuser":false}`},
		{"team", "auth", asJSON, `{"username":"team:T1","password":"pw-team:T1"}`, `{"result":"allow","is_superuser":false}`},
		{"our own account", "auth", asJSON, `{"username":"firewatch","password":"pw-firewatch"}`, `{"result":"allow","is_superuser":true}`},
		{"our own account, wrong", "auth", asJSON, `{"username":"firewatch","password":"pw-tr-1"}`, `{"result":"deny"}`},
		{"a role of the embedded broker", "auth", asJSON, `{"username":"service:ingest","password":"pw-service:ingest"}`, `{"result":"deny"}`},
		{"wrong password", "auth", asJSON, `{"username":"tr-1","password":"x"}`, `{"result":"deny"}`},
		{"no password", "auth", asJSON, `{"username":"tr-1","password":null}`, `{"result":"deny"}`},
		{"unknown", "auth", asJSON, `{"username":"nobody","password":"pw-nobody"}`, `{"result":"deny"}`},
		{"nobody", "auth", asJSON, `{}`, `{"result":"deny"}`},
		{"not JSON", "auth", asJSON, `{`, `{"result":"deny"}`},
		{"a number for a name", "auth", asJSON, `{"username":7}`, `{"result":"deny"}`},
		{"no type", "auth", "", `{"username":"tr-1","password":"pw-tr-1"}`, `{"result":"deny"}`},
		{"too large", "auth", asJSON, `{"username":"tr-1","password":"pw-tr-1","x":"` + strings.Repeat("x", 64<<10) + `"}`, `{"result":"deny"}`},

		{"its topic", "acl", asJSON, `{"username":"tr-1","topic":"fw/v1/trackers/tr-1/positions","action":"publish","qos":1,"retain":false}`, `{"result":"allow"}`},
		{"its topic by form", "acl", asForm, form("username", "tr-1", "topic", "fw/v1/trackers/tr-1/sos", "action", "publish"), `{"result":"allow"}`},
		{"another's", "acl", asJSON, `{"username":"tr-1","topic":"fw/v1/trackers/tr-2/positions","action":"publish"}`, `{"result":"deny"}`},
		{"its orders", "acl", asJSON, `{"username":"tr-1","topic":"fw/v1/trackers/tr-1/orders","action":"subscribe"}`, `{"result":"allow"}`},
		{"to give orders", "acl", asJSON, `{"username":"tr-1","topic":"fw/v1/trackers/tr-1/orders","action":"publish"}`, `{"result":"deny"}`},
		{"everything", "acl", asJSON, `{"username":"tr-1","topic":"#","action":"subscribe"}`, `{"result":"deny"}`},
		{"another action", "acl", asJSON, `{"username":"tr-1","topic":"fw/v1/trackers/tr-1/positions","action":"all"}`, `{"result":"deny"}`},
		{"the phone's alias", "acl", asJSON, `{"username":"phone","topic":"owntracks/jane/phone/event","action":"publish"}`, `{"result":"allow"}`},
		{"another phone's", "acl", asJSON, `{"username":"phone","topic":"owntracks/jane/phone2","action":"publish"}`, `{"result":"deny"}`},
		{"the team's answers", "acl", asJSON, `{"username":"team:T1","topic":"fw/v1/teams/T1/answers","action":"publish"}`, `{"result":"allow"}`},
		{"all that is ours", "acl", asJSON, `{"username":"firewatch","topic":"#","action":"subscribe"}`, `{"result":"allow"}`},
		{"the system's", "acl", asJSON, `{"username":"firewatch","topic":"$SYS/#","action":"subscribe"}`, `{"result":"allow"}`},
		{"nobody's", "acl", asJSON, `{"username":"","topic":"","action":"publish"}`, `{"result":"deny"}`},
	} {
		w := ask(t, h, "/mqtt/emqx/"+row.path, row.kind, row.body)
		if w.Code != 200 || w.Body.String() != row.want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %s, want %s", row.name, w.Code, w.Header().Get("Content-Type"), w.Body, row.want)
		}
	}
}

// TestEMQXByGET asks as EMQX does with method = get: the body's fields are the
// query.
func TestEMQXByGET(t *testing.T) {
	h := newHandler(t, options())
	for _, row := range []struct {
		path, query string
		code        int
		want        string
	}{
		{"/mqtt/emqx/auth", "clientid=c&username=tr-1&password=pw-tr-1&peerhost=10.0.0.1", 200, `{"result":"allow","is_superuser":false}`},
		{"/mqtt/emqx/auth", "username=team%3AT1&password=pw-team%3AT1", 200, `{"result":"allow","is_superuser":false}`},
		{"/mqtt/emqx/auth", "username=tr-1&password=x", 200, `{"result":"deny"}`},
		{"/mqtt/emqx/auth", "", 200, `{"result":"deny"}`},
		{"/mqtt/emqx/auth", "username=%", 200, `{"result":"deny"}`},
		{"/mqtt/emqx/auth", "username=tr-1&password=pw-tr-1&x=" + strings.Repeat("x", 64<<10), 200, `{"result":"deny"}`},
		{"/mqtt/emqx/acl", "username=tr-1&topic=fw%2Fv1%2Ftrackers%2Ftr-1%2Fsos&action=publish", 200, `{"result":"allow"}`},
		{"/mqtt/emqx/acl", "username=tr-1&topic=%23&action=subscribe", 200, `{"result":"deny"}`},
		{"/mqtt/goauth/user", "username=tr-1&password=pw-tr-1", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, row.path+"?"+row.query, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != row.code || w.Body.String() != row.want {
			t.Errorf("%s?%s: %d %s, want %s", row.path, clipped(row.query), w.Code, w.Body, row.want)
		}
	}
}

func clipped(s string) string { return s[:min(len(s), 80)] }

// goAuth asks as backends/http.go of mosquitto-go-auth does.
type goAuth struct {
	t            *testing.T
	host         string
	form         bool
	responseMode string
}

func (g goAuth) request(uri string, params map[string]any) bool {
	g.t.Helper()
	if g.responseMode == "text" {
		uri += "?mode=text"
	}
	var (
		resp *http.Response
		err  error
	)
	if g.form {
		v := url.Values{}
		for k, x := range params {
			if n, ok := x.(int32); ok {
				x = strconv.Itoa(int(n))
			}
			v.Set(k, x.(string))
		}
		resp, err = http.PostForm("http://"+g.host+uri, v)
	} else {
		var body []byte
		if body, err = json.Marshal(params); err != nil {
			g.t.Fatal(err)
		}
		resp, err = http.Post("http://"+g.host+uri, "application/json", bytes.NewReader(body))
	}
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 300 {
		if resp.StatusCode >= 500 {
			g.t.Errorf("%s: status %d is a fault of the server to them", uri, resp.StatusCode)
		}
		return false
	}
	switch g.responseMode {
	case "text":
		return string(body) == "ok"
	case "json":
		var answer struct {
			OK    bool   `json:"ok"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			g.t.Fatalf("%v in %s", err, body)
		}
		return answer.OK
	}
	return true
}

func TestMosquittoGoAuth(t *testing.T) {
	server := httptest.NewServer(newHandler(t, options()))
	defer server.Close()
	// An account in http_host is the way to show the token: the backend sets no
	// headers of its own.
	host := "broker:" + token + "@" + strings.TrimPrefix(server.URL, "http://")
	for _, mode := range []string{"status", "json", "text"} {
		for _, form := range []bool{false, true} {
			g := goAuth{t, host, form, mode}
			user := func(name, password string) bool {
				return g.request("/mqtt/goauth/user", map[string]any{"username": name, "password": password, "clientid": "c"})
			}
			super := func(name string) bool {
				return g.request("/mqtt/goauth/superuser", map[string]any{"username": name})
			}
			acl := func(name, topic string, acc int32) bool {
				return g.request("/mqtt/goauth/acl", map[string]any{"username": name, "clientid": "c", "topic": topic, "acc": acc})
			}
			for what, row := range map[string]struct{ got, want bool }{
				"device":               {user("tr-1", "pw-tr-1"), true},
				"wrong password":       {user("tr-1", "x"), false},
				"our own account":      {user("firewatch", "pw-firewatch"), true},
				"superuser":            {super("firewatch"), true},
				"no superuser":         {super("tr-1"), false},
				"publishes":            {acl("tr-1", "fw/v1/trackers/tr-1/positions", 2), true},
				"publishes another's":  {acl("tr-1", "fw/v1/trackers/tr-2/positions", 2), false},
				"subscribes":           {acl("tr-1", "fw/v1/trackers/tr-1/orders", 4), true},
				"subscribes to all":    {acl("tr-1", "fw/v1/#", 4), false},
				"is given an order":    {acl("tr-1", "fw/v1/trackers/tr-1/orders", 1), true},
				"is given another's":   {acl("tr-1", "fw/v1/trackers/tr-2/orders", 1), false},
				"both at once":         {acl("tr-1", "fw/v1/trackers/tr-1/orders", 3), false},
				"nothing":              {acl("tr-1", "fw/v1/trackers/tr-1/orders", 0), false},
				"the phone":            {acl("phone", "owntracks/jane/phone", 2), true},
				"hears all that comes": {acl("firewatch", "fw/v1/trackers/tr-1/positions", 1), true},
			} {
				if row.got != row.want {
					t.Errorf("%s, form %v: %s is %v", mode, form, what, row.got)
				}
			}
		}
	}
}

func TestOnlyWhoShowsTheTokenMayAsk(t *testing.T) {
	h := newHandler(t, options())
	for _, row := range []struct {
		name   string
		query  string
		header string
		want   int
	}{
		{"bearer", "", "Bearer " + token, 200},
		{"basic", "", "Basic YnJva2VyOnRva2VuLW9mLXRoZS10ZXN0cw==", 200},
		{"query", "?token=" + token, "", 200},
		{"nothing", "", "", 401},
		{"wrong", "", "Bearer " + token + "x", 401},
		{"wrong header, right query", "?token=" + token, "Bearer x", 401},
		{"empty", "?token=", "Bearer ", 401},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mqtt/emqx/auth"+row.query, strings.NewReader(`{}`))
		r.Header.Set("Content-Type", "application/json")
		if row.header != "" {
			r.Header.Set("Authorization", row.header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != row.want || strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: %d %s", row.name, w.Code, w.Body)
		}
	}
	for name, spoil := range map[string]func(*mqttauth.Options){
		"Token": func(o *mqttauth.Options) { o.Token = "" }, "Credential": func(o *mqttauth.Options) { o.Credential = nil },
		"Principal": func(o *mqttauth.Options) { o.Principal = nil }, "Log": func(o *mqttauth.Options) { o.Log = nil },
		"ServicePassword": func(o *mqttauth.Options) { o.ServicePassword = "" },
	} {
		o := options()
		spoil(&o)
		if _, err := mqttauth.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuessingIsSlowedAndLocksNobodyOut(t *testing.T) {
	now := time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC)
	o := options()
	o.Now = func() time.Time { return now }
	core, logs := observer.New(zapcore.DebugLevel)
	o.Log = zap.New(core)
	h := newHandler(t, o)
	login := func(name, password, from string) bool {
		body := `{"username":"` + name + `","password":"` + password + `","peerhost":"` + from + `"}`
		return strings.Contains(ask(t, h, "/mqtt/emqx/auth", "application/json", body).Body.String(), "allow")
	}
	if !login("tr-1", "pw-tr-1", "10.0.0.1") {
		t.Fatal("refused at first")
	}
	for range 50 {
		login("tr-1", "guess-hunter2", "10.6.6.6")
		login("tr-1", "guess-hunter2", "")
	}
	if login("tr-1", "pw-tr-1", "10.6.6.6") || login("tr-1", "pw-tr-1", "") {
		t.Error("the guesser may go on")
	}
	if !login("tr-1", "pw-tr-1", "10.0.0.1") {
		t.Error("the device is locked out where it has logged in before")
	}
	if !login("phone", "pw-phone", "10.6.6.6") {
		t.Error("another device behind the guesser's address is locked out already")
	}
	for i := range 300 {
		login("tr-"+strconv.Itoa(1000+i), "x", "10.6.6.6")
	}
	if login("phone", "pw-phone", "10.6.6.6") {
		t.Error("an address may try every name")
	}
	now = now.Add(10 * time.Minute)
	if !login("tr-1", "pw-tr-1", "") || !login("phone", "pw-phone", "10.6.6.6") {
		t.Error("refused after a rest")
	}
	for _, line := range logs.All() {
		if text, err := json.Marshal(line.ContextMap()); err != nil || strings.Contains(string(text), "hunter2") {
			t.Fatalf("a password is logged: %s, %v", text, err)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add("application/json", `{"username":"tr-1","topic":"fw/v1/trackers/tr-1/positions","action":"publish","acc":2}`)
	f.Add("application/x-www-form-urlencoded", "username=tr-1&acc=2&topic=%23")
	o := options()
	o.Principal = func(string) (ingest.Principal, bool) { return ingest.Principal{}, false }
	h := newHandler(f, o)
	f.Fuzz(func(t *testing.T, kind, body string) {
		if strings.Contains(body, "firewatch") {
			return // our own account may do everything
		}
		for _, path := range []string{"emqx/acl", "goauth/acl", "goauth/superuser"} {
			w := ask(t, h, "/mqtt/"+path, kind, body)
			if answer := w.Body.String(); strings.Contains(answer, "allow") || strings.Contains(answer, "true") || w.Code >= 500 {
				t.Errorf("%s: %d %s", path, w.Code, answer)
			}
		}
	})
}

func BenchmarkEMQX(b *testing.B) {
	h := newHandler(b, options())
	for path, body := range map[string]string{
		"auth": `{"clientid":"tr-1","username":"tr-1","password":"pw-tr-1","peerhost":"10.0.0.1"}`,
		"acl":  `{"clientid":"tr-1","username":"tr-1","topic":"fw/v1/trackers/tr-1/positions","action":"publish"}`,
	} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(b, h, "/mqtt/emqx/"+path, "application/json", body); w.Body.Len() < 18 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
