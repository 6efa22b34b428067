package app

import (
	"context"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// journalFeed is the alerts.Feed that follows a journal.
type journalFeed struct {
	journal ingest.Journal
	name    string
}

// The names of the two that read the journal.
const (
	influxReader = "influx"
	alertsReader = "alerts"
)

func (f journalFeed) Name() string { return f.name }

func (f journalFeed) Read(ctx context.Context, from uint64, limit int) (alerts.Batch, error) {
	entries, next, err := f.journal.Read(ctx, ingest.Position(from), limit)
	if err != nil {
		return alerts.Batch{}, err
	}
	b := alerts.Batch{Next: uint64(next), Readings: make([]contract.Reading, 0, len(entries))}
	for i := range entries {
		if a := entries[i].Answer; a != nil {
			b.Answers = append(b.Answers, *a)
		} else {
			b.Readings = append(b.Readings, entries[i].Reading)
		}
	}
	return b, nil
}

func (f journalFeed) Seek(t time.Time) uint64 { return uint64(f.journal.Seek(t)) }

func (f journalFeed) Release(pos uint64) error {
	return f.journal.Retain(alertsReader, ingest.Position(pos))
}
