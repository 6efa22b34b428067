package sqlstore

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
)

// TestCommandCrashChild is not a test but the process that testCommandCrash
// kills: each command takes the place of the one before, and is named when the
// call has returned.
func TestCommandCrashChild(t *testing.T) {
	addr := os.Getenv(crashEnv)
	if addr == "" {
		t.Skip("runs as the child of the crash tests")
	}
	s := openStore(t, addr)
	for i := 0; ; i++ {
		now := time.Now()
		c, err := alerts.NewCommand(alerts.Command{
			Device: "trk-1", Kind: alerts.CommandLocate, Issuer: "duty", Expires: now.Add(time.Hour),
		}, now)
		must(t, err)
		_, _, err = s.CreateCommand(t.Context(), c, []alerts.Event{alerts.CommandEvent(&c, now)})
		must(t, err)
		fmt.Fprintln(os.Stdout, "given", c.ID)
		must(t, s.UpdateCommands(t.Context(), "trk-1", now, func(cs []alerts.Command) ([]alerts.Command, []alerts.Event, error) {
			var evs []alerts.Event
			for i := range cs {
				before := cs[i].State
				if cs[i].Told(now); cs[i].State != before {
					evs = append(evs, alerts.CommandEvent(&cs[i], now))
				}
			}
			return cs, evs, nil
		}))
	}
}

func testCommandCrash(t dialectTest) {
	addr := t.newURL(t)
	openMigrated(t, addr)
	given := map[string]bool{}
	for round := range 4 {
		killChild(t.T, "TestCommandCrashChild", addr, 3+5*round, given)
	}
	s := openMigrated(t, addr)
	told := map[string]bool{}
	evs, err := s.Events(t.Context(), 0, 10_000)
	must(t, err)
	for _, e := range evs {
		told[string(e.Data)] = true
	}
	cs, err := s.Commands(t.Context(), alerts.CommandQuery{Limit: 1000})
	must(t, err)
	open := 0
	places := map[string]bool{} // of commands that another one may take, once
	for i := range cs {
		places[cs[i].ID] = true
	}
	for i := range cs {
		c := &cs[i]
		delete(given, c.ID)
		if c.State.Open() {
			open++
		}
		if want := string(alerts.CommandEvent(c, t0).Data); !told[want] {
			t.Errorf("no event says %s", want)
		}
		// Ids of one millisecond have no order: it is a chain, whatever way it runs.
		if !c.State.Open() && (c.State != alerts.CommandSuperseded || c.By == c.ID || !places[c.By]) {
			t.Errorf("command %s is %s by %q, want superseded by one that supersedes no other", c.ID, c.State, c.By)
		}
		places[c.By] = false
	}
	if len(given) > 0 || open != 1 {
		t.Errorf("%d commands are lost, %d are open", len(given), open)
	}
}

// What the runner asks twice a second goes by an index, however many commands
// there have been.
func TestDueCommandsGoByAnIndex(t *testing.T) {
	s := openMigrated(t, sqliteURL(t))
	for query, index := range map[string]string{dueCommands: "commands_due", liveCommands: "commands_live"} {
		plan, err := queryAll(t.Context(), s.read(), func(r row) (detail string, err error) {
			var ignored [3]int
			err = r.Scan(&ignored[0], &ignored[1], &ignored[2], &detail)
			return detail, err
		}, "EXPLAIN QUERY PLAN "+query, "x", 1)
		must(t, err)
		found := false
		for _, line := range plan {
			found = found || strings.HasPrefix(line, "SEARCH") && strings.Contains(line, index)
		}
		if !found {
			t.Errorf("%s\n%v, want a search of %s", query, plan, index)
		}
	}
}
