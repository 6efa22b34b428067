package alerts

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"

	contract "firewatch/firmware-contracts"
)

// Desk is where alerts lie that stand: it puts those of one fire into one
// incident, keeps from people what need not be told twice or what a person has
// silenced, and gives one order for one fire. It goes by states, not by edges:
// all that it decides follows from the rows of alerts, incidents and silences,
// the time and the rules, so that a restart neither repeats nor forgets. It does
// no I/O and reads no clock; one goroutine works at it.
type Desk struct {
	set      IncidentSettings
	rules    map[string]*Rule
	areas    Areas
	sensor   func(contract.DeviceID) bool
	standing map[string]*Alert // that fire, by id
	devices  map[contract.DeviceID]map[string]*Alert
	known    map[string]*Incident // open ones, and those of an alert that stands
	silences []Silence
	changed  map[string]bool // incidents since Changed
	dirty    bool            // Settle has something to do
	next     time.Time       // when time alone gives Settle something to do; zero: never
}

// NewDesk returns an empty desk. sensor tells whether a device is a sensor.
func NewDesk(sensor func(contract.DeviceID) bool) *Desk {
	return &Desk{
		set: DefaultIncidents(), sensor: sensor, rules: make(map[string]*Rule), standing: make(map[string]*Alert),
		devices: make(map[contract.DeviceID]map[string]*Alert),
		known:   make(map[string]*Incident), changed: make(map[string]bool),
	}
}

// Use takes the rules and areas that hold from now on.
func (d *Desk) Use(rules []Rule, set IncidentSettings, areas Areas) {
	d.set, d.areas, d.dirty = set.orDefault(), areas, true
	clear(d.rules)
	for i := range rules {
		d.rules[rules[i].Name] = &rules[i]
	}
}

// Restore puts an alert on the desk as its row has it, or as it was changed
// elsewhere. One that no longer fires leaves.
func (d *Desk) Restore(a *Alert) {
	if was := d.standing[a.ID]; was == nil || was.State != a.State || was.Severity != a.Severity ||
		was.Incident != a.Incident || was.Hush != a.Hush {
		d.dirty = true
	}
	if a.State == Firing {
		d.put(a)
		return
	}
	delete(d.standing, a.ID)
	if of := d.devices[a.Device]; of != nil {
		if delete(of, a.ID); len(of) == 0 {
			delete(d.devices, a.Device)
		}
	}
}

func (d *Desk) put(a *Alert) {
	d.standing[a.ID] = a
	of := d.devices[a.Device]
	if of == nil {
		of = make(map[string]*Alert)
		d.devices[a.Device] = of
	}
	of[a.ID] = a
}

// RestoreIncident puts an incident on the desk as its row has it.
func (d *Desk) RestoreIncident(i Incident) { d.known[i.ID], d.dirty = &i, true }

// Standing are the alerts on the desk, by id.
func (d *Desk) Standing() []*Alert {
	out := make([]*Alert, 0, len(d.standing))
	for _, id := range slices.Sorted(maps.Keys(d.standing)) {
		out = append(out, d.standing[id])
	}
	return out
}

// Incident is one that is open, or has an alert that stands.
func (d *Desk) Incident(id string) (Incident, bool) {
	if i := d.known[id]; i != nil {
		return *i, true
	}
	return Incident{}, false
}

// Said takes over from rows what people have said of incidents, and the orders
// that they were given. What it means is Settle's to say.
func (d *Desk) Said(rows []Incident) {
	for i := range rows {
		row := &rows[i]
		in := d.known[row.ID]
		if in == nil {
			continue
		}
		was := *in
		in.Confirmed, in.Refuted, in.By = row.Confirmed, row.Refuted, row.By
		d.dirty = d.dirty || *in != was
		in.Order, in.OrderLevel = cmp.Or(row.Order, in.Order), max(row.OrderLevel, in.OrderLevel)
	}
}

// Silence takes the silences that may hold from now on.
func (d *Desk) Silence(xs []Silence) {
	d.dirty = d.dirty || !slices.Equal(d.silences, xs)
	d.silences = xs
}

