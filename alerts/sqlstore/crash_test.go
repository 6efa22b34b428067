package sqlstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const crashEnv = "FIREWATCH_TEST_CRASH_STORE"

// TestCrashChild is not a test but the process that testCrash kills: it gives
// orders and names each one when the call has returned.
func TestCrashChild(t *testing.T) {
	addr := os.Getenv(crashEnv)
	if addr == "" {
		t.Skip("runs as the child of the crash tests")
	}
	s := openStore(t, addr)
	for i := 0; ; i++ {
		id := alerts.NewID("or", time.Now())
		if _, _, err := s.CreateOrder(t.Context(), alerts.Order{ID: id, Issuer: "duty", IdempotencyKey: id, Issued: time.Now()},
			largeDeliveries(), []alerts.Event{{Type: alerts.EventOrder, Data: idData(id)}}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(os.Stdout, "given", id)
	}
}

func testCrash(t dialectTest) {
	addr := t.newURL(t)
	openMigrated(t, addr)
	given := map[string]bool{}
	for round := range 4 {
		killChild(t.T, "TestCrashChild", addr, 3+5*round, given)
	}

	s := openMigrated(t, addr)
	events := map[string]bool{}
	for after := int64(0); ; {
		evs, err := s.Events(t.Context(), after, 1000)
		must(t, err)
		if len(evs) == 0 {
			break
		}
		for _, e := range evs {
			if e.ID != after+1 {
				t.Errorf("event %d after %d", e.ID, after)
			}
			after = e.ID
			events[string(e.Data)] = true
		}
	}
	os, err := s.Orders(t.Context(), alerts.OrderQuery{Limit: 1000})
	must(t, err)
	ids := make([]string, len(os))
	for i, o := range os {
		ids[i] = o.ID
		delete(given, o.ID)
		if !events[string(idData(o.ID))] {
			t.Errorf("order %s has no event", o.ID)
		}
	}
	if len(given) > 0 {
		t.Errorf("%d orders are lost: %v", len(given), given)
	}
	if len(events) != len(os) {
		t.Errorf("%d events of %d orders", len(events), len(os))
	}
	tallies, err := s.Tallies(t.Context(), ids)
	must(t, err)
	for id, tally := range tallies {
		if tally.Total != 128 {
			t.Errorf("order %s has %d deliveries", id, tally.Total)
		}
	}
	t.Logf("%d orders after 4 kills", len(os))
}

// killChild lets a child give at least n orders or commands, and adds to given
// all that it named before it died.
func killChild(t *testing.T, test, addr string, n int, given map[string]bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+test+"$")
	child.Env = append(os.Environ(), crashEnv+"="+addr)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	said := 0
	var other []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, ok := strings.CutPrefix(lines.Text(), "given ")
		if !ok {
			other = append(other, lines.Text())
			continue
		}
		given[id] = true
		if said++; said == n {
			must(t, child.Process.Kill())
		}
	}
	err = child.Wait()
	if said < n || err == nil {
		t.Fatalf("the child gave %d and ended with %v: %v", said, err, other)
	}
}

func largeDeliveries() []alerts.Delivery {
	ds := make([]alerts.Delivery, 128)
	for i := range ds {
		ds[i] = alerts.Delivery{
			Team: contract.TeamID(fmt.Sprintf("team-%03d", i)), Reason: "所属区域内的乡镇扑火队", State: alerts.DeliveryPending, NextAt: t0,
		}
	}
	return ds
}

func largeRoster() alerts.Roster {
	r := alerts.Roster{Areas: []alerts.Area{{Code: "130600", Name: "保定市", Level: alerts.City}}}
	for c := range 9 {
		county := fmt.Sprintf("1306%02d", 30+c)
		r.Areas = append(r.Areas, alerts.Area{Code: county, Name: county, Level: alerts.County, Parent: "130600"})
		for i := range 14 {
			town := fmt.Sprintf("%s%03d", county, 100+i)
			r.Areas = append(r.Areas, alerts.Area{
				Code: town, Name: town, Level: alerts.Township, Parent: county,
				Outline: []byte(`{"type":"Polygon","coordinates":[[` + strings.Repeat("[115.123456,39.123456],", 40) + `[115,39]]]}`),
			})
			r.Teams = append(r.Teams, alerts.Team{ID: contract.TeamID("tw-" + town), Name: "扑火队", Kind: alerts.TownshipTeam, Area: town})
		}
	}
	for i := range 14_000 {
		kind := contract.Tracker
		if i >= 11_000 {
			kind = contract.Sensor
		}
		r.Devices = append(r.Devices, alerts.Device{
			ID: contract.DeviceID(fmt.Sprintf("%s-%05d", kind, i)), Kind: kind, Area: r.Areas[2].Code, Name: "护林员", Phone: "13900000000",
			Lat: 39.3, Lon: 115.5, Expect: 5 * time.Minute, SecretHash: "sha256:0123456789abcdef:" + strings.Repeat("0f", 32),
		})
	}
	return r
}
