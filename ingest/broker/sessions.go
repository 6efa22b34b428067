package broker

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// sessions deliver downlinks to devices and teams, and keep what one that is
// away has not heard. mochi's own sessions are not used for it: at a takeover
// they lose what is published in that moment, after a reconnection they send in
// no order (inflight.go sorts by whole seconds), which on a topic that holds
// state ends with an old one, and each costs as much memory as a connection.
// mochi delivers to our own roles, and does not know of these subscriptions.
//
// At most one session of a username outlives its connection: the newest. So
// nobody fills the memory with client ids.
type sessions struct {
	server *mqtt.Server
	o      SessionOptions
	drop   func() // counts a message that had no room
	store  *store // nil: memory only

	mu      sync.Mutex
	byTopic map[string][]*session
	kept    map[string]*session // by username
	queued  int                 // bytes of all messages that wait
	next    uint64              // number of the next message
}

// SessionOptions bound what is kept for clients that are away. Zero fields have
// defaults.
type SessionOptions struct {
	For      time.Duration // how long; default 72 h, at most 49 days
	Messages int           // that wait in one session; default 64
	Bytes    int           // of the messages that wait in all sessions; default 64 MiB
}

func (o SessionOptions) withDefaults() SessionOptions {
	if o.For <= 0 {
		o.For = 72 * time.Hour
	}
	o.For = min(o.For, 49*24*time.Hour)
	if o.Messages <= 0 {
		o.Messages = 64
	}
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	return o
}

// A session is what one client id of a username has subscribed to, and what it
// has not acknowledged. Its fields are guarded by sessions.mu.
type session struct {
	id, user string
	expiry   time.Duration          // after the connection; 0: it ends with it
	subs     []packets.Subscription // a device has one
	queue    []*downlink            // oldest first
	client   *mqtt.Client
	window   int // messages that the client takes unacknowledged
	ended    time.Time
	lastID   uint16
	sending  bool // a goroutine writes the queue
}

func newSessions(server *mqtt.Server, o SessionOptions, drop func()) *sessions {
	return &sessions{
		server: server, o: o.withDefaults(), drop: drop,
		byTopic: map[string][]*session{}, kept: map[string]*session{},
	}
}

// open gives the client its session: the one it left, when it wants that and
// there is one. The caller has the username's turn, and no other connection uses
// the id.
func (s *sessions) open(username, id string, clean bool, expiry time.Duration) (_ *session, present bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.kept[username]
	if old != nil && old.id == id {
		if clean || old.over(time.Now()) {
			s.remove(old)
		} else {
			present = true
		}
	}
	ses := old
	if !present {
		ses = &session{id: id, user: username}
	}
	switch {
	case expiry > 0:
		if old != nil && old != ses { // the newest client id wins
			old.expiry = 0
			s.forget(old)
			if old.client == nil {
				s.remove(old)
			}
		}
		s.kept[username] = ses
	case present:
		s.forget(ses)
	}
	ses.expiry, ses.ended = expiry, time.Time{}
	s.save(ses)
	return ses, present
}

// attach makes the client the one that hears the session.
func (s *sessions) attach(ses *session, cl *mqtt.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ses.client = cl
	ses.window = s.o.Messages
	if m := int(cl.Properties.Props.ReceiveMaximum); m > 0 {
		ses.window = min(ses.window, m)
	}
	for _, d := range ses.queue {
		d.dup = d.dup || d.sent
		d.sent = false
	}
	s.kick(ses)
}

// detach ends the client's part in the session.
func (s *sessions) detach(ses *session, cl *mqtt.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses.client != nil && ses.client != cl {
		return // another has taken it over; nil: the login failed half-way
	}
	ses.client = nil
	ses.ended = time.Now()
	if ses.expiry == 0 {
		s.remove(ses)
		return
	}
	for _, d := range slices.Clone(ses.queue) {
		if d.Qos == 0 {
			s.done(ses, d)
		}
	}
	s.save(ses)
}

// setExpiry is what a client of MQTT 5 may still say when it leaves.
func (s *sessions) setExpiry(ses *session, expiry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses.expiry == 0 {
		return // it ends, or another has taken its place
	}
	if ses.expiry = min(expiry, s.o.For); ses.expiry == 0 {
		s.forget(ses)
	}
}

// end drops the session that the username has left.
func (s *sessions) end(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses, ok := s.kept[username]; ok {
		ses.expiry = 0
		s.forget(ses)
		if ses.client == nil {
			s.remove(ses)
		}
	}
}

// tick drops sessions whose time is over.
func (s *sessions) tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ses := range s.kept {
		if ses.over(now) {
			s.remove(ses)
		}
	}
}

func (ses *session) over(now time.Time) bool {
	return ses.client == nil && !ses.ended.IsZero() && now.Sub(ses.ended) > ses.expiry
}

