package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Options composes the role. Sources and Intake are required.
type Options struct {
	Sources []Source
	Intake  *Intake
	Drain   *Drain // nil: this process only follows the journal, it does not write to the sink
}

// Ingest runs sources, intake and drain together, and above all ends them in
// the order in which nothing is lost and least is repeated.
type Ingest struct{ o Options }

// New checks the options.
func New(o Options) (*Ingest, error) {
	switch {
	case len(o.Sources) == 0:
		return nil, errors.New("ingest: Sources is empty")
	case o.Intake == nil:
		return nil, errors.New("ingest: Intake is missing")
	}
	return &Ingest{o: o}, nil
}

// Run runs until ctx ends or a part cannot go on. Then the sources take no
// more and wait for their last acknowledgements, the intake commits what is
// left, and the drain writes for a bounded time. It returns nil after a stop
// that was asked for.
func (g *Ingest) Run(ctx context.Context) error {
	receiving, stopReceiving := context.WithCancel(ctx)
	defer stopReceiving()
	committing, stopCommitting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCommitting()
	draining, stopDraining := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDraining()

	var mu sync.Mutex
	var errs []error
	// run starts a part; one that ends before it was told to stops all.
	run := func(wg *sync.WaitGroup, ctx context.Context, name string, f func(context.Context) error) {
		wg.Go(func() {
			defer stopReceiving()
			err := f(ctx)
			switch {
			case errors.Is(err, context.Canceled) && ctx.Err() != nil:
				return
			case err == nil && ctx.Err() == nil:
				err = errors.New("ended by itself")
			case err == nil:
				return
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		})
	}
	var sources, intake, drain sync.WaitGroup
	run(&intake, committing, "intake", g.o.Intake.Run)
	if g.o.Drain != nil {
		run(&drain, draining, "drain", g.o.Drain.Run)
	}
	for i, s := range g.o.Sources {
		run(&sources, receiving, fmt.Sprintf("source %d", i+1), func(ctx context.Context) error { return s.Run(ctx, g.o.Intake) })
	}
	<-receiving.Done()
	sources.Wait()
	stopCommitting()
	intake.Wait()
	stopDraining()
	drain.Wait()
	return errors.Join(errs...)
}
