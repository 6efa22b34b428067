package tenure_test

import (
	"errors"
	"testing"
	"time"

	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/tenure"
)

var t0 = time.Date(2026, 3, 14, 0, 30, 0, 0, time.UTC)

func elect(t *testing.T, x *tenure.Tenure, at time.Duration) (changed bool) {
	t.Helper()
	changed, err := x.Elect(t.Context(), t0.Add(at))
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestOneLeadsAndTheOtherTakesOverWhenItEnds(t *testing.T) {
	store := memstore.New()
	a, b := tenure.New(store, "x", "a", 15*time.Second), tenure.New(store, "x", "b", 15*time.Second)
	if !elect(t, a, 0) || !a.Leader() || !a.Owns(t0) {
		t.Fatal("the first does not lead")
	}
	if elect(t, b, 0) || b.Leader() || b.Owns(t0) {
		t.Fatal("two lead")
	}
	if elect(t, a, 10*time.Second) || !a.Owns(t0.Add(24*time.Second)) || a.Owns(t0.Add(25*time.Second)) {
		t.Error("the lease was not renewed to 25 s")
	}
	if err := a.Release(t.Context(), time.Second); err != nil || a.Leader() {
		t.Fatal(err)
	}
	if !elect(t, b, 11*time.Second) || !b.Leader() {
		t.Error("nobody took over")
	}
}

func TestTenureOutlivesAnOutageToItsEndOnly(t *testing.T) {
	store := memstore.New()
	a := tenure.New(store, "x", "a", 15*time.Second)
	elect(t, a, 0)
	store.Fail(errors.New("away"))
	if changed, err := a.Elect(t.Context(), t0.Add(6*time.Second)); err == nil || changed || !a.Leader() {
		t.Errorf("%v, %v: want an error, and the tenure to go on", changed, err)
	}
	if changed, err := a.Elect(t.Context(), t0.Add(16*time.Second)); err == nil || !changed || a.Leader() {
		t.Errorf("%v, %v: want the tenure ended", changed, err)
	}
}

func TestBeginningThatFailedIsBegunAgain(t *testing.T) {
	a := tenure.New(memstore.New(), "x", "a", 15*time.Second)
	elect(t, a, 0)
	a.Retry()
	if a.Leader() || !elect(t, a, 0) || !a.Leader() {
		t.Error("not begun again")
	}
}

func TestReportTellsNewsOnce(t *testing.T) {
	a := tenure.New(memstore.New(), "x", "a", 15*time.Second)
	for i, c := range []struct {
		err  error
		news bool
	}{{nil, true}, {nil, false}, {errors.New("x"), true}, {errors.New("x"), false}, {errors.New("y"), true}, {nil, true}} {
		if got := a.Report(c.err); got != c.news {
			t.Errorf("%d: news %v, want %v", i, got, c.news)
		}
	}
	if a.Ready() != nil {
		t.Error(a.Ready())
	}
}
