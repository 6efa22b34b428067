package capfeed

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/relay"
	"firewatch/alerts/tenure"
)

const (
	leaseName  = "alerts/capfeed"
	leaseTTL   = 2 * time.Minute
	roundMost  = 90 * time.Second // of one feed, all its documents included; below leaseTTL
	tickEvery  = time.Second
	maxFeeds   = 50
	minEvery   = 10 * time.Second
	maxBackoff = 5 * time.Minute
)

// Defaults of Options.
const (
	DefaultEvery      = time.Minute
	DefaultStaleAfter = 15 * time.Minute
)

// Options are what a Poller needs.
type Options struct {
	URLs       []string      // of feeds, http or https; an address may hold a key, which is never shown
	Every      time.Duration // between two polls of a feed, 10 s and more; 0: DefaultEvery
	StaleAfter time.Duration // without a poll that worked, more than Every; 0: DefaultStaleAfter
	Warnings   alerts.WarningStore
	Feeds      alerts.WarningFeedStore
	Roster     alerts.RosterStore
	Audit      alerts.AuditStore // nil: what comes in is not put on record
	Lease      alerts.LeaseStore
	Holder     string            // names this process in the lease
	Transport  http.RoundTripper // nil: that of package http
	Nudge      func()            // called after a warning came in; may be nil
	Now        func() time.Time  // nil: time.Now
	Log        *zap.Logger
}

// Poller is the polling role.
type Poller struct {
	Options
	client *http.Client
	feeds  []*feed
	tenure *tenure.Tenure

	roster int64 // version of places
	places *relay.Places
}

// feed is one feed as this process has read it.
type feed struct {
	name     string // without secrets
	url      *url.URL
	etag     string
	modified string
	seen     map[string]string // entries that need no fetching: by address and time, and why one is no good
	state    alerts.WarningFeed
	failures int
	next     time.Time
}

// New checks the options.
func New(o Options) (*Poller, error) {
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"URLs", len(o.URLs) == 0},
		{"Warnings", o.Warnings == nil},
		{"Feeds", o.Feeds == nil},
		{"Roster", o.Roster == nil},
		{"Lease", o.Lease == nil},
		{"Holder", o.Holder == ""},
		{"Log", o.Log == nil},
	} {
		if need.missing {
			return nil, fmt.Errorf("capfeed options: %s is missing", need.name)
		}
	}
	o.Every, o.StaleAfter = cmp.Or(o.Every, DefaultEvery), cmp.Or(o.StaleAfter, DefaultStaleAfter)
	if o.Every < minEvery {
		return nil, fmt.Errorf("capfeed options: Every %s: want %s and more", o.Every, minEvery)
	}
	if o.StaleAfter <= o.Every {
		return nil, fmt.Errorf("capfeed options: StaleAfter %s: want more than Every, %s", o.StaleAfter, o.Every)
	}
	if len(o.URLs) > maxFeeds {
		return nil, fmt.Errorf("capfeed options: URLs: %d feeds, want at most %d", len(o.URLs), maxFeeds)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nudge == nil {
		o.Nudge = func() {}
	}
	p := &Poller{Options: o, tenure: tenure.New(o.Lease, leaseName, o.Holder, leaseTTL)}
	p.client = &http.Client{Transport: o.Transport, Timeout: fetchMost, CheckRedirect: checkRedirect}
	for i, raw := range o.URLs {
		u, err := CheckURL(raw)
		if err != nil {
			return nil, fmt.Errorf("capfeed options: URLs: the %d. %w", i+1, err)
		}
		f := &feed{name: nameOf(u), url: u}
		if slices.ContainsFunc(p.feeds, func(other *feed) bool { return other.name == f.name }) {
			return nil, fmt.Errorf("capfeed options: URLs: %s is there twice", f.name)
		}
		p.feeds = append(p.feeds, f)
	}
	return p, nil
}

// CheckURL says whether a feed may be at the address. The error does not show it.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("is no URL that begins with http:// or https://")
	}
	return u, nil
}

// nameOf is the address without what may be secret: account and query. Two that
// differ in these alone are told apart by a short hash.
func nameOf(u *url.URL) string {
	name := u.Scheme + "://" + u.Host + u.EscapedPath()
	if u.RawQuery != "" || u.User != nil {
		sum := sha256.Sum256([]byte(u.String()))
		name += "#" + hex.EncodeToString(sum[:4])
	}
	return name
}

