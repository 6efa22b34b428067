package alerts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// presses plays an SOS measured so long after noon and received at the story's
// time.
func (s *story) presses(after time.Duration, text string) []alerts.Finding {
	s.t.Helper()
	r := s.reading(contract.SOS, after, values{contract.Active: 1, contract.Lat: 39.4, contract.Lon: 115.4})
	r.Code, r.Text = "button", text
	return s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
}

func (s *story) callsOff(after time.Duration) {
	s.t.Helper()
	s.late(contract.SOS, after, values{contract.Active: 0})
}

func TestLateSOSStillNotifies(t *testing.T) {
	s := tell(t, alerts.SOSCall).at(47 * time.Minute)
	s.presses(0, "腿摔了")
	a := s.only()
	if a.Severity != alerts.Red || a.State != alerts.Firing || a.Late != 47*time.Minute {
		t.Errorf("alert %+v", a)
	}
	if want := "SOS，47 分钟前（12:00），易县西陵镇护林员张三按下求救键：“腿摔了”"; a.Summary != want {
		t.Errorf("summary %q, want %q", a.Summary, want)
	}
	if want := "SOS, 47 min ago, warden T1 pressed the SOS button: “腿摔了”"; a.SummaryEn != want {
		t.Errorf("summary %q, want %q", a.SummaryEn, want)
	}
	for m := range 60 * 24 * 3 {
		s.tick(time.Duration(m) * time.Minute)
	}
	if s.only().State != alerts.Firing {
		t.Error("ended by time")
	}
}

func TestSOSPressedAgainIsOneAlert(t *testing.T) {
	s := tell(t, alerts.SOSCall)
	for i := range 10 {
		s.at(time.Duration(i)*time.Minute).presses(time.Duration(i)*time.Minute, "")
	}
	if a := s.only(); len(a.Evidence) != 10 {
		t.Errorf("%d pieces of evidence, want 10", len(a.Evidence))
	}
	if n := len(s.at(3*time.Hour).presses(3*time.Hour, "")); n != 1 || len(s.alerts) != 2 {
		t.Errorf("a press hours later: %d findings, %d alerts; want a second alert", n, len(s.alerts))
	}
}

func TestSOSCalledOffByTheWarden(t *testing.T) {
	s := tell(t, alerts.SOSCall).at(0)
	s.presses(0, "")
	s.at(5 * time.Minute).callsOff(5 * time.Minute)
	if a := s.only(); a.State != alerts.Resolved || !strings.Contains(reasons(a), "护林员于 12:05 取消求救") {
		t.Fatalf("alert %s %q", a.State, a.Reasons)
	}
	s.at(8*time.Minute).presses(8*time.Minute, "")
	if len(s.alerts) != 2 {
		t.Errorf("%d alerts, want a new one for a press after the word", len(s.alerts))
	}
}

func TestLateWordThatItIsOverDoesNotEndANewerCall(t *testing.T) {
	s := tell(t, alerts.SOSCall).at(10 * time.Minute)
	s.presses(0, "")
	s.presses(10*time.Minute, "")
	s.callsOff(5 * time.Minute)
	if a := s.only(); a.State != alerts.Firing || !strings.Contains(reasons(a), "其后又求救") {
		t.Errorf("alert %s %q", a.State, a.Reasons)
	}
}

func TestSOSThatComesAfterItWasCalledOffIsStillTold(t *testing.T) {
	s := tell(t, alerts.SOSCall).at(time.Hour)
	s.callsOff(30 * time.Minute)
	s.none("no call yet")
	s.presses(0, "")
	if a := s.only(); a.State != alerts.Resolved || s.log[0] != alerts.Raised || !strings.Contains(reasons(a), "取消") {
		t.Errorf("alert %s, log %v, reasons %q", a.State, s.log, a.Reasons)
	}
}

