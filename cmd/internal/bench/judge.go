//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/engine"
	"firewatch/alerts/sqlstore"
	contract "firewatch/firmware-contracts"
)

// judgeCommand makes this program the engine alone, which has a process of its own
// so that its cost and its memory can be told apart.
const judgeCommand = "judge-child"

// A trial is what the engine is to judge.
type trial struct {
	Dir     string
	Devices int
	Every   time.Duration
	N       int // readings that are measured, after the windows are full
	Warm    time.Duration
	Rules   string // file; empty: the shipped ones
	Profile string // file that gets the CPU profile; empty: none
}

// A verdict is what it cost.
type verdict struct {
	Err      string `json:",omitempty"`
	Readings int
	CPU      float64 // s, of the readings that are measured, without making them
	Making   float64 // s, making them
	Span     float64 // s of simulated time
	Allocs   float64 // objects per reading
	Heap     float64 // MiB that stay after the garbage is collected, without what was there before the engine
	RSS      float64 // MiB
	Ticks    float64 // ms, the mean of what each second costs by itself
	Alerts   map[string]int
	Fires    int // of storyFires found
}

// runJudge judges as it is told and returns the exit code.
func runJudge(arg string, out io.Writer) int {
	var t trial
	var v verdict
	err := json.Unmarshal([]byte(arg), &t)
	if err == nil {
		v, err = t.run(context.Background())
	}
	if err != nil {
		v.Err = err.Error()
	}
	if json.NewEncoder(out).Encode(v) != nil {
		return 1
	}
	return 0
}

// storyAt is a spring morning in Baoding, when wardens walk.
var storyAt = time.Date(2026, 3, 20, 1, 30, 0, 0, time.UTC)

// run fills the windows and then judges N readings, all in simulated time.
func (t *trial) run(ctx context.Context) (v verdict, err error) {
	p := newPrefecture(t.Devices, t.Every, storyAt)
	store, err := p.openStore(ctx, t.Dir)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	set, err := t.rules()
	if err != nil {
		return v, err
	}
	now := storyAt.Add(-t.Warm)
	e, err := engine.New(engine.Options{
		Feed: stillFeed{}, Roster: store, Alerts: store, Orders: store, Warnings: store, Feeds: store, Documents: store, Hotspots: store,
		Incidents: store, Silences: store, Holdbacks: store, Danger: store, Rules: set, Log: zap.NewNop(),
		Answers: func(context.Context, contract.Answer) error { return nil }, Now: func() time.Time { return now },
	})
	if err != nil {
		return v, err
	}
	before := heap()
	desk, err := e.Rehearse(ctx)
	if err != nil {
		return v, err
	}
	var r contract.Reading
	judge := func(int) error { return desk.Judge(ctx, &r) }
	second := func() error {
		if err := p.second(now.Add(-time.Second), &r, judge); err != nil {
			return err
		}
		err := desk.Tick(ctx)
		now = now.Add(time.Second)
		return err
	}
	for now.Before(storyAt) {
		if err := second(); err != nil {
			return v, err
		}
	}
	v.Making = p.making(t.N)
	stop, err := profile(t.Profile)
	if err != nil {
		return v, err
	}
	defer stop()
	objects, begin, from := mallocs(), ownCPU(), now
	count := judge
	judge = func(i int) error {
		v.Readings++
		return count(i)
	}
	for v.Readings < t.N {
		if err := second(); err != nil {
			return v, err
		}
	}
	v.CPU = ownCPU() - begin - v.Making*float64(v.Readings)/float64(t.N)
	v.Allocs = float64(mallocs()-objects) / float64(v.Readings)
	v.Span = now.Sub(from).Seconds()
	begin = ownCPU()
	const idle = 30
	for range idle {
		if err := desk.Tick(ctx); err != nil {
			return v, err
		}
		now = now.Add(time.Second)
	}
	v.Ticks = (ownCPU() - begin) / idle * 1000
	v.Heap = float64(heap()-before) / (1 << 20)
	v.RSS = memoryOf(os.Getpid(), "VmRSS")
	if err := heapProfile(t.Profile); err != nil {
		return v, err
	}
	runtime.KeepAlive(desk)
	return v, p.outcome(ctx, store, &v)
}

// outcome counts the alerts that the store has, and the fires among them.
func (p *prefecture) outcome(ctx context.Context, store *sqlstore.Store, v *verdict) error {
	v.Alerts = map[string]int{}
	found := map[contract.DeviceID]bool{}
	q := alerts.AlertQuery{Limit: 1000}
	for {
		page, err := store.Alerts(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			a := &page[i]
			v.Alerts[a.Rule]++
			found[a.Device] = found[a.Device] || a.Rule == "sensor_fire"
		}
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].ID
	}
	for i := range p.devices {
		if _, ok := p.burning(i); ok && found[deviceID(i)] {
			v.Fires++
		}
	}
	return nil
}

func (t *trial) rules() (alerts.RuleSet, error) {
	text := alerts.DefaultRules()
	if t.Rules != "" {
		var err error
		if text, err = os.ReadFile(t.Rules); err != nil {
			return alerts.RuleSet{}, err
		}
	}
	return alerts.ParseRules(text)
}

