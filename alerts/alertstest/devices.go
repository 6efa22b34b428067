package alertstest

import (
	"errors"
	"fmt"
	"sync"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func newDevice(id string) alerts.Device {
	return alerts.Device{ID: contract.DeviceID(id), Kind: contract.Tracker, Area: "130630100", Name: "王五"}
}

var errChange = errors.New("no")

var deviceTests = map[string]func(check){
	"ChangeIsMadeWhole": func(t check) {
		s := t.store
		withRoster(t, s)
		before, _, err := s.RosterVersion(t.Context())
		must(t, err)
		r := Roster()
		add, changed := newDevice("tracker-2"), r.Devices[0]
		changed.SecretHash, changed.Calibration = "", alerts.CalibrationDue
		must(t, s.ChangeDevices(t.Context(), alerts.DeviceChange{
			Add: []alerts.Device{add}, Save: []alerts.Device{changed, newDevice("tracker-3")},
			Remove: []contract.DeviceID{"tracker-1", "unheard-of"}, Base: before,
		}, t0))
		changed.SecretHash = "sha256:s1"
		r.Devices = []alerts.Device{changed, add, newDevice("tracker-3")}
		checkRoster(t, s, r)
		after, _, err := s.RosterVersion(t.Context())
		must(t, err)
		if after <= before {
			t.Errorf("version %d after %d", after, before)
		}
		equal(t, "events", len(newEvents(t, s, 0)), 2)
	},
	"FaultyChangeChangesNothing": func(t check) {
		s := t.store
		withRoster(t, s)
		before, _, err := s.RosterVersion(t.Context())
		must(t, err)
		good, nowhere, odd, taken := newDevice("tracker-2"), newDevice("tracker-3"), newDevice("tracker-4"), newDevice("tracker-5")
		nowhere.Area, odd.Alias, taken.Alias = "999999", "chirpstack/24E124136B323456", Roster().Devices[0].Alias
		twin, other := newDevice("tracker-6"), newDevice("tracker-7")
		twin.Alias, other.Alias = "owntracks/jane/phone", "owntracks/jane/phone"
		for name, row := range map[string]struct {
			change alerts.DeviceChange
			want   error // nil: any
		}{
			"exists":       {alerts.DeviceChange{Add: []alerts.Device{good, newDevice("tracker-1")}}, alerts.ErrConflict},
			"twice":        {alerts.DeviceChange{Save: []alerts.Device{good, good}}, alerts.ErrConflict},
			"no area":      {alerts.DeviceChange{Save: []alerts.Device{good, nowhere}}, alerts.ErrNotFound},
			"odd alias":    {alerts.DeviceChange{Save: []alerts.Device{good, odd}}, nil},
			"alias taken":  {alerts.DeviceChange{Add: []alerts.Device{good, taken}}, alerts.ErrConflict},
			"alias shared": {alerts.DeviceChange{Save: []alerts.Device{twin, other}}, alerts.ErrConflict},
			"old base":     {alerts.DeviceChange{Save: []alerts.Device{good}, Base: before + 7}, alerts.ErrConflict},
		} {
			row.change.Remove = []contract.DeviceID{"sensor-1"}
			if name == "alias taken" {
				row.change.Remove = nil
			}
			if err := s.ChangeDevices(t.Context(), row.change, t0); err == nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("%s: %v, want %v", name, err, row.want)
			}
		}
		checkRoster(t, s, Roster())
		after, _, err := s.RosterVersion(t.Context())
		must(t, err)
		equal(t, "version", after, before)
	},
	"AliasesMaySwap": func(t check) {
		s := t.store
		withRoster(t, s)
		a, b := newDevice("a"), newDevice("b")
		a.Alias, b.Alias = "owntracks/jane/phone", "owntracks/jim/phone"
		must(t, s.ChangeDevices(t.Context(), alerts.DeviceChange{Add: []alerts.Device{a, b}}, t0))
		a.Alias, b.Alias = b.Alias, a.Alias
		must(t, s.ChangeDevices(t.Context(), alerts.DeviceChange{Save: []alerts.Device{a, b}}, t0))
		equal(t, "devices", got(s.Devices(t.Context()))(t)[:2], []alerts.Device{a, b})
		// Nobody has both, however often none is written.
		must(t, s.ChangeDevices(t.Context(), alerts.DeviceChange{Save: []alerts.Device{newDevice("a"), newDevice("b")}}, t0))
		r := Roster()
		r.Devices = append(r.Devices, a, b)
		r.Devices[2].Alias = r.Devices[3].Alias
		if err := s.ReplaceRoster(t.Context(), r, t0); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("a roster with a shared alias: %v, want ErrConflict", err)
		}
	},
	"UpdateReadsChangesAndSaves": func(t check) {
		s := t.store
		withRoster(t, s)
		want := Roster().Devices[0]
		want.Name, want.CalibratedAt, want.SecretHash = "新名", at(1), alerts.Revoked
		d, err := s.UpdateDevice(t.Context(), "sensor-1", func(d *alerts.Device) error {
			d.Name, d.CalibratedAt, d.SecretHash = want.Name, want.CalibratedAt, alerts.Revoked
			return nil
		}, t0)
		must(t, err)
		equal(t, "returned", d, want)
		equal(t, "kept", got(s.Devices(t.Context()))(t)[0], want)
		d, err = s.UpdateDevice(t.Context(), "sensor-1", func(d *alerts.Device) error { d.SecretHash = ""; return nil }, t0)
		must(t, err)
		equal(t, "with the credential that it had", d, want)
		for name, row := range map[string]struct {
			id     contract.DeviceID
			change func(*alerts.Device) error
			want   error
		}{
			"refused":     {"sensor-1", func(d *alerts.Device) error { d.Name = "spoilt"; return errChange }, errChange},
			"unknown":     {"nobody", func(*alerts.Device) error { return nil }, alerts.ErrNotFound},
			"no area":     {"sensor-1", func(d *alerts.Device) error { d.Area = "999999"; return nil }, alerts.ErrNotFound},
			"alias taken": {"tracker-1", func(d *alerts.Device) error { d.Alias = want.Alias; return nil }, alerts.ErrConflict},
			"renamed":     {"sensor-1", func(d *alerts.Device) error { d.ID = "tracker-1"; return nil }, nil},
		} {
			if _, err := s.UpdateDevice(t.Context(), row.id, row.change, t0); err == nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("%s: %v, want %v", name, err, row.want)
			}
		}
		equal(t, "kept still", got(s.Devices(t.Context()))(t)[0], want)
	},
	"UpdatesAtOnceAreNotLost": func(t check) {
		s := t.store
		withRoster(t, s)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := s.UpdateDevice(t.Context(), "tracker-1", func(d *alerts.Device) error {
					d.Site += fmt.Sprint(i)
					return nil
				}, t0)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		equal(t, "changes", len(got(s.Devices(t.Context()))(t)[1].Site), 8)
	},
}
