package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"firewatch/cmd/internal/mqttclient"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/ingesttest"
)

// What `make chaos` sets to make it longer.
const (
	chaosSeeds    = "CHAOS_SEEDS"    // count of seeds; default 20
	chaosReadings = "CHAOS_READINGS" // of one seed; default 15,000
	chaosOutage   = "CHAOS_OUTAGE"   // how long InfluxDB stands still when it does; default up to 2 s
)

const chaosDevices = 50

// Readings come in while firewatch, influxd and mosquitto are killed,
// stopped and starved of disk at moments that the seed decides. Every reading
// that was acknowledged to a device by the embedded broker is in InfluxDB exactly
// once at the end; with mosquitto, every one but those that mosquitto itself lost
// when it was killed, and these are counted by the gaps in seq.
func TestChaosLosesNothingAcknowledged(t *testing.T) {
	seeds := fromEnv(t, chaosSeeds, 20)
	readings := fromEnv(t, chaosReadings, 15_000)
	var outage time.Duration
	if s := os.Getenv(chaosOutage); s != "" {
		var err error
		if outage, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	w := newChaos(t)
	total := 0
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			total += w.run(t, uint64(seed+1), readings, outage)
		})
	}
	t.Logf("%d readings acknowledged in all", total)
}

func fromEnv(t *testing.T, name string, or int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return or
	}
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		t.Fatalf("%s=%q: want a count", name, s)
	}
	return n
}

// chaos is the neighbours that all seeds share.
type chaos struct {
	influx    *influxd.Server
	influxDir string
	store     string // data folder with the roster, copied for every seed
}

