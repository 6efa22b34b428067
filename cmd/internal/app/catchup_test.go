package app

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts/alertstest/pgtest"
	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/ingesttest"
)

// An alerts process is away while ingest takes a call for help and a fire, and
// its broker has kept nothing for it. They are in InfluxDB: it judges them late.
func TestWhatAlertsMissedIsJudgedFromInfluxDB(t *testing.T) {
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
	role := func(role string) []string {
		return []string{
			"--roles", role, "--data", filepath.Join(t.TempDir(), role), "--http", "127.0.0.1:0",
			"--mqtt-broker", broker.URL(), "--influx-url", server.URL(), "--influx-token", server.Token(), "--store", store,
		}
	}
	web := up(t, role("ingest,api")...)
	before := tryUp(t, role("alerts")...)
	city := login1(t, web.HTTP, "city", testPassword)
	sensor := string(sensorsOf(set, "130630")[0].ID)
	const quiet, caller = "bd-t-00009", "bd-t-00010"
	probe := 0
	stored := func(device, class string) int {
		return len(history(t, city, device, class, time.Now().Add(-time.Hour), time.Now().Add(time.Minute)))
	}
	eventually(t, "both sessions at mosquitto", func() bool {
		probe++
		mosquittoPub(t, broker.Addr, "", "fw/v1/trackers/"+quiet+"/sos", reading(time.Now(), probe, `"lat":39.35,"lon":114.7`))
		return len(items[alertView](t, city, "/alerts?device="+quiet)) == 1 && stored(quiet, "sos") > 0
	})
	before.stop(t)

	pressed := time.Now().Add(-20 * time.Minute)
	mosquittoPub(t, broker.Addr, "", "fw/v1/trackers/"+caller+"/sos", reading(pressed, 1, `"lat":39.35,"lon":114.7,"text":"腿摔伤了"`))
	for i := range 3 {
		mosquittoPub(t, broker.Addr, "", "fw/v1/sensors/"+sensor+"/readings", reading(time.Now().Add(time.Duration(i-3)*time.Second), i+1, smoke))
	}
	eventually(t, "InfluxDB to have what alerts misses", func() bool { return stored(caller, "sos") == 1 && stored(sensor, "environment") == 3 })

	tryUp(t, role("alerts")...) // with a journal and a session of its own: nothing was kept for it
	for device, want := range map[string]string{caller: "20 分钟前", sensor: "疑似起火"} {
		var as []alertView
		eventually(t, "the alert of "+device, func() bool {
			as = items[alertView](t, city, "/alerts?device="+device)
			return len(as) > 0
		})
		if len(as) != 1 || as[0].State != "firing" || !strings.Contains(as[0].Summary, want) || !strings.Contains(strings.Join(as[0].Reasons, "；"), "从历史补判") {
			t.Errorf("alerts of %s: %+v", device, as)
		}
	}
	eventually(t, "people to be told what was missed", func() bool {
		for _, a := range items[alertView](t, city, "/alerts") {
			if a.Rule == "catch_up" && a.Severity == "notice" && strings.Contains(a.Summary, "发现 2 起告警，其中 2 起仍需处置") {
				return true
			}
		}
		return false
	})
	if n := len(items[alertView](t, city, "/alerts?device="+quiet)); n != 1 {
		t.Errorf("%d alerts of a call that was judged before", n)
	}
}
