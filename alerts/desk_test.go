package alerts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

var (
	deskAreas = alerts.IndexAreas([]alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
		{Code: "130633101", Name: "西陵镇", Level: alerts.Township, Parent: "130633"},
	})
	deskRules = []alerts.Rule{
		{Name: "fire", Type: alerts.SensorFire, Family: alerts.FamilyFire, Fresh: time.Hour, Inhibits: []string{"rise", "low"}},
		{Name: "rise", Type: alerts.Condition, Family: alerts.FamilyFire, Fresh: time.Hour},
		{Name: "low", Type: alerts.BatteryLow, Family: alerts.FamilyDevice},
		{Name: "report", Type: alerts.SourceReport, Family: alerts.FamilyFire},
		{Name: "help", Type: alerts.SOSCall, Family: alerts.FamilyPerson},
	}
	deskT0 = time.Date(2026, 3, 14, 6, 0, 0, 0, time.UTC)
)

func isSensor(id contract.DeviceID) bool { return strings.HasPrefix(string(id), "S") }

func newTestDesk() *alerts.Desk {
	d := alerts.NewDesk(isSensor)
	d.Use(deskRules, alerts.DefaultIncidents(), deskAreas)
	return d
}

// deskAlert stands at km north of a place.
func deskAlert(id, rule string, device contract.DeviceID, level alerts.Severity, km float64) *alerts.Alert {
	return &alerts.Alert{
		ID: id, Rule: rule, Device: device, Area: "130633101", Lat: 39.37 + km/111.195, Lon: 115.35, HasPlace: true,
		Severity: level, State: alerts.Firing, Measured: deskT0, Raised: deskT0, Updated: deskT0,
		Evidence: []alerts.Evidence{{Device: device, Field: "co_ppm", Measured: deskT0, Value: 60}},
	}
}

func hears(d *alerts.Desk, now time.Time, as ...*alerts.Alert) {
	for _, a := range as {
		d.Hear(now, alerts.Finding{Kind: alerts.Raised, Alert: a})
	}
	d.Settle(now)
}

func onDesk(d *alerts.Desk, id string) *alerts.Alert {
	for _, a := range d.Standing() {
		if a.ID == id {
			return a
		}
	}
	return nil
}

func TestTheNearestIncidentIsJoined(t *testing.T) {
	d := newTestDesk()
	hears(d, deskT0, deskAlert("al-1", "fire", "S1", alerts.Orange, 0), deskAlert("al-2", "fire", "S2", alerts.Orange, 3),
		deskAlert("al-3", "fire", "S3", alerts.Yellow, 1.8), deskAlert("al-4", "fire", "S4", alerts.Red, 1.2), deskAlert("al-5", "fire", "S5", alerts.Red, 5.2))
	in := func(id string) string { return onDesk(d, id).Incident }
	if in("al-1") == in("al-2") || in("al-3") != in("al-2") || in("al-4") != in("al-1") || in("al-5") == in("al-2") || in("al-5") == "" {
		t.Errorf("incidents %q %q %q %q %q", in("al-1"), in("al-2"), in("al-3"), in("al-4"), in("al-5"))
	}
	x, _ := d.Incident(in("al-1"))
	if x.Severity != alerts.Red || x.Alerts != 2 || x.Title != "易县西陵镇疑似火情" {
		t.Errorf("incident %+v", x)
	}
}

func TestWhatIsNoFireIsOfNoIncident(t *testing.T) {
	d := newTestDesk()
	smoke, kiln := deskAlert("al-3", "report", "T1", alerts.Orange, 9), deskAlert("al-4", "report", "T2", alerts.Orange, 9)
	smoke.Evidence[0].Field, kiln.Evidence[0].Field = "category:smoke", "category:kiln"
	over := deskAlert("al-5", "fire", "S9", alerts.Orange, 30)
	over.State = alerts.Resolved // came too late to stand
	hears(d, deskT0, deskAlert("al-1", "help", "T1", alerts.Red, 9), deskAlert("al-2", "low", "S2", alerts.Notice, 9), smoke, kiln, over,
		deskAlert("al-6", "gone", "S1", alerts.Red, 9))
	for id, want := range map[string]bool{"al-1": false, "al-2": false, "al-3": true, "al-4": false, "al-6": false} {
		if got := onDesk(d, id).Incident != ""; got != want {
			t.Errorf("%s is of an incident: %v", id, got)
		}
	}
	if over.Incident != "" {
		t.Error("what is over opened an incident")
	}
}

