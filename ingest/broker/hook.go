package broker

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// hook decides who may connect and what they may say and hear, and takes
// uplinks out of mochi's hands.
type hook struct {
	mqtt.HookBase
	server     *mqtt.Server
	credential ingest.Credential
	log        *zap.Logger
	metrics    *metrics

	// set by start, before anyone is served
	to   ingest.Acceptor
	ctx  context.Context //nolint:containedctx // the life of Run, for calls that mochi makes without one
	kill context.CancelFunc

	draining    atomic.Bool
	outstanding ingest.Outstanding

	principals sync.Map // username → ingest.Principal, of clients that have authenticated
	queues     sync.Map // *mqtt.Client → *ingest.AckQueue
}

func (h *hook) ID() string { return "firewatch" }

func (h *hook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{
		mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnWill, mqtt.OnDisconnect,
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

// OnConnectAuthenticate checks the credential and scopes the client id by it:
// nobody takes over another's session by using its client id.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	username := string(pk.Connect.Username)
	p, ok := h.credential.Authenticate(username, pk.Connect.Password)
	if !ok {
		h.metrics.refused.Inc()
		h.log.Info("MQTT client refused: credential", zap.String("username", clip(username)), zap.String("remote", cl.Net.Remote))
		return false
	}
	if pk.Connect.WillFlag && !p.MayPublish(pk.Connect.WillTopic) {
		h.metrics.refused.Inc()
		h.log.Info("MQTT client refused: its last will is on a topic that it may not publish on",
			zap.String("username", clip(username)), zap.String("topic", clip(pk.Connect.WillTopic)))
		return false
	}
	cl.ID = username + "/" + cl.ID
	// A session that outlives its connection would cost memory for every client
	// id that somebody invents, and keeps nothing that the retained state of
	// orders does not.
	cl.Properties.Clean = true
	cl.Properties.Props.SessionExpiryInterval = 0
	h.principals.Store(username, p)
	return true
}

func (h *hook) principal(cl *mqtt.Client) (ingest.Principal, bool) {
	p, ok := h.principals.Load(string(cl.Properties.Username))
	if !ok {
		return ingest.Principal{}, false
	}
	return p.(ingest.Principal), true
}

// OnACLCheck lets each client speak and hear under its own id only.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	p, ok := h.principal(cl)
	if ok && write {
		ok = p.MayPublish(topic)
	} else if ok {
		ok = p.MaySubscribe(topic)
	}
	if !ok {
		h.metrics.denied.Inc()
		h.log.Info("MQTT topic denied", zap.String("username", clip(string(cl.Properties.Username))),
			zap.String("topic", clip(topic)), zap.Bool("publish", write))
	}
	return ok
}

// OnPublish takes an uplink over and keeps mochi from acknowledging it.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	p, ok := h.principal(cl)
	if !ok {
		return pk, packets.ErrRejectPacket
	}
	if p.Service {
		return pk, nil // a downlink; its row in the store is what must not be lost
	}
	if h.draining.Load() {
		return pk, packets.ErrRejectPacket
	}
	h.metrics.uplinks.Inc()
	m := ingest.Message{Topic: pk.TopicName, Payload: pk.Payload, Received: time.Now().UTC()}
	h.outstanding.Take()
	switch pk.FixedHeader.Qos {
	case 0:
		m.Ack = h.outstanding.Done
	case 1:
		queue := h.queue(cl)
		id := pk.PacketID
		m.Ack = func() {
			queue.Add(func() {
				defer h.outstanding.Done()
				// A client that is gone sends again and is answered then.
				_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: id})
			})
		}
	default:
		// Exactly once is rare here and has four packets: let mochi speak them,
		// but only after the message is safe.
		safe := make(chan struct{})
		m.Ack = func() { close(safe); h.outstanding.Done() }
		if !h.put(cl, m) {
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
	h.put(cl, m)
	return pk, packets.ErrRejectPacket
}

// put hands the message over. It blocks while the intake is full, and with it
// this one connection. A message that is not taken ends the connection, so that
// the device sends it again.
func (h *hook) put(cl *mqtt.Client, m ingest.Message) bool {
	if err := h.to.Put(h.ctx, m); err != nil {
		h.outstanding.Done()
		cl.Stop(err)
		return false
	}
	return true
}

func (h *hook) queue(cl *mqtt.Client) *ingest.AckQueue {
	if q, ok := h.queues.Load(cl); ok {
		return q.(*ingest.AckQueue)
	}
	q, _ := h.queues.LoadOrStore(cl, new(ingest.AckQueue))
	return q.(*ingest.AckQueue)
}

// OnWill takes a last will over like any uplink. That firewatch itself stops is
// no news about a device.
func (h *hook) OnWill(_ *mqtt.Client, w mqtt.Will) (mqtt.Will, error) {
	t, err := contract.ParseTopic(w.TopicName)
	if err != nil || t.Orders || h.draining.Load() {
		return mqtt.Will{}, nil //nolint:nilerr // a will that is no uplink is nobody's
	}
	m := ingest.Message{Topic: w.TopicName, Payload: w.Payload, Received: time.Now().UTC()}
	h.outstanding.Take()
	m.Ack = h.outstanding.Done
	if err := h.to.Put(h.ctx, m); err != nil {
		h.outstanding.Done()
		h.log.Warn("a last will was not taken", zap.String("topic", w.TopicName), zap.Error(err))
	}
	return mqtt.Will{}, nil // mochi sends it nowhere
}

// OnDisconnect forgets the connection.
func (h *hook) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	h.queues.Delete(cl)
	if errors.Is(err, packets.ErrPacketTooLarge) {
		h.metrics.tooLarge.Inc()
		h.log.Warn("MQTT client disconnected: its message is larger than is read at all",
			zap.String("username", clip(string(cl.Properties.Username))))
	}
}

func (h *hook) disconnect(username string) {
	for _, cl := range h.server.Clients.GetAll() {
		if string(cl.Properties.Username) == username {
			cl.Stop(packets.ErrNotAuthorized)
		}
	}
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80]
	}
	return s
}
