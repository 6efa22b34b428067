package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"firewatch/alerts"
	"firewatch/alerts/alertstest"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/api/session"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is the time of the tests unless a test moves it.
var begin = time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC)

// env is a server on a store in memory with the accounts and things of
// fixture.
type env struct {
	t       *testing.T
	store   *memstore.Store
	history *history
	*Server
	logs    *observer.ObservedLogs
	metrics *prometheus.Registry

	mu     sync.Mutex
	now    time.Time
	health []Check
	nudged int
	told   int // of changed devices
}

func (e *env) time() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *env) advance(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

func (e *env) setHealth(cs ...Check) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.health = cs
}

func (e *env) nudges() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.nudged
}

func (e *env) options() Options {
	return Options{
		Incidents: e.store, Silences: e.store, Holdbacks: e.store, Rules: e.rules,
		Roster: e.store, Accounts: e.store, Alerts: e.store, Orders: e.store, Commands: e.store, Warnings: e.store, Documents: e.store, Hotspots: e.store, Events: e.store, Audit: e.store,
		Readiness: e.store,
		History:   e.history, Policy: alerts.DefaultPolicy(), Now: e.time, Version: "1.2.3",
		Danger: e.store,
		Console: fstest.MapFS{
			"index.html":           {Data: []byte("<!doctype html><title>console</title>" + strings.Repeat(" ", 2000))},
			"assets/app-1f2e3d.js": {Data: []byte("export{}")},
			"favicon.png":          {Data: []byte("\x89PNG....")},
		},
		Health: func(context.Context) []Check {
			e.mu.Lock()
			defer e.mu.Unlock()
			return slices.Clone(e.health)
		},
		Nudge: func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.nudged++
		},
		Desk:     e.desk(),
		Gatherer: e.metrics, Registerer: e.metrics,
	}
}

