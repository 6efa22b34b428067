package wire_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"firewatch/ingest/wire"
)

// tcp is a connected pair over loopback.
func tcp(tb testing.TB) (here, there net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return here, there
}

func TestPacedConnectionDeliversAllAndTheLast(t *testing.T) {
	here, there := tcp(t)
	var got int
	came := make(chan int, 1)
	c := wrap(t, here, wire.Options{Version: 4, Pace: true, Publish: func(p wire.Publish) (bool, error) {
		if int(p.ID) != got%50_000+1 {
			return false, errors.New("out of order")
		}
		if got++; p.Topic == "last" {
			came <- got
		}
		return true, nil
	}})
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	rnd := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for round := range 40 {
		n, pause := rnd.IntN(2000), time.Duration(rnd.IntN(3))*time.Millisecond
		for i := range n + 1 {
			topic := "some"
			if i == n {
				topic = "last" // alone, and far below what is waited for
				time.Sleep(pause)
			}
			if _, err := there.Write(publish(4, 1, uint16(sent%50_000+1), topic, "payload")); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		select {
		case n := <-came:
			if n != sent {
				t.Fatalf("round %d: %d messages came, %d were sent", round, n, sent)
			}
		case err := <-ended:
			t.Fatalf("round %d: %v", round, err)
		case <-time.After(30 * time.Second):
			t.Fatalf("round %d: the last message never came", round)
		}
	}
	_ = there.Close()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("the end of the stream is %v, want EOF", err)
	}
}

func TestPacedConnectionKeepsDeadlines(t *testing.T) {
	here, there := tcp(t)
	c := wrap(t, here, wire.Options{Version: 4, Pace: true, Publish: func(wire.Publish) (bool, error) { return true, nil }})
	busy := func() {
		for range 2000 {
			_, _ = there.Write(publish(4, 0, 0, "a", "payload"))
		}
		_, _ = there.Write(ping)
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		busy()
	}
	began := time.Now()
	_ = c.SetReadDeadline(began.Add(50 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) < 50*time.Millisecond {
		t.Fatalf("%v after %s, want the deadline", err, time.Since(began))
	}
	_ = c.SetReadDeadline(time.Time{})
	busy() // reads on after a deadline
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	_ = c.SetReadDeadline(time.Unix(1, 0)) // the way to wake a reader
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a reader that is woken got %v", err)
	}
	_ = c.SetReadDeadline(time.Time{})
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	_ = c.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a reader of a closed connection got %v", err)
	}
}
