package capfeed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/cap"
	"firewatch/alerts/relay"
)

const (
	fetchMost    = 20 * time.Second
	maxRedirects = 5
	maxFetches   = 200 // new documents of one feed at one poll; the rest at the next
	accepted     = "application/cap+xml, application/atom+xml, application/rss+xml, application/xml;q=0.9, application/json;q=0.9, */*;q=0.1"
)

// checkRedirect keeps a poll where it was sent: no other scheme, no chain.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if req.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("a redirect from %s to %s is not followed", via[0].URL.Scheme, req.URL.Scheme)
	}
	return nil
}

// answer is what a server sent.
type answer struct {
	unchanged bool
	body      []byte
	url       *url.URL // where it came from at last
	etag      string
	modified  string
}

// get fetches at most so many bytes. Errors do not show the address, which may
// hold a key.
func (p *Poller) get(ctx context.Context, u *url.URL, most int, etag, modified string) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return a, errors.New("the address cannot be asked for")
	}
	req.Header.Set("Accept", accepted)
	req.Header.Set("User-Agent", "firewatch")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		req.Header.Set("If-Modified-Since", modified)
	}
	res, err := p.client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return a, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read, or is not wanted
	switch {
	case res.StatusCode == http.StatusNotModified && etag+modified != "":
		return answer{unchanged: true}, nil
	case res.StatusCode != http.StatusOK:
		return a, fmt.Errorf("the server answers with status %d", res.StatusCode)
	}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	if err != nil {
		return a, fmt.Errorf("the answer was cut off: %w", err)
	}
	if len(a.body) > most {
		return a, fmt.Errorf("the answer has more than %d bytes", most)
	}
	a.url, a.etag, a.modified = res.Request.URL, res.Header.Get("ETag"), res.Header.Get("Last-Modified")
	return a, nil
}

// read takes in what is new in a feed. It is nil only when all of the feed was
// read; documents that are no good are noted in f.seen.
func (p *Poller) read(ctx context.Context, f *feed) error {
	a, err := p.get(ctx, f.url, cap.MaxFeedBytes, f.etag, f.modified)
	if err != nil || a.unchanged {
		return err
	}
	if err := p.loadPlaces(ctx); err != nil {
		return err
	}
	switch cap.FormOf(a.body) {
	case cap.FormAlert:
		err = p.one(ctx, f, a.body)
	case cap.FormJSON:
		err = p.list(ctx, f, a.body)
	case cap.FormFeed:
		err = p.entries(ctx, f, a)
	case cap.FormUnknown:
		err = errors.New("the answer is neither CAP nor a feed in Atom or RSS nor JSON")
	}
	if err != nil {
		return err
	}
	f.etag, f.modified = a.etag, a.modified
	return nil
}

func hashOf(doc []byte) string {
	sum := sha256.Sum256(doc)
	return string(sum[:])
}

// one takes an address that is one CAP document.
func (p *Poller) one(ctx context.Context, f *feed, doc []byte) error {
	why, err := p.take(ctx, f, doc)
	f.seen = map[string]string{"": why}
	return err
}

// list takes what an aggregator answers. Of one that answers with an error nothing
// is known; of a list with faulty warnings the others are.
func (p *Poller) list(ctx context.Context, f *feed, doc []byte) error {
	docs, faults := cap.ParseAggregator(doc)
	if faults != nil && len(docs) == 0 {
		return faults
	}
	seen := make(map[string]string, len(docs))
	if faults != nil {
		seen["list"] = clip(faults.Error())
	}
	for _, d := range docs {
		key := hashOf(d.Raw)
		why, known := f.seen[key]
		if !known {
			var err error
			if why, err = p.save(ctx, f, d.Alert, d.Raw); err != nil {
				return err
			}
		}
		seen[key] = why
	}
	f.seen = seen
	return nil
}

