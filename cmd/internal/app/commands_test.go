package app

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/api/password"
	"firewatch/cmd/internal/config"
	"firewatch/cmd/internal/roster"
)

func runWith(tb testing.TB, stdin string, args ...string) (code int, out string) {
	tb.Helper()
	var b lockedBuffer
	code = Run(context.Background(), Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: &b, Stderr: &b})
	return code, b.String()
}

func TestCommandLineFaultsAreNamed(t *testing.T) {
	data := t.TempDir()
	seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitOK, "Usage"},
		{[]string{"--help"}, exitOK, "simulate"},
		{[]string{"up", "--help"}, exitOK, "--mqtt-broker"},
		{[]string{"simulate", "--help"}, exitOK, "-devices"},
		{[]string{"roster", "import", "--help"}, exitOK, "-from"},
		{[]string{"roster", "export", "--help"}, exitOK, "-to"},
		{[]string{"device", "add", "--help"}, exitOK, "-expect"},
		{[]string{"user", "set", "-h"}, exitOK, "-username"},
		{[]string{"roster", "export", "--to", "x", "--data", "nowhere"}, exitError, "nowhere holds no firewatch data"},
		{[]string{"check-config", "--policy", "nowhere.yaml"}, exitError, "policy"},
		{[]string{"check-config", "--http-tls-cert", "a.pem", "--http-tls-key", "b.pem"}, exitError, "http-tls-cert"},
		{[]string{"frobnicate"}, exitUsage, `no command "frobnicate"`},
		{[]string{"version"}, exitOK, "firewatch "},
		{[]string{"up", "--nope"}, exitError, "nope"},
		{[]string{"simulate", "--nope"}, exitUsage, "nope"},
		{[]string{"simulate", "--data", "nowhere"}, exitError, "nowhere"},
		{[]string{"simulate", "--devices", "20000", "--mqtt", "127.0.0.1:1"}, exitUsage, "1 to 14000"},
		{[]string{"simulate", "--story", "flood"}, exitUsage, "--story"},
		{[]string{"replay"}, exitUsage, "name one file"},
		{[]string{"replay", "--device", "a b", "x.gpx"}, exitUsage, "--device"},
		{[]string{"contract", "check"}, exitUsage, "name files"},
		{[]string{"contract", "check", "--class", "song", "-"}, exitUsage, "--class"},
		{[]string{"contract", "check", "nowhere.json"}, exitError, "nowhere.json"},
		{[]string{"roster", "import", "--data", data}, exitUsage, "--from"},
		{[]string{"roster", "import", "--from", "nowhere", "--data", data}, exitError, "nowhere"},
		{[]string{"roster", "export", "--data", data}, exitUsage, "--to"},
		{[]string{"device", "add", "--id", "a/b", "--data", data}, exitUsage, "--id"},
		{[]string{"device", "add", "--id", "a", "--kind", "drone", "--data", data}, exitUsage, "--kind"},
		{[]string{"device", "add", "--id", "a", "--area", "1", "--data", data}, exitError, "--area"},
		{[]string{"check-config", "--log-level", "loud"}, exitError, "log-level"},
		{[]string{"check-config", "--rules", "nowhere.yaml"}, exitError, "nowhere.yaml"},
		{[]string{"check-config"}, exitOK, `mqtt: "127.0.0.1:1883"`},
		{[]string{"migrate", "--data", data}, exitOK, "schema version"},
	} {
		code, out := runWith(t, "", tt.args...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("firewatch %s: exit code %d, want %d, and %q in %s", strings.Join(tt.args, " "), code, tt.code, tt.want, out)
		}
	}
}

func TestContractCheckTellsWhatIsWrong(t *testing.T) {
	good := `{"t":1790000000000,"seq":1,"lat":39.3,"lon":114.7}`
	if code, out := runWith(t, good, "contract", "check", "--topic", "fw/v1/trackers/a/positions", "-"); code != exitOK {
		t.Errorf("%d %s", code, out)
	}
	bad := strings.Replace(good, "39.3", "139.3", 1)
	code, out := runWith(t, bad, "contract", "check", "--topic", "fw/v1/trackers/a/positions", "-")
	if code != exitError || !strings.Contains(out, "lat") || !strings.Contains(out, "139.3") {
		t.Errorf("%d %s", code, out)
	}
}

