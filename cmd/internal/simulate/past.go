package simulate

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	contract "firewatch/firmware-contracts"
)

// Past plays what the sensors of a fleet that are on duty would have measured in
// [from, to), every so often. The same sensor has the same days again.
func Past(fleet []Member, from, to time.Time, every time.Duration, each func(m *Member, at time.Time, v contract.Values) error) error {
	for i := range fleet {
		m := &fleet[i]
		if m.Kind != contract.Sensor || m.Expect <= 0 {
			continue
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(m.ID))
		s := newSensor(m, rand.New(rand.NewPCG(h.Sum64(), 1))) //nolint:gosec // a game
		for at := from; at.Before(to); at = at.Add(every) {
			if err := each(m, at, s.measure(at, smell{})); err != nil {
				return err
			}
		}
	}
	return nil
}
