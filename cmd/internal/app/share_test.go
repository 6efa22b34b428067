package app

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"firewatch/alerts/alertstest/pgtest"
	"firewatch/ingest/ingesttest"
)

// Two ingest processes read one shared subscription of mosquitto. One is killed
// under load and comes back: nothing is lost, nothing is stored twice.
func TestTwoIngestProcessesShareASubscription(t *testing.T) {
	const readings = 40_000
	w := newChaos(t)
	c := &world{chaos: w, t: t, database: "shared", broker: ingesttest.StartMosquitto(t)}
	store := pgtest.Start(t).NewDatabase(t)
	seed(t, store)
	args := func(name string) []string {
		return []string{
			"--roles", "ingest,api", "--data", filepath.Join(t.TempDir(), name), "--log-level", "error", "--http", "127.0.0.1:0",
			"--mqtt-broker", c.broker.URL(), "--mqtt-group", "ingest", "--store", store,
			"--influx-url", w.influx.URL(), "--influx-token", w.influx.Token(), "--influx-database", c.database,
		}
	}
	first, second := args("first"), args("second")
	a, b := spawn(t, first...), spawn(t, second...)
	for _, p := range []*process{a, b} {
		eventually(t, "its session at mosquitto", func() bool {
			res, err := http.Get(p.HTTP + "/readyz")
			return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
		})
	}

	progress, enough := new(atomic.Int64), make(chan struct{})
	close(enough)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var publishing sync.WaitGroup
	fleet := make([]*chaosDevice, chaosDevices)
	for i := range fleet {
		fleet[i] = newChaosDevice(t, c, i, readings/chaosDevices, progress, enough)
		publishing.Go(func() { fleet[i].run(ctx) })
	}
	eventually(t, "a part of the readings", func() bool { return progress.Load() > readings/4 })
	b.kill()
	eventually(t, "more readings while one is gone", func() bool { return progress.Load() > readings/2 })
	b = spawn(t, second...)
	for _, d := range fleet {
		select {
		case <-d.done:
		case <-time.After(patience):
			t.Fatalf("device %s has %d readings acknowledged", d.id, d.acked.Load())
		}
	}
	stop()
	publishing.Wait()

	var count, distinct int
	var err error
	eventually(t, "every reading in InfluxDB", func() bool {
		count, distinct, err = c.stored()
		return err == nil && distinct == readings
	})
	if count, distinct, err = c.stored(); err != nil || count != distinct {
		t.Errorf("%d readings are stored %d times (%v)", distinct, count, err)
	}
	// Both had a part in it: else this proves nothing.
	for name, p := range map[string]*process{"first": a, "second": b} {
		body, err := get(p.HTTP+"/metrics", "")
		if err != nil {
			t.Fatal(err)
		}
		taken := 0.0
		for line := range strings.Lines(string(body)) {
			if v, ok := strings.CutPrefix(line, "firewatch_intake_messages_total "); ok {
				if _, err := fmt.Sscan(v, &taken); err != nil {
					t.Fatal(err)
				}
			}
		}
		if taken == 0 {
			t.Errorf("the %s process took nothing after its start", name)
		}
	}
}