// openStore makes a store with the office in it: its roster, a fire season, and
// the danger of each township on the days around the story.
func (p *prefecture) openStore(ctx context.Context, dir string) (*sqlstore.Store, error) {
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: "sqlite:" + filepath.Join(dir, "firewatch.db"), Log: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	if err := p.furnish(ctx, store); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

func (p *prefecture) furnish(ctx context.Context, store *sqlstore.Store) error {
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	since := p.story.AddDate(0, 0, -7)
	if err := store.ReplaceRoster(ctx, p.roster, since); err != nil {
		return err
	}
	if err := store.SaveSeasons(ctx, alerts.SeasonTable{Version: "bench", Effective: since, Seasons: []alerts.Season{
		{Area: cityCode, Kind: alerts.Prevention, From: "01-01", To: "12-31"},
	}}, since); err != nil {
		return err
	}
	var ds []alerts.AreaDanger
	for _, a := range p.roster.Areas[firstTownship:] {
		for day := range 3 {
			ds = append(ds, alerts.AreaDanger{
				Area: a.Code, Day: alerts.DangerDay(p.story.AddDate(0, 0, day-1)), Level: 3, Method: alerts.DangerHTZ, Version: "bench", DryDays: 2, At: since,
			})
		}
	}
	return store.SaveDanger(ctx, nil, ds, nil)
}

// making is what making so many readings costs in s.
func (p *prefecture) making(n int) float64 {
	var r contract.Reading
	made := 0
	begin := ownCPU()
	for at := p.story; made < n; at = at.Add(time.Second) {
		_ = p.second(at, &r, func(int) error { made++; return nil })
	}
	return ownCPU() - begin
}

// stillFeed is a feed that brings nothing: the trial brings the readings itself.
type stillFeed struct{}

func (stillFeed) Name() string { return "bench" }

func (stillFeed) Read(ctx context.Context, _ uint64, _ int) (alerts.Batch, error) {
	<-ctx.Done()
	return alerts.Batch{}, ctx.Err()
}

func (stillFeed) Seek(time.Time) uint64 { return 0 }
func (stillFeed) Release(uint64) error  { return nil }

// ownCPU is what this process has used of the processors in s.
func ownCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// heap is what of it is in use once the garbage is collected.
func heap() int64 {
	runtime.GC()
	runtime.GC() // finalizers of the first free more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // less than 8 EiB
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// judge is the experiment for the side of the engine.
func judge(ctx context.Context, s settings, sd side) (values, error) {
	if s.every%time.Second != 0 {
		return nil, fmt.Errorf("-every: %s; the experiment judge counts in whole seconds", s.every)
	}
	dir, err := os.MkdirTemp(s.dir, sd.name+"-")
	if err != nil {
		return nil, err
	}
	if !s.keep {
		defer os.RemoveAll(dir) //nolint:errcheck // our own folder
	}
	if sd.name == prometheusSide {
		return judgePeer(ctx, s, dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(trial{Dir: dir, Devices: s.deviceCount(20_000), Every: s.every, N: s.judged, Warm: s.warm, Profile: s.profile})
	if err != nil {
		return nil, err
	}
	begin := usedNow(0)
	v, own, err := startJudge(ctx, dir, string(raw))
	if err != nil {
		return nil, err
	}
	out := values{}
	out.judged(v, s.deviceCount(20_000))
	out.quiet(begin, own)
	return out, nil
}

// judged gives the figures of a verdict.
func (v values) judged(x verdict, devices int) {
	v[keyCPU] = x.CPU / float64(x.Readings) * 1e6
	v[keyShare] = 100 * x.CPU / x.Span
	v[keyHeap] = x.Heap * 1024 / float64(devices)
	v[keyMemory] = x.RSS * 1024 / float64(devices)
	v[keyAllocs], v[keyTick] = x.Allocs, x.Ticks
	v[keyLost] = float64(storyFires - x.Fires)
	for _, n := range x.Alerts {
		v[keyAlerts] += float64(n)
	}
}

// startJudge has a child judge and returns what it says, and its CPU.
func startJudge(ctx context.Context, dir, arg string) (v verdict, cpu float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return v, 0, err
	}
	answers, out, err := os.Pipe()
	if err != nil {
		return v, 0, err
	}
	defer answers.Close() //nolint:errcheck // read to its end
	p, err := startProcess(dir, "judge", nil, out, self, judgeCommand, arg)
	_ = out.Close() // the child has its own
	if err != nil {
		return v, 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	defer stop()
	err = json.NewDecoder(answers).Decode(&v)
	<-p.done
	switch {
	case ctx.Err() != nil:
		return v, 0, ctx.Err()
	case err != nil:
		return v, 0, fmt.Errorf("the engine's process: %w: %s", err, p.tail())
	case v.Err != "":
		return v, 0, errors.New(v.Err)
	}
	return v, p.cpu(), nil
}

// usedNow is the machine's use, with what children of the run have used.
func usedNow(children float64) used {
	u := used{at: time.Now(), self: cpuOf(os.Getpid()), consumer: children}
	u.work, u.stolen = busy()
	return u
}

// quiet notes how much others used since then, children aside.
func (v values) quiet(begin used, children float64) {
	v.disturbed(usedNow(children).since(begin), begin.at)
}
