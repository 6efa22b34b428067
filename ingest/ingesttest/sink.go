package ingesttest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// SinkOptions is one Sink under test with the History that reads it back.
type SinkOptions struct {
	// New returns a Sink and its History over an empty store, released with
	// t.Cleanup. A Sink that also implements ingest.QuarantineLog is checked as one.
	New func(t *testing.T) (ingest.Sink, ingest.History)
	// Devices are at least four ids that the Sink's registry may know; nil means
	// suite-a to suite-d.
	Devices []contract.DeviceID
}

// SinkSuite checks what ingest.Sink and ingest.History promise.
func SinkSuite(t *testing.T, o SinkOptions) {
	if o.Devices == nil {
		o.Devices = []contract.DeviceID{"suite-a", "suite-b", "suite-c", "suite-d"}
	}
	s := &sinkSuite{SinkOptions: o}
	t.Run("KeepsEveryField", s.keepsEveryField)
	t.Run("SameReadingAgainIsTheSamePoint", s.again)
	t.Run("EqualTimesDoNotOverwrite", s.equalTimes)
	t.Run("WindowAndLimit", s.window)
	t.Run("LastIsByMeasuredTime", s.last)
	t.Run("EmptyBatch", func(t *testing.T) {
		sink, _ := o.New(t)
		if err := sink.Write(t.Context(), nil); err != nil {
			t.Fatalf("writing nothing: %v", err)
		}
	})
	t.Run("ContextEnds", func(t *testing.T) {
		sink, _ := o.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := sink.Write(ctx, []contract.Reading{FullReading(contract.Position, o.Devices[0], noon)}); err == nil {
			t.Fatal("a write whose context has ended returned nil")
		}
	})
	t.Run("QuarantineCounts", s.quarantine)
}

type sinkSuite struct{ SinkOptions }

// noon is the whole millisecond that the suite's readings are measured around:
// recent, because a store may have a retention.
var noon = time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour).Add(123 * time.Millisecond)

// FullReading is a believable reading of the class with every field that the
// class may have, a code and a text that need escaping, and a sequence number.
func FullReading(c contract.Class, id contract.DeviceID, measured time.Time) contract.Reading {
	r := contract.Reading{
		Device: id, Kind: contract.Tracker, Class: c,
		Measured: measured.UTC(), Received: measured.UTC().Add(90 * time.Second),
		Seq: 1<<53 - 1, HasSeq: true,
	}
	switch c {
	case contract.Position: // has neither code nor text
	case contract.Environment:
		r.Kind = contract.Sensor
	case contract.SOS:
		r.Code, r.Text = "button", "摔倒在 \"老君堂\" 北坡,\n腿\\不能动, a=b c"
	case contract.Report:
		r.Code, r.Text = "farm", "烧荒 100 m²"
	case contract.Status:
		r.Code = "fw 1.2.3"
	}
	for f := range contract.Fields() {
		if !f.In(c) {
			continue
		}
		info := f.Info()
		x := info.Min + (info.Max-info.Min)*0.37
		switch {
		case info.Bool:
			x = float64(int(f) % 2)
		case info.Integer:
			x = float64(int64(x))
		}
		r.Values.Set(f, x)
	}
	return r
}

func (s *sinkSuite) keepsEveryField(t *testing.T) {
	sink, history := s.New(t)
	var want []contract.Reading
	for i, c := range contract.Classes {
		r := FullReading(c, s.Devices[i%2], noon.Add(time.Duration(i)*time.Second))
		if c == contract.Environment {
			r.Device = s.Devices[2]
		}
		want = append(want, r)
	}
	// One without a sequence number and with few values.
	bare := contract.Reading{
		Device: s.Devices[3], Kind: contract.Tracker, Class: contract.Position,
		Measured: noon, Received: noon.Add(time.Second),
	}
	bare.Values.Set(contract.Lat, 39.5)
	bare.Values.Set(contract.Lon, -0.25)
	want = append(want, bare)
	s.write(t, sink, want...)
	for _, w := range want {
		got := s.read(t, history, ingest.ReadingQuery{
			Device: w.Device, Class: w.Class, From: w.Measured, To: w.Measured.Add(time.Millisecond), Limit: 10,
		})
		equalReadings(t, got, []contract.Reading{w})
	}
}

