package contractv1

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	contract "firewatch/firmware-contracts"
)

// ErrTooLarge is matched by an encoder's error when the document would exceed a
// limit of one message: the caller sends smaller ones.
var ErrTooLarge = errors.New("too large for one message")

// AppendReadings appends a document with the readings: one reading stands
// alone, several are a batch. All must be of one device and class, as they go to
// one topic. What Decode would not take back is an error, and dst is returned as
// it was.
func AppendReadings(dst []byte, enc Encoding, rs []contract.Reading) ([]byte, error) {
	switch n := len(rs); {
	case n == 0:
		return dst, errors.New("encoding readings: there are none")
	case n > contract.MaxReadings:
		return dst, fmt.Errorf("encoding readings: %d of at most %d: %w", n, contract.MaxReadings, ErrTooLarge)
	}
	for i := range rs {
		if rs[i].Device != rs[0].Device || rs[i].Class != rs[0].Class {
			return dst, fmt.Errorf("encoding reading %d: another device or class than the first", i)
		}
		if err := checkReading(&rs[i]); err != nil {
			return dst, fmt.Errorf("encoding reading %d: %w", i, err)
		}
	}
	w := writer{b: dst, cbor: enc == CBOR}
	if len(rs) == 1 {
		w.reading(&rs[0])
		return w.done(dst)
	}
	w.object(1)
	w.key(keyNameReadings)
	w.array(len(rs))
	for i := range rs {
		w.item()
		w.reading(&rs[i])
	}
	w.endArray()
	w.endObject()
	return w.done(dst)
}

// AppendAnswer appends what a team says about an order.
func AppendAnswer(dst []byte, enc Encoding, a contract.Answer) ([]byte, error) {
	if err := checkAnswer(&a); err != nil {
		return dst, fmt.Errorf("encoding answer: %w", err)
	}
	w := writer{b: dst, cbor: enc == CBOR}
	w.object(3 + count(a.Reason != "", a.By != ""))
	w.time(keyNameT, a.At)
	w.string("order", a.Order)
	w.string("answer", string(a.Receipt))
	w.optional("reason", a.Reason)
	w.optional("by", a.By)
	w.endObject()
	return w.done(dst)
}

// AppendOrders appends the state of an orders topic as of at. Team is empty on a
// tracker's topic. No orders append nothing: the empty payload clears the
// retained message.
func AppendOrders(dst []byte, enc Encoding, team contract.TeamID, orders []contract.Order, at time.Time) ([]byte, error) {
	if len(orders) == 0 {
		return dst, nil
	}
	for i := range orders {
		if err := checkOrder(&orders[i]); err != nil {
			return dst, fmt.Errorf("encoding order %d: %w", i, err)
		}
	}
	if team != "" {
		if err := team.Validate(); err != nil {
			return dst, fmt.Errorf("encoding orders: %w", err)
		}
	}
	if err := checkInstant(at); err != nil {
		return dst, fmt.Errorf("encoding orders: %w", err)
	}
	w := writer{b: dst, cbor: enc == CBOR}
	w.object(2 + count(team != ""))
	w.time(keyNameT, at)
	w.optional("team", string(team))
	w.key("orders")
	w.array(len(orders))
	for i := range orders {
		w.item()
		w.order(&orders[i])
	}
	w.endArray()
	w.endObject()
	return w.done(dst)
}

func (w *writer) reading(r *contract.Reading) {
	code := codeName(r.Class)
	w.object(1 + count(r.HasSeq, r.Code != "", r.Text != "") + r.Values.Len())
	w.time(keyNameT, r.Measured)
	if r.HasSeq {
		w.key(keyNameSeq)
		w.uint(r.Seq)
	}
	w.optional(code, r.Code)
	w.optional(keyNameText, r.Text)
	for f, x := range r.Values.All() {
		w.key(f.String())
		if f.Info().Bool {
			w.bool(x != 0)
		} else {
			w.float(x)
		}
	}
	w.endObject()
}

func (w *writer) order(o *contract.Order) {
	w.object(3 + count(o.Level != "", o.Text != "", !o.Issued.IsZero(), !o.AnswerBy.IsZero(), o.Issuer != "", o.HasPlace, o.HasPlace))
	w.string("id", o.ID)
	w.string("kind", o.Kind)
	w.optional("level", o.Level)
	w.optional(keyNameText, o.Text)
	w.key("drill")
	w.bool(o.Drill)
	if !o.Issued.IsZero() {
		w.time("issued", o.Issued)
	}
	if !o.AnswerBy.IsZero() {
		w.time("answer_by", o.AnswerBy)
	}
	w.optional("issuer", o.Issuer)
	if o.HasPlace {
		w.key("lat")
		w.float(o.Lat)
		w.key("lon")
		w.float(o.Lon)
	}
	w.endObject()
}

