package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"firewatch/alerts"
	"firewatch/alerts/alertstest"
	"firewatch/alerts/alertstest/pgtest"
)

// dialectTest is one test on one of the databases.
type dialectTest struct {
	*testing.T
	newURL func(testing.TB) string // names an empty database
}

var dialectTests = map[string]func(dialectTest){
	"Suite": func(d dialectTest) {
		alertstest.StoreSuite(d.T, func(t *testing.T) alertstest.Store {
			t.Helper()
			return openMigrated(t, d.newURL(t))
		})
	},
	"MigratingAtOnceIsDoneOnce":             testMigratingAtOnce,
	"SchemaMustFit":                         testSchemaMustFit,
	"OrdersOfTheFirstSchemaKeepTheirKeys":   testKeysOfTheFirstSchema,
	"DevicesOfTheFirstSchemaAreKept":        testDevicesOfTheFirstSchema,
	"BrokenMigrationLeavesNothing":          testBrokenMigration,
	"RosterErrorsNameTheRow":                testRosterErrors,
	"VanishedAreaStillFindsItsHistory":      testVanishedArea,
	"FaultsOfOldMayStay":                    testFaultsMayStay,
	"TextNoDatabaseHoldsIsStillSaved":       testHostileText,
	"PurgeKeepsTheNewestEvents":             testPurge,
	"WaitingForALockEndsWithTheContext":     testLockedContext,
	"UnknownAlertRefusesTheOrder":           testUnknownAlert,
	"PasswordAndDisablingEndSessions":       testSessionsEnd,
	"LargeRosterIsReplacedInOneTransaction": testLargeRoster,
	"CrashLosesNoOrder":                     testCrash,
	"CrashLosesNoCommand":                   testCommandCrash,
}

func TestSQLite(t *testing.T) {
	runDialect(t, sqliteURL)
}

func TestPostgres(t *testing.T) {
	runDialect(t, pgtest.Start(t).NewDatabase)
}

func TestSQLiteLeaseByCallersClock(t *testing.T) {
	alertstest.LeaseByCallersClock(t, openMigrated(t, sqliteURL(t)))
}

func TestPostgresLeaseByServersClock(t *testing.T) {
	alertstest.LeaseByServersClock(t, openMigrated(t, pgtest.Start(t).NewDatabase(t)))
}

func runDialect(t *testing.T, newURL func(testing.TB) string) {
	t.Helper()
	for name, test := range dialectTests {
		t.Run(name, func(t *testing.T) { test(dialectTest{t, newURL}) })
	}
}

func sqliteURL(tb testing.TB) string {
	tb.Helper()
	return "sqlite:" + filepath.Join(tb.TempDir(), "new folder", "50% ?#1.db")
}

