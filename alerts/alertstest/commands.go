package alertstest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// newCommand was given so many minutes after t0, for an hour.
func newCommand(id string, device contract.DeviceID, kind alerts.CommandKind, minutes int) alerts.Command {
	return alerts.Command{
		ID: id, Device: device, Area: "130633100", Kind: kind, Text: "请返回", Issuer: "duty", Key: "key-" + id,
		Issued: at(minutes), Expires: at(minutes + 60), State: alerts.CommandQueued, NextAt: at(minutes),
	}
}

func give(t check, cs ...alerts.Command) {
	t.Helper()
	for _, c := range cs {
		_, created := got2(t.store.CreateCommand(t.Context(), c, []alerts.Event{alerts.CommandEvent(&c, c.Issued)}))(t)
		equal(t, c.ID+" created", created, true)
	}
}

func commandIDs(cs []alerts.Command) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = c.ID
	}
	return out
}

func stateOf(t check, id string) alerts.CommandState {
	t.Helper()
	return got(t.store.Command(t.Context(), id))(t).State
}

// tell notes that the device was told at that minute.
func tell(t check, device contract.DeviceID, minutes int) {
	t.Helper()
	must(t, t.store.UpdateCommands(t.Context(), device, at(minutes), func(cs []alerts.Command) ([]alerts.Command, []alerts.Event, error) {
		for i := range cs {
			cs[i].Told(at(minutes))
		}
		return cs, nil, nil
	}))
}

