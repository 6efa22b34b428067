package app

import (
	"context"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// pastRun is how many readings of the past are handed over at once: as many as
// the engine judges in one batch of its feed.
const pastRun = 512

// past is the history of readings, as the engine asks for it.
type past struct{ client *influx.Client }

// past is what InfluxDB knows, nil where this process knows no InfluxDB.
func (s *system) past() alerts.Past {
	if s.influx == nil {
		return nil
	}
	return past{s.influx}
}

// Readings implements alerts.Past.
func (p past) Readings(ctx context.Context, q alerts.PastQuery, each func([]contract.Reading) error) error {
	var run []contract.Reading
	err := p.client.Past(ctx, ingest.PastQuery(q), func(r *contract.Reading) error {
		if run == nil {
			run = make([]contract.Reading, 0, pastRun)
		}
		run = append(run, *r)
		if len(run) < pastRun {
			return nil
		}
		full := run
		run = nil
		return each(full)
	})
	if err == nil && len(run) > 0 {
		err = each(run)
	}
	return err
}
