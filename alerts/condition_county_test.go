package alerts_test

import (
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
)

const countyRule = `version: t1
effective: 2020-01-01
rules:
  - name: danger
    type: condition
    severity: yellow
    raise: {danger_5: 1}
    raise_max: red
    condition:
      on: [county]
      when: danger >= 4
      clear: danger <= 3
      family: weather
      summary: "{where} {how_many} 个乡镇火险等级升至 {danger} 级：{townships}"
      summary_en: "{how_many} townships of {where}: {danger}"
`

// TestOneAlertForACountyListsItsTownships: it grows, shrinks and ends with the
// townships in which the condition holds.
func TestOneAlertForACountyListsItsTownships(t *testing.T) {
	_, rule := one(t, countyRule)
	county := alerts.Area{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.5}
	towns := []alerts.Town{
		{Area: alerts.Area{Code: "130633101", Name: "西陵镇", Level: alerts.Township, Parent: "130633"}},
		{Area: alerts.Area{Code: "130633102", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633"}},
	}
	areas := alerts.Areas{"130600": {Code: "130600", Name: "保定市", Level: alerts.City}, county.Code: county}
	for _, x := range towns {
		areas[x.Area.Code] = x.Area
	}
	s := &story{t: t, rule: rule, now: noon, alerts: map[string]alerts.Alert{}}
	s.ctx = alerts.Context{Areas: areas, Place: &county, Towns: towns}
	s.st = alerts.SubjectState{Rule: rule.Name, Subject: alerts.AreaSubject(county.Code)}
	for i, c := range []struct {
		levels [2]alerts.DangerLevel
		n      int // findings
		state  alerts.AlertState
		level  alerts.Severity
		want   string
	}{
		{[2]alerts.DangerLevel{3, 0}, 0, "", 0, ""},
		{[2]alerts.DangerLevel{4, 3}, 1, alerts.Firing, alerts.Yellow, "易县 1 个乡镇火险等级升至 4 级：西陵镇"},
		{[2]alerts.DangerLevel{4, 3}, 0, alerts.Firing, alerts.Yellow, "易县 1 个乡镇火险等级升至 4 级：西陵镇"},
		{[2]alerts.DangerLevel{4, 5}, 1, alerts.Firing, alerts.Orange, "易县 2 个乡镇火险等级升至 5 级：西陵镇、梁格庄镇"},
		{[2]alerts.DangerLevel{0, 4}, 1, alerts.Firing, alerts.Orange, "易县 2 个乡镇火险等级升至 4 级：西陵镇、梁格庄镇"}, // unknown stays
		{[2]alerts.DangerLevel{3, 4}, 1, alerts.Firing, alerts.Orange, "易县 1 个乡镇火险等级升至 4 级：梁格庄镇"},
		{[2]alerts.DangerLevel{3, 2}, 1, alerts.Resolved, alerts.Orange, "易县 1 个乡镇火险等级升至 4 级：梁格庄镇"},
		{[2]alerts.DangerLevel{3, 2}, 0, alerts.Resolved, alerts.Orange, "易县 1 个乡镇火险等级升至 4 级：梁格庄镇"},
	} {
		for k := range towns {
			towns[k].Around.Danger = c.levels[k]
		}
		s.at(time.Duration(i) * time.Hour)
		found := s.step(alerts.Input{Kind: alerts.Tick})
		if len(found) != c.n {
			t.Fatalf("%d: %d findings, want %d: %+v", i, len(found), c.n, found)
		}
		if c.state == "" {
			continue
		}
		if a := s.only(); a.State != c.state || a.Severity != c.level || a.Summary != c.want || a.Area != county.Code || a.Device != "" || !a.HasPlace {
			t.Errorf("%d: %+v", i, a)
		}
	}
	a := s.only()
	var notes []string
	for _, e := range a.Evidence {
		notes = append(notes, e.Note)
	}
	if got, want := strings.Join(notes, "；"), "火险等级4级（高度危险）；新增：梁格庄镇；已解除：西陵镇"; got != want {
		t.Errorf("evidence %q, want %q", got, want)
	}
	if !s.st.Idle() {
		t.Errorf("what is over is remembered: %+v", s.st)
	}
	// It is another alert when it comes again.
	towns[0].Around.Danger = 4
	s.at(24 * time.Hour)
	s.step(alerts.Input{Kind: alerts.Tick})
	if len(s.alerts) != 2 {
		t.Errorf("%d alerts", len(s.alerts))
	}
	// The rule judges it no more.
	s.ctx.Towns = nil
	if found := s.step(alerts.Input{Kind: alerts.Tick}); len(found) != 1 || found[0].Kind != alerts.Ended {
		t.Errorf("%+v", found)
	}
}

func TestRulesOnCountiesAreChecked(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"with sensors", "on: [county]", "on: [county, sensor]", "area and county stand alone"},
		{"for", "severity: yellow", "severity: yellow\n    for: 1m", "for: not of a county"},
		{"clear_after", "severity: yellow", "severity: yellow\n    clear_after: 1m", "clear_after: not of a county"},
		{"order", "severity: yellow", "severity: yellow\n    fresh: 1h\n    order: {mode: propose, kind: check}", "order: not of a county"},
		{"what is measured", "danger >= 4", `latest("co_ppm") >= 4`, "an area measures nothing: co_ppm"},
		{"the list elsewhere", "on: [county]", "on: [area]", "{how_many} is of a rule on county"},
	} {
		_, err := alerts.ParseRules([]byte(strings.Replace(countyRule, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
