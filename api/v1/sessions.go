package v1

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/api/password"
	"firewatch/api/session"
)

func (a *API) createSession(c *gin.Context, _ scope) error {
	var req SessionRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	var f faults
	if req.Username == "" || textFault(req.Username, session.MaxUsername) != "" {
		f.add("username", "应为 1 至 %d 字节", session.MaxUsername)
	}
	if req.Password == "" || len(req.Password) > password.MaxBytes {
		f.add("password", "应为 1 至 %d 字节", password.MaxBytes)
	}
	if err := f.err(); err != nil {
		return err
	}
	ctx := c.Request.Context()
	token, l, err := a.Sessions.Login(ctx, req.Username, req.Password, c.ClientIP())
	if err != nil {
		return err
	}
	c.Set(KeyUser, l.User.Username) // not before: people type passwords into the wrong field
	r, err := a.roster.get(ctx)
	if err != nil {
		return err
	}
	a.audit(ctx, l.User.Username, "session.create", l.User.Username, "client "+c.ClientIP())
	a.setCookie(c, token, int(l.Session.Expires.Sub(l.Session.Created).Seconds()))
	WriteJSON(c, http.StatusCreated, SessionResponse{
		Token: token, Expires: at(l.Session.Expires), User: toMe(scope{l.User, r}),
	})
	return nil
}

func (a *API) showSession(c *gin.Context, s scope) error {
	WriteJSON(c, http.StatusOK, toMe(s))
	return nil
}

func (a *API) deleteSession(c *gin.Context, s scope) error {
	n := sessionOf(c)
	if err := a.Sessions.Logout(c.Request.Context(), n.TokenHash); err != nil {
		return err
	}
	a.Hub.Drop(n.TokenHash)
	a.onDuty.forget(n.TokenHash)
	a.audit(c.Request.Context(), s.user.Username, "session.delete", s.user.Username, "")
	a.setCookie(c, "", -1)
	c.Status(http.StatusNoContent)
	return nil
}

func (a *API) setCookie(c *gin.Context, value string, maxAge int) {
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // Secure is off where the server speaks plain HTTP
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteStrictMode,
	})
}

func (a *API) listAreas(c *gin.Context, s scope) error {
	q := query(c)
	level := q.word("level", string(alerts.City), string(alerts.County), string(alerts.Township))
	parent, outline := q.text("parent"), q.flag("outline")
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	var found []alerts.Area
	for _, x := range s.roster.list {
		if (level == "" || string(x.Level) == level) && (parent == "" || x.Parent == parent) {
			found = append(found, x)
		}
	}
	p := page(found, func(x alerts.Area) string { return x.Code }, after, limit)
	WriteJSON(c, http.StatusOK, List[Area]{
		Items: convert(p.Items, func(x alerts.Area) Area { return toArea(x, outline) }), Next: p.Next,
	})
	return nil
}

func (a *API) listTeams(c *gin.Context, s scope) error {
	q := query(c)
	kind := q.word("kind", string(alerts.Professional), string(alerts.TownshipTeam))
	area := q.text("area")
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	var found []alerts.Team
	for _, t := range s.roster.teams {
		if s.team(t.ID) && (kind == "" || string(t.Kind) == kind) && (area == "" || s.roster.areas.Within(t.Area, area)) {
			found = append(found, t)
		}
	}
	p := page(found, func(t alerts.Team) string { return string(t.ID) }, after, limit)
	WriteJSON(c, http.StatusOK, List[Team]{
		Items: convert(p.Items, func(t alerts.Team) Team { return toTeam(s.roster, t) }), Next: p.Next,
	})
	return nil
}
