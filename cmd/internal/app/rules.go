package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
)

// rulesPoll is the time between two looks at the file of rules.
const rulesPoll = 5 * time.Second

// ruleBook holds the rule set in force and follows its file: another content is
// parsed, checked and compiled as a whole, and only then taken. A file that
// cannot be used changes nothing, and is told until it can be.
type ruleBook struct {
	file   string // empty: the set came with firewatch, and stays
	source string // for people
	log    *zap.Logger
	save   func(ctx context.Context, set alerts.RuleSet, text []byte) error // nil: versions are kept nowhere
	swap   func(alerts.RuleSet)                                             // nil: nobody judges here
	now    func() time.Time

	failed  prometheus.Gauge
	reloads *prometheus.CounterVec

	mu    sync.Mutex
	force v1.RulesInForce
	seen  []byte // content that was looked at last, good or not
}

// newRuleBook reads the rules for the start: there a fault is the end of it.
func newRuleBook(file string, demo bool, now func() time.Time) (*ruleBook, error) {
	b := &ruleBook{file: file, source: "the rules that come with firewatch", now: now}
	raw := alerts.DefaultRules()
	switch {
	case file != "":
		var err error
		if raw, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		b.source = file
	case demo:
		raw, b.source = alerts.DemoRules(), "the rules of the demo"
	}
	set, err := alerts.ParseRules(raw)
	if err != nil {
		return nil, fmt.Errorf("rules: %s: %w", b.source, err)
	}
	b.force = v1.RulesInForce{Set: set, Text: raw, Source: b.source, Since: now()}
	b.seen = raw
	return b, nil
}

// measure registers what is shown of it.
func (b *ruleBook) measure(reg prometheus.Registerer) {
	b.failed = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "firewatch", Name: "rules_reload_failed", Help: "1 while the file of rules holds what cannot be used; the set before it rules on.",
	})
	b.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "firewatch", Name: "rules_reloads_total", Help: "Looks at a changed file of rules, by result.",
	}, []string{"result"})
	reg.MustRegister(b.failed, b.reloads)
}

// InForce is what rules, and what is wrong with the file.
func (b *ruleBook) InForce() v1.RulesInForce {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.force
}

func (b *ruleBook) set() alerts.RuleSet { return b.InForce().Set }

// Silence and IsSOS are those of the set in force.
func (b *ruleBook) Silence(k contract.Kind) (factor float64, least time.Duration) {
	return b.set().Silence(k)
}

// IsSOS tells whether a rule is of calls for help.
func (b *ruleBook) IsSOS(rule string) bool {
	set := b.set()
	return set.IsSOS(rule)
}

// Ready notes a file that cannot be used; the rules in force work.
func (b *ruleBook) Ready(context.Context) error {
	if f := b.InForce().Failed; f != "" {
		return note("the file of rules is not taken, " + b.set().Version + " rules on: " + f)
	}
	return nil
}

// begin puts the set of the start on record.
func (b *ruleBook) begin(ctx context.Context) {
	if b.save == nil {
		return
	}
	f := b.InForce()
	if err := b.save(ctx, f.Set, f.Text); err != nil {
		b.log.Warn("version of rules not on record", zap.String("version", f.Set.Version), zap.Error(err))
		if errors.Is(err, alerts.ErrConflict) {
			b.fail(fmt.Errorf("version %q is on record with other rules: give the changed set another version", f.Set.Version))
		}
	}
}

// Run follows the file until ctx ends: at each SIGHUP, and every few seconds.
func (b *ruleBook) Run(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(rulesPoll)
	defer tick.Stop()
	b.begin(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			b.look(ctx, true)
		case <-tick.C:
			b.look(ctx, false)
		}
	}
}

// look takes the file when its content is another than the last time; asked: also
// when it is the same.
func (b *ruleBook) look(ctx context.Context, asked bool) {
	if b.file == "" {
		return
	}
	raw, err := os.ReadFile(b.file)
	if err != nil {
		b.fail(err)
		b.mu.Lock()
		b.seen = nil
		b.mu.Unlock()
		return
	}
	b.mu.Lock()
	same := bytes.Equal(raw, b.seen)
	b.seen = raw
	b.mu.Unlock()
	if same && !asked {
		return
	}
	if err := b.take(ctx, raw); err != nil {
		b.fail(err)
	}
}

// take checks and takes a set.
func (b *ruleBook) take(ctx context.Context, raw []byte) error {
	set, err := alerts.ParseRules(raw)
	if err != nil {
		return err
	}
	was, now := b.InForce(), b.now()
	switch {
	case bytes.Equal(raw, was.Text):
		b.mu.Lock()
		b.force.Failed, b.force.FailedAt = "", time.Time{}
		b.mu.Unlock()
		b.failed.Set(0)
		return nil
	case set.Version == was.Set.Version:
		return fmt.Errorf("rules: version %q is in force with other rules: give the changed set another version", set.Version)
	case set.Effective.After(now):
		return fmt.Errorf("rules: version %q rules from %s on: put it there then", set.Version, set.Effective.In(alerts.Zone).Format(time.DateOnly))
	}
	if b.save != nil {
		switch err := b.save(ctx, set, raw); {
		case errors.Is(err, alerts.ErrConflict):
			return fmt.Errorf("rules: version %q is on record with other rules: give the changed set another version", set.Version)
		case err != nil: // rules do not wait for the record
			b.log.Warn("version of rules not on record", zap.String("version", set.Version), zap.Error(err))
		}
	}
	b.mu.Lock()
	b.force = v1.RulesInForce{Set: set, Text: raw, Source: b.source, Since: now}
	b.mu.Unlock()
	if b.swap != nil {
		b.swap(set)
	}
	b.failed.Set(0)
	b.reloads.WithLabelValues("taken").Inc()
	b.log.Info("rules reloaded", zap.String("version", set.Version), zap.String("before", was.Set.Version), zap.Int("rules", len(set.Rules)))
	return nil
}

func (b *ruleBook) fail(err error) {
	b.mu.Lock()
	news := b.force.Failed != err.Error()
	if news {
		b.force.Failed, b.force.FailedAt = err.Error(), b.now()
	}
	b.mu.Unlock()
	b.failed.Set(1)
	if news {
		b.reloads.WithLabelValues("failed").Inc()
		b.log.Error("file of rules not taken; those in force rule on", zap.String("file", b.file), zap.Error(err))
	}
}

// openRules follows the rules and keeps their versions.
func (s *system) openRules(context.Context) error {
	s.rules.log = s.log.Named("rules")
	s.rules.measure(s.metrics)
	s.rules.save = func(ctx context.Context, set alerts.RuleSet, text []byte) error {
		data, err := json.Marshal(map[string]string{"kind": string(alerts.DocumentRules), "version": set.Version})
		if err != nil {
			return fmt.Errorf("rules: %w", err)
		}
		now := time.Now().UTC()
		return s.store.SaveDocument(ctx, alerts.Document{
			Kind: alerts.DocumentRules, Version: set.Version, Effective: set.Effective, Body: text,
			Author: "file", Saved: now, Approver: "file", Approved: now,
		}, []alerts.Event{{At: now, Type: alerts.EventDocument, Data: data}})
	}
	s.health.add("rules", s.rules.Ready)
	return nil
}

// followRules comes after those who go by the rules.
func (s *system) followRules(context.Context) error {
	s.stack.Go("rules", s.rules.Run)
	return nil
}