func TestWithoutAPlaceADevicesAlertsAreTheirOwnIncident(t *testing.T) {
	d := newTestDesk()
	one, two, other := deskAlert("al-1", "fire", "S1", alerts.Orange, 0), deskAlert("al-2", "rise", "S1", alerts.Orange, 0), deskAlert("al-3", "fire", "S2", alerts.Orange, 0)
	for _, a := range []*alerts.Alert{one, two, other} {
		a.HasPlace, a.Lat, a.Lon = false, 0, 0
	}
	hears(d, deskT0, one, two, other, deskAlert("al-4", "fire", "S1", alerts.Orange, 0))
	if one.Incident == "" || two.Incident != one.Incident || other.Incident == one.Incident || onDesk(d, "al-4").Incident == one.Incident {
		t.Errorf("incidents %q %q %q %q", one.Incident, two.Incident, other.Incident, onDesk(d, "al-4").Incident)
	}
}

func TestAGraverAlertInhibitsTheSameDevicesLesserOnes(t *testing.T) {
	d := newTestDesk()
	fire := deskAlert("al-1", "fire", "S1", alerts.Orange, 0)
	hears(d, deskT0, fire, deskAlert("al-2", "rise", "S1", alerts.Yellow, 0), deskAlert("al-3", "rise", "S2", alerts.Yellow, 0),
		deskAlert("al-4", "low", "S1", alerts.Notice, 0), deskAlert("al-5", "help", "S1", alerts.Notice, 0), deskAlert("al-6", "rise", "S1", alerts.Orange, 0))
	for id, want := range map[string]string{"al-1": "", "al-2": "al-1", "al-3": "", "al-4": "al-1", "al-5": "", "al-6": ""} {
		if got := onDesk(d, id).Hush.By; got != want {
			t.Errorf("%s is hushed by %q, want %q", id, got, want)
		}
	}
	// A person silences the graver one: the lesser must not be silent with it.
	d.Silence([]alerts.Silence{{ID: "si-1", Rule: "fire", Device: "S1", From: deskT0, Until: deskT0.Add(time.Hour)}})
	d.Settle(deskT0.Add(time.Second))
	if h := onDesk(d, "al-2").Hush; h.Hushed() {
		t.Errorf("hushed by a silenced alert: %+v", h)
	}
	d.Silence(nil)
	d.Settle(deskT0.Add(2 * time.Second))
	over := *onDesk(d, "al-1")
	over.State = alerts.Resolved
	d.Hear(deskT0.Add(time.Minute), alerts.Finding{Kind: alerts.Ended, Alert: &over})
	changed := d.Settle(deskT0.Add(time.Minute))
	if len(changed) != 2 || onDesk(d, "al-2").Hush.Hushed() || onDesk(d, "al-4").Hush.Hushed() {
		t.Errorf("%d alerts came forth", len(changed))
	}
}

func TestASilenceMatchesByRuleDeviceAndArea(t *testing.T) {
	for name, c := range map[string]struct {
		s    alerts.Silence
		want bool
	}{
		"area above":      {alerts.Silence{Area: "130600"}, true},
		"another area":    {alerts.Silence{Area: "130634"}, false},
		"device":          {alerts.Silence{Device: "S1"}, true},
		"another device":  {alerts.Silence{Device: "S2", Area: "130600"}, false},
		"rule and area":   {alerts.Silence{Rule: "fire", Area: "130633"}, true},
		"another rule":    {alerts.Silence{Rule: "rise", Area: "130633"}, false},
		"a rule alone":    {alerts.Silence{Rule: "fire"}, false},
		"not yet":         {alerts.Silence{Device: "S1", From: deskT0.Add(time.Second)}, false},
		"over":            {alerts.Silence{Device: "S1", Until: deskT0}, false},
		"lifted":          {alerts.Silence{Device: "S1", Ended: deskT0}, false},
		"lifted later on": {alerts.Silence{Device: "S1", Ended: deskT0.Add(time.Second)}, true},
	} {
		d := newTestDesk()
		if c.s.From.IsZero() {
			c.s.From = deskT0
		}
		if c.s.Until.IsZero() {
			c.s.Until = deskT0.Add(time.Hour)
		}
		c.s.ID = "si-1"
		d.Silence([]alerts.Silence{c.s})
		hears(d, deskT0, deskAlert("al-1", "fire", "S1", alerts.Orange, 0), deskAlert("al-2", "help", "S1", alerts.Red, 0))
		if got := onDesk(d, "al-1").Hush.Hushed(); got != c.want {
			t.Errorf("%s: hushed %v", name, got)
		}
		if onDesk(d, "al-2").Hush.Hushed() {
			t.Errorf("%s: an SOS is hushed", name)
		}
	}
}

