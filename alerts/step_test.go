package alerts_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func itoa(n int) string { return strconv.Itoa(n) }

// noon is a calm autumn day without any season.
var noon = time.Date(2026, 9, 15, 4, 0, 0, 0, time.UTC)

var someAreas = alerts.IndexAreas([]alerts.Area{
	{Code: "130600", Name: "保定市", Level: alerts.City},
	{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600", Lat: 39.35, Lon: 115.5},
	{Code: "130633101", Name: "西陵镇", Level: alerts.Township, Parent: "130633", Lat: 39.37, Lon: 115.35},
})

var demoRules = sync.OnceValues(func() (alerts.RuleSet, error) { return alerts.ParseRules(alerts.DemoRules()) })

// story plays readings to one rule about one device.
type story struct {
	t      *testing.T
	rule   alerts.Rule
	ctx    alerts.Context
	st     alerts.SubjectState
	now    time.Time
	kind   contract.Kind
	id     contract.DeviceID
	seq    uint64
	alerts map[string]alerts.Alert
	log    []alerts.FindingKind
	held   []string
}

func tell(t *testing.T, typ alerts.RuleType) *story {
	t.Helper()
	set, err := demoRules()
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, now: noon, alerts: map[string]alerts.Alert{}, kind: contract.Tracker, id: "T1"}
	s.rule = set.Rules[slices.IndexFunc(set.Rules, func(r alerts.Rule) bool { return r.Type == typ })]
	if typ == alerts.SensorFire {
		s.kind, s.id = contract.Sensor, "S1"
	}
	s.ctx = alerts.Context{
		Areas: someAreas, Listening: noon,
		Device: &alerts.Device{ID: s.id, Kind: s.kind, Area: "130633101", Name: "张三", Lat: 39.37, Lon: 115.35, Expect: time.Minute},
	}
	s.st = alerts.SubjectState{Rule: s.rule.Name, Subject: string(s.id)}
	return s
}

func (s *story) step(in alerts.Input) []alerts.Finding {
	s.t.Helper()
	var found []alerts.Finding
	s.st, found = alerts.Step(s.now, &s.rule, s.st, in, &s.ctx)
	for _, f := range found {
		s.log = append(s.log, f.Kind)
		if f.Alert == nil {
			s.held = append(s.held, f.Reason)
			continue
		}
		if len(f.Alert.Evidence) > 50 {
			s.t.Errorf("%d pieces of evidence", len(f.Alert.Evidence))
		}
		s.alerts[f.Alert.ID] = *f.Alert
	}
	return found
}

type values map[contract.Field]float64

// reading is measured so long after noon, and received now.
func (s *story) reading(class contract.Class, after time.Duration, v values) contract.Reading {
	s.seq++
	r := contract.Reading{
		Device: s.id, Kind: s.kind, Class: class, Measured: noon.Add(after), Received: s.now, Seq: s.seq, HasSeq: true,
	}
	for f, x := range v {
		r.Values.Set(f, x)
	}
	return r
}

// at moves the clock to so long after noon.
func (s *story) at(after time.Duration) *story { s.now = noon.Add(after); return s }

// sees plays a reading that comes as it is measured.
func (s *story) sees(after time.Duration, v values) {
	s.t.Helper()
	s.at(after)
	r := s.reading(contract.Environment, after, v)
	s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
}

// late plays a reading measured then and received now.
func (s *story) late(class contract.Class, after time.Duration, v values) {
	s.t.Helper()
	r := s.reading(class, after, v)
	s.step(alerts.Input{Kind: alerts.Judge, Reading: &r})
}

func (s *story) tick(after time.Duration) {
	s.t.Helper()
	s.at(after).step(alerts.Input{Kind: alerts.Tick})
}

func (s *story) only() alerts.Alert {
	s.t.Helper()
	if len(s.alerts) != 1 {
		s.t.Fatalf("%d alerts, want 1: %v", len(s.alerts), s.alerts)
	}
	for _, a := range s.alerts {
		return a
	}
	panic("unreachable")
}

func (s *story) none(when string) {
	s.t.Helper()
	if len(s.alerts) != 0 {
		s.t.Fatalf("%s: raised %v", when, s.only().Summary)
	}
}

