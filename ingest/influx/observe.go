package influx

import (
	"context"
	"errors"
	"slices"
	"sync"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// An Observer is told what was stored, before the writer hears that it was: so
// when the process dies in between, it is told again after the next start. It may
// keep neither the slice nor the readings. An error lets the write fail, so that
// it is tried again.
type Observer interface {
	Touched(ctx context.Context, readings []*contract.Reading) error
}

// Observe returns a sink that writes to another one and tells the observers.
func Observe(sink ingest.Sink, observers ...Observer) ingest.EntrySink {
	return &observed{sink: sink, observers: observers, lists: sync.Pool{New: func() any { return new([]*contract.Reading) }}}
}

type observed struct {
	sink      ingest.Sink
	observers []Observer
	lists     sync.Pool // of *[]*contract.Reading
}

// Write implements ingest.Sink.
func (o *observed) Write(ctx context.Context, readings []contract.Reading) error {
	return o.told(ctx, o.sink.Write(ctx, readings), len(readings), func(i int) *contract.Reading { return &readings[i] })
}

// WriteEntries implements ingest.EntrySink.
func (o *observed) WriteEntries(ctx context.Context, entries []ingest.Entry) error {
	var err error
	if sink, ok := o.sink.(ingest.EntrySink); ok {
		err = sink.WriteEntries(ctx, entries)
	} else {
		err = o.copied(ctx, entries)
	}
	return o.told(ctx, err, len(entries), func(i int) *contract.Reading {
		if entries[i].Answer != nil {
			return nil
		}
		return &entries[i].Reading
	})
}

// copied writes the readings among the entries to a sink that takes readings
// only.
func (o *observed) copied(ctx context.Context, entries []ingest.Entry) error {
	var (
		readings []contract.Reading
		places   []int
	)
	for i := range entries {
		if entries[i].Answer == nil {
			readings, places = append(readings, entries[i].Reading), append(places, i)
		}
	}
	err := o.sink.Write(ctx, readings)
	for _, indexes := range refused(err) {
		for i, j := range indexes {
			indexes[i] = places[j]
		}
	}
	return err
}

// refused is the indexes of what was not stored while the rest was.
func refused(err error) (lists [][]int) {
	if rejected := (*ingest.RejectedError)(nil); errors.As(err, &rejected) {
		lists = append(lists, rejected.Indexes)
	}
	if limited := (*ingest.LimitedError)(nil); errors.As(err, &limited) {
		lists = append(lists, limited.Indexes)
	}
	return lists
}

// told tells the observers of what was stored.
func (o *observed) told(ctx context.Context, err error, n int, at func(int) *contract.Reading) error {
	not := refused(err)
	if err != nil && len(not) == 0 {
		return err
	}
	list := o.lists.Get().(*[]*contract.Reading) //nolint:forcetypeassert // the pool holds nothing else
	readings := (*list)[:0]
	for i := range n {
		r := at(i)
		if r == nil || slices.ContainsFunc(not, func(indexes []int) bool {
			_, found := slices.BinarySearch(indexes, i)
			return found
		}) {
			continue
		}
		readings = append(readings, r)
	}
	for _, w := range o.observers {
		if werr := w.Touched(ctx, readings); werr != nil {
			return werr // all is tried again, also what was refused
		}
	}
	clear(readings)
	*list = readings
	o.lists.Put(list)
	return err
}
