package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	"firewatch/ingest"
)

const (
	maxUsername = 256 // bytes
	// takeover is how long a login waits for the connection whose place it takes.
	takeover = 5 * time.Second
)

// authenticate checks the credential and scopes the client id by it: nobody
// takes over another's session by using its client id. It returns when the
// client's former connection has ended, so that a session has one connection.
func (h *hook) authenticate(cl *mqtt.Client, pk packets.Packet) bool {
	c := connOf(cl)
	username := string(pk.Connect.Username)
	if c == nil || len(username) > maxUsername {
		return h.refused(cl, username, "credential")
	}
	// From here on a credential that is revoked ends this connection.
	c.user = h.users.knock(username, c)
	p, why := h.identify(c, username, pk.Connect.Password)
	if why != "" {
		return h.refused(cl, username, why)
	}
	if pk.Connect.WillFlag && !p.MayPublish(pk.Connect.WillTopic) {
		return h.refused(cl, username, "its last will is on a topic that it may not publish on")
	}
	if !h.meterLogin(c, cl, &p) {
		return false
	}
	select {
	case <-c.user.turn:
		c.turn = true
	case <-c.Done():
		return false
	}
	id := username + "/" + cl.ID
	same, most := h.users.admit(c.user, c, &p, id)
	if most != nil {
		most.end(packets.ErrQuotaExceeded)
	}
	if same != nil {
		same.end(packets.ErrSessionTakenOver)
		t := time.NewTimer(takeover)
		defer t.Stop()
		select {
		case <-same.left:
		case <-t.C:
		case <-c.Done():
			return false
		}
	}
	if !p.Service {
		clean := pk.Connect.Clean
		c.asked = seconds(cl.Properties.Props.SessionExpiryInterval)
		if cl.Properties.ProtocolVersion < 5 && !clean {
			c.asked = h.sessions.o.For
		}
		c.expiry = min(c.asked, h.sessions.o.For)
		c.session, c.present = h.sessions.open(username, id, clean, c.expiry)
	} else {
		c.asked = seconds(cl.Properties.Props.SessionExpiryInterval)
	}
	// mochi keeps no session: ours does.
	cl.ID = id
	cl.Properties.Clean = true
	cl.Properties.Props.SessionExpiryInterval = 0
	c.login.over.Store(true)
	c.principal = &p
	c.client.Store(cl)
	return !c.ending.Load()
}

// identify checks who the client is, and otherwise says why not.
func (h *hook) identify(c *conn, username string, password []byte) (p ingest.Principal, why string) {
	proved, why := h.certificate.check(c, username)
	if why != "" {
		return p, why
	}
	ok := false
	if proved && len(password) == 0 && h.certificate.credential != nil {
		p, ok = h.certificate.credential.AuthenticateCertificate(username)
	} else {
		p, ok = h.credential.Authenticate(username, password)
	}
	switch {
	case !ok:
		return p, "credential"
	case h.certificate.require && !proved && !p.Service:
		return p, "it has no certificate"
	}
	return p, ""
}

func (h *hook) refused(cl *mqtt.Client, username, why string) bool {
	h.metrics.refused.Inc()
	h.log.Info("MQTT client refused: "+why, zap.String("username", clip(username)), zap.String("remote", cl.Net.Remote))
	return false
}

// meterLogin reports whether the user's limits allow the login. One that is
// refused is told that the server is not available to it: its credential is
// good.
func (h *hook) meterLogin(c *conn, cl *mqtt.Client, p *ingest.Principal) bool {
	c.limits = h.users.limits(p)
	if c.limits == nil {
		return true
	}
	h.users.remember(c.user, p)
	now := time.Now()
	v, change := c.user.meter.login(h.users.flood, c.limits, now)
	if change {
		h.users.tell(c.user, p, now, 0)
	}
	switch v {
	case pass, slow:
		return true
	case hear:
		// It ends even when the cut is over before: what it said beyond the few is
		// not acknowledged, and only a new connection says it again.
		c.little.Store(true)
		c.mute.Store(true)
		time.AfterFunc(heardTime, func() { c.silence(packets.ErrQuotaExceeded) })
		return true
	case refuse, cutOff:
	}
	h.metrics.kept.Inc()
	code := packets.ErrServerUnavailable
	if cl.Properties.ProtocolVersion == 5 {
		code = packets.ErrQuotaExceeded
	}
	_ = h.server.SendConnack(cl, code, false, nil)
	cl.Stop(code) // so that mochi does not answer once more
	return false
}

// established lets the session speak: mochi knows the client now.
func (h *hook) established(c *conn, cl *mqtt.Client) {
	if c.session != nil {
		h.sessions.attach(c.session, cl)
	}
	c.endTurn()
	if c.ending.Load() { // it was revoked in between
		cl.Stop(packets.ErrNotAuthorized)
	}
}

func (c *conn) endTurn() {
	if c.turn {
		c.turn = false
		c.user.turn <- struct{}{}
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
