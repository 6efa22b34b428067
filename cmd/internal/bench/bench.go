//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

var processors = runtime.NumCPU()

// bench does the experiments and writes their tables; what happens meanwhile goes to
// progress.
func bench(ctx context.Context, args []string, out, progress io.Writer) error {
	s, err := parse(args, out)
	if err != nil {
		return err
	}
	return s.bench(ctx, args, out, progress)
}

func (s settings) bench(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	if err := s.programs(); err != nil {
		return err
	}
	if s.files, err = raiseFiles(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(s.dir, "bench-"); err != nil {
		return err
	}
	if s.keep {
		fmt.Fprintf(progress, "· files and logs: %s\n", s.dir) //nolint:errcheck // a closed terminal
	} else {
		defer os.RemoveAll(s.dir) //nolint:errcheck // named above when it is kept
	}
	if s.out != "" {
		f, err := os.Create(s.out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = io.MultiWriter(out, f)
	}
	fmt.Fprintf(out, "## Measured %s\n\n`go run ./cmd/internal/bench %s`, medians of %d runs (least–most).\n%s.\n%s.\n\n", //nolint:errcheck // a closed terminal
		time.Now().Format(time.DateOnly), strings.Join(args, " "), s.runs, machine(s.dir), s.versions(ctx))
	var failed []string
	for _, e := range s.experiments {
		t := s.measure(ctx, e, progress)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.markdown(out, s)
		if len(t.failed) > 0 {
			failed = append(failed, e.name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("runs of %s failed", strings.Join(failed, ", "))
	}
	return nil
}

// measure runs the experiment for its sides in turn until each has its undisturbed
// runs, or twice as many as wanted were made.
func (s settings) measure(ctx context.Context, e experiment, progress io.Writer) table {
	t := table{experiment: e, runs: map[string][]values{}, failed: map[string]error{}}
	rounds := 2 * s.runs
	if s.quiet == 0 {
		rounds = s.runs
	}
	for range rounds {
		for _, sd := range sides {
			clean, disturbed := t.clean(sd.name)
			if disturbed {
				clean = nil
			}
			if !s.wants(e, sd) || len(clean) >= s.runs || t.failed[sd.name] != nil || ctx.Err() != nil {
				continue
			}
			awaitQuiet(ctx, s.quiet)
			fmt.Fprintf(progress, "· %s, %s: ", e.name, sd.label) //nolint:errcheck // a closed terminal
			v, err := s.once(ctx, e, sd)
			if err != nil {
				t.failed[sd.name] = err
				fmt.Fprintf(progress, "%v\n", err) //nolint:errcheck // a closed terminal
				continue
			}
			t.runs[sd.name] = append(t.runs[sd.name], v)
			fmt.Fprintln(progress, v.line(e)) //nolint:errcheck // a closed terminal
			if err := s.note(e, sd, v); err != nil {
				t.failed[sd.name] = err
			}
		}
	}
	return t
}

func (s settings) once(ctx context.Context, e experiment, sd side) (values, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("not done after %s", s.timeout))
	defer cancel()
	v, err := e.run(ctx, s, sd)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return v, err
}

// programs reports each program that is missing, before anything runs.
func (s settings) programs() error {
	var errs []error
	need := func(path, how string) {
		if _, err := exec.LookPath(path); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: %s", path, how))
		}
	}
	if slices.ContainsFunc(s.experiments, func(e experiment) bool { return !e.alone }) {
		need(s.firewatch[0], "make build")
		need(s.influxd, "make bin/influxd")
	}
	if slices.ContainsFunc(sides, func(sd side) bool { return sd.name == prometheusSide && s.takes(sd) }) {
		need(s.prometheus, "make bin/prometheus")
	}
	if slices.ContainsFunc(sides, func(sd side) bool { return sd.telegraf != "" && s.takes(sd) }) {
		need(s.telegraf, "make bin/telegraf")
	}
	if slices.ContainsFunc(sides, func(sd side) bool { return sd.mosquitto && s.takes(sd) }) {
		if _, err := mosquittoProgram(s.mosquitto); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// takes reports whether the side takes part in anything.
func (s settings) takes(sd side) bool {
	return slices.ContainsFunc(s.experiments, func(e experiment) bool { return s.wants(e, sd) })
}

// wants reports whether the side takes part in the experiment.
func (s settings) wants(e experiment, sd side) bool {
	own := slices.Contains(e.sides, sd.name)
	if len(s.sides) == 0 {
		return own
	}
	return slices.Contains(s.sides, sd.name) && (own || !e.only && !sd.judges)
}

// line is a run in brief.
func (v values) line(e experiment) string {
	var words []string
	for _, c := range e.table {
		if x, ok := v[c.key]; ok {
			words = append(words, c.head+" "+show(x, c.digits))
		}
	}
	words = append(words, fmt.Sprintf("others %.0f %%", 100*v[keyOthers]))
	if v[keyOthers] > noiseLimit {
		words = append(words, "disturbed")
	}
	return strings.Join(words, ", ")
}

func (s settings) note(e experiment, sd side, v values) (err error) {
	if s.samples == "" {
		return nil
	}
	f, err := os.OpenFile(s.samples, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return sample(f, e, sd, v)
}

// versions are those of the programs.
func (s settings) versions(ctx context.Context) string {
	first := func(argv ...string) string {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		raw, _ := exec.CommandContext(ctx, argv[0], argv[1:]...).Output() //nolint:gosec // the operator names the programs
		line, _, _ := strings.Cut(string(raw), "\n")
		return strings.TrimSpace(line)
	}
	out := []string{first(append(slices.Clone(s.firewatch), "version")...)}
	if mosquitto, err := mosquittoProgram(s.mosquitto); err == nil {
		out = append(out, first(mosquitto, "-h"))
	}
	for _, p := range [][2]string{{"Telegraf", s.telegraf}, {"InfluxDB", s.influxd}, {"Prometheus", s.prometheus}} {
		if info, err := buildinfo.ReadFile(p[1]); err == nil { // they call themselves unknown
			out = append(out, p[0]+" "+info.Main.Version)
		}
	}
	return strings.Join(slices.DeleteFunc(out, func(v string) bool { return v == "" }), ", ")
}
