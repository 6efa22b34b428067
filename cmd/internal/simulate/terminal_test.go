package simulate_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"firewatch/cmd/internal/simulate"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// TestTerminalsHearAndAnswerOverMQTT is about the way; who says what and when is
// tested with the crew.
func TestTerminalsHearAndAnswerOverMQTT(t *testing.T) {
	fleet := someFleet(4)
	terminals := []simulate.Terminal{{Team: "T1", Secret: "one"}, {Team: "T2", Secret: "two"}, {Team: "T3", Secret: "three"}}
	s := newServer(fleet, terminals)
	s.listen(t)
	service := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.addr).SetClientID("x").SetUsername("service").SetPassword("s"))
	if tok := service.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	defer service.Disconnect(0)
	give := func(team contract.TeamID, id string) {
		doc, err := contractv1.AppendOrders(nil, contractv1.JSON, team, []contract.Order{{
			ID: id, Kind: "standby", Level: "red", Text: "待命", Issued: time.Now(), AnswerBy: time.Now().Add(time.Minute), Issuer: "office",
		}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if tok := service.Publish(contract.TeamOrders(team), 1, true, doc); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	give("T1", "or-before") // retained: it waits for the terminal
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	type result struct {
		sum simulate.Summary
		err error
	}
	done := make(chan result, 1)
	terminals[2].Secret = "wrong"
	go func() {
		sum, err := simulate.Run(ctx, simulate.Options{MQTT: s.addr, Fleet: fleet, Terminals: terminals, Every: 200 * time.Millisecond, Story: simulate.Fire})
		done <- result{sum, err}
	}()
	s.until(t, "the waiting order is delivered", func() bool { return len(s.answers) == 1 })
	give("T2", "or-now")
	s.until(t, "the new order is delivered", func() bool { return len(s.answers) == 2 })
	var tracker contract.DeviceID
	for _, m := range fleet {
		if m.Kind == contract.Tracker {
			tracker = m.ID
		}
	}
	doc, err := contractv1.AppendOrders(nil, contractv1.JSON, "", []contract.Order{{ID: "cm-1", Kind: "locate"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if tok := service.Publish(contract.DeviceOrders(tracker), 1, true, doc); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	s.until(t, "the command is delivered and done", func() bool { return len(s.answers) == 4 })
	s.until(t, "the third terminal is refused", func() bool { return slices.Contains(s.refused, "team:T3") })
	s.until(t, "devices report", func() bool { return len(s.readings) > 0 })
	stop()
	r := <-done
	if r.err == nil || !strings.Contains(r.err.Error(), "team:T3") {
		t.Errorf("a terminal was refused: %v", r.err)
	}
	for i, want := range []contract.Answer{{Team: "T1", Order: "or-before"}, {Team: "T2", Order: "or-now"}} {
		if a := s.answers[i]; a.Team != want.Team || a.Order != want.Order || a.Receipt != contract.Delivered {
			t.Errorf("%+v", a)
		}
	}
	for i, want := range []contract.Receipt{contract.Delivered, contract.Accepted} {
		if a := s.answers[2+i]; a.Device != tracker || a.Order != "cm-1" || a.Receipt != want {
			t.Errorf("%+v", a)
		}
	}
	if r.sum.OrdersHeard != 2 || r.sum.CommandsHeard != 1 || r.sum.Answers != 4 || r.sum.AnswersAcked != 4 || r.sum.Terminals != 3 {
		t.Errorf("%+v", r.sum)
	}
}
