package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"go.uber.org/zap"

	"firewatch/cmd/internal/config"
	"firewatch/ingest"
	"firewatch/ingest/broker"
	"firewatch/ingest/influx"
	"firewatch/ingest/influx/influxd"
)

func (s *system) openInflux(ctx context.Context) error {
	url, token := s.InfluxURL, s.InfluxToken.Reveal()
	if s.EmbeddedInflux() {
		s.say.step("启动 InfluxDB", "starting InfluxDB")
		server, err := influxd.Start(ctx, influxd.Options{
			Binary: s.influxBinary(), Dir: filepath.Join(s.Data, "influxdb"), Auth: true, Log: s.log.Named("influxd"),
		})
		if err != nil {
			return fmt.Errorf("influxd: %w", err)
		}
		s.stack.Release("influxd", server.Stop)
		s.stack.Go("influxd supervision", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-server.Done():
				return errors.New("the server is gone for good; see influxd's log in the data folder")
			}
		})
		s.health.add("influxd", server.Ready)
		url, token = server.URL(), server.Token()
	}
	gzip, err := influx.ParseGzip(s.InfluxGzip)
	if err != nil {
		return fmt.Errorf("influx-gzip: %w", err)
	}
	client, err := influx.New(influx.Options{
		URL: url, Token: token, Org: s.InfluxOrg, Database: s.InfluxDatabase, Keep: s.InfluxKeep,
		KeepTenMinutes: s.KeepTenMinutes, KeepDaily: s.KeepDaily, Gzip: gzip, Registry: s.registry, Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("influx: %w", err)
	}
	s.stack.Close("influx client", func() error { client.Close(); return nil })
	s.health.add("influx", client.Ready)
	s.influx, s.addresses.Influx = client, url
	if s.Has(config.Ingest) {
		// An InfluxDB that is away now is no reason not to start: the journal
		// keeps what comes, and the sink sets up what it finds missing.
		if err := client.Setup(ctx); err != nil {
			if errors.Is(err, ingest.ErrUnauthorized) {
				return fmt.Errorf("influx: %w", err)
			}
			s.log.Warn("setting up InfluxDB; readings wait in the journal", zap.Error(err))
		}
	}
	return nil
}

// influxBinary is the embedded server's program: the one that was named, or the
// first found beside this program, in bin, and in the PATH.
func (s *system) influxBinary() string {
	if s.InfluxBinary != "" {
		return s.InfluxBinary
	}
	inBin := filepath.Join("bin", "influxd")
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), "influxd"); isFile(beside) {
			return beside
		}
	}
	if found, err := exec.LookPath("influxd"); err == nil && !isFile(inBin) {
		return found
	}
	return inBin
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (s *system) openBroker(context.Context) error {
	o := broker.Options{
		Addr: s.MQTT, Credential: s.registry, RequireClientCert: s.MQTTClientCert, Dir: filepath.Join(s.Data, "mqtt"), Floods: s.fleet,
		Log: s.log.Named("broker"), Registerer: s.metrics,
	}
	if s.MQTTDeviceRate > 0 {
		o.Flood = &broker.Flood{Device: broker.Limits{Rate: float64(s.MQTTDeviceRate)}}
	}
	if s.MQTTTLSCert != "" {
		cert, err := tls.LoadX509KeyPair(s.MQTTTLSCert, s.MQTTTLSKey)
		if err != nil {
			return fmt.Errorf("mqtt-tls-cert: %w", err)
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	if s.MQTTClientCA != "" {
		var err error
		if o.ClientCAs, err = readAuthorities("mqtt-client-ca", s.MQTTClientCA); err != nil {
			return err
		}
	}
	b, err := broker.New(o)
	if err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	s.stack.Close("mqtt", b.Close)
	s.health.add("mqtt", func(context.Context) error { return b.Ready() })
	s.broker, s.addresses.MQTT = b, b.Addr()
	return nil
}

// client is how our own roles reach the broker: the external one with its
// account, or the embedded one with the service credential.
func (s *system) client(role string) (url, username, password string, conf *tls.Config, err error) {
	if !s.EmbeddedBroker() {
		conf, err = s.externalTLS()
		return s.MQTTBroker, s.MQTTUsername, s.MQTTPassword.Reveal(), conf, err
	}
	_, port, err := net.SplitHostPort(s.broker.Addr())
	if err != nil {
		return "", "", "", nil, fmt.Errorf("mqtt: %w", err)
	}
	scheme := "tcp"
	if s.MQTTTLSCert != "" {
		scheme = "ssl"
		if conf, err = pinned(s.MQTTTLSCert, s.MQTTTLSKey); err != nil {
			return "", "", "", nil, err
		}
	}
	host := "127.0.0.1"
	if h, _, err := net.SplitHostPort(s.MQTT); err == nil && net.ParseIP(h) != nil && !net.ParseIP(h).IsUnspecified() {
		host = h
	}
	return scheme + "://" + net.JoinHostPort(host, port), servicePrefix + role, s.registry.serviceSecret, conf, nil
}

func (s *system) externalTLS() (*tls.Config, error) {
	if s.MQTTCA == "" {
		return nil, nil
	}
	roots, err := readAuthorities("mqtt-ca", s.MQTTCA)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// readAuthorities reads the certificates of the file that the setting names.
func readAuthorities(setting, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no PEM certificate", setting, file)
	}
	return pool, nil
}

// pinned trusts exactly our own certificate, whatever name stands in it.
func pinned(certFile, keyFile string) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("mqtt-tls-cert: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection below is stricter than a chain
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 || string(cs.PeerCertificates[0].Raw) != string(own.Certificate[0]) {
				return errors.New("this is not our own certificate")
			}
			return nil
		},
	}, nil
}
