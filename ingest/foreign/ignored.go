package foreign

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Ignored counts what an adapter understands and has no use for: it is
// acknowledged and leaves neither a reading nor a rejection, only this trace.
type Ignored struct {
	byKind map[string]prometheus.Counter
	other  prometheus.Counter
}

// NewIgnored registers firewatch_adapter_ignored_total for the adapter, or only
// counts with a nil Registerer. Kinds are all that are told apart; so the labels
// are bounded whatever a device sends.
func NewIgnored(r prometheus.Registerer, adapter string, kinds ...string) (*Ignored, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name:        "firewatch_adapter_ignored_total",
		Help:        "Messages of other systems that were understood and are of no use here.",
		ConstLabels: prometheus.Labels{"adapter": adapter},
	}, []string{"kind"})
	if r != nil {
		if err := r.Register(vec); err != nil {
			return nil, fmt.Errorf("%s: Metrics: %w", adapter, err)
		}
	}
	i := &Ignored{byKind: make(map[string]prometheus.Counter, len(kinds)), other: vec.WithLabelValues("other")}
	for _, k := range kinds {
		i.byKind[k] = vec.WithLabelValues(k)
	}
	return i, nil
}

// Count counts one.
func (i *Ignored) Count(kind string) {
	if c := i.byKind[kind]; c != nil {
		c.Inc()
		return
	}
	i.other.Inc()
}
