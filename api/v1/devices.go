package v1

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// DegradedHeader names what an answer lacks, and why.
const DegradedHeader = "Firewatch-Degraded"

// readingsFor is the window of readings when the caller names no beginning.
const readingsFor = 24 * time.Hour

func (a *API) listDevices(c *gin.Context, s scope) error {
	q := query(c)
	kind := q.word("kind", contract.Tracker.String(), contract.Sensor.String())
	area, seen, named := q.text("area"), q.flag("seen"), strings.ToLower(strings.TrimSpace(q.text("q")))
	live := q.word("liveness", liveOnline, liveLate, liveSilent, liveNever, liveUnknown)
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	l, err := a.newest(c)
	if err != nil {
		return err
	}
	now := a.Now()
	var found []alerts.Device
	var counts LivenessCounts
	for _, d := range s.roster.devices {
		if (kind == "" || d.Kind.String() == kind) && (area == "" || s.roster.areas.Within(d.Area, area)) && s.area(d.Area) && isNamed(d, named) &&
			(!seen || l.seen[d.ID] || l.why != "" && d.Expect > 0) {
			lives := l.liveness(d, a.Silence, now)
			counts.add(d, lives)
			if isLiveness(live, lives, d) {
				found = append(found, d)
			}
		}
	}
	p := page(found, func(d alerts.Device) string { return string(d.ID) }, after, limit)
	WriteJSON(c, http.StatusOK, DeviceList{
		Items: convert(p.Items, func(d alerts.Device) Device { return toDevice(s.roster, d, l, a.Silence, now) }), Next: p.Next, Counts: counts,
	})
	return nil
}

// isNamed reports whether one of the device's names holds the text, which is in
// lower case.
func isNamed(d alerts.Device, text string) bool {
	return slices.ContainsFunc([]string{string(d.ID), d.Name, d.Site, d.Alias, d.Phone}, func(name string) bool {
		return strings.Contains(strings.ToLower(name), text)
	})
}

// newest returns the newest readings, and says in a header when there are none
// because the history is away.
func (a *API) newest(c *gin.Context) (*latest, error) {
	l, err := a.latest.get(c.Request.Context())
	if err == nil && l.why != "" {
		c.Header(DegradedHeader, "history: "+l.why)
	}
	return l, err
}

func toDevice(r *roster, d alerts.Device, l *latest, silence Silence, now time.Time) Device {
	out := Device{
		ID: string(d.ID), Kind: d.Kind.String(), Area: d.Area, AreaName: r.areaName(d.Area), Name: d.Name,
		ExpectS: d.Expect.Seconds(), Disabled: d.Disabled, Liveness: l.liveness(d, silence, now),
	}
	out.Registered = toRegistered(d, l.status[d.ID])
	out.Lat, out.Lon = place(d.Lat, d.Lon, d.Lat != 0 || d.Lon != 0)
	if last := l.main[d.ID]; last != nil {
		out.Last = toReading(last)
	} else if last := l.status[d.ID]; last != nil {
		out.Last = toReading(last)
	}
	if q, ok := l.quarantine[d.ID]; ok {
		out.Quarantine = toQuarantine(q)
	}
	if h := l.health[d.ID]; h != nil {
		out.Health = toHealth(h)
	}
	return out
}

func toRegistered(d alerts.Device, status *contract.Reading) Registered {
	out := Registered{
		Site: d.Site, Phone: d.Phone, Model: d.Model, Alias: d.Alias, Firmware: d.Firmware,
		Calibration: d.Calibration.String(), CalibratedAt: atOrNull(d.CalibratedAt), Credential: "active",
	}
	if status != nil {
		out.FirmwareReported = status.Code
	}
	switch d.SecretHash {
	case "":
		out.Credential = "none"
	case alerts.Revoked:
		out.Credential = "revoked"
	}
	return out
}

// device finds a visible device by the path's id.
func (a *API) device(c *gin.Context, s scope) (alerts.Device, error) {
	d, ok := s.roster.device[contract.DeviceID(c.Param("id"))]
	if !ok || !s.area(d.Area) {
		return d, &Error{Code: CodeNotFound, Detail: "没有此设备"}
	}
	return d, nil
}

func (a *API) showDevice(c *gin.Context, s scope) error {
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	if err := query(c).err(); err != nil {
		return err
	}
	l, err := a.newest(c)
	if err != nil {
		return err
	}
	WriteJSON(c, http.StatusOK, toDevice(s.roster, d, l, a.Silence, a.Now()))
	return nil
}

func (a *API) listReadings(c *gin.Context, s scope) error {
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	q := query(c)
	class := q.class(d.Kind)
	from, to := q.window(a.Now())
	newest := q.flag("newest")
	place, limit := q.cursor(), q.limit()
	skip := 0
	if place != "" && newest {
		q.faults.add("cursor", "不能与 newest 同用")
	} else if place != "" {
		if from, skip, err = parsePlace(place); err != nil {
			q.faults.add("cursor", "不是服务器给出的 next")
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	rs, err := a.History.Readings(c.Request.Context(), ingest.ReadingQuery{
		Device: d.ID, Class: class, From: from, To: to, Limit: limit + skip, Newest: newest,
	})
	if err != nil {
		return historyAway(err)
	}
	full := len(rs) == limit+skip
	rs = rs[min(skip, len(rs)):]
	l := List[*Reading]{Items: make([]*Reading, len(rs))}
	for i := range rs {
		l.Items[i] = toReading(&rs[i])
	}
	if full && !newest && len(rs) > 0 {
		l.Next = cursorTo(placeAfter(rs, from, skip))
	}
	WriteJSON(c, http.StatusOK, l)
	return nil
}

// A place in a device's readings is a measured time and how many readings of
// that very time have been given: several may share one.
func placeAfter(rs []contract.Reading, from time.Time, skip int) string {
	last := rs[len(rs)-1].Measured
	n := 0
	for i := len(rs) - 1; i >= 0 && rs[i].Measured.Equal(last); i-- {
		n++
	}
	if n == len(rs) && last.Equal(from) {
		n += skip
	}
	return fmt.Sprintf("%d:%d", last.UnixNano(), n)
}

func parsePlace(place string) (from time.Time, skip int, err error) {
	ns, count, _ := strings.Cut(place, ":")
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return time.Time{}, 0, err
	}
	skip, err = strconv.Atoi(count)
	if err == nil && (skip < 0 || skip > 9000) {
		err = fmt.Errorf("place %q out of bounds", place)
	}
	return time.Unix(0, n).UTC(), skip, err
}
