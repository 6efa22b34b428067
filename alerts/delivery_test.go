package alerts

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
)

var t0 = time.Date(2026, 3, 14, 8, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return t0.Add(time.Duration(minutes * float64(time.Minute))) }

func redOrder() Order {
	return Order{ID: "or-1", Kind: OrderStandby, Level: Red, Issued: t0, AnswerBy: at(5), Status: OrderOpen, Area: "130600"}
}

func newDelivery() Delivery {
	return NewDeliveries(redOrder(), []Pick{{Team: Team{ID: "t1"}, Reason: "x"}}, t0)[0]
}

func say(r contract.Receipt, minutes float64) contract.Answer {
	a := contract.Answer{Team: "t1", Order: "or-1", Receipt: r, At: at(minutes), Received: at(minutes), By: "张三"}
	if r == contract.Rejected {
		a.Reason = "车坏了"
	}
	return a
}

func TestReceiptsInAnyOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    []contract.Answer
		state DeliveryState
		want  [3]time.Time // delivered, read, answered
		ans   contract.Receipt
	}{
		{"delivered", []contract.Answer{say(contract.Delivered, 1)}, DeliveryDelivered, [3]time.Time{at(1)}, ""},
		{"read fills delivered", []contract.Answer{say(contract.Read, 2)}, DeliveryRead, [3]time.Time{at(2), at(2)}, ""},
		{
			"delivered after read gives the true time",
			[]contract.Answer{say(contract.Read, 2), say(contract.Delivered, 1)},
			DeliveryRead,
			[3]time.Time{at(1), at(2)},
			"",
		},
		{
			"delivered again keeps the first",
			[]contract.Answer{say(contract.Delivered, 1), say(contract.Delivered, 3)},
			DeliveryDelivered,
			[3]time.Time{at(1)},
			"",
		},
		{
			"answer fills all",
			[]contract.Answer{say(contract.Accepted, 3)},
			DeliveryAnswered,
			[3]time.Time{at(3), at(3), at(3)},
			contract.Accepted,
		},
		{
			"read after an answer goes not back",
			[]contract.Answer{say(contract.Accepted, 3), say(contract.Read, 4)},
			DeliveryAnswered,
			[3]time.Time{at(3), at(3), at(3)},
			contract.Accepted,
		},
		{
			"the later answer stands",
			[]contract.Answer{say(contract.Standby, 1), say(contract.Accepted, 3)},
			DeliveryAnswered,
			[3]time.Time{at(1), at(1), at(3)},
			contract.Accepted,
		},
		{
			"the answer said later stands though it came first",
			[]contract.Answer{say(contract.Accepted, 3), say(contract.Standby, 1)},
			DeliveryAnswered,
			[3]time.Time{at(1), at(1), at(3)},
			contract.Accepted,
		},
		{
			"in position after accepted",
			[]contract.Answer{say(contract.Accepted, 3), say(contract.InPosition, 20)},
			DeliveryAnswered,
			[3]time.Time{at(3), at(3), at(20)},
			contract.InPosition,
		},
		{
			"said at once: the further one",
			[]contract.Answer{say(contract.InPosition, 3), say(contract.Accepted, 3)},
			DeliveryAnswered,
			[3]time.Time{at(3), at(3), at(3)},
			contract.InPosition,
		},
		{
			"rejected replaces accepted",
			[]contract.Answer{say(contract.Accepted, 3), say(contract.Rejected, 4)},
			DeliveryAnswered,
			[3]time.Time{at(3), at(3), at(4)},
			contract.Rejected,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDelivery()
			for _, a := range tt.in {
				if _, err := d.Apply(a, false); err != nil {
					t.Fatal(err)
				}
			}
			got := [3]time.Time{d.Delivered, d.Read, d.Answered}
			if d.State != tt.state || d.Answer != tt.ans || got != tt.want {
				t.Errorf("got %s %q %v, want %s %q %v", d.State, d.Answer, got, tt.state, tt.ans, tt.want)
			}
			for _, a := range tt.in {
				if changed, err := d.Apply(a, false); changed || err != nil {
					t.Errorf("%s again: changed %t, %v", a.Receipt, changed, err)
				}
			}
		})
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(*contract.Answer)
	}{
		{"rejected without a reason", "reason", func(a *contract.Answer) { a.Receipt, a.Reason = contract.Rejected, " " }},
		{"another order", "order or-2", func(a *contract.Answer) { a.Order = "or-2" }},
		{"another team", "team t2", func(a *contract.Answer) { a.Team = "t2" }},
		{"no such receipt", "no receipt", func(a *contract.Answer) { a.Receipt = "maybe" }},
		{"no time at all", "no time", func(a *contract.Answer) { a.At, a.Received = time.Time{}, time.Time{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, a := newDelivery(), say(contract.Accepted, 1)
			tt.change(&a)
			changed, err := d.Apply(a, false)
			if changed || !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("changed %t, error %v", changed, err)
			}
			if diff := cmp.Diff(newDelivery(), d); diff != "" {
				t.Errorf("the delivery changed:\n%s", diff)
			}
		})
	}
}

