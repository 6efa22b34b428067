package alerts

import (
	"math"
	"math/bits"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// MaxWindow is the longest window that a condition may look back over.
const MaxWindow = 24 * time.Hour

// latestSpan is how long a value counts as the latest where the rule says no
// other time: what is older is unknown.
const latestSpan = 30 * time.Minute

// maxPoints bounds one field's live values of one device, and apart from them
// its late ones. When there are more, the older half is thinned: of each four
// the lowest and the highest stay, so that windows keep their extremes, a mean
// becomes an approximation, and a count is too low.
const maxPoints = 1024

// SeriesPlan says which fields of a device the conditions of a rule set look at,
// and over what time.
type SeriesPlan struct {
	span   [contract.NumFields]time.Duration // 0: not looked at
	wanted uint64                            // bits by field
}

// Series makes the plan of what the rules look at.
func (r *RuleSet) Series() *SeriesPlan {
	p := &SeriesPlan{}
	for i := range r.Rules {
		if c := r.Rules[i].Condition; c != nil {
			for f, d := range c.looks {
				p.span[f] = max(p.span[f], d)
				p.wanted |= 1 << f
			}
		}
	}
	return p
}

// Span is how far back the plan looks: an engine that starts fills its windows
// from that far back.
func (p *SeriesPlan) Span() time.Duration { return slices.Max(p.span[:]) }

// Fields counts the fields of the plan.
func (p *SeriesPlan) Fields() int { return bits.OnesCount64(p.wanted) }

// slot is the field's place among those of the plan; false: it is none of them.
func (p *SeriesPlan) slot(f contract.Field) (int, bool) {
	return bits.OnesCount64(p.wanted & (1<<f - 1)), p.wanted&(1<<f) != 0
}

// fields yields the fields of the plan in their order.
func (p *SeriesPlan) fields(yield func(int, contract.Field) bool) {
	for i, left := 0, p.wanted; left != 0; i, left = i+1, left&(left-1) {
		if !yield(i, contract.Field(bits.TrailingZeros64(left))) { //nolint:gosec // below 64
			return
		}
	}
}

// Series holds a device's recent values by measured time: those fields that the
// plan names, once, for all conditions. It is no durable state: the feed fills
// it again.
type Series struct {
	plan   *SeriesPlan
	rings  []*ring // of the plan's fields, in their order; nil: none has come
	newest int64   // measured time, ms since 1970; 0: none
}

// NewSeries makes an empty one.
func NewSeries(plan *SeriesPlan) *Series {
	return &Series{plan: plan, rings: make([]*ring, plan.Fields())}
}

// Replan keeps what another plan looks at too.
func (s *Series) Replan(plan *SeriesPlan) {
	rings := make([]*ring, plan.Fields())
	for i, f := range plan.fields {
		rings[i] = s.ring(f)
	}
	s.plan, s.rings = plan, rings
}

// ring is the field's; nil: nothing of it is known.
func (s *Series) ring(f contract.Field) *ring {
	if s == nil {
		return nil
	}
	if i, ok := s.plan.slot(f); ok {
		return s.rings[i]
	}
	return nil
}

// Add puts a reading's values in their places.
func (s *Series) Add(r *contract.Reading) {
	t, heard := r.Measured.UnixMilli(), r.Received.UnixMilli()
	s.newest = max(s.newest, t)
	for f, x := range r.Values.All() {
		i, ok := s.plan.slot(f)
		if !ok {
			continue
		}
		ri := s.rings[i]
		if ri == nil {
			ri = &ring{}
			s.rings[i] = ri
		}
		ri.add(t, heard, s.plan.span[f].Milliseconds(), float32(x))
	}
}

// Bytes is about how much memory it takes.
func (s *Series) Bytes() int {
	n := 48 + 8*len(s.rings)
	for _, r := range s.rings {
		if r != nil {
			n += 72 + 8*(cap(r.live.points)+cap(r.late.points))
		}
	}
	return n
}

// newestOf is the newest measured time of any of the fields; 0: none has any.
func (s *Series) newestOf(fields uint64) int64 {
	var out int64
	for i, f := range s.plan.fields {
		if r := s.rings[i]; r != nil && fields&(1<<f) != 0 && len(r.live.points) > 0 {
			out = max(out, r.live.last())
		}
	}
	return out
}

// times are the measured times of any of the fields in (from, to], rising, at
// most the newest n.
func (s *Series) times(fields uint64, from, to int64, n int) []int64 {
	var out []int64
	for i, f := range s.plan.fields {
		r := s.rings[i]
		if r == nil || fields&(1<<f) == 0 {
			continue
		}
		for _, tr := range [2]*track{&r.late, &r.live} {
			for _, p := range tr.between(from, to) {
				out = append(out, tr.base+int64(p.off))
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[max(0, len(out)-n):]
}

// Latest is the field's newest value measured at or before the time, no older
// than within.
func (s *Series) Latest(f contract.Field, at time.Time, within time.Duration) (x float64, ok bool) {
	v, _, ok := s.latest(f, at.UnixMilli(), within.Milliseconds())
	return rounded(v), ok
}

// latest is the field's newest value measured at or before the time, no older
// than within.
func (s *Series) latest(f contract.Field, at, within int64) (x float32, measured int64, ok bool) {
	r := s.ring(f)
	if r == nil {
		return 0, 0, false
	}
	for _, tr := range [2]*track{&r.live, &r.late} {
		if ps := tr.between(at-within-1, at); len(ps) > 0 {
			p := ps[len(ps)-1]
			return p.v, tr.base + int64(p.off), true
		}
	}
	return 0, 0, false
}

// lastSet is when a field that is true or false was last true, at or before the
// time.
func (s *Series) lastSet(f contract.Field, at int64) (measured int64, ok bool) {
	r := s.ring(f)
	if r == nil {
		return 0, false
	}
	for _, tr := range [2]*track{&r.live, &r.late} {
		for _, p := range slices.Backward(tr.between(at-ever, at)) {
			if p.v != 0 {
				return tr.base + int64(p.off), true
			}
		}
	}
	return 0, false
}

// stats sums a window up.
type stats struct {
	count       int
	low, high   float32
	sum         float64
	first, last float32
	from, to    int64 // measured times of first and last
}

// over sums up what was measured in (at − window, at].
func (s *Series) over(f contract.Field, at, window int64) (st stats) {
	r := s.ring(f)
	if r == nil {
		return st
	}
	for _, tr := range [2]*track{&r.late, &r.live} {
		for _, p := range tr.between(at-window, at) {
			t := tr.base + int64(p.off)
			if st.count == 0 {
				st = stats{low: p.v, high: p.v, first: p.v, from: t, last: p.v, to: t}
			}
			st.count++
			st.sum += float64(p.v)
			st.low, st.high = min(st.low, p.v), max(st.high, p.v)
			if t >= st.to {
				st.last, st.to = p.v, t
			}
			if t < st.from {
				st.first, st.from = p.v, t
			}
		}
	}
	return st
}

// ring is one field's values: those within the span of the newest and, apart
// from them, those that came late from before, so that a device that returns
// with six hours at once does not push out what it sees now.
type ring struct {
	live, late track
	lateHeard  int64 // when the newest late one was received
}

// point is one value; off is ms after the track's base.
type point struct {
	off uint32
	v   float32
}

// track holds points by measured time.
type track struct {
	base   int64
	points []point
}

func (tr *track) last() int64 { return tr.base + int64(tr.points[len(tr.points)-1].off) }

func (r *ring) add(t, heard, span int64, v float32) {
	if n := len(r.late.points); n > 0 && r.lateHeard <= heard-4*WindowSpan.Milliseconds() {
		r.late = track{}
	}
	if len(r.live.points) > 0 && t <= r.live.last()-span {
		if r.live.has(t, v) { // of what live still keeps beyond its span
			return
		}
		r.lateHeard = max(r.lateHeard, heard)
		r.late.add(t, v)
		return
	}
	r.live.add(t, v)
	r.live.forget(span)
}

// has reports whether the value is there.
func (tr *track) has(t int64, v float32) bool {
	for _, p := range tr.between(t-1, t) {
		if p.v == v {
			return true
		}
	}
	return false
}

// add puts a value in its place. The same value of the same moment is the same
// reading that came twice; another value of that moment is another reading: the
// clock has whole seconds.
func (tr *track) add(t int64, v float32) {
	if len(tr.points) == 0 {
		tr.base = t
	}
	if t < tr.base && !tr.rebase(t) {
		return
	}
	if t-tr.base > math.MaxUint32 {
		tr.base, tr.points = t, tr.points[:0] // weeks later: no window reaches back
	}
	off := uint32(t - tr.base) //nolint:gosec // between 0 and the largest
	at := len(tr.points)
	for at > 0 && tr.points[at-1].off > off {
		at--
	}
	for i := at - 1; i >= 0 && tr.points[i].off == off; i-- {
		if tr.points[i].v == v {
			return
		}
	}
	tr.points = slices.Insert(roomFor(tr.points), at, point{off, v})
	if len(tr.points) > maxPoints {
		tr.thin()
	}
}

// rebase makes room before the base; false: too far away from what is there.
func (tr *track) rebase(t int64) bool {
	by := tr.base - t
	if tr.last()-t > math.MaxUint32 {
		return false
	}
	for i := range tr.points {
		tr.points[i].off += uint32(by) //nolint:gosec // the last one still fits
	}
	tr.base = t
	return true
}

// forget lets the oldest part go once none of it can be looked at any more.
func (tr *track) forget(span int64) {
	n := oldest(len(tr.points))
	if n >= len(tr.points) || tr.base+int64(tr.points[n-1].off) > tr.last()-2*span {
		return
	}
	tr.points = append(tr.points[:0], tr.points[n:]...)
	by := tr.points[0].off
	for i := range tr.points {
		tr.points[i].off -= by
	}
	tr.base += int64(by)
}

// thin keeps of each four points of the older half the lowest and the highest,
// and the first of all, which tells how far back the window is known.
func (tr *track) thin() {
	half := len(tr.points)/2&^3 + 1
	kept := tr.points[:1]
	for i := 1; i < half; i += 4 {
		four := tr.points[i : i+4]
		low, high := 0, 0
		for j := range four {
			if four[j].v < four[low].v {
				low = j
			}
			if four[j].v >= four[high].v {
				high = j
			}
		}
		a, b := four[min(low, high)], four[max(low, high)]
		kept = append(kept, a, b)
	}
	tr.points = append(kept, tr.points[half:]...)
}

// between are the points in (from, to].
func (tr *track) between(from, to int64) []point {
	ps := tr.points
	if len(ps) == 0 {
		return nil
	}
	hi := len(ps)
	for hi > 0 && tr.base+int64(ps[hi-1].off) > to {
		if hi > 16 { // far from the end: halve
			if m := hi / 2; tr.base+int64(ps[m].off) > to {
				hi = m
				continue
			}
		}
		hi--
	}
	lo, end := 0, hi
	for lo < end {
		if m := (lo + end) / 2; tr.base+int64(ps[m].off) > from {
			end = m
		} else {
			lo = m + 1
		}
	}
	return ps[lo:hi]
}