// checkReading reports what Decode would not take back, but for the clock.
func checkReading(r *contract.Reading) error {
	if err := checkInstant(r.Measured); err != nil {
		return err
	}
	if r.HasSeq && r.Seq > contract.MaxSeq {
		return fmt.Errorf("seq: %d is over 2^53-1", r.Seq)
	}
	if int(r.Class) >= len(classKeys) || r.Class == 0 {
		return fmt.Errorf("%s is no class", r.Class)
	}
	name := codeName(r.Class)
	if r.Code != "" {
		v := value{kind: kindText, raw: []byte(r.Code)}
		rule, reason := checkText(&v, contract.MaxCodeBytes)
		if words := codeWords(r.Class); words != nil {
			_, rule, reason = checkWord(&v, words)
		} else if rule == "" {
			rule, reason = checkLine(v.raw)
		}
		if name == "" {
			rule, reason = RuleType, "the class has no code"
		}
		if rule != "" {
			return Fault{Index: -1, Field: name, Rule: rule, Reason: reason}
		}
	}
	if r.Text != "" && !hasText(r.Class) {
		return errors.New("text: the class has none")
	}
	if err := checkString(keyNameText, r.Text); err != nil {
		return err
	}
	if err := checkString(name, r.Code); err != nil {
		return err
	}
	return checkValues(r)
}

func checkValues(r *contract.Reading) error {
	some := false
	for f, x := range r.Values.All() {
		if !f.In(r.Class) {
			return fmt.Errorf("%s: not a field of %s", f, r.Class)
		}
		if err := f.Check(x); err != nil {
			return err
		}
		some = some || measured(f)
	}
	lat, lon := r.Values.Has(contract.Lat), r.Values.Has(contract.Lon)
	switch {
	case lat != lon, r.Class == contract.Position && !lat:
		return errors.New("lat and lon go together, and a position needs them")
	case r.Class == contract.Environment && !some:
		return errors.New("an environment reading needs a measured value")
	}
	return nil
}

func checkAnswer(a *contract.Answer) error {
	if err := checkInstant(a.At); err != nil {
		return err
	}
	if err := contract.DeviceID(a.Order).Validate(); err != nil {
		return fmt.Errorf("order %q is not an id", a.Order)
	}
	if _, rule, reason := checkWord(&value{kind: kindText, raw: []byte(a.Receipt)}, receipts); rule != "" {
		return fmt.Errorf("answer: %s", reason)
	}
	if a.Receipt == contract.Rejected && a.Reason == "" {
		return errors.New("a rejected order needs a reason")
	}
	return errors.Join(checkString("reason", a.Reason), checkString("by", a.By))
}

func checkOrder(o *contract.Order) error {
	if err := contract.DeviceID(o.ID).Validate(); err != nil {
		return fmt.Errorf("order %q is not an id", o.ID)
	}
	if !isWord(o.Kind) || o.Level != "" && !isWord(o.Level) {
		return fmt.Errorf("kind %q or level %q is not a word of a-z, 0-9 and _", o.Kind, o.Level)
	}
	for _, at := range []time.Time{o.Issued, o.AnswerBy} {
		if at.IsZero() {
			continue
		}
		if err := checkInstant(at); err != nil {
			return err
		}
	}
	if o.HasPlace {
		if err := errors.Join(contract.Lat.Check(o.Lat), contract.Lon.Check(o.Lon)); err != nil {
			return err
		}
	}
	return errors.Join(checkString(keyNameText, o.Text), checkString("issuer", o.Issuer))
}

func checkInstant(at time.Time) error {
	if ms := at.UnixMilli(); ms < 0 || ms > contract.MaxSeq {
		return fmt.Errorf("the time %s cannot be written", at)
	}
	return nil
}

func checkString(name, s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%s: not UTF-8", name)
	case len(s) > contract.MaxTextBytes:
		return fmt.Errorf("%s: %d bytes of at most %d", name, len(s), contract.MaxTextBytes)
	case strings.Contains(s, "\x00"):
		return fmt.Errorf("%s: holds a NUL character", name)
	}
	return nil
}

func count(parts ...bool) (n int) {
	for _, p := range parts {
		if p {
			n++
		}
	}
	return n
}

func (w *writer) done(dst []byte) ([]byte, error) {
	if n := len(w.b) - len(dst); n > contract.MaxMessageBytes {
		return dst, fmt.Errorf("%d bytes of at most %d: %w", n, contract.MaxMessageBytes, ErrTooLarge)
	}
	return w.b, nil
}

// whole reports whether x is an integer that a float64 holds exactly.
func whole(x float64) bool { return x == math.Trunc(x) && math.Abs(x) <= contract.MaxSeq }
