//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"text/template"
	"time"

	"firewatch/ingest/influx/influxd"
)

// A side is one of those that are compared.
type side struct {
	name      string
	label     string
	mosquitto bool   // else the broker in firewatch
	telegraf  string // its flush interval; empty: firewatch
	roles     string // of firewatch
	judges    bool   // takes part in judge only, and has no broker
}

var sides = []side{
	{name: "telegraf", label: "mosquitto + Telegraf", mosquitto: true, telegraf: "1s"},
	{name: "telegraf-100ms", label: "mosquitto + Telegraf, flush 100 ms", mosquitto: true, telegraf: "100ms"},
	{name: "paho", label: "mosquitto + firewatch", mosquitto: true, roles: "ingest"},
	{name: "embedded", label: "firewatch", roles: "ingest"},
	{name: "all", label: "firewatch, all three roles", roles: "ingest,alerts,api"},
	{name: engineSide, label: "firewatch's engine", judges: true},
	{name: prometheusSide, label: "Prometheus", judges: true},
}

// The sides of judge.
const (
	engineSide     = "engine"
	prometheusSide = "prometheus"
)

func sideNames() (names []string) {
	for _, s := range sides {
		names = append(names, s.name)
	}
	return names
}

// A world is everything of one run: an InfluxDB, a broker and a consumer of its
// own, in a folder of its own.
type world struct {
	settings
	side side
	dir  string

	server   *influxd.Server
	db       *influxDB
	addr     string // of the broker
	secret   string // of every device; empty: the broker asks for none
	broker   *process
	consumer *process // the broker itself when that is firewatch
	loads    *loads
	before   float64 // CPU of processes that were killed
	sensors  int     // beside the devices, for fires
}

// session is the client id of the consumer at mosquitto, and secretOf the
// credential of every device at firewatch.
const (
	session  = "bench"
	secretOf = "secret-of-the-bench"
)

// newWorld starts InfluxDB and mosquitto, where a session waits for the consumer, and
// gives firewatch its roster. extra devices are those of probes.
func newWorld(ctx context.Context, s settings, sd side, devices int) (w *world, err error) {
	return newWorldWith(ctx, s, sd, devices, 0)
}

// newWorldWith has sensors beside the devices.
func newWorldWith(ctx context.Context, s settings, sd side, devices, sensors int) (w *world, err error) {
	w = &world{settings: s, side: sd, loads: &loads{}, sensors: sensors}
	if w.dir, err = os.MkdirTemp(s.dir, sd.name+"-"); err != nil {
		return w, err
	}
	if w.dir, err = filepath.Abs(w.dir); err != nil {
		return w, err
	}
	w.server, err = influxd.Start(ctx, influxd.Options{Binary: s.influxd, Dir: filepath.Join(w.dir, "influxdb")})
	if err != nil {
		return w, err
	}
	w.db = newInfluxDB(w.server.URL())
	if err := w.db.create(ctx); err != nil {
		return w, err
	}
	if w.addr, err = freePort(ctx); err != nil {
		return w, err
	}
	if sd.telegraf == "" {
		if err := w.seed(ctx, devices); err != nil {
			return w, err
		}
	}
	if !sd.mosquitto {
		w.secret = secretOf
		return w, nil
	}
	if err := w.startMosquitto(ctx); err != nil {
		return w, err
	}
	return w, leaveSession(ctx, w.addr, session, filter)
}

// The area of every device.
const areas = `{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"code":"130600","name":"保定市","level":"city","parent":"","lat":38.9,"lon":115.4},"geometry":null},
{"type":"Feature","properties":{"code":"130624","name":"阜平县","level":"county","parent":"130600","lat":38.85,"lon":114.2},"geometry":null},
{"type":"Feature","properties":{"code":"130624100","name":"阜平镇","level":"township","parent":"130624","lat":38.85,"lon":114.2},"geometry":null}
]}`

// seed gives firewatch the roster that it knows the devices by, as an office would.
func (w *world) seed(ctx context.Context, devices int) error {
	folder := filepath.Join(w.dir, "roster")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	var list bytes.Buffer
	list.WriteString("id,kind,area,expect_s,secret,lat,lon\n")
	for i := range devices {
		fmt.Fprintf(&list, "%s,tracker,130624100,300,%s,,\n", deviceID(i), secretOf)
	}
	for i := range w.sensors {
		lat, lon := sensorSite(i)
		fmt.Fprintf(&list, "%s,sensor,130624100,300,%s,%.5f,%.5f\n", sensorID(i), secretOf, lat, lon)
	}
	for name, text := range map[string]string{"areas.geojson": areas, "teams.csv": "id,name,kind,area\n", "devices.csv": list.String()} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	p, err := startProcess(w.dir, "roster", nil, nil, w.command("roster", "import", "--from", folder, "--data", filepath.Join(w.dir, "firewatch"))...)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop(syscall.SIGKILL)
		return ctx.Err()
	}
	if !p.cmd.ProcessState.Success() {
		return p.gone()
	}
	return nil
}

// command is a command line of firewatch.
func (w *world) command(words ...string) []string { return slices.Concat(w.firewatch, words) }

