package v1

import "time"

// RuleSet answers GET /rules: the rules in force.
type RuleSet struct {
	Version   string      `json:"version"`
	Effective time.Time   `json:"effective"` // from when that version may rule
	Since     time.Time   `json:"since"`     // when it was taken here
	Source    string      `json:"source"`
	Text      string      `json:"text"` // YAML, as it was taken
	Rules     []Rule      `json:"rules"`
	Failed    *RulesFault `json:"failed"` // null: the file, as it is now, was taken
}

// Rule is one of the rules in force.
type Rule struct {
	Name              string  `json:"name"`
	Type              string  `json:"type"`
	Family            string  `json:"family"`
	Severity          string  `json:"severity"`  // before season, danger and warnings
	RaiseMax          string  `json:"raise_max"` // the highest that they may raise it to
	ForSeconds        float64 `json:"for_s"`
	ClearAfterSeconds float64 `json:"clear_after_s"`
	Order             string  `json:"order"` // propose, automatic, or empty: none
	When              *string `json:"when"`  // of a condition
	Clear             *string `json:"clear"` // of a condition that has one
}

// RulesFault is why the file of rules was not taken.
type RulesFault struct {
	Reason string    `json:"reason"` // names the line
	At     time.Time `json:"at"`
}
