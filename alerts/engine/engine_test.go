package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"firewatch/alerts"
	"firewatch/alerts/engine"
	contract "firewatch/firmware-contracts"
)

// inBubble runs a story in a bubble of its own time.
func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(w)
		if w.stop != nil {
			w.stop()
		}
	})
}

func TestAFireGivesOneOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.sees("S1", values{smoke: 20})
		w.pass(time.Minute)
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts from one spike", n)
		}
		w.sees("S1", values{smoke: 20, co: 90})
		a := w.only()
		if a.State != alerts.Firing || a.Severity != alerts.Orange || a.Area != "130633101" || a.RuleVersion != "demo-2" {
			t.Errorf("alert %+v", a)
		}
		os := w.orders()
		if len(os) != 1 || a.Order != os[0].ID || os[0].Issuer != "rule:sensor_fire" || w.nudges != 1 {
			t.Fatalf("orders %+v, alert's %q, nudges %d", os, a.Order, w.nudges)
		}
		ds, err := w.mem.Deliveries(t.Context(), os[0].ID)
		if err != nil || len(ds) != 3 {
			t.Errorf("%d deliveries, %v; want the township's team, a neighbour and the county's", len(ds), err)
		}
		for range 20 {
			w.pass(30 * time.Second)
			w.sees("S1", values{smoke: 25, co: 95})
		}
		if n := len(w.orders()); n != 1 || len(w.alerts()) != 1 {
			t.Errorf("%d orders, %d alerts while the fire goes on", n, len(w.alerts()))
		}
		evs, err := w.mem.Events(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range []alerts.EventType{alerts.EventAlert, alerts.EventOrder, alerts.EventDelivery} {
			if !slices.ContainsFunc(evs, func(e alerts.Event) bool { return e.Type == typ }) {
				t.Errorf("no event of type %s", typ)
			}
		}
	})
}

func TestNeighbouringSensorsCorroborate(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.sees("S1", values{smoke: 4})
		w.pass(time.Minute)
		w.sees("S2", values{smoke: 4})
		if a := w.only(); a.Device != "S2" || !strings.Contains(a.Summary, "S1") {
			t.Errorf("alert of %s: %q", a.Device, a.Summary)
		}
	})
}

func TestSOSTwoHoursOldNotifiesAndSaysSo(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		r := w.reading("T1", contract.SOS, 2*time.Hour, values{contract.Lat: 39.4, contract.Lon: 115.4})
		w.feed.add(r, r)
		w.pass(0)
		a := w.only()
		if a.Severity != alerts.Red || a.State != alerts.Firing || a.Late != 2*time.Hour || !strings.HasPrefix(a.Summary, "SOS，2 小时前") {
			t.Errorf("alert %+v", a)
		}
		w.pass(48 * time.Hour)
		if w.only().State != alerts.Firing {
			t.Error("ended by time")
		}
	})
}

func TestLateOrdinaryFixRaisesNothingAndClearsNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.roster(1)
		w.run()
		w.feed.add(w.reading("E00", contract.Position, 0, values{contract.BatteryPct: 10}))
		w.pass(20 * time.Minute) // silent, and its battery is low
		before := w.told()
		if len(before) != 2 {
			t.Fatalf("told %q, want silence and battery", before)
		}
		for m := range 30 {
			w.feed.add(w.reading("E00", contract.Position, 20*time.Hour-time.Duration(m)*time.Minute, values{contract.BatteryPct: 90}))
			w.feed.add(w.reading("T1", contract.Position, 20*time.Hour-time.Duration(m)*time.Minute, values{contract.BatteryPct: 2}))
		}
		w.pass(5 * time.Second)
		if diff := cmp.Diff(before, w.told()); diff != "" {
			t.Errorf("late fixes changed what is told (-before +after):\n%s", diff)
		}
	})
}

func TestUnknownDevice(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		for range 5 {
			w.sees("Sx", values{smoke: 50, co: 500})
		}
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts of an unknown sensor", n)
		}
		w.feed.add(w.reading("X1", contract.SOS, 0, values{contract.BatteryPct: 1}))
		w.pass(0)
		if a := w.only(); a.Severity != alerts.Red || a.Area != "" || !strings.Contains(a.Summary, "未登记") {
			t.Errorf("alert %+v", a)
		}
	})
}

