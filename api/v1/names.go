package v1

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

// namesFor is how long the accounts' names are believed.
const namesFor = time.Minute

// names is the name of the person or post behind each username, where one is
// known.
type names map[string]string

// namesCache asks for the accounts now and then. Without them people are shown
// by their usernames, which is no reason to fail a request.
type namesCache struct {
	store alerts.AccountStore
	now   func() time.Time
	log   *zap.Logger

	mu    sync.Mutex
	asked time.Time
	last  names
}

func (c *namesCache) get(ctx context.Context) names {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := c.now().Sub(c.asked); c.last != nil && age >= 0 && age < namesFor {
		return c.last
	}
	users, err := c.store.Users(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("accounts cannot be read, people are shown by their usernames", zap.Error(err))
		}
		return c.last
	}
	c.asked, c.last = c.now(), make(names, len(users))
	for _, u := range users {
		c.last[u.Username] = u.Name
	}
	return c.last
}
