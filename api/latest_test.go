package api

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

func TestLatestHasTheScopeAndWhatIsNew(t *testing.T) {
	e := newEnv(t)
	pos := fixAt("t-yixian", begin.Add(-time.Minute), 39.1234567, 115.5)
	pos.Values.Set(contract.BatteryPct, 66)
	e.history.readings = []contract.Reading{
		pos, reading("s-laiyuan", contract.Environment, begin.Add(-time.Minute), contract.TempC, 20),
		reading("s-yixian", contract.Environment, begin.Add(-9*time.Minute), contract.TempC, 20),
	}
	ask := func(as, since string) v1.Latest {
		t.Helper()
		return into[v1.Latest](e.get(as, "/latest?since="+since).want(200))
	}
	all := ask("city", "")
	if !all.Full || !slices.Equal(all.ID, []string{"s-laiyuan", "s-yixian", "t-off", "t-yixian"}) {
		t.Fatalf("%+v", all)
	}
	own := ask("yixian", "")
	if !slices.Equal(own.ID, []string{"s-yixian", "t-off", "t-yixian"}) {
		t.Fatalf("a county sees %v", own.ID)
	}
	if *own.Lat[2] != 39.1234567 || *own.BatteryPct[2] != 66 || own.Measured[1] != nil || own.Lat[1] != nil ||
		*own.Lat[0] != 39.3 || *own.Received[2] != pos.Received.UnixMilli() || own.Kind[2] != "tracker" {
		t.Errorf("%+v", own)
	}
	if want := []string{"online", "never_seen", "online"}; !slices.Equal(own.Liveness, want) {
		t.Errorf("liveness %v, want %v", own.Liveness, want)
	}
	if own.Counts != (v1.LivenessCounts{Online: 2, NeverSeen: 1, Unknown: 1}) {
		t.Errorf("counts %+v", own.Counts)
	}
	// Nothing is new.
	if d := ask("yixian", own.Next); d.Full || len(d.ID) != 0 || d.Counts != own.Counts {
		t.Errorf("%+v", d)
	}
	// Time alone makes a sensor late; a tracker sends.
	e.advance(2 * time.Minute)
	e.history.readings = append(e.history.readings, fixAt("t-yixian", begin.Add(time.Minute), 39.2, 115.5))
	d := ask("yixian", own.Next)
	if d.Full || !slices.Equal(d.ID, []string{"s-yixian", "t-yixian"}) || d.Liveness[0] != "late" || *d.Lat[1] != 39.2 {
		t.Errorf("%+v", d)
	}
	again := ask("yixian", own.Next) // a mark may be used twice
	if !slices.Equal(again.ID, d.ID) {
		t.Errorf("%v, then %v", d.ID, again.ID)
	}
	if d := ask("yixian", d.Next); d.Full || len(d.ID) != 0 {
		t.Errorf("%+v", d)
	}
	// Another roster, a mark of somebody else: all again.
	for _, mark := range []string{"x", "x.1.2.3", "....", "abcdefgh." + own.Next} {
		if d := ask("yixian", mark); !d.Full || len(d.ID) != 3 {
			t.Errorf("mark %q: %+v", mark, d)
		}
	}
	r := alerts.Roster{Areas: alertstest.Roster().Areas, Devices: []alerts.Device{
		{ID: "s-yixian", Kind: contract.Sensor, Area: "130633101", Expect: 5 * time.Minute},
		{ID: "t-yixian", Kind: contract.Tracker, Area: "130633100", Expect: time.Minute},
	}}
	if err := e.store.ReplaceRoster(t.Context(), r, begin); err != nil {
		t.Fatal(err)
	}
	if d := ask("yixian", d.Next); !d.Full || len(d.ID) != 2 {
		t.Errorf("after a change of the roster: %+v", d)
	}
	// While the history is away all is unknown, and after it all comes again.
	e.history.fail(errAway)
	e.advance(time.Second)
	away := ask("yixian", own.Next)
	if !away.Full || away.Next != "" || away.Counts.Unknown != 2 || away.Liveness[0] != "unknown" {
		t.Errorf("%+v", away)
	}
}

// TestLatestOfThirtyThousandIsSmall and quick to be made.
func TestLatestOfThirtyThousandIsSmall(t *testing.T) {
	const n = 30_000
	e := newEnv(t)
	roster := alerts.Roster{Areas: alertstest.Roster().Areas}
	for i := range n {
		id := fmt.Sprintf("trk-%05d", i)
		roster.Devices = append(roster.Devices, alerts.Device{ID: contract.DeviceID(id), Kind: contract.Tracker, Area: "130633100", Expect: time.Minute})
		r := fixAt(id, begin.Add(-time.Duration(i%5000)*37*time.Millisecond), 39+float64(i*7919%n)/54321, 115+float64(i*104729%n)/65432)
		r.Values.Set(contract.BatteryPct, float64(i%101))
		e.history.readings = append(e.history.readings, r)
	}
	if err := e.store.ReplaceRoster(t.Context(), roster, begin); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := e.do(request{method: http.MethodGet, path: v1.Prefix + "/latest", as: "city", headers: map[string]string{"Accept-Encoding": "gzip"}}).want(200)
	took := time.Since(began)
	packed := r.Body.Len()
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.Copy(io.Discard, z)
	if err != nil || plain > 4<<20 || packed > 1<<20 {
		t.Errorf("%d bytes, %d compressed: %v", plain, packed, err)
	}
	t.Logf("%d devices: %d bytes, %d compressed, %s", n, plain, packed, took)
}

