package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/posture"
)

// loadReadiness reads the readiness table of the settings, or the one that comes
// with firewatch.
func (s *system) loadReadiness() (alerts.ReadinessTable, []byte, error) {
	raw, name := alerts.DefaultReadiness(), "the one that comes with firewatch"
	if s.Readiness != "" {
		file, err := os.ReadFile(s.Readiness)
		if err != nil {
			return alerts.ReadinessTable{}, nil, fmt.Errorf("readiness: %w", err)
		}
		raw, name = file, s.Readiness
	}
	t, err := alerts.ParseReadinessTable(raw)
	if err != nil {
		return t, nil, fmt.Errorf("readiness: %s: %w", name, err)
	}
	return t, raw, nil
}

// seedReadiness stores the table of the settings; without one, that of firewatch
// where no version is stored. Versions that are there stay.
func (s *system) seedReadiness(ctx context.Context) error {
	if s.Readiness == "" {
		if ds, err := s.store.Documents(ctx, alerts.DocumentReadiness, 1); err != nil {
			return fmt.Errorf("readiness: %w", err)
		} else if len(ds) > 0 {
			return nil
		}
	}
	t, raw, err := s.loadReadiness()
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]string{"kind": string(alerts.DocumentReadiness), "version": t.Version})
	if err != nil {
		return fmt.Errorf("readiness: %w", err)
	}
	now := time.Now().UTC()
	err = s.store.SaveDocument(ctx, alerts.Document{
		Kind: alerts.DocumentReadiness, Version: t.Version, Effective: t.Effective, Body: raw,
		Author: "file", Saved: now, Approver: "file", Approved: now,
	}, []alerts.Event{{At: now, Type: alerts.EventDocument, Data: data}})
	switch {
	case errors.Is(err, alerts.ErrConflict):
		return fmt.Errorf("readiness: version %q is already stored with other content; give the changed table another version", t.Version)
	case err != nil:
		return fmt.Errorf("readiness: %w", err)
	}
	return nil
}

func (s *system) startPosture(context.Context) error {
	r, err := posture.New(posture.Options{
		WarningsUnknown: s.warningsUnknown,
		Roster:          s.store, Warnings: s.store, Readiness: s.store, Documents: s.store, Danger: s.store, DangerMethod: s.DangerMethod,
		Orders: s.store, Policy: s.policy, Audit: s.store,
		Lease: s.store, Holder: s.holder, Nudge: s.nudgeAPI, Ordered: s.dispatch.Nudge, Log: s.log.Named("posture"), Registerer: s.metrics,
	})
	if err != nil {
		return err
	}
	s.health.add("posture", func(context.Context) error { return r.Ready() })
	s.stack.Go("posture", r.Run)
	return nil
}
