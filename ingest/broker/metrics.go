package broker

import (
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/prometheus/client_golang/prometheus"

	"firewatch/ingest"
)

type metrics struct {
	uplinks, refused, denied, tooLarge, full, kept, dropped, slowed, cut prometheus.Counter
}

// flood counts a change of state.
func (m *metrics) flood(f ingest.FloodState) {
	switch f {
	case ingest.FloodSlowed:
		m.slowed.Inc()
	case ingest.FloodCut:
		m.cut.Inc()
	case ingest.FloodNone:
	}
}

func (*metrics) gauges(r prometheus.Registerer, s *sessions) {
	if r == nil {
		return
	}
	gauge := func(name, help string, f func() int) {
		r.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Namespace: "firewatch", Subsystem: "broker", Name: name, Help: help},
			func() float64 {
				s.mu.Lock()
				defer s.mu.Unlock()
				return float64(f())
			}))
	}
	gauge("sessions", "Sessions that outlive their connection, of clients connected or away.", func() int { return len(s.kept) })
	gauge("session_bytes", "Bytes of messages that wait in sessions to be sent or acknowledged.", func() int { return s.queued })
}

func newMetrics(r prometheus.Registerer, server *mqtt.Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "firewatch", Subsystem: "broker", Name: name, Help: help})
		if r != nil {
			r.MustRegister(c)
		}
		return c
	}
	if r != nil {
		gauge := func(name, help string, v *int64) {
			r.MustRegister(prometheus.NewGaugeFunc(
				prometheus.GaugeOpts{Namespace: "firewatch", Subsystem: "broker", Name: name, Help: help},
				func() float64 { return float64(atomic.LoadInt64(v)) }))
		}
		gauge("clients", "MQTT clients connected now.", &server.Info.ClientsConnected)
		gauge("dropped_messages", "Messages to slow subscribers that mochi dropped since the start.", &server.Info.MessagesDropped)
		gauge("dropped_inflight", "Messages to subscribers over the in-flight limit that mochi dropped since the start.", &server.Info.InflightDropped)
	}
	return &metrics{
		uplinks:  counter("uplinks_total", "Messages taken from devices and teams."),
		refused:  counter("refused_total", "Connections refused for their credential or last will."),
		tooLarge: counter("too_large_total", "Connections ended for a message larger than is read at all."),
		full:     counter("full_total", "Connections ended at once because there are too many."),
		kept:     counter("kept_out_total", "Logins refused because the username floods."),
		dropped:  counter("session_dropped_total", "Messages to a session that had no room for them, or to a client that takes none of the size."),
		slowed:   counter("flood_slowed_total", "Times that a username began to be read more slowly because it floods."),
		cut:      counter("flood_cut_total", "Times that a username was cut off because it went on flooding."),
		denied:   counter("denied_total", "Publications and subscriptions denied: not the client's own topic."),
	}
}
