//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An experiment is done to several sides alike.
type experiment struct {
	name   string
	title  string
	about  func(s settings) string
	sides  []string
	within bool // another experiment does it too
	alone  bool // neither firewatch nor InfluxDB run as a process
	only   bool // other sides cannot do it
	table  []column
	claims []claim
	run    func(ctx context.Context, s settings, sd side) (values, error)
}

// values are the figures of one run, by the keys of the columns.
type values map[string]float64

// Keys of figures that most experiments have.
const (
	keyRate     = "rate"      // readings/s until all can be queried
	keyAccepted = "accepted"  // PUBACKs/s
	keyCPU      = "cpu"       // s per million: broker and consumer, or the consumer alone in drain
	keyBroker   = "broker"    // s per million
	keyConsumer = "consumer"  // s per million
	keyInflux   = "influx"    // s per million
	keyLoad     = "publisher" // s per million
	keyPeak     = "peak"      // MiB
	keyLost     = "lost"
	keyOthers   = "others" // processors that others used, of all
	keyP50      = "p50"    // ms until it can be queried
	keyP99      = "p99"
	keyMax      = "max"
	keyAckP50   = "ack_p50" // ms until PUBACK
	keyAckP99   = "ack_p99"
	keyLoadCPU  = "load_cpu" // % of a processor: broker and consumer
	keyDevices  = "devices"
	keyMemory   = "memory" // KiB per device
	keyIn       = "in"     // s until all were connected, calmly
	keyBack     = "back"   // s until all are back
	keyAgain    = "again"  // s until all have had a reading acknowledged
	keyTries    = "tries"  // connections that failed in the storm
	keyStorm    = "storm"  // s of CPU in the storm: broker and consumer
	keyStormers = "stormers"
	keyShare    = "share"  // % of a processor
	keyHeap     = "heap"   // KiB per device
	keyAllocs   = "allocs" // objects per reading
	keyTick     = "tick"   // ms
	keyAlerts   = "alerts"
	keySeries   = "series"
	keyStored   = "stored" // alerts that were found
)

var costs = []column{
	{keyCPU, "CPU-s per million", 1},
	{keyPeak, "peak memory, MiB", 0},
	{keyLost, "lost", 0},
	{keyBroker, "broker CPU", 1},
	{keyConsumer, "consumer CPU", 1},
	{keyInflux, "InfluxDB CPU", 1},
	{keyLoad, "publisher CPU", 1},
}

