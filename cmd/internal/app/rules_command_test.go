package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firewatch/alerts"
)

// runWords runs a command of the program.
func runWords(t *testing.T, stdin string, args ...string) (code int, out, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const faultyRules = `version: x
effective: 2026-01-01
rules:
  - name: co
    type: condition
    severity: blue
    condition:
      "on": [sensor]
      when: latest("co_ppm") > nothing
      summary: 一氧化碳
      summary_en: CO
  - name: B
    type: sos
    severity: red
`

func TestRulesCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		out   string
	}{
		{
			"every fault with its line, an expression's with its column",
			[]string{"-"},
			faultyRules, exitError,
			"-:9: when: column 20: unknown name nothing in \"latest(\\\"co_ppm\\\") > nothing\"\n" +
				"-:12: name: \"B\": want a to z, 0 to 9 and _, a letter first, at most 40\n-:12: sos: a rule of type sos needs it\n",
		},
		{"no YAML", []string{"-"}, "rules: [", exitError, "-:1: sequence end token ']' not found\n"},
		{"a missing file", []string{"/nowhere.yaml"}, "", exitError, "/nowhere.yaml: cannot be read: no such file or directory\n"},
		{"seasons", []string{"--kind", "seasons", "-"}, string(alerts.SampleSeasons()), exitOK, ""},
		{"seasons are no rules", []string{"--kind", "seasons", "-"}, faultyRules, exitError, "-:3: unknown field \"rules\"\n"},
		{"readiness", []string{"--kind", "readiness", "-"}, "version: x\n", exitError, ""},
		{"sources", []string{"--kind", "sources", "-"}, "version: x\neffective: 2026-01-01\nsources: []\n", exitOK, "-: ok, 0 sources, version x\n"},
		{"another kind", []string{"--kind", "songs", "-"}, "", exitUsage, ""},
		{"no file", nil, "", exitUsage, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, said := runWords(t, tt.stdin, append([]string{"rules", "check"}, tt.args...)...)
			if code != tt.code || tt.out != "" && out != tt.out {
				t.Errorf("exit %d\n%s\n%s", code, out, said)
			}
		})
	}
	good := writeFile(t, t.TempDir(), "rules.yaml", string(alerts.DefaultRules()))
	code, out, _ := runWords(t, "", "rules", "check", good)
	set, err := alerts.ParseRules(alerts.DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	if want := good + ": ok, "; code != exitOK || !strings.HasPrefix(out, want) || !strings.HasSuffix(out, " rules, version "+set.Version+"\n") {
		t.Errorf("exit %d, %q", code, out)
	}
}

const smallRules = `version: small
effective: 2026-01-01
rules:
  - name: battery_low
    type: battery_low
    severity: notice
    battery: {below_pct: 15, clear_pct: 25}
`

const smallTest = `rules: [small.yaml]
devices:
  - {id: S1}
tests:
  - name: 电量低
    interval: 10m
    series:
      - {device: S1, battery_pct: 30-10x3}
    expect:
      - at: 10m
        alerts: []
      - at: 40m
        alerts:
          - {rule: battery_low, device: S1, since: 20m}
        orders: []
`

func TestRulesTest(t *testing.T) {
	dir := t.TempDir()
	rules := writeFile(t, dir, "small.yaml", smallRules)
	good := writeFile(t, dir, "good.yaml", smallTest)
	code, out, said := runWords(t, "", "rules", "test", good)
	if want := good + ": ok, 1 tests\n"; code != exitOK || out != want {
		t.Fatalf("exit %d, %q, %q", code, out, said)
	}

	bad := writeFile(t, dir, "bad.yaml", strings.NewReplacer("since: 20m", "since: 30m, severity: red", "at: 10m", "at: 20m").Replace(smallTest))
	code, out, _ = runWords(t, "", "rules", "test", bad, good)
	want := bad + `:11: test "电量低" at 20m with rules small:
  alerts (- wanted, + found):
    + {rule: battery_low, device: S1, area: 130633101, severity: notice, state: firing, since: 20m, says: 电量低：易县梁格庄镇传感器 S1剩 10%；没有位置}
` + bad + `:14: test "电量低" at 40m with rules small:
  alerts (- wanted, + found):
    - {rule: battery_low, device: S1, severity: red, state: firing, since: 30m}
    + {rule: battery_low, device: S1, area: 130633101, severity: notice, state: firing, since: 20m, says: 电量低：易县梁格庄镇传感器 S1剩 10%；没有位置}
` + bad + ": 2 expectations not met\n" + good + ": ok, 1 tests\n"
	if code != exitError || out != want {
		t.Errorf("exit %d\n%s\nwant\n%s", code, out, want)
	}

	lower := writeFile(t, dir, "lower.yaml", strings.Replace(smallRules, "below_pct: 15", "below_pct: 5", 1))
	if code, out, _ := runWords(t, "", "rules", "test", "--rules", lower, good); code != exitError || !strings.Contains(out, ":14: test") {
		t.Errorf("with another rule set: exit %d, %q", code, out)
	}
	if code, out, _ := runWords(t, "", "rules", "test", "--rules", rules, good); code != exitOK {
		t.Errorf("with the same rule set: exit %d, %q", code, out)
	}

	for name, c := range map[string]struct{ from, to, out string }{
		"an unknown field":  {"battery_pct", "battery", ":8: battery: want device, class, code, text, start, interval, delay, arrives, or a field of environment\n"},
		"no such values":    {"30-10x3", "30-10", ":8: battery_pct: \"30-10\": want a value like"},
		"out of range":      {"30-10x3", "30-50x3", ":8: battery_pct: "},
		"a bad time":        {"at: 10m", "at: soon", ":10: at: \"soon\": want a time since the start"},
		"an unknown key":    {"expect:", "expects:", ":9: unknown field \"expects\"\n"},
		"no such rules":     {"small.yaml", "none.yaml", ":1: rules \"none.yaml\": "},
		"a device unnamed":  {"device: S1,", "", ":8: device: "},
		"nothing to expect": {"alerts: []", "alert: []", ":11: unknown field \"alert\"\n"},
	} {
		file := writeFile(t, dir, "fault.yaml", strings.Replace(smallTest, c.from, c.to, 1))
		code, out, said := runWords(t, "", "rules", "test", file)
		if code != exitError || !strings.HasPrefix(out, file+c.out) {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, said)
		}
	}
}