// Ready reports why nothing is polled, or nil. A feed that does not answer is no
// such reason: that is told of the feed.
func (p *Poller) Ready() error { return p.tenure.Ready() }

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		p.round(ctx)
		select {
		case <-ctx.Done():
			return p.tenure.Release(ctx, 5*time.Second)
		case <-tick.C:
		}
	}
}

// round polls the feeds that are due, if it is this process that polls.
func (p *Poller) round(ctx context.Context) {
	changed, err := p.tenure.Elect(ctx, p.Now())
	if err == nil && p.tenure.Leader() && changed {
		if err = p.begin(ctx); err != nil {
			p.tenure.Retry()
		}
	}
	if p.tenure.Report(err) && err != nil {
		p.Log.Warn("feeds of warnings are not polled", zap.Error(err))
	}
	for _, f := range p.feeds {
		if ctx.Err() != nil || !p.tenure.Leader() {
			return
		}
		if now := p.Now(); now.Before(f.next) || !p.tenure.Owns(now.Add(roundMost)) && p.renew(ctx) != nil {
			continue
		}
		p.poll(ctx, f)
	}
}

// renew makes sure that the lease holds for one more feed.
func (p *Poller) renew(ctx context.Context) error {
	ok, err := p.Lease.AcquireLease(ctx, leaseName, p.Holder, p.Now(), leaseTTL)
	if err == nil && !ok {
		err = errors.New("another process polls")
	}
	return err
}

// begin takes over what is known of the feeds.
func (p *Poller) begin(ctx context.Context) error {
	names := make([]string, len(p.feeds))
	for i, f := range p.feeds {
		names[i] = f.name
	}
	if err := p.Feeds.KeepWarningFeeds(ctx, names); err != nil {
		return err
	}
	known, err := p.Feeds.WarningFeeds(ctx)
	if err != nil {
		return err
	}
	for _, f := range p.feeds {
		f.state = alerts.WarningFeed{Name: f.name, Since: p.Now()}
		if i := slices.IndexFunc(known, func(k alerts.WarningFeed) bool { return k.Name == f.name }); i >= 0 {
			f.state = known[i]
		}
		f.state.StaleAfter = p.StaleAfter
		f.etag, f.modified, f.seen, f.next = "", "", nil, time.Time{}
		if err := p.Feeds.SaveWarningFeed(ctx, f.state); err != nil {
			return err
		}
	}
	return nil
}

// poll reads one feed and notes how it went.
func (p *Poller) poll(ctx context.Context, f *feed) {
	bounded, cancel := context.WithTimeout(ctx, roundMost)
	defer cancel()
	err := p.read(bounded, f)
	if ctx.Err() != nil {
		return // what was cut off says nothing of the feed
	}
	now := p.Now()
	was := f.state
	f.state.Polled = now
	if err != nil {
		f.failures++
		f.etag, f.modified = "", "" // or the rest would never be sent again
		f.state.Fault = clip(err.Error())
		f.next = now.Add(backoff(p.Every, f.failures))
	} else {
		f.failures, f.state.Fresh, f.state.Fault = 0, now, f.unreadable()
		f.next = now.Add(p.Every)
	}
	if f.state.Fault != was.Fault {
		p.Log.Warn("a feed of warnings", zap.String("feed", f.name), zap.String("fault", f.state.Fault))
	}
	if err := p.Feeds.SaveWarningFeed(ctx, f.state); err != nil {
		p.Log.Warn("saving how a feed of warnings goes", zap.String("feed", f.name), zap.Error(err))
	}
}

// backoff doubles with each failure in a row, but stays well below the time after
// which a feed is stale.
func backoff(every time.Duration, failures int) time.Duration {
	d := every
	for range min(failures-1, 10) {
		d *= 2
	}
	return max(every, min(d, maxBackoff))
}

// unreadable says which documents of the feed are no good.
func (f *feed) unreadable() string {
	n, one := 0, ""
	for _, why := range f.seen {
		if why == "" {
			continue
		}
		if n++; one == "" || why < one {
			one = why
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "a warning could not be read: " + one
	}
	return fmt.Sprintf("%d warnings could not be read, one: %s", n, one)
}

// clip keeps a foreign text short.
func clip(s string) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	return string(r[:min(len(r), 300)])
}
