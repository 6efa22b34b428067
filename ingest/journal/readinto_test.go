package journal

import (
	"context"
	"testing"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

var _ ingest.EntryReader = (*Journal)(nil)

// Memory that was used before is filled anew, whatever stood in it.
func TestReadIntoUsedMemoryIsRead(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
	all := entries(0, 200)
	add(t, j, all...)
	dirty := make([]ingest.Entry, 37)
	for i := range dirty {
		dirty[i] = ingest.Entry{
			Reading: contract.Reading{Device: "old", Seq: 7, HasSeq: true, Code: "old", Text: "old"},
			Answer:  &contract.Answer{Order: "old"},
		}
		for f := range contract.Fields() {
			dirty[i].Reading.Values.Set(f, 1)
		}
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	var got []ingest.Entry
	kept := ingest.Entry{Reading: contract.Reading{Device: "kept"}}
	for from := ingest.Position(0); len(got) < len(all); {
		batch, next, err := j.ReadInto(done, from, append(dirty[:0], kept))
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) < 2 || len(batch) > cap(dirty) || &batch[0] != &dirty[0] || !same(batch[0], kept) {
			t.Fatalf("%d entries, not appended to those given", len(batch))
		}
		got, from = append(got, batch[1:]...), next
	}
	equal(t, got, all)
	if _, _, err := j.ReadInto(done, 0, dirty); err == nil {
		t.Error("no room, and no error")
	}
}
