package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/config"
	"firewatch/cmd/internal/roster"
)

// maxRosterFile bounds a file that is imported, in bytes.
const maxRosterFile = 64 << 20

func runRosterImport(ctx context.Context, e Env) error {
	mine, rest := splitArgs(e.Args, "", "from", "devices?", "remove?", "dry-run?")
	fs := flags(e, "roster import", "FOLDER|FILE.xlsx [--devices [--remove]] [--dry-run] [--data DIR] [--store URL]")
	from := fs.String("from", "", "folder with areas.geojson, teams.csv and devices.csv, a workbook with the sheets areas, teams and devices, or with --devices a table of devices alone")
	devices := fs.Bool("devices", false, "add and change the devices of a table (CSV or XLSX); all others, areas and teams stay")
	remove := fs.Bool("remove", false, "with --devices: take devices that are not in the table out of the registry")
	dry := fs.Bool("dry-run", false, "check, say what would change, and change nothing")
	if err := parse(fs, mine); err != nil {
		return err
	}
	if err := soleWord(fs, from); err != nil {
		return err
	}
	switch {
	case *from == "":
		return usageError{errors.New("--from is missing: name the folder with areas.geojson, teams.csv and devices.csv, or a workbook")}
	case *remove && !*devices:
		return usageError{errors.New("--remove goes with --devices; without it the whole roster is replaced")}
	}
	c, err := config.Load("firewatch roster import --from FOLDER", rest, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	if c.EmbeddedStore() && !*devices && !*dry { // the first thing that an office does
		if _, err := os.Stat(*from); err != nil {
			return err
		}
		if err := runMigrate(ctx, Env{Args: rest, Environ: e.Environ, Stdout: io.Discard, Stderr: e.Stderr}); err != nil {
			return err
		}
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	if *devices {
		err = importDevices(ctx, e.Stdout, store, *from, *remove, *dry)
	} else {
		err = importRoster(ctx, e.Stdout, store, *from, *dry)
	}
	return errors.Join(err, store.Close())
}

// soleWord takes the one word of a command line that is no flag for the value of
// a flag that was not given.
func soleWord(fs *flag.FlagSet, value *string) error {
	words := fs.Args()
	if *value == "" && len(words) > 0 {
		*value, words = words[0], words[1:]
	}
	if len(words) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", words[0])}
	}
	return nil
}

func isBook(path string) bool { return strings.EqualFold(filepath.Ext(path), ".xlsx") }

func importRoster(ctx context.Context, out io.Writer, store *sqlstore.Store, from string, dry bool) error {
	have, err := readRoster(ctx, store)
	if err != nil {
		return err
	}
	var r alerts.Roster
	if isBook(from) {
		var raw []byte
		if raw, err = readBounded(from); err == nil {
			r, err = roster.ReadBook(filepath.Base(from), raw, have)
		}
	} else {
		r, err = roster.ReadOver(os.DirFS(from), have)
	}
	if err != nil {
		return fmt.Errorf("%s: nothing was changed:\n%w", from, err)
	}
	p := alerts.PlanDevices(have.Devices, r.Devices, true)
	if !dry {
		if err := store.ReplaceRoster(ctx, r, time.Now().UTC()); err != nil {
			return fmt.Errorf("%s: nothing was changed: %w", from, err)
		}
	}
	if _, err := fmt.Fprintf(out, "%d areas, %d teams, %d devices\n", len(r.Areas), len(r.Teams), len(r.Devices)); err != nil {
		return err
	}
	return sayPlan(out, p, dry)
}

func importDevices(ctx context.Context, out io.Writer, store *sqlstore.Store, from string, remove, dry bool) error {
	version, _, err := store.RosterVersion(ctx)
	if err != nil {
		return err
	}
	have, err := readRoster(ctx, store)
	if err != nil {
		return err
	}
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		from = filepath.Join(from, "devices.csv")
	}
	raw, err := readBounded(from)
	if err != nil {
		return err
	}
	format := roster.FormatCSV
	if isBook(from) {
		format = roster.FormatXLSX
	}
	want, sheet, wrong := roster.ReadDevices(format, filepath.Base(from), raw, have)
	if len(wrong) > 0 {
		var b strings.Builder
		for _, w := range wrong {
			fmt.Fprintf(&b, "\n%s", rowFault(w))
		}
		return fmt.Errorf("%s: nothing was changed:%s", from, b.String())
	}
	p := alerts.PlanDevices(have.Devices, want, remove)
	if !dry && len(p.Add)+len(p.Save)+len(p.Remove) > 0 {
		p.Base = version
		if err := store.ChangeDevices(ctx, p.DeviceChange, time.Now().UTC()); err != nil {
			return fmt.Errorf("%s: nothing was changed: %w", from, err)
		}
		audit(ctx, store, "devices.import", "")
	}
	if sheet != "" {
		if _, err := fmt.Fprintf(out, "工作表 sheet %s\n", sheet); err != nil {
			return err
		}
	}
	return sayPlan(out, p, dry)
}

func rowFault(w alerts.RowFault) string {
	s := w.Sheet
	if w.Row > 0 {
		s += fmt.Sprintf(":%d", w.Row)
	}
	if w.Column != "" {
		s += ": " + w.Column
	}
	return s + ": " + w.Message
}

func sayPlan(out io.Writer, p alerts.DevicePlan, dry bool) error {
	did := ""
	if dry {
		did = "（试运行，未更改 dry run, nothing was changed） "
	}
	_, err := fmt.Fprintf(out, "%sdevices: %d added, %d changed, %d removed, %d as they were\n", did, len(p.Add), len(p.Save), len(p.Remove), p.Unchanged)
	return err
}

func readBounded(path string) ([]byte, error) { return readUpTo(path, maxRosterFile) }

// readUpTo reads a file of at most so many bytes.
func readUpTo(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s is larger than %d MiB", path, most>>20)
	}
	return raw, err
}

func runRosterExport(ctx context.Context, e Env) error {
	mine, rest := splitArgs(e.Args, "", "to")
	fs := flags(e, "roster export", "FOLDER|FILE.xlsx [--data DIR] [--store URL]")
	to := fs.String("to", "", "folder for areas.geojson, teams.csv and devices.csv; or a workbook, which has no outlines")
	if err := parse(fs, mine); err != nil {
		return err
	}
	if err := soleWord(fs, to); err != nil {
		return err
	}
	if *to == "" {
		return usageError{errors.New("--to is missing: name a folder or a workbook")}
	}
	return withStore(ctx, e, "firewatch roster export --to FOLDER", rest, func(_ config.Config, store *sqlstore.Store) error {
		r, err := readRoster(ctx, store)
		if err != nil {
			return err
		}
		if isBook(*to) {
			var raw []byte
			if raw, err = roster.WriteBook(r); err == nil {
				err = writeSecretFile(*to, raw) // names and telephone numbers
			}
		} else {
			err = roster.Write(*to, r)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.Stdout, "%s: %d areas, %d teams, %d devices\n", *to, len(r.Areas), len(r.Teams), len(r.Devices))
		return err
	})
}
