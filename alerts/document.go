package alerts

import (
	"context"
	"time"
)

// DocumentKind is a kind of versioned data.
type DocumentKind string

// The kinds of documents. Seasons have a store of their own.
const (
	DocumentRules     DocumentKind = "rules"
	DocumentReadiness DocumentKind = "readiness" // the readiness table
	DocumentSources   DocumentKind = "sources"   // permits, graves, kilns, static heat
)

// Document is one version of data that people write and that rules rest on. A
// version never changes; the one with the latest Effective day that has come,
// and is approved, rules. Of two with the same day the one saved later does.
type Document struct {
	Kind      DocumentKind
	Version   string
	Effective time.Time
	Body      []byte // YAML, as it was given
	Author    string // username, or "file" when it came with the settings
	Saved     time.Time
	Approver  string    // empty: not approved yet
	Approved  time.Time // zero: not approved yet
}

// DocumentStore keeps versioned data.
type DocumentStore interface {
	// SaveDocument adds a version; the same again changes nothing, ErrConflict if
	// that version exists with another body or another Effective. One with an
	// Approver is approved from the start.
	SaveDocument(ctx context.Context, d Document, evs []Event) error
	// ApproveDocument has a version approved; ErrConflict when it is already, or
	// when the approver is its author: what was saved without an approver waits
	// for a second person. ErrNotFound: there is no such version.
	ApproveDocument(ctx context.Context, kind DocumentKind, version, approver string, at time.Time, evs []Event) (Document, error)
	// Document is the approved one that rules at the time; ErrNotFound: none does.
	Document(ctx context.Context, kind DocumentKind, at time.Time) (Document, error)
	// Documents are all versions of a kind, the last saved first.
	Documents(ctx context.Context, kind DocumentKind, limit int) ([]Document, error)
}
