package app

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/cmd/internal/simulate"
	contract "firewatch/firmware-contracts"
)

// members is n devices of the sample set, with the credentials of seed.
func members(set alerts.Roster, n int) []simulate.Member {
	out := make([]simulate.Member, 0, n)
	for i := range n {
		d := set.Devices[i*len(set.Devices)/n] // trackers and sensors, as they are mixed in the set
		out = append(out, simulate.Member{ID: d.ID, Kind: d.Kind, Secret: secretOf, Lat: d.Lat, Lon: d.Lon, Area: d.Area, Expect: time.Minute})
	}
	return out
}

// firewatch is killed twice while 1,000 readings a second come in. Whatever was
// acknowledged to a device is in InfluxDB, once; alerts and orders go on.
func TestKillLosesNoAcknowledgedReading(t *testing.T) {
	data := t.TempDir()
	set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	rules := writeDemoRules(t)
	fw := spawn(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--rules", rules)
	args := []string{"--data", data, "--http", strings.TrimPrefix(fw.HTTP, "http://"), "--mqtt", fw.MQTT, "--rules", rules}

	began := time.Now()
	var ledger bytes.Buffer
	devices := members(set, 500)
	type result struct {
		summary simulate.Summary
		err     error
	}
	done := make(chan result, 1)
	go func() {
		s, err := simulate.Run(t.Context(), simulate.Options{
			MQTT: fw.MQTT, Fleet: devices, Rate: 1000, Duration: 20 * time.Second, Seed: 7, Ledger: &ledger, Log: zap.NewNop(),
		})
		done <- result{s, err}
	}()

	city := login1(t, fw.HTTP, "city", testPassword)
	sensors := sensorsOf(set, "130630")
	simulated := map[contract.DeviceID]bool{}
	for _, m := range devices {
		simulated[m.ID] = true
	}
	var own []string // sensors that the simulation leaves alone
	for _, d := range sensors {
		if !simulated[d.ID] {
			own = append(own, string(d.ID))
		}
	}
	for round := range 2 {
		publishFire(t, fw.MQTT, own[round*20], time.Now())
		eventually(t, "the order of the fire", func() bool {
			for _, o := range items[orderView](t, city, "/orders") {
				if o.Issuer == "rule:sensor_fire" && len(items[orderView](t, city, "/orders")) == round+1 {
					return true
				}
			}
			return false
		})
		// The teams of the newest order answer, and the kill comes right after.
		var order orderView
		city.must(t, http.StatusOK, "GET", "/orders/"+items[orderView](t, city, "/orders")[0].ID, nil, &order)
		acknowledged := map[string]bool{}
		for _, d := range order.Deliveries {
			answer := fmt.Sprintf(`{"t":%d,"order":%q,"answer":"accepted"}`, time.Now().UnixMilli(), order.ID)
			acknowledged[d.Team] = tryMosquittoPub(fw.MQTT, "team:"+d.Team, "fw/v1/teams/"+d.Team+"/answers", answer) == nil
		}
		fw.kill()
		fw = spawn(t, args...)
		city = login1(t, fw.HTTP, "city", testPassword)
		eventually(t, "every acknowledged answer in the store", func() bool {
			city.must(t, http.StatusOK, "GET", "/orders/"+order.ID, nil, &order)
			for _, d := range order.Deliveries {
				if acknowledged[d.Team] && d.State != "answered" {
					return false
				}
			}
			return len(order.Deliveries) > 0
		})
		for _, o := range items[orderView](t, city, "/orders") {
			var full orderView
			city.must(t, http.StatusOK, "GET", "/orders/"+o.ID, nil, &full)
			if full.Tally.Total == 0 || len(full.Deliveries) != full.Tally.Total || full.Tally.Sent != full.Tally.Total {
				t.Errorf("after the kill order %s is half there: %+v", o.ID, full)
			}
		}
	}
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	want := map[string]bool{} // device,t,seq
	for line := range strings.Lines(ledger.String()) {
		want[strings.TrimSpace(line)] = true
	}
	t.Logf("%d readings acknowledged: %+v", len(want), r.summary)
	if len(want) < 5000 {
		t.Errorf("only %d readings were acknowledged: this proves little", len(want))
	}

	var missing, twice int
	eventually(t, "every acknowledged reading in InfluxDB", func() bool {
		missing, twice = 0, 0
		seen := map[string]int{}
		for _, m := range devices {
			classes := []string{"position", "status"}
			if m.Kind == contract.Sensor {
				classes = []string{"environment", "status"}
			}
			for _, class := range classes {
				for _, x := range history(t, city, string(m.ID), class, began.Add(-time.Hour), time.Now().Add(time.Hour)) {
					seen[fmt.Sprintf("%s,%d,%d", m.ID, x.Measured.UnixMilli(), *x.Seq)]++
				}
			}
		}
		for key := range want {
			if seen[key] == 0 {
				missing++
			}
		}
		for _, n := range seen {
			if n > 1 {
				twice++
			}
		}
		return missing == 0
	})
	if twice > 0 {
		t.Errorf("%d readings are in InfluxDB twice", twice)
	}
}

// 100,000 messages of garbage from one device delay nobody else's reading, and
// fill neither disk nor memory.
func TestAFloodOfGarbageDelaysNobodyElse(t *testing.T) {
	data := t.TempDir()
	seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	// Without the limit of messages, as behind a broker of somebody else's.
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--mqtt-device-rate", "0")
	city := login1(t, fw.HTTP, "city", testPassword)
	connect := func(device string) paho.Client {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + fw.MQTT).SetClientID(device).SetUsername(device).SetPassword(secretOf))
		if tok := c.Connect(); !tok.WaitTimeout(patience) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		t.Cleanup(func() { c.Disconnect(0) })
		return c
	}
	const n = 100_000
	flooder, other := connect("bd-t-00001"), connect("bd-t-00002")
	garbage := bytes.Repeat([]byte("garbage "), 64)
	var acked atomic.Int64
	flooded := make(chan error, 1)
	go func() {
		window := make(chan struct{}, 10_000)
		for range n {
			window <- struct{}{}
			tok := flooder.Publish("fw/v1/trackers/bd-t-00001/positions", 1, false, garbage)
			go func() {
				tok.Wait()
				acked.Add(1)
				<-window
			}()
		}
		for range cap(window) {
			window <- struct{}{}
		}
		flooded <- nil
	}()
	eventually(t, "the flood to rise", func() bool { return acked.Load() > 1000 })
	now := time.Now()
	tok := other.Publish("fw/v1/trackers/bd-t-00002/positions", 1, false, reading(now, 1, `"lat":39.35,"lon":114.7`))
	if !tok.WaitTimeout(patience) || tok.Error() != nil {
		t.Fatalf("the other device is not answered: %v", tok.Error())
	}
	if got := acked.Load(); got >= n {
		t.Errorf("the other device was answered only after the flood")
	}
	eventually(t, "the other device's reading", func() bool {
		return len(history(t, city, "bd-t-00002", "position", now.Add(-time.Minute), now.Add(time.Minute))) == 1
	})
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}
	// It is counted and shown with its reason.
	var device struct {
		Quarantine *struct {
			Total      int
			LastReason string `json:"last_reason"`
			Example    string
		}
	}
	eventually(t, "the count in the quarantine", func() bool {
		city.must(t, http.StatusOK, "GET", "/devices/bd-t-00001", nil, &device)
		return device.Quarantine != nil && device.Quarantine.Total >= n
	})
	if device.Quarantine.LastReason == "" || !strings.Contains(device.Quarantine.Example, "garbage") {
		t.Errorf("quarantine %+v", device.Quarantine)
	}
	bytesOnDisk := folderBytes(t, filepath.Join(data, "journal")) + folderBytes(t, filepath.Join(data, "quarantine"))
	if bytesOnDisk > 2<<20 {
		t.Errorf("the flood of %d bytes left %d bytes on disk", n*len(garbage), bytesOnDisk)
	}
}
