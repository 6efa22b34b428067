package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func TestChannelThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := &channel{name: "sms", began: time.Now(), fail: func(contract.TeamID) error { return errors.New("gateway away") }}
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0)
		settle(10 * time.Second)
		x := b.delivery("or-1", 0)
		if x.State != alerts.DeliverySending || x.LastError != "sms: gateway away" || x.Tries < 2 {
			t.Errorf("%+v", x)
		}
		ch.mu.Lock()
		ch.fail = nil
		ch.mu.Unlock()
		settle(time.Minute)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent || x.LastError != "" {
			t.Errorf("%+v", x)
		}
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestPermanentErrorFailsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		dead := map[contract.TeamID]bool{teamID(0): true}
		ch := &channel{name: "sms", began: time.Now(), fail: func(id contract.TeamID) error {
			if dead[id] {
				return &alerts.PermanentError{Cause: errors.New("no number")}
			}
			return nil
		}}
		b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		x := b.delivery("or-1", 0)
		if x.State != alerts.DeliveryFailed || x.Escalation != 1 || x.NextAt.IsZero() || !strings.Contains(x.LastError, "no number") {
			t.Errorf("%+v", x)
		}
		if n := b.events(`"shortfall":"team-000 无法送达`); n != 1 {
			t.Errorf("%d events tell of it", n)
		}
		if n := b.events(alerts.NobodyNotified); n != 0 {
			t.Error("one team was notified")
		}
		b.order("or-2", alerts.Red, 0)
		settle(time.Second)
		if n := b.events(alerts.NobodyNotified); n != 1 {
			t.Errorf("%d events say that nobody was notified", n)
		}
		settle(30 * time.Minute)
		if x := b.delivery("or-1", 0); x.Escalation != alerts.MaxEscalation || x.NextAt.IsZero() {
			t.Errorf("a failed delivery was forgotten: %+v", x)
		}
	})
}

func TestTeamStruckOffTheRosterIsNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 7)
		settle(time.Second)
		if x := b.delivery("or-1", 7); x.State != alerts.DeliveryFailed || !strings.Contains(x.LastError, "名册") {
			t.Errorf("%+v", x)
		}
	})
}

func TestThrottleIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 50)
		var window time.Time
		taken := 0
		early := 0
		ch := &channel{name: "robot", began: time.Now()}
		ch.fail = func(contract.TeamID) error { // 20 a minute
			now := time.Now()
			if now.Sub(window) >= time.Minute {
				window, taken = now, 0
			}
			if taken == 20 {
				early++
				return &alerts.ThrottledError{After: time.Minute - now.Sub(window), Cause: errors.New("20 a minute")}
			}
			taken++
			return nil
		}
		o := b.options("a", ch)
		o.Workers = 4
		b.run(o)
		all := make([]int, 50)
		for i := range all {
			all[i] = i
		}
		b.order("or-1", alerts.Yellow, all...)
		settle(2*time.Minute + 10*time.Second)
		for i := range 50 {
			if x := b.delivery("or-1", i); x.State != alerts.DeliverySent || x.Escalation != 0 {
				t.Fatalf("team %d: %+v", i, x)
			}
			if as := ch.to(teamID(i)); len(as) > 2 {
				t.Errorf("team %d was tried %d times", i, len(as))
			}
		}
		if early > 3*o.Workers {
			t.Errorf("the channel was asked %d times while it had asked to wait", early)
		}
	})
}

func TestGravestGoesFirstThroughAThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 10)
		ch := &channel{name: "robot", began: time.Now()}
		first := true
		ch.fail = func(contract.TeamID) error {
			if first {
				first = false
				return &alerts.ThrottledError{After: 10 * time.Second, Cause: errors.New("wait")}
			}
			return nil
		}
		o := b.options("a", ch)
		o.Workers = 1
		b.order("or-blue", alerts.Blue, 0, 1, 2, 3)
		b.run(o)
		settle(time.Second)
		b.order("or-red", alerts.Red, 9)
		settle(time.Minute)
		ch.mu.Lock()
		defer ch.mu.Unlock()
		if got := ch.calls[1]; !slices.Equal(got.orders, []string{"or-red"}) {
			t.Errorf("after the wait the first call was %+v", got)
		}
	})
}

func TestFurtherChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2)
		one := &channel{name: "one", began: time.Now()}
		two := &channel{name: "two", began: time.Now()}
		one.fail = func(id contract.TeamID) error {
			if id == teamID(1) {
				return errors.New("away")
			}
			return nil
		}
		b.run(b.options("a", one, two))
		b.order("or-1", alerts.Red, 0, 1)
		settle(4*time.Minute + 30*time.Second)
		if n := len(two.to(teamID(0))); n != 0 {
			t.Errorf("the second channel was used %d times before the deadline though the first works", n)
		}
		if n := len(two.to(teamID(1))); n == 0 {
			t.Error("the second channel was not used though the first does not work")
		}
		settle(time.Minute)
		if n := len(two.to(teamID(0))); n != 1 {
			t.Errorf("the second channel was used %d times at the deadline", n)
		}
	})
}

func TestStatesAreToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3)
		b.order("or-1", alerts.Red, 0, 1)
		ch := newRetaining()
		_, stop := b.run(b.options("a", ch))
		settle(time.Second)
		b.overHTTP(say("or-1", 1, contract.Accepted, ""))
		settle(time.Second)
		stop()

		ch = newRetaining() // another broker, or one that has forgotten
		b.run(b.options("b", ch))
		settle(time.Second)
		want := map[contract.TeamID][]string{teamID(0): {"or-1"}, teamID(1): nil, teamID(2): nil}
		for id, orders := range want {
			if got := ch.to(id); len(got) != 1 || !slices.Equal(got[0].orders, orders) {
				t.Errorf("at the start %s was told %v, want once %v", id, got, orders)
			}
		}
		ch.reset()
		ch.renewed <- struct{}{}
		settle(time.Second)
		for id, orders := range want {
			if got := ch.to(id); len(got) != 1 || !slices.Equal(got[0].orders, orders) {
				t.Errorf("after a reconnection %s was told %v, want once %v", id, got, orders)
			}
		}
	})
}

func TestStateThatCouldNotBeToldIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		d, _ := b.run(b.options("a", ch))
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		ch.mu.Lock()
		ch.fail = func(contract.TeamID) error { return errors.New("not connected") }
		ch.mu.Unlock()
		if err := d.Answer(t.Context(), say("or-1", 0, contract.Accepted, "")); err != nil {
			t.Fatal(err)
		}
		settle(5 * time.Second)
		if got := ch.shows(teamID(0)); !slices.Equal(got, []string{"or-1"}) {
			t.Fatalf("shown %v", got)
		}
		ch.mu.Lock()
		ch.fail = nil
		ch.mu.Unlock()
		settle(5 * time.Second)
		if got := ch.shows(teamID(0)); got != nil {
			t.Errorf("the answered order is still shown: %v", got)
		}
	})
}

func TestOrderThatWentOutByReconnectionIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		ch := newRetaining()
		ch.fail = func(contract.TeamID) error { return errors.New("not connected") }
		b.run(b.options("a", ch))
		b.order("or-1", alerts.Blue, 0)
		settle(10 * time.Minute) // far into the backoff
		ch.mu.Lock()
		ch.fail = nil
		ch.mu.Unlock()
		ch.renewed <- struct{}{}
		settle(10 * time.Millisecond)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent || x.LastError != "" {
			t.Errorf("%+v", x)
		}
	})
}

func TestWithoutChannelsThePageIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1)
		b.run(b.options("a"))
		b.order("or-1", alerts.Red, 0)
		settle(time.Second)
		if x := b.delivery("or-1", 0); x.State != alerts.DeliverySent {
			t.Errorf("%+v", x)
		}
		if as := b.attempts("or-1", "page"); len(as) != 1 {
			t.Errorf("pages on record: %+v", as)
		}
	})
}

func TestHangingTeamDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3)
		ch := &channel{name: "sms", began: time.Now()}
		ch.fail = nil
		slow := &hanging{channel: ch, team: teamID(0)}
		b.run(b.options("a", slow))
		b.order("or-1", alerts.Red, 0, 1)
		settle(time.Second)
		b.order("or-2", alerts.Red, 2)
		settle(time.Second)
		for i, order := range map[int]string{1: "or-1", 2: "or-2"} {
			if x := b.delivery(order, i); x.State != alerts.DeliverySent {
				t.Errorf("team %d: %+v", i, x)
			}
		}
		settle(20 * time.Second)
		if x := b.delivery("or-1", 0); !strings.Contains(x.LastError, "deadline") {
			t.Errorf("%+v", x)
		}
	})
}

type hanging struct {
	*channel
	team contract.TeamID
}

func (h *hanging) Notify(ctx context.Context, team alerts.Team, open []contract.Order) error {
	if team.ID == h.team {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.channel.Notify(ctx, team, open)
}