func openStore(tb testing.TB, addr string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{URL: addr, Log: zaptest.NewLogger(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func openMigrated(tb testing.TB, addr string) *Store {
	tb.Helper()
	s := openStore(tb, addr)
	if err := s.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

var t0 = time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func testRosterErrors(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	for name, c := range map[string]struct {
		spoil func(*alerts.Roster)
		want  []string
		is    error
	}{
		"parent":  {func(r *alerts.Roster) { r.Areas[1].Parent = "999" }, []string{`area "130630" (row 2)`, `parent "999"`}, alerts.ErrNotFound},
		"circle":  {func(r *alerts.Roster) { r.Areas[0].Parent = "130633100" }, []string{"circle"}, nil},
		"no code": {func(r *alerts.Roster) { r.Areas[2].Code = "" }, []string{"涞源镇", "no code"}, nil},
		"team":    {func(r *alerts.Roster) { r.Teams[2].Area = "999" }, []string{`team "tw-yizhou" (row 3)`, `area "999"`}, alerts.ErrNotFound},
		"device":  {func(r *alerts.Roster) { r.Devices[1].Area = "999" }, []string{`device "tracker-1" (row 2)`, `area "999"`}, alerts.ErrNotFound},
		"id":      {func(r *alerts.Roster) { r.Devices[1].ID = "a/b" }, []string{`device "a/b" (row 2)`, "not allowed"}, nil},
		"kind":    {func(r *alerts.Roster) { r.Devices[1].Kind = 9 }, []string{`device "tracker-1" (row 2)`, "kind"}, nil},
		"twice":   {func(r *alerts.Roster) { r.Devices[1].ID = "sensor-1" }, []string{`device "sensor-1" (row 2)`, "already in row 1"}, alerts.ErrConflict},
		"both":    {func(r *alerts.Roster) { r.Teams[0].Area, r.Devices[0].Area = "", "999" }, []string{`team "pro-yixian"`, `device "sensor-1"`}, alerts.ErrNotFound},
	} {
		r := alertstest.Roster()
		c.spoil(&r)
		err := s.ReplaceRoster(t.Context(), r, t0)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", name, err, want)
			}
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", name, err, c.is)
		}
	}
	must(t, s.ReplaceRoster(t.Context(), alertstest.Roster(), t0))
	d := alertstest.Roster().Devices[0]
	d.Area = "999"
	if err := s.SaveDevice(t.Context(), d, t0); !errors.Is(err, alerts.ErrNotFound) || !strings.Contains(err.Error(), `area "999"`) {
		t.Errorf("device in no area: %v", err)
	}
}

// testFaultsMayStay: a device that was stored before its site was checked can
// still be changed, and its roster replaced by what was exported.
func testFaultsMayStay(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	r := alertstest.Roster()
	must(t, s.ReplaceRoster(t.Context(), r, t0))
	d := &r.Devices[0]
	d.Lat, d.Lon = 95, 1000
	if err := s.SaveDevice(t.Context(), *d, t0); err == nil {
		t.Error("the site is taken")
	}
	if _, err := s.w.ExecContext(t.Context(), "UPDATE devices SET lat = 95, lon = 1000 WHERE id = '"+string(d.ID)+"'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateDevice(t.Context(), d.ID, func(d *alerts.Device) error { d.Disabled = true; return nil }, t0); err != nil {
		t.Error(err)
	}
	must(t, s.SaveDevice(t.Context(), *d, t0))
	must(t, s.ReplaceRoster(t.Context(), r, t0))
	d.Lat = 96
	if err := s.ReplaceRoster(t.Context(), r, t0); err == nil || !strings.Contains(err.Error(), "not in China") {
		t.Errorf("another bad site: %v", err)
	}
	if err := s.ChangeDevices(t.Context(), alerts.DeviceChange{Save: []alerts.Device{*d}}, t0); err == nil {
		t.Error("another bad site is taken")
	}
}

func testVanishedArea(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	must(t, s.ReplaceRoster(t.Context(), alertstest.Roster(), t0))
	must(t, s.SaveJudged(t.Context(), alerts.Judged{Alerts: []alerts.Alert{{ID: "al-1", Area: "130633100", Raised: t0, State: alerts.Firing}}}))
	_, _, err := s.CreateOrder(t.Context(), alerts.Order{ID: "or-1", Issuer: "duty", Issued: t0},
		[]alerts.Delivery{{Team: "tw-yizhou"}}, nil)
	must(t, err)
	r := alertstest.Roster()
	r.Areas, r.Teams, r.Devices = r.Areas[:4], nil, nil // the county stays, its townships and teams go
	must(t, s.ReplaceRoster(t.Context(), r, t0))
	as, err := s.Alerts(t.Context(), alerts.AlertQuery{Area: "130633", Limit: 10})
	if err != nil || len(as) != 1 {
		t.Errorf("alerts of the county: %v, %v", as, err)
	}
	os, err := s.Orders(t.Context(), alerts.OrderQuery{Area: "130633", Limit: 10})
	if err != nil || len(os) != 1 {
		t.Errorf("orders of the county: %v, %v", os, err)
	}
	areas, err := s.Areas(t.Context())
	if err != nil || len(areas) != 4 {
		t.Errorf("%d areas, %v", len(areas), err)
	}
	d := alertstest.Roster().Devices[0]
	if err := s.SaveDevice(t.Context(), d, t0); !errors.Is(err, alerts.ErrNotFound) {
		t.Errorf("device in a vanished area: %v, want ErrNotFound", err)
	}
}

func testHostileText(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	bad := "救\x00命\xff'; DROP TABLE alerts; --"
	want := "救命\uFFFD'; DROP TABLE alerts; --"
	nan := math.NaN()
	must(t, s.SaveJudged(t.Context(), alerts.Judged{
		Alerts: []alerts.Alert{{
			ID: "al-1", Raised: t0, Summary: bad, Reasons: []string{bad}, Lat: nan, HasPlace: true,
			Evidence: []alerts.Evidence{{Note: bad, Value: nan}},
		}},
		States: []alerts.RuleState{{Rule: "r", Subject: bad, Data: []byte(`{"text":"\u0000"}`)}},
		Events: []alerts.Event{{Type: alerts.EventAlert, Area: bad}},
	}))
	a, err := s.Alert(t.Context(), "al-1")
	must(t, err)
	if a.Summary != want || a.HasPlace || !math.IsNaN(a.Evidence[0].Value) {
		t.Errorf("alert %+v", a)
	}
	_, _, err = s.CreateOrder(t.Context(), alerts.Order{ID: "or-1", Issued: t0, Text: bad, Issuer: bad, IdempotencyKey: "k"}, []alerts.Delivery{{Team: "a"}}, nil)
	must(t, err)
	o, created, err := s.CreateOrder(t.Context(), alerts.Order{ID: "or-2", Issued: t0, Text: bad, Issuer: bad, IdempotencyKey: "k"}, []alerts.Delivery{{Team: "a"}}, nil)
	if err != nil || created || o.Text != want {
		t.Errorf("the same again: %+v, %v, %v", o, created, err)
	}
}

func testPurge(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	evs := make([]alerts.Event, 5_000)
	for i := range evs {
		evs[i] = alerts.Event{At: t0.Add(time.Duration(i) * time.Second), Type: alerts.EventAlert}
	}
	must(t, s.SaveJudged(t.Context(), alerts.Judged{Events: evs}))
	purge := func(keep int, before time.Time, want, first int64) {
		t.Helper()
		n, err := s.PurgeEvents(t.Context(), keep, before)
		if err != nil || n != want {
			t.Errorf("purged %d, %v, want %d", n, err, want)
		}
		left, err := s.Events(t.Context(), 0, 1)
		if err != nil || len(left) > 0 && left[0].ID != first || len(left) == 0 && first != 0 {
			t.Errorf("first left %+v, %v, want %d", left, err, first)
		}
	}
	purge(20_000, time.Time{}, 0, 1)
	purge(500, time.Time{}, 4_500, 4_501)
	purge(500, time.Time{}, 0, 4_501)
	purge(500, t0.Add(4_700*time.Second), 200, 4_701)
	purge(500, t0.Add(24*time.Hour), 300, 0)
	if id, err := s.LastEvent(t.Context()); err != nil || id != 5_000 {
		t.Errorf("last event %d, %v: ids must go on after a purge", id, err)
	}
	must(t, s.SaveJudged(t.Context(), alerts.Judged{Events: evs[:1]}))
	left, err := s.Events(t.Context(), 5_000, 10)
	if err != nil || len(left) != 1 || left[0].ID != 5_001 {
		t.Errorf("next event %+v, %v", left, err)
	}
}

// A writer that waits for another's transaction gives up when its caller does.
func testLockedContext(t dialectTest) {
	addr := t.newURL(t)
	holder, waiter := openMigrated(t, addr), openMigrated(t, addr)
	_, _, err := holder.CreateOrder(t.Context(), alerts.Order{ID: "or-1", Issued: t0}, []alerts.Delivery{{Team: "a"}}, nil)
	must(t, err)
	_, err = holder.UpdateDelivery(t.Context(), "or-1", "a", func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := waiter.UpdateDelivery(ctx, "or-1", "a", func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error) {
			t.Error("change was called while another held the order")
			return alerts.DeliveryChange{}, nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want context.DeadlineExceeded", err)
		}
		if d := time.Since(begun); d > sqliteBusy/2 {
			t.Errorf("gave up after %s", d)
		}
		if _, err := waiter.Order(t.Context(), "or-1"); err != nil {
			t.Errorf("reading beside a writer: %v", err)
		}
		return alerts.DeliveryChange{}, nil
	})
	must(t, err)
}

func testUnknownAlert(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	_, _, err := s.CreateOrder(t.Context(), alerts.Order{ID: "or-1", Issued: t0, Alert: "al-1"}, []alerts.Delivery{{Team: "a"}}, nil)
	if !errors.Is(err, alerts.ErrNotFound) || !strings.Contains(err.Error(), `alert "al-1"`) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if ds, err := s.Deliveries(t.Context(), "or-1"); err != nil || len(ds) > 0 {
		t.Errorf("half an order: %v, %v", ds, err)
	}
}

func testSessionsEnd(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	u := alerts.User{Username: "duty", PasswordHash: "1"}
	for name, change := range map[string]func(){
		"new password": func() { u.PasswordHash += "2" },
		"disabled":     func() { u.Disabled = true },
	} {
		u.Disabled = false
		must(t, s.SaveUser(t.Context(), u))
		must(t, s.CreateSession(t.Context(), alerts.Session{TokenHash: name, Username: "duty", Created: t0, Expires: t0.Add(time.Hour)}))
		change()
		must(t, s.SaveUser(t.Context(), u))
		if _, _, err := s.Session(t.Context(), name, t0); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	// Expired sessions go when the next one is made.
	u.Disabled = false
	must(t, s.SaveUser(t.Context(), u))
	for i := range 3 {
		created := t0.Add(time.Duration(i) * time.Hour)
		must(t, s.CreateSession(t.Context(), alerts.Session{TokenHash: fmt.Sprint(i), Username: "duty", Created: created, Expires: created.Add(time.Hour)}))
	}
	n, err := queryOne(t.Context(), s.read(), scanInt, "SELECT COUNT(*) FROM sessions")
	if err != nil || n != 1 {
		t.Errorf("%d sessions, %v, want 1", n, err)
	}
}

func testLargeRoster(t dialectTest) {
	s := openMigrated(t, t.newURL(t))
	must(t, s.ReplaceRoster(t.Context(), alertstest.Roster(), t0))
	r := largeRoster()
	must(t, s.ReplaceRoster(t.Context(), r, t0))
	ds, err := s.Devices(t.Context())
	if err != nil || len(ds) != len(r.Devices) {
		t.Errorf("%d devices, %v", len(ds), err)
	}
	if evs, err := s.Events(t.Context(), 0, 10); err != nil || len(evs) != 2 {
		t.Errorf("events %v, %v, want one each time", evs, err)
	}
}

func TestSQLitePragmasReachEveryConnection(t *testing.T) {
	s := openMigrated(t, sqliteURL(t))
	conns := []conn{{s.w, s.d}}
	for range sqliteReaders { // all at once, or the pool hands out the same one
		c, err := s.r.Conn(t.Context())
		must(t, err)
		defer c.Close()
		conns = append(conns, conn{c, s.d})
	}
	for i, c := range conns {
		for name, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
		} {
			if got, err := queryOne(t.Context(), c, scanString, "PRAGMA "+name); err != nil || got != want {
				t.Errorf("connection %d: %s = %s, %v, want %s", i, name, got, err, want)
			}
		}
		if _, err := c.exec(t.Context(), "DELETE FROM users"); (err == nil) != (i == 0) {
			t.Errorf("connection %d writes: %v; only the first may", i, err)
		}
	}
}

func TestSQLiteFilesAreForTheOwnerOnly(t *testing.T) {
	addr := sqliteURL(t)
	openMigrated(t, addr)
	files, err := filepath.Glob(filepath.Dir(strings.TrimPrefix(addr, "sqlite:")) + "/*")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v, want the database, -wal and -shm", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f, info.Mode().Perm())
		}
	}
}

