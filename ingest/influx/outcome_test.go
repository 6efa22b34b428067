package influx_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
	"firewatch/ingest/influx/influxd"
	"firewatch/ingest/influx/influxdtest"
	"firewatch/ingest/ingesttest"
)

// counted passes writes on to the real server, and counts them.
func counted(t *testing.T) (address string, writes *atomic.Int64) {
	t.Helper()
	writes = new(atomic.Int64)
	transport := &http.Transport{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writes.Add(1)
		b, _ := io.ReadAll(r.Body)
		req, err := http.NewRequestWithContext(r.Context(), r.Method, server.URL()+r.URL.RequestURI(), bytes.NewReader(b))
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(func() { s.Close(); transport.CloseIdleConnections() })
	return s.URL, writes
}

func TestTypeConflictIsNamedAndThenSentApart(t *testing.T) {
	address, writes := counted(t)
	client(t, influx.Options{Database: "named"})
	c := connect(t, influx.Options{URL: address, Database: "named"})
	say(t, http.MethodPost, "/write", url.Values{"db": {"named"}}, fmt.Sprintf(`environment,device=x temp_c="warm" %d`, day.UnixNano()))
	batch := func(from int) (rs []contract.Reading) {
		for i := range 300 {
			if r := weather("s-1", day.Add(time.Duration(from+i)*time.Second), uint64(from+i)); i%3 == 0 {
				rs = append(rs, r)
			} else {
				rs = append(rs, fix("w-1", r.Measured, r.Seq))
			}
		}
		return rs
	}
	for round, most := range []int64{3, 2, 2} {
		writes.Store(0)
		err := c.Write(t.Context(), batch(round*300))
		e, ok := errors.AsType[*ingest.RejectedError](err)
		if !ok || len(e.Indexes) != 100 || len(e.Reasons) != 100 {
			t.Fatalf("%v", err)
		}
		for _, text := range []string{e.Reason, e.Reasons[0], e.Advice} {
			for _, want := range []string{"temp_c", "environment", "string", "float"} {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not name %s", text, want)
				}
			}
		}
		if n := writes.Load(); n > most {
			t.Errorf("round %d took %d requests, want at most %d", round, n, most)
		}
	}
	if n := count(t, "named", "position"); n != 600 {
		t.Errorf("%d positions stored, want 600", n)
	}
}

func TestReadingsBeyondTheRetentionAreThenSentApart(t *testing.T) {
	address, writes := counted(t)
	o := influx.Options{Database: "short-twice", RetentionPolicy: "week", Keep: 7 * 24 * time.Hour, KeepDaily: 7 * 24 * time.Hour}
	client(t, o)
	o.URL = address
	c := connect(t, o)
	for round := range 2 {
		var rs []contract.Reading
		var old []int
		for i := range 200 {
			at := day.Add(time.Duration(i) * time.Second)
			if i%7 == 0 {
				at, old = at.Add(-20*24*time.Hour), append(old, i)
			}
			rs = append(rs, fix("w-1", at, uint64(round*1000+i)))
		}
		writes.Store(0)
		rejected(t, c.Write(t.Context(), rs), old, "retention")
		if n := writes.Load(); round > 0 && n > 3 {
			t.Errorf("%d requests, want 3: the good ones, the others, and these where they would be kept longer", n)
		}
	}
}

