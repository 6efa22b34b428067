package alerts

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	contract "firewatch/firmware-contracts"
)

// InputKind says what a rule is asked.
type InputKind uint8

// The kinds of inputs.
const (
	Judge   InputKind = iota + 1 // a reading, to be judged
	Observe                      // a reading that was judged before: it fills the windows and raises nothing
	Tick                         // time has passed
	Changed                      // the surroundings are others than before
)

// Input is what a rule is asked about one subject.
type Input struct {
	Kind    InputKind
	Reading *contract.Reading // with Judge and Observe
	// Received is when a reading that was found in history was received. Its own
	// time of receipt is then when it was found: that late it is judged. Zero: the
	// reading came as it was received.
	Received time.Time
}

// FindingKind says what came of a Step.
type FindingKind uint8

// The kinds of findings.
const (
	Raised   FindingKind = iota + 1 // a new alert
	Updated                         // graver, or with more evidence
	Ended                           // resolved
	Recorded                        // evidence added to an alert that is over: nobody is called
	Held                            // held back: Reason says why; there is no alert
)

// Finding is one thing that a Step changed or held back.
type Finding struct {
	Kind   FindingKind
	Alert  *Alert // to be saved; not to be changed
	Reason string // with Held, 中文
	By     string // with Held: as HeldBack.By
	// Late is what a reading that came late was good for; empty: it was in time.
	Late LateOutcome
}

// Episode is one stretch of trouble of a subject, with the alert it raised.
type Episode struct {
	ID   string    `json:"id"`             // of the alert
	Code string    `json:"code,omitempty"` // category of a report
	From time.Time `json:"from"`           // measured
	To   time.Time `json:"to"`             // measured: of the newest evidence; when over, until when it counts
	Open bool      `json:"open,omitempty"`

	Alert *Alert `json:"-"`
}

// maxEpisodes bounds the episodes that a subject remembers, so that late
// evidence finds the alert it belongs to.
const maxEpisodes = 16

// Memory is what a subject remembers beyond its windows.
type Memory struct {
	Episodes    []Episode   `json:"episodes,omitempty"`
	Offs        []time.Time `json:"offs,omitempty"`  // when the warden called it off, rising
	Ahead       []time.Time `json:"ahead,omitempty"` // measured times of such words whose clock ran ahead
	Calibrating bool        `json:"calibrating,omitempty"`
	CalibratedT time.Time   `json:"calibrating_t,omitzero"` // measured time of the word about it
	Known       time.Time   `json:"known,omitzero"`         // since when the device is expected
	Held        string      `json:"held,omitempty"`         // the alert that stands for this one
	Towns       []string    `json:"towns,omitempty"`        // the townships that an alert of their county lists
}

// SubjectState is all that a rule knows about one subject. Its durable part is
// Row; the window is filled again from the feed.
type SubjectState struct {
	Rule    string
	Subject string
	State   AlertState // empty: nothing is the matter, nor was
	Since   time.Time
	Through time.Time // newest measured time judged
	Heard   time.Time // when anything was last received
	Memory  Memory
	// Revision grows with every change of Row, but for Through.
	Revision uint32

	window Window
	run    run // of a condition
}

// Row is the durable part of the state.
func (st *SubjectState) Row() (RuleState, error) {
	data, err := json.Marshal(&st.Memory)
	if err != nil {
		return RuleState{}, fmt.Errorf("state of rule %s for %s: %w", st.Rule, st.Subject, err)
	}
	row := RuleState{Rule: st.Rule, Subject: st.Subject, State: st.State, Since: st.Since, Through: st.Through, Data: data}
	if i := st.standing(); i >= 0 {
		row.AlertID = st.Memory.Episodes[i].ID
	}
	return row, nil
}

