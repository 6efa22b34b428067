package sqlstore

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	version  int
	name     string // of the file
	text     string
	checksum string // hex of SHA-256 of the file
}

// migrations are numbered 1, 2, … without gaps.
func migrations() ([]migration, error) {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	out := make([]migration, 0, len(entries))
	for i, e := range entries { // sorted by name
		text, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading migrations: %w", err)
		}
		number, _, _ := strings.Cut(e.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("reading migrations: %s: want number %04d", e.Name(), i+1)
		}
		sum := sha256.Sum256(text)
		out = append(out, migration{version, e.Name(), string(text), hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// statements splits the text after each line that ends with a semicolon.
func (m migration) statements() []string {
	var out []string
	var b strings.Builder
	for line := range strings.Lines(m.text) {
		line = strings.TrimRight(line, " \r\n")
		if line == "" || strings.HasPrefix(line, "--") {
			continue
		}
		b.WriteString(line)
		b.WriteByte('\n')
		if strings.HasSuffix(line, ";") {
			out = append(out, strings.TrimSuffix(b.String(), ";\n"))
			b.Reset()
		}
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	return out
}

// A SchemaError says that the store's schema is not the one that this program
// knows.
type SchemaError struct {
	Have int // version of the store, 0 when it is empty
	Want int
}

func (e *SchemaError) Error() string {
	switch {
	case e.Have == 0:
		return fmt.Sprintf("the store is empty, this program needs schema version %d: run firewatch migrate", e.Want)
	case e.Have < e.Want:
		return fmt.Sprintf("the store has schema version %d, this program needs %d: run firewatch migrate", e.Have, e.Want)
	default:
		return fmt.Sprintf("the store has schema version %d, this program knows only up to %d: it was migrated by a newer firewatch, run that one", e.Have, e.Want)
	}
}

// SchemaVersion is the version of the store's schema, 0 when it is empty.
func (s *Store) SchemaVersion(ctx context.Context) (int, error) {
	c := s.read()
	ok, err := s.d.hasTable(ctx, c, "schema_migrations")
	if err != nil || !ok {
		return 0, doing("reading schema version", err)
	}
	n, err := queryOne(ctx, c, scanInt, "SELECT COALESCE(MAX(version), 0) FROM schema_migrations")
	return int(n), doing("reading schema version", err)
}

// CheckSchema refuses an older or a newer schema with a *SchemaError, and one
// that was made from other files than this program's.
func (s *Store) CheckSchema(ctx context.Context) error {
	ms, err := migrations()
	if err != nil {
		return err
	}
	have, err := s.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if have != len(ms) {
		return &SchemaError{Have: have, Want: len(ms)}
	}
	return doing("checking schema", checkApplied(ctx, s.read(), ms))
}

type appliedMigration struct {
	version  int
	checksum string
}

func checkApplied(ctx context.Context, c conn, ms []migration) error {
	applied, err := queryAll(ctx, c, func(r row) (a appliedMigration, err error) {
		err = r.Scan(&a.version, &a.checksum)
		return a, err
	}, "SELECT version, checksum FROM schema_migrations ORDER BY version")
	if err != nil {
		return err
	}
	for i, a := range applied {
		if i >= len(ms) {
			return &SchemaError{Have: applied[len(applied)-1].version, Want: len(ms)}
		}
		if a.version != ms[i].version || a.checksum != ms[i].checksum {
			return fmt.Errorf("the store was migrated with another %s than this program's", ms[i].name)
		}
	}
	return nil
}

// Migrate brings the schema to the version this program needs, one transaction
// a step. Two processes may do it at once; a newer schema is refused.
func (s *Store) Migrate(ctx context.Context) error {
	ms, err := migrations()
	if err != nil {
		return err
	}
	return s.migrate(ctx, ms)
}

func (s *Store) migrate(ctx context.Context, ms []migration) error {
	for {
		done, err := s.migrateOne(ctx, ms)
		if done || err != nil {
			return doing("migrating store", err)
		}
	}
}

// migrateOne applies the next migration; done when there is none.
func (s *Store) migrateOne(ctx context.Context, ms []migration) (done bool, err error) {
	var m migration
	err = s.write(ctx, func(c conn) error {
		if err := s.d.lockMigrations(ctx, c); err != nil {
			return fmt.Errorf("waiting for another migration: %w", err)
		}
		ok, err := s.d.hasTable(ctx, c, "schema_migrations")
		if err != nil {
			return err
		}
		if !ok {
			if _, err := c.exec(ctx, s.d.ddl(`CREATE TABLE schema_migrations (
  version    BIGINT PRIMARY KEY,
  name       TEXT NOT NULL,
  checksum   TEXT NOT NULL,
  applied_ms BIGINT NOT NULL
)`)); err != nil {
				return err
			}
		}
		if err := checkApplied(ctx, c, ms); err != nil {
			return err
		}
		have, err := queryOne(ctx, c, scanInt, "SELECT COUNT(*) FROM schema_migrations")
		if err != nil {
			return err
		}
		if int(have) == len(ms) {
			done = true
			return nil
		}
		m = ms[have]
		for _, stmt := range m.statements() {
			if _, err := c.exec(ctx, s.d.ddl(stmt)); err != nil {
				line, _, _ := strings.Cut(stmt, "\n")
				return fmt.Errorf("%s: %s: %w", m.name, line, err)
			}
		}
		_, err = c.exec(ctx, "INSERT INTO schema_migrations (version, name, checksum, applied_ms) VALUES (?, ?, ?, ?)",
			m.version, m.name, m.checksum, time.Now())
		return err
	})
	if err == nil && !done {
		s.log.Info("store migrated", zap.Int("version", m.version), zap.String("name", m.name))
	}
	return done, err
}

// doing names what went wrong, or passes nil.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// notFound names what was not found, other errors it passes.
func notFound(what, id string, err error) error {
	if errors.Is(err, alerts.ErrNotFound) {
		return fmt.Errorf("%s %q: %w", what, id, alerts.ErrNotFound)
	}
	return err
}
