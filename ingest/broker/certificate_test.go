package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/broker"
)

// authority signs certificates of tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.key, a.cert = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func (a *authority) issue(t *testing.T, template x509.Certificate) *tls.Certificate {
	t.Helper()
	key, cert := a.sign(t, &template)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// certified knows tr-1 and tr-2 by their certificates; tr-9 is revoked.
type certified struct{ credentials }

func (certified) AuthenticateCertificate(username string) (ingest.Principal, bool) {
	return ingest.Principal{Device: contract.DeviceID(username), Kind: contract.Tracker}, username == "tr-1" || username == "tr-2"
}

func TestClientCertificates(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	named := func(cn string) x509.Certificate { return x509.Certificate{Subject: pkix.Name{CommonName: cn}} }
	tests := []struct {
		name     string
		require  bool
		password bool // only passwords are known
		cert     *tls.Certificate
		username string
		secret   string
		want     bool
	}{
		{name: "certificate instead of a password", cert: ours.issue(t, named("tr-1")), username: "tr-1", want: true},
		{name: "another's name", cert: ours.issue(t, named("tr-1")), username: "tr-2"},
		{name: "another's name with the right password", cert: ours.issue(t, named("tr-1")), username: "tr-2", secret: "pw-tr-2"},
		{name: "right certificate, wrong password", cert: ours.issue(t, named("tr-1")), username: "tr-1", secret: "wrong"},
		{name: "right certificate, right password", cert: ours.issue(t, named("tr-1")), username: "tr-1", secret: "pw-tr-1", want: true},
		{name: "revoked", cert: ours.issue(t, named("tr-9")), username: "tr-9"},
		{name: "another authority", cert: foreign.issue(t, named("tr-1")), username: "tr-1"},
		{name: "DNS name", cert: ours.issue(t, x509.Certificate{DNSNames: []string{"tr-1"}}), username: "tr-1", want: true},
		{name: "DNS name beside another common name", cert: ours.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"tr-1"}}), username: "tr-1"},
		{name: "URI", cert: ours.issue(t, x509.Certificate{URIs: []*url.URL{{Opaque: "tr-1"}}}), username: "tr-1", want: true},
		{name: "no certificate, no password", username: "tr-1"},
		{name: "no certificate, right password", username: "tr-1", secret: "pw-tr-1", want: true},
		{name: "certificates required: only a password", require: true, username: "tr-1", secret: "pw-tr-1"},
		{name: "certificates required: our own role", require: true, username: "service", secret: "pw-service", want: true},
		{name: "certificates required: given", require: true, cert: ours.issue(t, named("tr-1")), username: "tr-1", want: true},
		{name: "credential knows no certificates", password: true, cert: ours.issue(t, named("tr-1")), username: "tr-1"},
	}
	server := ours.issue(t, x509.Certificate{DNSNames: []string{"broker"}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c ingest.Credential = certified{}
			if tt.password {
				c = credentials{}
			}
			addr, _ := startWith(t, broker.Options{
				TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*server}}, Credential: c,
				ClientCAs: ours.pool(), RequireClientCert: tt.require,
			})
			conf := &tls.Config{RootCAs: ours.pool(), ServerName: "broker", MinVersion: tls.VersionTLS12}
			if tt.cert != nil {
				conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tt.cert, nil }
			}
			o := paho.NewClientOptions().AddBroker("ssl://" + addr).SetClientID("c").SetUsername(tt.username).SetTLSConfig(conf)
			if tt.secret != "" {
				o.SetPassword(tt.secret)
			}
			client := paho.NewClient(o)
			defer client.Disconnect(0)
			tok := client.Connect()
			if !tok.WaitTimeout(30 * time.Second) {
				t.Fatal("no answer")
			}
			if ok := tok.Error() == nil; ok != tt.want {
				t.Fatalf("let in: %v (%v)", ok, tok.Error())
			}
			if tt.want && tt.username != "service" {
				p := client.Publish("fw/v1/trackers/tr-1/positions", 1, false, "{}")
				if !p.WaitTimeout(30*time.Second) || p.Error() != nil {
					t.Errorf("publishing over TLS: %v", p.Error())
				}
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	tests := []struct {
		want string
		o    broker.Options
	}{
		{"broker: Credential is missing", broker.Options{Log: zap.NewNop()}},
		{"broker: Log is missing", broker.Options{Credential: credentials{}}},
		{"broker: ClientCAs needs TLS", broker.Options{Credential: credentials{}, Log: zap.NewNop(), ClientCAs: x509.NewCertPool()}},
		{"broker: RequireClientCert needs ClientCAs", broker.Options{Credential: credentials{}, Log: zap.NewNop(), RequireClientCert: true}},
	}
	for _, tt := range tests {
		if _, err := broker.New(tt.o); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
