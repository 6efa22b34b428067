package contractv1

import (
	"bytes"
	"fmt"
	"math/bits"
	"time"

	contract "firewatch/firmware-contracts"
)

// Decode reads the payload of a message that came on t at the time received. It
// appends the readings that can be taken to dst, in the order of the document,
// and returns a fault for each that cannot, or one fault with index -1 for a
// document that is refused as a whole. A reading that carries an alarm can be in
// both (see Fault.Kept). Faults point into payload, readings do not.
func Decode(dst []contract.Reading, t contract.Topic, payload []byte, received time.Time) (readings []contract.Reading, faults []Fault) {
	d := decoder{topic: t, received: received.Round(0).UTC(), readings: dst, start: len(dst)}
	d.message(payload)
	return d.readings, d.faults
}

type decoder struct {
	s        scanner
	topic    contract.Topic
	received time.Time
	keys     map[string]key
	readings []contract.Reading
	faults   []Fault
	start    int // of this message's readings
	batch    bool
	top      contract.Reading // the document itself, when it is a reading
	// every asks for all faults of a reading instead of the first.
	every bool
	// ignored, if set, hears of every key that is not read.
	ignored func(index int, name string)
}

// openDocument finds the encoding of a payload and sets the scanner at its first byte.
func (s *scanner) openDocument(payload []byte) *Fault {
	refuse := func(r Rule, format string, args ...any) *Fault {
		return &Fault{Index: -1, Rule: r, Reason: fmt.Sprintf(format, args...), Raw: payload}
	}
	if len(payload) > contract.MaxMessageBytes {
		return refuse(RuleSize, "the message has %d bytes, at most %d are allowed: send smaller batches",
			len(payload), contract.MaxMessageBytes)
	}
	enc, ok := Sniff(payload)
	if ok {
		s.reset(payload, enc == CBOR)
		if s.cbor && payload[0]>>5 == majorTag {
			s.i = 3
		}
		return nil
	}
	text := bytes.TrimLeft(payload, " \t\r\n")
	switch {
	case len(payload) == 0:
		return refuse(RuleSyntax, "the message is empty")
	case len(text) == 0:
		return refuse(RuleSyntax, "the message holds nothing but white space")
	case bytes.HasPrefix(payload, []byte("\xef\xbb\xbf")):
		return refuse(RuleSyntax, "the message begins with a byte order mark (EF BB BF): leave it out")
	case bytes.HasPrefix(payload, []byte("\xff\xfe")), bytes.HasPrefix(payload, []byte("\xfe\xff")):
		return refuse(RuleSyntax, "the message looks like UTF-16: send UTF-8")
	case bytes.HasPrefix(payload, []byte("\x1f\x8b")):
		return refuse(RuleSyntax, "the message is gzip: send it uncompressed, or use CBOR")
	case text[0] == '[':
		return refuse(RuleSyntax, `the message is a JSON array: send a batch as {"readings": [...]}`)
	case payload[0]>>5 == majorArray:
		return refuse(RuleSyntax, `the message is a CBOR array: send a batch as a map {"readings": [...]}`)
	}
	return refuse(RuleSyntax, "the message is neither JSON (which begins with '{') nor a CBOR map (0xa0 to 0xbf): it begins with %s", char(payload[0]))
}

// refuse drops everything of this message but one fault.
func (d *decoder) refuse(f Fault) {
	f.Index = -1
	clear(d.readings[d.start:])
	d.readings = d.readings[:d.start]
	d.faults = append(d.faults[:0], f)
}

func (d *decoder) message(payload []byte) {
	if d.topic.Class == 0 || int(d.topic.Class) >= len(classKeys) {
		d.refuse(Fault{Rule: RuleTopic, Reason: "no readings are published on this topic", Raw: payload})
		return
	}
	d.keys = classKeys[d.topic.Class]
	s := &d.s
	if f := s.openDocument(payload); f != nil {
		d.refuse(*f)
		return
	}
	b := build{r: &d.top, top: true, begin: s.i}
	if s.peek(); s.err == "" {
		d.object(&b)
	}
	s.end()
	switch {
	case s.err != "":
		d.refuse(Fault{Rule: s.rule, Reason: s.err, Raw: payload})
	case !d.batch:
		if d.finish(&b) {
			d.readings = append(d.readings, d.top)
		}
	}
}