// setServer is a server of its own with settings from the environment.
func setServer(t *testing.T, settings string) *influxd.Server {
	t.Helper()
	path, err := influxdtest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "influxd")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexport %s\nexec '%s' \"$@\"\n", settings, path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := influxd.Start(t.Context(), influxd.Options{Binary: script, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLimitOfTheServerIsNotTheDevicesFault(t *testing.T) {
	for name, limit := range map[string]string{
		"INFLUXDB_DATA_MAX_VALUES_PER_TAG":      "max-values-per-tag",
		"INFLUXDB_DATA_MAX_SERIES_PER_DATABASE": "max-series-per-database",
	} {
		t.Run(limit, func(t *testing.T) {
			s := setServer(t, name+"=3")
			c := client(t, influx.Options{URL: s.URL(), Database: "limited"})
			for i := range 3 {
				mustWrite(t, c, fix(contract.DeviceID(fmt.Sprintf("w-%d", i)), day.Add(-time.Hour), 0))
			}
			for round := range 3 {
				var rs []contract.Reading
				for i := range 100 {
					rs = append(rs, fix(contract.DeviceID(fmt.Sprintf("w-%d", i%10)), day.Add(time.Duration(i)*time.Minute), uint64(round*100+i)))
				}
				err := c.Write(t.Context(), rs)
				e, ok := errors.AsType[*ingest.LimitedError](err)
				if r := (*ingest.RejectedError)(nil); !ok || errors.As(err, &r) || len(e.Indexes) != 70 || !strings.Contains(e.Reason, limit) {
					t.Fatalf("round %d: %v", round, err)
				}
				for i := range 3 {
					id := contract.DeviceID(fmt.Sprintf("w-%d", i))
					if n := len(history(t, c, id, contract.Position)); n != 1+(round+1)*10 {
						t.Errorf("%s has %d readings, want %d", id, n, 1+(round+1)*10)
					}
				}
			}
		})
	}
}

func TestFullCacheIsTriedAgain(t *testing.T) {
	s := setServer(t, "INFLUXDB_DATA_CACHE_MAX_MEMORY_SIZE=20000 INFLUXDB_DATA_CACHE_SNAPSHOT_MEMORY_SIZE=1000000")
	c := client(t, influx.Options{URL: s.URL()})
	var err error
	for i := 0; err == nil && i < 20; i++ {
		var rs []contract.Reading
		for j := range 100 {
			rs = append(rs, fix("w-1", day.Add(time.Duration(i*100+j)*time.Second), uint64(i*100+j)))
		}
		err = c.Write(t.Context(), rs)
	}
	if r := (*ingest.RejectedError)(nil); err == nil || errors.As(err, &r) || !strings.Contains(err.Error(), "cache-max-memory-size") {
		t.Errorf("%v", err)
	}
}

// refuses answers every write with InfluxDB's 400 and the text.
func refuses(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Influxdb-Version", "1.8.3")
		w.Header().Set("X-Influxdb-Error", text)
		w.WriteHeader(http.StatusBadRequest)
	}
}

func TestRefusalsThatMeanTryAgain(t *testing.T) {
	for _, text := range []string{
		"partial write: shard 7 is pending deletion dropped=2",
		"unexpected EOF",
		"gzip: invalid checksum",
		"something that nobody has heard of",
	} {
		c := answering(t, refuses(text))
		err := c.Write(t.Context(), []contract.Reading{fix("w-1", day, 1), fix("w-1", day, 2)})
		if r := (*ingest.RejectedError)(nil); err == nil || errors.As(err, &r) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUnknownRefusalIsBelievedWhereOthersAreStored(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if bytes.Contains(b, []byte("seq=13i")) {
			refuses("nobody has heard of it")(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	var rs []contract.Reading
	for i := range 20 {
		rs = append(rs, fix("w-1", day, uint64(i)))
	}
	rejected(t, c.Write(t.Context(), rs), []int{13}, "nobody has heard of it")
}

func TestSizeThatWasTooLargeIsRemembered(t *testing.T) {
	var large, all atomic.Int64
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		all.Add(1)
		if r.ContentLength > 5000 {
			large.Add(1)
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	mustWrite(t, c, fleet(100, 500)...)
	if n := large.Load(); n == 0 || n > 6 {
		t.Errorf("%d requests were too large", n)
	}
	large.Store(0)
	mustWrite(t, c, fleet(100, 500)...)
	if n := large.Load(); n != 0 {
		t.Errorf("%d requests were too large afterwards", n)
	}
}

func TestSlowAnswersMakeRequestsSmaller(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"timeout": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Influxdb-Error", "timeout")
			w.WriteHeader(http.StatusInternalServerError)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				if len(b) > 40_000 {
					answer(w, r)
					return
				}
				w.WriteHeader(http.StatusNoContent)
			})
			tries := 1
			for c.Write(t.Context(), fleet(100, 1000)) != nil { // about 140 kB
				if tries++; tries > 10 {
					t.Fatal("never small enough")
				}
			}
			if tries < 4 {
				t.Errorf("%d tries: one slow answer is no reason", tries)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	var encoding string
	var text []byte
	handle := func(w http.ResponseWriter, r *http.Request) {
		encoding = r.Header.Get("Content-Encoding")
		body := io.Reader(r.Body)
		if encoding == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		text, _ = io.ReadAll(body)
		w.WriteHeader(http.StatusNoContent)
	}
	s := httptest.NewServer(http.HandlerFunc(handle))
	t.Cleanup(s.Close)
	want := map[influx.Gzip]string{influx.GzipAuto: "", influx.GzipOff: "", influx.GzipOn: "gzip"} // auto: this is loopback
	for mode, header := range want {
		c := connect(t, influx.Options{URL: s.URL, Gzip: mode})
		for i := range 3 { // the compressor is used again
			rs := fleet(10, 100+i)
			mustWrite(t, c, rs...)
			if encoding != header || bytes.Count(text, []byte("\n")) != len(rs) || !bytes.Contains(text, []byte("device=w-00009")) {
				t.Errorf("%s: encoding %q, %d lines", mode, encoding, bytes.Count(text, []byte("\n")))
			}
		}
	}
	c := client(t, influx.Options{Gzip: influx.GzipOn})
	for i := range 5 {
		mustWrite(t, c, fix("w-1", day, uint64(i)))
	}
	if n := len(history(t, c, "w-1", contract.Position)); n != 5 {
		t.Errorf("InfluxDB took %d of 5", n)
	}
}

func TestLargeBatchIsSortedBySeries(t *testing.T) {
	var text string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		text = string(b)
		w.WriteHeader(http.StatusNoContent)
	})
	rs := fleet(50, 1000)
	sos := rs[3] // of a tracker: beside its positions
	sos.Class, sos.Seq = contract.SOS, 4711
	rs = append(rs, sos)
	bad := rs[5]
	bad.Measured = time.Time{}
	rs[0] = bad
	entries := []ingest.Entry{{Answer: &contract.Answer{}}}
	for i := range rs {
		entries = append(entries, ingest.Entry{Reading: rs[i]})
	}
	rejected(t, c.WriteEntries(t.Context(), entries), []int{1}, "measured time")
	var got, seen []string
	seqs := map[string]int{}
	for l := range strings.Lines(text) {
		series, rest, _ := strings.Cut(l, " ")
		if n := len(got); n == 0 || got[n-1] != series {
			if slices.Contains(seen, series) {
				t.Fatalf("%s comes twice", series)
			}
			seen = append(seen, series)
		}
		got = append(got, series)
		_, rest, _ = strings.Cut(rest, "seq=")
		var seq int
		if _, err := fmt.Sscanf(rest, "%d", &seq); err != nil {
			t.Fatal(err)
		}
		if before, ok := seqs[series]; ok && seq < before {
			t.Errorf("%s: %d after %d", series, seq, before)
		}
		seqs[series] = seq
	}
	if len(got) != 1000 || len(seen) != 50 {
		t.Errorf("%d lines of %d series, want 1000 of 50", len(got), len(seen))
	}
}

func TestLargeBatchMakesNoGarbage(t *testing.T) {
	rs := fleet(100, 1000)
	encode := influx.Encode(areasOf(rs), rs)
	encode()
	encode()
	if n := testing.AllocsPerRun(20, func() { encode() }); n > 1 {
		t.Errorf("%v allocations for 1,000 readings", n)
	}
}

// TestDrainOverAServerThatHangsAndDies has several writes in flight when the
// server stands still, goes on, and is killed.
func TestDrainOverAServerThatHangsAndDies(t *testing.T) {
	s := ownServer(t, false)
	c := client(t, influx.Options{URL: s.URL(), HTTPTimeout: time.Second, Database: "drained"})
	const n = 60_000
	var journal ingesttest.MemoryJournal
	var quarantine ingesttest.MemoryQuarantine
	watch := &watched{Client: c, kicks: map[int64]func(){
		4: func() { signal(t, s.PID(), syscall.SIGSTOP) },
		20: func() {
			signal(t, s.PID(), syscall.SIGKILL)
		},
	}}
	watch.stuck = func() { signal(t, s.PID(), syscall.SIGCONT) }
	d, err := ingest.NewDrain(ingest.DrainOptions{
		Journal: &journal, Sink: watch, Quarantine: &quarantine, Log: zap.NewNop(), BatchReadings: 1000, InFlight: 3, RetryMin: 50 * time.Millisecond, RetryMax: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	for rs := range slices.Chunk(fleet(500, n), 700) {
		var es []ingest.Entry
		for i := range rs {
			es = append(es, ingest.Entry{Reading: rs[i]})
		}
		if err := journal.Append(t.Context(), es); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	ingesttest.Eventually(t, "all readings to be stored", func() bool { return journal.Retained("influx") == n })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	stored := 0
	for i := range 500 {
		id := contract.DeviceID(fmt.Sprintf("w-%05d", i))
		stored += len(history(t, c, id, contract.Position)) + len(history(t, c, id, contract.Environment))
	}
	if stored != n || len(quarantine.Kept()) != 0 {
		t.Errorf("%d readings stored, want %d; %d in quarantine", stored, n, len(quarantine.Kept()))
	}
	if s.Restarts() != 1 || watch.most.Load() < 2 || watch.failed.Load() == 0 {
		t.Errorf("%d restarts, %d writes in flight, %d failures: the test did not test", s.Restarts(), watch.most.Load(), watch.failed.Load())
	}
}

// watched does something to the server when a write begins, and lets it go on
// once a write has failed meanwhile.
type watched struct {
	*influx.Client
	kicks  map[int64]func()
	stuck  func()
	once   sync.Once
	begun  atomic.Int64
	now    atomic.Int64
	most   atomic.Int64
	failed atomic.Int64
}

func (w *watched) WriteEntries(ctx context.Context, entries []ingest.Entry) error {
	if kick := w.kicks[w.begun.Add(1)]; kick != nil {
		kick()
	}
	w.most.Store(max(w.most.Load(), w.now.Add(1)))
	err := w.Client.WriteEntries(ctx, entries)
	w.now.Add(-1)
	if err != nil {
		w.failed.Add(1)
		w.once.Do(w.stuck)
	}
	return err
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Error(err)
	}
}
