package broker

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"
)

// serve speaks with one client from its CONNECT on. It stands for mochi's
// attachClient (server.go of v2.7.9) and does the same in the same order, but
// for what 20,000 clients that mostly say nothing pay for: mochi keeps a second
// goroutine for each and, while it waits, the stack that its packets needed. And
// mochi deletes a client that has left by its id, which may be the id of one
// that has come since.
func (h *hook) serve(c *conn) {
	cl, err := h.enter(c)
	if err != nil {
		return
	}
	for !cl.Closed() {
		// Here a client waits most of its life: what follows must not be inlined.
		if err = c.await(); err != nil {
			break
		}
		if err = h.step(c, cl); err != nil {
			break
		}
	}
	h.exit(c, cl, err)
}

// await waits for what is mochi's to read. wire ends each read with a packet, so
// nothing of it is in mochi's buffer yet.
func (c *conn) await() error {
	c.extend()
	n, err := c.Conn.Read(c.first[:])
	c.ready = n
	if n > 0 {
		return nil
	}
	return err
}

// extend sets the deadline by the client's keep-alive.
func (c *conn) extend() {
	var t time.Time
	if c.keepAlive > 0 {
		t = time.Now().Add(c.keepAlive + c.keepAlive/2) // [MQTT-3.1.2-22]
	}
	_ = c.SetDeadline(t)
}

// Read implements net.Conn for mochi.
func (c *conn) Read(p []byte) (int, error) {
	if c.ready > 0 {
		n := copy(p, c.first[:c.ready])
		copy(c.first[:], c.first[n:c.ready])
		c.ready -= n
		return n, nil
	}
	return c.Conn.Read(p)
}

// enter takes the CONNECT and answers it.
//
//go:noinline
func (h *hook) enter(c *conn) (*mqtt.Client, error) {
	s := h.server
	cl := s.NewClient(c, listenerID, "", false)
	pk, err := readPacket(cl)
	if err == nil && pk.FixedHeader.Type != packets.Connect {
		err = packets.ErrProtocolViolationRequireFirstConnect // [MQTT-3.1.0-1]
	}
	if err != nil {
		cl.Stop(err)
		return nil, fmt.Errorf("reading CONNECT: %w", err)
	}
	cl.ParseConnect(listenerID, pk)
	code := h.validate(cl, &pk)
	if code != packets.CodeSuccess {
		_ = s.SendConnack(cl, code, false, nil)
		cl.Stop(code)
		return nil, code
	}
	c.keepAlive = seconds(uint32(cl.State.Keepalive))
	c.extend()
	if !h.authenticate(cl, pk) {
		_ = s.SendConnack(cl, packets.ErrBadUsernameOrPassword, false, nil)
		cl.Stop(packets.ErrBadUsernameOrPassword)
		return nil, packets.ErrBadUsernameOrPassword
	}
	n := atomic.AddInt64(&s.Info.ClientsConnected, 1)
	c.counted = true
	if most := atomic.LoadInt64(&s.Info.ClientsMaximum); n > most {
		atomic.CompareAndSwapInt64(&s.Info.ClientsMaximum, most, n)
	}
	if c.session == nil {
		go cl.WriteLoop() // only our own roles are written to through mochi's queue
	}
	s.Clients.Add(cl)
	if err := s.SendConnack(cl, packets.CodeSuccess, c.present, nil); err != nil {
		cl.Stop(err)
		return nil, fmt.Errorf("writing CONNACK: %w", err)
	}
	h.established(c, cl)
	return cl, nil
}

// validate is mochi's validateConnect, and its bound of clients.
func (h *hook) validate(cl *mqtt.Client, pk *packets.Packet) packets.Code {
	most := h.server.Options.Capabilities
	old := cl.Properties.ProtocolVersion < 5
	if atomic.LoadInt64(&h.server.Info.ClientsConnected) >= most.MaximumClients {
		h.metrics.full.Inc()
		if old {
			return packets.ErrServerUnavailable
		}
		return packets.ErrServerBusy
	}
	if code := pk.ConnectValidate(); code != packets.CodeSuccess {
		return code
	}
	switch {
	case old && !pk.Connect.Clean && pk.Connect.ClientIdentifier == "":
		return packets.ErrUnspecifiedError
	case cl.Properties.ProtocolVersion < most.MinimumProtocolVersion:
		return packets.ErrUnsupportedProtocolVersion // [MQTT-3.1.2-2]
	}
	return packets.CodeSuccess
}

func readPacket(cl *mqtt.Client) (packets.Packet, error) {
	var fh packets.FixedHeader
	if err := cl.ReadFixedHeader(&fh); err != nil {
		return packets.Packet{}, err
	}
	return cl.ReadPacket(&fh)
}

