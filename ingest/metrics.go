package ingest

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	contract "firewatch/firmware-contracts"
)

type intakeMetrics struct {
	messages prometheus.Counter
	readings [contract.Status + 1]prometheus.Counter // by class
	answers  prometheus.Counter
	rejected prometheus.Counter
	refusals prometheus.Counter
	seconds  prometheus.Histogram
	batch    prometheus.Histogram
}

func newIntakeMetrics(in *Intake, r prometheus.Registerer) (intakeMetrics, error) {
	readings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "firewatch_intake_readings_total", Help: "Readings that are safe in the journal.",
	}, []string{"class"})
	m := intakeMetrics{
		messages: counter("firewatch_intake_messages_total", "Messages taken from the broker."),
		answers:  counter("firewatch_intake_answers_total", "Answers of teams that are safe in the journal."),
		rejected: counter("firewatch_intake_rejected_total", "Messages and readings sent to quarantine."),
		refusals: counter("firewatch_intake_refusals_total", "Times that the journal or the quarantine refused a batch."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "firewatch_intake_commit_seconds", Help: "Time to decode, store and acknowledge one batch.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "firewatch_intake_batch_messages", Help: "Messages in one batch.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
	}
	for _, c := range contract.Classes {
		m.readings[c] = readings.WithLabelValues(c.String())
	}
	return m, register(r, "intake", m.messages, readings, m.answers, m.rejected, m.refusals, m.seconds, m.batch,
		gauge("firewatch_intake_waiting_messages", "Messages taken and not yet acknowledged.", func() float64 {
			in.mu.Lock()
			defer in.mu.Unlock()
			return float64(in.waiting)
		}),
		gauge("firewatch_intake_waiting_bytes", "Bytes of messages taken and not yet acknowledged, each with 512 bytes beside its own.", func() float64 {
			in.mu.Lock()
			defer in.mu.Unlock()
			return float64(in.bytes)
		}))
}

func (m *intakeMetrics) committed(entries []Entry, rejected []Rejection, messages int, took time.Duration) {
	var n [len(m.readings)]int
	answers := 0
	for i := range entries {
		if entries[i].Answer != nil {
			answers++
		} else if c := entries[i].Reading.Class; int(c) < len(n) {
			n[c]++
		}
	}
	for _, c := range contract.Classes {
		m.readings[c].Add(float64(n[c]))
	}
	m.answers.Add(float64(answers))
	m.rejected.Add(float64(len(rejected)))
	m.seconds.Observe(took.Seconds())
	m.batch.Observe(float64(messages))
}

type drainMetrics struct {
	readings prometheus.Counter
	rejected prometheus.Counter
	failures prometheus.Counter
	seconds  prometheus.Histogram
	batch    prometheus.Histogram
}

func newDrainMetrics(d *Drain, r prometheus.Registerer) (drainMetrics, error) {
	m := drainMetrics{
		readings: counter("firewatch_drain_readings_total", "Readings stored by the sink."),
		rejected: counter("firewatch_drain_rejected_total", "Readings that the sink will never take, sent to quarantine."),
		failures: counter("firewatch_drain_failures_total", "Writes that failed and were tried again."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "firewatch_drain_write_seconds", Help: "Time of one write that succeeded.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "firewatch_drain_batch_readings", Help: "Readings in one write.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
	}
	return m, register(r, "drain", m.readings, m.rejected, m.failures, m.seconds, m.batch,
		gauge("firewatch_drain_lag_seconds", "Age of the oldest reading that is not yet stored; 0 when there is none.",
			func() float64 { return d.lag().Seconds() }),
		gauge("firewatch_drain_held_readings", "Readings that a limit of the sink keeps out, and that stay in the journal.",
			func() float64 { return float64(d.heldReadings()) }))
}

// wrote counts a write: of so many readings, some were not stored.
func (m *drainMetrics) wrote(readings, refused int, took time.Duration) {
	m.readings.Add(float64(max(0, readings-refused)))
	m.seconds.Observe(took.Seconds())
	m.batch.Observe(float64(readings))
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func gauge(name, help string, f func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
}

// register registers everything, or nothing with a nil Registerer.
func register(r prometheus.Registerer, who string, cs ...prometheus.Collector) error {
	if r == nil {
		return nil
	}
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("%s: Metrics: %w", who, err)
		}
	}
	return nil
}
