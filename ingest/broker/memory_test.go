package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"firewatch/ingest/broker"
)

// BenchmarkIdleClient is what the broker holds for a client that is connected
// and has subscribed, in bytes: 2,000 of them, in another process.
func BenchmarkIdleClient(b *testing.B) {
	heap, stack := idle(b, 2000)
	b.ReportMetric(float64(heap), "heap-B/client")
	b.ReportMetric(float64(stack), "stack-B/client")
	b.ReportMetric(0, "ns/op")
}

func TestAnIdleClientCostsLittle(t *testing.T) {
	heap, stack := idle(t, 500)
	t.Logf("%d bytes of heap and %d of stack for a client", heap, stack)
	if heap+stack > 24<<10 {
		t.Errorf("%d bytes for a client", heap+stack)
	}
}

// idle measures the memory for a client, of n.
func idle(tb testing.TB, n int) (heap, stack int64) {
	tb.Helper()
	addr, _ := startWith(tb, broker.Options{Flood: &broker.Flood{}})
	usage := func() (heap, stack int64) {
		for range 5 { // each halves a stack at most once
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc), int64(m.StackInuse)
	}
	h0, s0 := usage()
	release := crowd(tb, addr, n)
	h1, s1 := usage()
	release()
	return (h1 - h0) / int64(n), (s1 - s0) / int64(n)
}

// crowd starts a process with n clients that have subscribed. It ends with
// release, or with the test.
func crowd(tb testing.TB, addr string, n int) (release func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrowd$")
	p.Env = append(os.Environ(), fmt.Sprintf("FIREWATCH_CROWD=%s %d", addr, n))
	p.Stderr = os.Stderr
	in, err := p.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	release = func() {
		_ = in.Close()
		_ = p.Wait()
		cancel()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "connected\n" {
		cancel()
		_ = p.Wait()
		tb.Fatalf("the crowd says %q: %v", line, err)
	}
	return release
}

// TestCrowd is the other process of crowd.
func TestCrowd(t *testing.T) {
	var addr string
	var n int
	if _, err := fmt.Sscan(os.Getenv("FIREWATCH_CROWD"), &addr, &n); err != nil {
		t.Skip("only other tests run it")
	}
	for i := range n {
		name := fmt.Sprint("crowd-", i)
		c, err := tryDial(addr, name, name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.subscribe(t, "fw/v1/trackers/"+name+"/orders")
	}
	fmt.Println("connected") //nolint:forbidigo // to the test that started it
	_, _ = io.Copy(io.Discard, os.Stdin)
}
