package app

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/ingest/ingesttest"
)

// A phone with OwnTracks at the embedded broker, and a weather station behind a
// ChirpStack with a broker of its own: both are devices like any other.
func TestDevicesOfAnotherMakeReport(t *testing.T) {
	data := t.TempDir()
	url := "sqlite:" + filepath.Join(data, "firewatch.db")
	set := seed(t, url)
	phone, station := set.Devices[0], sensorsOf(set, "130630")[0]
	phone.Alias, station.Alias, station.Model = "owntracks/wang/phone", "chirpstack/2cf7f1c044900001", "s2120"
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: url, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []alerts.Device{phone, station} {
		if err := store.SaveDevice(context.Background(), d, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	chirpstack := ingesttest.StartMosquitto(t)
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0",
		"--adapters", "owntracks,chirpstack", "--chirpstack-broker", chirpstack.URL())
	city := login1(t, fw.HTTP, "city", testPassword)
	eventually(t, "all parts ready", func() bool {
		res, err := http.Get(fw.HTTP + "/readyz")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})

	now := time.Now()
	mosquittoPub(t, fw.MQTT, string(phone.ID), "owntracks/wang/phone",
		fmt.Sprintf(`{"_type":"location","tid":"wp","tst":%d,"lat":39.35,"lon":114.7,"acc":12,"batt":"85","vel":18,"poi":"SOS 摔伤"}`, now.Unix()))
	// A frame of the maker's own examples: 21.4 °C, 31.4 %.
	frame, err := hex.DecodeString("01011098530000010210a87a0000af51")
	if err != nil {
		t.Fatal(err)
	}
	mosquittoPub(t, chirpstack.Addr, "", "application/5/device/2cf7f1c044900001/event/up",
		fmt.Sprintf(`{"time":%q,"deviceInfo":{"devEui":"2cf7f1c044900001"},"fCnt":7,"fPort":1,"data":%q}`,
			now.UTC().Format(time.RFC3339Nano), base64.StdEncoding.EncodeToString(frame)))

	var sos, weather []readingView
	eventually(t, "both in InfluxDB", func() bool {
		sos = history(t, city, string(phone.ID), "sos", now.Add(-time.Minute), now.Add(time.Minute))
		weather = history(t, city, string(station.ID), "environment", now.Add(-time.Minute), now.Add(time.Minute))
		return len(sos) == 1 && len(weather) == 1
	})
	if v := sos[0].Values; v["lat"] != 39.35 || v["battery_pct"] != 85 || v["speed_ms"] != 5 {
		t.Errorf("SOS %v", v)
	}
	if v := weather[0].Values; v["temp_c"] != 21.4 || v["rh_pct"] != 31.4 || weather[0].Seq == nil || *weather[0].Seq != 7 {
		t.Errorf("weather %+v", weather[0])
	}
	eventually(t, "the alert of the phone's SOS", func() bool {
		return len(items[alertView](t, city, "/alerts?device="+string(phone.ID))) == 1
	})

	// One that nobody registered is not lost without a word.
	mosquittoPub(t, chirpstack.Addr, "", "application/5/device/0000000000000001/event/up",
		fmt.Sprintf(`{"time":%q,"deviceInfo":{"devEui":"0000000000000001"},"fCnt":1,"fPort":3,"data":"AA=="}`, now.UTC().Format(time.RFC3339Nano)))
	eventually(t, "the message of an unknown device in quarantine", func() bool {
		body, err := get(fw.HTTP+"/metrics", "")
		return err == nil && strings.Contains(string(body), "\nfirewatch_intake_rejected_total 1\n")
	})
}
