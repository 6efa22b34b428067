package alerts_test

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func explained() alerts.Alert {
	at := func(s int) time.Time { return time.Date(2026, 3, 14, 6, 0, s, 0, time.UTC) }
	return alerts.Alert{
		ID: "al-1", Rule: "sensor_fire", RuleVersion: "shipped-1", Device: "S1", Severity: alerts.Red, State: alerts.Firing,
		Summary: "疑似起火：易县西陵镇传感器一号，烟雾 20 %/m；同一读数中两种量都远超阈值", SummaryEn: "Fire suspected by sensor S1",
		Updated: at(40), Raised: at(30), Measured: at(20), Late: 47 * time.Minute,
		Evidence: []alerts.Evidence{
			{Device: "S1", Measured: at(0), Field: "smoke_obs_pct_m", Value: 20, Note: "远超阈值"},
			{Device: "S1", Measured: at(10), Field: "co_ppm", Value: 55.25},
			{Device: "S2", Measured: at(20), Field: "co_ppm", Value: math.NaN(), Note: "无"},
			{Device: "S1", Measured: at(30), Field: "temp_c", Value: 61.5},
		},
		Incident: "in-1", Order: "or-1",
		Explain: alerts.Explanation{
			Base:    alerts.Orange,
			Raised:  []alerts.RaisedBy{{By: "season", Why: "高火险期", From: alerts.Orange, To: alerts.Red}},
			Outcome: alerts.LateActionable,
			Held:    []alerts.HeldBack{{At: at(35), By: "incident", Why: "同一事件已下令（or-0，橙色），不再重复下令"}},
		},
	}
}

func TestOneSentenceTellsWhyAnAlertStands(t *testing.T) {
	zh, en := alerts.Explain(explained())
	for _, want := range []string{
		"疑似起火", "依据 4 条读数", "烟雾 20 %/m", "气温 61.5 °C", "规则 sensor_fire（版本 shipped-1）",
		"严重程度红色：高火险期由橙色提高到红色", "读数迟到 47 分钟，仍须处置", "属于事件 in-1", "已下命令 or-1",
		"曾扣留：14:00 同一事件已下令（or-0，橙色）",
	} {
		if !strings.Contains(zh, want) {
			t.Errorf("no %q in %s", want, zh)
		}
	}
	if strings.Count(zh, "。") != 1 || !strings.HasSuffix(zh, "。") || strings.Contains(zh, "NaN") {
		t.Errorf("not one sentence: %s", zh)
	}
	for _, want := range []string{"Fire suspected", "by 4 readings", "rule sensor_fire (version shipped-1)", "raised by season from orange to red", "order or-1"} {
		if !strings.Contains(en, want) {
			t.Errorf("no %q in %s", want, en)
		}
	}
}

func TestWhatKeepsAnAlertFromPeopleIsInItsSentence(t *testing.T) {
	a := explained()
	a.Hush = alerts.Hush{Kind: alerts.HushSilenced, By: "si-1", Why: "张三 静默至 16:00：计划烧除。"}
	zh, _ := alerts.Explain(a)
	if !strings.Contains(zh, "现不提示：张三 静默至 16:00：计划烧除（静默 si-1）") || strings.Count(zh, "。") != 1 {
		t.Error(zh)
	}
	a.Hush, a.Explain, a.State, a.Resolved = alerts.Hush{}, alerts.Explanation{}, alerts.Resolved, a.Updated
	if zh, _ = alerts.Explain(a); !strings.Contains(zh, "没有扣留；已于 14:00 解除") || !strings.Contains(zh, "没有因防火期、火险或预警提高") {
		t.Error(zh)
	}
	zh, en := alerts.Explain(alerts.Alert{})
	if zh == "" || en == "" {
		t.Error("an empty alert has no sentence")
	}
}

func TestASentenceIsBounded(t *testing.T) {
	a := explained()
	a.Summary = strings.Repeat("烟", 5000)
	zh, _ := alerts.Explain(a)
	if len(zh) > 2000 || !utf8.ValidString(zh) {
		t.Errorf("%d bytes", len(zh))
	}
}

// A sensor that fell silent while its alert stood brings its buffer: what was
// calm since then ends the alert, and the end says that it came late.
func TestABufferThatComesLateClosesTheQuestion(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.calm(0, 10)
	s.sees(11*time.Minute, values{smoke: 9, co: 60})
	s.only()
	s.at(3 * time.Hour)
	for m := 12; m <= 60; m++ {
		s.late(contract.Environment, time.Duration(m)*time.Minute, values{smoke: 0.1, co: 1, temp: 18, flame: 0})
	}
	if a := s.only(); a.State != alerts.Resolved || a.Explain.Outcome != alerts.LateCloses {
		t.Errorf("%s, %q: %s", a.State, a.Explain.Outcome, reasons(a))
	}
}
