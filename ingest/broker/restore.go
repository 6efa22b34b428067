package broker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"
)

// restore reads the sessions and retained messages that the folder holds, and
// keeps them there from now on.
func (s *sessions) restore(dir string, log *zap.Logger) error {
	store, err := openStore(dir, log, s.apply)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, ses := range s.kept {
		if ses.ended.IsZero() { // it was connected to the end
			ses.ended = now
		}
	}
	s.tick(now)
	atomic.StoreInt64(&s.server.Info.Retained, int64(s.server.Topics.Retained.Len()))
	s.store = store
	store.start(s.snapshot)
	return nil
}

// apply takes one stored change.
func (s *sessions) apply(rec record) {
	ses := s.kept[rec.User]
	switch rec.Op {
	case opSession:
		if rec.Session == nil {
			return
		}
		if ses == nil || ses.id != rec.Session.ID {
			if ses != nil {
				s.remove(ses)
			}
			ses = &session{id: rec.Session.ID, user: rec.User}
			s.kept[rec.User] = ses
		}
		s.unindexAll(ses)
		for _, sub := range rec.Session.Subs {
			if oneTopic(sub.Filter) && ses.on(sub.Filter) == nil {
				ses.subs = append(ses.subs, sub)
				s.index(ses, sub.Filter)
			}
		}
		ses.expiry, ses.ended = min(rec.Session.Expiry, s.o.For), time.Time{}
		if rec.Session.Ended > 0 {
			ses.ended = time.Unix(rec.Session.Ended, 0)
		}
	case opForget:
		if ses != nil {
			s.remove(ses)
		}
	case opQueue:
		if ses == nil || rec.Message == nil || len(ses.queue) >= s.o.Messages {
			return
		}
		s.next = max(s.next, rec.Message.N)
		ses.queue = append(ses.queue, rec.Message)
		s.queued += rec.Message.weight()
	case opDone:
		if ses == nil {
			return
		}
		if i := slices.IndexFunc(ses.queue, func(d *downlink) bool { return d.N == rec.N }); i >= 0 {
			s.done(ses, ses.queue[i])
		}
	case opRetain:
		if rec.Message != nil && rec.Message.Topic != "" {
			s.server.Topics.RetainMessage(rec.Message.retained())
		}
	case opUnretain:
		if rec.Topic != "" {
			s.server.Topics.RetainMessage(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: rec.Topic})
		}
	}
}

// retained is the message as mochi keeps it.
func (d *downlink) retained() packets.Packet {
	pk := d.packet(0)
	pk.FixedHeader.Retain = true
	pk.FixedHeader.Qos = d.Qos
	pk.ProtocolVersion = 5 // for its expiry, which only MQTT 5 has
	return pk
}

// snapshot gives all that must be stored to know everything.
func (s *sessions) snapshot(emit func(record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.begin()
	for user, ses := range s.kept {
		emit(record{Op: opSession, User: user, Session: ses.stored()})
		for _, d := range ses.queue {
			if d.Qos > 0 {
				emit(record{Op: opQueue, User: user, Message: d})
			}
		}
	}
	for topic, pk := range s.server.Topics.Retained.GetAll() {
		if !strings.HasPrefix(topic, "$") {
			emit(record{Op: opRetain, Message: newDownlink(&pk)})
		}
	}
}
