package lorawan

import (
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
	"firewatch/ingest/foreign"
)

// An Uplink is one frame of a device, as its network server hands it over.
type Uplink struct {
	Device  ingest.Registered
	Model   string // as the server calls it; the registry's goes first
	Payload []byte // the application's bytes, decrypted
	Port    uint64 // 0, or not known, is the network's own
	Seq     uint64 // frame counter
	NoSeq   bool   // the frame counter cannot be read
	// Object is what the server's payload codec has made of the payload, and may
	// be nil.
	Object *foreign.Value
	// Normalized is the same in the words of the LoRaWAN Device Repository, and
	// may be nil.
	Normalized *foreign.Value
	// Times are when the frame was received, by the network's clocks, the best
	// one first: such a device has no clock. The first that can be believed is
	// the measured time, and the message's receipt where none can.
	Times   []time.Time
	RSSI    float64 // dBm, at the gateway that heard it best
	HasRSSI bool
	Faults  []string // of the times
	Raw     []byte   // the document, for a rejection
}

// Add turns the uplink into readings. There is always one, with the frame counter
// as its seq: what was measured, where the device is, or, where nothing can be
// read, a status; for the device was heard. Counters without a reading would be
// taken for lost ones. Measurements that the device has kept for an earlier time
// are readings of their own, as of then and without a seq: it belongs to one.
func (u *Uplink) Add(out *foreign.Output, m *ingest.Message) {
	o, earlier, notes := u.read(m)
	for i := range earlier {
		u.addEarlier(out, m, &earlier[i])
	}
	measured := hasMeasured(&o.values)
	class := contract.Status
	switch {
	case u.Device.Kind == contract.Sensor && measured:
		class = contract.Environment
	case u.Device.Kind == contract.Tracker && o.sos:
		class = contract.SOS
	case u.Device.Kind == contract.Tracker && o.place:
		class = contract.Position
	case u.Device.Kind == contract.Tracker && measured:
		o.faults = append(o.faults, "it sends what a sensor measures and is registered as a tracker: register it as a sensor")
	case u.Device.Kind == contract.Sensor && o.place && !o.sos:
		o.faults = append(o.faults, "it sends where it is and is registered as a sensor: register it as a tracker")
	}
	if u.Device.Kind == contract.Sensor && o.sos {
		o.faults = append(o.faults, "it asks for help (sos) and is registered as a sensor: register it as a tracker")
	}
	d := foreign.NewDraft(u.Device, class, m)
	if !u.NoSeq {
		d.Reading.Seq, d.Reading.HasSeq = u.Seq, true
	}
	if !o.at.IsZero() {
		d.Reading.Measured = o.at
	} else {
		Measure(d, u.Times...)
	}
	for _, fault := range u.Faults {
		d.Fault("%s", fault)
	}
	for _, fault := range o.faults {
		d.Fault("%s", fault)
	}
	for f, x := range o.values.All() {
		if f.In(class) {
			d.Put(f, x)
		}
	}
	if u.HasRSSI {
		d.Put(contract.RssiDBm, u.RSSI)
	}
	if class == contract.SOS {
		d.Reading.Code = "button"
		// It asks for help, whatever else it calls active.
		d.PutBool(contract.Active, true)
	}
	text := strings.Join(append(notes, o.extras...), "; ")
	if class == contract.Status {
		d.Reading.Code = o.firmware
		d.Say(text)
	}
	at := d.Reading.Measured
	out.Add(d, u.Raw)
	if class != contract.Status && (text != "" || o.firmware != "") {
		s := foreign.NewDraft(u.Device, contract.Status, m)
		s.Reading.Measured, s.Reading.Code = at, o.firmware
		s.Say(text)
		out.Add(s, u.Raw)
	}
}

// addEarlier is a reading of what the device had measured before.
func (u *Uplink) addEarlier(out *foreign.Output, m *ingest.Message, o *object) {
	class := contract.Status
	if u.Device.Kind == contract.Sensor && hasMeasured(&o.values) {
		class = contract.Environment
	}
	d := foreign.NewDraft(u.Device, class, m)
	d.Reading.Measured = o.at
	for _, fault := range o.faults {
		d.Fault("%s", fault)
	}
	for f, x := range o.values.All() {
		if f.In(class) {
			d.Put(f, x)
		}
	}
	if d.Reading.Values.Len() == 0 {
		for _, fault := range o.faults {
			out.Reject(u.Device.ID, u.Raw, "%s", fault)
		}
		return
	}
	out.Add(d, u.Raw)
}

