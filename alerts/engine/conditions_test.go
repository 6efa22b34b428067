package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/engine"
	contract "firewatch/firmware-contracts"
)

// rulesOf is a set of conditions.
func rulesOf(t *testing.T, version, rules string) alerts.RuleSet {
	t.Helper()
	set, err := alerts.ParseRules([]byte("version: " + version + "\neffective: 2000-01-01\nrules:\n" + rules))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const humid = `
  - name: dry_air
    type: condition
    severity: blue
    for: 3m
    condition:
      on: [sensor]
      when: season == "high_danger" and latest("rh_pct") < 20
      summary: "{where}{device}相对湿度 {latest(\"rh_pct\")}%"
      summary_en: dry
`

// The season opens while it is dry already: who is dry for long enough is told at
// once, and not when the next reading comes.
func TestSeasonOpensWhileAlreadyDry(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules = rulesOf(t, "v1", humid)
		tomorrow := time.Now().Add(24 * time.Hour).In(alerts.Zone)
		midnight := time.Date(tomorrow.Year(), tomorrow.Month(), tomorrow.Day(), 0, 0, 0, 0, alerts.Zone)
		day := midnight.Format("01-02")
		if err := w.mem.SaveSeasons(t.Context(), alerts.SeasonTable{Version: "v2", Effective: time.Unix(0, 0).Add(time.Hour), Seasons: []alerts.Season{
			{Area: "130633", Kind: alerts.HighDanger, From: day, To: day},
		}}, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Until(midnight) - 10*time.Minute)
		w.run()
		for range 10 {
			w.sees("S1", values{contract.RhPct: 12})
			w.pass(59 * time.Second)
		}
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts out of season", n)
		}
		w.pass(15 * time.Second)
		if a := w.only(); a.Rule != "dry_air" || a.Explain.Inputs.Season != alerts.HighDanger || !strings.HasSuffix(a.Summary, "易县西陵镇传感器一号相对湿度 12%") {
			t.Errorf("alert %+v", a)
		}
	})
}

// What comes late is judged by the season and the warnings of its own time, those
// that are over too; not by today's.
func TestLateReadingsAreJudgedByTheSurroundingsOfTheirTime(t *testing.T) {
	for name, c := range map[string]struct {
		from, to time.Duration // of the warning, from now
		want     alerts.Severity
		outcome  alerts.LateOutcome
	}{
		"a warning stood then and is over": {-4 * time.Hour, -time.Hour, alerts.Red, alerts.LateActionable},
		"a warning came after it":          {-time.Hour, 4 * time.Hour, alerts.Orange, alerts.LateActionable},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.pass(5 * time.Hour)
				now := time.Now()
				if _, _, err := w.mem.SaveWarning(t.Context(), alerts.Warning{
					ID: "w1", Identifier: "i", Sender: "s", Sent: now.Add(c.from), Status: "Actual", MsgType: "Alert", Event: "森林火险", EventCode: "11B25",
					Blocks: []alerts.WarningBlock{{Area: "130600", Level: alerts.Orange, From: now.Add(c.from), To: now.Add(c.to)}},
				}, nil); err != nil {
					t.Fatal(err)
				}
				w.run()
				w.feed.add(w.reading("S1", contract.Environment, 2*time.Hour, values{smoke: 20, co: 90}))
				w.pass(0)
				a := w.only()
				if a.Severity != c.want || a.Explain.Outcome != c.outcome || a.Late != 2*time.Hour || (a.Explain.Inputs.Warning == alerts.Orange) != (c.want == alerts.Red) {
					t.Errorf("severity %v, explanation %+v", a.Severity, a.Explain)
				}
				if len(w.orders()) != 0 {
					t.Error("an order by itself from what is two hours old")
				}
			})
		})
	}
}

const danger = `
  - name: danger_4
    type: condition
    severity: yellow
    condition:
      on: [area]
      when: danger >= 4
      clear: danger <= 3
      family: weather
      summary: "{where}火险等级 {danger}"
      summary_en: danger
`

