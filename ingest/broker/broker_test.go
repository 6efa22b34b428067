package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap/zaptest"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/broker"
	"firewatch/ingest/ingesttest"
)

// credentials lets every client in whose password is "pw-" and its name.
type credentials struct{}

func (credentials) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	if string(password) != "pw-"+username {
		return ingest.Principal{}, false
	}
	switch username {
	case "service":
		return ingest.Principal{Service: true}, true
	case "team:T1", "team:T2":
		return ingest.Principal{Team: contract.TeamID(username[5:])}, true
	case "sensor-1":
		return ingest.Principal{Device: "sensor-1", Kind: contract.Sensor}, true
	}
	return ingest.Principal{Device: contract.DeviceID(username), Kind: contract.Tracker}, true
}

func TestSource(t *testing.T) {
	ingesttest.SourceSuite(t, ingesttest.SourceOptions{New: func(t *testing.T) ingesttest.SourceBench {
		addr := "127.0.0.1:0"
		return ingesttest.SourceBench{
			HoldsPuback: true,
			Open: func(t *testing.T) ingesttest.Source {
				b, err := broker.New(broker.Options{Addr: addr, Credential: anyone{}, Log: zaptest.NewLogger(t)})
				if err != nil {
					t.Fatal(err)
				}
				addr = b.Addr()
				return b
			},
			Publish: func() func(*testing.T, string, []byte) <-chan struct{} {
				var once sync.Once
				var d *device
				return func(t *testing.T, topic string, payload []byte) <-chan struct{} {
					once.Do(func() { d = newDevice(t, addr, "anyone") })
					return d.publish(topic, payload)
				}
			}(),
		}
	}})
}

// anyone is the suite's publisher.
type anyone struct{}

func (anyone) Authenticate(string, []byte) (ingest.Principal, bool) {
	return ingest.Principal{Device: "suite", Kind: contract.Tracker}, true
}

