package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts/sqlstore"
	"firewatch/cmd/internal/mqttclient"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
)

// floodDevices is how many devices are connected beside the one that floods;
// default 1,000. As many as a machine's open files allow may be set.
const floodDevices = "FLOOD_DEVICES"

// With a whole fleet connected one device floods: it is slowed, and that is
// shown, its SOS passes, and every other device is answered meanwhile. What it
// leaves on disk is bounded.
func TestAFloodAmongAFleetIsSlowedAndShown(t *testing.T) {
	n := fromEnv(t, floodDevices, 1000)
	data := t.TempDir()
	url := "sqlite:" + filepath.Join(data, "firewatch.db")
	set := seed(t, url)
	for i := len(set.Devices); i < n+1; i++ {
		d := set.Devices[0]
		d.ID = contract.DeviceID(fmt.Sprintf("fleet-%05d", i))
		set.Devices = append(set.Devices, d)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: url, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	hash := roster.HashSecret(secretOf)
	for i := range set.Devices {
		set.Devices[i].Kind, set.Devices[i].SecretHash = contract.Tracker, hash
	}
	if err := store.ReplaceRoster(t.Context(), set, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	fw := spawn(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	city := login1(t, fw.HTTP, "city", testPassword)

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	var connected, answered atomic.Int64
	dials := make(chan struct{}, 64)
	clients := make([]*mqttclient.Client, n+1) // the first one floods
	for i := range clients {
		o := mqttclient.Options{
			MQTT: fw.MQTT, ClientID: "c", Username: string(set.Devices[i].ID), Password: secretOf, KeepAlive: 5 * time.Minute,
			Dials: dials, OnConnect: func(bool) { connected.Add(1) },
		}
		if i == 0 {
			o.Window = 20_000 // it does not wait for anybody
		}
		if clients[i], err = mqttclient.New(o); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { clients[i].Run(ctx) })
	}
	eventually(t, "the whole fleet", func() bool { return connected.Load() == int64(n+1) })

	flooder := set.Devices[0].ID
	garbage := bytes.Repeat([]byte("garbage "), 64)
	running.Go(func() {
		for ctx.Err() == nil {
			if !clients[0].Publish(contract.Uplink(contract.Tracker, contract.Position, flooder), garbage, nil) {
				time.Sleep(time.Millisecond) // its window is full: it comes again at once
			}
		}
	})
	var device struct {
		Quarantine *struct{ Total int }
		Health     *struct{ Flood string }
	}
	eventually(t, "the flood shown as slowed", func() bool {
		city.must(t, http.StatusOK, "GET", "/devices/"+string(flooder), nil, &device)
		return device.Health != nil && device.Health.Flood == "slowed"
	})
	now := time.Now()
	sos := reading(now, 1, `"lat":39.35,"lon":114.7`)
	mosquittoPub(t, fw.MQTT, string(flooder), contract.Uplink(contract.Tracker, contract.SOS, flooder), sos)
	for i, c := range clients[1:] {
		d := set.Devices[i+1].ID
		if !c.Publish(contract.Uplink(contract.Tracker, contract.Position, d), []byte(sos), func() { answered.Add(1) }) {
			t.Fatalf("%s has no room", d)
		}
	}
	eventually(t, "an answer to every other device", func() bool { return answered.Load() == int64(n) })
	t.Logf("%d devices were answered within %v of a flood", n, time.Since(now).Round(time.Millisecond))
	eventually(t, "the flooder's SOS", func() bool {
		return len(items[alertView](t, city, "/alerts?device="+string(flooder))) == 1
	})
	eventually(t, "the count of its garbage", func() bool {
		city.must(t, http.StatusOK, "GET", "/devices/"+string(flooder), nil, &device)
		return device.Quarantine != nil && device.Quarantine.Total >= 12_000
	})
	if size := folderBytes(t, filepath.Join(data, "quarantine")); size > 1<<20 {
		t.Errorf("the flood left %d bytes in quarantine", size)
	}
}

// folderBytes is the size of the files in a folder.
func folderBytes(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