// entries takes the entries of a feed that were not taken before. One that cannot
// be fetched is tried again at the next poll, and the feed counts as not read.
func (p *Poller) entries(ctx context.Context, f *feed, a answer) error {
	list, err := cap.ParseFeed(a.body)
	if err != nil {
		return err
	}
	seen := make(map[string]string, len(list.Entries)) // what is gone is forgotten
	var failed error
	fetches := 0
	for i := range list.Entries {
		e := &list.Entries[i]
		key := e.ID + " " + e.URL + " " + e.Updated.UTC().Format(time.RFC3339)
		if e.Inline != nil {
			key = hashOf(e.Inline)
		}
		if why, known := f.seen[key]; known {
			seen[key] = why
			continue
		}
		doc := e.Inline
		if doc == nil {
			if fetches++; fetches > maxFetches {
				failed = fmt.Errorf("there are more than %d new warnings: the rest is read next", maxFetches)
				break
			}
			if doc, err = p.fetch(ctx, a.url, e.URL); err != nil {
				failed = fmt.Errorf("the warning %q: %w", clip(e.ID), err)
				continue
			}
		}
		why, err := p.take(ctx, f, doc)
		if err != nil {
			return err
		}
		seen[key] = why
	}
	f.seen = seen
	return failed
}

func (p *Poller) fetch(ctx context.Context, base *url.URL, ref string) ([]byte, error) {
	if ref == "" {
		return nil, errors.New("the feed does not say where it is")
	}
	u, err := base.Parse(ref)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || base.Scheme == "https" && u.Scheme == "http" {
		return nil, errors.New("its address is none that is asked for")
	}
	a, err := p.get(ctx, u, cap.MaxBytes, "", "")
	return a.body, err
}

// take brings one document in. why is what makes it no good for ever.
func (p *Poller) take(ctx context.Context, f *feed, doc []byte) (why string, err error) {
	msg, err := cap.Parse(doc)
	if err != nil {
		return clip(err.Error()), nil
	}
	return p.save(ctx, f, msg, doc)
}

func (p *Poller) save(ctx context.Context, f *feed, msg *cap.Alert, raw []byte) (why string, err error) {
	w, err := relay.Warning(p.places, msg)
	if err != nil {
		return clip(err.Error()), nil
	}
	now := p.Now().UTC().Truncate(time.Millisecond)
	w.ID, w.Received, w.Raw = alerts.NewID("wa", now), now, raw
	saved, created, err := p.Warnings.SaveWarning(ctx, w, []alerts.Event{alerts.WarningEvent(w.ID, now)})
	switch {
	case errors.Is(err, alerts.ErrConflict): // a correction would be an Update
		return clip(fmt.Sprintf("%s: the same message with other words; it is kept as it first came", w.Identifier)), nil
	case err != nil:
		return "", err
	case !created:
		return "", nil
	}
	p.Log.Info("a warning came in", zap.String("feed", f.name), zap.String("id", saved.ID), zap.String("type", w.MsgType), zap.String("status", w.Status))
	if p.Audit != nil {
		if err := p.Audit.SaveAudit(ctx, alerts.Audit{
			At: now, Actor: "feed:" + f.name, Action: "warning.create", Subject: saved.ID,
			Detail: clip(fmt.Sprintf("%s %s %s,%s", w.Status, w.MsgType, w.Sender, w.Identifier)),
		}); err != nil {
			p.Log.Warn("recording a warning", zap.Error(err))
		}
	}
	p.Nudge()
	return "", nil
}

func (p *Poller) loadPlaces(ctx context.Context) error {
	version, _, err := p.Roster.RosterVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading the roster's version: %w", err)
	}
	if p.places != nil && version == p.roster {
		return nil
	}
	areas, err := p.Roster.Areas(ctx)
	if err != nil {
		return fmt.Errorf("reading areas: %w", err)
	}
	p.places, p.roster = relay.NewPlaces(areas), version
	return nil
}
