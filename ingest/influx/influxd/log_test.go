package influxd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := openLog(path, 1000)
	defer l.close()
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 100 {
		if n, err := l.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, p := range []string{path, path + ".1"} {
		fi, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Size() > 1000 || fi.Size() == 0 {
			t.Errorf("%s has %d bytes", p, fi.Size())
		}
	}
	if len(l.tail) > tailBytes {
		t.Errorf("tail has %d bytes", len(l.tail))
	}
}

func TestLogSurvivesAnUnwritableFile(t *testing.T) {
	l := openLog(filepath.Join(t.TempDir(), "absent", "log"), 1000)
	if n, err := l.Write([]byte("run: open server: no\nlast\n")); n != 26 || err != nil {
		t.Fatal(n, err)
	}
	if got := l.last(); got != "run: open server: no" {
		t.Errorf("last is %q", got)
	}
}

func TestConfigQuotesTheDirectory(t *testing.T) {
	text, err := layout{dir: `/data "quoted" 防火`, addr: "127.0.0.1:1"}.config()
	if err != nil || !bytes.Contains([]byte(text), []byte(`dir = "/data \"quoted\" 防火/meta"`)) {
		t.Errorf("%v in\n%s", err, text)
	}
	if _, err := (layout{dir: "/a\nb"}).config(); err == nil {
		t.Error("a newline in the directory passed")
	}
}

func TestEnvironmentDoesNotOverrideTheConfiguration(t *testing.T) {
	got := cleanEnv([]string{"PATH=/bin", "INFLUXDB_HTTP_BIND_ADDRESS=:8086", "HOME=/"})
	if strings.Join(got, " ") != "PATH=/bin HOME=/" {
		t.Errorf("%v", got)
	}
}
