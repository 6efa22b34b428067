package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
	contract "firewatch/firmware-contracts"
)

const commandsOf = "/devices/t-yixian/commands"

func (e *env) withdraw(as, id, reason string) response {
	e.t.Helper()
	return e.do(request{method: http.MethodDelete, path: v1.Prefix + "/commands/" + id + "?reason=" + reason, as: as})
}

// since are the events after the id, as type, area and data.
func (e *env) since(after int64) (out []string) {
	e.t.Helper()
	evs, err := e.store.Events(e.t.Context(), after, 1000)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, ev := range evs {
		out = append(out, fmt.Sprintf("%s %s %s", ev.Type, ev.Area, ev.Data))
	}
	return out
}

func TestCommandIsGivenShownAndTakenBack(t *testing.T) {
	e := newEnv(t)
	last, err := e.store.LastEvent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.advance(time.Second)
	r := e.post("yixian", commandsOf, `{"kind":"message","text":" 请撤到公路 ","drill":true,"expires_s":600}`, "Idempotency-Key", "k1")
	c := into[v1.Command](r.want(http.StatusCreated))
	want := v1.Command{
		ID: c.ID, Device: "t-yixian", DeviceName: "李四", Area: "130633100", AreaName: "易州镇", Kind: "message", Level: "blue",
		Text: "【演练】请撤到公路", Drill: true, Issuer: "yixian", IssuerName: "易县防火办",
		Issued: begin.Add(time.Second), Expires: begin.Add(time.Second + 10*time.Minute), State: "queued", Open: true,
	}
	if c != want {
		t.Errorf("command %+v\nwant %+v", c, want)
	}
	if e.nudges() != 1 {
		t.Errorf("%d nudges", e.nudges())
	}
	again := into[v1.Command](e.post("yixian", commandsOf, `{"kind":"message","text":"请撤到公路","drill":true}`, "Idempotency-Key", "k1").want(http.StatusOK))
	if again != c || e.nudges() != 1 {
		t.Errorf("the same key gave %+v", again)
	}
	if got := into[v1.List[v1.Command]](e.get("yixian", commandsOf).want(200)); len(got.Items) != 2 || got.Items[0] != c || got.Items[1].ID != "cm-yixian" {
		t.Errorf("listed %+v", got.Items)
	}
	saved, err := e.store.UpdateCommand(t.Context(), c.ID, func(x *alerts.Command) ([]alerts.Event, error) {
		x.Told(begin.Add(2 * time.Second))
		_, err := x.Take(contract.Answer{Receipt: contract.Read, At: begin.Add(3 * time.Second)}, begin.Add(4*time.Second))
		return nil, err
	})
	if err != nil || saved.State != alerts.CommandRead {
		t.Fatal(saved, err)
	}
	read := into[v1.List[v1.Command]](e.get("yixian", "/commands?open=true&limit=1").want(200))
	if x := read.Items[0]; x.State != "read" || x.Sent == nil || x.Delivered == nil || !x.Read.Equal(begin.Add(3*time.Second)) || x.Ended != nil || read.Next == nil {
		t.Errorf("read: %+v, next %v", x, read.Next)
	}
	page := into[v1.List[v1.Command]](e.get("yixian", "/commands?open=true&limit=1&cursor="+*read.Next).want(200))
	if len(page.Items) != 1 || page.Items[0].ID != "cm-yixian" {
		t.Errorf("the next page: %+v", page.Items)
	}
	e.get("yixian", "/commands?cursor=Y20teA").problem(http.StatusBadRequest, "invalid")

	e.advance(time.Minute)
	gone := into[v1.Command](e.withdraw("yixian", c.ID, "%E8%AF%AF%E5%8F%91").want(http.StatusOK))
	if gone.State != "withdrawn" || gone.Open || gone.Reason != "误发" || gone.By != "yixian" || gone.Ended == nil || e.nudges() != 2 {
		t.Errorf("taken back: %+v", gone)
	}
	if twice := into[v1.Command](e.withdraw("admin", c.ID, "other").want(http.StatusOK)); twice.Reason != "误发" || e.nudges() != 2 {
		t.Errorf("taken back twice: %+v", twice)
	}
	wantEvents := []string{
		`command 130633100 {"id":"` + c.ID + `","device":"t-yixian","state":"queued"}`,
		`command 130633100 {"id":"` + c.ID + `","device":"t-yixian","state":"withdrawn"}`,
	}
	if got := e.since(last); !slices.Equal(got, wantEvents) {
		t.Errorf("events %q", got)
	}
	audits, err := e.store.Audits(t.Context(), 10)
	if err != nil || len(audits) != 2 || audits[1].Action != "command.create" || audits[0].Action != "command.withdraw" ||
		audits[0].Actor != "yixian" || audits[0].Subject != c.ID || !strings.Contains(audits[0].Detail, "误发") {
		t.Errorf("audit %+v, %v", audits, err)
	}
}

func TestNewerCommandTakesThePlace(t *testing.T) {
	e := newEnv(t)
	c := into[v1.Command](e.post("yixian", commandsOf, `{"kind":"locate"}`, "Idempotency-Key", "k").want(http.StatusCreated))
	old, err := e.store.Command(t.Context(), "cm-yixian")
	if err != nil || old.State != alerts.CommandSuperseded || old.By != c.ID {
		t.Errorf("%+v, %v", old, err)
	}
	if !c.Expires.Equal(begin.Add(time.Hour)) {
		t.Errorf("without expires_s it ends at %s", c.Expires)
	}
	p := e.withdraw("yixian", "cm-yixian", "x").problem(http.StatusConflict, "conflict")
	if !strings.Contains(p.Detail, "取代") {
		t.Errorf("detail %q", p.Detail)
	}
}

