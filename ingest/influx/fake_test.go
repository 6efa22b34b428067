package influx_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

// answering returns a client of a server that answers writes with handle.
func answering(t *testing.T, handle http.HandlerFunc) *influx.Client {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return connect(t, influx.Options{URL: s.URL, HTTPTimeout: 200 * time.Millisecond})
}

func TestThrottledIsToldHowLong(t *testing.T) {
	for _, tt := range []struct {
		status     int
		retryAfter string
		least      time.Duration
		most       time.Duration
	}{
		{http.StatusTooManyRequests, "7", 7 * time.Second, 7 * time.Second},
		{http.StatusServiceUnavailable, "30", 30 * time.Second, 30 * time.Second},
		{http.StatusServiceUnavailable, "", time.Second, time.Second},
		{http.StatusServiceUnavailable, "0", time.Second, time.Second},
		{http.StatusServiceUnavailable, "soon", time.Second, time.Second},
		{http.StatusTooManyRequests, "86400", 10 * time.Minute, 10 * time.Minute},
		{http.StatusTooManyRequests, time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 80 * time.Second, 90 * time.Second},
	} {
		c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.retryAfter != "" {
				w.Header().Set("Retry-After", tt.retryAfter)
			}
			w.WriteHeader(tt.status)
		})
		err := c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1)})
		throttled := (*ingest.ThrottledError)(nil)
		if !errors.As(err, &throttled) || throttled.After < tt.least || throttled.After > tt.most {
			t.Errorf("%d, Retry-After %q: %v", tt.status, tt.retryAfter, err)
		}
	}
}

func TestTooLargeIsSplit(t *testing.T) {
	var mu sync.Mutex
	stored := map[string]bool{}
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 1000 { // answered without reading, as a proxy does
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		for l := range strings.Lines(string(b)) {
			stored[l] = true
		}
		w.WriteHeader(http.StatusNoContent)
	})
	var rs []contract.Reading
	for i := range 100 {
		rs = append(rs, fix("w-1", day, uint64(i)))
	}
	rs[40].Text = strings.Repeat("x", 2000) // too large alone
	rejected(t, c.Write(t.Context(), rs), []int{40}, "too large")
	if len(stored) != 99 {
		t.Errorf("%d lines stored, want 99", len(stored))
	}
}

