package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSpecialDaysOfTheSample(t *testing.T) {
	table, err := ParseSeasons(SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, days string }{
		{"春节", "2026-02-16 2026-02-17 2026-02-23 2034-02-19"},
		{"元宵", "2026-03-03 2033-02-14"},
		{"清明", "2026-04-02 2026-04-05 2026-04-08 2024-04-01 2024-04-07"},
		{"中元", "2026-08-27 2025-09-06 2097-08-21"},
		{"寒衣", "2026-11-09 2033-10-23"},
		{"五一", "2026-05-01 2026-05-05"},
		{"国庆", "2026-10-01 2026-10-07"},
		{"", "2026-02-15 2026-02-24 2026-03-02 2026-03-04 2026-04-01 2026-04-09 2026-04-30 2026-05-06 2026-09-30 2026-10-08 2024-04-08"},
	} {
		for day := range strings.FieldsSeq(tt.days) {
			at := localDay(t, day).Add(23 * time.Hour)
			if got := table.SpecialOn(seasonAreas, "130630100", at); got != tt.name {
				t.Errorf("%s: %q, want %q", day, got, tt.name)
			}
			if got := SurroundingsAt(seasonAreas, &table, nil, nil, "130630100", at).Special; got != tt.name {
				t.Errorf("surroundings on %s: %q, want %q", day, got, tt.name)
			}
		}
	}
	if got := table.SpecialOn(seasonAreas, "999999", localDay(t, "2026-04-05")); got != "" {
		t.Errorf("elsewhere it is %q", got)
	}
}

func TestSpecialDays(t *testing.T) {
	const city, county, town = "130600", "130633", "130633100"
	for _, tt := range []struct {
		name string
		days []SpecialDay
		in   []string
		out  []string
	}{
		{
			"a lunar 30th is the last day of a month of 29",
			[]SpecialDay{{Area: city, Lunar: "12-30"}},
			[]string{"2024-02-09", "2025-01-28", "2026-02-16"}, // of lunar 2023 it is the 30th, of 2024 and 2025 the 29th
			[]string{"2026-02-15", "2026-02-17", "2025-01-29"},
		},
		{
			"a day does not come again in the leap month",
			[]SpecialDay{{Area: city, Lunar: "06-15"}},
			[]string{"2025-07-09"},
			[]string{"2025-08-08"}, // 闰六月十五
		},
		{
			"lunar days over new year",
			[]SpecialDay{{Area: city, Lunar: "11-15", Before: 4, After: 10}},
			[]string{"2025-12-31", "2026-01-01", "2026-01-03", "2026-01-13"},
			[]string{"2026-01-14", "2025-12-29"},
		},
		{
			"days before new year's day",
			[]SpecialDay{{Area: city, Solar: "01-01", Before: 3, After: 2}},
			[]string{"2025-12-29", "2026-01-01", "2026-01-03"},
			[]string{"2025-12-28", "2026-01-04"},
		},
		{
			"a term at the end of February and 29 February",
			[]SpecialDay{{Area: city, Solar: "02-28", After: 2}},
			[]string{"2024-02-29", "2024-03-01", "2026-03-02"},
			[]string{"2024-03-02", "2026-03-03"},
		},
		{
			"its own takes the place of the one above with the same name",
			[]SpecialDay{{Area: city, Solar: "05-01", After: 4}, {Area: county, Solar: "05-01"}},
			[]string{"2026-05-01"},
			[]string{"2026-05-02"},
		},
		{
			"what is known ends with 2100",
			[]SpecialDay{{Area: city, Term: "清明"}, {Area: county, Lunar: "01-01"}},
			[]string{"2100-02-09"},
			[]string{"2101-04-05", "2150-01-29"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.days {
				tt.days[i].Name = "甲"
			}
			table := SeasonTable{Special: tt.days}
			for _, d := range tt.in {
				if table.SpecialOn(seasonAreas, town, localDay(t, d)) == "" {
					t.Errorf("%s is not special", d)
				}
			}
			for _, d := range tt.out {
				if table.SpecialOn(seasonAreas, town, localDay(t, d)) != "" {
					t.Errorf("%s is special", d)
				}
			}
		})
	}
	both := SeasonTable{Special: []SpecialDay{
		{Name: "春节", Area: city, Lunar: "01-01", After: 14}, {Name: "元宵", Area: county, Lunar: "01-15", Before: 2},
	}}
	for day, want := range map[string]string{"2026-02-28": "春节", "2026-03-01": "元宵", "2026-03-03": "元宵"} {
		if got := both.SpecialOn(seasonAreas, town, localDay(t, day)); got != want {
			t.Errorf("%s: %q, want %q", day, got, want)
		}
	}
	if got := both.SpecialOn(seasonAreas, "130630100", localDay(t, "2026-03-03")); got != "春节" {
		t.Errorf("the neighbour's day came over: %q", got)
	}
}

func TestSpecialReason(t *testing.T) {
	qing := SpecialDay{Name: "清明", Term: "清明", Before: 3, After: 3}
	r, _ := qing.in(2026)
	for day, want := range map[string]string{
		"2026-04-03": "清明前 2 天（04-05，节气）", "2026-04-05": "清明当天（04-05，节气）", "2026-04-08": "清明后 3 天（04-05，节气）",
	} {
		if got := r.Reason(localDay(t, day)); got != want {
			t.Errorf("%s: %s, want %s", day, got, want)
		}
	}
	moon := SpecialDay{Name: "中元", Lunar: "07-15"}
	if r, _ := moon.in(2026); r.Reason(localDay(t, "2026-08-27")) != "中元当天（08-27，农历七月十五）" {
		t.Error(r.Reason(localDay(t, "2026-08-27")))
	}
}

