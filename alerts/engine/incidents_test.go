package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func (w *world) incidents() []alerts.Incident {
	w.t.Helper()
	is, err := w.mem.Incidents(w.t.Context(), alerts.IncidentQuery{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return is
}

// says has a person say something of an incident.
func (w *world) says(id string, word func(*alerts.Incident)) {
	w.t.Helper()
	if _, err := w.mem.UpdateIncident(w.t.Context(), id, func(in *alerts.Incident) ([]alerts.Event, error) {
		word(in)
		return nil, nil
	}); err != nil {
		w.t.Fatal(err)
	}
	w.pass(2 * time.Second)
}

func (w *world) confirms(id string) {
	w.says(id, func(in *alerts.Incident) { in.Confirmed, in.By = time.Now(), "duty" })
}

func (w *world) refutes(id string) {
	w.says(id, func(in *alerts.Incident) { in.Refuted, in.By = time.Now(), "duty" })
}

func (w *world) silences(s alerts.Silence) {
	w.t.Helper()
	s.From, s.Made, s.Author, s.Reason = time.Now(), time.Now(), "duty", "计划烧除"
	if err := w.mem.SaveSilence(w.t.Context(), s, nil); err != nil {
		w.t.Fatal(err)
	}
	w.pass(2 * time.Second)
}

func (w *world) eventsOf(typ alerts.EventType) int {
	w.t.Helper()
	evs, err := w.mem.Events(w.t.Context(), 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, e := range evs {
		if e.Type == typ {
			n++
		}
	}
	return n
}

func held(a alerts.Alert, by string) bool {
	return slices.ContainsFunc(a.Explain.Held, func(h alerts.HeldBack) bool { return h.By == by })
}

func TestTwoSensorsAtOneFireGiveOneIncidentAndOneOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		w.pass(time.Minute)
		w.burns("S2")
		w.pass(time.Minute)
		is, os := w.incidents(), w.orders()
		if len(is) != 1 || len(os) != 1 {
			t.Fatalf("%d incidents, %d orders, want one of each", len(is), len(os))
		}
		one, two := w.alertOf("S1"), w.alertOf("S2")
		in := is[0]
		if one.Incident != in.ID || two.Incident != in.ID || in.Alerts != 2 || in.Severity != alerts.Orange || in.Title != "易县西陵镇疑似火情" {
			t.Errorf("incident %+v, alerts of %q and %q", in, one.Incident, two.Incident)
		}
		if in.Order != os[0].ID || in.OrderLevel != alerts.Orange || one.Order != os[0].ID {
			t.Errorf("incident's order %q %v, alert's %q", in.Order, in.OrderLevel, one.Order)
		}
		if two.Order != "" || !held(two, "incident") || !strings.Contains(two.Explain.Held[0].Why, "同一事件已下令（"+os[0].ID) {
			t.Errorf("second alert: order %q, held %+v", two.Order, two.Explain.Held)
		}
		if w.eventsOf(alerts.EventIncident) == 0 {
			t.Error("nobody was told of the incident")
		}
	})
}

// Both alerts in one batch, before any order was given.
func TestTwoSensorsInOneBatchGiveOneOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		var rs []contract.Reading
		for _, ago := range []time.Duration{2 * time.Second, 0} {
			for _, id := range []contract.DeviceID{"S1", "S2"} {
				rs = append(rs, w.reading(id, contract.Environment, ago, values{smoke: 20, co: 90}))
			}
		}
		w.feed.add(rs...)
		w.pass(3 * time.Second)
		if n := len(w.orders()); n != 1 || len(w.alerts()) != 2 || len(w.incidents()) != 1 {
			t.Fatalf("%d orders, %d alerts, %d incidents", n, len(w.alerts()), len(w.incidents()))
		}
		told := 0
		for _, a := range w.alerts() {
			if held(a, "incident") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%d alerts tell what was held back, want 1", told)
		}
	})
}

func TestTwoFiresApartAreTwoIncidents(t *testing.T) {
	inBubble(t, func(w *world) {
		w.rules.Incidents.WithinKM = 0.5
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		w.burns("S2")
		w.pass(2 * time.Second)
		if len(w.incidents()) != 2 || len(w.orders()) != 2 {
			t.Errorf("%d incidents, %d orders, want two of each", len(w.incidents()), len(w.orders()))
		}
	})
}

