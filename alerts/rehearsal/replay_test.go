package rehearsal_test

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/danger"
	"firewatch/alerts/rehearsal"
	contract "firewatch/firmware-contracts"
)

var update = flag.Bool("update", false, "write the figures of the replays anew; then bring them into alerts/rules/README.md")

// table reads a file of the shared test data.
func table(tb testing.TB, name string) (head map[string]int, rows [][]string) {
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
	rows, err = csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	head = make(map[string]int)
	for i, h := range rows[0] {
		head[h] = i
	}
	return head, rows[1:]
}

// num is a cell's number, NaN where there is none.
func num(tb testing.TB, cell string) float64 {
	tb.Helper()
	if cell == "NA" || cell == "" {
		return math.NaN()
	}
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// golden holds the figures against those on record.
func golden(t *testing.T, name, figures string) {
	t.Helper()
	t.Log("\n" + figures)
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(figures), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if figures != string(want) {
		t.Errorf("the figures are others now; go test ./alerts/rehearsal -run Replay -update, and bring them into alerts/rules/README.md. On record:\n%s", want)
	}
}

func shippedSet(tb testing.TB, text string) alerts.RuleSet {
	tb.Helper()
	set, err := alerts.ParseRules([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// oneSensor is a roster of a single sensor.
func oneSensor() alerts.Roster {
	return alerts.Roster{
		Areas: []alerts.Area{
			{Code: "130600", Name: "保定市", Level: alerts.City},
			{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
			{Code: "130633101", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633", Lat: 39.38, Lon: 115.35},
		},
		Devices: []alerts.Device{{ID: "S1", Kind: contract.Sensor, Area: "130633101", Lat: 39.38, Lon: 115.35}},
	}
}

// A tried rule on the estimate of carbon dioxide, beside the shipped ones. It is
// not shipped: rules/README.md says why.
const triedCO2 = `
  - name: tried_co2
    type: condition
    severity: yellow
    for: 20s
    clear_after: 15m
    condition:
      on: [sensor]
      when: rise("co2_ppm", "10m") >= 1000 and rise("temp_c", "10m") >= 3 and count("co2_ppm", "10m") >= 3
      clear: rise("co2_ppm", "10m") < 300
      family: fire
      summary: '{where}{device}二氧化碳与气温同升'
      summary_en: 'CO2 and temperature rise at {device}'
`

type benchRow struct {
	v    contract.Values
	fire bool
}

// benchRows is the smoke-detector bench: 1 Hz, without times.
func benchRows(tb testing.TB) []benchRow {
	tb.Helper()
	head, rows := table(tb, "firesensor/smoke_detection_iot_4col.csv")
	out := make([]benchRow, len(rows))
	for i, row := range rows {
		out[i].v.Set(contract.TempC, num(tb, row[head["Temperature[C]"]]))
		out[i].v.Set(contract.RhPct, num(tb, row[head["Humidity[%]"]]))
		out[i].v.Set(contract.Co2PPM, num(tb, row[head["eCO2[ppm]"]]))
		out[i].fire = row[head["Fire Alarm"]] == "1"
	}
	return out
}

// episode is a run of flagged rows; those at most 10 s apart are one.
type episode struct{ from, to int }

func episodes(rows []benchRow) (out []episode) {
	for i := range rows {
		switch {
		case !rows[i].fire:
		case len(out) > 0 && i-out[len(out)-1].to <= 10:
			out[len(out)-1].to = i
		default:
			out = append(out, episode{i, i})
		}
	}
	return out
}

// fireBench runs the rows through rules and compares with the flag.
func fireBench(t *testing.T, set alerts.RuleSet, rows []benchRow, every int, rules []string) string {
	t.Helper()
	begin := time.Date(2026, 3, 17, 0, 0, 0, 0, time.UTC)
	world := rehearsal.World{Roster: oneSensor()}
	season := alerts.SeasonTable{Version: "x", Seasons: []alerts.Season{{Area: "130600", Kind: alerts.Prevention, From: "01-01", To: "12-31"}}}
	world.Seasons = []rehearsal.SeasonsFrom{{Table: &season}}
	for d := range 3 {
		world.Danger = append(world.Danger, alerts.AreaDanger{Area: "130600", Day: alerts.DangerDay(begin.AddDate(0, 0, d)), Level: 3, Method: alerts.DangerHTZ, DryDays: 5})
	}
	r, err := rehearsal.New(t.Context(), rehearsal.Options{Rules: set, World: world, Start: begin, Tick: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Second) }
	for i := 0; i < len(rows); i += every {
		x := contract.Reading{Device: "S1", Kind: contract.Sensor, Class: contract.Environment, Measured: at(i), Received: at(i), Values: rows[i].v}
		if err := r.Judge(t.Context(), &x); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Until(t.Context(), at(len(rows))); err != nil {
		t.Fatal(err)
	}
	res := r.Result()
	stands := make([]bool, len(rows))
	eps := episodes(rows)
	found, inside, n := make([]int, len(eps)), 0, 0
	for k := range found {
		found[k] = -1
	}
	for i := range res.Alerts {
		a := &res.Alerts[i]
		if !slices.Contains(rules, a.Rule) {
			continue
		}
		n++
		from, to := int(a.Raised.Sub(begin).Seconds()), len(rows)
		if !a.Resolved.IsZero() {
			to = int(a.Resolved.Sub(begin).Seconds())
		}
		for k := from; k < min(to, len(rows)); k++ {
			stands[k] = true
		}
		for k, ep := range eps {
			if from >= ep.from && from <= ep.to {
				inside++
				if found[k] < 0 {
					found[k] = from - ep.from
				}
			}
		}
	}
	var tp, fp, fn int
	for i := range rows {
		switch {
		case rows[i].fire && stands[i]:
			tp++
		case rows[i].fire:
			fn++
		case stands[i]:
			fp++
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "every %2d s: alerts %d, of them in a flagged episode %d; readings precision %s recall %s; delay",
		every, n, inside, share(tp, tp+fp), share(tp, tp+fn))
	for k, ep := range eps {
		if found[k] < 0 {
			fmt.Fprintf(&out, " [%d s: missed]", ep.to-ep.from+1)
		} else {
			fmt.Fprintf(&out, " [%d s: %d s]", ep.to-ep.from+1, found[k])
		}
	}
	return out.String() + "\n"
}

func share(a, b int) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f (%d/%d)", float64(a)/float64(b), a, b)
}

// The smoke bench through the shipped rules, against its flag. Rows 0–24,993 and
// 56,891–62,629 are copies of later and earlier rows with another temperature, so
// that the part in between is shown apart.
func TestReplayFireBench(t *testing.T) {
	rows := benchRows(t)
	shipped := shippedSet(t, string(alerts.DefaultRules()))
	tried := shippedSet(t, string(alerts.DefaultRules())+triedCO2)
	const first, last = 24_994, 56_888
	copies := 0
	for i := range first {
		if a, _ := rows[i].v.Get(contract.Co2PPM); i+first < len(rows) {
			if b, _ := rows[i+first].v.Get(contract.Co2PPM); a == b && rows[i].fire == rows[i+first].fire {
				copies++
			}
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "rules %s; %d rows, %d flagged, %d episodes; rows 0..%d equal those %d later in eCO2 and flag: %d\n",
		shipped.Version, len(rows), flagged(rows), len(episodes(rows)), first-1, first, copies)
	fire := []string{"sensor_fire", "co_rise", "temp_rise"}
	half := len(rows) / 2
	for _, part := range []struct {
		name string
		rows []benchRow
		set  alerts.RuleSet
		of   []string
	}{
		{"all rows, shipped fire rules", rows, shipped, fire},
		{"without copies, shipped fire rules", rows[first : last+1], shipped, fire},
		{"without copies, sensor_fire alone", rows[first : last+1], shipped, fire[:1]},
		{"first half of all rows, the tried rule alone", rows[:half], tried, []string{"tried_co2"}},
		{"second half of all rows, the tried rule alone", rows[half:], tried, []string{"tried_co2"}},
	} {
		fmt.Fprintf(&out, "%s\n", part.name)
		for _, every := range []int{1, 10, 60} {
			out.WriteString("  " + fireBench(t, part.set, part.rows, every, part.of))
		}
	}
	golden(t, "fire_bench.txt", out.String())
}

func flagged(rows []benchRow) (n int) {
	for i := range rows {
		if rows[i].fire {
			n++
		}
	}
	return n
}

// hour is one row of the weather series; NaN is missing.
type hour struct{ temp, dew, rain, wind, co float64 }

func huairou(tb testing.TB) []hour {
	tb.Helper()
	head, rows := table(tb, "weather/PRSA_Data_Huairou_20130301-20170228.csv")
	out := make([]hour, len(rows))
	for i, row := range rows {
		cell := func(name string) float64 { return num(tb, row[head[name]]) }
		out[i] = hour{cell("TEMP"), cell("DEWP"), cell("RAIN"), cell("WSPM"), cell("CO") / 1145} // µg/m³ to ppm at 25 °C
	}
	return out
}

// humidity is relative humidity, %, by the Magnus formula (Alduchov & Eskridge 1996).
func humidity(temp, dew float64) float64 {
	return min(100*math.Exp(17.625*dew/(243.04+dew)-17.625*temp/(243.04+temp)), 100)
}

// hourDangers rates the days of the series.
func hourDangers(tb testing.TB, hours []hour) (out []alerts.AreaDanger) {
	tb.Helper()
	var chain danger.HTZChain
	first, dry := danger.NewDate(2013, 3, 1), -1
	for i := range len(hours) / 24 {
		in := danger.HTZDay{TempMaxC: math.Inf(-1), RHMinPct: math.Inf(1), WindMaxMS: math.Inf(-1), GreenPct: math.NaN(), SnowPct: math.NaN()}
		for _, h := range hours[24*i : 24*i+24] {
			if h.temp == h.temp && h.dew == h.dew && h.wind == h.wind && h.rain == h.rain {
				in.TempMaxC, in.RHMinPct = max(in.TempMaxC, h.temp), min(in.RHMinPct, humidity(h.temp, h.dew))
				in.WindMaxMS, in.RainMM = max(in.WindMaxMS, h.wind), in.RainMM+h.rain
			}
		}
		if math.IsInf(in.TempMaxC, 0) {
			in.TempMaxC, in.RHMinPct, in.WindMaxMS, in.RainMM = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		}
		day, next, err := chain.Next(first+danger.Date(i), in)
		if err != nil {
			tb.Fatal(err)
		}
		chain = next
		if dry++; in.RainMM >= 0.3 {
			dry = 0
		}
		out = append(out, alerts.AreaDanger{
			Area: "130600", Day: day.Day.String(), Level: alerts.DangerLevel(day.Level), Method: alerts.DangerHTZ, DryDays: dry,
		})
	}
	return out
}

// Ordinary weather through the shipped rules: what they tell when there is no fire.
// Four years as the hours are, and one once a minute between them with the noise of
// cheap sensors.
func TestReplayOrdinaryWeather(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million readings")
	}
	hours := huairou(t)
	dangers := hourDangers(t, hours)
	seasons, err := alerts.ParseSeasons(alerts.SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	set := shippedSet(t, string(alerts.DefaultRules()))
	begin := time.Date(2013, 3, 1, 0, 0, 0, 0, alerts.Zone)
	var out strings.Builder
	fmt.Fprintf(&out, "rules %s; alerts a year of one sensor without fire\n", set.Version)
	for _, every := range []time.Duration{time.Hour, time.Minute} {
		for year := range map[time.Duration]int{time.Hour: 4, time.Minute: 1}[every] { // the first is the windiest
			from := begin.AddDate(year, 0, 0)
			to := begin.AddDate(year+1, 0, 0)
			r, err := rehearsal.New(t.Context(), rehearsal.Options{
				Rules: set, Start: from, Tick: 10 * time.Minute, Lean: true,
				World: rehearsal.World{Roster: oneSensor(), Danger: dangers, Seasons: []rehearsal.SeasonsFrom{{Table: &seasons}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			noise := rand.New(rand.NewPCG(uint64(year), 7))
			n := 0
			for at := from; at.Before(to); at = at.Add(every) {
				x := contract.Reading{Device: "S1", Kind: contract.Sensor, Class: contract.Environment, Measured: at.UTC(), Received: at.UTC()}
				i := int(at.Sub(begin) / time.Hour)
				between(&x.Values, hours, i, at.Sub(begin.Add(time.Duration(i)*time.Hour)).Hours(), every, noise)
				if x.Values.Len() == 0 {
					continue
				}
				n++
				if err := r.Judge(t.Context(), &x); err != nil {
					t.Fatal(err)
				}
			}
			res := r.Result()
			byRule := make(map[string]int)
			for i := range res.Alerts {
				byRule[res.Alerts[i].Rule]++
			}
			fmt.Fprintf(&out, "every %s, %s to %s, %d readings: %d alerts, %d of fire; %v; orders %d\n",
				every, from.Format(time.DateOnly), to.Format(time.DateOnly), n, len(res.Alerts),
				byRule["sensor_fire"]+byRule["co_rise"]+byRule["temp_rise"], byRule, len(res.Orders))
		}
	}
	golden(t, "ordinary_weather.txt", out.String())
}

// between makes the values at a share of the hour. Each minute has the noise of a
// cheap sensor: 0.2 °C, 1 % RH, a fifth of the wind, 0.5 ppm of carbon monoxide.
func between(v *contract.Values, hours []hour, i int, share float64, every time.Duration, noise *rand.Rand) {
	a, b := hours[i], hours[min(i+1, len(hours)-1)]
	mix := func(x, y float64) float64 { return x + (y-x)*share }
	err := func(size float64) float64 {
		if every == time.Hour {
			return 0
		}
		return size * noise.NormFloat64()
	}
	set := func(f contract.Field, x float64) {
		if x == x {
			info := f.Info()
			v.Set(f, math.Round(min(max(x, info.Min), info.Max)*100)/100)
		}
	}
	temp, wind := mix(a.temp, b.temp), mix(a.wind, b.wind)
	set(contract.TempC, temp+err(0.2))
	set(contract.RhPct, humidity(temp, mix(a.dew, b.dew))+err(1))
	set(contract.WindMS, wind+err(wind/5))
	set(contract.CoPPM, mix(a.co, b.co)+err(0.5))
	set(contract.RainMM, a.rain*every.Hours())
}
