package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
	"firewatch/cmd/internal/config"
	contract "firewatch/firmware-contracts"
)

const backtestHelp = `--rules NEW.yaml [--against OLD.yaml|shipped|demo] (FILE.csv… | --from TIME --to TIME)
                          [--roster FOLDER|FILE.xlsx] [--seasons FILE] [--fires FILE.csv] [--area CODE]
                          [--tick 1m] [--lang zh|en] [--json] [--data DIR] [--store URL] [--influx-url URL …]

What another rule set would have made of readings of the past: how many more or fewer orders,
to which townships, and which fires earlier or later. Both rule sets judge the same readings,
by the engine's own judging, in simulated time. Nothing is changed and nobody is called.

Readings come from InfluxDB (--from, --to), or from tables with the columns device, time,
received, class, kind, code, text and fields by their names on the wire (temp_c, co_ppm, …).
Roster, seasons, warnings, danger, hotspots and the register of sources come from the store of
--data or --store; with --roster, from those files alone, and what they do not say is unknown.
Without either, each device of the tables is a sensor without a place.

--fires is a table with the columns time, lat, lon and name of fires that were. Without it
fires are the places where either rule set saw one.
`

// backtest is what the command line asks for.
type backtest struct {
	rules, against, roster, seasons, fires, area, lang string
	from, to                                           time.Time
	tick                                               time.Duration
	json                                               bool
	files                                              []string
}

