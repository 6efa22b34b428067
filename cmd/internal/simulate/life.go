package simulate

import (
	"math/rand/v2"
	"time"

	contract "firewatch/firmware-contracts"
)

// life is what a device measures and when it has no network. It does no I/O:
// the same seed and start give the same life.
type life struct {
	m      *Member
	rng    *rand.Rand
	script *script
	start  time.Time
	every  time.Duration
	skew   time.Duration // how far its clock is ahead
	seq    uint64
	warden *warden
	sensor *sensor

	gapTo     time.Duration // without network until then, from the start
	held      int           // readings that wait for the network
	nextState time.Duration // when the next status is due
	sosRound  int           // the newest round of the story that the warden called in
	sosStands bool
}

// moment is what came of one measurement.
type moment struct {
	readings []contract.Reading // oldest first
	offline  bool               // nothing can be sent now
	again    bool               // the newest goes out twice, as when a PUBACK was lost
}

// How often things happen.
const (
	gapEvery      = 40 * time.Minute
	againOneIn    = 250
	statusEvery   = time.Hour
	skewedOneIn   = 12
	farAheadOneIn = 60
)

func newLife(m *Member, seed uint64, start time.Time, every time.Duration, sc *script) *life {
	l := &life{
		m: m, rng: rand.New(rand.NewPCG(seed, hash(string(m.ID)))), script: sc, start: start, every: every, //nolint:gosec // repeatable by intent
		// Grows over restarts too: a device never measures a thousand times a ms.
		seq: uint64(start.UnixMilli()) * 1000,
	}
	if m.Kind == contract.Sensor {
		l.sensor = newSensor(m, l.rng)
	} else {
		l.warden = newWarden(m, l.rng)
	}
	switch {
	case sc.involves(m.ID):
	case l.rng.IntN(farAheadOneIn) == 0:
		l.skew = 3*time.Minute + upTo(l.rng, 5*time.Minute)
	case l.rng.IntN(skewedOneIn) == 0:
		l.skew = upTo(l.rng, 3*time.Minute) - 90*time.Second
	}
	l.skew = l.skew.Truncate(time.Millisecond)
	return l
}

// measure is what happens at the time from the start. Times must grow.
func (l *life) measure(at time.Duration) (m moment) {
	t := l.start.Add(at)
	if at >= l.nextState {
		m.readings = append(m.readings, l.reading(t, contract.Status, l.status(at)))
		l.nextState = at + statusEvery
	}
	if l.sensor != nil {
		m.readings = append(m.readings, l.reading(t, contract.Environment, l.sensor.measure(t, l.script.smell(l.m.ID, at))))
	} else {
		fix := l.warden.measure(t)
		m.readings = append(m.readings, l.reading(t, contract.Position, fix))
		if r, ok := l.call(t, at, fix); ok {
			m.readings = append(m.readings, r)
		}
	}
	l.network(at, &m)
	return m
}

// network decides whether the readings can leave the device.
func (l *life) network(at time.Duration, m *moment) {
	m.again = l.rng.IntN(againOneIn) == 0
	gap := l.rng.Float64() < float64(l.every)/float64(gapEvery)
	length := max(2*l.every, 20*time.Second+upTo(l.rng, 130*time.Second))
	if at >= l.gapTo && gap && !l.script.involves(l.m.ID) {
		l.gapTo = at + length
	}
	if m.offline = at < l.gapTo; m.offline {
		l.held += len(m.readings)
		m.again = false
		return
	}
	if l.held > 0 {
		newest := &m.readings[len(m.readings)-1]
		newest.Values.Set(contract.Buffered, float64(l.held))
		l.held = 0
	}
}

func (l *life) reading(t time.Time, c contract.Class, v contract.Values) contract.Reading {
	l.seq++
	r := contract.Reading{
		Device: l.m.ID, Kind: l.m.Kind, Class: c, Measured: t.Add(l.skew).Truncate(time.Millisecond).UTC(), Seq: l.seq, HasSeq: true, Values: v,
	}
	if c == contract.Status {
		r.Code = "sim-1.0"
	}
	return r
}

// upTo is a random duration below the limit.
func upTo(rng *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(limit)))
}

func (l *life) status(at time.Duration) (v contract.Values) {
	v.Set(contract.Online, 1)
	v.Set(contract.UptimeS, float64(int64(at.Seconds())))
	if l.warden != nil {
		v.Set(contract.BatteryPct, float64(int(l.warden.battery)))
	} else {
		v.Set(contract.BatteryPct, float64(int(l.sensor.battery)))
	}
	return v
}

// call is the story's call for help, or its end.
func (l *life) call(t time.Time, at time.Duration, fix contract.Values) (contract.Reading, bool) {
	round, stands := l.script.calls(l.m.ID, at)
	if round == 0 || round == l.sosRound && stands == l.sosStands || round != l.sosRound && !stands {
		return contract.Reading{}, false
	}
	l.sosRound, l.sosStands = round, stands
	fix.Set(contract.Active, b2f(stands))
	r := l.reading(t, contract.SOS, fix)
	r.Code = "button"
	if stands {
		r.Text = "巡护中扭伤脚踝，行走困难，请求支援"
	} else {
		r.Text = "已能行走，自行下山，解除求救"
	}
	return r, true
}
