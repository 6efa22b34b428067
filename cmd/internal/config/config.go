// Package config reads the settings of the three roles. A setting has one name
// everywhere: --mqtt-broker on the command line, FIREWATCH_MQTT_BROKER in the
// environment, mqtt-broker in the YAML file; the earlier of these three wins.
// A secret may also come from the file that FIREWATCH_NAME_FILE names.
//
// Nothing here opens a connection: checking a configuration is possible
// anywhere.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The roles.
const (
	Ingest = "ingest"
	Alerts = "alerts"
	API    = "api"
)

// minToken keeps out tokens that can be guessed.
const minToken = 16

// Roles lists every role.
var Roles = []string{Ingest, Alerts, API}

// The adapters for devices of another make.
const (
	OwnTracks  = "owntracks"
	ChirpStack = "chirpstack"
	TTS        = "tts"
)

// Adapters lists every adapter.
var Adapters = []string{OwnTracks, ChirpStack, TTS}

// A Feed is where an adapter's messages come from when that is not the broker of
// our own devices.
type Feed struct {
	Broker   string // URL; empty: the broker of our own devices
	CA       string // its certificate authority
	Username string
	Password Secret
}

// Config is all settings of a process.
type Config struct {
	Roles    []string
	Data     string // folder for everything that is kept
	Demo     bool
	Insecure bool

	LogLevel  string // debug, info, warn, error
	LogFormat string // console, json

	HTTP        string // listen address of the api
	HTTPTLSCert string
	HTTPTLSKey  string

	MQTT           string // listen address of the embedded broker
	MQTTPublic     string // URL under which devices reach their broker; empty: taken from the address
	MQTTTLSCert    string
	MQTTTLSKey     string
	MQTTClientCA   string // authority of the devices' certificates at the embedded broker; empty: none are asked for
	MQTTClientCert bool   // devices and teams must show a certificate
	MQTTDeviceRate int64  // messages per second that a device may send for long at the embedded broker; 0: no limit
	MQTTBroker     string // URL of an external broker; empty: the embedded one
	MQTTCA         string // certificate authority of the external broker
	MQTTUsername   string
	MQTTPassword   Secret
	MQTTClientID   string
	MQTTGroup      string // shared subscription group
	// MQTTAuthToken is what an external broker shows when it asks the api who may
	// connect; empty: nobody may ask.
	MQTTAuthToken Secret

	Adapters []string // that are switched on
	Feeds    [3]Feed  // of each of the package's Adapters

	InfluxURL      string // empty: the embedded influxd
	InfluxBinary   string // empty: influxd beside this program, in bin, or in the PATH
	InfluxToken    Secret
	InfluxOrg      string
	InfluxDatabase string
	InfluxGzip     string        // off, on, auto
	InfluxKeep     time.Duration // how long readings are kept; 0: for ever
	KeepTenMinutes time.Duration // how long their ten-minute summaries are kept; 0: for ever
	KeepDaily      time.Duration // how long their daily summaries are kept; 0: for ever

	Store   Secret // URL of the relational store; may hold a password
	Rules   string // file; empty: the rules that come with firewatch
	Policy  string // file; empty: the deadlines that come with firewatch
	Seasons string // file; empty: the stored table, or the sample
	// Readiness is a file of the readiness table; empty: the stored versions, or
	// the one that comes with firewatch.
	Readiness string
	TwoPerson bool // a change of the readiness table takes two people
	// DangerMethod is the rating whose fire danger level counts: htz or fwi.
	DangerMethod string

	CAPFeeds     Secret        // URLs of feeds of weather warnings, comma-separated; an address may hold a key
	CAPFeedEvery time.Duration // between two polls of a feed
	CAPFeedStale time.Duration // without a poll that worked its warnings are unknown

	JournalMaxBytes int64
	JournalMaxAge   time.Duration
	StopTimeout     time.Duration
}

// Default is the configuration when nothing is said.
func Default() Config {
	return Config{
		Roles: slices.Clone(Roles), Data: "data",
		LogLevel: "info", LogFormat: "console",
		HTTP: "127.0.0.1:8080", MQTT: "127.0.0.1:1883", MQTTDeviceRate: 20,
		InfluxOrg: "firewatch", InfluxDatabase: "firewatch", InfluxGzip: "auto",
		InfluxKeep: 90 * day, KeepTenMinutes: 2 * 365 * day,
		DangerMethod: "htz",
		Adapters:     []string{OwnTracks},
		CAPFeedEvery: time.Minute, CAPFeedStale: 15 * time.Minute,
		JournalMaxBytes: 10 << 30, JournalMaxAge: 72 * time.Hour, StopTimeout: 20 * time.Second,
	}
}