func TestAFireThatBecomesGraverGivesAHigherOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		w.pass(time.Minute)
		now := time.Now()
		if _, _, err := w.mem.SaveWarning(t.Context(), alerts.Warning{
			ID: "wa-1", Identifier: "1", Sender: "s", Sent: now, Status: "Actual", MsgType: "Alert", Event: "森林火险", EventCode: "11B25",
			Received: now,
			Blocks:   []alerts.WarningBlock{{Area: "130600", Level: alerts.Red, From: now.Add(-time.Hour), To: now.Add(time.Hour)}},
		}, nil); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		os := w.orders()
		if a := w.only(); a.Severity != alerts.Red {
			t.Fatalf("severity %v", a.Severity)
		}
		if len(os) != 2 || os[0].Level != alerts.Red || w.incidents()[0].OrderLevel != alerts.Red {
			t.Errorf("orders %+v", os)
		}
		w.pass(time.Minute)
		if n := len(w.orders()); n != 2 {
			t.Errorf("%d orders, want 2", n)
		}
	})
}

func TestAConfirmedFireHidesTheSensorsLesserAlerts(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		w.burns("S2")
		w.feed.add(w.reading("S1", contract.Status, 0, values{contract.BatteryPct: 3}))
		w.feed.add(w.reading("T1", contract.Status, 0, values{contract.BatteryPct: 3}))
		w.pass(2 * time.Second)
		w.confirms(w.incidents()[0].ID)
		hushed := map[string]bool{}
		for _, a := range w.alerts() {
			hushed[a.Rule+" "+string(a.Device)] = a.Hush.Kind == alerts.HushInhibited
		}
		want := map[string]bool{
			"sensor_fire S1": false, // the gravest stays before people
			"sensor_fire S2": true, "battery_low S1": true,
			"battery_low T1": false, // no sensor
		}
		for k, v := range want {
			if h, ok := hushed[k]; !ok || h != v {
				t.Errorf("%s: hushed %v (there: %v), want %v", k, h, ok, v)
			}
		}
		in := w.incidents()[0]
		if in.Title != "易县西陵镇火情（已确认）" || in.State() != alerts.IncidentConfirmed {
			t.Errorf("incident %+v", in)
		}
		w.feed.add(w.reading("T1", contract.SOS, 0, nil))
		w.pass(2 * time.Second)
		for _, a := range w.alerts() {
			if a.Rule == "sos" && (a.Hush.Hushed() || a.Incident != "") {
				t.Errorf("an SOS is hidden: %+v", a)
			}
		}
		// A mistake: it is no fire after all, and what was hidden comes forth.
		before := w.eventsOf(alerts.EventAlert)
		w.refutes(in.ID)
		for _, a := range w.alerts() {
			if a.Hush.Hushed() {
				t.Errorf("%s of %s is still hidden: %+v", a.Rule, a.Device, a.Hush)
			}
		}
		if w.eventsOf(alerts.EventAlert) < before+2 {
			t.Error("nobody was told that alerts came forth")
		}
		if in := w.incidents()[0]; in.State() != alerts.IncidentRefuted || in.Closed.IsZero() {
			t.Errorf("incident %+v", in)
		}
	})
}

func TestASilenceEndsAndTheAlertComesForth(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"over": func(*world) {},
		"lifted": func(w *world) {
			if _, err := w.mem.LiftSilence(w.t.Context(), "si-1", "duty", time.Now(), nil); err != nil {
				w.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.run()
				w.silences(alerts.Silence{ID: "si-1", Area: "130633", Until: time.Now().Add(10 * time.Minute)})
				w.burns("S1")
				w.pass(2 * time.Second)
				a := w.only()
				if a.Hush.Kind != alerts.HushSilenced || a.Hush.By != "si-1" || a.Hush.Until.IsZero() || !held(a, "silence") {
					t.Fatalf("hush %+v, held %+v", a.Hush, a.Explain.Held)
				}
				if len(w.orders()) != 0 || len(w.incidents()) != 0 {
					t.Errorf("%d orders, %d incidents of a silenced alert", len(w.orders()), len(w.incidents()))
				}
				events := w.eventsOf(alerts.EventAlert)
				for range 8 {
					w.pass(time.Minute)
					w.sees("S1", values{smoke: 20, co: 90})
				}
				end(w)
				w.pass(5 * time.Minute)
				a = w.only()
				if a.State != alerts.Firing || a.Hush.Hushed() || !strings.Contains(strings.Join(a.Reasons, ";"), "静默已结束而告警仍在") {
					t.Errorf("%s, hush %+v, reasons %q", a.State, a.Hush, a.Reasons)
				}
				if len(w.orders()) != 1 || len(w.incidents()) != 1 || a.Order == "" {
					t.Errorf("%d orders, %d incidents after it came forth", len(w.orders()), len(w.incidents()))
				}
				if w.eventsOf(alerts.EventAlert) <= events {
					t.Error("nobody was told that it came forth")
				}
			})
		})
	}
}

