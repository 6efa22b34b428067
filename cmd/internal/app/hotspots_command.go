package app

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/firms"
	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/config"
)

const hotspotsHelp = `FILE… | - [--dry-run] [--list] [--skip-bad] [--data DIR] [--store URL]

Fires that satellites saw, from FIRMS CSV (https://firms.modaps.eosdis.nasa.gov): MODIS,
VIIRS and Landsat, of the last days or of the archive, columns in any order. Pixels of one
place and a few hours are one hotspot, whichever satellites saw them. What is there already
stays as it is, so files may overlap. All files or nothing: with one bad row none is taken.
A running firewatch judges what is new within seconds. Example:

  firewatch hotspots import MODIS_C6_1_China.csv J1_VIIRS_C2_China.csv --dry-run --list
`

// maxHotspotFile bounds a file that is imported, in bytes: a week of the world.
const maxHotspotFile = 128 << 20

// maxToldFaults bounds the faults that are printed; all are counted.
const maxToldFaults = 50

func runHotspotsImport(ctx context.Context, e Env) error {
	mine, rest := splitArgs(e.Args, "", "dry-run?", "list?", "skip-bad?", "merge-km", "merge-within")
	fs := flags(e, "hotspots import", "")
	dry := fs.Bool("dry-run", false, "check, say what would change, and change nothing; without firewatch data nothing counts as known")
	list := fs.Bool("list", false, "write the hotspots as CSV to standard output, and all else to standard error")
	skip := fs.Bool("skip-bad", false, "leave bad rows out and name them on standard error")
	km := fs.Float64("merge-km", alerts.DefaultMergeKM, "how far apart pixels of one hotspot may be, km; wider pixels must touch")
	within := fs.Duration("merge-within", alerts.DefaultMergeWithin, "how long apart")
	fs.Usage = func() {
		fmt.Fprintf(e.Stdout, "Usage: firewatch hotspots import %s\n", hotspotsHelp) //nolint:errcheck // a closed terminal
		fs.SetOutput(e.Stdout)
		fs.PrintDefaults()
	}
	if err := parse(fs, mine); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return usageError{errors.New("name files of FIRMS, or - for standard input")}
	}
	im := firms.Importer{Merging: alerts.Merging{WithinKM: *km, Within: *within}}
	if err := im.Merging.Validate(); err != nil {
		return usageError{err}
	}
	c, err := config.Load("firewatch hotspots import FILE", rest, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	rows, bad, err := readHotspots(e, fs, now, *skip)
	if err != nil {
		return err
	}
	if !*dry || !c.EmbeddedStore() || isFile(filepath.Join(c.Data, "firewatch.db")) {
		store, err := openStore(ctx, c)
		if err != nil {
			return err
		}
		im.Store, im.Roster, im.Documents = store, store, store
		err = importHotspots(ctx, e, &im, store, rows, bad, now, *dry, *list)
		return errors.Join(err, store.Close())
	}
	return importHotspots(ctx, e, &im, nil, rows, bad, now, *dry, *list)
}

// readHotspots reads all files. Unless bad rows are skipped, one of them is the
// error of all.
func readHotspots(e Env, fs *flag.FlagSet, now time.Time, skip bool) (rows []firms.Row, bad int, err error) {
	var told strings.Builder
	for _, name := range fs.Args() {
		raw, err := readHotspotFile(e, name)
		if err != nil {
			return nil, 0, err
		}
		if name == "-" {
			name = "standard input"
		}
		some, faults, err := firms.Read(raw, now)
		if err != nil {
			return nil, 0, fmt.Errorf("nothing was imported: %s: %w", name, err)
		}
		rows = append(rows, some...)
		for i := range faults {
			if bad++; bad <= maxToldFaults {
				fmt.Fprintf(&told, "\n%s: %v", name, &faults[i])
			}
		}
	}
	if bad > maxToldFaults {
		fmt.Fprintf(&told, "\n… and %d more", bad-maxToldFaults)
	}
	if bad > 0 && !skip {
		return nil, bad, fmt.Errorf("nothing was imported, %d values are bad (--skip-bad leaves their rows out):%s", bad, told.String())
	}
	if bad > 0 {
		_, err = fmt.Fprintf(e.Stderr, "left out:%s\n", told.String())
	}
	return rows, bad, err
}

func readHotspotFile(e Env, name string) ([]byte, error) {
	if name != "-" {
		return readUpTo(name, maxHotspotFile)
	}
	raw, err := io.ReadAll(io.LimitReader(e.Stdin, maxHotspotFile+1))
	if err == nil && len(raw) > maxHotspotFile {
		err = fmt.Errorf("larger than %d MiB", maxHotspotFile>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return raw, nil
}

func importHotspots(
	ctx context.Context, e Env, im *firms.Importer, store *sqlstore.Store, rows []firms.Row, bad int, now time.Time, dry, list bool,
) error {
	rep, err := im.Import(ctx, rows, now, dry)
	if err != nil {
		return fmt.Errorf("nothing was imported: %w", err)
	}
	if store != nil && !dry && rep.New+rep.Grown > 0 {
		audit(ctx, store, "hotspots.import", "")
	}
	out := e.Stdout
	if list {
		if err := listHotspots(e.Stdout, rep.Hotspots); err != nil {
			return err
		}
		out = e.Stderr
	}
	did := ""
	if dry {
		did = "（试运行，未更改 dry run, nothing was changed） "
	}
	_, err = fmt.Fprintf(out, "%s%d rows (%d known already or twice, %d bad values): %d hotspots, %d new, %d grown, %d as they were; %d pixels merged, "+
		"%d masked by static sources, %d outside the townships\n",
		did, rep.Rows, rep.Again, bad, len(rep.Hotspots), rep.New, rep.Grown, rep.Known, rep.Merged, rep.Masked, rep.Outside)
	return err
}

func listHotspots(w io.Writer, hs []firms.Listed) error {
	out := csv.NewWriter(w)
	number := func(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }
	err := out.Write([]string{
		"id", "state", "seen", "last", "lat", "lon", "size_km", "instrument", "satellites", "pixels", "confidence", "percent", "frp_mw", "area", "masked",
	})
	for i := range hs {
		h := &hs[i]
		percent := ""
		if h.Percent >= 0 {
			percent = strconv.Itoa(h.Percent)
		}
		err = errors.Join(err, out.Write([]string{
			h.ID, string(h.State), h.Seen.Format(time.RFC3339), h.Last.Format(time.RFC3339), number(h.Lat, 5), number(h.Lon, 5), number(h.SizeKM, 3),
			h.Instrument, strings.Join(h.Satellites, "+"), strconv.Itoa(h.Pixels), h.Confidence, percent, number(h.FRP, 2), h.Area, h.Masked,
		}))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}