// forget makes the session one that is not kept.
func (s *sessions) forget(ses *session) {
	if s.kept[ses.user] == ses {
		delete(s.kept, ses.user)
		s.store.put(record{Op: opForget, User: ses.user})
	}
}

// remove ends the session.
func (s *sessions) remove(ses *session) {
	s.forget(ses)
	s.unindexAll(ses)
	for _, d := range ses.queue {
		s.queued -= d.weight()
	}
	ses.queue = nil
}

func (s *sessions) index(ses *session, topic string) {
	s.byTopic[topic] = append(s.byTopic[topic], ses)
	atomic.AddInt64(&s.server.Info.Subscriptions, 1)
}

func (s *sessions) unindexAll(ses *session) {
	for i := range ses.subs {
		s.unindex(ses, ses.subs[i].Filter)
	}
	ses.subs = nil
}

// on finds the subscription to the topic, or nil.
func (ses *session) on(topic string) *packets.Subscription {
	for i := range ses.subs {
		if ses.subs[i].Filter == topic {
			return &ses.subs[i]
		}
	}
	return nil
}

func (s *sessions) unindex(ses *session, topic string) {
	rest := slices.DeleteFunc(s.byTopic[topic], func(o *session) bool { return o == ses })
	if len(rest) == 0 {
		delete(s.byTopic, topic)
	} else {
		s.byTopic[topic] = rest
	}
	atomic.AddInt64(&s.server.Info.Subscriptions, -1)
}

// oneTopic reports whether the filter is a single topic, as all that devices and
// teams may hear.
func oneTopic(filter string) bool { return !strings.ContainsAny(filter, "+#$") }

// subscribe adds the subscriptions that are granted, and the retained messages
// that they ask for.
func (s *sessions) subscribe(ses *session, subs packets.Subscriptions, codes []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sub := range subs {
		if codes[i] > packets.CodeGrantedQos2.Code {
			continue
		}
		old := ses.on(sub.Filter)
		if old != nil {
			*old = sub
		} else {
			ses.subs = append(ses.subs, sub)
			s.index(ses, sub.Filter)
		}
		if sub.RetainHandling == 2 || sub.RetainHandling == 1 && old != nil {
			continue
		}
		if pk, ok := s.server.Topics.Retained.Get(sub.Filter); ok {
			d := newDownlink(&pk)
			d.State = true
			s.enqueue(ses, d, &sub, true)
		}
	}
	s.save(ses)
}

// unsubscribe takes subscriptions away and returns the reasons for UNSUBACK.
func (s *sessions) unsubscribe(ses *session, subs packets.Subscriptions) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	codes := make([]byte, len(subs))
	for i, sub := range subs {
		if ses.on(sub.Filter) == nil {
			codes[i] = packets.CodeNoSubscriptionExisted.Code
			continue
		}
		ses.subs = slices.DeleteFunc(ses.subs, func(o packets.Subscription) bool { return o.Filter == sub.Filter })
		s.unindex(ses, sub.Filter)
	}
	s.save(ses)
	return codes
}

// publish gives a downlink to the sessions that hear its topic, and returns what
// is left to mochi: subscribers that have no session here. It retains by itself,
// so that of two publishers' messages the later one stays, for all.
func (s *sessions) publish(pk packets.Packet) packets.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := pk.FixedHeader.Retain
	if state {
		pk.FixedHeader.Retain = false
		kept := pk.Copy(false)
		kept.FixedHeader.Retain = true
		s.retain(kept)
	}
	for _, ses := range s.byTopic[pk.TopicName] {
		sub := ses.on(pk.TopicName)
		d := newDownlink(&pk)
		d.State = state
		s.enqueue(ses, d, sub, state && sub.RetainAsPublished)
		s.kick(ses)
	}
	return pk
}

func (s *sessions) retain(pk packets.Packet) {
	s.server.Topics.RetainMessage(pk)
	atomic.StoreInt64(&s.server.Info.Retained, int64(s.server.Topics.Retained.Len()))
	if len(pk.Payload) == 0 {
		s.store.put(record{Op: opUnretain, Topic: pk.TopicName})
		return
	}
	d := newDownlink(&pk)
	s.store.put(record{Op: opRetain, Message: d})
}

// retainedExpired is told by mochi.
func (s *sessions) retainedExpired(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.put(record{Op: opUnretain, Topic: topic})
}

// save stores the session itself.
func (s *sessions) save(ses *session) {
	if ses.expiry == 0 || s.store == nil {
		return
	}
	s.store.put(record{Op: opSession, User: ses.user, Session: ses.stored()})
}

func (ses *session) stored() *storedSession {
	out := &storedSession{ID: ses.id, Expiry: ses.expiry, Subs: slices.Clone(ses.subs)}
	if !ses.ended.IsZero() {
		out.Ended = ses.ended.Unix()
	}
	return out
}
