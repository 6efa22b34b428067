package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var seasonAreas = IndexAreas([]Area{
	{Code: "130600", Name: "保定市", Level: City},
	{Code: "130630", Name: "涞源县", Level: County, Parent: "130600"},
	{Code: "130633", Name: "易县", Level: County, Parent: "130600"},
	{Code: "130633100", Name: "易州镇", Level: Township, Parent: "130633"},
	{Code: "130630100", Name: "涞源镇", Level: Township, Parent: "130630"},
})

func TestSampleSeasons(t *testing.T) {
	table, err := ParseSeasons(SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Check(seasonAreas); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		area, day string
		want      []SeasonKind
	}{
		{"130633100", "2026-03-01", []SeasonKind{Prevention, HighDanger}},
		{"130633100", "2026-02-28", []SeasonKind{Prevention}},
		{"130633100", "2026-05-31", []SeasonKind{Prevention, HighDanger}},
		{"130633100", "2026-06-01", nil},
		{"130633100", "2026-09-30", nil},
		{"130633100", "2026-10-01", []SeasonKind{Prevention}},
		{"130633", "2026-01-01", []SeasonKind{Prevention}},
		{"130630100", "2026-06-30", []SeasonKind{Closure}},
		{"130630", "2026-04-04", []SeasonKind{Prevention, HighDanger, Closure}},
		{"130630", "2027-01-01", []SeasonKind{Prevention}},
		{"999999", "2026-04-04", nil},
		{"", "2026-04-04", nil},
	} {
		if got := table.KindsOn(seasonAreas, tt.area, localDay(t, tt.day)); !slices.Equal(got, tt.want) {
			t.Errorf("%s on %s: got %v, want %v", tt.area, tt.day, got, tt.want)
		}
	}
}

