package broker

import (
	"crypto/tls"
	"crypto/x509"
	"slices"

	"firewatch/ingest"
)

// certificates are what devices may prove themselves with.
type certificates struct {
	require    bool
	credential ingest.CertificateCredential // nil: a password is needed too
}

// withClients is the configuration that asks clients for a certificate of the
// authorities. One that is shown must be good, and none need be shown: whether a
// client needs one is known after CONNECT says who it is, and our own roles have
// none.
func withClients(c *tls.Config, cas *x509.CertPool) *tls.Config {
	c = c.Clone()
	c.ClientCAs = cas
	c.ClientAuth = tls.VerifyClientCertIfGiven
	return c
}

// check reports whether a certificate proves the username. One that names
// somebody else is refused, whatever the password says.
func (certificates) check(c *conn, username string) (proved bool, why string) {
	t, ok := c.stream.(*tls.Conn)
	if !ok {
		return false, ""
	}
	state := t.ConnectionState()
	if len(state.VerifiedChains) == 0 {
		return false, ""
	}
	if !names(state.PeerCertificates[0], username) {
		return false, "its certificate is another's"
	}
	return true, ""
}

// names reports whether the certificate is the username's: its common name, or
// when the subject has none, a DNS name or URI among its alternative names (the
// way of RFC 9525, which has no common names any more).
func names(cert *x509.Certificate, username string) bool {
	if username == "" {
		return false
	}
	if cn := cert.Subject.CommonName; cn != "" {
		return cn == username
	}
	if slices.Contains(cert.DNSNames, username) {
		return true
	}
	for _, u := range cert.URIs {
		if u.String() == username {
			return true
		}
	}
	return false
}