func newEnv(t *testing.T, change ...func(*Options)) *env {
	t.Helper()
	e := &env{
		t: t, store: memstore.New(), history: &history{}, metrics: prometheus.NewRegistry(), now: begin,
		health: []Check{{Name: v1.PartStore, OK: true}, {Name: v1.PartHistory, OK: true}},
	}
	e.fixture()
	o := e.options()
	core, logs := observer.New(zapcore.DebugLevel)
	o.Log, e.logs = zap.New(core), logs
	for _, f := range change {
		f(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	e.Server = s
	return e
}

// The accounts of fixture; each one's token is made from its name.
var accounts = []alerts.User{
	{Username: "admin", Role: alerts.RoleAdmin, Name: "管理员"},
	{Username: "city", Role: alerts.RoleOffice, Area: "130600", Name: "市防火办"},
	{Username: "yixian", Role: alerts.RoleOffice, Area: "130633", Name: "易县防火办"},
	{Username: "laiyuan", Role: alerts.RoleOffice, Area: "130630", Name: "涞源县防火办"},
	{Username: "team-yizhou", Role: alerts.RoleTeam, Team: "tw-yizhou", Name: "易州镇队"},
	{Username: "team-laiyuan", Role: alerts.RoleTeam, Team: "tw-laiyuan", Name: "涞源镇队"},
}

func tokenFor(account string) string { return (account + strings.Repeat("-", 43))[:43] }

func (e *env) fixture() {
	e.t.Helper()
	ctx, s, t := e.t.Context(), e.store, e.t
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(s.ReplaceRoster(ctx, alerts.Roster{
		Areas: alertstest.Roster().Areas,
		Teams: []alerts.Team{
			{ID: "pro-city", Name: "保定市专业队", Kind: alerts.Professional, Area: "130600"},
			{ID: "pro-yixian", Name: "易县专业队", Kind: alerts.Professional, Area: "130633", Members: 30},
			{ID: "tw-laiyuan", Name: "涞源镇扑火队", Kind: alerts.TownshipTeam, Area: "130630100", Members: 15},
			{ID: "tw-yizhou", Name: "易州镇扑火队", Kind: alerts.TownshipTeam, Area: "130633100", Phone: "13800000001"},
		},
		Devices: []alerts.Device{
			{ID: "s-laiyuan", Kind: contract.Sensor, Area: "130630100", Name: "白石山", Expect: 5 * time.Minute},
			{ID: "s-yixian", Kind: contract.Sensor, Area: "130633101", Name: "永福寺", Lat: 39.3, Lon: 115.3, Expect: 5 * time.Minute},
			{ID: "t-yixian", Kind: contract.Tracker, Area: "130633100", Name: "李四", Expect: time.Minute, SecretHash: "hash"},
			{ID: "t-off", Kind: contract.Tracker, Area: "130633100", Name: "王五"},
		},
		Demo: true,
	}, begin))
	for _, u := range accounts {
		ok(s.SaveUser(ctx, u))
		ok(s.CreateSession(ctx, alerts.Session{
			TokenHash: session.HashToken(tokenFor(u.Username)), Username: u.Username, Created: begin, Expires: begin.Add(time.Hour),
		}))
	}
	alert := func(id, area, device string, at time.Time) alerts.Alert {
		return alerts.Alert{
			ID: id, Rule: "sensor_fire", RuleVersion: "1", Device: contract.DeviceID(device), Area: area,
			Lat: 39.3, Lon: 115.3, HasPlace: true, Severity: alerts.Orange, State: alerts.Firing,
			Summary: "烟雾升高", SummaryEn: "smoke rising", Measured: at, Raised: at, Updated: at,
			Evidence: []alerts.Evidence{{Device: contract.DeviceID(device), Measured: at, Received: at, Field: "co_ppm", Value: 60}},
		}
	}
	ok(s.SaveSilence(ctx, alerts.Silence{
		ID: "si-yixian", Device: "s-yixian", From: begin, Until: begin.Add(time.Hour), Author: "yixian", Reason: "检修", Made: begin,
	}, nil))
	ok(s.SaveJudged(ctx, alerts.Judged{Incidents: []alerts.Incident{{
		ID: "in-yixian", Area: "130633101", Device: "s-yixian", Title: "易县梁格庄镇疑似火情", Severity: alerts.Orange,
		Began: begin.Add(-3 * time.Minute), Opened: begin.Add(-3 * time.Minute), Updated: begin, Alerts: 1,
	}}, Alerts: []alerts.Alert{
		alert("al-yixian", "130633101", "s-yixian", begin.Add(-3*time.Minute)),
		alert("al-laiyuan", "130630100", "s-laiyuan", begin.Add(-2*time.Minute)),
		alert("al-nowhere", "", "s-gone", begin.Add(-time.Minute)),
	}}))
	order := func(id, area, cause string, age time.Duration, teams ...contract.TeamID) {
		t.Helper()
		o := alerts.Order{
			ID: id, Kind: alerts.OrderStandby, Level: alerts.Orange, Text: "请待命", Alert: cause, Issuer: "admin", Area: area,
			Issued: begin.Add(-age), AnswerBy: begin.Add(-age + 15*time.Minute), Status: alerts.OrderOpen,
			IdempotencyKey: "fixture-" + id, Shortfalls: []string{"阜平县没有登记队伍"},
		}
		var picks []alerts.Pick
		for _, team := range teams {
			picks = append(picks, alerts.Pick{Team: alerts.Team{ID: team}, Reason: "点名下达"})
		}
		_, created, err := s.CreateOrder(ctx, o, alerts.NewDeliveries(o, picks, o.Issued), nil)
		ok(err)
		if !created {
			t.Fatalf("order %s not created", id)
		}
		for _, team := range teams {
			_, err := s.UpdateDelivery(ctx, id, team, func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error) {
				return alerts.DeliveryChange{Attempts: []alerts.Attempt{{Order: id, Team: team, Channel: "mqtt", At: o.Issued, Try: 1}}}, nil
			})
			ok(err)
		}
	}
	order("or-both", "130600", "al-yixian", 2*time.Minute, "tw-yizhou", "tw-laiyuan")
	order("or-laiyuan", "130630", "", time.Minute, "tw-laiyuan")
	_, _, err := s.CreateCommand(ctx, alerts.Command{
		ID: "cm-yixian", Device: "t-yixian", Area: "130633100", Kind: alerts.CommandLocate, Issuer: "yixian", Issued: begin.Add(-time.Minute),
		Expires: begin.Add(time.Hour), State: alerts.CommandQueued, NextAt: begin.Add(-time.Minute),
	}, nil)
	ok(err)
}

// request is one call of the API.
type request struct {
	method  string
	path    string // with query
	as      string // account, empty for none
	from    string // address and port of the peer; empty: one on another machine
	body    string
	headers map[string]string
}

type response struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// into decodes the body.
func into[T any](r response) T {
	r.t.Helper()
	var v T
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		r.t.Fatalf("%v in %s", err, r.Body)
	}
	return v
}

