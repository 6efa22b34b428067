package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
)

const documentCols = "kind, version, effective_ms, body, author, saved_ms, approver, approved_ms"

func scanDocument(r row) (d alerts.Document, err error) {
	err = r.Scan(&d.Kind, &d.Version, scanTime{&d.Effective}, &d.Body, &d.Author, scanTime{&d.Saved}, &d.Approver, scanTime{&d.Approved})
	return d, err
}

func readDocument(ctx context.Context, c conn, kind alerts.DocumentKind, version, lock string) (alerts.Document, error) {
	return queryOne(ctx, c, scanDocument, "SELECT "+documentCols+" FROM documents WHERE kind = ? AND version = ?"+lock, kind, version)
}

// SaveDocument implements alerts.DocumentStore.
func (s *Store) SaveDocument(ctx context.Context, d alerts.Document, evs []alerts.Event) error {
	err := s.write(ctx, func(c conn) error {
		if d.Kind == "" || d.Version == "" || d.Effective.IsZero() || d.Saved.IsZero() || (d.Approver == "") != d.Approved.IsZero() {
			return errors.New("it needs a kind, a version, and the times of being effective, saved and, with an approver, approved")
		}
		n, err := c.exec(ctx, "INSERT INTO documents ("+documentCols+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, version) DO NOTHING`, d.Kind, d.Version, d.Effective, append([]byte{}, d.Body...), d.Author, d.Saved, d.Approver, d.Approved)
		if err != nil {
			return err
		}
		if n > 0 {
			return appendEvents(ctx, c, evs)
		}
		old, err := readDocument(ctx, c, d.Kind, d.Version, "")
		switch {
		case err != nil:
			return doing("reading the version that exists", err)
		case !old.Effective.Equal(toMillis(d.Effective)) || !bytes.Equal(old.Body, d.Body):
			return fmt.Errorf("the version exists with other content: %w", alerts.ErrConflict)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("saving %s %q: %w", d.Kind, d.Version, err)
	}
	return nil
}

// ApproveDocument implements alerts.DocumentStore.
func (s *Store) ApproveDocument(
	ctx context.Context, kind alerts.DocumentKind, version, approver string, at time.Time, evs []alerts.Event,
) (alerts.Document, error) {
	var d alerts.Document
	err := s.write(ctx, func(c conn) (err error) {
		if approver == "" || at.IsZero() {
			return errors.New("it needs an approver and a time")
		}
		if d, err = readDocument(ctx, c, kind, version, s.d.forUpdate()); err != nil {
			return err
		}
		switch {
		case d.Approver != "":
			return fmt.Errorf("%s has approved it already: %w", d.Approver, alerts.ErrConflict)
		case d.Author == approver:
			return fmt.Errorf("its author cannot approve it: %w", alerts.ErrConflict)
		}
		d.Approver, d.Approved = approver, toMillis(at)
		if _, err := c.exec(ctx, "UPDATE documents SET approver = ?, approved_ms = ? WHERE kind = ? AND version = ?",
			approver, at, kind, version); err != nil {
			return err
		}
		return appendEvents(ctx, c, evs)
	})
	if err != nil {
		return alerts.Document{}, fmt.Errorf("approving %s %q: %w", kind, version, err)
	}
	return d, nil
}

// Document implements alerts.DocumentStore.
func (s *Store) Document(ctx context.Context, kind alerts.DocumentKind, at time.Time) (alerts.Document, error) {
	d, err := queryOne(ctx, s.read(), scanDocument, "SELECT "+documentCols+` FROM documents
WHERE kind = ? AND effective_ms <= ? AND approved_ms IS NOT NULL ORDER BY effective_ms DESC, n DESC LIMIT 1`, kind, at)
	return d, doing("reading "+string(kind), err)
}

// Documents implements alerts.DocumentStore.
func (s *Store) Documents(ctx context.Context, kind alerts.DocumentKind, limit int) ([]alerts.Document, error) {
	ds, err := queryAll(ctx, s.read(), scanDocument, "SELECT "+documentCols+
		" FROM documents WHERE kind = ? ORDER BY n DESC LIMIT ?", kind, listLimit(limit))
	return ds, doing("listing "+string(kind), err)
}
