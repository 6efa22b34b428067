package v1

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

const drillMark = alerts.DrillMark

// maxTargets bounds each list of targets.
const maxTargets = 1000

// createOrder gives an order to teams. The same Idempotency-Key again gives the
// first order back and creates nothing.
func (a *API) createOrder(c *gin.Context, s scope) error {
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	var req OrderRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	ctx := c.Request.Context()
	level, text, err := checkOrder(req)
	if err != nil {
		return err
	}
	asked, err := askedFor(req, text)
	if err != nil {
		return err
	}
	// First of all: the roster may have changed since, and what was asked then
	// may not even be possible now.
	earlier, err := a.Orders.OrderByKey(ctx, s.user.Username, key)
	switch {
	case err == nil && earlier.Asked != "" && earlier.Asked != asked:
		return errKeyTaken(fmt.Errorf("order %s: %w", earlier.ID, alerts.ErrConflict))
	case err == nil && earlier.Asked == asked:
		return a.showGiven(c, s, earlier)
	case err != nil && !errors.Is(err, alerts.ErrNotFound):
		return fmt.Errorf("looking for an earlier order: %w", err)
	}
	targets, err := resolve(s, req.Targets)
	if err != nil {
		return err
	}
	now := at(a.Now())
	o := alerts.Order{
		ID: alerts.NewID("or", now), Kind: alerts.OrderKind(req.Kind), Level: level, Text: text, Drill: req.Drill,
		Demo: s.roster.demo, Issuer: s.user.Username, Issued: now, AnswerBy: a.Policy.AnswerBy(level, now),
		Status: alerts.OrderOpen, IdempotencyKey: key, Asked: asked,
	}
	if err := a.because(ctx, s, &o, req.Alert); err != nil {
		return err
	}
	picks, shortfalls := alerts.PickTeams(s.roster.areas, s.roster.teams, targets)
	if len(picks) == 0 {
		e := &Error{Code: CodeInvalid, Detail: "没有任何队伍会收到此命令（nobody would be notified）"}
		for _, why := range shortfalls {
			e.Fields = append(e.Fields, FieldError{"targets", why})
		}
		return e
	}
	o.Shortfalls = shortfalls
	o.Area = alerts.CommonArea(s.roster.areas, "", picks)
	ds := alerts.NewDeliveries(o, picks, now)
	saved, created, err := a.Orders.CreateOrder(ctx, o, ds, alerts.OrderEvents(&o, ds, picks, now))
	if errors.Is(err, alerts.ErrConflict) {
		return errKeyTaken(err)
	} else if err != nil {
		return fmt.Errorf("creating an order: %w", err)
	}
	if !created {
		return a.showGiven(c, s, saved)
	}
	a.audit(ctx, s.user.Username, "order.create", saved.ID,
		fmt.Sprintf("%s %s, %d teams, drill %v", saved.Kind, saved.Level, len(ds), saved.Drill))
	a.Nudge()
	a.Hub.Nudge()
	return a.writeOrder(c, s, http.StatusCreated, saved, ds)
}

// idempotencyKey reads the header that lets a caller ask again without asking
// twice.
func idempotencyKey(c *gin.Context) (string, error) {
	key := c.GetHeader("Idempotency-Key")
	if key == "" || len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return "", &Error{
			Code: CodeMalformed, Detail: "请求头 Idempotency-Key 应为 1 至 200 个可见的 ASCII 字符",
			Fields: []FieldError{{"Idempotency-Key", "缺少或无效"}},
		}
	}
	return key, nil
}

// showGiven answers with the order that the key gave before.
func (a *API) showGiven(c *gin.Context, s scope, o alerts.Order) error {
	ds, err := a.Orders.Deliveries(c.Request.Context(), o.ID)
	if err != nil {
		return fmt.Errorf("listing deliveries: %w", err)
	}
	return a.writeOrder(c, s, http.StatusOK, o, ds)
}

func (a *API) writeOrder(c *gin.Context, s scope, status int, o alerts.Order, ds []alerts.Delivery) error {
	out, err := a.render(c.Request.Context(), s, o, s.deliveries(ds))
	if err != nil {
		return err
	}
	c.Header("Location", Prefix+"/orders/"+o.ID)
	WriteJSON(c, status, out)
	return nil
}

