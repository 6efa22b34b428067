package api

import (
	"strings"
	"testing"

	"firewatch/alerts/cap"
	v1 "firewatch/api/v1"
)

func TestWarningsAndOrdersGoOutAsCAP(t *testing.T) {
	e := newEnv(t)
	w := into[v1.Warning](e.warn("city", capDoc{"w1", sent, "Actual", "Alert", "", "ORANGE", area("易县", "130633000000")}).want(201))
	drill := into[v1.Warning](e.warn("city", capDoc{"w2", sent, "Exercise", "Alert", "", "RED", area("易县", "130633")}).want(201))
	for path, want := range map[string]string{
		"/warnings/" + w.ID + ".cap":     "<status>Actual</status>",
		"/warnings/" + drill.ID + ".cap": "<status>Exercise</status>",
		"/orders/or-both.cap":            "<identifier>or-both</identifier>",
	} {
		r := e.get("yixian", path).want(200)
		if kind := r.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/cap+xml") {
			t.Errorf("%s: %s", path, kind)
		}
		if body := r.Body.String(); cap.Check([]byte(body)) != nil || !strings.Contains(body, want) {
			t.Errorf("%s: %v\n%s", path, cap.Check([]byte(body)), body)
		}
	}
	r := e.get("team-yizhou", "/warnings.atom").want(200)
	f, err := cap.ParseFeed(r.Body.Bytes())
	if err != nil || len(f.Entries) != 1 || !strings.HasSuffix(f.Entries[0].URL, v1.Prefix+"/warnings/"+w.ID+".cap") ||
		!strings.HasPrefix(r.Header().Get("Content-Type"), "application/atom+xml") {
		t.Errorf("%v\n%s", err, r.Body)
	}
}
