package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

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
	answers       bool   // somebody here takes the answers of teams and trackers
	log           *zap.Logger
	told          chan struct{} // holds one: somebody is gone

	soon       singleflight.Group // of clients that are not on the list
	refreshing sync.Mutex
	version    int64
	asked      time.Time // when the store was last asked

	mu   sync.RWMutex
	gone []string // whose credential has changed or ended, not yet told
	rosterList
	err error // of the last refresh
}

// account is who a username is, and the hash of its credential.
type account struct {
	principal ingest.Principal
	hash      roster.Hash
}

func newRegistry(ctx context.Context, store alerts.RosterStore, answers bool, log *zap.Logger) (*registry, error) {
	r := &registry{
		store: store, serviceSecret: rand.Text(), answers: answers, log: log,
		told: make(chan struct{}, 1), version: -1,
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
	p, ok := r.login(username, password)
	return r.heard(p, ok)
}

func (r *registry) login(username string, password []byte) (ingest.Principal, bool) {
	if strings.HasPrefix(username, servicePrefix) {
		ok := subtle.ConstantTimeCompare([]byte(r.serviceSecret), password) == 1
		return ingest.Principal{Service: true}, ok
	}
	c := r.account(username)
	if c.hash.Fits(password) {
		return c.principal, true
	}
	// The credential may be newer than the list, or than what was just read of it.
	r.refreshSoon()
	newer := r.account(username)
	return newer.principal, newer != c && newer.hash.Fits(password)
}

// AuthenticateCertificate is Authenticate for a client whose certificate names
// it. Our own roles never come that way, and who has no credential that counts
// has no certificate that does.
func (r *registry) AuthenticateCertificate(username string) (ingest.Principal, bool) {
	p, ok := r.Principal(username)
	return r.heard(p, ok)
}

// Principal is who a username is, if it may connect. It does not say that the
// one who asks is that.
func (r *registry) Principal(username string) (ingest.Principal, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.accounts[username]
	return c.principal, ok
}

// elsewhere is the registry for a broker of which this process is no part: a
// team's answers go to whoever has the role alerts.
type elsewhere struct{ *registry }

// Authenticate implements ingest.Credential.
func (r elsewhere) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	return r.login(username, password)
}

// heard lets in whoever says something that somebody here takes: an answer that
// nobody judges must not be acknowledged. A team's terminal has nothing else to
// say; a tracker may say all but that.
func (r *registry) heard(p ingest.Principal, known bool) (ingest.Principal, bool) {
	p.Unheard = p.Kind == contract.Tracker && !r.answers
	return p, known && (p.Team == "" || r.answers)
}

// Ready tells why the list may be old, or nil.
func (r *registry) Ready() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.err
}

func (r *registry) account(username string) account {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.accounts[username]
}

// refreshEvery is the least time between two looks at the roster for clients that
// are not on the list, however many there are.
const refreshEvery = 100 * time.Millisecond

// refreshSoon reads the roster for a client that is not on the list. Those who
// come meanwhile share the answer.
func (r *registry) refreshSoon() {
	_, _, _ = r.soon.Do("", func() (any, error) { // the answer is the list
		r.refreshing.Lock()
		defer r.refreshing.Unlock()
		if wait := refreshEvery - time.Since(r.asked); wait > 0 {
			time.Sleep(wait)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.refresh(ctx); err != nil {
			r.log.Warn("reading the roster; the last one known is used", zap.Error(err))
		}
		return nil, nil //nolint:nilnil // the answer is the list
	})
}

// Changed tells of devices that were changed or removed in the store just now, so
// that nobody waits for the roster to be read: a new credential opens, and an old
// one ends, at once. As in the store a device without SecretHash keeps its own.
func (r *registry) Changed(changed []alerts.Device, removed []contract.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range changed {
		if d.SecretHash == "" {
			d.SecretHash = r.devices[d.ID].SecretHash
		}
		r.forget(d.ID)
		r.put(d)
	}
	for _, id := range removed {
		r.forget(id)
		if _, connected := r.accounts[string(id)]; connected {
			r.lose(string(id))
		}
		delete(r.accounts, string(id))
		delete(r.devices, id)
	}
}

// Follow keeps the list fresh and names those whose credential, or what it
// allows, is no longer what it was: at once when Changed has told, within a second
// when another process made the change.
func (r *registry) Follow(ctx context.Context, revoked func(username string)) error {
	var polling sync.WaitGroup
	polling.Go(func() { r.poll(ctx) })
	defer polling.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.told:
		}
		r.mu.Lock()
		gone := r.gone
		r.gone = nil
		r.mu.Unlock()
		for _, username := range gone {
			r.log.Info("credential revoked", zap.String("username", username))
			revoked(username)
		}
	}
}

func (r *registry) poll(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.refreshing.Lock()
		err := r.refresh(ctx)
		r.refreshing.Unlock()
		if err != nil && ctx.Err() == nil {
			r.log.Warn("reading the roster; the last one known is used", zap.Error(err))
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
	next := rosterList{
		devices:  make(map[contract.DeviceID]alerts.Device, len(devices)),
		aliases:  make(map[string]ingest.Registered),
		accounts: make(map[string]account, len(devices)+len(teams)),
	}
	for _, d := range devices {
		next.add(d)
	}
	for _, t := range teams {
		if t.SecretHash != "" && t.SecretHash != alerts.Revoked {
			next.accounts[teamPrefix+string(t.ID)] = account{ingest.Principal{Team: t.ID}, roster.ParseHash(t.SecretHash)}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for username, had := range r.accounts {
		if next.accounts[username] != had {
			r.lose(username)
		}
	}
	r.version, r.rosterList = version, next
	return nil
}

// put brings one device into the list; the caller holds mu.
func (r *registry) put(d alerts.Device) {
	had, connected := r.accounts[string(d.ID)]
	delete(r.accounts, string(d.ID))
	r.add(d)
	if connected && r.accounts[string(d.ID)] != had {
		r.lose(string(d.ID))
	}
}

// forget takes the alias that a device had out of the list; the caller holds mu.
func (r *registry) forget(id contract.DeviceID) {
	if alias := r.devices[id].Alias; alias != "" && r.aliases[alias].ID == id {
		delete(r.aliases, alias)
	}
}

// lose notes that a username is no longer who it was; the caller holds mu.
func (r *registry) lose(username string) {
	r.gone = append(r.gone, username)
	select {
	case r.told <- struct{}{}:
	default: // it is told of already
	}
}

// rosterList is what is known of the roster.
type rosterList struct {
	devices  map[contract.DeviceID]alerts.Device
	aliases  map[string]ingest.Registered // of devices that are not disabled
	accounts map[string]account           // by username: devices and teams that may connect
}

func (l *rosterList) add(d alerts.Device) {
	l.devices[d.ID] = d
	if d.Alias != "" && !d.Disabled {
		l.aliases[d.Alias] = ingest.Registered{ID: d.ID, Kind: d.Kind, Alias: d.Alias, Model: d.Model}
	}
	if d.MayConnect() {
		l.accounts[string(d.ID)] = account{ingest.Principal{Device: d.ID, Kind: d.Kind, Topic: d.Topic()}, roster.ParseHash(d.SecretHash)}
	}
}