func experiments() []experiment {
	return []experiment{
		{
			name: "drain", title: "readings that wait in mosquitto",
			about: func(s settings) string {
				return fmt.Sprintf("%d readings of %d devices wait in mosquitto for the consumer's session; the clock starts with the consumer's process. CPU and memory are the consumer's.", s.n, s.deviceCount(1000))
			},
			sides: []string{"telegraf", "paho"},
			table: append([]column{{keyRate, "readings/s into InfluxDB", 0}}, costs...),
			claims: []claim{
				{"readings/s, firewatch : Telegraf", ratio("paho", keyRate), 2, false},
				{"CPU, firewatch : Telegraf", ratio("paho", keyCPU), 1. / 3, true},
				{"readings lost by firewatch", figure("paho", keyLost), 0, true},
			},
			run: drain,
		},
		{
			name: "live", title: "readings published as fast as they are taken",
			about: func(s settings) string {
				return fmt.Sprintf("%d readings from %d devices on as many connections, at most %d unacknowledged on each, until all can be queried. CPU and memory are those of broker and consumer together.", s.n, s.deviceCount(200), s.window)
			},
			sides: []string{"telegraf", "paho", "embedded", "all"},
			table: append([]column{{keyRate, "readings/s into InfluxDB", 0}, {keyAccepted, "PUBACKs/s", 0}}, costs...),
			claims: []claim{
				{"readings/s, firewatch : mosquitto + Telegraf", ratio("embedded", keyRate), 3, false},
				{"readings/s of firewatch", figure("embedded", keyRate), 48_000, false},
				{"CPU, firewatch : mosquitto + Telegraf", ratio("embedded", keyCPU), 1. / 5, true},
				{"peak memory, firewatch : mosquitto + Telegraf", ratio("embedded", keyPeak), 1, true},
				{"readings lost by firewatch", figure("embedded", keyLost), 0, true},
			},
			run: live,
		},
		{
			name: "burst", title: "a burst, until it is acknowledged",
			about: func(s settings) string {
				return fmt.Sprintf("%d readings from %d devices at once. firewatch acknowledges what is on its disk; mosquitto, which is here for comparison, what is in its memory.", s.n, s.deviceCount(200))
			},
			sides: []string{"telegraf", "embedded"},
			table: append([]column{{keyAccepted, "PUBACKs/s", 0}, {keyRate, "readings/s into InfluxDB", 0}}, costs...),
			claims: []claim{
				{"readings/s accepted by firewatch", figure("embedded", keyAccepted), 100_000, false},
				{"readings lost by firewatch", figure("embedded", keyLost), 0, true},
			},
			run: live,
		},
		{
			name: "latency", title: "from publishing to the answer of a query",
			about: func(s settings) string {
				return fmt.Sprintf("%d readings/s of %d devices for %s; a probe publishes %d readings/s more and looks for each with a query every %s.", s.rate, s.deviceCount(200), s.length(20*time.Second), probeRate, probePoll)
			},
			sides: []string{"telegraf", "telegraf-100ms", "paho", "embedded"},
			table: []column{
				{keyP50, "queryable p50, ms", 0},
				{keyP99, "p99, ms", 0},
				{keyMax, "most, ms", 0},
				{keyAckP50, "PUBACK p50, ms", 1},
				{keyAckP99, "p99, ms", 1},
				{keyLoadCPU, "CPU, % of one", 1},
				{keyLost, "lost", 0},
			},
			claims: []claim{
				{"publish → queryable of firewatch, p99 in ms", figure("embedded", keyP99), 50, true},
				{"behind mosquitto, p99 in ms", figure("paho", keyP99), 50, true},
			},
			run: latency,
		},
		{
			name: "fleet", title: "connected devices that report now and then, and all of them coming back at once",
			about: func(s settings) string {
				return fmt.Sprintf("%d devices, each with its connection and a reading every %s, for %s. Then the storm (%s): every device comes back at once with another reading.", s.fleetSize(), s.every, s.length(90*time.Second), s.storm)
			},
			sides: []string{"embedded", "telegraf"},
			table: []column{
				{keyDevices, "devices", 0},
				{keyMemory, "memory per device, KiB", 1},
				{keyLoadCPU, "CPU, % of one", 1},
				{keyAckP50, "PUBACK p50, ms", 1},
				{keyAckP99, "p99, ms", 1},
				{keyP50, "queryable p50, ms", 0},
				{keyP99, "p99, ms", 0},
				{keyIn, "calm connect, s", 1},
				{keyBack, "storm: all back, s", 1},
				{keyAgain, "all acknowledged, s", 1},
				{keyStorm, "storm CPU, s", 1},
				{keyStormers, "publishers' CPU, s", 1},
				{keyTries, "failed tries", 0},
				{keyPeak, "peak memory, MiB", 0},
				{keyLost, "lost", 0},
			},
			claims: []claim{{"readings lost by firewatch", figure("embedded", keyLost), 0, true}},
			run:    fleet,
		},
		{
			name: "storm", title: "the storm of fleet alone", within: true,
			about: func(s settings) string {
				return fmt.Sprintf("%d connected devices; the storm (%s): every device comes back at once with a reading.", s.fleetSize(), s.storm)
			},
			sides: []string{"embedded", "telegraf"},
			table: []column{
				{keyDevices, "devices", 0},
				{keyIn, "calm connect, s", 1},
				{keyBack, "storm: all back, s", 1},
				{keyAgain, "all acknowledged, s", 1},
				{keyAckP50, "back and PUBACK p50, ms", 0},
				{keyAckP99, "p99, ms", 0},
				{keyStorm, "storm CPU, s", 1},
				{keyStormers, "publishers' CPU, s", 1},
				{keyTries, "failed tries", 0},
				{keyPeak, "peak memory, MiB", 0},
				{keyLost, "lost", 0},
			},
			claims: []claim{{"readings lost by firewatch", figure("embedded", keyLost), 0, true}},
			run:    storm,
		},
		{
			name: "judge", title: "what judging costs, beside the same rules for a poll", alone: true, only: true,
			about: func(s settings) string {
				return fmt.Sprintf("%d devices, 11 trackers to 9 sensors, each with a reading every %s, and %d fires among them. The engine judges %d of them in simulated time with the shipped rules and a store of its own, after %s that fill its windows. Prometheus is told the fields that rules look at, after 35 minutes that fill its windows, for %s at real speed, and evaluates the same rules (deploy/bench/rules.yml) every 15 s. Heap is what stays after the garbage is collected, without what was there before.",
					s.deviceCount(20_000), s.every, storyFires, s.judged, s.warm, s.length(peerLength))
			},
			sides: []string{engineSide, prometheusSide},
			table: []column{
				{keyCPU, "CPU-s per million readings", 2},
				{keyShare, "CPU at that pace, % of one", 2},
				{keyHeap, "heap per device, KiB", 1},
				{keyMemory, "RSS per device, KiB", 1},
				{keyAllocs, "allocations per reading", 2},
				{keyTick, "a tick, or an evaluation, ms", 1},
				{keySeries, "series", 0},
				{keyAlerts, "alerts", 0},
				{keyLost, "fires missed", 0},
				{keyP50, "reading → alert p50, ms", 0},
				{keyP99, "p99, ms", 0},
			},
			claims: []claim{
				{"CPU-s per million readings of the engine", figure(engineSide, keyCPU), 10, true},
				{"heap per device of the engine in KiB", figure(engineSide, keyHeap), 8, true},
				{"fires missed by the engine", figure(engineSide, keyLost), 0, true},
				{"CPU, engine : Prometheus", against(engineSide, prometheusSide, keyCPU), 1. / 5, true},
				{"heap, engine : Prometheus", against(engineSide, prometheusSide, keyHeap), 1, true},
			},
			run: judge,
		},
		{
			name: "alert-latency", title: "from publishing a fire to the alert in the store", only: true,
			about: func(s settings) string {
				return fmt.Sprintf("%d readings/s of %d devices; beside them %d sensors, one after the other in %s, publish one reading of a fire each. The store is looked at every %s.", s.rate, s.deviceCount(alertDevices), s.alerts, s.length(alertLength), alertPoll)
			},
			sides: []string{"all"},
			table: []column{
				{keyStored, "alerts", 0},
				{keyP50, "stored p50, ms", 1},
				{keyP99, "p99, ms", 1},
				{keyMax, "most, ms", 1},
				{keyAckP50, "PUBACK p50, ms", 1},
				{keyAckP99, "p99, ms", 1},
				{keyLoadCPU, "CPU, % of one", 1},
				{keyLost, "lost", 0},
			},
			claims: []claim{
				{"publish → alert stored, p99 in ms", figure("all", keyP99), 100, true},
				{"fires without an alert", figure("all", keyLost), 0, true},
			},
			run: alertLatency,
		},
	}
}

