package v1

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"firewatch/alerts"
	"firewatch/api/session"
	"firewatch/api/stream"
)

func TestEveryErrorHasOneStatus(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("doing a secret thing: %w", err) }
	for _, row := range []struct {
		err    error
		status int
		code   string
	}{
		{wrap(alerts.ErrNotFound), 404, "not_found"},
		{wrap(alerts.ErrConflict), 409, "conflict"},
		{wrap(alerts.ErrUnavailable), 503, "unavailable"},
		{wrap(session.ErrCredentials), 401, "unauthenticated"},
		{wrap(session.ErrNoSession), 401, "unauthenticated"},
		{wrap(&session.ThrottledError{}), 429, "rate_limited"},
		{wrap(session.ErrBusy), 503, "unavailable"},
		{wrap(stream.ErrFull), 429, "rate_limited"},
		{wrap(stream.ErrClosed), 503, "unavailable"},
		{wrap(&http.MaxBytesError{Limit: 5}), 413, "too_large"},
		{wrap(&Error{Code: CodeForbidden}), 403, "forbidden"},
		{wrap(&Error{Code: "unheard of"}), 500, "internal"},
		{wrap(errors.New("x")), 500, "internal"},
	} {
		p := AsError(row.err).Problem()
		if p.Status != row.status || p.Code != row.code || p.Title == "" || strings.Contains(p.Detail, "secret") {
			t.Errorf("%v: %+v", row.err, p)
		}
	}
	for code, m := range mapping {
		if m.status < 400 || m.title == "" {
			t.Errorf("%s maps to %+v", code, m)
		}
	}
}

func TestPagesMeetWithoutOverlap(t *testing.T) {
	items := []string{"a", "c", "e", "g"}
	key := func(s string) string { return s }
	for _, row := range []struct {
		after string
		limit int
		want  string
		more  bool
	}{
		{"", 2, "a c", true},
		{"c", 2, "e g", false},
		{"b", 2, "c e", true}, // b has gone meanwhile
		{"", 4, "a c e g", false},
		{"g", 4, "", false},
		{"z", 1, "", false},
	} {
		l := page(items, key, row.after, row.limit)
		if got := strings.Join(l.Items, " "); got != row.want || (l.Next != nil) != row.more {
			t.Errorf("after %q, %d: %q, next %v", row.after, row.limit, got, l.Next)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "br, GZIP": true, "gzip; q=0": false, "gzip;q=0.5": true, "gzip;q=x": false, "deflate": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", accept)
		if got := AcceptsGzip(r); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("1773448200000000000:3")
	f.Add(":")
	f.Fuzz(func(t *testing.T, s string) {
		from, skip, err := parsePlace(s)
		if err == nil && (skip < 0 || skip > 9000 || from.UTC() != from) {
			t.Errorf("%q is %s, %d", s, from, skip)
		}
	})
}

// TestScopeWithoutGround: accounts that name nothing real see nothing.
func TestScopeWithoutGround(t *testing.T) {
	r := &roster{areas: alerts.IndexAreas([]alerts.Area{{Code: "130600"}, {Code: "130633", Parent: "130600"}})}
	for _, u := range []alerts.User{
		{Role: alerts.RoleOffice}, {Role: alerts.RoleOffice, Area: "999999"}, {Role: alerts.RoleTeam}, {}, {Role: "root", Area: "130600"},
	} {
		s := scope{user: u, roster: r}
		_, lists := s.narrow("130633")
		if s.whole() || s.area("130633") || s.area("") || s.team("") || s.team("x") || s.warn() || lists ||
			len(s.targets(alerts.Targets{Areas: []string{"130633"}})) != 1 {
			t.Errorf("%+v sees something", u)
		}
		if ds := s.deliveries([]alerts.Delivery{{Team: ""}, {Team: "x"}}); len(ds) != 0 {
			t.Errorf("%+v sees deliveries %v", u, ds)
		}
		if hears, _ := s.event(alerts.Event{Type: alerts.EventAlert, Area: "130633"}); hears {
			t.Errorf("%+v hears", u)
		}
	}
	root := scope{user: alerts.User{Role: alerts.RoleOffice, Area: "130600"}, roster: r}
	if !root.whole() || !slices.Equal(root.deliveries([]alerts.Delivery{{Team: "gone"}}), []alerts.Delivery{{Team: "gone"}}) {
		t.Error("the top of the roster has not the whole")
	}
}
