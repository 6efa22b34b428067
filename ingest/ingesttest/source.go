// Package ingesttest holds the suites that every adapter of a port of package
// ingest must pass, and fakes in memory for tests of their users.
package ingesttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// patience bounds every wait for something that must happen. It is long because
// the neighbours are real and the machine may be busy; a pass never waits for it.
const patience = 30 * time.Second

// A Source is what the suite drives: a Source that also says when it is
// connected and subscribed, as the readiness page asks.
type Source interface {
	ingest.Source
	Ready() error
}

// SourceOptions is one Source under test with the broker and the publisher
// around it. Every sub-test calls New for a fresh set.
type SourceOptions struct {
	// New starts what stands around the Source for one sub-test: a broker of its
	// own (or topics and session names of its own), released with t.Cleanup.
	New func(t *testing.T) SourceBench
}

// SourceBench is one broker with one publisher and one session of the Source.
type SourceBench struct {
	// Open returns a Source that continues the same session: the same client id
	// at an external broker, the same address for the embedded one. The suite
	// calls it again only after Run of the former one has returned.
	Open func(t *testing.T) Source
	// Publish sends one message with QoS 1 from one publisher that keeps its
	// session: it goes on by itself after the connection was lost and sends again
	// what was not acknowledged. It must not wait for the PUBACK, whose arrival
	// closes the channel.
	Publish func(t *testing.T, topic string, payload []byte) <-chan struct{}
	// HoldsPuback says that the Source is the broker itself, so that the
	// publisher's PUBACK must wait for Ack.
	HoldsPuback bool
}

// SourceSuite checks what ingest.Source promises. A Source may, after its ctx
// has ended, wait up to five seconds for the Acks of messages it delivered.
func SourceSuite(t *testing.T, o SourceOptions) {
	t.Run("Delivers", func(t *testing.T) { sourceDelivers(t, o.New(t)) })
	t.Run("AcknowledgesOnlyAfterAck", func(t *testing.T) { sourceHoldsAcks(t, o.New(t)) })
	t.Run("DeliversUnacknowledgedAgain", func(t *testing.T) { sourceDeliversAgain(t, o.New(t)) })
	t.Run("StopsReadingWhilePutBlocks", func(t *testing.T) { sourceBlocks(t, o.New(t)) })
	t.Run("RefusedMessageComesAgain", func(t *testing.T) { sourceRefused(t, o.New(t)) })
	t.Run("RunReturnsWhenContextEnds", func(t *testing.T) {
		r := startSource(t, o.New(t), newAcceptor())
		r.stop(t)
	})
}

func topicOf(i int) string {
	classes := []contract.Class{contract.Position, contract.SOS, contract.Status}
	return contract.Uplink(contract.Tracker, classes[i%len(classes)], "suite")
}

func payloadOf(i int) []byte {
	return fmt.Appendf(nil, `{"t":1760000000000,"seq":%d,"lat":39.1,"lon":115.2}`, i)
}

func sourceDelivers(t *testing.T, b SourceBench) {
	acc := newAcceptor()
	r := startSource(t, b, acc)
	before := time.Now().Add(-time.Second)
	const n = 50
	acked := make([]<-chan struct{}, n)
	for i := range n {
		acked[i] = b.Publish(t, topicOf(i), payloadOf(i))
	}
	for i := range n {
		m := acc.next(t)
		if m.Topic != topicOf(i) || string(m.Payload) != string(payloadOf(i)) {
			t.Fatalf("message %d: got %s %s; want it in the order of publication", i, m.Topic, m.Payload)
		}
		if m.Received.Before(before) || m.Received.After(time.Now().Add(time.Second)) {
			t.Fatalf("message %d: received at %s, which is not now", i, m.Received)
		}
		if m.Ack == nil {
			t.Fatalf("message %d: no Ack", i)
		}
		m.Ack()
	}
	for i := range n {
		await(t, acked[i], "PUBACK of message %d", i)
	}
	r.stop(t)
}

func sourceHoldsAcks(t *testing.T, b SourceBench) {
	if !b.HoldsPuback {
		t.Skip("an external broker answers the publisher by itself; DeliversUnacknowledgedAgain covers the Source's side")
	}
	acc := newAcceptor()
	r := startSource(t, b, acc)
	first := b.Publish(t, topicOf(0), payloadOf(0))
	m0 := acc.next(t)
	second := b.Publish(t, topicOf(1), payloadOf(1))
	m1 := acc.next(t) // the connection goes on meanwhile
	for i, c := range []<-chan struct{}{first, second} {
		select {
		case <-c:
			t.Fatalf("message %d: PUBACK came before Ack was called", i)
		default:
		}
	}
	m0.Ack()
	await(t, first, "PUBACK of the first message")
	select {
	case <-second:
		t.Fatal("second message: PUBACK came with the first message's Ack")
	default:
	}
	m1.Ack()
	await(t, second, "PUBACK of the second message")
	r.stop(t)
}

