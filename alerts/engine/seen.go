package engine

import (
	"hash/maphash"
	"math"
	"time"

	contract "firewatch/firmware-contracts"
)

// maxSeen bounds each of the two generations of readings that are remembered,
// some 20 bytes each.
const maxSeen = 1 << 20

// seen remembers which readings were judged, so that those of history that the
// feed brought too are neither judged again nor counted as missed. To judge one
// again would change nothing; this is cheaper, and tells what was missed.
type seen struct {
	seed     maphash.Seed
	most     int // in each generation
	now, was map[uint64]struct{}
	began    time.Time // since when now is filled
	// whole is since when, by time of judging, all are remembered; zero: all.
	whole time.Time
}

func newSeen(at time.Time) *seen {
	return &seen{seed: maphash.MakeSeed(), most: maxSeen, now: make(map[uint64]struct{}), began: at}
}

// key is the same for the same reading, however often and whenever it is
// received.
func (s *seen) key(r *contract.Reading) uint64 {
	h := maphash.String(s.seed, string(r.Device))
	mix := func(x uint64) { h = (h ^ x) * 0x9e3779b97f4a7c15; h ^= h >> 29 }
	mix(uint64(r.Measured.UnixMilli()))
	mix(uint64(r.Class))
	if r.HasSeq {
		mix(r.Seq)
		return h
	}
	for f, x := range r.Values.All() {
		mix(uint64(f))
		mix(math.Float64bits(x + 0)) // +0: both zeros are one value
	}
	return h
}

func (s *seen) add(at time.Time, r *contract.Reading) {
	if len(s.now) >= s.most {
		s.was, s.now, s.whole, s.began = s.now, make(map[uint64]struct{}, s.most), s.began, at
	}
	s.now[s.key(r)] = struct{}{}
}

func (s *seen) has(r *contract.Reading) bool {
	k := s.key(r)
	_, is := s.now[k]
	if !is {
		_, is = s.was[k]
	}
	return is
}
