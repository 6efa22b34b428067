package broker

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	"firewatch/ingest"
)

// hook decides who may connect and what they may say and hear, and takes
// uplinks out of mochi's hands.
type hook struct {
	mqtt.HookBase
	server      *mqtt.Server
	credential  ingest.Credential
	certificate certificates
	users       users
	sessions    *sessions
	log         *zap.Logger
	metrics     *metrics

	// set by start, before anyone is served
	to   ingest.Acceptor
	ctx  context.Context //nolint:containedctx // the life of Run, for calls that mochi makes without one
	kill context.CancelFunc

	draining    atomic.Bool
	outstanding ingest.Outstanding
	done        func()       // of outstanding
	held        atomic.Int64 // bytes that all connections hold
}

func (h *hook) ID() string { return "firewatch" }

func (h *hook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{
		mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnRetainedExpired,
	}, b) >= 0
}

func (h *hook) start(ctx context.Context, to ingest.Acceptor) {
	h.to = to
	// Messages that were taken before the stop must still be handed over.
	h.ctx, h.kill = context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { h.draining.Store(true) })
}

// drain waits until every taken message is acknowledged, and returns how many
// are not after the time.
func (h *hook) drain(patience time.Duration) int64 {
	defer h.kill()
	return h.outstanding.Drain(patience)
}

// acked is told by wire of acknowledgements that are written, or have nobody left
// to go to: such a client sends again and is answered then.
func (h *hook) acked(n int) {
	for range n {
		h.done()
	}
}

// connOf is the connection under the client, or nil for one of mochi's own.
func connOf(cl *mqtt.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// OnACLCheck lets each client speak and hear under its own id only.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	c := connOf(cl)
	if c == nil || c.principal == nil {
		return false
	}
	var ok bool
	if write {
		ok = c.principal.MayPublish(topic)
	} else {
		ok = c.principal.MaySubscribe(topic)
	}
	if ok {
		return true
	}
	h.metrics.denied.Inc()
	if !c.denied { // one line a connection: it may go on for ever
		c.denied = true
		h.log.Info("MQTT topic denied", zap.String("username", clip(string(cl.Properties.Username))),
			zap.String("topic", clip(topic)), zap.Bool("publish", write))
	}
	return false
}

// OnPublish takes an uplink over that wire has left to mochi, and keeps mochi
// from acknowledging it.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	c := connOf(cl)
	if c == nil || c.principal == nil {
		return pk, packets.ErrRejectPacket
	}
	if c.principal.Service {
		// A downlink; its row in the store is what must not be lost.
		return h.sessions.publish(pk), nil
	}
	if c.ending.Load() || h.draining.Load() {
		return pk, packets.ErrRejectPacket
	}
	m := ingest.Message{Topic: pk.TopicName, Payload: pk.Payload, Received: time.Now().UTC()}
	sos := c.topic(pk.TopicName).sos
	switch pk.FixedHeader.Qos {
	case 0:
		m.Ack = h.done
	case 1:
		id := pk.PacketID
		// In one order with those of wire [MQTT-4.6.0-2].
		m.Ack = func() { c.Ack(id) }
	default:
		// Exactly once is rare here and has four packets: let mochi speak them,
		// but only after the message is safe.
		if ok, err := c.turned(len(m.Topic)+len(m.Payload), sos); !ok {
			if err != nil {
				c.end(packets.ErrMessageRateTooHigh)
			}
			return pk, packets.ErrRejectPacket
		}
		safe := make(chan struct{})
		m.Ack = func() { close(safe); h.done() }
		if c.put(m) != nil {
			return pk, packets.ErrRejectPacket
		}
		select {
		case <-safe:
			pk.Ignore = true
			return pk, packets.CodeSuccessIgnore
		case <-h.ctx.Done():
			return pk, packets.ErrRejectPacket
		}
	}
	if c.uplink(m, sos) != nil {
		c.end(packets.ErrMessageRateTooHigh) // unless it is
	}
	return pk, packets.ErrRejectPacket
}

// will takes a last will over like any uplink. That firewatch itself stops is
// no news about a device.
func (h *hook) will(p *ingest.Principal, w *mqtt.Will) {
	if p.Service || !p.MayPublish(w.TopicName) || h.draining.Load() {
		return // a will that is no uplink is nobody's
	}
	m := ingest.Message{Topic: w.TopicName, Payload: w.Payload, Received: time.Now().UTC(), Ack: h.done}
	h.outstanding.Take()
	if err := h.to.Put(h.ctx, m); err != nil {
		h.done()
		h.log.Warn("a last will was not taken", zap.String("topic", w.TopicName), zap.Error(err))
	}
}

// OnPacketRead sees what wire leaves to mochi: it counts against the limits too,
// and some of it is about the session.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil || c.principal == nil {
		return pk, nil
	}
	switch pk.FixedHeader.Type {
	case packets.Puback: // counted when it answers nothing
	case packets.Publish:
		if c.limits != nil && !c.topic(pk.TopicName).allowed { // others are judged in OnPublish
			return pk, c.metered(&pk)
		}
	case packets.Disconnect:
		if p := &pk.Properties; c.session != nil && p.SessionExpiryIntervalFlag && c.asked > 0 {
			h.sessions.setExpiry(c.session, seconds(p.SessionExpiryInterval))
			p.SessionExpiryIntervalFlag = false // mochi, which has none, would take it for a fault
		}
	default:
		return pk, c.metered(&pk)
	}
	return pk, nil
}

// OnPacketEncode tells the client in CONNACK how long its session lives.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack || pk.ReasonCode >= packets.ErrUnspecifiedError.Code {
		return pk
	}
	if c := connOf(cl); c != nil && c.principal != nil {
		pk.SessionPresent = pk.SessionPresent && cl.Properties.ProtocolVersion >= 4
		if cl.Properties.ProtocolVersion == 5 && c.asked != c.expiry {
			pk.Properties.SessionExpiryInterval = uint32(c.expiry / time.Second) //nolint:gosec // at most 49 days
			pk.Properties.SessionExpiryIntervalFlag = true
		}
	}
	return pk
}

// OnRetainedExpired forgets it on disk too.
func (h *hook) OnRetainedExpired(topic string) { h.sessions.retainedExpired(topic) }

// disconnect ends the connections of the username, and its session.
func (h *hook) disconnect(username string) {
	for _, c := range h.users.of(username) {
		c.silence(packets.ErrNotAuthorized)
	}
	h.sessions.end(username)
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80]
	}
	return s
}
