package alerts

import (
	_ "embed"
	"slices"
	"time"
)

//go:embed readiness/default.yaml
var defaultReadiness []byte

// DefaultReadiness is the shipped readiness table, as YAML.
func DefaultReadiness() []byte { return slices.Clone(defaultReadiness) }

// ReadinessTable says which posture the surroundings ask for. It is one version
// of an office's data; ParseReadinessTable reads it and checks it as a whole.
type ReadinessTable struct {
	Version     string
	Effective   time.Time     // from when this version rules
	Weather     []string      // codes of the warnings that count
	Hold        time.Duration // how long inputs must have been lower before lowering is proposed
	NeighbourKM float64       // km between centres within which townships are neighbours
	Postures    [len(postureNames)]PostureRule
	Rows        []ReadinessRow // the first that fits rules
}

// PostureRule is what holds for one posture, whatever row gave it.
type PostureRule struct {
	// LowerAfter is how long after lowering was proposed it happens by itself;
	// 0: only a person lowers.
	LowerAfter time.Duration
	Order      OrderKind // what teams are given when an officer says so; empty: nothing
	Level      Severity  // of that order
	Text       string    // of that order, 中文
}

// ReadinessRow is one row of the table. A condition that is empty fits anything.
type ReadinessRow struct {
	Name         string // 中文
	Warning      []Severity
	Danger       []DangerLevel
	Season       []SeasonKind // "" is no season
	Special      []bool
	Township     Posture // of the township's teams
	Professional Posture // of the professional teams
	Neighbours   Posture // of the township teams around
	Automatic    bool    // a raise by this row needs nobody's word
	Order        string  // ModeAutomatic: such a raise gives the order of its posture too; else a person does
	Patrols      int     // tracked patrols a day of each warden, at least
	Wardens      string  // what wardens are asked for, 中文
	Entrances    string  // how entrances are manned, 中文
}

// Fits reports whether the row's conditions hold.
func (r *ReadinessRow) Fits(s Surroundings) bool {
	return fits(r.Warning, s.Warning) && fits(r.Danger, s.Danger) && fits(r.Season, s.Season) && fits(r.Special, s.Special != "")
}

func fits[T comparable](want []T, is T) bool { return len(want) == 0 || slices.Contains(want, is) }

// Row is the row that rules in the surroundings. A table that was checked has
// one for all.
func (t *ReadinessTable) Row(s Surroundings) *ReadinessRow {
	for i := range t.Rows {
		if t.Rows[i].Fits(s) {
			return &t.Rows[i]
		}
	}
	return &ReadinessRow{}
}

// Rule is what holds for the posture.
func (t *ReadinessTable) Rule(p Posture) PostureRule {
	return t.Postures[min(int(p), len(t.Postures)-1)]
}
