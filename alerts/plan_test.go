package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

var planAreas = IndexAreas([]Area{
	{Code: "130600", Name: "保定市", Level: City},
	{Code: "130630", Name: "涞源县", Level: County, Parent: "130600"},
	{Code: "130633", Name: "易县", Level: County, Parent: "130600"},
	{Code: "130633100", Name: "易州镇", Level: Township, Parent: "130633", Lat: 39.35, Lon: 115.50},
	{Code: "130633101", Name: "梁格庄镇", Level: Township, Parent: "130633", Lat: 39.36, Lon: 115.38},
	{Code: "130633102", Name: "西陵镇", Level: Township, Parent: "130633", Lat: 39.37, Lon: 115.36},
	{Code: "130630100", Name: "涞源镇", Level: Township, Parent: "130630", Lat: 39.36, Lon: 114.69},
})

var planTeams = []Team{
	{ID: "pro-city", Kind: Professional, Area: "130600", Lat: 38.87, Lon: 115.46},
	{ID: "town-102", Kind: TownshipTeam, Area: "130633102", Lat: 39.37, Lon: 115.36},
	{ID: "pro-yi", Kind: Professional, Area: "130633", Lat: 39.35, Lon: 115.50},
	{ID: "town-101", Kind: TownshipTeam, Area: "130633101", Lat: 39.36, Lon: 115.38},
	{ID: "town-100", Kind: TownshipTeam, Area: "130633100", Lat: 39.35, Lon: 115.50},
	{ID: "town-lai", Kind: TownshipTeam, Area: "130630100", Lat: 39.36, Lon: 114.69},
}

func ids(picks []Pick) (out []contract.TeamID) {
	for _, p := range picks {
		out = append(out, p.Team.ID)
	}
	return out
}

func TestPickTeams(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    Targets
		want  []contract.TeamID
		short []string
	}{
		{"by name, each once", Targets{Teams: []contract.TeamID{"town-lai", "pro-yi", "town-lai"}}, []contract.TeamID{"town-lai", "pro-yi"}, nil},
		{"a county and below", Targets{Areas: []string{"130633"}}, []contract.TeamID{"pro-yi", "town-100", "town-101", "town-102"}, nil},
		{"a kind of a county", Targets{Areas: []string{"130633"}, Kinds: []TeamKind{Professional}}, []contract.TeamID{"pro-yi"}, nil},
		{
			"areas that overlap",
			Targets{Areas: []string{"130633100", "130633"}, Teams: []contract.TeamID{"town-102"}},
			[]contract.TeamID{"town-102", "town-100", "pro-yi", "town-101"},
			nil,
		},
		{"a kind everywhere", Targets{Kinds: []TeamKind{Professional}}, []contract.TeamID{"pro-city", "pro-yi"}, nil},
		{
			"a county without that kind",
			Targets{Areas: []string{"130630"}, Kinds: []TeamKind{Professional, TownshipTeam}},
			[]contract.TeamID{"town-lai"},
			[]string{"涞源县没有登记专业森林消防队"},
		},
		{
			"unknown names",
			Targets{Teams: []contract.TeamID{"nobody"}, Areas: []string{"110000"}, Kinds: []TeamKind{"navy"}},
			nil,
			[]string{"没有编号为 nobody 的队伍", "没有“navy”这一队伍类别", "没有代码为 110000 的区域"},
		},
		{"only an unknown kind is not everybody", Targets{Kinds: []TeamKind{"navy"}}, nil, []string{"没有“navy”这一队伍类别"}},
		{"an unknown kind of an area is not all its teams", Targets{Areas: []string{"130633"}, Kinds: []TeamKind{"navy"}}, nil, []string{"没有“navy”这一队伍类别"}},
		{"nothing", Targets{}, nil, []string{"没有指定任何队伍或区域"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 3 { // whatever the order of the roster
				picks, short := PickTeams(planAreas, planTeams, tt.in)
				if diff := cmp.Diff(tt.want, ids(picks)); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.short, short); diff != "" {
					t.Error(diff)
				}
				for _, p := range picks {
					if p.Reason == "" {
						t.Errorf("%s was picked for no reason", p.Team.ID)
					}
				}
				planTeams = slices.Concat(planTeams[1:], planTeams[:1])
			}
		})
	}
}

