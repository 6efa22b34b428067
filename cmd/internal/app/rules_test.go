package app

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"firewatch/alerts"
)

// A changed file is built, checked and taken as a whole, or changes nothing and
// says which line is wrong.
func TestRulesAreReloadedOrNothingChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	good := string(alerts.DefaultRules())
	version := func(v string) string { return strings.Replace(good, "version: shipped-2", "version: "+v, 1) }
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	b, err := newRuleBook(file, false, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	saved := map[string]string{}
	var swapped []string
	b.log = zap.NewNop()
	b.measure(prometheus.NewRegistry())
	b.swap = func(s alerts.RuleSet) { swapped = append(swapped, s.Version) }
	b.save = func(_ context.Context, s alerts.RuleSet, text []byte) error {
		if old, ok := saved[s.Version]; ok && old != string(text) {
			return alerts.ErrConflict
		}
		saved[s.Version] = string(text)
		return nil
	}
	ctx := t.Context()
	b.begin(ctx)
	saved["taken"] = "other rules"
	broken := strings.Replace(version("v2"), `rise("co_ppm", "10m") >= 20`, `rise("co_pmm", "10m") >= 20`, 1)
	line := "line " + lineOf(broken, "co_pmm")
	for i, c := range []struct{ text, force, fault string }{
		{good, "shipped-2", ""},
		{broken, "shipped-2", line},
		{broken, "shipped-2", line},
		{good + "\n# a word\n", "shipped-2", "another version"},
		{version("taken"), "shipped-2", "on record"},
		{strings.Replace(version("v3"), "effective: 2020-01-01", "effective: 2199-01-01", 1), "shipped-2", "rules from 2199-01-01"},
		{version("v4"), "v4", ""},
		{"", "v4", "YAML"},
		{version("v4"), "v4", ""},
	} {
		write(c.text)
		b.look(ctx, false)
		f := b.InForce()
		if f.Set.Version != c.force || (f.Failed == "") != (c.fault == "") || !strings.Contains(f.Failed, c.fault) {
			t.Errorf("step %d: %s in force, fault %q; want %s, %q", i, f.Set.Version, f.Failed, c.force, c.fault)
		}
		want := 0.0
		if c.fault != "" {
			want = 1
		}
		if got := testutil.ToFloat64(b.failed); got != want {
			t.Errorf("step %d: rules_reload_failed %v, want %v", i, got, want)
		}
		if (b.Ready(ctx) == nil) != (c.fault == "") {
			t.Errorf("step %d: ready says %v", i, b.Ready(ctx))
		}
	}
	if len(swapped) != 1 || swapped[0] != "v4" {
		t.Errorf("taken into force: %v", swapped)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if b.look(ctx, false); b.InForce().Failed == "" || b.set().Version != "v4" {
		t.Errorf("file gone: %+v", b.InForce().Failed)
	}
}

func lineOf(text, part string) string {
	before, _, _ := strings.Cut(text, part)
	return strconv.Itoa(strings.Count(before, "\n") + 1)
}
