package danger

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var nan = math.NaN()

// The three published examples.
func TestHTZExamples(t *testing.T) {
	for _, tt := range []struct {
		name         string
		day          HTZDay
		since        RainMemory
		value, level int
		degraded     bool
	}{
		{
			"warm and dry, 3 mm four days ago",
			HTZDay{22, 25, 0, 9, 0, 0},
			RainMemory{Known: true, LastMM: 3, DaysSince: 3, DryRun: 3},
			86, 4, false,
		},
		{"cold, soaked, under snow", HTZDay{4, 80, 12, 0.1, 0, 90}, RainMemory{}, -20, 1, false},
		{"hot, dry for eight days, a gale", HTZDay{26, 18, 0, 18, nan, nan}, RainMemory{DryRun: 7}, 130, 5, false},
		{"the same, of which nothing is known before", HTZDay{26, 18, 0, 18, nan, nan}, RainMemory{}, 130, 5, true},
	} {
		s, _, err := HTZ(tt.day, tt.since)
		if err != nil || !s.Rated || s.Value != tt.value || s.Level != tt.level || s.Degraded != tt.degraded || s.Degraded != (s.Note != "") {
			t.Errorf("%s: %+v, %v", tt.name, s, err)
		}
	}
}

func TestHTZBandEdges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		score func(float64) int
		edges map[float64]int
	}{
		{"A of max °C", htzA, map[float64]int{
			-40: 0, 5: 0, 5.1: 4, 10: 4, 10.1: 8, 15: 8, 15.1: 12, 20: 12, 20.1: 16, 25: 16, 25.1: 20, 45: 20,
		}},
		{"B of min RH %", htzB, map[float64]int{
			100: 0, 71: 0, 70.9: 4, 70.5: 4, 70: 4, 61: 4, 60.5: 4, 60: 8, 51: 8, 50.5: 8, 50: 12, 41: 12, 40.5: 12,
			40: 16, 31: 16, 30.5: 16, 30: 20, 0: 20,
		}},
		{"D of max m/s", htzD, map[float64]int{
			0: 0, 0.29: 0, 0.3: 5, 1.59: 5, 1.6: 10, 3.39: 10, 3.4: 15, 5.49: 15, 5.5: 20, 7.99: 20, 8.0: 25, 10.79: 25,
			10.8: 30, 13.89: 30, 13.9: 35, 17.19: 35, 17.2: 40, 60: 40,
		}},
		{"E of green %", func(v float64) int { return htzE(v, nan) }, map[float64]int{
			nan: 0, 0: 0, 19.9: 0, 20: 5, 49.9: 5, 50: 10, 74.9: 10, 75: 15, 99.9: 15, 100: 20,
		}},
		{"E of snow %", func(v float64) int { return htzE(nan, v) }, map[float64]int{
			0: 0, 9.9: 0, 10: 5, 29.9: 5, 30: 10, 59.9: 10, 60: 15, 89.9: 15, 90: 20, 100: 20,
		}},
		{"level", func(v float64) int { return HTZLevel(int(v)) }, map[float64]int{
			-20: 1, 0: 1, 25: 1, 26: 2, 50: 2, 51: 3, 72: 3, 73: 4, 90: 4, 91: 5, 130: 5,
		}},
	} {
		for v, want := range tt.edges {
			if got := tt.score(v); got != want {
				t.Errorf("%s %g: %d, want %d", tt.name, v, got, want)
			}
		}
	}
	if got := htzE(50, 90); got != 20 {
		t.Errorf("both covers: %d, want the greater", got)
	}
}

