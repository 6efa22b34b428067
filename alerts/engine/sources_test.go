package engine_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/engine"
)

// documents is a store of one document.
type documents struct {
	alerts.DocumentStore
	mu sync.Mutex
	d  alerts.Document
}

func (s *documents) rule(version, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.d = alerts.Document{Version: version, Body: []byte(body)}
}

func (s *documents) Document(_ context.Context, kind alerts.DocumentKind, _ time.Time) (alerts.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind != alerts.DocumentSources || s.d.Version == "" {
		return alerts.Document{}, alerts.ErrNotFound
	}
	return s.d, nil
}

const kiln = "version: v1\neffective: 2020-01-01\nsources:\n" +
	"  - {id: k1, kind: kiln, name: 西陵砖窑, area: \"130633101\", lat: 39.3709, lon: 115.35}\n"

// A fire beside a kiln says so, is as grave as any, and gives its order. A
// register that comes later, or cannot be read, needs no restart.
func TestAFireBesideAKilnSaysSoAndIsFoughtAllTheSame(t *testing.T) {
	inBubble(t, func(w *world) {
		docs := &documents{}
		w.tune = func(o *engine.Options) { o.Documents = docs }
		w.run()
		docs.rule("v1", kiln)
		w.pass(time.Minute)
		docs.rule("v2", "version: v2\nsources: 3\n")
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 20})
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 20, co: 90})
		a := w.only()
		if all := strings.Join(a.Reasons, "; "); !strings.Contains(all, "附近 100 m 有已登记窑（西陵砖窑）") {
			t.Errorf("reasons: %s", all)
		}
		if a.Severity != alerts.Orange || a.State != alerts.Firing || len(w.orders()) != 1 {
			t.Errorf("the kiln changed what is done: %+v, %d orders", a, len(w.orders()))
		}
	})
}
