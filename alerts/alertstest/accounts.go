package alertstest

import (
	"errors"
	"time"

	"firewatch/alerts"
)

func newUser() alerts.User {
	return alerts.User{
		Username: "duty", PasswordHash: "$argon2id$1", Role: alerts.RoleOffice, Area: "130633", Team: "tw-yizhou", Name: "值班室",
	}
}

func newSession(user string) alerts.Session {
	return alerts.Session{TokenHash: "aa", Username: user, Created: t0, Expires: t0.Add(time.Hour)}
}

var accountTests = map[string]func(check){
	"UserComesBack": func(t check) {
		s := t.store
		if _, err := s.User(t.Context(), "duty"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown user: %v, want ErrNotFound", err)
		}
		duty, admin := newUser(), alerts.User{Username: "admin", Role: alerts.RoleAdmin}
		must(t, s.SaveUser(t.Context(), duty))
		must(t, s.SaveUser(t.Context(), admin))
		equal(t, "user", got(s.User(t.Context(), "duty"))(t), duty)
		equal(t, "users by name", got(s.Users(t.Context()))(t), []alerts.User{admin, duty})
		duty.Name, duty.Disabled = "另一人", true
		must(t, s.SaveUser(t.Context(), duty))
		equal(t, "changed user", got(s.User(t.Context(), "duty"))(t), duty)
	},
	"NamesDifferByCase": func(t check) {
		s := t.store
		must(t, s.SaveUser(t.Context(), newUser()))
		if _, err := s.User(t.Context(), "Duty"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	},
	"SessionEndsAtItsExpiry": func(t check) {
		s := t.store
		u, n := newUser(), newSession("duty")
		must(t, s.SaveUser(t.Context(), u))
		must(t, s.CreateSession(t.Context(), n))
		gotN, gotU, err := s.Session(t.Context(), "aa", n.Expires.Add(-time.Millisecond))
		must(t, err)
		equal(t, "session", gotN, n)
		equal(t, "its user", gotU, u)
		if _, _, err := s.Session(t.Context(), "aa", n.Expires); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("expired session: %v, want ErrNotFound", err)
		}
	},
	"DeletedSessionIsGone": func(t check) {
		s := t.store
		must(t, s.SaveUser(t.Context(), newUser()))
		must(t, s.CreateSession(t.Context(), newSession("duty")))
		must(t, s.DeleteSession(t.Context(), "aa"))
		must(t, s.DeleteSession(t.Context(), "aa"))
		if _, _, err := s.Session(t.Context(), "aa", t0); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	},
	"SessionNeedsAUserAndItsOwnToken": func(t check) {
		s := t.store
		if err := s.CreateSession(t.Context(), newSession("nobody")); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown user: %v, want ErrNotFound", err)
		}
		must(t, s.SaveUser(t.Context(), newUser()))
		must(t, s.CreateSession(t.Context(), newSession("duty")))
		if err := s.CreateSession(t.Context(), newSession("duty")); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("token taken: %v, want ErrConflict", err)
		}
	},
	"ChangedNameKeepsSessions": func(t check) {
		s := t.store
		u := newUser()
		must(t, s.SaveUser(t.Context(), u))
		must(t, s.CreateSession(t.Context(), newSession("duty")))
		u.Name = "changed"
		must(t, s.SaveUser(t.Context(), u))
		_, back, err := s.Session(t.Context(), "aa", t0)
		must(t, err)
		equal(t, "user", back, u)
	},
}
