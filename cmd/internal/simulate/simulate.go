// Package simulate plays a fleet: wardens who walk their beats, sensors on
// their sites, team terminals that answer orders, and a scripted story. It
// speaks to firewatch as real devices do, over MQTT, each with its own
// connection and credential.
package simulate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
)

// Story is what happens beside everyday life.
type Story uint8

// The stories.
const (
	None Story = iota // everyday life
	Fire              // a sensor smells smoke, teams answer, a warden calls for help
)

// ParseStory reads a story's name.
func ParseStory(s string) (Story, error) {
	switch s {
	case "none":
		return None, nil
	case "fire":
		return Fire, nil
	}
	return None, fmt.Errorf("story %q: want none or fire", s)
}

// String is the story's name.
func (s Story) String() string {
	if s == Fire {
		return "fire"
	}
	return "none"
}

// Options says who plays what, where and how fast.
type Options struct {
	MQTT      string      // host:port, or tcp://host:port, ssl://host:port
	TLS       *tls.Config // nil: plain TCP, unless MQTT asks for TLS
	Fleet     []Member
	Terminals []Terminal    // connect only in the story Fire
	Rate      float64       // readings/s of all devices together; 0: from Every
	Every     time.Duration // between two readings of a device
	Duration  time.Duration // 0: until ctx ends
	Seed      uint64        // the same seed gives the same readings, but for the time
	Story     Story
	// Ledger gets a line for each acknowledged reading: device,t_ms,seq. It is
	// written soon, so that a kill loses little.
	Ledger io.Writer
	Log    *zap.Logger
}

// Summary is what was done.
type Summary struct{}

// Run plays until Duration or ctx ends.
func Run(ctx context.Context, o Options) (Summary, error) {
	return Summary{}, errors.New("simulate: not built yet")
}
