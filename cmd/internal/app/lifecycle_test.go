package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestPartsStopInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(zap.NewNop(), time.Minute)
		var stopped []string
		for _, name := range []string{"store", "ingest", "api"} {
			s.Go(name, func(ctx context.Context) error {
				<-ctx.Done()
				stopped = append(stopped, name)
				return ctx.Err()
			})
		}
		s.Close("file", func() error { stopped = append(stopped, "file"); return nil })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := s.Wait(ctx); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if want := []string{"file", "api", "ingest", "store"}; !slices.Equal(stopped, want) {
			t.Errorf("stopped %v, want %v", stopped, want)
		}
		if err := s.Stop(); err != nil || len(stopped) != 4 {
			t.Error("a second stop did something")
		}
	})
}

func TestAFileThatDoesNotCloseIsLeftBehind(t *testing.T) {
	s := newStack(zap.NewNop(), 50*time.Millisecond)
	hangs := make(chan struct{})
	defer close(hangs)
	closed := false
	s.Close("other", func() error { closed = true; return nil })
	s.Close("disk", func() error { <-hangs; return nil })
	if err := s.Stop(); !errors.Is(err, errNotInTime) || !strings.Contains(err.Error(), "disk") {
		t.Errorf("Stop: %v", err)
	}
	if !closed {
		t.Error("what came after it was not closed")
	}
}

func TestAPartThatEndsByItselfEndsTheProcessWithItsName(t *testing.T) {
	for name, result := range map[string]error{"with a reason": errors.New("disk on fire"), "without": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStack(zap.NewNop(), time.Minute)
				s.Go("good", func(ctx context.Context) error { <-ctx.Done(); return nil })
				s.Go("bad", func(context.Context) error { return result })
				err := s.Wait(t.Context())
				if err == nil || !strings.HasPrefix(err.Error(), "bad: ") || result != nil && !errors.Is(err, result) {
					t.Errorf("Wait: %v", err)
				}
				if err := s.Stop(); !errors.Is(err, result) {
					t.Errorf("Stop: %v", err)
				}
			})
		})
	}
}

func TestAPartThatHangsTakesNoTimeFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(zap.NewNop(), 20*time.Second)
		closed := false
		s.Close("store", func() error { closed = true; return nil })
		release := make(chan struct{})
		s.Go("hangs", func(context.Context) error { <-release; return nil })
		began := time.Now()
		err := s.Stop()
		if err == nil || !strings.Contains(err.Error(), "hangs") || !closed {
			t.Errorf("stopping: %v, store closed: %v", err, closed)
		}
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the stop took %s", took)
		}
		close(release)
		synctest.Wait()
	})
}

func TestHealthTellsTheReasonOfEachPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		h.add("good", func(context.Context) error { return nil })
		h.add("bad", func(context.Context) error { return errors.New("no disk") })
		h.add("hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		got := map[string]string{}
		for _, c := range h.checks(t.Context()) {
			if c.OK != (c.Reason == "") {
				t.Errorf("%+v", c)
			}
			got[c.Name] = c.Reason
		}
		if got["good"] != "" || got["bad"] != "no disk" || got["hangs"] == "" {
			t.Errorf("got %v", got)
		}
		h.add("late", func(context.Context) error { return nil })
		if c := h.checks(t.Context()); c[3].OK {
			t.Error("a part that was not asked yet counts as ready")
		}
	})
}
