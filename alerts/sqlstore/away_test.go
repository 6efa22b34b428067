package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/pgtest"
)

func wantAway(tb testing.TB, what string, err error) {
	tb.Helper()
	if !errors.Is(err, alerts.ErrUnavailable) {
		tb.Errorf("%s: %v, want ErrUnavailable", what, err)
	}
}

func write(tb testing.TB, s *Store, text string) error {
	tb.Helper()
	return s.SaveAudit(tb.Context(), alerts.Audit{At: t0, Actor: "duty", Action: "test", Detail: text})
}

func TestPostgresThatIsAway(t *testing.T) {
	srv := pgtest.Start(t)
	addr := srv.NewDatabase(t)
	s := openMigrated(t, addr)
	must(t, write(t, s, ""))

	u, err := url.Parse(addr)
	must(t, err)
	q := u.Query()
	q.Set("default_transaction_read_only", "on") // what a standby does to every session
	u.RawQuery = q.Encode()
	standby := openStore(t, u.String())
	if _, err := standby.Audits(t.Context(), 1); err != nil {
		t.Errorf("reading from a standby: %v", err)
	}
	wantAway(t, "writing to a standby", write(t, standby, ""))

	if err := s.SaveUser(t.Context(), alerts.User{Username: "duty"}); err != nil {
		t.Fatal(err)
	}
	err = s.CreateSession(t.Context(), alerts.Session{TokenHash: "a", Username: "nobody", Created: t0, Expires: t0})
	if errors.Is(err, alerts.ErrUnavailable) || !errors.Is(err, alerts.ErrNotFound) {
		t.Errorf("a fault of the caller: %v, want ErrNotFound only", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Audits(gone, 1); errors.Is(err, alerts.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that is gone: %v, want context.Canceled only", err)
	}

	// A transaction that is open when the server goes.
	err = s.write(t.Context(), func(c conn) error {
		srv.Stop(t)
		_, err := c.exec(t.Context(), "DELETE FROM audits")
		return err
	})
	wantAway(t, "a server that went", err)
	for range 2 {
		wantAway(t, "writing", write(t, s, ""))
		_, err := s.Audits(t.Context(), 1)
		wantAway(t, "reading", err)
	}
}

func TestSQLiteThatTakesNoWrites(t *testing.T) {
	addr := sqliteURL(t)
	s := openMigrated(t, addr)
	set := func(pragma string) {
		t.Helper()
		_, err := s.w.ExecContext(t.Context(), "PRAGMA "+pragma)
		must(t, err)
	}
	set("query_only = 1")
	wantAway(t, "read-only", write(t, s, ""))
	set("query_only = 0")
	must(t, write(t, s, ""))

	other, err := sql.Open("sqlite", sqliteDSN(strings.TrimPrefix(addr, "sqlite:"), true))
	must(t, err)
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	must(t, err)
	set("busy_timeout = 20")
	wantAway(t, "locked", write(t, s, ""))
	must(t, tx.Rollback())
	must(t, write(t, s, ""))

	set("max_page_count = 1") // at least what it has
	wantAway(t, "full", write(t, s, strings.Repeat("x", 1<<20)))
	if _, err := s.Audits(t.Context(), 1); err != nil {
		t.Errorf("reading when full: %v", err)
	}
	if err := s.CreateSession(t.Context(), alerts.Session{TokenHash: "a", Username: "nobody", Created: t0, Expires: t0}); errors.Is(err, alerts.ErrUnavailable) {
		t.Errorf("a fault of the caller: %v", err)
	}
}

func TestCodesOfADatabaseThatIsAway(t *testing.T) {
	for code, want := range map[int]bool{
		sqlite3.SQLITE_IOERR_FSYNC: true, sqlite3.SQLITE_IOERR_WRITE: true, sqlite3.SQLITE_FULL: true, sqlite3.SQLITE_CANTOPEN: true,
		sqlite3.SQLITE_BUSY: true, sqlite3.SQLITE_BUSY_SNAPSHOT: true, sqlite3.SQLITE_READONLY_DBMOVED: true,
		sqlite3.SQLITE_CONSTRAINT_UNIQUE: false, sqlite3.SQLITE_ERROR: false, sqlite3.SQLITE_INTERRUPT: false, sqlite3.SQLITE_CORRUPT: false,
	} {
		if sqliteAway(code) != want {
			t.Errorf("SQLite %d: away %v, want %v", code, !want, want)
		}
	}
	for code, want := range map[string]bool{
		"08006": true, "53100": true, "53300": true, "57P01": true, "57P03": true, "25006": true, "58030": true,
		"23505": false, "42P01": false, "57014": false, "40P01": false, "": false,
	} {
		if postgresAway(code) != want {
			t.Errorf("PostgreSQL %s: away %v, want %v", code, !want, want)
		}
	}
}
