package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

// propose puts on record what the runner would at the present time.
func (e *env) propose(around map[string]alerts.Surroundings) {
	e.t.Helper()
	ctx := e.t.Context()
	areas, err := e.store.Areas(ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	table, err := alerts.ParseReadinessTable(alerts.DefaultReadiness())
	if err != nil {
		e.t.Fatal(err)
	}
	current, err := e.store.Readiness(ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	rs := alerts.ProposeReadiness(&table, alerts.IndexAreas(areas), around, current, e.time())
	if err := e.store.SaveReadiness(ctx, rs, e.time(), nil); err != nil {
		e.t.Fatal(err)
	}
}

var orangeInYixian = map[string]alerts.Surroundings{
	"130630100": {Season: alerts.HighDanger, DryDays: -1},
	"130633100": {Season: alerts.HighDanger, Warning: alerts.Orange, WarningEvent: "森林火险", Danger: 4, DryDays: 9, Special: "清明"},
	"130633101": {Season: alerts.HighDanger, Warning: alerts.Orange, WarningEvent: "森林火险", Danger: 3, DryDays: 9},
}

func confirmation(proposed string, areas ...string) map[string]any {
	var list []map[string]string
	for _, a := range areas {
		list = append(list, map[string]string{"area": a, "proposed": proposed})
	}
	return map[string]any{"areas": list}
}

func areasOf(rs []v1.AreaReadiness) (out []string) {
	for _, r := range rs {
		out = append(out, r.Area)
	}
	return out
}

func (e *env) audited(action string) (out []string) {
	e.t.Helper()
	all, err := e.store.Audits(e.t.Context(), 100)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, a := range slices.Backward(all) {
		if a.Action == action {
			out = append(out, a.Actor+" "+a.Subject+" "+a.Detail)
		}
	}
	return out
}

func TestReadinessIsListedByScope(t *testing.T) {
	e := newEnv(t)
	e.propose(orangeInYixian)
	for as, want := range map[string]string{
		"admin":  "130630100 130633100 130633101 professional",
		"city":   "130630100 130633100 130633101 professional",
		"yixian": "130633100 130633101 professional",
	} {
		if got := strings.Join(areasOf(into[v1.List[v1.AreaReadiness]](e.get(as, "/readiness").want(200)).Items), " "); got != want {
			t.Errorf("%s sees %s, want %s", as, got, want)
		}
	}
	e.get("team-yizhou", "/readiness").problem(http.StatusForbidden, "forbidden")
	r := into[v1.List[v1.AreaReadiness]](e.get("yixian", "/readiness?open=true&limit=1").want(200))
	x := r.Items[0]
	if x.Sentence != "森林火险橙色预警生效；火险等级 4 级（高度危险）；高火险期；清明前后 → 临战" || !x.Open || x.Degraded ||
		x.Inputs.Warning != "orange" || *x.Inputs.DryDays != 9 || x.Measures.Row != "橙色预警" || x.Measures.Patrols != 3 || x.Measures.Entrances == "" {
		t.Errorf("%+v", x)
	}
	if page := into[v1.List[v1.AreaReadiness]](e.get("yixian", "/readiness?open=true&limit=1&cursor="+*r.Next).want(200)); page.Items[0].Area != "130633101" {
		t.Errorf("next page %+v", page)
	}
	e.get("yixian", "/readiness/130633100/history").want(200)
	e.get("yixian", "/readiness/130630100/history").problem(http.StatusNotFound, "not_found")
}

func TestPostureIsConfirmedInOneStepWithItsOrder(t *testing.T) {
	e := newEnv(t)
	e.propose(orangeInYixian)
	body := confirmation("combat_ready", "130633100", "130633101")
	body["order"] = true
	got := into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k1").want(200))
	if len(got.Items) != 2 || got.Items[0].Posture != "combat_ready" || got.Items[0].By != "yixian" || got.Items[0].Open {
		t.Fatalf("%+v", got.Items)
	}
	if len(got.Orders) != 1 {
		t.Fatalf("%d orders: %v", len(got.Orders), got.Shortfalls)
	}
	o := got.Orders[0]
	if o.Kind != "standby" || o.Level != "orange" || len(o.Deliveries) != 1 || o.Deliveries[0].Team != "tw-yizhou" ||
		!strings.HasPrefix(o.Text, "森林火险橙色预警生效；") || !strings.Contains(o.Text, "请进入临战状态") || e.nudges() != 1 {
		t.Errorf("order %+v, %d nudges", o, e.nudges())
	}
	// The same again: nothing is saved, and no second order given.
	e.advance(time.Minute)
	again := into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k1").want(200))
	if len(again.Orders) != 1 || again.Orders[0].ID != o.ID || e.nudges() != 1 {
		t.Errorf("again %+v", again.Orders)
	}
	h := into[v1.List[v1.AreaReadiness]](e.get("yixian", "/readiness/130633100/history").want(200))
	if len(h.Items) != 2 || h.Items[0].Posture != "combat_ready" || h.Items[1].Posture != "normal" {
		t.Errorf("history %+v", h.Items)
	}
	if a := e.audited("readiness.confirm"); len(a) != 2 || !strings.HasPrefix(a[0], "yixian 130633100 combat_ready (was normal, proposed combat_ready") {
		t.Errorf("audit %q", a)
	}
	// The professional teams are the prefecture's.
	e.post("yixian", "/readiness/confirmations", confirmation("combat_ready", "professional"), "Idempotency-Key", "k2").problem(http.StatusForbidden, "forbidden")
	body = confirmation("combat_ready", "professional")
	body["order"] = true
	pros := into[v1.Confirmation](e.post("city", "/readiness/confirmations", body, "Idempotency-Key", "k3").want(200))
	if len(pros.Orders) != 1 || len(pros.Orders[0].Deliveries) != 2 {
		t.Errorf("professional teams: %+v", pros)
	}
}

func TestChangedProposalConflictsAndSetsNothing(t *testing.T) {
	e := newEnv(t)
	e.propose(orangeInYixian)
	worse := maps.Clone(orangeInYixian)
	s := worse["130633101"]
	s.Warning = alerts.Red
	worse["130633101"] = s
	e.propose(worse)
	p := e.post("yixian", "/readiness/confirmations", confirmation("combat_ready", "130633100", "130633101"), "Idempotency-Key", "k1").
		problem(http.StatusConflict, "conflict")
	if len(p.Errors) != 1 || p.Errors[0].Field != "areas[1].proposed" || p.Errors[0].Message != "现建议紧急防火" {
		t.Errorf("%+v", p)
	}
	for _, r := range into[v1.List[v1.AreaReadiness]](e.get("yixian", "/readiness").want(200)).Items {
		if r.Posture != "normal" {
			t.Errorf("%+v was set", r)
		}
	}
}

func TestAnotherPostureTakesAWord(t *testing.T) {
	e := newEnv(t)
	e.propose(orangeInYixian)
	body := confirmation("combat_ready", "130633100")
	body["posture"] = "defence"
	p := e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k1").problem(http.StatusUnprocessableEntity, "invalid")
	if p.Errors[0].Field != "word" {
		t.Errorf("%+v", p)
	}
	body["word"] = "昨夜有雨"
	got := into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k1").want(200))
	if x := got.Items[0]; x.Posture != "defence" || x.Word != "昨夜有雨" || x.Proposed != "combat_ready" || x.Open {
		t.Errorf("%+v", x)
	}
	body["posture"], body["order"] = "normal", true
	got = into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k2").want(200))
	if len(got.Orders) != 0 || len(got.Shortfalls) != 1 {
		t.Errorf("an order for normal: %+v", got)
	}
	for name, bad := range map[string]any{
		"unknown area": confirmation("combat_ready", "139999"),
		"a county":     confirmation("combat_ready", "130633"),
		"twice":        confirmation("combat_ready", "130633100", "130633100"),
		"no posture":   confirmation("asleep", "130633100"),
		"none":         map[string]any{"areas": []string{}},
	} {
		if r := e.post("yixian", "/readiness/confirmations", bad, "Idempotency-Key", "k3"); r.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
	e.post("yixian", "/readiness/confirmations", confirmation("normal", "130630100"), "Idempotency-Key", "k4").problem(http.StatusForbidden, "forbidden")
}

func table(version, from, to string) string {
	body := strings.Replace(string(alerts.DefaultReadiness()), "version: shipped-1", "version: "+version, 1)
	return strings.Replace(body, from, to, 1)
}

func (e *env) postTable(as, body string) response {
	e.t.Helper()
	return e.post(as, "/readiness/table", body, "Content-Type", "application/yaml")
}

func TestReadinessTableIsCheckedAndVersioned(t *testing.T) {
	e := newEnv(t)
	if d := into[v1.Document](e.get("yixian", "/readiness/table").want(200)); d.Version != "shipped-1" || d.Author != "file" || !strings.Contains(d.Body, "红色预警") {
		t.Errorf("%+v", d)
	}
	p := e.postTable("city", table("2", "    warning: [blue]\n    township: standby", "    warning: [bleu]\n    township: asleep")).
		problem(http.StatusUnprocessableEntity, "invalid")
	if len(p.Errors) != 2 || !strings.HasPrefix(p.Errors[0].Field, "line ") || !strings.Contains(p.Errors[0].Message, "bleu") {
		t.Errorf("%+v", p.Errors)
	}
	e.postTable("yixian", table("2", "", "")).problem(http.StatusForbidden, "forbidden")
	e.post("city", "/readiness/table", `{}`).problem(http.StatusUnsupportedMediaType, "invalid")
	d := into[v1.Document](e.postTable("city", table("2", "", "")).want(http.StatusCreated))
	if d.Approver != "city" || !d.InForce || d.Approved == nil {
		t.Errorf("%+v", d)
	}
	e.postTable("city", table("2", "", "")).want(http.StatusCreated) // the same again
	e.postTable("city", table("2", "hold: 1h", "hold: 2h")).problem(http.StatusConflict, "conflict")
	e.advance(time.Second)
	e.postTable("city", table("3", "", "")).want(http.StatusCreated)
	l := into[v1.List[v1.Document]](e.get("yixian", "/documents/readiness?limit=1").want(200))
	if l.Items[0].Version != "3" || !l.Items[0].InForce || l.Items[0].Body != "" || l.Next == nil {
		t.Errorf("%+v", l)
	}
	if l = into[v1.List[v1.Document]](e.get("yixian", "/documents/readiness?cursor="+*l.Next).want(200)); len(l.Items) != 1 || l.Items[0].Version != "2" || l.Items[0].InForce {
		t.Errorf("%+v", l)
	}
	if d := into[v1.Document](e.get("yixian", "/documents/readiness/2").want(200)); !strings.Contains(d.Body, "version: 2") {
		t.Errorf("the earlier version is not kept: %+v", d)
	}
	e.get("yixian", "/documents/readiness/9").problem(http.StatusNotFound, "not_found")
	e.get("yixian", "/documents/secrets").problem(http.StatusNotFound, "not_found")
	if a := e.audited("document.create"); len(a) != 3 {
		t.Errorf("audit %q", a)
	}
}

func TestTwoPeopleChangeTheTable(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.TwoPerson = true })
	d := into[v1.Document](e.postTable("city", table("2", "", "")).want(http.StatusCreated))
	if d.Approver != "" || d.InForce || d.Approved != nil {
		t.Errorf("%+v", d)
	}
	const approval = "/readiness/table/2/approval"
	e.post("city", approval, "").problem(http.StatusConflict, "conflict")
	e.post("yixian", approval, "").problem(http.StatusForbidden, "forbidden")
	e.post("admin", "/readiness/table/9/approval", "").problem(http.StatusNotFound, "not_found")
	if d := into[v1.Document](e.get("yixian", "/readiness/table").want(200)); d.Version != "shipped-1" {
		t.Errorf("rules without approval: %+v", d)
	}
	d = into[v1.Document](e.post("admin", approval, "").want(200))
	if d.Approver != "admin" || d.Author != "city" || !d.InForce {
		t.Errorf("%+v", d)
	}
	e.post("admin", approval, "").problem(http.StatusConflict, "conflict")
	if a := e.audited("document.approve"); len(a) != 1 || a[0] != "admin readiness/2 author city" {
		t.Errorf("audit %q", a)
	}
}

// lateRunner saves once between the handler's read and its save.
type lateRunner struct {
	alerts.ReadinessStore
	between func()
}

func (l *lateRunner) SaveReadiness(ctx context.Context, rs []alerts.Readiness, at time.Time, evs []alerts.Event) error {
	if f := l.between; f != nil {
		l.between = nil
		f()
	}
	return l.ReadinessStore.SaveReadiness(ctx, rs, at, evs)
}

func TestRunnerThatSavesMeanwhileCostsNoConfirmation(t *testing.T) {
	var late *lateRunner
	e := newEnv(t, func(o *Options) {
		late = &lateRunner{ReadinessStore: o.Readiness}
		o.Readiness = late
	})
	e.propose(orangeInYixian)
	late.between = func() { e.propose(orangeInYixian) }
	got := into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", confirmation("combat_ready", "130633100"), "Idempotency-Key", "k1").want(200))
	if got.Items[0].Posture != "combat_ready" {
		t.Errorf("%+v", got)
	}
}

// away is a store of orders that fails for a while.
type away struct {
	alerts.OrderStore
	down bool
}

func (a *away) CreateOrder(ctx context.Context, o alerts.Order, ds []alerts.Delivery, evs []alerts.Event) (alerts.Order, bool, error) {
	if a.down {
		return alerts.Order{}, false, alerts.ErrUnavailable
	}
	return a.OrderStore.CreateOrder(ctx, o, ds, evs)
}

func TestOrderThatFailsAfterThePostureIsSetIsOwed(t *testing.T) {
	var store *away
	e := newEnv(t, func(o *Options) {
		store = &away{OrderStore: o.Orders, down: true}
		o.Orders = store
	})
	e.propose(orangeInYixian)
	row := func(area string) v1.AreaReadiness {
		for _, r := range into[v1.List[v1.AreaReadiness]](e.get("city", "/readiness?area="+area).want(200)).Items {
			return r
		}
		t.Fatalf("no readiness of %s", area)
		return v1.AreaReadiness{}
	}
	body := confirmation("combat_ready", "130633100", "130633101")
	body["order"] = true
	e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k1").problem(http.StatusServiceUnavailable, "unavailable")
	if r := row("130633100"); r.Posture != "combat_ready" || !r.OrderOwed || r.Order != "" {
		t.Errorf("%+v", r)
	}
	store.down = false
	e.advance(time.Second)
	got := into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k1").want(200))
	if len(got.Orders) != 1 || got.Items[0].Order != got.Orders[0].ID || got.Items[0].OrderOwed {
		t.Fatalf("%+v", got)
	}
	if r := row("130633101"); r.Order != got.Orders[0].ID || r.OrderOwed {
		t.Errorf("%+v", r)
	}
	// A drill, and an order that nobody would get, are owed to nobody.
	store.down = true
	body["drill"] = true
	e.post("yixian", "/readiness/confirmations", body, "Idempotency-Key", "k2").problem(http.StatusServiceUnavailable, "unavailable")
	if r := row("130633100"); r.OrderOwed {
		t.Errorf("a drill is owed: %+v", r)
	}
	store.down = false
	nobody := confirmation("combat_ready", "130633101")
	nobody["posture"], nobody["word"], nobody["order"] = "defence", "昨夜有雨", true
	got = into[v1.Confirmation](e.post("yixian", "/readiness/confirmations", nobody, "Idempotency-Key", "k3").want(200))
	if len(got.Orders) != 0 || !slices.Contains(got.Shortfalls, alerts.NobodyNotified) || got.Items[0].OrderOwed {
		t.Errorf("%+v", got)
	}
}
