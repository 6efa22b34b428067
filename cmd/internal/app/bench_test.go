package app

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/cmd/internal/simulate"
)

// BenchmarkReadingToTeamPage measures from the moment a sensor hands its
// reading to MQTT to the moment the page of a team has the order that it caused
// (by the event stream, then GET /orders), with 200 readings a second beside it.
//
//	go test -run '^$' -bench ReadingToTeamPage -benchtime 100x ./cmd/internal/app
func BenchmarkReadingToTeamPage(b *testing.B) {
	data := b.TempDir()
	store := "sqlite:" + filepath.Join(data, "firewatch.db")
	set := seed(b, store)
	if err := saveUser(b.Context(), openTestStore(b, data), alerts.User{Username: "bench", Role: alerts.RoleTeam, Team: "P130630"}, testPassword); err != nil {
		b.Fatal(err)
	}
	fw := spawn(b, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--rules", writeDemoRules(b))

	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	background := make(chan error, 1)
	go func() {
		_, err := simulate.Run(ctx, simulate.Options{MQTT: fw.MQTT, Fleet: members(set, 400), Rate: 200, Seed: 1, Log: zap.NewNop()})
		background <- err
	}()

	team := login1(b, fw.HTTP, "bench", testPassword)
	changed := listen(ctx, b, team)
	var sensors []string
	for _, d := range sensorsOf(set, "130630") {
		sensors = append(sensors, string(d.ID))
	}
	seen := map[string]bool{}
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		if i == len(sensors) {
			b.Fatalf("only %d sensors: give a smaller -benchtime", len(sensors))
		}
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + fw.MQTT).SetClientID("bench").SetUsername(sensors[i]).SetPassword(secretOf))
		if tok := c.Connect(); !tok.WaitTimeout(patience) || tok.Error() != nil {
			b.Fatal(tok.Error())
		}
		now := time.Now()
		c.Publish("fw/v1/sensors/"+sensors[i]+"/readings", 1, false, reading(now, 1, smoke))
		for found := false; !found; {
			select {
			case <-changed:
			case <-time.After(patience):
				b.Fatalf("no order after %d", i)
			}
			var page list[orderView]
			team.must(b, http.StatusOK, "GET", "/orders?limit=5", nil, &page)
			for _, o := range page.Items {
				if !seen[o.ID] {
					seen[o.ID], found = true, true
				}
			}
		}
		took = append(took, time.Since(now))
		c.Disconnect(0)
	}
	stop()
	if err := <-background; err != nil && ctx.Err() == nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Milliseconds()) }
	b.ReportMetric(at(0.5), "ms-p50")
	b.ReportMetric(at(0.99), "ms-p99")
	b.ReportMetric(at(1), "ms-max")
}

// listen opens the event stream and says when something came.
func listen(ctx context.Context, b *testing.B, c client) <-chan struct{} {
	b.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/api/v1/events", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req) //nolint:bodyclose // the goroutine below closes it
	if err != nil {
		b.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		b.Fatal(fmt.Errorf("GET /events: %s", res.Status))
	}
	changed := make(chan struct{}, 1000)
	go func() {
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "event: ") {
				changed <- struct{}{}
			}
		}
	}()
	return changed
}
