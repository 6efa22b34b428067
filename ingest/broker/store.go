package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/zap"
)

// store keeps sessions and retained messages in one file: a snapshot, and after
// it what has changed since. A goroutine writes what has come while it wrote
// before, so 20,000 devices that connect at once share some hundred writes; the
// disk is waited for once a second, and nobody waits for it. A kill loses
// nothing that was written, a power cut the last second: what must not be lost
// does not hang on sessions, downlinks are said again from their rows.
//
// mochi's own storage hooks (v2.7.9) are not used. All write once for each
// event, on the goroutine that serves the client. bolt stores messages without
// their packet id, so of a session's queue only one is left after a restart
// (hooks/storage/bolt/bolt.go, OnQosPublish); badger and pebble bring a database
// each for some megabytes that are read once. None removes the subscriptions and
// messages of a session that has expired.
type store struct {
	dir      string
	log      *zap.Logger
	snapshot func(emit func(record)) // begins, and gives all there is

	mu      sync.Mutex
	pending []byte
	dead    bool // the file has a hole: what is pending is thrown away until the next snapshot

	some chan struct{}
	stop chan struct{}
	done chan struct{}

	// Of the goroutine that writes.
	file    *os.File
	size    int64 // of the file
	base    int64 // of the snapshot in it
	unsafe  bool  // written and not yet synced
	retryAt time.Time
	told    time.Time
	buf     []byte
}

const (
	storeFile  = "sessions.log"
	storeMagic = "firewatch sessions 1\n"
	maxRecord  = 4 << 20 // bytes
	// slack is how much may be added to a snapshot before the next, in bytes,
	// beside as much again as it has.
	slack = 4 << 20
)

// op is what a record says.
type op string

const (
	opSession  op = "session"  // Session is now that of User
	opForget   op = "forget"   // User has none any more
	opQueue    op = "queue"    // Message waits for User
	opDone     op = "done"     // message N of User waits no more
	opRetain   op = "retain"   // Message is retained
	opUnretain op = "unretain" // nothing is on Topic
)

type record struct {
	Op      op             `json:"op"`
	User    string         `json:"user,omitempty"`
	Topic   string         `json:"topic,omitempty"`
	N       uint64         `json:"n,omitempty"`
	Session *storedSession `json:"session,omitempty"`
	Message *downlink      `json:"message,omitempty"`
}

