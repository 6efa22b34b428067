package influx_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/influx"
)

func pastOf(t *testing.T, c *influx.Client, q ingest.PastQuery) []string {
	t.Helper()
	var out []string
	err := c.Past(t.Context(), q, func(r *contract.Reading) error {
		out = append(out, fmt.Sprintf("%s %s %d %s %s", r.Device, r.Class, r.Seq, r.Code, r.Kind))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPastIsByTimeMeasuredAndReceived(t *testing.T) {
	t.Parallel()
	c := client(t, influx.Options{})
	at := day.Add(10 * time.Hour)
	late := fix("w-2", at.Add(-5*time.Hour), 3) // returned from out of reach
	late.Received = at.Add(2 * time.Minute)
	sos := fix("w-1", at.Add(time.Minute), 2)
	sos.Class, sos.Code, sos.Text = contract.SOS, "button", "救命, \"快\""
	report := fix("w-2", at.Add(2*time.Minute), 9)
	report.Class, report.Code = contract.Report, "smoke"
	status := fix("w-1", at.Add(3*time.Minute), 7)
	status.Class, status.Values = contract.Status, contract.Values{}
	status.Values.Set(contract.Online, 1)
	mustWrite(t, c, weather("s-1", at.Add(90*time.Second), 1), fix("w-1", at, 1), late, sos, report, status, weather("s-1", at.Add(2*time.Hour), 2))

	everything := ingest.PastQuery{From: at.Add(-6 * time.Hour), To: at.Add(time.Hour)}
	received := everything
	received.ReceivedFrom, received.ReceivedTo = at.Add(30*time.Second), at.Add(150*time.Second)
	calls := everything
	calls.Calls = true
	some := received
	some.Calls = true
	for name, x := range map[string]struct {
		q    ingest.PastQuery
		want []string
	}{
		"by class, in order of measured time": {everything, []string{
			"w-2 position 3  tracker", "w-1 position 1  tracker", "w-1 sos 2 button tracker", "w-2 report 9 smoke tracker",
			"s-1 environment 1  sensor", "w-1 status 7  tracker",
		}},
		"received then, whenever measured": {received, []string{
			"w-2 position 3  tracker", "w-1 sos 2 button tracker", "w-2 report 9 smoke tracker", "s-1 environment 1  sensor",
		}},
		"calls":               {calls, []string{"w-1 sos 2 button tracker", "w-2 report 9 smoke tracker"}},
		"calls received then": {some, []string{"w-1 sos 2 button tracker", "w-2 report 9 smoke tracker"}},
		"no time":             {ingest.PastQuery{From: at, To: at}, nil},
	} {
		if got := pastOf(t, c, x.q); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}

	var whole contract.Reading
	if err := c.Past(t.Context(), some, func(r *contract.Reading) error {
		if r.Class == contract.SOS {
			whole = *r
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if whole != sos {
		t.Errorf("read back %+v, was %+v", whole, sos)
	}
	stop := errors.New("enough")
	if err := c.Past(t.Context(), everything, func(*contract.Reading) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("each said stop: %v", err)
	}
}

func TestPastSaysThatHistoryIsAway(t *testing.T) {
	t.Parallel()
	c := connect(t, influx.Options{URL: "http://127.0.0.1:1"})
	for _, calls := range []bool{false, true} {
		err := c.Past(t.Context(), ingest.PastQuery{From: day, To: day.Add(time.Hour), Calls: calls}, func(*contract.Reading) error { return nil })
		if !errors.Is(err, ingest.ErrHistoryAway) {
			t.Errorf("calls %v: %v", calls, err)
		}
	}
}
