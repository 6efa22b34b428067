package simulate

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// crew is the people at all terminals together: who answers what.
type crew struct {
	run *run

	mu     sync.Mutex
	orders map[string]*muster
	silent contract.TeamID // the team that does not answer the story's orders
}

// muster is the teams that one order has reached.
type muster struct {
	order   contract.Order
	teams   []*terminal
	decided bool
}

// gather is how long an order's teams are awaited before parts are given out.
const gather = 4 * time.Second

// remembered bounds the orders that a terminal and the crew know.
const remembered = 5000

// terminal is a team's terminal and the person in front of it.
type terminal struct {
	team   contract.TeamID
	crew   *crew
	client publisher

	connection  func(ctx context.Context)
	outstanding func() int

	mu   sync.Mutex
	seen map[string]bool // orders
}

// publisher is what a terminal needs of its connection.
type publisher interface {
	Publish(topic string, payload []byte, acked func()) bool
}

// hear takes the state of the orders topic.
func (t *terminal) hear(payload []byte) {
	doc, err := contractv1.DecodeOrders(payload)
	if err != nil {
		t.crew.run.fail(err)
		return
	}
	for _, o := range doc.Orders {
		t.mu.Lock()
		known := t.seen[o.ID]
		if len(t.seen) >= remembered {
			clear(t.seen)
		}
		t.seen[o.ID] = true
		t.mu.Unlock()
		if known {
			continue
		}
		t.crew.run.count.orders.Add(1)
		t.say(o.ID, contract.Delivered, "")
		t.crew.join(t, o)
	}
}

// say publishes what the team has to say about the order. A full window means
// that the broker has been away for long: the order comes again with it.
func (t *terminal) say(order string, what contract.Receipt, reason string) {
	a := contract.Answer{Team: t.team, Order: order, Receipt: what, Reason: reason, At: time.Now()}
	if what != contract.Delivered {
		a.By = person(string(t.team))
	}
	payload, err := contractv1.AppendAnswer(nil, contractv1.JSON, a)
	if err != nil {
		t.crew.run.fail(err)
		return
	}
	c := &t.crew.run.count
	if t.client.Publish(contract.TeamAnswers(t.team), payload, func() { c.answersAcked.Add(1) }) {
		c.answers.Add(1)
	}
}

// join adds the team to those that have the order.
func (c *crew) join(t *terminal, o contract.Order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, known := c.orders[o.ID]
	if !known {
		if len(c.orders) >= remembered {
			clear(c.orders)
		}
		m = &muster{order: o}
		c.orders[o.ID] = m
		c.run.clock.once(time.Now().Add(gather), func() { c.decide(m) })
	}
	if m.decided {
		c.plan(t, m.order, false)
		return
	}
	m.teams = append(m.teams, t)
}

// decide gives out the parts: of the story's own order one team rejects and one
// never answers; all others answer.
func (c *crew) decide(m *muster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.decided = true
	slices.SortFunc(m.teams, func(a, b *terminal) int { return strings.Compare(string(a.team), string(b.team)) })
	if !c.run.script.causes(m.order) {
		for _, t := range m.teams {
			c.plan(t, m.order, false)
		}
		return
	}
	if c.silent == "" && len(m.teams) > 1 {
		c.silent = m.teams[len(m.teams)/2].team
	}
	rejects := len(m.teams) > 2
	for _, t := range m.teams {
		// An order that waited for long is what a silent team of an earlier run
		// has left.
		if t.team == c.silent || time.Since(m.order.Issued) > 3*time.Minute {
			continue
		}
		c.plan(t, m.order, rejects)
		rejects = false
	}
}

// causes reports whether the order comes of the story's fire.
func (sc *script) causes(o contract.Order) bool {
	return sc != nil && strings.HasPrefix(o.Issuer, "rule:") && o.HasPlace &&
		distance(o.Lat, o.Lon, sc.sensor.Lat, sc.sensor.Lon) < 3000
}

// plan lets the team read and answer the order in its own time.
func (c *crew) plan(t *terminal, o contract.Order, rejects bool) {
	rng := rand.New(rand.NewPCG(hash(o.ID), hash(string(t.team)))) //nolint:gosec // repeatable by intent
	now := time.Now()
	read := now.Add(3*time.Second + upTo(rng, 9*time.Second))
	answer := now.Add(12*time.Second + upTo(rng, 43*time.Second))
	c.run.clock.once(read, func() { t.say(o.ID, contract.Read, "") })
	var what contract.Receipt
	reason := ""
	switch {
	case rejects:
		what, reason = contract.Rejected, "两台水车在外检修，人员已外派，无法出动"
	case o.Kind == "stand_down":
		what = contract.StoodDown
	case rng.IntN(3) == 0:
		what = contract.Standby
	default:
		what = contract.Accepted
	}
	c.run.clock.once(answer, func() { t.say(o.ID, what, reason) })
	if what == contract.Accepted && rng.IntN(2) == 0 {
		there := answer.Add(2*time.Minute + upTo(rng, 4*time.Minute))
		c.run.clock.once(there, func() { t.say(o.ID, contract.InPosition, "") })
	}
}

// person is who answers for the team or carries the tracker, always the same one.
func person(id string) string {
	h := hash(id)
	family := []string{"王", "李", "张", "刘", "陈", "杨", "赵", "孙", "马", "高"}
	given := []string{"建国", "志强", "海涛", "永红", "立新", "春生", "文斌", "卫东", "保平", "玉山", "金锁", "长河"}
	return family[h%10] + given[h/10%12] + "（演示）"
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}
