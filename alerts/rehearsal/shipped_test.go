package rehearsal_test

import (
	"os"
	"path/filepath"
	"testing"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
)

// shipped finds the rule sets that scripts name.
func shipped(tb testing.TB) func(string) (alerts.RuleSet, error) {
	tb.Helper()
	return func(ref string) (alerts.RuleSet, error) {
		if ref == "demo" {
			return alerts.ParseRules(alerts.DemoRules())
		}
		return alerts.ParseRules(alerts.DefaultRules())
	}
}

const ruleTests = "../rules/tests"

func TestShippedRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(ruleTests, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d tests of the shipped rules: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := rehearsal.ParseScript(file, data, shipped(t))
			if err != nil {
				t.Fatal(err)
			}
			fails, err := s.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range fails {
				t.Error(fails[i].String())
			}
		})
	}
}

// Each shipped rule is expected somewhere to raise an alert, and in the same file
// somewhere else nothing is.
func TestEveryShippedRuleIsTested(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(ruleTests, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	fires := make(map[string]bool)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rehearsal.ParseScript(file, data, shipped(t))
		if err != nil {
			t.Fatal(err)
		}
		named, calm := make(map[string]bool), false
		for _, test := range s.Tests {
			for _, x := range test.Expect {
				if x.Alerts == nil {
					continue
				}
				calm = calm || len(*x.Alerts) == 0
				for _, a := range *x.Alerts {
					named[a.Rule] = named[a.Rule] || a.State != alerts.Resolved
				}
			}
		}
		for name, is := range named {
			fires[name] = fires[name] || is && calm
		}
	}
	for _, r := range shippedSet(t, string(alerts.DefaultRules())).Rules {
		if !fires[r.Name] {
			t.Errorf("no test in %s sees rule %s raise an alert, and one more that it raises none", ruleTests, r.Name)
		}
	}
}
