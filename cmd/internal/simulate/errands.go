package simulate

import (
	"math/rand/v2"
	"sync"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// errands is what a tracker and its warden do about commands: the tracker says
// at once that it has one, and does by itself what needs no person; the warden
// reads after a while, and mostly does as asked.
type errands struct {
	run    *run
	device contract.DeviceID
	enc    contractv1.Encoding
	skew   time.Duration // how far the tracker's clock is ahead
	client publisher
	away   func() bool // no network

	mu   sync.Mutex
	seen map[string]bool // commands
}

// retry is when an answer is tried again that found no network or no room.
const retry = 15 * time.Second

// hear takes the state of the orders topic.
func (e *errands) hear(payload []byte) {
	doc, err := contractv1.DecodeOrders(payload)
	if err != nil {
		e.run.fail(err)
		return
	}
	for _, o := range doc.Orders {
		e.mu.Lock()
		known := e.seen[o.ID]
		if e.seen == nil || len(e.seen) >= remembered {
			e.seen = map[string]bool{}
		}
		e.seen[o.ID] = true
		e.mu.Unlock()
		if !known {
			e.run.count.commands.Add(1)
			e.plan(o)
		}
	}
}

func (e *errands) plan(o contract.Order) {
	rng := rand.New(rand.NewPCG(hash(o.ID), hash(string(e.device)))) //nolint:gosec // repeatable by intent
	e.say(o, contract.Answer{Receipt: contract.Delivered})
	if o.Kind == "locate" || o.Kind == "config" {
		e.say(o, contract.Answer{Receipt: contract.Accepted})
		return
	}
	read := time.Now().Add(5*time.Second + upTo(rng, 40*time.Second))
	answer := contract.Answer{Receipt: contract.Accepted, By: person(string(e.device))}
	if rng.IntN(10) == 0 {
		answer.Receipt, answer.Reason = contract.Rejected, "正在劝阻上坟烧纸，暂时走不开"
	}
	e.run.clock.once(read, func() { e.say(o, contract.Answer{Receipt: contract.Read}) })
	e.run.clock.once(read.Add(5*time.Second+upTo(rng, 50*time.Second)), func() { e.say(o, answer) })
}

// say publishes an answer, as soon as there is a network for it. One to a
// command that has expired is of no use to anybody.
func (e *errands) say(o contract.Order, a contract.Answer) {
	now := time.Now()
	if !o.AnswerBy.IsZero() && now.After(o.AnswerBy) {
		return
	}
	if a.At.IsZero() {
		a.Device, a.Order, a.At = e.device, o.ID, now.Add(e.skew)
	}
	payload, err := contractv1.AppendAnswer(nil, e.enc, a)
	if err != nil {
		e.run.fail(err)
		return
	}
	c := &e.run.count
	if e.away() || !e.client.Publish(contract.DeviceAnswers(e.device), payload, func() { c.commandAnswersAcked.Add(1) }) {
		e.run.clock.once(now.Add(retry), func() { e.say(o, a) })
		return
	}
	c.commandAnswers.Add(1)
}
