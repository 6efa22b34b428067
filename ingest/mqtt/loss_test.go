package mqtt_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap/zaptest"

	"firewatch/ingest"
	"firewatch/ingest/ingesttest"
	"firewatch/ingest/mqtt"
)

const topic = "fw/v1/trackers/a/positions"

// start runs a Source until the test ends, or until stop is called.
func start(t *testing.T, o mqtt.Options, to ingest.Acceptor) (s *mqtt.Source, stop func()) {
	t.Helper()
	o.Log = zaptest.NewLogger(t)
	s, err := mqtt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, to) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	ingesttest.Eventually(t, "the subscription", func() bool { return s.Ready() == nil })
	return s, stop
}

// tally counts payloads, and acknowledges what hold does not want to keep.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
	held []func()
	hold bool
}

func (c *tally) Put(_ context.Context, m ingest.Message) error {
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[string(m.Payload)]++
	hold := c.hold
	if hold {
		c.held = append(c.held, m.Ack)
	}
	c.mu.Unlock()
	if !hold {
		m.Ack()
	}
	return nil
}

func (c *tally) distinct() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (c *tally) of(payload string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[payload]
}

func TestTwoShareASubscriptionAndOneIsCutOff(t *testing.T) {
	m := ingesttest.StartMosquitto(t)
	r := startRelay(t, m.Addr)
	var all tally
	_, stopA := start(t, mqtt.Options{URL: r.url(), ClientID: "a", Group: "firewatch"}, &all)
	_, stopB := start(t, mqtt.Options{URL: m.URL(), ClientID: "b", Group: "firewatch"}, &all)
	publish := publisher(t, m.URL())
	const n = 4000
	var last <-chan struct{}
	for i := range n {
		last = publish(t, topic, fmt.Append(nil, i))
		if i == n/2 {
			ingesttest.Eventually(t, "the first messages", func() bool { return all.distinct() > n/4 })
			if r.cut() != 1 {
				t.Fatal("there was no connection to cut")
			}
		}
	}
	<-last
	ingesttest.Eventually(t, "every message", func() bool { return all.distinct() == n })
	stopA()
	stopB()

	// What was not acknowledged when the connection was cut comes once more, and
	// was not lost; after that the sessions hold nothing but what is new.
	for _, id := range []string{"a", "b"} {
		for round, word := range []string{"new", "newer"} {
			var again tally
			_, stop := start(t, mqtt.Options{URL: m.URL(), ClientID: id, Filters: []string{topic + "/none/" + id}}, &again)
			<-publish(t, topic+"/none/"+id, []byte(word))
			ingesttest.Eventually(t, "the new message", func() bool { return again.of(word) == 1 })
			stop()
			for payload := range again.seen {
				if payload != word && (round > 0 || all.of(payload) == 0) {
					t.Errorf("session %s held %s back", id, payload)
				}
			}
		}
	}
}

func TestAcksOfALostConnectionConfirmNothing(t *testing.T) {
	m := ingesttest.StartMosquitto(t)
	r := startRelay(t, m.Addr)
	held := &tally{hold: true}
	_, stop := start(t, mqtt.Options{URL: r.url(), ClientID: "a"}, held)
	publish := publisher(t, m.URL())
	for i := range 5 {
		<-publish(t, topic, fmt.Append(nil, i))
	}
	ingesttest.Eventually(t, "all messages", func() bool { return held.distinct() == 5 })
	held.mu.Lock()
	old := held.held
	held.mu.Unlock()
	r.cut()
	ingesttest.Eventually(t, "all messages again", func() bool {
		held.mu.Lock()
		defer held.mu.Unlock()
		return len(held.held) == 10
	})
	for _, ack := range old {
		ack()
	}
	r.cut() // and nothing is acknowledged at the stop
	stop()

	var again tally
	start(t, mqtt.Options{URL: m.URL(), ClientID: "a"}, &again)
	ingesttest.Eventually(t, "the messages that were acknowledged on the lost connection only", func() bool { return again.distinct() == 5 })
}

