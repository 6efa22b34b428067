package quarantine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/firmware-contracts/v1"
	"firewatch/ingest"
)

func refusedReading(i int) ingest.Rejection {
	return ingest.Rejection{
		Device: "se-1", Topic: "fw/v1/sensors/se-1/readings", Reason: "storage refuses the reading: a <conflict>",
		Payload:  fmt.Appendf(nil, `{"t":%d,"seq":%d,"temp_c":21.5}`, noon.UnixMilli()+int64(i), i),
		Received: noon.Add(time.Duration(i) * time.Millisecond), Acknowledged: true,
	}
}

func refusedFiles(tb testing.TB, dir string) []string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "refused", "refused-*.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func refusedLines(tb testing.TB, names []string) (out []refusedRecord) {
	tb.Helper()
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			var r refusedRecord
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				tb.Fatalf("%v in %q", err, s.Text())
			}
			out = append(out, r)
		}
	}
	return out
}

func TestAcknowledgedReadingsAreAllKeptAndCanBeSentAgain(t *testing.T) {
	dir := t.TempDir()
	var q *Quarantine
	for b := range 10 {
		if b%4 == 0 { // also over restarts
			q = open(t, Options{Dir: dir})
		}
		var rs []ingest.Rejection
		for i := range 100 {
			rs = append(rs, refusedReading(b*100+i))
		}
		keep(t, q, append(rs, garbage(fmt.Sprint("tr-", b), b))...)
		if b%4 == 3 {
			q.Close()
		}
	}
	got := refusedLines(t, refusedFiles(t, dir))
	if len(got) != 1000 {
		t.Fatalf("%d of 1000 acknowledged readings are on disk", len(got))
	}
	for i, r := range got {
		topic, err := contract.ParseTopic(r.Topic)
		if err != nil {
			t.Fatal(err)
		}
		rs, faults := contractv1.Decode(nil, topic, r.Payload, time.Now())
		if len(rs) != 1 || len(faults) != 0 || rs[0].Seq != uint64(i) || r.Reason != refusedReading(0).Reason {
			t.Fatalf("line %d: %+v, %v", i, r, faults)
		}
	}
	if n := len(lines(t, dir)); n != 10 {
		t.Errorf("%d lines of evidence, want the 10 of garbage", n)
	}
	if c := countOf(q, "se-1"); c.Total != 1000 || len(c.Example) == 0 {
		t.Errorf("count %+v", c)
	}
}

func TestRefusedBeyondTheBoundIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir, MaxRefused: 64 << 10})
	kept := 0
	for ; ; kept++ {
		if err := q.Keep(t.Context(), []ingest.Rejection{refusedReading(kept)}); err != nil {
			break
		}
		if kept > 10_000 {
			t.Fatal("it has no bound")
		}
	}
	files := refusedFiles(t, dir)
	if n := len(refusedLines(t, files)); n != kept || n < 100 || len(files) < 2 {
		t.Errorf("%d lines in %d files, %d taken", n, len(files), kept)
	}
	if c := countOf(q, "se-1"); c.Total != uint64(kept) {
		t.Errorf("%d counted, %d taken", c.Total, kept)
	}
	if err := q.Ready(); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("Ready: %v", err)
	}
	keep(t, q, garbage("tr-1", 1)) // is taken all the same
	away := t.TempDir()
	for _, name := range files {
		if err := os.Rename(name, filepath.Join(away, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, q, refusedReading(kept))
	if got := refusedFiles(t, dir); len(got) != 1 || slices.Contains(files, got[0]) {
		t.Errorf("after they were moved away: %v", got)
	}
	if err := q.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

func TestRefusedThatCannotBeWrittenIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir})
	if err := os.WriteFile(filepath.Join(dir, "refused"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := q.Keep(t.Context(), []ingest.Rejection{refusedReading(1)}); err == nil || q.Ready() == nil {
		t.Errorf("Keep: %v, Ready: %v", err, q.Ready())
	}
	if c := countOf(q, "se-1"); c.Total != 0 {
		t.Errorf("%d counted, of none that was taken", c.Total)
	}
}

func TestRefusedThatIsNoDocumentIsKeptAsText(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: dir})
	r := refusedReading(1)
	r.Payload = []byte(strings.Repeat("no JSON ", 2000))
	keep(t, q, r)
	if got := refusedLines(t, refusedFiles(t, dir)); len(got) != 1 || got[0].Text != string(r.Payload) || got[0].Payload != nil {
		t.Errorf("kept %+v", got)
	}
}
