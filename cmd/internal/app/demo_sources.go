package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
)

// seedDemoSources brings the sample register of ignition sources, when the store
// has none.
func (s *system) seedDemoSources(ctx context.Context) error {
	now := time.Now().UTC()
	if _, err := s.store.Document(ctx, alerts.DocumentSources, now); !errors.Is(err, alerts.ErrNotFound) {
		return err
	}
	body := alerts.SampleSources()
	table, err := alerts.ParseSources(body)
	if err != nil {
		return fmt.Errorf("sample sources: %w", err)
	}
	const author = "file"
	err = s.store.SaveDocument(ctx, alerts.Document{
		Kind: alerts.DocumentSources, Version: table.Version, Effective: table.Effective, Body: body,
		Author: author, Saved: now, Approver: author, Approved: now,
	}, []alerts.Event{{At: now, Type: alerts.EventDocument, Data: fmt.Appendf(nil, `{"kind":"sources","version":%q}`, table.Version)}})
	if err != nil {
		return fmt.Errorf("sample sources: %w", err)
	}
	return nil
}
