package app

import (
	"testing"

	"firewatch/cmd/internal/config"
)

func TestDevicesAreToldTheBrokerByItsPublicName(t *testing.T) {
	for _, tc := range []struct {
		change func(*config.Config)
		want   string
	}{
		{func(c *config.Config) {}, "mqtt://127.0.0.1:1883"},
		{func(c *config.Config) { c.MQTTBroker = "tcp://10.0.0.5:1884" }, "mqtt://10.0.0.5:1884"},
		{func(c *config.Config) {
			c.MQTTBroker, c.MQTTPublic = "tcp://10.0.0.5:1884", "mqtts://fire.example"
		}, "mqtts://fire.example:8883"},
		{func(c *config.Config) { c.MQTT, c.MQTTPublic = "0.0.0.0:1883", "mqtt://fire.example:1999" }, "mqtt://fire.example:1999"},
	} {
		c := config.Default()
		tc.change(&c)
		b, err := brokerOf(c)
		if err != nil || b.URL() != tc.want {
			t.Errorf("%s, %v; want %s", b.URL(), err, tc.want)
		}
	}
}