func localDay(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.ParseInLocation(time.DateOnly, s, Zone)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSeasonDayIsLocal(t *testing.T) {
	table := SeasonTable{Seasons: []Season{{Area: "130600", Kind: Prevention, From: "10-01", To: "05-31"}}}
	first := time.Date(2026, 9, 30, 16, 0, 0, 0, time.UTC) // midnight in Baoding
	if got := table.KindsOn(seasonAreas, "130600", first.Add(-time.Nanosecond)); got != nil {
		t.Errorf("the evening before: %v", got)
	}
	if got := table.KindsOn(seasonAreas, "130600", first); !slices.Equal(got, []SeasonKind{Prevention}) {
		t.Errorf("at local midnight: %v", got)
	}
}

func TestSeasonRanges(t *testing.T) {
	const city, county, town = "130600", "130633", "130633100"
	for _, tt := range []struct {
		name    string
		seasons []Season
		area    string
		in      []string
		out     []string
	}{
		{
			"one day",
			[]Season{{Area: city, Kind: Closure, From: "04-05", To: "04-05"}},
			city,
			[]string{"2026-04-05"},
			[]string{"2026-04-04", "2026-04-06"},
		},
		{
			"year-round",
			[]Season{{Area: city, Kind: Closure, From: "01-01", To: "12-31"}},
			city,
			[]string{"2026-01-01", "2026-12-31", "2024-02-29"},
			nil,
		},
		{
			"all but one day, over new year",
			[]Season{{Area: city, Kind: Closure, From: "06-02", To: "05-31"}},
			city,
			[]string{"2026-01-01", "2026-06-02", "2026-05-31"},
			[]string{"2026-06-01"},
		},
		{
			"to 29 February",
			[]Season{{Area: city, Kind: Closure, From: "02-01", To: "02-29"}},
			city,
			[]string{"2024-02-29", "2026-02-28"},
			[]string{"2024-03-01", "2026-03-01"},
		},
		{
			"from 29 February",
			[]Season{{Area: city, Kind: Closure, From: "02-29", To: "03-10"}},
			city,
			[]string{"2024-02-29", "2026-03-01", "2026-03-10"},
			[]string{"2024-02-28", "2026-02-28"},
		},
		{
			"29 February alone",
			[]Season{{Area: city, Kind: Closure, From: "02-29", To: "02-29"}},
			city,
			[]string{"2024-02-29"},
			[]string{"2026-02-28", "2026-03-01"},
		},
		{
			"29 February over new year",
			[]Season{{Area: city, Kind: Closure, From: "12-01", To: "02-29"}},
			city,
			[]string{"2023-12-31", "2024-02-29", "2025-02-28", "2024-12-01"},
			[]string{"2025-03-01", "2024-03-01"},
		},
		{
			"override of one year",
			[]Season{
				{Area: city, Kind: Closure, From: "10-01", To: "05-31"},
				{Area: city, Kind: Closure, From: "09-15", To: "06-15", Year: 2025},
			},
			town,
			[]string{"2025-05-31", "2025-09-15", "2026-06-15", "2026-10-01"},
			[]string{"2025-06-15", "2025-09-14", "2026-06-16", "2026-09-15"},
		},
		{
			"override that shortens",
			[]Season{
				{Area: city, Kind: Closure, From: "03-01", To: "05-31"},
				{Area: city, Kind: Closure, From: "03-01", To: "03-31", Year: 2026},
			},
			city,
			[]string{"2025-05-31", "2026-03-31", "2027-05-31"},
			[]string{"2026-04-01", "2026-05-31"},
		},
		{
			"two ranges in the year of the override",
			[]Season{
				{Area: city, Kind: Closure, From: "03-01", To: "05-31"},
				{Area: city, Kind: Closure, From: "03-01", To: "03-05", Year: 2026},
				{Area: city, Kind: Closure, From: "04-01", To: "04-05", Year: 2026},
			},
			city,
			[]string{"2026-03-05", "2026-04-05"},
			[]string{"2026-03-06"},
		},
		{
			"own seasons replace the parent's",
			[]Season{
				{Area: city, Kind: Closure, From: "01-01", To: "12-31"},
				{Area: county, Kind: Closure, From: "04-01", To: "04-30"},
			},
			town,
			[]string{"2026-04-01"},
			[]string{"2026-05-01"},
		},
		{
			"a season of one year keeps what is inherited",
			[]Season{
				{Area: city, Kind: Closure, From: "03-01", To: "05-31"},
				{Area: county, Kind: Closure, From: "03-01", To: "06-30", Year: 2026},
			},
			town,
			[]string{"2025-03-01", "2026-06-30", "2027-05-31"},
			[]string{"2025-06-30", "2027-06-30"},
		},
		{
			"the parent's override does not reach who has its own",
			[]Season{
				{Area: city, Kind: Closure, From: "01-01", To: "12-31", Year: 2026},
				{Area: county, Kind: Closure, From: "04-01", To: "04-30"},
			},
			town,
			[]string{"2026-04-30"},
			[]string{"2026-05-01"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := SeasonTable{Seasons: tt.seasons}
			for _, d := range tt.in {
				if got := table.KindsOn(seasonAreas, tt.area, localDay(t, d)); !slices.Equal(got, []SeasonKind{Closure}) {
					t.Errorf("%s: got %v, want closure", d, got)
				}
			}
			for _, d := range tt.out {
				if got := table.KindsOn(seasonAreas, tt.area, localDay(t, d)); got != nil {
					t.Errorf("%s: got %v, want none", d, got)
				}
			}
		})
	}
}

func TestParseSeasonsFaults(t *testing.T) {
	const head = "version: a\neffective: 2026-01-01\nseasons:\n"
	for _, tt := range []struct {
		name, in string
		want     []string // all of them
	}{
		{"empty", "", []string{"want one YAML document"}},
		{"a list", "- a\n", []string{"line 1"}},
		{"unknown key", head + "  - {area: \"130600\", kind: closure, from: 01-01, to: 12-31, until: 3}\n", []string{"line 4", "until"}},
		{"unknown key at the top", "edition: a\n", []string{"line 1", "edition"}},
		{"nothing in it", "version: a\neffective: 2026-01-01\nseasons: []\n", []string{"line 3", "at least one"}},
		{"no version", "effective: 2026-01-01\nseasons:\n  - {area: \"130600\", kind: closure, from: 01-01, to: 12-31}\n", []string{"version"}},
		{"effective", "version: a\neffective: soon\nseasons:\n  - {area: \"130600\", kind: closure, from: 01-01, to: 12-31}\n", []string{"line 2", "effective", "YYYY-MM-DD"}},
		{
			"every fault at once", head +
				"  - {area: x, kind: closure, from: 01-01, to: 12-31}\n" +
				"  - {area: \"130600\", kind: open, from: 01-01, to: 12-31}\n" +
				"  - {area: \"130600\", kind: closure, from: 02-30, to: 1-1}\n" +
				"  - {area: \"130600\", kind: closure, from: 02-29, to: 03-01, year: 2026}\n" +
				"  - {area: \"130600\", kind: closure, from: 03-01, to: 03-02, year: 26}\n",
			[]string{"line 4: area", "line 5: kind", "line 6: from", "line 6: to", "line 7: from 02-29: 2026 is no leap year", "line 8: year 26"},
		},
		{"the same twice", head + strings.Repeat("  - {area: \"130600\", kind: closure, from: 01-01, to: 12-31}\n", 2), []string{"line 5", "number 1"}},
		{"syntax", "version: [a\n", []string{"season table"}},
		{"aliases", "version: &a x\neffective: *a\n", []string{"aliases"}},
		{"two documents", head + "---\nversion: b\n", []string{"one YAML document"}},
		{"a signed code", head + "  - {area: \"+13060\", kind: closure, from: 01-01, to: 12-31}\n", []string{"line 4: area"}},
		{"too long", strings.Repeat("#", 256<<10+1), []string{"at most"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSeasons([]byte(tt.in))
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in:\n%v", w, err)
				}
			}
			if n := strings.Count(err.Error(), "\n"); n > 8 {
				t.Errorf("%d lines of error:\n%v", n, err)
			}
		})
	}
}