func TestAnswersThatMeanTryAgain(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"a proxy's 400": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>bad request</html>", http.StatusBadRequest)
		},
		"a proxy's 404": http.NotFound,
		"a timeout": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Influxdb-Version", "1.8.3")
			http.Error(w, `{"error":"timeout"}`, http.StatusInternalServerError)
		},
		"silence":       func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() },
		"a hang-up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a bad gateway": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, handle)
			err := c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1), fix("w-1", day, 2)})
			rej, throttled := (*ingest.RejectedError)(nil), (*ingest.ThrottledError)(nil)
			if err == nil || errors.As(err, &rej) || errors.As(err, &throttled) || errors.Is(err, ingest.ErrUnauthorized) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestFailureWhileNarrowingRejectsNothing(t *testing.T) {
	n := 0
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 1 {
			w.Header().Set("X-Influxdb-Version", "1.8.3")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"partial write: points beyond retention policy dropped=1"}`)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	err := c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1), fix("w-1", day, 2)})
	if rej := (*ingest.RejectedError)(nil); err == nil || errors.As(err, &rej) {
		t.Errorf("%v", err)
	}
}

func TestOptionsAreCheckedWithoutDialling(t *testing.T) {
	ok := influx.Options{URL: "http://127.0.0.1:1"}
	if c, err := influx.New(ok); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}
	for want, change := range map[string]func(*influx.Options){
		"URL":             func(o *influx.Options) { o.URL = "influx:8086" },
		"URL:":            func(o *influx.Options) { o.URL = "http://user:secret@h:1" },
		"URL: ":           func(o *influx.Options) { o.URL = "http://h:1\x7f secret" },
		"Token":           func(o *influx.Options) { o.Token, o.User = "a", "b" },
		"Token: spaces":   func(o *influx.Options) { o.Token = "a b" },
		"User":            func(o *influx.Options) { o.Password = "secret" },
		"User: colons":    func(o *influx.Options) { o.User, o.Password = "a:b", "secret" },
		"Database":        func(o *influx.Options) { o.Database = `x"; DROP DATABASE "y` },
		"RetentionPolicy": func(o *influx.Options) { o.RetentionPolicy = "a/b" },
		"KeepTenMinutes":  func(o *influx.Options) { o.KeepTenMinutes = time.Hour },
		"KeepDaily":       func(o *influx.Options) { o.KeepDaily = -time.Hour },
		"summaries go to": func(o *influx.Options) { o.RetentionPolicy = "m10" },
		"Keep":            func(o *influx.Options) { o.Keep = time.Minute },
		"HTTPTimeout":     func(o *influx.Options) { o.HTTPTimeout = -1 },
	} {
		o := ok
		change(&o)
		_, err := influx.New(o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
}

// A v2 is the part of InfluxDB 2.x's API that setting up uses, written from its
// documentation. It has never been compared with a real 2.x.
type v2 struct {
	mu      sync.Mutex
	buckets []map[string]any
	dbrps   []map[string]any
	missing bool // answers an unknown bucket name with 404
	lines   int
}

func (f *v2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("X-Influxdb-Version", "v2.7.6")
	w.Header().Set("X-Influxdb-Build", "OSS")
	reply := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	if r.URL.Path != "/ping" && r.Header.Get("Authorization") != "Token api-token" {
		reply(http.StatusUnauthorized, map[string]string{"code": "unauthorized", "message": "unauthorized access"})
		return
	}
	var body map[string]any
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "application/json" {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	q := r.URL.Query()
	switch r.Method + " " + r.URL.Path {
	case "GET /ping":
		w.WriteHeader(http.StatusNoContent)
	case "GET /api/v2/orgs":
		orgs := []map[string]any{}
		if q.Get("org") == "baoding" {
			orgs = append(orgs, map[string]any{"id": "00000000000000aa", "name": "baoding"})
		}
		reply(http.StatusOK, map[string]any{"orgs": orgs})
	case "GET /api/v2/buckets":
		found := []map[string]any{}
		for _, b := range f.buckets {
			if b["name"] == q.Get("name") && (b["orgID"] == q.Get("orgID") || q.Get("org") == "baoding") {
				found = append(found, b)
			}
		}
		if f.missing && len(found) == 0 {
			reply(http.StatusNotFound, map[string]string{"code": "not found", "message": "bucket not found"})
			return
		}
		reply(http.StatusOK, map[string]any{"buckets": found})
	case "POST /api/v2/buckets":
		body["id"] = fmt.Sprintf("%016x", len(f.buckets)+1)
		f.buckets = append(f.buckets, body)
		reply(http.StatusCreated, body)
	case "GET /api/v2/dbrps":
		found := []map[string]any{}
		for _, m := range f.dbrps {
			if m["orgID"] == q.Get("orgID") && m["database"] == q.Get("db") && m["retention_policy"] == q.Get("rp") {
				found = append(found, m)
			}
		}
		reply(http.StatusOK, map[string]any{"content": found})
	case "POST /api/v2/dbrps":
		body["id"] = "00000000000000ff"
		f.dbrps = append(f.dbrps, body)
		reply(http.StatusCreated, body)
	case "POST /api/v2/write":
		for _, b := range f.buckets {
			if b["name"] == q.Get("bucket") && q.Get("org") == "baoding" && q.Get("precision") == "ns" {
				text, _ := io.ReadAll(r.Body)
				if strings.Contains(string(text), "lat=999") {
					reply(http.StatusUnprocessableEntity, map[string]string{"code": "unprocessable entity", "message": "failure writing points to database: partial write: field type conflict: lat dropped=1"})
					return
				}
				f.lines += strings.Count(string(text), "\n")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		reply(http.StatusNotFound, map[string]string{"code": "not found", "message": `bucket "` + q.Get("bucket") + `" not found`})
	default:
		reply(http.StatusNotFound, map[string]string{"code": "not found", "message": "path not found"})
	}
}

func TestSetupOfTwoPointX(t *testing.T) {
	for _, missing := range []bool{false, true} {
		f := &v2{missing: missing}
		s := httptest.NewServer(f)
		defer s.Close()
		o := influx.Options{URL: s.URL, Token: "api-token", Org: "baoding", Database: "firewatch", Keep: 90 * 24 * time.Hour}
		for range 2 {
			client(t, o)
		}
		if len(f.buckets) != 3 || f.buckets[0]["name"] != "firewatch/autogen" || f.buckets[1]["name"] != "firewatch/m10" || f.buckets[2]["name"] != "firewatch/daily" || !strings.Contains(fmt.Sprint(f.buckets[0]["retentionRules"]), "7.776e+06") {
			t.Errorf("buckets %v", f.buckets)
		}
		if len(f.dbrps) != 3 || f.dbrps[0]["bucketID"] != "0000000000000001" || f.dbrps[0]["default"] != true || f.dbrps[1]["default"] != false {
			t.Errorf("mappings %v", f.dbrps)
		}
		// The bucket's own retention counts, also once somebody has changed it.
		for rules, want := range map[string]time.Duration{
			"": 0, `[]`: 0, `[{"type":"expire","everySeconds":3600}]`: time.Hour,
		} {
			delete(f.buckets[0], "retentionRules")
			if rules != "" {
				f.buckets[0]["retentionRules"] = json.RawMessage(rules)
			}
			if keep, err := connect(t, o).RawKept(t.Context()); err != nil || keep != want {
				t.Errorf("readings are kept %s (%v), want %s", keep, err, want)
			}
		}
		f.dbrps[0]["bucketID"] = "0000000000000099"
		if err := connect(t, o).Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "another bucket") {
			t.Errorf("a mapping elsewhere: %v", err)
		}
		o.Org = "nobody"
		if err := connect(t, o).Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("unknown organization: %v", err)
		}
		o.Org = ""
		if err := connect(t, o).Setup(t.Context()); err == nil || !strings.Contains(err.Error(), "Org") {
			t.Errorf("no organization: %v", err)
		}
	}
}

func TestWritesToTwoPointX(t *testing.T) {
	f := &v2{}
	s := httptest.NewServer(f)
	defer s.Close()
	o := influx.Options{URL: s.URL, Token: "api-token", Org: "baoding"}
	c := connect(t, o) // its bucket is made by the first write
	bad := fix("w-1", day, 2)
	bad.Values.Set(contract.Lat, 999)
	rejected(t, c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1), bad, fix("w-1", day, 3)}), []int{1}, "field type conflict: lat")
	if f.lines != 2 {
		t.Errorf("%d lines stored, want 2", f.lines)
	}
	o.Token = "wrong"
	if err := connect(t, o).Write(t.Context(), []contract.Reading{bad}); !errors.Is(err, ingest.ErrUnauthorized) {
		t.Errorf("wrong token: %v", err)
	}
}