func connect(t *testing.T, addr, username string, more func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(username + "-client").SetCleanSession(false).
		SetUsername(username).SetPassword("pw-" + username).
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(100 * time.Millisecond)
	if more != nil {
		more(o)
	}
	c := paho.NewClient(o)
	tok := c.Connect()
	if !tok.WaitTimeout(30 * time.Second) {
		t.Fatalf("%s does not connect", username)
	}
	if err := tok.Error(); err != nil {
		t.Fatalf("%s: %v", username, err)
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// taker acknowledges everything it is given at once, and keeps it.
type taker chan ingest.Message

func (c taker) Put(_ context.Context, m ingest.Message) error {
	c <- m
	if m.Ack != nil {
		m.Ack()
	}
	return nil
}

func (c taker) next(t *testing.T) ingest.Message {
	t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
		return ingest.Message{}
	}
}

func start(tb testing.TB) (addr string, got taker) {
	tb.Helper()
	return startWith(tb, broker.Options{})
}

func startWith(tb testing.TB, o broker.Options) (addr string, got taker) {
	tb.Helper()
	o.Log = zaptest.NewLogger(tb)
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Credential == nil {
		o.Credential = credentials{}
	}
	b, err := broker.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	got = make(taker, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, got) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return b.Addr(), got
}

func mosquittoPub(t *testing.T, addr string, args ...string) error {
	t.Helper()
	var host, port string
	if _, err := fmt.Sscanf(addr, "127.0.0.1:%s", &port); err != nil {
		t.Fatal(err)
	}
	host = "127.0.0.1"
	out, err := exec.CommandContext(t.Context(), "mosquitto_pub", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mosquitto_pub: %w: %s", err, out)
	}
	return nil
}

func TestEveryQoSArrivesAndIsAcknowledged(t *testing.T) {
	addr, got := start(t)
	for qos := range 3 {
		payload := fmt.Sprintf(`{"qos":%d}`, qos)
		if err := mosquittoPub(t, addr, "-u", "tr-1", "-P", "pw-tr-1", "-q", fmt.Sprint(qos), "-t", "fw/v1/trackers/tr-1/positions", "-m", payload); err != nil {
			t.Fatal(err)
		}
		if m := got.next(t); string(m.Payload) != payload {
			t.Errorf("QoS %d: got %s", qos, m.Payload)
		}
	}
	// MQTT 5 too
	if err := mosquittoPub(t, addr, "-V", "5", "-u", "tr-1", "-P", "pw-tr-1", "-q", "1", "-t", "fw/v1/trackers/tr-1/sos", "-m", "{}"); err != nil {
		t.Fatal(err)
	}
	got.next(t)
}

func TestWrongCredentialIsRefused(t *testing.T) {
	addr, got := start(t)
	for _, args := range [][]string{
		{"-u", "tr-1", "-P", "wrong"},
		{"-u", "tr-1"},
		{},
	} {
		if err := mosquittoPub(t, addr, append(args, "-q", "1", "-t", "fw/v1/trackers/tr-1/positions", "-m", "{}")...); err == nil {
			t.Errorf("%v was let in", args)
		}
	}
	if len(got) != 0 {
		t.Errorf("%d messages of refused clients were taken", len(got))
	}
}

// TestNobodyPublishesAsAnother publishes on topics that are not the client's
// own, and then on its own: only the last may arrive.
func TestNobodyPublishesAsAnother(t *testing.T) {
	tests := []struct {
		client  string
		foreign []string
		own     string
	}{
		{"tr-1", []string{
			"fw/v1/trackers/tr-2/positions", "fw/v1/trackers/tr-2/sos", "fw/v1/sensors/tr-1/readings", "fw/v1/sensors/sensor-1/readings",
			"fw/v1/teams/T1/answers", "fw/v1/teams/T1/orders", "fw/v1/trackers/tr-1/orders", "x", "fw/v1/trackers/tr-1/positions/more",
		}, "fw/v1/trackers/tr-1/positions"},
		{"sensor-1", []string{"fw/v1/trackers/sensor-1/positions", "fw/v1/sensors/sensor-2/readings"}, "fw/v1/sensors/sensor-1/readings"},
		{"team:T1", []string{"fw/v1/teams/T2/answers", "fw/v1/teams/T1/orders", "fw/v1/trackers/tr-1/positions"}, "fw/v1/teams/T1/answers"},
		{"service", []string{"fw/v1/trackers/tr-1/positions", "fw/v1/teams/T1/answers"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.client, func(t *testing.T) {
			addr, got := start(t)
			for _, topic := range tt.foreign {
				for _, version := range []string{"311", "5"} {
					// Whether the client is told differs between the versions of MQTT.
					_ = mosquittoPub(t, addr, "-V", version, "-u", tt.client, "-P", "pw-"+tt.client, "-q", "1", "-t", topic, "-m", "foreign", "-r")
				}
			}
			if tt.own != "" {
				if err := mosquittoPub(t, addr, "-u", tt.client, "-P", "pw-"+tt.client, "-q", "1", "-t", tt.own, "-m", "own"); err != nil {
					t.Fatal(err)
				}
				if m := got.next(t); string(m.Payload) != "own" || m.Topic != tt.own {
					t.Errorf("taken: %s %s", m.Topic, m.Payload)
				}
			}
			if len(got) != 0 {
				t.Errorf("taken: %s", (<-got).Topic)
			}
		})
	}
}

func TestNobodyHearsAnother(t *testing.T) {
	addr, _ := start(t)
	service := connect(t, addr, "service", nil)
	service.Publish("fw/v1/teams/T1/orders", 1, true, "for T1").Wait()
	service.Publish("fw/v1/teams/T2/orders", 1, true, "for T2").Wait()
	service.Publish("fw/v1/trackers/tr-1/orders", 1, true, "for tr-1").Wait()

	heard := make(chan string, 10)
	team := connect(t, addr, "team:T1", func(o *paho.ClientOptions) {
		o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { heard <- string(m.Payload()) })
	})
	for _, filter := range []string{"#", "fw/v1/teams/+/orders", "fw/v1/teams/T2/orders", "$SYS/#", "fw/v1/trackers/tr-1/orders", "$share/g/fw/v1/teams/T2/orders"} {
		team.Subscribe(filter, 1, nil).Wait()
	}
	team.Subscribe("fw/v1/teams/T1/orders", 1, nil).Wait()
	service.Publish("fw/v1/teams/T2/orders", 1, false, "again for T2").Wait()
	service.Publish("fw/v1/teams/T1/orders", 1, false, "again for T1").Wait()
	for _, want := range []string{"for T1", "again for T1"} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("T1 heard %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("T1 did not hear %q", want)
		}
	}
	select {
	case got := <-heard:
		t.Errorf("T1 heard %q too", got)
	default:
	}
}

func TestAnothersClientIDTakesNothingOver(t *testing.T) {
	addr, _ := start(t)
	lost := make(chan struct{}, 1)
	victim := connect(t, addr, "tr-1", func(o *paho.ClientOptions) {
		o.SetAutoReconnect(false).SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	})
	connect(t, addr, "tr-2", func(o *paho.ClientOptions) { o.SetClientID("tr-1-client") })
	tok := victim.Publish("fw/v1/trackers/tr-1/positions", 1, false, "still here")
	if !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
		t.Errorf("the victim's connection is gone: %v", tok.Error())
	}
	if len(lost) != 0 {
		t.Error("the victim was disconnected")
	}
}

