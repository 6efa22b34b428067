package sqlstore

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func testMigratingAtOnce(t dialectTest) {
	addr := t.newURL(t)
	openStore(t, addr)
	var wg sync.WaitGroup
	for range 4 {
		s := openStore(t, addr)
		wg.Go(func() {
			if err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := openStore(t, addr)
	must(t, s.CheckSchema(t.Context()))
	must(t, s.Ready(t.Context()))
	must(t, s.Migrate(t.Context()))
}

func testSchemaMustFit(t dialectTest) {
	s := openStore(t, t.newURL(t))
	ms, err := migrations()
	must(t, err)
	refused := func(check func() error, want string) {
		t.Helper()
		err := check()
		var e *SchemaError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a SchemaError with %q", err, want)
		}
	}
	check := func() error { return s.CheckSchema(t.Context()) }
	if v, err := s.SchemaVersion(t.Context()); v != 0 || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	refused(check, "run firewatch migrate")
	refused(func() error { return s.Ready(t.Context()) }, "run firewatch migrate")
	must(t, s.Migrate(t.Context()))
	if v, err := s.SchemaVersion(t.Context()); v != len(ms) || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	must(t, check())
	must(t, s.Ready(t.Context()))

	next := migration{version: len(ms) + 1, name: "next.sql", text: "CREATE TABLE next (n {key});\n", checksum: "x"}
	must(t, s.migrate(t.Context(), append(ms, next)))
	refused(check, "newer firewatch")
	refused(func() error { return s.Migrate(t.Context()) }, "newer firewatch")

	_, err = conn{s.w, s.d}.exec(t.Context(), "DELETE FROM schema_migrations WHERE version > ?", len(ms))
	must(t, err)
	must(t, check())
	_, err = conn{s.w, s.d}.exec(t.Context(), "UPDATE schema_migrations SET checksum = 'other'")
	must(t, err)
	for _, err := range []error{check(), s.Migrate(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), ms[0].name) {
			t.Errorf("edited migration: %v, want its name", err)
		}
	}
	_, err = conn{s.w, s.d}.exec(t.Context(), "DELETE FROM schema_migrations")
	must(t, err)
	refused(check, "run firewatch migrate")
}

func testKeysOfTheFirstSchema(t dialectTest) {
	s := openStore(t, t.newURL(t))
	ms, err := migrations()
	must(t, err)
	must(t, s.migrate(t.Context(), ms[:1]))
	_, err = conn{s.w, s.d}.exec(t.Context(), `INSERT INTO orders (id, kind, level, text, drill, demo, alert, issuer, area,
issued_ms, status, idempotency_key, content_hash) VALUES ('or-1', 'standby', 2, 'stand by', FALSE, FALSE, '', 'duty', '', 1, 'open', 'k', 'old')`)
	must(t, err)
	must(t, s.Migrate(t.Context()))
	o := alerts.Order{
		ID: "or-2", Kind: alerts.OrderStandby, Level: alerts.Severity(2), Text: "stand by", Issuer: "duty", Issued: t0,
		IdempotencyKey: "k", Asked: "something",
	}
	saved, created, err := s.CreateOrder(t.Context(), o, []alerts.Delivery{{Team: "a"}}, nil)
	if err != nil || created || saved.ID != "or-1" || saved.Asked != "" {
		t.Errorf("the same again: %+v, %v, %v", saved, created, err)
	}
	o.Text = "muster"
	if _, _, err := s.CreateOrder(t.Context(), o, nil, nil); !errors.Is(err, alerts.ErrConflict) {
		t.Errorf("another order: %v, want ErrConflict", err)
	}
}

func testDevicesOfTheFirstSchema(t dialectTest) {
	s := openStore(t, t.newURL(t))
	ms, err := migrations()
	must(t, err)
	must(t, s.migrate(t.Context(), ms[:2]))
	for _, id := range []string{"a", "b"} {
		_, err = conn{s.w, s.d}.exec(t.Context(), `INSERT INTO devices (id, kind, area, name, phone, lat, lon, expect_ms, secret_hash, disabled)
VALUES (?, 'sensor', '130630', '', '', 1, 2, 60000, 'hash', FALSE)`, id)
		must(t, err)
	}
	must(t, s.Migrate(t.Context()))
	want := alerts.Device{ID: "a", Kind: contract.Sensor, Area: "130630", Lat: 1, Lon: 2, Expect: time.Minute, SecretHash: "hash"}
	if ds, err := s.Devices(t.Context()); err != nil || len(ds) != 2 || ds[0] != want {
		t.Errorf("%+v, %v", ds, err)
	}
}

func testBrokenMigration(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	ms, err := migrations()
	must(t, err)
	broken := migration{version: len(ms) + 1, name: "broken.sql", text: "CREATE TABLE half (n BIGINT);\nCREATE NONSENSE;\n", checksum: "x"}
	if err := s.migrate(t.Context(), append(ms, broken)); err == nil || !strings.Contains(err.Error(), "broken.sql: CREATE NONSENSE") {
		t.Errorf("%v, want the file and the statement", err)
	}
	if ok, err := s.d.hasTable(t.Context(), s.read(), "half"); ok || err != nil {
		t.Errorf("half a migration stays: %v, %v", ok, err)
	}
	must(t, s.CheckSchema(t.Context()))
}

// A migration that was released must never change: stores that have it would be
// refused. A new file adds its line to testdata/migrations.sha256 (sha256sum).
func TestReleasedMigrationsNeverChange(t *testing.T) {
	f, err := os.Open("testdata/migrations.sha256")
	must(t, err)
	defer f.Close()
	golden := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		golden[name] = sum
	}
	ms, err := migrations()
	must(t, err)
	for _, m := range ms {
		switch golden[m.name] {
		case m.checksum:
		case "":
			t.Errorf("%s is new: add the line %q to testdata/migrations.sha256", m.name, m.checksum+"  "+m.name)
		default:
			t.Errorf("%s was edited: undo it, and put the change into a new file", m.name)
		}
		delete(golden, m.name)
	}
	for name := range golden {
		t.Errorf("%s is gone: stores that have it would be refused", name)
	}
}
