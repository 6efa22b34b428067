package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"firewatch/api/session"
	"firewatch/api/stream"
	v1 "firewatch/api/v1"
)

// brokerRoute is where external MQTT brokers ask.
const brokerRoute = "/mqtt/*question"

// Server is the HTTP role.
type Server struct {
	o       Options
	engine  *gin.Engine
	hub     *stream.Hub
	metrics *metrics
	v1      *v1.API
}

// New checks the options and returns a server. Close it.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{o: o}
	s.hub = stream.New(stream.Options{
		Store: o.Events, Poll: o.EventPoll, MaxTotal: maxListeners, MaxPerOwner: maxPerUser, Log: o.Log,
	})
	var err error
	if s.metrics, err = newMetrics(o.Registerer, s.hub.Listeners); err != nil {
		s.hub.Close()
		return nil, fmt.Errorf("api options: Registerer: %w", err)
	}

	gin.SetMode(gin.ReleaseMode) // debug mode prints to the standard output
	s.engine = gin.New()
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false
	s.engine.ContextWithFallback = false
	if err := s.engine.SetTrustedProxies(o.TrustedProxies); err != nil {
		s.hub.Close()
		return nil, fmt.Errorf("api options: TrustedProxies: %w", err)
	}
	s.engine.Use(s.identify, s.record, s.recover, s.headers)

	s.v1 = v1.New(v1.Deps{
		Roster: o.Roster, Accounts: o.Accounts, Alerts: o.Alerts, Orders: o.Orders, Commands: o.Commands, Warnings: o.Warnings, Documents: o.Documents, Hotspots: o.Hotspots, Events: o.Events, Audit: o.Audit,
		Readiness: o.Readiness, TwoPerson: o.TwoPerson,
		Incidents: o.Incidents, Silences: o.Silences, Holdbacks: o.Holdbacks, SOSRule: o.SOSRule, Rules: o.Rules,
		Danger: o.Danger, DangerMethod: o.DangerMethod,
		History: o.History, Desk: o.Desk, Sessions: session.New(o.Accounts, o.Now), Hub: s.hub, Policy: o.Policy, Silence: o.Silence,
		Health: o.Health, Nudge: o.Nudge, Now: o.Now, Secure: o.SecureCookies, Version: o.Version, Log: o.Log,
	})
	s.v1.Register(s.engine)

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		s.engine.Handle(method, "/healthz", s.healthz)
		s.engine.Handle(method, "/readyz", s.readyz)
	}
	s.engine.GET("/metrics", s.insiders, gin.WrapH(promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(o.Log.Named("metrics")), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})))
	if o.BrokerAuth != nil {
		s.engine.Any(brokerRoute, gin.WrapH(o.BrokerAuth))
	}
	s.engine.NoRoute(s.fallback(newConsole(o.Console)))
	s.engine.NoMethod(func(c *gin.Context) { v1.WriteError(c, &v1.Error{Code: v1.CodeMethod}) })
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// HTTPServer returns an http.Server for the handler with bounds on slow clients.
// Its Shutdown ends the event streams, which would otherwise hold it up.
func (s *Server) HTTPServer() *http.Server {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // the event stream takes its own off
		WriteTimeout:      90 * time.Second, // and renews this one with each write
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(s.o.Log.Named("http")),
	}
	h.RegisterOnShutdown(s.Close)
	return h
}

// Nudge makes the event streams look at the store at once. It never blocks.
func (s *Server) Nudge() { s.hub.Nudge() }

// Close ends the event streams. Requests in flight go on.
func (s *Server) Close() { s.hub.Close() }

func (s *Server) healthz(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	v1.WriteBytes(c, http.StatusOK, "application/json", []byte(`{"ok":true}`))
}

// seeTheLog stands for the reasons of parts to those who may not see them.
const seeTheLog = "见日志 see the log"

// local reports whether the request comes from this machine itself and not
// through a proxy on it.
func local(r *http.Request) bool {
	for name := range r.Header {
		switch name = http.CanonicalHeaderKey(name); {
		case strings.HasPrefix(name, "X-Forwarded"), name == "Forwarded", name == "Via", name == "X-Real-Ip",
			name == "X-Client-Ip", name == "True-Client-Ip", name == "Cf-Connecting-Ip":
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// insider reports whether the request may see how the system is inside.
func (s *Server) insider(r *http.Request) bool { return local(r) || s.v1.OnDuty(r) }

// insiders keeps others out.
func (s *Server) insiders(c *gin.Context) {
	if !s.insider(c.Request) {
		v1.WriteError(c, &v1.Error{Code: v1.CodeForbidden, Detail: "只能在本机或以值班账号查看"})
		return
	}
	c.Next()
}

// readyz says which parts work. It is 503 while one does not.
func (s *Server) readyz(c *gin.Context) {
	out := v1.Readiness{Ready: true, Parts: append([]Check{}, s.o.Health(c.Request.Context())...)}
	for _, p := range out.Parts {
		out.Ready = out.Ready && p.OK
	}
	if !s.insider(c.Request) {
		out.Parts = v1.Mask(out.Parts, seeTheLog)
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	c.Header("Cache-Control", "no-store")
	v1.WriteJSON(c, status, out)
}