func TestParseSeasonsRefusesDepthFast(t *testing.T) {
	for _, c := range []string{"[", "{a: ", "- ", "? ", "[\n", "{\"a #\": [\n", "a: b: "} {
		began := time.Now()
		if _, err := ParseSeasons([]byte(strings.Repeat(c, 250<<10/len(c)))); err == nil {
			t.Errorf("%q repeated: no error", c)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q repeated: took %s", c, took)
		}
	}
}

func TestParseSeasonsReads(t *testing.T) {
	got, err := ParseSeasons([]byte("version: v2\neffective: 2026-01-01\nseasons:\n  - area: 130600\n    kind: closure\n    from: \"12-01\"\n    to: 02-29\n    year: 2027\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := SeasonTable{
		Version: "v2", Effective: time.Date(2025, 12, 31, 16, 0, 0, 0, time.UTC),
		Seasons: []Season{{Area: "130600", Kind: Closure, From: "12-01", To: "02-29", Year: 2027}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSeasonCheckNamesUnknownAreas(t *testing.T) {
	err := SeasonTable{Seasons: []Season{{Area: "110000"}}}.Check(seasonAreas)
	if err == nil || !strings.Contains(err.Error(), "110000") {
		t.Errorf("got %v", err)
	}
}

// A recurring range of n days holds exactly n days of any run of the year that
// has no 29 February.
func TestSeasonDaysCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, Zone).AddDate(0, 0, rapid.IntRange(0, 364).Draw(t, "from"))
		n := rapid.IntRange(1, 365).Draw(t, "days")
		to := from.AddDate(0, 0, n-1)
		table := SeasonTable{Seasons: []Season{{Area: "130600", Kind: Closure, From: from.Format("01-02"), To: to.Format("01-02")}}}
		held := 0
		for d := range 365 {
			if table.KindsOn(seasonAreas, "130600", time.Date(2026, 1, 1+d, 12, 0, 0, 0, Zone)) != nil {
				held++
			}
		}
		if held != n {
			t.Fatalf("%s to %s: %d days held, want %d", from, to, held, n)
		}
	})
}

func FuzzParseSeasons(f *testing.F) {
	f.Add(SampleSeasons())
	f.Add([]byte("version: a\neffective: 2026-01-01\nseasons:\n  - {area: \"130600\", kind: closure, from: 02-29, to: 02-29, year: 2024}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if table, err := ParseSeasons(data); err == nil {
			for _, s := range table.Seasons {
				table.KindsOn(seasonAreas, s.Area, time.Date(2026, 4, 5, 0, 0, 0, 0, Zone))
			}
		}
	})
}
