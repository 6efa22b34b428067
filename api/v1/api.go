package v1

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/api/session"
	"firewatch/api/stream"
	"firewatch/ingest"
)

// CookieName is the cookie that holds the token of a browser's session.
const CookieName = "firewatch_session"

// KeyUser is where the context of a request holds the username, for the log.
const KeyUser = "firewatch.user"

// requestFor is the longest a request other than the event stream may take.
const requestFor = 30 * time.Second

// Check is one part of the system as it is: whether it works, and why not.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
}

// The parts of which the API finds out by itself that they do not work. A caller
// that checks them too gives them these names.
const (
	PartStore         = "store"
	PartRoster        = "roster"
	PartHistory       = "influx"
	partHistoryServer = "influxd" // where the history is a child of ours
)

// Deps is all that the handlers need. Package api checks it.
type Deps struct {
	Roster    alerts.RosterStore
	Accounts  alerts.AccountStore
	Alerts    alerts.AlertStore
	Orders    alerts.OrderStore
	Commands  alerts.CommandStore
	Warnings  alerts.WarningStore
	Documents alerts.DocumentStore
	Incidents alerts.IncidentStore
	Silences  alerts.SilenceStore
	Holdbacks alerts.HoldbackStore
	SOSRule   func(rule string) bool // whether the rule is of calls for help
	Hotspots  alerts.HotspotStore
	Events    alerts.EventStore
	Readiness alerts.ReadinessStore
	TwoPerson bool // a version of the readiness table takes another person's approval
	Danger    alerts.DangerStore
	// DangerMethod is the one whose danger level counts.
	DangerMethod string
	Audit        alerts.AuditStore
	History      ingest.History
	Desk         *Desk // nil: devices are not changed here
	Sessions     *session.Service
	Hub          *stream.Hub
	Policy       alerts.Policy
	Silence      Silence
	Rules        func() RulesInForce // nil: none are shown
	Health       func(context.Context) []Check
	Nudge        func()
	Now          func() time.Time
	Secure       bool // cookies over TLS only
	Version      string
	Log          *zap.Logger
}

// API is version 1.
type API struct {
	Deps
	roster *rosterCache
	latest *latestCache
	names  *namesCache
	cross  *http.CrossOriginProtection
	onDuty *onDuty

	sourcesKept sourcesCache
	importing   sync.Mutex // hotspots
}

// New returns version 1.
func New(d Deps) *API {
	return &API{
		Deps:   d,
		roster: &rosterCache{store: d.Roster},
		latest: &latestCache{history: d.History, now: d.Now, log: d.Log, epoch: newEpoch()},
		names:  &namesCache{store: d.Accounts, now: d.Now, log: d.Log},
		cross:  http.NewCrossOriginProtection(),
		onDuty: &onDuty{until: map[string]time.Time{}},
	}
}

// bound limits the body and the time of a request.
func (a *API) bound(c *gin.Context) {
	limit := int64(maxJSON)
	switch c.FullPath() {
	case Prefix + "/warnings":
		limit = maxCAP
	case Prefix + "/devices/import":
		limit = maxTable
	case Prefix + "/hotspots":
		limit = maxHotspots
	case Prefix + "/sources":
		limit = alerts.MaxSourceBytes
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
	c.Header("Cache-Control", "no-store")
	c.Next()
}

// serve wraps a handler: who asks, whether the role may, the time it has, and
// what becomes of its error.
func (a *API) serve(roles []alerts.Role, h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		if c.FullPath() != Prefix+"/events" {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, requestFor)
			defer cancel()
			c.Request = c.Request.WithContext(ctx)
		}
		err := a.guarded(c, roles, h)
		gone := errors.Is(err, context.Canceled) && ctx.Err() != nil
		switch {
		case err == nil:
		case c.Writer.Written() || gone:
			_ = c.Error(err) // for the log; nobody is left to tell
			c.Abort()
		default:
			WriteError(c, err)
		}
	}
}

func (a *API) guarded(c *gin.Context, roles []alerts.Role, h handler) error {
	token, cookie := tokenOf(c.Request)
	if cookie || token == "" { // a browser sends cookies by itself, also for other sites
		if err := a.cross.Check(c.Request); err != nil {
			return &Error{Code: CodeForbidden, Detail: "请求来自其他网站", Cause: err}
		}
	}
	if len(roles) == 0 {
		return h(a, c, scope{})
	}
	if token == "" {
		return &Error{Code: CodeUnauthenticated}
	}
	l, err := a.Sessions.Resolve(c.Request.Context(), token)
	if err != nil {
		return err
	}
	c.Set(KeyUser, l.User.Username)
	c.Set(keySession, l.Session)
	if !slices.Contains(roles, l.User.Role) {
		return &Error{Code: CodeForbidden, Detail: "本账号的角色不能使用此功能"}
	}
	r, err := a.roster.get(c.Request.Context())
	if err != nil {
		return err
	}
	return h(a, c, scope{user: l.User, roster: r})
}

const keySession = "firewatch.session"

func sessionOf(c *gin.Context) alerts.Session {
	s, _ := c.MustGet(keySession).(alerts.Session)
	return s
}

// tokenOf finds the token of a request; cookie tells whether it is the
// browser's.
func tokenOf(r *http.Request) (token string, cookie bool) {
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest), false
	}
	if k, err := r.Cookie(CookieName); err == nil {
		return k.Value, true
	}
	return "", false
}

// audit puts on record who did what. What was done stays done when the record
// cannot be written, so that is for the log.
func (a *API) audit(ctx context.Context, actor, action, subject, detail string) {
	err := a.Audit.SaveAudit(context.WithoutCancel(ctx), alerts.Audit{
		At: a.Now(), Actor: actor, Action: action, Subject: subject, Detail: detail,
	})
	if err != nil {
		a.Log.Error("audit not written", zap.String("actor", actor), zap.String("action", action),
			zap.String("subject", subject), zap.String("detail", detail), zap.Error(err))
	}
}

func (a *API) showStatus(c *gin.Context, _ scope) error {
	_, demo, err := a.Roster.RosterVersion(c.Request.Context())
	s := Status{Version: a.Version, Demo: demo, Parts: a.Health(c.Request.Context())}
	if err != nil {
		_ = c.Error(fmt.Errorf("reading the roster's version: %w", err)) // for the log
		s.Parts = blame(s.Parts, PartRoster, "cannot be read", PartStore)
	}
	if why := a.latest.degraded(); why != "" {
		s.Parts = blame(s.Parts, PartHistory, why, partHistoryServer)
	}
	if !a.OnDuty(c.Request) {
		s.Parts = Mask(s.Parts, "")
	}
	if s.Parts == nil {
		s.Parts = []Check{}
	}
	WriteJSON(c, http.StatusOK, s)
	return nil
}

// blame puts on the named part that it does not work, as was found here, unless
// it or one of those it stands on says so itself.
func blame(parts []Check, name, why string, below ...string) []Check {
	own := -1
	for i, p := range parts {
		if !p.OK && (p.Name == name || slices.Contains(below, p.Name)) {
			return parts
		}
		if p.Name == name {
			own = i
		}
	}
	found := Check{Name: name, Reason: why}
	if own < 0 {
		return append(parts, found)
	}
	parts = slices.Clone(parts)
	parts[own] = found
	return parts
}
