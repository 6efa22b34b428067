package posture_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"firewatch/alerts"
)

// automatic has the orange row of the table set its posture and give its order.
func (b *bench) automatic() {
	b.Helper()
	b.table("auto", func(s string) string {
		return strings.Replace(s, "    warning: [orange]\n", "    warning: [orange]\n    automatic: true\n    order: automatic\n", 1)
	})
}

func (b *bench) table(version string, edit func(string) string) {
	b.Helper()
	body := strings.Replace(string(alerts.DefaultReadiness()), "version: shipped-1", "version: "+version, 1)
	body = edit(body)
	if _, err := alerts.ParseReadinessTable([]byte(body)); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.must(b.store.SaveDocument(b.Context(), alerts.Document{
		Kind: alerts.DocumentReadiness, Version: version, Effective: now.Add(-time.Hour), Body: []byte(body),
		Author: "zhang", Saved: now, Approver: "li", Approved: now,
	}, nil))
}

// orders are all that were given, the oldest first, with their teams.
func (b *bench) orders() (out []alerts.Order, teams []string) {
	b.Helper()
	out, err := b.store.Orders(b.Context(), alerts.OrderQuery{Limit: 100})
	b.must(err)
	slices.Reverse(out)
	for _, o := range out {
		ds, err := b.store.Deliveries(b.Context(), o.ID)
		b.must(err)
		var ids []string
		for _, d := range ds {
			ids = append(ids, string(d.Team))
		}
		teams = append(teams, strings.Join(ids, " "))
	}
	return out, teams
}

func TestAutomaticRaiseGivesOneOrderForAllItsTownships(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.automatic()
		told := 0
		o := b.options("a")
		o.Audit, o.Ordered = b.store, func() { told++ }
		b.run(o)
		after(time.Second)
		if given, _ := b.orders(); len(given) != 0 {
			t.Fatalf("orders of nothing: %+v", given)
		}
		b.warn(alerts.Orange, 2*time.Hour)
		after(10 * time.Minute)
		given, teams := b.orders()
		if len(given) != 1 {
			t.Fatalf("%d orders: %+v", len(given), given)
		}
		x := given[0]
		if x.Issuer != "table:auto" || x.Kind != alerts.OrderStandby || x.Level != alerts.Orange || x.Drill ||
			x.AnswerBy.Sub(x.Issued) != 15*time.Minute || teams[0] != "pro-yixian tw-yizhou" ||
			!strings.HasPrefix(x.Text, "森林火险橙色预警生效；") || !slices.Contains(x.Shortfalls, "梁格庄镇没有登记乡镇专业扑火队") {
			t.Errorf("order %+v to %q", x, teams[0])
		}
		for _, area := range []string{"130633100", "130633101", alerts.ProfessionalArea} {
			if r := b.row(area); r.Posture != alerts.PostureCombatReady || r.Order != (alerts.OrderKey{Issuer: x.Issuer, Key: x.IdempotencyKey}) {
				t.Errorf("%+v", r)
			}
		}
		if as, err := b.store.Audits(t.Context(), 10); err != nil || len(as) != 1 || as[0].Subject != x.ID || told != 1 {
			t.Errorf("record %+v, %v, told %d times", as, err, told)
		}
	})
}

// TestLoweringGivesNoOrderAndASecondRaiseGivesItsOwn: the warning ends, a person
// lowers, another warning comes.
func TestLoweringGivesNoOrderAndASecondRaiseGivesItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.automatic()
		b.run(b.options("a"))
		b.warn(alerts.Orange, 2*time.Hour)
		after(4 * time.Hour)
		rows, err := b.store.Readiness(t.Context())
		b.must(err)
		for i, r := range rows {
			if r.Proposed != alerts.PostureNormal {
				t.Fatalf("%+v", r)
			}
			if rows[i] = r.Confirm(alerts.PostureNormal, "zhang", "", time.Now()); rows[i].Order != (alerts.OrderKey{}) && rows[i].Posture != r.Posture {
				t.Errorf("lowered, and an order goes with it: %+v", rows[i])
			}
		}
		b.must(b.store.SaveReadiness(t.Context(), rows, time.Now(), nil))
		after(time.Hour)
		if given, _ := b.orders(); len(given) != 1 {
			t.Fatalf("%d orders after lowering", len(given))
		}
		b.warnAgain("w2", alerts.Orange, 2*time.Hour)
		after(time.Hour)
		given, _ := b.orders()
		if len(given) != 2 || given[0].IdempotencyKey == given[1].IdempotencyKey {
			t.Fatalf("%d orders after the second raise", len(given))
		}
	})
}

func TestProposedPostureGivesNoOrderByItself(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"proposed": func(s string) string { return s },
		"automatic, its order proposed": func(s string) string {
			return strings.Replace(s, "    warning: [orange]\n", "    warning: [orange]\n    automatic: true\n", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.table("t", edit)
				b.run(b.options("a"))
				b.warn(alerts.Orange, 2*time.Hour)
				after(time.Hour)
				if given, _ := b.orders(); len(given) != 0 {
					t.Errorf("%+v", given)
				}
			})
		})
	}
}

