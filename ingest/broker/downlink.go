package broker

import (
	"errors"
	"slices"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A downlink is one message that waits in one session. Its exported fields are
// stored.
type downlink struct {
	N       uint64              `json:"n"`
	Topic   string              `json:"topic"`
	Payload []byte              `json:"payload"`
	Qos     byte                `json:"qos"`
	Retain  bool                `json:"retain,omitempty"` // as the client sees it
	State   bool                `json:"state,omitempty"`  // was published to be retained: a later one takes its place
	Created int64               `json:"created"`          // seconds since 1970
	Expiry  int64               `json:"expiry,omitempty"` // seconds since 1970; 0: never
	Props   *packets.Properties `json:"props,omitempty"`  // of MQTT 5, when there are any

	id   uint16 // once sent
	sent bool   // on this connection
	dup  bool   // on an earlier one
}

func newDownlink(pk *packets.Packet) *downlink {
	d := &downlink{
		Topic: pk.TopicName, Payload: pk.Payload, Qos: pk.FixedHeader.Qos, Created: pk.Created, Expiry: pk.Expiry,
	}
	p := &pk.Properties
	if pk.ProtocolVersion == 5 && (p.PayloadFormatFlag || p.ContentType != "" || p.ResponseTopic != "" || len(p.CorrelationData) > 0 || len(p.User) > 0) {
		d.Props = &packets.Properties{
			PayloadFormat: p.PayloadFormat, PayloadFormatFlag: p.PayloadFormatFlag, ContentType: p.ContentType,
			ResponseTopic: p.ResponseTopic, CorrelationData: slices.Clone(p.CorrelationData), User: slices.Clone(p.User),
		}
	}
	return d
}

// weight is what the message counts, in bytes: some for the bookkeeping.
func (d *downlink) weight() int { return len(d.Topic) + len(d.Payload) + 256 }

// enqueue puts the message at the end of the session's queue.
func (s *sessions) enqueue(ses *session, d *downlink, sub *packets.Subscription, retain bool) {
	d.Qos = min(d.Qos, sub.Qos, 1)
	d.Retain = retain
	if d.Qos == 0 && ses.client == nil {
		return
	}
	for len(ses.queue) >= s.o.Messages || s.queued+d.weight() > s.o.Bytes {
		victim := ses.victim()
		if victim == nil {
			s.drop()
			return
		}
		s.drop()
		s.done(ses, victim)
	}
	s.next++
	d.N = s.next
	ses.queue = append(ses.queue, d)
	s.queued += d.weight()
	if ses.expiry > 0 && d.Qos > 0 {
		s.store.put(record{Op: opQueue, User: ses.user, Message: d})
	}
}

// victim is what gives way when there is no room: state that a later message has
// replaced, then the oldest. What the client may have by now stays.
func (ses *session) victim() *downlink {
	var oldest *downlink
	for i, d := range ses.queue {
		if d.sent {
			continue
		}
		if oldest == nil {
			oldest = d
		}
		if d.State && slices.ContainsFunc(ses.queue[i+1:], func(l *downlink) bool { return l.State && l.Topic == d.Topic }) {
			return d
		}
	}
	return oldest
}

// done takes the message off the queue.
func (s *sessions) done(ses *session, d *downlink) {
	i := slices.Index(ses.queue, d)
	if i < 0 {
		return
	}
	ses.queue = slices.Delete(ses.queue, i, i+1)
	s.queued -= d.weight()
	if len(ses.queue) == 0 {
		ses.queue = nil
	}
	if ses.expiry > 0 && d.Qos > 0 {
		s.store.put(record{Op: opDone, User: ses.user, N: d.N})
	}
}

// acked is the client's PUBACK. It reports whether that answers anything.
func (s *sessions) acked(ses *session, id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range ses.queue {
		if d.sent && d.id == id {
			s.done(ses, d)
			s.kick(ses)
			return true
		}
	}
	return false
}

// kick sees to it that a goroutine writes what can be sent.
func (s *sessions) kick(ses *session) {
	if ses.sending || ses.client == nil || len(ses.queue) == 0 {
		return
	}
	ses.sending = true
	go s.send(ses)
}

// kicked is kick for those who do not hold the lock.
func (s *sessions) kicked(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kick(ses)
}

// send writes while there is something to write and somebody to read it: the
// peer alone is waited for, and nobody who publishes.
func (s *sessions) send(ses *session) {
	for {
		s.mu.Lock()
		cl := ses.client
		d := s.unsent(ses, time.Now().Unix())
		if cl == nil || cl.Closed() || d == nil {
			ses.sending = false
			s.mu.Unlock()
			return
		}
		d.sent = true
		if d.Qos > 0 && d.id == 0 {
			d.id = ses.newID()
		}
		subscription := 0
		if sub := ses.on(d.Topic); sub != nil {
			subscription = sub.Identifier
		}
		pk := d.packet(subscription)
		s.mu.Unlock()
		err := cl.WritePacket(pk)
		s.mu.Lock()
		switch {
		case errors.Is(err, packets.ErrPacketTooLarge): // the client said that it takes none of this size
			s.drop()
			s.done(ses, d)
		case d.Qos == 0:
			s.done(ses, d)
		}
		s.mu.Unlock()
	}
}

// unsent is the next message to send, or nil. Those that have expired go.
func (s *sessions) unsent(ses *session, now int64) *downlink {
	inflight := 0
	for _, d := range slices.Clone(ses.queue) {
		switch {
		case d.sent && d.Qos > 0:
			inflight++
		case d.sent:
		case d.Expiry > 0 && d.Expiry <= now:
			s.done(ses, d)
		case d.Qos > 0 && inflight >= ses.window:
			return nil
		default:
			return d
		}
	}
	return nil
}

func (ses *session) newID() uint16 {
	for {
		if ses.lastID++; ses.lastID != 0 && !slices.ContainsFunc(ses.queue, func(d *downlink) bool { return d.id == ses.lastID }) {
			return ses.lastID
		}
	}
}

func (d *downlink) packet(subscription int) packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: d.Qos, Retain: d.Retain, Dup: d.dup && d.Qos > 0},
		TopicName:   d.Topic, Payload: d.Payload, PacketID: d.id, Created: d.Created, Expiry: d.Expiry,
	}
	if d.Props != nil {
		pk.Properties = *d.Props
	}
	if subscription > 0 {
		pk.Properties.SubscriptionIdentifier = []int{subscription}
	}
	return pk
}
