package app

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
)

// fireRules is a rule set with one rule; smoke says from where on smoke counts.
func fireRules(version string, smoke float64) string {
	return fmt.Sprintf(`version: %s
effective: 2026-01-01
rules:
  - name: sensor_fire
    type: sensor_fire
    severity: orange
    for: 2m
    clear_after: 15m
    fresh: 15m
    order: {mode: propose, kind: standby, nearest: 1, within_km: 30}
    fire:
      window: 10m
      baseline: 30m
      corroborate: 3m
      neighbour_km: 2
      readings: 3
      out_of: 4
      clear_ratio: 0.5
      smoke_obs_pct_m: {suspect: %v, strong: 50}
      co_ppm: {suspect: 15, strong: 50}
      temp_rise_c: {suspect: 10, strong: 25}
      temp_c: {suspect: 58, strong: 80}
`, version, smoke)
}

// twoFires is a day of two sensors: smoke of one rises slowly over half an hour,
// that of the other to a level that only a keen rule sees.
func twoFires() string {
	var out strings.Builder
	out.WriteString("device,time,received,smoke_obs_pct_m\n")
	begin := time.Date(2026, 3, 17, 0, 0, 0, 0, alerts.Zone)
	for m := range 24 * 60 {
		t := begin.Add(time.Duration(m) * time.Minute)
		a, b := 0.2, 0.3
		if m >= 600 && m < 660 {
			a = 0.2 + float64(m-600)*0.5
		}
		if m >= 900 && m < 930 {
			b = 4
		}
		fmt.Fprintf(&out, "S1,%s,,%.1f\n", t.Format("2006-01-02 15:04"), a)
		fmt.Fprintf(&out, "S2,%s,%s,%.1f\n", t.Format(time.RFC3339), t.Format(time.RFC3339), b)
	}
	return out.String()
}

