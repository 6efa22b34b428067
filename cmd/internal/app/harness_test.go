package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/api/password"
	"firewatch/cmd/internal/roster"
	"firewatch/cmd/internal/sample"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest/influx/influxdtest"
)

// patience bounds every wait for something that must happen; a pass never waits
// for it.
const patience = 60 * time.Second

// secretOf is the credential of every device and team in these tests.
const secretOf = "secret-of-the-tests"

const testPassword = "correct horse battery"

// testHash is made once: it is dear on purpose, most of all under the race
// detector.
var testHash = sync.OnceValue(func() string {
	hash, err := password.Hash(testPassword)
	if err != nil {
		panic(err)
	}
	return hash
})

// influxBinary is the real server, which make builds.
func influxBinary(tb testing.TB) string {
	tb.Helper()
	path, err := influxdtest.Binary()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// seed fills the store of a data folder, or at a URL, with the sample set (all
// credentials alike), an administrator, and the offices of the city and of two
// counties. Nothing simulated runs.
func seed(tb testing.TB, storeURL string) alerts.Roster {
	tb.Helper()
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, sqlstore.Options{URL: storeURL, Log: zap.NewNop()})
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		tb.Fatal(err)
	}
	set := sample.Roster()
	hash := roster.HashSecret(secretOf)
	for i := range set.Devices {
		set.Devices[i].SecretHash = hash
		set.Devices[i].Expect = 0
	}
	for i := range set.Teams {
		set.Teams[i].SecretHash = hash
	}
	if err := store.ReplaceRoster(ctx, set, time.Now().UTC()); err != nil {
		tb.Fatal(err)
	}
	for _, u := range []alerts.User{
		{Username: "admin", Role: alerts.RoleAdmin},
		{Username: "city", Role: alerts.RoleOffice, Area: sample.City},
		{Username: "laiyuan", Role: alerts.RoleOffice, Area: "130630"},
		{Username: "fuping", Role: alerts.RoleOffice, Area: "130624"},
		{Username: "team-a", Role: alerts.RoleTeam, Team: "T130630101"},
		{Username: "team-b", Role: alerts.RoleTeam, Team: "T130624101"},
	} {
		u.PasswordHash = testHash()
		if err := store.SaveUser(ctx, u); err != nil {
			tb.Fatal(err)
		}
	}
	return set
}

func sensorsOf(set alerts.Roster, county string) (out []alerts.Device) {
	for _, d := range set.Devices {
		if d.Kind == contract.Sensor && strings.HasPrefix(d.Area, county) {
			out = append(out, d)
		}
	}
	return out
}

// up runs firewatch in this process until the test ends.
type running struct {
	Addresses
	out    *lockedBuffer
	cancel context.CancelFunc
	done   chan struct{}
	code   int
}

func up(tb testing.TB, args ...string) *running {
	tb.Helper()
	r := tryUp(tb, args...)
	if r.HTTP == "" && r.MQTT == "" && r.Influx == "" {
		tb.Fatalf("firewatch did not start: %s", r.out)
	}
	return r
}

func tryUp(tb testing.TB, args ...string) *running {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{out: &lockedBuffer{}, cancel: cancel, done: make(chan struct{})}
	ready := make(chan Addresses, 1)
	args = append([]string{"up", "--influx-binary", influxBinary(tb), "--log-level", "warn"}, args...)
	go func() {
		defer close(r.done)
		r.code = Run(ctx, Env{Args: args, Stdout: r.out, Stderr: r.out, Stdin: strings.NewReader(""), Ready: func(a Addresses) { ready <- a }})
	}()
	tb.Cleanup(func() {
		r.stop(tb)
		if tb.Failed() {
			tb.Logf("firewatch said:\n%s", r.out)
		}
	})
	select {
	case r.Addresses = <-ready:
	case <-r.done:
	case <-time.After(patience):
		tb.Fatalf("firewatch is not ready: %s", r.out)
	}
	return r
}

