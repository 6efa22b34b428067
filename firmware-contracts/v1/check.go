package contractv1

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// The documents of version 1, beside those named after a class of readings.
const (
	DocumentAnswer = "answer"
	DocumentOrders = "orders"
)

// Documents lists the names of all documents: each has a schema.
func Documents() []string {
	var names []string
	for _, c := range contract.Classes {
		names = append(names, c.String())
	}
	return append(names, DocumentAnswer, DocumentOrders)
}

// CheckOptions says what a payload is meant to be. With neither Topic nor
// Document the keys of the payload decide.
type CheckOptions struct {
	Topic    string    // that it is published on
	Document string    // one of Documents
	Now      time.Time // the time of receipt to check against
}

// CheckReport is everything that Check has to say about one payload.
type CheckReport struct {
	Document string // what it was checked as
	Guessed  bool   // from its keys
	Encoding string // json or cbor; empty when it is neither
	Taken    int    // readings that firewatch would take
	Faults   []Fault
	Ignored  []Ignored
}

// Ignored is a key that is not read.
type Ignored struct {
	Key   string
	Index int    // the first reading that has it; -1 on other documents
	Times int    // how many have it
	Note  string // what was perhaps meant
}

// OK reports whether nothing is wrong. Ignored keys are not wrong.
func (r *CheckReport) OK() bool { return len(r.Faults) == 0 }

// Check judges a payload as firewatch would, and says all that is wrong with it
// instead of the first thing.
func Check(payload []byte, o CheckOptions) CheckReport {
	var r CheckReport
	if enc, ok := Sniff(payload); ok {
		r.Encoding = enc.String()
	}
	t, err := o.topic(&r)
	if err != nil {
		r.Faults = append(r.Faults, Fault{Index: -1, Field: "topic", Rule: RuleTopic, Reason: err.Error()})
	}
	if r.Document == "" {
		r.Document, r.Guessed = guess(payload), true
	}
	var faults []Fault
	switch r.Document {
	case DocumentAnswer:
		_, faults = decodeAnswer(t, payload, o.Now, r.ignore)
	case DocumentOrders:
		if len(payload) > 0 {
			_, faults = decodeOrders(payload, r.ignore)
		}
	default:
		c, err := contract.ParseClass(r.Document)
		if err != nil {
			faults = []Fault{{Index: -1, Rule: RuleTopic, Reason: fmt.Sprintf(
				"document %q: want one of %s", r.Document, strings.Join(Documents(), ", "))}}
			break
		}
		t.Class = c
		d := decoder{topic: t, received: o.Now.Round(0).UTC(), every: true, ignored: r.ignore}
		d.message(payload)
		r.Taken, faults = len(d.readings), d.faults
	}
	r.Faults = append(r.Faults, faults...)
	for i := range r.Ignored {
		r.Ignored[i].Note = r.Ignored[i].note(r.Document)
	}
	return r
}

func (o *CheckOptions) topic(r *CheckReport) (contract.Topic, error) {
	r.Document = o.Document
	if o.Topic == "" {
		return contract.Topic{}, nil
	}
	t, err := contract.ParseTopic(o.Topic)
	if err != nil {
		return contract.Topic{}, err
	}
	is := DocumentAnswer
	switch {
	case t.Orders:
		is = DocumentOrders
	case t.Class != 0:
		is = t.Class.String()
	}
	r.Document = is
	if o.Document != "" && o.Document != is {
		return t, fmt.Errorf("%s carries %s, not %s", o.Topic, is, o.Document)
	}
	return t, nil
}

func (r *CheckReport) ignore(index int, name string) {
	for i := range r.Ignored {
		if r.Ignored[i].Key == name {
			r.Ignored[i].Times++
			return
		}
	}
	const most = 100 // a payload has room for many more
	if len(r.Ignored) < most {
		r.Ignored = append(r.Ignored, Ignored{Key: name, Index: index, Times: 1})
	}
}

// guess tells the document by the keys of the payload, or of the first reading
// of a batch.
func guess(payload []byte) string {
	keys := keysOf(payload)
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(keys, n) })
	}
	switch {
	case has("orders"):
		return DocumentOrders
	case has("answer", "order"):
		return DocumentAnswer
	case has("category"):
		return contract.Report.String()
	case has("cause", "active"):
		return contract.SOS.String()
	case has("lat") && has("lon"):
		return contract.Position.String()
	case slices.ContainsFunc(keys, func(k string) bool { f, ok := contract.FieldByName(k); return ok && measured(f) }):
		return contract.Environment.String()
	case has("fw", "online", "uptime_s", "calibrating"):
		return contract.Status.String()
	case has("text"):
		return contract.Report.String()
	case has("t") && !has("lat", "lon"):
		return contract.Status.String()
	}
	return contract.Position.String()
}

// keysOf reads as many keys as it can.
func keysOf(payload []byte) (keys []string) {
	var s scanner
	if s.openDocument(payload) != nil || !s.open() {
		return nil
	}
	for {
		k, ok := s.key()
		if !ok {
			return keys
		}
		if string(k) == keyNameReadings && s.peek() == kindArray {
			if s.open() && s.elem() && s.peek() == kindObject && s.open() {
				keys = nil
				continue // the keys of the first reading, and then of nothing more
			}
			return keys
		}
		keys = append(keys, string(k))
		s.skip()
	}
}

