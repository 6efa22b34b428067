package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/config"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/influx/influxd"
)

// world is what was around the readings.
func (b *backtest) world(ctx context.Context, e Env, c config.Config) (w rehearsal.World, err error) {
	switch {
	case b.roster != "" && isBook(b.roster):
		var raw []byte
		if raw, err = readBounded(b.roster); err == nil {
			w.Roster, err = roster.ReadBook(filepath.Base(b.roster), raw, alerts.Roster{})
		}
	case b.roster != "":
		w.Roster, err = roster.ReadOver(os.DirFS(b.roster), alerts.Roster{})
	case len(b.files) > 0 && !hasData(c):
		fmt.Fprintln(e.Stderr, "没有登记表，表中每台设备按无位置的传感器判断；没有队伍，指令无人可派 no roster: each device of the tables is a sensor without a place") //nolint:errcheck // a closed terminal
		w.Roster, err = b.devicesOf(ctx)
	default:
		w, err = b.stored(ctx, c)
	}
	if err != nil {
		return w, fmt.Errorf("roster: %w", err)
	}
	if b.seasons != "" {
		raw, err := readUpTo(b.seasons, maxDocument)
		if err != nil {
			return w, fmt.Errorf("--seasons: %w", err)
		}
		t, err := alerts.ParseSeasons(raw)
		if err != nil {
			return w, fmt.Errorf("--seasons: %s: %w", b.seasons, err)
		}
		w.Seasons = []rehearsal.SeasonsFrom{{Table: &t}}
	}
	if len(w.Seasons) == 0 {
		fmt.Fprintln(e.Stderr, "没有防火期表，按不明处理 no season table: the seasons are unknown (--seasons)") //nolint:errcheck // a closed terminal
	}
	if b.area == "" {
		return w, nil
	}
	areas := alerts.IndexAreas(w.Roster.Areas)
	if _, known := areas[b.area]; !known {
		return w, fmt.Errorf("--area: no area has the code %q", b.area)
	}
	w.Roster.Devices = slices.DeleteFunc(w.Roster.Devices, func(d alerts.Device) bool { return !areas.Within(d.Area, b.area) })
	return w, nil
}

// maxStored bounds the warnings and the hotspots of a backtest.
const maxStored = 10_000

// stored is the world of the store, over the time of the backtest or, where that
// follows from tables, of all that there is.
func (b *backtest) stored(ctx context.Context, c config.Config) (w rehearsal.World, err error) {
	store, err := openStore(ctx, c)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if w.Roster, err = readRoster(ctx, store); err != nil {
		return w, err
	}
	from, to := b.from, b.to
	if from.IsZero() {
		from = contract.Earliest
	}
	if to.IsZero() {
		to = time.Now()
	}
	if w.Seasons, err = storedSeasons(ctx, store, from, to); err != nil {
		return w, err
	}
	if w.Warnings, err = store.Warnings(ctx, time.Time{}, maxStored); err != nil {
		return w, err
	}
	if w.Danger, err = store.AreaDangers(ctx, "", alerts.DangerDay(from.AddDate(0, 0, -8)), alerts.DangerDay(to)); err != nil {
		return w, err
	}
	w.DangerMethod = c.DangerMethod
	for i := range w.Danger {
		w.Danger[i].At = time.Time{} // the day's final level counts all day: when it was first rated is not kept
	}
	if w.Hotspots, err = store.Hotspots(ctx, alerts.HotspotQuery{From: from, To: to, Limit: maxStored}); err != nil {
		return w, err
	}
	d, err := store.Document(ctx, alerts.DocumentSources, to)
	switch {
	case err == nil:
		w.Sources = d.Body
	case !errors.Is(err, alerts.ErrNotFound):
		return w, err
	}
	return w, nil
}

// storedSeasons are the tables that ruled, found day by day.
func storedSeasons(ctx context.Context, store *sqlstore.Store, from, to time.Time) (out []rehearsal.SeasonsFrom, err error) {
	last := ""
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		t, err := store.Seasons(ctx, day)
		switch {
		case errors.Is(err, alerts.ErrNotFound):
		case err != nil:
			return nil, err
		case t.Version != last:
			last = t.Version
			out = append(out, rehearsal.SeasonsFrom{From: t.Effective, Table: &t})
		}
	}
	return out, nil
}

// openHistory opens InfluxDB to read. It sets up nothing there: what is kept for
// how long is for the program at work to say.
func openHistory(ctx context.Context, c config.Config) (h ingest.History, release func(), err error) {
	url, token, stop := c.InfluxURL, c.InfluxToken.Reveal(), func() {}
	if c.EmbeddedInflux() {
		unlock, err := lockFolder(c.Data)
		if err != nil {
			return nil, nil, fmt.Errorf("%w; or give --influx-url and --influx-token of its InfluxDB", err)
		}
		s := system{Config: c}
		server, err := influxd.Start(ctx, influxd.Options{Binary: s.influxBinary(), Dir: filepath.Join(c.Data, "influxdb"), Auth: true})
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("influxd: %w", err), unlock())
		}
		url, token = server.URL(), server.Token()
		stop = func() {
			sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			_, _ = server.Stop(sctx), unlock() // it was only read
		}
	}
	client, err := influx.New(influx.Options{URL: url, Token: token, Org: c.InfluxOrg, Database: c.InfluxDatabase, Keep: c.InfluxKeep})
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("influx: %w", err)
	}
	return client, func() { client.Close(); stop() }, nil
}

// Bounds of what is held of all devices together, in readings.
const (
	heldReadings = 400_000
	leastPage    = 50
	mostPage     = 5_000
)

// historyStream yields what the devices measured in [from, to), in order of receipt.
func historyStream(h ingest.History, devices []alerts.Device, from, to time.Time) rehearsal.Stream {
	var all []rehearsal.Stream
	page := min(max(heldReadings/(2*len(devices)+1), leastPage), mostPage)
	for i := range devices {
		classes := []contract.Class{contract.Environment, contract.Status}
		if devices[i].Kind == contract.Tracker {
			classes[0] = contract.Position // and SOS and reports, which are stored beside it
		}
		for _, class := range classes {
			p := pages{history: h, query: ingest.ReadingQuery{Device: devices[i].ID, Class: class, From: from, To: to, Limit: page}}
			all = append(all, p.next)
		}
	}
	return rehearsal.Merge(all...)
}

// pages reads one device's readings of a class, a page at a time.
type pages struct {
	history ingest.History
	query   ingest.ReadingQuery
	rest    []contract.Reading
	done    bool
}

func (p *pages) next(ctx context.Context) (x contract.Reading, ok bool, err error) {
	for len(p.rest) == 0 {
		if p.done {
			return x, false, nil
		}
		if err := p.read(ctx); err != nil {
			return x, false, err
		}
	}
	x, p.rest = p.rest[0], p.rest[1:]
	return x, true, nil
}

func (p *pages) read(ctx context.Context) error {
	rs, err := p.history.Readings(ctx, p.query)
	if err != nil {
		return fmt.Errorf("device %s: %w", p.query.Device, err)
	}
	if len(rs) < p.query.Limit {
		p.rest, p.done = rs, true
		return nil
	}
	// What was measured in the same millisecond as the last one may go on on the
	// next page: all of it comes with that.
	last := rs[len(rs)-1].Measured
	cut := slices.IndexFunc(rs, func(r contract.Reading) bool { return !r.Measured.Before(last) })
	if cut == 0 {
		p.rest, p.query.From = rs, last.Add(time.Millisecond)
		return nil
	}
	p.rest, p.query.From = rs[:cut], last
	return nil
}