func (w *world) rate(level alerts.DangerLevel, areas ...string) {
	w.t.Helper()
	var as []alerts.AreaDanger
	for _, a := range areas {
		as = append(as, alerts.AreaDanger{Area: a, Day: alerts.DangerDay(time.Now()), Method: alerts.DangerHTZ, Level: level, DryDays: 9})
	}
	if err := w.mem.SaveDanger(w.t.Context(), nil, as, nil); err != nil {
		w.t.Fatal(err)
	}
}

// Danger that crosses to 4 is told once per township, over a restart too.
func TestDangerThatCrossesIsToldOncePerTownship(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules = rulesOf(t, "v1", danger)
		w.tune = func(o *engine.Options) { o.Danger = w.mem }
		w.rate(3, "130633101", "130633102")
		w.run()
		w.pass(time.Minute)
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts at 3", n)
		}
		w.rate(4, "130633101")
		w.pass(time.Minute)
		if a := w.only(); a.Area != "130633101" || a.Device != "" || a.Summary != "易县西陵镇火险等级 4" || a.Explain.Values["danger"] != 4 {
			t.Errorf("alert %+v", a)
		}
		w.stop()
		w.run()
		w.pass(time.Minute)
		w.only()
		w.rate(2, "130633101")
		w.pass(time.Minute)
		if a := w.only(); a.State != alerts.Resolved {
			t.Errorf("state %s at 2", a.State)
		}
	})
}

// One weak quantity alone is held back while the danger is known to be low, and
// told; while it is unknown it fires.
func TestWeakFiresAreGatedByDangerAndFailOpen(t *testing.T) {
	for level, fires := range map[alerts.DangerLevel]bool{alerts.DangerUnknown: true, 1: false, 2: true} {
		inBubble(t, func(w *world) {
			w.tune = func(o *engine.Options) { o.Danger = w.mem }
			if level != alerts.DangerUnknown {
				w.rate(level, "130633101")
			}
			w.run()
			for range 5 {
				w.sees("S1", values{smoke: 3})
				w.pass(time.Minute)
			}
			if got := len(w.alerts()) == 1; got != fires {
				t.Fatalf("danger %d: fires %v, want %v", level, got, fires)
			}
			if level == alerts.DangerUnknown && !strings.Contains(strings.Join(w.only().Reasons, ";"), "火险等级不明，弱信号也上报") {
				t.Errorf("reasons %q", w.only().Reasons)
			}
			if fires {
				return
			}
			w.sees("S1", values{smoke: 20, co: 90}) // nothing gates what is strong
			a := w.only()
			if !slices.ContainsFunc(a.Explain.Held, func(h alerts.HeldBack) bool { return h.By == "gate" && strings.Contains(h.Why, "弱信号") }) {
				t.Errorf("the alert says nothing of what was held back: %+v", a.Explain.Held)
			}
		})
	}
}

// Rules are exchanged between two batches: what stands goes on under a rule of the
// same name and type, what a rule raised that is no more stays as it is, and the
// new ones judge what is in the windows.
func TestRulesAreSwappedAndWhatStandsGoesOn(t *testing.T) {
	inBubble(t, func(w *world) {
		was := w.rules
		w.run()
		for range 4 {
			w.sees("S1", values{smoke: 20, co: 90, contract.RhPct: 10, contract.BatteryPct: 3})
			w.pass(time.Minute)
		}
		before := len(w.alerts())
		if before != 2 {
			t.Fatalf("%d alerts, want fire and battery", before)
		}
		next := rulesOf(t, "v9", strings.ReplaceAll(humid, `season == "high_danger" and `, ""))
		fire := slices.IndexFunc(was.Rules, func(r alerts.Rule) bool { return r.Type == alerts.SensorFire })
		next.Rules = append(next.Rules, was.Rules[fire])
		next.Incidents = was.Incidents
		w.engine.Swap(next)
		w.pass(0)
		for range 5 {
			w.sees("S1", values{smoke: 21, co: 91, contract.RhPct: 10})
			w.pass(time.Minute)
		}
		got := map[string]int{}
		for _, a := range w.alerts() {
			got[a.Rule]++
			if a.Rule == "sensor_fire" && len(a.Evidence) < 16 {
				t.Errorf("%d pieces of evidence: the alert did not go on", len(a.Evidence))
			}
			if a.Rule == "battery_low" && a.State != alerts.Firing {
				t.Error("the alert of the rule that is gone was changed")
			}
		}
		if got["sensor_fire"] != 1 || got["dry_air"] != 1 || got["battery_low"] != 1 || len(w.orders()) != 1 {
			t.Errorf("alerts %v, %d orders", got, len(w.orders()))
		}
		w.sees("S2", values{contract.BatteryPct: 2})
		if n := len(w.alerts()); n != 3 {
			t.Errorf("%d alerts: a rule that is gone judges", n)
		}
		w.stop()
		w.run() // with the set of the start
		w.pass(time.Minute)
	})
}

