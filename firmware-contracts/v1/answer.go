package contractv1

import (
	"slices"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// DecodeAnswer reads what a team or a tracker, whichever the topic names, says
// about an order. The error is a Fault. One
// with Kept comes with the answer: nothing is wrong with it but its time, At is
// zero, and it must be taken as of its receipt. A person's answer is not lost
// for a terminal's clock.
func DecodeAnswer(t contract.Topic, payload []byte, received time.Time) (contract.Answer, error) {
	a, faults := decodeAnswer(t, payload, received, nil)
	switch {
	case len(faults) == 0:
		return a, nil
	case faults[0].Kept:
		return a, faults[0]
	}
	return contract.Answer{}, faults[0]
}

func decodeAnswer(t contract.Topic, payload []byte, received time.Time, ignored func(int, string)) (contract.Answer, []Fault) {
	a := contract.Answer{Team: t.Team, Device: t.Device, Received: received.Round(0).UTC()}
	d := document{ignored: ignored}
	d.read(payload, func(name string, v *value) bool {
		switch name {
		case keyNameT:
			rule, reason := checkInteger(v, contract.MaxSeq)
			if rule == "" {
				a.At = time.UnixMilli(int64(v.num)).UTC()
				if contract.CheckMeasured(a.At, a.Received) != nil {
					rule, reason = RuleTime, clockReason(v.num, a.At, a.Received)
				}
			}
			d.check(name, rule, reason)
		case "order":
			a.Order = d.id(name, v)
		case "answer":
			w, rule, reason := checkWord(v, receipts)
			a.Receipt = contract.Receipt(w)
			d.check(name, rule, reason)
		case "reason":
			a.Reason = d.text(name, v)
		case "by":
			a.By = d.text(name, v)
		default:
			return false
		}
		return true
	})
	d.need(keyNameT, "the time of the answer is missing: milliseconds since 1970-01-01 UTC")
	d.need("order", "the id of the order is missing")
	d.need("answer", "the answer is missing: one of "+strings.Join(receipts, ", "))
	if a.Receipt == contract.Rejected && a.Reason == "" && d.onlyTime() {
		d.check("reason", RuleMissing, "a rejected order needs a reason")
	}
	if len(d.faults) > 0 && d.onlyTime() {
		a.At = time.Time{}
		for i := range d.faults {
			d.faults[i].Kept = true
		}
	}
	return a, d.faults
}

var receipts = func() (words []string) {
	for _, r := range contract.Receipts {
		words = append(words, string(r))
	}
	return words
}()

// document reads an object that is not a reading.
type document struct {
	s       scanner
	faults  []Fault
	prefix  string   // of the keys of an element: "orders[3]."
	seen    []string // keys that were read
	given   []string // and are not null
	whole   bool     // refused as a whole
	ignored func(index int, name string)
	list    string // a key that holds an array of objects
	each    func() // reads one of them
}

func (d *document) refuse(f Fault) {
	d.whole = true
	d.faults = append(d.faults[:0], f)
}

// read hands every key with a value to take, which reports whether it knows it.
func (d *document) read(payload []byte, take func(name string, v *value) bool) {
	if f := d.s.openDocument(payload); f != nil {
		d.refuse(*f)
		return
	}
	if d.s.peek(); d.s.err == "" {
		d.object(take)
	}
	d.s.end()
	if d.s.err != "" {
		d.refuse(Fault{Index: -1, Rule: d.s.rule, Reason: d.s.err, Raw: payload})
	}
}

// object leaves the keys it has read in seen and given.
func (d *document) object(take func(name string, v *value) bool) {
	s := &d.s
	d.seen, d.given = nil, nil
	if !s.open() {
		return
	}
	for {
		k, ok := s.key()
		if !ok {
			return
		}
		if s.badKey {
			d.check("", RuleType, "a key of the map is not a text: keys are the names of the contract")
			s.skip()
			continue
		}
		name := string(k)
		if d.prefix == "" && d.each != nil && name == d.list {
			d.array()
			continue
		}
		var v value
		s.value(&v)
		if s.err != "" {
			return
		}
		null := v.kind == kindNull
		before := len(d.faults)
		switch known := take(name, &v); {
		case !known:
			if d.ignored != nil {
				d.ignored(-1, d.prefix+name)
			}
		case slices.Contains(d.seen, name):
			d.faults = d.faults[:before]
			d.check(name, RuleDuplicate, "the key stands twice")
		default:
			d.seen = append(d.seen, name)
			if null {
				d.faults = d.faults[:before]
			} else {
				d.given = append(d.given, name)
			}
		}
	}
}

// array reads the array of objects.
func (d *document) array() {
	s := &d.s
	k := s.peek()
	switch {
	case s.err != "":
		return
	case slices.Contains(d.seen, d.list):
		d.check(d.list, RuleDuplicate, "the key stands twice")
	case k == kindNull:
	case k != kindArray:
		d.check(d.list, RuleType, "want an array")
		d.given = append(d.given, d.list)
	default:
		seen, given := d.seen, d.given
		if !s.open() {
			return
		}
		for n := 0; s.elem(); n++ {
			d.prefix = d.list + "[" + strconv.Itoa(n) + "]"
			if s.peek() == kindObject {
				d.prefix += "."
				d.each()
			} else {
				d.check("", RuleType, "want an object")
				s.skip()
			}
		}
		d.prefix = ""
		seen, given = append(seen, d.list), append(given, d.list)
		d.seen, d.given = seen, given
		return
	}
	d.seen = append(d.seen, d.list)
	s.skip()
}

func (d *document) check(name string, r Rule, reason string) {
	if r != "" && !d.whole {
		d.faults = append(d.faults, Fault{Index: -1, Field: d.prefix + name, Rule: r, Reason: reason, Raw: d.s.b})
	}
}

// onlyTime reports whether nothing but the time is faulty, if anything is.
func (d *document) onlyTime() bool {
	return !d.whole && !slices.ContainsFunc(d.faults, func(f Fault) bool { return f.Field != keyNameT })
}

func (d *document) need(name, reason string) {
	if !slices.Contains(d.given, name) {
		d.check(name, RuleMissing, reason)
	}
}

func (d *document) text(name string, v *value) string {
	rule, reason := checkText(v, contract.MaxTextBytes)
	d.check(name, rule, reason)
	if rule != "" {
		return ""
	}
	return string(v.raw)
}

func (d *document) id(name string, v *value) string {
	if v.kind != kindText {
		d.check(name, RuleType, "want a text, got "+v.named())
		return ""
	}
	id := string(v.raw)
	if contract.DeviceID(id).Validate() != nil {
		d.check(name, RuleID, v.String()+" is not an id: 1 to 64 ASCII letters, digits and . _ - beginning with a letter or digit")
		return ""
	}
	return id
}
