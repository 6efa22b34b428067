package alerts

import (
	"fmt"
	"time"
)

// LevelPolicy is how hard the orders of one level are chased.
type LevelPolicy struct {
	Call   time.Duration `json:"call" yaml:"call"`     // between two calls to a silent team
	Answer time.Duration `json:"answer" yaml:"answer"` // within which a team must answer; each next level of escalation has as long again
}

// Policy is how orders are chased: settings, with DefaultPolicy as a start.
type Policy struct {
	Red    LevelPolicy `json:"red" yaml:"red"`
	Orange LevelPolicy `json:"orange" yaml:"orange"`
	Yellow LevelPolicy `json:"yellow" yaml:"yellow"`
	Blue   LevelPolicy `json:"blue" yaml:"blue"`
	// Claim is how long a dispatcher may be at a sending before another one may
	// take it that it died, and send again.
	Claim time.Duration `json:"claim" yaml:"claim"`
	// Retry is the wait after the first failed sending; it doubles with each
	// further one up to RetryMax.
	Retry    time.Duration `json:"retry" yaml:"retry"`
	RetryMax time.Duration `json:"retry_max" yaml:"retry_max"`
}

// DefaultPolicy is the project's choice: call every 2 min and answer within 5
// at red, 5 and 15 at orange, 15 and 30 at yellow, 60 and 60 at blue.
func DefaultPolicy() Policy {
	return Policy{
		Red:    LevelPolicy{Call: 2 * time.Minute, Answer: 5 * time.Minute},
		Orange: LevelPolicy{Call: 5 * time.Minute, Answer: 15 * time.Minute},
		Yellow: LevelPolicy{Call: 15 * time.Minute, Answer: 30 * time.Minute},
		Blue:   LevelPolicy{Call: time.Hour, Answer: time.Hour},
		Claim:  30 * time.Second, Retry: 2 * time.Second, RetryMax: time.Minute,
	}
}

// OrDefault is the policy, or DefaultPolicy for the zero value.
func (p Policy) OrDefault() Policy {
	if p == (Policy{}) {
		return DefaultPolicy()
	}
	return p
}

// Level is the policy for orders of the level.
func (p Policy) Level(s Severity) LevelPolicy {
	switch s {
	case Red:
		return p.Red
	case Orange:
		return p.Orange
	case Yellow:
		return p.Yellow
	case Blue, Notice:
		return p.Blue
	}
	return p.Red // an unknown level is not a calm one
}

// AnswerBy is the time by which an order of the level, issued then, must be
// answered.
func (p Policy) AnswerBy(level Severity, issued time.Time) time.Time {
	return issued.Add(p.Level(level).Answer)
}

// Validate reports the setting that cannot be used, or nil.
func (p Policy) Validate() error {
	for _, l := range []struct {
		name string
		LevelPolicy
	}{{"red", p.Red}, {"orange", p.Orange}, {"yellow", p.Yellow}, {"blue", p.Blue}} {
		if l.Call < time.Second || l.Call > 24*time.Hour {
			return fmt.Errorf("%s.call %s: want 1s..24h", l.name, l.Call)
		}
		if l.Answer < time.Second || l.Answer > 24*time.Hour {
			return fmt.Errorf("%s.answer %s: want 1s..24h", l.name, l.Answer)
		}
	}
	switch {
	case p.Claim < time.Second || p.Claim > 10*time.Minute:
		return fmt.Errorf("claim %s: want 1s..10m", p.Claim)
	case p.Retry < 10*time.Millisecond || p.Retry > p.RetryMax:
		return fmt.Errorf("retry %s: want 10ms..retry_max (%s)", p.Retry, p.RetryMax)
	case p.RetryMax > time.Hour:
		return fmt.Errorf("retry_max %s: want at most 1h", p.RetryMax)
	}
	return nil
}
