package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
	"firewatch/cmd/internal/roster"
	"firewatch/cmd/internal/sample"
)

// mqttConnect logs in with MQTT 3.1.1 by hand. The connection is nil when the
// broker refuses.
func mqttConnect(tb testing.TB, addr, username, password string) net.Conn {
	tb.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	text := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	body := text("MQTT") + "\x04\xc2\x00\x00" + text("c") + text(username) + text(password)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.WriteString(c, string([]byte{0x10, byte(len(body))})+body); err != nil {
		tb.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(c, answer); err != nil || answer[3] != 0 {
		return nil
	}
	return c
}

// seedFew fills a data folder with the sample set's areas and teams and a few of
// its devices, and an administrator.
func seedFew(tb testing.TB, data string) alerts.Roster {
	tb.Helper()
	store := openTestStore(tb, data)
	if err := store.Migrate(context.Background()); err != nil {
		tb.Fatal(err)
	}
	set := sample.Roster()
	set.Devices = set.Devices[:40]
	for i := range set.Devices {
		set.Devices[i].SecretHash = roster.HashSecret(secretOf)
	}
	for i := range set.Teams {
		set.Teams[i].SecretHash = roster.HashSecret(secretOf)
	}
	err := store.ReplaceRoster(context.Background(), set, time.Now().UTC())
	if err == nil {
		err = store.SaveUser(context.Background(), alerts.User{Username: "admin", Role: alerts.RoleAdmin, PasswordHash: testHash()})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// ends waits for the broker to end the connection.
func ends(tb testing.TB, c net.Conn) time.Duration {
	tb.Helper()
	begin := time.Now()
	if n, err := io.Copy(io.Discard, c); n > 0 {
		tb.Logf("%d bytes came first", n) // a DISCONNECT
	} else if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // as the net package gives it
		tb.Fatal("the connection stands")
	}
	return time.Since(begin)
}

func TestACredentialIsShownOnceRotatedAndRevoked(t *testing.T) {
	data := t.TempDir()
	seedFew(t, data)
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	admin := login1(t, fw.HTTP, "admin", testPassword)
	var p v1.Provisioned
	admin.must(t, http.StatusCreated, "POST", "/devices", map[string]any{"id": "mine", "kind": "tracker", "area": "130630101"}, &p)
	if addr := net.JoinHostPort(p.Card.Host, fmt.Sprint(p.Card.Port)); addr != fw.MQTT || p.Card.TLS {
		t.Errorf("the card says %s, the broker is at %s", addr, fw.MQTT)
	}
	first := mqttConnect(t, fw.MQTT, p.Card.Username, p.Card.Password)
	if first == nil {
		t.Fatal("the card does not open the door")
	}
	var next v1.Card
	admin.must(t, http.StatusCreated, "POST", "/devices/mine/credential", nil, &next)
	t.Logf("disconnected %s after the answer", ends(t, first))
	if mqttConnect(t, fw.MQTT, "mine", p.Card.Password) != nil {
		t.Error("the old credential still opens")
	}
	second := mqttConnect(t, fw.MQTT, "mine", next.Password)
	if second == nil {
		t.Fatal("the new credential does not open")
	}
	admin.must(t, http.StatusNoContent, "DELETE", "/devices/mine/credential", nil, nil)
	t.Logf("disconnected %s after the answer", ends(t, second))
	if mqttConnect(t, fw.MQTT, "mine", next.Password) != nil {
		t.Error("the revoked credential still opens")
	}

	// Another process: seen within a second.
	code, out := runWith(t, "", "device", "rotate", "mine", "--data", data, "--qr=false")
	if code != exitOK {
		t.Fatal(out)
	}
	third := mqttConnect(t, fw.MQTT, "mine", addedSecret(t, out))
	if third == nil {
		t.Fatal("the credential of the command line does not open")
	}
	if code, out := runWith(t, "", "device", "revoke", "mine", "--data", data); code != exitOK {
		t.Fatal(out)
	}
	t.Logf("disconnected %s after the command", ends(t, third))
}

func TestAnExternalBrokerAsks(t *testing.T) {
	data := t.TempDir()
	seedFew(t, data)
	const token = "token-of-the-tests"
	fw := up(t, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--mqtt-auth-token", token)
	ask := func(path, token, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fw.HTTP+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(raw)
	}
	for _, row := range []struct{ path, body, want string }{
		{"/mqtt/emqx/auth", `{"username":"bd-t-00001","password":"` + secretOf + `"}`, `{"result":"allow","is_superuser":false}`},
		{"/mqtt/emqx/auth", `{"username":"team:T130630101","password":"` + secretOf + `"}`, `{"result":"allow","is_superuser":false}`},
		{"/mqtt/emqx/auth", `{"username":"bd-t-00001","password":"x"}`, `{"result":"deny"}`},
		{"/mqtt/emqx/acl", `{"username":"bd-t-00001","topic":"fw/v1/trackers/bd-t-00001/sos","action":"publish"}`, `{"result":"allow"}`},
		{"/mqtt/emqx/acl", `{"username":"bd-t-00001","topic":"fw/v1/trackers/bd-t-00002/sos","action":"publish"}`, `{"result":"deny"}`},
		{"/mqtt/goauth/acl", `{"username":"bd-t-00001","topic":"fw/v1/trackers/bd-t-00001/orders","acc":4}`, `{"ok":true,"error":""}`},
	} {
		if code, got := ask(row.path, token, row.body); code != 200 || got != row.want {
			t.Errorf("%s %s: %d %s, want %s", row.path, row.body, code, got, row.want)
		}
	}
	if code, _ := ask("/mqtt/emqx/auth", "another token at all", `{}`); code != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", code)
	}
}

func TestOneDeviceOnTheCommandLine(t *testing.T) {
	data := t.TempDir()
	seedFew(t, data)
	device := func(args ...string) (int, string) {
		t.Helper()
		return runWith(t, "", append(append([]string{"device"}, args...), "--data", data)...)
	}
	code, out := device("add", "phone", "--area", "130630101", "--alias", "owntracks/wang/phone", "--model", "x", "--calibration", "calibrated")
	if code != exitOK || !strings.Contains(out, "mqtt://127.0.0.1:1883") || !strings.Contains(out, "█▀▀") {
		t.Fatalf("%d %s", code, out)
	}
	secret := addedSecret(t, out)
	if code, out := device("show", "phone"); code != exitOK || !strings.Contains(out, "owntracks/wang/phone") || !strings.Contains(out, "active") || strings.Contains(out, "sha256") {
		t.Errorf("%d %s", code, out)
	}
	if code, out := device("revoke", "--id", "phone"); code != exitOK {
		t.Error(out)
	}
	if _, out := device("show", "phone"); !strings.Contains(out, "revoked") {
		t.Error(out)
	}
	code, out = device("rotate", "phone", "--qr=false")
	if again := addedSecret(t, out); code != exitOK || again == secret || strings.Contains(out, "█") {
		t.Errorf("%d %s", code, out)
	}
	for _, row := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"add", "--id", "b", "--area", "130630101", "--alias", "owntracks/wang/phone"}, exitError, "that of device phone"},
		{[]string{"add", "--id", "b", "--area", "130630101", "--lat", "95", "--lon", "10"}, exitUsage, "swapped"},
		{[]string{"add", "--id", "b", "--area", "130630101", "--lat", "10", "--lon", "10"}, exitUsage, "not in China"},
		{[]string{"add", "--id", "b", "--area", "130630101", "--lat", "39.5"}, exitUsage, "only one of the two"},
		{[]string{"add", "--id", "b", "--area", "130630101", "--lat", "0", "--lon", "0"}, exitUsage, "not in China"},
		{[]string{"add", "--id", "export", "--area", "130630101"}, exitUsage, "reserved"},
		{[]string{"add", "--id", "b", "--kind", "sensor", "--area", "130630101", "--alias", "owntracks/b/b"}, exitUsage, "only a tracker"},
		{[]string{"add", "--id", "b", "--area", "130630101", "--alias", "wang"}, exitUsage, "--alias"},
		{[]string{"add", "--id", "b", "--area", "130630101", "--calibration", "good"}, exitUsage, "--calibration"},
		{[]string{"add", "b", "c", "--area", "130630101"}, exitUsage, "unexpected"},
		{[]string{"show", "nobody"}, exitError, "nobody"},
		{[]string{"rotate", "nobody"}, exitError, "nobody"},
		{[]string{"revoke"}, exitUsage, "name one device"},
	} {
		if code, out := device(row.args...); code != row.code || !strings.Contains(out, row.want) {
			t.Errorf("%v: %d %s", row.args, code, out)
		}
	}
}

