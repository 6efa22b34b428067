package mqtt

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"firewatch/ingest"
)

// fresh is how long a loss counts as one that happens now. mosquitto publishes
// its counters every 10 s, EMQX and others every minute or two.
const fresh = 5 * time.Minute

// counters are the topics on which brokers count messages that they dropped on
// the way to a subscriber, and what helps: mosquitto(8), mochi's
// server.go publishSysTopics, and EMQX's metric delivery.dropped.queue_full (its
// messages.dropped counts also what nobody has subscribed to).
var counters = []struct{ filter, advice string }{
	{"$SYS/broker/publish/messages/dropped", "raise max_queued_messages (0: no limit)"},
	{"$SYS/broker/messages/dropped", "raise the broker's queue and in-flight limits"},
	{"$SYS/brokers/+/metrics/delivery/dropped/queue_full", "raise mqtt.max_mqueue_len and mqtt.max_inflight"},
}

func counterFilters() map[string]byte {
	m := make(map[string]byte, len(counters))
	for _, c := range counters {
		m[c.filter] = 0
	}
	return m
}

// watch gathers what can be seen of the broker's limits.
type watch struct {
	mu     sync.Mutex
	last   map[string]uint64 // counter topic → newest value
	lost   uint64            // dropped since the first value
	since  time.Time         // the first of them
	newest time.Time         // the last of them
	before uint64            // dropped before the first value
	advice string
	limit  int  // the in-flight window seen; 0: none
	qos0   bool // the broker grants no more
}

// unsafe notes that the broker granted only QoS 0.
func (w *watch) unsafe() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.qos0 = true
}

// counter takes one value that the broker published.
func (w *watch) counter(topic string, payload []byte, now time.Time) {
	v, err := strconv.ParseUint(strings.TrimSpace(string(payload)), 10, 64)
	if err != nil {
		return
	}
	for _, c := range counters {
		if ingest.MatchTopic(c.filter, topic) {
			w.dropped(topic, v, c.advice, now)
			return
		}
	}
}

func (w *watch) dropped(topic string, v uint64, advice string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, seen := w.last[topic]
	if w.last == nil {
		w.last = map[string]uint64{}
	}
	if !seen && len(w.last) > 64 {
		maps.DeleteFunc(w.last, func(string, uint64) bool { return true }) // nodes that come and go
	}
	w.last[topic] = v
	rise := v - last
	switch {
	case !seen:
		w.before += v
		if v > 0 {
			w.advice = advice
		}
		return
	case v < last:
		rise = v // the broker began anew
	}
	if rise == 0 {
		return
	}
	if w.lost == 0 {
		w.since = now
	}
	w.lost += rise
	w.newest, w.advice = now, advice
}

// losing is an error while the broker drops messages. It cannot tell whose.
func (w *watch) losing(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost == 0 || now.Sub(w.newest) > fresh {
		return nil
	}
	return fmt.Errorf("the MQTT broker drops messages: %d since %s, that it had acknowledged to their senders: %s",
		w.lost, w.since.UTC().Format(time.RFC3339), w.advice)
}

func (w *watch) warnings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	switch {
	case w.lost > 0:
		out = append(out, fmt.Sprintf("the MQTT broker has dropped %d messages since %s: %s",
			w.lost, w.since.UTC().Format(time.RFC3339), w.advice))
	case w.before > 0:
		out = append(out, fmt.Sprintf("the MQTT broker had dropped %d messages before we connected: %s", w.before, w.advice))
	}
	if w.limit > 0 {
		out = append(out, fmt.Sprintf("the MQTT broker sends at most %d messages unacknowledged, which slows a backlog down: raise max_inflight_messages (0: no limit)", w.limit))
	}
	if w.qos0 {
		out = append(out, "the MQTT broker grants QoS 0 only: what comes while nobody is connected is lost")
	}
	return out
}

// connected begins the observation of one connection.
func (w *watch) connected(now time.Time) *window { return &window{watch: w, began: now} }

const (
	sample = 1000 // messages that one judgement needs
	narrow = 100  // windows up to this many messages slow a backlog down
)

// window watches how many messages the broker leaves unacknowledged on one
// connection. A limit shows as a plateau: of the time in which a sample of
// messages came, most passed with exactly as many unacknowledged as ever. Where
// there is none, the number follows what comes.
type window struct {
	watch *watch

	mu    sync.Mutex
	n     int // unacknowledged now
	most  int // in this sample
	count int // messages of this sample
	began time.Time
	since time.Time     // when n came to be most
	at    time.Duration // spent at most
}

func (w *window) taken(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	w.count++
	switch {
	case w.n > w.most:
		w.most, w.at, w.since = w.n, 0, now
	case w.n == w.most:
		w.since = now
	}
	if w.count >= sample {
		w.judge(now)
	}
}

func (w *window) acked(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == w.most {
		w.at += now.Sub(w.since)
	}
	w.n--
}

// judge ends a sample.
func (w *window) judge(now time.Time) {
	if w.n == w.most {
		w.at += now.Sub(w.since)
	}
	// With few unacknowledged, messages that come one by one look alike.
	share := 2
	if w.most < 8 {
		share = 10
	}
	limit := 0
	if took := now.Sub(w.began); w.most <= narrow && w.at > took-took/time.Duration(share) {
		limit = w.most
	}
	w.watch.mu.Lock()
	w.watch.limit = limit
	w.watch.mu.Unlock()
	w.count, w.most, w.at, w.began, w.since = 0, w.n, 0, now, now
}
