package app

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A part that hangs is not ready, and the others' answers stay fresh.
func TestAPartThatHangsIsNotReadyAndKeepsNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		hangs := make(chan struct{})
		var broken atomic.Bool
		h.add("disk", func(context.Context) error { <-hangs; return nil })
		h.add("store", func(context.Context) error {
			if broken.Load() {
				return errors.New("broken")
			}
			return nil
		})
		h.add("journal", func(context.Context) error { return noted(errors.New("was thinned")) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.run(ctx) }()
		of := func(name string) (ok bool, reason string) {
			for _, c := range h.checks(ctx) {
				if c.Name == name {
					return c.OK, c.Reason
				}
			}
			return false, "not there"
		}
		time.Sleep(10 * time.Second)
		if ok, reason := of("disk"); ok || !strings.Contains(reason, "does not answer") {
			t.Errorf("disk: %v %q", ok, reason)
		}
		if ok, reason := of("journal"); !ok || reason != "was thinned" {
			t.Errorf("journal: %v %q; want a note", ok, reason)
		}
		broken.Store(true)
		time.Sleep(5 * time.Second)
		if ok, reason := of("store"); ok || reason != "broken" {
			t.Errorf("store: %v %q", ok, reason)
		}
		close(hangs)
		time.Sleep(5 * time.Second)
		if ok, reason := of("disk"); !ok {
			t.Errorf("disk answers again: %q", reason)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
