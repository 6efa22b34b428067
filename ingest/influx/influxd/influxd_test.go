package influxd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/influx/influxdtest"
	"firewatch/ingest/ingesttest"
)

// parentEnv makes the test binary act as a parent that will be killed.
const parentEnv = "FIREWATCH_TEST_INFLUXD_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		os.Exit(beParent(dir)) //nolint:forbidigo // the child is a program of its own
	}
	goleak.VerifyTestMain(m)
}

// beParent starts a server, tells where it is, and waits to be killed.
func beParent(dir string) int {
	s, err := influxd.Start(context.Background(), influxd.Options{Binary: os.Getenv(parentEnv + "_BINARY"), Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = json.NewEncoder(os.Stdout).Encode(told{URL: s.URL(), PID: s.PID()})
	<-s.Done()
	return 0
}

type told struct {
	URL string
	PID int
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := influxdtest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, o influxd.Options) *influxd.Server {
	t.Helper()
	o.Binary = binary(t)
	if o.Log == nil {
		o.Log = zaptest.NewLogger(t)
	}
	s, err := influxd.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *influxd.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Stop")
	}
}

func query(t *testing.T, base, token, q string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/query?db=d&q="+url.QueryEscape(q), nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Token "+token)
	}
	return roundTrip(t, req)
}

func write(t *testing.T, base, line string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/write?db=d", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	if code, body := roundTrip(t, req); code != http.StatusNoContent {
		t.Fatalf("write: %d %s", code, body)
	}
}

func roundTrip(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(b) > 0
}

func TestStartsAndStops(t *testing.T) {
	dir := t.TempDir()
	s := start(t, influxd.Options{Dir: dir})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	query(t, s.URL(), "", `CREATE DATABASE "d"`)
	write(t, s.URL(), "m f=1 1000000000")
	pid, at := s.PID(), s.URL()
	stop(t, s)
	if alive(pid) {
		t.Errorf("process %d lives after Stop", pid)
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready after Stop")
	}
	if s.PID() != pid && s.PID() != 0 {
		t.Errorf("pid became %d", s.PID())
	}

	again := start(t, influxd.Options{Dir: dir, HTTPAddr: strings.TrimPrefix(at, "http://")})
	if again.URL() != at {
		t.Errorf("URL %s, want the given %s", again.URL(), at)
	}
	if _, body := query(t, again.URL(), "", `SELECT * FROM m`); !strings.Contains(body, "1970-01-01T00:00:01Z") {
		t.Errorf("point is gone after a restart: %s", body)
	}
}

func TestDeadChildIsStartedAgain(t *testing.T) {
	s := start(t, influxd.Options{Dir: t.TempDir()})
	query(t, s.URL(), "", `CREATE DATABASE "d"`)
	write(t, s.URL(), "m f=1 1000000000")
	old := s.PID()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ingesttest.Eventually(t, "the server to be seen down", func() bool { return s.Ready(t.Context()) != nil || s.Restarts() > 0 })
	ingesttest.Eventually(t, "the restart", func() bool { return s.Restarts() == 1 && s.Ready(t.Context()) == nil })
	if s.PID() == old {
		t.Error("pid did not change")
	}
	if _, body := query(t, s.URL(), "", `SELECT * FROM m`); !strings.Contains(body, "1970-01-01T00:00:01Z") {
		t.Errorf("point is gone after a kill: %s", body)
	}
}

func TestKilledParentTakesTheChildWithIt(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), parentEnv+"="+dir, parentEnv+"_BINARY="+binary(t))
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child told
	if err := json.NewDecoder(out).Decode(&child); err != nil {
		t.Fatal(err)
	}
	query(t, child.URL, "", `CREATE DATABASE "d"`)
	for i := range 50 {
		write(t, child.URL, fmt.Sprintf("m f=%d %d", i, int64(i+1)*1e9))
	}

	// A second parent may not touch a server that is somebody's.
	_, err = influxd.Start(t.Context(), influxd.Options{Binary: binary(t), Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second start in one directory: %v", err)
	}
	if !alive(child.PID) {
		t.Fatal("the second start killed the first one's server")
	}

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	ingesttest.Eventually(t, "the end of a killed parent's child", func() bool { return !alive(child.PID) })

	s := start(t, influxd.Options{Dir: dir, HTTPAddr: strings.TrimPrefix(child.URL, "http://")})
	if _, body := query(t, s.URL(), "", `SELECT count(f) FROM m`); !strings.Contains(body, ",50]") {
		t.Errorf("want 50 points after the kill: %s", body)
	}
}

func TestLeftoverServerIsStopped(t *testing.T) {
	dir := t.TempDir()
	s := start(t, influxd.Options{Dir: dir})
	stop(t, s)

	// What a parent without a parent-death signal would leave: the server, and
	// its pid file.
	left := exec.CommandContext(t.Context(), binary(t), "-config", filepath.Join(dir, "influxdb.conf"))
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = left.Wait(); close(ended) }()
	writePID(t, dir, left.Process.Pid)
	start(t, influxd.Options{Dir: dir, HTTPAddr: strings.TrimPrefix(s.URL(), "http://")})
	<-ended
}

func TestStrangerInPIDFileIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	stranger := exec.CommandContext(t.Context(), "sleep", "600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	writePID(t, dir, stranger.Process.Pid)
	start(t, influxd.Options{Dir: dir})
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil || !alive(stranger.Process.Pid) {
		t.Error("a process that is not ours was ended")
	}
}

func writePID(t *testing.T, dir string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "influxd.pid"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	bin := binary(t)
	for _, tt := range []struct {
		name string
		o    influxd.Options
		want []string
		is   error
	}{
		{"port in use", influxd.Options{Binary: bin, HTTPAddr: ln.Addr().String()}, []string{"port " + ln.Addr().String() + " is in use"}, syscall.EADDRINUSE},
		{"missing binary", influxd.Options{Binary: filepath.Join(t.TempDir(), "influxd")}, []string{"make bin/influxd"}, nil},
		{"all interfaces", influxd.Options{Binary: bin, HTTPAddr: ":8086"}, []string{"HTTPAddr", "loopback"}, nil},
		{"another machine", influxd.Options{Binary: bin, HTTPAddr: "192.0.2.1:8086"}, []string{"HTTPAddr", "loopback"}, nil},
		{"no port", influxd.Options{Binary: bin, HTTPAddr: "127.0.0.1"}, []string{"HTTPAddr"}, nil},
		{"not a server", influxd.Options{Binary: "/bin/false"}, []string{"ended while starting"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Dir = t.TempDir()
			s, err := influxd.Start(t.Context(), tt.o)
			if err == nil {
				stop(t, s)
				t.Fatal("started")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
		})
	}
}

func TestAuthAsksForTheToken(t *testing.T) {
	dir := t.TempDir()
	s := start(t, influxd.Options{Dir: dir, Auth: true})
	if code, _ := query(t, s.URL(), "", `SHOW DATABASES`); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	if code, body := query(t, s.URL(), s.Token(), `SHOW DATABASES`); code != http.StatusOK {
		t.Errorf("with the token: %d %s", code, body)
	}
	token := s.Token()
	stop(t, s)
	again := start(t, influxd.Options{Dir: dir, Auth: true})
	if again.Token() != token {
		t.Error("the token changed")
	}
	if code, body := query(t, again.URL(), token, `SHOW DATABASES`); code != http.StatusOK {
		t.Errorf("after a restart: %d %s", code, body)
	}
}
