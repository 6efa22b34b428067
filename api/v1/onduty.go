package v1

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"firewatch/alerts"
	"firewatch/api/session"
)

const (
	onDutyWait = 2 * time.Second // longest question for a session
	maxOnDuty  = 1000
)

// onDuty remembers the sessions of offices until they expire: when the store is
// away nobody's session can be read, and that is when an office must see why.
type onDuty struct {
	mu    sync.Mutex
	until map[string]time.Time // by the hash of the token
}

func (d *onDuty) remember(s alerts.Session, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.until[s.TokenHash]; !known && len(d.until) >= maxOnDuty {
		for k, t := range d.until {
			if !now.Before(t) {
				delete(d.until, k)
			}
		}
		if len(d.until) >= maxOnDuty {
			return
		}
	}
	d.until[s.TokenHash] = s.Expires
}

func (d *onDuty) forget(tokenHash string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.until, tokenHash)
}

func (d *onDuty) has(tokenHash string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.until[tokenHash])
}

// OnDuty reports whether the request carries the session of an office or an
// administrator, who may see why a part does not work.
func (a *API) OnDuty(r *http.Request) bool {
	token, _ := tokenOf(r)
	if token == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), onDutyWait)
	defer cancel()
	hash := session.HashToken(token)
	l, err := a.Sessions.Resolve(ctx, token)
	switch {
	case errors.Is(err, session.ErrNoSession):
		a.onDuty.forget(hash)
		return false
	case err != nil:
		return a.onDuty.has(hash, a.Now())
	case !slices.Contains(duty, l.User.Role):
		a.onDuty.forget(hash)
		return false
	}
	a.onDuty.remember(l.Session, a.Now())
	return true
}

// Mask puts the word in the place of every reason.
func Mask(parts []Check, word string) []Check {
	out := slices.Clone(parts)
	for i := range out {
		if out[i].Reason != "" {
			out[i].Reason = word
		}
	}
	return out
}
