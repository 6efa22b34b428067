package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// rosterAge is how old a look at the roster's version may be.
const rosterAge = 2 * time.Second

// rosterCache holds the teams of the newest roster that was read.
type rosterCache struct {
	store alerts.RosterStore
	now   func() time.Time

	mu      sync.Mutex
	checked time.Time
	current rosterView
}

type rosterView struct {
	version int64
	teams   map[contract.TeamID]alerts.Team
	ids     []contract.TeamID // of these teams and of those struck off since the start
}

// load reads the roster anew when it has changed.
func (c *rosterCache) load(ctx context.Context) (rosterView, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.current.teams != nil && now.Sub(c.checked) < rosterAge && !now.Before(c.checked) {
		return c.current, nil
	}
	version, _, err := c.store.RosterVersion(ctx)
	if err != nil {
		return c.current, fmt.Errorf("reading the roster's version: %w", err)
	}
	if c.current.teams == nil || version != c.current.version {
		teams, err := c.store.Teams(ctx)
		if err != nil {
			return c.current, fmt.Errorf("reading teams: %w", err)
		}
		next := rosterView{version: version, teams: make(map[contract.TeamID]alerts.Team, len(teams))}
		for _, t := range teams {
			next.teams[t.ID] = t
			next.ids = append(next.ids, t.ID)
		}
		for id := range c.current.teams {
			if _, stays := next.teams[id]; !stays {
				next.ids = append(next.ids, id)
			}
		}
		c.current = next
	}
	c.checked = now
	return c.current, nil
}

func (c *rosterCache) team(id contract.TeamID) (alerts.Team, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.current.teams[id]
	return t, ok
}

// area is the code of the team's area, empty when the team is not known.
func (c *rosterCache) area(id contract.TeamID) string {
	t, _ := c.team(id)
	return t.Area
}
