package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/ingest"
	"firewatch/ingest/broker"
)

// BenchmarkAccept is the broker's part of what a message costs that is accepted:
// QoS 1 from 8 connections with 1,000 messages unacknowledged each, JSON of 165
// bytes. What takes the messages over does nothing but acknowledge them, and the
// publisher is another process, so the CPU time is the broker's alone.
func BenchmarkAccept(b *testing.B) {
	br, err := broker.New(broker.Options{Addr: "127.0.0.1:0", Credential: credentials{}, Log: zap.NewNop()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- br.Run(ctx, acker{}) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	b.ResetTimer()
	before := cpu(b)
	publisher := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestBenchmarkPublisher$")
	publisher.Env = append(os.Environ(), fmt.Sprintf("FIREWATCH_PUBLISH=%s %d", br.Addr(), b.N))
	if out, err := publisher.CombinedOutput(); err != nil {
		b.Fatalf("publisher: %v\n%s", err, out)
	}
	used := cpu(b) - before
	b.StopTimer()
	b.ReportMetric(used.Seconds()*1e6/float64(b.N), "cpu-s/M")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

type acker struct{}

func (acker) Put(_ context.Context, m ingest.Message) error {
	m.Ack()
	return nil
}

// cpu is the time that this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// TestBenchmarkPublisher is the other process of the benchmarks.
func TestBenchmarkPublisher(t *testing.T) {
	addr, count, ok := strings.Cut(os.Getenv("FIREWATCH_PUBLISH"), " ")
	if !ok {
		t.Skip("only a benchmark runs it")
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	const connections = 8
	for i := range connections {
		all.Go(func() { publishMany(t, addr, fmt.Sprint("tr-", i), n/connections+min(1, max(0, n%connections-i))) })
	}
	all.Wait()
}

func publishMany(t *testing.T, addr, username string, n int) {
	t.Helper()
	c, err := tryDial(addr, username, username)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	window := make(chan struct{}, 1000)
	var acks sync.WaitGroup
	acks.Go(func() {
		r := bufio.NewReaderSize(c, 16<<10)
		ack := make([]byte, 4)
		for range n {
			if _, err := io.ReadFull(r, ack); err != nil || ack[0] != 0x40 {
				t.Errorf("PUBACK %x: %v", ack, err)
				return
			}
			<-window
		}
	})
	w := bufio.NewWriterSize(c, 16<<10)
	start := time.Now().Add(-time.Hour).UnixMilli()
	topic := "fw/v1/trackers/" + username + "/positions"
	for i := range n {
		select {
		case window <- struct{}{}:
		default:
			_ = w.Flush()
			window <- struct{}{}
		}
		payload := fmt.Appendf(nil, `{"t":%d,"seq":%d,"lat":39.1234567,"lon":115.2345678,"alt_m":812.5,"speed_ms":1.25,"course_deg":271.5,"sats":11,"battery_pct":87.5,"rssi_dbm":-71,"buffered":0}`,
			start+int64(i), i+1)
		_, _ = w.Write(appendPublish(nil, topic, uint16(i%65535+1), payload))
	}
	_ = w.Flush()
	acks.Wait()
}
