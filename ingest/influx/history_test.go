package influx_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// offices is a registry in which devices move.
type offices struct {
	mu   sync.Mutex
	area map[contract.DeviceID]string
}

func (o *offices) Lookup(id contract.DeviceID) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a, known := o.area[id]
	return a, known
}

func (o *offices) move(id contract.DeviceID, area string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.area[id] = area
}

func TestMovedDeviceHasOneHistory(t *testing.T) {
	registry := &offices{area: map[contract.DeviceID]string{"w-1": "130633"}}
	c := client(t, influx.Options{Registry: registry})
	var rs []contract.Reading
	for i := range 10 {
		rs = append(rs, fix("w-1", day.Add(time.Duration(i)*time.Second), uint64(i)))
	}
	mustWrite(t, c, rs...)
	registry.move("w-1", `13,06=26 "易县"`)
	mustWrite(t, c, rs[3:]...) // the same readings again: now other points
	mustWrite(t, c, fix("w-1", day.Add(time.Hour), 10))
	for _, newest := range []bool{false, true} {
		for _, limit := range []int{1, 4, 8, 100} {
			got, err := c.Readings(t.Context(), ingest.ReadingQuery{
				Device: "w-1", Class: contract.Position, From: day, To: day.Add(time.Minute), Limit: limit, Newest: newest,
			})
			if err != nil {
				t.Fatal(err)
			}
			want := rs[:min(limit, 10)]
			if newest {
				want = rs[10-len(want):]
			}
			if len(got) != len(want) {
				t.Fatalf("newest %t, limit %d: %d readings, want %d", newest, limit, len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("newest %t, limit %d: reading %d is %+v", newest, limit, i, got[i])
				}
			}
		}
	}
	last, err := c.Last(t.Context(), contract.Position)
	if err != nil || len(last) != 1 || last[0].Seq != 10 {
		t.Errorf("last: %v %+v", err, last)
	}
}

func TestWindowIsByMeasuredMillisecond(t *testing.T) {
	c := client(t, influx.Options{})
	for i := range 4 { // in one millisecond and its neighbours, with large ties
		mustWrite(t, c, fix("w-1", day.Add(time.Duration(i)*time.Millisecond), 999_999))
	}
	for _, tt := range []struct {
		from, to time.Duration
		want     int
	}{
		{0, 4 * time.Millisecond, 4},
		{time.Millisecond, 2 * time.Millisecond, 1},
		{time.Millisecond, time.Millisecond, 0},
		{time.Millisecond + 1, 2*time.Millisecond + 1, 1},
		{1, 3*time.Millisecond + 1, 3},
		{-time.Hour, 0, 0},
	} {
		got, err := c.Readings(t.Context(), ingest.ReadingQuery{Device: "w-1", Class: contract.Position, From: day.Add(tt.from), To: day.Add(tt.to), Limit: 10})
		if err != nil || len(got) != tt.want {
			t.Errorf("%s to %s: %d readings (%v), want %d", tt.from, tt.to, len(got), err, tt.want)
		}
	}
	// The whole of time is a window too.
	got, err := c.Readings(t.Context(), ingest.ReadingQuery{Device: "w-1", Class: contract.Position, To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Limit: 10})
	if err != nil || len(got) != 4 {
		t.Errorf("for ever: %d readings, %v", len(got), err)
	}
}

func TestClassesThatSharePlaces(t *testing.T) {
	c := client(t, influx.Options{})
	sos := func(id contract.DeviceID, at time.Duration, code string) contract.Reading {
		r := fix(id, day.Add(at), 7)
		r.Class, r.Code = contract.SOS, code
		return r
	}
	report := fix("w-2", day.Add(time.Minute), 8)
	report.Class, report.Code, report.Text = contract.Report, "farm", "烧荒"
	// An SOS of the same millisecond and number as a position: a device that
	// counts each topic apart.
	mustWrite(t, c, fix("w-1", day, 7), sos("w-1", 0, "button"), sos("w-1", time.Minute, ""), fix("w-1", day.Add(time.Hour), 9), report)
	if got := history(t, c, "w-1", contract.SOS); len(got) != 2 || got[0].Code != "button" {
		t.Errorf("SOS of w-1: %+v", got)
	}
	if got := history(t, c, "w-1", contract.Position); len(got) != 4 {
		t.Errorf("%d places of w-1, want 4", len(got))
	}
	for class, want := range map[contract.Class][]contract.Reading{
		contract.SOS:         {sos("w-1", time.Minute, "")},
		contract.Report:      {report},
		contract.Position:    {fix("w-1", day.Add(time.Hour), 9), report},
		contract.Environment: nil,
		contract.Status:      nil,
	} {
		got, err := c.Last(t.Context(), class)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("last %s: %+v", class, got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("last %s:\n got %+v\nwant %+v", class, got[i], want[i])
			}
		}
	}
}

