//go:build linux

// Command bench measures firewatch beside what a user would pick instead:
// Telegraf behind mosquitto, with the same devices, the same bytes and the same
// InfluxDB, all of them real and on loopback. It prints Markdown.
//
//	go run ./cmd/internal/bench all
//	go run ./cmd/internal/bench drain -n 300000 -runs 3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run()) } //nolint:forbidigo // only func main exits

func run() int {
	if len(os.Args) > 1 && os.Args[1] == loadCommand {
		return runLoad(os.Stdin, os.Stdout)
	}
	if len(os.Args) > 2 && os.Args[1] == judgeCommand {
		return runJudge(os.Args[2], os.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	defer stop()
	switch err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	default:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
}

// settings are what the command line says.
type settings struct {
	experiments []experiment
	sides       []string // only these; empty: those of the experiment

	n        int           // messages
	devices  int           // 0: the experiment's own
	window   int           // messages of one connection on their way
	rate     int           // messages a second, of the latency experiment
	every    time.Duration // between two readings of a device of the fleet
	duration time.Duration // of a paced experiment; 0: its own
	storm    string        // drop or kill
	runs     int
	judged   int           // readings of the experiment judge
	warm     time.Duration // of simulated time before them
	alerts   int           // of alert-latency
	profile  string        // file that gets the engine's CPU profile; empty: none

	quiet   time.Duration // longest wait for an idle machine
	timeout time.Duration // of one run
	idle    time.Duration // without a new point before what is missing counts as lost

	out, samples string // files; empty: none
	dir          string
	keep         bool
	configs      string
	firewatch    []string // program and first arguments
	influxd      string
	telegraf     string
	prometheus   string
	mosquitto    string
	files        int // that one process may have open
}

const (
	stormDrop = "drop"
	stormKill = "kill"
)

func parse(args []string, usage io.Writer) (settings, error) {
	s := settings{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&s.n, "n", 300_000, "messages of drain, live and burst")
	fs.IntVar(&s.devices, "devices", 0, "devices; 0: drain 1000 on 8 connections, fleet and storm 20000, else 200; each has its own connection but in drain")
	fs.IntVar(&s.window, "window", 64, "messages of one connection that wait for their PUBACK; drain has 16 times as many")
	fs.IntVar(&s.rate, "rate", 2000, "messages a second of latency and alert-latency")
	fs.DurationVar(&s.every, "every", 30*time.Second, "time between two readings of a device of fleet and judge")
	fs.DurationVar(&s.duration, "duration", 0, "how long latency (20s), fleet (90s), Prometheus in judge (3m) and alert-latency (60s) last")
	fs.IntVar(&s.judged, "judged", 1_000_000, "readings that judge measures")
	fs.DurationVar(&s.warm, "warm", time.Hour, "simulated time that fills the windows before them")
	fs.IntVar(&s.alerts, "alerts", 240, "fires of alert-latency")
	fs.StringVar(&s.profile, "profile", "", "file that gets the CPU profile of the engine in judge; the heap goes to FILE.heap")
	fs.StringVar(&s.storm, "storm", stormDrop, "drop: all connections are cut at once; kill: the broker is killed and started again")
	fs.IntVar(&s.runs, "runs", 3, "undisturbed runs of each side")
	sides := fs.String("sides", "", "only these, comma-separated: "+strings.Join(sideNames(), ", "))
	fs.DurationVar(&s.quiet, "quiet", time.Minute, "longest wait for an idle machine before a run; 0: no wait, and no run is repeated because of noise")
	fs.DurationVar(&s.timeout, "timeout", 6*time.Minute, "longest time of one run")
	fs.DurationVar(&s.idle, "idle", 15*time.Second, "without a new point in InfluxDB, what is still missing is lost")
	fs.StringVar(&s.out, "o", "", "file that gets the tables too")
	fs.StringVar(&s.samples, "json", "", "file to which each run is appended, one JSON object a line")
	fs.StringVar(&s.dir, "dir", "data", "folder on the disk to measure on; a run's files are in a folder of their own there, removed afterwards")
	fs.BoolVar(&s.keep, "keep", false, "leave the files and logs of the runs")
	fs.StringVar(&s.configs, "configs", "deploy/bench", "folder with mosquitto.conf and telegraf.conf")
	program := fs.String("firewatch", "bin/firewatch", "program")
	fs.StringVar(&s.influxd, "influxd", "bin/influxd", "program")
	fs.StringVar(&s.telegraf, "telegraf", "bin/telegraf", "program")
	fs.StringVar(&s.prometheus, "prometheus", "bin/prometheus", "program")
	fs.StringVar(&s.mosquitto, "mosquitto", "", "program; found by itself in the PATH and /usr/sbin")
	fs.Usage = func() {
		fmt.Fprint(usage, "Usage: go run ./cmd/internal/bench EXPERIMENT… [flags]\n\n") //nolint:errcheck // a closed terminal
		for _, e := range experiments() {
			fmt.Fprintf(usage, "  %-13s %s\n", e.name, e.title) //nolint:errcheck // a closed terminal
		}
		fmt.Fprint(usage, "  all           every one of them\n\n") //nolint:errcheck // a closed terminal
		fs.SetOutput(usage)
		fs.PrintDefaults()
	}
	words := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	if words < 0 {
		words = len(args)
	}
	if err := fs.Parse(args[words:]); err != nil {
		return s, err
	}
	s.firewatch = []string{*program}
	s.sides = strings.FieldsFunc(*sides, func(r rune) bool { return r == ',' })
	return s, s.check(append(slices.Clone(args[:words]), fs.Args()...))
}

// check takes the names of the experiments and reports what is wrong.
func (s *settings) check(words []string) error {
	var errs []error
	if len(words) == 0 {
		errs = append(errs, errors.New("name an experiment, or all (-h lists them)"))
	}
	for _, w := range words {
		i := slices.IndexFunc(experiments(), func(e experiment) bool { return e.name == w })
		switch {
		case w == "all":
			for _, e := range experiments() {
				if !e.within {
					s.experiments = append(s.experiments, e)
				}
			}
		case i >= 0:
			s.experiments = append(s.experiments, experiments()[i])
		default:
			errs = append(errs, fmt.Errorf("no experiment %q (-h lists them)", w))
		}
	}
	for _, name := range s.sides {
		if !slices.Contains(sideNames(), name) {
			errs = append(errs, fmt.Errorf("-sides: %q; want some of %s", name, strings.Join(sideNames(), ", ")))
		}
	}
	for _, f := range []struct {
		name         string
		n, low, high int
	}{
		{"-n", s.n, 1, 100_000_000},
		{"-devices", s.devices, 0, maxDevices},
		{"-window", s.window, 1, 4000},
		{"-rate", s.rate, 1, 1_000_000},
		{"-runs", s.runs, 1, 100},
		{"-judged", s.judged, 1, 100_000_000},
		{"-alerts", s.alerts, 1, 10_000},
	} {
		if f.n < f.low || f.n > f.high {
			errs = append(errs, fmt.Errorf("%s: %d; want %d to %d", f.name, f.n, f.low, f.high))
		}
	}
	if s.storm != stormDrop && s.storm != stormKill {
		errs = append(errs, fmt.Errorf("-storm: %q; want %s or %s", s.storm, stormDrop, stormKill))
	}
	if s.every < time.Millisecond || s.timeout <= 0 || s.idle <= 0 || s.duration < 0 {
		errs = append(errs, errors.New("-every, -timeout, -idle: want a time above 0"))
	}
	return errors.Join(errs...)
}