// read finds what can be read of the payload: by the model, else by what the
// server has decoded. Earlier is what was measured before, the oldest first.
func (u *Uplink) read(m *ingest.Message) (o *object, earlier []object, notes []string) {
	o = &object{}
	if u.Object == nil && u.Normalized == nil && (u.Port == 0 || len(u.Payload) == 0) {
		return o, nil, nil // commands between the device and its network
	}
	model := u.Device.Model
	if model == "" {
		model = u.Model
	}
	var unread string
	switch {
	case len(u.Payload) == 0:
	case strings.Contains(plain(model), "s2120") || strings.Contains(plain(model), "sensecap2120"):
		f, err := decodeS2120(u.Payload)
		if err == nil {
			o.merge(f)
			o.firmware = f.firmware
			return o, nil, f.notes
		}
		unread = "as an S2120: " + err.Error()
	case model != "":
		unread = "no codec here for the model " + model
	default:
		unread = "the device has no model in the registry"
	}
	if u.Normalized != nil {
		o, earlier = readNormalized(u.Normalized, m.Received)
	}
	o.read(u.Object)
	o.firmware = fits(o.firmware)
	known := o.known || slices.ContainsFunc(earlier, func(e object) bool { return e.known })
	if !known && len(o.extras) == 0 && len(o.faults) == 0 {
		switch {
		case u.Object != nil:
			unread = joined(unread, "the server's codec gives none of the names that are understood, like temperature or temp_c")
		default:
			unread = joined(unread, "the server decodes nothing: give the device a payload codec there")
		}
		o.faults = append(o.faults, "its payload cannot be read: "+unread)
	}
	return o, earlier, nil
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// fits is the text if it can be a firmware version.
func fits(s string) string {
	if len(s) > contract.MaxCodeBytes || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return s
}

// hasMeasured reports whether something beside the state of the device is there.
func hasMeasured(v *contract.Values) bool {
	for f := range v.All() {
		if f.In(contract.Environment) && !f.In(contract.Status) {
			return true
		}
	}
	return false
}

// Measure sets the measured time to the first of the times that can be believed,
// or to the receipt, with a fault.
func Measure(d *foreign.Draft, times ...time.Time) {
	r := &d.Reading
	var why error
	for _, t := range times {
		if t.IsZero() {
			continue
		}
		err := contract.CheckMeasured(t, r.Received)
		if err == nil {
			r.Measured = t.UTC()
			return
		}
		if why == nil {
			why = err
		}
	}
	r.Measured = r.Received
	if why != nil {
		d.Fault("the network's clock: %v; taken as of its receipt", why)
	} else {
		d.Fault("the network gives no time; taken as of its receipt")
	}
}

// Time reads an RFC 3339 time, or is zero.
func Time(v *foreign.Value) time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.Text())
	if err != nil {
		return time.Time{}
	}
	return t
}

// BestRSSI is the highest rssi of a list of receptions.
func BestRSSI(list *foreign.Value) (dBm float64, ok bool) {
	if list == nil || list.Kind != foreign.Array {
		return 0, false
	}
	for _, rx := range list.Items {
		x, err := rx.Get("rssi").Float()
		if err != nil || contract.RssiDBm.Check(x) != nil {
			continue
		}
		if !ok || x > dBm {
			dBm, ok = x, true
		}
	}
	return dBm, ok
}

// AddLocation turns a location that the network has found into a position of a
// tracker. It reports false for a sensor: where that stands is in the registry.
//
// A coordinate of 0 is not written by protobuf's JSON. So one alone is beside a
// 0; none at all is no place.
func AddLocation(out *foreign.Output, m *ingest.Message, dev ingest.Registered, loc *foreign.Value, times ...time.Time) bool {
	if dev.Kind != contract.Tracker {
		return false
	}
	d := foreign.NewDraft(dev, contract.Position, m)
	Measure(d, times...)
	lat, lon := loc.Get("latitude"), loc.Get("longitude")
	switch {
	case lat == nil && lon != nil:
		d.Put(contract.Lat, 0)
	case lat != nil && lon == nil:
		d.Put(contract.Lon, 0)
	}
	d.Take(contract.Lat, lat, 1, "latitude")
	d.Take(contract.Lon, lon, 1, "longitude")
	d.NoPlaceAtZero()
	d.Take(contract.AltM, loc.Get("altitude"), 1, "altitude")
	if x, err := loc.Get("accuracy").Float(); err == nil && x > 0 {
		d.Put(contract.AccM, x)
	}
	out.Add(d, m.Payload)
	return true
}