func newChaos(t *testing.T) *chaos {
	t.Helper()
	w := &chaos{influxDir: t.TempDir(), store: filepath.Join(t.TempDir(), "firewatch.db")}
	seed(t, "sqlite:"+w.store)
	var err error
	if w.influx, err = influxd.Start(t.Context(), influxd.Options{Binary: influxBinary(t), Dir: w.influxDir, Auth: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.influx.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// influxPID is the process of the server now; its supervisor starts another one
// when it dies.
func (w *chaos) influxPID() (int, error) {
	raw, err := os.ReadFile(filepath.Join(w.influxDir, "influxd.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}

// world is one seed's.
type world struct {
	*chaos
	t        *testing.T
	rand     *rand.Rand
	database string
	data     string
	args     []string
	fw       *process
	broker   *ingesttest.Mosquitto // nil: the embedded one
	outage   time.Duration         // 0: as the seed decides

	killedBroker bool
	log          []string
}

func (w *chaos) run(t *testing.T, seed uint64, readings int, outage time.Duration) int {
	t.Helper()
	c := &world{
		chaos: w, t: t, rand: rand.New(rand.NewPCG(seed, 1)),
		database: fmt.Sprintf("chaos_%d", seed), outage: outage,
	}
	c.begin(seed%2 == 0)
	began := time.Now()

	// The faults go on until the devices have sent nearly everything.
	progress := new(atomic.Int64)
	enough := make(chan struct{})
	var publishing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	per := readings / chaosDevices
	fleet := make([]*chaosDevice, chaosDevices)
	for i := range fleet {
		fleet[i] = newChaosDevice(t, c, i, per, progress, enough)
		publishing.Go(func() { fleet[i].run(ctx) })
	}
	eventually(t, "the first readings", func() bool { return progress.Load() > int64(2*chaosDevices) })
	for n := 3 + c.rand.IntN(3); n > 0; n-- {
		at := progress.Load() + c.rand.Int64N(int64(max(1, readings/5)))
		eventually(t, "readings between two faults", func() bool {
			return progress.Load() >= min(at, int64(readings-4*chaosDevices))
		})
		c.fault()
	}
	if c.broker != nil {
		c.hears()
	}
	close(enough) // now the last one of each device may go: it comes after every loss
	for _, d := range fleet {
		select {
		case <-d.done:
		case <-time.After(3 * patience):
			t.Fatalf("device %s has %d of %d readings acknowledged\n%s", d.id, d.acked.Load(), per, strings.Join(c.log, "\n"))
		}
	}
	stop()
	publishing.Wait()

	// What was acknowledged is there once.
	want := per * chaosDevices
	var count, distinct, missing int
	var err error
	settled := func() bool {
		if count, distinct, err = c.stored(); err != nil {
			return false
		}
		if missing, err = c.missing(); err != nil {
			return false
		}
		return distinct+missing == want
	}
	deadline := time.Now().Add(2*patience + outage)
	for !settled() {
		if time.Now().After(deadline) {
			t.Fatalf("%d readings acknowledged, %d in InfluxDB, %d counted as missing (%v)\n%s", want, distinct, missing, err, strings.Join(c.log, "\n"))
		}
		time.Sleep(50 * time.Millisecond)
	}
	if count, distinct, err = c.stored(); err != nil { // both numbers of one moment, now that nothing is written any more
		t.Fatal(err)
	}
	if count != distinct {
		t.Errorf("%d readings are in InfluxDB twice\n%s", count-distinct, strings.Join(c.log, "\n"))
	}
	if missing != 0 && !c.killedBroker {
		t.Errorf("%d readings are lost, and mosquitto was not killed\n%s", missing, strings.Join(c.log, "\n"))
	}
	t.Logf("%d acknowledged, %d lost by mosquitto and counted; %v: %s", want, missing, time.Since(began).Round(time.Millisecond), strings.Join(c.log, "; "))
	c.fw.kill()
	return want
}

// begin starts the broker and firewatch on a disk of its own.
func (c *world) begin(external bool) {
	c.t.Helper()
	c.data = c.t.TempDir()
	// A small disk that can be filled.
	if err := syscall.Mount("tmpfs", c.data, "tmpfs", 0, "size=96m"); err == nil {
		c.t.Cleanup(func() {
			if c.fw != nil {
				c.fw.kill()
			}
			if err := syscall.Unmount(c.data, 0); err != nil {
				c.t.Error(err)
			}
		})
	} else {
		c.say("no small disk can be mounted here: %v", err)
	}
	copyFile(c.t, c.store, filepath.Join(c.data, "firewatch.db"))
	c.args = []string{
		"--roles", "ingest,api", "--data", c.data, "--log-level", "error", "--mqtt-device-rate", "0", // all at once
		"--influx-url", c.influx.URL(), "--influx-token", c.influx.Token(), "--influx-database", c.database,
	}
	if external {
		c.broker = ingesttest.StartMosquitto(c.t)
		c.args = append(c.args, "--mqtt-broker", c.broker.URL())
	}
	first := append([]string{"--http", "127.0.0.1:0"}, c.args...)
	if !external {
		first = append(first, "--mqtt", "127.0.0.1:0")
	}
	c.fw = spawn(c.t, first...)
	c.args = append(c.args, "--http", strings.TrimPrefix(c.fw.HTTP, "http://"))
	if external {
		// Before its first connection there is no session to keep anything.
		eventually(c.t, "the session at mosquitto", func() bool {
			res, err := http.Get(c.fw.HTTP + "/readyz")
			return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
		})
	} else {
		c.args = append(c.args, "--mqtt", c.fw.MQTT)
	}
}

func (c *world) say(format string, args ...any) { c.log = append(c.log, fmt.Sprintf(format, args...)) }

func (c *world) address() string {
	if c.broker != nil {
		return c.broker.Addr
	}
	return c.fw.MQTT
}

// stored is how many readings InfluxDB has, and how many different ones.
func (c *world) stored() (count, distinct int, err error) {
	body, err := c.query(`SELECT count("seq") FROM "position" GROUP BY "device"; SELECT count(distinct("seq")) FROM "position" GROUP BY "device"`)
	if err != nil {
		return 0, 0, err
	}
	var answer struct {
		Results []struct {
			Error  string
			Series []struct{ Values [][]json.Number }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, 0, err
	}
	if len(answer.Results) != 2 {
		return 0, 0, fmt.Errorf("InfluxDB answers %s", body)
	}
	for i, sum := range []*int{&count, &distinct} {
		if e := answer.Results[i].Error; e != "" {
			return 0, 0, errors.New(e)
		}
		for _, s := range answer.Results[i].Series {
			for _, v := range s.Values {
				n, err := v[1].Int64()
				if err != nil {
					return 0, 0, err
				}
				*sum += int(n)
			}
		}
	}
	return count, distinct, nil
}

// missing is what firewatch says is missing, by the gaps in seq.
func (c *world) missing() (int, error) {
	body, err := get(c.fw.HTTP+"/metrics", "")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if v, ok := strings.CutPrefix(line, "firewatch_fleet_missing_readings "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return int(n), err
		}
	}
	return 0, errors.New("firewatch_fleet_missing_readings is not told")
}

func get(url, authorization string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(res.Body)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// chaosDevice is a tracker that keeps each reading until it is acknowledged.
type chaosDevice struct {
	id       contract.DeviceID
	client   *mqttclient.Client
	readings int
	progress *atomic.Int64
	enough   <-chan struct{}
	room     chan struct{}
	acked    atomic.Int64
	done     chan struct{}
}

func newChaosDevice(t *testing.T, c *world, i, readings int, progress *atomic.Int64, enough <-chan struct{}) *chaosDevice {
	t.Helper()
	d := &chaosDevice{
		id: contract.DeviceID(fmt.Sprintf("bd-t-%05d", i+1)), readings: readings, progress: progress, enough: enough,
		room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	var err error
	d.client, err = mqttclient.New(mqttclient.Options{
		MQTT: c.address(), ClientID: string(d.id), Username: string(d.id), Password: secretOf, Window: 32, BackoffMax: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *chaosDevice) run(ctx context.Context) {
	var connection sync.WaitGroup
	connection.Go(func() { d.client.Run(ctx) })
	defer connection.Wait()
	start := time.Now().Add(-time.Duration(d.readings) * time.Second)
	for seq := range d.readings {
		if seq == d.readings-1 {
			select {
			case <-d.enough:
			case <-ctx.Done():
				return
			}
			// Whatever the broker lost of us lies before this one.
			for d.client.Outstanding() > 0 {
				if !d.wait(ctx) {
					return
				}
			}
		}
		payload := fmt.Appendf(nil, `{"t":%d,"seq":%d,"lat":39.35,"lon":114.7,"acc_m":6.5,"battery_pct":81}`,
			start.Add(time.Duration(seq)*time.Second).UnixMilli(), seq)
		for !d.client.Publish(contract.Uplink(contract.Tracker, contract.Position, d.id), payload, d.took) {
			if !d.wait(ctx) {
				return
			}
		}
	}
	<-ctx.Done()
}

func (d *chaosDevice) wait(ctx context.Context) bool {
	select {
	case <-d.room:
		return true
	case <-ctx.Done():
		return false
	}
}

func (d *chaosDevice) took() {
	d.progress.Add(1)
	if int(d.acked.Add(1)) == d.readings {
		close(d.done)
	}
	select {
	case d.room <- struct{}{}:
	default:
	}
}