func TestDevicesComeByTable(t *testing.T) {
	data := t.TempDir()
	set := seedFew(t, data)
	book, table := filepath.Join(data, "book.xlsx"), filepath.Join(data, "devices.csv")
	fw := func(want int, args ...string) string {
		t.Helper()
		code, out := runWith(t, "", append(args, "--data", data)...)
		if code != want {
			t.Fatalf("firewatch %v: %d %s", args, code, out)
		}
		return out
	}
	fw(exitOK, "roster", "export", book)
	if out := fw(exitOK, "roster", "import", book, "--dry-run"); !strings.Contains(out, fmt.Sprintf("0 added, 0 changed, 0 removed, %d as they were", len(set.Devices))) {
		t.Error(out)
	}
	fw(exitOK, "roster", "import", book)
	if out := fw(exitOK, "roster", "import", "--devices", book, "--dry-run"); !strings.Contains(out, "sheet 设备\n") {
		t.Errorf("which sheet: %s", out)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("设备编号,姓名,外部编号,区划代码,类型\nbd-t-00001,新名,owntracks/xin/phone,130630101,护林员\nnew-1,王六,,130630101,护林员\n")
	if out := fw(exitOK, "roster", "import", "--devices", table, "--dry-run"); !strings.Contains(out, "1 added, 1 changed, 0 removed") {
		t.Error(out)
	}
	store := openTestStore(t, data)
	before, err := readRoster(context.Background(), store)
	if err != nil || len(before.Areas) != len(set.Areas) || !bytes.Equal(before.Areas[3].Outline, set.Areas[3].Outline) || len(before.Devices) != len(set.Devices) {
		t.Fatalf("the workbook changed the roster: %v", err)
	}
	fw(exitOK, "roster", "import", table, "--devices")
	after, err := readRoster(context.Background(), store)
	if err != nil || len(after.Devices) != len(set.Devices)+1 {
		t.Fatalf("%d devices, %v", len(after.Devices), err)
	}
	for _, d := range after.Devices {
		if d.ID == "bd-t-00001" && (d.Name != "新名" || d.Alias != "owntracks/xin/phone" || !roster.CheckSecret(d.SecretHash, []byte(secretOf))) {
			t.Errorf("%+v", d)
		}
	}
	write("id,alias\nbd-t-00002,owntracks/xin/phone\nbd-t-00003,wang\n")
	out := fw(exitError, "roster", "import", "--devices", table)
	for _, want := range []string{"devices.csv:2: alias: owntracks/xin/phone is that of bd-t-00001", "devices.csv:3: alias: ", "nothing was changed"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	write("id\nnew-1\n")
	if out := fw(exitOK, "roster", "import", "--devices", "--remove", table); !strings.Contains(out, fmt.Sprintf("%d removed, 1 as they were", len(set.Devices))) {
		t.Error(out)
	}
	fw(exitUsage, "roster", "import", book, "--remove")
	audits, err := store.Audits(context.Background(), 10)
	if err != nil || len(audits) != 2 || audits[0] != (alerts.Audit{At: audits[0].At, Actor: "command line", Action: "devices.import"}) {
		t.Errorf("%+v %v", audits, err)
	}
}