func TestAnswerOnBehalf(t *testing.T) {
	d := newDelivery()
	if _, err := d.Apply(say(contract.Accepted, 2), true); err != nil {
		t.Fatal(err)
	}
	if d.State != DeliveryAnswered || !d.OnBehalf || d.AnsweredBy != "张三" || !d.NextAt.IsZero() {
		t.Errorf("got %+v", d)
	}
	if !d.Sent.IsZero() || !d.Delivered.IsZero() || !d.Read.IsZero() {
		t.Error("an answer by telephone proves that the terminal has the order")
	}
	if _, err := d.Apply(say(contract.Delivered, 4), false); err != nil || d.Delivered != at(4) || d.State != DeliveryAnswered {
		t.Errorf("the terminal's receipt: %v, %+v", err, d)
	}
}

func TestNothingIsSaidAfterItWasReceived(t *testing.T) {
	d, a := newDelivery(), say(contract.Accepted, 2)
	a.At = at(9)
	if _, err := d.Apply(a, false); err != nil || d.Answered != at(2) {
		t.Errorf("answered %s, %v", d.Answered, err)
	}
}

func TestReceiptOfAStaleDelivery(t *testing.T) {
	d := newDelivery()
	if !d.End(at(1)) || d.End(at(2)) {
		t.Error("ending it twice")
	}
	changed, err := d.Apply(say(contract.StoodDown, 3), false)
	if !changed || err != nil || d.State != DeliveryStale || d.Answer != contract.StoodDown || !d.NextAt.IsZero() {
		t.Errorf("changed %t, %v, %+v", changed, err, d)
	}
}

func TestTakeAnswerPutsItOnRecord(t *testing.T) {
	d := newDelivery()
	ch, changed, err := TakeAnswer(&d, redOrder(), "130633100", say(contract.Rejected, 2), true, "电话")
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	want := []Attempt{{Order: "or-1", Team: "t1", Channel: ChannelAnswer, At: at(2), Note: "电话：拒绝，张三（代答）：车坏了"}}
	if diff := cmp.Diff(want, ch.Attempts); diff != "" {
		t.Error(diff)
	}
	if len(ch.Events) != 1 || string(ch.Events[0].Data) != `{"order":"or-1","team":"t1"}` || ch.Events[0].Area != "130633100" {
		t.Errorf("events %+v", ch.Events)
	}
	ch, changed, err = TakeAnswer(&d, redOrder(), "", say(contract.Rejected, 2), true, "电话")
	if err != nil || changed || ch.Attempts != nil || ch.Events != nil {
		t.Errorf("again: %+v %t %v", ch, changed, err)
	}
}

