package sqlstore

import (
	"fmt"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/pgtest"
	contract "firewatch/firmware-contracts"
)

// The SQLite figures are with synchronous=FULL on the disk of the temporary
// folder; those of PostgreSQL with fsync=off.
func BenchmarkStore(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { benchStore(b, sqliteURL) })
	b.Run("Postgres", func(b *testing.B) { benchStore(b, pgtest.Start(b).NewDatabase) })
}

func benchStore(b *testing.B, newURL func(testing.TB) string) {
	b.Helper()
	s := openMigrated(b, newURL(b))
	b.Run("SaveJudged100States", func(b *testing.B) {
		states := make([]alerts.RuleState, 100)
		for i := range states {
			states[i] = alerts.RuleState{
				Rule: "smoke", Subject: fmt.Sprintf("sensor-%03d", i), State: alerts.Pending, Since: t0, Data: []byte(`{"n":1}`),
			}
		}
		n := 0
		for b.Loop() {
			n++
			for i := range states {
				states[i].Through = t0.Add(time.Duration(n) * time.Second)
			}
			must(b, s.SaveJudged(b.Context(), alerts.Judged{Feed: "journal", Position: uint64(n), States: states}))
		}
	})
	b.Run("CreateOrder128Deliveries", func(b *testing.B) {
		for b.Loop() {
			id := alerts.NewID("or", t0)
			_, _, err := s.CreateOrder(b.Context(), alerts.Order{ID: id, Issuer: "duty", IdempotencyKey: id, Issued: t0},
				largeDeliveries(), []alerts.Event{{Type: alerts.EventOrder}})
			must(b, err)
		}
	})
	b.Run("UpdateDelivery", func(b *testing.B) {
		_, _, err := s.CreateOrder(b.Context(), alerts.Order{ID: "or-bench", Issuer: "duty", Issued: t0}, largeDeliveries(), nil)
		must(b, err)
		n := 0
		for b.Loop() {
			n++
			_, err := s.UpdateDelivery(b.Context(), "or-bench", contract.TeamID(fmt.Sprintf("team-%03d", n%128)),
				func(d *alerts.Delivery, _ alerts.Order) (alerts.DeliveryChange, error) {
					d.State, d.Delivered = alerts.DeliveryDelivered, t0
					return alerts.DeliveryChange{
						Attempts: []alerts.Attempt{{Channel: "mqtt", At: t0, Try: 1}},
						Events:   []alerts.Event{{Type: alerts.EventDelivery}},
					}, nil
				})
			must(b, err)
		}
	})
	b.Run("DueDeliveries128OfAll", func(b *testing.B) {
		for b.Loop() {
			_, err := s.DueDeliveries(b.Context(), t0, 128)
			must(b, err)
		}
	})
	b.Run("ReplaceRoster14000Devices", func(b *testing.B) {
		r := largeRoster()
		for b.Loop() {
			must(b, s.ReplaceRoster(b.Context(), r, t0))
		}
	})
}