// What a rain of so many mm scores on its own day and on the days after.
func TestHTZRainTable(t *testing.T) {
	for mm, want := range map[float64][]int{
		0.3:   {10, 15, 20, 25, 30, 35, 40, 45, 50, 50, 50, 50},
		2:     {10, 15, 20, 25, 30, 35, 40, 45, 50, 50, 50, 50},
		2.05:  {5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50, 50},
		2.1:   {5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50, 50},
		5:     {5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50, 50},
		5.1:   {0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50},
		10:    {0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50},
		10.05: {0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50},
		10.1:  {0, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50},
		300:   {0, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 50},
	} {
		var m RainMemory
		for i, c := range want {
			rain := 0.29 // counts as none
			if i == 0 {
				rain = mm
			}
			s, next, err := HTZ(HTZDay{TempMaxC: 3, RHMinPct: 90, RainMM: rain, GreenPct: nan, SnowPct: nan}, m)
			if err != nil || s.C != c || s.Degraded || next.DryDays() != i {
				t.Errorf("%g mm, day %d: %+v, memory %+v, %v; want %d", mm, i, s, next, err, c)
			}
			m = next
		}
	}
}

func TestHTZUnknownRainIsNotSafe(t *testing.T) {
	dry := HTZDay{TempMaxC: 20, RHMinPct: 50, GreenPct: nan, SnowPct: nan}
	var m RainMemory
	for day := 1; day <= 12; day++ {
		s, next, err := HTZ(dry, m)
		if err != nil || s.C != 50 || s.Degraded != (day < 8) {
			t.Errorf("day %d of a record without rain: %+v, %v", day, s, err)
		}
		want := -1
		if day >= 8 {
			want = day
		}
		if next.DryDays() != want {
			t.Errorf("day %d: %d dry days, want %d", day, next.DryDays(), want)
		}
		m = next
	}
}

func TestHTZWithoutInputsIsNoRating(t *testing.T) {
	full := HTZDay{22, 25, 0, 9, 0, 0}
	since := RainMemory{Known: true, LastMM: 3, DaysSince: 3, DryRun: 3}
	for _, tt := range []struct {
		miss []string
		note string
		day  HTZDay
		next RainMemory
	}{
		{[]string{"temp_max_c"}, "资料不足：缺最高气温", HTZDay{nan, 25, 0, 9, 0, 0}, RainMemory{true, 3, 4, 4, 0}},
		{[]string{"rh_min_pct"}, "资料不足：缺最小相对湿度", HTZDay{22, nan, 1, 9, 0, 0}, RainMemory{true, 1, 0, 0, 0}},
		{[]string{"rain_mm"}, "资料不足：缺降水量", HTZDay{22, 25, nan, 9, 0, 0}, RainMemory{true, 3, 4, 0, 1}},
		{[]string{"wind_max_ms"}, "资料不足：缺最大风速", HTZDay{22, 25, 0, nan, 0, 0}, RainMemory{true, 3, 4, 4, 0}},
		{
			[]string{"temp_max_c", "rh_min_pct", "rain_mm", "wind_max_ms"},
			"资料不足：缺最高气温、最小相对湿度、降水量、最大风速",
			HTZDay{nan, nan, nan, nan, nan, nan},
			RainMemory{true, 3, 4, 0, 1},
		},
	} {
		s, next, err := HTZ(tt.day, since)
		if err != nil || s.Rated || s.Level != 0 || s.Value != 0 || !slices.Equal(s.Missing, tt.miss) || s.Note != tt.note {
			t.Errorf("%v: %+v, %v", tt.miss, s, err)
		}
		if next != tt.next {
			t.Errorf("%v: the memory is %+v, want %+v", tt.miss, next, tt.next)
		}
	}
	// After a day of unknown rain the last known one is scored, and it is said.
	_, m, _ := HTZ(HTZDay{22, 25, nan, 9, 0, 0}, since)
	for day := 1; day <= 12; day++ {
		s, next, err := HTZ(full, m)
		if err != nil || s.C != min(5+5*(4+day), 50) || s.Degraded != (day < 11) {
			t.Errorf("day %d after: %+v, %v", day, s, err)
		}
		m = next
	}
	rained := full
	rained.RainMM = 0.3
	if _, m, _ = HTZ(rained, m); m != (RainMemory{Known: true, LastMM: 0.3}) {
		t.Errorf("a rain that is seen ends what is unknown: %+v", m)
	}
}

