package alerts

import (
	"cmp"
	"math"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// WindowSpan is how far back, in measured time from the newest reading, the
// live window of a subject reaches. An engine that starts reads its feed this
// far back.
const WindowSpan = 30 * time.Minute

// maxSamples bounds each of a subject's two windows. At 1 Hz the live window
// then holds the newest two to four minutes of them; what the temperature was
// before is remembered apart.
const maxSamples = 128

// quantity is one independent sign of fire.
type quantity uint8

const (
	qSmoke quantity = iota
	qCO
	qTemp
	qFlame
	numQuantities
)

// field is the wire field that carries the quantity.
func (q quantity) field() contract.Field {
	return [numQuantities]contract.Field{
		qSmoke: contract.SmokeObsPctM, qCO: contract.CoPPM, qTemp: contract.TempC, qFlame: contract.Flame,
	}[q]
}

// sample is one reading of a sensor as the fire rule sees it.
type sample struct {
	measured, received int64                  // ms since 1970
	seq                uint64                 // 1 more than the reading's; 0: it has none
	v                  [numQuantities]float32 // NaN: the reading does not have it
	base               float32                // °C, the sensor's usual temperature; NaN: unknown
	suspect, strong    uint8                  // bits by quantity
	calm               bool                   // every quantity is below the lower threshold
	mute               bool                   // calibrating: does not judge
}

var nan32 = float32(math.NaN())

func newSample(r *contract.Reading) (s sample, ok bool) {
	s = sample{measured: r.Measured.UnixMilli(), received: r.Received.UnixMilli(), base: nan32}
	if r.HasSeq {
		s.seq = r.Seq + 1
	}
	for q := range numQuantities {
		s.v[q] = nan32
		if x, has := r.Values.Get(q.field()); has {
			s.v[q], ok = float32(x), true
		}
	}
	return s, ok
}

func (s *sample) has(q quantity) bool { return s.v[q] == s.v[q] }

// same reports whether two samples are one reading that came twice.
func (s *sample) same(o *sample) bool {
	if s.measured != o.measured {
		return false
	}
	if s.seq != 0 && o.seq != 0 {
		return s.seq == o.seq
	}
	for q := range numQuantities {
		if s.has(q) != o.has(q) || s.has(q) && s.v[q] != o.v[q] {
			return false
		}
	}
	return true
}

// merge takes over what the other copy of the reading has more: the richest
// copy stays.
func (s *sample) merge(o *sample) (richer bool) {
	for q := range numQuantities {
		if !s.has(q) && o.has(q) {
			s.v[q], richer = o.v[q], true
		}
	}
	return richer
}

// Window holds a subject's recent samples by measured time: the live ones, and
// apart from them those that came late from before, so that a device that
// returns with six hours at once does not push out what it sees now. Its
// storage is reused: of two copies only the newer may be used.
type Window struct {
	live []sample // within WindowSpan of the newest
	late []sample
	past []warmth // temperatures of live samples that had to make room, thinned
}

// warmth is the temperature of a sample that is no longer kept: a sensor that
// reports every second has its usual temperature all the same.
type warmth struct {
	measured int64   // ms since 1970
	temp     float32 // °C
}

// pastEvery is how far apart they are kept, in measured time.
const pastEvery = 20 * time.Second

const maxPast = int(WindowSpan/pastEvery) + 1

// remember keeps the temperatures of samples that go.
func (w *Window) remember(gone []sample) {
	for i := range gone {
		s := &gone[i]
		if n := len(w.past); s.has(qTemp) && !s.mute && (n == 0 || s.measured-w.past[n-1].measured >= pastEvery.Milliseconds()) {
			w.past = append(w.past, warmth{s.measured, s.v[qTemp]})
		}
	}
	if over := len(w.past) - maxPast; over > 0 {
		w.past = append(w.past[:0], w.past[over:]...)
	}
}

// insert puts s in its place by measured time. It returns where, and fresh
// false when the same reading is there already and has as much.
func (w *Window) insert(s sample) (in *[]sample, at int, fresh bool) {
	in = &w.live
	if n := len(w.live); n > 0 && s.measured <= w.live[n-1].measured-WindowSpan.Milliseconds() {
		in = &w.late
		if i, known := slices.BinarySearchFunc(w.live, s.measured, func(x sample, t int64) int { return cmp.Compare(x.measured, t) }); known && w.live[i].same(&s) {
			return &w.live, i, false
		}
	}
	w.forget(&s)
	list := *in
	at = len(list)
	for at > 0 && list[at-1].measured > s.measured {
		at--
	}
	for i := at - 1; i >= 0 && list[i].measured == s.measured; i-- {
		if list[i].same(&s) {
			return in, i, list[i].merge(&s)
		}
	}
	if len(list) >= 2*maxSamples {
		drop := len(list) - maxSamples
		if at < drop {
			return in, -1, false // older than all that is kept
		}
		if in == &w.live {
			w.remember(list[:drop])
		}
		list = append(list[:0], list[drop:]...)
		at -= drop
	}
	*in = slices.Insert(roomFor(list), at, s)
	return in, at, true
}

// forget lets go of what the time has passed: the oldest part of the live window
// once none of it can be looked at any more, and late samples that came hours
// ago.
func (w *Window) forget(s *sample) {
	span := WindowSpan.Milliseconds()
	if n := oldest(len(w.live)); n <= len(w.live) && w.live[n-1].measured <= s.measured-2*span {
		w.live = append(w.live[:0], w.live[n:]...)
	}
	if n := len(w.late); n > 0 && w.late[n-1].received <= s.received-4*span {
		w.late = nil
	}
}

// baseline is the median temperature over the span before the sample at i, the
// newest third of it left out so that a rise does not hide in it. NaN when
// fewer than three readings tell.
func baseline(list []sample, i int, l *limits) float32 {
	var temps [2*maxSamples + maxPast]float32
	n := 0
	to := list[i].measured - l.span.Milliseconds()/3
	from := list[i].measured - l.span.Milliseconds()
	for _, p := range l.past {
		if p.measured > from && p.measured <= to {
			temps[n] = p.temp
			n++
		}
	}
	for j := i - 1; j >= 0 && list[j].measured > from; j-- {
		if list[j].measured <= to && list[j].has(qTemp) && !list[j].mute {
			temps[n] = list[j].v[qTemp]
			n++
		}
	}
	if n < 3 {
		return nan32
	}
	slices.Sort(temps[:n])
	return temps[n/2]
}

// limits are a fire rule's thresholds, scaled for the surroundings.
type limits struct {
	suspect, strong, calm [numQuantities]float32 // by value; temperature: by rise
	absSuspect, absStrong float32                // °C
	span                  time.Duration
	past                  []warmth // what the window remembers from before its first sample
}

func (f *FireRule) limits(scale float64) limits {
	l := limits{span: f.Baseline}
	for q, t := range [...]Threshold{qSmoke: f.Smoke, qCO: f.CO, qTemp: f.TempRise} {
		l.suspect[q], l.strong[q] = float32(t.Suspect*scale), float32(t.Strong*scale)
		l.calm[q] = float32(t.Suspect * scale * f.ClearRatio)
	}
	l.suspect[qFlame], l.strong[qFlame], l.calm[qFlame] = 1, 1, 1
	l.absSuspect, l.absStrong = float32(f.TempAbs.Suspect), float32(f.TempAbs.Strong)
	return l
}

// mark weighs the sample at i against the limits.
func mark(list []sample, i int, l *limits) {
	s := &list[i]
	s.suspect, s.strong, s.calm = 0, 0, false
	if s.mute {
		return
	}
	s.calm = true
	for q := range numQuantities {
		if !s.has(q) {
			continue
		}
		x := s.v[q]
		if q == qTemp {
			x = rise(list, i, l)
			if s.v[qTemp] >= l.absSuspect {
				s.suspect |= 1 << qTemp
				s.calm = false
			}
			if s.v[qTemp] >= l.absStrong {
				s.strong |= 1 << qTemp
			}
		}
		if x >= l.suspect[q] {
			s.suspect |= 1 << q
		}
		if x >= l.strong[q] {
			s.strong |= 1 << q
		}
		if x >= l.calm[q] {
			s.calm = false
		}
	}
}

// rise is how far the sample's temperature is above the sensor's own baseline,
// 0 when that is not known. The median is worked out only where even the lowest
// reading leaves room for a rise.
func rise(list []sample, i int, l *limits) float32 {
	s := &list[i]
	from, lowest := s.measured-l.span.Milliseconds(), s.v[qTemp]
	for j := i - 1; j >= 0 && list[j].measured > from; j-- {
		if t := list[j].v[qTemp]; t < lowest {
			lowest = t
		}
	}
	for _, p := range l.past {
		if p.measured > from && p.temp < lowest {
			lowest = p.temp
		}
	}
	s.base = nan32
	if s.v[qTemp]-lowest < l.calm[qTemp] {
		return 0
	}
	if s.base = baseline(list, i, l); s.base != s.base {
		return 0
	}
	return s.v[qTemp] - s.base
}

// markFrom weighs the sample at i anew, and those after it whose baseline it
// is part of.
func markFrom(list []sample, i int, l *limits) {
	until := list[i].measured + l.span.Milliseconds()
	for ; i < len(list) && list[i].measured <= until; i++ {
		mark(list, i, l)
	}
}

// oldest is how many of so many points go at a time: few, so that windows hold
// little more than can be looked at, and not one by one, because the others move
// up.
func oldest(n int) int { return max(8, n/16) }

// roomFor makes room for one more. There are two windows of tens of thousands of
// devices: a slice that doubles would leave a third of it empty.
func roomFor[T any](list []T) []T {
	if len(list) < cap(list) {
		return list
	}
	return append(make([]T, 0, len(list)+oldest(len(list))), list...)
}
