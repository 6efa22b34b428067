package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/engine"
)

// prefecture is a roster of so many townships in nine counties; it returns their
// codes.
func (w *world) prefecture(townships int) (codes []string) {
	w.t.Helper()
	r := alerts.Roster{Areas: []alerts.Area{{Code: "130600", Name: "保定市", Level: alerts.City}}}
	for i := range 9 {
		r.Areas = append(r.Areas, alerts.Area{Code: fmt.Sprintf("13063%d", i+1), Name: fmt.Sprintf("%d县", i+1), Level: alerts.County, Parent: "130600", Lat: 39, Lon: 115})
	}
	for i := range townships {
		county := fmt.Sprintf("13063%d", i%9+1)
		codes = append(codes, fmt.Sprintf("%s%03d", county, i))
		r.Areas = append(r.Areas, alerts.Area{Code: codes[i], Name: fmt.Sprintf("%d镇", i), Level: alerts.Township, Parent: county, Lat: 39, Lon: 115})
	}
	if err := w.mem.ReplaceRoster(w.t.Context(), r, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	return codes
}

// standing are the alerts that stand, by rule.
func (w *world) standing() map[string][]alerts.Alert {
	out := map[string][]alerts.Alert{}
	for _, a := range w.alerts() {
		if a.State == alerts.Firing {
			out[a.Rule] = append(out[a.Rule], a)
		}
	}
	return out
}

// TestDayOnWhichAllTownshipsCrossGivesOneAlertPerCounty, by the shipped rules,
// over a restart: 9 alerts and not 118, at 4 and at 5.
func TestDayOnWhichAllTownshipsCrossGivesOneAlertPerCounty(t *testing.T) {
	inBubble(t, func(w *world) {
		shipped, err := alerts.ParseRules(alerts.DefaultRules())
		if err != nil {
			t.Fatal(err)
		}
		w.rules = shipped
		w.tune = func(o *engine.Options) { o.Danger = w.mem }
		codes := w.prefecture(118)
		w.rate(3, codes...)
		w.run()
		w.pass(time.Minute)
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts at 3", n)
		}
		w.rate(4, codes[:60]...)
		w.pass(time.Minute)
		if is := w.standing(); len(is["danger_4"]) != 9 || len(w.alerts()) != 9 {
			t.Fatalf("%d alerts at 4 in some, want 9", len(w.alerts()))
		}
		w.rate(4, codes...)
		w.pass(time.Minute)
		w.stop()
		w.run()
		w.pass(time.Minute)
		if n := len(w.alerts()); n != 9 {
			t.Fatalf("%d alerts at 4, want 9", n)
		}
		listed := 0
		for _, a := range w.alerts() {
			_, names, ok := strings.Cut(a.Summary, "：")
			listed += len(strings.Split(names, "、"))
			if !ok || a.Severity != alerts.Yellow || len(a.Area) != 6 || !strings.Contains(a.Summary, " 个乡镇火险等级升至 4 级（高度危险）以上，最长连续无雨 9 天：") {
				t.Errorf("%+v", a)
			}
		}
		if listed != 118 {
			t.Errorf("%d townships are listed", listed)
		}
		w.rate(5, codes...)
		w.pass(time.Minute)
		if is := w.standing(); len(is["danger_5"]) != 9 || len(is["danger_4"]) != 9 || len(w.alerts()) != 18 {
			t.Errorf("at 5: %d, at 4: %d, of %d", len(is["danger_5"]), len(is["danger_4"]), len(w.alerts()))
		}
		w.rate(2, codes...)
		w.pass(time.Minute)
		if is := w.standing(); len(is) != 0 || len(w.alerts()) != 18 {
			t.Errorf("at 2: %d stand of %d", len(is), len(w.alerts()))
		}
	})
}

// What stands of each township ends when its rule judges by county, and what
// stands of a county that is no more, too.
func TestAlertsOfPlacesThatAreJudgedNoMoreEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules = rulesOf(t, "v1", danger)
		w.tune = func(o *engine.Options) { o.Danger = w.mem }
		w.rate(4, "130633101", "130633102")
		w.run()
		w.pass(time.Minute)
		if n := len(w.standing()["danger_4"]); n != 2 {
			t.Fatalf("%d alerts of townships", n)
		}
		w.engine.Swap(rulesOf(t, "v2", strings.Replace(danger, "on: [area]", "on: [county]", 1)))
		w.pass(time.Minute)
		is := w.standing()["danger_4"]
		if len(is) != 1 || is[0].Area != "130633" {
			t.Fatalf("stand: %+v", is)
		}
		w.prefecture(0)
		w.pass(time.Minute)
		if is := w.standing(); len(is) != 0 {
			t.Errorf("stand: %+v", is)
		}
	})
}
