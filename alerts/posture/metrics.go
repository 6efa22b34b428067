package posture

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	rounds   *prometheus.CounterVec
	open     prometheus.Gauge
	degraded prometheus.Gauge
	leader   prometheus.Gauge
	orders   *prometheus.CounterVec
	owed     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		rounds: f.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_readiness_rounds_total",
			Help: "Rounds in which readiness was worked out, by result: same, saved, conflict or error.",
		}, []string{"result"}),
		open: f.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_readiness_open",
			Help: "Proposals that wait for a person.",
		}),
		degraded: f.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_readiness_degraded",
			Help: "Areas of which an input is unknown or held from earlier.",
		}),
		orders: f.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_readiness_orders_total",
			Help: "Orders of postures, by result: given or failed.",
		}, []string{"result"}),
		owed: f.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_readiness_orders_owed",
			Help: "Orders of postures that are not given yet.",
		}),
		leader: f.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_readiness_leader",
			Help: "1 while this process works readiness out, 0 while it stands by.",
		}),
	}
}
