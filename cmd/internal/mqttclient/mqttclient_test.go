package mqttclient_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"firewatch/cmd/internal/mqttclient"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeper takes all messages; it acknowledges them unless it is told not to.
type keeper struct {
	mu    sync.Mutex
	quiet bool
	came  chan ingest.Message
}

func (k *keeper) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	return ingest.Principal{Device: contract.DeviceID(username), Kind: contract.Tracker}, string(password) == "secret"
}

func (k *keeper) Put(_ context.Context, m ingest.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.quiet {
		go m.Ack()
	}
	k.came <- m
	return nil
}

func (k *keeper) setQuiet(q bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.quiet = q
}

func (k *keeper) next(t *testing.T) ingest.Message {
	t.Helper()
	select {
	case m := <-k.came:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return ingest.Message{}
	}
}

// serve runs the broker and returns where it is and how it is ended.
func (k *keeper) serve(t *testing.T, addr string, conf *tls.Config) (string, func()) {
	t.Helper()
	var b *broker.Broker
	var err error
	for range 200 { // a port that was just closed may take a moment
		if b, err = broker.New(broker.Options{Addr: addr, TLS: conf, Credential: k, Log: zap.NewNop()}); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, k) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return b.Addr(), stop
}

// run runs a client until the test ends.
func run(t *testing.T, o mqttclient.Options) *mqttclient.Client {
	t.Helper()
	o.ClientID = "c"
	if o.Username == "" {
		o.Username = "d-1"
	}
	if o.Password == "" {
		o.Password = "secret"
	}
	c, err := mqttclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

const topic = "fw/v1/trackers/d-1/positions"

func TestSendsAgainWhatWasNotAcknowledged(t *testing.T) {
	k := &keeper{came: make(chan ingest.Message, 100)}
	addr, stop := k.serve(t, "127.0.0.1:0", nil)
	acked := make(chan int, 10)
	connects := make(chan bool, 10)
	c := run(t, mqttclient.Options{MQTT: addr, Window: 3, OnConnect: func(again bool) { connects <- again }})
	if again := <-connects; again {
		t.Error("the first connection is called another one")
	}
	publish := func(n int) bool { return c.Publish(topic, []byte{byte(n)}, func() { acked <- n }) }
	publish(0)
	if m := k.next(t); m.Payload[0] != 0 || <-acked != 0 {
		t.Error("the first message")
	}
	k.setQuiet(true)
	for n := 1; n <= 3; n++ {
		if !publish(n) {
			t.Errorf("message %d was not taken", n)
		}
		k.next(t)
	}
	if publish(4) || c.Room() != 0 || c.Outstanding() != 3 {
		t.Errorf("room %d, outstanding %d", c.Room(), c.Outstanding())
	}
	stop()
	k.setQuiet(false)
	k.serve(t, addr, nil)
	for n := 1; n <= 3; n++ { // in order
		if m := k.next(t); m.Payload[0] != byte(n) {
			t.Errorf("message %d comes as number %d", m.Payload[0], n)
		}
	}
	for range 3 {
		<-acked
	}
	if again := <-connects; !again || c.Resent() != 3 || c.Outstanding() != 0 {
		t.Errorf("again %v, %d sent again, %d outstanding", again, c.Resent(), c.Outstanding())
	}
}

func TestPublishBeforeConnecting(t *testing.T) {
	k := &keeper{came: make(chan ingest.Message, 100)}
	addr, _ := k.serve(t, "127.0.0.1:0", nil)
	acked := make(chan struct{})
	c, err := mqttclient.New(mqttclient.Options{MQTT: "mqtt://" + addr, ClientID: "c", Username: "d-1", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	c.Publish(topic, []byte("early"), func() { close(acked) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	if m := k.next(t); string(m.Payload) != "early" {
		t.Errorf("%s", m.Payload)
	}
	<-acked
	if c.Resent() != 0 {
		t.Error("what is sent the first time counts as sent again")
	}
	cancel()
	<-done
}

func TestRefusals(t *testing.T) {
	k := &keeper{came: make(chan ingest.Message, 100)}
	addr, _ := k.serve(t, "127.0.0.1:0", nil)
	lost := make(chan error, 100)
	run(t, mqttclient.Options{MQTT: addr, Username: "d-7", Password: "wrong", OnLost: func(err error) { lost <- err }})
	err := <-lost
	var refused *mqttclient.RefusedError
	if !errors.As(err, &refused) || !refused.Credential() || !strings.Contains(err.Error(), "d-7") || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	denied := make(chan error, 1)
	run(t, mqttclient.Options{MQTT: addr, Subscribe: "fw/v1/trackers/other/orders", OnSubscribe: func(err error) { denied <- err }})
	if err := <-denied; !strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
}

func TestKeepAlive(t *testing.T) {
	k := &keeper{came: make(chan ingest.Message, 100)}
	addr, _ := k.serve(t, "127.0.0.1:0", nil)
	lost := make(chan error, 100)
	connected := make(chan bool, 10)
	// The broker ends a connection after one and a half times the keep-alive.
	c := run(t, mqttclient.Options{MQTT: addr, KeepAlive: time.Second, OnLost: func(err error) { lost <- err }, OnConnect: func(again bool) { connected <- again }})
	<-connected
	select {
	case err := <-lost:
		t.Error(err)
	case <-time.After(4 * time.Second): // that nothing happens is what is asked
	}
	acked := make(chan struct{})
	c.Publish(topic, []byte("x"), func() { close(acked) })
	<-acked
}

// TestADeadBrokerIsNoticed has one that is there and says nothing.
func TestADeadBrokerIsNoticed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if _, err := conn.Read(make([]byte, 1024)); err == nil {
				_, _ = conn.Write([]byte{0x20, 2, 0, 0}) // CONNACK, and then silence
			}
		}
	}()
	lost := make(chan error, 100)
	run(t, mqttclient.Options{MQTT: l.Addr().String(), KeepAlive: 200 * time.Millisecond, OnLost: func(err error) { lost <- err }})
	if err := <-lost; !strings.Contains(err.Error(), "no answer to a ping") {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{came: make(chan ingest.Message, 100)}
	addr, _ := k.serve(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	pool := x509.NewCertPool()
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	acked := make(chan struct{})
	c := run(t, mqttclient.Options{MQTT: "ssl://" + addr, TLS: &tls.Config{RootCAs: pool}})
	c.Publish(topic, bytes.Repeat([]byte("x"), 40_000), func() { close(acked) })
	if m := k.next(t); len(m.Payload) != 40_000 {
		t.Errorf("%d bytes", len(m.Payload))
	}
	<-acked
	lost := make(chan error, 100)
	run(t, mqttclient.Options{MQTT: "ssl://" + addr, OnLost: func(err error) { lost <- err }})
	if err := <-lost; !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"http://a:1", "a:b:c", "ws://x"} {
		if _, err := mqttclient.New(mqttclient.Options{MQTT: bad, ClientID: "c"}); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	for _, good := range []string{"127.0.0.1:1883", "localhost", "tcp://[::1]:1883", "ssl://broker.example", "mqtts://broker.example:1/", ":1883"} {
		if _, err := mqttclient.New(mqttclient.Options{MQTT: good, ClientID: "c"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := mqttclient.New(mqttclient.Options{MQTT: "a:1"}); err == nil {
		t.Error("no client id")
	}
}