// A silence that is known ahead begins and ends by time alone.
func TestSilencesBeginAndEndByTheClock(t *testing.T) {
	d := newTestDesk()
	hears(d, deskT0, deskAlert("al-1", "low", "S1", alerts.Notice, 0))
	d.Silence([]alerts.Silence{{ID: "si-1", Device: "S1", From: deskT0.Add(time.Minute), Until: deskT0.Add(time.Hour)}})
	for _, step := range []struct {
		after   time.Duration
		changed int
		hushed  bool
	}{{time.Second, 0, false}, {time.Minute, 1, true}, {time.Hour - 1, 0, true}, {time.Hour, 1, false}, {2 * time.Hour, 0, false}} {
		if n := len(d.Settle(deskT0.Add(step.after))); n != step.changed || onDesk(d, "al-1").Hush.Hushed() != step.hushed {
			t.Errorf("after %s: %d changed, hush %+v", step.after, n, onDesk(d, "al-1").Hush)
		}
	}
}

func TestAnOutgrownSilenceHushesNoMore(t *testing.T) {
	d := newTestDesk()
	d.Silence([]alerts.Silence{{ID: "si-1", Device: "S1", From: deskT0, Until: deskT0.Add(time.Hour)}})
	hears(d, deskT0, deskAlert("al-1", "low", "S1", alerts.Notice, 0))
	graver := *onDesk(d, "al-1")
	graver.Severity = alerts.Yellow
	d.Hear(deskT0.Add(time.Second), alerts.Finding{Kind: alerts.Updated, Alert: &graver})
	d.Settle(deskT0.Add(time.Second))
	if a := onDesk(d, "al-1"); a.Hush.Hushed() || a.Hush.Past != "si-1" {
		t.Errorf("hush %+v", a.Hush)
	}
	// Another silence, made in knowledge of that, hushes it again.
	d.Silence([]alerts.Silence{{ID: "si-2", Device: "S1", From: deskT0, Until: deskT0.Add(time.Hour)}})
	d.Settle(deskT0.Add(2 * time.Second))
	if a := onDesk(d, "al-1"); a.Hush.By != "si-2" || a.Hush.Severity != alerts.Yellow {
		t.Errorf("hush %+v", a.Hush)
	}
}

