package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"firewatch/alerts"
)

// conn runs the one SQL text on a pool or a transaction.
type conn struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	d dialect
}

func (s *Store) read() conn { return conn{on: s.r, d: s.d} }

// write runs f in one transaction, undone when f returns an error or panics.
func (s *Store) write(ctx context.Context, f func(conn) error) error {
	tx, err := s.w.BeginTx(ctx, s.d.txOptions())
	if err != nil {
		return fmt.Errorf("beginning transaction: %w", wrap(s.d, err))
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := f(conn{on: tx, d: s.d}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", wrap(s.d, err))
	}
	return nil
}

// exec returns the number of rows changed.
func (c conn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := c.on.ExecContext(ctx, c.d.rebind(query), bind(args)...)
	if err != nil {
		return 0, wrap(c.d, err)
	}
	return res.RowsAffected()
}

// row is one row of a result.
type row interface{ Scan(dest ...any) error }

func queryAll[T any](ctx context.Context, c conn, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := c.on.QueryContext(ctx, c.d.rebind(query), bind(args)...)
	if err != nil {
		return nil, wrap(c.d, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading row: %w", err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap(c.d, err)
	}
	return out, nil
}

// queryOne is the first row; alerts.ErrNotFound when there is none.
func queryOne[T any](ctx context.Context, c conn, scan func(row) (T, error), query string, args ...any) (T, error) {
	all, err := queryAll(ctx, c, scan, query, args...)
	if err != nil || len(all) == 0 {
		var zero T
		if err == nil {
			err = alerts.ErrNotFound
		}
		return zero, err
	}
	return all[0], nil
}

// maxParams bounds the parameters of one statement. SQLite takes 32,766 and
// PostgreSQL 65,535; longer statements are no faster.
const maxParams = 2000

// insertRows runs head, which ends in VALUES, with as many rows at a time as a
// statement should have, and tail behind them. It returns the rows changed.
func insertRows(ctx context.Context, c conn, head, tail string, rows [][]any) (int64, error) {
	var total int64
	for len(rows) > 0 {
		cols := len(rows[0])
		n := min(len(rows), max(1, maxParams/cols))
		b := make([]byte, 0, len(head)+len(tail)+n*(2*cols+2))
		b = append(b, head...)
		args := make([]any, 0, n*cols)
		for i, r := range rows[:n] {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '(')
			for j := range r {
				if j > 0 {
					b = append(b, ',')
				}
				b = append(b, '?')
			}
			b = append(b, ')')
			args = append(args, r...)
		}
		b = append(b, tail...)
		changed, err := c.exec(ctx, string(b), args...)
		if err != nil {
			return total, err
		}
		total += changed
		rows = rows[n:]
	}
	return total, nil
}

// wrap makes a driver's error one of the ports' where it is one.
func wrap(d dialect, err error) error {
	switch d.violation(err) {
	case notUnique:
		return fmt.Errorf("%w: %w", alerts.ErrConflict, err)
	case noReferent:
		return fmt.Errorf("%w: %w", alerts.ErrNotFound, err)
	case noViolation:
	}
	if d.away(err) {
		return fmt.Errorf("%w: %w", alerts.ErrUnavailable, err)
	}
	return err
}

// pageLimit and listLimit bound what one call returns.
func pageLimit(n int) int { return clamp(n, 1000) }

func listLimit(n int) int { return clamp(n, 10_000) }

func clamp(n, most int) int {
	if n < 1 || n > most {
		return most
	}
	return n
}