func TestOpenNamesWhatIsWrongWithTheAddress(t *testing.T) {
	const secret = "s3cr%zz/et"
	for addr, want := range map[string]string{
		"":                                       "empty",
		"sqlite:":                                "empty",
		":memory:":                               "file",
		"mysql://root@host":                      `scheme "mysql"`,
		"postgres://user:" + secret + "@host/db": "percent-encoded",
		"postgres://user:s3cret@127.0.0.1:1/db?connect_timeout=5": "connect",
		"postgres://user:s3cret@127.0.0.1:1/db?sslmode=wrong":     "sslmode",
		"sqlite:/proc/nowhere/x.db":                               "opening store",
	} {
		s, err := Open(t.Context(), Options{URL: addr})
		if err == nil {
			t.Errorf("%s: opened", addr)
			must(t, s.Close())
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%s: %q, want %q and no password", addr, err, want)
		}
	}
}

func TestStandbyIsNotReady(t *testing.T) {
	srv := pgtest.Start(t)
	addr := srv.NewDatabase(t)
	s := openMigrated(t, addr)
	must(t, s.Ready(t.Context()))
	u, err := url.Parse(addr)
	must(t, err)
	q := u.Query()
	q.Set("default_transaction_read_only", "on") // what a standby does to every session
	u.RawQuery = q.Encode()
	if err := openStore(t, u.String()).Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no writes") {
		t.Errorf("%v, want no writes", err)
	}
}
