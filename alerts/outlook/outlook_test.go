package outlook_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/danger"
	"firewatch/alerts/outlook"
	contract "firewatch/firmware-contracts"
)

// sky is the same weather over all stations, until it changes or goes away.
type sky struct {
	mu     sync.Mutex
	since  time.Time                       // nothing was measured before
	silent map[contract.DeviceID]time.Time // from when on
	fail   error
	asked  int
}

func (s *sky) change(f func(*sky)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *sky) Weather(ctx context.Context, from, to time.Time, each func(outlook.Half) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.fail != nil {
		return s.fail
	}
	for at := from; at.Before(to); at = at.Add(outlook.HalfHour) {
		if at.Before(s.since) || at.After(time.Now()) {
			continue
		}
		for _, st := range stations {
			if quiet, ok := s.silent[st.ID]; ok && !at.Before(quiet) {
				continue
			}
			h := steady(at, 26, 18, 18, 0)
			h.Station = st.ID
			if err := each(h); err != nil {
				return err
			}
		}
		h := steady(at, 60, 0, 60, 0)
		h.Station = "not-in-the-roster"
		if err := each(h); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type world struct {
	*testing.T
	store *memstore.Store
	sky   *sky
	*outlook.Outlook
	nudged int
}

// inBubble begins at 08:00 local time of day0.
func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(local(day0, 8, 0)))
		w := &world{T: t, store: memstore.New(), sky: &sky{silent: map[contract.DeviceID]time.Time{}}}
		r := alerts.Roster{Areas: areas}
		for _, s := range stations {
			r.Devices = append(r.Devices, alerts.Device{ID: s.ID, Kind: contract.Sensor, Area: place, Name: s.Name, Lat: s.Lat, Lon: s.Lon})
		}
		if err := w.store.ReplaceRoster(t.Context(), r, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.Outlook = w.open("a")
		f(w)
	})
}

func (w *world) open(holder string) *outlook.Outlook {
	w.Helper()
	o, err := outlook.New(outlook.Options{
		Roster: w.store, Danger: w.store, Weather: w.sky, Lease: w.store, Holder: holder, Log: zap.NewNop(), Nudge: func() { w.nudged++ },
	})
	if err != nil {
		w.Fatal(err)
	}
	return o
}

func (w *world) run(o *outlook.Outlook) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	}
	return sync.OnceFunc(stop)
}

func (w *world) until(t time.Time) {
	time.Sleep(time.Until(t))
	synctest.Wait()
}

func (w *world) level(day danger.Date, method string) (d alerts.AreaDanger, ok bool) {
	w.Helper()
	ds, err := w.store.AreaDangers(w.Context(), place, day.String(), day.String())
	if err != nil {
		w.Fatal(err)
	}
	for _, d := range ds {
		if d.Method == method {
			return d, true
		}
	}
	return d, false
}

// days are of the events told so far.
func (w *world) days() (out []string) {
	w.Helper()
	evs, err := w.store.Events(w.Context(), 0, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range evs {
		if e.Type != alerts.EventDanger {
			continue
		}
		var data struct{ Day string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			w.Fatal(err)
		}
		out = append(out, data.Day)
	}
	return out
}

func TestEachDayIsRatedAfterNoonAndAfterItsEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		stop := w.run(w.Outlook)
		defer stop()
		w.until(local(day0, 12, 39))
		if d, ok := w.level(day0, alerts.DangerHTZ); !ok || d.Level != 5 || !d.Provisional {
			t.Errorf("HTZ in the morning, of the last 24 hours: %v %+v", ok, d)
		}
		if _, ok := w.level(day0, alerts.DangerFWI); ok {
			t.Error("FWI before noon")
		}
		w.until(local(day0, 12, 41))
		d, ok := w.level(day0, alerts.DangerFWI)
		if !ok || d.Level == 0 || d.Provisional || d.Degraded {
			t.Errorf("FWI after noon: %v %+v", ok, d)
		}
		w.until(local(day0+1, 0, 19))
		if d, _ := w.level(day0, alerts.DangerHTZ); !d.Provisional {
			t.Errorf("HTZ is final before its last readings came: %+v", d)
		}
		w.until(local(day0+1, 0, 21))
		if d, _ := w.level(day0, alerts.DangerHTZ); d.Provisional || d.Level != 5 {
			t.Errorf("HTZ after the day: %+v", d)
		}
		if err := w.Ready(); err != nil || w.nudged == 0 {
			t.Errorf("%v, nudged %d times", err, w.nudged)
		}
	})
}

func TestRatingAgainChangesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := w.days()
		if len(before) < 30 {
			t.Errorf("a chain of %d days, want some weeks of what is kept", len(before))
		}
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := w.days(); len(after) != len(before) {
			t.Errorf("told again: %v", after[len(before):])
		}
	})
}

