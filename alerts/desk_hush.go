package alerts

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"
)

// hush brings the alert's hush up to what holds now. An SOS is never hushed, nor
// an alert of which no rule is known, nor one that has become graver than it was
// when it was hushed: what it has outgrown is remembered with it.
func (d *Desk) hush(now time.Time, a *Alert) {
	was := a.Hush
	past := was.Past
	if was.Hushed() && a.Severity > was.Severity && !outgrown(past, was.By) {
		past = strings.TrimSpace(past + " " + was.By)
	}
	next := Hush{Past: past}
	if rule := d.rules[a.Rule]; rule != nil && rule.Type != SOSCall {
		for _, by := range []func(time.Time, *Alert) (Hush, bool){d.silenced, d.inhibitedByFire, d.inhibitedByAlert} {
			if h, ok := by(now, a); ok && !outgrown(past, h.By) {
				next = h
				next.Past, next.Since, next.Severity = past, now, a.Severity
				break
			}
		}
	}
	if next.Kind == was.Kind && next.By == was.By && next.Past == was.Past {
		a.Hush.Until = next.Until // its words stay those of when it began
		return
	}
	a.Hush = next
	switch {
	case next.Kind == HushSilenced:
		a.holdBack(HeldBack{At: now, By: "silence", Why: next.Why})
	case next.Kind == HushInhibited:
		a.holdBack(HeldBack{At: now, By: "inhibition", Why: next.Why})
	case past != was.Past:
		a.addReason("比" + hushWords(was.Kind) + "时更严重（" + a.Severity.Chinese() + "），于 " + clock(now, now) + " 重新提示")
	case was.Hushed():
		a.addReason(hushWords(was.Kind) + "已结束而告警仍在，于 " + clock(now, now) + " 重新提示")
	}
	if n := len(a.Explain.Held); n > maxHeld {
		a.Explain.Held = slices.Clone(a.Explain.Held[n-maxHeld:])
	}
}

// maxHeld bounds what an alert tells of being held back; the newest stay.
const maxHeld = 20

func hushWords(k HushKind) string {
	if k == HushSilenced {
		return "静默"
	}
	return "抑制"
}

// outgrown reports whether the alert has become graver than it was when this
// hushed it.
func outgrown(past, by string) bool { return slices.Contains(strings.Fields(past), by) }

// silenced is the silence that matches the alert, the one that ends last.
func (d *Desk) silenced(now time.Time, a *Alert) (Hush, bool) {
	if rule := d.rules[a.Rule]; rule == nil || rule.Type == SOSCall {
		return Hush{}, false
	}
	var best *Silence
	for i := range d.silences {
		x := &d.silences[i]
		if !x.InForce(now) || !x.matches(d.areas, a) || outgrown(a.Hush.Past, x.ID) {
			continue
		}
		if best == nil || cmp.Or(x.Over().Compare(best.Over()), cmp.Compare(x.ID, best.ID)) > 0 {
			best = x
		}
	}
	if best == nil {
		return Hush{}, false
	}
	return Hush{
		Kind: HushSilenced, By: best.ID, Until: best.Over(),
		Why: best.Author + " 静默至 " + clock(now, best.Over()) + "：" + best.Reason,
	}, true
}

// matches reports whether the silence is about the alert. One of a rule alone
// matches nothing.
func (s *Silence) matches(areas Areas, a *Alert) bool {
	return (s.Device != "" || s.Area != "") &&
		(s.Rule == "" || s.Rule == a.Rule) &&
		(s.Device == "" || s.Device == a.Device) &&
		(s.Area == "" || areas.Within(a.Area, s.Area))
}

// inhibitedByFire is the confirmed fire that says already what the alert says: a
// sensor's, of the incident or of its place, and not graver. The incident's
// gravest alert stays before people as long as one stands.
func (d *Desk) inhibitedByFire(now time.Time, a *Alert) (Hush, bool) {
	if a.Device == "" || !d.sensor(a.Device) {
		return Hush{}, false
	}
	var best *Incident
	for _, in := range d.known {
		if in.Confirmed.IsZero() || in.State() != IncidentConfirmed || a.Severity > in.Severity ||
			!d.at(in, a) || d.leads(now, in, a) {
			continue
		}
		if best == nil || in.ID < best.ID {
			best = in
		}
	}
	if best == nil {
		return Hush{}, false
	}
	return Hush{
		Kind: HushInhibited, By: best.ID,
		Why: best.By + " 于 " + clock(now, best.Confirmed) + " 确认火情，同一地点的次要传感器告警不再提示",
	}, true
}

// at reports whether the alert is of the incident, or of its place.
func (d *Desk) at(in *Incident, a *Alert) bool {
	if a.Incident != "" {
		return a.Incident == in.ID
	}
	if !in.HasPlace || !a.HasPlace {
		return in.Device == a.Device
	}
	return geo.DistanceHaversine(orb.Point{in.Lon, in.Lat}, orb.Point{a.Lon, a.Lat}) <= d.set.WithinKM*1000
}

// leads reports whether the alert is the gravest of the incident that stands and
// is not silenced; of equals the first.
func (d *Desk) leads(now time.Time, in *Incident, a *Alert) bool {
	if a.Incident != in.ID {
		return false
	}
	for _, o := range d.standing {
		if o.ID == a.ID || o.Incident != in.ID {
			continue
		}
		if _, silenced := d.silenced(now, o); !silenced &&
			cmp.Or(cmp.Compare(o.Severity, a.Severity), a.Raised.Compare(o.Raised), cmp.Compare(a.ID, o.ID)) > 0 {
			return false
		}
	}
	return true
}

// inhibitedByAlert is a graver alert of the same device whose rule inhibits this
// one's. One that a person has silenced inhibits nothing.
func (d *Desk) inhibitedByAlert(now time.Time, a *Alert) (Hush, bool) {
	if a.Device == "" {
		return Hush{}, false
	}
	var best *Alert
	for _, o := range d.devices[a.Device] {
		rule := d.rules[o.Rule]
		if o.ID == a.ID || o.Severity <= a.Severity || rule == nil || !slices.Contains(rule.Inhibits, a.Rule) {
			continue
		}
		if _, silenced := d.silenced(now, o); silenced {
			continue
		}
		if best == nil || o.ID < best.ID {
			best = o
		}
	}
	if best == nil {
		return Hush{}, false
	}
	return Hush{Kind: HushInhibited, By: best.ID, Why: "同一设备有更严重的告警（" + best.Rule + "，" + best.Severity.Chinese() + "）"}, true
}
