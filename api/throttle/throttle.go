// Package throttle slows down those who guess: a bounded set of token buckets by
// key.
package throttle

import (
	"container/list"
	"sync"
	"time"
)

// A Throttle is a bounded set of token buckets by key. When it is full the bucket
// that was used longest ago is forgotten.
type Throttle struct {
	burst  float64
	refill time.Duration // for one token
	max    int           // buckets kept

	mu     sync.Mutex
	recent *list.List // of *bucket, last used first
	byKey  map[string]*list.Element
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time
}

// New returns a throttle that gives each key burst tokens, and a further one
// every refill; it remembers maxKeys keys.
func New(burst int, refill time.Duration, maxKeys int) *Throttle {
	return &Throttle{
		burst: float64(burst), refill: refill, max: maxKeys,
		recent: list.New(), byKey: map[string]*list.Element{},
	}
}

// Take takes a token, or tells when there will be one.
func (t *Throttle) Take(key string, now time.Time) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucket(key, now)
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	return time.Duration((1 - b.tokens) * float64(t.refill)), false
}

// Wait is how long until the key has a token, without taking it; 0: it has one. A
// key that is not remembered has.
func (t *Throttle) Wait(key string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[key] == nil {
		return 0
	}
	b := t.bucket(key, now)
	return max(0, time.Duration((1-b.tokens)*float64(t.refill)))
}

// Forgive gives a taken token back.
func (t *Throttle) Forgive(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucket(key, now)
	b.tokens = min(t.burst, b.tokens+1)
}

// Has reports whether the key is remembered.
func (t *Throttle) Has(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[key] != nil
}

func (t *Throttle) bucket(key string, now time.Time) *bucket {
	if e, ok := t.byKey[key]; ok {
		t.recent.MoveToFront(e)
		b := e.Value.(*bucket)
		if d := now.Sub(b.at); d > 0 {
			b.tokens = min(t.burst, b.tokens+float64(d)/float64(t.refill))
			b.at = now
		}
		return b
	}
	if t.recent.Len() >= t.max {
		last := t.recent.Back()
		delete(t.byKey, last.Value.(*bucket).key)
		t.recent.Remove(last)
	}
	b := &bucket{key: key, tokens: t.burst, at: now}
	t.byKey[key] = t.recent.PushFront(b)
	return b
}
