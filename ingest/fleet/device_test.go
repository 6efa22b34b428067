package fleet

import (
	"math"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
)

var start = time.Now().Add(-96 * time.Hour).Truncate(time.Hour).UTC()

func TestClockSkew(t *testing.T) {
	type heard struct{ measured, received time.Duration } // after start
	late := func(n int, every, by time.Duration) (hs []heard) {
		for i := range n {
			at := time.Duration(i) * every
			hs = append(hs, heard{at, at + by})
		}
		return hs
	}
	for _, tc := range []struct {
		name  string
		heard []heard
		skew  time.Duration
		known bool
	}{
		{"on time", late(1, 0, 300*time.Millisecond), -300 * time.Millisecond, true},
		{"ahead shows at once", []heard{{90 * time.Second, time.Second}}, 89 * time.Second, true},
		{"one late message proves nothing", late(1, 0, time.Hour), 0, false},
		{"a batch proves as much as one", []heard{{0, time.Hour}, {time.Second, time.Hour}, {2 * time.Second, time.Hour}, {3 * time.Second, time.Hour}, {4 * time.Second, time.Hour}}, 0, false},
		{"always as late: the clock is behind", late(6, time.Minute, 5*time.Minute), -5 * time.Minute, true},
		{"a backlog between good ones", append(late(3, time.Minute, 200*time.Millisecond), heard{0, 6 * time.Hour}), -200 * time.Millisecond, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c clock
			for _, h := range tc.heard {
				c.observe(start.Add(h.measured).UnixMilli(), start.Add(h.received).UnixMilli())
			}
			ms, known := c.skew()
			if known != tc.known || known && time.Duration(ms)*time.Millisecond != tc.skew {
				t.Errorf("skew %d ms, known %v; want %v, %v", ms, known, tc.skew, tc.known)
			}
		})
	}
}

func TestClockForgetsAClockThatWasMended(t *testing.T) {
	var c clock
	at := start
	for range 10 {
		at = at.Add(time.Hour)
		c.observe(at.Add(time.Hour).UnixMilli(), at.UnixMilli()) // an hour ahead
	}
	for range 30 {
		at = at.Add(time.Hour)
		c.observe(at.UnixMilli(), at.UnixMilli())
	}
	if ms, known := c.skew(); !known || ms != 0 {
		t.Errorf("skew %d ms, known %v; want 0 after 30 good hours", ms, known)
	}
}

func TestBatteryTrend(t *testing.T) {
	var b battery
	for h := range 48 {
		b.observe(80-float64(h)/4, start.Add(time.Duration(h)*time.Hour).UnixMilli()) // 6 points a day
	}
	rate, known := b.rate()
	if !known || math.Abs(rate+6) > 0.01 {
		t.Errorf("rate %v, known %v; want -6 a day", rate, known)
	}
	days, known := b.daysLeft()
	if want := b.Pct / 6; !known || math.Abs(days-want) > 0.05 {
		t.Errorf("%v days left, known %v; want %v", days, known, want)
	}
	b.observe(30, start.UnixMilli()) // late
	if b.Pct < 60 {
		t.Error("a late value stands for the newest")
	}
	b.observe(100, start.Add(49*time.Hour).UnixMilli())
	if _, known := b.rate(); known {
		t.Error("a trend is told right after charging")
	}
}

func TestBatteryOfADeviceThatDoesNotDrain(t *testing.T) {
	var b battery
	for h := range 48 {
		b.observe(100, start.Add(time.Duration(h)*time.Hour).UnixMilli())
	}
	if _, known := b.daysLeft(); known {
		t.Error("days are told for a battery that does not drain")
	}
}

func reading(class contract.Class, measured, received time.Time) contract.Reading {
	return contract.Reading{Device: "trk-1", Kind: contract.Tracker, Class: class, Measured: measured, Received: received}
}

func TestABacklogProvesNoLifeAndNoSkew(t *testing.T) {
	var d device
	live := reading(contract.Position, start, start.Add(time.Second))
	live.Values.Set(contract.Buffered, 0)
	d.observe(&live, true)
	old := reading(contract.Position, start.Add(-5*time.Hour), start.Add(time.Minute))
	old.Values.Set(contract.Buffered, 300)
	d.observe(&old, true)
	h := d.health("trk-1")
	if !h.Measured.Equal(start) || !h.Received.Equal(start.Add(time.Minute)) {
		t.Errorf("measured %v, received %v", h.Measured, h.Received)
	}
	if h.Buffered != 0 || !h.HasBuffered {
		t.Errorf("buffered %d of an old reading stands for the newest", h.Buffered)
	}
	if !h.HasSkew || h.Skew != -time.Second {
		t.Errorf("skew %v, known %v", h.Skew, h.HasSkew)
	}
}

func TestAnAlarmWithoutAClockSaysNothingOfTheClock(t *testing.T) {
	var d device
	sos := reading(contract.SOS, start, start) // taken as of its receipt
	d.observe(&sos, true)
	if h := d.health("trk-1"); h.HasSkew {
		t.Errorf("skew %v is told", h.Skew)
	}
	will := reading(contract.Status, start.Add(-time.Hour), start)
	will.Values.Set(contract.Online, 0)
	for i := range 10 {
		will.Received = start.Add(time.Duration(i) * time.Minute)
		d.observe(&will, true)
	}
	if h := d.health("trk-1"); h.HasSkew {
		t.Errorf("skew %v is told of last wills", h.Skew)
	}
}
