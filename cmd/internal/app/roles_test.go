package app

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts/alertstest/pgtest"
	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/ingesttest"
)

// The three roles apart, as on three machines: mosquitto, InfluxDB and
// PostgreSQL of their own, and the same main job.
func TestThreeRolesApartDoTheSameJob(t *testing.T) {
	broker := ingesttest.StartMosquitto(t)
	server, err := influxd.Start(t.Context(), influxd.Options{Binary: influxBinary(t), Dir: t.TempDir(), Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	store := pgtest.Start(t).NewDatabase(t)
	set := seed(t, store)
	common := func(role string) []string {
		return []string{
			"--roles", role, "--data", filepath.Join(t.TempDir(), role), "--http", "127.0.0.1:0",
			"--mqtt-broker", broker.URL(), "--influx-url", server.URL(), "--influx-token", server.Token(), "--store", store,
		}
	}
	tryUp(t, common("ingest")...)
	tryUp(t, common("alerts")...)
	web := up(t, common("api")...)

	// The roles meet in the store: the api alone sees what the others did.
	city := login1(t, web.HTTP, "city", testPassword)
	sensor := string(sensorsOf(set, "130630")[0].ID)
	probe := 0
	eventually(t, "both sessions at mosquitto", func() bool {
		probe++
		mosquittoPub(t, broker.Addr, "", "fw/v1/trackers/bd-t-00009/sos", reading(time.Now(), probe, `"lat":39.35,"lon":114.7`))
		return len(items[alertView](t, city, "/alerts?device=bd-t-00009")) == 1 &&
			len(history(t, city, "bd-t-00009", "sos", time.Now().Add(-time.Hour), time.Now().Add(time.Minute))) > 0
	})
	mainJob(t, web, broker.Addr, false, sensor)
}

func TestARoleThatCannotStartEndsTheProcessWithItsName(t *testing.T) {
	data := t.TempDir()
	first := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	for name, args := range map[string][]string{
		"data":    {"--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"},
		"http":    {"--data", t.TempDir(), "--http", first.HTTP[len("http://"):], "--mqtt", "127.0.0.1:0"},
		"mqtt":    {"--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", first.MQTT},
		"influxd": {"--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--influx-binary", "nowhere/influxd"},
		"rules":   {"--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--rules", "nowhere.yaml"},
	} {
		r := tryUp(t, args...)
		<-r.done
		if r.code != exitError {
			t.Errorf("%s: exit code %d", name, r.code)
		}
		if !strings.Contains(r.out.String(), name) {
			t.Errorf("%s: the error does not name it: %s", name, r.out)
		}
	}
	if res, err := http.Get(first.HTTP + "/healthz"); err != nil || res.Body.Close() != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the first one was disturbed: %v", err)
	}
}
