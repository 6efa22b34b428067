package fleet

import "slices"

const (
	batterySamples = 24          // remembered
	batterySpacing = 3 * hourMS  // at least between two of them: three days in all
	batteryCharge  = 5           // percentage points up that mean it was charged
	batteryTrend   = 12 * hourMS // the shortest time from which a rate is told
	batteryDrain   = 0.1         // percentage points a day; less is no drain
	hourMS         = 3_600_000   // ms
	dayMS          = float64(24 * hourMS)
)

// battery follows the charge of one device over the last days.
type battery struct {
	Pct     float64  `json:"pct"` // newest, % of a full battery
	At      int64    `json:"at"`  // measured, ms since 1970; 0: none yet
	Samples []sample `json:"samples,omitempty"`
}

type sample struct {
	At  int64   `json:"at"`
	Pct float64 `json:"pct"`
}

// observe takes a charge measured at the time. One that came late and is older
// than the newest says nothing about now.
func (b *battery) observe(pct float64, at int64) {
	if at <= b.At {
		return
	}
	if b.At != 0 && pct > b.Pct+batteryCharge {
		b.Samples = b.Samples[:0] // charged or exchanged: the trend begins anew
	}
	b.Pct, b.At = pct, at
	if n := len(b.Samples); n > 0 && at-b.Samples[n-1].At < batterySpacing {
		return
	}
	if len(b.Samples) >= batterySamples {
		b.Samples = slices.Delete(b.Samples, 0, 1)
	}
	b.Samples = append(b.Samples, sample{at, pct})
}

// rate is the change in percentage points a day: the slope of the least squares
// through the samples and the newest value.
func (b *battery) rate() (perDay float64, known bool) {
	if len(b.Samples) < 2 || b.At-b.Samples[0].At < batteryTrend {
		return 0, false
	}
	t0 := b.Samples[0].At
	var n, sx, sy, sxx, sxy float64
	add := func(at int64, pct float64) {
		x := float64(at-t0) / dayMS
		n++
		sx += x
		sy += pct
		sxx += x * x
		sxy += x * pct
	}
	for _, s := range b.Samples {
		add(s.At, s.Pct)
	}
	if b.Samples[len(b.Samples)-1].At != b.At {
		add(b.At, b.Pct)
	}
	d := n*sxx - sx*sx
	if d <= 0 {
		return 0, false
	}
	return (n*sxy - sx*sy) / d, true
}

// daysLeft is how long the charge lasts at the rate.
func (b *battery) daysLeft() (days float64, known bool) {
	r, ok := b.rate()
	if !ok || r > -batteryDrain {
		return 0, false
	}
	return b.Pct / -r, true
}