// TestSOSAfterAWordWhoseClockRanAhead: a word counts from when it was received
// at the latest. What is pressed after it fires, what was pressed before it is
// told as over.
func TestSOSAfterAWordWhoseClockRanAhead(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		name string
		play func(*story)
		want alerts.AlertState
	}{
		{"press of the same moment", func(s *story) {
			s.at(0).callsOff(9 * minute)
			s.presses(0, "")
		}, alerts.Firing},
		{"presses go on", func(s *story) {
			s.at(0).callsOff(9 * minute)
			s.at(minute).presses(minute, "")
			s.at(2*minute).presses(2*minute, "")
		}, alerts.Firing},
		{"presses of the same moment are one alert", func(s *story) {
			s.at(0).callsOff(9 * minute)
			s.presses(0, "")
			s.at(2*minute).presses(2*minute, "")
		}, alerts.Firing},
		{"the press runs ahead too", func(s *story) {
			s.at(0).callsOff(9 * minute)
			s.at(minute).presses(9*minute, "")
		}, alerts.Firing},
		{"late press from before the word", func(s *story) {
			s.at(0).callsOff(9 * minute)
			s.at(minute).presses(-5*minute, "")
		}, alerts.Resolved},
		{"a clock that is always ahead still calls off", func(s *story) {
			s.at(0).presses(9*minute, "")
			s.at(3 * minute).callsOff(12 * minute)
		}, alerts.Resolved},
		{"press and word of one batch", func(s *story) {
			s.at(0).callsOff(7 * minute)
			s.presses(8*minute, "")
			s.callsOff(9 * minute)
		}, alerts.Resolved},
		{"a copy of the word comes after the press", func(s *story) {
			s.at(0).callsOff(9 * minute)
			s.at(minute).presses(minute, "")
			s.at(2 * minute).callsOff(9 * minute)
			s.at(20 * minute).callsOff(9 * minute)
		}, alerts.Firing},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, alerts.SOSCall)
			c.play(s)
			if a := s.only(); a.State != c.want || s.log[0] != alerts.Raised {
				t.Errorf("%s, log %v, reasons %q; want %s", a.State, s.log, a.Reasons, c.want)
			}
		})
	}
}

func TestSOSOfAnUnknownDeviceFailsOpen(t *testing.T) {
	s := tell(t, alerts.SOSCall).at(0)
	s.ctx.Device = nil
	s.presses(0, "")
	if a := s.only(); a.Area != "" || !a.HasPlace || !strings.Contains(a.Summary, "区域不明") || a.Severity != alerts.Red {
		t.Errorf("alert %+v", a)
	}
}

// TestSOSEpisodes: whatever is delivered twice changes nothing; in whatever
// order presses come, they are one alert; and whether it stands depends on the
// warden's newest word alone.
func TestSOSEpisodes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type word struct {
			minute int
			off    bool
		}
		words := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) word {
			return word{rapid.IntRange(0, 50).Draw(rt, "minute"), rapid.IntRange(0, 4).Draw(rt, "off") == 0}
		}), 1, 12, func(w word) int { return w.minute }).Draw(rt, "words")
		play := func(words []word) map[string]alerts.Alert {
			s := tell(t, alerts.SOSCall).at(time.Hour)
			for _, w := range words {
				v := values{contract.Active: 1}
				if w.off {
					v[contract.Active] = 0
				}
				r := s.reading(contract.SOS, time.Duration(w.minute)*time.Minute, v)
				s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
			}
			return s.alerts
		}
		once := play(words)
		var twice []word
		for _, w := range words {
			twice = append(twice, w, w)
		}
		if again := play(append(twice, words...)); fmt.Sprint(keys(once)) != fmt.Sprint(keys(again)) {
			rt.Fatalf("delivered twice: %v, once: %v", keys(again), keys(once))
		}
		newest := slices.MaxFunc(words, func(a, b word) int { return a.minute - b.minute })
		open, pressed, off := 0, false, false
		for _, a := range once {
			if a.State == alerts.Firing {
				open++
			}
		}
		for _, w := range words {
			pressed, off = pressed || !w.off, off || w.off
		}
		if stands := open > 0; stands != !newest.off {
			rt.Fatalf("stands: %v, but the newest word is off: %v", stands, newest.off)
		}
		if pressed && len(once) == 0 || !off && len(once) != 1 {
			rt.Fatalf("%d alerts from %v", len(once), words)
		}
	})
}