func errKeyTaken(cause error) error {
	return &Error{Code: CodeConflict, Detail: "此 Idempotency-Key 已用于另一道命令", Cause: cause}
}

// askedFor stands for the request as it was asked, whatever teams come of its
// targets. The order of targets, and naming one twice, makes no difference.
func askedFor(req OrderRequest, text string) (string, error) {
	sorted := func(in []string) []string { return slices.Compact(slices.Sorted(slices.Values(in))) }
	t := req.Targets
	b, err := json.Marshal([]any{req.Kind, req.Level, text, req.Drill, req.Alert, sorted(t.Areas), sorted(t.Teams), sorted(t.Kinds)})
	if err != nil {
		return "", fmt.Errorf("encoding what was asked: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// checkOrder says what is wrong with the words of an order.
func checkOrder(req OrderRequest) (level alerts.Severity, text string, err error) {
	var f faults
	if !slices.Contains(alerts.OrderKinds, alerts.OrderKind(req.Kind)) {
		f.add("kind", "应为 %s 之一", words(alerts.OrderKinds))
	}
	level, err = alerts.ParseSeverity(req.Level)
	if err != nil || level == alerts.Notice {
		f.add("level", "应为 blue、yellow、orange、red 之一")
	}
	text = strings.TrimSpace(req.Text)
	if text == "" {
		f.add("text", "不能为空")
	}
	if req.Drill && !strings.HasPrefix(text, drillMark) {
		text = drillMark + text
	}
	if fault := textFault(text, contract.MaxTextBytes); fault != "" {
		f.add("text", "%s", fault)
	}
	t := req.Targets
	if len(t.Areas)+len(t.Teams)+len(t.Kinds) == 0 {
		f.add("targets", "请指定区域、队伍或队伍类别")
	}
	for name, n := range map[string]int{"areas": len(t.Areas), "teams": len(t.Teams), "kinds": len(t.Kinds)} {
		if n > maxTargets {
			f.add("targets."+name, "最多 %d 个", maxTargets)
		}
	}
	return level, text, f.err()
}

// resolve checks the targets against the roster and the account's scope.
func resolve(s scope, in Targets) (alerts.Targets, error) {
	var (
		f   faults
		out alerts.Targets
	)
	for i, code := range in.Areas {
		if _, ok := s.roster.areas[code]; !ok {
			f.add(fmt.Sprintf("targets.areas[%d]", i), "没有代码为 %s 的区域", clip(code, 40))
		}
		out.Areas = append(out.Areas, code)
	}
	for i, id := range in.Teams {
		if _, ok := s.roster.team[contract.TeamID(id)]; !ok {
			f.add(fmt.Sprintf("targets.teams[%d]", i), "没有编号为 %s 的队伍", clip(id, 40))
		}
		out.Teams = append(out.Teams, contract.TeamID(id))
	}
	for i, k := range in.Kinds {
		if kind := alerts.TeamKind(k); kind != alerts.Professional && kind != alerts.TownshipTeam {
			f.add(fmt.Sprintf("targets.kinds[%d]", i), "应为 professional、township 之一")
		}
		out.Kinds = append(out.Kinds, alerts.TeamKind(k))
	}
	if err := f.err(); err != nil {
		return out, err
	}
	// Kinds alone mean all that the account may order, which for an office is
	// its area.
	if len(out.Areas) == 0 && len(out.Kinds) > 0 && !s.whole() {
		out.Areas = []string{s.user.Area}
	}
	if outside := s.targets(out); len(outside) > 0 {
		return out, &Error{Code: CodeForbidden, Detail: "有目标不在本账号的辖区内，命令没有下达", Fields: outside}
	}
	return out, nil
}

// because ties the order to the alert it answers.
func (a *API) because(ctx context.Context, s scope, o *alerts.Order, id string) error {
	if id == "" {
		return nil
	}
	x, err := a.visibleAlert(ctx, s, id)
	if e := AsError(err); err != nil && e.Code == CodeNotFound {
		return &Error{Code: CodeInvalid, Detail: e.Detail, Fields: []FieldError{{"alert", e.Detail}}}
	} else if err != nil {
		return err
	}
	o.Alert, o.Lat, o.Lon, o.HasPlace = x.ID, x.Lat, x.Lon, x.HasPlace
	o.Demo = o.Demo || x.Demo
	return nil
}