func TestParseSpecialFaults(t *testing.T) {
	const head = "version: a\neffective: 2026-01-01\nseasons:\n  - {area: \"130600\", kind: closure, from: 01-01, to: 12-31}\n"
	_, err := ParseSeasons([]byte(head + "special:\n" +
		"  - {name: 甲, area: x, lunar: 01-01}\n" +
		"  - {name: \"\", area: \"130600\", lunar: 13-01}\n" +
		"  - {name: 甲, area: \"130600\", term: 清晨}\n" +
		"  - {name: 甲, area: \"130600\", solar: 02-29}\n" +
		"  - {name: 甲, area: \"130600\"}\n" +
		"  - {name: 甲, area: \"130600\", solar: 05-01, term: 清明}\n" +
		"  - {name: 乙, area: \"130600\", solar: 05-01, before: -1, after: 31}\n" +
		"  - {name: 丙, area: \"130600\", lunar: 01-31}\n" +
		"  - {name: 丁, area: \"130600\", solar: 05-01}\n" +
		"  - {name: 丁, area: \"130600\", solar: 05-01}\n"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"line 6: area", "line 7: name", "line 7: lunar", "line 8: term", "line 9: solar", "line 10: want exactly one", "line 11: want exactly one",
		"line 12: before -1", "line 12: after 31", "line 13: lunar", "line 15: the same special day as number 9",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if old, err := ParseSeasons([]byte(head)); err != nil || old.Special != nil {
		t.Errorf("a table without special days: %+v, %v", old.Special, err)
	}
	if err := (SeasonTable{Special: []SpecialDay{{Name: "甲", Area: "110000"}}}).Check(seasonAreas); err == nil || !strings.Contains(err.Error(), "110000") {
		t.Errorf("an area that nobody has: %v", err)
	}
}

// A tag without a value makes the YAML library panic.
func TestParseSeasonsSurvivesATagWithoutValue(t *testing.T) {
	if _, err := ParseSeasons([]byte("version: a\neffective: 2026-01-01\nseasons:\n  ! #0\n")); err == nil {
		t.Error("no error")
	}
}

func TestSeasonsOfAnArea(t *testing.T) {
	table, err := ParseSeasons(SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	v := table.For(seasonAreas, "130630100")
	if v.From != "130630" {
		t.Errorf("from %q", v.From)
	}
	for _, tt := range []struct{ day, until string }{
		{"2026-02-24", "2026-02-28"}, // 高火险期 and 封山禁火 begin
		{"2026-03-01", "2026-03-02"}, // 元宵
		{"2026-04-05", "2026-04-08"}, // 清明 ends
		{"2026-07-01", "2026-08-26"}, // 中元
		{"2026-08-28", "2026-09-30"},
		{"2026-12-31", "2026-12-31"}, // 封山禁火 ends
		{"2027-01-01", "2027-02-04"}, // the day before 春节
	} {
		got, ok := v.Until(localDay(t, tt.day))
		if !ok || got.Format(time.DateOnly) != tt.until {
			t.Errorf("%s: until %s, want %s", tt.day, got.Format(time.DateOnly), tt.until)
		}
	}
	all := SeasonTable{Seasons: []Season{{Area: "130600", Kind: Closure, From: "01-01", To: "12-31"}}}
	whole := all.For(seasonAreas, "130630100")
	if until, ok := whole.Until(localDay(t, "2026-04-05")); ok {
		t.Errorf("year-round ends %s", until)
	}
	seasons, special := v.Year(2026)
	var got []string
	for _, r := range seasons {
		got = append(got, string(r.Kind)+" "+r.First.Format(time.DateOnly)+" "+r.Last.Format(time.DateOnly))
	}
	for _, r := range special {
		got = append(got, r.Name+" "+r.From.Format("01-02")+" "+r.To.Format("01-02"))
	}
	if diff := cmp.Diff([]string{
		"prevention 2025-10-01 2026-05-31", "high_danger 2026-03-01 2026-05-31", "closure 2026-03-01 2026-06-30",
		"prevention 2026-10-01 2027-05-31", "closure 2026-10-01 2026-12-31",
		"春节 02-16 02-23", "元宵 03-03 03-03", "清明 04-02 04-08", "五一 05-01 05-05", "中元 08-27 08-27", "国庆 10-01 10-07", "寒衣 11-09 11-09",
	}, got); diff != "" {
		t.Error(diff)
	}
}

// Until names the day before the first on which a day-by-day look finds a change.
func TestUntilIsTheFirstChange(t *testing.T) {
	table, err := ParseSeasons(SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	table.Seasons = append(table.Seasons, Season{Area: "130630", Kind: Closure, From: "09-15", To: "02-29", Year: 2027})
	v := table.For(seasonAreas, "130630100")
	for d := localDay(t, "2026-01-01"); d.Year() < 2029; d = d.AddDate(0, 0, 5) {
		want := d
		for next := d.AddDate(0, 0, 1); slices.Equal(v.Kinds(next), v.Kinds(d)) && v.specialName(next) == v.specialName(d); next = next.AddDate(0, 0, 1) {
			want = next
		}
		if got, ok := v.Until(d); !ok || got.Format(time.DateOnly) != want.Format(time.DateOnly) {
			t.Fatalf("%s: until %s, want %s", d.Format(time.DateOnly), got.Format(time.DateOnly), want.Format(time.DateOnly))
		}
	}
}
