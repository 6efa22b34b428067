package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"firewatch/alerts"
	"firewatch/api/password"
	"firewatch/cmd/internal/config"
	"firewatch/cmd/internal/roster"
	"firewatch/cmd/internal/sample"
	"firewatch/cmd/internal/simulate"
)

// The demo's files in the data folder, readable by their owner alone.
const (
	fleetFile     = "demo-devices.csv"
	terminalsFile = "demo-teams.csv"
)

// seedDemo fills an empty store with the sample set, its accounts and
// credentials. The roster is saved last: a crash before begins again.
func (s *system) seedDemo(ctx context.Context) error {
	version, demo, err := s.store.RosterVersion(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if version > 0 {
		if !demo {
			return fmt.Errorf("demo: %s holds a real roster; give --data another folder", s.Data)
		}
		return nil
	}
	s.say.step("准备保定样例数据和账号", "preparing the sample set of Baoding and its accounts")
	set := sample.Roster()
	fleet := make([]simulate.Member, len(set.Devices))
	for i := range set.Devices {
		d := &set.Devices[i]
		secret := roster.NewSecret()
		d.SecretHash = roster.HashSecret(secret)
		fleet[i] = member(*d, secret)
	}
	terminals := make([]simulate.Terminal, len(set.Teams))
	for i := range set.Teams {
		secret := roster.NewSecret()
		set.Teams[i].SecretHash = roster.HashSecret(secret)
		terminals[i] = simulate.Terminal{Team: set.Teams[i].ID, Secret: secret}
	}
	var devices, teams bytes.Buffer
	if err := errors.Join(simulate.WriteFleet(&devices, fleet), simulate.WriteTerminals(&teams, terminals)); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := s.seedDemoLogins(ctx, set); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := errors.Join(
		writeSecretFile(filepath.Join(s.Data, fleetFile), devices.Bytes()),
		writeSecretFile(filepath.Join(s.Data, terminalsFile), teams.Bytes()),
		s.seedDemoWarning(ctx, time.Now().UTC()),
	); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := s.store.ReplaceRoster(ctx, set, time.Now().UTC()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// seedDemoLogins makes an account for the administrator, the offices of the
// city and the counties, and every team, each with a random password.
func (s *system) seedDemoLogins(ctx context.Context, set alerts.Roster) error {
	users := []alerts.User{{Username: "admin", Role: alerts.RoleAdmin, Name: "管理员"}}
	for _, a := range set.Areas {
		if a.Level == alerts.City || a.Level == alerts.County {
			users = append(users, alerts.User{Username: "office-" + a.Code, Role: alerts.RoleOffice, Area: a.Code, Name: a.Name + "防火办"})
		}
	}
	for _, t := range set.Teams {
		users = append(users, alerts.User{Username: "team-" + strings.ToLower(string(t.ID)), Role: alerts.RoleTeam, Team: t.ID, Area: t.Area, Name: t.Name})
	}
	logins := make([]login, len(users))
	var hashing errgroup.Group
	hashing.SetLimit(4)
	for i := range users {
		u := &users[i]
		logins[i] = login{Username: u.Username, Password: rand.Text(), Role: string(u.Role), Area: u.Area, Team: string(u.Team)}
		hashing.Go(func() (err error) {
			u.PasswordHash, err = password.Hash(logins[i].Password)
			return err
		})
	}
	if err := hashing.Wait(); err != nil {
		return err
	}
	for _, u := range users {
		if err := s.store.SaveUser(ctx, u); err != nil {
			return err
		}
	}
	return s.writeLogins(logins)
}

// seedDemoWarning puts an orange forest-fire warning in force, so that the demo
// tells its story in any month of the year.
func (s *system) seedDemoWarning(ctx context.Context, now time.Time) error {
	id := alerts.NewID("wa", now)
	_, _, err := s.store.SaveWarning(ctx, alerts.Warning{
		ID: id, Identifier: "demo-" + id, Sender: "demo.firewatch.invalid", Sent: now, Status: "Actual", MsgType: "Alert",
		Event: "森林火险", EventCode: "11B25", Issuer: "【演示】保定市气象台",
		Headline: "【演示】保定市发布森林火险橙色预警信号",
		Text:     "【演示】未来三天保定市西部山区气温偏高、风力较大、降水稀少，森林火险等级高。",
		Measures: "【演示】加强巡护，严禁野外用火，扑火队伍待命。",
		Blocks: []alerts.WarningBlock{{
			Area: sample.City, AreaDesc: "保定市", Level: alerts.Orange, From: now.Add(-time.Hour), To: now.AddDate(0, 0, 7),
		}},
		Received: now,
	}, nil)
	return err
}

// startDemo lets the sample set's devices on duty report, and its story happen,
// through real MQTT.
func (s *system) startDemo(context.Context) error {
	fleet, terminals, err := readDemo(s.Data)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	o := simulate.Options{
		MQTT: s.addresses.MQTT, Fleet: onDuty(fleet), Terminals: terminals,
		Every: 10 * time.Second, Seed: uint64(time.Now().UnixNano()), Story: simulate.Fire, Log: s.log.Named("simulate"),
	}
	if !s.EmbeddedBroker() {
		return errors.New("demo: needs the embedded broker")
	}
	if s.MQTTTLSCert != "" {
		if o.TLS, err = pinned(s.MQTTTLSCert, s.MQTTTLSKey); err != nil {
			return err
		}
	}
	s.stack.Go("simulate", func(ctx context.Context) error {
		_, err := simulate.Run(ctx, o)
		return err
	})
	forget, err := rememberDemo(s.addresses.MQTT, s.Data)
	if err != nil {
		s.log.Warn("firewatch simulate will need --data", zap.Error(err))
		return nil
	}
	s.stack.Close("demo's whereabouts", forget)
	return nil
}

func onDuty(fleet []simulate.Member) []simulate.Member {
	return slices.DeleteFunc(slices.Clone(fleet), func(m simulate.Member) bool { return m.Expect == 0 })
}

func readDemo(data string) (fleet []simulate.Member, terminals []simulate.Terminal, err error) {
	devices, err := os.Open(filepath.Join(data, fleetFile))
	if err != nil {
		return nil, nil, err
	}
	defer devices.Close() //nolint:errcheck // read only
	if fleet, err = simulate.ReadFleet(devices); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", fleetFile, err)
	}
	teams, err := os.Open(filepath.Join(data, terminalsFile))
	if err != nil {
		return nil, nil, err
	}
	defer teams.Close() //nolint:errcheck // read only
	if terminals, err = simulate.ReadTerminals(teams); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", terminalsFile, err)
	}
	return fleet, terminals, nil
}

// rememberDemo notes in the user's cache folder where the data of the demo at
// this address is, so that firewatch simulate finds the credentials.
func rememberDemo(mqtt, data string) (forget func() error, err error) {
	note, err := demoNote(mqtt)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(note), 0o700); err != nil {
		return nil, err
	}
	return func() error { return os.Remove(note) }, os.WriteFile(note, []byte(abs), 0o600)
}

