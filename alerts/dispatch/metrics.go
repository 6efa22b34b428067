package dispatch

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"firewatch/alerts"
)

type metrics struct {
	calls   *prometheus.CounterVec
	answers *prometheus.CounterVec
	sent    prometheus.Histogram
	leader  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		calls: f.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_dispatch_calls_total",
			Help: "Calls to teams, by channel and result: taken, throttled, permanent or error.",
		}, []string{"channel", "result"}),
		answers: f.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_dispatch_answers_total",
			Help: "Answers of terminals, by result: taken, duplicate, unknown or refused.",
		}, []string{"result"}),
		sent: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "firewatch_dispatch_sent_seconds",
			Help:    "From the issue of an order to a channel taking it, per team.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300},
		}),
		leader: f.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_dispatch_leader",
			Help: "1 while this process gives orders out, 0 while it stands by.",
		}),
	}
}

func (m metrics) notified(channel string, err error) {
	var throttled *alerts.ThrottledError
	var never *alerts.PermanentError
	result := "error"
	switch {
	case err == nil:
		result = "taken"
	case errors.As(err, &throttled):
		result = "throttled"
	case errors.As(err, &never):
		result = "permanent"
	}
	m.calls.WithLabelValues(channel, result).Inc()
}
