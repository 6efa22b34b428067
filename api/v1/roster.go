package v1

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"firewatch/alerts"
	"firewatch/alerts/relay"
	contract "firewatch/firmware-contracts"
)

// roster is one version of the areas, teams and devices, indexed. It is shared
// and never changed.
type roster struct {
	version int64
	demo    bool
	areas   alerts.Areas
	list    []alerts.Area // by code
	teams   []alerts.Team // by id
	team    map[contract.TeamID]alerts.Team
	devices []alerts.Device // by id
	device  map[contract.DeviceID]alerts.Device
	places  func() *relay.Places // made when the first warning asks
}

func (r *roster) areaName(code string) string { return r.areas[code].Name }

// rosterCache keeps the newest version. The store is asked for the version with
// every request, which is cheap, and for the roster when that has changed.
type rosterCache struct {
	store alerts.RosterStore
	load  singleflight.Group

	mu   sync.Mutex
	last *roster
}

func (c *rosterCache) get(ctx context.Context) (*roster, error) {
	version, demo, err := c.store.RosterVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the roster's version: %w", err)
	}
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if last != nil && last.version == version {
		return last, nil
	}
	r, err, _ := c.load.Do(fmt.Sprint(version), func() (any, error) {
		r, err := readRoster(context.WithoutCancel(ctx), c.store, version, demo)
		if err != nil {
			return nil, fmt.Errorf("reading the roster: %w", err)
		}
		c.mu.Lock()
		if c.last == nil || c.last.version < version {
			c.last = r
		}
		c.mu.Unlock()
		return r, nil
	})
	if err != nil {
		return nil, err
	}
	return r.(*roster), nil
}

func readRoster(ctx context.Context, store alerts.RosterStore, version int64, demo bool) (*roster, error) {
	areas, err := store.Areas(ctx)
	if err != nil {
		return nil, err
	}
	teams, err := store.Teams(ctx)
	if err != nil {
		return nil, err
	}
	devices, err := store.Devices(ctx)
	if err != nil {
		return nil, err
	}
	r := &roster{
		version: version, demo: demo,
		list:    slices.SortedFunc(slices.Values(areas), func(a, b alerts.Area) int { return cmp.Compare(a.Code, b.Code) }),
		areas:   alerts.IndexAreas(areas),
		teams:   slices.SortedFunc(slices.Values(teams), func(a, b alerts.Team) int { return cmp.Compare(a.ID, b.ID) }),
		team:    make(map[contract.TeamID]alerts.Team, len(teams)),
		devices: slices.SortedFunc(slices.Values(devices), func(a, b alerts.Device) int { return cmp.Compare(a.ID, b.ID) }),
		device:  make(map[contract.DeviceID]alerts.Device, len(devices)),
	}
	r.places = sync.OnceValue(func() *relay.Places { return relay.NewPlaces(r.list) })
	for _, t := range teams {
		r.team[t.ID] = t
	}
	for _, d := range devices {
		r.device[d.ID] = d
	}
	return r, nil
}