func reasons(a alerts.Alert) string { return strings.Join(a.Reasons, "; ") }

const (
	smoke = contract.SmokeObsPctM
	co    = contract.CoPPM
	temp  = contract.TempC
	flame = contract.Flame
)

// calm plays quiet readings, one a minute, from and to included.
func (s *story) calm(from, to int) {
	s.t.Helper()
	for m := from; m <= to; m++ {
		s.sees(time.Duration(m)*time.Minute, values{smoke: 0.1, co: 1, temp: 18 + float64(m%3)/10, flame: 0})
	}
}

func TestFireVerdicts(t *testing.T) {
	quiet := values{smoke: 0.1, co: 1, temp: 18}
	for _, c := range []struct {
		name  string
		every time.Duration
		then  []values // after half an hour of calm
		fires int      // at which of them, counted from 1; 0: never
	}{
		{"a spike", time.Minute, []values{{smoke: 90}, quiet, quiet, quiet}, 0},
		{"a spike of one quantity, again and again but apart", time.Minute, []values{{smoke: 90}, quiet, quiet, quiet, {smoke: 90}, quiet, quiet, quiet, {smoke: 90}, quiet}, 0},
		{"two spikes side by side", time.Minute, []values{{smoke: 90}, {smoke: 90}, quiet, quiet}, 0},
		{"persistent smoke", time.Minute, []values{{smoke: 3}, {smoke: 3}, {smoke: 3.5}}, 3},
		{"persistent smoke with one gap", time.Minute, []values{{smoke: 3}, quiet, {smoke: 3}, {smoke: 3.5}}, 4},
		{"persistent, but too short yet", 10 * time.Second, []values{{smoke: 3}, {smoke: 3}, {smoke: 3}, {smoke: 3}, {smoke: 3}, {smoke: 3}, {smoke: 3}}, 7},
		{"smoke and CO far above in one reading", time.Minute, []values{{smoke: 12, co: 80}}, 1},
		{"flame and strong smoke in one reading", time.Minute, []values{{smoke: 12, flame: 1}}, 1},
		{"smoke and CO both weak in one reading", time.Minute, []values{{smoke: 3, co: 20}, quiet, quiet}, 0},
		{"smoke and CO both weak in two", time.Minute, []values{{smoke: 3, co: 20}, {smoke: 3, co: 20}}, 2},
		{"smoke, then CO", time.Minute, []values{{smoke: 3}, {co: 20}}, 2},
		{"smoke, and CO too much later", time.Minute, []values{{smoke: 3}, quiet, quiet, quiet, {co: 20}}, 0},
		{"flame and anything, second reading", 10 * time.Second, []values{{flame: 1}, {flame: 1, smoke: 3}}, 2},
		{"a flame alone is one quantity", time.Minute, []values{{flame: 1}, quiet, quiet}, 0},
		{"temperature rise that lasts", time.Minute, []values{{temp: 30}, {temp: 33}, {temp: 36}}, 3},
		{"a warm front", time.Minute, []values{{temp: 20}, {temp: 22}, {temp: 24}, {temp: 25}, {temp: 26}, {temp: 27}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, alerts.SensorFire)
			s.calm(0, 29)
			fired := 0
			for i, v := range c.then {
				s.sees(30*time.Minute+time.Duration(i)*c.every, v)
				if fired == 0 && len(s.alerts) > 0 {
					fired = i + 1
				}
			}
			if fired != c.fires {
				t.Fatalf("fired at %d, want %d", fired, c.fires)
			}
			if fired > 0 {
				if a := s.only(); a.Severity != alerts.Orange || a.State != alerts.Firing || len(a.Evidence) == 0 || !s.rule.WantsOrder(&a) {
					t.Errorf("alert %+v", a)
				}
			} else if s.st.State == alerts.Firing {
				t.Error("firing without an alert")
			}
		})
	}
}

