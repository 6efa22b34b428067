package influx_test

import (
	"testing"

	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/ingesttest"
)

func TestSinkSuite(t *testing.T) {
	ingesttest.SinkSuite(t, ingesttest.SinkOptions{New: func(t *testing.T) (ingest.Sink, ingest.History) {
		c := client(t, influx.Options{})
		return c, c
	}})
}
