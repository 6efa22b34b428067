package v1

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// RulesInForce is the rule set that judges, with what came of the last look at
// its file.
type RulesInForce struct {
	Set      alerts.RuleSet
	Text     []byte // YAML, as it was taken
	Source   string // file, or what comes with firewatch
	Since    time.Time
	Failed   string // why the file as it is now was not taken; empty: it was
	FailedAt time.Time
}

// showRules shows the rule set in force.
func (a *API) showRules(c *gin.Context, _ scope) error {
	if a.Rules == nil {
		return &Error{Code: CodeNotFound, Detail: "本服务没有规则"}
	}
	f := a.Rules()
	out := RuleSet{
		Version: f.Set.Version, Effective: at(f.Set.Effective), Since: at(f.Since), Source: f.Source, Text: string(f.Text),
		Rules: convert(f.Set.Rules, toRule),
	}
	if f.Failed != "" {
		out.Failed = &RulesFault{Reason: f.Failed, At: at(f.FailedAt)}
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func toRule(r alerts.Rule) Rule {
	out := Rule{
		Name: r.Name, Type: string(r.Type), Family: string(r.Family), Severity: r.Severity.String(), RaiseMax: r.RaiseMax.String(),
		ForSeconds: r.For.Seconds(), ClearAfterSeconds: r.ClearAfter.Seconds(), Order: r.Order.Mode,
	}
	if c := r.Condition; c != nil {
		out.When = &c.When
		if c.Clear != "" {
			out.Clear = &c.Clear
		}
	}
	return out
}