func TestFireIsPendingThenFiringThenResolvedWithHysteresis(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.calm(0, 29)
	s.sees(30*time.Minute, values{smoke: 3})
	if s.st.State != alerts.Pending {
		t.Fatalf("state %q after the first sign, want pending", s.st.State)
	}
	s.sees(31*time.Minute, values{smoke: 3})
	s.sees(32*time.Minute, values{smoke: 3})
	if s.st.State != alerts.Firing {
		t.Fatalf("state %q, want firing", s.st.State)
	}
	for m := 33; m <= 60; m++ { // below the threshold, not below the lower one
		s.sees(time.Duration(m)*time.Minute, values{smoke: 1.5})
	}
	if s.only().State != alerts.Firing {
		t.Fatal("resolved between the thresholds")
	}
	s.calm(61, 75)
	if s.only().State != alerts.Firing {
		t.Fatal("resolved after 14 minutes of calm, want 15")
	}
	s.calm(76, 76)
	if a := s.only(); a.State != alerts.Resolved || a.Resolved.IsZero() || s.st.State != alerts.Resolved {
		t.Fatalf("after 15 minutes of calm: %+v", a)
	}
	s.sees(80*time.Minute, values{smoke: 12, co: 90})
	if len(s.alerts) != 2 {
		t.Errorf("%d alerts, want a second one for a second fire", len(s.alerts))
	}
}

func TestPendingEndsWhenNothingFollows(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.sees(0, values{smoke: 30})
	s.calm(1, 12)
	if s.st.State != "" {
		t.Errorf("state %q, want none", s.st.State)
	}
	s.none("spike")
}

func TestCalibratingSensorDoesNotJudge(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.at(0)
	s.late(contract.Status, 0, values{contract.Calibrating: 1})
	for m := range 5 {
		s.sees(time.Duration(m+1)*time.Minute, values{smoke: 20, co: 90})
	}
	s.none("calibrating")
	if len(s.held) == 0 || !strings.Contains(s.held[0], "校准") {
		t.Errorf("nothing tells what was held back: %q", s.held)
	}
	s.at(6 * time.Minute)
	s.late(contract.Status, 6*time.Minute, values{contract.Calibrating: 0})
	s.sees(7*time.Minute, values{smoke: 20, co: 90})
	s.only()
}

func TestSeasonAndWarningRaiseAndSharpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		around alerts.Surroundings
		want   alerts.Severity
		reason string
		weak   bool // persistent smoke of 2.1 %/m fires
	}{
		{"ordinary day", alerts.Surroundings{}, alerts.Orange, "", false},
		{"high danger", alerts.Surroundings{Season: alerts.HighDanger}, alerts.Red, "高火险期：由橙色提高到红色", true},
		{"closure", alerts.Surroundings{Season: alerts.Closure}, alerts.Red, "封山禁火期：由橙色提高到红色", true},
		{"orange warning", alerts.Surroundings{Warning: alerts.Orange, WarningEvent: "大风"}, alerts.Red, "大风橙色预警生效：由橙色提高到红色", true},
		{"both: never above red", alerts.Surroundings{Season: alerts.Closure, Warning: alerts.Red}, alerts.Red, "封山禁火期", true},
		{"unknown season is watched as a dangerous one", alerts.Surroundings{SeasonUnknown: true}, alerts.Orange, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t, alerts.SensorFire)
			s.ctx.Around = c.around
			s.sees(0, values{smoke: 20, co: 90})
			if a := s.only(); a.Severity != c.want || !strings.Contains(reasons(a), c.reason) {
				t.Errorf("%v because of %q, want %v because of %q", a.Severity, a.Reasons, c.want, c.reason)
			}
			w := tell(t, alerts.SensorFire)
			w.ctx.Around = c.around
			for m := range 4 {
				w.sees(time.Duration(m)*time.Minute, values{smoke: 2.1})
			}
			if fired := len(w.alerts) > 0; fired != c.weak {
				t.Errorf("weak smoke fires: %v, want %v", fired, c.weak)
			}
			if c.weak && !strings.Contains(reasons(w.only()), "阈值按") {
				t.Errorf("reasons %q do not tell of the thresholds", w.only().Reasons)
			}
		})
	}
}

func TestSeasonOpensWhileAlreadySmoky(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	for m := range 6 {
		s.sees(time.Duration(m)*time.Minute, values{smoke: 2.1})
	}
	s.none("below the ordinary threshold")
	s.ctx.Around = alerts.Surroundings{Season: alerts.HighDanger}
	s.at(5*time.Minute + time.Second)
	s.step(alerts.Input{Kind: alerts.Changed})
	if a := s.only(); a.State != alerts.Firing || a.Severity != alerts.Red {
		t.Errorf("alert %+v", a)
	}
}