const windy = `
  - name: gale
    type: condition
    severity: yellow
    condition:
      on: [sensor]
      when: latest("wind_ms") > 10
      clear: latest("wind_ms") < 8
      key: area
      family: weather
      summary: "{where}大风"
      summary_en: gale
`

// One alert per township stands for all its stations; when it is over, one that
// still has a gale gets its own.
func TestOneAlertPerTownship(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules = rulesOf(t, "v1", windy)
		w.run()
		w.sees("S1", values{contract.WindMS: 15})
		w.sees("S2", values{contract.WindMS: 16})
		if a := w.only(); a.Device != "S1" {
			t.Errorf("alert of %s", a.Device)
		}
		w.stop()
		w.run()
		w.pass(10 * time.Second)
		w.sees("S2", values{contract.WindMS: 17})
		w.only()
		w.pass(time.Minute)
		w.sees("S1", values{contract.WindMS: 3})
		w.sees("S2", values{contract.WindMS: 17})
		if as := w.alerts(); len(as) != 2 || as[0].Device != "S2" {
			t.Errorf("alerts %+v", as)
		}
	})
}

// A tracker that is parked, and says the same again and again, is heard when it
// calls for help in the very same place and second.
func TestAParkedTrackersSOSIsHeard(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		var last contract.Reading
		for range 10 {
			last = w.reading("T1", contract.Position, 0, values{contract.Lat: 39.37, contract.Lon: 115.35, contract.Moving: 0, contract.SpeedMS: 0})
			w.feed.add(last)
			w.pass(time.Minute)
		}
		sos := last
		sos.Class, sos.Received = contract.SOS, time.Now()
		w.feed.add(sos)
		w.pass(0)
		if as := w.alerts(); len(as) != 1 || as[0].Rule != "sos" || as[0].Severity != alerts.Red {
			t.Errorf("alerts %+v", as)
		}
	})
}

// The latest value is the one measured last, whatever came last.
func TestLatestIsLastMeasured(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules = rulesOf(t, "v1", windy)
		w.run()
		w.sees("S1", values{contract.WindMS: 15})
		w.pass(time.Minute)
		w.feed.add(w.reading("S1", contract.Environment, 20*time.Minute, values{contract.WindMS: 1}))
		w.pass(0)
		if a := w.only(); a.State != alerts.Firing {
			t.Error("a late calm ended the gale")
		}
		w.sees("S1", values{contract.WindMS: 1})
		if a := w.only(); a.State != alerts.Resolved {
			t.Error("the newest calm did not end it")
		}
	})
}

// Two readings of one second, by a clock without fractions, are two.
func TestReadingsOfOneSecondAreAllCounted(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules = rulesOf(t, "v1", strings.Replace(windy, `latest("wind_ms") > 10`, `count("wind_ms", "1m") >= 3`, 1))
		w.run()
		for i := range 3 {
			w.feed.add(w.reading("S1", contract.Environment, 0, values{contract.WindMS: float64(i)}))
		}
		w.pass(0)
		w.only()
	})
}
