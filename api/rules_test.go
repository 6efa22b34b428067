package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

func shippedRules() v1.RulesInForce {
	set, err := alerts.ParseRules(alerts.DefaultRules())
	if err != nil {
		panic(err) // the shipped rules have tests of their own
	}
	return v1.RulesInForce{Set: set, Text: alerts.DefaultRules(), Source: "rules.yaml", Since: time.Unix(1_800_000_000, 0)}
}

// rules is what the tests' server shows.
func (e *env) rules() v1.RulesInForce { return shippedRules() }

func TestTheRulesInForceAreShown(t *testing.T) {
	got := into[v1.RuleSet](newEnv(t).get("yixian", "/rules").want(200))
	i := slices.IndexFunc(got.Rules, func(r v1.Rule) bool { return r.Name == "co_rise" })
	if got.Version != "shipped-2" || i < 0 || got.Failed != nil || !strings.Contains(got.Text, "co_rise") {
		t.Fatalf("rules %+v", got)
	}
	if r := got.Rules[i]; r.Type != "condition" || r.Severity != "yellow" || r.Family != "fire" || r.ForSeconds != 120 ||
		r.When == nil || !strings.HasPrefix(*r.When, "rise(") {
		t.Errorf("rule %+v", r)
	}
}

func TestAFileOfRulesThatWasNotTakenIsShown(t *testing.T) {
	e := newEnv(t, func(o *Options) {
		o.Rules = func() v1.RulesInForce {
			f := shippedRules()
			f.Failed, f.FailedAt = "rules: line 8: when: column 3: unknown name", f.Since
			return f
		}
	})
	if got := into[v1.RuleSet](e.get("admin", "/rules").want(200)); got.Failed == nil || !strings.Contains(got.Failed.Reason, "line 8") {
		t.Errorf("fault %+v", got.Failed)
	}
}
