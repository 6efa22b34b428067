package mqtt_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap/zaptest"

	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
	"firewatch/ingest/mqtt"
)

func source(t *testing.T, m *ingesttest.Mosquitto) *mqtt.Source {
	t.Helper()
	s, err := mqtt.New(mqtt.Options{URL: m.URL(), ClientID: "firewatch-test", Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publisher(t *testing.T, url string) func(t *testing.T, topic string, payload []byte) <-chan struct{} {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("publisher").SetCleanSession(false).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(100 * time.Millisecond))
	t.Cleanup(func() { c.Disconnect(0) })
	if !c.Connect().WaitTimeout(30 * time.Second) { // paho has a race with what is published before
		t.Fatal("the publisher does not connect")
	}
	return func(_ *testing.T, topic string, payload []byte) <-chan struct{} {
		return c.Publish(topic, 1, false, payload).Done()
	}
}

func TestSource(t *testing.T) {
	ingesttest.SourceSuite(t, ingesttest.SourceOptions{New: func(t *testing.T) ingesttest.SourceBench {
		m := ingesttest.StartMosquitto(t)
		return ingesttest.SourceBench{
			Open:    func(t *testing.T) ingesttest.Source { return source(t, m) },
			Publish: publisher(t, m.URL()),
		}
	}})
}

type acceptFunc func(context.Context, ingest.Message) error

func (f acceptFunc) Put(ctx context.Context, m ingest.Message) error { return f(ctx, m) }

func TestBrokerRestartIsSurvivedWithoutLoss(t *testing.T) {
	m := ingesttest.StartMosquitto(t)
	s := source(t, m)
	got := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, acceptFunc(func(_ context.Context, m ingest.Message) error {
			got <- string(m.Payload)
			m.Ack()
			return nil
		}))
	}()
	ingesttest.Eventually(t, "the subscription", func() bool { return s.Ready() == nil })
	publish := publisher(t, m.URL())
	<-publish(t, "fw/v1/trackers/a/positions", []byte("before"))
	m.Stop(t)
	ingesttest.Eventually(t, "the loss to be noticed", func() bool { return s.Ready() != nil })
	sent := publish(t, "fw/v1/trackers/a/positions", []byte("after"))
	m.Start(t)
	<-sent
	seen := map[string]bool{}
	for !seen["before"] || !seen["after"] {
		select {
		case p := <-got:
			seen[p] = true
		case <-time.After(30 * time.Second):
			t.Fatalf("got only %v", seen)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	log := zaptest.NewLogger(t)
	for want, o := range map[string]mqtt.Options{
		"URL":      {URL: "broker:1883", ClientID: "a", Log: log},
		"ClientID": {URL: "tcp://h:1", Log: log},
		"Log":      {URL: "tcp://h:1", ClientID: "a"},
	} {
		if _, err := mqtt.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
	_, err := mqtt.New(mqtt.Options{URL: "tcp://user:hunter2@", ClientID: "a", Log: log})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password, or there is none: %v", err)
	}
}

func TestRefusedMessageEndsTheSourceWithItsReason(t *testing.T) {
	m := ingesttest.StartMosquitto(t)
	s := source(t, m)
	full := errors.New("no room")
	done := make(chan error, 1)
	go func() {
		done <- s.Run(t.Context(), acceptFunc(func(context.Context, ingest.Message) error { return full }))
	}()
	ingesttest.Eventually(t, "the subscription", func() bool { return s.Ready() == nil })
	publisher(t, m.URL())(t, "fw/v1/trackers/a/positions", []byte("x"))
	if err := <-done; !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}