func (s *settings) deviceCount(own int) int {
	if s.devices > 0 {
		return s.devices
	}
	return own
}

func (s *settings) length(own time.Duration) time.Duration {
	if s.duration > 0 {
		return s.duration
	}
	return own
}

// fleetSize is as many devices as one process can serve.
func (s *settings) fleetSize() int { return min(s.deviceCount(20_000), s.files-ownFiles) }

// million gives the figures of CPU per million of n readings.
func (v values) million(u used, n int) {
	per := 1e6 / float64(n)
	v[keyBroker], v[keyConsumer] = u.broker*per, u.consumer*per
	v[keyInflux], v[keyLoad] = u.influx*per, u.publisher*per
	v[keyCPU] = (u.broker + u.consumer) * per
}

// disturbed notes how much others used.
func (v values) disturbed(u used, begin time.Time) {
	v[keyOthers] = u.others() / u.at.Sub(begin).Seconds() / float64(processors)
}

// queueConns is how many connections fill mosquitto's queue.
const queueConns = 8

func drain(ctx context.Context, s settings, sd side) (values, error) {
	if !sd.mosquitto {
		return nil, errors.New("the broker in firewatch keeps no queue to drain")
	}
	devices := s.deviceCount(1000)
	w, err := newWorld(ctx, s, sd, devices)
	defer w.close()
	if err != nil {
		return nil, err
	}
	if w.loads, err = startLoads(w.dir, 1); err != nil {
		return nil, err
	}
	if _, err := w.loads.connect(ctx, w.addr, "", devices, min(queueConns, devices)); err != nil {
		return nil, err
	}
	queued, err := w.flood(ctx, devices, 16*s.window)
	if err != nil {
		return nil, err
	}
	w.loads.stop()
	begin := w.used()
	if err := w.startConsumer(); err != nil {
		return nil, err
	}
	v, err := w.settle(ctx, begin, queued.Acked)
	if err != nil {
		return nil, err
	}
	v[keyCPU], v[keyPeak] = v[keyConsumer], w.consumer.peak()
	return v, nil
}

