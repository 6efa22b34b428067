package posture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

// theirTurn is how long an order of a person's confirmation is left to the
// process that took the confirmation.
const theirTurn = 15 * time.Second

// giveOrders gives the orders that postures owe. One that fails holds up no
// other, and is tried again at the next look.
func (r *Runner) giveOrders(ctx context.Context, now time.Time) error {
	if r.table == nil || r.areas == nil {
		return nil // the round says why
	}
	rows, err := r.o.Readiness.Readiness(ctx)
	if err != nil {
		return fmt.Errorf("reading the orders owed: %w", err)
	}
	var keys []alerts.OrderKey
	groups := map[alerts.OrderKey][]alerts.Readiness{}
	for _, x := range rows {
		if x.Order == (alerts.OrderKey{}) {
			continue
		}
		if groups[x.Order] == nil {
			keys = append(keys, x.Order)
		}
		groups[x.Order] = append(groups[x.Order], x)
	}
	given := make(map[alerts.OrderKey]bool, len(keys))
	var faults []error
	for _, k := range keys {
		switch done, err := r.giveOrder(ctx, now, k, groups[k]); {
		case err != nil:
			r.metrics.orders.WithLabelValues("failed").Inc()
			faults = append(faults, fmt.Errorf("giving the order of posture %s, %d areas: %w", groups[k][0].Posture, len(groups[k]), err))
		case done:
			given[k] = true
		}
	}
	r.given = given // keys that no row has any more are forgotten
	r.metrics.owed.Set(float64(len(keys) - len(given)))
	return errors.Join(faults...)
}

// giveOrder gives the order of rows with one key, unless it is given already.
func (r *Runner) giveOrder(ctx context.Context, now time.Time, k alerts.OrderKey, group []alerts.Readiness) (done bool, err error) {
	if r.given[k] {
		return true, nil
	}
	if _, err := r.o.Orders.OrderByKey(ctx, k.Issuer, k.Key); !errors.Is(err, alerts.ErrNotFound) {
		return err == nil, err
	}
	newest := slices.MaxFunc(group, func(a, b alerts.Readiness) int { return a.Updated.Compare(b.Updated) })
	if !k.ByTable() && now.Sub(newest.Updated) < theirTurn {
		return false, nil
	}
	rule := r.table.Rule(group[0].Posture)
	if rule.Order == "" {
		return false, nil // of a table that is no more in force
	}
	o, picks := alerts.PlanPosture(r.areas, r.teams, group, rule, false)
	o.ID, o.Issued, o.AnswerBy, o.Demo = alerts.NewID("or", now), now, r.o.Policy.AnswerBy(rule.Level, now), r.demo
	o.Issuer, o.IdempotencyKey = k.Issuer, k.Key
	if len(picks) == 0 {
		o.Shortfalls = append(o.Shortfalls, alerts.NobodyNotified)
	}
	if !r.tenure.Owns(r.o.Now()) { // this process stood still meanwhile
		return false, nil
	}
	ds := alerts.NewDeliveries(o, picks, now)
	saved, created, err := r.o.Orders.CreateOrder(ctx, o, ds, alerts.OrderEvents(&o, ds, picks, now))
	if errors.Is(err, alerts.ErrConflict) { // given meanwhile, when other areas went with it
		return true, nil
	}
	if err != nil || !created {
		return err == nil, err
	}
	r.metrics.orders.WithLabelValues("given").Inc()
	log := r.o.Log.With(zap.String("order", saved.ID), zap.String("issuer", saved.Issuer), zap.Stringer("posture", group[0].Posture),
		zap.Int("areas", len(group)), zap.Int("teams", len(ds)), zap.Strings("shortfalls", saved.Shortfalls))
	if len(ds) == 0 {
		log.Error("nobody was notified: the order of a posture has no teams")
	} else {
		log.Info("order of a posture given")
	}
	if r.o.Audit != nil {
		if err := r.o.Audit.SaveAudit(ctx, alerts.Audit{
			At: now, Actor: saved.Issuer, Action: "order.create", Subject: saved.ID,
			Detail: fmt.Sprintf("%s %s, %d teams, by readiness %s", saved.Kind, saved.Level, len(ds), group[0].Posture),
		}); err != nil {
			log.Warn("the order is given, but not in the record", zap.Error(err))
		}
	}
	r.o.Ordered()
	r.o.Nudge()
	return true, nil
}