func TestWhatIsNotTakenOffTheConnectionArrivesToo(t *testing.T) {
	m := ingesttest.StartMosquitto(t)
	var got tally
	_, stop := start(t, mqtt.Options{URL: m.URL(), ClientID: "a"}, &got)
	publish := publisher(t, m.URL())
	large := strings.Repeat("x", 200_000) // more than wire's buffer: paho's
	<-publish(t, topic, []byte(large))
	<-publish(t, topic, []byte("small"))
	ingesttest.Eventually(t, "both", func() bool { return got.of(large) == 1 && got.of("small") == 1 })
	stop()

	var again tally
	start(t, mqtt.Options{URL: m.URL(), ClientID: "a"}, &again)
	<-publish(t, topic, []byte("new"))
	ingesttest.Eventually(t, "the new message", func() bool { return again.of("new") == 1 })
	if again.distinct() != 1 {
		t.Error("a message that was acknowledged came again")
	}
}

func TestBrokerThatDropsMessagesIsNamed(t *testing.T) {
	m := ingesttest.StartMosquitto(t, "max_inflight_messages 20", "max_queued_messages 100", "sys_interval 1")
	held := &tally{hold: true}
	s, _ := start(t, mqtt.Options{URL: m.URL(), ClientID: "a"}, held)
	publish := publisher(t, m.URL())
	<-publish(t, topic, []byte("first"))
	ingesttest.Eventually(t, "the first message", func() bool { return held.distinct() == 1 })
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		<-publish(t, topic, fmt.Append(nil, i))
	}
	ingesttest.Eventually(t, "the loss to be named", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "max_queued_messages")
	})
	if w := s.Warnings(); len(w) == 0 || !strings.Contains(w[0], "dropped") {
		t.Errorf("warnings: %q", w)
	}
}

// backlog leaves n messages for the session of a, then has them drained by a
// Source whose messages are safe after a while.
func backlog(t *testing.T, m *ingesttest.Mosquitto, n int) *mqtt.Source {
	t.Helper()
	_, stop := start(t, mqtt.Options{URL: m.URL(), ClientID: "a"}, &tally{})
	stop()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(m.URL()).SetClientID("filler"))
	c.Connect().Wait()
	for i := range n {
		c.Publish(topic, 1, false, fmt.Append(nil, i)).Wait()
	}
	c.Disconnect(100)
	var got tally
	s, _ := start(t, mqtt.Options{URL: m.URL(), ClientID: "a"}, commits(t, &got))
	ingesttest.Eventually(t, "the backlog", func() bool { return got.distinct() == n })
	return s
}

type acceptor chan ingest.Message

func (a acceptor) Put(_ context.Context, m ingest.Message) error { a <- m; return nil }

// commits acknowledges in batches, after the time of an fsync.
func commits(t *testing.T, to *tally) ingest.Acceptor {
	t.Helper()
	a := make(acceptor, 1<<16)
	ctx := t.Context()
	go func() {
		tick := time.NewTicker(4 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for n := len(a); n > 0; n-- {
				_ = to.Put(ctx, <-a)
			}
		}
	}()
	return a
}

// mosquitto 2.0 lets each PUBACK of a batch release as many as its limit, so its
// stock limit of 20 grows past 500 here; TestWindow has the brokers that keep to
// theirs.
func TestNarrowWindowOfTheBrokerIsNamed(t *testing.T) {
	narrow := backlog(t, ingesttest.StartMosquitto(t, "max_inflight_messages 1"), 1200)
	if w := strings.Join(narrow.Warnings(), "\n"); !strings.Contains(w, "at most 1 messages") {
		t.Errorf("with a window of 1 the warnings are %q", w)
	}
	wide := backlog(t, ingesttest.StartMosquitto(t), 3000)
	if w := wide.Warnings(); len(w) != 0 {
		t.Errorf("without a limit the warnings are %q", w)
	}
}

// A broker that knows only QoS 0 can lose everything that comes while nobody is
// connected: nobody reads it unless he says that he knows.
func TestOnlyQoS0IsRefusedOrSaid(t *testing.T) {
	m := ingesttest.StartMosquitto(t, "max_qos 0")
	strict, err := mqtt.New(mqtt.Options{URL: m.URL(), ClientID: "strict", Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- strict.Run(ctx, &tally{}) }()
	ingesttest.Eventually(t, "the refusal", func() bool {
		err := strict.Ready()
		return err != nil && strings.Contains(err.Error(), "QoS 0")
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	easy, _ := start(t, mqtt.Options{URL: m.URL(), ClientID: "easy", BestEffort: true}, &tally{})
	if w := strings.Join(easy.Warnings(), " "); !strings.Contains(w, "QoS 0") {
		t.Errorf("warnings %q do not say it", w)
	}
}
