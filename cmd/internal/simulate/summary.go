package simulate

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"time"

	contract "firewatch/firmware-contracts"
)

// Summary is what was done. A reading counts once however often it was sent.
type Summary struct {
	Devices        int                     `json:"devices"`
	Connected      int                     `json:"connected"`    // devices that were let in
	Refused        int                     `json:"refused"`      // devices whose credential was refused
	Measured       uint64                  `json:"measured"`     // readings
	Published      uint64                  `json:"published"`    // readings
	Acknowledged   uint64                  `json:"acknowledged"` // readings
	Dropped        uint64                  `json:"dropped"`      // readings that a device had no room to keep
	Messages       uint64                  `json:"messages"`
	MessagesAcked  uint64                  `json:"messages_acknowledged"`
	Duplicates     uint64                  `json:"duplicates"` // messages that say again what another said
	Resent         uint64                  `json:"resent"`     // messages sent again after a reconnect
	Reconnects     uint64                  `json:"reconnects"`
	Classes        map[string]ClassSummary `json:"classes"`
	Terminals      int                     `json:"terminals"`
	OrdersHeard    uint64                  `json:"orders_heard"`
	CommandsHeard  uint64                  `json:"commands_heard"` // by trackers
	Answers        uint64                  `json:"answers"`
	AnswersAcked   uint64                  `json:"answers_acknowledged"`
	Start          time.Time               `json:"start"`
	Seconds        float64                 `json:"seconds"`
	ReadingsPerSec float64                 `json:"readings_per_s"` // acknowledged
	Seed           uint64                  `json:"seed"`
}

// ClassSummary counts the readings of one class.
type ClassSummary struct {
	Published    uint64 `json:"published"`
	Acknowledged uint64 `json:"acknowledged"`
}

type counts struct {
	measured, dropped                               atomic.Uint64
	messages, messagesAcked, duplicates, reconnects atomic.Uint64
	orders, answers, answersAcked                   atomic.Uint64
	commands, commandAnswers, commandAnswersAcked   atomic.Uint64
	published, acked                                [contract.Status + 1]atomic.Uint64
}

func (r *run) summary(lived time.Duration) Summary {
	c := &r.count
	s := Summary{
		Devices: len(r.devices), Refused: int(r.refusals.Load()), Measured: c.measured.Load(), Dropped: c.dropped.Load(),
		Messages: c.messages.Load(), MessagesAcked: c.messagesAcked.Load(), Duplicates: c.duplicates.Load(), Reconnects: c.reconnects.Load(),
		Classes: map[string]ClassSummary{}, Terminals: len(r.terminals), OrdersHeard: c.orders.Load(),
		CommandsHeard: c.commands.Load(),
		Answers:       c.answers.Load() + c.commandAnswers.Load(), AnswersAcked: c.answersAcked.Load() + c.commandAnswersAcked.Load(),
		Start: r.start.UTC(), Seconds: math.Round(lived.Seconds()*1000) / 1000, Seed: r.o.Seed,
	}
	for _, d := range r.devices {
		s.Resent += d.client.Resent()
		if d.connected.Load() {
			s.Connected++
		}
	}
	for _, class := range contract.Classes {
		x := ClassSummary{Published: c.published[class].Load(), Acknowledged: c.acked[class].Load()}
		if x.Published > 0 {
			s.Classes[class.String()] = x
		}
		s.Published += x.Published
		s.Acknowledged += x.Acknowledged
	}
	if lived > 0 {
		s.ReadingsPerSec = math.Round(float64(s.Acknowledged)/lived.Seconds()*10) / 10
	}
	return s
}

// namedRefused bounds the devices that an error names.
const namedRefused = 5

func (r *run) everConnected() bool {
	for _, d := range r.devices {
		if d.connected.Load() {
			return true
		}
	}
	return false
}

// err says what went wrong.
func (r *run) err(s *Summary) error {
	r.mu.Lock()
	errs := []error{r.first}
	r.mu.Unlock()
	if s.Refused > 0 {
		var names []string
		for _, d := range r.devices {
			if d.refused.Load() && len(names) < namedRefused {
				names = append(names, string(d.life.m.ID))
			}
		}
		more := ""
		if s.Refused > len(names) {
			more = ", …"
		}
		errs = append(errs, fmt.Errorf("the broker at %s refuses the credentials (user name = device id, and secret) of %d of %d devices: %s%s",
			r.o.MQTT, s.Refused, s.Devices, strings.Join(names, ", "), more))
	}
	if s.Connected == 0 && s.Refused < s.Devices {
		errs = append(errs, fmt.Errorf("no device could connect to the broker at %s", r.o.MQTT))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	return nil
}