// The order of receipts does not matter.
func TestReceiptsCommute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contract.Answer {
			return say(rapid.SampledFrom(contract.Receipts).Draw(t, "receipt"), float64(rapid.IntRange(0, 5).Draw(t, "minute")))
		}), 1, 8).Draw(t, "answers")
		a, b := newDelivery(), newDelivery()
		for _, x := range in {
			must(t, &a, x)
		}
		for _, i := range rapid.Permutation(indices(len(in))).Draw(t, "order") {
			must(t, &b, in[i])
		}
		a.Sent, b.Sent, a.Updated, b.Updated = time.Time{}, time.Time{}, time.Time{}, time.Time{} // times of ours
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("two orders of the same receipts differ:\n%s", diff)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func must(t *rapid.T, d *Delivery, a contract.Answer) {
	if _, err := d.Apply(a, false); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens in whatever order: a delivery never goes back, an answered
// one is never sent, and a silent one of an open order is never forgotten.
func TestDeliveryProperties(t *testing.T) {
	policy := DefaultPolicy()
	rapid.Check(t, func(t *rapid.T) {
		o, d, now := redOrder(), newDelivery(), t0
		o.Level = rapid.SampledFrom([]Severity{Blue, Yellow, Orange, Red}).Draw(t, "level")
		o.AnswerBy = policy.AnswerBy(o.Level, o.Issued)
		tries := []int{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			before := d
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Minute)).Draw(t, "wait")))
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				act, _ := d.Begin(now, o, policy)
				if act.Kind == ActCall {
					tries = append(tries, d.Tries)
				}
				if act.Kind == ActCall && !before.Silent() {
					t.Fatalf("%s was called", before.State)
				}
				if act.Kind == ActCall && !d.NextAt.After(now) {
					t.Fatalf("a dispatcher that dies here is not followed: next at %s, now %s", d.NextAt, now)
				}
			case 2:
				if len(tries) == 0 {
					continue
				}
				r := Outcome{
					Taken: rapid.Bool().Draw(t, "taken"), Permanent: rapid.Bool().Draw(t, "permanent"),
					Held: rapid.Bool().Draw(t, "held"), Error: "x",
				}
				if rapid.Bool().Draw(t, "throttled") {
					r.NotBefore = now.Add(10 * time.Minute)
				}
				d.Finish(now, o, policy, rapid.SampledFrom(tries).Draw(t, "try"), r)
			case 3:
				r := rapid.SampledFrom(contract.Receipts).Draw(t, "receipt")
				a := say(r, 0)
				a.At, a.Received = now.Add(-time.Minute), now
				must(t, &d, a)
			case 4:
				if rapid.IntRange(0, 5).Draw(t, "cancel") == 0 {
					o.Status = OrderCancelled
				}
				if Due(now, o, d, policy).Kind == ActEnd {
					d.End(now)
				}
			}
			if d.State.rank() < before.State.rank() {
				t.Fatalf("went back from %s to %s", before.State, d.State)
			}
			if d.Escalation < before.Escalation || d.Escalation > MaxEscalation {
				t.Fatalf("escalation from %d to %d", before.Escalation, d.Escalation)
			}
			for _, p := range [][2]time.Time{{before.Sent, d.Sent}, {before.Delivered, d.Delivered}, {before.Read, d.Read}, {before.Answered, d.Answered}} {
				if !p[0].IsZero() && p[1].IsZero() {
					t.Fatalf("a time was lost: %+v", d)
				}
			}
			if o.Status == OrderOpen && d.Silent() == d.NextAt.IsZero() {
				t.Fatalf("%s with next at %s", d.State, d.NextAt)
			}
			if d.Silent() && o.Status == OrderOpen && d.NextAt.After(now.Add(time.Hour)) {
				t.Fatalf("forgotten until %s, now %s", d.NextAt, now)
			}
		}
	})
}

