package alerts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const coRise = `version: t1
effective: 2020-01-01
blind: {bme: 15m}
rules:
  - name: co_rise
    type: condition
    severity: yellow
    for: 2m
    clear_after: 5m
    fresh: 15m
    actionable: 12h
    raise: {closure: 1, danger_4: 1, danger_5: 2, special_day: 1, orange: 1}
    raise_max: red
    condition:
      on: [sensor]
      when: rise("co_ppm", "10m") >= 20 and count("co_ppm", "10m") >= 3
      clear: rise("co_ppm", "10m") < 8
      of: {k: 3, n: 4}
      summary: "{where}{device}一氧化碳 10 分钟内上升 {rise(\"co_ppm\", \"10m\")} ppm"
      summary_en: "CO of {device} rose by {rise(\"co_ppm\", \"10m\")} ppm in 10 min"
`

// one is the only rule of a set.
func one(t *testing.T, text string) (alerts.RuleSet, alerts.Rule) {
	t.Helper()
	set, err := alerts.ParseRules([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set, set.Rules[0]
}

// tellRule is a story of the only rule of a set, about a sensor or a tracker.
func tellRule(t *testing.T, text string, kind contract.Kind) *story {
	t.Helper()
	set, rule := one(t, text)
	s := tell(t, alerts.SensorFire)
	s.rule, s.kind, s.id = rule, kind, "S1"
	s.ctx.Device.Kind = kind
	s.ctx.Series = alerts.NewSeries(set.Series())
	s.st = alerts.SubjectState{Rule: rule.Name, Subject: string(s.id)}
	s.ctx.Around.DryDays = -1
	return s
}

// add puts the reading into the series first, as the engine does.
func (s *story) cond(class contract.Class, received, measured time.Duration, v values) {
	s.t.Helper()
	s.at(received)
	r := s.reading(class, measured, v)
	s.ctx.Series.Add(&r)
	s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
}

func (s *story) measures(m int, v values) {
	s.t.Helper()
	s.cond(contract.Environment, time.Duration(m)*time.Minute, time.Duration(m)*time.Minute, v)
}

func TestConditionFiresAfterForAndKOfNAndClearsWithHysteresis(t *testing.T) {
	s := tellRule(t, coRise, contract.Sensor)
	for m, v := range []float64{1, 1, 30, 32, 2, 33, 34} {
		s.measures(m, values{co: v})
		if fired := len(s.alerts) > 0; fired != (m >= 5) {
			t.Fatalf("minute %d (%v ppm): fired %v", m, v, fired)
		}
	}
	a := s.only()
	if a.Severity != alerts.Yellow || a.Explain.Base != alerts.Yellow || a.Explain.Condition != s.rule.Condition.When ||
		a.Explain.Values[`rise("co_ppm", "10m")`] != 32 || a.Explain.Values[`count("co_ppm", "10m")`] != 6 {
		t.Errorf("explanation %+v", a.Explain)
	}
	if want := "易县西陵镇传感器张三一氧化碳 10 分钟内上升 32 ppm"; a.Summary != want {
		t.Errorf("summary %q, want %q", a.Summary, want)
	}
	for m := 7; m < 30; m++ { // up and down between the two limits: it stands
		s.measures(m, values{co: 2 + 10*float64(m%2)})
	}
	if s.only().State != alerts.Firing {
		t.Fatal("cleared between the limits")
	}
	for m := 30; m < 48; m++ {
		s.measures(m, values{co: 13})
	}
	if a := s.only(); a.State != alerts.Resolved {
		t.Errorf("not resolved: %v", a.Reasons)
	}
}

func TestConditionWithDanger(t *testing.T) {
	s := tellRule(t, coRise, contract.Sensor)
	s.ctx.Around = alerts.Surroundings{Danger: 5, Special: "清明"}
	for m, v := range []float64{1, 30, 32, 34, 35} {
		s.measures(m, values{co: v})
	}
	a := s.only()
	if a.Severity != alerts.Red || len(a.Explain.Raised) != 1 || a.Explain.Raised[0] != (alerts.RaisedBy{
		By: "danger", Why: "火险等级5级（极度危险）", From: alerts.Yellow, To: alerts.Red,
	}) || a.Explain.Inputs != s.ctx.Around {
		t.Errorf("severity %v, explanation %+v", a.Severity, a.Explain)
	}
}

// A device that was away for a day sends what it buffered in order, so that each
// reading is the newest: what is long over is one record, and what is still
// actionable calls people all the same.
func TestWhatIsLongOverIsOneRecordHoweverManyReadingsTellIt(t *testing.T) {
	for _, inOrder := range []bool{true, false} {
		s := tellRule(t, coRise, contract.Sensor)
		now := 24 * time.Hour
		if !inOrder {
			s.cond(contract.Environment, now, now, values{co: 1})
		}
		s.cond(contract.Environment, now, 0, values{co: 1})
		for m := 1; m < 11*60; m++ {
			s.cond(contract.Environment, now, time.Duration(m)*time.Minute, values{co: 30 + 5*float64(m)})
		}
		if a := s.only(); a.State != alerts.Resolved || a.Explain.Outcome != alerts.LateRecord {
			t.Fatalf("in order %v: %s, outcome %q", inOrder, a.State, a.Explain.Outcome)
		}
		if len(s.log) > 200 {
			t.Errorf("in order %v: told %d times", inOrder, len(s.log))
		}
		for m := 11 * 60; m < 13*60; m++ {
			s.cond(contract.Environment, now, time.Duration(m)*time.Minute, values{co: 30 + 5*float64(m)})
		}
		var firing int
		for _, a := range s.alerts {
			if a.State == alerts.Firing {
				firing++
			}
		}
		if len(s.alerts) != 2 || firing != 1 {
			t.Errorf("in order %v: %d alerts, %d stand", inOrder, len(s.alerts), firing)
		}
	}
}

// A burst that comes late fires at its own time, with its delay; the calm that
// came before it in arrival neither hides nor clears it.
func TestConditionIsTrueInALateBurst(t *testing.T) {
	s := tellRule(t, coRise, contract.Sensor)
	s.cond(contract.Environment, 3*time.Hour, 3*time.Hour, values{co: 1})
	for m, v := range []float64{1, 1, 30, 32, 33, 34} {
		s.cond(contract.Environment, 3*time.Hour, time.Duration(m)*time.Minute, values{co: v})
	}
	a := s.only()
	if a.State != alerts.Firing || a.Late < 2*time.Hour || a.Explain.Outcome != alerts.LateActionable ||
		!strings.Contains(a.Summary, "测得") {
		t.Errorf("alert %+v", a)
	}
	// Late calm clears nothing.
	for m := 6; m < 60; m++ {
		s.cond(contract.Environment, 3*time.Hour, time.Duration(m)*time.Minute, values{co: 1})
	}
	if a := s.only(); a.State != alerts.Firing {
		t.Error("late calm cleared it")
	}
}

func TestConditionOlderThanActionableIsOnRecordOnly(t *testing.T) {
	s := tellRule(t, coRise, contract.Sensor)
	s.cond(contract.Environment, 20*time.Hour, 20*time.Hour, values{co: 1})
	for m, v := range []float64{1, 1, 30, 32, 33, 34} {
		s.cond(contract.Environment, 20*time.Hour, time.Duration(m)*time.Minute, values{co: v})
	}
	a := s.only()
	if a.State != alerts.Resolved || a.Explain.Outcome != alerts.LateRecord || !strings.Contains(reasons(a), "仅记录") || s.rule.WantsOrder(&a) {
		t.Errorf("alert %+v", a)
	}
	for _, k := range s.log {
		if k == alerts.Raised {
			t.Error("raised for people")
		}
	}
}

const drySeason = `version: t1
effective: 2020-01-01
rules:
  - name: dry
    type: condition
    severity: blue
    for: 3m
    condition:
      on: [sensor]
      when: season == "high_danger" and latest("rh_pct") < 20
      summary: "干燥 {latest(\"rh_pct\")}%"
      summary_en: dry
`

// A schedule plus a duration fires when the window opens, for what has lasted
// already.
func TestSeasonOpensWhileItIsDryAlready(t *testing.T) {
	s := tellRule(t, drySeason, contract.Sensor)
	for m := range 6 {
		s.measures(m, values{contract.RhPct: 15})
	}
	s.none("out of season")
	s.ctx.Around.Season = alerts.HighDanger
	s.at(5*time.Minute + 10*time.Second)
	if !new(alerts.Asker).HoldsNow(&s.rule, s.now, s.id, &s.ctx) {
		t.Fatal("does not hold now")
	}
	s.step(alerts.Input{Kind: alerts.Changed})
	if a := s.only(); a.Severity != alerts.Blue || a.Explain.Inputs.Season != alerts.HighDanger {
		t.Errorf("alert %+v", a)
	}
}

func TestSeasonOpensAfterTooShortADrySpell(t *testing.T) {
	s := tellRule(t, drySeason, contract.Sensor)
	for m, rh := range []float64{15, 40, 15, 15} {
		s.measures(m, values{contract.RhPct: rh})
	}
	s.ctx.Around.Season = alerts.HighDanger
	s.step(alerts.Input{Kind: alerts.Changed})
	s.none("dry for one minute only")
	s.measures(4, values{contract.RhPct: 15})
	s.none("for two minutes")
	s.measures(5, values{contract.RhPct: 15})
	s.only()
}

func gale(unknown string) string {
	return `version: t1
effective: 2020-01-01
rules:
  - name: gale
    type: condition
    severity: yellow
    condition:
      on: [sensor]
      when: avg("wind_ms", "30m") >= 10.8 and dry_days >= 5
      unknown: ` + unknown + `
      summary: "大风 {avg(\"wind_ms\", \"30m\")} m/s，连续 {dry_days} 天无雨"
      summary_en: gale
`
}

func TestUnknownIsNoEvidenceUnlessTheRuleFailsOpen(t *testing.T) {
	s := tellRule(t, gale("hold"), contract.Sensor)
	s.measures(0, values{contract.WindMS: 15})
	s.none("the dry spell is unknown")
	if len(s.held) != 1 || !strings.Contains(s.held[0], "dry_days 不明") {
		t.Errorf("held %q", s.held)
	}
	s.measures(1, values{contract.WindMS: 1}) // mean 8: no gale, whatever the rain
	if len(s.held) != 1 {
		t.Errorf("held %q: what is false by itself is not unknown", s.held)
	}
	s = tellRule(t, gale("fire"), contract.Sensor)
	s.measures(0, values{contract.WindMS: 15})
	if a := s.only(); !strings.Contains(reasons(a), "dry_days 不明，从严上报") || a.Summary != "大风 15 m/s，连续 不明 天无雨" {
		t.Errorf("summary %q, reasons %q", a.Summary, reasons(a))
	}
}

func TestConditionOfACalibratingOrBlindSensorIsHeldAndTold(t *testing.T) {
	s := tellRule(t, coRise, contract.Sensor)
	s.ctx.Device.Model = "bme"
	s.cond(contract.Status, 0, 0, values{contract.Calibrating: 1})
	for m, v := range []float64{1, 30, 32, 34} {
		s.measures(m, values{co: v, contract.Calibrating: 1})
	}
	s.none("calibrating")
	s.measures(4, values{co: 35, contract.Calibrating: 0})
	for m := 5; m < 18; m++ {
		s.measures(m, values{co: 36, contract.Calibrating: 0})
		if m == 4 {
			s.measures(m, values{co: 1})
		}
	}
	s.none("blind after the scan")
	if all := strings.Join(s.held, ";"); !strings.Contains(all, "正在校准") || !strings.Contains(all, "盲期") {
		t.Errorf("held %q", s.held)
	}
	for m := 18; m < 30; m++ {
		s.measures(m, values{co: 36 + 30*float64(m-18)})
	}
	s.only()
}

func area(when string) string {
	return `version: t1
effective: 2020-01-01
rules:
  - name: danger
    type: condition
    severity: orange
    condition:
      on: [area]
      when: ` + when + `
      clear: danger <= 3
      family: weather
      summary: "{where}火险等级升至 {danger} 级"
      summary_en: "danger {danger} in {area}"
`
}

func TestDangerCrossesInATownship(t *testing.T) {
	_, rule := one(t, area("danger >= 4"))
	place := someAreas["130633101"]
	s := &story{t: t, rule: rule, now: noon, alerts: map[string]alerts.Alert{}}
	s.ctx = alerts.Context{Areas: someAreas, Place: &place}
	s.st = alerts.SubjectState{Rule: rule.Name, Subject: alerts.AreaSubject(place.Code)}
	for i, c := range []struct {
		level alerts.DangerLevel
		n     int
		state alerts.AlertState
	}{{3, 0, ""}, {0, 0, ""}, {4, 1, alerts.Firing}, {5, 1, alerts.Firing}, {0, 1, alerts.Firing}, {3, 1, alerts.Resolved}} {
		s.ctx.Around.Danger = c.level
		s.at(time.Duration(i) * time.Hour)
		s.step(alerts.Input{Kind: alerts.Tick})
		if len(s.alerts) != c.n || c.n > 0 && s.only().State != c.state {
			t.Fatalf("level %d: %+v", c.level, s.alerts)
		}
	}
	a := s.only()
	if a.Device != "" || a.Area != place.Code || a.Summary != "易县西陵镇火险等级升至 4 级" || len(a.Evidence) == 0 {
		t.Errorf("alert %+v", a)
	}
}

// Dwelling near a place, and lying still in daylight, are conditions of trackers.
func TestTrackerDwellsAndDoesNotMove(t *testing.T) {
	text := `version: t1
effective: 2020-01-01
rules:
  - name: dwell
    type: condition
    severity: blue
    for: 20m
    condition:
      on: [tracker]
      when: distance_km(39.37, 115.35) <= 1 and moved_m("20m") < 200
      needs: [lat]
      family: person
      summary: "{device}停留"
      summary_en: dwell
`
	s := tellRule(t, text, contract.Tracker)
	for m := range 70 {
		lat := 39.5
		if m > 20 {
			lat = 39.3705
		}
		s.cond(contract.Position, time.Duration(m)*time.Minute, time.Duration(m)*time.Minute, values{contract.Lat: lat, contract.Lon: 115.35})
	}
	// Twenty minutes without a move are known at 40, and have lasted at 60.
	if a := s.only(); a.Measured.Before(noon.Add(59*time.Minute)) || a.Measured.After(noon.Add(62*time.Minute)) {
		t.Errorf("measured %v", a.Measured)
	}
}

func TestFaultyConditionsNameLineAndColumn(t *testing.T) {
	for _, c := range []struct{ name, when, want string }{
		{"unknown field", `latest("co_pmm") > 3`, `line 8: when: column 8: unknown field "co_pmm"`},
		{"bad duration", `rise("co_ppm", "10 minutes") > 3`, `line 8: when: column 16: "10 minutes": want a duration`},
		{"window too long", `max("co_ppm", "48h") > 3`, `want a duration of 1s to 24h`},
		{"no yes or no", `rise("co_ppm", "10m")`, `bool`},
		{"unknown name", `dangr > 3`, `line 8: when: column 1: unknown name dangr`},
		{"unknown function", `median("co_ppm", "1m") > 3`, `unknown name median`},
		{"types", `danger > "3"`, `line 8: when: column`},
		{"season and number", `season == 3`, `line 8: when: column`},
		{"missing argument", `rise("co_ppm") > 3`, `not enough arguments`},
		{"a loop", `any(1..1000000000, # > 3)`, `line 8: when: column`},
		{"a range", `danger in 1..1000000000`, `want a list in brackets`},
		{"expr's own functions", `len("abc") > 3`, `unknown name len`},
		{"computed field", `latest("co" + "_ppm") > 3`, `want a text in quotes`},
		{"ternary", `danger > 3 ? true : false`, `not part of the language`},
		{"let", `let x = 3; danger > x`, `not part of the language`},
		{"not closed", `(danger > 3`, `line 8: when: column`},
		{"empty", `" "`, `want an expression`},
		{"too long", strings.Repeat("danger > 3 or ", 40) + "danger > 3", `at most 500`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := fmt.Sprintf("version: t\neffective: 2020-01-01\nrules:\n  - name: x\n    type: condition\n    condition:\n      on: [sensor]\n      when: %s\n      summary: x\n      summary_en: x\n", quoteYAML(c.when))
			_, err := alerts.ParseRules([]byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "rules: line 8: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func quoteYAML(s string) string {
	if strings.HasPrefix(s, `" `) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// In a block each line of the expression is one of the file.
func TestFaultInABlockNamesItsOwnLine(t *testing.T) {
	text := "version: t\neffective: 2020-01-01\nrules:\n  - name: x\n    type: condition\n    condition:\n      on: [sensor]\n      when: |\n        danger >= 4 and\n        latest(\"co_pp\") > 3\n      summary: x\n      summary_en: x\n"
	_, err := alerts.ParseRules([]byte(text))
	if err == nil || !strings.HasPrefix(err.Error(), `rules: line 10: when: column 8: unknown field "co_pp"`) {
		t.Errorf("error %v", err)
	}
}

// What is unknown because nothing comes of it is told in words, not by a gap.
func TestADivisionByZeroIsToldAsOne(t *testing.T) {
	s := tellRule(t, strings.Replace(coRise, `rise("co_ppm", "10m") >= 20 and count("co_ppm", "10m") >= 3`, `1 / (latest("co_ppm") - latest("co_ppm")) > 1`, 1), contract.Sensor)
	s.measures(0, values{co: 30})
	if len(s.held) != 1 || !strings.Contains(s.held[0], "除以零") {
		t.Errorf("held back %q", s.held)
	}
}

// An alert of what was late is as grave as the surroundings of its time made it: a
// warning that is sent afterwards, or a restart while one is in force, changes
// neither its severity nor what its explanation says was so then.
func TestAWarningSentLaterDoesNotMakeALateAlertGraver(t *testing.T) {
	s := tellRule(t, coRise, contract.Sensor)
	now := 6 * time.Hour
	for m, v := range []float64{1, 1, 30, 32, 33, 34, 35} {
		s.cond(contract.Environment, now, time.Duration(m)*time.Minute, values{co: v})
	}
	was := s.only()
	s.ctx.Around = alerts.Surroundings{Warning: alerts.Orange, WarningEvent: "森林火险"}
	s.step(alerts.Input{Kind: alerts.Changed})
	if a := s.only(); a.Severity != was.Severity || a.Explain.Inputs != was.Explain.Inputs {
		t.Errorf("%v by %+v, was %v by %+v", a.Severity, a.Explain.Inputs, was.Severity, was.Explain.Inputs)
	}
}

// What has no measured value to show is told in words that a duty officer reads.
func TestAConditionWithoutValuesIsToldInWords(t *testing.T) {
	zh, en := alerts.Explain(alerts.Alert{Rule: "r", Summary: "s", Updated: noon, Evidence: []alerts.Evidence{
		{Device: "S1", Field: "condition", Value: 1, Measured: noon},
		{Field: "danger", Value: 4, Measured: noon, Note: "火险等级4级"},
	}})
	if !strings.Contains(zh, "S1 满足条件、") || strings.Contains(zh, "condition") || strings.Contains(zh, "  ") || !strings.Contains(en, "met the condition") {
		t.Errorf("%s\n%s", zh, en)
	}
}

// A file that was emptied, and an expression without end, are told in a line.
func TestFaultsOfRuleFilesAreShort(t *testing.T) {
	if _, err := alerts.ParseRules(nil); err == nil || !strings.Contains(err.Error(), "nothing is there") {
		t.Errorf("empty: %v", err)
	}
	long := strings.Repeat("danger >= 5 or ", 4000) + "danger >= 5"
	if _, err := alerts.ParseRules([]byte(strings.Replace(coRise, `rise("co_ppm", "10m") >= 20 and count("co_ppm", "10m") >= 3`, long, 1))); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%d bytes are told of an expression too long", len(fmt.Sprint(err)))
	}
}
