// Package chirpstack takes the events of ChirpStack v4 in JSON, from its MQTT
// integration (application/{id}/device/{DevEUI}/event/{event}):
// https://www.chirpstack.io/docs/chirpstack/integrations/events.html. The device
// of the registry that has the alias chirpstack/{DevEUI in lower case} is meant.
//
//	up           what was measured, a position, or a status (see package lorawan)
//	join         a status, online
//	status       a status: battery, external power
//	location     a position of a tracker; a sensor stands where the registry says
//	log          rejected where the level is ERROR, so that a person sees it
//	ack, txack, integration: counted, of no use
//
// ChirpStack leaves out what is zero: the frame counter of the first frame, a
// battery that is empty, a level that is INFO.
package chirpstack

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/foreign"
	"firewatch/ingest/lorawan"
)

const name = "chirpstack"

// Options configures an Adapter. Directory is required.
type Options struct {
	Directory ingest.Directory
	Metrics   prometheus.Registerer // may be nil
}

// Adapter implements ingest.Adapter.
type Adapter struct {
	dir     ingest.Directory
	ignored *foreign.Ignored
}

// New checks the options.
func New(o Options) (*Adapter, error) {
	if o.Directory == nil {
		return nil, errors.New("chirpstack: Directory is missing")
	}
	ignored, err := foreign.NewIgnored(o.Metrics, name, "ack", "txack", "integration", "log", "location", "empty")
	return &Adapter{dir: o.Directory, ignored: ignored}, err
}

// Name implements ingest.Adapter.
func (*Adapter) Name() string { return name }

// Filters implements ingest.Adapter.
func (*Adapter) Filters() []string { return []string{"application/+/device/+/event/+"} }

// Decode implements ingest.Decoder.
func (a *Adapter) Decode(dst []ingest.Entry, rejected []ingest.Rejection, m *ingest.Message) ([]ingest.Entry, []ingest.Rejection) {
	if len(m.Payload) == 0 {
		a.ignored.Count("empty")
		return dst, rejected
	}
	out := foreign.NewOutput(dst, rejected, m)
	// application / {id} / device / {DevEUI} / event / {event}
	levels := strings.Split(m.Topic, "/")
	if len(levels) != 6 {
		out.Reject("", m.Payload, "topic: want application/{id}/device/{DevEUI}/event/{event}")
		return out.End()
	}
	d := decoder{a: a, m: m, out: out, eui: strings.ToLower(levels[3])}
	switch event := levels[5]; event {
	case "ack", "txack", "integration":
		a.ignored.Count(event)
	case "up":
		d.with(d.up)
	case "join":
		d.with(d.join)
	case "status":
		d.with(d.status)
	case "location":
		d.with(d.location)
	case "log":
		d.with(d.log)
	default:
		out.Reject("", m.Payload, "event %q: not known", event[:min(len(event), 40)])
	}
	return out.End()
}

type decoder struct {
	a   *Adapter
	m   *ingest.Message
	out *foreign.Output
	eui string // of the topic, in lower case
	dev ingest.Registered
	doc *foreign.Value
}

// with reads the document and finds the device, and then does what the event
// asks for. The topic says which device it is, because that is what a broker's
// access rules protect; a payload that names another is refused.
func (d *decoder) with(event func()) {
	alias := name + "/" + d.eui
	doc, err := foreign.Parse(d.m.Payload)
	if err == nil && doc.Kind != foreign.Object {
		err = errors.New("want a JSON object, got " + doc.Kind.String())
	}
	if err != nil {
		dev, _ := d.a.dir.ByAlias(alias)
		d.out.Reject(dev.ID, d.m.Payload, "%v (the integration must be set to JSON, not Protobuf)", err)
		return
	}
	var ok bool
	if d.dev, ok = d.out.Find(d.a.dir, alias); !ok {
		return
	}
	for _, key := range []string{"device_info", "rx_info", "f_cnt"} {
		if doc.Get(key) != nil {
			d.out.Reject(d.dev.ID, d.m.Payload, "%s: keys in snake_case are none of ChirpStack's JSON (deviceInfo, rxInfo, fCnt): something between it and here writes them anew", key)
			return
		}
	}
	if said := strings.ToLower(doc.Path("deviceInfo", "devEui").Text()); said != "" && said != d.eui {
		d.out.Reject(d.dev.ID, d.m.Payload, "the payload is of the device %.16s and came on the topic of %s", said, d.eui)
		return
	}
	d.doc = doc
	event()
}

// mostApart is how far a gateway's clock may be from the network server's.
const mostApart = 2 * time.Minute

