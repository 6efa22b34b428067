package simulate

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// radio keeps what a tracker says.
type radio struct {
	t    *testing.T
	full atomic.Bool

	mu  sync.Mutex
	all []contract.Answer
}

func (r *radio) Publish(topic string, payload []byte, acked func()) bool {
	if r.full.Load() {
		return false
	}
	a, err := contractv1.DecodeAnswer(contract.Topic{Device: "trk-1", Kind: contract.Tracker, Answers: true}, payload, time.Now())
	if err != nil || topic != "fw/v1/trackers/trk-1/answers" {
		r.t.Errorf("%s: %s: %v", topic, payload, err)
	}
	r.mu.Lock()
	r.all = append(r.all, a)
	r.mu.Unlock()
	acked()
	return true
}

func (r *radio) said() []contract.Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// of is the receipts of one command, in order.
func (r *radio) of(id string) (said []contract.Receipt) {
	for _, a := range r.said() {
		if a.Order == id {
			said = append(said, a.Receipt)
		}
	}
	return said
}

func onErrands(t *testing.T, f func(e *errands, r *radio, away *atomic.Bool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 20, 3, 0, 0, 0, time.UTC))) // fake time begins in 2000
		away := new(atomic.Bool)
		r := &radio{t: t}
		e := &errands{
			run: &run{clock: newClock()}, device: "trk-1", enc: contractv1.CBOR, skew: 30 * time.Second, client: r, away: away.Load,
		}
		ctx, stop := context.WithCancel(t.Context())
		go e.run.clock.run(ctx)
		f(e, r, away)
		stop()
		synctest.Wait()
		if e.run.first != nil {
			t.Error(e.run.first)
		}
	})
}

func command(id, kind string) contract.Order {
	return contract.Order{
		ID: id, Kind: kind, Level: "blue", Text: "请返回", Issued: time.Now(), AnswerBy: time.Now().Add(time.Hour), Issuer: "office",
	}
}

func (e *errands) tell(t *testing.T, orders ...contract.Order) {
	t.Helper()
	doc, err := contractv1.AppendOrders(nil, contractv1.JSON, "", orders, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e.hear(doc)
	synctest.Wait()
}

func TestTrackerAnswersCommands(t *testing.T) {
	onErrands(t, func(e *errands, r *radio, _ *atomic.Bool) {
		m, l := command("cm-1", "message"), command("cm-2", "locate")
		e.tell(t, m, l)
		if got := r.of("cm-1"); !slices.Equal(got, []contract.Receipt{contract.Delivered}) {
			t.Errorf("at once: %v", got)
		}
		if got := r.of("cm-2"); !slices.Equal(got, []contract.Receipt{contract.Delivered, contract.Accepted}) {
			t.Errorf("the tracker alone: %v", got)
		}
		e.tell(t, m) // it stands there until it is answered: heard once
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		said := r.of("cm-1")
		if len(said) != 3 || said[1] != contract.Read || !said[2].Answer() {
			t.Errorf("the warden: %v", said)
		}
		if last := r.said()[len(r.said())-1]; last.By == "" || last.At.Before(last.Received.Add(29*time.Second)) {
			t.Errorf("%+v: nobody's, or not by the tracker's clock", last)
		}
		if n := e.run.count.commands.Load(); n != 2 || e.run.count.commandAnswers.Load() != 5 || e.run.count.commandAnswersAcked.Load() != 5 {
			t.Errorf("%d heard", n)
		}
		e.tell(t) // cleared
	})
}

func TestMostWardensDoAsAsked(t *testing.T) {
	onErrands(t, func(e *errands, r *radio, _ *atomic.Bool) {
		for i := range 200 {
			e.tell(t, command("cm-"+string(rune('a'+i%26))+string(rune('a'+i/26)), "return"))
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		n := map[contract.Receipt]int{}
		for _, a := range r.said() {
			n[a.Receipt]++
			if a.Receipt == contract.Rejected && a.Reason == "" {
				t.Error("rejected without a reason")
			}
		}
		if n[contract.Accepted]+n[contract.Rejected] != 200 || n[contract.Rejected] < 5 || n[contract.Rejected] > 50 {
			t.Errorf("%v", n)
		}
	})
}

func TestAnswersWaitForTheNetwork(t *testing.T) {
	onErrands(t, func(e *errands, r *radio, away *atomic.Bool) {
		away.Store(true)
		o := command("cm-1", "locate")
		began := time.Now()
		e.tell(t, o)
		short := command("cm-2", "locate")
		short.AnswerBy = time.Now().Add(time.Minute)
		e.tell(t, short)
		time.Sleep(5 * time.Minute)
		r.full.Store(true)
		away.Store(false)
		time.Sleep(time.Minute)
		if len(r.said()) != 0 {
			t.Fatalf("said without a network: %v", r.said())
		}
		r.full.Store(false)
		time.Sleep(retry)
		synctest.Wait()
		if got := r.of("cm-1"); len(got) != 2 || !slices.Contains(got, contract.Delivered) {
			t.Errorf("after it: %v", got)
		}
		if got := r.of("cm-2"); got != nil {
			t.Errorf("after it has expired: %v", got)
		}
		if a := r.said()[0]; a.At.After(began.Add(time.Minute)) {
			t.Errorf("said at %s, which is when it was sent", a.At)
		}
	})
}
