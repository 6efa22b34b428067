// Package tts takes the messages of The Things Stack v3 in JSON, from its MQTT
// server (v3/{application}@{tenant}/devices/{device}/…):
// https://www.thethingsindustries.com/docs/integrations/data-formats/. The device
// of the registry that has the alias tts/{application}@{tenant}/{device} is meant;
// without tenants, tts/{application}/{device}. The Pub/Sub integration is not for
// this adapter: its topics do not name the device.
//
//	uplink_message     what was measured, a position, or a status (see package
//	                   lorawan), and a status with the battery that the device last
//	                   told the network, as of then
//	join_accept        a status, online
//	location_solved    a position of a tracker; a sensor stands where the registry says
//	downlink_failed    rejected, so that a person sees it
//	uplink_normalized  counted: the same is in uplink_message
//	service_data and everything else of downlinks: counted, of no use
//
// A message that is simulated (from the console) is rejected: it must never count.
// The Things Stack leaves out what is zero, like the counter of the first frame.
package tts

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/foreign"
	"firewatch/ingest/lorawan"
)

const name = "tts"

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

// What is understood and of no use here.
var useless = []string{
	"uplink_normalized", "service_data", "downlink_ack", "downlink_nack", "downlink_sent", "downlink_queued",
	"downlink_queue_invalidated", "downlinks",
}

// New checks the options.
func New(o Options) (*Adapter, error) {
	if o.Directory == nil {
		return nil, errors.New("tts: Directory is missing")
	}
	ignored, err := foreign.NewIgnored(o.Metrics, name, append([]string{"location_solved", "empty"}, useless...)...)
	return &Adapter{dir: o.Directory, ignored: ignored}, err
}

// Name implements ingest.Adapter.
func (*Adapter) Name() string { return name }

// Filters implements ingest.Adapter.
func (*Adapter) Filters() []string { return []string{"v3/+/devices/+/#"} }

// Decode implements ingest.Decoder.
func (a *Adapter) Decode(dst []ingest.Entry, rejected []ingest.Rejection, m *ingest.Message) ([]ingest.Entry, []ingest.Rejection) {
	if len(m.Payload) == 0 {
		a.ignored.Count("empty")
		return dst, rejected
	}
	d := decoder{a: a, m: m, out: foreign.NewOutput(dst, rejected, m)}
	d.document()
	return d.out.End()
}

type decoder struct {
	a   *Adapter
	m   *ingest.Message
	out *foreign.Output
	dev ingest.Registered
	doc *foreign.Value
}

func (d *decoder) document() {
	// v3 / {application}@{tenant} / devices / {device} / …
	levels := strings.SplitN(d.m.Topic, "/", 5)
	if len(levels) < 4 {
		d.out.Reject("", d.m.Payload, "topic: want v3/{application}@{tenant}/devices/{device}/…")
		return
	}
	alias := name + "/" + levels[1] + "/" + levels[3]
	doc, err := foreign.Parse(d.m.Payload)
	if err == nil && doc.Kind != foreign.Object {
		err = errors.New("want a JSON object, got " + doc.Kind.String())
	}
	if err != nil {
		dev, _ := d.a.dir.ByAlias(alias)
		d.out.Reject(dev.ID, d.m.Payload, "%v", err)
		return
	}
	// An uplink is one whatever stands beside it.
	if doc.Get("uplink_message") == nil {
		for _, kind := range useless {
			if doc.Get(kind) != nil {
				d.a.ignored.Count(kind)
				return
			}
		}
	}
	var ok bool
	if d.dev, ok = d.out.Find(d.a.dir, alias); !ok {
		return
	}
	// The topic says which device it is, because that is what access rules
	// protect.
	if said := doc.Path("end_device_ids", "device_id").Text(); said != "" && said != levels[3] {
		d.out.Reject(d.dev.ID, d.m.Payload, "the payload is of the device %.40s and came on the topic of %.40s", said, levels[3])
		return
	}
	app, _, _ := strings.Cut(levels[1], "@")
	if said := doc.Path("end_device_ids", "application_ids", "application_id").Text(); said != "" && said != app {
		d.out.Reject(d.dev.ID, d.m.Payload, "the payload is of the application %.40s and came on the topic of %.40s", said, app)
		return
	}
	d.doc = doc
	d.event()
}