var commandTests = map[string]func(check){
	"CommandComesBack": func(t check) {
		s := t.store
		c := newCommand("cm-1", "trk-1", alerts.CommandReturn, 0)
		c.Drill = true
		saved, created := got2(s.CreateCommand(t.Context(), c, []alerts.Event{alerts.CommandEvent(&c, t0)}))(t)
		equal(t, "created", created, true)
		equal(t, "saved", saved, c)
		equal(t, "command", got(s.Command(t.Context(), "cm-1"))(t), c)
		evs := newEvents(t, s, 0)
		equal(t, "events", types(evs), []alerts.EventType{alerts.EventCommand})
		full := c
		full.State, full.Sent, full.Delivered, full.Read, full.Ended = alerts.CommandAnswered, at(1), at(2), at(3), at(4)
		full.Answer, full.Reason, full.By, full.NextAt = contract.Rejected, "路断了", "张三", at(5)
		saved = got(s.UpdateCommand(t.Context(), "cm-1", func(x *alerts.Command) ([]alerts.Event, error) {
			*x = full
			x.Device, x.Text, x.Expires = "trk-2", "other", at(99) // never changes
			return []alerts.Event{alerts.CommandEvent(&full, at(4))}, nil
		}))(t)
		equal(t, "changed", saved, full)
		equal(t, "as read", got(s.Command(t.Context(), "cm-1"))(t), full)
		equal(t, "events", len(newEvents(t, s, 0)), 2)
		_, err := s.UpdateCommand(t.Context(), "cm-1", func(x *alerts.Command) ([]alerts.Event, error) {
			x.State = alerts.CommandExpired
			return []alerts.Event{event(alerts.EventCommand)}, errors.New("no")
		})
		if err == nil || stateOf(t, "cm-1") != alerts.CommandAnswered || len(newEvents(t, s, 0)) != 2 {
			t.Errorf("a change that failed left something: %v", err)
		}
		if _, err := s.Command(t.Context(), "cm-2"); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown command: %v, want ErrNotFound", err)
		}
		if _, err := s.UpdateCommand(t.Context(), "cm-2", nil); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("unknown command: %v, want ErrNotFound", err)
		}
	},
	"SameKeyGivesTheEarlierCommand": func(t check) {
		s := t.store
		first := newCommand("cm-1", "trk-1", alerts.CommandLocate, 0)
		give(t, first)
		again := first
		again.ID, again.Issued, again.Expires = "cm-2", at(1), at(90)
		saved, created := got2(s.CreateCommand(t.Context(), again, []alerts.Event{event(alerts.EventCommand)}))(t)
		equal(t, "created", created, false)
		equal(t, "saved", saved, first) // and it did not supersede itself
		equal(t, "events", len(newEvents(t, s, 0)), 1)
		for name, change := range map[string]func(*alerts.Command){
			"device": func(c *alerts.Command) { c.Device = "trk-2" },
			"kind":   func(c *alerts.Command) { c.Kind = alerts.CommandReturn },
			"text":   func(c *alerts.Command) { c.Text = "other" },
			"drill":  func(c *alerts.Command) { c.Drill = true },
		} {
			c := again
			change(&c)
			if _, created, err := s.CreateCommand(t.Context(), c, nil); created || !errors.Is(err, alerts.ErrConflict) || errors.Is(err, alerts.ErrTooManyCommands) {
				t.Errorf("another %s: created %v, %v, want ErrConflict", name, created, err)
			}
		}
		equal(t, "state", stateOf(t, "cm-1"), alerts.CommandQueued)
		other := again
		other.Issuer = "another"
		_, created = got2(s.CreateCommand(t.Context(), other, nil))(t)
		equal(t, "created by another issuer", created, true)
		keyless, more := newCommand("cm-3", "trk-1", alerts.CommandMessage, 2), newCommand("cm-4", "trk-1", alerts.CommandMessage, 2)
		keyless.Key, more.Key = "", ""
		give(t, keyless, more)
		taken := newCommand("cm-4", "trk-1", alerts.CommandMessage, 3)
		if _, _, err := s.CreateCommand(t.Context(), taken, nil); err == nil {
			t.Error("an id was taken twice")
		}
	},
	"NewerOneTakesThePlace": func(t check) {
		s := t.store
		old := newCommand("cm-1", "trk-1", alerts.CommandLocate, 0)
		drill := newCommand("cm-2", "trk-1", alerts.CommandLocate, 0)
		drill.Drill = true
		give(
			t, old, drill,
			newCommand("cm-3", "trk-2", alerts.CommandLocate, 0),
			newCommand("cm-4", "trk-1", alerts.CommandReturn, 0),
			newCommand("cm-5", "trk-1", alerts.CommandMessage, 0),
			newCommand("cm-6", "trk-1", alerts.CommandMessage, 0),
		)
		before := lastEvent(t, s)
		tell(t, "trk-1", 1)
		give(t, newCommand("cm-7", "trk-1", alerts.CommandLocate, 2))
		for id, want := range map[string]alerts.CommandState{
			"cm-1": alerts.CommandSuperseded, "cm-2": alerts.CommandSent, "cm-3": alerts.CommandQueued, "cm-4": alerts.CommandSent,
			"cm-5": alerts.CommandSent, "cm-6": alerts.CommandSent, "cm-7": alerts.CommandQueued,
		} {
			equal(t, id, stateOf(t, id), want)
		}
		c := got(s.Command(t.Context(), "cm-1"))(t)
		if c.By != "cm-7" || !c.Ended.Equal(at(2)) || !c.NextAt.Equal(at(2)) {
			t.Errorf("superseded: %+v", c)
		}
		var data []string
		for _, e := range newEvents(t, s, before) {
			data = append(data, string(e.Data))
		}
		want := []string{`{"id":"cm-7","device":"trk-1","state":"queued"}`, `{"id":"cm-1","device":"trk-1","state":"superseded"}`}
		equal(t, "events", data, want)
	},
	"OneDeviceHasOnlySoMany": func(t check) {
		s := t.store
		for i := range alerts.MaxOpenCommands - 1 {
			give(t, newCommand(fmt.Sprintf("cm-%02d", i), "trk-1", alerts.CommandMessage, i))
		}
		give(t, newCommand("cm-l1", "trk-1", alerts.CommandLocate, 20))
		before := lastEvent(t, s)
		c := newCommand("cm-x", "trk-1", alerts.CommandMessage, 21)
		if _, created, err := s.CreateCommand(t.Context(), c, nil); created || !errors.Is(err, alerts.ErrTooManyCommands) || !errors.Is(err, alerts.ErrConflict) {
			t.Errorf("created %v, %v, want ErrTooManyCommands", created, err)
		}
		equal(t, "events", lastEvent(t, s), before)
		give(t, newCommand("cm-l2", "trk-1", alerts.CommandLocate, 22)) // takes a place that is there
		give(t, newCommand("cm-y", "trk-2", alerts.CommandMessage, 22))
	},
	"ManyAtOnceSeeEachOther": func(t check) {
		s := t.store
		var created atomic.Int64
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				c := newCommand(fmt.Sprintf("cm-%02d", i), "trk-1", alerts.CommandLocate, 0)
				c.Key = fmt.Sprint("key-", i/2)
				_, fresh, err := s.CreateCommand(t.Context(), c, []alerts.Event{alerts.CommandEvent(&c, t0)})
				if err != nil {
					t.Error(err)
				}
				if fresh {
					created.Add(1)
				}
			})
		}
		wg.Wait()
		equal(t, "created", created.Load(), 6)
		equal(t, "open", len(got(s.Commands(t.Context(), alerts.CommandQuery{Open: true, Limit: 100}))(t)), 1)
		equal(t, "all", len(got(s.Commands(t.Context(), alerts.CommandQuery{Limit: 100}))(t)), 6)
		equal(t, "events", len(newEvents(t, s, 0)), 6+5)
	},
	"CommandsAreListedNewestFirstInPages": func(t check) {
		s := t.store
		withRoster(t, s)
		gone := newCommand("cm-d", "trk-2", alerts.CommandMessage, 3)
		gone.Area = "130630100"
		give(
			t, newCommand("cm-z", "trk-1", alerts.CommandMessage, 0), newCommand("cm-a", "trk-1", alerts.CommandMessage, 0),
			newCommand("cm-c", "trk-1", alerts.CommandMessage, 1), gone,
		)
		got(s.UpdateCommand(t.Context(), "cm-c", func(c *alerts.Command) ([]alerts.Event, error) {
			c.End(alerts.CommandWithdrawn, "duty", "", at(2))
			return nil, nil
		}))(t)
		for _, c := range []struct {
			q    alerts.CommandQuery
			want []string
		}{
			{alerts.CommandQuery{}, []string{"cm-d", "cm-c", "cm-z", "cm-a"}},
			{alerts.CommandQuery{Open: true}, []string{"cm-d", "cm-z", "cm-a"}},
			{alerts.CommandQuery{Device: "trk-1"}, []string{"cm-c", "cm-z", "cm-a"}},
			{alerts.CommandQuery{Device: "trk-3"}, nil},
			{alerts.CommandQuery{Area: "130600"}, []string{"cm-d", "cm-c", "cm-z", "cm-a"}},
			{alerts.CommandQuery{Area: "130633", Open: true}, []string{"cm-z", "cm-a"}},
			{alerts.CommandQuery{Area: "130630"}, []string{"cm-d"}},
			{alerts.CommandQuery{Area: "130633101"}, nil},
			{alerts.CommandQuery{Area: "130633", Device: "trk-1", Before: "cm-c"}, []string{"cm-z", "cm-a"}},
		} {
			c.q.Limit = 10
			equal(t, fmt.Sprintf("%+v", c.q), commandIDs(got(s.Commands(t.Context(), c.q))(t)), c.want)
		}
		var paged []string
		for q := (alerts.CommandQuery{Limit: 1}); len(paged) < 10; {
			page := commandIDs(got(s.Commands(t.Context(), q))(t))
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			q.Before = page[len(page)-1]
		}
		equal(t, "in pages", paged, []string{"cm-d", "cm-c", "cm-z", "cm-a"})
		if _, err := s.Commands(t.Context(), alerts.CommandQuery{Before: "cm-0", Limit: 1}); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("an unknown page: %v, want ErrNotFound", err)
		}
	},
	"DevicesAreDueOnceTheLongestFirst": func(t check) {
		s := t.store
		give(
			t, newCommand("cm-1", "trk-b", alerts.CommandMessage, 2), newCommand("cm-2", "trk-a", alerts.CommandMessage, 1),
			newCommand("cm-3", "trk-b", alerts.CommandMessage, 0), newCommand("cm-4", "trk-c", alerts.CommandMessage, 3),
		)
		due := func(minutes, limit int) []contract.DeviceID {
			t.Helper()
			return got(s.DueCommands(t.Context(), at(minutes), limit))(t)
		}
		equal(t, "all", due(3, 10), []contract.DeviceID{"trk-b", "trk-a", "trk-c"})
		equal(t, "some", due(3, 2), []contract.DeviceID{"trk-b", "trk-a"})
		equal(t, "earlier", due(0, 10), []contract.DeviceID{"trk-b"})
		tell(t, "trk-b", 3)
		equal(t, "told", due(3, 10), []contract.DeviceID{"trk-a", "trk-c"})
		equal(t, "told and not heard of again", due(13, 10), []contract.DeviceID{"trk-a", "trk-c", "trk-b"})
	},
	"DevicesThatMayShowACommand": func(t check) {
		s := t.store
		give(
			t, newCommand("cm-1", "trk-open", alerts.CommandMessage, 0), newCommand("cm-2", "trk-ended", alerts.CommandMessage, 0),
			newCommand("cm-3", "trk-untold", alerts.CommandMessage, 0), newCommand("cm-4", "trk-open", alerts.CommandMessage, 1),
		)
		for _, id := range []string{"cm-2", "cm-3"} {
			got(s.UpdateCommand(t.Context(), id, func(c *alerts.Command) ([]alerts.Event, error) {
				c.End(alerts.CommandWithdrawn, "", "", at(2))
				return nil, nil
			}))(t)
		}
		tell(t, "trk-ended", 3)
		for minutes, want := range map[int][]contract.DeviceID{
			5:  {"trk-ended", "trk-open", "trk-untold"},
			60: {"trk-open", "trk-untold"}, // the device itself has dropped what expired
		} {
			equal(t, fmt.Sprint("after ", minutes), got(s.OpenDevices(t.Context(), at(minutes)))(t), want)
		}
	},
	"OpenAndDueOnesAreChangedTogether": func(t check) {
		s := t.store
		give(
			t, newCommand("cm-b", "trk-1", alerts.CommandMessage, 0), newCommand("cm-a", "trk-1", alerts.CommandMessage, 1),
			newCommand("cm-c", "trk-1", alerts.CommandMessage, 0), newCommand("cm-d", "trk-1", alerts.CommandMessage, 0),
			newCommand("cm-x", "trk-2", alerts.CommandMessage, 0),
		)
		end := func(id string, minutes int) {
			got(s.UpdateCommand(t.Context(), id, func(c *alerts.Command) ([]alerts.Event, error) {
				c.End(alerts.CommandWithdrawn, "", "", at(minutes))
				return nil, nil
			}))(t)
		}
		end("cm-d", 1)
		tell(t, "trk-1", 2) // cm-d is done with
		end("cm-c", 3)
		before := lastEvent(t, s)
		var seen []string
		update := func(minutes int, err error) error {
			return s.UpdateCommands(t.Context(), "trk-1", at(minutes), func(cs []alerts.Command) ([]alerts.Command, []alerts.Event, error) {
				seen = commandIDs(cs)
				for i := range cs {
					if cs[i].ID == "cm-a" {
						cs[i].Delivered, cs[i].State = at(4), alerts.CommandDelivered
						cs[i].Device, cs[i].Text = "trk-2", "other"
					}
				}
				return cs, []alerts.Event{event(alerts.EventCommand)}, err
			})
		}
		if err := update(4, errors.New("no")); err == nil || stateOf(t, "cm-a") != alerts.CommandSent || lastEvent(t, s) != before {
			t.Errorf("a change that failed left something: %v", err)
		}
		must(t, update(2, nil)) // cm-c is not due yet
		equal(t, "read before", seen, []string{"cm-b", "cm-a"})
		must(t, update(4, nil))
		equal(t, "read", seen, []string{"cm-b", "cm-c", "cm-a"})
		c := got(s.Command(t.Context(), "cm-a"))(t)
		if c.State != alerts.CommandDelivered || c.Device != "trk-1" || c.Text != "请返回" {
			t.Errorf("%+v", c)
		}
		equal(t, "events", lastEvent(t, s), before+2)
		err := s.UpdateCommands(t.Context(), "trk-1", at(4), func([]alerts.Command) ([]alerts.Command, []alerts.Event, error) {
			return []alerts.Command{newCommand("cm-x", "trk-2", alerts.CommandMessage, 0)}, nil, nil
		})
		if err == nil {
			t.Error("the command of another device was changed")
		}
		must(t, s.UpdateCommands(t.Context(), "trk-none", at(4), func(cs []alerts.Command) ([]alerts.Command, []alerts.Event, error) {
			equal(t, "commands of nobody", len(cs), 0)
			return nil, nil, nil
		}))
	},
	"ReceiptsAtOnceAllCount": func(t check) {
		s := t.store
		give(t, newCommand("cm-1", "trk-1", alerts.CommandMessage, 0))
		var wg sync.WaitGroup
		for _, r := range []contract.Receipt{contract.Delivered, contract.Read, contract.Accepted} {
			wg.Go(func() {
				_, err := s.UpdateCommand(t.Context(), "cm-1", func(c *alerts.Command) ([]alerts.Event, error) {
					_, err := c.Take(contract.Answer{Receipt: r, At: at(1 + slices.Index(contract.Receipts, r))}, at(10))
					return []alerts.Event{alerts.CommandEvent(c, at(10))}, err
				})
				if err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() { tell(t, "trk-1", 5) })
		}
		wg.Wait()
		c := got(s.Command(t.Context(), "cm-1"))(t)
		if times := [3]time.Time{c.Delivered, c.Read, c.Ended}; c.State != alerts.CommandAnswered || times != [3]time.Time{at(1), at(2), at(3)} {
			t.Errorf("%+v", c)
		}
	},
}
