package danger

import (
	"encoding/csv"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testdata reads a file of the inputs from elsewhere: in $FIREWATCH_TESTDATA, or in
// the folder shared/testdata beside one of the folders above.
func testdata(tb testing.TB, name string) [][]string {
	tb.Helper()
	root := os.Getenv("FIREWATCH_TESTDATA")
	if dir, err := os.Getwd(); err == nil && root == "" {
		for ; root == "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			beside := filepath.Join(filepath.Dir(dir), "shared", "testdata")
			if _, err := os.Stat(beside); err == nil {
				root = beside
			}
		}
	}
	if root == "" {
		tb.Skip("no folder shared/testdata above this one; name it in FIREWATCH_TESTDATA")
	}
	f, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

func floats(tb testing.TB, cells []string) []float64 {
	tb.Helper()
	out := make([]float64, len(cells))
	for i, c := range cells {
		var err error
		if out[i], err = strconv.ParseFloat(c, 64); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// The 49 days of Van Wagner & Pickett 1985, to the printed decimal.
func TestTheBooksTableOf49Days(t *testing.T) {
	days := testdata(t, "fwi/vanwagner_pickett_1985_sample_49day.csv")[1:]
	if len(days) != 49 {
		t.Fatalf("%d days", len(days))
	}
	codes := Start
	worst := 0.0
	byDefault := Start
	for _, cells := range days {
		d := floats(t, cells)
		in := Noon{TempC: d[3], RHPct: d[4], WindKMH: d[5], RainMM: d[6]}
		o := Options{Latitude: d[2], BookConstants: true, Month: time.Month(d[0])}
		r, err := Next(codes, in, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range []float64{r.FFMC, r.DMC, r.DC, r.ISI, r.BUI, r.FWI} {
			if s := strconv.FormatFloat(got, 'f', 1, 64); s != cells[7+i] {
				t.Errorf("%s-%s %s: %s, the book has %s", cells[0], cells[1], []string{"FFMC", "DMC", "DC", "ISI", "BUI", "FWI"}[i], s, cells[7+i])
			}
		}
		codes = r.Codes
		o.BookConstants = false
		other, err := Next(byDefault, in, o)
		if err != nil {
			t.Fatal(err)
		}
		byDefault = other.Codes
		worst = max(worst, math.Abs(other.FWI-r.FWI))
	}
	if math.Abs(worst-0.243) > 0.001 {
		t.Errorf("the constants differ by %.3f FWI at most, want 0.243", worst)
	}
}

// Figures computed apart from this code, by hand from the printed equations in
// another language, at the corners where implementations differ.
func TestCornersOfTheEquations(t *testing.T) {
	july := Options{Latitude: 39, Month: time.July}
	for _, tt := range []struct {
		name string
		prev Codes
		in   Noon
		o    Options
		want Rating
	}{
		{
			"an ordinary dry day",
			Codes{85, 6, 15},
			Noon{25, 30, 15, 0},
			july,
			Rating{Codes{91.0736271, 10.2908191, 23.204}, 10.6354427, 10.2420311, 10.7807265, 1.829599},
		},
		{
			"saturated air",
			Codes{85, 6, 15},
			Noon{15, 100, 10, 0},
			july,
			Rating{Codes{75.6571588, 6.00000378, 21.404}, 1.31610596, 7.05549102, 0.663464176, 0.0131578775},
		},
		{
			"bone dry air",
			Codes{60, 40, 200},
			Noon{35, 0, 20, 0},
			july,
			Rating{Codes{99.3933255, 48.4783016, 210.004}, 42.6010367, 61.4773237, 63.2078002, 41.8728962},
		},
		{
			"hot and dry beyond 101",
			Codes{100.9, 80, 500},
			Noon{58, 6, 60, 0},
			july,
			Rating{Codes{101, 93.0471902, 514.144}, 393.029169, 128.125577, 287.626524, 611.922066},
		},
		{
			"half a millimetre is no rain",
			Codes{80, 20, 100},
			Noon{20, 50, 10, 0.5},
			july,
			Rating{Codes{85.5071797, 22.4777308, 107.304}, 3.73750237, 29.5042826, 7.6652967, 1.00042648},
		},
		{
			"a drop more is",
			Codes{80, 20, 100},
			Noon{20, 50, 10, 0.6},
			july,
			Rating{Codes{84.9202272, 22.4777308, 107.304}, 3.44628705, 29.5042826, 7.12371638, 0.878738435},
		},
		{
			"rain on wet litter",
			Codes{10, 20, 100},
			Noon{10, 90, 5, 5},
			july,
			Rating{Codes{14.2492754, 12.74294, 98.2899464}, 1.4364067e-05, 19.2474669, 1.27108851e-05, 5.87435322e-11},
		},
		{
			"a cloudburst on soaked litter",
			Codes{1, 20, 100},
			Noon{10, 95, 5, 150},
			july,
			Rating{Codes{5.6186072, 6.7737361, 5.504}, 1.27628211e-07, 6.29852826, 6.09339713e-08, 4.61073529e-15},
		},
		{
			"1.5 mm leaves the duff dry",
			Codes{80, 20, 100},
			Noon{20, 50, 10, 1.5},
			july,
			Rating{Codes{79.8492873, 22.4777308, 107.304}, 1.85130898, 29.5042826, 3.81666221, 0.291171657},
		},
		{
			"rain on duff of 33",
			Codes{80, 33, 100},
			Noon{20, 50, 10, 10},
			july,
			Rating{Codes{61.3457234, 18.3005596, 89.9183056}, 0.733171194, 24.2582574, 0.752157935, 0.0164299374},
		},
		{
			"rain on duff between 33 and 65",
			Codes{80, 50, 100},
			Noon{20, 50, 10, 10},
			july,
			Rating{Codes{61.3457234, 28.1499868, 89.9183056}, 0.733171194, 31.5821004, 0.896230659, 0.0224053609},
		},
		{
			"rain on duff of 65",
			Codes{80, 65, 100},
			Noon{20, 50, 10, 10},
			july,
			Rating{Codes{61.3457234, 35.563893, 89.9183056}, 0.733171194, 35.76447, 0.975572579, 0.0260350472},
		},
		{
			"rain on dry duff",
			Codes{80, 150, 600},
			Noon{20, 50, 10, 10},
			july,
			Rating{Codes{61.3457234, 70.221081, 549.64646}, 0.733171194, 106.444603, 3.75733954, 0.283209155},
		},
		{
			"rain washes the duff out",
			Codes{80, 5, 10},
			Noon{20, 60, 10, 60},
			july,
			Rating{Codes{50.69243, 3.68656456, 7.304}, 0.294396426, 3.57953576, 0.110586682, 0.000551979449},
		},
		{
			"2.8 mm leaves the deep layer dry",
			Codes{80, 20, 100},
			Noon{20, 50, 10, 2.8},
			july,
			Rating{Codes{73.6705859, 18.0295966, 107.304}, 1.18558194, 25.3927462, 1.83118455, 0.0793605645},
		},
		{
			"rain on the deep layer",
			Codes{80, 20, 400},
			Noon{20, 50, 10, 20},
			july,
			Rating{Codes{57.7211577, 10.7185396, 332.687381}, 0.57833839, 19.8391336, 0.521598681, 0.0085951702},
		},
		{
			"frost",
			Codes{80, 20, 100},
			Noon{-15, 70, 10, 0},
			Options{Latitude: 39, Month: 1},
			Rating{Codes{80, 20, 100}, 1.88035463, 26.6666667, 3.59843105, 0.262354938},
		},
		{
			"between the two floors of temperature",
			Codes{80, 20, 100},
			Noon{-2, 70, 10, 0},
			Options{Latitude: 39, Month: 4},
			Rating{Codes{80.195599, 20, 100.594}, 1.91935203, 26.7192584, 3.68958425, 0.274232522},
		},
		{
			"winter sun is not enough for the deep layer",
			Codes{80, 20, 100},
			Noon{1, 50, 10, 0},
			Options{Latitude: 39, Month: 1},
			Rating{Codes{82.157221, 20.1292655, 100}, 2.40243796, 26.7813223, 4.71585812, 0.423420028},
		},
		{
			"neither drying nor wetting",
			Codes{83, 20, 100},
			Noon{20, 59, 10, 0},
			july,
			Rating{Codes{85.0330263, 22.0317393, 107.304}, 3.50012056, 29.1174406, 7.16709823, 0.888232471},
		},
		{
			"nothing to burn below",
			Codes{85, 0, 0},
			Noon{-20, 60, 10, 0},
			Options{Latitude: 39, Month: 1},
			Rating{Codes{83.7496814, 0, 0}, 2.94320808, 0, 0.588641615, 0.0106464571},
		},
		{
			"duff much drier than the ground",
			Codes{85, 60, 5},
			Noon{20, 40, 10, 0},
			july,
			Rating{Codes{88.228926, 62.973277, 12.304}, 5.49890053, 61.699933, 16.0350119, 3.69437979},
		},
		{
			"a little duff on wet ground",
			Codes{85, 0.2, 0},
			Noon{-20, 40, 10, 0},
			Options{Latitude: 39, Month: 1},
			Rating{Codes{84.7774532, 0.2, 0}, 3.37955781, 0, 0.675911561, 0.013597967},
		},
		{
			"BUI above 80",
			Codes{92, 120, 500},
			Noon{30, 20, 30, 0},
			july,
			Rating{Codes{94.8200007, 125.843217, 509.104}, 38.2819121, 155.557481, 84.908799, 70.6017034},
		},
		{
			"B below 1",
			Codes{40, 5, 50},
			Noon{10, 85, 2, 0},
			july,
			Rating{Codes{48.6256634, 5.39103524, 55.504}, 0.152204002, 8.67547496, 0.0851524302, 0.000347550308},
		},
		{
			"gale",
			Codes{92, 60, 300},
			Noon{25, 20, 90, 0},
			Options{Latitude: 39, Month: 4},
			Rating{Codes{94.0772711, 65.0619802, 305.454}, 710.468094, 84.9094728, 337.942568, 813.993311},
		},
		{
			"south of the tropic",
			Codes{85, 20, 100},
			Noon{25, 40, 15, 0},
			Options{Latitude: 25, Month: 5},
			Rating{Codes{89.2887347, 22.936344, 106.904}, 8.2373358, 29.8577005, 14.8072143, 3.20853479},
		},
		{
			"equator",
			Codes{85, 20, 100},
			Noon{25, 40, 15, 0},
			Options{Latitude: 0, Month: 5},
			Rating{Codes{89.2887347, 22.6694036, 105.704}, 8.2373358, 29.5145141, 14.7192542, 3.1748761},
		},
		{
			"southern tropic",
			Codes{85, 20, 100},
			Noon{25, 40, 15, 0},
			Options{Latitude: -20, Month: 5},
			Rating{Codes{89.2887347, 22.4024632, 104.204}, 8.2373358, 29.1420508, 14.6232671, 3.1383221},
		},
		{
			"far south",
			Codes{85, 20, 100},
			Noon{25, 40, 15, 0},
			Options{Latitude: -40, Month: 1},
			Rating{Codes{89.2887347, 23.4109046, 108.204}, 8.2373358, 30.3860656, 14.9417489, 3.26031408},
		},
	} {
		r, err := Next(tt.prev, tt.in, tt.o)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := []float64{r.FFMC, r.DMC, r.DC, r.ISI, r.BUI, r.FWI, r.DSR}
		w := tt.want
		for i, want := range []float64{w.FFMC, w.DMC, w.DC, w.ISI, w.BUI, w.FWI, w.DSR} {
			if math.Abs(got[i]-want) > 1e-6*math.Abs(want)+1e-12 {
				t.Errorf("%s: figure %d is %.9g, want %.9g", tt.name, i, got[i], want)
			}
		}
	}
}

func TestDayLengthsByLatitude(t *testing.T) {
	for _, tt := range []struct {
		latitude float64
		month    time.Month
		le, lf   float64
	}{
		{90, time.January, 6.5, -1.6},
		{30.01, time.June, 13.9, 5.8},
		{30, time.June, 10.2, 5.8},
		{20.01, time.July, 10.1, 6.4},
		{20, time.July, 10.1, 1.4},
		{10.01, time.December, 7.8, 1.4},
		{10, time.December, 9, 1.4},
		{0, time.March, 9, 1.4},
		{-9.99, time.March, 9, 1.4},
		{-10, time.March, 9.1, 1.4},
		{-19.99, time.January, 10.1, 1.4},
		{-20, time.January, 10.1, 6.4},
		{-29.99, time.April, 8.5, 0.4},
		{-30, time.April, 7.9, 0.4},
		{-45, time.September, 8.7, -1.6},
		{-45, time.October, 10.0, 0.9},
		{-45, time.November, 11.2, 3.8},
		{-90, time.December, 11.8, 5.8},
	} {
		o := Options{Latitude: tt.latitude, Month: tt.month}
		if le, lf := o.dmcDayLength(), o.dcDayLength(); le != tt.le || lf != tt.lf {
			t.Errorf("%g° in %s: Le %g, Lf %g; want %g, %g", tt.latitude, tt.month, le, lf, tt.le, tt.lf)
		}
		o.BookConstants = true
		north := Options{Latitude: 46, Month: tt.month}
		if o.dmcDayLength() != north.dmcDayLength() || o.dcDayLength() != north.dcDayLength() {
			t.Errorf("%g° in %s: the book has one table", tt.latitude, tt.month)
		}
	}
}

func TestImpossibleInputsAreNamed(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	ok := Noon{TempC: 20, RHPct: 40, WindKMH: 10}
	o := Options{Latitude: 39, Month: time.May}
	with := func(change func(*Codes, *Noon, *Options)) func() error {
		return func() error {
			c, n, o := Start, ok, o
			change(&c, &n, &o)
			_, err := Next(c, n, o)
			return err
		}
	}
	for _, tt := range []struct {
		field string
		call  func() error
	}{
		{"temp_c", with(func(_ *Codes, n *Noon, _ *Options) { n.TempC = nan })},
		{"temp_c", with(func(_ *Codes, n *Noon, _ *Options) { n.TempC = 60.1 })},
		{"temp_c", with(func(_ *Codes, n *Noon, _ *Options) { n.TempC = -90.1 })},
		{"rh_pct", with(func(_ *Codes, n *Noon, _ *Options) { n.RHPct = 100.1 })},
		{"rh_pct", with(func(_ *Codes, n *Noon, _ *Options) { n.RHPct = -0.1 })},
		{"rh_pct", with(func(_ *Codes, n *Noon, _ *Options) { n.RHPct = nan })},
		{"wind_kmh", with(func(_ *Codes, n *Noon, _ *Options) { n.WindKMH = -1 })},
		{"wind_kmh", with(func(_ *Codes, n *Noon, _ *Options) { n.WindKMH = inf })},
		{"rain_mm", with(func(_ *Codes, n *Noon, _ *Options) { n.RainMM = -0.1 })},
		{"rain_mm", with(func(_ *Codes, n *Noon, _ *Options) { n.RainMM = nan })},
		{"ffmc", with(func(c *Codes, _ *Noon, _ *Options) { c.FFMC = 101.5 })},
		{"ffmc", with(func(c *Codes, _ *Noon, _ *Options) { c.FFMC = nan })},
		{"dmc", with(func(c *Codes, _ *Noon, _ *Options) { c.DMC = -1 })},
		{"dc", with(func(c *Codes, _ *Noon, _ *Options) { c.DC = inf })},
		{"latitude", with(func(_ *Codes, _ *Noon, o *Options) { o.Latitude = -90.5 })},
		{"latitude", with(func(_ *Codes, _ *Noon, o *Options) { o.Latitude = nan })},
		{"month", with(func(_ *Codes, _ *Noon, o *Options) { o.Month = 13 })},
		{"month", with(func(_ *Codes, _ *Noon, o *Options) { o.Month = 0 })},
		{"hours", func() error { _, err := NextHour(85, 20, Hour{Hours: 25}, o); return err }},
		{"hours", func() error { _, err := NextHour(85, 20, Hour{Hours: -1}, o); return err }},
		{"ffmc", func() error { _, err := NextHour(-1, 20, Hour{}, o); return err }},
		{"bui", func() error { _, err := NextHour(85, nan, Hour{}, o); return err }},
		{"rh_pct", func() error { _, err := NextHour(85, 20, Hour{RHPct: 101}, o); return err }},
		{"dc", func() error { _, err := OverwinterDC(Winter{LastDC: -1}); return err }},
		{"rain_mm", func() error { _, err := OverwinterDC(Winter{RainMM: nan}); return err }},
		{"carry_over", func() error { _, err := OverwinterDC(Winter{CarryOver: 1.5}); return err }},
		{"wetting", func() error { _, err := OverwinterDC(Winter{Wetting: -1}); return err }},
		{"temp_max_c", func() error { _, err := SeasonState{}.Next(inf); return err }},
	} {
		err := tt.call()
		var in *InputError
		if !errors.As(err, &in) || in.Field != tt.field || in.Value == "" || in.Want == "" {
			t.Errorf("want %s named, got %v", tt.field, err)
		}
	}
	err := with(func(_ *Codes, n *Noon, _ *Options) { n.RHPct = 120 })()
	if err == nil || err.Error() != "rh_pct: 120; want 0 to 100" {
		t.Errorf("%v", err)
	}
}

func TestEFFISClasses(t *testing.T) {
	for _, tt := range []struct {
		fwi  float64
		want int
	}{
		{math.NaN(), 0},
		{-0.1, 0},
		{0, 1},
		{5.1999, 1},
		{5.2, 2},
		{11.1999, 2},
		{11.2, 3},
		{21.2999, 3},
		{21.3, 4},
		{37.9999, 4},
		{38, 5},
		{49.9999, 5},
		{50, 6},
		{math.Inf(1), 6},
	} {
		if got := EFFIS(tt.fwi); got != tt.want {
			t.Errorf("EFFIS(%g) = %d, want %d", tt.fwi, got, tt.want)
		}
	}
}

func TestVersionsTellTheConstantsApart(t *testing.T) {
	if a, b := (Options{}).Version(), (Options{BookConstants: true}).Version(); a == b || !strings.HasPrefix(b, "fwi-") {
		t.Errorf("%s, %s", a, b)
	}
}

func BenchmarkFWIStationDay(b *testing.B) {
	c := FWIChain{}
	o := ChainOptions{Latitude: 39}
	for i := 0; b.Loop(); i++ {
		in := Noon{TempC: float64(10 + i%20), RHPct: float64(20 + i%60), WindKMH: float64(i % 30), RainMM: float64(i % 7)}
		var err error
		if _, c, err = c.Next(Date(i), in, o); err != nil {
			b.Fatal(err)
		}
	}
}
