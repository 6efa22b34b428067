package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

// day is a day of a valley: input in order of arrival.
func (w *world) day() []contract.Reading {
	base := time.Now()
	var rs []contract.Reading
	add := func(id contract.DeviceID, class contract.Class, received, late time.Duration, v values) {
		r := w.reading(id, class, 0, v)
		r.Received = base.Add(received)
		r.Measured = r.Received.Add(-late)
		rs = append(rs, r)
	}
	for m := range 50 {
		at := time.Duration(m) * time.Minute
		s1, s2 := values{smoke: 0.1, co: 1}, values{smoke: 0.2, co: 1}
		switch {
		case m >= 10 && m < 16:
			s1 = values{smoke: 12, co: 30}
		case m == 5 || m == 30:
			s1 = values{smoke: 90}
		}
		if m >= 20 && m < 26 {
			s2 = values{smoke: 3, co: 20}
		}
		add("S1", contract.Environment, at, 0, s1)
		add("S2", contract.Environment, at+time.Second, 0, s2)
		add("T1", contract.Position, at+2*time.Second, 0, values{contract.BatteryPct: float64(40 - m)})
		switch m {
		case 12, 13:
			add("T1", contract.SOS, at+3*time.Second, 40*time.Minute, nil)
		case 40:
			add("T1", contract.SOS, at+3*time.Second, 0, values{contract.Active: 0})
		case 42:
			add("S2", contract.Environment, at+3*time.Second, 3*time.Hour, values{smoke: 40, co: 300})
		case 44:
			r := w.reading("T1", contract.Report, 0, values{contract.Lat: 39.4, contract.Lon: 115.4})
			r.Code, r.Received, r.Measured = "smoke", base.Add(at), base.Add(at)
			rs = append(rs, r)
		}
	}
	slices.SortStableFunc(rs, func(a, b contract.Reading) int { return a.Received.Compare(b.Received) })
	return rs
}

// play delivers at the time of receipt.
func (w *world) play(rs []contract.Reading, copies int) {
	for _, r := range rs {
		w.pass(time.Until(r.Received))
		for range copies {
			w.feed.add(r)
		}
	}
	w.pass(3 * time.Second)
}

func TestEverythingTwiceTellsTheSame(t *testing.T) {
	var told [2][]string
	for i := range told {
		inBubble(t, func(w *world) {
			w.run()
			w.play(w.day(), i+1)
			told[i] = w.told()
		})
	}
	if len(told[0]) < 7 {
		t.Errorf("the day tells little: %q", told[0])
	}
	t.Log(strings.Join(told[0], "\n"))
	if diff := cmp.Diff(told[0], told[1]); diff != "" {
		t.Errorf("delivered twice (-once +twice):\n%s", diff)
	}
}

func TestCrashAtAnyWriteTellsTheSame(t *testing.T) {
	var want []string
	writes := 0
	whole := func(crashAt int, after bool) (told []string, n int) {
		inBubble(t, func(w *world) {
			rs := w.day()
			s := &store{Store: w.mem, crashAt: crashAt, after: after}
			w.start(s)
			for _, r := range rs {
				w.pass(time.Until(r.Received))
				w.feed.add(r)
				synctest.Wait()
				s.mu.Lock()
				gone := s.crashed
				s.mu.Unlock()
				if gone {
					w.stop()
					s = &store{Store: w.mem}
					w.start(s)
				}
			}
			w.pass(3 * time.Second)
			told, n = w.told(), s.writes
		})
		return told, n
	}
	want, writes = whole(0, false)
	if !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, "order") }) {
		t.Fatalf("no order in %q", want)
	}
	t.Logf("%d writes", writes)
	step := max(1, writes/20)
	if testing.Short() {
		step = max(1, writes/8)
	}
	for at := 1; at <= writes; at += step {
		for _, after := range []bool{false, true} {
			got, _ := whole(at, after)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("crash at write %d of %d, after it: %v (-without +with):\n%s", at, writes, after, diff)
			}
		}
	}
}

// TestCrashAroundTheOrder goes through every write near a fire, one by one.
func TestCrashAroundTheOrder(t *testing.T) {
	for at := 1; at <= 12; at++ {
		for _, after := range []bool{false, true} {
			inBubble(t, func(w *world) {
				s := &store{Store: w.mem, crashAt: at, after: after}
				w.start(s)
				w.pass(time.Second)
				for range 4 {
					w.sees("S1", values{smoke: 20, co: 90})
					w.pass(time.Second)
					if s.crashed {
						w.stop()
						s = &store{Store: w.mem}
						w.start(s)
						w.pass(2 * time.Second)
					}
				}
				if a, os := w.only(), w.orders(); len(os) != 1 || a.Order != os[0].ID {
					t.Fatalf("crash at write %d, after it: %v: %d orders, alert's %q", at, after, len(os), a.Order)
				}
			})
		}
	}
}

func TestAnAlertWithoutItsOrderGetsItAfterARestart(t *testing.T) {
	for _, after := range []bool{false, true} {
		inBubble(t, func(w *world) {
			s := &store{Store: w.mem, crashAt: 1, after: after, orders: true}
			w.start(s)
			w.pass(time.Second)
			w.sees("S1", values{smoke: 20, co: 90})
			if !s.crashed {
				t.Fatal("no order was tried")
			}
			w.stop()
			w.pass(time.Minute)
			w.run()
			w.pass(2 * time.Second) // nothing more comes
			if a, os := w.only(), w.orders(); len(os) != 1 || a.Order != os[0].ID || w.nudges == 0 && !after {
				t.Errorf("after the write: %v: %d orders, alert's %q, nudges %d", after, len(os), a.Order, w.nudges)
			}
		})
	}
}
