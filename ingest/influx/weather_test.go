package influx_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// station is one reading of a sensor with the fields of weather that are given.
func station(id contract.DeviceID, at time.Time, seq uint64, values map[contract.Field]float64) contract.Reading {
	r := contract.Reading{
		Device: id, Kind: contract.Sensor, Class: contract.Environment,
		Measured: at, Received: at.Add(time.Second), Seq: seq, HasSeq: true,
	}
	for f, x := range values {
		r.Values.Set(f, x)
	}
	return r
}

type values = map[contract.Field]float64

func weatherOf(tb testing.TB, c *influx.Client, from, to time.Time) map[string]ingest.WeatherWindow {
	tb.Helper()
	got := map[string]ingest.WeatherWindow{}
	if err := c.Weather(tb.Context(), from, to, func(w ingest.WeatherWindow) error {
		key := fmt.Sprintf("%s %s", w.Device, w.At.Sub(day))
		if _, twice := got[key]; twice {
			tb.Errorf("%s: twice", key)
		}
		w.At = time.Time{}
		got[key] = w
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return got
}

func TestWeatherIsSummedUpByHalfHours(t *testing.T) {
	c := client(t, influx.Options{})
	gas := station("s-gas", day.Add(time.Hour), 1, values{contract.CoPPM: 1})
	walker := fix("w-1", day.Add(time.Hour), 1)
	mustWrite(
		t, c, gas, walker,
		station("s-1", day.Add(-time.Millisecond), 0, values{contract.TempC: 50}), // before
		station("s-1", day, 1, values{contract.TempC: 10, contract.RhPct: 40, contract.WindMS: 3, contract.RainMM: 0.2}),
		station("s-1", day.Add(10*time.Minute), 2, values{contract.TempC: 14, contract.RhPct: 20, contract.WindMS: 5, contract.RainMM: 0.4}),
		// A station that sends its fields apart.
		station("s-1", day.Add(30*time.Minute), 3, values{contract.TempC: 12}),
		station("s-1", day.Add(31*time.Minute), 4, values{contract.RainMM: 1}),
		station("s-2", day.Add(7*time.Hour), 1, values{contract.RhPct: 0}),  // in another question
		station("s-1", day.Add(8*time.Hour), 5, values{contract.TempC: 50}), // after
	)
	got := weatherOf(t, c, day.Add(10*time.Minute), day.Add(8*time.Hour))
	want := map[string]ingest.WeatherWindow{
		"s-1 0s": {
			Device: "s-1", TempC: ingest.FieldSum{N: 2, Min: 10, Max: 14, Sum: 24}, RhPct: ingest.FieldSum{N: 2, Min: 20, Max: 40, Sum: 60},
			WindMS: ingest.FieldSum{N: 2, Min: 3, Max: 5, Sum: 8}, RainMM: ingest.FieldSum{N: 2, Min: 0.2, Max: 0.4, Sum: 0.6000000000000001},
		},
		"s-1 30m0s":  {Device: "s-1", TempC: ingest.FieldSum{N: 1, Min: 12, Max: 12, Sum: 12}, RainMM: ingest.FieldSum{N: 1, Min: 1, Max: 1, Sum: 1}},
		"s-2 7h0m0s": {Device: "s-2", RhPct: ingest.FieldSum{N: 1}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("weather (-want +got):\n%s", d)
	}
}

// Catching up after a long time goes back further than readings are kept.
func TestWeatherOfStoredWindowsIsTheSame(t *testing.T) {
	old := day.Add(-20 * 24 * time.Hour)
	c := client(t, influx.Options{Database: "old-weather"})
	var rs []contract.Reading
	for i := range 36 {
		rs = append(rs, station("s-1", old.Add(time.Duration(i)*5*time.Minute), uint64(i), values{
			contract.TempC: float64(i), contract.RhPct: 100 - float64(i), contract.WindMS: float64(i % 7), contract.RainMM: 0.5,
		}))
	}
	mustWrite(t, c, rs...)
	want := weatherOf(t, c, old, old.Add(3*time.Hour))
	if len(want) != 6 {
		t.Fatalf("%d half hours, want 6", len(want))
	}
	roundsOf(t, downsampler(t, c, time.Now()))
	say(t, http.MethodPost, "/query", url.Values{"q": {`DROP RETENTION POLICY "autogen" ON "old-weather"`}}, "")
	say(t, http.MethodPost, "/query", url.Values{"q": {`CREATE RETENTION POLICY "autogen" ON "old-weather" DURATION 240h REPLICATION 1 SHARD DURATION 24h DEFAULT`}}, "")
	late := connect(t, influx.Options{Database: "old-weather", Keep: 10 * 24 * time.Hour})
	if d := cmp.Diff(want, weatherOf(t, late, old, old.Add(3*time.Hour))); d != "" {
		t.Errorf("weather of stored windows (-want +got):\n%s", d)
	}
}

func TestWeatherSaysThatInfluxIsAway(t *testing.T) {
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"})
	err := c.Weather(t.Context(), day, day.Add(time.Hour), func(ingest.WeatherWindow) error { return nil })
	if !errors.Is(err, ingest.ErrHistoryAway) {
		t.Errorf("%v, want ErrHistoryAway", err)
	}
}