func runRulesBacktest(ctx context.Context, e Env) error {
	b, rest, err := parseBacktest(e)
	if err != nil {
		return err
	}
	is, err := ruleSet("", b.rules)
	if err != nil {
		return fmt.Errorf("--rules: %w", err)
	}
	was, err := ruleSet("", b.against)
	if err != nil {
		return fmt.Errorf("--against: %w", err)
	}
	var fires []rehearsal.Fire
	if b.fires != "" {
		if fires, err = readFires(b.fires); err != nil {
			return fmt.Errorf("--fires: %w", err)
		}
	}
	c, err := config.Load("firewatch rules backtest", rest, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	if len(b.files) == 0 && b.roster != "" {
		return usageError{errors.New("--roster goes with tables; the readings in InfluxDB are of the devices in the store")}
	}
	cmp, err := b.run(ctx, e, c, was, is, fires)
	if err != nil {
		return err
	}
	if b.json {
		enc := json.NewEncoder(e.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(cmp)
	}
	_, err = io.WriteString(e.Stdout, cmp.Text(b.lang))
	return err
}

func parseBacktest(e Env) (b backtest, rest []string, err error) {
	mine, rest := splitArgs(e.Args, "", "rules", "against", "csv", "from", "to", "roster", "seasons", "fires", "area", "tick", "lang", "json?")
	fs := flags(e, "rules backtest", "")
	fs.StringVar(&b.rules, "rules", "", "the rule set that is tried: a file, shipped or demo")
	fs.StringVar(&b.against, "against", "shipped", "the one that it is compared with")
	fs.Func("csv", "a table of readings; may be given several times", func(s string) error { b.files = append(b.files, s); return nil })
	fs.StringVar(&b.roster, "roster", "", "areas, teams and devices: a folder or a workbook; empty: those of the store")
	fs.StringVar(&b.seasons, "seasons", "", "season table; empty: those of the store")
	fs.StringVar(&b.fires, "fires", "", "table of fires that were")
	fs.StringVar(&b.area, "area", "", "only devices of this area and below")
	fs.DurationVar(&b.tick, "tick", time.Minute, "how often, in simulated time, rules that time drives are asked, 1s to 1h")
	fs.StringVar(&b.lang, "lang", "zh", "language of the report: zh or en")
	fs.BoolVar(&b.json, "json", false, "the comparison as JSON")
	times := func(to *time.Time) func(string) error {
		return func(s string) (err error) {
			*to, err = rehearsal.ParseTime(s)
			return err
		}
	}
	fs.Func("from", "first time, RFC 3339 or YYYY-MM-DD [HH:MM] in local time", times(&b.from))
	fs.Func("to", "last time, excluded", times(&b.to))
	fs.Usage = func() {
		fmt.Fprintf(e.Stdout, "Usage: firewatch rules backtest %s\n", backtestHelp) //nolint:errcheck // a closed terminal
		fs.SetOutput(e.Stdout)
		fs.PrintDefaults()
	}
	if err := parse(fs, mine); err != nil {
		return b, nil, err
	}
	b.files = append(b.files, fs.Args()...)
	return b, rest, b.check()
}

func (b *backtest) check() error {
	switch {
	case b.rules == "":
		return usageError{errors.New("--rules is missing: name the rule set that is tried")}
	case len(b.files) == 0 && (b.from.IsZero() || b.to.IsZero()):
		return usageError{errors.New("name tables of readings, or give --from and --to for those in InfluxDB")}
	case !b.from.IsZero() && !b.to.IsZero() && !b.from.Before(b.to):
		return usageError{errors.New("--to: is not after --from")}
	case !slices.Contains([]string{"zh", "en"}, b.lang):
		return usageError{fmt.Errorf("--lang: %q; want zh or en", b.lang)}
	case b.tick < time.Second || b.tick > time.Hour:
		return usageError{fmt.Errorf("--tick: %s; want 1s to 1h", b.tick)}
	}
	return nil
}

func readFires(name string) ([]rehearsal.Fire, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	fires, err := rehearsal.ReadFires(name, f)
	if err == nil && fires == nil {
		fires = []rehearsal.Fire{} // none is known, which is not unknown
	}
	return fires, err
}

// run judges everything twice and compares.
func (b *backtest) run(
	ctx context.Context, e Env, c config.Config, was, is alerts.RuleSet, fires []rehearsal.Fire,
) (cmp rehearsal.Comparison, err error) {
	world, err := b.world(ctx, e, c)
	if err != nil {
		return cmp, err
	}
	var in rehearsal.Stream
	if len(b.files) > 0 {
		tables, closeAll, err := b.tables(&world.Roster)
		if err != nil {
			return cmp, err
		}
		defer closeAll()
		in = tables
	} else {
		history, release, err := openHistory(ctx, c)
		if err != nil {
			return cmp, err
		}
		defer release()
		in = historyStream(history, world.Roster.Devices, b.from, b.to)
	}
	if in, err = b.begin(ctx, in); err != nil {
		return cmp, err
	}
	var both [2]*rehearsal.Rehearsal
	for i, set := range []alerts.RuleSet{was, is} {
		both[i], err = rehearsal.New(ctx, rehearsal.Options{Rules: set, World: world, Start: b.from, Tick: b.tick, Lean: true})
		if err != nil {
			return cmp, err
		}
	}
	if err := rehearsal.RunAll(ctx, progressOf(in, e.Stderr), b.to, both[:]...); err != nil {
		return cmp, err
	}
	old, tried := both[0].Result(), both[1].Result()
	return rehearsal.Compare(&old, &tried, &world.Roster, fires), nil
}

// begin leaves out what came before --from, and where that is not given begins with
// the first reading.
func (b *backtest) begin(ctx context.Context, in rehearsal.Stream) (rehearsal.Stream, error) {
	for {
		first, ok, err := in(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errors.New("there are no readings in that time")
		}
		if first.Received.Before(b.from) {
			continue
		}
		if b.from.IsZero() {
			b.from = first.Received
		}
		given := false
		return func(ctx context.Context) (contract.Reading, bool, error) {
			if !given {
				given = true
				return first, true, nil
			}
			return in(ctx)
		}, nil
	}
}

const progressEvery = 1_000_000 // readings

// progressOf tells how far it is.
func progressOf(in rehearsal.Stream, out io.Writer) rehearsal.Stream {
	n := 0
	return func(ctx context.Context) (contract.Reading, bool, error) {
		x, ok, err := in(ctx)
		if n++; ok && n%progressEvery == 0 {
			fmt.Fprintf(out, "%d million readings, %s\n", n/progressEvery, x.Received.In(alerts.Zone).Format("2006-01-02 15:04")) //nolint:errcheck // a closed terminal
		}
		return x, ok, err
	}
}

// tables opens all tables as one stream.
func (b *backtest) tables(r *alerts.Roster) (rehearsal.Stream, func(), error) {
	kinds := make(map[contract.DeviceID]contract.Kind, len(r.Devices))
	for i := range r.Devices {
		kinds[r.Devices[i].ID] = r.Devices[i].Kind
	}
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			_ = f.Close() // read only
		}
	}
	var all []rehearsal.Stream
	for _, name := range b.files {
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		files = append(files, f)
		rows, err := rehearsal.NewCSVReader(name, f, func(id contract.DeviceID) (contract.Kind, bool) {
			k, ok := kinds[id]
			return k, ok
		})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		all = append(all, rows.Next)
	}
	return rehearsal.Merge(all...), closeAll, nil
}

// devicesOf are the devices of the tables, as sensors without a place unless the
// tables say otherwise.
func (b *backtest) devicesOf(ctx context.Context) (alerts.Roster, error) {
	r := alerts.Roster{
		Areas: []alerts.Area{{Code: "000000000", Name: "未登记区域", Level: alerts.Township}},
	}
	in, closeAll, err := b.tables(&r)
	if err != nil {
		return r, err
	}
	defer closeAll()
	seen := make(map[contract.DeviceID]bool)
	for {
		x, ok, err := in(ctx)
		if err != nil || !ok {
			return r, err
		}
		if !seen[x.Device] {
			seen[x.Device] = true
			r.Devices = append(r.Devices, alerts.Device{ID: x.Device, Kind: x.Kind, Area: "000000000"})
		}
	}
}

func hasData(c config.Config) bool {
	return !c.EmbeddedStore() || isFile(filepath.Join(c.Data, "firewatch.db"))
}