// What came forth long after anything was measured calls people, and no teams.
func TestWhatComesForthWithoutNewReadingsGivesNoOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.silences(alerts.Silence{ID: "si-1", Device: "S1", Until: time.Now().Add(5 * time.Hour)})
		w.burns("S1")
		w.pass(6 * time.Hour)
		a := w.only()
		if a.State != alerts.Firing || a.Hush.Hushed() || len(w.orders()) != 0 || !held(a, "late") {
			t.Errorf("%s, hush %+v, %d orders, held %+v", a.State, a.Hush, len(w.orders()), a.Explain.Held)
		}
		w.stop()
		w.run()
		w.pass(time.Minute)
		if len(w.orders()) != 0 {
			t.Error("a restart gave the order")
		}
	})
}

func TestAnSOSIsNeverSilencedInhibitedOrGrouped(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.burns("S1")
		w.pass(2 * time.Second)
		w.confirms(w.incidents()[0].ID)
		w.silences(alerts.Silence{ID: "si-1", Device: "T1", Until: time.Now().Add(time.Hour)})
		w.silences(alerts.Silence{ID: "si-2", Rule: "sos", Area: "130600", Until: time.Now().Add(time.Hour)})
		w.feed.add(w.reading("T1", contract.SOS, 0, values{contract.Lat: 39.37, contract.Lon: 115.35}))
		w.pass(time.Minute)
		for _, a := range w.alerts() {
			if a.Rule == "sos" {
				if a.Hush != (alerts.Hush{}) || a.Incident != "" || a.State != alerts.Firing {
					t.Errorf("SOS %+v", a)
				}
				return
			}
		}
		t.Error("no alert of the SOS")
	})
}

func TestAnAlertThatBecomesGraverThanWhenItWasHushedComesForth(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.silences(alerts.Silence{ID: "si-1", Area: "130600", Until: time.Now().Add(5 * time.Hour)})
		w.burns("S1")
		w.pass(2 * time.Second)
		now := time.Now()
		if _, _, err := w.mem.SaveWarning(t.Context(), alerts.Warning{
			ID: "wa-1", Identifier: "1", Sender: "s", Sent: now, Status: "Actual", MsgType: "Alert", Event: "森林火险", EventCode: "11B25",
			Received: now,
			Blocks:   []alerts.WarningBlock{{Area: "130600", Level: alerts.Red, From: now.Add(-time.Hour), To: now.Add(9 * time.Hour)}},
		}, nil); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		if a := w.only(); a.Severity != alerts.Red || a.Hush.Hushed() || a.Order == "" {
			t.Errorf("%v, hush %+v, order %q", a.Severity, a.Hush, a.Order)
		}
		w.stop()
		w.run()
		w.pass(time.Minute)
		if a := w.only(); a.Hush.Hushed() {
			t.Errorf("hushed again after a restart: %+v", a.Hush)
		}
	})
}

func TestARefutedIncidentStopsOrdersUntilStrongerEvidence(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.sees("S1", values{smoke: 20})
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 20, contract.TempC: 20})
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 20})
		w.pass(2 * time.Second)
		is := w.incidents()
		if len(is) != 1 {
			t.Fatalf("%d incidents", len(is))
		}
		w.refutes(is[0].ID)
		a := w.only()
		if a.State != alerts.Firing || !strings.Contains(strings.Join(a.Reasons, ";"), "排除，不是火情") {
			t.Errorf("%s, reasons %q", a.State, a.Reasons)
		}
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 22}) // more of the same
		w.pass(2 * time.Second)
		if n := len(w.incidents()); n != 1 || len(w.orders()) != 1 {
			t.Fatalf("%d incidents, %d orders from more of the same", n, len(w.orders()))
		}
		w.sees("S1", values{smoke: 22, co: 90}) // another quantity
		w.pass(2 * time.Second)
		is = w.incidents()
		if len(is) != 2 || len(w.orders()) != 2 || w.only().Incident != is[0].ID {
			t.Errorf("%d incidents, %d orders, alert of %q", len(is), len(w.orders()), w.only().Incident)
		}
		if !slices.ContainsFunc(w.orders(), func(o alerts.Order) bool {
			return strings.Contains(o.Text, "测得一氧化碳 90 ppm、烟雾 22 %/m")
		}) {
			t.Error("no order tells what it is that was seen after the refutation")
		}
	})
}

