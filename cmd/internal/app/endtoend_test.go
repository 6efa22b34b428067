package app

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"firewatch/ingest/ingesttest"
)

// The main job, all real: mosquitto_pub → broker → journal → InfluxDB → alert →
// order → 128 deliveries → answers over MQTT and HTTP → complete.
func TestFromATrackerToATeam(t *testing.T) {
	t.Run("embedded broker", func(t *testing.T) {
		data := t.TempDir()
		set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
		fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
		mainJob(t, fw, fw.MQTT, true, sensorsOf(set, "130630")[0].ID)
	})
	t.Run("mosquitto", func(t *testing.T) {
		broker := ingesttest.StartMosquitto(t)
		data := t.TempDir()
		set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
		fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt-broker", broker.URL())
		eventually(t, "the subscription at mosquitto", func() bool { return isReady(t, fw.HTTP) })
		mainJob(t, fw, broker.Addr, false, sensorsOf(set, "130630")[0].ID)
	})
}

func isReady(tb testing.TB, url string) bool {
	tb.Helper()
	res, err := http.Get(url + "/readyz")
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func mainJob[ID ~string](t *testing.T, fw *running, mqtt string, authenticated bool, sensor ID) { //nolint:thelper // the body of tests: its lines matter
	account := func(name string) string {
		if !authenticated {
			return ""
		}
		return name
	}
	city := login1(t, fw.HTTP, "city", testPassword)
	now := time.Now()

	// One reading is stored, with both times.
	mosquittoPub(t, mqtt, account("bd-t-00001"), "fw/v1/trackers/bd-t-00001/positions", reading(now, 1, `"lat":39.35,"lon":114.7,"battery_pct":80`))
	eventually(t, "the tracker's reading in InfluxDB", func() bool {
		return len(history(t, city, "bd-t-00001", "position", now.Add(-time.Minute), now.Add(time.Minute))) == 1
	})

	// A fire is smelled.
	for i := range 4 {
		mosquittoPub(t, mqtt, account(string(sensor)), "fw/v1/sensors/"+string(sensor)+"/readings",
			reading(now.Add(time.Duration(i-4)*30*time.Second), i+1, smoke))
	}
	var alert alertView
	eventually(t, "the alert", func() bool {
		for _, a := range items[alertView](t, city, "/alerts?state=firing") {
			if a.Device == string(sensor) && a.Rule == "sensor_fire" {
				alert = a
			}
		}
		return alert.ID != ""
	})
	if len(alert.Evidence) == 0 || alert.Summary == "" {
		t.Errorf("the alert has no evidence or no words: %+v", alert)
	}
	city.must(t, http.StatusCreated, "POST", "/alerts/"+alert.ID+"/acks", map[string]string{"note": "看到"}, nil)

	// The office orders all 128 teams.
	var order orderView
	city.must(t, http.StatusCreated, "POST", "/orders", map[string]any{
		"kind": "standby", "level": "orange", "text": "立即待命", "alert": alert.ID,
		"targets": map[string]any{"kinds": []string{"professional", "township"}},
	}, &order, "Idempotency-Key", "main-job")
	if order.Tally.Total != 128 {
		t.Fatalf("the order goes to %d teams, want 128", order.Tally.Total)
	}
	get := func() (o orderView) {
		city.must(t, http.StatusOK, "GET", "/orders/"+order.ID, nil, &o)
		return o
	}
	eventually(t, "the order to be sent to all", func() bool { return get().Tally.Sent == 128 })

	// Two teams answer on their page, sixty over MQTT, the office speaks for the rest.
	for _, team := range []string{"team-a", "team-b"} {
		page := login1(t, fw.HTTP, team, testPassword)
		open := items[orderView](t, page, "/orders?status=open")
		if len(open) != 1 || open[0].ID != order.ID {
			t.Fatalf("%s sees %+v", team, open)
		}
		for _, answer := range []string{"delivered", "read", "accepted"} {
			page.must(t, http.StatusOK, "POST", "/orders/"+order.ID+"/answers", map[string]string{"answer": answer, "by": "队长"}, nil)
		}
	}
	for i, d := range get().Deliveries {
		switch {
		case d.State == "answered":
		case i < 62:
			mosquittoPub(t, mqtt, account("team:"+d.Team), "fw/v1/teams/"+d.Team+"/answers",
				fmt.Sprintf(`{"t":%d,"order":%q,"answer":"standby"}`, time.Now().UnixMilli(), order.ID))
		default:
			city.must(t, http.StatusOK, "POST", "/orders/"+order.ID+"/answers",
				map[string]string{"team": d.Team, "answer": "rejected", "reason": "正在扑救另一处火情"}, nil)
		}
	}
	eventually(t, "the order to be complete", func() bool { return get().Status == "complete" })
	if got := get(); got.Tally.Answered != 128 {
		t.Errorf("complete with %d answers", got.Tally.Answered)
	}
}

func TestAutomaticOrderGoesToTheRightTeams(t *testing.T) {
	data := t.TempDir()
	set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	rules := writeDemoRules(t)
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--rules", rules)
	city := login1(t, fw.HTTP, "city", testPassword)
	sensor := sensorsOf(set, "130624")[3]
	publishFire(t, fw.MQTT, string(sensor.ID), time.Now())
	var order orderView
	eventually(t, "the automatic order", func() bool {
		for _, o := range items[orderView](t, city, "/orders") {
			city.must(t, http.StatusOK, "GET", "/orders/"+o.ID, nil, &order)
		}
		return order.ID != ""
	})
	if order.Issuer != "rule:sensor_fire" {
		t.Errorf("issuer %q", order.Issuer)
	}
	own, professional := false, false
	for _, d := range order.Deliveries {
		own = own || d.Team == "T"+sensor.Area
		professional = professional || d.TeamKind == "professional"
	}
	if !professional || !own && len(order.Shortfalls) == 0 {
		t.Errorf("teams %+v, shortfalls %v; want the township's own team or the reason why not, and the county's", order.Deliveries, order.Shortfalls)
	}

	// Told twice, it is still one alert and one order.
	publishFire(t, fw.MQTT, string(sensor.ID), time.Now())
	fw.stop(t)
	fw = up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--rules", rules)
	city = login1(t, fw.HTTP, "city", testPassword)
	publishFire(t, fw.MQTT, string(sensor.ID), time.Now())
	eventually(t, "all of it in InfluxDB", func() bool {
		return len(history(t, city, string(sensor.ID), "environment", time.Now().Add(-time.Hour), time.Now().Add(time.Minute))) == 12
	})
	if n := len(items[orderView](t, city, "/orders")); n != 1 {
		t.Errorf("%d orders, want 1", n)
	}
	if n := len(items[alertView](t, city, "/alerts")); n != 1 {
		t.Errorf("%d alerts, want 1", n)
	}
}

func TestALateSOSNotifiesAndALateFixChangesNothing(t *testing.T) {
	data := t.TempDir()
	seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	city := login1(t, fw.HTTP, "city", testPassword)
	now := time.Now()
	fix := `"lat":39.35,"lon":114.7`
	mosquittoPub(t, fw.MQTT, "bd-t-00002", "fw/v1/trackers/bd-t-00002/sos", reading(now.Add(-2*time.Hour), 1, fix))
	var alert alertView
	find := func() bool {
		for _, a := range items[alertView](t, city, "/alerts?device=bd-t-00002") {
			alert = a
		}
		return alert.ID != ""
	}
	eventually(t, "the alert of the late SOS", find)
	if alert.Rule != "sos" || alert.State != "firing" || alert.LateS < 7190 || alert.LateS > 7300 || alert.Severity != "red" {
		t.Errorf("alert %+v", alert)
	}
	// Ordinary fixes, late and in time, of this and of another tracker.
	for i, at := range []time.Time{now.Add(-110 * time.Minute), now.Add(-time.Hour), now} {
		for _, device := range []string{"bd-t-00002", "bd-t-00003"} {
			mosquittoPub(t, fw.MQTT, device, "fw/v1/trackers/"+device+"/positions", reading(at, i+2, fix))
		}
	}
	eventually(t, "the fixes in InfluxDB", func() bool {
		return len(history(t, city, "bd-t-00003", "position", now.Add(-3*time.Hour), now.Add(time.Minute))) == 3
	})
	// The engine follows the same journal: once a later SOS has been judged, so
	// have the fixes before it.
	mosquittoPub(t, fw.MQTT, "bd-t-00004", "fw/v1/trackers/bd-t-00004/sos", reading(now, 1, fix))
	eventually(t, "the later SOS", func() bool { return len(items[alertView](t, city, "/alerts?device=bd-t-00004")) == 1 })
	if !find() || alert.State != "firing" {
		t.Errorf("the late fix cleared the SOS: %+v", alert)
	}
	if n := len(items[alertView](t, city, "/alerts?device=bd-t-00003")); n != 0 {
		t.Errorf("an ordinary late fix raised %d alerts", n)
	}
}

func TestWithoutInfluxDBAlertsAndOrdersGoOnAndNothingIsLost(t *testing.T) {
	data := t.TempDir()
	set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--rules", writeDemoRules(t))
	city := login1(t, fw.HTTP, "city", testPassword)
	pid := childInflux(t, data)
	suspend(t, pid)
	sensor := string(sensorsOf(set, "130630")[1].ID)
	publishFire(t, fw.MQTT, sensor, time.Now())
	eventually(t, "the alert and its order while InfluxDB hangs", func() bool {
		return len(items[alertView](t, city, "/alerts?device="+sensor)) == 1 && len(items[orderView](t, city, "/orders")) == 1
	})
	eventually(t, "readiness to name InfluxDB", func() bool { return !isReady(t, fw.HTTP) })
	status, _ := city.do(t, "GET", "/devices/"+sensor+"/readings", nil)
	if status != http.StatusServiceUnavailable {
		t.Errorf("history without InfluxDB: %d, want 503", status)
	}
	resume(t, pid)
	eventually(t, "the readings in InfluxDB", func() bool {
		status, _ := city.do(t, "GET", "/devices/"+sensor+"/readings", nil)
		return status == http.StatusOK &&
			len(history(t, city, sensor, "environment", time.Now().Add(-time.Hour), time.Now().Add(time.Minute))) == 4
	})
}

func TestNobodyReachesWhatIsNotTheirs(t *testing.T) {
	data := t.TempDir()
	seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	order := func(c client, status int, key string, targets map[string]any) (o orderView) {
		t.Helper()
		c.must(t, status, "POST", "/orders", map[string]any{
			"kind": "standby", "level": "orange", "text": "待命", "targets": targets,
		}, nil, "Idempotency-Key", key)
		for _, x := range items[orderView](t, c, "/orders") {
			o = x
		}
		return o
	}
	laiyuan, fuping := login1(t, fw.HTTP, "laiyuan", testPassword), login1(t, fw.HTTP, "fuping", testPassword)
	teamA, teamB := login1(t, fw.HTTP, "team-a", testPassword), login1(t, fw.HTTP, "team-b", testPassword)

	// An office of one county cannot order another's teams, by team or by area.
	order(fuping, http.StatusForbidden, "k1", map[string]any{"teams": []string{"T130630101"}})
	order(fuping, http.StatusForbidden, "k2", map[string]any{"areas": []string{"130630"}})
	if n := len(items[orderView](t, login1(t, fw.HTTP, "city", testPassword), "/orders")); n != 0 {
		t.Fatalf("%d orders were given", n)
	}
	own := order(laiyuan, http.StatusCreated, "k3", map[string]any{"teams": []string{"T130630101"}})

	// A team sees its own order, and not another's; nor does another county.
	teamA.must(t, http.StatusOK, "GET", "/orders/"+own.ID, nil, nil)
	for _, c := range []client{teamB, fuping} {
		c.must(t, http.StatusNotFound, "GET", "/orders/"+own.ID, nil, nil)
		if n := len(items[orderView](t, c, "/orders")); n != 0 {
			t.Errorf("%d foreign orders are listed", n)
		}
		c.must(t, http.StatusNotFound, "POST", "/orders/"+own.ID+"/answers", map[string]string{"answer": "accepted", "team": "T130630101"}, nil)
	}
	client{url: fw.HTTP}.must(t, http.StatusUnauthorized, "GET", "/orders/"+own.ID, nil, nil)

	// A device cannot publish as another, nor as a team; a team not as another.
	for username, topic := range map[string]string{
		"bd-t-00001":      "fw/v1/trackers/bd-t-00002/positions",
		"bd-t-00003":      "fw/v1/teams/T130630101/answers",
		"team:T130624101": "fw/v1/teams/T130630101/answers",
	} {
		// Whether the client is told differs between the versions of MQTT.
		_ = tryMosquittoPub(fw.MQTT, username, topic, fmt.Sprintf(`{"t":%d,"order":%q,"answer":"accepted"}`, time.Now().UnixMilli(), own.ID))
	}
	// What comes later through the same journal shows that the earlier had its time.
	mosquittoPub(t, fw.MQTT, "team:T130630101", "fw/v1/teams/T130630101/answers",
		fmt.Sprintf(`{"t":%d,"order":%q,"answer":"read"}`, time.Now().UnixMilli(), own.ID))
	var got orderView
	eventually(t, "the team's own receipt", func() bool {
		laiyuan.must(t, http.StatusOK, "GET", "/orders/"+own.ID, nil, &got)
		return got.Tally.Read == 1
	})
	if got.Tally.Answered != 0 {
		t.Error("somebody answered for the team")
	}
	if n := len(history(t, login1(t, fw.HTTP, "city", testPassword), "bd-t-00002", "position", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))); n != 0 {
		t.Error("somebody published as another device")
	}
}