// Whatever happens: an SOS is before people; a desk made anew of the rows finds
// nothing to do; the same story told twice ends the same.
func TestADeskMadeAnewOfRowsFindsNothingToDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct{ What, Device, Rule, Level, Minutes int }
		story := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			n := func(most int) int { return rapid.IntRange(0, most).Draw(rt, "n") }
			return step{n(9), n(3), n(len(deskRules) - 1), n(4), n(50)}
		}), 1, 40).Draw(rt, "story")
		tell := func() ([]*alerts.Alert, map[string]alerts.Incident, []alerts.Silence, time.Time) {
			d, now, rows := newTestDesk(), deskT0, map[string]alerts.Incident{}
			var silences []alerts.Silence
			for i, s := range story {
				now = now.Add(time.Duration(s.Minutes) * time.Minute)
				all := slices.Clip(d.Standing())
				switch {
				case s.What <= 4:
					a := deskAlert(fmt.Sprintf("al-%03d", i), deskRules[s.Rule].Name, contract.DeviceID(fmt.Sprintf("S%d", s.Device)),
						alerts.Severity(s.Level), float64(s.Device)*0.9)
					a.Measured, a.Raised = now, now
					d.Hear(now, alerts.Finding{Kind: alerts.Raised, Alert: a})
				case s.What == 5 && len(all) > 0:
					a := *all[s.Device%len(all)]
					a.State = alerts.Resolved
					d.Hear(now, alerts.Finding{Kind: alerts.Ended, Alert: &a})
				case s.What == 6 && len(all) > 0:
					a := *all[s.Device%len(all)]
					a.Severity = max(a.Severity, alerts.Severity(s.Level))
					d.Hear(now, alerts.Finding{Kind: alerts.Updated, Alert: &a})
				case s.What == 7:
					silences = append(silences, alerts.Silence{
						ID: fmt.Sprintf("si-%03d", i), Device: contract.DeviceID(fmt.Sprintf("S%d", s.Device)), From: now,
						Until: now.Add(time.Duration(s.Level+1) * time.Hour),
					})
					d.Silence(slices.Clone(silences))
				case len(rows) > 0:
					ids := make([]string, 0, len(rows))
					for id := range rows {
						ids = append(ids, id)
					}
					slices.Sort(ids)
					in := rows[ids[s.Device%len(ids)]]
					if in.Closed.IsZero() && in.Refuted.IsZero() {
						if in.By = "duty"; s.What == 8 {
							in.Confirmed = now
						} else {
							in.Refuted = now
						}
						rows[in.ID] = in
						d.Said([]alerts.Incident{in})
					}
				}
				for range 3 { // what was closed is seen at the next look
					d.Settle(now)
					for _, in := range d.Changed() {
						rows[in.ID] = in
					}
				}
				for _, a := range d.Standing() {
					if a.Rule == "help" && (a.Hush != (alerts.Hush{}) || a.Incident != "") {
						rt.Fatalf("an SOS is hidden: %+v", a)
					}
				}
			}
			return d.Standing(), rows, silences, now
		}
		standing, rows, silences, now := tell()
		anew := newTestDesk()
		for _, a := range standing {
			c := *a
			anew.Restore(&c)
			if in, ok := rows[a.Incident]; ok {
				anew.RestoreIncident(in)
			}
		}
		for _, in := range rows {
			if in.Closed.IsZero() {
				anew.RestoreIncident(in)
			}
		}
		anew.Silence(silences)
		if as, is := anew.Settle(now), anew.Changed(); len(as) > 0 || len(is) > 0 {
			for _, a := range as {
				i := slices.IndexFunc(standing, func(x *alerts.Alert) bool { return x.ID == a.ID })
				rt.Logf("%s changed:\n%s", a.ID, cmp.Diff(standing[i], a))
			}
			rt.Fatalf("a desk made anew changes %d alerts and %+v", len(as), is)
		}
		again, rowsAgain, _, _ := tell()
		if d := cmp.Diff(standing, again) + cmp.Diff(rows, rowsAgain, cmp.Transformer("id", func(in alerts.Incident) alerts.Incident { return in })); d != "" {
			rt.Fatalf("told twice:\n%s", d)
		}
	})
}

func TestRuleFileSaysWhatIsOneIncident(t *testing.T) {
	base := string(alerts.DemoRules())
	set, err := alerts.ParseRules([]byte(base))
	if err != nil || set.Incidents != alerts.DefaultIncidents() {
		t.Fatalf("%+v, %v", set.Incidents, err)
	}
	if !set.IsSOS("sos") || set.IsSOS("sensor_fire") || set.IsSOS("none") {
		t.Error("which rule is of calls for help is not known")
	}
	set, err = alerts.ParseRules([]byte("incidents: {within_km: 0.5, quiet: 30m}\n" +
		strings.Replace(base, "    inhibits: [co_rise, temp_rise]\n", "    inhibits: [battery_low]\n", 1)))
	if err != nil || set.Incidents != (alerts.IncidentSettings{WithinKM: 0.5, Quiet: 30 * time.Minute}) {
		t.Fatalf("%+v, %v", set.Incidents, err)
	}
	if i := slices.IndexFunc(set.Rules, func(r alerts.Rule) bool { return r.Name == "sensor_fire" }); !slices.Equal(set.Rules[i].Inhibits, []string{"battery_low"}) {
		t.Errorf("inhibits %q", set.Rules[i].Inhibits)
	}
	for _, bad := range []struct{ head, inhibits, want string }{
		{"incidents: {within_km: 51}\n", "", "line 1: within_km: 51: want 0..50"},
		{"incidents: {quiet: 1s}\n", "", "line 1: quiet: 1s: want 1m0s..168h0m0s"},
		{"incidents: {far: 1}\n", "", `unknown field "far"`},
		{"", "[none]", `inhibits: "none": no such rule`},
		{"", "[sensor_fire]", "a rule does not inhibit itself"},
		{"", "[sos]", "an SOS is never inhibited"},
	} {
		text := bad.head + base
		if bad.inhibits != "" {
			text = strings.Replace(base, "    inhibits: [co_rise, temp_rise]\n", "    inhibits: "+bad.inhibits+"\n", 1)
		}
		if _, err := alerts.ParseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v, want %q", err, bad.want)
		}
	}
}
