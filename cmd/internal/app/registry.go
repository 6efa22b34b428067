package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// How the clients of the embedded broker call themselves: a device by its id, a
// team's terminal and our own roles with a prefix that no device id can have.
const (
	teamPrefix    = "team:"
	servicePrefix = "service:"
)

// registry answers from memory what the roster says of devices and who may
// connect. It keeps its last list while the store is away. It implements
// ingest.Registry, ingest.Directory and ingest.Credential.
type registry struct {
	store         alerts.RosterStore
	serviceSecret string // of our own roles in this process
	answers       bool   // somebody here takes the answers of teams
	log           *zap.Logger
	nudged        chan struct{} // holds one: look at the roster now

	refreshing sync.Mutex
	version    int64
	asked      time.Time // when the store was last asked
	gone       []string  // whose credential has changed or ended, not yet told

	mu      sync.RWMutex
	devices map[contract.DeviceID]alerts.Device
	aliases map[string]ingest.Registered // of devices that are not disabled
	clients map[string]account            // by username: devices and teams that may connect
	err     error                        // of the last refresh
}

// account is who a username is, and the hash of its credential.
type account struct {
	principal ingest.Principal
	hash      roster.Hash
}

func newRegistry(ctx context.Context, store alerts.RosterStore, answers bool, log *zap.Logger) (*registry, error) {
	r := &registry{
		store: store, serviceSecret: rand.Text(), answers: answers, log: log,
		nudged: make(chan struct{}, 1), version: -1,
	}
	return r, r.refresh(ctx)
}

// Lookup implements ingest.Registry.
func (r *registry) Lookup(id contract.DeviceID) (string, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return d.Area, ok
}

// ByAlias implements ingest.Directory. A disabled device is not found: no
// credential of its own keeps out what another system passes on for it.
func (r *registry) ByAlias(alias string) (ingest.Registered, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.aliases[alias]
	return d, ok
}

// Authenticate implements ingest.Credential.
func (r *registry) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	if strings.HasPrefix(username, servicePrefix) {
		ok := subtle.ConstantTimeCompare([]byte(r.serviceSecret), password) == 1
		return ingest.Principal{Service: true}, ok
	}
	c := r.account(username)
	if !c.hash.Fits(password) {
		// The credential may be newer than the list.
		if !r.refreshSoon() {
			return ingest.Principal{}, false
		}
		if c = r.account(username); !c.hash.Fits(password) {
			return ingest.Principal{}, false
		}
	}
	return c.principal, r.heard(c.principal)
}

// AuthenticateCertificate is Authenticate for a client whose certificate names
// it. Our own roles never come that way, and who has no credential that counts
// has no certificate that does.
func (r *registry) AuthenticateCertificate(username string) (ingest.Principal, bool) {
	p, ok := r.Principal(username)
	return p, ok && r.heard(p)
}

// Principal is who a username is, if it may connect. It does not say that the
// one who asks is that.
func (r *registry) Principal(username string) (ingest.Principal, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.clients[username]
	return c.principal, ok
}

// heard reports whether somebody takes what the client says: an answer that
// nobody judges must not be acknowledged.
func (r *registry) heard(p ingest.Principal) bool { return p.Team == "" || r.answers }

// Ready tells why the list may be old, or nil.
func (r *registry) Ready() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.err
}

func (r *registry) account(username string) account {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.clients[username]
}

// refreshSoon reads the roster for a client that is not on the list, at most
// every 100 ms however many there are, and reports whether it has changed.
func (r *registry) refreshSoon() bool {
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	if time.Since(r.asked) < 100*time.Millisecond {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	before := r.version
	if err := r.refresh(ctx); err != nil {
		r.log.Warn("reading the roster; the last one known is used", zap.Error(err))
	}
	return r.version != before
}

// Nudge makes Follow look at the roster at once. It never blocks.
func (r *registry) Nudge() {
	select {
	case r.nudged <- struct{}{}:
	default: // it is about to look
	}
}

// Follow keeps the list fresh and names those whose credential, or what it
// allows, is no longer what it was. What another process changed is seen within
// a second, what this one changed when Nudge says so.
func (r *registry) Follow(ctx context.Context, revoked func(username string)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.nudged:
		}
		r.refreshing.Lock()
		err := r.refresh(ctx)
		gone := r.gone
		r.gone = nil
		r.refreshing.Unlock()
		if err != nil && ctx.Err() == nil {
			r.log.Warn("reading the roster; the last one known is used", zap.Error(err))
		}
		for _, username := range gone {
			r.log.Info("credential revoked", zap.String("username", username))
			revoked(username)
		}
	}
}

// refresh reads the roster when it has changed. The caller holds refreshing.
func (r *registry) refresh(ctx context.Context) (err error) {
	r.asked = time.Now()
	defer func() {
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}()
	version, _, err := r.store.RosterVersion(ctx)
	if err != nil || version == r.version {
		return err
	}
	devices, err := r.store.Devices(ctx)
	if err != nil {
		return err
	}
	teams, err := r.store.Teams(ctx)
	if err != nil {
		return err
	}
	byID := make(map[contract.DeviceID]alerts.Device, len(devices))
	aliases := make(map[string]ingest.Registered)
	clients := make(map[string]account, len(devices)+len(teams))
	for _, d := range devices {
		byID[d.ID] = d
		if d.Alias != "" && !d.Disabled {
			aliases[d.Alias] = ingest.Registered{ID: d.ID, Kind: d.Kind, Alias: d.Alias, Model: d.Model}
		}
		if d.MayConnect() {
			clients[string(d.ID)] = account{ingest.Principal{Device: d.ID, Kind: d.Kind, Topic: d.Topic()}, roster.ParseHash(d.SecretHash)}
		}
	}
	for _, t := range teams {
		if t.SecretHash != "" && t.SecretHash != alerts.Revoked {
			clients[teamPrefix+string(t.ID)] = account{ingest.Principal{Team: t.ID}, roster.ParseHash(t.SecretHash)}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for username, had := range r.clients {
		if clients[username] != had {
			r.gone = append(r.gone, username)
		}
	}
	r.version, r.devices, r.aliases, r.clients = version, byID, aliases, clients
	return nil
}
