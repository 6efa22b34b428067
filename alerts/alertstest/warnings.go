package alertstest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
)

// newWarning was sent so many minutes after t0 and is in force for a day.
func newWarning(id, msgType string, minutes int, refs ...alerts.Warning) alerts.Warning {
	w := alerts.Warning{
		ID: "wa-" + id, Identifier: id, Sender: "weather@example.cn", Sent: at(minutes), Status: "Actual", MsgType: msgType,
		Event: "森林火险", EventCode: "11B25", Issuer: "易县气象台", Headline: "橙色预警", Text: "注意", Measures: "禁火",
		Blocks: []alerts.WarningBlock{
			{Area: "130633", AreaDesc: "易县", Level: alerts.Orange, From: at(minutes), To: at(minutes + 24*60)},
			{AreaDesc: "山区", Level: alerts.Yellow, From: at(minutes), To: at(minutes + 12*60)},
		},
		Received: at(minutes + 1), Raw: []byte("<alert>\x00\xff</alert>"),
	}
	for _, r := range refs {
		w.References = append(w.References, alerts.WarningRef{Sender: r.Sender, Identifier: r.Identifier, Sent: r.Sent})
	}
	return w
}

func saveWarning(tb testing.TB, s Store, w alerts.Warning) {
	tb.Helper()
	saved, created := got2(s.SaveWarning(tb.Context(), w, []alerts.Event{event(alerts.EventWarning)}))(tb)
	equal(tb, "created", created, true)
	equal(tb, "id", saved.ID, w.ID)
}

// endedBy checks when and by what the warning ended.
func endedBy(tb testing.TB, s Store, w, by alerts.Warning) {
	tb.Helper()
	back := got(s.Warning(tb.Context(), w.ID))(tb)
	equal(tb, w.ID+" ended", back.Ended, by.Sent)
	equal(tb, w.ID+" ended by", back.EndedBy, by.Identifier)
}

func warningIDs(ws []alerts.Warning) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = w.Identifier
	}
	return out
}

