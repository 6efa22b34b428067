package mqttauth

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"go.uber.org/zap"
)

// maxBody bounds a question, in bytes: an MQTT topic and a password have 64 KiB
// each at most, and nobody here has such.
const maxBody = 64 << 10

// question is what a broker asks, in either format. Brokers may send more.
type question struct {
	Username string `json:"username"`
	Password string `json:"password"`
	PeerHost string `json:"peerhost"` // EMQX: the client's address
	Topic    string `json:"topic"`    // or a filter
	Action   string `json:"action"`   // EMQX: publish, subscribe
	Acc      int    `json:"acc"`      // mosquitto: 1 read, 2 write, 3 both, 4 subscribe
}

// read takes JSON, or a form; of a GET the query is the form.
func read(r *http.Request) (*question, error) {
	if r.Method == http.MethodGet {
		if len(r.URL.RawQuery) > maxBody {
			return nil, fmt.Errorf("the question is larger than %d bytes", maxBody)
		}
		return parse("application/x-www-form-urlencoded", []byte(r.URL.RawQuery))
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the question is larger than %d bytes", maxBody)
	}
	return parse(r.Header.Get("Content-Type"), body)
}

func parse(contentType string, body []byte) (*question, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	var q question
	switch kind {
	case "application/json":
		if err := json.Unmarshal(body, &q); err != nil {
			return nil, err
		}
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		q = question{
			Username: form.Get("username"), Password: form.Get("password"), PeerHost: form.Get("peerhost"),
			Topic: form.Get("topic"), Action: form.Get("action"),
		}
		if acc := form.Get("acc"); acc != "" {
			if q.Acc, err = strconv.Atoi(acc); err != nil {
				return nil, fmt.Errorf("acc: %w", err)
			}
		}
	default:
		return nil, fmt.Errorf("content type %q: want application/json or application/x-www-form-urlencoded", kind)
	}
	return &q, nil
}

// EMQX takes every status but 200 and 204 for "ignore" and asks its next source,
// or nobody; so what cannot be read is denied with 200.
func (h *Handler) emqx(w http.ResponseWriter, r *http.Request, answer func(*question) string) {
	body := `{"result":"deny"}`
	if q, err := read(r); err != nil {
		h.unreadable(err)
	} else {
		body = answer(q)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body) // the broker may be gone
}

func (h *Handler) unreadable(err error) {
	h.asked.WithLabelValues("any", "unreadable").Inc()
	h.o.Log.Warn("an MQTT broker asks what cannot be read", zap.Error(err))
}

func (h *Handler) emqxAuth(w http.ResponseWriter, r *http.Request) {
	h.emqx(w, r, func(q *question) string {
		p, ok := h.login(q)
		switch {
		case !ok:
			return `{"result":"deny"}`
		case p.Service:
			return `{"result":"allow","is_superuser":true}`
		}
		return `{"result":"allow","is_superuser":false}`
	})
}

func (h *Handler) emqxACL(w http.ResponseWriter, r *http.Request) {
	h.emqx(w, r, func(q *question) string {
		if h.mayDo(q, q.Action == "publish", q.Action == "subscribe") {
			return `{"result":"allow"}`
		}
		return `{"result":"deny"}`
	})
}

// What mosquitto asks for, as mosquitto-go-auth passes it on in acc.
const (
	accRead      = 1 // to be given a message of this topic
	accWrite     = 2
	accReadWrite = 3
	accSubscribe = 4
)

// goauth answers by the status and, for http_response_mode json, in the body; for
// the mode text the URI must end with ?mode=text.
func (h *Handler) goauth(w http.ResponseWriter, r *http.Request, answer func(*question) bool) {
	ok := false
	if q, err := read(r); err != nil {
		h.unreadable(err)
	} else {
		ok = answer(q)
	}
	kind, body := "application/json", `{"ok":true,"error":""}`
	text := r.URL.RawQuery != "" && r.URL.Query().Get("mode") == "text"
	switch {
	case text && ok:
		kind, body = "text/plain", "ok"
	case text:
		kind, body = "text/plain", "denied"
	case !ok:
		body = `{"ok":false,"error":"denied"}`
	}
	w.Header().Set("Content-Type", kind)
	if !ok {
		w.WriteHeader(http.StatusForbidden)
	}
	_, _ = io.WriteString(w, body) // the broker may be gone
}

func (h *Handler) goauthUser(w http.ResponseWriter, r *http.Request) {
	h.goauth(w, r, func(q *question) bool { _, ok := h.login(q); return ok })
}

func (h *Handler) goauthSuperuser(w http.ResponseWriter, r *http.Request) {
	h.goauth(w, r, func(q *question) bool { return h.isService(q.Username) })
}

func (h *Handler) goauthACL(w http.ResponseWriter, r *http.Request) {
	h.goauth(w, r, func(q *question) bool {
		switch q.Acc {
		case accRead, accSubscribe:
			return h.mayDo(q, false, true)
		case accWrite:
			return h.mayDo(q, true, false)
		case accReadWrite:
			return h.mayDo(q, true, true)
		}
		return false
	})
}
