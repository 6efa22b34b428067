package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"maps"
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
// connect. It keeps its last list while the store is away.
type registry struct {
	store         alerts.RosterStore
	serviceSecret string // of our own roles in this process
	answers       bool   // somebody here takes the answers of teams
	log           *zap.Logger

	refreshing sync.Mutex
	version    int64
	asked      time.Time // when the store was last asked
	gone       []string  // whose credential has changed or ended, not yet told

	mu      sync.RWMutex
	devices map[contract.DeviceID]alerts.Device
	hashes  map[string]string // by username, of devices and teams that may connect
	err     error             // of the last refresh
}

func newRegistry(ctx context.Context, store alerts.RosterStore, answers bool, log *zap.Logger) (*registry, error) {
	r := &registry{store: store, serviceSecret: rand.Text(), answers: answers, log: log, version: -1}
	return r, r.refresh(ctx)
}

// Lookup implements ingest.Registry.
func (r *registry) Lookup(id contract.DeviceID) (string, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.devices[id]
	return d.Area, ok
}

// Authenticate implements ingest.Credential.
func (r *registry) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	if strings.HasPrefix(username, servicePrefix) {
		ok := subtle.ConstantTimeCompare([]byte(r.serviceSecret), password) == 1
		return ingest.Principal{Service: true}, ok
	}
	hash, device := r.entry(username)
	if !roster.CheckSecret(hash, password) {
		// The credential may be newer than the list.
		if !r.refreshSoon() {
			return ingest.Principal{}, false
		}
		if hash, device = r.entry(username); !roster.CheckSecret(hash, password) {
			return ingest.Principal{}, false
		}
	}
	if team, ok := strings.CutPrefix(username, teamPrefix); ok {
		// An answer that nobody judges must not be acknowledged.
		return ingest.Principal{Team: contract.TeamID(team)}, r.answers
	}
	return ingest.Principal{Device: device.ID, Kind: device.Kind}, true
}

// Ready tells why the list may be old, or nil.
func (r *registry) Ready() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.err
}

func (r *registry) entry(username string) (hash string, device alerts.Device) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.hashes[username], r.devices[contract.DeviceID(username)]
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

// Follow keeps the list fresh and names those whose credential is no longer
// what it was.
func (r *registry) Follow(ctx context.Context, revoked func(username string)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
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
	hashes := make(map[string]string, len(devices)+len(teams))
	for _, d := range devices {
		byID[d.ID] = d
		if d.SecretHash != "" && !d.Disabled {
			hashes[string(d.ID)] = d.SecretHash
		}
	}
	for _, t := range teams {
		if t.SecretHash != "" {
			hashes[teamPrefix+string(t.ID)] = t.SecretHash
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for username := range maps.Keys(r.hashes) {
		if hashes[username] != r.hashes[username] {
			r.gone = append(r.gone, username)
		}
	}
	r.version, r.devices, r.hashes = version, byID, hashes
	return nil
}
