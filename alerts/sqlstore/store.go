package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/zap"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"firewatch/alerts"
)

var (
	_ alerts.RosterStore  = (*Store)(nil)
	_ alerts.DeviceStore  = (*Store)(nil)
	_ alerts.AccountStore = (*Store)(nil)
	_ alerts.AlertStore   = (*Store)(nil)
	_ alerts.OrderStore   = (*Store)(nil)
	_ alerts.CommandStore = (*Store)(nil)
	_ alerts.WarningStore = (*Store)(nil)
	_ alerts.EventStore   = (*Store)(nil)
	_ alerts.AuditStore   = (*Store)(nil)
	_ alerts.LeaseStore   = (*Store)(nil)
	_ alerts.DangerStore  = (*Store)(nil)

	_ alerts.DocumentStore  = (*Store)(nil)
	_ alerts.HotspotStore   = (*Store)(nil)
	_ alerts.IncidentStore  = (*Store)(nil)
	_ alerts.SilenceStore   = (*Store)(nil)
	_ alerts.HoldbackStore  = (*Store)(nil)
	_ alerts.ReadinessStore = (*Store)(nil)
)

const (
	sqliteReaders = 4                // connections that only read, beside the one writer
	sqliteBusy    = 10 * time.Second // wait for another process that writes
	pgConns       = 16
	pgConnLife    = 30 * time.Minute // so that connections find back after a failover
	pgIdleInTx    = 60 * time.Second // a frozen process must not hold the events counter for ever
)

// Options says where the store is.
type Options struct {
	// URL is sqlite:PATH or the path of a file, or postgres://user@host/name.
	URL string
	Log *zap.Logger // nil: silent
}

// Store implements every store port of package alerts.
type Store struct {
	d   dialect
	w   *sql.DB // on SQLite one connection, the only one that writes
	r   *sql.DB // on PostgreSQL the same as w
	log *zap.Logger
}

// Open connects to the store; a SQLite file is made when it is missing. It
// leaves the schema as it is: call Migrate or CheckSchema next.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	switch {
	case strings.HasPrefix(o.URL, "postgres://"), strings.HasPrefix(o.URL, "postgresql://"):
		return openPostgres(ctx, o)
	default:
		path, err := sqlitePath(o.URL)
		if err != nil {
			return nil, err
		}
		return openSQLite(ctx, path, o.Log)
	}
}

// sqlitePath is the file that the address names. The address is not repeated in
// errors, it may hold a password.
func sqlitePath(addr string) (string, error) {
	path, explicit := strings.CutPrefix(addr, "sqlite:")
	if explicit {
		path = strings.TrimPrefix(path, "//")
	} else {
		path, explicit = strings.CutPrefix(addr, "file:")
	}
	if scheme, _, ok := strings.Cut(path, "://"); ok && !explicit {
		return "", fmt.Errorf("opening store: scheme %q is unknown, want sqlite:PATH or postgres://…", scheme)
	}
	switch path {
	case "":
		return "", errors.New("opening store: the address is empty, want sqlite:PATH or postgres://…")
	case ":memory:":
		return "", errors.New("opening store: SQLite needs a file, orders must survive")
	}
	return path, nil
}

func openSQLite(ctx context.Context, path string, log *zap.Logger) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	// The file holds hashes of passwords. SQLite would make it readable for all,
	// and gives its -wal and -shm the mode of the main file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	s := &Store{d: sqliteDialect{}, log: log}
	if s.w, err = sql.Open("sqlite", sqliteDSN(path, true)); err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	s.w.SetMaxOpenConns(1)
	if s.r, err = sql.Open("sqlite", sqliteDSN(path, false)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store: %w", err), s.w.Close())
	}
	s.r.SetMaxOpenConns(sqliteReaders)
	s.r.SetMaxIdleConns(sqliteReaders)
	// The writer goes first: it turns the file into WAL mode.
	for _, db := range []*sql.DB{s.w, s.r} {
		if err := db.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("opening store %s: %w", path, err), s.Close())
		}
	}
	return s, nil
}

// sqliteDSN puts the pragmas where every connection of the pool gets them.
func sqliteDSN(path string, writer bool) string {
	q := url.Values{}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", sqliteBusy.Milliseconds()))
	q.Add("_pragma", "foreign_keys(1)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "temp_store(MEMORY)")
	if writer {
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "journal_size_limit(67108864)") // 64 MiB of -wal stay after a big write
		q.Set("_txlock", "immediate")                    // a transaction that will write says so at once, or it may fail half way
	} else {
		q.Set("_query_only", "1")
	}
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path) + "?" + q.Encode()
}

func openPostgres(ctx context.Context, o Options) (*Store, error) {
	// url.Parse repeats the address with its password in its error.
	if _, err := url.Parse(o.URL); err != nil {
		return nil, errors.New("opening store: the postgres address is not a URL; characters like / ? # % in a password must be percent-encoded")
	}
	cfg, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	setDefault := func(name, value string) {
		if _, ok := cfg.RuntimeParams[name]; !ok {
			cfg.RuntimeParams[name] = value
		}
	}
	setDefault("application_name", "firewatch")
	setDefault("idle_in_transaction_session_timeout", fmt.Sprint(pgIdleInTx.Milliseconds()))
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(pgConns)
	db.SetMaxIdleConns(pgConns)
	db.SetConnMaxLifetime(pgConnLife)
	s := &Store{d: postgresDialect{}, w: db, r: db, log: o.Log}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store: %w", err), s.Close())
	}
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() error {
	err := s.w.Close()
	if s.r != nil && s.r != s.w {
		err = errors.Join(err, s.r.Close())
	}
	if err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

// Ready reports why the store cannot be used now, or nil: it answers, its
// schema is the one this program knows, and it takes writes.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.CheckSchema(ctx); err != nil {
		return err
	}
	if err := s.d.writable(ctx, s.w); err != nil {
		return fmt.Errorf("checking store: %w", err)
	}
	return nil
}