// readingsOf reads the array of a batch.
func (d *decoder) readingsOf(b *build) {
	s := &d.s
	k := s.peek()
	if k == kindNull {
		s.skip()
		return
	}
	if k != kindArray {
		var v value
		if s.value(&v); s.err == "" {
			d.stop(RuleType, "%s: want an array of readings, got %s", keyNameReadings, v.named())
		}
		return
	}
	// What stands beside the array is no reading.
	d.batch, d.faults, b.mute = true, d.faults[:0], true
	if !s.open() {
		return
	}
	n := 0
	for ; s.elem(); n++ {
		if n == contract.MaxReadings {
			d.stop(RuleSize, "the batch has more than %d readings: send several messages", contract.MaxReadings)
			return
		}
		d.element(n)
	}
	if n == 0 && s.err == "" {
		d.stop(RuleMissing, "%s is empty: send nothing when there is nothing to send", keyNameReadings)
	}
}

// stop ends the scan with a fault of the whole document.
func (d *decoder) stop(r Rule, format string, args ...any) {
	if d.s.err == "" {
		d.s.err, d.s.rule = fmt.Sprintf(format, args...), r
		d.s.i = len(d.s.b)
	}
}

func (d *decoder) element(n int) {
	s := &d.s
	b := build{index: n}
	if k := s.peek(); k != kindObject {
		b.begin = s.i
		var v value
		s.value(&v)
		d.fault(&b, RuleType, "", "want an object, got "+v.named())
		d.raw(&b)
		return
	}
	b.begin = s.i
	d.readings = append(d.readings, contract.Reading{})
	b.r = &d.readings[len(d.readings)-1]
	d.object(&b)
	if s.err == "" && !d.finish(&b) {
		*b.r = contract.Reading{}
		d.readings = d.readings[:len(d.readings)-1]
	}
}

// build is one reading in the making.
type build struct {
	r      *contract.Reading
	index  int
	top    bool // the document itself
	mute   bool // it has turned out to be a batch
	begin  int  // where it stands in the payload
	seen   uint64
	null   uint64 // seen, and null
	has    uint64 // seen and taken
	faults int
}

func (d *decoder) fault(b *build, r Rule, field, reason string) {
	if b.mute {
		return
	}
	b.faults++
	if b.faults > 1 && !d.every {
		return
	}
	d.faults = append(d.faults, Fault{Index: b.index, Field: field, Rule: r, Reason: reason})
}

// raw gives the faults of the reading just read its bytes.
func (d *decoder) raw(b *build) {
	for i := len(d.faults) - 1; i >= 0 && d.faults[i].Raw == nil && d.faults[i].Index == b.index; i-- {
		if b.top {
			d.faults[i].Raw = d.s.b
		} else {
			d.faults[i].Raw = d.s.b[b.begin:d.s.i:d.s.i]
		}
	}
}

func (d *decoder) object(b *build) {
	s := &d.s
	if !s.open() {
		return
	}
	for {
		name, ok := s.key()
		if !ok {
			return
		}
		k, known := d.keys[string(name)]
		switch {
		case s.badKey:
			d.fault(b, RuleType, "", "a key of the map is not a text: keys are the names of the contract")
			s.skip()
		case !known || k.kind == keyReadings && !b.top:
			if d.ignored != nil && !b.mute {
				d.ignored(b.index, string(name))
			}
			s.skip()
		case b.seen&k.bit != 0 && k.kind == keyReadings:
			d.stop(RuleDuplicate, "%s stands twice", keyNameReadings)
		case k.kind == keyReadings:
			b.seen |= k.bit
			d.readingsOf(b)
		case b.seen&k.bit != 0:
			d.fault(b, RuleDuplicate, k.name, "the key stands twice in one reading")
			s.skip()
		default:
			b.seen |= k.bit
			var v value
			s.value(&v)
			switch {
			case s.err != "" || b.mute:
			case v.kind == kindNull:
				b.null |= k.bit
			default:
				d.take(b, k, &v)
			}
		}
	}
}

// take puts a value into the reading.
func (d *decoder) take(b *build, k key, v *value) {
	var ok bool
	switch k.kind {
	case keyT:
		ok = d.takeTime(b, v)
	case keySeq:
		if ok = d.integer(b, k.name, v, contract.MaxSeq); ok {
			b.r.Seq, b.r.HasSeq = uint64(v.num), true
		}
	case keyCode:
		ok = d.takeCode(b, k.name, v)
	case keyText:
		rule, reason := checkText(v, contract.MaxTextBytes)
		if ok = rule == ""; ok {
			b.r.Text = string(v.raw)
		} else {
			d.fault(b, rule, k.name, reason)
		}
	case keyField:
		ok = d.takeField(b, k, v)
	case keyReadings:
	}
	if ok {
		b.has |= k.bit
	}
}

func (d *decoder) takeField(b *build, k key, v *value) bool {
	if k.field.Info().Bool {
		if v.kind != kindBool {
			d.fault(b, RuleType, k.name, "want true or false, got "+v.named())
			return false
		}
		x := 0.0
		if v.truth {
			x = 1
		}
		b.r.Values.Set(k.field, x)
		return true
	}
	if rule, reason := checkNumber(k.field, v); rule != "" {
		d.fault(b, rule, k.name, reason)
		return false
	}
	b.r.Values.Set(k.field, v.num)
	return true
}