func TestNeverSeenDeviceIsToldAfterARestartToo(t *testing.T) {
	inBubble(t, func(w *world) {
		w.roster(1)
		w.run()
		w.pass(8 * time.Minute)
		w.stop()
		w.run()
		w.pass(4 * time.Minute)
		if a := w.only(); a.Rule != "device_silent" || !strings.Contains(a.Summary, "从未上报") {
			t.Errorf("alert %+v", a)
		}
	})
}

func TestSilenceWhileTheEngineWasDownIsNotTheDevices(t *testing.T) {
	inBubble(t, func(w *world) {
		w.roster(1)
		w.run()
		w.feed.add(w.reading("E00", contract.Position, 0, nil))
		w.pass(time.Minute)
		w.stop()
		w.pass(3 * time.Hour)
		w.run()
		w.pass(9 * time.Minute)
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts for a time when nobody listened", n)
		}
		w.pass(3 * time.Minute)
		if a := w.only(); a.State != alerts.Firing {
			t.Errorf("alert %+v", a)
		}
	})
}

func TestOutageIsOneAlert(t *testing.T) {
	inBubble(t, func(w *world) {
		w.roster(40)
		w.run()
		for range 3 {
			for i := range 40 {
				w.feed.add(w.reading(contract.DeviceID(fmt.Sprintf("E%02d", i)), contract.Position, 0, nil))
			}
			w.pass(time.Minute)
		}
		w.pass(30 * time.Minute)
		a := w.only()
		if a.Device != "" || a.Area != "130633" || len(a.Evidence) != 40 {
			t.Fatalf("alert %+v", a)
		}
		w.stop()
		w.run()
		w.pass(time.Minute)
		w.only()
		for range 5 {
			for i := range 39 {
				w.feed.add(w.reading(contract.DeviceID(fmt.Sprintf("E%02d", i)), contract.Position, 0, nil))
			}
			w.pass(30 * time.Second)
		}
		as := w.alerts()
		if len(as) != 2 || as[0].Device != "E39" || as[1].State != alerts.Resolved {
			t.Errorf("alerts after the outage: %+v", as)
		}
	})
}

func TestSeasonOpensWhileAlreadySmoky(t *testing.T) {
	inBubble(t, func(w *world) {
		tomorrow := time.Now().Add(24 * time.Hour).In(alerts.Zone)
		midnight := time.Date(tomorrow.Year(), tomorrow.Month(), tomorrow.Day(), 0, 0, 0, 0, alerts.Zone)
		day := midnight.Format("01-02")
		table := alerts.SeasonTable{Version: "v2", Effective: time.Unix(0, 0).Add(time.Hour), Seasons: []alerts.Season{
			{Area: "130633", Kind: alerts.HighDanger, From: day, To: day},
		}}
		if err := w.mem.SaveSeasons(t.Context(), table, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Until(midnight) - 5*time.Minute)
		w.run()
		for range 5 {
			w.sees("S1", values{smoke: 2.1})
			w.pass(59 * time.Second)
		}
		if n := len(w.alerts()); n != 0 {
			t.Fatalf("%d alerts below the ordinary threshold", n)
		}
		w.pass(10 * time.Second)
		if a := w.only(); a.Severity != alerts.Red || !strings.Contains(strings.Join(a.Reasons, ";"), "高火险期") {
			t.Errorf("alert %v %q", a.Severity, a.Reasons)
		}
	})
}

func TestWarningRaisesWhatStands(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		w.sees("S1", values{smoke: 20, co: 90})
		if a := w.only(); a.Severity != alerts.Orange {
			t.Fatalf("severity %v", a.Severity)
		}
		_, _, err := w.mem.SaveWarning(t.Context(), alerts.Warning{
			ID: "w1", Identifier: "i", Sender: "s", Sent: time.Now(), Status: "Actual", MsgType: "Alert", Event: "森林火险", EventCode: "11B25",
			Blocks: []alerts.WarningBlock{{Area: "130600", Level: alerts.Orange, From: time.Now(), To: time.Now().Add(time.Hour)}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Second)
		if a := w.only(); a.Severity != alerts.Red || !strings.Contains(strings.Join(a.Reasons, ";"), "森林火险橙色预警生效") {
			t.Errorf("alert %v %q", a.Severity, a.Reasons)
		}
	})
}

func TestStoreDownStopsJudgingAndLosesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		if err := w.engine.Ready(); err != nil {
			t.Fatalf("not ready: %v", err)
		}
		w.mem.Fail(errors.New("disk full"))
		w.pass(3 * time.Second)
		for m := range 20 {
			w.feed.add(w.reading("S1", contract.Environment, 0, values{smoke: 20, co: 90}))
			if m == 10 {
				w.feed.add(w.reading("T1", contract.SOS, 0, nil))
			}
			w.pass(10 * time.Second)
		}
		if err := w.engine.Ready(); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("ready: %v", err)
		}
		w.mem.Fail(nil)
		w.pass(10 * time.Second)
		if err := w.engine.Ready(); err != nil {
			t.Errorf("not ready after the outage: %v", err)
		}
		rules := map[string]int{}
		for _, a := range w.alerts() {
			rules[a.Rule]++
		}
		if diff := cmp.Diff(map[string]int{"sensor_fire": 1, "sos": 1}, rules); diff != "" || len(w.orders()) != 1 {
			t.Errorf("%d orders; alerts (-want +got):\n%s", len(w.orders()), diff)
		}
		if pos, _, err := w.mem.JudgedPosition(t.Context(), "test"); err != nil || pos != 21 {
			t.Errorf("position %d, %v; want 21", pos, err)
		}
	})
}

func TestARuleThatPanicsStopsNothingElse(t *testing.T) {
	inBubble(t, func(w *world) {
		rules := slices.Clone(w.rules.Rules)
		for i := range rules {
			if rules[i].Type == alerts.SensorFire {
				rules[i].Fire = nil
			}
			if rules[i].Type == alerts.SOSCall {
				rules[i].SOS = nil
			}
		}
		w.rules.Rules = rules
		w.run()
		w.sees("S1", values{smoke: 20, co: 90, contract.BatteryPct: 3})
		w.feed.add(w.reading("T1", contract.SOS, 0, nil))
		w.pass(2 * time.Second)
		got := map[string]int{}
		for _, a := range w.alerts() {
			got[a.Rule]++
		}
		if diff := cmp.Diff(map[string]int{"battery_low": 1, "sos": 1}, got); diff != "" {
			t.Errorf("alerts (-want +got):\n%s", diff)
		}
		if pos, _, _ := w.mem.JudgedPosition(t.Context(), "test"); pos != 2 {
			t.Errorf("position %d: the poison came to stay", pos)
		}
	})
}

func TestAnswersAreHandedOnAndPoisonIsLeft(t *testing.T) {
	inBubble(t, func(w *world) {
		tries := map[string]int{}
		core, logged := observer.New(zap.ErrorLevel)
		w.tune = func(o *engine.Options) {
			o.Log = zap.New(core)
			o.Answers = func(_ context.Context, a contract.Answer) error {
				tries[a.Order]++
				switch {
				case a.Order == "panic":
					panic("no way")
				case a.Order == "gone":
					return fmt.Errorf("order: %w", alerts.ErrNotFound)
				case a.Order == "retry" && tries[a.Order] < 3:
					return errors.New("busy")
				}
				w.heard = append(w.heard, a)
				return nil
			}
		}
		w.run()
		for _, id := range []string{"good", "panic", "gone", "retry"} {
			w.feed.addAnswer(contract.Answer{Team: "t-a", Order: id, Receipt: contract.Rejected, Reason: "车坏了", By: "张三", Received: time.Now()})
		}
		w.feed.add(w.reading("T1", contract.SOS, 0, nil))
		w.pass(10 * time.Second)
		if len(w.heard) != 2 || w.heard[1].Order != "retry" || tries["gone"] != 1 || tries["panic"] != 3 {
			t.Errorf("heard %v, tries %v", w.heard, tries)
		}
		left := logged.FilterMessage("answer cannot be taken").All()
		if len(left) != 2 {
			t.Fatalf("%d answers on record as left, want 2", len(left))
		}
		for i, id := range []string{"panic", "gone"} {
			f := left[i].ContextMap()
			if f["order"] != id || f["team"] != "t-a" || f["answer"] != "rejected" || f["reason"] != "车坏了" || f["by"] != "张三" {
				t.Errorf("on record: %v", f)
			}
		}
		w.only()
	})
}

