package foreign

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// A Draft is a reading in the making. What cannot be true is left out of it and
// noted as a fault.
type Draft struct {
	Reading contract.Reading
	faults  []string
}

// NewDraft begins a reading of the device, received at m.
func NewDraft(dev ingest.Registered, class contract.Class, m *ingest.Message) *Draft {
	return &Draft{Reading: contract.Reading{
		Device: dev.ID, Kind: dev.Kind, Class: class, Received: m.Received.Round(0).UTC(),
	}}
}

// mostFaults bounds the words about one reading.
const mostFaults = 6

// Fault notes what is wrong, in words for an engineer.
func (d *Draft) Fault(format string, args ...any) {
	if len(d.faults) < mostFaults {
		d.faults = append(d.faults, fmt.Sprintf(format, args...))
	}
}

// Put sets a field, or notes why x cannot be its value.
func (d *Draft) Put(f contract.Field, x float64) {
	err := f.Check(x)
	switch {
	case err != nil:
		d.Fault("%v", err)
	case !f.In(d.Reading.Class):
		d.Fault("%s: not a field of class %s", f, d.Reading.Class)
	default:
		d.Reading.Values.Set(f, x)
	}
}

// PutBool sets a field that is true or false.
func (d *Draft) PutBool(f contract.Field, is bool) {
	x := 0.0
	if is {
		x = 1
	}
	d.Put(f, x)
}

// Take sets a field from a number times scale, if v is there. Key names it in a
// fault.
func (d *Draft) Take(f contract.Field, v *Value, scale float64, key string) {
	if v == nil {
		return
	}
	x, err := v.Float()
	if err != nil {
		d.Fault("%s: %v", key, err)
		return
	}
	d.Put(f, x*scale)
}

// TakePlace sets lat and lon, both or neither.
func (d *Draft) TakePlace(lat, lon *Value) {
	d.Take(contract.Lat, lat, 1, "lat")
	d.Take(contract.Lon, lon, 1, "lon")
	v := &d.Reading.Values
	if v.Has(contract.Lat) != v.Has(contract.Lon) {
		d.Fault("lat and lon: one without the other")
		v.Clear(contract.Lat)
		v.Clear(contract.Lon)
	}
}

// NoPlaceAtZero takes the place away if it is 0 and 0, which is what devices say
// without a fix.
func (d *Draft) NoPlaceAtZero() {
	v := &d.Reading.Values
	lat, hasLat := v.Get(contract.Lat)
	lon, hasLon := v.Get(contract.Lon)
	if !hasLat || !hasLon || lat != 0 || lon != 0 {
		return
	}
	d.Fault("lat and lon: 0 and 0 is no place")
	v.Clear(contract.Lat)
	v.Clear(contract.Lon)
}

// TakeSeconds sets the measured time from seconds since 1970 UTC.
func (d *Draft) TakeSeconds(v *Value, key string) {
	x, err := v.Float()
	switch {
	case err != nil:
		d.Fault("%s: %v", key, err)
	case x < 0 || x >= 1e11:
		d.Fault("%s: %v is no time in seconds since 1970", key, x)
	default:
		// A float64 holds milliseconds of these years exactly enough.
		d.Reading.Measured = time.UnixMilli(int64(math.Round(x * 1000))).UTC()
	}
}

// Say sets the reading's text. What does not fit is cut off, and said so.
func (d *Draft) Say(text string) {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == 0 || r == utf8.RuneError {
			return -1
		}
		return r
	}, text))
	if len(text) > contract.MaxTextBytes {
		d.Fault("the text has %d bytes, the first %d are kept", len(text), contract.MaxTextBytes)
		text = strings.ToValidUTF8(text[:contract.MaxTextBytes], "")
	}
	d.Reading.Text = text
}

// alarm reports whether the reading must not be lost, as the contract has it:
// an SOS that is not its call-off, a report, a flame, a tamper.
func (d *Draft) alarm() bool {
	on := func(f contract.Field) bool { x, ok := d.Reading.Values.Get(f); return ok && x != 0 }
	switch d.Reading.Class {
	case contract.SOS:
		return on(contract.Active)
	case contract.Report:
		return true
	case contract.Position, contract.Environment, contract.Status:
	}
	return on(contract.Flame) || on(contract.Tamper)
}

// settle makes the reading fit to be taken, if that can be done.
func (d *Draft) settle() bool {
	r := &d.Reading
	if r.Measured.IsZero() || contract.CheckMeasured(r.Measured, r.Received) != nil {
		if !r.Measured.IsZero() {
			d.Fault("%v", contract.CheckMeasured(r.Measured, r.Received))
		} else if len(d.faults) == 0 {
			d.Fault("the measured time is missing")
		}
		if !d.alarm() {
			return false
		}
		r.Measured = r.Received.Truncate(time.Millisecond)
	}
	if err := r.Validate(); err != nil {
		d.Fault("%v", err)
		return false
	}
	return true
}

// An Output collects what one message gives.
type Output struct {
	Entries  []ingest.Entry
	Rejected []ingest.Rejection
	m        *ingest.Message
	from     int // rejections that are of other messages
	more     int // rejections that were not kept
}

// NewOutput begins a message; what it gives is appended.
func NewOutput(dst []ingest.Entry, rejected []ingest.Rejection, m *ingest.Message) *Output {
	return &Output{Entries: dst, Rejected: rejected, m: m, from: len(rejected)}
}

// mostRejections bounds what one message can write to quarantine.
const mostRejections = 50

// Reject notes that the message, or the part raw of it, cannot be taken.
func (o *Output) Reject(id contract.DeviceID, raw []byte, format string, args ...any) {
	if len(o.Rejected)-o.from >= mostRejections {
		o.more++
		return
	}
	o.Rejected = append(o.Rejected, ingest.Rejection{
		Device: id, Topic: o.m.Topic, Reason: fmt.Sprintf(format, args...), Payload: raw, Received: o.m.Received,
	})
}

// Add takes the draft over: as an entry, as a rejection, or as an entry without
// what is faulty and a rejection that says so. Raw is what it was made of.
func (o *Output) Add(d *Draft, raw []byte) {
	taken := d.settle()
	if taken {
		o.Entries = append(o.Entries, ingest.Entry{Reading: d.Reading})
	}
	if len(d.faults) == 0 {
		return
	}
	reason := strings.Join(d.faults, "; ")
	if taken {
		reason += " (the rest was taken)"
	}
	o.Reject(d.Reading.Device, raw, "%s", reason)
}

// End returns everything.
func (o *Output) End() ([]ingest.Entry, []ingest.Rejection) {
	if o.more > 0 {
		last := &o.Rejected[len(o.Rejected)-1]
		last.Reason += fmt.Sprintf(" (and %d more in this message)", o.more)
	}
	return o.Entries, o.Rejected
}

// Find looks the alias up, and rejects the message when nobody is called so.
func (o *Output) Find(dir ingest.Directory, alias string) (ingest.Registered, bool) {
	dev, ok := dir.ByAlias(alias)
	if !ok {
		o.Reject("", o.m.Payload, "no device of the registry is called %s: give one that alias", clipAlias(alias))
	}
	return dev, ok
}

func clipAlias(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "…"
}