// RestoreSubject makes a state from its row. The alerts of its episodes are
// given by the lookup; an episode whose alert is gone is forgotten.
func RestoreSubject(row RuleState, lookup func(id string) (*Alert, error)) (SubjectState, error) {
	st := SubjectState{Rule: row.Rule, Subject: row.Subject, State: row.State, Since: row.Since, Through: row.Through}
	if len(row.Data) > 0 {
		if err := json.Unmarshal(row.Data, &st.Memory); err != nil {
			return st, fmt.Errorf("state of rule %s for %s: %w", row.Rule, row.Subject, err)
		}
	}
	kept := st.Memory.Episodes[:0]
	for _, ep := range st.Memory.Episodes {
		a, err := lookup(ep.ID)
		if err != nil {
			return st, err
		}
		if a != nil {
			ep.Alert = a
			kept = append(kept, ep)
		}
	}
	st.Memory.Episodes = kept
	return st, nil
}

// Alerts yields the alerts that the state may still change.
func (st *SubjectState) Alerts() []*Alert {
	out := make([]*Alert, 0, len(st.Memory.Episodes))
	for _, ep := range st.Memory.Episodes {
		out = append(out, ep.Alert)
	}
	return out
}

// SetOrder notes that the alert has caused the order.
func (st *SubjectState) SetOrder(alert, order string) {
	for i := range st.Memory.Episodes {
		if ep := &st.Memory.Episodes[i]; ep.ID == alert {
			a := *ep.Alert
			a.Order = order
			st.Memory.Episodes = slices.Clone(st.Memory.Episodes)
			st.Memory.Episodes[i].Alert = &a
		}
	}
}

// AddReason adds a reason to the alert and returns it to be saved; nil: it is
// not this state's, or says so already.
func (st *SubjectState) AddReason(now time.Time, alert, why string) *Alert {
	i := slices.IndexFunc(st.Memory.Episodes, func(ep Episode) bool { return ep.ID == alert })
	if i < 0 || slices.Contains(st.Memory.Episodes[i].Alert.Reasons, why) {
		return nil
	}
	return st.change(now, i, func(_ *Episode, a *Alert) { a.addReason(why) })
}

// Step is a rule's judgement of one subject: from what was known and what came,
// what is known now and what came of it. It does no I/O and reads no clock. The
// state given is used up, its window's storage goes over to the new one; its
// other parts are not changed, so that the old value still stands if Step
// should panic.
func Step(now time.Time, rule *Rule, st SubjectState, in Input, ctx *Context) (SubjectState, []Finding) {
	if in.Reading != nil {
		heard := in.Reading.Received
		if !in.Received.IsZero() {
			heard = in.Received
		}
		if heard.After(st.Heard) {
			st.Heard = heard
		}
	}
	var found []Finding
	switch rule.Type {
	case SensorFire:
		st, found = stepFire(now, rule, st, in, ctx)
	case SOSCall:
		st, found = stepSOS(now, rule, st, in, ctx)
	case DeviceSilent:
		st, found = stepSilent(now, rule, st, in, ctx)
	case SourceReport:
		st, found = stepReport(now, rule, st, in, ctx)
	case BatteryLow:
		st, found = stepBattery(now, rule, st, in, ctx)
	case Condition:
		st, found = stepCondition(now, rule, st, in, ctx)
	case SatelliteHotspot: // StepHotspot
	}
	if in.Reading != nil && in.Reading.Late() >= lateAfter {
		for i := range found {
			if f := &found[i]; f.Kind == Raised && rule.tooOld(now, f.Alert) {
				*f = Finding{Kind: Recorded, Alert: st.recordOnly(now, rule, f.Alert.ID)}
			}
			found[i].settleLate()
		}
	}
	return st, found
}

// tooOld reports whether what the alert tells of was so long ago that it goes on
// record only.
func (r *Rule) tooOld(now time.Time, a *Alert) bool {
	return a.State == Firing && r.past(now, a.Measured)
}

// past reports whether what was measured at t goes on record only.
func (r *Rule) past(now, t time.Time) bool {
	return r.Type != SOSCall && r.Actionable > 0 && now.Sub(t) > r.Actionable
}

