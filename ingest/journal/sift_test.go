package journal

import (
	"slices"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// weather is what a sensor measures; values are field, value, field, value.
func weather(at time.Time, values ...float64) ingest.Entry {
	r := contract.Reading{Device: "se-1", Kind: contract.Sensor, Class: contract.Environment, Measured: at, Received: at}
	for i := 0; i < len(values); i += 2 {
		r.Values.Set(contract.Field(values[i]), values[i+1])
	}
	return ingest.Entry{Reading: r}
}

// sifted are the indexes of the entries that stay.
func sifted(es []ingest.Entry) (stay []int, s sieve) {
	var b []byte
	for i := range es {
		b, _ = appendFrame(b, 1, i == 0, &es[i])
	}
	s = sift(b, 1, 0, DefaultThinTo, nil)
	for i, keep := range s.keep {
		if keep {
			stay = append(stay, i)
		}
	}
	return stay, s
}

func TestExtremesOfAWindowStay(t *testing.T) {
	const temp, rh, smoke, co = float64(contract.TempC), float64(contract.RhPct), float64(contract.SmokeObsPctM), float64(contract.CoPPM)
	at := noon.Truncate(DefaultThinTo)
	second := func(i int) time.Time { return at.Add(time.Duration(i) * time.Second) }
	es := []ingest.Entry{
		weather(second(3), temp, 12, rh, 40),
		weather(second(1), temp, 12, rh, 40), // the first
		weather(second(4), temp, 12, rh, 40),
		weather(second(5), temp, 14, rh, 40), // the warmest
		weather(second(6), temp, 13.9, rh, 40),
		weather(second(7), temp, 12, rh, 31),             // the driest
		weather(second(8), temp, 12, smoke, 0.6),         // the most smoke
		weather(second(9), temp, 12, co, 4),              // the most carbon monoxide
		weather(second(10), temp, 12, smoke, 0.5, co, 3), // the richest
		weather(second(99), temp, 12),                    // the last
		weather(second(11), temp, 12, rh, 40),
		weather(second(12), temp, 12, smoke, 0.75), // protected
	}
	stay, s := sifted(es)
	if want := []int{1, 3, 5, 6, 7, 8, 9, 11}; !slices.Equal(stay, want) {
		t.Errorf("%v stay, want %v", stay, want)
	}
	if n := s.lost.readings(); n != 4 {
		t.Errorf("%d are told to be lost, want 4", n)
	}
}

// TestRiseOfTemperatureStays: below every limit, a fire may be suspected by it.
func TestRiseOfTemperatureStays(t *testing.T) {
	at := noon.Truncate(DefaultThinTo)
	var es []ingest.Entry
	for i := range 1000 {
		temp := 12.0
		if i >= 180 { // after half an hour, and it stays so
			temp = 19
		}
		es = append(es, weather(at.Add(time.Duration(i)*10*time.Second), float64(contract.TempC), temp))
	}
	slices.Reverse(es[:400]) // came late, the newest first
	stay, _ := sifted(es)
	kept := map[time.Time]bool{}
	for _, i := range stay {
		kept[es[i].Reading.Measured] = true
	}
	for i := 180; i < 400; i++ {
		if !kept[at.Add(time.Duration(i)*10*time.Second)] {
			t.Fatalf("reading %d of the rise is gone", i)
		}
	}
	if len(stay) > 400 {
		t.Errorf("%d of %d stay", len(stay), len(es))
	}
}
