//go:build unix

package mqtt_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
	"firewatch/ingest/mqtt"
)

// sources are the Source, and what it would be on paho alone.
var sources = map[string]func(context.Context, string, ingest.Acceptor) error{
	"paho": pahoOnly,
	"wire": func(ctx context.Context, url string, to ingest.Acceptor) error {
		s, err := mqtt.New(mqtt.Options{URL: url, ClientID: "bench", Log: zap.NewNop()})
		if err != nil {
			return err
		}
		return s.Run(ctx, to)
	},
}

// BenchmarkDrain drains a backlog from a real mosquitto, with the Source and
// with what it would be on paho alone, and reports the CPU of this process:
//
//	go test -run '^$' -bench Drain -benchtime 200000x ./ingest/mqtt
func BenchmarkDrain(b *testing.B) {
	for name, run := range sources {
		b.Run(name, func(b *testing.B) {
			m := ingesttest.StartMosquitto(b)
			session(b, m, run)
			fill(b, m.Addr, b.N)
			drain(b, m, run)
		})
	}
}

// session makes the persistent session that the backlog waits in.
func session(b *testing.B, m *ingesttest.Mosquitto, run func(context.Context, string, ingest.Acceptor) error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	to := &batches{want: 1, all: cancel}
	go func() { done <- run(ctx, m.URL(), to) }()
	for ctx.Err() == nil { // until the subscription is there
		fill(b, m.Addr, 1)
		to.commit()
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func drain(b *testing.B, m *ingesttest.Mosquitto, run func(context.Context, string, ingest.Acceptor) error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	to := &batches{want: b.N, all: cancel}
	var commits sync.WaitGroup
	commits.Go(func() {
		tick := time.NewTicker(4 * time.Millisecond) // about an fsync
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			to.commit()
		}
	})
	b.ResetTimer()
	before, began := cpu(b), time.Now()
	if err := run(ctx, m.URL(), to); err != nil {
		b.Fatal(err)
	}
	took, used := to.ended.Sub(began), cpu(b)-before
	commits.Wait()
	b.ReportMetric(float64(b.N)/took.Seconds(), "msgs/s")
	b.ReportMetric(used.Seconds()/float64(b.N)*1e6, "cpu-s/M")
}

// batches acknowledges in batches, as the intake does.
type batches struct {
	want  int
	all   func() // called when all have come
	ended time.Time

	mu          sync.Mutex
	next, spare []ingest.Message
	got         int
}

func (t *batches) Put(_ context.Context, m ingest.Message) error {
	t.mu.Lock()
	t.next = append(t.next, m)
	t.mu.Unlock()
	return nil
}

func (t *batches) commit() {
	t.mu.Lock()
	batch := t.next
	t.next = t.spare[:0]
	t.mu.Unlock()
	for i := range batch {
		batch[i].Ack()
	}
	t.got += len(batch)
	clear(batch)
	t.spare = batch
	if t.got >= t.want && t.ended.IsZero() {
		t.ended = time.Now()
		t.all()
	}
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill publishes n messages of the usual size and waits for their PUBACKs.
func fill(b *testing.B, addr string, n int) {
	b.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(c, 64<<10)
		_, err := w.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04fill"))
		for i := 0; i < n && err == nil; i++ {
			payload := fmt.Sprintf(`{"t":%d,"seq":%d,"lat":39.123456,"lon":115.234567,"alt":834.5,"speed":1.2,"course":123.4,"acc":5.5,"sats":11,"battery":87,"temp":21.5,"lte":-87,"charging":false}`,
				1760000000000+i, i)
			topic := fmt.Sprintf("fw/v1/trackers/tracker-%04d/positions", i%1000)
			p := binary.BigEndian.AppendUint16(nil, uint16(len(topic)))
			p = append(p, topic...)
			p = binary.BigEndian.AppendUint16(p, uint16(i%65_535+1))
			p = append(p, payload...)
			_, err = w.Write(append([]byte{0x32, byte(len(p)) | 0x80, byte(len(p) >> 7)}, p...))
		}
		if err == nil {
			err = w.Flush()
		}
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, bufio.NewReader(c), int64(4+4*n)); err != nil { // CONNACK and PUBACKs
		b.Fatal(err)
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
}

// pahoOnly is a Source whose messages come through paho.
func pahoOnly(ctx context.Context, url string, to ingest.Acceptor) error {
	var acks ingest.AckQueue
	var outstanding ingest.Outstanding
	receive := func(_ paho.Client, m paho.Message) {
		outstanding.Take()
		_ = to.Put(ctx, ingest.Message{
			Topic: m.Topic(), Payload: m.Payload(), Received: time.Now().UTC(),
			Ack: func() { acks.Add(func() { m.Ack(); outstanding.Done() }) },
		})
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("bench").SetCleanSession(false).
		SetAutoAckDisabled(true).SetOrderMatters(true).SetDefaultPublishHandler(receive))
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	if t := c.Subscribe("fw/v1/trackers/+/positions", 1, receive); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	<-ctx.Done()
	outstanding.Drain(5 * time.Second)
	c.Disconnect(250)
	return nil
}

// BenchmarkLatency publishes 2,000 messages a second and reports how long they
// take through the broker to the intake:
//
//	go test -run '^$' -bench Latency -benchtime 20000x ./ingest/mqtt
func BenchmarkLatency(b *testing.B) {
	for name, run := range sources {
		b.Run(name, func(b *testing.B) {
			m := ingesttest.StartMosquitto(b)
			session(b, m, run)
			ctx, cancel := context.WithCancel(b.Context())
			took := make([]time.Duration, 0, b.N)
			done := make(chan error, 1)
			go func() {
				done <- run(ctx, m.URL(), acceptFunc(func(_ context.Context, m ingest.Message) error {
					if at, err := strconv.ParseInt(string(m.Payload), 10, 64); err == nil {
						took = append(took, time.Since(time.Unix(0, at)))
						if len(took) == b.N {
							cancel()
						}
					}
					m.Ack()
					return nil
				}))
			}()
			c := paho.NewClient(paho.NewClientOptions().AddBroker(m.URL()).SetClientID("sender"))
			if t := c.Connect(); t.Wait() && t.Error() != nil {
				b.Fatal(t.Error())
			}
			tick := time.NewTicker(time.Millisecond)
			b.ResetTimer()
			for sent := 0; sent < b.N; sent += 2 {
				<-tick.C
				for range min(2, b.N-sent) {
					c.Publish("fw/v1/trackers/a/positions", 1, false, strconv.AppendInt(nil, time.Now().UnixNano(), 10))
				}
			}
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			c.Disconnect(100)
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
