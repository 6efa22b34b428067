package journal

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	contract "firewatch/firmware-contracts"
)

type metrics struct {
	entries prometheus.Counter
	written prometheus.Counter
	seconds prometheus.Histogram
	thinned *prometheus.CounterVec // by class
}

func newMetrics(j *Journal, r prometheus.Registerer) (metrics, error) {
	m := metrics{
		entries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "firewatch_journal_entries_total", Help: "Entries appended to the journal.",
		}),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "firewatch_journal_written_bytes_total", Help: "Bytes appended to the journal.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "firewatch_journal_append_seconds", Help: "Time of one append with its fsync.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		thinned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_journal_thinned_total",
			Help: "Readings that were taken out of the journal before all readers had them, to stay within its bounds.",
		}, []string{"class"}),
	}
	for _, c := range []contract.Class{contract.Position, contract.Environment, contract.Status} {
		m.thinned.WithLabelValues(c.String()) // so that 0 can be seen
	}
	if r == nil {
		return m, nil
	}
	locked := func(f func() float64) func() float64 {
		return func() float64 {
			j.mu.Lock()
			defer j.mu.Unlock()
			return f()
		}
	}
	for _, c := range []prometheus.Collector{
		m.entries, m.written, m.seconds, m.thinned,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firewatch_journal_bytes", Help: "Bytes of the journal's segments on disk.",
		}, locked(func() float64 { return float64(j.bytes) })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firewatch_journal_segments", Help: "Segments of the journal on disk.",
		}, locked(func() float64 { return float64(len(j.segments)) })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "firewatch_journal_damaged_total", Help: "Damaged places met in the journal since the start.",
		}, locked(func() float64 { return float64(len(j.damage.places)) })),
	} {
		if err := r.Register(c); err != nil {
			return m, fmt.Errorf("journal: Metrics: %w", err)
		}
	}
	return m, nil
}