func TestWarningRaisesAStandingAlertAndItsEndLowersNothing(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.sees(0, values{smoke: 20, co: 90})
	s.ctx.Around = alerts.Surroundings{Warning: alerts.Red, WarningEvent: "森林火险"}
	s.step(alerts.Input{Kind: alerts.Changed})
	if a := s.only(); a.Severity != alerts.Red || !strings.Contains(reasons(a), "森林火险红色预警生效") {
		t.Fatalf("alert %v %q", a.Severity, a.Reasons)
	}
	s.ctx.Around = alerts.Surroundings{}
	s.step(alerts.Input{Kind: alerts.Changed})
	if a := s.only(); a.Severity != alerts.Red {
		t.Error("lowered while it stands")
	}
}

type fakeNeighbours []alerts.Evidence

func (f fakeNeighbours) Suspicions(contract.DeviceID, time.Time, time.Duration, float64) []alerts.Evidence {
	return f
}

func TestNeighbourCorroborates(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.ctx.Neighbours = fakeNeighbours{{Device: "S2", Measured: noon, Received: noon, Field: "smoke_obs_pct_m", Value: 4}}
	s.sees(time.Minute, values{smoke: 0.1})
	s.none("this sensor sees nothing")
	s.sees(2*time.Minute, values{smoke: 3})
	a := s.only()
	if !strings.Contains(a.Summary, "S2") || !slices.ContainsFunc(a.Evidence, func(e alerts.Evidence) bool { return e.Device == "S2" }) {
		t.Errorf("alert %q, evidence %v", a.Summary, a.Evidence)
	}
}

func TestLateFireNotifiesAndGivesNoOrder(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.at(4*time.Hour).calm(240, 241)
	s.at(242 * time.Minute)
	for m := range 3 {
		s.late(contract.Environment, time.Duration(m)*time.Minute, values{smoke: 20, co: 90})
	}
	a := s.only()
	if a.State != alerts.Firing || a.Late < 4*time.Hour || !strings.HasPrefix(a.Summary, "4 小时 2 分钟前") {
		t.Errorf("late %s, summary %q", a.Late, a.Summary)
	}
	if s.rule.WantsOrder(&a) || !strings.Contains(reasons(a), "不自动下令") {
		t.Errorf("wants an order: %v; reasons %q", s.rule.WantsOrder(&a), a.Reasons)
	}
	// Calm readings that were measured before it was raised do not clear it.
	for m := 200; m < 240; m++ {
		s.late(contract.Environment, time.Duration(m)*time.Minute, values{smoke: 0.1, co: 1})
	}
	if s.only().State != alerts.Firing {
		t.Error("cleared by late data")
	}
	// Fresh evidence makes it an alert that asks for an order.
	s.sees(243*time.Minute, values{smoke: 20, co: 90})
	if a := s.only(); !s.rule.WantsOrder(&a) || a.Late != 0 || !strings.Contains(reasons(a), "新的读数证实") {
		t.Errorf("with fresh evidence: late %s, wants %v, reasons %q", a.Late, s.rule.WantsOrder(&a), a.Reasons)
	}
}

func TestLateEvidenceOfAFireThatIsOverIsRecordedOnly(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.calm(0, 9)
	s.sees(10*time.Minute, values{smoke: 20, co: 90})
	s.sees(12*time.Minute, values{smoke: 20, co: 90})
	s.calm(13, 40)
	if s.only().State != alerts.Resolved {
		t.Fatal("not resolved")
	}
	before := len(s.only().Evidence)
	s.late(contract.Environment, 11*time.Minute, values{smoke: 25, co: 95})
	a := s.only()
	if a.State != alerts.Resolved || len(a.Evidence) != before+2 || s.log[len(s.log)-1] != alerts.Recorded {
		t.Errorf("state %s, %d pieces of evidence after %d, log %v", a.State, len(a.Evidence), before, s.log)
	}
}

