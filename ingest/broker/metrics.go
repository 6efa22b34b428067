package broker

import (
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	uplinks, refused, denied, tooLarge prometheus.Counter
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
		denied:   counter("denied_total", "Publications and subscriptions denied: not the client's own topic."),
	}
}
