// Package alertstest holds the suites that every implementation of the ports of
// package alerts must pass.
package alertstest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Store is every store port together.
type Store interface {
	alerts.RosterStore
	alerts.DeviceStore
	alerts.AccountStore
	alerts.AlertStore
	alerts.OrderStore
	alerts.CommandStore
	alerts.WarningStore
	alerts.WarningFeedStore
	alerts.EventStore
	alerts.AuditStore
	alerts.LeaseStore
	alerts.DangerStore
	alerts.DocumentStore
	alerts.HotspotStore
	alerts.IncidentStore
	alerts.SilenceStore
	alerts.HoldbackStore
	alerts.ReadinessStore
}

// StoreSuite checks what the ports promise. open returns an empty store, which
// ends with the test that it was given.
func StoreSuite(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, group := range []struct {
		name  string
		tests map[string]func(check)
	}{
		{"Roster", rosterTests},
		{"Devices", deviceTests},
		{"Accounts", accountTests},
		{"Alerts", alertTests},
		{"Orders", orderTests},
		{"Deliveries", deliveryTests},
		{"Commands", commandTests},
		{"Warnings", warningTests},
		{"WarningFeeds", warningFeedTests},
		{"Seasons", seasonTests},
		{"Events", eventTests},
		{"Audits", auditTests},
		{"Leases", leaseTests},
		{"Danger", dangerTests},
		{"Documents", documentTests},
		{"Hotspots", hotspotTests},
		{"Incidents", incidentTests},
		{"Silences", silenceTests},
		{"Holdbacks", holdbackTests},
		{"Readiness", readinessTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) { test(check{t, open(t)}) })
			}
		})
	}
}

// check is one test with its empty store.
type check struct {
	*testing.T
	store Store
}

// t0 is the time of the tests; stores keep milliseconds.
var t0 = time.Date(2026, 3, 14, 0, 30, 0, 123_000_000, time.UTC)

func at(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

// Roster is a small roster: a city, two counties, three townships, three teams
// and two devices.
func Roster() alerts.Roster {
	return alerts.Roster{
		Areas: []alerts.Area{
			{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.87, Lon: 115.46, Surveyed: true},
			{Code: "130630", Name: "涞源县", Level: alerts.County, Parent: "130600", Lat: 39.36, Lon: 114.69},
			{Code: "130630100", Name: "涞源镇", Level: alerts.Township, Parent: "130630", Lat: 39.35, Lon: 114.68},
			{
				Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.5,
				Outline: []byte(`{"type":"Polygon","coordinates":[[[115,39],[116,39],[116,40],[115,39]]]}`),
			},
			{Code: "130633100", Name: "易州镇", Level: alerts.Township, Parent: "130633", Lat: 39.34, Lon: 115.49},
			{Code: "130633101", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633", Lat: 39.33, Lon: 115.37},
		},
		Teams: []alerts.Team{
			{
				ID: "pro-yixian", Name: "易县专业队", Kind: alerts.Professional, Area: "130633", Lat: 39.35, Lon: 115.5,
				Members: 30, Contact: "张三", Phone: "13800000001", SecretHash: "sha256:pro",
			},
			{ID: "tw-laiyuan", Name: "涞源镇扑火队", Kind: alerts.TownshipTeam, Area: "130630100", Members: 15},
			{ID: "tw-yizhou", Name: "易州镇扑火队", Kind: alerts.TownshipTeam, Area: "130633100", Members: 20},
		},
		Devices: []alerts.Device{
			{
				ID: "sensor-1", Kind: contract.Sensor, Area: "130633101", Name: "永福寺", Lat: 39.3, Lon: 115.3,
				Expect: 5 * time.Minute, SecretHash: "sha256:s1", Site: "塔顶北侧", Model: "s2120", Alias: "chirpstack/24e124136b323456",
				Firmware: "1.4.2", Calibration: alerts.Calibrated, CalibratedAt: t0.Add(-24 * time.Hour),
			},
			{ID: "tracker-1", Kind: contract.Tracker, Area: "130633100", Name: "李四", Phone: "13900000001", Disabled: true},
		},
	}
}

func withRoster(tb testing.TB, s Store) {
	tb.Helper()
	must(tb, s.ReplaceRoster(tb.Context(), Roster(), t0))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func got[T any](v T, err error) func(tb testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		must(tb, err)
		return v
	}
}

func equal[T any](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		tb.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func event(typ alerts.EventType) alerts.Event {
	return alerts.Event{At: t0, Type: typ, Area: "130633", Team: "tw-yizhou", Data: []byte(`{"id":"x"}`)}
}

// newEvents are the events since the id.
func newEvents(tb testing.TB, s Store, after int64) []alerts.Event {
	tb.Helper()
	return got(s.Events(tb.Context(), after, 1000))(tb)
}

func lastEvent(tb testing.TB, s Store) int64 {
	tb.Helper()
	return got(s.LastEvent(tb.Context()))(tb)
}

func types(evs []alerts.Event) []alerts.EventType {
	out := make([]alerts.EventType, len(evs))
	for i, e := range evs {
		out[i] = e.Type
	}
	return out
}
