package app

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

var (
	_ ingest.Registry   = (*registry)(nil)
	_ ingest.Directory  = (*registry)(nil)
	_ ingest.Credential = (*registry)(nil)
)

// registered is a store with a phone, a retired phone, a station, a device whose
// credential was taken back, and a team.
func registered(tb testing.TB) *memstore.Store {
	tb.Helper()
	hash := roster.HashSecret(secretOf)
	set := alertstest.Roster()
	device := func(id, alias string, kind contract.Kind) alerts.Device {
		return alerts.Device{ID: contract.DeviceID(id), Kind: kind, Area: "130630100", Alias: alias, SecretHash: hash, Model: "s2120"}
	}
	set.Devices = []alerts.Device{
		device("phone", "owntracks/jane/phone", contract.Tracker), device("retired", "owntracks/jim/phone", contract.Tracker),
		device("revoked", "", contract.Tracker), device("station", "chirpstack/24e124136b323456", contract.Sensor),
	}
	set.Devices[1].Disabled = true
	set.Devices[2].SecretHash = alerts.Revoked
	set.Teams[0].SecretHash = hash
	store := memstore.New()
	if err := store.ReplaceRoster(context.Background(), set, time.Now()); err != nil {
		tb.Fatal(err)
	}
	return store
}

func openTestRegistry(tb testing.TB, store alerts.RosterStore) *registry {
	tb.Helper()
	r, err := newRegistry(context.Background(), store, true, zap.NewNop())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestWhoAClientIs(t *testing.T) {
	r := openTestRegistry(t, registered(t))
	phone := ingest.Principal{Device: "phone", Kind: contract.Tracker, Topic: "owntracks/jane/phone"}
	for _, row := range []struct {
		username string
		want     ingest.Principal
		ok       bool
	}{
		{"phone", phone, true},
		{"station", ingest.Principal{Device: "station", Kind: contract.Sensor}, true},
		{"team:pro-yixian", ingest.Principal{Team: "pro-yixian"}, true},
		{"retired", ingest.Principal{}, false},
		{"revoked", ingest.Principal{}, false},
		{"nobody", ingest.Principal{}, false},
		{"", ingest.Principal{}, false},
		{"service:ingest", ingest.Principal{}, false},
	} {
		if p, ok := r.Authenticate(row.username, []byte(secretOf)); ok != row.ok || ok && p != row.want {
			t.Errorf("%q with the secret: %+v, %v", row.username, p, ok)
		}
		if p, ok := r.Authenticate(row.username, []byte("wrong")); ok {
			t.Errorf("%q with a wrong secret is %+v", row.username, p)
		}
		if p, ok := r.AuthenticateCertificate(row.username); ok != row.ok || ok && p != row.want {
			t.Errorf("%q with a certificate: %+v, %v", row.username, p, ok)
		}
	}
	if !phone.MayPublish("owntracks/jane/phone/event") || phone.MayPublish("owntracks/jane/phones") {
		t.Error("the phone's topic is not its alias and below")
	}
	deaf := openTestRegistry(t, registered(t))
	deaf.answers = false
	if _, ok := deaf.AuthenticateCertificate("team:pro-yixian"); ok {
		t.Error("a terminal was let in where nobody takes its answers")
	}
	hears := func(r *registry) bool {
		t.Helper()
		p, ok := r.Authenticate("phone", []byte(secretOf))
		q, certified := r.AuthenticateCertificate("phone")
		if !ok || !certified || p != q || !p.MayPublish(contract.Uplink(contract.Tracker, contract.Position, "phone")) {
			t.Errorf("%+v, %v; with a certificate %+v, %v", p, ok, q, certified)
		}
		return p.MayPublish(contract.DeviceAnswers("phone"))
	}
	if !hears(r) || hears(deaf) {
		t.Error("a tracker may answer, but not where nobody takes it")
	}
}

func TestByAlias(t *testing.T) {
	r := openTestRegistry(t, registered(t))
	want := ingest.Registered{ID: "station", Kind: contract.Sensor, Alias: "chirpstack/24e124136b323456", Model: "s2120"}
	if d, ok := r.ByAlias(want.Alias); !ok || d != want {
		t.Errorf("%+v, %v", d, ok)
	}
	for _, alias := range []string{"", "owntracks/jim/phone", "chirpstack/0000000000000000"} {
		if d, ok := r.ByAlias(alias); ok {
			t.Errorf("%q is %+v", alias, d)
		}
	}
}

// TestFollow: whoever has another credential, or may say something else, is told
// without any time going by when the change was told, else within a second.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := registered(t)
		r := openTestRegistry(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		var gone []string
		done := make(chan error, 1)
		go func() { done <- r.Follow(ctx, func(username string) { gone = append(gone, username) }) }()
		synctest.Wait()
		change := func(id contract.DeviceID, f func(*alerts.Device)) alerts.Device {
			t.Helper()
			d, err := store.UpdateDevice(t.Context(), id, func(d *alerts.Device) error { f(d); return nil }, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		begin := time.Now()
		r.Changed([]alerts.Device{change("phone", func(d *alerts.Device) { d.Name = "another name" })}, nil)
		synctest.Wait()
		if len(gone) != 0 {
			t.Errorf("a new name ended %v", gone)
		}
		for _, f := range []func(*alerts.Device){
			func(d *alerts.Device) { d.SecretHash = roster.HashSecret("another") },
			func(d *alerts.Device) { d.Alias = "owntracks/joan/phone" },
			func(d *alerts.Device) { d.Disabled = true },
		} {
			r.Changed([]alerts.Device{change("phone", f)}, nil)
			synctest.Wait()
		}
		r.Changed(nil, []contract.DeviceID{"retired", "nobody"})
		if !slices.Equal(gone, []string{"phone", "phone", "phone"}) || time.Since(begin) != 0 {
			t.Errorf("after %s: %v", time.Since(begin), gone)
		}
		change("station", func(d *alerts.Device) { d.SecretHash = alerts.Revoked })
		time.Sleep(time.Second)
		synctest.Wait()
		if len(gone) != 4 || gone[3] != "station" {
			t.Errorf("after a second: %v", gone)
		}
		if err := store.ChangeDevices(t.Context(), alerts.DeviceChange{Remove: []contract.DeviceID{"phone"}}, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(gone) != 4 { // it was shut out already
			t.Errorf("in the end: %v", gone)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// asked counts how often the roster's version is asked for.
type asked struct {
	alerts.RosterStore
	n atomic.Int64
}

func (a *asked) RosterVersion(ctx context.Context) (int64, bool, error) {
	a.n.Add(1)
	return a.RosterStore.RosterVersion(ctx)
}

// TestANewCredentialIsFound: by a look at the store when the list lacks it, which
// a crowd shares; and without one when the change was told.
func TestANewCredentialIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := registered(t)
		counted := &asked{RosterStore: store}
		r := openTestRegistry(t, counted)
		give := func(secret string) {
			t.Helper()
			if _, err := store.UpdateDevice(t.Context(), "phone", func(d *alerts.Device) error {
				d.SecretHash = roster.HashSecret(secret)
				return nil
			}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		opens := func(secret string) bool { _, ok := r.Authenticate("phone", []byte(secret)); return ok }
		for _, secret := range []string{"first-new-one", "second-new-one"} {
			give(secret)
			if begin := time.Now(); !opens(secret) || time.Since(begin) > refreshEvery {
				t.Errorf("%s is found after %s, or not at all", secret, time.Since(begin))
			}
		}
		before := counted.n.Load()
		var crowd sync.WaitGroup
		for range 1000 {
			crowd.Go(func() {
				if opens("first-new-one") {
					t.Error("an old credential opens")
				}
			})
		}
		crowd.Wait()
		if n := counted.n.Load() - before; n > 2 {
			t.Errorf("the store was asked %d times", n)
		}
		give("third-new-one")
		ds, err := store.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Changed(ds, nil)
		before = counted.n.Load()
		if !opens("third-new-one") || counted.n.Load() != before {
			t.Error("not known although it was told")
		}
	})
}

// TestAChangeThatWasToldIsAsIfItWasRead compares the two ways.
func TestAChangeThatWasToldIsAsIfItWasRead(t *testing.T) {
	store := registered(t)
	told, later := openTestRegistry(t, store), openTestRegistry(t, store)
	moved := alerts.Device{ID: "new", Kind: contract.Tracker, Area: "130630100", Alias: "owntracks/jane/phone", SecretHash: roster.HashSecret("x")}
	phone := alerts.Device{ID: "phone", Kind: contract.Tracker, Area: "130630100", Alias: "owntracks/joan/phone"} // keeps its credential
	c := alerts.DeviceChange{Add: []alerts.Device{moved}, Save: []alerts.Device{phone}, Remove: []contract.DeviceID{"station"}}
	if err := store.ChangeDevices(t.Context(), c, time.Now()); err != nil {
		t.Fatal(err)
	}
	told.Changed(slices.Concat(c.Save, c.Add), c.Remove)
	if err := later.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(told.rosterList, later.rosterList) {
		t.Errorf("told %+v\nread %+v", told.rosterList, later.rosterList)
	}
	if !slices.Equal(told.gone, []string{"phone", "station"}) {
		t.Errorf("gone: %v", told.gone)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	r := openTestRegistry(b, registered(b))
	secret := []byte(secretOf)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.Authenticate("phone", secret); !ok {
			b.Fatal("refused")
		}
	}
}
