// Package session logs people in and out: passwords against accounts, tokens
// against sessions, and the throttle on guessing.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"firewatch/alerts"
	"firewatch/api/password"
	"firewatch/api/throttle"
)

// How long a session lasts. An office logs in for a shift of a day; a team's
// phone must still be logged in when the order comes.
const (
	OfficeTTL = 24 * time.Hour
	TeamTTL   = 30 * 24 * time.Hour
)

// Bounds of guessing. Only failed logins count.
const (
	nameBurst  = 10
	nameRefill = 30 * time.Second
	addrBurst  = 50
	addrRefill = 5 * time.Second
	maxKeys    = 10_000

	maxVerifying = 2  // argon2 at once: 19 MiB each
	maxWaiting   = 64 // logins that wait for one of them
)

// MaxUsername is the longest username in bytes.
const MaxUsername = 128

// The errors of Login and Resolve.
var (
	ErrCredentials = errors.New("username or password wrong")
	ErrNoSession   = errors.New("no such session")
	ErrBusy        = errors.New("too many logins at once")
)

// ThrottledError says when the next login may be tried.
type ThrottledError struct{ After time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed logins: wait %s", e.After.Round(time.Second))
}

// Login is a session and whose it is.
type Login struct {
	User    alerts.User
	Session alerts.Session
}

// Service logs in and out.
type Service struct {
	accounts  alerts.AccountStore
	now       func() time.Time
	names     *throttle.Throttle
	addrs     *throttle.Throttle
	known     *throttle.Throttle // name and address that have logged in before: a bucket of their own
	verifying chan struct{}
	waiting   chan struct{}
	dummy     string
}

// New returns a service on the accounts.
func New(accounts alerts.AccountStore, now func() time.Time) *Service {
	return &Service{
		accounts: accounts, now: now,
		names:     throttle.New(nameBurst, nameRefill, maxKeys),
		addrs:     throttle.New(addrBurst, addrRefill, maxKeys),
		known:     throttle.New(nameBurst, nameRefill, maxKeys),
		verifying: make(chan struct{}, maxVerifying),
		waiting:   make(chan struct{}, maxWaiting),
		dummy:     password.Dummy(),
	}
}

// Login checks the password and opens a session; the token is returned once
// and kept nowhere. addr is the client's address.
func (s *Service) Login(ctx context.Context, username, pw, addr string) (token string, l Login, err error) {
	now := s.now()
	addr = network(addr)
	// Where the name has logged in before, strangers who guess at it elsewhere
	// cannot lock it out.
	names, key := s.names, username
	if both := addr + " " + username; s.known.Has(both) {
		names, key = s.known, both
	}
	if wait, ok := s.addrs.Take(addr, now); !ok {
		return "", Login{}, &ThrottledError{wait}
	}
	if wait, ok := names.Take(key, now); !ok {
		return "", Login{}, &ThrottledError{wait}
	}
	u, err := s.check(ctx, username, pw)
	if !errors.Is(err, ErrCredentials) { // nothing was guessed
		s.addrs.Forgive(addr, now)
		names.Forgive(key, now)
	}
	if err != nil {
		return "", Login{}, err
	}
	s.known.Forgive(addr+" "+username, now)

	var raw [32]byte
	rand.Read(raw[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(raw[:])
	ttl := OfficeTTL
	if u.Role == alerts.RoleTeam {
		ttl = TeamTTL
	}
	n := alerts.Session{TokenHash: HashToken(token), Username: u.Username, Created: now, Expires: now.Add(ttl)}
	if err := s.accounts.CreateSession(ctx, n); err != nil {
		return "", Login{}, fmt.Errorf("creating a session: %w", err)
	}
	return token, Login{User: u, Session: n}, nil
}

// check compares the password with the account's. An unknown name, a disabled
// account and a wrong password take the same time and give the same error.
func (s *Service) check(ctx context.Context, username, pw string) (alerts.User, error) {
	hash := s.dummy
	u, err := s.accounts.User(ctx, username)
	switch {
	case err == nil && !u.Disabled && u.PasswordHash != "":
		hash = u.PasswordHash
	case err != nil && !errors.Is(err, alerts.ErrNotFound):
		return alerts.User{}, fmt.Errorf("reading an account: %w", err)
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return alerts.User{}, ErrBusy
	}
	select {
	case s.verifying <- struct{}{}:
		defer func() { <-s.verifying }()
	case <-ctx.Done():
		return alerts.User{}, fmt.Errorf("waiting to verify a password: %w", ctx.Err())
	}
	ok, err := password.Verify(hash, pw)
	if err != nil {
		return alerts.User{}, fmt.Errorf("account %q: %w", username, err)
	}
	if !ok || hash == s.dummy {
		return alerts.User{}, ErrCredentials
	}
	return u, nil
}

// Resolve finds the session of a token.
func (s *Service) Resolve(ctx context.Context, token string) (Login, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(32) {
		return Login{}, ErrNoSession
	}
	return s.Refresh(ctx, HashToken(token))
}

// Refresh reads a session anew by the hash of its token, with its user as they
// are now.
func (s *Service) Refresh(ctx context.Context, tokenHash string) (Login, error) {
	n, u, err := s.accounts.Session(ctx, tokenHash, s.now())
	switch {
	case errors.Is(err, alerts.ErrNotFound):
		return Login{}, ErrNoSession
	case err != nil:
		return Login{}, fmt.Errorf("reading a session: %w", err)
	case u.Disabled || !s.now().Before(n.Expires):
		return Login{}, ErrNoSession
	}
	return Login{User: u, Session: n}, nil
}

// Logout ends a session.
func (s *Service) Logout(ctx context.Context, tokenHash string) error {
	if err := s.accounts.DeleteSession(ctx, tokenHash); err != nil && !errors.Is(err, alerts.ErrNotFound) {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// HashToken is what is stored of a token. Tokens are random, so a plain hash
// is enough.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// network is the address that guesses are counted by: a whole /64 in IPv6,
// where one client has that many addresses.
func network(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return addr[:min(len(addr), 64)]
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