func TestHTZRefusesTheImpossible(t *testing.T) {
	ok := HTZDay{22, 25, 0, 9, 0, 0}
	since := RainMemory{Known: true, LastMM: 3, DaysSince: 1}
	for _, tt := range []struct {
		field  string
		change func(*HTZDay, *RainMemory)
	}{
		{"temp_max_c", func(d *HTZDay, _ *RainMemory) { d.TempMaxC = 71 }},
		{"temp_max_c", func(d *HTZDay, _ *RainMemory) { d.TempMaxC = math.Inf(-1) }},
		{"rh_min_pct", func(d *HTZDay, _ *RainMemory) { d.RHMinPct = 101 }},
		{"rain_mm", func(d *HTZDay, _ *RainMemory) { d.RainMM = -1 }},
		{"wind_max_ms", func(d *HTZDay, _ *RainMemory) { d.WindMaxMS = -1 }},
		{"green_pct", func(d *HTZDay, _ *RainMemory) { d.GreenPct = 110 }},
		{"snow_pct", func(d *HTZDay, _ *RainMemory) { d.SnowPct = -1 }},
		{"rain_memory.days_since", func(_ *HTZDay, m *RainMemory) { m.DaysSince = -1 }},
		{"rain_memory.last_mm", func(_ *HTZDay, m *RainMemory) { m.LastMM = 0.1 }},
		{"rain_memory.last_mm", func(_ *HTZDay, m *RainMemory) { m.LastMM = nan }},
	} {
		d, m := ok, since
		tt.change(&d, &m)
		_, next, err := HTZ(d, m)
		var in *InputError
		if !errors.As(err, &in) || in.Field != tt.field {
			t.Errorf("want %s named, got %v", tt.field, err)
		}
		if m == m && next != m { //nolint:gocritic // false where NaN stands in it
			t.Errorf("%s: a refused day changed the memory", tt.field)
		}
	}
}

func TestHTZIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, lo, hi float64) float64 {
			return rapid.OneOf(rapid.Just(nan), rapid.Float64Range(lo, hi)).Draw(t, name)
		}
		var m RainMemory
		for range rapid.IntRange(1, 20).Draw(t, "days") {
			d := HTZDay{
				draw("temp", minTempC, maxTempC), draw("rh", 0, 100), draw("rain", 0, 12),
				draw("wind", 0, maxWindMS), draw("green", 0, 100), draw("snow", 0, 100),
			}
			s, next, err := HTZ(d, m)
			if err != nil {
				t.Fatal(err)
			}
			if s.Rated != (len(s.Missing) == 0) || s.Rated && (s.Value < -20 || s.Value > 130 || s.Level < 1 || s.Level > 5 || s.C > 50) {
				t.Fatalf("%+v", s)
			}
			if err := next.Check(); err != nil {
				t.Fatal(err)
			}
			m = next
			// The memory and the inputs come back from JSON as they were.
			raw, err := json.Marshal(struct {
				D HTZDay
				M RainMemory
			}{d, m})
			if err != nil {
				t.Fatal(err)
			}
			var back struct {
				D HTZDay
				M RainMemory
			}
			if err := json.Unmarshal(raw, &back); err != nil || back.M != m {
				t.Fatalf("%s: %+v, %v", raw, back, err)
			}
			again, _, _ := HTZ(back.D, back.M)
			same, _, _ := HTZ(d, m)
			if !reflect.DeepEqual(again, same) {
				t.Fatalf("%+v, %+v", again, same)
			}
		}
	})
}

func BenchmarkHTZStationDay(b *testing.B) {
	c := HTZChain{}
	for i := 0; b.Loop(); i++ {
		in := HTZDay{float64(i % 30), float64(20 + i%60), float64(i % 7), float64(i % 17), nan, nan}
		var err error
		if _, c, err = c.Next(Date(i), in); err != nil {
			b.Fatal(err)
		}
	}
}
