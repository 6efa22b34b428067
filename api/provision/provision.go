// Package provision writes down what a device needs to connect: where the broker
// is, its account, its topics, and all of that as a QR code for the one who
// installs it.
package provision

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// Broker is where devices connect.
type Broker struct {
	Host string // name or address; empty when only its port is known
	Port int
	TLS  bool
}

// ParseBroker reads the URL of a broker, like mqtts://broker.example or
// tcp://10.0.0.1:1883. MQTT over WebSocket is not what devices speak: the ports
// of MQTT itself are taken then.
func ParseBroker(raw string) (Broker, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return Broker{}, errors.New("the broker's URL names no host")
	}
	b := Broker{Host: u.Hostname(), Port: 1883}
	switch u.Scheme {
	case "ssl", "mqtts", "wss":
		b.TLS, b.Port = true, 8883
	}
	if p := u.Port(); p != "" && u.Scheme != "ws" && u.Scheme != "wss" {
		if b.Port, err = strconv.Atoi(p); err != nil {
			return Broker{}, fmt.Errorf("the broker's port: %w", err)
		}
	}
	return b, nil
}

// ParseListener reads the address on which an embedded broker listens. The host
// stays empty when that is every address of the machine.
func ParseListener(addr string, tls bool) (Broker, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return Broker{}, fmt.Errorf("the broker's address: %w", err)
	}
	b := Broker{Host: host, TLS: tls}
	if b.Port, err = strconv.Atoi(port); err != nil {
		return Broker{}, fmt.Errorf("the broker's port: %w", err)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		b.Host = ""
	}
	return b, nil
}

// URL is the broker as MQTT clients write it.
func (b Broker) URL() string {
	scheme := "mqtt"
	if b.TLS {
		scheme = "mqtts"
	}
	return scheme + "://" + net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
}

// Card is all that a device needs to connect. It holds the password: it is shown
// once and kept nowhere.
type Card struct {
	Broker    Broker
	Username  string
	Password  string
	Publish   []string // topics; one that ends with /# means it and all below
	Subscribe []string // topics
	// QR is what the code holds: for an OwnTracks phone the URL that sets the app
	// up, for others the same as here in JSON.
	QR string
}

// NewCard writes the card of a device with a new password.
func NewCard(b Broker, d alerts.Device, password string) (Card, error) {
	c := Card{Broker: b, Username: string(d.ID), Password: password, Publish: []string{}, Subscribe: []string{}}
	if topic := d.Topic(); topic != "" {
		c.Publish = append(c.Publish, topic+"/#")
	}
	for _, class := range contract.Classes {
		if topic := contract.Uplink(d.Kind, class, d.ID); topic != "" {
			c.Publish = append(c.Publish, topic)
		}
	}
	if d.Kind == contract.Tracker {
		c.Publish = append(c.Publish, contract.DeviceAnswers(d.ID))
		c.Subscribe = append(c.Subscribe, contract.DeviceOrders(d.ID))
	}
	var err error
	if topic := d.Topic(); topic != "" {
		c.QR, err = ownTracks(c, topic, d.Expect)
	} else {
		c.QR, err = plain(c)
	}
	return c, err
}

// plain is compact, so that the code stays small enough for cheap printers and
// cameras.
func plain(c Card) (string, error) {
	raw, err := json.Marshal(struct { //nolint:gosec // the card is there to tell the password
		Host      string   `json:"host"`
		Port      int      `json:"port"`
		TLS       bool     `json:"tls"`
		Username  string   `json:"username"`
		Password  string   `json:"password"`
		Publish   []string `json:"publish"`
		Subscribe []string `json:"subscribe,omitempty"`
	}{c.Broker.Host, c.Broker.Port, c.Broker.TLS, c.Username, c.Password, c.Publish, c.Subscribe})
	if err != nil {
		return "", fmt.Errorf("writing the QR code: %w", err)
	}
	return string(raw), nil
}

// Modes of reporting of OwnTracks.
const (
	significant = 1
	move        = 2
)

// ownTracks is the URL that both apps take.
// By default they report a phone that has moved 500 m, at most every few minutes,
// and one that lies still hardly ever; in the mode "move" they report in time.
// Sources: https://owntracks.org/booklet/features/remoteconfig/ (URL config),
// https://owntracks.org/booklet/tech/json/ (configuration) and
// https://owntracks.org/booklet/features/location/ (modes).
func ownTracks(c Card, topic string, expect time.Duration) (string, error) {
	monitoring, interval := significant, 0 // s; 0: as the app has it
	if expect > 0 {
		monitoring, interval = move, int(max(expect, time.Second)/time.Second)
	}
	_, device, _ := strings.Cut(strings.TrimPrefix(topic, "owntracks/"), "/")
	raw, err := json.Marshal(struct { //nolint:gosec // the card is there to tell the password
		Type         string `json:"_type"`
		Mode         int    `json:"mode"` // 0: MQTT
		Host         string `json:"host"`
		Port         int    `json:"port"`
		TLS          bool   `json:"tls"`
		Auth         bool   `json:"auth"`
		Username     string `json:"username"`
		Password     string `json:"password"`
		DeviceID     string `json:"deviceId"`
		ClientID     string `json:"clientId"`
		PubTopicBase string `json:"pubTopicBase"` // else it would be made of username and deviceId
		PubQoS       int    `json:"pubQos"`
		Sub          bool   `json:"sub"` // other people's places are none of its business
		Cmd          bool   `json:"cmd"`
		Monitoring   int    `json:"monitoring"`
		// In the mode "move" iOS goes by the first, Android by the second.
		Interval     int `json:"locatorInterval,omitempty"`
		MoveInterval int `json:"moveModeLocatorInterval,omitempty"`
	}{"configuration", 0, c.Broker.Host, c.Broker.Port, c.Broker.TLS, true, c.Username, c.Password, device, c.Username, topic, 1, false, false, monitoring, interval, interval})
	if err != nil {
		return "", fmt.Errorf("writing the QR code: %w", err)
	}
	return "owntracks:///config?inline=" + url.QueryEscape(base64.StdEncoding.EncodeToString(raw)), nil
}
