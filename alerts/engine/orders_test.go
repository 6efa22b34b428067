package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// burns has a fire at a sensor.
func (w *world) burns(id contract.DeviceID) {
	w.sees(id, values{smoke: 20, co: 90})
	w.pass(time.Second)
	w.sees(id, values{smoke: 21, co: 91})
}

func (w *world) alertOf(id contract.DeviceID) alerts.Alert {
	w.t.Helper()
	for _, a := range w.alerts() {
		if a.Device == id {
			return a
		}
	}
	w.t.Fatalf("no alert of %s", id)
	return alerts.Alert{}
}

func TestAnOrderThatFailsHoldsUpNoOther(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("constraint") },
		"panic": func() error { panic("planning") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.rules.Incidents.WithinKM = 0.5 // two fires
				var bad atomic.Bool
				bad.Store(true)
				w.start(&store{Store: w.mem, refuse: func(o alerts.Order) error {
					if bad.Load() && w.alertOf("S1").ID == o.Alert {
						return fail()
					}
					return nil
				}})
				w.pass(time.Second)
				w.burns("S1")
				w.burns("S2")
				w.pass(2 * time.Minute)
				if a := w.alertOf("S2"); a.Order == "" {
					t.Error("the second fire has no order")
				}
				a := w.alertOf("S1")
				if a.Order != "" || !strings.Contains(strings.Join(a.Reasons, ";"), alerts.NobodyNotified) {
					t.Errorf("order %q, reasons %q", a.Order, a.Reasons)
				}
				evs, err := w.mem.Events(t.Context(), 0, 1000)
				if err != nil {
					t.Fatal(err)
				}
				told := slices.DeleteFunc(evs, func(e alerts.Event) bool {
					return e.Type != alerts.EventAlert || !strings.Contains(string(e.Data), alerts.NobodyNotified)
				})
				if len(told) != 1 || !strings.Contains(string(told[0].Data), a.ID) {
					t.Errorf("events that nobody was notified: %+v", told)
				}
				bad.Store(false)
				w.pass(time.Minute)
				if w.alertOf("S1").Order == "" {
					t.Error("no order after the fault was put right")
				}
			})
		})
	}
}

// A save whose answer was lost, and a plan that is another one now: the order
// stands, and is the alert's.
func TestAConflictMeansThatTheOrderWasGiven(t *testing.T) {
	inBubble(t, func(w *world) {
		tries := 0
		s := &store{Store: w.mem}
		s.refuse = func(o alerts.Order) error {
			tries++
			if tries > 1 {
				return fmt.Errorf("idempotency key: %w", alerts.ErrConflict)
			}
			if _, _, err := w.mem.CreateOrder(t.Context(), o, nil, nil); err != nil {
				t.Error(err)
			}
			return errors.New("connection lost in commit")
		}
		w.start(s)
		w.pass(time.Second)
		w.burns("S1")
		w.pass(5 * time.Second)
		w.sees("S1", values{smoke: 30, co: 99})
		w.pass(2 * time.Minute)
		a, os := w.only(), w.orders()
		if tries != 2 || len(os) != 1 || a.Order != os[0].ID || w.nudges != 1 {
			t.Errorf("%d tries, orders %+v, alert's %q, %d nudges", tries, os, a.Order, w.nudges)
		}
		if strings.Contains(strings.Join(a.Reasons, ";"), alerts.NobodyNotified) {
			t.Errorf("reasons %q", a.Reasons)
		}
	})
}