// do sends the request and holds the answer against the document.
func (e *env) do(r request) response {
	e.t.Helper()
	req := httptest.NewRequestWithContext(e.t.Context(), r.method, r.path, strings.NewReader(r.body))
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.as != "" {
		req.Header.Set("Authorization", "Bearer "+tokenFor(r.as))
	}
	for k, v := range r.headers {
		req.Header.Set(k, v)
	}
	if r.from != "" {
		req.RemoteAddr = r.from
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, req)
	e.conforms(r, w)
	return response{w, e.t}
}

func (e *env) get(as, path string) response {
	e.t.Helper()
	return e.do(request{method: http.MethodGet, path: v1.Prefix + path, as: as})
}

func (e *env) post(as, path string, body any, headers ...string) response {
	e.t.Helper()
	text, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			e.t.Fatal(err)
		}
		text = string(b)
	}
	h := map[string]string{}
	for i := 0; i < len(headers); i += 2 {
		h[headers[i]] = headers[i+1]
	}
	return e.do(request{method: http.MethodPost, path: v1.Prefix + path, as: as, body: text, headers: h})
}

// want fails the test unless the status is that.
func (r response) want(status int) response {
	r.t.Helper()
	if r.Code != status {
		r.t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	return r
}

// problem is the problem that a response must be.
func (r response) problem(status int, code string) v1.Problem {
	r.t.Helper()
	p := into[v1.Problem](r.want(status))
	if p.Code != code || p.Status != status || p.Title == "" {
		r.t.Fatalf("problem %+v, want %s", p, code)
	}
	return p
}

// history answers from memory, or with its error.
type history struct {
	mu         sync.Mutex
	readings   []contract.Reading // by measured time
	quarantine []ingest.QuarantineCount
	health     []ingest.DeviceHealth
	windows    []ingest.Window
	window     ingest.WindowQuery // the last one asked
	err        error
	asked      int
	hold       chan struct{} // when set, Last waits for it
}

func (h *history) Readings(_ context.Context, q ingest.ReadingQuery) ([]contract.Reading, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, h.err
	}
	var out []contract.Reading
	for _, r := range h.readings {
		class := r.Class == q.Class || q.Class == contract.Position && (r.Class == contract.SOS || r.Class == contract.Report)
		if r.Device == q.Device && class && !r.Measured.Before(q.From) && r.Measured.Before(q.To) {
			out = append(out, r)
		}
	}
	if q.Newest {
		return out[max(0, len(out)-q.Limit):], nil
	}
	return out[:min(q.Limit, len(out))], nil
}

func (h *history) Last(ctx context.Context, class contract.Class) ([]contract.Reading, error) {
	h.mu.Lock()
	hold := h.hold
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	last := map[contract.DeviceID]contract.Reading{}
	for _, r := range h.readings {
		if r.Class == class {
			last[r.Device] = r
		}
	}
	var out []contract.Reading
	for _, r := range last {
		out = append(out, r)
	}
	return out, h.err
}

func (h *history) Quarantine(context.Context) ([]ingest.QuarantineCount, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.quarantine), h.err
}

func (h *history) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func reading(device string, class contract.Class, measured time.Time, f contract.Field, x float64) contract.Reading {
	r := contract.Reading{Device: contract.DeviceID(device), Class: class, Measured: measured, Received: measured.Add(time.Second)}
	r.Values.Set(f, x)
	return r
}

var errAway = errors.New("dial tcp 10.9.8.7:5432: password hunter2 refused")

// secretless fails when the body tells what must stay inside.
func secretless(t *testing.T, body io.Reader) {
	t.Helper()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"hunter2", "10.9.8.7", "goroutine"} {
		if bytes.Contains(b, []byte(s)) {
			t.Errorf("%q leaves the house: %s", s, b)
		}
	}
}

func (h *history) Windows(_ context.Context, q ingest.WindowQuery) ([]ingest.Window, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.window = q
	return slices.Clone(h.windows), h.err
}

func (h *history) Health(context.Context) ([]ingest.DeviceHealth, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.health), h.err
}
