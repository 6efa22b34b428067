package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

func devices(t *testing.T, r response) map[string]v1.Device {
	t.Helper()
	out := map[string]v1.Device{}
	for _, d := range into[v1.List[v1.Device]](r.want(200)).Items {
		out[d.ID] = d
	}
	return out
}

func TestLivenessNeedsANewMeasurement(t *testing.T) {
	late := func(r contract.Reading, by time.Duration) contract.Reading {
		r.Received = r.Measured.Add(by)
		return r
	}
	status := func(device string, at time.Time, online float64) contract.Reading {
		return reading(device, contract.Status, at, contract.Online, online)
	}
	for _, row := range []struct {
		name, device, want string
		readings           []contract.Reading
	}{
		{"nothing yet", "s-yixian", "never_seen", nil},
		{"new", "s-yixian", "online", []contract.Reading{reading("s-yixian", contract.Environment, begin.Add(-9*time.Minute), contract.TempC, 20)}},
		{"a bit old", "s-yixian", "late", []contract.Reading{reading("s-yixian", contract.Environment, begin.Add(-12*time.Minute), contract.TempC, 20)}},
		{"old", "s-yixian", "silent", []contract.Reading{reading("s-yixian", contract.Environment, begin.Add(-16*time.Minute), contract.TempC, 20)}},
		{"old, but arrived now", "s-yixian", "silent", []contract.Reading{late(reading("s-yixian", contract.Environment, begin.Add(-3*time.Hour), contract.TempC, 20), 3*time.Hour)}},
		{"arrived long ago with a clock ahead", "s-yixian", "silent", []contract.Reading{late(reading("s-yixian", contract.Environment, begin, contract.TempC, 20), -3*time.Hour)}},
		{"lives by its status", "s-yixian", "online", []contract.Reading{status("s-yixian", begin.Add(-time.Minute), 1)}},
		{"a last will is no sign of life", "s-yixian", "silent", []contract.Reading{status("s-yixian", begin.Add(-time.Minute), 0)}},
		{"a tracker's floor", "t-yixian", "late", []contract.Reading{reading("t-yixian", contract.Position, begin.Add(-9*time.Minute), contract.Lat, 39)}},
		{"off duty, seen today", "t-off", "unknown", []contract.Reading{reading("t-off", contract.Position, begin.Add(-3*time.Hour), contract.Lat, 39)}},
		{"off duty, out all the same", "t-off", "online", []contract.Reading{reading("t-off", contract.Position, begin.Add(-time.Minute), contract.Lat, 39)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := newEnv(t)
			e.history.readings = row.readings
			d := devices(t, e.get("yixian", "/devices"))[row.device]
			if d.Liveness != row.want {
				t.Errorf("liveness %q, want %q", d.Liveness, row.want)
			}
			if (d.Last == nil) != (row.readings == nil) {
				t.Errorf("last %+v", d.Last)
			}
			if one := into[v1.Device](e.get("yixian", "/devices/"+row.device).want(200)); one.Liveness != row.want {
				t.Errorf("alone: liveness %q, want %q", one.Liveness, row.want)
			}
		})
	}
}

// TestSilenceIsTheRules: the rule set may be another than the sample.
func TestSilenceIsTheRules(t *testing.T) {
	e := newEnv(t, func(o *Options) {
		o.Silence = func(k contract.Kind) (factor float64, least time.Duration) {
			if k == contract.Tracker {
				return 1.5, time.Minute
			}
			return 2.5, 20 * time.Minute
		}
	})
	for _, row := range []struct {
		device, want string
		age          time.Duration
	}{
		{"s-yixian", "late", 19 * time.Minute}, // silent by the sample
		{"s-yixian", "silent", 21 * time.Minute},
		{"t-yixian", "online", 80 * time.Second},
		{"t-yixian", "silent", 100 * time.Second}, // online by the sample
	} {
		e.history.readings = []contract.Reading{
			reading("s-yixian", contract.Environment, begin.Add(-row.age), contract.TempC, 20),
			reading("t-yixian", contract.Position, begin.Add(-row.age), contract.Lat, 39),
		}
		e.advance(time.Second) // the last answer is good for so long
		for id, d := range devices(t, e.get("yixian", "/devices")) {
			if id == row.device && d.Liveness != row.want {
				t.Errorf("%s after %s: %s, want %s", id, row.age, d.Liveness, row.want)
			}
		}
	}
}

