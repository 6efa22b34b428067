package v1

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// showLatest answers with what is known now of every visible device, in columns:
// thirty thousand devices are some two megabytes, a fifth of it compressed. With
// the next of an answer before, it gives only those of which something is new.
func (a *API) showLatest(c *gin.Context, s scope) error {
	q := query(c)
	since := q.text("since")
	if err := q.err(); err != nil {
		return err
	}
	l, err := a.newest(c)
	if err != nil {
		return err
	}
	now := a.Now()
	before, asked, delta := a.latest.parseMark(since, s.roster.version)
	delta = delta && l.why == ""
	out := Latest{
		At: at(now), Full: !delta, ID: []string{}, Kind: []string{}, Liveness: []string{},
		Lat: []*float64{}, Lon: []*float64{}, Measured: []*int64{}, Received: []*int64{}, BatteryPct: []*float64{},
	}
	if l.why == "" {
		// The readings are those of the question, however old: so what comes
		// after it is new next time.
		out.Next = a.latest.mark(now, l.asked, s.roster.version)
	}
	for _, d := range s.roster.devices {
		if !s.area(d.Area) {
			continue
		}
		live := l.liveness(d, a.Silence, now)
		out.Counts.add(d, live)
		if delta && !l.changed[d.ID].After(asked) && l.liveness(d, a.Silence, before) == live {
			continue
		}
		out.add(d, live, l)
	}
	WriteJSON(c, http.StatusOK, out)
	return nil
}

func (o *Latest) add(d alerts.Device, live string, l *latest) {
	o.ID = append(o.ID, string(d.ID))
	o.Kind = append(o.Kind, d.Kind.String())
	o.Liveness = append(o.Liveness, live)
	r := l.main[d.ID]
	if r == nil {
		r = l.status[d.ID]
	}
	lat, lon, has := d.Lat, d.Lon, d.Lat != 0 || d.Lon != 0
	var measured, received *int64
	var battery *float64
	if r != nil {
		x, hasLat := r.Values.Get(contract.Lat)
		y, hasLon := r.Values.Get(contract.Lon)
		if hasLat && hasLon {
			lat, lon, has = x, y, true
		}
		m, n := r.Measured.UnixMilli(), r.Received.UnixMilli()
		measured, received = &m, &n
		if b, ok := r.Values.Get(contract.BatteryPct); ok {
			battery = &b
		} else if st := l.status[d.ID]; st != nil {
			if b, ok := st.Values.Get(contract.BatteryPct); ok {
				battery = &b
			}
		}
	}
	la, lo := place(round7(lat), round7(lon), has)
	o.Lat, o.Lon = append(o.Lat, la), append(o.Lon, lo)
	o.Measured, o.Received = append(o.Measured, measured), append(o.Received, received)
	o.BatteryPct = append(o.BatteryPct, battery)
}

// add counts one device. One that is expected and never reported is as silent as
// one that stopped.
func (n *LivenessCounts) add(d alerts.Device, live string) {
	switch live {
	case liveOnline:
		n.Online++
	case liveLate:
		n.Late++
	case liveSilent:
		n.Silent++
	case liveNever:
		n.NeverSeen++
		if d.Expect > 0 {
			n.Silent++
		} else {
			n.Unknown++
		}
	default:
		n.Unknown++
	}
}

// A mark is the place in time of an answer, for the next one: when it was given,
// when the history had been asked, which roster, and which process gave it, as
// only that one knows when it saw a reading first.
func (c *latestCache) mark(now, asked time.Time, version int64) string {
	return fmt.Sprintf("%s.%d.%d.%d", c.epoch, version, now.UnixNano(), asked.UnixNano())
}

// parseMark is false for the mark of another process or another roster.
func (c *latestCache) parseMark(mark string, version int64) (now, asked time.Time, ok bool) {
	parts := strings.Split(mark, ".")
	if len(parts) != 4 || parts[0] != c.epoch || parts[1] != strconv.FormatInt(version, 10) {
		return now, asked, false
	}
	n, err := strconv.ParseInt(parts[2], 10, 64)
	m, err2 := strconv.ParseInt(parts[3], 10, 64)
	return time.Unix(0, n), time.Unix(0, m), err == nil && err2 == nil
}

func newEpoch() string { return strings.ToLower(rand.Text()[:8]) }