// recordOnly closes an alert that was just raised of what is long over.
func (st *SubjectState) recordOnly(now time.Time, rule *Rule, id string) *Alert {
	i := slices.IndexFunc(st.Memory.Episodes, func(ep Episode) bool { return ep.ID == id })
	zh, _ := span(now.Sub(st.Memory.Episodes[i].Alert.Measured))
	a := st.change(now, i, func(ep *Episode, a *Alert) {
		ep.Open, ep.To = false, ep.To.Add(rule.joins())
		a.State, a.Resolved = Resolved, now
		why := "测于 " + zh + "前的补传数据，仅记录，不通知"
		a.addReason(why)
		a.holdBack(HeldBack{At: now, By: "late", Why: why})
	})
	if st.standing() < 0 {
		st.set(Resolved, a.Measured)
	}
	return a
}

// joins is how long after the newest evidence on record more of what is long over
// belongs to it.
func (r *Rule) joins() time.Duration { return max(r.ClearAfter, 10*time.Minute) }

// extend has an episode that is on record only hold more of what is long over.
func (ep *Episode) extend(rule *Rule, t time.Time) {
	if to := t.Add(rule.joins()); !ep.Open && ep.Alert.Explain.Outcome == LateRecord && to.After(ep.To) {
		ep.To = to
	}
}

// settleLate says what a reading that came late was good for. The alert is this
// step's own copy.
func (f *Finding) settleLate() {
	switch {
	case f.Kind == Ended:
		f.Late = LateCloses
	case f.Alert != nil && f.Alert.State == Firing && f.Kind != Recorded:
		f.Late = LateActionable
	default:
		f.Late = LateRecord
	}
	if f.Alert == nil || f.Kind == Recorded && f.Alert.Explain.Outcome != LateNone {
		return // what the alert itself was good for stands
	}
	f.Alert.Explain.Outcome = f.Late
}

// standing is the index of the newest open episode, -1 when there is none.
func (st *SubjectState) standing() int {
	for i := range slices.Backward(st.Memory.Episodes) {
		if st.Memory.Episodes[i].Open {
			return i
		}
	}
	return -1
}

func (st *SubjectState) set(s AlertState, since time.Time) {
	if st.State != s {
		st.State, st.Since = s, since
		st.Revision++
	}
}

// open adds an episode with its alert. When too many are remembered, the oldest
// that is over is forgotten.
func (st *SubjectState) open(ep Episode) {
	eps := slices.Clone(st.Memory.Episodes)
	if len(eps) >= maxEpisodes {
		drop := max(slices.IndexFunc(eps, func(e Episode) bool { return !e.Open }), 0)
		eps = slices.Delete(eps, drop, drop+1)
	}
	eps = append(eps, ep)
	st.Memory.Episodes = eps
	st.Revision++
}

// change edits the episode at i and a copy of its alert.
func (st *SubjectState) change(now time.Time, i int, edit func(*Episode, *Alert)) *Alert {
	eps := slices.Clone(st.Memory.Episodes)
	a := *eps[i].Alert
	a.Reasons, a.Evidence = slices.Clip(a.Reasons), slices.Clip(a.Evidence)
	edit(&eps[i], &a)
	a.Updated = now
	eps[i].Alert = &a
	st.Memory.Episodes = eps
	st.Revision++
	return &a
}

// newAlert fills what all alerts have in common.
func newAlert(now time.Time, rule *Rule, st *SubjectState, r *contract.Reading, base Severity, ctx *Context) *Alert {
	a := &Alert{
		Rule: rule.Name, RuleVersion: rule.Version, State: Firing, Measured: now, Raised: now, Updated: now, Demo: ctx.Demo,
	}
	if r != nil {
		a.Device, a.Measured = r.Device, r.Measured
		if late := r.Late(); late >= lateAfter {
			a.Late = late
		}
	} else {
		a.Device = contract.DeviceID(st.Subject)
	}
	a.ID = alertID(now, rule.Name, st.Subject, a.Measured)
	if ctx.Device != nil {
		a.Area = ctx.Device.Area
	} else {
		a.Reasons = append(a.Reasons, "设备未登记，区域不明，仍然上报")
	}
	var registered bool
	a.Lat, a.Lon, a.HasPlace, registered = ctx.place(r)
	switch {
	case !a.HasPlace:
		a.Reasons = append(a.Reasons, "没有位置")
	case registered && ctx.Device.Kind == contract.Tracker:
		a.Reasons = append(a.Reasons, "没有定位，位置为登记的责任区")
	}
	a.Explain.Base, a.Explain.Inputs = base, ctx.Around
	a.raise(rule.severity(base, ctx.Around))
	if rule.Family == FamilyFire {
		a.Annotate(ctx.Sources)
	}
	return a
}