func (s *sinkSuite) again(t *testing.T) {
	sink, history := s.New(t)
	counted := FullReading(contract.Position, s.Devices[0], noon)
	bare := counted
	bare.Measured, bare.Seq, bare.HasSeq = noon.Add(time.Second), 0, false
	s.write(t, sink, counted, bare)
	// Redelivered: the same measurement, received later; also twice in one batch.
	late, lateBare := counted, bare
	late.Received, lateBare.Received = late.Received.Add(time.Hour), lateBare.Received.Add(time.Hour)
	s.write(t, sink, late, lateBare, late)
	got := s.read(t, history, s.hour(contract.Position, s.Devices[0]))
	if len(got) != 2 {
		t.Fatalf("%d readings after writing two of them again, want 2: %s", len(got), describe(got))
	}
}

func (s *sinkSuite) equalTimes(t *testing.T) {
	sink, history := s.New(t)
	const n = 5
	var want []contract.Reading
	for i := range n { // counted, at one measured time
		r := FullReading(contract.Position, s.Devices[0], noon)
		r.Seq = uint64(100 + i)
		r.Values.Set(contract.Lat, 39+float64(i)/1000)
		want = append(want, r)
	}
	for i := range n { // not counted: told apart by their values
		r := FullReading(contract.Environment, s.Devices[1], noon)
		r.Seq, r.HasSeq = 0, false
		r.Values.Set(contract.TempC, 20+float64(i))
		want = append(want, r)
	}
	s.write(t, sink, want...)
	s.write(t, sink, want[0], want[n])
	got := s.read(t, history, s.hour(contract.Position, s.Devices[0]))
	slices.SortFunc(got, func(a, b contract.Reading) int { return cmp.Compare(a.Seq, b.Seq) })
	equalReadings(t, got, want[:n])
	temp := func(r *contract.Reading) float64 { x, _ := r.Values.Get(contract.TempC); return x }
	got = s.read(t, history, s.hour(contract.Environment, s.Devices[1]))
	slices.SortFunc(got, func(a, b contract.Reading) int { return cmp.Compare(temp(&a), temp(&b)) })
	equalReadings(t, got, want[n:])
}

func (s *sinkSuite) window(t *testing.T) {
	sink, history := s.New(t)
	var all []contract.Reading
	for i := range 20 {
		r := FullReading(contract.Position, s.Devices[0], noon.Add(time.Duration(i)*time.Minute))
		r.Seq = uint64(i)
		if i == 7 { // stands among the positions, because it has a place
			sos := FullReading(contract.SOS, s.Devices[0], r.Measured)
			sos.Seq = r.Seq
			r = sos
		}
		all = append(all, r)
	}
	shuffled := slices.Clone(all) // late ones come in any order
	slices.Reverse(shuffled)
	s.write(t, sink, shuffled...)
	q := ingest.ReadingQuery{Device: s.Devices[0], Class: contract.Position, From: all[3].Measured, To: all[12].Measured, Limit: 100}
	equalReadings(t, s.read(t, history, q), all[3:12])
	q.Limit = 4
	equalReadings(t, s.read(t, history, q), all[3:7])
	q.Newest = true
	equalReadings(t, s.read(t, history, q), all[8:12])
	q.Device = s.Devices[1]
	equalReadings(t, s.read(t, history, q), nil)
}

func (s *sinkSuite) last(t *testing.T) {
	sink, history := s.New(t)
	newer := FullReading(contract.Position, s.Devices[0], noon.Add(time.Minute))
	older := FullReading(contract.Position, s.Devices[0], noon)
	older.Seq, older.Received = 5, newer.Received.Add(time.Hour) // came later, was measured earlier
	sos := FullReading(contract.SOS, s.Devices[1], noon)
	other := FullReading(contract.Environment, s.Devices[2], noon)
	s.write(t, sink, newer)
	s.write(t, sink, older, sos, other)
	got, err := history.Last(t.Context(), contract.Position)
	if err != nil {
		t.Fatalf("last positions: %v", err)
	}
	slices.SortFunc(got, func(a, b contract.Reading) int {
		return slices.Index(s.Devices, a.Device) - slices.Index(s.Devices, b.Device)
	})
	equalReadings(t, got, []contract.Reading{newer, sos})
	got, err = history.Last(t.Context(), contract.Environment)
	if err != nil {
		t.Fatalf("last environment: %v", err)
	}
	equalReadings(t, got, []contract.Reading{other})
}