func TestSilentIsAlsoWhoNeverCame(t *testing.T) {
	e := newEnv(t)
	e.history.readings = []contract.Reading{
		reading("s-laiyuan", contract.Environment, begin.Add(-time.Hour), contract.TempC, 20), // silent
		fixAt("t-yixian", begin, 39, 115), // online
	} // s-yixian and t-off have never come, nobody expects t-off
	for word, want := range map[string][]string{
		"":           {"s-laiyuan", "s-yixian", "t-off", "t-yixian"},
		"silent":     {"s-laiyuan", "s-yixian"},
		"never_seen": {"s-yixian", "t-off"},
		"online":     {"t-yixian"},
		"late":       nil,
		"unknown":    nil,
	} {
		l := into[v1.DeviceList](e.get("city", "/devices?liveness="+word).want(200))
		var ids []string
		for _, d := range l.Items {
			ids = append(ids, d.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%q gives %v, want %v", word, ids, want)
		}
		if l.Counts != (v1.LivenessCounts{Online: 1, Silent: 2, NeverSeen: 2, Unknown: 1}) {
			t.Errorf("%q: counts %+v", word, l.Counts)
		}
	}
	if l := into[v1.DeviceList](e.get("yixian", "/devices?kind=sensor&limit=1").want(200)); l.Counts != (v1.LivenessCounts{Silent: 1, NeverSeen: 1}) {
		t.Errorf("of one county's sensors: %+v", l.Counts)
	}
	e.get("city", "/devices?liveness=dead").problem(400, "invalid")
}

func TestADeviceIsFoundByAllThatPeopleCallIt(t *testing.T) {
	e := newEnv(t)
	for q, want := range map[string]int{"S-YIXIAN": 1, "yixian": 2, "%20t-": 2, "nobody": 0} {
		if l := into[v1.DeviceList](e.get("city", "/devices?q="+q).want(200)); len(l.Items) != want {
			t.Errorf("%q gives %d devices, want %d", q, len(l.Items), want)
		}
	}
}

func TestDevicesShowTheirHealth(t *testing.T) {
	e := newEnv(t)
	e.history.health = []ingest.DeviceHealth{
		{
			Device: "t-yixian", Received: begin, Measured: begin.Add(-time.Hour), Skew: -90500 * time.Millisecond, HasSkew: true,
			Buffered: 12, HasBuffered: true, BatteryPct: 30, BatteryRate: -10, DaysLeft: 3, HasBattery: true, HasDaysLeft: true,
			Missing: 4, Repeated: 5, Resets: 6, Flood: ingest.FloodCut,
		},
		{Device: "s-yixian", Received: begin, Measured: begin},
	}
	ds := devices(t, e.get("yixian", "/devices"))
	if ds["t-off"].Health != nil {
		t.Errorf("t-off: %+v", ds["t-off"].Health)
	}
	h := ds["t-yixian"].Health
	if h == nil || *h.SkewS != -90.5 || *h.Buffered != 12 || *h.BatteryPct != 30 || *h.BatteryRate != -10 || *h.DaysLeft != 3 ||
		h.Missing != 4 || h.Repeated != 5 || h.Resets != 6 || h.Flood != "cut" || !h.Measured.Equal(begin.Add(-time.Hour)) {
		t.Errorf("t-yixian: %+v", h)
	}
	s := into[v1.Device](e.get("yixian", "/devices/s-yixian").want(200)).Health
	if s == nil || s.SkewS != nil || s.Buffered != nil || s.BatteryPct != nil || s.DaysLeft != nil || s.Flood != "none" {
		t.Errorf("s-yixian: %+v", s)
	}
}

func TestWindowsAreAskedForAsTheyWereMeant(t *testing.T) {
	e := newEnv(t)
	w := ingest.Window{At: begin, Count: 3}
	w.Min.Set(contract.TempC, 1)
	w.Mean.Set(contract.TempC, 2)
	w.Max.Set(contract.TempC, 3)
	e.history.windows = []ingest.Window{w}
	for _, row := range []struct {
		device, query string
		class         contract.Class
		every         time.Duration
		fields        int
	}{
		{"s-yixian", "", contract.Environment, 5 * time.Minute, 0},
		{"t-yixian", "?every=1d&from=2025-03-14T00:00:00Z", contract.Position, 24 * time.Hour, 0},
		{"s-yixian", "?from=2025-03-14T00:00:00Z", contract.Environment, 7 * 24 * time.Hour, 0},
		{"t-yixian", "?class=sos&every=1h30m", contract.SOS, 90 * time.Minute, 0},
		{"s-yixian", "?fields=temp_c,rh_pct,temp_c", contract.Environment, 5 * time.Minute, 2},
	} {
		l := into[v1.WindowList](e.get("yixian", "/devices/"+row.device+"/windows"+row.query).want(200))
		q := e.history.window
		if string(q.Device) != row.device || q.Class != row.class || q.Every != row.every || len(q.Fields) != row.fields || l.EveryS != row.every.Seconds() {
			t.Errorf("%s: %+v", row.query, q)
		}
		if len(l.Items) != 1 || l.Items[0].Mean["temp_c"] != 2 || l.Items[0].Count != 3 || !l.Items[0].At.Equal(begin) {
			t.Errorf("%+v", l.Items)
		}
	}
	for _, bad := range []string{"every=1s", "every=x", "every=-1h", "every=400d", "every=10s&from=2026-03-01T00:00:00Z", "fields=lat", "fields=x", "class=weather", "from=x", "every=1.5s"} {
		e.get("yixian", "/devices/s-yixian/windows?"+bad).problem(400, "invalid")
	}
	e.history.fail(errAway)
	secretless(t, e.get("yixian", "/devices/s-yixian/windows").want(503).Body)
}
