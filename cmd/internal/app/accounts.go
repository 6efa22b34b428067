package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"firewatch/alerts"
	"firewatch/api/password"
)

// seedAdmin makes the first account, with a random password that is shown once.
func (s *system) seedAdmin(ctx context.Context) error {
	users, err := s.store.Users(ctx)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	if len(users) > 0 {
		return nil
	}
	secret := rand.Text()
	if err := saveUser(ctx, s.store, alerts.User{Username: "admin", Role: alerts.RoleAdmin, Name: "管理员"}, secret); err != nil {
		return err
	}
	s.say.line("\n  管理员账号 first account   admin\n  密码 password            %s\n  （只显示这一次 shown only this once; firewatch user set changes it）\n", secret)
	return nil
}

func saveUser(ctx context.Context, store alerts.AccountStore, u alerts.User, secret string) error {
	hash, err := password.Hash(secret)
	if err != nil {
		return fmt.Errorf("account %s: %w", u.Username, err)
	}
	u.PasswordHash = hash
	if err := store.SaveUser(ctx, u); err != nil {
		return fmt.Errorf("account %s: %w", u.Username, err)
	}
	return nil
}

// seedSeasons brings the season table of the configuration, or the sample when
// the store has none.
func (s *system) seedSeasons(ctx context.Context) error {
	raw := alerts.SampleSeasons()
	if s.Seasons != "" {
		file, err := os.ReadFile(s.Seasons)
		if err != nil {
			return fmt.Errorf("seasons: %w", err)
		}
		raw = file
	} else if _, err := s.store.Seasons(ctx, time.Now()); !errors.Is(err, alerts.ErrNotFound) {
		return err
	}
	table, err := alerts.ParseSeasons(raw)
	if err != nil {
		return fmt.Errorf("seasons: %w", err)
	}
	if err := s.store.SaveSeasons(ctx, table, time.Now().UTC()); err != nil {
		if errors.Is(err, alerts.ErrConflict) {
			return fmt.Errorf("seasons: version %q is already stored with other content; give the changed table another version", table.Version)
		}
		return fmt.Errorf("seasons: %w", err)
	}
	return nil
}

// login is one line of demo-logins.json.
type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Role     string `json:"role"`
	Area     string `json:"area"`
	Team     string `json:"team"`
}

const loginsFile = "demo-logins.json"

func (s *system) writeLogins(logins []login) error {
	raw, err := json.MarshalIndent(logins, "", "  ") //nolint:gosec // the file is there to tell them
	if err != nil {
		return fmt.Errorf("%s: %w", loginsFile, err)
	}
	return writeSecretFile(filepath.Join(s.Data, loginsFile), append(raw, '\n'))
}

func readLogins(data string) (logins []login, err error) {
	raw, err := os.ReadFile(filepath.Join(data, loginsFile))
	if err != nil {
		return nil, err
	}
	return logins, json.Unmarshal(raw, &logins)
}

// writeSecretFile writes the file whole or not at all, for its owner alone.
func writeSecretFile(path string, raw []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
