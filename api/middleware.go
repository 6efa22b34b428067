package api

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	v1 "firewatch/api/v1"
)

const (
	requestIDHeader = "X-Request-Id"
	keyRequestID    = "firewatch.request_id"
)

// identify gives each request an id: the client's when it is a plain one.
func (s *Server) identify(c *gin.Context) {
	id := c.GetHeader(requestIDHeader)
	if len(id) < 8 || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' && r != '.'
	}) {
		id = rand.Text()
	}
	c.Set(keyRequestID, id)
	c.Header(requestIDHeader, id)
	c.Next()
}

// levelOf is how loud the line of a request is. Consoles read every few seconds,
// so reading that works is for debugging; what changes something, or does not
// work, is for everybody. A part that is away has said so itself.
func levelOf(method, route string, status int) zapcore.Level {
	switch {
	case route == "/readyz", route == brokerRoute: // 503 is its answer; refusals are logged where they are decided
		return zapcore.DebugLevel
	case status == http.StatusServiceUnavailable:
		return zapcore.WarnLevel
	case status >= http.StatusInternalServerError:
		return zapcore.ErrorLevel
	case status >= http.StatusBadRequest, method != http.MethodGet && method != http.MethodHead:
		return zapcore.InfoLevel
	}
	return zapcore.DebugLevel
}

// record writes one line per request and counts it. The line has the path only:
// no query, no header and no body, which may hold secrets.
func (s *Server) record(c *gin.Context) {
	begin := time.Now()
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	c.Next()
	took := time.Since(begin)
	route, status := c.FullPath(), c.Writer.Status()
	if route == "" {
		route = "other" // the console and what does not exist: no label from outside
	}
	method := c.Request.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	s.metrics.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if route != v1.Prefix+"/events" {
		s.metrics.seconds.WithLabelValues(method, route).Observe(took.Seconds())
	}
	if line := s.o.Log.Check(levelOf(c.Request.Method, route, status), "http request"); line != nil {
		path := c.Request.URL.Path
		fields := []zap.Field{
			zap.String("request_id", c.GetString(keyRequestID)), zap.String("method", method), zap.String("route", route),
			zap.String("path", path[:min(len(path), 200)]), zap.Int("status", status), zap.Duration("took", took),
			zap.Int("bytes", max(c.Writer.Size(), 0)), zap.String("client", c.ClientIP()),
		}
		if user := c.GetString(v1.KeyUser); user != "" {
			fields = append(fields, zap.String("user", user))
		}
		if len(c.Errors) > 0 {
			fields = append(fields, zap.Error(c.Errors.Last().Err))
		}
		line.Write(fields...)
	}
}

// recover turns a panic into the problem "internal". What it said stays in the
// log.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		x := recover()
		if x == nil {
			return
		}
		if x == http.ErrAbortHandler { //nolint:errorlint // it is panicked with as it is
			panic(x)
		}
		s.o.Log.Error("panic in a request", zap.String("request_id", c.GetString(keyRequestID)),
			zap.Any("panic", x), zap.ByteString("stack", debug.Stack()))
		if c.Writer.Written() {
			c.Abort()
			return
		}
		v1.WriteError(c, &v1.Error{Code: v1.CodeInternal, Cause: fmt.Errorf("panic: %v", x)})
	}()
	c.Next()
}

// contentPolicy fits the console: everything is our own; MapLibre runs its
// workers from blobs and draws images that it made; widgets set styles inline.
const contentPolicy = "default-src 'self'; script-src 'self'; worker-src 'self' blob:; child-src 'self' blob:; " +
	"img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; connect-src 'self'; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (s *Server) headers(c *gin.Context) {
	h := c.Writer.Header()
	if s.o.SecureCookies {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(self)")
	c.Next()
}

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, listeners func() int) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_http_requests_total", Help: "HTTP requests by route and status.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "firewatch_http_request_seconds", Help: "Time to answer, event streams left out.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "firewatch_http_requests_in_flight", Help: "HTTP requests being answered, event streams included.",
		}),
	}
	streams := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "firewatch_http_event_streams", Help: "Open event streams.",
	}, func() float64 { return float64(listeners()) })
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight, streams} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}