func (s *sinkSuite) quarantine(t *testing.T) {
	sink, history := s.New(t)
	log, ok := sink.(ingest.QuarantineLog)
	if !ok {
		t.Skip("not a QuarantineLog")
	}
	first := ingest.QuarantineCount{
		Device: s.Devices[0], Total: 3, LastReason: "lat: 91 is outside -90..90", LastTopic: topicOf(0),
		Example: []byte("{\"lat\":91,\n\"x\":\"\\\"}\xff"), Last: noon,
	}
	other := first
	other.Device = s.Devices[1]
	second := first
	second.Total, second.LastReason, second.Last = 9, "t: missing", noon.Add(time.Minute)
	for _, counts := range [][]ingest.QuarantineCount{{first, other}, {second}, nil} {
		if err := log.WriteQuarantine(t.Context(), counts); err != nil {
			t.Fatalf("writing counts: %v", err)
		}
	}
	got, err := history.Quarantine(t.Context())
	if err != nil {
		t.Fatalf("reading counts: %v", err)
	}
	if len(got) != 2 {
		t.Fatalf("%d counts, want one of each of two devices: %+v", len(got), got)
	}
	slices.SortFunc(got, func(a, b ingest.QuarantineCount) int {
		return slices.Index(s.Devices, a.Device) - slices.Index(s.Devices, b.Device)
	})
	for i, want := range []ingest.QuarantineCount{second, other} {
		g := got[i]
		// The example may be shown with its unprintable bytes replaced.
		if g.Device != want.Device || g.Total != want.Total || g.LastReason != want.LastReason ||
			g.LastTopic != want.LastTopic || !g.Last.Equal(want.Last) || len(g.Example) == 0 {
			t.Errorf("count %d:\n got %+v\nwant %+v", i, g, want)
		}
	}
}

func (s *sinkSuite) hour(c contract.Class, id contract.DeviceID) ingest.ReadingQuery {
	return ingest.ReadingQuery{Device: id, Class: c, From: noon.Add(-time.Hour), To: noon.Add(time.Hour), Limit: 1000}
}

func (s *sinkSuite) write(t *testing.T, sink ingest.Sink, rs ...contract.Reading) {
	t.Helper()
	if err := sink.Write(t.Context(), rs); err != nil {
		t.Fatalf("writing %d readings: %v", len(rs), err)
	}
}

func (s *sinkSuite) read(t *testing.T, h ingest.History, q ingest.ReadingQuery) []contract.Reading {
	t.Helper()
	got, err := h.Readings(t.Context(), q)
	if err != nil {
		t.Fatalf("reading back: %v", err)
	}
	return got
}

// equalReadings compares with the wire's resolution, one millisecond.
func equalReadings(t *testing.T, got, want []contract.Reading) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d readings, want %d:\n got %s\nwant %s", len(got), len(want), describe(got), describe(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		for _, r := range []*contract.Reading{&g, &w} {
			r.Measured = time.UnixMilli(r.Measured.UnixMilli()).UTC()
			r.Received = time.UnixMilli(r.Received.UnixMilli()).UTC()
		}
		if g != w {
			t.Errorf("reading %d:\n got %s\nwant %s", i, describe([]contract.Reading{g}), describe([]contract.Reading{w}))
		}
	}
}

func describe(rs []contract.Reading) string {
	var out strings.Builder
	for i := range rs {
		r := &rs[i]
		fmt.Fprintf(&out, "\n  %s %s %s measured %s received %s seq %d/%t code %q text %q", r.Device, r.Kind, r.Class,
			r.Measured.Format(time.RFC3339Nano), r.Received.Format(time.RFC3339Nano), r.Seq, r.HasSeq, r.Code, r.Text)
		for f, x := range r.Values.All() {
			fmt.Fprintf(&out, " %s=%v", f, x)
		}
	}
	return out.String()
}
