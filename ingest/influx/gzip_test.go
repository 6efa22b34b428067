package influx

import (
	"net"
	"testing"
)

func TestWhatIsRemote(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "172.16.0.9": false, "192.168.1.5": false,
		"169.254.3.4": false, "fe80::1": false, "fd12::1": false,
		"203.0.113.9": true, "2001:db8::1": true, "172.32.0.1": true,
	} {
		if got := isRemote(&net.TCPAddr{IP: net.ParseIP(address), Port: 8086}); got != want {
			t.Errorf("%s: remote %t", address, got)
		}
	}
	if isRemote(&net.UnixAddr{Name: "/run/influxdb.sock"}) {
		t.Error("a socket of this machine is remote")
	}
}

func TestGzipIsParsed(t *testing.T) {
	for _, g := range []Gzip{GzipAuto, GzipOff, GzipOn} {
		if got, err := ParseGzip(g.String()); err != nil || got != g {
			t.Errorf("%s: %v, %v", g, got, err)
		}
	}
	if _, err := ParseGzip("yes"); err == nil {
		t.Error("yes was accepted")
	}
}
