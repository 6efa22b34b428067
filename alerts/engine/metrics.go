package engine

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	readings *prometheus.CounterVec // by class
	findings *prometheus.CounterVec // by rule and kind
	held     *prometheus.CounterVec // by rule and what held it back
	swaps    *prometheus.CounterVec // by result
	unknown  prometheus.Counter
	panics   *prometheus.CounterVec // by rule
	answers  *prometheus.CounterVec // by result
	orders   *prometheus.CounterVec // by result
	saves    prometheus.Histogram
	caught   prometheus.Counter
	owed     prometheus.Gauge
	lag      prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "firewatch", Subsystem: "engine", Name: name, Help: help}, labels)
	}
	m := &metrics{
		readings: counter("readings_total", "Readings judged, by class.", "class"),
		findings: counter("findings_total", "What rules found, by rule and kind.", "rule", "kind"),
		held:     counter("held_total", "Suspicions held back, by rule and by what held them back.", "rule", "by"),
		swaps:    counter("rules_taken_total", "Rule sets taken into force.", "result"),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "firewatch", Subsystem: "engine", Name: "unknown_device_readings_total",
			Help: "Readings of devices that are not in the roster; not judged, but for SOS.",
		}),
		panics:  counter("panics_total", "Readings that a rule could not judge because it panicked, by rule.", "rule"),
		answers: counter("answers_total", "Answers of teams handed on, by result.", "result"),
		orders:  counter("orders_total", "Orders that rules asked for, by result.", "result"),
		caught: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "firewatch", Subsystem: "engine", Name: "history_readings_total",
			Help: "Readings that the feed did not bring, judged late from history.",
		}),
		owed: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "firewatch", Subsystem: "engine", Name: "history_owed",
			Help: "Times of receipt that are still to be looked for in history.",
		}),
		saves: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "firewatch", Subsystem: "engine", Name: "save_seconds", Help: "Time of one save.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "firewatch", Subsystem: "engine", Name: "lag_seconds",
			Help: "Age, by time of receipt, of the newest reading judged when it was judged.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.readings, m.findings, m.held, m.swaps, m.unknown, m.panics, m.answers, m.orders, m.saves, m.lag, m.caught, m.owed} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
