package owntracks

import (
	"strings"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/foreign"
)

const kmh = 1 / 3.6 // m/s

// location is a fix, and with words of the warden an SOS or a report.
func (d *decoder) location(v *foreign.Value) {
	poi, poiFault := d.written(v, "poi")
	tag, tagFault := d.written(v, "tag")
	w := d.a.words.judge(poi, tag)
	f := foreign.NewDraft(d.dev, w.class, d.m)
	f.Reading.Code = w.code
	f.Say(w.said)
	for _, fault := range []string{poiFault, tagFault} {
		if fault != "" {
			f.Fault("%s", fault)
		}
	}
	if w.class == contract.SOS {
		f.PutBool(contract.Active, w.active)
	}
	measuredAt(f, v)
	place(f, v)
	f.Take(contract.AltM, v.Get("alt"), 1, "alt")
	takeKnown(f, contract.SpeedMS, v.Get("vel"), kmh, "vel")
	takeKnown(f, contract.CourseDeg, v.Get("cog"), 1, "cog")
	takeKnown(f, contract.BatteryPct, v.Get("batt"), 1, "batt")
	f.Take(contract.BatteryV, v.Get("ubatt"), 1, "ubatt")
	charging(f, v.Get("bs"))
	moving(f, v)
	d.out.Add(f, v.Raw)
}

// written is what the warden wrote under the key. What is no text is a fault, and
// said nevertheless where it could be a call for help.
func (d *decoder) written(v *foreign.Value, key string) (text, fault string) {
	x := v.Get(key)
	switch {
	case x == nil:
		return "", ""
	case x.Twice():
		fault = key + ": the key stands twice"
	case x.Kind != foreign.Text:
		fault = key + ": want a text, got " + x.Kind.String()
	default:
		return x.Text(), ""
	}
	if d.a.words.asks(fold(string(x.Raw))) {
		return string(x.Raw), fault
	}
	return "", fault
}

// measuredAt takes the time of the fix, or of the message where the phone gives
// no other.
func measuredAt(f *foreign.Draft, v *foreign.Value) {
	key := "tst"
	if v.Get(key) == nil && v.Get("created_at") != nil {
		key = "created_at"
	}
	f.TakeSeconds(v.Get(key), key)
}

func place(f *foreign.Draft, v *foreign.Value) {
	f.TakePlace(v.Get("lat"), v.Get("lon"))
	f.NoPlaceAtZero()
	takeKnown(f, contract.AccM, v.Get("acc"), 1, "acc")
}

// takeKnown is Take for what the phone's system gives as a negative number when
// it does not know it.
func takeKnown(f *foreign.Draft, field contract.Field, v *foreign.Value, scale float64, key string) {
	if x, err := v.Float(); err == nil && x < 0 {
		return
	}
	f.Take(field, v, scale, key)
}

// charging reads bs: 0 unknown, 1 unplugged, 2 charging, 3 full. A full battery
// is not being charged.
func charging(f *foreign.Draft, v *foreign.Value) {
	if v == nil {
		return
	}
	switch x, err := v.Float(); {
	case err != nil:
		f.Fault("bs: %v", err)
	case x == 1 || x == 3:
		f.PutBool(contract.Charging, false)
	case x == 2:
		f.PutBool(contract.Charging, true)
	case x != 0:
		f.Fault("bs: %v is none of 0 to 3", x)
	}
}

// moving reads the phone's own motion detector, or Queclink's.
func moving(f *foreign.Draft, v *foreign.Value) {
	if !contract.Moving.In(f.Reading.Class) {
		return
	}
	if is, err := v.Get("motion").Truth(); err == nil {
		f.PutBool(contract.Moving, is)
	}
	a := v.Get("motionactivities")
	if a == nil || a.Kind != foreign.Array {
		return
	}
	rests := false
	for _, item := range a.Items {
		switch item.Text() {
		case "walking", "running", "automotive", "cycling":
			f.PutBool(contract.Moving, true)
			return
		case "stationary":
			rests = true
		}
	}
	if rests {
		f.PutBool(contract.Moving, false)
	}
}

// transition says where the phone was when it crossed the border of one of its
// own regions. The fix is kept, the crossing is not: one that is lost would leave
// presence wrong for ever, and firewatch knows its own areas. Without a place
// (beacons) a status is left, whose text is the crossing.
func (d *decoder) transition(v *foreign.Value) {
	if v.Get("lat") == nil && v.Get("lon") == nil {
		f := foreign.NewDraft(d.dev, contract.Status, d.m)
		measuredAt(f, v)
		f.Say(strings.TrimSpace(v.Get("event").Text() + " " + v.Get("desc").Text()))
		d.out.Add(f, v.Raw)
		return
	}
	f := foreign.NewDraft(d.dev, contract.Position, d.m)
	measuredAt(f, v)
	place(f, v)
	d.out.Add(f, v.Raw)
}

// lastWill is what the broker says of a phone that is gone. Its time is that of
// connecting, which is the newest that the phone itself knew. It is never taken
// as of its receipt: that would be a sign of life.
func (d *decoder) lastWill(v *foreign.Value) {
	f := foreign.NewDraft(d.dev, contract.Status, d.m)
	f.TakeSeconds(v.Get("tst"), "tst")
	f.PutBool(contract.Online, false)
	d.out.Add(f, v.Raw)
}

// status is the answer to a question for the phone's settings. The apps put no
// time in it; then it is taken as of its receipt.
func (d *decoder) status(v *foreign.Value) {
	f := foreign.NewDraft(d.dev, contract.Status, d.m)
	if v.Get("tst") != nil {
		f.TakeSeconds(v.Get("tst"), "tst")
	} else {
		f.Reading.Measured = f.Reading.Received
	}
	if ios := v.Get("iOS"); ios != nil {
		f.Reading.Code = version(ios.Get("version").Text())
		f.Say(settings(ios, "deviceModel", "deviceSystemName", "deviceSystemVersion",
			"locationManagerAuthorizationStatus", "backgroundRefreshStatus"))
	} else if android := v.Get("android"); android != nil {
		f.Say(settings(android, "loc", "bo", "ps", "hib", "wifi"))
	}
	d.out.Add(f, v.Raw)
}

// version is a text that fits a firmware version, or empty.
func version(s string) string {
	if len(s) > contract.MaxCodeBytes || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return s
}

// settings is "key=value" of what is there, which decides whether a phone
// reports in the background.
func settings(v *foreign.Value, keys ...string) string {
	var b strings.Builder
	for _, k := range keys {
		x := v.Get(k)
		if x == nil || x.Kind == foreign.Object || x.Kind == foreign.Array || len(x.Raw) > 80 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(k + "=" + strings.Trim(string(x.Raw), `"`))
	}
	return b.String()
}
