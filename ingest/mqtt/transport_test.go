package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"firewatch/ingest/ingesttest"
	"firewatch/ingest/mqtt"
)

// freePorts are different ones: all are held until each is found.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports
}

// certificate writes one for 127.0.0.1 and its key, and returns who trusts it.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certFile, keyFile, roots
}

func TestTransports(t *testing.T) {
	certFile, keyFile, roots := certificate(t)
	ports := freePorts(t, 3)
	ssl, ws, wss := ports[0], ports[1], ports[2]
	secure := fmt.Sprintf("certfile %s\nkeyfile %s", certFile, keyFile)
	m := ingesttest.StartMosquitto(
		t,
		"listener "+ssl+" 127.0.0.1", secure,
		"listener "+ws+" 127.0.0.1", "protocol websockets",
		"listener "+wss+" 127.0.0.1", "protocol websockets", secure,
	)
	publish := publisher(t, m.URL())
	for _, url := range []string{m.URL(), "ssl://127.0.0.1:" + ssl, "ws://127.0.0.1:" + ws, "wss://127.0.0.1:" + wss} {
		t.Run(url[:3], func(t *testing.T) {
			var got tally
			_, stop := start(t, mqtt.Options{URL: url, ClientID: "a", TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, &got)
			const n = 500
			for i := range n {
				publish(t, topic, fmt.Append(nil, url, i))
			}
			ingesttest.Eventually(t, "every message", func() bool { return got.distinct() == n })
			stop()
		})
	}
}