type storedSession struct {
	ID     string                 `json:"id"`
	Expiry time.Duration          `json:"expiry"`
	Ended  int64                  `json:"ended,omitempty"` // seconds since 1970; 0: connected
	Subs   []packets.Subscription `json:"subs,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant

// openStore reads what is kept in the folder into take. A file that is torn or
// makes no sense is used as far as it does, told of, and kept beside.
func openStore(dir string, log *zap.Logger, take func(record)) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of sessions: %w", err)
	}
	s := &store{dir: dir, log: log, some: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	path := filepath.Join(dir, storeFile)
	f, err := os.Open(path) //nolint:gosec // our own folder
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the sessions: %w", err)
	}
	n, err := readStore(f, take)
	if err := errors.Join(err, f.Close()); err != nil {
		bad := path + ".bad"
		if err := os.Rename(path, bad); err != nil {
			return nil, fmt.Errorf("putting damaged sessions aside: %w", err)
		}
		log.Error("the file of sessions is damaged: what stands behind the damage is forgotten, devices subscribe again",
			zap.Error(err), zap.Int("records_read", n), zap.String("kept_as", bad))
	}
	return s, nil
}

func readStore(f io.Reader, take func(record)) (n int, err error) {
	r := bufio.NewReaderSize(f, 64<<10)
	head := make([]byte, len(storeMagic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != storeMagic {
		return 0, errors.New("it does not begin as a file of sessions")
	}
	var frame [8]byte
	for body := []byte(nil); ; n++ {
		if _, err := io.ReadFull(r, frame[:]); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, fmt.Errorf("record %d: %w", n+1, err)
		}
		size := binary.LittleEndian.Uint32(frame[:])
		if size > maxRecord {
			return n, fmt.Errorf("record %d: %d bytes", n+1, size)
		}
		if uint32(cap(body)) < size { //nolint:gosec // at most maxRecord
			body = make([]byte, size)
		}
		body = body[:size]
		if _, err := io.ReadFull(r, body); err != nil {
			return n, fmt.Errorf("record %d: %w", n+1, err)
		}
		if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(frame[4:]) {
			return n, fmt.Errorf("record %d: wrong checksum", n+1)
		}
		var rec record
		if err := json.Unmarshal(body, &rec); err != nil {
			return n, fmt.Errorf("record %d: %w", n+1, err)
		}
		take(rec)
	}
}

func appendRecord(b []byte, rec record) []byte {
	body, err := json.Marshal(rec)
	if err != nil || len(body) > maxRecord {
		return b // there is no such record: strings, numbers and bytes
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body))) //nolint:gosec // at most maxRecord
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	return append(b, body...)
}

// start writes a snapshot, and from then on what is put. It does nothing on nil.
func (s *store) start(snapshot func(emit func(record))) {
	if s == nil {
		return
	}
	s.snapshot = snapshot
	s.check(s.rewrite()) // a full disk keeps no device out
	go s.run()
}

// begin is called for a snapshot, while nothing changes: what is pending is in
// what follows.
func (s *store) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending, s.dead = nil, false
}

// put stores a change, in its own time. It does nothing on nil.
func (s *store) put(rec record) {
	if s == nil {
		return
	}
	s.mu.Lock()
	if !s.dead {
		s.pending = appendRecord(s.pending, rec)
	}
	s.mu.Unlock()
	select {
	case s.some <- struct{}{}:
	default:
	}
}

// close writes what is left.
func (s *store) close() error {
	if s == nil {
		return nil
	}
	close(s.stop)
	<-s.done
	if s.file == nil {
		return nil
	}
	s.flush()
	err := s.file.Sync()
	return errors.Join(err, s.file.Close())
}

func (s *store) run() {
	defer close(s.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.some:
			s.flush()
		case <-tick.C:
			if s.unsafe {
				s.unsafe = false
				s.check(s.file.Sync())
			}
			s.mu.Lock()
			dead := s.dead
			s.mu.Unlock()
			if dead && time.Now().After(s.retryAt) || s.size > 2*s.base+slack {
				s.check(s.rewrite())
			}
		}
	}
}

// flush writes what has come.
func (s *store) flush() {
	s.mu.Lock()
	batch := s.pending
	s.pending = s.buf[:0]
	s.mu.Unlock()
	if len(batch) > 0 {
		n, err := s.file.Write(batch)
		s.size += int64(n)
		s.unsafe = true
		s.check(err)
	}
	if s.buf = batch[:0]; cap(s.buf) > 1<<20 {
		s.buf = nil
	}
}

// check takes a failed write for a hole: a snapshot must be written before
// anything else is.
func (s *store) check(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	s.dead, s.pending = true, nil
	s.mu.Unlock()
	s.retryAt = time.Now().Add(5 * time.Second)
	if time.Since(s.told) > time.Minute {
		s.told = time.Now()
		s.log.Error("MQTT sessions and retained messages are not stored now; a restart would forget the newest", zap.Error(err))
	}
}

// rewrite puts a snapshot in the file's place.
func (s *store) rewrite() error {
	path := filepath.Join(s.dir, storeFile)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	all := []byte(storeMagic)
	s.snapshot(func(rec record) { all = appendRecord(all, rec) })
	_, err = f.Write(all)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if s.file != nil {
		_ = s.file.Close()
	}
	s.file, s.size, s.base = f, int64(len(all)), int64(len(all))
	return nil
}
