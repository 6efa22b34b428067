package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// setting is one setting: its name, what it is for, and how it is set and
// shown.
type setting struct {
	name   string
	help   string
	secret bool
	flag   bool // a switch: --name alone means true
	set    func(string) error
	show   func() string
}

func (c *Config) settings() []setting {
	str := func(name string, p *string, help string) setting {
		return setting{name: name, help: help, set: func(v string) error { *p = v; return nil }, show: func() string { return *p }}
	}
	secret := func(name string, p *Secret, help string) setting {
		return setting{name: name, help: help, secret: true, set: func(v string) error { *p = Secret(v); return nil }, show: func() string { return p.String() }}
	}
	boolean := func(name string, p *bool, help string) setting {
		return setting{name: name, help: help, flag: true, show: func() string { return strconv.FormatBool(*p) }, set: func(v string) error {
			b, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("%q; want true or false", v)
			}
			*p = b
			return nil
		}}
	}
	duration := func(name string, p *time.Duration, help string) setting {
		return setting{name: name, help: help, show: func() string { return p.String() }, set: func(v string) error {
			d, err := time.ParseDuration(v)
			if err != nil {
				return fmt.Errorf("%q; want a time like 20s or 2160h", v)
			}
			*p = d
			return nil
		}}
	}
	number := func(name string, p *int64, help string) setting {
		return setting{name: name, help: help, show: func() string { return strconv.FormatInt(*p, 10) }, set: func(v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return fmt.Errorf("%q; want a whole number", v)
			}
			*p = n
			return nil
		}}
	}
	words := func(name string, p *[]string, help string) setting {
		return setting{name: name, help: help, show: func() string { return strings.Join(*p, ",") }, set: func(v string) error {
			*p = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
			return nil
		}}
	}
	all := []setting{
		words("roles", &c.Roles, "roles of this process, comma-separated: ingest, alerts, api"),
		str("data", &c.Data, "folder for everything that is kept"),
		boolean("demo", &c.Demo, "sample set of Baoding with simulated devices (演示)"),
		boolean("insecure", &c.Insecure, "allow listening beyond this machine without TLS"),
		str("log-level", &c.LogLevel, "debug, info, warn or error"),
		str("log-format", &c.LogFormat, "console or json"),
		str("http", &c.HTTP, "address on which the api and the console listen"),
		str("http-tls-cert", &c.HTTPTLSCert, "certificate file (PEM) of the api"),
		str("http-tls-key", &c.HTTPTLSKey, "key file (PEM) of the api"),
		str("mqtt", &c.MQTT, "address on which the embedded MQTT broker listens"),
		str("mqtt-public", &c.MQTTPublic, "URL under which devices reach their broker, like mqtts://fire.example:8883; it stands on their cards and QR codes"),
		str("mqtt-tls-cert", &c.MQTTTLSCert, "certificate file (PEM) of the embedded broker"),
		str("mqtt-tls-key", &c.MQTTTLSKey, "key file (PEM) of the embedded broker"),
		str("mqtt-client-ca", &c.MQTTClientCA, "authority file (PEM) of devices' certificates at the embedded broker; with it a device may log in by certificate"),
		boolean("mqtt-client-cert", &c.MQTTClientCert, "refuse devices and teams without such a certificate"),
		number("mqtt-device-rate", &c.MQTTDeviceRate, "messages per second that a device may send for long at the embedded broker before it is slowed, and then cut; 0: no limit"),
		str("mqtt-broker", &c.MQTTBroker, "URL of an external broker, like tcp://127.0.0.1:1883; empty: the embedded one"),
		str("mqtt-ca", &c.MQTTCA, "certificate authority file (PEM) of the external broker"),
		str("mqtt-username", &c.MQTTUsername, "account at the external broker"),
		secret("mqtt-password", &c.MQTTPassword, "password at the external broker"),
		str("mqtt-client-id", &c.MQTTClientID, "name of the session at the external broker; by itself one that stays with the data folder"),
		str("mqtt-group", &c.MQTTGroup, "shared subscription group, for several ingest processes"),
		secret("mqtt-auth-token", &c.MQTTAuthToken, "what an external broker shows when it asks the api who may connect; empty: nobody may ask"),
		words("adapters", &c.Adapters, "devices of another make to understand, comma-separated: owntracks, chirpstack, tts"),
		str("influx-url", &c.InfluxURL, "URL of InfluxDB; empty: the embedded server"),
		str("influx-binary", &c.InfluxBinary, "the embedded server's program; empty: influxd beside firewatch, in bin, or in the PATH"),
		secret("influx-token", &c.InfluxToken, "token of InfluxDB, or user:password for 1.8"),
		str("influx-org", &c.InfluxOrg, "organisation in InfluxDB 2.x"),
		str("influx-database", &c.InfluxDatabase, "database or bucket in InfluxDB"),
		str("influx-gzip", &c.InfluxGzip, "compress what is written to InfluxDB: off, on, or auto: unless it is on this machine or in a private network"),
		duration("influx-keep", &c.InfluxKeep, "how long readings are kept; 0: for ever. Shortening it deletes what is older"),
		duration("keep-ten-minutes", &c.KeepTenMinutes, "how long ten-minute summaries are kept; 0: for ever. Shortening it deletes what is older"),
		duration("keep-daily", &c.KeepDaily, "how long daily summaries, SOS and reports are kept; 0: for ever. Shortening it deletes what is older"),
		secret("store", &c.Store, "relational store: postgres://… or sqlite:FILE; empty: SQLite in the data folder"),
		str("rules", &c.Rules, "file of alert rules; empty: those that come with firewatch"),
		str("policy", &c.Policy, "file of deadlines of orders and calls; empty: those that come with firewatch"),
		str("readiness", &c.Readiness, "file of the readiness table; empty: the versions already stored, or the one that comes with firewatch"),
		boolean("two-person", &c.TwoPerson, "a version of the readiness table rules only after another person than its author has approved it"),
		str("seasons", &c.Seasons, "file of fire seasons; empty: those already stored, or the sample"),
		str("danger-method", &c.DangerMethod, "rating whose fire danger level counts: htz (by the day) or fwi (by noon); both are kept"),
		secret("cap-feeds", &c.CAPFeeds, "URLs of feeds of weather warnings to poll, comma-separated: CAP, Atom or RSS of CAP, or an aggregator's JSON"),
		duration("cap-feed-every", &c.CAPFeedEvery, "time between two polls of a feed of warnings"),
		duration("cap-feed-stale", &c.CAPFeedStale, "without a poll that worked for so long, warnings are unknown and shown so"),
		number("journal-max-bytes", &c.JournalMaxBytes, "most bytes that wait on disk for InfluxDB"),
		duration("journal-max-age", &c.JournalMaxAge, "after so long without InfluxDB the oldest ordinary readings are thinned; never an alarm"),
		duration("stop-timeout", &c.StopTimeout, "longest time for an orderly stop"),
	}
	for i, a := range Adapters {
		f := &c.Feeds[i]
		all = append(all,
			str(a+"-broker", &f.Broker, "URL of the broker that "+a+" publishes to; empty: the one of our own devices"),
			str(a+"-ca", &f.CA, "certificate authority file (PEM) of that broker"),
			str(a+"-username", &f.Username, "account at that broker"),
			secret(a+"-password", &f.Password, "password at that broker"))
	}
	return all
}