// aliases are names that other systems use.
var aliases = map[string]string{
	"timestamp": "t", "ts": "t", "time": "t", "tst": "t", "measured": "t",
	"latitude": "lat", "longitude": "lon", "lng": "lon", "long": "lon",
	"alt": "alt_m", "altitude": "alt_m", "speed": "speed_ms", "vel": "speed_ms",
	"course": "course_deg", "heading": "course_deg", "cog": "course_deg",
	"acc": "acc_m", "accuracy": "acc_m", "satellites": "sats",
	"batt": "battery_pct", "battery": "battery_pct", "voltage": "battery_v",
	"temp": "temp_c", "temperature": "temp_c", "rh": "rh_pct", "hum": "rh_pct", "humidity": "rh_pct",
	"wind": "wind_ms", "wind_speed": "wind_ms", "gust": "wind_gust_ms", "wind_dir": "wind_dir_deg", "wind_direction": "wind_dir_deg",
	"rain": "rain_mm", "pressure": "pressure_hpa", "co": "co_ppm", "co2": "co2_ppm", "eco2": "co2_ppm",
	"smoke": "smoke_obs_pct_m", "pm25": "pm25_ugm3", "pm2_5": "pm25_ugm3", "rssi": "rssi_dbm", "uptime": "uptime_s",
	"version": "fw", "firmware": "fw", "type": "category", "message": "text", "msg": "text", "sos": "active",
	"order_id": "order", "status": "answer", "receipt": "answer", "name": "by",
}

func (g *Ignored) note(document string) string {
	c, err := contract.ParseClass(document)
	if err != nil {
		return ""
	}
	if f, ok := contract.FieldByName(g.Key); ok {
		var in []string
		for _, c := range f.Info().Classes {
			in = append(in, c.String())
		}
		return "belongs to " + strings.Join(in, ", ")
	}
	name := strings.ToLower(strings.ReplaceAll(g.Key, "-", "_"))
	if a, ok := aliases[name]; ok {
		if _, ok := classKeys[c][a]; ok {
			return "did you mean " + a + "?"
		}
	}
	if _, ok := classKeys[c][name]; ok && name != g.Key {
		return "did you mean " + name + "?"
	}
	return ""
}

// Write prints the report for a person, each line beginning with the name of
// the file.
func (r *CheckReport) Write(w io.Writer, name string) error {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(name + ": " + fmt.Sprintf(format, args...) + "\n")
	}
	verdict := "ok"
	if !r.OK() {
		verdict = "NOT OK"
	}
	if !r.Guessed {
		verdict += ", as " + r.Document
	} else if r.Encoding != "" {
		verdict += ", as " + r.Document + " (guessed from its keys)"
	}
	if r.Encoding != "" {
		verdict += ", " + r.Encoding
	}
	if r.Document != DocumentAnswer && r.Document != DocumentOrders {
		verdict += fmt.Sprintf(": %d taken", r.Taken)
	}
	line("%s", verdict)
	advised := map[Rule]bool{}
	for _, f := range r.Faults {
		line("%s", f)
		if a := f.Rule.Advice(); a != "" && !advised[f.Rule] {
			advised[f.Rule] = true
			line("    %s", a)
		}
	}
	for _, g := range r.Ignored {
		s := fmt.Sprintf("note: %s is not read", clip([]byte(g.Key)))
		if g.Times > 1 {
			s += fmt.Sprintf(" (%d times)", g.Times)
		}
		if g.Note != "" {
			s += ": " + g.Note
		}
		line("%s", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Advice says what to do about a fault of the rule.
func (r Rule) Advice() string {
	switch r {
	case RuleSize:
		return fmt.Sprintf("One message has at most %d bytes, %d readings and %d levels of nesting; split it.",
			contract.MaxMessageBytes, contract.MaxReadings, maxDepth)
	case RuleSyntax:
		return "The whole message is refused, with every reading in it. Check how the document is put together, and that no buffer cuts it."
	case RuleTopic:
		return "See the table of topics in the README of firmware-contracts."
	case RuleType:
		return "The schema of the document says which type each key has."
	case RuleRange:
		return "The unit is the end of the key's name. Leave out a key that has no value; do not send a filler such as -999."
	case RuleWhole:
		return "Round to a whole number before sending."
	case RuleTime:
		return "t is when the device measured, in milliseconds since 1970-01-01 UTC. Set the clock from GNSS, the network or NTP before the first reading."
	case RuleMissing:
		return "Add it, or do not send this document."
	case RuleDuplicate:
		return "Write each key once."
	case RuleText:
		return fmt.Sprintf("Cut texts to %d bytes (fw to %d), between characters.", contract.MaxTextBytes, contract.MaxCodeBytes)
	case RuleWord:
		return "The words are compared as they are written, in lower case."
	case RuleID:
		return "Send the id as it came in the order."
	}
	return ""
}
