package broker

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/ingest"
)

// users are those who are connected, or whose flood is not forgotten yet. An
// entry of a name that nobody has proved ends with its connection.
type users struct {
	flood  *Flood // nil: nobody is limited
	floods ingest.FloodLog
	log    *zap.Logger
	most   int // connections of one name
	told   func(ingest.FloodState)

	mu     sync.Mutex
	byName map[string]*user
}

// A user is one username with its connections.
type user struct {
	name  string
	turn  chan struct{}     // has one while nobody of the name logs in
	conns []*conn           // oldest first; guarded by users.mu
	known *ingest.Principal // of the last login; guarded by users.mu
	meter meter
}

// knock notes that the connection claims the name, before anybody has checked
// it: so a credential that is revoked meanwhile ends it.
func (us *users) knock(name string, c *conn) *user {
	us.mu.Lock()
	defer us.mu.Unlock()
	u, ok := us.byName[name]
	if !ok {
		u = &user{name: name, turn: make(chan struct{}, 1)}
		u.turn <- struct{}{}
		us.byName[name] = u
	}
	u.conns = append(u.conns, c)
	return u
}

// admit makes the connection one of the user's, and returns those that must make
// room: the one with the same client id, and the oldest when there are too many.
func (us *users) admit(u *user, c *conn, p *ingest.Principal, clientID string) (same *conn, most *conn) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u.known = p
	n := 0
	for _, other := range u.conns {
		switch {
		case other == c || other.client.Load() == nil:
		case other.client.Load().ID == clientID:
			same = other
		default:
			n++
			if most == nil {
				most = other
			}
		}
	}
	if n < us.most || p.Service {
		most = nil
	}
	return same, most
}

// leave forgets the connection.
func (us *users) leave(c *conn) {
	u := c.user
	if u == nil {
		return
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	u.conns = slices.DeleteFunc(u.conns, func(o *conn) bool { return o == c })
	if len(u.conns) > 0 {
		return
	}
	if u.meter.now() != ingest.FloodNone {
		return // what ends it must be told
	}
	if _, idle := us.settle(u, time.Now()); idle {
		delete(us.byName, u.name)
	}
}

// remember notes who the user is.
func (us *users) remember(u *user, p *ingest.Principal) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u.known = p
}

// of returns the connections of the name.
func (us *users) of(name string) []*conn {
	us.mu.Lock()
	defer us.mu.Unlock()
	if u, ok := us.byName[name]; ok {
		return slices.Clone(u.conns)
	}
	return nil
}

// limits are those of the principal, or nil.
func (us *users) limits(p *ingest.Principal) *Limits {
	switch {
	case us.flood == nil || p == nil || p.Service:
		return nil
	case p.Team != "":
		return &us.flood.Team
	}
	return &us.flood.Device
}

func (us *users) settle(u *user, now time.Time) (change, idle bool) {
	l := us.limits(u.known)
	if l == nil {
		return false, true
	}
	return u.meter.settle(us.flood, l, now)
}

// tick ends floods that are over, and forgets users that are gone. What it
// tells is told after the lock.
func (us *users) tick(now time.Time) {
	if us.flood == nil {
		return
	}
	type over struct {
		u *user
		p *ingest.Principal
	}
	var calm []over
	us.mu.Lock()
	for name, u := range us.byName {
		if len(u.conns) > 0 && u.meter.now() == ingest.FloodNone {
			continue
		}
		change, idle := us.settle(u, now)
		if change {
			calm = append(calm, over{u, u.known})
		}
		if idle && len(u.conns) == 0 {
			delete(us.byName, name)
		}
	}
	us.mu.Unlock()
	for _, o := range calm {
		us.tell(o.u, o.p, now, 0)
	}
}

// tell makes a change of state known, once: one line, one count, one call.
func (us *users) tell(u *user, p *ingest.Principal, now time.Time, out time.Duration) {
	u.meter.telling.Lock()
	defer u.meter.telling.Unlock()
	state := u.meter.now()
	if state == u.meter.told {
		return
	}
	u.meter.told = state
	us.told(state)
	name := zap.String("username", clip(u.name))
	switch state {
	case ingest.FloodSlowed:
		us.log.Warn("MQTT client floods: it is read more slowly", name)
	case ingest.FloodCut:
		us.log.Warn("MQTT client goes on flooding: it is cut off", name, zap.Duration("refused_for", out))
	case ingest.FloodNone:
		us.log.Info("MQTT client no longer floods", name)
	}
	if us.floods != nil && p.Device != "" {
		us.floods.Flood(p.Device, state, now)
	}
}
