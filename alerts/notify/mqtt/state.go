package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// Notify publishes the team's open orders as retained state, and waits for the
// broker's acknowledgement. Without a connection it fails at once. When more
// orders are open than one message holds, the gravest are told.
func (n *Notifier) Notify(ctx context.Context, team alerts.Team, open []contract.Order) error {
	return n.publish(ctx, recipient{
		topic: contract.TeamOrders(team.ID), team: team.ID, name: "team " + string(team.ID), fault: team.ID.Validate(),
	}, open)
}

// Trackers is the same channel to trackers.
func (n *Notifier) Trackers() *Trackers { return &n.trackers }

// Trackers tells trackers their commands over the connection of a Notifier.
type Trackers struct {
	n       *Notifier
	renewed chan struct{}
}

// Renewed receives after each connection: the broker may have lost what it kept.
func (t *Trackers) Renewed() <-chan struct{} { return t.renewed }

// Tell is Notify to a tracker.
func (t *Trackers) Tell(ctx context.Context, device contract.DeviceID, open []contract.Order) error {
	return t.n.publish(ctx, recipient{
		topic: contract.DeviceOrders(device), name: "device " + string(device), fault: device.Validate(),
	}, open)
}

// A recipient is a team or a tracker.
type recipient struct {
	topic string
	team  contract.TeamID // empty for a tracker
	name  string          // for people
	fault error           // of its id
}

func (n *Notifier) publish(ctx context.Context, to recipient, open []contract.Order) error {
	payload, err := n.encode(to, open)
	if err != nil {
		return &alerts.PermanentError{Cause: err}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("telling %s: %w", to.name, err)
	}
	n.mu.Lock()
	c, state := n.conn, n.state
	n.mu.Unlock()
	if c == nil {
		return fmt.Errorf("telling %s: %w", to.name, state)
	}
	// Publish itself blocks while paho's writer is busy with a dead connection.
	done := make(chan paho.Token, 1)
	go func() {
		t := c.client.Publish(to.topic, 1, true, payload)
		select {
		case <-t.Done():
		case <-c.lost:
		}
		done <- t
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("telling %s: waiting for the broker: %w", to.name, ctx.Err())
	case <-c.lost:
		return fmt.Errorf("telling %s: connection to the MQTT broker lost: %w", to.name, c.cause)
	case t := <-done:
		select {
		case <-c.lost: // paho ends the tokens of a lost connection without an error
			return fmt.Errorf("telling %s: connection to the MQTT broker lost: %w", to.name, c.cause)
		default:
		}
		if err := t.Error(); err != nil {
			return fmt.Errorf("telling %s: %w", to.name, err)
		}
		return nil
	}
}

// encode writes the state. It leaves out an order that cannot be written, which
// must not keep the others back, and the least grave of more than a message holds.
func (n *Notifier) encode(to recipient, open []contract.Order) ([]byte, error) {
	if to.fault != nil {
		return nil, to.fault
	}
	told := make([]contract.Order, 0, len(open))
	var fault error
	for _, o := range open {
		if _, err := contractv1.AppendOrders(nil, contractv1.JSON, to.team, []contract.Order{o}, time.Now()); err != nil {
			fault = err
			n.o.Log.Error("an order cannot be written", zap.String("to", to.name), zap.String("order", o.ID), zap.Error(err))
			continue
		}
		told = append(told, o)
	}
	if len(told) == 0 && fault != nil {
		return nil, fault
	}
	for {
		// Not nil: paho wants a []byte, and the empty one clears the retained message.
		payload, err := contractv1.AppendOrders([]byte{}, contractv1.JSON, to.team, told, time.Now())
		if err == nil && len(payload) <= contract.MaxMessageBytes {
			return payload, nil
		}
		if err == nil {
			err = errors.New("too large")
		}
		if len(told) <= 1 {
			return nil, fmt.Errorf("orders of %s do not fit into a message: %w", to.name, err)
		}
		told = told[:len(told)-1]
		n.o.Log.Warn("more orders are open than a message holds; the least grave is left out",
			zap.String("to", to.name), zap.Int("told", len(told)))
	}
}