func TestLastOfManyDevices(t *testing.T) {
	c := client(t, influx.Options{})
	const n = 12_000 // more than one chunk of an answer
	var rs []contract.Reading
	for i := range n {
		rs = append(rs, fix(contract.DeviceID(fmt.Sprintf("w-%05d", i)), day, uint64(i)))
	}
	mustWrite(t, c, rs...)
	got, err := c.Last(t.Context(), contract.Position)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[contract.DeviceID]bool{}
	for i := range got {
		seen[got[i].Device] = true
	}
	if len(got) != n || len(seen) != n {
		t.Errorf("%d readings of %d devices, want %d", len(got), len(seen), n)
	}
}

func TestQuestionsThatCannotBe(t *testing.T) {
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"}) // nobody is asked
	ok := ingest.ReadingQuery{Device: "w-1", Class: contract.Position, To: day, Limit: 1}
	for name, change := range map[string]func(*ingest.ReadingQuery){
		"device": func(q *ingest.ReadingQuery) { q.Device = `x' OR 1=1; DROP DATABASE "firewatch` },
		"class":  func(q *ingest.ReadingQuery) { q.Class = 0 },
		"limit":  func(q *ingest.ReadingQuery) { q.Limit = 10_001 },
	} {
		q := ok
		change(&q)
		if _, err := c.Readings(t.Context(), q); err == nil || errors.Is(err, ingest.ErrHistoryAway) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Last(t.Context(), 0); err == nil || errors.Is(err, ingest.ErrHistoryAway) {
		t.Errorf("last: %v", err)
	}
}

func TestMissingDatabaseIsAReason(t *testing.T) {
	c := connect(t, influx.Options{Database: "absent"})
	_, err := c.Last(t.Context(), contract.Position)
	if !errors.Is(err, ingest.ErrHistoryAway) || !strings.Contains(err.Error(), "database not found") {
		t.Errorf("%v", err)
	}
	_, err = c.Quarantine(t.Context())
	if !errors.Is(err, ingest.ErrHistoryAway) {
		t.Errorf("%v", err)
	}
}

func TestQuarantineKeepsTheExampleAsItWas(t *testing.T) {
	c := client(t, influx.Options{})
	want := ingest.QuarantineCount{
		Device: "w-1", Total: 100_000, LastReason: "第 3 条: lat \"91\"\n\\", LastTopic: "fw/v1/trackers/w-1/positions",
		Example: []byte{0xa1, 0x61, 't', 0xff, 0, '"', '\n'}, Last: day.Add(3 * time.Millisecond),
	}
	nobody := want
	nobody.Device, nobody.LastTopic = "", "some/\xfftopic"
	if err := c.WriteQuarantine(t.Context(), []ingest.QuarantineCount{want, nobody}); err != nil {
		t.Fatal(err)
	}
	got, err := c.Quarantine(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%v %+v", err, got)
	}
	nobody.LastTopic = "some/�topic"
	for i, w := range []ingest.QuarantineCount{nobody, want} {
		if fmt.Sprintf("%+v", got[i]) != fmt.Sprintf("%+v", w) {
			t.Errorf("\n got %+v\nwant %+v", got[i], w)
		}
	}
}

func TestLastFindsOldAndLateReadings(t *testing.T) {
	c := client(t, influx.Options{})
	last := func(want ...contract.Reading) {
		t.Helper()
		got, err := c.Last(t.Context(), contract.Position)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d devices, want %d: %+v", len(got), len(want), got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("\n got %+v\nwant %+v", got[i], want[i])
			}
		}
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	ago := func(id contract.DeviceID, d time.Duration) contract.Reading {
		return fix(id, now.Add(-d), uint64(d.Abs()/time.Second))
	}
	const days = 24 * time.Hour
	older := []contract.Reading{ago("w-1", 3*days), ago("w-2", 200*days), ago("w-3", 5*365*days), ago("w-4", time.Hour)}
	mustWrite(t, c, append(older, ago("w-2", 201*days), ago("w-4", 2*time.Hour), ago("w-4", 90*days))...)
	last(older...)
	mustWrite(t, c, ago("w-1", 4*days), ago("w-4", 90*time.Minute)) // late, and not newer
	last(older...)
	newer := ago("w-3", time.Minute)
	ahead := ago("w-4", -5*time.Minute) // a clock that is fast
	mustWrite(t, c, newer, ahead)
	last(older[0], older[1], newer, ahead)
	again := newer
	again.Received = again.Received.Add(time.Minute) // delivered twice
	mustWrite(t, c, again)
	last(older[0], older[1], again, ahead)
}

func TestManyMayAskForTheLastAtOnce(t *testing.T) {
	c := client(t, influx.Options{})
	mustWrite(t, c, fix("w-1", day, 1))
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if got, err := c.Last(t.Context(), contract.Position); err != nil || len(got) != 1 {
				t.Errorf("%v %+v", err, got)
			}
		})
	}
	wg.Wait()
}