// Hear takes a finding's alert, which is the finding's own still: it says which
// incident it belongs to and whether something keeps it from people.
func (d *Desk) Hear(now time.Time, f Finding) {
	a := f.Alert
	if a == nil {
		return
	}
	was, reopened := d.standing[a.ID], false
	if in := d.known[a.Incident]; in != nil && was != nil && !in.Refuted.IsZero() && reopens(was, a, in.Refuted) {
		a.Incident, reopened = "", true
		a.addReason("人工排除后又有新的迹象，重新立案")
	}
	// An alert that came too late to stand belongs to what is open, but opens
	// nothing.
	if a.State == Firing || f.Kind == Raised {
		d.belong(now, a, reopened)
	}
	d.Restore(a)
	if a.State == Firing {
		d.hush(now, a)
	}
}

// reopens reports whether the alert shows more than it did when a person said
// that there is no fire: measured since, and of a quantity or a sensor that said
// nothing before, or graver.
func reopens(was, is *Alert, refuted time.Time) bool {
	type source struct {
		device contract.DeviceID
		field  string
	}
	before := make(map[source]bool)
	for _, e := range is.Evidence {
		if !e.Measured.After(refuted) {
			before[source{e.Device, e.Field}] = true
		}
	}
	for _, e := range is.Evidence {
		if e.Measured.After(refuted) && (is.Severity > was.Severity || !before[source{e.Device, e.Field}]) {
			return true
		}
	}
	return false
}

// belong puts the alert into the incident that it belongs to: the nearest open
// one, or one of its own. The alert is the caller's to change.
func (d *Desk) belong(now time.Time, a *Alert, reopened bool) {
	rule := d.rules[a.Rule]
	if in := d.known[a.Incident]; in != nil {
		if in.Closed.IsZero() && in.Refuted.IsZero() {
			d.count(now, in, a, false)
		}
		return
	}
	if a.Incident != "" || rule == nil || !rule.aboutFire(a) {
		return
	}
	if in := d.nearest(now, a); in != nil {
		a.Incident = in.ID
		d.count(now, in, a, true)
		return
	}
	if a.State != Firing {
		return
	}
	if _, silenced := d.silenced(now, a); silenced {
		return // a person said that it needs no attention; it opens one when it comes forth
	}
	in := &Incident{
		ID: incidentID(now, a.ID), Area: a.Area, Device: a.Device, Lat: a.Lat, Lon: a.Lon, HasPlace: a.HasPlace,
		Severity: a.Severity, Began: a.Measured, Opened: now, Updated: now, Demo: a.Demo,
	}
	if a.Order != "" && !reopened { // it was given before there was an incident
		in.Order, in.OrderLevel = a.Order, a.Severity
	}
	in.Title = d.title(in)
	a.Incident = in.ID
	d.known[in.ID] = in
	d.count(now, in, a, true)
}

// count brings the incident up to its alert.
func (d *Desk) count(now time.Time, in *Incident, a *Alert, joins bool) {
	was := *in
	if joins {
		in.Alerts++
	}
	in.Severity = max(in.Severity, a.Severity)
	if a.Measured.Before(in.Began) {
		in.Began = a.Measured
	}
	if a.State == Firing {
		in.Quiet = time.Time{}
	}
	if *in != was {
		d.touch(now, in)
	}
}

func (d *Desk) touch(now time.Time, in *Incident) {
	in.Updated = now
	d.changed[in.ID], d.dirty = true, true
}

// nearest is the open incident that the alert belongs to, nil when there is
// none. Of two close fires it is the nearer one.
func (d *Desk) nearest(now time.Time, a *Alert) *Incident {
	var best *Incident
	least := d.set.WithinKM
	for _, id := range slices.Sorted(maps.Keys(d.known)) {
		in := d.known[id]
		over := !in.Quiet.IsZero() && now.Sub(in.Quiet) >= d.set.Quiet
		if !in.Closed.IsZero() || !in.Refuted.IsZero() || over || in.Demo != a.Demo ||
			a.Measured.Before(in.Began.Add(-d.set.Quiet)) {
			continue
		}
		switch {
		case in.HasPlace && a.HasPlace:
			km := geo.DistanceHaversine(orb.Point{in.Lon, in.Lat}, orb.Point{a.Lon, a.Lat}) / 1000
			if km < least || km == least && best == nil {
				best, least = in, km
			}
		case !in.HasPlace && !a.HasPlace && a.Device != "" && in.Device == a.Device && best == nil:
			best = in
		}
	}
	return best
}

// incidentID is the same for the same alert settled at the same time.
func incidentID(now time.Time, alert string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(alert))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], h.Sum64())
	id := NewID("in", now)
	const tail = 10
	return id[:len(id)-tail] + crockford.EncodeToString(b[:])[:tail]
}

