package quarantine

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	total prometheus.Counter
	kept  prometheus.Counter
	lost  prometheus.Counter
}

func newMetrics(q *Quarantine, r prometheus.Registerer) (metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := metrics{
		total: counter("firewatch_quarantine_rejections_total", "Rejections counted."),
		kept:  counter("firewatch_quarantine_kept_total", "Rejections kept as evidence on disk."),
		lost:  counter("firewatch_quarantine_lost_total", "Rejections within the budget that the disk did not take."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.total, m.kept, m.lost,
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