func TestLastIsAMeasurementBeforeAStatus(t *testing.T) {
	e := newEnv(t)
	pos := reading("t-yixian", contract.Position, begin.Add(-time.Minute), contract.Lat, 39.25)
	pos.Seq, pos.HasSeq = 7, true
	e.history.readings = []contract.Reading{pos, reading("t-yixian", contract.Status, begin, contract.BatteryPct, 80)}
	e.history.quarantine = []ingest.QuarantineCount{
		{Device: "t-yixian", Total: 3, LastReason: "lat: 139 is outside", Last: begin, Example: []byte("\xa1\x61t\x00")},
		{Device: "s-yixian", Total: 1, LastReason: "not JSON", Last: begin, Example: []byte(`{"t":`)},
	}
	ds := devices(t, e.get("yixian", "/devices?seen=true"))
	d, ok := ds["t-yixian"]
	if !ok || len(ds) != 1 {
		t.Fatalf("seen: %v", ds)
	}
	if d.Last == nil || d.Last.Class != "position" || d.Last.Values["lat"] != 39.25 || d.Last.Seq == nil || *d.Last.Seq != 7 {
		t.Errorf("last %+v", d.Last)
	}
	if d.Quarantine == nil || d.Quarantine.Total != 3 || !strings.HasPrefix(d.Quarantine.Example, "base64:") {
		t.Errorf("quarantine %+v", d.Quarantine)
	}
	s := into[v1.Device](e.get("yixian", "/devices/s-yixian").want(200))
	if s.Quarantine == nil || s.Quarantine.Example != `{"t":` || s.Lat == nil {
		t.Errorf("sensor %+v", s)
	}
}

func TestDevicesAreListedWithoutHistory(t *testing.T) {
	e := newEnv(t)
	e.history.readings = []contract.Reading{reading("s-yixian", contract.Environment, begin, contract.TempC, 20)}
	e.history.fail(errAway)
	for path, n := range map[string]int{"/devices": 3, "/devices?seen=true": 2} { // nobody expects t-off
		r := e.get("yixian", path)
		ds := devices(t, r)
		if len(ds) != n || ds["s-yixian"].Liveness != "unknown" || ds["s-yixian"].Last != nil {
			t.Errorf("%s: %+v", path, ds)
		}
		if got := r.Header().Get(v1.DegradedHeader); got != "history: not answering" {
			t.Errorf("header %q", got)
		}
	}
	p := e.get("yixian", "/devices/s-yixian/readings").problem(http.StatusServiceUnavailable, "unavailable")
	if !strings.Contains(p.Detail, "not answering") {
		t.Errorf("problem %+v", p)
	}
	ok, away := Check{Name: v1.PartHistory, OK: true}, Check{Name: v1.PartHistory, Reason: "not answering"}
	for _, row := range []struct{ health, want []Check }{
		{[]Check{ok, {Name: "drain", OK: true}}, []Check{away, {Name: "drain", OK: true}}},
		{[]Check{{Name: "drain", OK: true}}, []Check{{Name: "drain", OK: true}, away}},
		{[]Check{{Name: "influx", Reason: "refused"}}, []Check{{Name: "influx", Reason: "refused"}}},
		{[]Check{{Name: "influxd", Reason: "killed"}, ok}, []Check{{Name: "influxd", Reason: "killed"}, ok}},
	} {
		e.setHealth(row.health...)
		if parts := into[v1.Status](e.get("yixian", "/status").want(200)).Parts; !slices.Equal(parts, row.want) {
			t.Errorf("of %+v the status makes %+v, want %+v", row.health, parts, row.want)
		}
	}
	e.history.fail(fmt.Errorf("%w: database\n\"firewatch\" not found", ingest.ErrHistoryAway))
	e.advance(time.Second)
	if got := e.get("yixian", "/devices").Header().Get(v1.DegradedHeader); !strings.Contains(got, "not found") || strings.Contains(got, "\n") {
		t.Errorf("header %q", got)
	}
	e.history.fail(nil)
	e.advance(time.Second)
	r := e.get("yixian", "/devices")
	if devices(t, r)["s-yixian"].Liveness != "online" || r.Header().Get(v1.DegradedHeader) != "" {
		t.Error("still degraded after the history came back")
	}
	// What was seen once is not forgotten when the history goes away.
	e.history.readings = []contract.Reading{reading("t-off", contract.Position, begin.Add(-3*time.Hour), contract.Lat, 39)}
	for _, fault := range []error{nil, errAway, errAway} {
		e.history.fail(fault)
		e.advance(time.Second)
		if _, listed := devices(t, e.get("yixian", "/devices?seen=true"))["t-off"]; !listed {
			t.Errorf("with the history's %v a device that was seen is not listed", fault)
		}
	}
}