func keys(m map[string]alerts.Alert) []string {
	var out []string
	for _, a := range m {
		out = append(out, fmt.Sprintf("%s %s %s %d", a.Device, a.Measured.Format(time.TimeOnly), a.State, len(a.Evidence)))
	}
	slices.Sort(out)
	return out
}

// TestFireEpisodesWhateverTheOrder: a fire that alerts in order alerts in any
// order and however often readings come, once.
func TestFireEpisodesWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type point struct {
			minute int
			smoke  float64
			co     float64
		}
		onset := rapid.IntRange(3, 10).Draw(rt, "onset")
		var points []point
		for m := range 16 {
			p := point{m, rapid.Float64Range(0, 1).Draw(rt, "clean"), 1}
			if m >= onset && m < onset+6 {
				p.smoke, p.co = rapid.Float64Range(3, 30).Draw(rt, "smoke"), rapid.Float64Range(0, 90).Draw(rt, "co")
			}
			points = append(points, p)
		}
		play := func(order []int) *story {
			s := tell(t, alerts.SensorFire).at(16 * time.Minute)
			for _, i := range order {
				s.seq = uint64(points[i].minute)
				s.late(contract.Environment, time.Duration(points[i].minute)*time.Minute, values{smoke: points[i].smoke, co: points[i].co})
			}
			return s
		}
		straight := make([]int, len(points))
		for i := range straight {
			straight[i] = i
		}
		want := play(straight)
		if len(want.alerts) != 1 {
			rt.Fatalf("in order: %d alerts, want 1", len(want.alerts))
		}
		mixed := rapid.Permutation(slices.Concat(straight, straight)).Draw(rt, "order")
		got := play(mixed)
		if len(got.alerts) != 1 || got.only().Device != want.only().Device || got.only().Severity != want.only().Severity {
			rt.Fatalf("in order %v: %d alerts", mixed, len(got.alerts))
		}
		twice := play(slices.Concat(straight, straight))
		if fmt.Sprint(keys(twice.alerts)) != fmt.Sprint(keys(want.alerts)) {
			rt.Fatalf("delivered twice: %v, once: %v", keys(twice.alerts), keys(want.alerts))
		}
	})
}

func TestReportedSmokeIsOrangeAndRedInAClosure(t *testing.T) {
	for _, c := range []struct {
		code   string
		season alerts.SeasonKind
		want   alerts.Severity
	}{
		{"smoke", "", alerts.Orange},
		{"fire", "", alerts.Orange},
		{"fire", alerts.Closure, alerts.Red},
		{"farm", "", alerts.Yellow},
		{"farm", alerts.HighDanger, alerts.Orange},
		{"farm", alerts.Prevention, alerts.Yellow},
		{"hazard", "", alerts.Blue},
		{"never heard of", "", alerts.Blue},
	} {
		s := tell(t, alerts.SourceReport).at(0)
		s.ctx.Around.Season = c.season
		r := s.reading(contract.Report, 0, values{contract.Lat: 39.4, contract.Lon: 115.4})
		r.Code, r.Text = c.code, "沟里冒烟"
		s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
		if a := s.only(); a.Severity != c.want || a.Lat != 39.4 || !strings.Contains(a.Summary, "沟里冒烟") {
			t.Errorf("%s in %q: %v %q, want %v", c.code, c.season, a.Severity, a.Summary, c.want)
		}
		s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
		s.at(time.Minute)
		r.Measured, r.Seq = noon.Add(time.Minute), 9
		s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
		if a := s.only(); len(a.Evidence) != 2 {
			t.Errorf("%d pieces of evidence, want 2", len(a.Evidence))
		}
		s.tick(24*time.Hour - time.Second)
		if s.only().State != alerts.Firing {
			t.Error("filed too early")
		}
		s.tick(24*time.Hour + time.Minute)
		if a := s.only(); a.State != alerts.Resolved || !strings.Contains(reasons(a), "自动归档") {
			t.Errorf("not filed: %s %q", a.State, a.Reasons)
		}
	}
}

