package alerts

import (
	"context"
	"time"
)

// WarningFeed is how the polling of one feed of warnings goes. That a feed says
// nothing is good news only while it is heard.
type WarningFeed struct {
	Name       string // of its address, without what is secret in it
	Since      time.Time
	Polled     time.Time     // the last try; zero: none yet
	Fresh      time.Time     // the last time that all of it was read; zero: never
	StaleAfter time.Duration // from Fresh on
	Fault      string        // what went wrong at the last try, or what could not be read; empty: nothing
}

// Stale reports whether what the feed warns of is unknown.
func (f *WarningFeed) Stale(now time.Time) bool {
	return f.Fresh.IsZero() || now.Sub(f.Fresh) > f.StaleAfter
}

// WarningFeedStore keeps how the polling of the feeds goes, for all processes.
type WarningFeedStore interface {
	// SaveWarningFeed adds a feed or replaces what is known of it.
	SaveWarningFeed(ctx context.Context, f WarningFeed) error
	// KeepWarningFeeds forgets the feeds with other names.
	KeepWarningFeeds(ctx context.Context, names []string) error
	// WarningFeeds are all of them, by name.
	WarningFeeds(ctx context.Context) ([]WarningFeed, error)
}