func TestPickForAlert(t *testing.T) {
	yizhou := Alert{ID: "al-1", Area: "130633100", Lat: 39.351, Lon: 115.501, HasPlace: true, Severity: Orange}
	for _, tt := range []struct {
		name   string
		alert  func(*Alert)
		policy OrderPolicy
		want   []contract.TeamID
		short  []string
	}{
		{"own, nearest, county's", nil, OrderPolicy{Nearest: 2, WithinKM: 20, Professional: true}, []contract.TeamID{"town-100", "town-101", "town-102", "pro-yi"}, nil},
		{"own only", nil, OrderPolicy{}, []contract.TeamID{"town-100"}, nil},
		{"the nearest one", nil, OrderPolicy{Nearest: 1, WithinKM: 20}, []contract.TeamID{"town-100", "town-101"}, nil},
		{
			"too few near", nil,
			OrderPolicy{Nearest: 3, WithinKM: 20},
			[]contract.TeamID{"town-100", "town-101", "town-102"},
			[]string{"应调 3 支邻近乡镇队伍，20 公里内的只有 2 支"},
		},
		{"no limit of distance", nil, OrderPolicy{Nearest: 3}, []contract.TeamID{"town-100", "town-101", "town-102", "town-lai"}, nil},
		{
			"without a place the township's centre counts", func(a *Alert) { a.HasPlace = false },
			OrderPolicy{Nearest: 1, WithinKM: 20},
			[]contract.TeamID{"town-100", "town-101"},
			nil,
		},
		{
			"the city's where the county has none", func(a *Alert) { a.Area = "130630100" },
			OrderPolicy{Professional: true},
			[]contract.TeamID{"town-lai", "pro-city"},
			[]string{"涞源县没有登记专业森林消防队"},
		},
		{
			"an unknown area", func(a *Alert) { a.Area = "999" },
			OrderPolicy{Nearest: 1, WithinKM: 5, Professional: true},
			[]contract.TeamID{"town-100"},
			[]string{"告警不在已登记的区域内（999）", "告警所在区县不明，没有调动专业森林消防队"},
		},
		{
			"neither area nor place", func(a *Alert) { a.Area, a.HasPlace = "", false },
			OrderPolicy{Nearest: 1},
			nil,
			[]string{"告警不在已登记的区域内（无区域代码）", "告警没有位置，无法挑选最近的队伍"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := yizhou
			if tt.alert != nil {
				tt.alert(&a)
			}
			picks, short := PickForAlert(planAreas, planTeams, a, tt.policy)
			if diff := cmp.Diff(tt.want, ids(picks)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.short, short); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPickForAlertWithoutOwnTeam(t *testing.T) {
	teams := slices.DeleteFunc(slices.Clone(planTeams), func(m Team) bool { return m.ID == "town-100" })
	_, short := PickForAlert(planAreas, teams, Alert{Area: "130633100"}, OrderPolicy{})
	if diff := cmp.Diff([]string{"易州镇没有登记乡镇专业扑火队"}, short); diff != "" {
		t.Error(diff)
	}
}

func TestPlanOrder(t *testing.T) {
	a := Alert{
		ID: "al-1", Rule: "fire", Area: "130633100", Lat: 39.351, Lon: 115.501, HasPlace: true,
		Severity: Red, Summary: "烟雾传感器持续报警。", Demo: true,
	}
	p := OrderPolicy{Kind: OrderStandby, Nearest: 1, WithinKM: 20, Professional: true}
	picks, short := PickForAlert(planAreas, planTeams, a, p)
	o, ds := PlanOrder(planAreas, a, p, Policy{}, picks, short, t0)
	want := Order{
		ID: o.ID, Kind: OrderStandby, Level: Red, Text: "烟雾传感器持续报警（易州镇）。请待命，并立即应答。", Demo: true,
		Alert: "al-1", Issuer: "rule:fire", Area: "130633", Lat: 39.351, Lon: 115.501, HasPlace: true,
		Issued: t0, AnswerBy: at(5), Status: OrderOpen, IdempotencyKey: "alert:al-1",
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Error(diff)
	}
	if len(ds) != 3 || ds[0].Order != o.ID || ds[0].State != DeliveryPending || ds[0].NextAt != t0 || ds[0].Reason == "" {
		t.Errorf("deliveries %+v", ds)
	}
	if w := o.Wire(); w.Text != "【演示】"+o.Text || w.Level != "red" || w.Kind != "standby" || w.ID != o.ID {
		t.Errorf("on the wire %+v", w)
	}
}

func TestPlanOrderForNobodySaysSo(t *testing.T) {
	o, ds := PlanOrder(planAreas, Alert{ID: "al-1"}, OrderPolicy{Kind: OrderCheck}, Policy{}, nil, []string{"x"}, t0)
	if len(ds) != 0 || !slices.Equal(o.Shortfalls, []string{"x", NobodyNotified}) || o.Level != Blue {
		t.Errorf("got %+v, %d deliveries", o, len(ds))
	}
}

func TestOneDeliveryPerTeam(t *testing.T) {
	team := Pick{Team: Team{ID: "a"}}
	if ds := NewDeliveries(Order{}, []Pick{team, team}, t0); len(ds) != 1 {
		t.Errorf("%d deliveries", len(ds))
	}
}

func TestDrillIsMarkedInTheText(t *testing.T) {
	o := Order{Text: strings.Repeat("火", 1000), Drill: true, Demo: true}
	w := o.Wire()
	if !strings.HasPrefix(w.Text, "【演练】【演示】") || !w.Drill || len(w.Text) > contract.MaxTextBytes || !utf8.ValidString(w.Text) {
		t.Errorf("text of %d bytes %q", len(w.Text), w.Text[:60])
	}
	if w := (Order{Text: "【演练】集结", Drill: true}).Wire(); w.Text != "【演练】集结" {
		t.Errorf("marked twice: %q", w.Text)
	}
}

func TestOrderPolicyValidate(t *testing.T) {
	good := OrderPolicy{Mode: ModePropose, Kind: OrderStandby}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	nan := 0.0
	for name, p := range map[string]OrderPolicy{
		"mode":      {Kind: OrderStandby},
		"kind":      {Mode: ModePropose},
		"nearest":   {Mode: ModePropose, Kind: OrderStandby, Nearest: -1},
		"within_km": {Mode: ModePropose, Kind: OrderStandby, WithinKM: nan / nan},
	} {
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if DefaultPolicy().AnswerBy(Yellow, t0) != t0.Add(30*time.Minute) {
		t.Error("yellow is answered within 30 min")
	}
}

func TestPlanOrderFollowsThePolicy(t *testing.T) {
	a := Alert{ID: "al-1", Severity: Orange}
	for name, tt := range map[string]struct {
		policy Policy
		want   time.Duration
	}{
		"zero is the default": {Policy{}, 15 * time.Minute},
		"another":             {Policy{Orange: LevelPolicy{Call: time.Minute, Answer: 7 * time.Minute}}, 7 * time.Minute},
	} {
		o, _ := PlanOrder(planAreas, a, OrderPolicy{Kind: OrderCheck}, tt.policy, nil, nil, t0)
		if got := o.AnswerBy.Sub(o.Issued); got != tt.want {
			t.Errorf("%s: to be answered within %s, want %s", name, got, tt.want)
		}
	}
}