func TestRosterGoesOutAndComesBack(t *testing.T) {
	data, files := t.TempDir(), t.TempDir()
	set := seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	if code, out := runWith(t, "", "roster", "export", "--to", files, "--data", data); code != exitOK {
		t.Fatal(out)
	}
	for _, name := range []string{"areas.geojson", "teams.csv", "devices.csv"} {
		raw, err := os.ReadFile(filepath.Join(files, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "sha256:") || strings.Contains(string(raw), secretOf) {
			t.Errorf("%s holds secrets", name)
		}
	}
	// A fault changes nothing.
	devices := filepath.Join(files, "devices.csv")
	raw, err := os.ReadFile(devices)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(raw), "bd-t-00002,", "bd-t-00001,", 1)
	if broken == string(raw) {
		t.Fatal("the test did not break the file")
	}
	if err := os.WriteFile(devices, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := runWith(t, "", "roster", "import", "--from", files, "--data", data)
	if code != exitError || !strings.Contains(out, "devices.csv:3") || !strings.Contains(out, "bd-t-00001") {
		t.Errorf("a duplicate: %d %s", code, out)
	}
	if err := os.WriteFile(devices, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := runWith(t, "", "roster", "import", "--from", files, "--data", data); code != exitOK {
		t.Fatal(out)
	}
	store := openTestStore(t, data)
	got, err := readRoster(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Areas) != len(set.Areas) || len(got.Teams) != len(set.Teams) || len(got.Devices) != len(set.Devices) {
		t.Errorf("%d areas, %d teams, %d devices came back", len(got.Areas), len(got.Teams), len(got.Devices))
	}
	for _, d := range got.Devices {
		if !roster.CheckSecret(d.SecretHash, []byte(secretOf)) {
			t.Fatalf("%s has lost its credential", d.ID)
		}
	}
}

func openTestStore(tb testing.TB, data string) *sqlstore.Store {
	tb.Helper()
	store, err := sqlstore.Open(tb.Context(), sqlstore.Options{URL: "sqlite:" + filepath.Join(data, "firewatch.db"), Log: zap.NewNop()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	return store
}

// addedSecret is the credential that device add has shown.
func addedSecret(tb testing.TB, out string) string {
	tb.Helper()
	_, rest, ok := strings.Cut(out, "MQTT password")
	if !ok {
		tb.Fatalf("no password in %s", out)
	}
	return strings.Fields(rest)[0]
}

func TestDeviceAddAndUserSet(t *testing.T) {
	data := t.TempDir()
	seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	code, out := runWith(t, "", "device", "add", "--id", "mine", "--area", "130630101", "--name", "张三", "--data", data)
	if code != exitOK {
		t.Fatal(out)
	}
	_, after, _ := strings.Cut(out, "MQTT password")
	secret := strings.Fields(after)[0]
	store := openTestStore(t, data)
	r, err := newRegistry(t.Context(), store, false, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := r.Authenticate("mine", []byte(secret)); !ok || p.Device != "mine" {
		t.Errorf("the credential shown is not the device's: %+v", p)
	}
	if _, ok := r.Authenticate("service:x", nil); ok {
		t.Error("a service without secret was let in")
	}
	if _, ok := r.Authenticate("team:T130630101", []byte(secretOf)); ok {
		t.Error("a terminal was let in where nobody takes its answers")
	}
	if r, err = newRegistry(t.Context(), store, true, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	if p, ok := r.Authenticate("team:T130630101", []byte(secretOf)); !ok || p.Team != "T130630101" {
		t.Errorf("a terminal was refused: %+v", p)
	}
	if code, out := runWith(t, "", "device", "add", "--id", "mine", "--area", "130630101", "--data", data); code != exitError || !strings.Contains(out, "exists") {
		t.Errorf("twice: %d %s", code, out)
	}

	for _, tt := range []struct {
		stdin, want string
		args        []string
		code        int
	}{
		{"short", "8 characters", []string{"--username", "x", "--role", "admin"}, exitError},
		{"long enough\n", "--area", []string{"--username", "x", "--role", "office", "--area", "9"}, exitError},
		{"long enough\n", "--team", []string{"--username", "x", "--role", "team", "--team", "9"}, exitError},
		{"long enough\n", "--role", []string{"--username", "x"}, exitUsage},
		{"long enough\n", "--username", []string{"--role", "admin"}, exitUsage},
		{"long enough\n", "", []string{"--username", "x", "--role", "office", "--area", "130630"}, exitOK},
		{"another one\n", "", []string{"--username", "x"}, exitOK},
	} {
		code, out := runWith(t, tt.stdin, append([]string{"user", "set", "--data", data}, tt.args...)...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("user set %v: %d %s", tt.args, code, out)
		}
	}
	u, err := store.User(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := password.Verify(u.PasswordHash, "another one"); !ok || err != nil || u.Area != "130630" {
		t.Errorf("account %+v: %v", u, err)
	}
}

func TestAnEmptySystemShowsOneRandomAdminPasswordOnce(t *testing.T) {
	data := t.TempDir()
	args := []string{"--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}
	fw := up(t, args...)
	said := fw.out.String()
	i := strings.Index(said, "password")
	if i < 0 {
		t.Fatalf("no password in %s", said)
	}
	secret := strings.Fields(said[i:])[1]
	login1(t, fw.HTTP, "admin", secret)
	fw.stop(t)
	if fw.code != exitOK {
		t.Errorf("exit code %d after an orderly stop: %s", fw.code, fw.out)
	}
	fw = up(t, args...)
	if strings.Contains(fw.out.String(), "password") {
		t.Errorf("shown again: %s", fw.out)
	}
	login1(t, fw.HTTP, "admin", secret)
}

func TestDemoDoesNotOverwriteARealRoster(t *testing.T) {
	data := t.TempDir()
	store := "sqlite:" + filepath.Join(data, "firewatch.db")
	seed(t, store)
	s := openTestStore(t, data)
	r, err := readRoster(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	r.Demo = false
	if err := s.ReplaceRoster(t.Context(), r, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Demo, c.Data = true, data
	sys := &system{Config: c, log: zap.NewNop(), say: &progress{w: &lockedBuffer{}}, store: s}
	if err := sys.seedDemo(t.Context()); err == nil || !strings.Contains(err.Error(), "real roster") {
		t.Errorf("got %v", err)
	}
}

func TestDeadlinesAreSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &system{Config: config.Config{Policy: path}}
	write("red: {call: 30s, answer: 90s}\n")
	p, err := s.loadPolicy()
	if err != nil {
		t.Fatal(err)
	}
	if p.Red.Answer != 90*time.Second || p.Orange != alerts.DefaultPolicy().Orange {
		t.Errorf("%+v", p)
	}
	for _, text := range []string{"red: {call: 30s, answr: 90s}\n", "red: {call: -1s, answer: 90s}\n", "red: 5"} {
		write(text)
		if _, err := s.loadPolicy(); err == nil || !strings.Contains(err.Error(), "policy") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestANewCredentialWorksAtOnce(t *testing.T) {
	data := t.TempDir()
	seed(t, "sqlite:"+filepath.Join(data, "firewatch.db"))
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	code, out := runWith(t, "", "device", "add", "--id", "mine", "--area", "130630101", "--data", data)
	if code != exitOK {
		t.Fatal(out)
	}
	secret := addedSecret(t, out)
	host, port, err := net.SplitHostPort(fw.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-u", "mine", "-P", secret, "-q", "1",
		"-t", "fw/v1/trackers/mine/positions", "-m", reading(time.Now(), 1, `"lat":39.35,"lon":114.69`))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
