// Package mqttauth answers external MQTT brokers that ask over HTTP who may
// connect, and what a client may say and hear: EMQX 5, and mosquitto with
// mosquitto-go-auth. README.md beside this file shows their settings.
//
// Formats:
//   - EMQX: https://docs.emqx.com/en/emqx/latest/access-control/authn/http.html and
//     https://docs.emqx.com/en/emqx/latest/access-control/authz/http.html
//   - mosquitto-go-auth: https://github.com/iegomez/mosquitto-go-auth#http and its
//     backends/http.go
package mqttauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"firewatch/api/throttle"
	"firewatch/ingest"
)

// Bounds of guessing. Only failures count: by username, and by address where the
// broker tells it.
const (
	nameBurst  = 20
	nameRefill = 10 * time.Second
	addrBurst  = 200
	addrRefill = time.Second
	maxKeys    = 50_000
)

// Options configures a Handler. Credential, Principal, Token and Log are
// required.
type Options struct {
	Credential ingest.Credential
	// Principal is who a username is, if it may connect; the broker has seen to it
	// that the client is that.
	Principal func(username string) (ingest.Principal, bool)
	// Token is the secret that the broker shows with every question.
	Token string
	// The account of our own roles at the broker, which may say and hear
	// everything. Without a username there is none.
	ServiceUsername string
	ServicePassword string

	Now        func() time.Time // nil: time.Now
	Log        *zap.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Handler is the http.Handler for everything under /mqtt/.
type Handler struct {
	o       Options
	mux     *http.ServeMux
	token   [sha256.Size]byte
	service [sha256.Size]byte // of the password
	names   *throttle.Throttle
	addrs   *throttle.Throttle
	known   *throttle.Throttle // name and address that have logged in before: a bucket of their own
	asked   *prometheus.CounterVec
}

// New checks the options and returns a handler.
func New(o Options) (*Handler, error) {
	switch {
	case o.Credential == nil:
		return nil, errors.New("mqttauth: Credential is missing")
	case o.Principal == nil:
		return nil, errors.New("mqttauth: Principal is missing")
	case o.Token == "":
		return nil, errors.New("mqttauth: Token is missing")
	case o.Log == nil:
		return nil, errors.New("mqttauth: Log is missing")
	case (o.ServiceUsername == "") != (o.ServicePassword == ""):
		return nil, errors.New("mqttauth: ServiceUsername and ServicePassword go together")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{
		o: o, mux: http.NewServeMux(), token: sha256.Sum256([]byte(o.Token)), service: sha256.Sum256([]byte(o.ServicePassword)),
		names: throttle.New(nameBurst, nameRefill, maxKeys),
		addrs: throttle.New(addrBurst, addrRefill, maxKeys),
		known: throttle.New(nameBurst, nameRefill, maxKeys),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "firewatch_mqtt_auth_total", Help: "Questions of external MQTT brokers, by what was asked and the answer.",
		}, []string{"question", "answer"}),
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(h.asked); err != nil {
			return nil, fmt.Errorf("mqttauth: Registerer: %w", err)
		}
	}
	for path, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"/mqtt/emqx/auth": h.emqxAuth, "/mqtt/emqx/acl": h.emqxACL,
		"/mqtt/goauth/user": h.goauthUser, "/mqtt/goauth/superuser": h.goauthSuperuser, "/mqtt/goauth/acl": h.goauthACL,
	} {
		h.mux.HandleFunc(http.MethodPost+" "+path, answer)
		h.mux.HandleFunc(http.MethodPut+" "+path, answer)
		if strings.HasPrefix(path, "/mqtt/emqx/") {
			h.mux.HandleFunc(http.MethodGet+" "+path, answer)
		}
	}
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.mayAsk(r) {
		h.asked.WithLabelValues("any", "token").Inc()
		h.o.Log.Warn("an MQTT broker shows a wrong mqtt-auth-token", zap.String("remote", r.RemoteAddr))
		w.Header().Set("WWW-Authenticate", `Bearer realm="firewatch"`)
		http.Error(w, "mqtt-auth-token is missing or wrong", http.StatusUnauthorized)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// mayAsk looks for the token where a broker can put it: EMQX sets headers,
// mosquitto-go-auth can only have an account in its host or a query in its URI.
func (h *Handler) mayAsk(r *http.Request) bool {
	shown := ""
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		shown = strings.TrimSpace(rest)
	} else if _, password, ok := r.BasicAuth(); ok {
		shown = password
	} else if r.URL.RawQuery != "" {
		shown = r.URL.Query().Get("token")
	}
	sum := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(sum[:], h.token[:]) == 1
}

// login reports who the client is.
func (h *Handler) login(q *question) (ingest.Principal, bool) {
	now := h.o.Now()
	// Where the name has logged in before, strangers who guess at it elsewhere
	// cannot lock it out.
	names, key := h.names, q.Username
	if q.PeerHost != "" {
		if both := q.PeerHost + " " + q.Username; h.known.Has(both) {
			names, key = h.known, both
		}
	}
	if names.Wait(key, now) > 0 || q.PeerHost != "" && h.addrs.Wait(q.PeerHost, now) > 0 {
		h.asked.WithLabelValues("login", "throttled").Inc()
		h.o.Log.Info("MQTT client refused: too many failures", zap.String("username", clip(q.Username)), zap.String("peer", clip(q.PeerHost)))
		return ingest.Principal{}, false
	}
	p, ok := h.authenticate(q)
	if !ok {
		names.Take(key, now)
		if q.PeerHost != "" {
			h.addrs.Take(q.PeerHost, now)
		}
		h.asked.WithLabelValues("login", "deny").Inc()
		h.o.Log.Info("MQTT client refused: credential", zap.String("username", clip(q.Username)), zap.String("peer", clip(q.PeerHost)))
		return ingest.Principal{}, false
	}
	if q.PeerHost != "" {
		h.known.Forgive(q.PeerHost+" "+q.Username, now)
	}
	h.asked.WithLabelValues("login", "allow").Inc()
	return p, true
}

func (h *Handler) authenticate(q *question) (ingest.Principal, bool) {
	if h.isService(q.Username) {
		sum := sha256.Sum256([]byte(q.Password))
		return ingest.Principal{Service: true}, subtle.ConstantTimeCompare(sum[:], h.service[:]) == 1
	}
	p, ok := h.o.Credential.Authenticate(q.Username, []byte(q.Password))
	return p, ok && !p.Service // those of the embedded broker are no accounts here
}

func (h *Handler) isService(username string) bool {
	return h.o.ServiceUsername != "" && username == h.o.ServiceUsername
}

// mayDo reports whether the client may publish on, or subscribe to, the topic.
func (h *Handler) mayDo(q *question, publish, subscribe bool) bool {
	ok := h.isService(q.Username)
	if !ok {
		var p ingest.Principal
		p, ok = h.o.Principal(q.Username)
		ok = ok && (publish || subscribe) && (!publish || p.MayPublish(q.Topic)) && (!subscribe || p.MaySubscribe(q.Topic))
	}
	if !ok {
		h.asked.WithLabelValues("topic", "deny").Inc()
		h.o.Log.Info("MQTT topic denied", zap.String("username", clip(q.Username)), zap.String("topic", clip(q.Topic)),
			zap.Bool("publish", publish))
		return false
	}
	h.asked.WithLabelValues("topic", "allow").Inc()
	return true
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 80)], "") }
