package influx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/influx/influxdtest"
)

// server is the real InfluxDB that the tests of this package share; each test
// has its own database in it.
var server *influxd.Server

var databases atomic.Int64

func TestMain(m *testing.M) {
	code, err := withServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code) //nolint:forbidigo // what m.Run found is not all
}

func withServer(m *testing.M) (code int, err error) {
	path, err := influxdtest.Binary()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "influx")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	server, err = influxd.Start(context.Background(), influxd.Options{Binary: path, Dir: dir})
	if err != nil {
		return 0, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err = errors.Join(err, server.Stop(ctx))
	}()
	return m.Run(), nil
}

// ownServer is a server that the test may kill.
func ownServer(t *testing.T, auth bool) *influxd.Server {
	t.Helper()
	path, err := influxdtest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	s, err := influxd.Start(t.Context(), influxd.Options{Binary: path, Dir: t.TempDir(), Auth: auth, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect returns a client without a database yet.
func connect(tb testing.TB, o influx.Options) *influx.Client {
	tb.Helper()
	if o.URL == "" {
		o.URL = server.URL()
	}
	if o.Database == "" {
		o.Database = fmt.Sprintf("db%d", databases.Add(1))
	}
	c, err := influx.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// client returns one with its database made.
func client(tb testing.TB, o influx.Options) *influx.Client {
	tb.Helper()
	c := connect(tb, o)
	if err := c.Setup(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return c
}

// day is recent, because a retention policy may look at it.
var day = time.Now().UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour)

func fix(id contract.DeviceID, at time.Time, seq uint64) contract.Reading {
	r := contract.Reading{
		Device: id, Kind: contract.Tracker, Class: contract.Position,
		Measured: at, Received: at.Add(time.Second), Seq: seq, HasSeq: true,
	}
	r.Values.Set(contract.Lat, 39.1+float64(seq)/1e4)
	r.Values.Set(contract.Lon, 115.2)
	r.Values.Set(contract.BatteryPct, 77)
	return r
}

func weather(id contract.DeviceID, at time.Time, seq uint64) contract.Reading {
	r := contract.Reading{
		Device: id, Kind: contract.Sensor, Class: contract.Environment,
		Measured: at, Received: at.Add(time.Second), Seq: seq, HasSeq: true,
	}
	r.Values.Set(contract.TempC, 21.5)
	r.Values.Set(contract.RhPct, 30)
	return r
}

func mustWrite(tb testing.TB, c *influx.Client, rs ...contract.Reading) {
	tb.Helper()
	if err := c.Write(tb.Context(), rs); err != nil {
		tb.Fatal(err)
	}
}

func history(tb testing.TB, c *influx.Client, id contract.DeviceID, class contract.Class) []contract.Reading {
	tb.Helper()
	rs, err := c.Readings(tb.Context(), ingest.ReadingQuery{Device: id, Class: class, From: day.Add(-400 * 24 * time.Hour), To: day.Add(400 * 24 * time.Hour), Limit: 10_000})
	if err != nil {
		tb.Fatal(err)
	}
	return rs
}
