package app

import (
	"context"
	"sync"
	"time"

	"firewatch/api"
)

// health asks every part how it is, once a second and not once a request, and
// keeps the answers. A part that does not answer in time is not ready.
type health struct {
	mu     sync.Mutex
	parts  []part
	latest map[string]answer    // by name
	asking map[string]time.Time // parts that owe an answer, and since when
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

// askFor is how long a part may take to answer.
const askFor = 2 * time.Second

// refresh asks every part that does not still owe an answer, and takes what is
// there after askFor at most. A part that hangs keeps nobody else's answer back.
func (h *health) refresh(ctx context.Context) {
	h.mu.Lock()
	if h.latest == nil {
		h.latest, h.asking = map[string]answer{}, map[string]time.Time{}
	}
	var wg sync.WaitGroup
	for _, p := range h.parts {
		if since, hangs := h.asking[p.name]; hangs {
			h.latest[p.name] = answer{reason: "does not answer since " + since.UTC().Format(time.RFC3339)}
			continue
		}
		h.asking[p.name] = time.Now()
		wg.Go(func() { h.ask(ctx, p) })
	}
	h.mu.Unlock()
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(askFor):
	}
}

func (h *health) ask(ctx context.Context, p part) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	a := answer{ok: true}
	if err := p.ask(ctx); err != nil {
		_, works := err.(note) //nolint:errorlint // a note that is wrapped in an error is an error
		a = answer{works, err.Error()}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.asking, p.name)
	h.latest[p.name] = a
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
