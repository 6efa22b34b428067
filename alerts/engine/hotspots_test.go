package engine_test

import (
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
)

// pixel is one that NOAA-20 saw in 西陵镇 so long ago.
func pixel(ago time.Duration) alerts.Pixel {
	return alerts.Pixel{
		Satellite: "NOAA-20", Instrument: "VIIRS", Lat: 39.37, Lon: 115.35, Seen: time.Now().Add(-ago).Truncate(time.Minute),
		Confidence: alerts.ConfidenceHigh, Percent: -1, FRP: 45, Scan: 0.4, Track: 0.38,
	}
}

// imports brings pixels in, as hotspots of one township.
func (w *world) imports(area, masked string, ps ...alerts.Pixel) []alerts.Hotspot {
	w.t.Helper()
	have, err := w.mem.Hotspots(w.t.Context(), alerts.HotspotQuery{To: time.Now().Add(time.Hour), Limit: 10_000})
	if err != nil {
		w.t.Fatal(err)
	}
	hs := alerts.MergeHotspots(have, ps, alerts.Merging{})
	for i := range hs {
		hs[i].Area, hs[i].Masked, hs[i].Imported = area, masked, time.Now()
	}
	if _, err := w.mem.SaveHotspots(w.t.Context(), hs, nil); err != nil {
		w.t.Fatal(err)
	}
	return hs
}

func (w *world) unjudged() int {
	w.t.Helper()
	hs, err := w.mem.UnjudgedHotspots(w.t.Context(), 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(hs)
}

func (w *world) defaultRules() {
	w.t.Helper()
	set, err := alerts.ParseRules(alerts.DefaultRules())
	if err != nil {
		w.t.Fatal(err)
	}
	w.rules = set
}

func TestAHotspotIsVerifiedByTheNearestTownshipTeam(t *testing.T) {
	inBubble(t, func(w *world) { // the rules of the demonstration give the order
		w.run()
		second := pixel(70 * time.Minute)
		second.Satellite, second.Lat, second.FRP = "Suomi-NPP", 39.372, 20
		hs := w.imports("130633101", "", pixel(80*time.Minute), second)
		w.pass(2 * time.Second)
		a := w.only()
		seen := second.Seen.In(alerts.Zone).Format("15:04")
		for _, want := range []string{"卫星热点：VIIRS 2 颗星 2 像元，FRP 45 MW，置信度高，39.370N 115.350E，易县西陵镇；" + seen, "过境，1 小时 10 分钟前"} {
			if !strings.Contains(a.Summary, want) {
				t.Errorf("summary %q lacks %q", a.Summary, want)
			}
		}
		if a.Severity != alerts.Orange || a.Area != "130633101" || !a.HasPlace || len(a.Evidence) != 2 || !a.Measured.Equal(second.Seen) {
			t.Errorf("alert %+v", a)
		}
		os := w.orders()
		if len(os) != 1 || os[0].Kind != alerts.OrderCheck || os[0].Alert != a.ID {
			t.Fatalf("orders %+v", os)
		}
		ds, err := w.mem.Deliveries(t.Context(), os[0].ID)
		if err != nil || len(ds) != 1 || ds[0].Team != "t-a" {
			t.Errorf("deliveries %+v, %v", ds, err)
		}
		got, err := w.mem.HotspotsByID(t.Context(), []string{hs[0].ID})
		if err != nil || got[0].Alert != a.ID || got[0].Judged.IsZero() || w.unjudged() != 0 {
			t.Errorf("hotspot %+v, %v, %d unjudged", got, err, w.unjudged())
		}
	})
}

func TestAHotspotIsProposedToTheOffice(t *testing.T) {
	inBubble(t, func(w *world) { // the shipped rules propose
		w.defaultRules()
		w.run()
		w.imports("130633101", "", pixel(time.Hour))
		w.pass(2 * time.Second)
		a := w.only()
		if all := strings.Join(a.Reasons, "; "); !strings.Contains(all, "建议核查：西陵镇队") || strings.Contains(all, "梁格庄") {
			t.Errorf("reasons %q", a.Reasons)
		}
		if n := len(w.orders()); n != 0 {
			t.Errorf("%d orders given by itself", n)
		}
	})
}

func TestHotspotsThatCallNobodyAreOnRecordOnly(t *testing.T) {
	for name, c := range map[string]struct {
		area, masked, confidence string
		ago                      time.Duration
		alerts, orders           int
	}{
		"outside":           {"", "", "high", time.Hour, 0, 0},
		"static source":     {"130633101", "kiln-7", "high", time.Hour, 0, 0},
		"low confidence":    {"130633101", "", "low", time.Hour, 0, 0},
		"nominal":           {"130633101", "", "nominal", time.Hour, 1, 1},
		"yesterday's":       {"130633101", "", "high", 25 * time.Hour, 0, 0},
		"older than orders": {"130633101", "", "high", 7 * time.Hour, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.run()
				p := pixel(c.ago)
				p.Confidence = c.confidence
				w.imports(c.area, c.masked, p)
				w.pass(2 * time.Second)
				if as, os := len(w.alerts()), len(w.orders()); as != c.alerts || os != c.orders || w.unjudged() != 0 {
					t.Errorf("%d alerts, %d orders, %d unjudged; want %d, %d, 0", as, os, w.unjudged(), c.alerts, c.orders)
				}
			})
		})
	}
}