func TestBatteryIsANoticeAndLateOnesSayNothing(t *testing.T) {
	s := tell(t, alerts.BatteryLow).at(5 * time.Hour)
	s.late(contract.Position, 0, values{contract.BatteryPct: 3})
	s.none("a late fix")
	s.late(contract.Position, 5*time.Hour, values{contract.BatteryPct: 12})
	if a := s.only(); a.Severity != alerts.Notice || a.State != alerts.Firing {
		t.Fatalf("alert %+v", a)
	}
	s.late(contract.Position, time.Hour, values{contract.BatteryPct: 90})
	s.at(5*time.Hour+time.Minute).late(contract.Position, 5*time.Hour+time.Minute, values{contract.BatteryPct: 20})
	if s.only().State != alerts.Firing {
		t.Fatal("cleared by a late reading, or below the clearing level")
	}
	s.at(6*time.Hour).late(contract.Position, 6*time.Hour, values{contract.BatteryPct: 80})
	if s.only().State != alerts.Resolved {
		t.Error("not cleared")
	}
}

func TestNeverSeenDeviceIsSilent(t *testing.T) {
	s := tell(t, alerts.DeviceSilent)
	s.tick(0)
	s.tick(9 * time.Minute)
	s.none("within its time")
	s.tick(10 * time.Minute)
	if s.st.State != alerts.Pending {
		t.Fatalf("state %q, want pending", s.st.State)
	}
	s.tick(11 * time.Minute)
	if a := s.only(); a.Severity != alerts.Notice || !strings.Contains(a.Summary, "从未上报") {
		t.Errorf("alert %v %q", a.Severity, a.Summary)
	}
}

func TestOnlyANewMeasurementProvesLife(t *testing.T) {
	s := tell(t, alerts.DeviceSilent)
	s.kind = contract.Sensor
	s.ctx.Device.Kind = contract.Sensor
	s.ctx.Around.Season = alerts.HighDanger
	s.sees(0, values{temp: 18})
	s.tick(5 * time.Minute)
	s.tick(6 * time.Minute)
	a := s.only()
	if a.Severity != alerts.Yellow || !a.Measured.Equal(noon) {
		t.Fatalf("alert %v measured %v", a.Severity, a.Measured)
	}
	s.at(20 * time.Minute)
	s.late(contract.Environment, time.Minute, values{temp: 18}) // buffered
	s.late(contract.Status, 20*time.Minute, values{contract.UptimeS: 5})
	s.late(contract.Environment, time.Minute, values{temp: 18}) // a cached frame
	s.tick(20*time.Minute + time.Second)
	if s.only().State != alerts.Firing {
		t.Fatal("late data, a heartbeat or a cached frame proved life")
	}
	s.sees(21*time.Minute, values{temp: 18})
	if a := s.only(); a.State != alerts.Resolved || !strings.Contains(reasons(a), "恢复上报") {
		t.Errorf("alert %s %q", a.State, a.Reasons)
	}
}

func TestSilentTellsOfMessagesWithoutMeasurements(t *testing.T) {
	s := tell(t, alerts.DeviceSilent)
	s.at(0).late(contract.Position, 0, nil)
	s.at(8*time.Minute).late(contract.Position, -time.Hour, nil)
	s.at(9*time.Minute).late(contract.Status, 9*time.Minute, values{contract.Online: 0})
	s.tick(10 * time.Minute)
	s.tick(12 * time.Minute)
	if a := s.only(); !strings.Contains(reasons(a), "仍收到消息") {
		t.Errorf("reasons %q", a.Reasons)
	}
}

func TestADeviceThatIsNoLongerExpectedIsNotSilent(t *testing.T) {
	s := tell(t, alerts.DeviceSilent)
	s.tick(0)
	s.tick(10 * time.Minute)
	s.tick(11 * time.Minute)
	s.only()
	s.ctx.Device.Expect = 0
	s.tick(12 * time.Minute)
	if a := s.only(); a.State != alerts.Resolved || s.st.State != "" {
		t.Errorf("alert %s, state %q", a.State, s.st.State)
	}
	s.tick(time.Hour)
	s.only()
}

func TestSilenceWhileNobodyListenedIsNotTheDevices(t *testing.T) {
	s := tell(t, alerts.DeviceSilent)
	s.at(0).late(contract.Position, 0, nil)
	s.ctx.Listening = noon.Add(3 * time.Hour)
	s.tick(3*time.Hour + 9*time.Minute)
	s.none("the engine was down")
	s.tick(3*time.Hour + 10*time.Minute)
	s.tick(3*time.Hour + 11*time.Minute)
	s.only()
}