func (w *world) startMosquitto(ctx context.Context) error {
	program, err := mosquittoProgram(w.mosquitto)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(w.addr)
	if err != nil {
		return err
	}
	conf, err := w.render("mosquitto.conf", map[string]string{"Host": host, "Port": port, "Dir": w.dir})
	if err != nil {
		return err
	}
	if w.broker, err = startProcess(w.dir, "mosquitto", nil, nil, program, "-c", conf); err != nil {
		return err
	}
	return w.awaitBroker(ctx)
}

func mosquittoProgram(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("mosquitto is missing: apt-get install mosquitto")
}

// render fills in a configuration file and returns where it is.
func (w *world) render(name string, values map[string]string) (string, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFiles(filepath.Join(w.configs, name))
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return "", err
	}
	path := filepath.Join(w.dir, name)
	return path, os.WriteFile(path, b.Bytes(), 0o600) //nolint:gosec // in our own folder
}

func (w *world) awaitBroker(ctx context.Context) error {
	return await(ctx, w.broker, "the broker", func() bool {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", w.addr)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// startConsumer starts Telegraf or firewatch. It does not wait: awaitConsumer does.
func (w *world) startConsumer() (err error) {
	if w.side.telegraf != "" {
		conf, err := w.render("telegraf.conf", map[string]string{
			"Broker": w.addr, "Filter": filter, "ClientID": session, "Influx": w.server.URL(), "Database": database, "Flush": w.side.telegraf,
		})
		if err != nil {
			return err
		}
		w.consumer, err = startProcess(w.dir, "telegraf", nil, nil, w.telegraf, "--config", conf)
		return err
	}
	argv := w.command("up", "--data", filepath.Join(w.dir, "firewatch"), "--roles", w.side.roles,
		"--influx-url", w.server.URL(), "--influx-database", database, "--http", "127.0.0.1:0", "--log-level", "warn")
	if w.side.mosquitto {
		argv = append(argv, "--mqtt-broker", "tcp://"+w.addr, "--mqtt-client-id", session)
	} else {
		argv = append(argv, "--mqtt", w.addr)
	}
	if w.consumer, err = startProcess(w.dir, "firewatch", nil, nil, argv...); err == nil && !w.side.mosquitto {
		w.broker = w.consumer
	}
	return err
}

// awaitConsumer waits until the consumer is at the broker.
func (w *world) awaitConsumer(ctx context.Context) error {
	if !w.side.mosquitto {
		return w.awaitBroker(ctx)
	}
	return await(ctx, w.consumer, "the consumer at the broker", func() bool {
		raw, err := os.ReadFile(w.broker.log) //nolint:gosec // in our own folder
		// The first time it was leaveSession.
		return err == nil && bytes.Count(raw, []byte(" as "+session+" ")) >= 2
	})
}

// restartBroker kills the broker and starts it again.
func (w *world) restartBroker(ctx context.Context) error {
	w.before += w.broker.cpu()
	w.broker.stop(syscall.SIGKILL)
	if w.side.mosquitto {
		return w.startMosquitto(ctx)
	}
	if err := w.startConsumer(); err != nil {
		return err
	}
	return w.awaitBroker(ctx)
}

// alive is the error of a process that has ended.
func (w *world) alive() error {
	return errors.Join(w.broker.gone(), w.consumer.gone())
}

// peak is the most memory of the broker and the consumer together, in MiB.
func (w *world) peak() float64 {
	if w.broker == w.consumer {
		return w.broker.peak()
	}
	return w.broker.peak() + w.consumer.peak()
}

// used is the processors' time so far, in seconds.
type used struct {
	at                                  time.Time
	broker, consumer, influx, publisher float64
	self, work, stolen                  float64
}

func (w *world) used() used {
	u := used{at: time.Now(), influx: cpuOf(w.server.PID()), publisher: w.loads.cpu(), self: cpuOf(os.Getpid())}
	if w.broker != nil {
		u.broker = w.broker.cpu() + w.before
	}
	if w.consumer != nil && w.consumer != w.broker {
		u.consumer = w.consumer.cpu()
	}
	u.work, u.stolen = busy()
	return u
}

// since is what was used since then.
func (u used) since(b used) used {
	return used{
		at: u.at, broker: u.broker - b.broker, consumer: u.consumer - b.consumer, influx: u.influx - b.influx,
		publisher: u.publisher - b.publisher, self: u.self - b.self, work: u.work - b.work, stolen: u.stolen - b.stolen,
	}
}

// others is how much of the machine processes outside the run have used.
func (u used) others() float64 {
	return u.work + u.stolen - u.broker - u.consumer - u.influx - u.publisher - u.self
}

// close ends everything, also after newWorld has failed.
func (w *world) close() {
	w.loads.stop()
	if w.consumer != nil {
		w.consumer.stop(syscall.SIGTERM)
	}
	if w.broker != nil && w.broker != w.consumer {
		w.broker.stop(syscall.SIGTERM)
	}
	if w.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = w.server.Stop(ctx) // its folder goes anyway
	}
	if !w.keep {
		_ = os.RemoveAll(w.dir) //nolint:gosec // our own folder
	}
}
