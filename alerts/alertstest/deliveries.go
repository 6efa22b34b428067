package alertstest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// answerAt is a team's answer, so many minutes after t0.
func answerAt(minutes int) func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error) {
	return func(d *alerts.Delivery, _ alerts.Order) (alerts.DeliveryChange, error) {
		d.State, d.Answer, d.AnsweredBy = alerts.DeliveryAnswered, contract.Accepted, "王五"
		d.Answered, d.Updated, d.NextAt = at(minutes), at(minutes), time.Time{}
		return alerts.DeliveryChange{Events: []alerts.Event{event(alerts.EventDelivery)}}, nil
	}
}

var deliveryTests = map[string]func(check){
	"ChangeIsSavedWithAttemptsAndEvents": func(t check) {
		s := t.store
		o := newOrder("or-1", 0)
		got2(s.CreateOrder(t.Context(), o, deliveriesTo("a", "b"), nil))(t)
		want := alerts.Delivery{
			Order: "or-1", Team: "a", Reason: "最近", State: alerts.DeliveryRead, Sent: at(1), Delivered: at(2), Read: at(3),
			Answer: contract.Read, AnswerNote: "note", AnsweredBy: "王五", OnBehalf: true, Tries: 3, Escalation: 2,
			NextAt: at(10), LastError: "timeout", Updated: at(3),
		}
		attempts := []alerts.Attempt{
			{Order: "or-1", Team: "a", Channel: "mqtt", At: at(1), Try: 1, Error: "timeout", Note: "重试"},
			{Order: "or-1", Team: "a", Channel: "mqtt", At: at(1), Try: 2},
		}
		saved := got(s.UpdateDelivery(t.Context(), "or-1", "a", func(d *alerts.Delivery, seen alerts.Order) (alerts.DeliveryChange, error) {
			equal(t, "order seen", seen, o)
			equal(t, "state seen", d.State, alerts.DeliveryPending)
			*d = want
			return alerts.DeliveryChange{Attempts: attempts, Events: []alerts.Event{event(alerts.EventDelivery)}}, nil
		}))(t)
		equal(t, "returned", saved, want)
		equal(t, "delivery", got(s.Deliveries(t.Context(), "or-1"))(t)[0], want)
		third := alerts.Attempt{Order: "or-1", Team: "b", Channel: "escalation", At: at(4), Try: 1}
		got(s.UpdateDelivery(t.Context(), "or-1", "b", func(*alerts.Delivery, alerts.Order) (alerts.DeliveryChange, error) {
			return alerts.DeliveryChange{Attempts: []alerts.Attempt{third}}, nil
		}))(t)
		equal(t, "attempts", got(s.Attempts(t.Context(), "or-1"))(t), append(attempts, third))
		equal(t, "events", types(newEvents(t, s, 0)), []alerts.EventType{alerts.EventDelivery})
	},
	"RefusedChangeChangesNothing": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo("a"), nil))(t)
		refuse := errors.New("refuse")
		_, err := s.UpdateDelivery(t.Context(), "or-1", "a", func(d *alerts.Delivery, _ alerts.Order) (alerts.DeliveryChange, error) {
			d.State = alerts.DeliveryAnswered
			return alerts.DeliveryChange{Attempts: []alerts.Attempt{{Channel: "mqtt"}}}, refuse
		})
		if !errors.Is(err, refuse) {
			t.Errorf("%v, want the error of change", err)
		}
		equal(t, "state", got(s.Deliveries(t.Context(), "or-1"))(t)[0].State, alerts.DeliveryPending)
		equal(t, "attempts", len(got(s.Attempts(t.Context(), "or-1"))(t)), 0)
		equal(t, "status", got(s.Order(t.Context(), "or-1"))(t).Status, alerts.OrderOpen)
	},
	"UnknownDeliveryIsNotFound": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo("a"), nil))(t)
		for _, c := range []struct {
			order string
			team  contract.TeamID
		}{{"or-1", "b"}, {"or-2", "a"}} {
			if _, err := s.UpdateDelivery(t.Context(), c.order, c.team, answerAt(1)); !errors.Is(err, alerts.ErrNotFound) {
				t.Errorf("%v: %v, want ErrNotFound", c, err)
			}
		}
	},
	"LastAnswerCompletesTheOrder": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo("a", "b"), nil))(t)
		got(s.UpdateDelivery(t.Context(), "or-1", "a", answerAt(4)))(t)
		equal(t, "status after one", got(s.Order(t.Context(), "or-1"))(t).Status, alerts.OrderOpen)
		mark := lastEvent(t, s)
		got(s.UpdateDelivery(t.Context(), "or-1", "b", answerAt(6)))(t)
		o := got(s.Order(t.Context(), "or-1"))(t)
		equal(t, "status after both", o.Status, alerts.OrderComplete)
		equal(t, "completed", o.Completed, at(6))
		evs := newEvents(t, s, mark)
		equal(t, "events", types(evs), []alerts.EventType{alerts.EventDelivery, alerts.EventOrder})
		equal(t, "data of the order's event", string(evs[1].Data), `{"id":"or-1"}`)
		equal(t, "area of the order's event", evs[1].Area, "130633")

		got(s.UpdateDelivery(t.Context(), "or-1", "a", answerAt(30)))(t)
		equal(t, "completed is not moved", got(s.Order(t.Context(), "or-1"))(t).Completed, at(6))
		equal(t, "events after completion", types(newEvents(t, s, mark))[2:], []alerts.EventType{alerts.EventDelivery})
	},
	"FailedDeliveryKeepsTheOrderOpen": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo("a", "b"), nil))(t)
		got(s.UpdateDelivery(t.Context(), "or-1", "a", func(d *alerts.Delivery, _ alerts.Order) (alerts.DeliveryChange, error) {
			d.State = alerts.DeliveryFailed
			return alerts.DeliveryChange{}, nil
		}))(t)
		got(s.UpdateDelivery(t.Context(), "or-1", "b", answerAt(1)))(t)
		equal(t, "status", got(s.Order(t.Context(), "or-1"))(t).Status, alerts.OrderOpen)
	},
	"AnswerToACancelledOrderIsKept": func(t check) {
		s := t.store
		o := newOrder("or-1", 0)
		o.Status = alerts.OrderCancelled
		got2(s.CreateOrder(t.Context(), o, deliveriesTo("a"), nil))(t)
		got(s.UpdateDelivery(t.Context(), "or-1", "a", answerAt(1)))(t)
		equal(t, "order", got(s.Order(t.Context(), "or-1"))(t), o)
		equal(t, "answer", got(s.Deliveries(t.Context(), "or-1"))(t)[0].Answer, contract.Accepted)
	},
	"AnswersOfAllAtOnceCompleteTheOrderOnce": func(t check) {
		s := t.store
		const teams = 24
		ids := make([]contract.TeamID, teams)
		for i := range ids {
			ids[i] = contract.TeamID(fmt.Sprintf("team-%02d", i))
		}
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo(ids...), nil))(t)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for _, id := range ids {
			wg.Go(func() {
				<-start
				if _, err := s.UpdateDelivery(t.Context(), "or-1", id, answerAt(2)); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		equal(t, "status", got(s.Order(t.Context(), "or-1"))(t).Status, alerts.OrderComplete)
		n := 0
		for _, e := range newEvents(t, s, 0) {
			if e.Type == alerts.EventOrder {
				n++
			}
		}
		equal(t, "order events", n, 1)
	},
	"UpdatesOfOneDeliveryDoNotOverwriteEachOther": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), deliveriesTo("a"), nil))(t)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := s.UpdateDelivery(t.Context(), "or-1", "a", func(d *alerts.Delivery, _ alerts.Order) (alerts.DeliveryChange, error) {
					d.Tries++
					return alerts.DeliveryChange{Attempts: []alerts.Attempt{{Order: "or-1", Team: "a", Channel: "mqtt", At: at(d.Tries), Try: d.Tries}}}, nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		equal(t, "tries", got(s.Deliveries(t.Context(), "or-1"))(t)[0].Tries, 10)
		for i, a := range got(s.Attempts(t.Context(), "or-1"))(t) {
			equal(t, "try", a.Try, i+1)
		}
	},
	"DueAreOfOpenOrdersGravestFirst": func(t check) {
		s := t.store
		mk := func(id string, level alerts.Severity, status alerts.OrderStatus, next ...time.Time) {
			o := newOrder(id, 0)
			o.Level, o.Status = level, status
			ds := deliveriesTo("a", "b", "c")[:len(next)]
			for i := range ds {
				ds[i].NextAt = next[i]
			}
			got2(s.CreateOrder(t.Context(), o, ds, nil))(t)
		}
		mk("or-blue", alerts.Blue, alerts.OrderOpen, at(0))
		mk("or-red", alerts.Red, alerts.OrderOpen, at(5), at(3), time.Time{})
		mk("or-later", alerts.Red, alerts.OrderOpen, at(5).Add(time.Millisecond))
		mk("or-off", alerts.Red, alerts.OrderCancelled, at(0))
		mk("or-done", alerts.Red, alerts.OrderComplete, at(0))
		key := func(ds []alerts.Delivery) (out []string) {
			for _, d := range ds {
				out = append(out, d.Order+" "+string(d.Team))
			}
			return out
		}
		want := []string{"or-red b", "or-red a", "or-blue a"}
		equal(t, "due", key(got(s.DueDeliveries(t.Context(), at(5), 10))(t)), want)
		equal(t, "due, at most 2", key(got(s.DueDeliveries(t.Context(), at(5), 2))(t)), want[:2])
		equal(t, "due before", key(got(s.DueDeliveries(t.Context(), at(-1), 10))(t)), nil)
	},
	"TeamSeesItsOwnNewestFirst": func(t check) {
		s := t.store
		got2(s.CreateOrder(t.Context(), newOrder("or-9", 1), deliveriesTo("a", "b"), nil))(t)
		got2(s.CreateOrder(t.Context(), newOrder("or-8", 2), deliveriesTo("a"), nil))(t)
		got2(s.CreateOrder(t.Context(), newOrder("or-7", 3), deliveriesTo("b"), nil))(t)
		ds := got(s.TeamDeliveries(t.Context(), "a", 10))(t)
		if len(ds) != 2 || ds[0].Order != "or-8" || ds[1].Order != "or-9" || ds[0].Team != "a" {
			t.Errorf("deliveries %+v", ds)
		}
		equal(t, "at most 1", len(got(s.TeamDeliveries(t.Context(), "a", 1))(t)), 1)
	},
	"TalliesCountEachStepAndThoseBeyond": func(t check) {
		s := t.store
		ds := deliveriesTo("a", "b", "c", "d", "e", "f")
		ds[1].State, ds[1].Sent = alerts.DeliverySent, at(1)
		ds[2].State, ds[2].Sent, ds[2].Delivered = alerts.DeliveryDelivered, at(1), at(2)
		ds[3].State, ds[3].Read = alerts.DeliveryRead, at(3)
		ds[4].State, ds[4].Answered = alerts.DeliveryAnswered, at(4)
		ds[5].State, ds[5].Sent = alerts.DeliveryFailed, at(1)
		got2(s.CreateOrder(t.Context(), newOrder("or-1", 0), ds, nil))(t)
		got2(s.CreateOrder(t.Context(), newOrder("or-2", 0), nil, nil))(t)
		equal(t, "tallies", got(s.Tallies(t.Context(), []string{"or-1", "or-2"}))(t), map[string]alerts.Tally{
			"or-1": {Total: 6, Sent: 5, Delivered: 3, Read: 2, Answered: 1, Failed: 1},
			"or-2": {},
		})
		equal(t, "of no orders", len(got(s.Tallies(t.Context(), nil))(t)), 0)
	},
}