func TestALaterPassJoinsTheAlertOfTheHotspot(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		first := pixel(time.Hour)
		w.imports("130633101", "", first)
		w.pass(2 * time.Second)
		was := w.only()
		w.imports("130633101", "", first) // the same file again
		w.pass(2 * time.Second)
		if a := w.only(); !a.Updated.Equal(was.Updated) {
			t.Errorf("changed by the same file: %+v", a)
		}
		again := pixel(20 * time.Minute)
		again.Satellite, again.FRP = "NOAA-21", 90
		w.imports("130633101", "", first, again)
		w.pass(2 * time.Second)
		a := w.only()
		if a.ID != was.ID || len(a.Evidence) != 2 || !strings.Contains(a.Summary, "2 颗星 2 像元，FRP 90 MW") || len(w.orders()) != 1 {
			t.Errorf("alert %+v, %d orders", a, len(w.orders()))
		}
	})
}

// A hotspot that was below the rule's confidence and grows is judged anew.
func TestAHotspotThatGrowsSurerIsRaised(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		low := pixel(time.Hour)
		low.Confidence = alerts.ConfidenceLow
		w.imports("130633101", "", low)
		w.pass(2 * time.Second)
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts of low confidence", n)
		}
		sure := pixel(30 * time.Minute)
		w.imports("130633101", "", low, sure)
		w.pass(2 * time.Second)
		if a := w.only(); len(a.Evidence) != 2 || a.Severity != alerts.Orange {
			t.Errorf("alert %+v", a)
		}
	})
}

// Killed at any write, and started again: one alert, one order, nothing left.
func TestACrashLosesNoHotspot(t *testing.T) {
	for at := 1; at <= 4; at++ {
		for _, after := range []bool{false, true} {
			inBubble(t, func(w *world) {
				w.imports("130633101", "", pixel(time.Hour))
				s := &store{Store: w.mem, crashAt: at, after: after}
				w.start(s)
				w.pass(5 * time.Second)
				w.stop()
				w.run()
				w.pass(time.Minute)
				if a, os := w.only(), w.orders(); len(os) != 1 || a.Order != os[0].ID || w.unjudged() != 0 {
					t.Errorf("write %d, after %v: alert %+v, orders %+v, %d unjudged", at, after, a, os, w.unjudged())
				}
			})
		}
	}
}

func TestAHotspotsAlertIsFiledInTheEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		first := pixel(time.Hour)
		w.imports("130633101", "", first)
		w.pass(25 * time.Hour)
		a := w.only()
		if a.State != alerts.Resolved {
			t.Errorf("alert %+v", a)
		}
		rows, err := w.mem.RuleStates(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if _, ok := alerts.CutHotspot(r.Subject); ok {
				t.Errorf("state kept: %+v", r)
			}
		}
		late := first
		late.Satellite = "Aqua"
		w.imports("130633101", "", first, late)
		w.pass(time.Minute)
		if n := len(w.alerts()); n != 1 || w.unjudged() != 0 {
			t.Errorf("%d alerts after a late pass, %d unjudged", n, w.unjudged())
		}
	})
}

// What a sensor has told already is one fire with one order, and the satellites'
// word is part of it, also after a restart in between.
func TestAHotspotOfAKnownFireJoinsItsIncident(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.burns("S1")
		w.pass(time.Minute)
		first := pixel(5 * time.Minute)
		w.imports("130633101", "", first)
		w.pass(2 * time.Second)
		w.stop()
		w.run()
		again := pixel(time.Minute)
		again.Satellite, again.FRP = "Aqua", 90
		w.imports("130633101", "", first, again)
		w.pass(2 * time.Second)
		as := w.alerts()
		if len(as) != 2 || as[0].Incident == "" || as[0].Incident != as[1].Incident || len(w.orders()) != 1 {
			t.Fatalf("%d orders, alerts %+v", len(w.orders()), as)
		}
		for _, a := range as {
			if a.Rule == "satellite_hotspot" && (len(a.Evidence) != 2 || !strings.Contains(a.Summary, "FRP 90 MW")) {
				t.Errorf("alert %+v", a)
			}
		}
	})
}