func TestSixHoursAtOnceDoNotPushOutWhatTheSensorSeesNow(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.sees(360*time.Minute, values{smoke: 3})
	s.sees(361*time.Minute, values{smoke: 3})
	for i := range 2000 {
		s.late(contract.Environment, time.Duration(i)*10*time.Second, values{smoke: 0.2})
	}
	s.sees(362*time.Minute, values{smoke: 3})
	s.only()
}

func TestStateSurvivesItsRow(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	s.sees(0, values{smoke: 20, co: 90})
	a := s.only()
	row, err := s.st.Row()
	if err != nil {
		t.Fatal(err)
	}
	if row.AlertID != a.ID || row.State != alerts.Firing {
		t.Errorf("row %+v", row)
	}
	back, err := alerts.RestoreSubject(row, func(id string) (*alerts.Alert, error) { x := s.alerts[id]; return &x, nil })
	if err != nil {
		t.Fatal(err)
	}
	s.st = back
	s.sees(time.Minute, values{smoke: 20, co: 90})
	if got := s.only(); len(got.Evidence) <= len(a.Evidence) {
		t.Error("evidence after a restart does not join the alert")
	}
}

func TestWarningsOfRainChangeNothing(t *testing.T) {
	at := noon
	warn := func(code string) []alerts.Warning {
		return []alerts.Warning{{Status: "Actual", MsgType: "Alert", Event: "事件", EventCode: code, Blocks: []alerts.WarningBlock{
			{Area: "130633", Level: alerts.Orange, From: at.Add(-time.Hour), To: at.Add(time.Hour)},
		}}}
	}
	for code, want := range map[string]alerts.Severity{"11B03": alerts.Notice, "11B25": alerts.Orange, "": alerts.Orange, "GFW": alerts.Orange} {
		s := alerts.SurroundingsAt(someAreas, &alerts.SeasonTable{}, warn(code), []string{"11B25"}, "130633101", at)
		if s.Warning != want {
			t.Errorf("code %q: %v, want %v", code, s.Warning, want)
		}
	}
	drill := warn("11B25")
	drill[0].Status = "Exercise"
	if s := alerts.SurroundingsAt(someAreas, nil, drill, nil, "130633101", at); s.Warning != alerts.Notice || !s.SeasonUnknown {
		t.Errorf("an exercise counts, or no table is known: %+v", s)
	}
}

func ExampleRule_WantsOrder() {
	r := alerts.Rule{Order: alerts.OrderPolicy{Mode: alerts.ModeAutomatic}, Fresh: 15 * time.Minute}
	a := alerts.Alert{State: alerts.Firing, Raised: noon, Evidence: []alerts.Evidence{{Measured: noon.Add(-time.Hour)}}}
	fmt.Println(r.WantsOrder(&a))
	a.Evidence = append(a.Evidence, alerts.Evidence{Measured: noon.Add(-time.Minute)})
	fmt.Println(r.WantsOrder(&a))
	// Output:
	// false
	// true
}

func TestEvidenceIsTheNumberThatTheSensorSent(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	for m := range 30 {
		s.sees(time.Duration(m)*time.Minute, values{co: 1, temp: -25.2})
	}
	sent := values{co: 1800.7, temp: -5.3}
	for m := 30; m < 33; m++ {
		s.sees(time.Duration(m)*time.Minute, sent)
	}
	seen := map[string]float64{}
	for _, e := range s.only().Evidence {
		seen[e.Field] = e.Value
	}
	for f, x := range sent {
		if got, ok := seen[f.String()]; !ok || got != x {
			t.Errorf("%s: %v in the evidence, %v was sent", f, got, x)
		}
	}
}

// A sensor that reports every second fills its window in minutes: its usual
// temperature is known all the same, and a rise above it counts.
func TestAFireIsSeenBySensorsThatReportEverySecond(t *testing.T) {
	s := tell(t, alerts.SensorFire)
	second := 0
	for ; second < 40*60; second++ {
		s.sees(time.Duration(second)*time.Second, values{contract.TempC: 20 + float64(second%10)/10})
	}
	s.none("in ordinary weather")
	for rise := range 6 * 60 {
		s.sees(time.Duration(second+rise)*time.Second, values{contract.TempC: 20 + float64(rise)/12})
	}
	s.only()
}
