package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/alerts"
	"firewatch/api/session"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
)

// listening is an open event stream inside a synctest bubble.
type listening struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	sent bytes.Buffer
	stop context.CancelFunc
	done chan struct{}
}

func (s *listening) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.Write(b)
}

// listen opens the event stream as the account. headers are pairs.
func (e *env) listen(as string, headers ...string) *listening {
	ctx, stop := context.WithCancel(context.Background())
	s := &listening{ResponseRecorder: httptest.NewRecorder(), stop: stop, done: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, v1.Prefix+"/events", nil)
	r.Header.Set("Authorization", "Bearer "+tokenFor(as))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	go func() {
		defer close(s.done)
		e.ServeHTTP(s, r)
	}()
	synctest.Wait()
	return s
}

func (s *listening) close() {
	s.stop()
	<-s.done
}

// ended reports whether the server has ended the stream.
func (s *listening) ended() bool {
	synctest.Wait()
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// text is what has been sent, once all that is due has been.
func (s *listening) text() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.String()
}

// heard lists the events sent as "id type", and checks each one's data.
func (s *listening) heard(t *testing.T) (out []string) {
	t.Helper()
	schema, err := schemaAt("/components/schemas/Event")
	if err != nil {
		t.Fatal(err)
	}
	for frame := range strings.SplitSeq(s.text(), "\n\n") {
		f := map[string]string{}
		for line := range strings.SplitSeq(frame, "\n") {
			if k, v, ok := strings.Cut(line, ": "); ok {
				f[k] = v
			}
		}
		if f["data"] == "" {
			continue
		}
		if f["event"] != "reset" {
			var x any
			if err := json.Unmarshal([]byte(f["data"]), &x); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(x); err != nil {
				t.Errorf("event against the document: %v", err)
			}
		}
		out = append(out, f["id"]+" "+f["event"])
	}
	return out
}

func bubble(t *testing.T, f func(t *testing.T, e *env)) {
	t.Helper()
	if _, err := schemaAt("/components/schemas/Event"); err != nil { // outside, it keeps a mutex and a cache
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { f(t, newEnv(t, func(o *Options) { o.Now = time.Now })) })
}

// tell writes events into the log.
func (e *env) tell(evs ...alerts.Event) {
	e.t.Helper()
	if err := e.store.SaveJudged(context.Background(), alerts.Judged{Events: evs}); err != nil {
		e.t.Fatal(err)
	}
}

func event(typ alerts.EventType, area string, team contract.TeamID, data string) alerts.Event {
	return alerts.Event{At: begin, Type: typ, Area: area, Team: team, Data: []byte(data)}
}

func TestEventsGoToThoseWhomTheyConcern(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		listeners := map[string]*listening{}
		for _, u := range accounts {
			listeners[u.Username] = e.listen(u.Username)
			defer listeners[u.Username].close()
		}
		e.tell( // the roster of the fixture is event 1
			event(alerts.EventAlert, "130633101", "", `{"id":"al-yixian"}`),
			event(alerts.EventAlert, "", "", `{"id":"al-nowhere"}`),
			event(alerts.EventOrder, "130600", "", `{"id":"or-both"}`),
			event(alerts.EventOrder, "130600", "", `{"id":"or-laiyuan"}`), // nothing of it in Yixian
			event(alerts.EventDelivery, "130633100", "tw-yizhou", `{"order":"or-both","team":"tw-yizhou"}`),
			event(alerts.EventDelivery, "130630100", "tw-laiyuan", `{"order":"or-both","team":"tw-laiyuan"}`),
			event(alerts.EventWarning, "", "", `{"id":"w"}`),
			event(alerts.EventSeason, "", "", ""),
		)
		time.Sleep(time.Second)
		all := []string{"2 alert", "3 alert", "4 order", "5 order", "6 delivery", "7 delivery", "8 warning", "9 season"}
		for as, want := range map[string][]string{
			"admin":        all,
			"city":         all,
			"yixian":       {"2 alert", "3 alert", "4 order", "6 delivery", "8 warning", "9 season"},
			"laiyuan":      {"3 alert", "4 order", "5 order", "7 delivery", "8 warning", "9 season"},
			"team-yizhou":  {"6 delivery", "8 warning", "9 season"},
			"team-laiyuan": {"7 delivery", "8 warning", "9 season"},
		} {
			if got := listeners[as].heard(t); !slices.Equal(got, want) {
				t.Errorf("%s heard %q, want %q", as, got, want)
			}
		}
	})
}

func TestEventsResume(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		for range 1300 { // more than a page
			e.tell(event(alerts.EventSeason, "", "", ""))
		}
		s := e.listen("city", "Last-Event-ID", "11")
		defer s.close()
		e.tell(event(alerts.EventSeason, "", "", ""))
		time.Sleep(time.Second)
		got := s.heard(t)
		if len(got) != 1302-11 || got[0] != "12 season" || got[len(got)-1] != "1302 season" {
			t.Errorf("%d events, %q to %q", len(got), got[0], got[len(got)-1])
		}
		if !strings.HasPrefix(s.text(), "retry: 2000\nid: 11\n\n") {
			t.Errorf("begins with %.40q", s.text())
		}
		fresh := e.listen("city")
		defer fresh.close()
		if got := fresh.heard(t); len(got) != 0 || !strings.Contains(fresh.text(), "id: 1302\n\n") {
			t.Errorf("from now on: %q in %q", got, fresh.text())
		}
		other := e.listen("city", "Last-Event-ID", "999999") // of a store that is gone
		defer other.close()
		e.tell(event(alerts.EventSeason, "", "", ""))
		time.Sleep(time.Second)
		if got := other.heard(t); !slices.Equal(got, []string{"1302 reset", "1303 season"}) {
			t.Errorf("after an id of another log: %q", got)
		}
	})
}

