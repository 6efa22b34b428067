package broker

import (
	"errors"
	"maps"
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
// mochi still holds the subscriptions and answers SUBSCRIBE; what it would
// deliver, the hook's OnACLCheck keeps back.
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
	expiry   time.Duration // after the connection; 0: it ends with it
	subs     map[string]packets.Subscription
	queue    []*downlink // oldest first
	client   *mqtt.Client
	window   int // messages that the client takes unacknowledged
	ended    time.Time
	lastID   uint16
	sending  bool // a goroutine writes the queue
}

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

// firstID begins the packet ids that sessions use. Those below are mochi's, which
// sends for itself from 1 up.
const firstID = 0x8000

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
	for filter, sub := range ses.subs {
		if s.server.Topics.Subscribe(cl.ID, sub) {
			atomic.AddInt64(&s.server.Info.Subscriptions, 1)
		}
		cl.State.Subscriptions.Add(filter, sub)
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
	for filter := range ses.subs {
		s.unindex(ses, filter)
	}
	for _, d := range ses.queue {
		s.queued -= d.weight()
	}
	ses.subs, ses.queue = nil, nil
}

func (s *sessions) unindex(ses *session, topic string) {
	rest := slices.DeleteFunc(s.byTopic[topic], func(o *session) bool { return o == ses })
	if len(rest) == 0 {
		delete(s.byTopic, topic)
	} else {
		s.byTopic[topic] = rest
	}
}

// ours reports whether the session delivers what matches the filter: one topic,
// as all that devices and teams may hear.
func ours(filter string) bool { return !strings.ContainsAny(filter, "+#$") }

// subscribe adds subscriptions that mochi has granted, and the retained messages
// that they ask for.
func (s *sessions) subscribe(ses *session, subs packets.Subscriptions, codes []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sub := range subs {
		if i >= len(codes) || codes[i] > packets.CodeGrantedQos2.Code || !ours(sub.Filter) {
			continue
		}
		_, existed := ses.subs[sub.Filter]
		if ses.subs == nil {
			ses.subs = map[string]packets.Subscription{}
		}
		ses.subs[sub.Filter] = sub
		if !existed {
			s.byTopic[sub.Filter] = append(s.byTopic[sub.Filter], ses)
		}
		if sub.RetainHandling == 2 || sub.RetainHandling == 1 && existed {
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

func (s *sessions) unsubscribe(ses *session, subs packets.Subscriptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range subs {
		if _, ok := ses.subs[sub.Filter]; ok {
			delete(ses.subs, sub.Filter)
			s.unindex(ses, sub.Filter)
		}
	}
	s.save(ses)
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
		sub := ses.subs[pk.TopicName]
		d := newDownlink(&pk)
		d.State = state
		s.enqueue(ses, d, &sub, state && sub.RetainAsPublished)
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

// acked is the client's PUBACK. An id that was never sent is mochi's, or nobody's.
func (s *sessions) acked(ses *session, id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range ses.queue {
		if d.sent && d.id == id {
			s.done(ses, d)
			s.kick(ses)
			return
		}
	}
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
		pk := d.packet(ses.subs[d.Topic].Identifier)
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
		ses.lastID++
		if ses.lastID < firstID {
			ses.lastID = firstID
		}
		if !slices.ContainsFunc(ses.queue, func(d *downlink) bool { return d.id == ses.lastID }) {
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

// save stores the session itself.
func (s *sessions) save(ses *session) {
	if ses.expiry == 0 || s.store == nil {
		return
	}
	s.store.put(record{Op: opSession, User: ses.user, Session: ses.stored()})
}

func (ses *session) stored() *storedSession {
	out := &storedSession{ID: ses.id, Expiry: ses.expiry, Subs: slices.Collect(maps.Values(ses.subs))}
	if !ses.ended.IsZero() {
		out.Ended = ses.ended.Unix()
	}
	return out
}