const day = 24 * time.Hour

// Has reports whether the process has the role.
func (c *Config) Has(role string) bool { return slices.Contains(c.Roles, role) }

// EmbeddedStore reports whether the store is our own SQLite file.
func (c *Config) EmbeddedStore() bool { return c.Store == "" }

// StoreURL is where the relational store is.
func (c *Config) StoreURL() string {
	if c.EmbeddedStore() {
		return "sqlite:" + filepath.Join(c.Data, "firewatch.db")
	}
	return c.Store.Reveal()
}

// EmbeddedBroker reports whether this process runs the MQTT broker.
func (c *Config) EmbeddedBroker() bool { return c.MQTTBroker == "" && c.Has(Ingest) }

// EmbeddedInflux reports whether this process runs influxd.
func (c *Config) EmbeddedInflux() bool { return c.InfluxURL == "" && c.Has(Ingest) }

// Check reports everything that is wrong, each with the setting's name.
func (c *Config) Check() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if len(c.Roles) == 0 {
		bad("roles", "is empty; want some of %s", strings.Join(Roles, ", "))
	}
	for _, r := range c.Roles {
		if !slices.Contains(Roles, r) {
			bad("roles", "%q is none; want some of %s", r, strings.Join(Roles, ", "))
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(c.Roles)))) != len(c.Roles) {
		bad("roles", "name each role once")
	}
	if c.Data == "" {
		bad("data", "is empty; name a folder")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		bad("log-level", "%q; want debug, info, warn or error", c.LogLevel)
	}
	if !slices.Contains([]string{"console", "json"}, c.LogFormat) {
		bad("log-format", "%q; want console or json", c.LogFormat)
	}
	if c.Has(API) {
		c.checkListener(bad, "http", c.HTTP, c.HTTPTLSCert, c.HTTPTLSKey)
	}
	if c.MQTTGroup != "" && (c.MQTTBroker == "" || c.Has(Alerts)) {
		bad("mqtt-group", "is for processes with the role ingest alone, at an external broker: alerts must hear every reading")
	}
	if n := len(c.MQTTAuthToken.Reveal()); n > 0 && n < minToken {
		bad("mqtt-auth-token", "has %d characters; want at least %d, as from openssl rand -hex 16", n, minToken)
	}
	if c.MQTTPublic != "" {
		checkURL(bad, "mqtt-public", c.MQTTPublic, "tcp", "mqtt", "ssl", "mqtts")
	}
	switch {
	case c.EmbeddedBroker():
		c.checkListener(bad, "mqtt", c.MQTT, c.MQTTTLSCert, c.MQTTTLSKey)
	case c.MQTTBroker != "":
		checkURL(bad, "mqtt-broker", c.MQTTBroker, "tcp", "mqtt", "ssl", "mqtts", "ws", "wss")
	case c.Has(Alerts):
		bad("mqtt-broker", "is empty; alerts without ingest needs the URL of the broker")
	}
	if c.MQTTClientCert && c.MQTTClientCA == "" {
		bad("mqtt-client-cert", "asks for certificates; give mqtt-client-ca, whose authority they are of")
	}
	c.checkAdapters(bad)
	if c.MQTTDeviceRate < 0 {
		bad("mqtt-device-rate", "%d; want a count of messages per second, or 0 for no limit", c.MQTTDeviceRate)
	}
	if c.MQTTClientCA != "" && (c.MQTTTLSCert == "" || !c.EmbeddedBroker()) {
		bad("mqtt-client-ca", "is for the embedded broker with TLS: give mqtt-tls-cert and mqtt-tls-key")
	}
	switch {
	case c.InfluxURL != "":
		checkURL(bad, "influx-url", c.InfluxURL, "http", "https")
	case c.Has(API) && !c.Has(Ingest):
		bad("influx-url", "is empty; api without ingest needs the URL of InfluxDB")
	}
	if c.Demo && len(c.Roles) != len(Roles) {
		bad("demo", "needs all roles in one process")
	}
	if store := c.Store.Reveal(); store != "" && !slices.ContainsFunc([]string{"postgres://", "postgresql://", "sqlite:"},
		func(scheme string) bool { return strings.HasPrefix(store, scheme) }) {
		bad("store", "want postgres://… or sqlite:FILE")
	}
	if c.JournalMaxBytes < 64<<20 {
		bad("journal-max-bytes", "%d; want at least 67108864 (64 MiB)", c.JournalMaxBytes)
	}
	if c.JournalMaxAge < time.Hour {
		bad("journal-max-age", "%s; want at least 1h", c.JournalMaxAge)
	}
	for _, keep := range []struct {
		name     string
		d, least time.Duration
	}{{"influx-keep", c.InfluxKeep, 2 * day}, {"keep-ten-minutes", c.KeepTenMinutes, 2 * day}, {"keep-daily", c.KeepDaily, 2 * day}} {
		if keep.d != 0 && keep.d < keep.least {
			bad(keep.name, "%s; want at least %s, or 0 for ever", keep.d, keep.least)
		}
	}
	c.checkFeeds(bad)
	if !slices.Contains([]string{"off", "on", "auto"}, c.InfluxGzip) {
		bad("influx-gzip", "%q; want off, on or auto", c.InfluxGzip)
	}
	if !slices.Contains([]string{"htz", "fwi"}, c.DangerMethod) {
		bad("danger-method", "%q; want htz or fwi", c.DangerMethod)
	}
	if c.StopTimeout <= 0 {
		bad("stop-timeout", "%s; want a time above 0", c.StopTimeout)
	}
	return errors.Join(errs...)
}

