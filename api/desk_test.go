package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"firewatch/alerts"
	"firewatch/api/provision"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
)

// desk is one whose secrets count up and whose tables are lines of id, kind and
// area.
func (e *env) desk() *v1.Desk {
	var n atomic.Int64
	return &v1.Desk{
		Devices: e.store, Tables: plainTables{}, Broker: provision.Broker{Port: 8883, TLS: true},
		NewSecret:  func() string { return fmt.Sprint("secret-", n.Add(1)) },
		HashSecret: func(s string) string { return "hash of " + s },
		Changed: func([]alerts.Device, []contract.DeviceID) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.told++
		},
	}
}

func (e *env) changes() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.told
}

type plainTables struct{}

func (plainTables) Write(format string, ds []alerts.Device) ([]byte, error) {
	var b strings.Builder
	for _, d := range ds {
		fmt.Fprintln(&b, format, d.ID)
	}
	return []byte(b.String()), nil
}

func (plainTables) Read(_ string, raw []byte, have alerts.Roster) (ds []alerts.Device, sheet string, wrong []alerts.RowFault) {
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			wrong = append(wrong, alerts.RowFault{Sheet: "t", Row: i + 1, Column: "id", Message: "odd"})
			continue
		}
		d := alerts.Device{ID: contract.DeviceID(fields[0])}
		for _, had := range have.Devices {
			if had.ID == d.ID {
				d = had
			}
		}
		d.SecretHash, d.Area = "", fields[2]
		d.Kind, _ = contract.ParseKind(fields[1])
		ds = append(ds, d)
	}
	if wrong != nil {
		return nil, "t", wrong
	}
	return ds, "t", nil
}

