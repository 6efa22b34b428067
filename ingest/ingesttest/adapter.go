package ingesttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
	"firewatch/ingest"
)

// Words says what an adapter has made of a message, a line for each entry and
// rejection, so that a test can show both beside what it wants:
//
//	position 2026-03-14T08:00:00Z seq=7 lat=39.4 lon=115.1
//	rejected tr-1: batt: want a number, got a boolean
func Words(entries []ingest.Entry, rejected []ingest.Rejection) string {
	var b strings.Builder
	for i := range entries {
		r := &entries[i].Reading
		fmt.Fprintf(&b, "%s %s", r.Class, r.Measured.UTC().Format(time.RFC3339Nano))
		if r.HasSeq {
			fmt.Fprintf(&b, " seq=%d", r.Seq)
		}
		for f, x := range r.Values.All() {
			fmt.Fprintf(&b, " %s=%.10g", f, x)
		}
		if r.Code != "" {
			fmt.Fprintf(&b, " code=%s", r.Code)
		}
		if r.Text != "" {
			fmt.Fprintf(&b, " text=%q", r.Text)
		}
		b.WriteByte('\n')
	}
	for _, r := range rejected {
		fmt.Fprintf(&b, "rejected %s: %s\n", r.Device, r.Reason)
	}
	return b.String()
}

// CheckAdapter asks for what must hold of whatever a message gives: readings that
// a device of the contract could have sent, of a device of the directory, and a
// rejection that says what of. So it can be asked of fuzzed messages.
func CheckAdapter(tb testing.TB, a ingest.Adapter, m *ingest.Message) {
	tb.Helper()
	entries, rejected := a.Decode(nil, nil, m)
	for i := range entries {
		r := &entries[i].Reading
		if err := r.Validate(); err != nil {
			tb.Errorf("%s gives a reading that cannot be one: %v\n%s", a.Name(), err, Words(entries, rejected))
			continue
		}
		if !r.Received.Equal(m.Received) {
			tb.Errorf("%s: received %s, want %s", a.Name(), r.Received, m.Received)
		}
		if _, err := contractv1.AppendReadings(nil, contractv1.JSON, []contract.Reading{*r}); err != nil {
			tb.Errorf("%s gives a reading that cannot be written as a document: %v\n%s", a.Name(), err, Words(entries, rejected))
		}
	}
	for _, r := range rejected {
		if r.Reason == "" || r.Topic != m.Topic || !r.Received.Equal(m.Received) {
			tb.Errorf("%s: a rejection without what it needs: %+v", a.Name(), r)
		}
	}
}
