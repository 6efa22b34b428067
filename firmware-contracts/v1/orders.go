package contractv1

import (
	"time"

	contract "firewatch/firmware-contracts"
)

// Orders is what stands on an orders topic: the orders that are waiting, gravest
// first. It is state, not news: an order that is no longer in it is done with.
type Orders struct {
	Team   contract.TeamID // empty on a tracker's topic
	At     time.Time       // when the state was written; the newer one stands
	Orders []contract.Order
}

// DecodeOrders reads the payload of an orders topic, as a terminal does. The
// empty payload, which clears a retained message, is no orders. Words for kind
// and level that version 1 does not know are taken. The error is a Fault.
func DecodeOrders(payload []byte) (Orders, error) {
	if len(payload) == 0 {
		return Orders{}, nil
	}
	o, faults := decodeOrders(payload, nil)
	if len(faults) > 0 {
		return Orders{}, faults[0]
	}
	return o, nil
}

func decodeOrders(payload []byte, ignored func(int, string)) (Orders, []Fault) {
	var o Orders
	d := document{ignored: ignored, list: "orders"}
	d.each = func() {
		r := &orderReader{d: &d}
		d.object(r.take)
		r.finish()
		o.Orders = append(o.Orders, r.o)
	}
	d.read(payload, func(name string, v *value) bool {
		switch name {
		case keyNameT:
			o.At = d.instant(name, v)
		case "team":
			o.Team = contract.TeamID(d.id(name, v))
		default:
			return false
		}
		return true
	})
	d.need(keyNameT, "the time of writing is missing: milliseconds since 1970-01-01 UTC")
	d.need(d.list, "the array of orders is missing")
	return o, d.faults
}

type orderReader struct {
	d     *document
	o     contract.Order
	place [2]bool
}

func (r *orderReader) take(name string, v *value) bool {
	d, o := r.d, &r.o
	switch name {
	case "id":
		o.ID = d.id(name, v)
	case "kind":
		o.Kind = d.word(name, v)
	case "level":
		o.Level = d.word(name, v)
	case keyNameText:
		o.Text = d.text(name, v)
	case "drill":
		o.Drill = v.truth
		if v.kind != kindBool {
			d.check(name, RuleType, "want true or false, got "+v.named())
		}
	case "issued":
		o.Issued = d.instant(name, v)
	case "answer_by":
		o.AnswerBy = d.instant(name, v)
	case "issuer":
		o.Issuer = d.text(name, v)
	case "lat":
		o.Lat, r.place[0] = r.coordinate(contract.Lat, v)
	case "lon":
		o.Lon, r.place[1] = r.coordinate(contract.Lon, v)
	default:
		return false
	}
	return true
}

func (r *orderReader) coordinate(f contract.Field, v *value) (float64, bool) {
	rule, reason := checkNumber(f, v)
	r.d.check(f.String(), rule, reason)
	return v.num, v.kind != kindNull
}

func (r *orderReader) finish() {
	d := r.d
	if d.s.err != "" {
		return
	}
	d.need("id", "the order's id is missing")
	d.need("kind", "the order's kind is missing")
	if r.place[0] != r.place[1] {
		d.check("lat", RuleMissing, "lat and lon go together: send both or neither")
	}
	r.o.HasPlace = r.place[0] && r.place[1]
}

// instant reads a time. It is not held against a clock: the terminal's own may
// be wrong.
func (d *document) instant(name string, v *value) time.Time {
	rule, reason := checkInteger(v, contract.MaxSeq)
	d.check(name, rule, reason)
	if rule != "" {
		return time.Time{}
	}
	return time.UnixMilli(int64(v.num)).UTC()
}

// word reads a word of the kind that code compares: lower case, at most 32 bytes.
func (d *document) word(name string, v *value) string {
	if v.kind != kindText {
		d.check(name, RuleType, "want a text, got "+v.named())
		return ""
	}
	if w := string(v.raw); isWord(w) {
		return w
	}
	d.check(name, RuleWord, v.String()+" is not a word of a-z, 0-9 and _")
	return ""
}

func isWord(w string) bool {
	for i := range len(w) {
		c := w[i]
		if (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(w) >= 1 && len(w) <= 32
}
