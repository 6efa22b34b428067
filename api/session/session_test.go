package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/api/password"
)

var t0 = time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC)

func TestNetworkOfAClient(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "",
	} {
		if got := network(addr); got != want {
			t.Errorf("network(%q) = %q, want %q", addr, got, want)
		}
	}
}

func service(t *testing.T) (*Service, *memstore.Store) {
	t.Helper()
	store := memstore.New()
	hash, err := password.Hash("right")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []alerts.User{
		{Username: "office", Role: alerts.RoleOffice, PasswordHash: hash}, {Username: "team", Role: alerts.RoleTeam, PasswordHash: hash},
	} {
		if err := store.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	return New(store, func() time.Time { return t0 }), store
}

func TestATeamStaysLoggedInLonger(t *testing.T) {
	s, _ := service(t)
	for user, ttl := range map[string]time.Duration{"office": OfficeTTL, "team": TeamTTL} {
		token, l, err := s.Login(t.Context(), user, "right", "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Session.Expires.Sub(t0); got != ttl {
			t.Errorf("%s: %s, want %s", user, got, ttl)
		}
		if again, err := s.Resolve(t.Context(), token); err != nil || again.User.Username != user {
			t.Errorf("%s: %+v, %v", user, again, err)
		}
	}
}

func TestStoreAwayIsNoGuess(t *testing.T) {
	s, store := service(t)
	away := errors.New("away")
	store.Fail(away)
	for range 3 * nameBurst {
		if _, _, err := s.Login(t.Context(), "office", "right", "192.0.2.1"); !errors.Is(err, away) {
			t.Fatalf("error %v", err)
		}
	}
	store.Fail(nil)
	if _, _, err := s.Login(t.Context(), "office", "right", "192.0.2.1"); err != nil {
		t.Errorf("after the store came back: %v", err)
	}
}

// TestVerifyingIsBounded holds the only places to verify and counts who waits.
func TestVerifyingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := service(t)
		for range maxVerifying {
			s.verifying <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var busy, waited atomic.Int64
		var all sync.WaitGroup
		for i := range maxWaiting + 10 {
			all.Go(func() {
				_, _, err := s.Login(ctx, fmt.Sprint("user", i), "x", fmt.Sprint("192.0.2.", i))
				switch {
				case errors.Is(err, ErrBusy):
					busy.Add(1)
				case errors.Is(err, context.Canceled):
					waited.Add(1)
				default:
					t.Errorf("error %v", err)
				}
			})
		}
		synctest.Wait()
		if busy.Load() != 10 {
			t.Errorf("%d turned away, want 10", busy.Load())
		}
		cancel()
		all.Wait()
		if waited.Load() != maxWaiting {
			t.Errorf("%d waited, want %d", waited.Load(), maxWaiting)
		}
	})
}
