// Package app is the firewatch program: its commands, and the wiring, start and
// stop of the three roles. It is the one place where adapters meet.
package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"firewatch/cmd/internal/config"
)

// Env is what a command gets from the outside.
type Env struct {
	Args    []string // without the program's name
	Environ []string // NAME=value
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Ready   func(Addresses) // called once when the roles serve; nil: nobody asks
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it did not work, or the input is bad
	exitUsage = 2 // the words on the command line are wrong
)

// Main runs the program firewatch and returns its exit code.
func Main() int { return main(Run) }

// MainRole runs the program of one role and returns its exit code.
func MainRole(role string) int {
	return main(func(ctx context.Context, e Env) int { return runRole(ctx, e, role) })
}

func main(run func(context.Context, Env) int) int {
	// The first signal asks for an orderly stop, the second ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	if _, chosen := os.LookupEnv("GOGC"); !chosen {
		debug.SetGCPercent(gcPercent)
	}
	return run(ctx, Env{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

// gcPercent trades a little CPU for memory: a burst peaks at 110 MiB instead of
// 120, for a twentieth more CPU.
const gcPercent = 60

// A command is one word, or two, after firewatch.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, e Env) error
}

func commands() []command {
	return []command{
		{"up", "run the roles (ingest, alerts, api); --demo with the sample set", runUp},
		{"simulate", "a simulated fleet of trackers and sensors, through real MQTT", runSimulate},
		{"replay", "a recorded file (GPX, NMEA, .plt, weather or smoke-bench CSV), through real MQTT", runReplay},
		{"contract check", "what is wrong with a device's payload", runContractCheck},
		{"cap check", "whether files are valid CAP 1.2 (or 1.1, 1.0, each by its own rules)", runCAPCheck},
		{"danger fwi", "Fire Weather Index of a table of noon weather, CSV in and out", runDangerFWI},
		{"danger htz", "fire-weather score HTZ of a table of days, CSV in and out", runDangerHTZ},
		{"roster import", "replace areas, teams and devices by a folder or workbook, or change devices by a table; all or nothing", runRosterImport},
		{"roster export", "write areas, teams and devices to a folder, or to a workbook", runRosterExport},
		{"device add", "register one device and show its credential once", runDeviceAdd},
		{"device show", "what the registry says of one device", runDeviceShow},
		{"device rotate", "give one device a new credential and show it once", runDeviceRotate},
		{"device revoke", "take one device's credential back", runDeviceRevoke},
		{"hotspots import", "fires that satellites saw, from FIRMS CSV (MODIS, VIIRS, Landsat); all or nothing", runHotspotsImport},
		{"rules check", "whether rule sets, season tables, readiness tables or registers of sources can be used", runRulesCheck},
		{"rules test", "tests of rule sets: series in, alerts and orders expected", runRulesTest},
		{"rules backtest", "what another rule set would have ordered, over months of readings", runRulesBacktest},
		{"user set", "add an account or give it a new password", runUserSet},
		{"check-config", "check the settings and show them, without secrets", runCheckConfig},
		{"migrate", "bring the relational store to this program's schema", runMigrate},
		{"version", "which firewatch this is", runVersion},
	}
}

// usageError is a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Run runs one command and returns the exit code.
func Run(ctx context.Context, e Env) int {
	for _, words := range []int{2, 1} {
		if len(e.Args) < words {
			continue
		}
		name := e.Args[0]
		if words == 2 {
			name += " " + e.Args[1]
		}
		for _, c := range commands() {
			if c.name == name {
				e.Args = e.Args[words:]
				return finish(e, "firewatch "+name, c.run(ctx, e))
			}
		}
	}
	if len(e.Args) == 0 || e.Args[0] == "help" || e.Args[0] == "--help" || e.Args[0] == "-h" {
		usage(e.Stdout)
		return exitOK
	}
	fmt.Fprintf(e.Stderr, "firewatch: no command %q\n\n", e.Args[0]) //nolint:errcheck // nothing can be done
	usage(e.Stderr)
	return exitUsage
}

func runRole(ctx context.Context, e Env, role string) int {
	e.Args = append([]string{"--roles", role}, e.Args...)
	return finish(e, role, runUp(ctx, e))
}

func finish(e Env, name string, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, new(silentError)):
		return exitError
	}
	fmt.Fprintf(e.Stderr, "%s: %v\n", name, err) //nolint:errcheck // nothing can be done
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitError
}

// silentError ends a command that has already said what is wrong.
type silentError struct{ error }

func usage(w io.Writer) {
	fmt.Fprint(w, "firewatch 森林防火：人员、传感器、预警、指令\n\nUsage: firewatch COMMAND [--help] …\n\n") //nolint:errcheck // a closed terminal
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-16s %s\n", c.name, c.summary) //nolint:errcheck // a closed terminal
	}
}

// version is set by the Makefile.
var version = ""

// Version is the program's version.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func runVersion(_ context.Context, e Env) error {
	_, err := fmt.Fprintf(e.Stdout, "firewatch %s\n", Version())
	return err
}

func runUp(ctx context.Context, e Env) error {
	c, err := config.Load("firewatch up", e.Args, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	log, err := newLog(c, e.Stderr)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // a terminal cannot be synced
	say := &progress{w: e.Stdout}
	return Up(ctx, c, log, say, func(a Addresses) {
		welcome(say, c, a)
		if e.Ready != nil {
			e.Ready(a)
		}
	})
}

func runCheckConfig(_ context.Context, e Env) error {
	c, err := config.Load("firewatch check-config", e.Args, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	c.Dump(e.Stdout)
	return checkFiles(c)
}
