package alertstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// NotifierBench is a channel under test with the real neighbour behind it.
type NotifierBench struct {
	Notifier alerts.Notifier
	// Seen is what the team's side of the channel shows now, in order.
	Seen func(t *testing.T, team contract.TeamID) []contract.Order
	// Stop takes the neighbour away and Start brings it back.
	Stop, Start func(t *testing.T)
	// Secrets must not stand in an error.
	Secrets []string
	// States tells that an empty list takes back what was said before, which
	// a channel like SMS cannot do.
	States bool
}

// notifierPatience is how long the suite waits for a neighbour to come back, and
// the longest that a call to one that is away may take.
const notifierPatience = 20 * time.Second

// NotifierSuite is what every Notifier must do. Open sets up a fresh bench.
func NotifierSuite(t *testing.T, open func(t *testing.T) NotifierBench) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, NotifierBench)
	}{
		{"names its channel", notifierChannel},
		{"shows what it was told", notifierShows},
		{"shows state, not edges", notifierState},
		{"keeps teams apart", notifierTeams},
		{"takes many teams at once", notifierMany},
		{"obeys its context", notifierContext},
		{"refuses a team it can never reach", notifierBadTeam},
		{"outlives its neighbour", notifierOutage},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

var notifierEpoch = time.Date(2026, 3, 14, 8, 0, 0, 0, time.UTC)

func notifierOrder(n int) contract.Order {
	return contract.Order{
		ID: fmt.Sprintf("or-%d", n), Kind: "standby", Level: "red", Text: "【演练】立即待命 <&>\n", Drill: true, Issuer: "值班员",
		Issued: notifierEpoch, AnswerBy: notifierEpoch.Add(5 * time.Minute), Lat: 39.35, Lon: 115.5, HasPlace: true,
	}
}

func notifierTeam(n int) alerts.Team {
	return alerts.Team{ID: contract.TeamID(fmt.Sprintf("team-%d", n)), Name: "易州镇队", Phone: fmt.Sprintf("1380000%04d", n)}
}

func notifierChannel(t *testing.T, b NotifierBench) {
	if ch := b.Notifier.Channel(); ch == "" || ch != b.Notifier.Channel() || strings.ContainsAny(ch, " /\n") {
		t.Errorf("channel %q: want one word that stays", ch)
	}
}

// tell notifies until the channel takes it: it may still be connecting.
func (b NotifierBench) tell(t *testing.T, team alerts.Team, open ...contract.Order) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(notifierPatience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), notifierPatience)
		err = b.Notifier.Notify(ctx, team, open)
		cancel()
		if err == nil {
			return
		}
		if _, ok := errors.AsType[*alerts.PermanentError](err); ok {
			break
		}
	}
	t.Fatalf("notifying %s: %v", team.ID, err)
}

func (b NotifierBench) shows(t *testing.T, team alerts.Team, want ...contract.Order) {
	t.Helper()
	got := b.Seen(t, team.ID)
	if !slices.EqualFunc(got, want, sameOrder) {
		t.Errorf("%s is shown %+v, want %+v", team.ID, got, want)
	}
}

func sameOrder(a, b contract.Order) bool {
	if cmp.Compare(a.Issued.UnixMilli(), b.Issued.UnixMilli()) != 0 || a.AnswerBy.UnixMilli() != b.AnswerBy.UnixMilli() {
		return false
	}
	a.Issued, a.AnswerBy, b.Issued, b.AnswerBy = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return a == b
}

func notifierShows(t *testing.T, b NotifierBench) {
	b.tell(t, notifierTeam(1), notifierOrder(1), notifierOrder(2))
	b.shows(t, notifierTeam(1), notifierOrder(1), notifierOrder(2))
}

func notifierState(t *testing.T, b NotifierBench) {
	if !b.States {
		t.Skip("this channel cannot take back")
	}
	team := notifierTeam(1)
	b.tell(t, team)
	b.shows(t, team)
	b.tell(t, team, notifierOrder(1), notifierOrder(2))
	b.tell(t, team, notifierOrder(1), notifierOrder(2))
	b.tell(t, team, notifierOrder(2))
	b.shows(t, team, notifierOrder(2))
	b.tell(t, team)
	b.shows(t, team)
}

func notifierTeams(t *testing.T, b NotifierBench) {
	b.tell(t, notifierTeam(1), notifierOrder(1))
	b.tell(t, notifierTeam(2), notifierOrder(2))
	b.shows(t, notifierTeam(1), notifierOrder(1))
	b.shows(t, notifierTeam(2), notifierOrder(2))
	b.shows(t, notifierTeam(3))
}

func notifierMany(t *testing.T, b NotifierBench) {
	b.tell(t, notifierTeam(0), notifierOrder(0))
	var all sync.WaitGroup
	faults := make(chan error, 128)
	for i := range 128 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), notifierPatience)
			defer cancel()
			if err := b.Notifier.Notify(ctx, notifierTeam(i), []contract.Order{notifierOrder(i)}); err != nil {
				faults <- fmt.Errorf("team %d: %w", i, err)
			}
		})
	}
	all.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
	for _, i := range []int{0, 64, 127} {
		b.shows(t, notifierTeam(i), notifierOrder(i))
	}
}

func notifierContext(t *testing.T, b NotifierBench) {
	b.tell(t, notifierTeam(1), notifierOrder(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	err := b.Notifier.Notify(ctx, notifierTeam(1), []contract.Order{notifierOrder(2)})
	var never *alerts.PermanentError
	if err == nil || errors.As(err, &never) || time.Since(began) > time.Second {
		t.Errorf("with a context that has ended: %v after %s", err, time.Since(began))
	}
}

func notifierBadTeam(t *testing.T, b NotifierBench) {
	err := b.Notifier.Notify(t.Context(), alerts.Team{ID: "a/#"}, []contract.Order{notifierOrder(1)})
	if _, ok := errors.AsType[*alerts.PermanentError](err); !ok {
		t.Errorf("a team without address: %v, want a *alerts.PermanentError", err)
	}
}

func notifierOutage(t *testing.T, b NotifierBench) {
	team := notifierTeam(1)
	b.tell(t, team, notifierOrder(1))
	b.Stop(t)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), notifierPatience)
	defer cancel()
	err := b.Notifier.Notify(ctx, team, []contract.Order{notifierOrder(2)})
	var never *alerts.PermanentError
	switch {
	case err == nil:
		t.Error("the channel took a call while its neighbour was away")
	case errors.As(err, &never):
		t.Errorf("an outage is no reason to give up: %v", err)
	case time.Since(began) > notifierPatience/2:
		t.Errorf("it took %s to notice that the neighbour is away", time.Since(began))
	}
	for _, secret := range b.Secrets {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("a secret stands in the error: %v", err)
		}
	}
	b.Start(t)
	b.tell(t, team, notifierOrder(3))
	b.shows(t, team, notifierOrder(3))
}
