package alertstest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

var rosterTests = map[string]func(check){
	"EmptyAtFirst": func(t check) {
		s := t.store
		equal(t, "areas", got(s.Areas(t.Context()))(t), nil)
		equal(t, "teams", got(s.Teams(t.Context()))(t), nil)
		equal(t, "devices", got(s.Devices(t.Context()))(t), nil)
	},
	"ReplacedRosterComesBackSorted": func(t check) {
		s := t.store
		r := Roster()
		slices.Reverse(r.Areas)
		slices.Reverse(r.Teams)
		slices.Reverse(r.Devices)
		must(t, s.ReplaceRoster(t.Context(), r, t0))
		checkRoster(t, s, Roster())
	},
	"ReplacingBumpsVersionAndTells": func(t check) {
		s := t.store
		v0, demo, err := s.RosterVersion(t.Context())
		must(t, err)
		equal(t, "demo", demo, false)
		r := Roster()
		r.Demo = true
		must(t, s.ReplaceRoster(t.Context(), r, t0))
		v1, demo, err := s.RosterVersion(t.Context())
		must(t, err)
		equal(t, "demo", demo, true)
		if v1 <= v0 {
			t.Errorf("version %d after %d", v1, v0)
		}
		evs := newEvents(t, s, 0)
		equal(t, "events", types(evs), []alerts.EventType{alerts.EventRoster})
		equal(t, "time of the event", evs[0].At, t0)
	},
	"NewRosterDropsWhatItLacks": func(t check) {
		s := t.store
		withRoster(t, s)
		r := alerts.Roster{Areas: Roster().Areas[:2]}
		must(t, s.ReplaceRoster(t.Context(), r, t0))
		checkRoster(t, s, r)
		withRoster(t, s)
		checkRosterButSecrets(t, s, Roster())
	},
	"SecretIsKeptUnlessGiven": func(t check) {
		s := t.store
		withRoster(t, s)
		r := Roster()
		r.Teams[0].SecretHash = ""
		r.Teams[1].SecretHash = "sha256:new"
		r.Devices[0].SecretHash = ""
		r.Devices[1].SecretHash = "sha256:new"
		must(t, s.ReplaceRoster(t.Context(), r, t0))
		r.Teams[0].SecretHash = "sha256:pro"
		r.Devices[0].SecretHash = "sha256:s1"
		checkRoster(t, s, r)
	},
	"FaultyRosterChangesNothing": func(t check) {
		s := t.store
		withRoster(t, s)
		before, _, err := s.RosterVersion(t.Context())
		must(t, err)
		for name, spoil := range map[string]func(*alerts.Roster){
			"area twice":   func(r *alerts.Roster) { r.Areas = append(r.Areas, r.Areas[2]) },
			"team twice":   func(r *alerts.Roster) { r.Teams = append(r.Teams, r.Teams[0]) },
			"device twice": func(r *alerts.Roster) { r.Devices = append(r.Devices, r.Devices[0]) },
		} {
			r := Roster()
			r.Areas[0].Name = "spoilt"
			spoil(&r)
			if err := s.ReplaceRoster(t.Context(), r, t0); !errors.Is(err, alerts.ErrConflict) {
				t.Errorf("%s: %v, want ErrConflict", name, err)
			}
		}
		checkRoster(t, s, Roster())
		after, _, err := s.RosterVersion(t.Context())
		must(t, err)
		equal(t, "version", after, before)
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"HistoryOutlivesTheRoster": func(t check) {
		s := t.store
		withRoster(t, s)
		a := newAlert("al-1", 0)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{a}}))
		o := newOrder("or-1", 0)
		got2(s.CreateOrder(t.Context(), o, deliveriesTo("tw-yizhou"), nil))(t)
		must(t, s.ReplaceRoster(t.Context(), alerts.Roster{Areas: Roster().Areas[:1]}, t0))
		equal(t, "alert", got(s.Alert(t.Context(), "al-1"))(t), a)
		equal(t, "order", got(s.Order(t.Context(), "or-1"))(t), o)
		equal(t, "deliveries", len(got(s.Deliveries(t.Context(), "or-1"))(t)), 1)
		got(s.UpdateDelivery(t.Context(), "or-1", "tw-yizhou", answerAt(5)))(t)
	},
	"SaveDeviceAddsAndChanges": func(t check) {
		s := t.store
		withRoster(t, s)
		before, _, err := s.RosterVersion(t.Context())
		must(t, err)
		r := Roster()
		r.Devices[0].Name, r.Devices[0].SecretHash = "moved", ""
		must(t, s.SaveDevice(t.Context(), r.Devices[0], t0))
		r.Devices[0].SecretHash = "sha256:s1"
		r.Devices[1].SecretHash = "sha256:t1"
		must(t, s.SaveDevice(t.Context(), r.Devices[1], t0))
		d := alerts.Device{ID: "tracker-2", Kind: contract.Tracker, Area: "130630100"}
		must(t, s.SaveDevice(t.Context(), d, t0))
		r.Devices = append(r.Devices, d)
		checkRoster(t, s, r)
		after, _, err := s.RosterVersion(t.Context())
		must(t, err)
		if after <= before {
			t.Errorf("version %d after %d", after, before)
		}
		equal(t, "events", len(newEvents(t, s, 0)), 4)
	},
	"CancelledContextChangesNothing": func(t check) {
		s := t.store
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.ReplaceRoster(ctx, Roster(), t0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		if _, err := s.Areas(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
		equal(t, "areas", got(s.Areas(t.Context()))(t), nil)
	},
}

func checkRoster(tb testing.TB, s Store, want alerts.Roster) {
	tb.Helper()
	equal(tb, "areas", got(s.Areas(tb.Context()))(tb), want.Areas)
	equal(tb, "teams", got(s.Teams(tb.Context()))(tb), want.Teams)
	equal(tb, "devices", got(s.Devices(tb.Context()))(tb), want.Devices)
}

func checkRosterButSecrets(tb testing.TB, s Store, want alerts.Roster) {
	tb.Helper()
	equal(tb, "areas", got(s.Areas(tb.Context()))(tb), want.Areas)
	equal(tb, "teams", len(got(s.Teams(tb.Context()))(tb)), len(want.Teams))
	equal(tb, "devices", len(got(s.Devices(tb.Context()))(tb)), len(want.Devices))
}
