package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"firewatch/api"
)

// health asks every part how it is, once a second and not once a request, and
// keeps the answers. A part that does not answer in time is not ready.
type health struct {
	mu     sync.Mutex
	parts  []part
	latest map[string]answer // by name
}

// A note is said of a part that works: something a person should know.
type note string

func (n note) Error() string { return string(n) }

// noted makes a note of an error that keeps nothing from working.
func noted(err error) error {
	if err == nil {
		return nil
	}
	return note(err.Error())
}

type answer struct {
	ok     bool
	reason string
}

type part struct {
	name string
	ask  func(context.Context) error
}

func (h *health) add(name string, ask func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts = append(h.parts, part{name, ask})
}

func (h *health) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.refresh(ctx)
		}
	}
}

func (h *health) refresh(ctx context.Context) {
	h.mu.Lock()
	parts := slices.Clone(h.parts)
	h.mu.Unlock()
	answers := make([]answer, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			answers[i] = answer{ok: true}
			if err := p.ask(ctx); err != nil {
				_, works := err.(note) //nolint:errorlint // a note that is wrapped in an error is an error
				answers[i] = answer{works, err.Error()}
			}
		})
	}
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest = make(map[string]answer, len(parts))
	for i, p := range parts {
		h.latest[p.name] = answers[i]
	}
}

// checks implements api.Options.Health.
func (h *health) checks(ctx context.Context) []api.Check {
	h.mu.Lock()
	asked := h.latest != nil
	h.mu.Unlock()
	if !asked {
		h.refresh(ctx)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]api.Check, 0, len(h.parts))
	for _, p := range h.parts {
		a, known := h.latest[p.name]
		if !known {
			a.reason = "not asked yet"
		}
		out = append(out, api.Check{Name: p.name, OK: a.ok, Reason: a.reason})
	}
	return out
}