// A silent red team is called every 2 minutes and brought before the township,
// the county and the city at 5, 10 and 15 minutes.
func TestSilentTeamIsChased(t *testing.T) {
	policy, o, d := DefaultPolicy(), redOrder(), newDelivery()
	type call struct {
		Minute, Escalation int
		Wide               bool
	}
	var got []call
	var notes []string
	for now := t0; now.Before(at(21)); now = d.NextAt {
		act, record := d.Begin(now, o, policy)
		if act.Kind != ActCall {
			t.Fatalf("at %s: action %v", now, act)
		}
		for _, r := range record {
			notes = append(notes, r.Note)
		}
		d.Finish(now, o, policy, d.Tries, Outcome{Taken: true})
		got = append(got, call{int(now.Sub(t0).Minutes()), d.Escalation, act.Wide})
	}
	want := []call{
		{0, 0, false},
		{2, 0, false},
		{4, 0, false},
		{5, 1, true},
		{7, 1, true},
		{9, 1, true},
		{10, 2, true},
		{12, 2, true},
		{14, 2, true},
		{15, 3, true},
		{17, 3, true},
		{19, 3, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := []string{"未应答，报乡镇值班员", "未应答，报县级值班员", "未应答，报市级值班员"}; !slices.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
}

func TestLevelsOfThePolicy(t *testing.T) {
	for _, tt := range []struct {
		level        Severity
		call, answer time.Duration
	}{
		{Red, 2 * time.Minute, 5 * time.Minute},
		{Orange, 5 * time.Minute, 15 * time.Minute},
		{Yellow, 15 * time.Minute, 30 * time.Minute},
		{Blue, time.Hour, time.Hour},
		{Notice, time.Hour, time.Hour},
		{Severity(9), 2 * time.Minute, 5 * time.Minute},
	} {
		o, d := redOrder(), newDelivery()
		o.Level, o.AnswerBy = tt.level, time.Time{}
		d.Begin(t0, o, DefaultPolicy())
		d.Finish(t0, o, DefaultPolicy(), 1, Outcome{Taken: true})
		if got := d.NextAt.Sub(t0); got != tt.call {
			t.Errorf("%s: called again after %s, want %s", tt.level, got, tt.call)
		}
		if a := Due(t0.Add(tt.answer-1), o, d, DefaultPolicy()); a.Escalate != 0 {
			t.Errorf("%s: brought before level %d too early", tt.level, a.Escalate)
		}
		if a := Due(t0.Add(max(tt.answer, tt.call)), o, d, DefaultPolicy()); a.Escalate != 1 {
			t.Errorf("%s: brought before level %d, want 1", tt.level, a.Escalate)
		}
	}
}

func TestOverdueAfterADeadNight(t *testing.T) {
	d := newDelivery()
	act, record := d.Begin(at(600), redOrder(), DefaultPolicy())
	if act.Kind != ActCall || d.Escalation != 3 || len(record) != 3 {
		t.Errorf("action %+v, escalation %d, %d records", act, d.Escalation, len(record))
	}
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		r      Outcome
		state  DeliveryState
		next   time.Duration
		tries  int
		failed bool
		level  int
	}{
		{"taken", Outcome{Taken: true}, DeliverySent, 2 * time.Minute, 1, false, 0},
		{"taken by one, never by another", Outcome{Taken: true, Permanent: true, Error: "sms: no number"}, DeliverySent, 2 * time.Minute, 1, false, 0},
		{"error", Outcome{Error: "mqtt: not connected"}, DeliverySending, 2 * time.Second, 1, false, 0},
		{"throttled", Outcome{NotBefore: at(1), Error: "x"}, DeliverySending, time.Minute, 1, false, 0},
		{"throttled beyond the deadline", Outcome{NotBefore: at(60), Error: "x"}, DeliverySending, 5 * time.Minute, 1, false, 0},
		{"held", Outcome{Held: true, NotBefore: at(1), Error: "x"}, DeliverySending, time.Minute, 0, false, 0},
		{"never", Outcome{Permanent: true, Error: "x"}, DeliveryFailed, 5 * time.Minute, 1, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDelivery()
			d.Begin(t0, redOrder(), DefaultPolicy())
			record, failed := d.Finish(t0, redOrder(), DefaultPolicy(), 1, tt.r)
			if d.State != tt.state || d.NextAt.Sub(t0) != tt.next || d.Tries != tt.tries || failed != tt.failed || d.Escalation != tt.level {
				t.Errorf("got %s, next in %s, tries %d, failed %t, escalation %d", d.State, d.NextAt.Sub(t0), d.Tries, failed, d.Escalation)
			}
			if d.LastError != tt.r.Error || len(record) != tt.level || tt.r.Taken != d.Sent.Equal(t0) {
				t.Errorf("error %q, %d records, sent %s", d.LastError, len(record), d.Sent)
			}
		})
	}
}

func TestFailedDeliveryMayYetArrive(t *testing.T) {
	d := newDelivery()
	d.Begin(t0, redOrder(), DefaultPolicy())
	d.Finish(t0, redOrder(), DefaultPolicy(), 1, Outcome{Permanent: true, Error: "x"})
	d.Begin(at(5), redOrder(), DefaultPolicy())
	if d.State != DeliveryFailed {
		t.Fatalf("went back to %s", d.State)
	}
	if _, failed := d.Finish(at(5), redOrder(), DefaultPolicy(), 2, Outcome{Permanent: true, Error: "x"}); failed {
		t.Error("it failed for a second time")
	}
	d.Begin(at(10), redOrder(), DefaultPolicy())
	d.Finish(at(10), redOrder(), DefaultPolicy(), 3, Outcome{Taken: true})
	if d.State != DeliverySent || d.LastError != "" {
		t.Errorf("got %s, %q", d.State, d.LastError)
	}
}