func TestTenConsolesAskTheHistoryOnce(t *testing.T) {
	e := newEnv(t)
	e.history.hold = make(chan struct{})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if n := len(devices(t, e.get("yixian", "/devices"))); n != 3 {
				t.Errorf("%d devices", n)
			}
		})
	}
	close(e.history.hold)
	all.Wait()
	if e.history.asked != 3 { // one question per class
		t.Errorf("%d questions for 10 consoles, want 3", e.history.asked)
	}
	e.get("yixian", "/devices")
	if e.history.asked != 3 {
		t.Error("asked again within a second")
	}
	e.advance(time.Second)
	e.get("yixian", "/devices")
	if e.history.asked != 6 {
		t.Errorf("%d questions a second later, want 6", e.history.asked)
	}
}

func TestReadingsPageWithoutGapOrRepeat(t *testing.T) {
	e := newEnv(t)
	for i := range 60 {
		r := reading("s-yixian", contract.Environment, begin.Add(-time.Hour).Add(time.Duration(i/7)*time.Second), contract.TempC, float64(i))
		e.history.readings = append(e.history.readings, r) // seven of each time
	}
	for _, limit := range []int{1, 3, 7, 59, 60, 100} {
		path := fmt.Sprintf("/devices/s-yixian/readings?limit=%d", limit)
		cursor, next := "", 0
		for range 70 {
			l := into[v1.List[v1.Reading]](e.get("yixian", path+cursor).want(200))
			for _, r := range l.Items {
				if r.Values["temp_c"] != float64(next) {
					t.Fatalf("limit %d: got reading %v, want %d", limit, r.Values["temp_c"], next)
				}
				next++
			}
			if l.Next == nil {
				break
			}
			cursor = "&cursor=" + *l.Next
		}
		if next != 60 {
			t.Errorf("limit %d: %d readings over the pages, want 60", limit, next)
		}
	}
	l := into[v1.List[v1.Reading]](e.get("yixian", "/devices/s-yixian/readings?newest=true&limit=2").want(200))
	if len(l.Items) != 2 || l.Items[1].Values["temp_c"] != 59 || l.Next != nil {
		t.Errorf("newest: %+v", l)
	}
	day := "/devices/s-yixian/readings?from=2026-03-13T23:30:02Z&to=2026-03-14T07:30:04%2B08:00"
	if l := into[v1.List[v1.Reading]](e.get("yixian", day).want(200)); len(l.Items) != 14 {
		t.Errorf("%d readings in two seconds, want 14", len(l.Items))
	}
	for _, bad := range []string{"from=yesterday", "from=2026-03-14T08:00:00Z&to=2026-03-14T08:00:00Z", "class=weather", "cursor=eDp5", "newest=true&cursor=MTox"} {
		e.get("yixian", "/devices/s-yixian/readings?"+bad).problem(400, "invalid")
	}
}

func TestGoneClientDoesNotSpoilTheQuestion(t *testing.T) {
	e := newEnv(t)
	e.history.hold = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, v1.Prefix+"/devices", nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+tokenFor("yixian"))
		e.ServeHTTP(newDiscard(), r)
	}()
	cancel()
	<-gone
	close(e.history.hold)
	if r := e.get("yixian", "/devices"); r.Header().Get(v1.DegradedHeader) != "" {
		t.Errorf("degraded: %s", r.Header().Get(v1.DegradedHeader))
	}
}

// discard is a writer for answers that nobody reads.
type discard struct{ h http.Header }

func newDiscard() discard                   { return discard{http.Header{}} }
func (d discard) Header() http.Header       { return d.h }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
