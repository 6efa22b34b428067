package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest"
	"firewatch/alerts/notify/mqtt"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

const (
	user     = "firewatch-alerts" // no colon: mosquitto_passwd takes none
	password = "geheim-7f3a"
	patience = 20 * time.Second
)

// broker is a real mosquitto that asks for a password and keeps nothing on disk:
// when it is killed it has forgotten all.
type broker struct {
	addr, conf string
	log        *bytes.Buffer
	cmd        *exec.Cmd
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	for _, tool := range []string{"mosquitto", "mosquitto_passwd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: apt-get install mosquitto mosquitto-clients: %v", tool, err)
		}
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{addr: l.Addr().String(), conf: filepath.Join(dir, "mosquitto.conf")}
	_ = l.Close()
	_, port, _ := net.SplitHostPort(b.addr)
	secrets := filepath.Join(dir, "passwd")
	if out, err := exec.CommandContext(t.Context(), "mosquitto_passwd", "-b", "-c", secrets, user, password).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous false\npassword_file %s\npersistence false\nuser root\n", port, secrets)
	if err := os.WriteFile(b.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	t.Cleanup(func() { b.kill(t) })
	return b
}

func (b *broker) url() string { return "tcp://" + b.addr }

func (b *broker) start(t *testing.T) {
	t.Helper()
	b.log = &bytes.Buffer{}
	b.cmd = exec.Command("mosquitto", "-c", b.conf) // lives as long as the test wants
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "mosquitto to listen", func() bool {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (b *broker) kill(t *testing.T) {
	t.Helper()
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	b.cmd = nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// terminal is what is retained for the team.
func (b *broker) terminal(t *testing.T, team contract.TeamID) []byte {
	t.Helper()
	return b.stands(t, contract.TeamOrders(team))
}

// stands connects as a terminal does and returns what is retained on the topic.
func (b *broker) stands(t *testing.T, topic string) []byte {
	t.Helper()
	got := make(chan paho.Message, 16)
	c := paho.NewClient(paho.NewClientOptions().AddBroker(b.url()).SetClientID("terminal").
		SetUsername(user).SetPassword(password).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- m }))
	wait(t, c.Connect())
	defer c.Disconnect(100)
	wait(t, c.Subscribe(topic, 1, nil))
	// What is retained comes before this.
	const marker = "test/marker"
	wait(t, c.Subscribe(marker, 1, nil))
	wait(t, c.Publish(marker, 1, false, "x"))
	var payload []byte
	for {
		select {
		case m := <-got:
			if m.Topic() == marker {
				return payload
			}
			if !m.Retained() {
				t.Errorf("what stood on %s was not retained", m.Topic())
			}
			payload = m.Payload()
		case <-time.After(patience):
			t.Fatal("the broker does not answer")
		}
	}
}

func wait(t *testing.T, tok paho.Token) {
	t.Helper()
	if !tok.WaitTimeout(patience) {
		t.Fatal("the broker does not answer")
	}
	if err := tok.Error(); err != nil {
		t.Fatal(err)
	}
}

// run starts a Notifier on the broker.
func run(t *testing.T, b *broker) *mqtt.Notifier {
	t.Helper()
	n, err := mqtt.New(mqtt.Options{
		URL: b.url(), ClientID: "firewatch-alerts", Username: user, Password: password,
		Log: zap.NewNop(), RetryMin: 10 * time.Millisecond, RetryMax: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n.Ready() == nil {
			t.Error("ready after it was stopped")
		}
	})
	return n
}

func TestNotifier(t *testing.T) {
	alertstest.NotifierSuite(t, func(t *testing.T) alertstest.NotifierBench {
		b := startBroker(t)
		return alertstest.NotifierBench{
			Notifier: run(t, b),
			Seen: func(t *testing.T, team contract.TeamID) []contract.Order {
				got, err := contractv1.DecodeOrders(b.terminal(t, team))
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Orders) > 0 && got.Team != team {
					t.Errorf("the message for %s is marked %s", team, got.Team)
				}
				return got.Orders
			},
			Stop: b.kill, Start: b.start, Secrets: []string{password}, States: true,
		}
	})
}

func TestEmptyStateClearsTheRetainedMessage(t *testing.T) {
	b := startBroker(t)
	n := run(t, b)
	eventually(t, "the connection", func() bool { return n.Ready() == nil })
	team := alerts.Team{ID: "t1"}
	if err := n.Notify(t.Context(), team, []contract.Order{{ID: "or-1", Kind: "standby"}}); err != nil {
		t.Fatal(err)
	}
	if b.terminal(t, "t1") == nil {
		t.Fatal("nothing is retained")
	}
	for range 2 {
		if err := n.Notify(t.Context(), team, nil); err != nil {
			t.Fatal(err)
		}
		if p := b.terminal(t, "t1"); p != nil {
			t.Errorf("still retained: %s", p)
		}
	}
}