// shaky is a store of orders that fails, before it has given the order or after.
type shaky struct {
	alerts.OrderStore
	fail   atomic.Bool
	giving atomic.Bool // it gives, and the word of it is lost
	tries  atomic.Int32
}

func (s *shaky) CreateOrder(ctx context.Context, o alerts.Order, ds []alerts.Delivery, evs []alerts.Event) (alerts.Order, bool, error) {
	s.tries.Add(1)
	if !s.fail.Load() {
		return s.OrderStore.CreateOrder(ctx, o, ds, evs)
	}
	if s.giving.Load() {
		if _, _, err := s.OrderStore.CreateOrder(ctx, o, ds, evs); err != nil {
			return alerts.Order{}, false, err
		}
	}
	return alerts.Order{}, false, errors.New("away")
}

// TestCrashBetweenPostureAndOrderNeitherForgetsNorRepeatsIt: the posture is
// saved, then the process dies, before the order is given or before it hears
// that it is.
func TestCrashBetweenPostureAndOrderNeitherForgetsNorRepeatsIt(t *testing.T) {
	for name, giving := range map[string]bool{"before it is given": false, "after it is given": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.automatic()
				s := &shaky{OrderStore: b.store}
				s.fail.Store(true)
				s.giving.Store(giving)
				o := b.options("a")
				o.Orders = s
				r, stop := b.run(o)
				b.warn(alerts.Orange, 2*time.Hour)
				after(4 * time.Second)
				if b.row("130633100").Posture != alerts.PostureCombatReady || s.tries.Load() == 0 {
					t.Fatalf("not raised, or no order tried: %+v", b.row("130633100"))
				}
				if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "giving the order of posture combat_ready") {
					t.Errorf("an order that fails is not told: %v", err)
				}
				stop()
				next, _ := b.run(b.options("b"))
				after(time.Minute)
				given, teams := b.orders()
				if len(given) != 1 || teams[0] != "pro-yixian tw-yizhou" || next.Ready() != nil {
					t.Errorf("%d orders, to %q, %v", len(given), teams, next.Ready())
				}
			})
		})
	}
}

// TestTwoRunnersGiveOneOrder: also when one of them thinks that it works alone.
func TestTwoRunnersGiveOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.automatic()
		b.warn(alerts.Orange, 2*time.Hour)
		b.run(b.options("a"))
		o := b.options("b")
		o.Lease = anyone{b.store}
		b.run(o)
		after(time.Hour)
		if given, _ := b.orders(); len(given) != 1 {
			t.Errorf("%d orders", len(given))
		}
	})
}

// anyone is a lease that everybody gets.
type anyone struct{ alerts.LeaseStore }

func (anyone) AcquireLease(context.Context, string, string, time.Time, time.Duration) (bool, error) {
	return true, nil
}

// TestOwedOrderOfAConfirmationIsGiven: the process that took it has a while.
func TestOwedOrderOfAConfirmationIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.warn(alerts.Orange, 2*time.Hour)
		b.run(b.options("a"))
		after(time.Second)
		x := b.row("130633100").Confirm(alerts.PostureCombatReady, "zhang", "", time.Now())
		x.Order = alerts.OrderKey{Issuer: "zhang", Key: "k1:combat_ready"}
		b.must(b.store.SaveReadiness(t.Context(), []alerts.Readiness{x}, time.Now(), nil))
		after(10 * time.Second)
		if given, _ := b.orders(); len(given) != 0 {
			t.Fatal("given at once")
		}
		after(10 * time.Second)
		given, teams := b.orders()
		if len(given) != 1 || given[0].Issuer != "zhang" || given[0].IdempotencyKey != "k1:combat_ready" || teams[0] != "tw-yizhou" {
			t.Errorf("%+v to %q", given, teams)
		}
	})
}

// TestOrderThatIsOwedEndsWithItsPosture: what a person lowers before the order
// could be given needs none any more.
func TestOrderThatIsOwedEndsWithItsPosture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.automatic()
		s := &shaky{OrderStore: b.store}
		s.fail.Store(true)
		o := b.options("a")
		o.Orders = s
		b.run(o)
		b.warn(alerts.Orange, 2*time.Hour)
		after(4 * time.Second)
		rows, err := b.store.Readiness(t.Context())
		b.must(err)
		for i := range rows {
			rows[i] = rows[i].Confirm(alerts.PostureStandby, "zhang", "误报", time.Now())
		}
		b.must(b.store.SaveReadiness(t.Context(), rows, time.Now(), nil))
		s.fail.Store(false)
		after(time.Hour)
		if given, _ := b.orders(); len(given) != 0 {
			t.Errorf("%+v", given)
		}
	})
}

// TestOrderOfNobodyIsSaid: no team is registered.
func TestOrderOfNobodyIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.automatic()
		areas, err := b.store.Areas(t.Context())
		b.must(err)
		b.must(b.store.ReplaceRoster(t.Context(), alerts.Roster{Areas: areas}, time.Now()))
		b.warn(alerts.Orange, 2*time.Hour)
		b.run(b.options("a"))
		after(time.Minute)
		given, _ := b.orders()
		if len(given) != 1 || !slices.Contains(given[0].Shortfalls, alerts.NobodyNotified) {
			t.Errorf("%+v", given)
		}
	})
}