// title names the incident for people.
func (d *Desk) title(in *Incident) string {
	ctx := Context{Areas: d.areas, Device: &Device{Area: in.Area}}
	where := cmp.Or(ctx.where(), "位置不明")
	switch in.State() {
	case IncidentConfirmed:
		return where + "火情（已确认）"
	case IncidentRefuted:
		return where + "疑似火情（已排除）"
	case IncidentOpen, IncidentClosed:
	}
	return where + "疑似火情"
}

// Settle goes over everything on the desk: what people have said, what is over,
// what is kept from people and what comes forth. It returns the alerts that are
// others now, as copies, by id; the incidents that are others are in Changed.
func (d *Desk) Settle(now time.Time) []*Alert {
	if !d.dirty && (d.next.IsZero() || now.Before(d.next)) {
		return nil
	}
	d.dirty = false
	out := make(map[string]*Alert)
	edit := func(a *Alert, change func(*Alert)) {
		c := out[a.ID]
		if c == nil {
			fresh := *a
			c = &fresh
			c.Reasons, c.Explain.Held = slices.Clip(c.Reasons), slices.Clip(c.Explain.Held)
			out[a.ID] = c
			d.put(c)
		}
		change(c)
		c.Updated = now
	}
	d.words(now, edit)
	for _, a := range d.Standing() {
		was := *a
		trial := was
		trial.Reasons, trial.Explain.Held = slices.Clip(was.Reasons), slices.Clip(was.Explain.Held)
		d.hush(now, &trial)
		if trial.Hush == was.Hush && (was.Incident != "" || was.Hush.Hushed()) {
			continue
		}
		if !trial.Hush.Hushed() && trial.Incident == "" {
			d.belong(now, &trial, false)
		}
		if trial.Hush != was.Hush || trial.Incident != was.Incident {
			edit(a, func(c *Alert) { *c = trial })
		}
	}
	d.over(now)
	changed := make([]*Alert, 0, len(out))
	for _, id := range slices.Sorted(maps.Keys(out)) {
		changed = append(changed, out[id])
	}
	d.next = d.due(now)
	return changed
}

// due is when time alone changes something, zero when it never does.
func (d *Desk) due(now time.Time) time.Time {
	var next time.Time
	at := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for i := range d.silences {
		at(d.silences[i].From)
		at(d.silences[i].Over())
	}
	for _, in := range d.known {
		if in.Closed.IsZero() && !in.Quiet.IsZero() {
			at(in.Quiet.Add(d.set.Quiet))
		}
	}
	return next
}

// words does what people's words ask for.
func (d *Desk) words(now time.Time, edit func(*Alert, func(*Alert))) {
	for _, id := range slices.Sorted(maps.Keys(d.known)) {
		in := d.known[id]
		if !in.Closed.IsZero() {
			continue
		}
		if title := d.title(in); title != in.Title {
			in.Title = title
			d.touch(now, in)
		}
		if in.Refuted.IsZero() {
			continue
		}
		in.Closed = now
		d.touch(now, in)
		why := in.By + " 于 " + clock(now, in.Refuted) + " 排除，不是火情"
		for _, a := range d.Standing() {
			if a.Incident == id {
				edit(a, func(a *Alert) { a.addReason(why) })
			}
		}
	}
}

// over closes the incidents of which nothing has stood for long enough.
func (d *Desk) over(now time.Time) {
	stands := make(map[string]bool, len(d.standing))
	for _, a := range d.standing {
		stands[a.Incident] = true
	}
	for _, id := range slices.Sorted(maps.Keys(d.known)) {
		in := d.known[id]
		switch {
		case !in.Closed.IsZero():
			if !stands[id] && !d.changed[id] {
				delete(d.known, id)
			}
		case stands[id]:
			if !in.Quiet.IsZero() {
				in.Quiet = time.Time{}
				d.touch(now, in)
			}
		case in.Quiet.IsZero():
			in.Quiet = now
			d.touch(now, in)
		case now.Sub(in.Quiet) >= d.set.Quiet:
			in.Closed = now
			d.touch(now, in)
		}
	}
}

// Changed are the incidents that are others since it was last called, by id.
func (d *Desk) Changed() []Incident {
	out := make([]Incident, 0, len(d.changed))
	for _, id := range slices.Sorted(maps.Keys(d.changed)) {
		out = append(out, *d.known[id])
	}
	clear(d.changed)
	return out
}
