package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/api/password"
	"firewatch/api/session"
	v1 "firewatch/api/v1"
)

// withPassword gives the account yixian a password.
func withPassword(t *testing.T, e *env, pw string) {
	t.Helper()
	u, err := e.store.User(t.Context(), "yixian")
	if err != nil {
		t.Fatal(err)
	}
	if u.PasswordHash, err = password.Hash(pw); err != nil {
		t.Fatal(err)
	}
	if err := e.store.SaveUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}

func login(e *env, username, pw string) response {
	return e.post("", "/sessions", v1.SessionRequest{Username: username, Password: pw})
}

func TestLogInUseAndLogOut(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.SecureCookies = true })
	withPassword(t, e, "防火 2026")
	r := login(e, "yixian", "防火 2026").want(http.StatusCreated)
	s := into[v1.SessionResponse](r)
	if want := (v1.Me{Username: "yixian", Name: "易县防火办", Role: "office", Area: "130633", AreaName: "易县", Demo: true}); s.User != want {
		t.Errorf("user %+v, want %+v", s.User, want)
	}
	if !s.Expires.Equal(begin.Add(session.OfficeTTL)) {
		t.Errorf("expires %s", s.Expires)
	}
	k := r.Result().Cookies()
	if len(k) != 1 || k[0].Name != v1.CookieName || k[0].Value != s.Token || !k[0].HttpOnly || !k[0].Secure ||
		k[0].SameSite != http.SameSiteStrictMode || k[0].Path != "/" || k[0].MaxAge != int(session.OfficeTTL.Seconds()) {
		t.Errorf("cookie %+v", k)
	}
	if _, _, err := e.store.Session(t.Context(), s.Token, begin); err == nil {
		t.Error("the token itself is stored")
	}
	for _, h := range []map[string]string{
		{"Authorization": "Bearer " + s.Token}, {"Cookie": v1.CookieName + "=" + s.Token},
	} {
		me := e.do(request{method: "GET", path: v1.Prefix + "/sessions/current", headers: h}).want(200)
		if into[v1.Me](me).Username != "yixian" {
			t.Errorf("%v: %s", h, me.Body)
		}
	}
	out := e.do(request{method: "DELETE", path: v1.Prefix + "/sessions/current", headers: map[string]string{"Authorization": "Bearer " + s.Token}}).want(204)
	if k := out.Result().Cookies(); len(k) != 1 || k[0].MaxAge >= 0 {
		t.Errorf("the cookie is not taken back: %+v", k)
	}
	e.do(request{
		method: "GET", path: v1.Prefix + "/sessions/current", headers: map[string]string{"Authorization": "Bearer " + s.Token},
	}).problem(401, "unauthenticated")
}

func TestWrongLoginsLookTheSame(t *testing.T) {
	e := newEnv(t)
	withPassword(t, e, "right")
	off := alerts.User{Username: "off", Role: alerts.RoleAdmin, Disabled: true}
	var err error
	if off.PasswordHash, err = password.Hash("right"); err != nil {
		t.Fatal(err)
	}
	if err := e.store.SaveUser(t.Context(), off); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]bool{}
	for _, c := range [][2]string{{"yixian", "wrong"}, {"nobody", "right"}, {"off", "right"}, {"admin", "right"}} { // admin has no password
		bodies[login(e, c[0], c[1]).want(401).Body.String()] = true
	}
	if len(bodies) != 1 {
		t.Errorf("answers differ: %v", bodies)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	e := newEnv(t)
	withPassword(t, e, "right")
	from := func(addr, user, pw string) response {
		t.Helper()
		return e.do(request{
			method: "POST", path: v1.Prefix + "/sessions", body: fmt.Sprintf(`{"username":%q,"password":%q}`, user, pw),
			headers: map[string]string{"X-Forwarded-For": addr},
		})
	}
	// Not a trusted proxy: what it says about the client counts for nothing.
	for i := range 10 {
		from(fmt.Sprint("203.0.113.", i), "yixian", "wrong").problem(401, "unauthenticated")
	}
	r := from("203.0.113.77", "yixian", "right")
	r.problem(http.StatusTooManyRequests, "rate_limited")
	if r.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	e.advance(time.Minute)
	from("203.0.113.77", "yixian", "right").want(201)
	// A right password gives the token back: nobody is locked out by working.
	for range 12 {
		from("203.0.113.77", "yixian", "right").want(201)
	}
}

func TestStrangersCannotLockOutAKnownClient(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.TrustedProxies = []string{"192.0.2.1"} }) // the address of httptest's requests
	withPassword(t, e, "right")
	from := func(addr, pw string) response {
		t.Helper()
		return e.do(request{
			method: "POST", path: v1.Prefix + "/sessions", body: fmt.Sprintf(`{"username":"yixian","password":%q}`, pw),
			headers: map[string]string{"X-Forwarded-For": addr},
		})
	}
	from("203.0.113.1", "right").want(201)
	for i := range 11 {
		from(fmt.Sprint("198.51.100.", i), "wrong")
	}
	from("198.51.100.99", "right").problem(429, "rate_limited")
	from("203.0.113.1", "right").want(201)
}

func TestSessionsEnd(t *testing.T) {
	e := newEnv(t)
	e.get("yixian", "/areas").want(200)
	u := accounts[2]
	u.Disabled = true
	if err := e.store.SaveUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	e.get("yixian", "/areas").problem(401, "unauthenticated")
	e.get("laiyuan", "/areas").want(200)
	e.advance(time.Hour)
	e.get("laiyuan", "/areas").problem(401, "unauthenticated")
	for _, token := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 5000)} {
		r := e.do(request{method: "GET", path: v1.Prefix + "/areas", headers: map[string]string{"Authorization": "Bearer " + token}})
		r.problem(401, "unauthenticated")
		if r.Header().Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
	}
}

func TestCookieFromAnotherSiteChangesNothing(t *testing.T) {
	e := newEnv(t)
	ack := func(h map[string]string) response {
		h["Cookie"] = v1.CookieName + "=" + tokenFor("yixian")
		return e.do(request{method: "POST", path: v1.Prefix + "/alerts/al-yixian/acks", body: `{}`, headers: h})
	}
	for _, h := range []map[string]string{
		{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"},
	} {
		ack(h).problem(http.StatusForbidden, "forbidden")
	}
	for _, h := range []map[string]string{
		{"Origin": "http://example.com"}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://example.com"},
	} {
		if r := ack(h); r.Code >= 300 {
			t.Errorf("%v: %d %s", h, r.Code, r.Body)
		}
	}
	// A token in a header is never sent by a browser on its own.
	e.post("yixian", "/alerts/al-yixian/acks", `{"note":"b"}`, "Origin", "https://evil.example").want(201)
	// Nor may another site log somebody in.
	e.post("", "/sessions", v1.SessionRequest{Username: "a", Password: "b"}, "Origin", "https://evil.example").problem(403, "forbidden")
}