func smallRoster(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "roster")
	err := roster.Write(dir, alerts.Roster{
		Areas: []alerts.Area{
			{Code: "130600", Name: "保定市", Level: alerts.City, Lat: 38.87, Lon: 115.46},
			{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.5},
			{Code: "130633101", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633", Lat: 39.38, Lon: 115.35},
			{Code: "130633102", Name: "西陵镇", Level: alerts.Township, Parent: "130633", Lat: 39.37, Lon: 115.45},
		},
		Teams: []alerts.Team{
			{ID: "T1", Name: "梁格庄镇扑火队", Kind: alerts.TownshipTeam, Area: "130633101", Lat: 39.38, Lon: 115.35},
			{ID: "T2", Name: "西陵镇扑火队", Kind: alerts.TownshipTeam, Area: "130633102", Lat: 39.37, Lon: 115.45},
		},
		Devices: []alerts.Device{
			{ID: "S1", Kind: contract.Sensor, Area: "130633101", Name: "北山", Lat: 39.38, Lon: 115.35},
			{ID: "S2", Kind: contract.Sensor, Area: "130633102", Name: "南坡", Lat: 39.37, Lon: 115.45},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRulesBacktest(t *testing.T) {
	dir := t.TempDir()
	people := smallRoster(t)
	old, keen := writeFile(t, dir, "old.yaml", fireRules("old", 8)), writeFile(t, dir, "new.yaml", fireRules("new", 2.5))
	table := writeFile(t, dir, "day.csv", twoFires())
	seasons := writeFile(t, dir, "seasons.yaml", string(alerts.SampleSeasons()))
	args := []string{"rules", "backtest", "--rules", keen, "--against", old, "--roster", people, "--seasons", seasons, table}

	code, out, said := runWords(t, "", args...)
	const want = `规则 new 对比 old：2026-03-17 00:00 至 2026-03-17 23:59（24.0 小时）
2 台设备，2,880 条读数
指令：
  待命：多 1 条（1 → 2），涉及 梁格庄镇 +1、西陵镇 +1
疑似火情（任一规则发现）2 起：1 起更早，早 11 分钟；1 起只有 new 发现
  2026-03-17 10:07  易县梁格庄镇（39.3800, 115.3500）：早 11 分钟
  2026-03-17 15:02  易县西陵镇（39.3700, 115.4500）：只有 new 发现
告警：1 → 2
  sensor_fire：1 → 2
未上报的可疑情况：0 → 0 次
`
	if code != exitOK || out != want {
		t.Errorf("exit %d, %s\n%s\nwant\n%s", code, said, out, want)
	}

	code, out, _ = runWords(t, "", append(args, "--lang", "en")...)
	const english = `rules new against old: 2026-03-17 00:00 to 2026-03-17 23:59 (24.0 h)
2 devices, 2,880 readings
orders:
  standby: 1 more (1 → 2), to 梁格庄镇 +1, 西陵镇 +1
2 suspected fires, by either: 1 earlier by 11 min; 1 seen by new alone
  2026-03-17 10:07  易县梁格庄镇 (39.3800, 115.3500): 11 min earlier
  2026-03-17 15:02  易县西陵镇 (39.3700, 115.4500): seen by new alone
alerts: 1 → 2
  sensor_fire: 1 → 2
suspicions held back: 0 → 0 times
`
	if code != exitOK || out != english {
		t.Errorf("exit %d\n%s\nwant\n%s", code, out, english)
	}

	fires := writeFile(t, dir, "fires.csv", "time,lat,lon,name\n2026-03-17 10:00,39.381,115.351,北山火\n2026-03-17 20:00,39.381,115.351,无人知\n")
	code, out, _ = runWords(t, "", append(args, "--fires", fires)...)
	const known = `已知火情 2 起：1 起更早，早 11 分钟；1 起都没有发现
  2026-03-17 10:00  北山火（39.3810, 115.3510）：早 11 分钟
  2026-03-17 20:00  无人知（39.3810, 115.3510）：都没有发现
与已知火情无关的疑似火情：0 → 1 起
`
	if code != exitOK || !strings.Contains(out, known) {
		t.Errorf("exit %d\n%s\nwant\n%s", code, out, known)
	}

	code, out, _ = runWords(t, "", append(args, "--json", "--from", "2026-03-17 12:00", "--to", "2026-03-17 18:00")...)
	var c rehearsal.Comparison
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != exitOK {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if c.Readings != 720 || c.Old.Orders != 0 || c.New.Orders != 1 || len(c.Fires) != 1 || !c.To.Equal(time.Date(2026, 3, 17, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("of six hours: %+v", c)
	}
}

func TestRulesBacktestWithoutRoster(t *testing.T) {
	dir := t.TempDir()
	keen, table := writeFile(t, dir, "new.yaml", fireRules("new", 2.5)), writeFile(t, dir, "day.csv", twoFires())
	code, out, said := runWords(t, "", "rules", "backtest", "--rules", keen, "--against", keen, "--data", dir, table)
	if code != exitOK || !strings.Contains(said, "no roster") || !strings.Contains(out, "2 起同时发现") {
		t.Errorf("exit %d, %s\n%s", code, said, out)
	}
}

func TestRulesBacktestFaults(t *testing.T) {
	dir := t.TempDir()
	people, keen := smallRoster(t), writeFile(t, dir, "new.yaml", fireRules("new", 2.5))
	for name, c := range map[string]struct {
		table string
		args  []string
		code  int
		said  string
	}{
		"no rules":           {"", []string{"x.csv"}, exitUsage, "--rules is missing"},
		"nothing to read":    {"", []string{"--rules", keen}, exitUsage, "--from and --to"},
		"time runs back":     {"", []string{"--rules", keen, "--from", "2026-03-02", "--to", "2026-03-01"}, exitUsage, "not after"},
		"a column":           {"device,time,smoke\n", nil, exitError, `.csv:1: column "smoke": want device`},
		"no time":            {"device,co_ppm\n", nil, exitError, ".csv:1: column time is missing"},
		"a number":           {"device,time,co_ppm\nS1,2026-03-17 08:00,1\nS1,2026-03-17 08:01,much\n", nil, exitError, `.csv:3: column co_ppm: "much" is no number`},
		"out of range":       {"device,time,co_ppm\nS1,2026-03-17 08:00,-1\n", nil, exitError, `.csv:2: column co_ppm: `},
		"a time":             {"device,time,co_ppm\nS1,yesterday,1\n", nil, exitError, `.csv:2: column time: "yesterday" is no time`},
		"cut off":            {"device,time,co_ppm\nS1,2026-03-17 08:00\n", nil, exitError, `.csv:2: wrong number of fields`},
		"not in order":       {"device,time,received,co_ppm\nS1,2026-03-17 08:00,2026-03-17 09:00,1\nS1,2026-03-17 07:00,2026-03-17 07:00,1\n", nil, exitError, ".csv:3: neither time nor received rises"},
		"class of another":   {"device,time,class,co_ppm\nS1,2026-03-17 08:00,sos,1\n", nil, exitError, ".csv:2: column class: a sensor has no readings of class sos"},
		"empty":              {"device,time,co_ppm\n", nil, exitError, "no readings"},
		"another language":   {"device,time\n", []string{"--lang", "fr"}, exitUsage, "--lang"},
		"an area of nowhere": {"device,time\n", []string{"--area", "999999"}, exitError, `--area: no area has the code "999999"`},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"rules", "backtest"}, c.args...)
			if c.table != "" {
				args = append(args, "--rules", keen, "--against", keen, "--roster", people, writeFile(t, t.TempDir(), "t.csv", c.table))
			}
			code, out, said := runWords(t, "", args...)
			if code != c.code || out != "" || !strings.Contains(said, c.said) {
				t.Errorf("exit %d, %q, %q", code, out, said)
			}
		})
	}
}