// noOrderWhenLate says why a rule that gives orders by itself gives none.
func noOrderWhenLate(now time.Time, rule *Rule, a *Alert) {
	if rule.Order.Mode == ModeAutomatic && !a.freshEvidence(rule.Fresh) {
		zh, _ := span(now.Sub(a.Measured))
		why := "测于 " + zh + "前，不自动下令，请人工判断"
		a.Reasons = append(a.Reasons, why)
		a.holdBack(HeldBack{At: now, By: "late", Why: why})
	}
}

// alertID is an id like NewID's, but the same for the same episode judged at the
// same time, so that Step is a function of its arguments.
func alertID(now time.Time, rule, subject string, from time.Time) string {
	text := []byte(rule + "\x00" + subject + "\x00")
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(text, uint64(from.UnixNano())))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], h.Sum64())
	id := NewID("al", now)
	const tail = 10
	return id[:len(id)-tail] + crockford.EncodeToString(b[:])[:tail]
}

// maxEvidence bounds an alert's evidence: the first ones and the newest stay.
const maxEvidence = 50

const firstEvidence = 20

// same reports whether two pieces tell of the same measurement.
func (e Evidence) same(o Evidence) bool {
	return o.Device == e.Device && o.Field == e.Field && o.Measured.Equal(e.Measured)
}

// addEvidence adds what is not there yet, by measured time, and reports whether
// anything changed. Of two copies of one reading the richer note stays.
func (a *Alert) addEvidence(es ...Evidence) bool {
	changed := false
	for _, e := range es {
		known := slices.IndexFunc(a.Evidence, e.same)
		if known >= 0 {
			if len(e.Note) > len(a.Evidence[known].Note) {
				a.Evidence = slices.Clone(a.Evidence)
				a.Evidence[known].Note = e.Note
				changed = true
			}
			continue
		}
		at, _ := slices.BinarySearchFunc(a.Evidence, e, func(x, y Evidence) int {
			return cmp.Or(x.Measured.Compare(y.Measured), cmp.Compare(x.Field, y.Field), cmp.Compare(x.Device, y.Device))
		})
		if len(a.Evidence) >= maxEvidence {
			if at == firstEvidence {
				continue // it would be the one to go
			}
			a.Evidence = slices.Delete(slices.Clone(a.Evidence), firstEvidence, firstEvidence+1)
			if at > firstEvidence {
				at--
			}
		}
		a.Evidence = slices.Insert(slices.Clip(a.Evidence), at, e)
		changed = true
	}
	return changed
}

// addReason adds a reason once.
func (a *Alert) addReason(why ...string) {
	for _, w := range why {
		if !slices.Contains(a.Reasons, w) {
			a.Reasons = append(slices.Clip(a.Reasons), w)
		}
	}
}

// worsen raises the alert's severity to what the surroundings ask for; while it
// stands it is never lowered.
func (a *Alert) worsen(rule *Rule, base Severity, ctx *Context) bool {
	level, steps := rule.severity(base, ctx.Around)
	if level <= a.Severity {
		return false
	}
	a.raise(level, steps)
	a.Explain.Inputs = ctx.Around
	return true
}

// clock is the local time of day, with the date when it is another day's.
func clock(now, t time.Time) string {
	now, t = now.In(Zone), t.In(Zone)
	if now.YearDay() == t.YearDay() && now.Year() == t.Year() {
		return t.Format("15:04")
	}
	return t.Format("01-02 15:04")
}