// findDemo is the data folder of the demo at the address.
func findDemo(mqtt string) (data string, err error) {
	note, err := demoNote(mqtt)
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(note)
	return string(raw), err
}

func demoNote(mqtt string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	mqtt = strings.NewReplacer("localhost", "127.0.0.1", "tcp://", "", "mqtt://", "", "/", "", ":", "_").Replace(mqtt)
	return filepath.Join(cache, "firewatch", "demo-"+mqtt), nil
}

// welcome is the short text at the end of the start.
func welcome(say *progress, c config.Config, a Addresses) {
	say.line("")
	say.line("firewatch %s", Version())
	if a.HTTP != "" {
		say.line("  控制台 console    %s", a.HTTP)
		say.line("  队伍页 team page  %s/team", a.HTTP)
	}
	if a.MQTT != "" {
		say.line("  MQTT             %s", a.MQTT)
	}
	say.line("  角色 roles        %s", strings.Join(c.Roles, " "))
	say.line("  数据 data         %s", c.Data)
	if c.Demo {
		say.line("  演示账号 logins   %s", filepath.Join(c.Data, loginsFile))
		if logins, err := readLogins(c.Data); err == nil {
			for _, want := range []string{"admin", "office-" + sample.City} {
				if i := slices.IndexFunc(logins, func(l login) bool { return l.Username == want }); i >= 0 {
					say.line("    %-15s %s", logins[i].Username, logins[i].Password)
				}
			}
		}
		say.line("  以上均为演示数据，约一分钟后护林员出现在地图上，数分钟内发生一起演示火情。")
		say.line("  All of this is sample data; within minutes a scripted fire happens.")
	}
	say.line("  Ctrl-C 停止 stops")
	say.line("")
}
