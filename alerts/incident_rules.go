package alerts

import (
	"fmt"
	"slices"
	"time"
)

// IncidentSettings say which alerts of fires are one incident. Both are this
// project's choice, and settings of the rule file.
type IncidentSettings struct {
	// WithinKM is how far, in km, an alert may be from the incident's place, 0..50.
	WithinKM float64
	// Quiet is how long nothing may have stood before the incident is over, 1 min
	// to 7 days.
	Quiet time.Duration
}

// DefaultIncidents is what holds where the rule file says nothing.
func DefaultIncidents() IncidentSettings { return IncidentSettings{WithinKM: 2, Quiet: 2 * time.Hour} }

// orDefault fills in the zero value.
func (s IncidentSettings) orDefault() IncidentSettings {
	if s == (IncidentSettings{}) {
		return DefaultIncidents()
	}
	return s
}

// incidents checks what the file says of incidents, and who inhibits whom.
func (c *ruleCheck) incidents(f *ruleFile, s *RuleSet) {
	s.Incidents = DefaultIncidents()
	if l := f.Incidents; l != nil {
		if l.WithinKM != nil {
			s.Incidents.WithinKM = *l.WithinKM
		}
		if l.Quiet != nil {
			s.Incidents.Quiet = *l.Quiet
		}
		km := s.Incidents.WithinKM
		c.want(km >= 0 && km <= 50, "$.incidents.within_km", "%v: want 0..50", km)
		c.duration("$.incidents.quiet", s.Incidents.Quiet, time.Minute, 7*24*time.Hour)
	}
	for i := range s.Rules {
		r, at := &s.Rules[i], fmt.Sprintf("$.rules[%d].inhibits", i)
		for _, name := range r.Inhibits {
			n := slices.IndexFunc(s.Rules, func(o Rule) bool { return o.Name == name })
			c.want(n >= 0, at, "%q: no such rule", name)
			c.want(name != r.Name, at, "%q: a rule does not inhibit itself", name)
			c.want(n < 0 || s.Rules[n].Type != SOSCall, at, "%q: an SOS is never inhibited", name)
		}
	}
}

// IsSOS reports whether the rule of that name is of calls for help, which are
// never kept from people.
func (s *RuleSet) IsSOS(rule string) bool {
	return slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.Name == rule && r.Type == SOSCall })
}

// aboutFire reports whether an alert of the rule is about a fire, so that it
// belongs to an incident. Of reports only those of fire and smoke are.
func (r *Rule) aboutFire(a *Alert) bool {
	if r.Type == SourceReport {
		return slices.ContainsFunc(a.Evidence, func(e Evidence) bool {
			return e.Field == "category:fire" || e.Field == "category:smoke"
		})
	}
	return r.Family == FamilyFire && r.Type != SOSCall
}