// flood publishes the messages of the settings.
func (w *world) flood(ctx context.Context, devices, window int) (report, error) {
	return w.loads.do(ctx, order{Do: "flood", N: w.n, Window: min(window, 16_000), Begin: floodBegin(time.Now(), w.n/devices+1)}, nil)
}

// settle waits until the acknowledged readings can be queried and gives the figures
// of the time since begin.
func (w *world) settle(ctx context.Context, begin used, acked int) (values, error) {
	count, at, err := w.db.arrive(ctx, acked, w.idle, w.alive)
	if err != nil {
		return nil, err
	}
	u := w.used().since(begin)
	v := values{keyRate: float64(count) / at.Sub(begin.at).Seconds(), keyLost: float64(acked - count), keyPeak: w.peak()}
	v.million(u, acked)
	v.disturbed(u, begin.at)
	return v, nil
}

func live(ctx context.Context, s settings, sd side) (values, error) {
	devices := s.deviceCount(200)
	w, err := newWorld(ctx, s, sd, devices)
	defer w.close()
	if err != nil {
		return nil, err
	}
	if err := w.serve(ctx, devices, 1); err != nil {
		return nil, err
	}
	begin := w.used()
	type answer struct {
		report
		err error
	}
	flooded := make(chan answer, 1)
	go func() {
		r, err := w.flood(ctx, devices, s.window)
		flooded <- answer{r, err}
	}()
	count, at, err := w.db.arrive(ctx, s.n, s.idle, w.alive)
	if err != nil {
		return nil, err
	}
	var a answer
	select { // it has ended, unless it hangs
	case a = <-flooded:
	case <-time.After(patience):
		return nil, fmt.Errorf("%d of %d readings arrived, and the publisher still waits for PUBACKs", count, s.n)
	}
	if a.err != nil {
		return nil, a.err
	}
	u := w.used().since(begin)
	v := values{
		keyRate: float64(count) / at.Sub(begin.at).Seconds(), keyAccepted: float64(a.Acked) / a.Secs,
		keyLost: float64(a.Acked - count), keyPeak: w.peak(),
	}
	v.million(u, s.n)
	v.disturbed(u, begin.at)
	return v, nil
}

// serve starts the consumer and connects the devices, in so many processes.
func (w *world) serve(ctx context.Context, devices, publishers int) error {
	err := w.startConsumer()
	if err == nil {
		err = w.awaitConsumer(ctx)
	}
	if err == nil {
		w.loads, err = startLoads(w.dir, publishers)
	}
	if err == nil {
		_, err = w.loads.connect(ctx, w.addr, w.secret, devices, 0)
	}
	return err
}

// quantile is the q-quantile of sorted figures.
func quantile[T int32 | float64](sorted []T, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))])
}

// acknowledged gives the figures of the times until PUBACK.
func (v values) acknowledged(took []int32) {
	slices.Sort(took)
	v[keyAckP50], v[keyAckP99] = quantile(took, 0.5)/1000, quantile(took, 0.99)/1000
}