// FeedURLs are the addresses of the feeds of weather warnings.
func (c *Config) FeedURLs() []string {
	return strings.FieldsFunc(c.CAPFeeds.Reveal(), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
}

func (c *Config) checkFeeds(bad complain) {
	for i, raw := range c.FeedURLs() {
		if u, err := url.Parse(raw); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("cap-feeds", "the %d. is no URL that begins with http:// or https://", i+1)
		}
	}
	if c.CAPFeedEvery < 10*time.Second {
		bad("cap-feed-every", "%s; want at least 10s", c.CAPFeedEvery)
	}
	if c.CAPFeedStale <= c.CAPFeedEvery {
		bad("cap-feed-stale", "%s; want more than cap-feed-every, %s", c.CAPFeedStale, c.CAPFeedEvery)
	}
}

func (c *Config) checkAdapters(bad complain) {
	for _, a := range c.Adapters {
		if !slices.Contains(Adapters, a) {
			bad("adapters", "%q is none; want some of %s", a, strings.Join(Adapters, ", "))
		}
	}
	for i, a := range Adapters {
		f, on := c.Feeds[i], slices.Contains(c.Adapters, a)
		switch {
		case f != (Feed{}) && !on:
			bad(a+"-broker", "is given, but adapters does not name %s", a)
		case f.Broker != "":
			checkURL(bad, a+"-broker", f.Broker, "tcp", "mqtt", "ssl", "mqtts", "ws", "wss")
		case f != (Feed{}):
			bad(a+"-broker", "is empty, but an account or authority for it is given")
		case on && a != OwnTracks && c.EmbeddedBroker():
			bad(a+"-broker", "is empty; nobody but our own devices may publish at the embedded broker: give the URL of the one that %s publishes to", a)
		}
	}
}

type complain func(key, format string, args ...any)

func (c *Config) checkListener(bad complain, key, addr, cert, certKey string) {
	host, port, err := net.SplitHostPort(addr)
	if n, portErr := strconv.ParseUint(port, 10, 16); err == nil && (portErr != nil || n > 65535) {
		bad(key, "%q; the port is a number up to 65535", addr)
		return
	}
	if err != nil {
		bad(key, "%q; want host:port, like 127.0.0.1:8080", addr)
		return
	}
	if (cert == "") != (certKey == "") {
		bad(key+"-tls-cert", "and %s-tls-key go together", key)
	}
	if cert == "" && !loopback(host) && !c.Insecure {
		bad(key, "%q is reachable from other machines without TLS; give %s-tls-cert and %s-tls-key, listen on 127.0.0.1, or accept the risk with insecure", addr, key, key)
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func checkURL(bad complain, key, raw string, schemes ...string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme):
		bad(key, "want a URL that begins with %s://", strings.Join(schemes, "://, "))
	case u.User != nil:
		bad(key, "holds an account; give it in the settings for that, where it is kept secret")
	}
}