func TestAnOutageIsOneAlertAndHoldsTheOthers(t *testing.T) {
	s := tell(t, alerts.DeviceSilent)
	var devices []*story
	for i := range 12 {
		d := tell(t, alerts.DeviceSilent)
		d.id = contract.DeviceID(fmt.Sprintf("T%02d", i))
		d.ctx.Device.ID, d.st.Subject = d.id, string(d.id)
		d.at(0).late(contract.Position, 0, nil)
		devices = append(devices, d)
	}
	area := alerts.SubjectState{Rule: s.rule.Name, Subject: alerts.OutageSubject("130633")}
	var outage alerts.Alert
	minute := func(after time.Duration, back int) {
		now := noon.Add(after)
		count := alerts.CountySilence{County: someAreas["130633"], Expected: len(devices)}
		for _, d := range devices {
			count.Count(now, &s.rule, &d.st)
		}
		var found []alerts.Finding
		area, found = alerts.StepOutage(now, &s.rule, area, count, &alerts.Context{Areas: someAreas})
		for _, f := range found {
			outage = *f.Alert
		}
		for i, d := range devices {
			d.ctx.Outage = area.Standing()
			if i < back {
				d.at(after).late(contract.Position, after, nil)
			}
			d.tick(after)
		}
	}
	for m := range 20 {
		minute(time.Duration(m)*time.Minute, 0)
	}
	if outage.State != alerts.Firing || len(outage.Evidence) != 12 || outage.Area != "130633" || outage.Severity != alerts.Yellow {
		t.Fatalf("outage %+v", outage)
	}
	for _, d := range devices {
		d.none("explained by the outage")
		if d.st.Memory.Held != outage.ID {
			t.Errorf("%s: nothing tells what holds it back", d.id)
		}
	}
	minute(21*time.Minute, 11)
	minute(22*time.Minute, 11)
	minute(23*time.Minute, 11)
	if outage.State != alerts.Resolved {
		t.Fatalf("outage %s with one device silent", outage.State)
	}
	if a := devices[11].only(); a.State != alerts.Firing {
		t.Error("the one that is still silent has no alert")
	}
	devices[0].none("it is back")
}

func TestTheRicherCopyOfAnSOSStays(t *testing.T) {
	s := tell(t, alerts.SOSCall).at(0)
	s.presses(0, "")
	s.seq = 0
	s.presses(0, "在北沟")
	s.seq = 0
	s.presses(0, "")
	if a := s.only(); len(a.Evidence) != 1 || !strings.Contains(a.Evidence[0].Note, "在北沟") {
		t.Errorf("evidence %+v", a.Evidence)
	}
}

func TestAReportBesideAPermitSaysSoAndStands(t *testing.T) {
	permit := alerts.Source{
		ID: "p1", Kind: alerts.SourcePermit, Name: "果园烧枝", Lat: 39.371, Lon: 115.35, RadiusM: 30,
		From: noon.Add(-time.Hour), To: noon.Add(time.Hour),
	}
	without, with := tell(t, alerts.SourceReport).at(0), tell(t, alerts.SourceReport).at(0)
	with.ctx.Sources = alerts.IndexSources(alerts.SourceTable{Sources: []alerts.Source{permit}})
	var got [2]alerts.Alert
	for i, s := range []*story{without, with} {
		r := s.reading(contract.Report, 0, nil)
		r.Code = "smoke"
		for _, f := range s.step(alerts.Input{Kind: alerts.Judge, Reading: &r}) {
			got[i] = *f.Alert
		}
	}
	if n := len(got[1].Reasons); n != len(got[0].Reasons)+1 || !strings.Contains(got[1].Reasons[n-1], "附近 110 m 有已登记用火许可（果园烧枝") {
		t.Errorf("reasons: %q", got[1].Reasons)
	}
	if got[1].Severity != got[0].Severity || got[1].State != alerts.Firing {
		t.Errorf("the permit changed the alert: %+v", got[1])
	}
}
