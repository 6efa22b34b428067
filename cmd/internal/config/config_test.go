package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsWinOverEnvironmentWinsOverFile(t *testing.T) {
	file := write(t, "f.yaml", "# a comment\nhttp: 127.0.0.1:1\nmqtt: 127.0.0.1:1\nlog-level: warn\nroles: [api, ingest]\njournal-max-bytes: 134217728\n")
	c, err := Load("up", []string{"--config", file, "--http", "127.0.0.1:3"},
		[]string{"FIREWATCH_HTTP=127.0.0.1:2", "FIREWATCH_MQTT=127.0.0.1:2", "HOME=/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.HTTP, " ", c.MQTT, " ", c.LogLevel, " ", c.Roles, " ", c.JournalMaxBytes)
	if want := "127.0.0.1:3 127.0.0.1:2 warn [api ingest] 134217728"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConfigurationFaultsNameTheSettingAndTheWayOut(t *testing.T) {
	pem := write(t, "c.pem", "x")
	tests := []struct {
		name string
		args []string
		env  []string
		file string
		want []string
	}{
		{name: "unknown key of the file, with its line", file: "http: 127.0.0.1:1\n\nhtpp: x\n", want: []string{"f.yaml:3", "htpp", "no setting"}},
		{name: "every unknown key at once", file: "a: 1\nb: 2\n", want: []string{"f.yaml:1: a", "f.yaml:2: b"}},
		{name: "nested value", file: "http:\n  addr: x\n", want: []string{"f.yaml:1: http", "single value"}},
		{name: "broken YAML", file: "http: [", want: []string{"f.yaml"}},
		{name: "a list is no configuration", file: "- a\n", want: []string{"f.yaml:1", "name: value"}},
		{name: "unknown variable", env: []string{"FIREWATCH_HTPP=x"}, want: []string{"FIREWATCH_HTPP", "no setting"}},
		{name: "_FILE only for secrets", env: []string{"FIREWATCH_HTTP_FILE=x"}, want: []string{"FIREWATCH_HTTP_FILE", "no setting"}},
		{name: "missing secret file", env: []string{"FIREWATCH_STORE_FILE=/nowhere/x"}, want: []string{"FIREWATCH_STORE_FILE", "no such file"}},
		{name: "unknown flag", args: []string{"--htpp", "x"}, want: []string{"htpp", "--help"}},
		{name: "stray argument", args: []string{"x"}, want: []string{`"x"`}},
		{name: "role", args: []string{"--roles", "ingest,web"}, want: []string{"roles", `"web"`}},
		{name: "open to the network", args: []string{"--http", "0.0.0.0:80"}, want: []string{"http:", "insecure", "http-tls-cert"}},
		{name: "every interface", args: []string{"--mqtt", ":1883"}, want: []string{"mqtt:", "insecure"}},
		{name: "half of TLS", args: []string{"--http-tls-cert", pem}, want: []string{"http-tls-cert", "go together"}},
		{name: "port", args: []string{"--http", "localhost"}, want: []string{"http:", "host:port"}},
		{name: "an adapter that is none", args: []string{"--adapters", "owntracks,lora"}, want: []string{"adapters", `"lora"`}},
		{name: "a feed of an adapter that is off", args: []string{"--tts-broker", "tcp://h:1"}, want: []string{"tts-broker", "does not name tts"}},
		{name: "a network server at the embedded broker", args: []string{"--adapters", "chirpstack"}, want: []string{"chirpstack-broker", "is empty"}},
		{name: "an account without a broker", args: []string{"--owntracks-username", "x"}, want: []string{"owntracks-broker", "is empty"}},
		{name: "client certificates without TLS", args: []string{"--mqtt-client-ca", pem}, want: []string{"mqtt-client-ca", "mqtt-tls-cert"}},
		{name: "certificates of nobody", args: []string{"--mqtt-client-cert"}, want: []string{"mqtt-client-cert", "mqtt-client-ca"}},
		{name: "a rate below nothing", args: []string{"--mqtt-device-rate", "-1"}, want: []string{"mqtt-device-rate", "-1"}},
		{name: "a broker's name that is no URL", args: []string{"--mqtt-public", "fire.example"}, want: []string{"mqtt-public", "mqtts://"}},
		{name: "compression", args: []string{"--influx-gzip", "yes"}, want: []string{"influx-gzip", `"yes"`}},
		{name: "a short retention", args: []string{"--keep-daily", "5m"}, want: []string{"keep-daily", "48h"}},
		{name: "a journal of minutes", args: []string{"--journal-max-age", "5m"}, want: []string{"journal-max-age", "1h"}},
		{name: "alerts alone needs a broker", args: []string{"--roles", "alerts"}, want: []string{"mqtt-broker"}},
		{name: "api alone needs InfluxDB", args: []string{"--roles", "api"}, want: []string{"influx-url"}},
		{name: "broker URL", args: []string{"--mqtt-broker", "broker:1883"}, want: []string{"mqtt-broker", "tcp://"}},
		{name: "a group shares what alerts must hear whole", args: []string{"--mqtt-broker", "tcp://h:1", "--mqtt-group", "g"}, want: []string{"mqtt-group", "ingest alone"}},
		{name: "a token that can be guessed", env: []string{"FIREWATCH_MQTT_AUTH_TOKEN=hunter2"}, want: []string{"mqtt-auth-token", "at least 16"}},
		{name: "a role twice", args: []string{"--roles", "ingest,ingest"}, want: []string{"roles", "once"}},
		{name: "account in a URL", args: []string{"--influx-url", "http://a:hunter2@h:8086"}, want: []string{"influx-url", "account"}},
		{name: "store", args: []string{"--store", "garbage://x"}, want: []string{"store", "postgres://"}},
		{name: "port number", args: []string{"--http", "127.0.0.1:99999"}, want: []string{"http:", "65535"}},
		{name: "switch", env: []string{"FIREWATCH_DEMO=maybe"}, want: []string{"demo", "true or false"}},
		{name: "number", args: []string{"--journal-max-bytes", "1G"}, want: []string{"journal-max-bytes", "whole number"}},
		{name: "two faults are both told", args: []string{"--log-level", "loud", "--log-format", "xml"}, want: []string{"log-level", "log-format"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if tt.file != "" {
				args = append(args, "--config", write(t, "f.yaml", tt.file))
			}
			_, err := Load("up", args, tt.env, nil)
			if err == nil {
				t.Fatal("taken")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestLoopbackAndTLSAndInsecureMayListen(t *testing.T) {
	for _, args := range [][]string{
		{"--http", "127.0.0.1:0"},
		{"--http", "[::1]:0"},
		{"--http", "localhost:0"},
		{"--http", "0.0.0.0:0", "--http-tls-cert", "a", "--http-tls-key", "b"},
		{"--http", "0.0.0.0:0", "--mqtt", ":0", "--insecure"},
		{"--roles", "alerts", "--mqtt-broker", "tcp://h:1"},
		{"--roles", "api", "--influx-url", "http://h:8086"},
	} {
		if _, err := Load("up", args, nil, nil); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	file := write(t, "secret", "hunter2\n")
	c, err := Load("up", nil, []string{
		"FIREWATCH_MQTT_PASSWORD_FILE=" + file, "FIREWATCH_STORE=postgres://u:hunter2@h/db", "FIREWATCH_INFLUX_TOKEN=hunter2",
		"FIREWATCH_MQTT_AUTH_TOKEN=hunter2-hunter2-hunter2",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.MQTTPassword.Reveal() != "hunter2" || c.StoreURL() != "postgres://u:hunter2@h/db" {
		t.Fatal("the secret was not read")
	}
	var dump bytes.Buffer
	c.Dump(&dump)
	fmt.Fprintf(&dump, "%v %+v %#v %s", c, c, c, c.MQTTPassword)
	if strings.Contains(dump.String(), "hunter2") {
		t.Errorf("a secret shows: %s", dump.String())
	}
	if !strings.Contains(dump.String(), `mqtt-password: "<secret>"`) {
		t.Errorf("the dump does not say that there is a secret: %s", dump.String())
	}
}

func TestHelpListsEverySetting(t *testing.T) {
	var out bytes.Buffer
	_, err := Load("up", []string{"--help"}, nil, &out)
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	c := Default()
	for _, s := range c.settings() {
		if !strings.Contains(out.String(), "--"+s.name+" ") || s.help == "" {
			t.Errorf("%s is not in the help", s.name)
		}
	}
}

func TestDumpIsAConfiguration(t *testing.T) {
	c := Default()
	c.LogLevel, c.Demo = "debug", true
	var dump bytes.Buffer
	c.Dump(&dump)
	got, err := Load("up", []string{"--config", write(t, "f.yaml", dump.String())}, nil, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, dump.String())
	}
	if fmt.Sprint(got) != fmt.Sprint(c) {
		t.Errorf("got %v, want %v", got, c)
	}
}
