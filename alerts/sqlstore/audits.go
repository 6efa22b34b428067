package sqlstore

import (
	"context"

	"firewatch/alerts"
)

// SaveAudit implements alerts.AuditStore.
func (s *Store) SaveAudit(ctx context.Context, a alerts.Audit) error {
	return doing("saving audit", s.write(ctx, func(c conn) error {
		_, err := c.exec(ctx, "INSERT INTO audits (at_ms, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
			a.At, a.Actor, a.Action, a.Subject, a.Detail)
		return err
	}))
}

// Audits implements alerts.AuditStore, newest first.
func (s *Store) Audits(ctx context.Context, limit int) ([]alerts.Audit, error) {
	as, err := queryAll(ctx, s.read(), func(r row) (a alerts.Audit, err error) {
		err = r.Scan(scanTime{&a.At}, &a.Actor, &a.Action, &a.Subject, &a.Detail)
		return a, err
	}, "SELECT at_ms, actor, action, subject, detail FROM audits ORDER BY n DESC LIMIT ?", listLimit(limit))
	return as, doing("reading audits", err)
}