func envName(name string) string {
	return "FIREWATCH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// reserved are names of the environment that are not settings.
var reserved = []string{"FIREWATCH_CONFIG", "FIREWATCH_TESTDATA"}

// Load reads the command line, the environment ("NAME=value") and the YAML file
// that --config or FIREWATCH_CONFIG names, and checks the result. usage gets
// the help text when it is asked for; the error is then flag.ErrHelp.
func Load(command string, args, environ []string, usage io.Writer) (Config, error) {
	c := Default()
	settings := c.settings()
	byName := make(map[string]setting, len(settings))
	for _, s := range settings {
		byName[s.name] = s
	}

	given := map[string]string{}
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	file := fs.String("config", "", "YAML file of settings")
	for _, s := range settings {
		keep := func(v string) error { given[s.name] = v; return nil }
		if s.flag {
			fs.BoolFunc(s.name, s.help, keep)
		} else {
			fs.Func(s.name, s.help, keep)
		}
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		PrintUsage(usage, command)
		return c, err
	case err != nil:
		return c, fmt.Errorf("%s: %w (--help lists the settings)", command, err)
	case fs.NArg() > 0:
		return c, fmt.Errorf("%s: unexpected argument %q (--help lists the settings)", command, fs.Arg(0))
	}

	env, err := readEnv(byName, environ)
	if err != nil {
		return c, err
	}
	if *file == "" {
		*file = env["config"]
	}
	fromFile := map[string]string{}
	if *file != "" {
		raw, err := os.ReadFile(*file)
		if err != nil {
			return c, fmt.Errorf("config: %w", err)
		}
		if fromFile, err = parseFile(byName, *file, raw); err != nil {
			return c, err
		}
	}
	for _, layer := range []map[string]string{fromFile, env, given} {
		for _, s := range settings {
			if v, ok := layer[s.name]; ok {
				if err := s.set(v); err != nil {
					return c, fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
	}
	return c, c.Check()
}

func readEnv(byName map[string]setting, environ []string) (map[string]string, error) {
	byEnv := make(map[string]setting, len(byName))
	for _, s := range byName {
		byEnv[envName(s.name)] = s
	}
	out := map[string]string{}
	var errs []error
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(key, "FIREWATCH_") {
			continue
		}
		if key == "FIREWATCH_CONFIG" {
			out["config"] = value
			continue
		}
		if slices.Contains(reserved, key) {
			continue
		}
		if s, ok := byEnv[key]; ok {
			out[s.name] = value
			continue
		}
		if s, ok := byEnv[strings.TrimSuffix(key, "_FILE")]; ok && s.secret && strings.HasSuffix(key, "_FILE") {
			raw, err := os.ReadFile(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", key, err))
				continue
			}
			out[s.name] = strings.TrimRight(string(raw), "\r\n")
			continue
		}
		errs = append(errs, fmt.Errorf("%s: no setting has this name (--help lists them)", key))
	}
	return out, errors.Join(errs...)
}

func parseFile(byName map[string]setting, file string, raw []byte) (map[string]string, error) {
	out := map[string]string{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return out, nil
	}
	tree, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		var pairs []*ast.MappingValueNode
		switch n := doc.Body.(type) {
		case *ast.MappingNode:
			pairs = n.Values
		case *ast.MappingValueNode:
			pairs = []*ast.MappingValueNode{n}
		case *ast.CommentGroupNode:
		default:
			return nil, fmt.Errorf("%s:%d: want lines of the form name: value", file, n.GetToken().Position.Line)
		}
		for _, p := range pairs {
			line := p.Key.GetToken().Position.Line
			name := p.Key.GetToken().Value
			s, ok := byName[name]
			if !ok {
				errs = append(errs, fmt.Errorf("%s:%d: %s: no setting has this name (--help lists them)", file, line, name))
				continue
			}
			v, err := scalar(p.Value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %s: %w", file, line, name, err))
				continue
			}
			out[s.name] = v
		}
	}
	return out, errors.Join(errs...)
}

func scalar(n ast.Node) (string, error) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case *ast.SequenceNode:
		words := make([]string, 0, len(v.Values))
		for _, e := range v.Values {
			w, err := scalar(e)
			if err != nil {
				return "", err
			}
			words = append(words, w)
		}
		return strings.Join(words, ","), nil
	}
	return "", errors.New("want a single value")
}

// PrintUsage lists the settings.
func PrintUsage(w io.Writer, command string) {
	c := Default()
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [--config FILE] [--SETTING VALUE …]\n\nEach setting may also stand in the environment (FIREWATCH_MQTT_BROKER) or in the YAML\nfile (mqtt-broker: …); the command line wins, then the environment. A secret may be\nread from a file: FIREWATCH_MQTT_PASSWORD_FILE=/run/secrets/mqtt.\n\n", command)
	for _, s := range c.settings() {
		fmt.Fprintf(&b, "  --%-22s %s", s.name, s.help)
		if d := s.show(); d != "" && d != "false" {
			fmt.Fprintf(&b, " (default %s)", d)
		}
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(w, b.String()) // a closed terminal
}

// Dump writes the settings as YAML, without their secrets.
func (c *Config) Dump(w io.Writer) {
	var b strings.Builder
	for _, s := range c.settings() {
		v := s.show()
		if !s.flag {
			v = strconv.Quote(v)
		}
		fmt.Fprintf(&b, "%s: %s\n", s.name, v)
	}
	_, _ = io.WriteString(w, b.String()) // a closed terminal
}
