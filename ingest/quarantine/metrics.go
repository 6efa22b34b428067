package quarantine

import (
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	total prometheus.Counter
	kept  prometheus.Counter
	lost  prometheus.Counter

	refused prometheus.Counter
}

func newMetrics(q *Quarantine, r prometheus.Registerer) (metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := metrics{
		total: counter("firewatch_quarantine_rejections_total", "Rejections counted."),
		kept:  counter("firewatch_quarantine_kept_total", "Rejections kept as evidence on disk."),
		lost:  counter("firewatch_quarantine_lost_total", "Rejections within the budget that the disk did not take."),

		refused: counter("firewatch_quarantine_refused_readings_total", "Acknowledged readings that storage refuses, kept on disk to be sent again."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.total, m.kept, m.lost, m.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firewatch_quarantine_refused_bytes", Help: "Bytes of acknowledged readings that storage refuses, on disk.",
		}, func() float64 {
			n, err := q.refused.bytes()
			if err != nil {
				return math.NaN()
			}
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firewatch_quarantine_bytes", Help: "Bytes of kept rejections on disk.",
		}, func() float64 {
			q.mu.Lock()
			defer q.mu.Unlock()
			return float64(q.bytes())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "firewatch_quarantine_devices", Help: "Devices with rejections that are counted by name.",
		}, func() float64 {
			q.mu.Lock()
			defer q.mu.Unlock()
			return float64(len(q.devices))
		}),
	} {
		if err := r.Register(c); err != nil {
			return m, fmt.Errorf("quarantine: Metrics: %w", err)
		}
	}
	return m, nil
}
