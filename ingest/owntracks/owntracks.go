// Package owntracks takes the phones of OwnTracks (iOS, Android) as trackers:
// https://owntracks.org/booklet/tech/json/.
//
// A phone publishes on owntracks/{user}/{device} and below; the device of the
// registry that has this topic as its alias is the one it speaks for.
//
//	location    a position; with a point of interest or tag an SOS or a report
//	transition  a position: where the phone is, not what it has entered (state, not edges)
//	lwt         a status, offline, as of the time of connecting, like the contract's last will
//	status      a status with the app's version and permissions in words
//	waypoint(s), card, steps, beacon, cmd, request, configuration, dump: counted, of no use
//	encrypted   rejected: the key is in the phone
//
// Of a location, these become fields: tst, lat, lon, alt (m), acc (m), vel (km/h),
// cog, batt (%), bs, motionactivities, and ubatt (V) and motion of Queclink's
// devices. The pressure p (kPa) is none of a position and is left out.
package owntracks

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/foreign"
)

const name = "owntracks"

// Options configures an Adapter. Directory is required.
type Options struct {
	Directory ingest.Directory
	// SOSWords in a point of interest or a tag make it a call for help, in any case
	// and width: "SOS", "S.O.S", "我摔伤了，求救". A word of letters must stand alone,
	// a single Chinese character begin the text. Default DefaultSOSWords. A tag stays
	// until the warden clears it, and so does its SOS.
	SOSWords []string
	// CallOffWords are a point of interest or a tag, as a whole, that calls an SOS
	// off; spaces, punctuation and words like 没事了 count for nothing. Default
	// DefaultCallOffWords.
	CallOffWords []string
	// Reports gives the category of a report by the words that begin a point of
	// interest, after words like 发现. What begins with none of them, or says that it
	// is over, is a report of category other. Default DefaultReports.
	Reports map[string]string
	Metrics prometheus.Registerer // may be nil
}

// The words that are used where Options names none.
var (
	DefaultSOSWords     = []string{"SOS", "求救", "求助", "救命"}
	DefaultCallOffWords = []string{
		"SOS OFF", "Cancel SOS", "SOS 解除", "SOS 已解除", "SOS 取消", "解除 SOS", "取消 SOS",
		"解除求救", "取消求救", "求救解除", "求救已解除", "求救取消", "解除求助", "取消求助", "求助解除", "求助取消",
	}
	DefaultReports = map[string]string{
		"fire": "fire", "火情": "fire", "着火": "fire", "起火": "fire", "山火": "fire", "明火": "fire", "大火": "fire", "火": "fire",
		"smoke": "smoke", "冒烟": "smoke", "浓烟": "smoke", "烟雾": "smoke", "黑烟": "smoke", "白烟": "smoke", "烟": "smoke",
		"farm": "farm", "烧荒": "farm", "烧秸秆": "farm",
		"ritual": "ritual", "上坟": "ritual", "烧纸": "ritual", "祭祀": "ritual",
		"hazard": "hazard", "隐患": "hazard",
	}
)

// The types that are understood and of no use here. A waypoint is where a region
// is, not where the phone is.
var useless = []string{
	"waypoint", "waypoints", "card", "steps", "beacon", "cmd", "request", "configuration", "dump", "empty",
}

// Adapter implements ingest.Adapter.
type Adapter struct {
	dir     ingest.Directory
	words   words
	ignored *foreign.Ignored
	ignore  map[string]bool
}

// New checks the options.
func New(o Options) (*Adapter, error) {
	if o.Directory == nil {
		return nil, errors.New("owntracks: Directory is missing")
	}
	w, err := newWords(o)
	if err != nil {
		return nil, err
	}
	a := &Adapter{dir: o.Directory, words: w, ignore: make(map[string]bool, len(useless))}
	for _, t := range useless {
		a.ignore[t] = true
	}
	a.ignored, err = foreign.NewIgnored(o.Metrics, name, useless...)
	return a, err
}

// Name implements ingest.Adapter.
func (*Adapter) Name() string { return name }

// Filters implements ingest.Adapter.
func (*Adapter) Filters() []string { return []string{"owntracks/+/+/#"} }

// Decode implements ingest.Decoder.
func (a *Adapter) Decode(dst []ingest.Entry, rejected []ingest.Rejection, m *ingest.Message) ([]ingest.Entry, []ingest.Rejection) {
	if len(m.Payload) == 0 {
		// So a phone clears what it had retained, and deletes a friend.
		a.ignored.Count("empty")
		return dst, rejected
	}
	d := decoder{a: a, m: m, out: foreign.NewOutput(dst, rejected, m)}
	d.document()
	return d.out.End()
}

type decoder struct {
	a      *Adapter
	m      *ingest.Message
	out    *foreign.Output
	dev    ingest.Registered
	asked  bool // the registry was
	absent bool // and does not know the phone
}

func (d *decoder) document() {
	doc, err := foreign.Parse(d.m.Payload)
	if err != nil {
		dev, _ := d.a.dir.ByAlias(alias(d.m.Topic))
		d.out.Reject(dev.ID, d.m.Payload, "%v", err)
		return
	}
	if doc.Kind != foreign.Array {
		d.message(doc)
		return
	}
	if len(doc.Items) == 0 {
		d.a.ignored.Count("empty")
	}
	for _, item := range doc.Items {
		if d.message(item); d.absent {
			return // said once, with the whole message
		}
	}
}

// alias is the topic without what stands below the device.
func alias(topic string) string {
	parts := strings.SplitN(topic, "/", 4)
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// device finds who speaks, once a message.
func (d *decoder) device() bool {
	if !d.asked {
		d.asked = true
		var ok bool
		d.dev, ok = d.out.Find(d.a.dir, alias(d.m.Topic))
		d.absent = !ok
	}
	if d.absent {
		return false
	}
	if d.dev.Kind != contract.Tracker {
		d.out.Reject(d.dev.ID, d.m.Payload, "%s is registered as a %s: a phone with OwnTracks is a tracker", d.dev.ID, d.dev.Kind)
		d.absent = true
		return false
	}
	return true
}

func (d *decoder) message(v *foreign.Value) {
	kind := v.Get("_type").Text()
	if d.a.ignore[kind] {
		d.a.ignored.Count(kind)
		return
	}
	if !d.device() {
		return
	}
	switch kind {
	case "location":
		d.location(v)
	case "transition":
		d.transition(v)
	case "lwt":
		d.lastWill(v)
	case "status":
		d.status(v)
	case "encrypted":
		d.out.Reject(d.dev.ID, v.Raw, "_type encrypted: the phone encrypts what it says; take the encryption key out of its settings and use TLS")
	case "":
		d.out.Reject(d.dev.ID, v.Raw, "_type: missing, or not a text: not a message of OwnTracks")
	default:
		d.out.Reject(d.dev.ID, v.Raw, "_type %q: not known", kind[:min(len(kind), 40)])
	}
}