func TestMissedDaysAreCaughtUp(t *testing.T) {
	inBubble(t, func(w *world) {
		stop := w.run(w.Outlook)
		w.until(local(day0, 13, 0))
		stop()
		w.until(local(day0+5, 13, 0))
		stop = w.run(w.Outlook)
		defer stop()
		w.until(local(day0+5, 13, 1))
		for day := day0; day <= day0+5; day++ {
			for _, method := range alerts.DangerMethods {
				if d, ok := w.level(day, method); !ok || d.Level == 0 || d.HeldFrom != "" || d.Provisional != (day == day0+5 && method == alerts.DangerHTZ) {
					t.Errorf("%s of %s: %v %+v", method, day, ok, d)
				}
			}
		}
		ds, err := w.store.StationDays(t.Context(), "s-1", day0.String(), (day0 + 5).String())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			if d.Chain != string(danger.LinkNext) {
				t.Errorf("%s of %s: chain %q", d.Method, d.Day, d.Chain)
			}
		}
	})
}

func TestDaysBeforeAnythingWasMeasuredAreNotRated(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sky.since = local(day0-3, 0, 0)
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ok := w.level(day0-4, alerts.DangerHTZ); ok {
			t.Error("a day without weather is rated")
		}
		if d, ok := w.level(day0-3, alerts.DangerHTZ); !ok || d.Level == 0 {
			t.Errorf("the first day: %v %+v", ok, d)
		}
		// Nothing at all is known: today says so.
		w.store = memstore.New()
		w.sky.since = local(day0+1, 0, 0)
		must(t, w.store.ReplaceRoster(t.Context(), alerts.Roster{Areas: areas}, time.Now()))
		must(t, w.open("b").Round(t.Context()))
		if d, ok := w.level(day0, alerts.DangerHTZ); !ok || d.Level != alerts.DangerUnknown || !d.Degraded {
			t.Errorf("nothing known: %v %+v", ok, d)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLateWeatherCountsAtTheNextSlot(t *testing.T) {
	inBubble(t, func(w *world) {
		for _, s := range stations {
			w.sky.silent[s.ID] = local(day0, 9, 0)
		}
		stop := w.run(w.Outlook)
		defer stop()
		w.until(local(day0+1, 1, 0))
		if d, _ := w.level(day0, alerts.DangerHTZ); d.HeldFrom != (day0 - 1).String() {
			t.Errorf("without the day's weather: %+v", d)
		}
		w.sky.change(func(s *sky) { s.silent = nil }) // a gateway brings what it kept
		w.until(local(day0+1, 12, 41))
		if d, _ := w.level(day0, alerts.DangerHTZ); d.HeldFrom != "" || d.Level != 5 {
			t.Errorf("with it: %+v", d)
		}
		if d, _ := w.level(day0+1, alerts.DangerFWI); d.Level == 0 || d.Degraded {
			t.Errorf("and FWI goes on: %+v", d)
		}
	})
}

func TestWeatherAwayIsSaidAndMadeGood(t *testing.T) {
	inBubble(t, func(w *world) {
		w.sky.fail = errors.New("history is away")
		stop := w.run(w.Outlook)
		defer stop()
		w.until(local(day0, 8, 5))
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "history is away") {
			t.Errorf("ready: %v", err)
		}
		w.sky.change(func(s *sky) { s.fail = nil })
		w.until(local(day0, 8, 6))
		if err := w.Ready(); err != nil {
			t.Error(err)
		}
		if d, ok := w.level(day0, alerts.DangerHTZ); !ok || d.Level != 5 {
			t.Errorf("%v %+v", ok, d)
		}
	})
}

func TestOneOutlookRates(t *testing.T) {
	inBubble(t, func(w *world) {
		stop := w.run(w.Outlook)
		w.until(local(day0, 8, 1))
		other := w.open("b")
		stopOther := w.run(other)
		defer stopOther()
		asked := w.sky.asked
		w.until(local(day0, 12, 0))
		if w.sky.asked != asked || other.Ready() != nil {
			t.Errorf("the one that stands by asked %d times, %v", w.sky.asked-asked, other.Ready())
		}
		stop()
		w.until(local(day0, 12, 42))
		if d, ok := w.level(day0, alerts.DangerFWI); !ok || d.Level == 0 {
			t.Errorf("nobody took over: %v %+v", ok, d)
		}
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	s := memstore.New()
	ok := outlook.Options{Roster: s, Danger: s, Weather: &sky{}, Lease: s, Holder: "a", Log: zap.NewNop()}
	for field, change := range map[string]func(*outlook.Options){
		"Roster": func(o *outlook.Options) { o.Roster = nil }, "Danger": func(o *outlook.Options) { o.Danger = nil },
		"Weather": func(o *outlook.Options) { o.Weather = nil }, "Holder": func(o *outlook.Options) { o.Holder = "" },
		"Log": func(o *outlook.Options) { o.Log = nil },
	} {
		o := ok
		change(&o)
		if _, err := outlook.New(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v, want %s", err, field)
		}
	}
}
