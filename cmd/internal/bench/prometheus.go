//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	contract "firewatch/firmware-contracts"
)

const (
	peerLength = 3 * time.Minute  // at real speed
	peerFill   = 35 * time.Minute // that fills the windows
	peerPoll   = 250 * time.Millisecond
	peerEvery  = 15 * time.Second // evaluation_interval of prometheus.yml
	townEvery  = time.Minute      // between two values of what a township has
	peerBatch  = 4 << 20          // bytes of a request
)

// The fields that the rules look at.
var peerFields = []contract.Field{
	contract.BatteryPct, contract.Lat, contract.Lon, contract.Moving, contract.Charging, contract.Active,
	contract.TempC, contract.SmokeObsPctM, contract.CoPPM, contract.WindMS, contract.Calibrating,
}

// A peer is a Prometheus that is told what the prefecture says.
type peer struct {
	*prefecture
	process *process
	url     string
	http    *http.Client
	labels  [][]byte // by device and place in peerFields
	towns   [][]byte // three of each township
	expects [][]byte // of each device
}

// judgePeer is the experiment for the side of the poll.
func judgePeer(ctx context.Context, s settings, dir string) (v values, err error) {
	devices, length := s.deviceCount(20_000), s.length(peerLength)
	begin := time.Now().Truncate(s.every)
	p := &peer{prefecture: newPrefecture(devices, s.every, begin.AddDate(1, 0, 0)), http: &http.Client{Timeout: patience}}
	p.name()
	if err := p.start(ctx, s, dir); err != nil {
		return nil, err
	}
	defer p.process.stop(syscall.SIGTERM)
	base, err := p.memory(ctx)
	if err != nil {
		return nil, err
	}
	rss := memoryOf(p.process.pid(), "VmRSS")
	if err := p.fill(ctx, begin); err != nil {
		return nil, err
	}
	// What came while the windows were filled is sent at once; the story begins with
	// what is sent at real speed.
	now := time.Now().Truncate(time.Second)
	for at := begin; at.Before(now); at = at.Add(time.Second) {
		if _, err := p.second(ctx, at); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, 2*peerEvery); err != nil { // until the recording rules have something
		return nil, err
	}
	p.story = time.Now().Truncate(time.Second)
	for at := now; at.Before(p.story); at = at.Add(time.Second) {
		if _, err := p.second(ctx, at); err != nil {
			return nil, err
		}
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := &sightings{seen: map[contract.DeviceID]time.Time{}}
	watched := make(chan error, 1)
	go func() { watched <- p.watch(wctx, seen) }()
	machine, cpu := usedNow(0), p.process.cpu()
	n, err := p.live(ctx, length)
	if err != nil {
		return nil, err
	}
	used, span := p.process.cpu()-cpu, time.Since(machine.at).Seconds()
	v = values{keyCPU: used / float64(n) * 1e6, keyShare: 100 * used / span}
	v.quiet(machine, used)
	cancel()
	if err := <-watched; err != nil {
		return nil, err
	}
	v[keyMemory] = (memoryOf(p.process.pid(), "VmRSS") - rss) * 1024 / float64(devices)
	return v, p.figures(ctx, v, seen, base)
}

// name makes the labels of every series.
func (p *peer) name() {
	for i := range p.devices {
		d := &p.roster.Devices[i]
		where := []label{{"area", d.Area}}
		if d.Kind == contract.Sensor {
			where = append(where, label{"cell", fmt.Sprintf("%.0f-%.0f", d.Lat/0.05, d.Lon/0.05)})
		}
		where = append(where, label{"county", d.Area[:6]}, label{"device", string(d.ID)}, label{"kind", d.Kind.String()})
		for _, f := range peerFields {
			p.labels = append(p.labels, encodeLabels(append([]label{{"__name__", "fw_" + f.String()}}, where...)...))
		}
		p.expects = append(p.expects, encodeLabels(append([]label{{"__name__", "fw_expected"}}, where...)...))
	}
	for _, a := range p.roster.Areas[firstTownship:] {
		for _, name := range []string{"fw_scale", "fw_danger", "fw_dry_days"} {
			p.towns = append(p.towns, encodeLabels(label{"__name__", name}, label{"area", a.Code}, label{"county", a.Parent}))
		}
	}
}

// townValues are those of scale, danger and dry days: prevention season, danger 3.
var townValues = [...]float64{0.9, 3, 2}

func (p *peer) start(ctx context.Context, s settings, dir string) error {
	for _, name := range []string{"prometheus.yml", "rules.yml"} {
		raw, err := os.ReadFile(filepath.Join(s.configs, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil { //nolint:gosec // in our own folder
			return err
		}
	}
	addr, err := freePort(ctx)
	if err != nil {
		return err
	}
	p.url = "http://" + addr
	p.process, err = startProcess(dir, "prometheus", nil, nil, s.prometheus, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+addr, "--web.enable-remote-write-receiver", "--log.level=warn")
	if err != nil {
		return err
	}
	err = await(ctx, p.process, "Prometheus", func() bool {
		_, err := p.get(ctx, "/-/ready")
		return err == nil
	})
	if err != nil {
		p.process.stop(syscall.SIGTERM)
	}
	return err
}

// fill sends what was said in the time before begin, a device after the other.
func (p *peer) fill(ctx context.Context, begin time.Time) error {
	var request []byte
	flush := func(least int) error {
		if len(request) < least {
			return nil
		}
		err := remoteWrite(ctx, p.http, p.url, request)
		request = request[:0]
		return err
	}
	from := begin.Add(-peerFill)
	var ticks []sampleAt
	for at := from; at.Before(begin); at = at.Add(townEvery) {
		ticks = append(ticks, sampleAt{at.UnixMilli(), 1})
	}
	for i := range p.devices {
		samples := make([][]sampleAt, len(peerFields))
		for at := from.Add(p.phase(i)).Truncate(time.Millisecond); at.Before(begin); at = at.Add(p.every) {
			var r contract.Reading
			if !p.read(i, at, &r) {
				break
			}
			for k, f := range peerFields {
				if x, ok := r.Values.Get(f); ok {
					samples[k] = append(samples[k], sampleAt{at.UnixMilli(), x})
				}
			}
		}
		for k, list := range samples {
			if len(list) > 0 {
				request = appendSeries(request, p.labels[i*len(peerFields)+k], list...)
			}
		}
		request = appendSeries(request, p.expects[i], ticks...)
		if err := flush(peerBatch); err != nil {
			return err
		}
	}
	for k, labels := range p.towns {
		list := slices.Clone(ticks)
		for j := range list {
			list[j].v = townValues[k%len(townValues)]
		}
		request = appendSeries(request, labels, list...)
	}
	return flush(1)
}

// second sends what is measured in the second that begins at the time, and returns
// how many readings that are.
func (p *peer) second(ctx context.Context, at time.Time) (n int, err error) {
	var request []byte
	var r contract.Reading
	err = p.prefecture.second(at, &r, func(i int) error {
		n++
		for k, f := range peerFields {
			if x, ok := r.Values.Get(f); ok {
				request = appendSeries(request, p.labels[i*len(peerFields)+k], sampleAt{r.Measured.UnixMilli(), x})
			}
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	if at.Unix()%int64(townEvery/time.Second) == 0 {
		for k, labels := range p.towns {
			request = appendSeries(request, labels, sampleAt{at.UnixMilli(), townValues[k%len(townValues)]})
		}
		for _, labels := range p.expects {
			request = appendSeries(request, labels, sampleAt{at.UnixMilli(), 1})
		}
	}
	if len(request) == 0 {
		return n, nil
	}
	return n, remoteWrite(ctx, p.http, p.url, request)
}

// live sends what is said at real speed, each second when it is over.
func (p *peer) live(ctx context.Context, length time.Duration) (n int, err error) {
	for at := p.story; at.Before(p.story.Add(length)); at = at.Add(time.Second) {
		if err := pause(ctx, time.Until(at.Add(time.Second))); err != nil {
			return n, err
		}
		sent, err := p.second(ctx, at)
		if err != nil {
			return n, errors.Join(err, p.process.gone())
		}
		n += sent
	}
	return n, nil
}

func (p *peer) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, res.Status, raw)
	}
	return raw, err
}

// A peerAlert is what Prometheus tells of an alert.
type peerAlert struct {
	Labels map[string]string
	State  string
}

func (p *peer) alerts(ctx context.Context) ([]peerAlert, error) {
	raw, err := p.get(ctx, "/api/v1/alerts")
	if err != nil {
		return nil, err
	}
	var answer struct{ Data struct{ Alerts []peerAlert } }
	return answer.Data.Alerts, json.Unmarshal(raw, &answer)
}

// watch looks for fires until ctx ends.
func (p *peer) watch(ctx context.Context, seen *sightings) error {
	for pause(ctx, peerPoll) == nil {
		list, err := p.alerts(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case err != nil:
			return err
		}
		for _, a := range list {
			if a.Labels["alertname"] == "sensor_fire" && a.State == "firing" {
				seen.note(contract.DeviceID(a.Labels["device"]), time.Now())
			}
		}
	}
	return nil
}

// memory is Prometheus's heap in MiB once the garbage is collected.
func (p *peer) memory(ctx context.Context) (float64, error) {
	if _, err := p.get(ctx, "/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	m, err := p.metrics(ctx)
	return m["go_memstats_heap_alloc_bytes"] / (1 << 20), err
}

// metrics are those of Prometheus itself that have no labels, or the group's.
func (p *peer) metrics(ctx context.Context) (map[string]float64, error) {
	raw, err := p.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(raw)), nil
}

// parseMetrics adds up each metric's series.
func parseMetrics(text string) map[string]float64 {
	out := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if i := strings.LastIndexByte(line, '}'); i >= 0 {
			name, _, _ = strings.Cut(line, "{")
			value, ok = strings.TrimSpace(line[i+1:]), true
		}
		if ok {
			out[name] += number(value)
		}
	}
	return out
}

// figures are what it found, and what it holds.
func (p *peer) figures(ctx context.Context, v values, seen *sightings, base float64) error {
	held, err := p.memory(ctx)
	if err != nil {
		return err
	}
	v[keyHeap] = (held - base) * 1024 / float64(p.devices)
	m, err := p.metrics(ctx)
	if err != nil {
		return err
	}
	v[keySeries] = m["prometheus_tsdb_head_series"]
	v[keyTick] = m["prometheus_rule_group_duration_seconds_sum"] / m["prometheus_rule_group_duration_seconds_count"] * 1000
	if failed := m["prometheus_rule_evaluation_failures_total"]; failed > 0 {
		return fmt.Errorf("%.0f evaluations of rules failed: %s", failed, p.process.tail())
	}
	list, err := p.alerts(ctx)
	if err != nil {
		return err
	}
	told := map[[2]string]bool{} // the ways to see one fire are one alert
	for _, a := range list {
		if a.State == "firing" {
			told[[2]string{a.Labels["alertname"], a.Labels["device"] + a.Labels["area"]}] = true
		}
	}
	v[keyAlerts] = float64(len(told))
	v[keyLost] = storyFires
	var took []float64
	for i := range p.devices {
		from, ok := p.burning(i)
		if !ok {
			continue
		}
		if at, found := seen.seen[deviceID(i)]; found {
			v[keyLost]--
			took = append(took, at.Sub(p.firstSaid(i, from)).Seconds()*1000)
		}
	}
	slices.Sort(took)
	v[keyP50], v[keyP99] = quantile(took, 0.5), quantile(took, 0.99)
	return nil
}

// firstSaid is when the device's first reading from a time on is measured.
func (p *peer) firstSaid(i int, from time.Time) time.Time {
	at := from.Truncate(p.every).Add(p.phase(i))
	if at.Before(from) {
		at = at.Add(p.every)
	}
	return at
}