// step reads one packet and does what it asks for.
//
//go:noinline
func (h *hook) step(c *conn, cl *mqtt.Client) error {
	pk, err := readPacket(cl)
	if err != nil {
		return err
	}
	if c.session != nil {
		switch pk.FixedHeader.Type {
		case packets.Subscribe:
			err = h.subscribe(c, cl, &pk)
		case packets.Unsubscribe:
			err = h.unsubscribe(c, cl, &pk)
		case packets.Puback:
			if !h.sessions.acked(c.session, pk.PacketID) {
				err = c.metered(&pk)
			}
		default:
			err = h.inject(cl, &pk)
		}
	} else {
		err = h.inject(cl, &pk)
	}
	var code packets.Code
	if errors.As(err, &code) && cl.Properties.ProtocolVersion == 5 && code.Code >= packets.ErrUnspecifiedError.Code {
		_ = h.server.DisconnectClient(cl, code)
	}
	return err
}

// inject has mochi process the packet, which counts it a second time.
func (h *hook) inject(cl *mqtt.Client, pk *packets.Packet) error {
	err := h.server.InjectPacket(cl, *pk)
	if err == nil {
		atomic.AddInt64(&h.server.Info.PacketsReceived, -1)
		if pk.FixedHeader.Type == packets.Publish {
			atomic.AddInt64(&h.server.Info.MessagesReceived, -1)
		}
	}
	return err
}

// subscribe answers SUBSCRIBE of a client with a session.
func (h *hook) subscribe(c *conn, cl *mqtt.Client, pk *packets.Packet) error {
	if code := pk.SubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	codes := make([]byte, len(pk.Filters))
	for i := range pk.Filters {
		sub := &pk.Filters[i]
		switch {
		case !mqtt.IsValidFilter(sub.Filter, false):
			codes[i] = packets.ErrTopicFilterInvalid.Code
		case !h.OnACLCheck(cl, sub.Filter, false):
			codes[i] = packets.ErrNotAuthorized.Code
		case !oneTopic(sub.Filter):
			codes[i] = packets.ErrWildcardSubscriptionsNotSupported.Code
		default:
			sub.Qos = min(sub.Qos, 1) // what sessions deliver: at least once
			codes[i] = sub.Qos
		}
		if codes[i] > packets.CodeGrantedQos2.Code && cl.Properties.ProtocolVersion < 5 {
			codes[i] = packets.ErrUnspecifiedError.Code
		}
	}
	h.sessions.subscribe(c.session, pk.Filters, codes)
	err := cl.WritePacket(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Suback}, PacketID: pk.PacketID, ReasonCodes: codes,
	})
	h.sessions.kicked(c.session) // retained messages, after the answer
	return err
}

// unsubscribe answers UNSUBSCRIBE of a client with a session.
func (h *hook) unsubscribe(c *conn, cl *mqtt.Client, pk *packets.Packet) error {
	if code := pk.UnsubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	return cl.WritePacket(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsuback}, PacketID: pk.PacketID,
		ReasonCodes: h.sessions.unsubscribe(c.session, pk.Filters),
	})
}

// exit is what follows when a client that had entered has left. Without an error
// it said so itself, and its will is void.
//
//go:noinline
func (h *hook) exit(c *conn, cl *mqtt.Client, err error) {
	if err != nil {
		if atomic.CompareAndSwapUint32(&cl.Properties.Will.Flag, 1, 0) {
			if !c.mute.Load() {
				h.will(c.principal, &cl.Properties.Will)
			}
		}
		cl.Stop(err)
	}
	if errors.Is(err, packets.ErrPacketTooLarge) {
		h.metrics.tooLarge.Inc()
		h.log.Warn("MQTT client disconnected: its message is larger than is read at all",
			zap.String("username", clip(c.user.name)))
	}
}

// leave is called when the goroutine that served the connection is done with it.
func (h *hook) leave(c *conn) {
	if c.counted {
		atomic.AddInt64(&h.server.Info.ClientsConnected, -1)
	}
	if cl := c.client.Load(); cl != nil {
		cl.Stop(nil) // unless it has been
		if known, ok := h.server.Clients.Get(cl.ID); ok && known == cl {
			cl.ClearInflights()
			h.server.UnsubscribeClient(cl)
			h.server.Clients.Delete(cl.ID)
		}
		if c.session != nil {
			h.sessions.detach(c.session, cl)
		}
	}
	c.endTurn()
	h.users.leave(c)
	close(c.left)
}
