package downlink

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	told    *prometheus.CounterVec
	answers *prometheus.CounterVec
	expired prometheus.Counter
	sent    prometheus.Histogram
	leader  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		told: f.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_downlink_told_total",
			Help: "Times that a tracker's state was handed to the broker, by result: taken or error.",
		}, []string{"result"}),
		answers: f.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_downlink_answers_total",
			Help: "Receipts and answers of trackers, by result: taken, duplicate, unknown or refused.",
		}, []string{"result"}),
		expired: f.NewCounter(prometheus.CounterOpts{
			Name: "firewatch_downlink_expired_total",
			Help: "Commands that ran out before they were answered.",
		}),
		sent: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "firewatch_downlink_sent_seconds",
			Help:    "From a command being given to the broker having it.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300},
		}),
		leader: f.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_downlink_leader",
			Help: "1 while this process brings commands to trackers, 0 while it stands by.",
		}),
	}
}

func (m metrics) tried(err error) {
	result := "taken"
	if err != nil {
		result = "error"
	}
	m.told.WithLabelValues(result).Inc()
}