func (e *env) stored(id contract.DeviceID) alerts.Device {
	e.t.Helper()
	ds, err := e.store.Devices(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	i := slices.IndexFunc(ds, func(d alerts.Device) bool { return d.ID == id })
	if i < 0 {
		e.t.Fatalf("no device %s", id)
	}
	return ds[i]
}

func TestADeviceIsRegisteredInOneStep(t *testing.T) {
	e := newEnv(t)
	w := e.do(request{
		method: http.MethodPost, path: "http://fire.example:8443" + v1.Prefix + "/devices", as: "admin",
		body: `{"id":"phone-1","kind":"tracker","area":"130633101","name":"王六","alias":"OwnTracks/wang/phone","expect_s":60,"calibrated_at":"2026-03-14T08:00:00+08:00"}`,
	}).want(http.StatusCreated)
	p := into[v1.Provisioned](w)
	d := e.stored("phone-1")
	if d.SecretHash != "hash of secret-1" || d.Alias != "owntracks/wang/phone" || d.Lat != 39.33 || d.Expect.Seconds() != 60 || d.CalibratedAt.Hour() != 0 {
		t.Errorf("kept %+v", d)
	}
	if p.Card.Username != "phone-1" || p.Card.Password != "secret-1" || p.Card.URL != "mqtts://fire.example:8883" ||
		p.Device.Liveness != "never_seen" || p.Device.Credential != "active" || p.Device.AreaName != "梁格庄镇" {
		t.Errorf("%+v", p)
	}
	u, err := url.Parse(p.Card.QRText)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(u.Query().Get("inline")); err != nil || !strings.Contains(string(raw), `"password":"secret-1"`) {
		t.Errorf("the code holds %s, %v", raw, err)
	}
	if !strings.HasPrefix(p.Card.QRSVG, "<svg ") || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Location") != v1.Prefix+"/devices/phone-1" {
		t.Errorf("%s %v", p.Card.QRSVG[:20], w.Header())
	}
	// Nobody sees it again.
	for _, path := range []string{"/devices/phone-1", "/devices", "/devices/export?format=xlsx"} {
		if text := e.get("admin", path).want(200).Body.String(); strings.Contains(text, "secret-1") {
			t.Errorf("%s shows the credential: %s", path, text)
		}
	}
	for _, line := range e.logs.All() {
		if strings.Contains(fmt.Sprint(line.Message, line.ContextMap()), "secret-1") {
			t.Errorf("it is logged: %v", line)
		}
	}
	for _, a := range audits(e) {
		if strings.Contains(fmt.Sprint(a), "secret-1") {
			t.Errorf("it is on record: %v", a)
		}
	}
	e.post("admin", "/devices", `{"id":"phone-1","kind":"tracker","area":"130633101"}`).problem(http.StatusConflict, "conflict")
	if n := e.changes(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestFaultyDevicesAreRefused(t *testing.T) {
	e := newEnv(t)
	e.post("admin", "/devices", `{"id":"a","kind":"tracker","area":"130633101","alias":"owntracks/a/b"}`).want(http.StatusCreated)
	for body, fields := range map[string]string{
		`{}`: "area id kind",
		`{"id":"export","kind":"tracker","area":"130633101"}`:                                                     "id",
		`{"id":"a/b","kind":"drone","area":"1"}`:                                                                  "area id kind",
		`{"id":"b","kind":"tracker","area":"130633101","alias":"owntracks/a/b"}`:                                  "alias",
		`{"id":"b","kind":"tracker","area":"130633101","alias":"nextcloud/a"}`:                                    "alias",
		`{"id":"b","kind":"tracker","area":"130633101","lat":39}`:                                                 "lat",
		`{"id":"b","kind":"tracker","area":"130633101","lat":390,"lon":1}`:                                        "lat",
		`{"id":"b","kind":"tracker","area":"130633101","lat":10,"lon":10}`:                                        "lat",
		`{"id":"b","kind":"tracker","area":"130633101","lat":115,"lon":39}`:                                       "lat",
		`{"id":"b","kind":"sensor","area":"130633101","calibrated_at":"2099-03-14T08:00:00+08:00"}`:               "calibrated_at",
		`{"id":"b","kind":"sensor","area":"130633101","alias":"owntracks/b/b"}`:                                   "alias",
		`{"id":"b","kind":"tracker","area":"130633101","expect_s":-1,"calibration":"good","calibrated_at":"now"}`: "calibrated_at calibration expect_s",
		`{"id":"b","kind":"tracker","area":"130633101","name":"a\nb","model":"` + strings.Repeat("m", 50) + `"}`:  "model name",
	} {
		p := e.post("admin", "/devices", body).problem(http.StatusUnprocessableEntity, "invalid")
		var got []string
		for _, f := range p.Errors {
			got = append(got, f.Field)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != fields {
			t.Errorf("%s: %v, want %s", body, p.Errors, fields)
		}
	}
	patch := func(body string) response {
		return e.do(request{method: http.MethodPatch, path: v1.Prefix + "/devices/s-yixian", as: "admin", body: body})
	}
	patch(`{"id":"x","kind":"tracker"}`).problem(http.StatusUnprocessableEntity, "invalid")
	patch(`{"alias":"owntracks/a/b"}`).problem(http.StatusUnprocessableEntity, "invalid")
	patch(`{"alias":"owntracks/b/b"}`).problem(http.StatusUnprocessableEntity, "invalid")
	patch(`{"lat":10,"lon":10}`).problem(http.StatusUnprocessableEntity, "invalid")
	patch(`{"secret_hash":"x"}`).problem(http.StatusBadRequest, "invalid")
}

func TestWhatChangesADeviceIsToldAndOnRecord(t *testing.T) {
	e := newEnv(t)
	before := len(audits(e))
	call := func(method, path, body string, status int) response {
		t.Helper()
		return e.do(request{method: method, path: v1.Prefix + "/devices/s-yixian" + path, as: "admin", body: body}).want(status)
	}
	for range 2 {
		d := into[v1.Device](call(http.MethodPatch, "", `{"site":"塔顶","calibration":"due","lat":39.4,"lon":115.4}`, 200))
		if d.Site != "塔顶" || d.Calibration != "due" || *d.Lat != 39.4 || d.Name != "永福寺" || d.Credential != "none" {
			t.Errorf("%+v", d)
		}
	}
	card := into[v1.Card](call(http.MethodPost, "/credential", "", 201))
	if e.stored("s-yixian").SecretHash != "hash of "+card.Password {
		t.Errorf("%+v", e.stored("s-yixian"))
	}
	for range 2 {
		call(http.MethodDelete, "/credential", "", 204)
	}
	if d := into[v1.Device](e.get("yixian", "/devices/s-yixian").want(200)); d.Credential != "revoked" {
		t.Errorf("%+v", d)
	}
	for range 2 {
		call(http.MethodDelete, "", "", 204)
	}
	call(http.MethodPost, "/credential", "", 409) // a retired one gets none
	if d := into[v1.Device](e.get("yixian", "/devices/s-yixian").want(200)); !d.Disabled {
		t.Errorf("%+v", d)
	}
	var got []string
	for _, a := range audits(e)[before:] {
		got = append(got, strings.TrimSpace(strings.Join([]string{a.Actor, a.Action, a.Subject, a.Detail}, " ")))
	}
	want := []string{
		"admin device.update s-yixian site, lat, lon, calibration", "admin device.credential.rotate s-yixian",
		"admin device.credential.revoke s-yixian", "admin device.retire s-yixian",
	}
	if !slices.Equal(got, want) || e.changes() != len(want) {
		t.Errorf("told %d times, on record:\n%s", e.changes(), strings.Join(got, "\n"))
	}
	for _, path := range []string{"", "/credential"} {
		e.do(request{method: http.MethodDelete, path: v1.Prefix + "/devices/nowhere" + path, as: "admin"}).problem(404, "not_found")
	}
}

func TestFirmwareIsWhatTheDeviceSays(t *testing.T) {
	e := newEnv(t)
	r := reading("s-yixian", contract.Status, begin, contract.Online, 1)
	r.Code = "1.5.0"
	e.history.readings = []contract.Reading{r}
	if d := into[v1.Device](e.get("yixian", "/devices/s-yixian").want(200)); d.FirmwareReported != "1.5.0" || d.Firmware != "" {
		t.Errorf("%+v", d)
	}
}

func TestImportingDevices(t *testing.T) {
	e := newEnv(t)
	send := func(query, body string, kind string) response {
		t.Helper()
		return e.do(request{
			method: http.MethodPost, path: v1.Prefix + "/devices/import" + query, as: "admin", body: body, headers: map[string]string{"Content-Type": kind},
		})
	}
	const table = "s-yixian sensor 130630100\nnew tracker 130633101\n"
	want := v1.ImportReport{DryRun: true, Sheet: "t", Added: 1, Changed: 1, Unchanged: 3, Changes: []v1.ImportChange{
		{ID: "s-yixian", Change: "changed", Columns: []string{"area"}}, {ID: "new", Change: "added", Columns: []string{}},
	}, Errors: []v1.ImportFault{}}
	equal := func(got, want v1.ImportReport) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	equal(into[v1.ImportReport](send("?dry_run=true", table, "text/csv").want(200)), want)
	if e.stored("s-yixian").Area != "130633101" || e.changes() != 0 {
		t.Error("a dry run changed something")
	}
	got := into[v1.ImportReport](send("?dry_run=true&remove=true", table, "text/csv; charset=utf-8").want(200))
	if got.Removed != 3 || got.Changes[0].Change != "removed" {
		t.Errorf("%+v", got)
	}
	bad := into[v1.ImportReport](send("?dry_run=true", "odd\n", "text/csv").want(200))
	if len(bad.Errors) != 1 || bad.Errors[0] != (v1.ImportFault{Sheet: "t", Row: 1, Column: "id", Message: "odd"}) || bad.Added+bad.Changed+bad.Unchanged != 0 {
		t.Errorf("%+v", bad)
	}
	p := send("", table+"odd\n", "text/csv").problem(http.StatusUnprocessableEntity, "invalid")
	if len(p.Errors) != 1 || p.Errors[0].Field != "t!3:id" {
		t.Errorf("%+v", p)
	}
	send("", "import sensor 130633101\n", "text/csv").problem(http.StatusUnprocessableEntity, "invalid")
	send("", "new sensor 999999\n", "text/csv").problem(http.StatusConflict, "conflict")
	send("", table, "application/json").problem(http.StatusUnsupportedMediaType, "invalid")
	send("", strings.Repeat("x", 17<<20), "text/csv").problem(http.StatusRequestEntityTooLarge, "too_large")
	if e.changes() != 0 {
		t.Error("a refused import was told of")
	}
	want.DryRun = false
	equal(into[v1.ImportReport](send("", table, "text/csv").want(200)), want)
	if e.stored("s-yixian").Area != "130630100" || e.stored("new").Kind != contract.Tracker || e.changes() != 1 {
		t.Error("the import was not made")
	}
	all := audits(e)
	if a := all[len(all)-1]; a.Action != "devices.import" || a.Detail != "csv: 1 added, 1 changed, 0 removed" {
		t.Errorf("on record: %+v", a)
	}
	if got := into[v1.ImportReport](send("?remove=true", table, "text/csv").want(200)); got.Removed != 3 || got.Unchanged != 2 {
		t.Errorf("%+v", got)
	}
}

func TestExportHoldsWhatIsVisible(t *testing.T) {
	e := newEnv(t)
	w := e.get("laiyuan", "/devices/export").want(200)
	if w.Body.String() != "csv s-laiyuan\n" || w.Header().Get("Content-Disposition") != `attachment; filename="devices.csv"` {
		t.Errorf("%s %v", w.Body, w.Header())
	}
	if got := e.get("admin", "/devices/export?format=xlsx&area=130633100").want(200).Body.String(); got != "xlsx t-off\nxlsx t-yixian\n" {
		t.Error(got)
	}
	e.get("admin", "/devices/export?format=pdf").problem(400, "invalid")
}

func TestWithoutADeskNothingChanges(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Desk = nil })
	e.post("admin", "/devices", `{"id":"a","kind":"tracker","area":"130633101"}`).problem(http.StatusServiceUnavailable, "unavailable")
	e.get("admin", "/devices/export").problem(http.StatusServiceUnavailable, "unavailable")
	o := e.options()
	o.Log, o.Desk = e.o.Log, &v1.Desk{}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "Desk") {
		t.Errorf("%v", err)
	}
}

func TestBrokersAskUnderTheirOwnRoof(t *testing.T) {
	for _, auth := range []http.Handler{nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })} {
		e := newEnv(t, func(o *Options) { o.BrokerAuth = auth })
		w := e.do(request{method: http.MethodPost, path: "/mqtt/emqx/auth", body: "{}"})
		if auth == nil {
			w.problem(http.StatusMethodNotAllowed, "invalid") // as everywhere beside the console
		} else if w.want(200); w.Body.String() != "/mqtt/emqx/auth" {
			t.Error(w.Body)
		}
	}
}
