package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"firewatch/alerts"
	"firewatch/alerts/dispatch"
	contract "firewatch/firmware-contracts"
)

func TestOrderTo128Teams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 128)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		settle(time.Second)
		if err := d.Ready(); err != nil {
			t.Fatal(err)
		}
		ch.reset()
		ch.delay = 20 * time.Millisecond
		all := make([]int, 128)
		for i := range all {
			all[i] = i
		}
		b.order("or-1", alerts.Red, all...)
		d.Nudge()
		settle(500 * time.Millisecond)
		for i := range 128 {
			if got := ch.to(teamID(i)); len(got) != 1 || !slices.Equal(got[0].orders, []string{"or-1"}) {
				t.Fatalf("team %d: calls %v", i, got)
			}
			if x := b.delivery("or-1", i); x.State != alerts.DeliverySent || x.Tries != 1 || !x.NextAt.After(time.Now()) {
				t.Fatalf("team %d: %+v", i, x)
			}
		}
		if last := ch.calls[len(ch.calls)-1].after - ch.calls[0].after; last > 100*time.Millisecond {
			t.Errorf("all teams were called within %s", last)
		}
		if n := len(b.attempts("or-1", "page")); n != 128 {
			t.Errorf("%d pages on record", n)
		}
	})
}

func TestEachSilentTeamIsChasedUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 4)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0, 1, 2, 3)
		settle(time.Minute)
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		b.overHTTP(say("or-1", 1, contract.Standby, ""))
		if err := d.Answer(t.Context(), say("or-1", 2, contract.Rejected, "车坏了")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		for i := range 3 {
			if got := ch.shows(teamID(i)); got != nil {
				t.Errorf("team %d has answered and is still shown %v", i, got)
			}
		}
		if got := ch.shows(teamID(3)); !slices.Equal(got, []string{"or-1"}) {
			t.Errorf("the silent team is shown %v", got)
		}
		ch.reset()
		settle(16 * time.Minute)
		for i := range 3 {
			if got := ch.to(teamID(i)); got != nil {
				t.Errorf("team %d has answered and was called: %v", i, got)
			}
			if x := b.delivery("or-1", i); x.State != alerts.DeliveryAnswered || x.Escalation != 0 {
				t.Errorf("team %d: %+v", i, x)
			}
		}
		var minutes []int
		for _, x := range ch.to(teamID(3)) {
			minutes = append(minutes, int(x.after.Round(time.Minute).Minutes()))
		}
		if want := []int{2, 4, 5, 7, 9, 10, 12, 14, 15, 17}; !slices.Equal(minutes, want) {
			t.Errorf("the silent team was called at minutes %v, want %v", minutes, want)
		}
		if x := b.delivery("or-1", 3); x.Escalation != alerts.MaxEscalation {
			t.Errorf("the silent team came before level %d", x.Escalation)
		}
		if as := b.attempts("or-1", alerts.ChannelEscalation); len(as) != 3 || as[2].Note != "未应答，报市级值班员" {
			t.Errorf("escalations %+v", as)
		}
		if x := b.delivery("or-1", 2); x.Answer != contract.Rejected || x.AnswerNote != "车坏了" {
			t.Errorf("the rejection: %+v", x)
		}
		if o, _ := b.store.Order(t.Context(), "or-1"); o.Status != alerts.OrderOpen {
			t.Errorf("the order is %s while a team is silent", o.Status)
		}
		b.overHTTP(say("or-1", 3, contract.Accepted, ""))
		settle(time.Second)
		if o, _ := b.store.Order(t.Context(), "or-1"); o.Status != alerts.OrderComplete {
			t.Errorf("the order is %s when all have answered", o.Status)
		}
		if got := ch.shows(teamID(3)); got != nil {
			t.Errorf("after the last answer the team is shown %v", got)
		}
		ch.reset()
		settle(time.Hour)
		if n := ch.total(); n != 0 {
			t.Errorf("%d calls for a complete order", n)
		}
	})
}

func TestTeamIsToldAllItsOrdersGravestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		b.order("or-1", alerts.Blue, 0)
		time.Sleep(time.Second)
		b.order("or-2", alerts.Red, 0)
		time.Sleep(time.Second)
		b.order("or-3", alerts.Red, 0)
		d, _ := b.run(b.options("a", ch))
		settle(time.Second)
		got := ch.to(teamID(0))
		if len(got) != 1 || !slices.Equal(got[0].orders, []string{"or-3", "or-2", "or-1"}) {
			t.Fatalf("calls %v", got)
		}
		if err := d.Answer(t.Context(), say("or-2", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got := ch.shows(teamID(0)); !slices.Equal(got, []string{"or-3", "or-1"}) {
			t.Errorf("shown %v", got)
		}
	})
}

func TestReceiptsDoNotRepeatTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		ch.reset()
		for range 3 {
			for _, r := range []contract.Receipt{contract.Delivered, contract.Read} {
				if err := d.Answer(t.Context(), say("or-1", 0, r, "")); err != nil {
					t.Fatal(err)
				}
			}
		}
		settle(time.Minute)
		if n := ch.total(); n != 0 {
			t.Errorf("%d calls after receipts", n)
		}
		if x := b.delivery("or-1", 0); x.State != alerts.DeliveryRead {
			t.Errorf("%+v", x)
		}
	})
}

func TestRefusedAnswersDoNotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		d, _ := b.run(b.options("a", newRetaining()))
		b.order("or-1", alerts.Red, 0)
		for _, a := range []contract.Answer{
			say("or-9", 0, contract.Accepted, ""),
			say("or-1", 1, contract.Accepted, ""),
			say("or-1", 0, contract.Rejected, ""),
			say("or-1", 0, "maybe", ""),
		} {
			if err := d.Answer(t.Context(), a); err != nil {
				t.Errorf("%s: %v", a.Receipt, err)
			}
		}
		as, err := b.store.Audits(t.Context(), 10)
		if err != nil || len(as) != 4 || as[0].Actor != "team:team-000" || as[0].Action != "answer.refused" {
			t.Errorf("on record %+v, %v", as, err)
		}
		for range 1000 {
			if err := d.Answer(t.Context(), say("or-9", 0, contract.Accepted, "")); err != nil {
				t.Fatal(err)
			}
		}
		if as, _ = b.store.Audits(t.Context(), 10_000); len(as) > 60 {
			t.Errorf("a terminal gone wild filled the record with %d entries", len(as))
		}
		b.store.Fail(errors.New("away"))
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err == nil {
			t.Error("an answer was lost while the store was away")
		}
		b.store.Fail(nil)
	})
}

// withdrawing is a store in which an order can be withdrawn.
type withdrawing struct {
	alerts.OrderStore
	mu   sync.Mutex
	gone map[string]bool
}

func (w *withdrawing) Order(ctx context.Context, id string) (alerts.Order, error) {
	o, err := w.OrderStore.Order(ctx, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone[id] {
		o.Status = alerts.OrderCancelled
	}
	return o, err
}

func (w *withdrawing) UpdateDelivery(ctx context.Context, id string, team contract.TeamID,
	change func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error),
) (alerts.Delivery, error) {
	return w.OrderStore.UpdateDelivery(ctx, id, team, func(d *alerts.Delivery, o alerts.Order) (alerts.DeliveryChange, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gone[id] {
			o.Status = alerts.OrderCancelled
		}
		return change(d, o)
	})
}

func TestWithdrawnOrderBecomesStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		ch := newRetaining()
		o := b.options("a", ch)
		w := &withdrawing{OrderStore: b.store, gone: map[string]bool{}}
		o.Orders = w
		d, _ := b.run(o)
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		if err := d.Answer(t.Context(), say("or-1", 1, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.gone["or-1"] = true
		w.mu.Unlock()
		if err := b.store.SaveJudged(t.Context(), alerts.Judged{Events: []alerts.Event{
			{At: time.Now(), Type: alerts.EventOrder, Data: []byte(`{"id":"or-1"}`)},
		}}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliveryStale || !x.NextAt.IsZero() {
			t.Errorf("%+v", x)
		}
		if x := b.delivery("or-1", 1); x.State != alerts.DeliveryAnswered {
			t.Errorf("%+v", x)
		}
		if got := ch.shows(teamID(0)); got != nil {
			t.Errorf("a withdrawn order is shown: %v", got)
		}
	})
}

func TestStoreThatIsAwayIsSaidAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		settle(time.Second)
		b.order("or-1", alerts.Red, 0)
		b.store.Fail(errors.New("disk on fire"))
		settle(time.Minute)
		if err := d.Ready(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("ready: %v", err)
		}
		b.store.Fail(nil)
		settle(time.Second)
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent {
			t.Errorf("%+v", x)
		}
	})
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	b := newBench(t, 0)
	for want, change := range map[string]func(*dispatch.Options){
		"Orders":    func(o *dispatch.Options) { o.Orders = nil },
		"Roster":    func(o *dispatch.Options) { o.Roster = nil },
		"Events":    func(o *dispatch.Options) { o.Events = nil },
		"Lease":     func(o *dispatch.Options) { o.Lease = nil },
		"Holder":    func(o *dispatch.Options) { o.Holder = "" },
		"Log":       func(o *dispatch.Options) { o.Log = nil },
		"Policy":    func(o *dispatch.Options) { o.Policy.Claim = time.Second },
		"Timeout":   func(o *dispatch.Options) { o.Timeout = time.Minute },
		"LeaseTTL":  func(o *dispatch.Options) { o.LeaseTTL = 1 },
		"Notifiers": func(o *dispatch.Options) { o.Notifiers = []alerts.Notifier{&channel{name: "x"}, &channel{name: "x"}} },
	} {
		o := b.options("a")
		change(&o)
		if _, err := dispatch.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if diff := cmp.Diff(nil, func() any { _, err := dispatch.New(b.options("a")); return err }()); diff != "" {
		t.Error(diff)
	}
}