func TestTrackersAreToldAsTeamsAre(t *testing.T) {
	b := startBroker(t)
	n := run(t, b)
	to := n.Trackers()
	for _, renewed := range []<-chan struct{}{n.Renewed(), to.Renewed()} { // each hears of it
		select {
		case <-renewed:
		case <-time.After(patience):
			t.Fatal("the connection was not told of")
		}
	}
	open := []contract.Order{{ID: "cm-2", Kind: "return", Level: "orange", Text: "请返回"}, {ID: "cm-1", Kind: "locate"}}
	if err := to.Tell(t.Context(), "trk-1", open); err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), alerts.Team{ID: "trk-1"}, []contract.Order{{ID: "or-1", Kind: "standby"}}); err != nil {
		t.Fatal(err) // a team that happens to have the id
	}
	got, err := contractv1.DecodeOrders(b.stands(t, "fw/v1/trackers/trk-1/orders"))
	if err != nil || got.Team != "" || len(got.Orders) != 2 || got.Orders[0] != open[0] || got.Orders[1] != open[1] {
		t.Errorf("%+v, %v", got, err)
	}
	if err := to.Tell(t.Context(), "trk-1", nil); err != nil {
		t.Fatal(err)
	}
	if p := b.stands(t, "fw/v1/trackers/trk-1/orders"); p != nil {
		t.Errorf("still retained: %s", p)
	}
	if p := b.stands(t, "fw/v1/teams/trk-1/orders"); p == nil {
		t.Error("the team's state went with the tracker's")
	}
	var never *alerts.PermanentError
	if err := to.Tell(t.Context(), "a/b", nil); !errors.As(err, &never) {
		t.Errorf("a device that is no id: %v", err)
	}
}

func TestRenewedAfterEachConnection(t *testing.T) {
	b := startBroker(t)
	n := run(t, b)
	for i := range 3 {
		select {
		case <-n.Renewed():
		case <-time.After(patience):
			t.Fatalf("connection %d was not told of", i)
		}
		if i < 2 {
			b.kill(t)
			eventually(t, "the loss to be noticed", func() bool { return n.Ready() != nil })
			b.start(t)
		}
	}
	eventually(t, "the connection", func() bool { return n.Ready() == nil })
}

func TestCallUnderWayFailsWithTheConnection(t *testing.T) {
	b := startBroker(t)
	n := run(t, b)
	eventually(t, "the connection", func() bool { return n.Ready() == nil })
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // alive, and silent
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- n.Notify(t.Context(), alerts.Team{ID: "t1"}, []contract.Order{{ID: "or-1", Kind: "standby"}})
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Notify(ctx, alerts.Team{ID: "t2"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without an answer of the broker: %v", err)
	}
	b.kill(t)
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "lost") {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the call hangs")
	}
}

func TestOldStateIsNeverSentByANewConnection(t *testing.T) {
	b := startBroker(t)
	n := run(t, b)
	eventually(t, "the connection", func() bool { return n.Ready() == nil })
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := n.Notify(ctx, alerts.Team{ID: "t1"}, []contract.Order{{ID: "or-old", Kind: "standby"}}); err == nil {
		t.Fatal("a stopped broker answered")
	}
	b.kill(t)
	b.start(t)
	<-n.Renewed()
	eventually(t, "the connection", func() bool { return n.Ready() == nil })
	if err := n.Notify(t.Context(), alerts.Team{ID: "t2"}, nil); err != nil {
		t.Fatal(err)
	}
	if p := b.terminal(t, "t1"); p != nil {
		t.Errorf("the call that failed came out after all: %s", p)
	}
}

func TestWrongPasswordIsSaidWithoutIt(t *testing.T) {
	b := startBroker(t)
	n, err := mqtt.New(mqtt.Options{
		URL: b.url(), ClientID: "x", Username: user, Password: "wrong-" + password,
		Log: zap.NewNop(), RetryMin: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	eventually(t, "the refusal", func() bool {
		err := n.Ready()
		return err != nil && strings.Contains(err.Error(), "not Authorized")
	})
	if err := n.Ready(); strings.Contains(err.Error(), password) {
		t.Errorf("a secret stands in the error: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMoreOrdersThanAMessageHolds(t *testing.T) {
	b := startBroker(t)
	n := run(t, b)
	eventually(t, "the connection", func() bool { return n.Ready() == nil })
	var open []contract.Order
	for i := range 100 {
		open = append(open, contract.Order{ID: fmt.Sprintf("or-%d", i), Kind: "standby", Text: strings.Repeat("火", 333)})
	}
	open[1].Kind = "not a word" // must not keep the others back
	if err := n.Notify(t.Context(), alerts.Team{ID: "t1"}, open); err != nil {
		t.Fatal(err)
	}
	got, err := contractv1.DecodeOrders(b.terminal(t, "t1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Orders) < 50 || got.Orders[0].ID != "or-0" || got.Orders[1].ID != "or-2" {
		t.Errorf("%d orders were told", len(got.Orders))
	}
	var never *alerts.PermanentError
	if err := n.Notify(t.Context(), alerts.Team{ID: "t1"}, open[1:2]); !errors.As(err, &never) {
		t.Errorf("an order that cannot be written: %v", err)
	}
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	for want, o := range map[string]mqtt.Options{
		"URL":      {URL: "127.0.0.1", ClientID: "a", Log: zap.NewNop()},
		"ClientID": {URL: "tcp://127.0.0.1:1883", Log: zap.NewNop()},
		"Log":      {URL: "tcp://127.0.0.1:1883", ClientID: "a"},
	} {
		if _, err := mqtt.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := mqtt.New(mqtt.Options{URL: "tcp://u:" + password + "@[", ClientID: "a", Log: zap.NewNop()}); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("a secret stands in the error: %v", err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
