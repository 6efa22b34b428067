package alertstest

import (
	"errors"
	"sync"
	"testing"

	"firewatch/alerts"
)

// newDocument is a version that becomes effective so many minutes after t0 and
// waits for a second person.
func newDocument(version string, minutes int) alerts.Document {
	return alerts.Document{
		Kind: alerts.DocumentReadiness, Version: version, Effective: at(minutes),
		Body: []byte("version: " + version + "\n\x00\xff"), Author: "zhang", Saved: t0,
	}
}

func approved(d alerts.Document, by string) alerts.Document {
	d.Approver, d.Approved = by, at(1)
	return d
}

func versions(ds []alerts.Document) []string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = d.Version
	}
	return out
}

func saveDocument(tb testing.TB, s Store, d alerts.Document) {
	tb.Helper()
	must(tb, s.SaveDocument(tb.Context(), d, []alerts.Event{event(alerts.EventDocument)}))
}

var documentTests = map[string]func(check){
	"DocumentComesBack": func(t check) {
		s := t.store
		d := approved(newDocument("1", 0), "file")
		saveDocument(t, s, d)
		equal(t, "in force", got(s.Document(t.Context(), d.Kind, at(0)))(t), d)
		equal(t, "listed", got(s.Documents(t.Context(), d.Kind, 10))(t), []alerts.Document{d})
		equal(t, "another kind", len(got(s.Documents(t.Context(), alerts.DocumentRules, 10))(t)), 0)
		for _, q := range []struct {
			kind    alerts.DocumentKind
			minutes int
		}{{d.Kind, -1}, {alerts.DocumentRules, 10}} {
			if _, err := s.Document(t.Context(), q.kind, at(q.minutes)); !errors.Is(err, alerts.ErrNotFound) {
				t.Errorf("%s after %d min: %v, want ErrNotFound", q.kind, q.minutes, err)
			}
		}
	},
	"LatestEffectiveApprovedVersionRules": func(t check) {
		s := t.store
		saveDocument(t, s, approved(newDocument("later", 60), "li"))
		saveDocument(t, s, approved(newDocument("first", 0), "li"))
		saveDocument(t, s, newDocument("pending", 90))
		for minutes, want := range map[int]string{0: "first", 59: "first", 60: "later", 90: "later"} {
			equal(t, "in force", got(s.Document(t.Context(), alerts.DocumentReadiness, at(minutes)))(t).Version, want)
		}
		saveDocument(t, s, approved(newDocument("mended", 60), "li")) // of the same day the one saved later rules
		equal(t, "in force", got(s.Document(t.Context(), alerts.DocumentReadiness, at(60)))(t).Version, "mended")
		equal(t, "versions", versions(got(s.Documents(t.Context(), alerts.DocumentReadiness, 10))(t)),
			[]string{"mended", "pending", "first", "later"})
		equal(t, "last", versions(got(s.Documents(t.Context(), alerts.DocumentReadiness, 1))(t)), []string{"mended"})
	},
	"VersionNeverChangesOnceSaved": func(t check) {
		s := t.store
		d := newDocument("1", 0)
		saveDocument(t, s, d)
		again := approved(d, "li") // the same content: neither the author nor the approval of the first changes
		again.Author = "wang"
		saveDocument(t, s, again)
		body, day := d, d
		body.Body, day.Effective = []byte("other"), at(1)
		for _, other := range []alerts.Document{body, day} {
			if err := s.SaveDocument(t.Context(), other, []alerts.Event{event(alerts.EventDocument)}); !errors.Is(err, alerts.ErrConflict) {
				t.Errorf("%v, want ErrConflict", err)
			}
		}
		equal(t, "listed", got(s.Documents(t.Context(), d.Kind, 10))(t), []alerts.Document{d})
		equal(t, "events", len(newEvents(t, s, 0)), 1)
		other := d // versions are counted per kind
		other.Kind, other.Body = alerts.DocumentRules, []byte("rules")
		saveDocument(t, s, other)
	},
	"ApprovalTakesASecondPersonAndHappensOnce": func(t check) {
		s := t.store
		d := newDocument("1", 0)
		saveDocument(t, s, d)
		approve := func(version, by string) (alerts.Document, error) {
			return s.ApproveDocument(t.Context(), d.Kind, version, by, at(1), []alerts.Event{event(alerts.EventDocument)})
		}
		if _, err := approve("1", "zhang"); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("by its author: %v, want ErrConflict", err)
		}
		if _, err := approve("2", "li"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown version: %v, want ErrNotFound", err)
		}
		if _, err := s.Document(t.Context(), d.Kind, at(5)); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("before approval: %v, want ErrNotFound", err)
		}
		equal(t, "approved", got(approve("1", "li"))(t), approved(d, "li"))
		equal(t, "in force", got(s.Document(t.Context(), d.Kind, at(5)))(t), approved(d, "li"))
		if _, err := approve("1", "wang"); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("again: %v, want ErrConflict", err)
		}
		equal(t, "events", len(newEvents(t, s, 0)), 2)
	},
	"OfManyApproversOneWins": func(t check) {
		s := t.store
		saveDocument(t, s, newDocument("1", 0))
		var wg sync.WaitGroup
		won := make(chan string, 8)
		for _, by := range []string{"a", "b", "c", "d"} {
			wg.Go(func() {
				_, err := s.ApproveDocument(t.Context(), alerts.DocumentReadiness, "1", by, at(1), nil)
				switch {
				case err == nil:
					won <- by
				case !errors.Is(err, alerts.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		close(won)
		var all []string
		for by := range won {
			all = append(all, by)
		}
		if len(all) != 1 {
			t.Fatalf("approved by %v, want one", all)
		}
		equal(t, "approver", got(s.Document(t.Context(), alerts.DocumentReadiness, at(5)))(t).Approver, all[0])
	},
}
