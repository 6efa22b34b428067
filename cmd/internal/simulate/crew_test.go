package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// line keeps what a team says, and when.
type line struct {
	team contract.TeamID
	t    *testing.T

	mu   sync.Mutex
	said []contract.Answer
}

func (l *line) Publish(topic string, payload []byte, acked func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := contractv1.DecodeAnswer(contract.Topic{Team: l.team, Answers: true}, payload, time.Now())
	if err != nil || topic != contract.TeamAnswers(l.team) {
		l.t.Errorf("%s: %s: %v", topic, payload, err)
	}
	l.said = append(l.said, a)
	acked()
	return true
}

// of is what the team said about the order.
func (l *line) of(order string) (said []contract.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.said {
		if a.Order == order {
			said = append(said, a)
		}
	}
	return said
}

// room is teams before their terminals, in a time that runs at once.
type room struct {
	t         *testing.T
	run       *run
	terminals []*terminal
	lines     []*line
}

func inRoom(t *testing.T, teams int, f func(r *room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 20, 3, 0, 0, 0, time.UTC))) // fake time begins in 2000
		fleet := testFleet(8)
		r := &room{t: t, run: &run{clock: newClock(), script: newScript(fleet, rand.New(rand.NewPCG(1, 0)))}}
		c := &crew{run: r.run, orders: map[string]*muster{}}
		for i := range teams {
			l := &line{team: contract.TeamID(fmt.Sprintf("T%d", i)), t: t}
			r.lines = append(r.lines, l)
			r.terminals = append(r.terminals, &terminal{team: l.team, crew: c, client: l, seen: map[string]bool{}})
		}
		ctx, stop := context.WithCancel(t.Context())
		go r.run.clock.run(ctx)
		f(r)
		stop()
		synctest.Wait()
		if r.run.first != nil {
			t.Error(r.run.first)
		}
	})
}

// give puts the orders on the topics of the teams.
func (r *room) give(teams []int, orders ...contract.Order) {
	for _, i := range teams {
		doc, err := contractv1.AppendOrders(nil, contractv1.JSON, r.terminals[i].team, orders, time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		r.terminals[i].hear(doc)
		time.Sleep(200 * time.Millisecond) // fake time: the teams are not told at once
	}
}

func (r *room) order(id, issuer string) contract.Order {
	s := r.run.script.sensor
	return contract.Order{
		ID: id, Kind: "standby", Level: "red", Text: "待命", Issued: time.Now(), AnswerBy: time.Now().Add(5 * time.Minute),
		Issuer: issuer, Lat: s.Lat, Lon: s.Lon, HasPlace: true,
	}
}

func TestOneTeamRejectsAndOneIsSilent(t *testing.T) {
	var before []contract.TeamID
	for range 2 { // the same both times
		inRoom(t, 5, func(r *room) {
			o := r.order("or-1", "rule:sensor_fire")
			began := time.Now()
			all := []int{0, 1, 2, 3, 4}
			r.give(all, o)
			time.Sleep(30 * time.Second)
			r.give(all, o) // it stands there until it is answered: heard once
			time.Sleep(10 * time.Minute)
			var silent, rejected []contract.TeamID
			inPosition := 0
			for _, l := range r.lines {
				said := l.of("or-1")
				if len(said) == 0 || said[0].Receipt != contract.Delivered || said[0].At.Sub(began) > 2*time.Second {
					t.Fatalf("%s says %v", l.team, said)
				}
				if len(said) == 1 {
					silent = append(silent, l.team)
					continue
				}
				read, answer := said[1], said[2]
				if read.Receipt != contract.Read || read.At.Sub(began) < 5*time.Second || read.At.Sub(began) > 18*time.Second {
					t.Errorf("%s reads %v after %v", l.team, read.Receipt, read.At.Sub(began))
				}
				if !answer.Receipt.Answer() || answer.By == "" || answer.At.Sub(began) < 10*time.Second || answer.At.Sub(began) > time.Minute+time.Second {
					t.Errorf("%s answers %v after %v", l.team, answer.Receipt, answer.At.Sub(began))
				}
				if answer.Receipt == contract.Rejected {
					rejected = append(rejected, l.team)
					if answer.Reason == "" {
						t.Error("rejected without a reason")
					}
				}
				if len(said) == 4 && said[3].Receipt == contract.InPosition {
					inPosition++
				} else if len(said) > 3 {
					t.Errorf("%s says %v", l.team, said)
				}
			}
			if len(silent) != 1 || len(rejected) != 1 {
				t.Errorf("silent %v, rejected %v", silent, rejected)
			}
			parts := slices.Concat(silent, rejected)
			if before != nil && !slices.Equal(before, parts) {
				t.Errorf("other parts the second time: %v, %v", before, parts)
			}
			before = parts

			// The silent team answers the office, and everyone else too.
			r.give(all, r.order("or-2", "office-130624"))
			// An order of another fire of the same story finds the same team silent.
			r.give(all, r.order("or-3", "rule:sensor_fire"))
			time.Sleep(10 * time.Minute)
			for _, l := range r.lines {
				if len(l.of("or-2")) < 3 {
					t.Errorf("%s says %v to the office", l.team, l.of("or-2"))
				}
				if (len(l.of("or-3")) == 1) != (l.team == silent[0]) {
					t.Errorf("%s says %v to the third order", l.team, l.of("or-3"))
				}
			}
		})
	}
}

func TestASilentTeamStaysSilentOverARestart(t *testing.T) {
	inRoom(t, 2, func(r *room) {
		o := r.order("or-1", "rule:sensor_fire")
		time.Sleep(5 * time.Minute)
		r.give([]int{1}, o)
		time.Sleep(10 * time.Minute)
		if said := r.lines[1].of("or-1"); len(said) != 1 || said[0].Receipt != contract.Delivered {
			t.Errorf("says %v", said)
		}
		late := r.order("or-2", "office-130624")
		late.Kind = "stand_down"
		r.give([]int{0, 1}, late)
		time.Sleep(2 * time.Minute)
		if said := r.lines[1].of("or-2"); len(said) != 3 || said[2].Receipt != contract.StoodDown {
			t.Errorf("says %v", said)
		}
	})
}

func TestAnOrderThatCannotBeReadIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{clock: newClock()}
		term := &terminal{team: "T1", crew: &crew{run: r}, client: &line{team: "T1", t: t}, seen: map[string]bool{}}
		term.hear([]byte("{"))
		if r.first == nil {
			t.Error("no error")
		}
		r.first = nil
		term.hear(nil) // cleared
		if r.first != nil {
			t.Error(r.first)
		}
	})
}
