package alerts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Posture is a state of readiness (备勤状态), rising.
type Posture uint8

// The postures.
const (
	PostureNormal      Posture = iota // 正常
	PostureStandby                    // 待命
	PostureDefence                    // 防御
	PostureCombatReady                // 临战
	PostureEmergency                  // 紧急防火
)

// Postures lists every posture, rising.
var Postures = []Posture{PostureNormal, PostureStandby, PostureDefence, PostureCombatReady, PostureEmergency}

var postureNames = [...]struct{ code, zh string }{
	{"normal", "正常"}, {"standby", "待命"}, {"defence", "防御"}, {"combat_ready", "临战"}, {"emergency", "紧急防火"},
}

// String is the posture's name in data: normal, standby, defence, combat_ready,
// emergency.
func (p Posture) String() string { return postureNames[min(int(p), len(postureNames)-1)].code }

// Chinese is the posture's name on screen.
func (p Posture) Chinese() string { return postureNames[min(int(p), len(postureNames)-1)].zh }

// ParsePosture is the inverse of String.
func ParsePosture(name string) (Posture, error) {
	for i, n := range postureNames {
		if n.code == name {
			return Posture(i), nil
		}
	}
	return PostureNormal, fmt.Errorf("posture %q: want normal, standby, defence, combat_ready or emergency", name)
}

// ProfessionalArea is the Area of the readiness of the professional teams of the
// whole prefecture.
const ProfessionalArea = "professional"

// Readiness is where one township, or the professional teams, stand: what the
// table proposes, and what a duty officer has confirmed.
type Readiness struct {
	Area       string // township code, or ProfessionalArea
	Posture    Posture
	Since      time.Time
	By         string // username who set it, "table:VERSION" when it was automatic
	Word       string // why, where it is not what was proposed
	Proposed   Posture
	ProposedAt time.Time
	Reasons    []string // 中文, of the proposal
	// Inputs are what the proposal rests on. What is unknown by now stands as it
	// was last known, and is marked.
	Inputs  Surroundings
	Version string // of the table
	Open    bool   // the proposal waits for a person
	// Order is the order that goes with the posture: there is one by this key, or
	// it is owed and must be given. Zero: none goes with it.
	Order OrderKey

	// Since EasingSince the table gives less than is proposed, at most Easing;
	// it is proposed when that has lasted for the table's hold. Zero: it does not.
	Easing      Posture
	EasingSince time.Time

	Updated  time.Time // when it was last saved
	Revision int64     // counts its saves; 0: never saved
}

// Sentence tells the proposal with its reasons, 中文.
func (r *Readiness) Sentence() string {
	return strings.Join(r.Reasons, "；") + " → " + r.Proposed.Chinese()
}

// Degraded reports whether something that the proposal rests on is unknown, or
// known from earlier only.
func (r *Readiness) Degraded() bool {
	s := r.Inputs
	return s.WarnUnknown || s.SeasonUnknown || s.Danger == DangerUnknown || s.DangerHeld
}

// Same reports whether the two say the same; how often and when they were saved
// does not count.
func (r *Readiness) Same(o *Readiness) bool {
	a, b := *r, *o
	a.Reasons, b.Reasons = nil, nil
	a.Updated, b.Updated, a.Revision, b.Revision = time.Time{}, time.Time{}, 0, 0
	for _, t := range []struct{ a, b *time.Time }{{&a.Since, &b.Since}, {&a.ProposedAt, &b.ProposedAt}, {&a.EasingSince, &b.EasingSince}} {
		if !t.a.Equal(*t.b) {
			return false
		}
		*t.b = *t.a
	}
	return slices.Equal(r.Reasons, o.Reasons) && a.Area == b.Area && a.Posture == b.Posture && a.By == b.By && a.Word == b.Word &&
		a.Proposed == b.Proposed && a.Inputs == b.Inputs && a.Version == b.Version && a.Open == b.Open && a.Easing == b.Easing &&
		a.Order == b.Order
}

// Confirm is the readiness after a person has set the posture; word says why
// when it is not the proposed one.
func (r Readiness) Confirm(p Posture, by, word string, now time.Time) Readiness {
	if p != r.Posture || r.Since.IsZero() {
		r.Posture, r.Since, r.Order = p, now, OrderKey{}
	}
	r.By, r.Word, r.Open = by, word, false
	return r
}

// ReadinessStore keeps the readiness of each area, and what it was.
type ReadinessStore interface {
	// Readiness is by area, rising.
	Readiness(ctx context.Context) ([]Readiness, error)
	// SaveReadiness replaces rows by area and adds each to the history, with the
	// events, in one transaction. Revision is that of the row that the change was
	// made from, 0 for a new one: ErrConflict, and nothing saved, when any is
	// another by now. The saved rows have the next one.
	SaveReadiness(ctx context.Context, rs []Readiness, at time.Time, evs []Event) error
	// ReadinessHistory is what one area's rows were, newest first.
	ReadinessHistory(ctx context.Context, area string, limit int) ([]Readiness, error)
}
