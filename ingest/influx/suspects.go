package influx

import (
	"sync"
	"time"

	contract "firewatch/firmware-contracts"
)

const (
	suspectFor     = 10 * time.Minute // after the last refusal
	suspectFields  = 64
	suspectDevices = 1 << 16
)

// suspects remembers what was refused, so that readings that will likely be
// refused too are sent apart from the others: then one request finds them all,
// and the others are stored with the first.
type suspects struct {
	mu        sync.Mutex
	until     time.Time // when all is forgotten
	conflicts []conflict
	devices   map[contract.DeviceID]struct{} // over a limit
	age       time.Duration                  // readings measured at least so long ago are too old; 0: none are known
}

// learn notes why a reading was refused.
func (s *suspects) learn(r *contract.Reading, why *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch why.fault {
	case faultConflict:
		if why.conflict.field == "" {
			return
		}
		known := false
		for i := range s.conflicts {
			known = known || s.conflicts[i] == why.conflict
		}
		if !known && len(s.conflicts) < suspectFields {
			s.conflicts = append(s.conflicts, why.conflict)
		}
	case faultOld:
		if age := time.Since(r.Measured); s.age == 0 || age < s.age {
			s.age = age
		}
	case faultLimit:
		if s.devices == nil {
			s.devices = map[contract.DeviceID]struct{}{}
		}
		if len(s.devices) < suspectDevices {
			s.devices[r.Device] = struct{}{}
		}
	case faultNone, faultSize, faultSyntax:
		return
	}
	s.until = time.Now().Add(suspectFor)
}

// apart returns the batch's lines in groups of the same suspicion, the
// unsuspected first.
func (s *suspects) apart(b *batch) [][]line {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.IsZero() {
		return [][]line{b.lines}
	}
	now := time.Now()
	if now.After(s.until) {
		s.until, s.conflicts, s.devices, s.age = time.Time{}, nil, nil, 0
		return [][]line{b.lines}
	}
	groups := make([][]line, 3+len(s.conflicts))
	for _, l := range b.lines {
		r := b.readings[l.index]
		g := s.group(r, now)
		groups[g] = append(groups[g], l)
	}
	return groups
}

// group is 0 for a reading that nothing speaks against. The caller holds mu.
func (s *suspects) group(r *contract.Reading, now time.Time) int {
	if s.age > 0 && now.Sub(r.Measured) >= s.age {
		return 1
	}
	if _, over := s.devices[r.Device]; over {
		return 2
	}
	for i := range s.conflicts {
		if s.conflicts[i].matches(r) {
			return 3 + i
		}
	}
	return 0
}
