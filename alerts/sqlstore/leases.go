package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// AcquireLease implements alerts.LeaseStore: one statement, so that of two that
// ask at once exactly one gets it. A lease is free from its expiry on. On
// PostgreSQL, which several machines share, the server's clock counts and not
// the now of whoever asks.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, now time.Time, ttl time.Duration) (bool, error) {
	clock, at := s.d.clock(now)
	args := append([]any{name, holder}, at...)
	args = append(append(args, ttl), at...)
	var n int64
	err := s.write(ctx, func(c conn) (err error) {
		n, err = c.exec(ctx, `INSERT INTO leases (name, holder, expires_ms) VALUES (?, ?, `+clock+` + ?)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_ms = excluded.expires_ms
WHERE leases.holder = excluded.holder OR leases.expires_ms <= `+clock, args...)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("acquiring lease %s: %w", name, err)
	}
	return n == 1, nil
}

// ReleaseLease implements alerts.LeaseStore. Releasing another's lease does
// nothing.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	err := s.write(ctx, func(c conn) error {
		_, err := c.exec(ctx, "DELETE FROM leases WHERE name = ? AND holder = ?", name, holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("releasing lease %s: %w", name, err)
	}
	return nil
}