func (d *decoder) takeCode(b *build, name string, v *value) bool {
	words := codeWords(d.topic.Class)
	if words == nil {
		rule, reason := checkText(v, contract.MaxCodeBytes)
		if rule == "" {
			rule, reason = checkLine(v.raw)
		}
		if rule != "" {
			d.fault(b, rule, name, reason)
			return false
		}
		b.r.Code = string(v.raw)
		return true
	}
	w, rule, reason := checkWord(v, words)
	if rule != "" {
		d.fault(b, rule, name, reason)
		return false
	}
	b.r.Code = w
	return true
}

func (d *decoder) takeTime(b *build, v *value) bool {
	if !d.integer(b, keyNameT, v, contract.MaxSeq) {
		return false
	}
	at := time.UnixMilli(int64(v.num)).UTC()
	if err := contract.CheckMeasured(at, d.received); err != nil {
		d.fault(b, RuleTime, keyNameT, clockReason(v.num, at, d.received))
		return false
	}
	b.r.Measured = at
	return true
}

func (d *decoder) integer(b *build, name string, v *value, most float64) bool {
	if rule, reason := checkInteger(v, most); rule != "" {
		d.fault(b, rule, name, reason)
		return false
	}
	return true
}

// finish checks the reading as a whole and reports whether it is to be taken.
func (d *decoder) finish(b *build) bool {
	d.complete(b)
	taken := b.faults == 0
	if !taken && d.alarm(b) {
		taken = d.salvage(b)
	}
	if b.faults > 0 {
		if taken {
			for i := len(d.faults) - 1; i >= 0 && d.faults[i].Raw == nil && d.faults[i].Index == b.index; i-- {
				d.faults[i].Kept = true
			}
		}
		d.raw(b)
	}
	if !taken {
		return false
	}
	r := b.r
	r.Device, r.Kind, r.Class, r.Received = d.topic.Device, d.topic.Kind, d.topic.Class, d.received
	return true
}

const placeBits = 1<<contract.Lat | 1<<contract.Lon

// complete looks for what must be there and sets what is understood.
func (d *decoder) complete(b *build) {
	missing := func(bit uint64) bool { return b.seen&^b.null&bit == 0 }
	if missing(tKey.bit) {
		d.fault(b, RuleMissing, keyNameT, "the measured time is missing: milliseconds since 1970-01-01 UTC")
	}
	c := d.topic.Class
	switch {
	case !hasPlace(c) || b.has&placeBits == placeBits:
	case c == contract.Position || bits.OnesCount64(b.has&placeBits) == 1:
		for _, f := range []contract.Field{contract.Lat, contract.Lon} {
			if b.has&(1<<f) == 0 && missing(1<<f) {
				reason := "a position needs lat and lon; without a fix send a status instead"
				if c != contract.Position {
					reason = "lat and lon go together: send both or neither"
				}
				d.fault(b, RuleMissing, f.String(), reason)
			}
		}
	}
	if c == contract.Environment && b.has&measuredBits == 0 && b.faults == 0 {
		d.fault(b, RuleMissing, "", "an environment reading needs at least one measured value (temp_c, rh_pct, ...); without one send a status instead")
	}
	if c == contract.SOS && !b.r.Values.Has(contract.Active) {
		b.r.Values.Set(contract.Active, 1)
	}
}

// alarm reports whether the reading must not be lost.
func (d *decoder) alarm(b *build) bool {
	on := func(f contract.Field) bool { x, ok := b.r.Values.Get(f); return ok && x != 0 }
	switch d.topic.Class {
	case contract.SOS:
		return on(contract.Active) // a call-off is not believed when in doubt
	case contract.Report:
		return true
	case contract.Position, contract.Environment, contract.Status:
	}
	return on(contract.Flame) || on(contract.Tamper)
}

// salvage makes an alarm with faults fit to be taken, if that can be done.
func (d *decoder) salvage(b *build) bool {
	switch {
	case b.has&tKey.bit != 0:
	case b.seen&^b.null&tKey.bit != 0:
		b.r.Measured = d.received.Truncate(time.Millisecond)
	default:
		return false // no time at all: not one of our documents
	}
	if b.has&placeBits != placeBits {
		if d.topic.Class == contract.Position {
			return false
		}
		b.r.Values.Clear(contract.Lat)
		b.r.Values.Clear(contract.Lon)
	}
	if codeWords(d.topic.Class) != nil && b.seen&^b.null&^b.has&codeBit != 0 {
		b.r.Code = "other"
	}
	return d.topic.Class != contract.Environment || b.has&measuredBits != 0
}
