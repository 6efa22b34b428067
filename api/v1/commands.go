package v1

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// commandFor is for how long a command is shown when the caller does not say.
const commandFor = time.Hour

// listCommands lists what was asked of the trackers that the account sees.
func (a *API) listCommands(c *gin.Context, s scope) error {
	q := query(c)
	find := alerts.CommandQuery{
		Device: contract.DeviceID(q.text("device")), Open: q.flag("open"), Before: q.cursor(), Limit: q.limit(),
	}
	asked := q.text("area")
	if err := q.err(); err != nil {
		return err
	}
	var ok bool
	if find.Area, ok = s.narrow(asked); !ok {
		WriteJSON(c, http.StatusOK, List[Command]{Items: []Command{}})
		return nil
	}
	return a.writeCommands(c, s, find)
}

// listDeviceCommands lists what was asked of one tracker, wherever it was then.
func (a *API) listDeviceCommands(c *gin.Context, s scope) error {
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	q := query(c)
	find := alerts.CommandQuery{Device: d.ID, Open: q.flag("open"), Before: q.cursor(), Limit: q.limit()}
	if err := q.err(); err != nil {
		return err
	}
	return a.writeCommands(c, s, find)
}

func (a *API) writeCommands(c *gin.Context, s scope, find alerts.CommandQuery) error {
	ctx := c.Request.Context()
	found, err := a.Commands.Commands(ctx, find)
	if err != nil {
		return badCursor(find.Before, fmt.Errorf("listing commands: %w", err))
	}
	named := a.names.get(ctx)
	out := List[Command]{Items: convert(found, func(x alerts.Command) Command { return toCommand(s.roster, named, x) })}
	if len(found) == find.Limit {
		out.Next = cursorTo(found[find.Limit-1].ID)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func toCommand(r *roster, n names, x alerts.Command) Command {
	return Command{
		ID: x.ID, Device: string(x.Device), DeviceName: r.device[x.Device].Name, Area: x.Area, AreaName: r.areaName(x.Area),
		Kind: string(x.Kind), Level: x.Level().String(), Text: x.Text, Drill: x.Drill, Issuer: x.Issuer, IssuerName: n[x.Issuer],
		Issued: at(x.Issued), Expires: at(x.Expires), State: string(x.State), Open: x.State.Open(),
		Sent: atOrNull(x.Sent), Delivered: atOrNull(x.Delivered), Read: atOrNull(x.Read), Ended: atOrNull(x.Ended),
		Answer: string(x.Answer), Reason: x.Reason, By: x.By,
	}
}

// createCommand asks a tracker or its warden for something. The same
// Idempotency-Key again gives the first command back and creates nothing.
func (a *API) createCommand(c *gin.Context, s scope) error {
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(c)
	if err != nil {
		return err
	}
	var req CommandRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	text, ttl, err := checkCommand(req)
	if err != nil {
		return err
	}
	if why := deaf(&d); why != "" {
		return &Error{Code: CodeConflict, Detail: why}
	}
	ctx, now := c.Request.Context(), at(a.Now())
	x, err := alerts.NewCommand(alerts.Command{
		Device: d.ID, Area: d.Area, Kind: alerts.CommandKind(req.Kind), Text: text, Drill: req.Drill,
		Issuer: s.user.Username, Key: key, Expires: now.Add(ttl),
	}, now)
	if err != nil {
		return &Error{Code: CodeInvalid, Detail: "指令无效", Cause: err}
	}
	saved, created, err := a.Commands.CreateCommand(ctx, x, []alerts.Event{alerts.CommandEvent(&x, now)})
	switch {
	case errors.Is(err, alerts.ErrTooManyCommands):
		return &Error{
			Code: CodeConflict, Cause: err,
			Detail: fmt.Sprintf("该设备已有 %d 条未结束的指令，请先撤回其中的", alerts.MaxOpenCommands),
		}
	case errors.Is(err, alerts.ErrConflict):
		return &Error{Code: CodeConflict, Detail: "此 Idempotency-Key 已用于另一条指令", Cause: err}
	case err != nil:
		return fmt.Errorf("creating a command: %w", err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		a.audit(ctx, s.user.Username, "command.create", saved.ID, fmt.Sprintf("%s to %s, drill %v", saved.Kind, saved.Device, saved.Drill))
		a.Nudge()
		a.Hub.Nudge()
	}
	c.Header("Location", Prefix+"/devices/"+string(d.ID)+"/commands")
	WriteJSON(c, status, toCommand(s.roster, a.names.get(ctx), saved))
	return nil
}

// checkCommand says what is wrong with what is asked of a tracker.
func checkCommand(req CommandRequest) (text string, ttl time.Duration, err error) {
	var f faults
	kind := alerts.CommandKind(req.Kind)
	if !slices.Contains(alerts.CommandKinds, kind) {
		f.add("kind", "应为 %s 之一", words(alerts.CommandKinds))
	}
	text = strings.TrimSpace(req.Text)
	if text == "" && (kind == alerts.CommandMessage || kind == alerts.CommandConfig) {
		f.add("text", "不能为空")
	}
	if req.Drill && !strings.HasPrefix(text, drillMark) {
		text = drillMark + text
	}
	if fault := textFault(text, contract.MaxTextBytes); fault != "" {
		f.add("text", "%s", fault)
	}
	least, most := alerts.CommandTTLMin.Seconds(), alerts.CommandTTLMax.Seconds()
	ttl = commandFor
	if req.ExpiresS != 0 {
		ttl = time.Duration(min(max(req.ExpiresS, 0), most+1) * float64(time.Second)).Truncate(time.Millisecond)
	}
	if req.ExpiresS != 0 && (req.ExpiresS < least || req.ExpiresS > most) {
		f.add("expires_s", "应为 %.0f 至 %.0f 秒", least, most)
	}
	return text, ttl, f.err()
}

// deaf says why a device cannot be told anything, or "".
func deaf(d *alerts.Device) string {
	system, _, _ := strings.Cut(d.Alias, "/")
	switch {
	case d.Kind != contract.Tracker:
		return "传感器不接收指令，只能向终端下达"
	case d.Disabled:
		return "该设备已停用，指令无法送达"
	case d.Alias != "":
		return "该设备经其他系统（" + system + "）接入，无法向它下达指令"
	case !d.MayConnect():
		return "该设备没有有效的接入凭证，无法连接，指令无法送达；请先签发凭证"
	}
	return ""
}

// withdrawCommand takes a command back. One that was taken back before stays as
// it is; another that has ended cannot be.
func (a *API) withdrawCommand(c *gin.Context, s scope) error {
	q := query(c)
	reason := strings.TrimSpace(q.text("reason"))
	if reason == "" && len(q.faults) == 0 {
		q.faults.add("reason", "请说明撤回的理由")
	}
	if err := q.err(); err != nil {
		return err
	}
	ctx, now := c.Request.Context(), at(a.Now())
	x, err := a.visibleCommand(ctx, s, c.Param("id"))
	if err != nil {
		return err
	}
	changed := false
	x, err = a.Commands.UpdateCommand(ctx, x.ID, func(x *alerts.Command) ([]alerts.Event, error) {
		if changed = x.End(alerts.CommandWithdrawn, s.user.Username, reason, now); !changed {
			return nil, nil
		}
		return []alerts.Event{alerts.CommandEvent(x, now)}, nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("withdrawing a command: %w", err)
	case !changed && x.State != alerts.CommandWithdrawn:
		return &Error{Code: CodeConflict, Detail: "指令已经结束（" + commandEnds[x.State] + "），不能再撤回"}
	case changed:
		a.audit(ctx, s.user.Username, "command.withdraw", x.ID, fmt.Sprintf("%s to %s: %s", x.Kind, x.Device, reason))
		a.Nudge()
		a.Hub.Nudge()
	}
	WriteJSON(c, http.StatusOK, toCommand(s.roster, a.names.get(ctx), x))
	return nil
}

// commandEnds says on screen how a command has ended.
var commandEnds = map[alerts.CommandState]string{
	alerts.CommandAnswered: "已应答", alerts.CommandExpired: "已过期", alerts.CommandSuperseded: "已被新指令取代",
}

// visibleCommand finds a command that the account may see: by where the device
// was when it was given, or is now.
func (a *API) visibleCommand(ctx context.Context, s scope, id string) (alerts.Command, error) {
	missing := &Error{Code: CodeNotFound, Detail: "没有此指令"}
	x, err := a.Commands.Command(ctx, id)
	if errors.Is(err, alerts.ErrNotFound) {
		return x, missing
	} else if err != nil {
		return x, fmt.Errorf("reading a command: %w", err)
	}
	d, known := s.roster.device[x.Device]
	if !s.area(x.Area) && (!known || !s.area(d.Area)) {
		return alerts.Command{}, missing
	}
	return x, nil
}