func TestCommandThatCannotBe(t *testing.T) {
	for name, row := range map[string]struct {
		path, body, key string
		status          int
		code, detail    string // detail: of it, or of its errors
	}{
		"no key":                 {commandsOf, `{"kind":"locate"}`, "", 400, "invalid", "Idempotency-Key"},
		"no kind":                {commandsOf, `{}`, "k", 422, "invalid", "kind"},
		"an order to teams":      {commandsOf, `{"kind":"standby"}`, "k", 422, "invalid", "kind"},
		"a message of nothing":   {commandsOf, `{"kind":"message","text":" ","drill":true}`, "k", 422, "invalid", "text"},
		"settings of nothing":    {commandsOf, `{"kind":"config"}`, "k", 422, "invalid", "text"},
		"a text too long":        {commandsOf, `{"kind":"message","text":"` + strings.Repeat("火", 334) + `"}`, "k", 422, "invalid", "text"},
		"a control character":    {commandsOf, `{"kind":"message","text":"a\u0007"}`, "k", 422, "invalid", "text"},
		"too short":              {commandsOf, `{"kind":"locate","expires_s":59}`, "k", 422, "invalid", "expires_s"},
		"before it was given":    {commandsOf, `{"kind":"locate","expires_s":-1}`, "k", 422, "invalid", "expires_s"},
		"too long":               {commandsOf, `{"kind":"locate","expires_s":604801}`, "k", 422, "invalid", "expires_s"},
		"far too long":           {commandsOf, `{"kind":"locate","expires_s":1e300}`, "k", 422, "invalid", "expires_s"},
		"an unknown field":       {commandsOf, `{"kind":"locate","to":"x"}`, "k", 400, "invalid", "to"},
		"a sensor":               {"/devices/s-yixian/commands", `{"kind":"locate"}`, "k", 409, "conflict", "传感器"},
		"a device without login": {"/devices/t-off/commands", `{"kind":"locate"}`, "k", 409, "conflict", "凭证"},
		"one whose login ended":  {"/devices/t-revoked/commands", `{"kind":"locate"}`, "k", 409, "conflict", "凭证"},
		"a disabled device":      {"/devices/t-disabled/commands", `{"kind":"locate"}`, "k", 409, "conflict", "停用"},
		"a phone with OwnTracks": {"/devices/t-phone/commands", `{"kind":"locate"}`, "k", 409, "conflict", "owntracks"},
		"the key of another":     {commandsOf, `{"kind":"return"}`, "used", 409, "conflict", "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			for _, d := range []alerts.Device{
				{ID: "t-revoked", SecretHash: alerts.Revoked},
				{ID: "t-disabled", SecretHash: "hash", Disabled: true},
				{ID: "t-phone", SecretHash: "hash", Alias: "owntracks/jane/phone"},
			} {
				d.Kind, d.Area = contract.Tracker, "130633100"
				if err := e.store.SaveDevice(t.Context(), d, begin); err != nil {
					t.Fatal(err)
				}
			}
			e.post("yixian", commandsOf, `{"kind":"message","text":"x"}`, "Idempotency-Key", "used").want(http.StatusCreated)
			var headers []string
			if row.key != "" {
				headers = []string{"Idempotency-Key", row.key}
			}
			p := e.post("yixian", row.path, row.body, headers...).problem(row.status, row.code)
			if said := fmt.Sprint(p.Detail, p.Errors); !strings.Contains(said, row.detail) {
				t.Errorf("%s does not name %s", said, row.detail)
			}
			cs, err := e.store.Commands(t.Context(), alerts.CommandQuery{Limit: 10})
			if err != nil || len(cs) != 2 || e.nudges() != 1 {
				t.Errorf("%d commands, %d nudges, %v", len(cs), e.nudges(), err)
			}
		})
	}
}

func TestTooManyCommandsToOneDevice(t *testing.T) {
	e := newEnv(t)
	for i := range alerts.MaxOpenCommands - 1 { // one is there
		e.post("yixian", commandsOf, `{"kind":"message","text":"x"}`, "Idempotency-Key", fmt.Sprint("k", i)).want(http.StatusCreated)
	}
	p := e.post("yixian", commandsOf, `{"kind":"message","text":"x"}`, "Idempotency-Key", "k").problem(http.StatusConflict, "conflict")
	if !strings.Contains(p.Detail, "16") {
		t.Errorf("detail %q", p.Detail)
	}
}

func TestWithdrawalNeedsAReason(t *testing.T) {
	e := newEnv(t)
	for _, query := range []string{"", "?reason=", "?reason=%20", "?why=x"} {
		e.do(request{method: http.MethodDelete, path: v1.Prefix + "/commands/cm-yixian" + query, as: "yixian"}).problem(http.StatusBadRequest, "invalid")
	}
}

// A device that has moved, or left the roster, takes its commands along.
func TestCommandsOfADeviceThatMoved(t *testing.T) {
	e := newEnv(t)
	d := alerts.Device{ID: "t-yixian", Kind: contract.Tracker, Area: "130630100", Name: "李四", SecretHash: "hash"}
	if err := e.store.SaveDevice(t.Context(), d, begin); err != nil {
		t.Fatal(err)
	}
	if got := into[v1.List[v1.Command]](e.get("laiyuan", commandsOf).want(200)); len(got.Items) != 1 {
		t.Errorf("where it is now: %+v", got.Items)
	}
	if got := into[v1.List[v1.Command]](e.get("yixian", "/commands").want(200)); len(got.Items) != 1 {
		t.Errorf("where it was: %+v", got.Items)
	}
	e.withdraw("laiyuan", "cm-yixian", "x").want(http.StatusOK)
}