func TestLastWillIsAReadingOfTheDevice(t *testing.T) {
	addr, got := start(t)
	c := connect(t, addr, "tr-1", func(o *paho.ClientOptions) {
		o.SetWill("fw/v1/trackers/tr-1/status", `{"online":false}`, 1, true).SetAutoReconnect(false)
	})
	hangUp(t, c, addr, "tr-1")
	if m := got.next(t); m.Topic != "fw/v1/trackers/tr-1/status" || string(m.Payload) != `{"online":false}` {
		t.Errorf("got %s %s", m.Topic, m.Payload)
	}
}

// hangUp ends the connection without a DISCONNECT: a second connection with the
// same client id takes the session over.
func hangUp(t *testing.T, _ paho.Client, addr, username string) {
	t.Helper()
	connect(t, addr, username, nil)
}

func TestLastWillOnAForeignTopicIsRefused(t *testing.T) {
	addr, _ := start(t)
	o := paho.NewClientOptions().AddBroker("tcp://"+addr).SetClientID("x").SetUsername("tr-1").SetPassword("pw-tr-1").
		SetWill("fw/v1/teams/T1/orders", "evacuate", 1, true)
	tok := paho.NewClient(o).Connect()
	if !tok.WaitTimeout(30*time.Second) || tok.Error() == nil {
		t.Error("a client with a foreign last will was let in")
	}
}

// TestClientThatDoesNotReadDelaysNobody has one client that publishes and never
// reads its PUBACKs; another's are answered all the same.
func TestClientThatDoesNotReadDelaysNobody(t *testing.T) {
	addr, got := start(t)
	go func() {
		for range got {
		}
	}()
	mute := dialRaw(t, addr, "raw")
	mute.publish(t, "fw/v1/trackers/tr-1/positions", 200_000)
	c := connect(t, addr, "tr-2", nil)
	for range 100 {
		tok := c.Publish("fw/v1/trackers/tr-2/positions", 1, false, "x")
		if !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
			t.Fatalf("tr-2 is not answered: %v", tok.Error())
		}
	}
}

func TestATooLargeMessageArrivesForTheQuarantine(t *testing.T) {
	addr, got := start(t)
	large := strings.Repeat("x", 3*contract.MaxMessageBytes)
	tok := connect(t, addr, "tr-1", nil).Publish("fw/v1/trackers/tr-1/positions", 1, false, large)
	if !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
		t.Fatalf("not acknowledged: %v", tok.Error())
	}
	if m := got.next(t); len(m.Payload) != len(large) {
		t.Errorf("%d bytes arrived", len(m.Payload))
	}
}

func TestAConnectionThatDoesNotLogInIsEnded(t *testing.T) {
	addr, _ := startWith(t, broker.Options{LoginTime: 500 * time.Millisecond})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(40 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reading: %v, want the end of the connection", err)
	}
	// One that has logged in stays, although it says nothing.
	idle := dialRaw(t, addr, "idle")
	if err := idle.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the idle client: %v", err)
	}
}

func TestManyClientIDsOfOneDeviceLeaveNothingBehind(t *testing.T) {
	addr, _ := start(t)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const n = 500
	for i := range n {
		// A session that asks to be kept.
		c := connect(t, addr, "tr-1", func(o *paho.ClientOptions) { o.SetClientID(fmt.Sprint("invented-", i)).SetAutoReconnect(false) })
		c.Subscribe("fw/v1/trackers/tr-1/orders", 1, nil).Wait()
		c.Disconnect(0)
	}
	ingesttest.Eventually(t, "the memory of the sessions to come back", func() bool { return heap() < before+8<<20 })
}

func TestAConnectionThatDoesNotLogInDelaysNoStop(t *testing.T) {
	b, err := broker.New(broker.Options{Addr: "127.0.0.1:0", LoginTime: time.Hour, Credential: credentials{}, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, make(taker, 1)) }()
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dialRaw(t, b.Addr(), "raw") // by now the other connection is accepted
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the broker does not stop")
	}
}

func TestCloseFreesThePortAndMayFollowRun(t *testing.T) {
	o := broker.Options{Addr: "127.0.0.1:0", Credential: credentials{}, Log: zaptest.NewLogger(t)}
	never, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Close(); err != nil {
		t.Fatal(err)
	}
	o.Addr = never.Addr()
	b, err := broker.New(o)
	if err != nil {
		t.Fatalf("the port of a broker that was never run is still taken: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx, make(taker)); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	addr, _ := start(t)
	_, err := broker.New(broker.Options{Addr: addr, Credential: credentials{}, Log: zaptest.NewLogger(t)})
	if err == nil {
		t.Fatal("two brokers on one port")
	}
	t.Log(err)
}