// purgedLog is an event log whose events up to an id are gone.
type purgedLog struct {
	alerts.EventStore
	through atomic.Int64
}

func (p *purgedLog) Events(ctx context.Context, after int64, limit int) ([]alerts.Event, error) {
	return p.EventStore.Events(ctx, max(after, p.through.Load()), limit)
}

func TestResumeBehindPurgedEventsIsAReset(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		log := &purgedLog{EventStore: e.store}
		e = newEnv(t, func(o *Options) { log.EventStore, o.Events, o.Now = o.Events, log, time.Now })
		for range 9 { // after the roster's, which is event 1
			e.tell(event(alerts.EventSeason, "", "", ""))
		}
		for _, row := range []struct {
			through int64
			last    string
			want    []string
		}{
			{5, "4", []string{"10 reset", "11 season"}},
			{5, "0", []string{"11 reset", "12 season"}},
			{5, "5", []string{"6 season", "7 season", "8 season", "9 season", "10 season", "11 season", "12 season", "13 season"}},
			{13, "12", []string{"13 reset", "14 season"}}, // nothing is left
			{14, "14", []string{"15 season"}},             // nothing is left and nothing was missed
			{14, "99", []string{"15 reset", "16 season"}}, // an id of another log
		} {
			log.through.Store(row.through)
			s := e.listen("city", "Last-Event-ID", row.last)
			e.tell(event(alerts.EventSeason, "", "", ""))
			time.Sleep(time.Second)
			if got := s.heard(t); !slices.Equal(got, row.want) {
				t.Errorf("after %s, purged through %d: %q, want %q", row.last, row.through, got, row.want)
			}
			s.close()
		}
	})
}

// A listener whose reader was away while events were purged has a gap too.
func TestGapInAnOpenStreamIsAReset(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		log := &purgedLog{EventStore: e.store}
		e = newEnv(t, func(o *Options) { log.EventStore, o.Events, o.Now = o.Events, log, time.Now })
		s := e.listen("city")
		defer s.close()
		log.through.Store(3)
		for range 4 {
			e.tell(event(alerts.EventSeason, "", "", ""))
		}
		time.Sleep(time.Second)
		if got, want := s.heard(t), []string{"3 reset", "4 season", "5 season"}; !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	})
}

func TestHeartbeatMovesTheCursorOn(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		s := e.listen("team-yizhou")
		defer s.close()
		e.tell(event(alerts.EventAlert, "130633101", "", `{"id":"al-yixian"}`)) // not for a team
		time.Sleep(16 * time.Second)
		if got := s.text(); !strings.HasSuffix(got, ": heartbeat\nid: 2\n\n") {
			t.Errorf("after 16 s: %q", got)
		}
		time.Sleep(5 * time.Minute)
		if n := strings.Count(s.text(), ": heartbeat"); n != 21 {
			t.Errorf("%d heartbeats in 316 s, want 21", n)
		}
	})
}

func TestStreamEndsWithItsSession(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		if err := e.store.CreateSession(t.Context(), alerts.Session{
			TokenHash: session.HashToken(tokenFor("short")), Username: "yixian", Created: time.Now(), Expires: time.Now().Add(20 * time.Second),
		}); err != nil {
			t.Fatal(err)
		}
		short, out, off, stays := e.listen("short"), e.listen("laiyuan"), e.listen("team-yizhou"), e.listen("city")
		defer stays.close()
		time.Sleep(19 * time.Second)
		if short.ended() {
			t.Error("ended before the session did")
		}
		time.Sleep(2 * time.Second)
		if !short.ended() {
			t.Error("outlived its session")
		}
		e.do(request{method: "DELETE", path: v1.Prefix + "/sessions/current", as: "laiyuan"}).want(204)
		if !out.ended() {
			t.Error("outlived the logout")
		}
		u, err := e.store.User(t.Context(), "team-yizhou")
		if err != nil {
			t.Fatal(err)
		}
		u.Disabled = true
		if err := e.store.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		time.Sleep(16 * time.Second)
		if !off.ended() {
			t.Error("outlived its account by a heartbeat")
		}
		if stays.ended() {
			t.Error("another's stream ended")
		}
	})
}

func TestScopeOfAStreamFollowsTheAccount(t *testing.T) {
	bubble(t, func(t *testing.T, e *env) {
		s := e.listen("laiyuan")
		defer s.close()
		u, err := e.store.User(t.Context(), "laiyuan")
		if err != nil {
			t.Fatal(err)
		}
		u.Area = "130633"
		if err := e.store.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		time.Sleep(16 * time.Second)
		e.tell(event(alerts.EventAlert, "130630100", "", `{}`), event(alerts.EventAlert, "130633101", "", `{}`))
		time.Sleep(time.Second)
		if got := s.heard(t); !slices.Equal(got, []string{"3 alert"}) {
			t.Errorf("heard %q, want the alert of the new area only", got)
		}
	})
}

func TestShutdownEndsStreamsOverTheWire(t *testing.T) {
	e := newEnv(t)
	h := e.HTTPServer()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(ln) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s%s/events?last_event_id=0", ln.Addr(), v1.Prefix), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", v1.CookieName+"="+tokenFor("city"))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream; charset=utf-8" {
		t.Fatalf("status %d, %q", resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "event: roster" { // event 1
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	for lines.Scan() { // to the end
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream broke off: %v", err)
	}
	<-served
}
