package sqlstore

import (
	"context"
	"fmt"
	"time"

	"firewatch/alerts"
)

const userCols = "username, password_hash, role, area, team, name, disabled"

func userDest(u *alerts.User) []any {
	return []any{&u.Username, &u.PasswordHash, &u.Role, &u.Area, &u.Team, &u.Name, &u.Disabled}
}

func scanUser(r row) (u alerts.User, err error) {
	err = r.Scan(userDest(&u)...)
	return u, err
}

// User implements alerts.AccountStore.
func (s *Store) User(ctx context.Context, username string) (alerts.User, error) {
	u, err := queryOne(ctx, s.read(), scanUser, "SELECT "+userCols+" FROM users WHERE username = ?", username)
	return u, doing("reading user", notFound("user", username, err))
}

// Users implements alerts.AccountStore, sorted by name.
func (s *Store) Users(ctx context.Context) ([]alerts.User, error) {
	us, err := queryAll(ctx, s.read(), scanUser, "SELECT "+userCols+" FROM users ORDER BY username")
	return us, doing("reading users", err)
}

// SaveUser implements alerts.AccountStore: it adds or changes the account. A
// new password, or disabling the account, ends its sessions.
func (s *Store) SaveUser(ctx context.Context, u alerts.User) error {
	err := s.write(ctx, func(c conn) error {
		if _, err := c.exec(ctx, `DELETE FROM sessions WHERE username = ? AND (? OR EXISTS
(SELECT 1 FROM users WHERE username = ? AND password_hash <> ?))`,
			u.Username, u.Disabled, u.Username, u.PasswordHash); err != nil {
			return err
		}
		_, err := c.exec(ctx, "INSERT INTO users ("+userCols+`) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash, role = excluded.role,
area = excluded.area, team = excluded.team, name = excluded.name, disabled = excluded.disabled`,
			u.Username, u.PasswordHash, u.Role, u.Area, u.Team, u.Name, u.Disabled)
		return err
	})
	if err != nil {
		return fmt.Errorf("saving user %q: %w", u.Username, err)
	}
	return nil
}

// CreateSession implements alerts.AccountStore. It also deletes sessions that
// have expired when the new one is made.
func (s *Store) CreateSession(ctx context.Context, n alerts.Session) error {
	err := s.write(ctx, func(c conn) error {
		if _, err := c.exec(ctx, "DELETE FROM sessions WHERE expires_ms <= ?", n.Created); err != nil {
			return err
		}
		_, err := c.exec(ctx, "INSERT INTO sessions (token_hash, username, created_ms, expires_ms) VALUES (?, ?, ?, ?)",
			n.TokenHash, n.Username, n.Created, n.Expires)
		return err
	})
	if err != nil {
		return fmt.Errorf("creating session of %q: %w", n.Username, err)
	}
	return nil
}

// Session implements alerts.AccountStore.
func (s *Store) Session(ctx context.Context, tokenHash string, now time.Time) (alerts.Session, alerts.User, error) {
	type both struct {
		session alerts.Session
		user    alerts.User
	}
	b, err := queryOne(ctx, s.read(), func(r row) (b both, err error) {
		err = r.Scan(append([]any{
			&b.session.TokenHash, &b.session.Username, scanTime{&b.session.Created}, scanTime{&b.session.Expires},
		}, userDest(&b.user)...)...)
		return b, err
	}, `SELECT token_hash, s.username, created_ms, expires_ms, u.username, password_hash, role, area, team, name, disabled
FROM sessions s JOIN users u ON u.username = s.username WHERE token_hash = ? AND expires_ms > ?`, tokenHash, now)
	return b.session, b.user, doing("reading session", err)
}

// DeleteSession implements alerts.AccountStore. Deleting one that is gone does
// nothing.
func (s *Store) DeleteSession(ctx context.Context, tokenHash string) error {
	return doing("deleting session", s.write(ctx, func(c conn) error {
		_, err := c.exec(ctx, "DELETE FROM sessions WHERE token_hash = ?", tokenHash)
		return err
	}))
}
