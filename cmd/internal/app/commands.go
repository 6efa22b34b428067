package app

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/config"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// flags makes a command's flag set, which reports errors instead of printing.
func flags(e Env, name, args string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		fmt.Fprintf(e.Stdout, "Usage: firewatch %s %s\n\n", name, args) //nolint:errcheck // a closed terminal
		fs.SetOutput(e.Stdout)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	return fs
}

func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil && !errors.Is(err, flag.ErrHelp) {
		return usageError{err}
	} else if err != nil {
		return err
	}
	return nil
}

// splitArgs takes the arguments of the named flags of a command out, so that the
// rest can be read as settings. A name with ? behind it is a switch, which has no
// argument of its own; with the name "" words that belong to no flag are the
// command's too.
func splitArgs(args []string, own ...string) (mine, settings []string) {
	var words []string
	open := false // the last one is a setting that has no value yet
	for i := 0; i < len(args); i++ {
		isFlag := strings.HasPrefix(args[i], "-") && args[i] != "-"
		name, _, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if isFlag && (name == "help" || name == "h") {
			return []string{"-help"}, nil
		}
		isSwitch := slices.Contains(own, name+"?")
		switch {
		case !isFlag && !open && slices.Contains(own, ""):
			words = append(words, args[i])
		case !isFlag || !isSwitch && !slices.Contains(own, name):
			settings = append(settings, args[i])
			open = isFlag && !joined
			continue
		default:
			mine = append(mine, args[i])
			if !joined && !isSwitch && i+1 < len(args) {
				i++
				mine = append(mine, args[i])
			}
		}
		open = false
	}
	return append(mine, words...), settings
}

// openStore opens the relational store of the settings, whose schema must fit.
func openStore(ctx context.Context, c config.Config) (*sqlstore.Store, error) {
	if c.EmbeddedStore() && !isFile(filepath.Join(c.Data, "firewatch.db")) {
		return nil, fmt.Errorf("data: %s holds no firewatch data; name the folder of a running or earlier firewatch up, or make a new one by firewatch migrate", c.Data)
	}
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: c.StoreURL(), Log: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if c.EmbeddedStore() {
		err = store.Migrate(ctx)
	} else {
		err = store.CheckSchema(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), store.Close())
	}
	return store, nil
}

func runMigrate(ctx context.Context, e Env) error {
	c, err := config.Load("firewatch migrate", e.Args, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	if c.EmbeddedStore() {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: c.StoreURL(), Log: zap.NewNop()})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = store.Migrate(ctx)
	if err == nil {
		var v int
		if v, err = store.SchemaVersion(ctx); err == nil {
			_, err = fmt.Fprintf(e.Stdout, "schema version %d\n", v)
		}
	}
	return errors.Join(err, store.Close())
}

// checkFiles checks the files that the settings name, without opening any
// connection.
func checkFiles(c config.Config) error {
	var errs []error
	if c.Rules != "" {
		_, err := newRuleBook(c.Rules, false, time.Now)
		errs = append(errs, err)
	}
	if c.Policy != "" {
		s := system{Config: c}
		_, err := s.loadPolicy()
		errs = append(errs, err)
	}
	for _, pair := range [][3]string{{"http-tls-cert", c.HTTPTLSCert, c.HTTPTLSKey}, {"mqtt-tls-cert", c.MQTTTLSCert, c.MQTTTLSKey}} {
		if pair[1] != "" {
			if _, err := tls.LoadX509KeyPair(pair[1], pair[2]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", pair[0], err))
			}
		}
	}
	if c.Readiness != "" {
		s := system{Config: c}
		_, _, err := s.loadReadiness()
		errs = append(errs, err)
	}
	if c.Seasons != "" {
		raw, err := os.ReadFile(c.Seasons)
		if err == nil {
			_, err = alerts.ParseSeasons(raw)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("seasons: %s: %w", c.Seasons, err))
		}
	}
	return errors.Join(errs...)
}

