package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// stack holds what a process has acquired and started, and gives it back in
// reverse order, each within a bounded time. A part that ends by itself ends
// the process, with its name in the error.
type stack struct {
	log     *zap.Logger
	timeout time.Duration // for the whole stop

	mu    sync.Mutex
	items []item
	ended chan error // the first part that ended by itself
}

var errNotInTime = errors.New("did not stop in time")

type item struct {
	name    string
	release func(ctx context.Context) error
}

func newStack(log *zap.Logger, timeout time.Duration) *stack {
	return &stack{log: log, timeout: timeout, ended: make(chan error, 1)}
}

// Release registers what gives a resource back.
func (s *stack) Release(name string, f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, item{name, f})
}

// Close registers a Close method. One that hangs is left behind.
func (s *stack) Close(name string, f func() error) {
	s.Release(name, func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { done <- f() }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return errNotInTime
		}
	})
}

// Go starts a part. It runs until its turn to stop comes.
func (s *stack) Go(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		done <- err
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended unasked")
			}
			select {
			case s.ended <- fmt.Errorf("%s: %w", name, err):
			default:
			}
		}
	}()
	s.Release(name, func(stop context.Context) error {
		cancel()
		select {
		case err := <-done:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-stop.Done():
			return errNotInTime
		}
	})
}

// Wait waits until ctx ends or a part ends by itself.
func (s *stack) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.ended:
		return err
	}
}

// Stop gives everything back, the newest first. It may be called again.
func (s *stack) Stop() error {
	s.mu.Lock()
	items := s.items
	s.items = nil
	s.mu.Unlock()

	deadline := time.Now().Add(s.timeout)
	var errs []error
	for _, it := range slices.Backward(items) {
		began := time.Now()
		// A part that hangs must not take the others' time away.
		ctx, cancel := context.WithDeadline(context.Background(), later(deadline, began.Add(2*time.Second)))
		if err := it.release(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", it.name, err))
		}
		cancel()
		s.log.Debug("stopped", zap.String("part", it.name), zap.Duration("took", time.Since(began)))
	}
	return errors.Join(errs...)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
