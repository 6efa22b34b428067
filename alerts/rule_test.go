package alerts_test

import (
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	contract "firewatch/firmware-contracts"
)

// TestADrillIsNotTheOrderThatAnAlertWants: the automatic order is still to be
// given after a drill that names the alert, and no more after a real one.
func TestADrillIsNotTheOrderThatAnAlertWants(t *testing.T) {
	ctx, s := t.Context(), memstore.New()
	rule := alerts.Rule{Fresh: time.Hour, Order: alerts.OrderPolicy{Mode: alerts.ModeAutomatic}}
	fire := alerts.Alert{ID: "al-1", State: alerts.Firing, Raised: noon, Evidence: []alerts.Evidence{{Measured: noon}}}
	if err := s.SaveJudged(ctx, alerts.Judged{Alerts: []alerts.Alert{fire}}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []alerts.Order{{ID: "or-1", Alert: "al-1", Drill: true}, {ID: "or-2", Alert: "al-1"}} {
		if _, _, err := s.CreateOrder(ctx, o, nil, nil); err != nil {
			t.Fatal(err)
		}
		a, err := s.Alert(ctx, "al-1")
		if err != nil {
			t.Fatal(err)
		}
		if got := rule.WantsOrder(&a); got != o.Drill {
			t.Errorf("after %s (drill %v) the alert wants an order: %v", o.ID, o.Drill, got)
		}
	}
}

func TestShippedRulesAreValid(t *testing.T) {
	for name, data := range map[string][]byte{"default": alerts.DefaultRules(), "demo": alerts.DemoRules()} {
		set, err := alerts.ParseRules(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if set.Version == "" || len(set.Rules) < len(alerts.RuleTypes)-1 {
			t.Errorf("%s: version %q with %d rules, want one of each type", name, set.Version, len(set.Rules))
		}
		want := alerts.ModePropose
		if name == "demo" {
			want = alerts.ModeAutomatic
		}
		if got := set.Rules[0].Order.Mode; got != want {
			t.Errorf("%s: fire order mode %q, want %q", name, got, want)
		}
		if set.Rules[0].For != time.Minute || set.Rules[0].Fire.Smoke.Suspect != 2.5 || set.Rules[0].Version != set.Version {
			t.Errorf("%s: fire rule read wrong: %+v", name, set.Rules[0])
		}
	}
}

func TestFaultyRulesNameTheLine(t *testing.T) {
	good := string(alerts.DefaultRules())
	lineOf := func(text, part string) int {
		before, _, _ := strings.Cut(text, part)
		return strings.Count(before, "\n") + 1
	}
	for _, c := range []struct{ name, old, faulty, want string }{
		{"unknown key", "clear_ratio: 0.5", "clear_ration: 0.5", "clear_ration"},
		{"unknown key in a threshold", "{suspect: 15, strong: 50}", "{suspect: 15, stronk: 50}", "stronk"},
		{"unknown severity", "severity: orange", "severity: pink", "pink"},
		{"unknown type", "type: battery_low", "type: battery", "type"},
		{"threshold upside down", "smoke_obs_pct_m: {suspect: 2.5, strong: 8}", "smoke_obs_pct_m: {suspect: 8, strong: 2.5}", "suspect < strong"},
		{"no spike may fire", "readings: 3", "readings: 1", "readings"},
		{"bad duration", "corroborate: 3m", "corroborate: 3 fortnights", ""},
		{"an SOS is red", "severity: red\n    fresh: 30m", "severity: blue\n    fresh: 30m", "always red"},
		{"bad order", "mode: propose, kind: standby", "mode: perhaps, kind: standby", "mode"},
		{"name twice", "name: battery_low", "name: sos", "twice"},
		{"wrong day", "effective: 2020-01-01", "effective: someday", "YYYY-MM-DD"},
		{"parameters of another type", "    battery: {below_pct: 15, clear_pct: 25}", "    sos: {episode_gap: 1h}", "type"},
		{"not YAML", "rules:", "rules: [", ""},
		{"nested too deep", "rules:", "rules: " + strings.Repeat("[", 9), "nested"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.faulty, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := alerts.ParseRules([]byte(text))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.HasPrefix(err.Error(), "rules: line ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q: want it of the rules, with a line, and %q", err, c.want)
			}
			if c.name == "unknown key" {
				if want := "line " + itoa(lineOf(text, "clear_ration")); !strings.Contains(err.Error(), want) {
					t.Errorf("error %q: want %s", err, want)
				}
			}
		})
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	text := strings.NewReplacer("readings: 3", "readings: 1", "factor: 4", "factor: 0", "clear_pct: 25", "clear_pct: 5").
		Replace(string(alerts.DefaultRules()))
	_, err := alerts.ParseRules([]byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"readings", "factor", "clear_pct"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q says nothing of %s", err, want)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add(alerts.DefaultRules())
	f.Add([]byte("version: x\nrules: [{name: a, type: sos}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := alerts.ParseRules(data)
		if err == nil && len(set.Rules) == 0 {
			t.Error("accepted without a rule")
		}
	})
}

func TestSilenceIsThatOfTheRule(t *testing.T) {
	set, err := alerts.ParseRules(alerts.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	own := alerts.RuleSet{Rules: []alerts.Rule{{Type: alerts.DeviceSilent, Silent: &alerts.SilentRule{
		Trackers: alerts.SilentKind{Factor: 6, Min: time.Hour}, Sensors: alerts.SilentKind{Factor: 2.5, Min: time.Minute},
	}}}}
	for name, tt := range map[string]struct {
		set    alerts.RuleSet
		kind   contract.Kind
		factor float64
		least  time.Duration
	}{
		"default tracker": {set, contract.Tracker, 4, 10 * time.Minute},
		"default sensor":  {set, contract.Sensor, 3, 5 * time.Minute},
		"no rule tracker": {alerts.RuleSet{}, contract.Tracker, 4, 10 * time.Minute},
		"no rule sensor":  {alerts.RuleSet{}, contract.Sensor, 3, 5 * time.Minute},
		"own tracker":     {own, contract.Tracker, 6, time.Hour},
		"own sensor":      {own, contract.Sensor, 2.5, time.Minute},
	} {
		if factor, least := tt.set.Silence(tt.kind); factor != tt.factor || least != tt.least {
			t.Errorf("%s: %v times, at least %s; want %v, %s", name, factor, least, tt.factor, tt.least)
		}
	}
}
