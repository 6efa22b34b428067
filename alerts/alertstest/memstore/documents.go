package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"firewatch/alerts"
)

func cloneDocument(d alerts.Document) alerts.Document {
	d.Body = bytes.Clone(d.Body)
	return d
}

func (s *Store) document(kind alerts.DocumentKind, version string) int {
	return slices.IndexFunc(s.documents, func(d alerts.Document) bool { return d.Kind == kind && d.Version == version })
}

// SaveDocument implements alerts.DocumentStore.
func (s *Store) SaveDocument(ctx context.Context, d alerts.Document, evs []alerts.Event) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if d.Kind == "" || d.Version == "" || d.Effective.IsZero() || d.Saved.IsZero() || (d.Approver == "") != d.Approved.IsZero() {
		return errors.New("saving a document: it needs a kind, a version, and the times of being effective, saved and, with an approver, approved")
	}
	if i := s.document(d.Kind, d.Version); i >= 0 {
		if old := s.documents[i]; !old.Effective.Equal(d.Effective) || !bytes.Equal(old.Body, d.Body) {
			return fmt.Errorf("saving %s %q: %w", d.Kind, d.Version, alerts.ErrConflict)
		}
		return nil
	}
	s.documents = append(s.documents, cloneDocument(d))
	s.publish(evs)
	return nil
}

// ApproveDocument implements alerts.DocumentStore.
func (s *Store) ApproveDocument(
	ctx context.Context, kind alerts.DocumentKind, version, approver string, at time.Time, evs []alerts.Event,
) (alerts.Document, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Document{}, err
	}
	defer leave()
	i := s.document(kind, version)
	switch {
	case approver == "" || at.IsZero():
		return alerts.Document{}, errors.New("approving a document: it needs an approver and a time")
	case i < 0:
		return alerts.Document{}, fmt.Errorf("%s %q: %w", kind, version, alerts.ErrNotFound)
	case s.documents[i].Approver != "" || s.documents[i].Author == approver:
		return alerts.Document{}, fmt.Errorf("approving %s %q: %w", kind, version, alerts.ErrConflict)
	}
	s.documents[i].Approver, s.documents[i].Approved = approver, at
	s.publish(evs)
	return cloneDocument(s.documents[i]), nil
}

// Document implements alerts.DocumentStore.
func (s *Store) Document(ctx context.Context, kind alerts.DocumentKind, at time.Time) (alerts.Document, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return alerts.Document{}, err
	}
	defer leave()
	best := -1
	for i, d := range s.documents {
		if d.Kind == kind && d.Approver != "" && !d.Effective.After(at) &&
			(best < 0 || !d.Effective.Before(s.documents[best].Effective)) {
			best = i
		}
	}
	if best < 0 {
		return alerts.Document{}, fmt.Errorf("%s: %w", kind, alerts.ErrNotFound)
	}
	return cloneDocument(s.documents[best]), nil
}

// Documents implements alerts.DocumentStore.
func (s *Store) Documents(ctx context.Context, kind alerts.DocumentKind, limit int) ([]alerts.Document, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []alerts.Document
	for _, d := range slices.Backward(s.documents) {
		if d.Kind == kind && len(out) < limit {
			out = append(out, cloneDocument(d))
		}
	}
	return out, nil
}
