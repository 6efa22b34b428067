package throttle

import (
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC)

func TestThrottleRefillsAndForgets(t *testing.T) {
	th := New(3, time.Minute, 2)
	for range 3 {
		if _, ok := th.Take("a", t0); !ok {
			t.Fatal("refused within the burst")
		}
	}
	if wait, ok := th.Take("a", t0.Add(15*time.Second)); ok || wait != 45*time.Second {
		t.Errorf("the fourth: %v, wait %s; want 45s", ok, wait)
	}
	if _, ok := th.Take("a", t0.Add(time.Minute)); !ok {
		t.Error("refused after a refill")
	}
	if _, ok := th.Take("a", t0); ok {
		t.Error("a clock that went back gave a token")
	}
	th.Forgive("a", t0.Add(time.Minute))
	if _, ok := th.Take("a", t0.Add(time.Minute)); !ok {
		t.Error("refused what was given back")
	}
	th.Take("b", t0)
	th.Take("c", t0)
	if th.Has("a") || !th.Has("b") || !th.Has("c") || th.recent.Len() != 2 || len(th.byKey) != 2 {
		t.Error("the oldest was not forgotten, or more than it")
	}
}

func TestWaitTakesNothing(t *testing.T) {
	th := New(1, time.Minute, 2)
	for range 3 {
		if w := th.Wait("a", t0); w != 0 || th.Has("a") {
			t.Fatalf("wait %s, or remembered", w)
		}
	}
	th.Take("a", t0)
	if w := th.Wait("a", t0.Add(15*time.Second)); w != 45*time.Second {
		t.Errorf("wait %s, want 45s", w)
	}
	if w := th.Wait("a", t0.Add(time.Hour)); w != 0 {
		t.Errorf("wait %s after a refill", w)
	}
}