func (r *running) stop(tb testing.TB) {
	tb.Helper()
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(patience):
		tb.Fatalf("firewatch does not stop: %s", r.out)
	}
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// client is somebody who uses the API.
type client struct {
	url   string
	token string
}

func login1(tb testing.TB, url, username, password string) client {
	tb.Helper()
	c := client{url: url}
	var s struct{ Token string }
	c.must(tb, http.StatusCreated, "POST", "/sessions", map[string]string{"username": username, "password": password}, &s)
	c.token = s.Token
	return c
}

// do sends a request to the API and returns the status and the body.
func (c client) do(tb testing.TB, method, path string, body any, header ...string) (int, []byte) {
	tb.Helper()
	var in io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case string: // XML
		in, contentType = strings.NewReader(b), "application/cap+xml"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			tb.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+"/api/v1"+path, in)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return res.StatusCode, raw
}

// must sends a request that has to be answered with the status, and reads the
// answer.
func (c client) must(tb testing.TB, status int, method, path string, body, answer any, header ...string) {
	tb.Helper()
	got, raw := c.do(tb, method, path, body, header...)
	if got != status {
		tb.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, raw)
	}
	if answer != nil {
		if err := json.Unmarshal(raw, answer); err != nil {
			tb.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
}

type list[T any] struct {
	Items []T
	Next  *string
}

func items[T any](tb testing.TB, c client, path string) []T {
	tb.Helper()
	var all []T
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	cursor := ""
	for {
		var page list[T]
		c.must(tb, http.StatusOK, "GET", path+sep+"limit=1000"+cursor, nil, &page)
		all = append(all, page.Items...)
		if page.Next == nil {
			return all
		}
		cursor = "&cursor=" + *page.Next
	}
}

// eventually waits until the condition holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}

// mosquittoPub publishes with the user's tool, not with ours.
func mosquittoPub(tb testing.TB, addr, username, topic, payload string) {
	tb.Helper()
	if err := tryMosquittoPub(addr, username, topic, payload); err != nil {
		tb.Fatal(err)
	}
}

func tryMosquittoPub(addr, username, topic, payload string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	args := []string{"-h", host, "-p", port, "-q", "1", "-t", topic, "-s"}
	if username != "" {
		args = append(args, "-u", username, "-P", secretOf)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mosquitto_pub", args...)
	cmd.Stdin = strings.NewReader(payload)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mosquitto_pub (apt-get install mosquitto-clients): %w: %s", err, out)
	}
	return nil
}

// reading makes a document of one reading.
func reading(at time.Time, seq int, fields string) string {
	return fmt.Sprintf(`{"t":%d,"seq":%d,%s}`, at.UnixMilli(), seq, fields)
}

// smoke is a fire: smoke and carbon monoxide far above their thresholds.
const smoke = `"temp_c":31,"rh_pct":18,"smoke_obs_pct_m":14,"co_ppm":85`

type alertView struct {
	ID, Rule, Device, State, Severity, Summary, Order string
	LateS                                             float64 `json:"late_s"`
	Reasons                                           []string
	Evidence                                          []struct {
		Field string
		Value float64
	}
}

type orderView struct {
	ID, Status, Issuer, Alert string
	Tally                     struct{ Total, Sent, Delivered, Read, Answered, Failed int }
	Deliveries                []struct {
		Team, State, Answer string
		TeamKind            string `json:"team_kind"`
		Sent                *time.Time
	}
	Shortfalls []string
}

type readingView struct {
	Measured time.Time
	Seq      *uint64
	Values   map[string]float64
}

// history reads all of a device's readings back through the API.
func history(tb testing.TB, c client, device, class string, from, to time.Time) []readingView {
	tb.Helper()
	return items[readingView](tb, c, fmt.Sprintf("/devices/%s/readings?class=%s&from=%s&to=%s",
		device, class, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339)))
}
