package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"

	"firewatch/alerts/danger"
)

const dangerFWIHelp = `[--lat 39] [--start 85,6,15] [--book-constants] < in.csv > out.csv

Fire Weather Index of one station, from its weather at noon (local standard time).
Columns, found by their names in the first line, in any order:
  date (2026-03-14, rising), temp_c, rh_pct, wind_kmh (10 m), rain_mm (24 h up to noon)
Added: ffmc, dmc, dc, isi, bui, fwi, dsr. Other columns pass through.
Up to two missing days are bridged with the last weather and no rain; after a longer
gap the chain restarts. Both are said on standard error, and in a column chain, which
is added when there is a gap. Example:

  printf 'date,temp_c,rh_pct,wind_kmh,rain_mm\n2026-04-13,17,42,25,0\n' | firewatch danger fwi --lat 39
`

const dangerHTZHelp = `< in.csv > out.csv

Fire-weather score HTZ of one station (森林火险天气等级, after LY/T 1172-95, an approximation 近似).
Columns, found by their names in the first line, in any order:
  date (2026-03-14, rising), temp_max_c, rh_min_pct, rain_mm, wind_max_ms, green_pct, snow_pct
Added: htz, level (1 to 5). Other columns pass through. An empty cell means missing:
without temperature, humidity, rain or wind both stay empty (资料不足); without green_pct
or snow_pct the ground counts as bare. The first days count as dry for long until a
rain, or eight days without, are in the table. Over up to ten missing days the last
rain is remembered; after a longer gap nothing is. What is uncertain is said on standard
error, and gaps in a column chain too, which is added when there is one. Example:

  printf 'date,temp_max_c,rh_min_pct,rain_mm,wind_max_ms,green_pct,snow_pct\n2026-03-14,22,25,0,9,0,0\n' | firewatch danger htz
`

// parseDanger parses the command's flags. Its help is a text with an example, and
// stands on standard output only when it was asked for: else a table belongs there.
func parseDanger(e Env, fs *flag.FlagSet, help string) error {
	fs.Usage = func() {}
	err := parse(fs, e.Args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(e.Stdout, "Usage: firewatch %s %s\n", fs.Name(), help) //nolint:errcheck // a closed terminal
		fs.SetOutput(e.Stdout)
		fs.PrintDefaults()
	case err == nil && fs.NArg() > 0:
		err = usageError{fmt.Errorf("%q: the table is read from standard input", fs.Arg(0))}
	}
	return err
}

func runDangerFWI(_ context.Context, e Env) error {
	fs := flags(e, "danger fwi", "")
	latitude := fs.Float64("lat", 39, "latitude, degrees, south negative: it decides the day lengths")
	start := fs.String("start", "85,6,15", "FFMC,DMC,DC of the day before the first")
	book := fs.Bool("book-constants", false, "147.2 and the day lengths printed in 1985, for comparison with the book alone")
	if err := parseDanger(e, fs, dangerFWIHelp); err != nil {
		return err
	}
	if !(math.Abs(*latitude) <= 90) {
		return usageError{fmt.Errorf("--lat: %g; want -90 to 90", *latitude)}
	}
	codes, err := parseCodes(*start)
	if err != nil {
		return usageError{fmt.Errorf("--start: %w", err)}
	}
	opts := danger.ChainOptions{Latitude: *latitude, BookConstants: *book, Start: &codes}
	var chain danger.FWIChain
	return rateTable(e, dangerTable{
		inputs: []string{"temp_c", "rh_pct", "wind_kmh", "rain_mm"},
		added:  []string{"ffmc", "dmc", "dc", "isi", "bui", "fwi", "dsr"},
		rate: func(date danger.Date, v []float64) (ratedRow, error) {
			day, next, err := chain.Next(date, danger.Noon{TempC: v[0], RHPct: v[1], WindKMH: v[2], RainMM: v[3]}, opts)
			if err != nil {
				return ratedRow{}, err
			}
			chain = next
			row := ratedRow{link: day.Link}
			for _, f := range []float64{day.FFMC, day.DMC, day.DC, day.ISI, day.BUI, day.FWI, day.DSR} {
				row.cells = append(row.cells, figure(f))
			}
			switch day.Link {
			case danger.LinkBridged:
				row.say = fmt.Sprintf("%s missing before, bridged with the weather of the day before the gap and no rain", days(day.Gap))
			case danger.LinkRestarted:
				row.say = fmt.Sprintf("%s missing before, too many to bridge: restarted from %s", days(day.Gap), *start)
			case danger.LinkStart, danger.LinkNext:
			}
			return row, nil
		},
	})
}

func runDangerHTZ(_ context.Context, e Env) error {
	fs := flags(e, "danger htz", "")
	if err := parseDanger(e, fs, dangerHTZHelp); err != nil {
		return err
	}
	var chain danger.HTZChain
	unsure := false
	return rateTable(e, dangerTable{
		inputs:   []string{"temp_max_c", "rh_min_pct", "rain_mm", "wind_max_ms", "green_pct", "snow_pct"},
		added:    []string{"htz", "level"},
		optional: true,
		rate: func(date danger.Date, v []float64) (ratedRow, error) {
			day, next, err := chain.Next(date, danger.HTZDay{
				TempMaxC: v[0], RHMinPct: v[1], RainMM: v[2], WindMaxMS: v[3], GreenPct: v[4], SnowPct: v[5],
			})
			if err != nil {
				return ratedRow{}, err
			}
			chain = next
			row := ratedRow{cells: []string{"", ""}, link: day.Link}
			var say []string
			switch day.Link {
			case danger.LinkBridged:
				say = append(say, days(day.Gap)+" missing before, their rain is not known")
			case danger.LinkRestarted:
				say = append(say, days(day.Gap)+" missing before, too many to bridge: no earlier rain is known")
			case danger.LinkStart, danger.LinkNext:
			}
			if day.Rated {
				row.cells = []string{strconv.Itoa(day.Value), strconv.Itoa(day.Level)}
				// Said once where it begins, not on each of the days that it lasts.
				if day.Degraded && !unsure {
					say = append(say, "from here on "+day.Note)
				}
				unsure = day.Degraded
			} else {
				say = append(say, day.Note+" (no "+strings.Join(day.Missing, ", ")+"): not rated")
			}
			row.say = strings.Join(say, "; ")
			return row, nil
		},
	})
}

func days(n int) string {
	if n == 1 {
		return "1 day is"
	}
	return strconv.Itoa(n) + " days are"
}

func parseCodes(s string) (danger.Codes, error) {
	fields := strings.Split(s, ",")
	if len(fields) != 3 {
		return danger.Codes{}, fmt.Errorf("%q; want FFMC,DMC,DC as 85,6,15", s)
	}
	var v [3]float64
	for i, f := range fields {
		var ok bool
		if v[i], ok = decimal(strings.TrimSpace(f)); !ok {
			return danger.Codes{}, fmt.Errorf("%q is not a number", f)
		}
	}
	c := danger.Codes{FFMC: v[0], DMC: v[1], DC: v[2]}
	return c, c.Check()
}

// figure prints at least four decimals, and six digits that count where the value
// is small.
func figure(v float64) string {
	decimals := 4
	if v > 0 && v < 10 {
		decimals = min(5-int(math.Floor(math.Log10(v))), 18)
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// cellError names the column of a refused field.
func cellError(line int, err error) error {
	if in, ok := errors.AsType[*danger.InputError](err); ok {
		return fmt.Errorf("line %d, column %s: %s; want %s", line, in.Field, in.Value, in.Want)
	}
	return fmt.Errorf("line %d: %w", line, err)
}