// times are the event's own, which is the gateway's where that has a clock, and
// then when the server had it from a gateway. A gateway's clock that is far from
// the server's is not believed: some are set by nobody. Fault says so.
func (d *decoder) times() (times []time.Time, fault string) {
	at := lorawan.Time(d.doc.Get("time"))
	var server []time.Time
	var gateways, near bool
	if rx := d.doc.Get("rxInfo"); rx != nil {
		for _, item := range rx.Items {
			ns := lorawan.Time(item.Get("nsTime"))
			gateways = gateways || !at.IsZero() && lorawan.Time(item.Get("gwTime")).Equal(at)
			if !ns.IsZero() && contract.CheckMeasured(ns, d.m.Received) == nil {
				server = append(server, ns)
				near = near || at.Sub(ns).Abs() <= mostApart
			}
		}
	}
	if gateways && !near && len(server) > 0 {
		apart := at.Sub(server[0])
		word := "ahead of"
		if apart < 0 {
			word = "behind"
		}
		fault = fmt.Sprintf("time: the gateway's clock is %s %s the network server's, whose nsTime is taken", apart.Abs().Round(time.Second), word)
		return append(server, at), fault
	}
	return append([]time.Time{at}, server...), ""
}

func (d *decoder) up() {
	u := lorawan.Uplink{Device: d.dev, Object: d.doc.Get("object"), Raw: d.m.Payload}
	var faults []string
	var fault string
	if u.Times, fault = d.times(); fault != "" {
		u.Faults = append(u.Faults, fault)
	}
	u.Seq = number(d.doc.Get("fCnt"), math.MaxUint32, "fCnt", &faults)
	u.NoSeq = len(faults) > 0
	u.Port = number(d.doc.Get("fPort"), 255, "fPort", &faults)
	u.RSSI, u.HasRSSI = lorawan.BestRSSI(d.doc.Get("rxInfo"))
	if d.doc.Get("joinServerContext") == nil {
		var err error
		if u.Payload, err = base64.StdEncoding.DecodeString(d.doc.Get("data").Text()); err != nil {
			faults = append(faults, "data: not base64")
			u.Payload = nil
		}
	} else {
		faults = append(faults, "data: encrypted for a join server of its own (joinServerContext)")
	}
	u.Add(d.out, d.m)
	if len(faults) > 0 {
		d.out.Reject(d.dev.ID, d.m.Payload, "%s", strings.Join(faults, "; "))
	}
}

// number is a counter that is left out where it is 0.
func number(v *foreign.Value, most uint64, key string, faults *[]string) uint64 {
	if v == nil {
		return 0
	}
	n, err := v.Uint(most)
	if err != nil {
		*faults = append(*faults, key+": "+err.Error())
	}
	return n
}

func (d *decoder) draftStatus() *foreign.Draft {
	f := foreign.NewDraft(d.dev, contract.Status, d.m)
	d.measure(f)
	return f
}

func (d *decoder) measure(f *foreign.Draft) {
	times, fault := d.times()
	if lorawan.Measure(f, times...); fault != "" {
		f.Fault("%s", fault)
	}
}

func (d *decoder) join() {
	f := d.draftStatus()
	f.PutBool(contract.Online, true)
	d.out.Add(f, d.m.Payload)
}

// status is the device's answer to the network's question for its battery. A
// level that is left out is an empty battery, unless it is said to be unknown or
// not in use.
func (d *decoder) status() {
	f := d.draftStatus()
	external, _ := d.doc.Get("externalPowerSource").Truth()
	unknown, _ := d.doc.Get("batteryLevelUnavailable").Truth()
	level := d.doc.Get("batteryLevel")
	switch {
	case external:
		f.PutBool(contract.Charging, true)
	case unknown:
	case level == nil:
		f.Put(contract.BatteryPct, 0)
	default:
		f.Take(contract.BatteryPct, level, 1, "batteryLevel")
	}
	d.out.Add(f, d.m.Payload)
}

func (d *decoder) location() {
	times, fault := d.times()
	if !lorawan.AddLocation(d.out, d.m, d.dev, d.doc.Get("location"), times...) {
		d.a.ignored.Count("location")
	} else if fault != "" {
		d.out.Reject(d.dev.ID, d.m.Payload, "%s", fault)
	}
}

func (d *decoder) log() {
	if d.doc.Get("level").Text() != "ERROR" {
		d.a.ignored.Count("log")
		return
	}
	code, text := d.doc.Get("code").Text(), d.doc.Get("description").Text()
	d.out.Reject(d.dev.ID, d.m.Payload, "ChirpStack says: %.60s: %.300s", code, text)
}
