package alerts

import (
	"context"
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

var postureNames = [...]struct{ code, zh string }{
	{"normal", "正常"}, {"standby", "待命"}, {"defence", "防御"}, {"combat_ready", "临战"}, {"emergency", "紧急防火"},
}

// String is the posture's name in data: normal, standby, defence, combat_ready,
// emergency.
func (p Posture) String() string { return postureNames[min(int(p), len(postureNames)-1)].code }

// Chinese is the posture's name on screen.
func (p Posture) Chinese() string { return postureNames[min(int(p), len(postureNames)-1)].zh }

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
	Inputs     Surroundings
	Version    string // of the table
	Open       bool   // the proposal waits for a person
}

// ReadinessStore keeps the readiness of each area, and what it was.
type ReadinessStore interface {
	Readiness(ctx context.Context) ([]Readiness, error)
	// SaveReadiness replaces rows by area and adds each to the history, with the
	// events, in one transaction. Base, by area, is the ProposedAt that the change
	// was made from: ErrConflict when it is another by now.
	SaveReadiness(ctx context.Context, rs []Readiness, base map[string]time.Time, at time.Time, evs []Event) error
	// ReadinessHistory is what one area's rows were, newest first.
	ReadinessHistory(ctx context.Context, area string, limit int) ([]Readiness, error)
}