func TestAnswerDuringASendingStands(t *testing.T) {
	d := newDelivery()
	d.Begin(t0, redOrder(), DefaultPolicy())
	if _, err := d.Apply(say(contract.Accepted, 0.1), false); err != nil {
		t.Fatal(err)
	}
	if _, failed := d.Finish(at(0.2), redOrder(), DefaultPolicy(), 1, Outcome{Permanent: true, Error: "x"}); failed {
		t.Error("an answered delivery failed")
	}
	if d.State != DeliveryAnswered || !d.NextAt.IsZero() {
		t.Errorf("got %s, next at %s", d.State, d.NextAt)
	}
}

func TestLateOutcomeLeavesTheNewerClaim(t *testing.T) {
	d := newDelivery()
	d.Begin(t0, redOrder(), DefaultPolicy())
	d.Begin(at(1), redOrder(), DefaultPolicy())
	claim := d.NextAt
	d.Finish(at(1), redOrder(), DefaultPolicy(), 1, Outcome{Taken: true})
	if d.NextAt != claim || d.State != DeliverySent {
		t.Errorf("next at %s, want %s; %s", d.NextAt, claim, d.State)
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	p := DefaultPolicy()
	var got []time.Duration
	for n := range 8 {
		got = append(got, p.backoff(n)/time.Second)
	}
	if want := []time.Duration{2, 2, 4, 8, 16, 32, 60, 60}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestPolicyValidate(t *testing.T) {
	if err := DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Policy){
		"red.call":    func(p *Policy) { p.Red.Call = 0 },
		"blue.answer": func(p *Policy) { p.Blue.Answer = -1 },
		"claim":       func(p *Policy) { p.Claim = time.Hour },
		"retry":       func(p *Policy) { p.Retry = time.Hour },
		"retry_max":   func(p *Policy) { p.RetryMax = 24 * time.Hour },
	} {
		p := DefaultPolicy()
		change(&p)
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAnswerWithAWrongClockCountsAsOfItsReceipt(t *testing.T) {
	for name, tt := range map[string]struct {
		at, want time.Time
		doubt    string
	}{
		"right":             {at(2), at(2), ""},
		"a little ahead":    {at(12), at(3), ""},
		"at the issue":      {t0, t0, ""},
		"before the order":  {t0.Add(-time.Second), at(3), "所报时间有误"},
		"the last century":  {time.Unix(0, 0), at(3), "所报时间有误"},
		"far ahead":         {at(13.1), at(3), "所报时间有误"},
		"no believable one": {time.Time{}, at(3), "未报时间"},
	} {
		t.Run(name, func(t *testing.T) {
			d, a := newDelivery(), say(contract.Accepted, 3)
			a.At = tt.at
			c, changed, err := TakeAnswer(&d, redOrder(), "130633", a, false, "MQTT")
			if err != nil || !changed || len(c.Attempts) != 1 {
				t.Fatalf("%+v, %v, %v", c, changed, err)
			}
			if !d.Answered.Equal(tt.want) || !d.Delivered.Equal(tt.want) || d.State != DeliveryAnswered {
				t.Errorf("answered %s, delivered %s, want %s", d.Answered, d.Delivered, tt.want)
			}
			if note := c.Attempts[0].Note; strings.Contains(note, "按收到时间计") != (tt.doubt != "") || !strings.Contains(note, tt.doubt) {
				t.Errorf("note %q", note)
			}
			if tt.doubt == "" {
				return
			}
			a.Received = at(3.05) // the bearer brings it again
			if _, changed, err := TakeAnswer(&d, redOrder(), "130633", a, false, "MQTT"); changed || err != nil || !d.Answered.Equal(tt.want) {
				t.Errorf("again: changed %v, %v, answered %s", changed, err, d.Answered)
			}
			other := say(contract.InPosition, 10) // what the team says later stands
			other.At = tt.at
			if _, changed, err := TakeAnswer(&d, redOrder(), "130633", other, false, "MQTT"); !changed || err != nil || d.Answer != contract.InPosition {
				t.Errorf("later: changed %v, %v, answer %s", changed, err, d.Answer)
			}
		})
	}
}
