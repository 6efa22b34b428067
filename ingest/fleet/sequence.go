package fleet

import "slices"

const (
	// maxJump is the largest step of a sequence number that is believed to be a
	// gap. A larger one is a device that began to count elsewhere.
	maxJump = 1 << 20
	// maxRanges bounds the gaps that are remembered of a device. What lies in an
	// older one is missing for good.
	maxRanges = 64
)

// span is a run of sequence numbers, both ends included.
type span struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// sequence follows one device's sequence numbers. Its zero value has seen none.
//
// A number that was passed over is missing: that is unknown, not lost, because a
// tracker sends what is new first and its backlog later. When it comes, it is
// missing no more.
type sequence struct {
	Seen     bool   `json:"seen"`
	Low      uint64 `json:"low"`  // first number since the count began
	High     uint64 `json:"high"` // highest number
	HighAt   int64  `json:"high_at"`
	Gaps     []span `json:"gaps,omitempty"` // ascending, between Low and High
	Missing  uint64 `json:"missing"`
	Repeated uint64 `json:"repeated"`
	Resets   uint64 `json:"resets"`
}

// observe takes the number of a reading measured at the time, in ms since 1970.
// With timed false the time is only that of the receipt, which an old message
// that comes again has anew: it proves no reset.
func (s *sequence) observe(n uint64, measured int64, timed bool) {
	switch {
	case !s.Seen:
		s.begin(n, measured)
	case n > s.High && n-s.High <= maxJump:
		if n > s.High+1 {
			s.lose(span{s.High + 1, n - 1})
		}
		s.High, s.HighAt = n, measured
	case n == s.High:
		s.Repeated++ // perhaps with a later time: that of another receipt
	case !timed && n > s.High:
		// The next reading with a time shows where the count stands.
	case timed && (n > s.High || measured > s.HighAt):
		// A newer measurement with a lower number: the device counts anew.
		s.Resets++
		s.begin(n, measured)
	case n < s.Low:
		// From before we began to listen, or from before a reset.
	default:
		s.find(n)
	}
}

// begin starts the count at n. What is missing stays missing.
func (s *sequence) begin(n uint64, measured int64) {
	s.Seen, s.Low, s.High, s.HighAt = true, n, n, measured
	s.Gaps = s.Gaps[:0]
}

func (s *sequence) lose(g span) {
	s.Missing += g.To - g.From + 1
	if len(s.Gaps) >= maxRanges {
		s.Gaps = slices.Delete(s.Gaps, 0, 1)
	}
	s.Gaps = append(s.Gaps, g)
}

// find takes n off what is missing, or counts it as having come again.
func (s *sequence) find(n uint64) {
	i, _ := slices.BinarySearchFunc(s.Gaps, n, func(g span, n uint64) int {
		switch {
		case g.To < n:
			return -1
		case g.From > n:
			return 1
		}
		return 0
	})
	if i == len(s.Gaps) || n < s.Gaps[i].From {
		s.Repeated++
		return
	}
	s.Missing--
	g := s.Gaps[i]
	switch {
	case g.From == g.To:
		s.Gaps = slices.Delete(s.Gaps, i, i+1)
	case n == g.From:
		s.Gaps[i].From++
	case n == g.To:
		s.Gaps[i].To--
	case len(s.Gaps) >= maxRanges:
		// No room to split: the smaller half is missing for good.
		if n-g.From < g.To-n {
			s.Gaps[i].From = n + 1
		} else {
			s.Gaps[i].To = n - 1
		}
	default:
		s.Gaps[i].To = n - 1
		s.Gaps = slices.Insert(s.Gaps, i+1, span{n + 1, g.To})
	}
}