func sourceDeliversAgain(t *testing.T, b SourceBench) {
	acc := newAcceptor()
	r := startSource(t, b, acc)
	const n, safe = 10, 4
	for i := range n {
		b.Publish(t, topicOf(i), payloadOf(i))
	}
	for i := range n {
		if m := acc.next(t); i < safe {
			m.Ack()
		}
	}
	r.stop(t)

	// A new life of the same session: the rest comes again, the acknowledged do not.
	acc = newAcceptor()
	r = startSource(t, b, acc)
	missing := map[string]bool{}
	for i := safe; i < n; i++ {
		missing[string(payloadOf(i))] = true
	}
	for len(missing) > 0 {
		m := acc.next(t)
		m.Ack()
		for i := range safe {
			if string(m.Payload) == string(payloadOf(i)) {
				t.Errorf("message %d was acknowledged and came again", i)
			}
		}
		delete(missing, string(m.Payload))
	}
	// Whatever else the session holds comes before a new message.
	b.Publish(t, topicOf(n), payloadOf(n))
	for {
		m := acc.next(t)
		m.Ack()
		if string(m.Payload) == string(payloadOf(n)) {
			break
		}
		for i := range safe {
			if string(m.Payload) == string(payloadOf(i)) {
				t.Errorf("message %d was acknowledged and came again", i)
			}
		}
	}
	r.stop(t)
}

func sourceBlocks(t *testing.T, b SourceBench) {
	acc := newAcceptor()
	acc.block()
	r := startSource(t, b, acc)
	const n = 200
	acked := make([]<-chan struct{}, n)
	for i := range n {
		acked[i] = b.Publish(t, topicOf(i), payloadOf(i))
	}
	Eventually(t, "the first Put", func() bool { return acc.waiting() > 0 })
	if !b.HoldsPuback {
		for i := range n {
			await(t, acked[i], "the broker's PUBACK of message %d", i)
		}
	}
	if w := acc.waiting(); w != 1 {
		t.Errorf("%d messages of one connection wait in Put, want 1: the rest must stay unread", w)
	}
	for i := range n {
		if !b.HoldsPuback {
			break
		}
		select {
		case <-acked[i]:
			t.Fatalf("message %d: PUBACK came while Put was blocked", i)
		default:
		}
	}
	acc.unblock()
	for i := range n {
		m := acc.next(t)
		if string(m.Payload) != string(payloadOf(i)) {
			t.Fatalf("message %d: got %s; want the order of publication", i, m.Payload)
		}
		m.Ack()
	}
	for i := range n {
		await(t, acked[i], "PUBACK of message %d", i)
	}
	r.stop(t)
}

func sourceRefused(t *testing.T, b SourceBench) {
	acc := newAcceptor()
	acc.refuse(errors.New("no room"))
	r := startSource(t, b, acc)
	done := b.Publish(t, topicOf(0), payloadOf(0))
	Eventually(t, "the refused Put", func() bool { return acc.refusals() > 0 })
	acc.refuse(nil)
	if b.HoldsPuback {
		select {
		case <-done:
			t.Fatal("PUBACK of a message that was refused")
		default:
		}
	}
	// Whether Run goes on or returns is the Source's choice; a new life of the
	// session must bring the message again.
	r.cancel()
	await(t, r.done, "Run to return after its context ended")
	acc = newAcceptor()
	r = startSource(t, b, acc)
	m := acc.next(t)
	if string(m.Payload) != string(payloadOf(0)) {
		t.Fatalf("got %s, want the refused message", m.Payload)
	}
	m.Ack()
	await(t, done, "PUBACK of the message that was refused first")
	r.stop(t)
}

type running struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func startSource(t *testing.T, b SourceBench, acc *acceptor) *running {
	t.Helper()
	src := b.Open(t)
	ctx, cancel := context.WithCancel(context.Background()) // t.Context would end before t's cleanups, which need the broker
	r := &running{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = src.Run(ctx, acc)
	}()
	t.Cleanup(func() { cancel(); <-r.done })
	Eventually(t, "the Source to be ready", func() bool { return src.Ready() == nil })
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	await(t, r.done, "Run to return after its context ended")
	if r.err != nil && !errors.Is(r.err, context.Canceled) {
		t.Errorf("Run: %v", r.err)
	}
}

// acceptor is an ingest.Acceptor that keeps what it is given.
type acceptor struct {
	mu      sync.Mutex
	changed chan struct{} // closed at every change
	got     []ingest.Message
	blocked bool
	refusal error
	waits   int
	refused int
}

func newAcceptor() *acceptor { return &acceptor{changed: make(chan struct{})} }

// Put implements ingest.Acceptor.
func (a *acceptor) Put(ctx context.Context, m ingest.Message) error {
	m.Payload = slices.Clone(m.Payload)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waits++
	defer func() { a.waits-- }()
	for a.blocked {
		a.touch()
		c := a.changed
		a.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-c:
		}
		a.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if a.refusal != nil {
		a.refused++
		a.touch()
		return a.refusal
	}
	a.got = append(a.got, m)
	a.touch()
	return nil
}

func (a *acceptor) touch() {
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *acceptor) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	a.touch()
}

func (a *acceptor) block()           { a.set(func() { a.blocked = true }) }
func (a *acceptor) unblock()         { a.set(func() { a.blocked = false }) }
func (a *acceptor) refuse(err error) { a.set(func() { a.refusal = err }) }

func (a *acceptor) waiting() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waits
}

func (a *acceptor) refusals() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

func (a *acceptor) next(t *testing.T) ingest.Message {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		a.mu.Lock()
		if len(a.got) > 0 {
			m := a.got[0]
			a.got = a.got[1:]
			a.mu.Unlock()
			return m
		}
		c := a.changed
		a.mu.Unlock()
		select {
		case <-c:
		case <-timeout.C:
			t.Fatalf("no message came within %s", patience)
		}
	}
}

func await(t *testing.T, c <-chan struct{}, format string, args ...any) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-c:
	case <-timeout.C:
		t.Fatalf("waited %s in vain for "+format, append([]any{patience}, args...)...)
	}
}
