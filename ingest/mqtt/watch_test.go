package mqtt

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// drive plays messages that come one every gap with at most limit of them
// unacknowledged (0: no limit), and are acknowledged together every commit.
func drive(limit int, gap, commit time.Duration, jitter bool) *watch {
	var w watch
	rnd := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(0, 0)
	win := w.connected(now)
	next, flush, open := now.Add(gap), now.Add(commit), 0
	for range 100_000 {
		if next.Before(flush) && (limit == 0 || open < limit) {
			now = next
			open++
			win.taken(now)
			d := gap
			if jitter {
				d = time.Duration(rnd.ExpFloat64() * float64(gap))
			}
			next = now.Add(d)
			continue
		}
		now = flush
		for ; open > 0; open-- {
			win.acked(now)
		}
		if next.Before(now) {
			next = now.Add(50 * time.Microsecond)
		}
		flush = now.Add(commit)
	}
	return &w
}

func TestWindow(t *testing.T) {
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		limit  int
		gap    time.Duration
		commit time.Duration
		jitter bool
		want   int
	}{
		"backlog behind a window of 20":     {limit: 20, gap: 20 * time.Microsecond, commit: 4 * ms, want: 20},
		"backlog behind a window of 1":      {limit: 1, gap: 20 * time.Microsecond, commit: 4 * ms, want: 1},
		"backlog behind a window of 32":     {limit: 32, gap: 10 * time.Microsecond, commit: 20 * ms, want: 32},
		"backlog behind a window of 1000":   {limit: 1000, gap: 10 * time.Microsecond, commit: 20 * ms},
		"backlog without a limit":           {gap: 20 * time.Microsecond, commit: 4 * ms},
		"a window of 20 that nothing fills": {limit: 20, gap: ms, commit: 4 * ms, jitter: true},
		"messages now and then":             {gap: 100 * ms, commit: 4 * ms, jitter: true},
		"a steady trickle":                  {gap: 5 * ms, commit: 4 * ms},
		"a stream with jitter":              {gap: ms, commit: 10 * ms, jitter: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := drive(tt.limit, tt.gap, tt.commit, tt.jitter)
			if w.limit != tt.want {
				t.Errorf("saw a limit of %d, want %d", w.limit, tt.want)
			}
			if got := strings.Contains(strings.Join(w.warnings(), ""), "max_inflight_messages"); got != (tt.want > 0) {
				t.Errorf("warnings: %q", w.warnings())
			}
		})
	}
}

func TestCounters(t *testing.T) {
	const mosquitto, mochi = "$SYS/broker/publish/messages/dropped", "$SYS/broker/messages/dropped"
	const emqx, emqx2 = "$SYS/brokers/emqx@10.0.0.1/metrics/delivery/dropped/queue_full", "$SYS/brokers/emqx@10.0.0.2/metrics/delivery/dropped/queue_full"
	type value struct{ topic, payload string }
	for name, tt := range map[string]struct {
		values  []value
		losing  string // in the error of losing, empty: none
		warning string // in the warning, empty: none
	}{
		"nothing dropped":               {values: []value{{mosquitto, "0"}, {mosquitto, "0"}}},
		"dropped before we came":        {values: []value{{mosquitto, "7"}, {mosquitto, "7"}}, warning: "had dropped 7 messages before"},
		"dropped since":                 {values: []value{{mosquitto, "7"}, {mosquitto, "10"}, {mosquitto, "10"}}, losing: "3 since", warning: "has dropped 3"},
		"dropped by a broker restarted": {values: []value{{mosquitto, "7"}, {mosquitto, "2"}}, losing: "2 since", warning: "has dropped 2"},
		"mochi":                         {values: []value{{mochi, "0"}, {mochi, "10"}}, losing: "in-flight limits", warning: "10"},
		"nodes of a cluster":            {values: []value{{emqx, "1"}, {emqx2, "100"}, {emqx, "2"}, {emqx2, "101"}}, losing: "2 since", warning: "mqueue"},
		"what is no number":             {values: []value{{mosquitto, "0"}, {mosquitto, "many"}, {mosquitto, "-1"}}},
		"what is another topic":         {values: []value{{"$SYS/broker/uptime", "0"}, {"$SYS/broker/uptime", "5"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var w watch
			now := time.Date(2026, 4, 5, 6, 7, 8, 0, time.UTC)
			for _, v := range tt.values {
				w.counter(v.topic, []byte(v.payload), now)
			}
			err := w.losing(now)
			if got := err != nil; got != (tt.losing != "") || got && !strings.Contains(err.Error(), tt.losing) {
				t.Errorf("losing: %v, want %q", err, tt.losing)
			}
			if err := w.losing(now.Add(fresh + time.Second)); err != nil {
				t.Errorf("long after the last loss: %v", err)
			}
			got := strings.Join(w.warnings(), "\n")
			if (got != "") != (tt.warning != "") || !strings.Contains(got, tt.warning) {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
		})
	}
}
