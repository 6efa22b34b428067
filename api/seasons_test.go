package api

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

func (e *env) sampleSeasons(t *testing.T) {
	t.Helper()
	table, err := alerts.ParseSeasons(alerts.SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.store.SaveSeasons(t.Context(), table, begin); err != nil {
		t.Fatal(err)
	}
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func TestSeasonsTellTheirOriginSpecialDayAndNextChange(t *testing.T) {
	e := newEnv(t)
	e.sampleSeasons(t)
	for query, want := range map[string]string{
		"area=130633100&date=2026-04-03": "130600 [prevention high_danger] 清明前 2 天（04-05，节气） 2026-04-08 130600:2025-10-01..2026-05-31",
		"area=130630100&date=2026-08-27": "130630 [] 中元当天（08-27，农历七月十五） 2026-08-27 ",
		"area=130630&date=2026-11-30":    "- [prevention closure]  2026-12-31 130630:2026-10-01..2027-05-31",
		"area=130630100&date=2026-06-01": "130630 [closure]  2026-06-30 130630:2026-03-01..2026-06-30",
	} {
		l := into[v1.List[v1.SeasonDay]](e.get("team-yizhou", "/seasons?"+query).want(200))
		if len(l.Items) != 1 {
			t.Fatalf("%s: %d items", query, len(l.Items))
		}
		d := l.Items[0]
		reason, first := "", ""
		if d.Special != nil {
			reason = d.Special.Reason
		}
		if len(d.InForce) > 0 {
			first = d.InForce[0].Area + ":" + d.InForce[0].From + ".." + d.InForce[0].To
		}
		if got := fmt.Sprintf("%s %v %s %s %s", text(d.InheritedFrom), d.Kinds, reason, text(d.Until), first); got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
		if d.Version != "baoding-sample-3" {
			t.Errorf("version %q", d.Version)
		}
	}
	e.get("yixian", "/seasons?area=999999").problem(404, "not_found")
	e.get("yixian", "/seasons?date=2026-02-30").problem(400, "invalid")
	e.get("yixian", "/seasons?date=2101-01-01").problem(400, "invalid")
	e.get("yixian", "/seasons?day=2026-02-03").problem(400, "invalid")
}

func TestSeasonCalendar(t *testing.T) {
	e := newEnv(t)
	e.get("yixian", "/seasons/calendar?area=130630100").problem(404, "not_found")
	e.sampleSeasons(t)
	y := into[v1.SeasonCalendar](e.get("yixian", "/seasons/calendar?area=130630100&year=2033").want(200))
	var got []string
	for _, r := range y.Seasons {
		got = append(got, r.Kind+" "+r.From+" "+r.To)
	}
	for _, r := range y.Special {
		got = append(got, r.Name+" "+r.On)
	}
	want := "prevention 2032-10-01 2033-05-31, high_danger 2033-03-01 2033-05-31, closure 2033-03-01 2033-06-30, prevention 2033-10-01 2034-05-31, " +
		"closure 2033-10-01 2033-12-31, 春节 2033-01-31, 元宵 2033-02-14, 清明 2033-04-04, 五一 2033-05-01, 中元 2033-08-09, 国庆 2033-10-01, 寒衣 2033-10-23"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s", strings.Join(got, ", "))
	}
	if y.Year != 2033 || y.Version != "baoding-sample-3" || text(y.InheritedFrom) != "130630" {
		t.Errorf("%+v", y)
	}
	if y := into[v1.SeasonCalendar](e.get("yixian", "/seasons/calendar?area=130630").want(200)); y.Year != 2026 {
		t.Errorf("this year is %d", y.Year)
	}
	e.get("yixian", "/seasons/calendar").problem(400, "invalid")
	e.get("yixian", "/seasons/calendar?area=999999").problem(404, "not_found")
	e.get("yixian", "/seasons/calendar?area=130630&year=2101").problem(400, "invalid")
}

// What an office's table says begins with the table.
func TestNoSeasonsBeforeTheTable(t *testing.T) {
	e := newEnv(t)
	table, err := alerts.ParseSeasons(bytes.Replace(alerts.SampleSeasons(), []byte("effective: 1900-01-01"), []byte("effective: 2020-01-01"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.store.SaveSeasons(t.Context(), table, begin); err != nil {
		t.Fatal(err)
	}
	e.get("yixian", "/seasons/calendar?area=130630&year=2019").problem(404, "not_found")
	if l := into[v1.List[v1.SeasonDay]](e.get("yixian", "/seasons?area=130630&date=2019-12-31").want(200)); len(l.Items) != 0 {
		t.Errorf("before the table: %+v", l.Items)
	}
	if l := into[v1.List[v1.SeasonDay]](e.get("yixian", "/seasons?area=130630&date=2020-01-01").want(200)); len(l.Items) != 1 {
		t.Errorf("with the table: %+v", l.Items)
	}
}

// The sample tells the special days of two centuries.
func TestSpecialDaysOfTwoCenturies(t *testing.T) {
	e := newEnv(t)
	e.sampleSeasons(t)
	for date, want := range map[string]string{
		"1900-01-31": "春节", "1900-04-05": "清明", "1911-04-06": "清明", "1949-01-29": "春节", "1976-04-04": "清明", "1985-02-20": "春节",
		"1987-09-07": "中元", "2006-09-08": "-", "2006-08-08": "中元", "2014-11-22": "寒衣", "2014-10-24": "-", "2033-08-09": "中元",
		"2033-10-23": "寒衣", "2034-02-19": "春节", "2057-10-28": "寒衣", "2097-08-21": "中元", "2100-02-09": "春节", "2100-04-05": "清明", "2100-12-31": "-",
	} {
		l := into[v1.List[v1.SeasonDay]](e.get("yixian", "/seasons?area=130630&date="+date).want(200))
		if len(l.Items) != 1 {
			t.Fatalf("%s: %d items", date, len(l.Items))
		}
		got := "-"
		if x := l.Items[0].Special; x != nil && x.On == date {
			got = x.Name
		}
		if got != want {
			t.Errorf("%s: %s, want %s", date, got, want)
		}
	}
}