// A store that can be read but not written loses no answer.
func TestAnAnswerWaitsForAStoreThatCannotBeWritten(t *testing.T) {
	inBubble(t, func(w *world) {
		var full atomic.Bool
		full.Store(true)
		w.tune = func(o *engine.Options) {
			o.Answers = func(_ context.Context, a contract.Answer) error {
				if full.Load() {
					return errors.New("disk full")
				}
				w.heard = append(w.heard, a)
				return nil
			}
		}
		w.run()
		w.feed.addAnswer(contract.Answer{Team: "t-a", Order: "or-1", Receipt: contract.Accepted, Received: time.Now()})
		w.pass(time.Hour)
		if err := w.engine.Ready(); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("ready: %v", err)
		}
		if pos, _, _ := w.mem.JudgedPosition(t.Context(), "test"); pos != 0 {
			t.Errorf("position %d: the answer was left behind", pos)
		}
		full.Store(false)
		w.pass(10 * time.Second)
		if len(w.heard) != 1 {
			t.Errorf("heard %v", w.heard)
		}
		if err := w.engine.Ready(); err != nil {
			t.Errorf("not ready after the outage: %v", err)
		}
	})
}

func TestOnlyTheHolderOfTheLeaseJudges(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		stopFirst := w.stop
		w.tune = func(o *engine.Options) { o.Holder = "two" }
		w.start(&store{Store: w.mem})
		w.pass(time.Second)
		if err := w.engine.Ready(); err != nil {
			t.Errorf("standing by, but not ready: %v", err)
		}
		w.sees("S1", values{smoke: 20, co: 90})
		w.only()
		stopFirst()
		w.pass(10 * time.Second)
		w.sees("S1", values{smoke: 22, co: 95})
		w.pass(2 * time.Second)
		if a := w.only(); len(a.Evidence) != 4 || len(w.orders()) != 1 {
			t.Errorf("%d pieces of evidence, %d orders after the change", len(a.Evidence), len(w.orders()))
		}
	})
}

func TestTheFeedIsReleasedBehindTheWindows(t *testing.T) {
	inBubble(t, func(w *world) {
		w.run()
		for range 90 {
			w.sees("S1", values{smoke: 0.1})
			w.pass(time.Minute)
		}
		w.feed.mu.Lock()
		defer w.feed.mu.Unlock()
		if r := w.feed.released; r < 55 || r > 61 {
			t.Errorf("released up to %d of 90, want all but the last half hour", r)
		}
	})
}

func TestWindowsAreFilledAgainAfterARestart(t *testing.T) {
	inBubble(t, func(w *world) {
		w.feed.maxRead = 3
		w.run()
		w.sees("S1", values{smoke: 3})
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 3})
		w.pass(30 * time.Second)
		w.stop()
		w.pass(30 * time.Second)
		w.run()
		w.sees("S1", values{smoke: 3})
		if a := w.only(); len(a.Evidence) != 3 {
			t.Errorf("%d pieces of evidence, want 3", len(a.Evidence))
		}
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	_, err := engine.New(engine.Options{Log: zap.NewNop()})
	if err == nil || !strings.Contains(err.Error(), "Feed") {
		t.Errorf("error %v", err)
	}
}

func TestOrdersAreAnsweredByThePolicy(t *testing.T) {
	inBubble(t, func(w *world) {
		w.tune = func(o *engine.Options) {
			o.Policy = alerts.DefaultPolicy()
			o.Policy.Orange.Answer = 7 * time.Minute
		}
		w.run()
		w.sees("S1", values{smoke: 20})
		w.pass(time.Minute)
		w.sees("S1", values{smoke: 20, co: 90})
		if os := w.orders(); len(os) != 1 || os[0].AnswerBy.Sub(os[0].Issued) != 7*time.Minute {
			t.Errorf("orders %+v", os)
		}
	})
}
