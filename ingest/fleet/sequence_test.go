package fleet

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
)

func TestSequenceTellsWhatIsMissing(t *testing.T) {
	type seen struct {
		n        uint64
		measured int64
	}
	for _, tc := range []struct {
		name                      string
		seen                      []seen
		missing, repeated, resets uint64
	}{
		{"in order", []seen{{5, 1}, {6, 2}, {7, 3}}, 0, 0, 0},
		{"a gap", []seen{{5, 1}, {9, 2}}, 3, 0, 0},
		{"new first, then the backlog", []seen{{5, 1}, {9, 9}, {6, 6}, {7, 7}, {8, 8}}, 0, 0, 0},
		{"a part of the backlog", []seen{{5, 1}, {9, 9}, {7, 7}}, 2, 0, 0},
		{"again", []seen{{5, 1}, {6, 2}, {6, 2}, {5, 1}}, 0, 2, 0},
		{"again from the backlog", []seen{{5, 1}, {9, 9}, {7, 7}, {7, 7}}, 2, 1, 0},
		{"counts anew after a reset", []seen{{500, 1}, {0, 2}, {1, 3}}, 0, 0, 1},
		{"what was missing before a reset stays missing", []seen{{5, 1}, {9, 2}, {0, 3}, {1, 4}}, 3, 0, 1},
		{"a jump too large for a gap", []seen{{5, 1}, {1 << 40, 2}, {1<<40 + 1, 3}}, 0, 0, 1},
		{"from before we listened", []seen{{50, 100}, {49, 99}, {10, 10}}, 0, 0, 0},
		{"two of one moment", []seen{{5, 1}, {7, 1}, {6, 1}}, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s sequence
			for _, x := range tc.seen {
				s.observe(x.n, x.measured, true)
			}
			if s.Missing != tc.missing || s.Repeated != tc.repeated || s.Resets != tc.resets {
				t.Errorf("missing %d, repeated %d, resets %d; want %d, %d, %d",
					s.Missing, s.Repeated, s.Resets, tc.missing, tc.repeated, tc.resets)
			}
		})
	}
}

// Whatever the order, and whatever comes twice: what is missing at the end is
// what never came.
func TestSequenceCountsExactlyWhatNeverCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.Uint64Range(2, 120).Draw(t, "last")
		came := map[uint64]bool{0: true, last: true}
		order := []uint64{0}
		var repeated uint64
		order = append(order, rapid.SliceOf(rapid.Uint64Range(1, last)).Draw(t, "order")...)
		order = append(order, last)
		seen := map[uint64]bool{}
		var s sequence
		for _, n := range order {
			if seen[n] {
				repeated++
			}
			seen[n], came[n] = true, true
			s.observe(n, int64(n), true) // measured in the order of the numbers
		}
		missing := last + 1 - uint64(len(came))
		if s.Missing != missing || s.Repeated != repeated || s.Resets != 0 {
			t.Fatalf("%v: missing %d, repeated %d, resets %d; want %d, %d, 0", order, s.Missing, s.Repeated, s.Resets, missing, repeated)
		}
		var inGaps uint64
		for i, g := range s.Gaps {
			if g.From > g.To || i > 0 && g.From <= s.Gaps[i-1].To {
				t.Fatalf("gaps are not in order: %v", s.Gaps)
			}
			inGaps += g.To - g.From + 1
		}
		if inGaps != missing {
			t.Fatalf("gaps %v hold %d, want %d", s.Gaps, inGaps, missing)
		}
	})
}

func TestSequenceIsBounded(t *testing.T) {
	var s sequence
	for n := uint64(0); n < 10_000; n += 3 {
		s.observe(n, int64(n), true)
	}
	for n := uint64(1); n < 10_000; n += 3 {
		s.observe(n, int64(n), true)
	}
	if len(s.Gaps) > maxRanges || cap(s.Gaps) > 2*maxRanges {
		t.Errorf("%d gaps are remembered, %d at most", len(s.Gaps), maxRanges)
	}
	if s.Missing < 3333 {
		t.Errorf("missing %d: forgotten gaps must stay missing", s.Missing)
	}
}

// TestAlarmsWithoutAClockProveNoReset: an SOS without a believable time has that
// of its receipt, a later one each time that it comes.
func TestAlarmsWithoutAClockProveNoReset(t *testing.T) {
	type came struct {
		class    contract.Class
		n        uint64
		at, late int // s: received, and before that measured
	}
	for _, tc := range []struct {
		name                      string
		came                      []came
		missing, repeated, resets uint64
	}{
		{"the highest again, then the backlog", []came{
			{contract.Position, 4, 4, 0},
			{contract.Position, 7, 7, 0},
			{contract.SOS, 8, 8, 0},
			{contract.SOS, 8, 13, 0},
			{contract.Position, 5, 30, 25},
			{contract.Position, 6, 30, 24},
		}, 0, 1, 0},
		{"an older one again", []came{
			{contract.Position, 4, 4, 0},
			{contract.SOS, 7, 7, 0},
			{contract.Position, 8, 8, 0},
			{contract.SOS, 7, 20, 0},
			{contract.Position, 5, 30, 25},
			{contract.Position, 6, 30, 24},
		}, 0, 1, 0},
		{"one before the backlog that leads up to it", []came{
			{contract.Position, 4, 4, 0}, {contract.SOS, 7, 20, 0}, {contract.Position, 5, 30, 25}, {contract.Position, 6, 30, 24},
		}, 0, 0, 0},
		{"a jump", []came{
			{contract.Position, 4, 4, 0}, {contract.Report, 1 << 40, 5, 0}, {contract.Position, 5, 6, 0},
		}, 0, 0, 0},
		{"a reset is told by the next with a clock", []came{
			{contract.Position, 400, 4, 0}, {contract.SOS, 0, 5, 0}, {contract.Position, 1, 6, 0}, {contract.Position, 2, 7, 0},
		}, 0, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d device
			for _, c := range tc.came {
				received := start.Add(time.Duration(c.at) * time.Second)
				r := reading(c.class, received.Add(-time.Duration(c.late)*time.Second), received)
				r.Seq, r.HasSeq = c.n, true
				d.observe(&r, true)
			}
			if s := &d.Sequence; s.Missing != tc.missing || s.Repeated != tc.repeated || s.Resets != tc.resets {
				t.Errorf("missing %d, repeated %d, resets %d; want %d, %d, %d",
					s.Missing, s.Repeated, s.Resets, tc.missing, tc.repeated, tc.resets)
			}
		})
	}
}