func (d *decoder) event() {
	if is, err := d.doc.Get("simulated").Truth(); is || err != nil && !errors.Is(err, foreign.ErrAbsent) {
		d.out.Reject(d.dev.ID, d.m.Payload, "simulated: true: made up in the console of The Things Stack, and not counted")
		return
	}
	switch {
	case d.doc.Get("uplink_message") != nil:
		d.uplink(d.doc.Get("uplink_message"))
	case d.doc.Get("join_accept") != nil:
		f := foreign.NewDraft(d.dev, contract.Status, d.m)
		lorawan.Measure(f, lorawan.Time(d.doc.Path("join_accept", "received_at")), lorawan.Time(d.doc.Get("received_at")))
		f.PutBool(contract.Online, true)
		d.out.Add(f, d.m.Payload)
	case d.doc.Get("location_solved") != nil:
		if !lorawan.AddLocation(d.out, d.m, d.dev, d.doc.Path("location_solved", "location"), lorawan.Time(d.doc.Get("received_at"))) {
			d.a.ignored.Count("location_solved")
		}
	case d.doc.Get("downlink_failed") != nil:
		e := d.doc.Path("downlink_failed", "error")
		d.out.Reject(d.dev.ID, d.m.Payload, "The Things Stack says: a downlink failed: %.60s: %.300s", e.Get("name").Text(), e.Get("message_format").Text())
	default:
		d.out.Reject(d.dev.ID, d.m.Payload, "none of the messages of The Things Stack v3 (uplink_message, join_accept, …)")
	}
}

func (d *decoder) uplink(up *foreign.Value) {
	u := lorawan.Uplink{
		Device: d.dev, Model: up.Path("version_ids", "model_id").Text(),
		Object: up.Get("decoded_payload"), Normalized: up.Get("normalized_payload"),
		// The network server's clock goes before the gateways', many of which have
		// never been set.
		Times: []time.Time{lorawan.Time(up.Get("received_at")), lorawan.Time(d.doc.Get("received_at"))},
		Raw:   d.m.Payload,
	}
	var faults []string
	for _, n := range []struct {
		key  string
		most uint64
		to   *uint64
	}{{"f_cnt", math.MaxUint32, &u.Seq}, {"f_port", 255, &u.Port}} {
		v := up.Get(n.key)
		if v == nil {
			continue
		}
		var err error
		if *n.to, err = v.Uint(n.most); err != nil {
			faults = append(faults, n.key+": "+err.Error())
			u.NoSeq = u.NoSeq || n.to == &u.Seq
		}
	}
	u.RSSI, u.HasRSSI = lorawan.BestRSSI(up.Get("rx_metadata"))
	payload, err := base64.StdEncoding.DecodeString(up.Get("frm_payload").Text())
	if err != nil {
		faults = append(faults, "frm_payload: not base64")
	} else {
		u.Payload = payload
	}
	u.Add(d.out, d.m)
	d.battery(up.Get("last_battery_percentage"))
	if len(faults) > 0 {
		d.out.Reject(d.dev.ID, d.m.Payload, "%s", strings.Join(faults, "; "))
	}
}

// battery is what the device once told the network. It comes again with every
// uplink; as of its own time, so it is stored once.
func (d *decoder) battery(v *foreign.Value) {
	at := lorawan.Time(v.Get("received_at"))
	if at.IsZero() {
		return
	}
	f := foreign.NewDraft(d.dev, contract.Status, d.m)
	f.Reading.Measured = at.UTC()
	if x := v.Get("value"); x != nil {
		f.Take(contract.BatteryPct, x, 1, "last_battery_percentage")
	} else {
		f.Put(contract.BatteryPct, 0) // left out because it is zero
	}
	d.out.Add(f, d.m.Payload)
}
