package simulate_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/cmd/internal/simulate"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
	"firewatch/ingest"
	"firewatch/ingest/broker"
)

// server is the real embedded broker over an acceptor that keeps what it took.
type server struct {
	addr string
	stop func()

	mu       sync.Mutex
	secrets  map[string]string
	kinds    map[string]contract.Kind
	readings map[reading]int
	classes  map[contract.Class]int
	answers  []contract.Answer
	faults   []string
	messages int
	heard    chan struct{} // something came
	refused  []string      // user names
	quiet    bool          // takes without acknowledging
}

type reading struct {
	device contract.DeviceID
	ms     int64
	seq    uint64
}

func newServer(fleet []simulate.Member, terminals []simulate.Terminal) *server {
	s := &server{
		secrets: map[string]string{"service": "s"}, kinds: map[string]contract.Kind{},
		readings: map[reading]int{}, classes: map[contract.Class]int{}, heard: make(chan struct{}, 1),
	}
	for _, m := range fleet {
		s.secrets[string(m.ID)], s.kinds[string(m.ID)] = m.Secret, m.Kind
	}
	for _, t := range terminals {
		s.secrets["team:"+string(t.Team)] = t.Secret
	}
	return s
}

func (s *server) Authenticate(username string, password []byte) (ingest.Principal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want, ok := s.secrets[username]; !ok || want != string(password) {
		s.refused = append(s.refused, username)
		return ingest.Principal{}, false
	}
	if username == "service" {
		return ingest.Principal{Service: true}, true
	}
	if team, ok := strings.CutPrefix(username, "team:"); ok {
		return ingest.Principal{Team: contract.TeamID(team)}, true
	}
	return ingest.Principal{Device: contract.DeviceID(username), Kind: s.kinds[username]}, true
}

func (s *server) Put(_ context.Context, m ingest.Message) error {
	topic, err := contract.ParseTopic(m.Topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages++
	switch {
	case err != nil:
		s.faults = append(s.faults, err.Error())
	case topic.Answers:
		a, err := contractv1.DecodeAnswer(topic, m.Payload, m.Received)
		if err != nil {
			s.faults = append(s.faults, err.Error())
		}
		s.answers = append(s.answers, a)
	default:
		rs, faults := contractv1.Decode(nil, topic, m.Payload, m.Received)
		for _, f := range faults {
			s.faults = append(s.faults, m.Topic+": "+f.Error())
		}
		for _, r := range rs {
			if online, said := r.Values.Get(contract.Online); said && online == 0 {
				continue // a last will
			}
			s.readings[reading{r.Device, r.Measured.UnixMilli(), r.Seq}]++
			s.classes[r.Class]++
		}
	}
	if !s.quiet {
		go m.Ack()
	}
	select {
	case s.heard <- struct{}{}:
	default:
	}
	return nil
}

// listen starts the broker, at the same address as before.
func (s *server) listen(t *testing.T) {
	t.Helper()
	addr := s.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var b *broker.Broker
	var err error
	for range 100 {
		if b, err = broker.New(broker.Options{Addr: addr, Credential: s, Log: zap.NewNop()}); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond) // the port may take a moment to be free
	}
	if err != nil {
		t.Fatal(err)
	}
	s.addr = b.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, s) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	for range 500 {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			c.Close()
			return
		}
	}
}

// until waits until the condition, which is asked under the lock, holds.
func (s *server) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		s.mu.Lock()
		ok := cond()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.heard:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// someFleet is n devices in the mountains, three wardens to a sensor.
func someFleet(n int) []simulate.Member {
	fleet := make([]simulate.Member, n)
	for i := range fleet {
		id := contract.DeviceID("trk-" + string(rune('a'+i%26)) + itoa(i))
		kind := contract.Tracker
		if i%4 == 3 {
			id, kind = contract.DeviceID("s-"+itoa(i)), contract.Sensor
		}
		fleet[i] = simulate.Member{
			ID: id, Kind: kind, Secret: "secret-" + string(id), Area: "130624" + itoa(101+i%9),
			Lat: 38.85 + float64(i%37)*0.011, Lon: 114.1 + float64(i%29)*0.013, Expect: time.Minute,
		}
	}
	return fleet
}