var warningTests = map[string]func(check){
	"WarningComesBack": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		saveWarning(t, s, w)
		equal(t, "warning", got(s.Warning(t.Context(), w.ID))(t), w)
		equal(t, "listed", got(s.Warnings(t.Context(), time.Time{}, 10))(t), []alerts.Warning{w})
		if _, err := s.Warning(t.Context(), "wa-9"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown warning: %v, want ErrNotFound", err)
		}
	},
	"SameMessageAgainChangesNothing": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		saveWarning(t, s, w)
		again := newWarning("1", "Alert", 0)
		again.ID, again.Text = "wa-again", "other"
		again.Sent = again.Sent.In(time.FixedZone("+08:00", 8*3600))
		saved, created := got2(s.SaveWarning(t.Context(), again, []alerts.Event{event(alerts.EventWarning)}))(t)
		equal(t, "created", created, false)
		equal(t, "saved", saved, w)
		equal(t, "events", len(newEvents(t, s, 0)), 1)
		equal(t, "warnings", len(got(s.Warnings(t.Context(), time.Time{}, 10))(t)), 1)
	},
	"AReferenceWithoutTimeEndsWhatCameBefore": func(t check) {
		for _, order := range [][2]int{{0, 1}, {1, 0}} {
			s := t.store
			name := fmt.Sprint("untimed", order[0])
			w, cancel := newWarning(name, "Alert", 0), newWarning(name+".cancel", "Cancel", 60)
			cancel.References = []alerts.WarningRef{{Sender: w.Sender, Identifier: w.Identifier}}
			both := []alerts.Warning{w, cancel}
			saveWarning(t, s, both[order[0]])
			saveWarning(t, s, both[order[1]])
			endedBy(t, s, w, cancel)
			later := newWarning(name, "Alert", 90) // of the same name, sent after the end
			later.ID += "-later"
			saveWarning(t, s, later)
			equal(t, "ended", got(s.Warning(t.Context(), later.ID))(t).Ended, time.Time{})
		}
	},
	"AnotherMessageOfTheSameNameIsAConflict": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		saveWarning(t, s, w)
		for _, raw := range [][]byte{[]byte("<alert>\x00\xfe</alert>"), nil} {
			other := newWarning("1", "Alert", 0)
			other.ID, other.Raw = "wa-other", raw
			_, created, err := s.SaveWarning(t.Context(), other, []alerts.Event{event(alerts.EventWarning)})
			if created || !errors.Is(err, alerts.ErrConflict) {
				t.Errorf("%q: created %v, %v, want ErrConflict", raw, created, err)
			}
		}
		equal(t, "warnings", got(s.Warnings(t.Context(), time.Time{}, 10))(t), []alerts.Warning{w})
		equal(t, "events", len(newEvents(t, s, 0)), 1)
		later := newWarning("1", "Alert", 5)
		later.ID, later.Raw = "wa-later", []byte("sent at another time")
		saveWarning(t, s, later)
	},
	"UpdateEndsWhatItRefersTo": func(t check) {
		s := t.store
		first, other := newWarning("1", "Alert", 0), newWarning("2", "Alert", 0)
		saveWarning(t, s, first)
		saveWarning(t, s, other)
		update := newWarning("3", "Update", 60, first)
		saveWarning(t, s, update)
		endedBy(t, s, first, update)
		endedBy(t, s, other, alerts.Warning{})
		equal(t, "update", got(s.Warning(t.Context(), update.ID))(t), update)
	},
	"CancelEndsAndIsNeverInForce": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		saveWarning(t, s, w)
		c := newWarning("2", "Cancel", 60, w)
		saveWarning(t, s, c)
		endedBy(t, s, w, c)
		equal(t, "in force before", warningIDs(got(s.Warnings(t.Context(), at(59), 10))(t)), []string{"1"})
		equal(t, "in force after", warningIDs(got(s.Warnings(t.Context(), at(60), 10))(t)), nil)
	},
	"UpdateBeforeItsOriginalEndsIt": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		update := newWarning("2", "Update", 60, w)
		saveWarning(t, s, update)
		saved, created := got2(s.SaveWarning(t.Context(), w, nil))(t)
		equal(t, "created", created, true)
		equal(t, "saved as ended", saved.Ended, update.Sent)
		endedBy(t, s, w, update)
	},
	"EarliestEndCountsInAnyOrder": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		update, cancel := newWarning("2", "Update", 60, w), newWarning("3", "Cancel", 90, w)
		for i, order := range [][]alerts.Warning{{w, update, cancel}, {w, cancel, update}, {cancel, w, update}, {cancel, update, w}} {
			for _, m := range order {
				m.ID = fmt.Sprintf("%s-%d", m.ID, i)
				m.Sender = fmt.Sprint("sender ", i)
				for j := range m.References {
					m.References = []alerts.WarningRef{m.References[j]}
					m.References[j].Sender = m.Sender
				}
				saveWarning(t, s, m)
			}
			endedBy(t, s, alerts.Warning{ID: fmt.Sprintf("%s-%d", w.ID, i)}, update)
		}
	},
	"ReferenceMatchesSenderIdentifierAndTime": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		saveWarning(t, s, w)
		c := newWarning("2", "Cancel", 60)
		c.References = []alerts.WarningRef{
			{Sender: "other", Identifier: "1", Sent: w.Sent},
			{Sender: w.Sender, Identifier: "other", Sent: w.Sent},
			{Sender: w.Sender, Identifier: "1", Sent: w.Sent.Add(time.Second)},
		}
		saveWarning(t, s, c)
		endedBy(t, s, w, alerts.Warning{})
		c = newWarning("3", "Cancel", 90, w)
		c.References[0].Sent = w.Sent.In(time.FixedZone("+08:00", 8*3600))
		saveWarning(t, s, c)
		endedBy(t, s, w, c)
	},
	"DrillNeverEndsAnActual": func(t check) {
		s := t.store
		for _, status := range []string{"Exercise", "Test", "System", "Draft"} {
			w := newWarning("real-"+status, "Alert", 0)
			saveWarning(t, s, w)
			c := newWarning("drill-"+status, "Cancel", 60, w)
			c.Status = status
			saveWarning(t, s, c)
			endedBy(t, s, w, alerts.Warning{})

			late := newWarning("late-"+status, "Alert", 0)
			c = newWarning("drill-late-"+status, "Cancel", 60, late)
			c.Status = status
			saveWarning(t, s, c)
			saveWarning(t, s, late)
			endedBy(t, s, late, alerts.Warning{})
		}
		equal(t, "in force", len(got(s.Warnings(t.Context(), at(61), 100))(t)), 8)
	},
	"AlertWithReferencesEndsNothing": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		saveWarning(t, s, w)
		saveWarning(t, s, newWarning("2", "Alert", 60, w))
		endedBy(t, s, w, alerts.Warning{})
	},
	"InForceIsByBlockAndStatus": func(t check) {
		s := t.store
		w := newWarning("1", "Alert", 0)
		w.Blocks[1].From, w.Blocks[1].To = at(2*24*60), at(3*24*60)
		saveWarning(t, s, w)
		drill := newWarning("2", "Alert", 1)
		drill.Status = "Exercise"
		saveWarning(t, s, drill)
		saveWarning(t, s, newWarning("3", "Alert", 10))
		for minutes, want := range map[int][]string{
			-1:             nil,
			0:              {"1"},
			10:             {"3", "1"},
			24*60 - 1:      {"3", "1"},
			24 * 60:        {"3"},
			36 * 60:        nil,
			2 * 24 * 60:    {"1"},
			3*24*60 - 1:    {"1"},
			3 * 24 * 60:    nil,
			100 * 24 * 360: nil,
		} {
			equal(t, fmt.Sprintf("in force after %d min", minutes), warningIDs(got(s.Warnings(t.Context(), at(minutes), 10))(t)), want)
		}
		equal(t, "all, newest first", warningIDs(got(s.Warnings(t.Context(), time.Time{}, 10))(t)), []string{"3", "2", "1"})
		equal(t, "newest", warningIDs(got(s.Warnings(t.Context(), time.Time{}, 1))(t)), []string{"3"})
	},
	"MessageAndItsUpdateAtOnceSeeEachOther": func(t check) {
		s := t.store
		for i := range 10 {
			w := newWarning(fmt.Sprintf("w%d", i), "Alert", 0)
			u := newWarning(fmt.Sprintf("u%d", i), "Update", 60, w)
			var wg sync.WaitGroup
			for _, m := range []alerts.Warning{w, u} {
				wg.Go(func() {
					if _, _, err := s.SaveWarning(t.Context(), m, nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			endedBy(t, s, w, u)
		}
	},
}

var seasonTests = map[string]func(check){
	"TableInForceIsTheLatestEffective": func(t check) {
		s := t.store
		if _, err := s.Seasons(t.Context(), t0); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("no table: %v, want ErrNotFound", err)
		}
		mk := func(version string, minutes int) alerts.SeasonTable {
			tab := alerts.SeasonTable{Version: version, Effective: at(minutes), Seasons: []alerts.Season{
				{Area: "130600", Kind: alerts.Prevention, From: "10-01", To: "05-31"},
				{Area: "130630", Kind: alerts.Closure, From: "03-01", To: "06-30", Year: 2026},
			}}
			must(t, s.SaveSeasons(t.Context(), tab, t0))
			return tab
		}
		later, first := mk("2026-2", 60), mk("2026-1", 0)
		equal(t, "at first", got(s.Seasons(t.Context(), at(59)))(t), first)
		equal(t, "from its time", got(s.Seasons(t.Context(), at(60)))(t), later)
		if _, err := s.Seasons(t.Context(), at(-1)); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("before the first: %v, want ErrNotFound", err)
		}
		equal(t, "events", types(newEvents(t, s, 0)), []alerts.EventType{alerts.EventSeason, alerts.EventSeason})
	},
	"VersionNeverChanges": func(t check) {
		s := t.store
		tab := alerts.SeasonTable{Version: "1", Effective: t0, Seasons: []alerts.Season{{Area: "130600", Kind: alerts.Prevention, From: "10-01", To: "05-31"}}}
		must(t, s.SaveSeasons(t.Context(), tab, t0))
		must(t, s.SaveSeasons(t.Context(), tab, at(1)))
		other := tab
		other.Seasons = []alerts.Season{{Area: "130600", Kind: alerts.Prevention, From: "10-02", To: "05-31"}}
		if err := s.SaveSeasons(t.Context(), other, t0); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		other = tab
		other.Effective = at(1)
		if err := s.SaveSeasons(t.Context(), other, t0); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		other = tab
		other.Special = []alerts.SpecialDay{{Name: "清明", Area: "130600", Term: "清明"}}
		if err := s.SaveSeasons(t.Context(), other, t0); !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		equal(t, "table", got(s.Seasons(t.Context(), at(2)))(t), tab)
		equal(t, "events", len(newEvents(t, s, 0)), 1)
	},
	"SpecialDaysAreKept": func(t check) {
		s := t.store
		tab := alerts.SeasonTable{
			Version: "1", Effective: t0,
			Seasons: []alerts.Season{{Area: "130600", Kind: alerts.Prevention, From: "10-01", To: "05-31"}},
			Special: []alerts.SpecialDay{
				{Name: "清明", Area: "130600", Term: "清明", Before: 3, After: 3},
				{Name: "元宵", Area: "130600", Lunar: "01-15"},
				{Name: "五一", Area: "130630", Solar: "05-01", After: 4},
			},
		}
		must(t, s.SaveSeasons(t.Context(), tab, t0))
		must(t, s.SaveSeasons(t.Context(), tab, at(1)))
		equal(t, "table", got(s.Seasons(t.Context(), at(2)))(t), tab)
	},
}