func readRoster(ctx context.Context, store alerts.RosterStore) (r alerts.Roster, err error) {
	if r.Areas, err = store.Areas(ctx); err != nil {
		return r, fmt.Errorf("reading the areas: %w", err)
	}
	if r.Teams, err = store.Teams(ctx); err != nil {
		return r, fmt.Errorf("reading the teams: %w", err)
	}
	if r.Devices, err = store.Devices(ctx); err != nil {
		return r, fmt.Errorf("reading the devices: %w", err)
	}
	if _, r.Demo, err = store.RosterVersion(ctx); err != nil {
		return r, fmt.Errorf("reading the roster's version: %w", err)
	}
	return r, nil
}

func runUserSet(ctx context.Context, e Env) error {
	mine, rest := splitArgs(e.Args, "username", "role", "area", "team", "name")
	fs := flags(e, "user set", "--username NAME --role admin|office|team [--area CODE] [--team ID] [--name NAME] [--data DIR] < PASSWORD")
	username := fs.String("username", "", "account")
	role := fs.String("role", "", "admin, office or team; may be left out when the account exists")
	area := fs.String("area", "", "scope of an office account: code of an area")
	team := fs.String("team", "", "team of a team account")
	name := fs.String("name", "", "the person or post")
	if err := parse(fs, mine); err != nil {
		return err
	}
	c, err := config.Load("firewatch user set", rest, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	if *username == "" {
		return usageError{errors.New("--username is missing")}
	}
	raw, err := io.ReadAll(io.LimitReader(e.Stdin, 2048))
	if err != nil {
		return fmt.Errorf("reading the password: %w", err)
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if len([]rune(secret)) < 8 {
		return errors.New("the password on standard input has fewer than 8 characters")
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(setUser(ctx, store, alerts.User{
		Username: *username, Role: alerts.Role(*role), Area: *area, Team: contract.TeamID(*team), Name: *name,
	}, secret), store.Close())
}

func setUser(ctx context.Context, store *sqlstore.Store, u alerts.User, secret string) error {
	old, err := store.User(ctx, u.Username)
	if err != nil && !errors.Is(err, alerts.ErrNotFound) {
		return err
	}
	if err == nil && u.Role == "" {
		u = old
	}
	r, err := readRoster(ctx, store)
	if err != nil {
		return err
	}
	switch u.Role {
	case alerts.RoleAdmin:
	case alerts.RoleOffice:
		if _, ok := alerts.IndexAreas(r.Areas)[u.Area]; !ok {
			return fmt.Errorf("--area: no area has the code %q", u.Area)
		}
	case alerts.RoleTeam:
		if !slices.ContainsFunc(r.Teams, func(t alerts.Team) bool { return t.ID == u.Team }) {
			return fmt.Errorf("--team: no team has the id %q", u.Team)
		}
	default:
		return usageError{fmt.Errorf("--role: %q; want admin, office or team", u.Role)}
	}
	return saveUser(ctx, store, u, secret)
}

func runContractCheck(_ context.Context, e Env) error {
	fs := flags(e, "contract check", "[--topic TOPIC] [--class CLASS] FILE… | -")
	topic := fs.String("topic", "", "the topic that the payload is published on")
	class := fs.String("class", "", "position, sos, report, environment, status or answer, when the topic is not known")
	if err := parse(fs, e.Args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return usageError{errors.New("name files, or - for standard input")}
	}
	if *class != "" && !slices.Contains(contractv1.Documents(), *class) {
		return usageError{fmt.Errorf("--class: %q; want one of %s", *class, strings.Join(contractv1.Documents(), ", "))}
	}
	bad := 0
	for _, name := range fs.Args() {
		raw, err := readPayload(e, name)
		if err != nil {
			return err
		}
		report := contractv1.Check(raw, contractv1.CheckOptions{Topic: *topic, Document: *class, Now: time.Now()})
		if err := report.Write(e.Stdout, name); err != nil {
			return err
		}
		if !report.OK() {
			bad++
		}
	}
	if bad > 0 {
		return silentError{fmt.Errorf("%d payloads are faulty", bad)}
	}
	return nil
}

func readPayload(e Env, name string) ([]byte, error) {
	in := e.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, 16*contract.MaxMessageBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return raw, nil
}