func TestAnIncidentClosesWhenAllWasQuietForLongEnough(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		for range 40 {
			w.pass(30 * time.Second)
			w.sees("S1", values{smoke: 0.1, co: 0.1})
		}
		if a := w.only(); a.State != alerts.Resolved {
			t.Fatalf("alert %s", a.State)
		}
		in := w.incidents()[0]
		if in.Quiet.IsZero() || !in.Closed.IsZero() {
			t.Fatalf("incident %+v", in)
		}
		w.burns("S2") // flares up again within the quiet time
		w.pass(2 * time.Second)
		if is := w.incidents(); len(is) != 1 || !is[0].Quiet.IsZero() || len(w.orders()) != 1 {
			t.Fatalf("incidents %+v, %d orders", is, len(w.orders()))
		}
		for range 40 {
			w.pass(30 * time.Second)
			w.sees("S2", values{smoke: 0.1, co: 0.1})
		}
		w.stop()
		w.pass(3 * time.Hour) // nobody is at work meanwhile
		w.run()
		w.pass(time.Minute)
		if in := w.incidents()[0]; in.Closed.IsZero() || in.State() != alerts.IncidentClosed {
			t.Errorf("incident %+v", in)
		}
	})
}

func TestARestartInBetweenRepeatsNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		w.burns("S2")
		w.feed.add(w.reading("S1", contract.Status, 0, values{contract.BatteryPct: 3}))
		w.pass(2 * time.Second)
		w.confirms(w.incidents()[0].ID)
		w.silences(alerts.Silence{ID: "si-1", Device: "T1", Until: time.Now().Add(time.Hour)})
		before, is := w.alerts(), w.incidents()
		events := w.eventsOf(alerts.EventAlert) + w.eventsOf(alerts.EventIncident)
		for range 3 {
			w.stop()
			w.run()
			w.pass(5 * time.Second)
		}
		after := w.alerts()
		for i := range before {
			if after[i].Hush != before[i].Hush || after[i].Incident != before[i].Incident || !after[i].Updated.Equal(before[i].Updated) {
				t.Errorf("alert changed:\n%+v\n%+v", before[i], after[i])
			}
		}
		if now := w.incidents(); len(now) != 1 || now[0] != is[0] {
			t.Errorf("incidents %+v, before %+v", now, is)
		}
		if n := w.eventsOf(alerts.EventAlert) + w.eventsOf(alerts.EventIncident); n != events || len(w.orders()) != 1 {
			t.Errorf("%d new events, %d orders", n-events, len(w.orders()))
		}
	})
}

// A proposal is made once for what is one fire.
func TestTwoSensorsAtOneFireProposeOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		set, err := alerts.ParseRules(alerts.DefaultRules())
		if err != nil {
			t.Fatal(err)
		}
		w.rules = set
		w.run()
		w.pass(time.Second)
		w.burns("S1")
		w.burns("S2")
		w.pass(2 * time.Second)
		n := 0
		for _, a := range w.alerts() {
			if a.Incident == "" {
				t.Errorf("alert of %s is of no incident", a.Device)
			}
			if slices.ContainsFunc(a.Reasons, func(s string) bool { return strings.HasPrefix(s, "建议") }) {
				n++
			} else if !held(a, "incident") {
				t.Errorf("alert of %s does not say why nothing is proposed", a.Device)
			}
		}
		if n != 1 {
			t.Errorf("%d proposals, want 1", n)
		}
	})
}

func TestWhatIsHeldBackWithoutAnAlertIsOnRecord(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.pass(time.Second)
		for range 5 {
			w.sees("S1", values{smoke: 20, co: 90, contract.Calibrating: 1})
			w.pass(time.Second)
		}
		w.pass(10 * time.Second)
		hs, err := w.mem.Holdbacks(t.Context(), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.alerts()) != 0 || len(hs) != 1 || hs[0].Count != 5 || hs[0].Device != "S1" || hs[0].Area != "130633101" ||
			!strings.Contains(hs[0].Why, "校准") {
			t.Errorf("%d alerts, hold-backs %+v", len(w.alerts()), hs)
		}
	})
}
