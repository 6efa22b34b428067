package contractv1

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

var update = flag.Bool("update", false, "write the generated files anew")

// member and object keep the order of a schema's keys, as a person reads them.
type member struct {
	key string
	val any
}

type object []member

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := marshal(m.key)
		if err != nil {
			return nil, err
		}
		v, err := marshal(m.val)
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

type list []any

func opt(t string) list { return list{t, "null"} }

func schemaOf(document string) object {
	head := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:firewatch:contract:v1:" + document},
	}
	switch document {
	case DocumentAnswer:
		return append(head, answerSchema()...)
	case DocumentOrders:
		return append(head, ordersSchema()...)
	}
	c, err := contract.ParseClass(document)
	if err != nil {
		panic(err)
	}
	return append(head, readingsSchema(c)...)
}

const unsaid = "Beside this schema: t is at most 10 minutes ahead of the time of receipt, no key stands twice, " +
	"a message has at most 65536 bytes and 16 levels, a text at most as many bytes of UTF-8 as maxLength says characters. " +
	"The same document may be sent in CBOR."

func readingsSchema(c contract.Class) object {
	props := object{
		{"t", object{
			{"type", "integer"},
			{"minimum", contract.Earliest.UnixMilli()},
			{"maximum", contract.MaxSeq},
			{"description", "measured time, ms since 1970-01-01 UTC"},
		}},
		{"seq", object{
			{"type", opt("integer")},
			{"minimum", 0},
			{"maximum", contract.MaxSeq},
			{"description", "counts up by one per reading of the device"},
		}},
	}
	if name := codeName(c); name != "" {
		if words := codeWords(c); words != nil {
			enum := list{}
			for _, w := range words {
				enum = append(enum, w)
			}
			props = append(props, member{name, object{{"enum", append(enum, nil)}}})
		} else {
			props = append(props, member{name, object{
				{"type", opt("string")},
				{"maxLength", contract.MaxCodeBytes},
				{"pattern", "^[^\\x00-\\x1f\\x7f]*$"},
				{"description", "firmware version"},
			}})
		}
		props = append(props, member{"text", textSchema("free text of a person or the device")})
	}
	var required list
	var anyMeasured list
	for f := range contract.Fields() {
		if !f.In(c) {
			continue
		}
		must := c == contract.Position && (f == contract.Lat || f == contract.Lon)
		if must {
			required = append(required, f.String())
		}
		props = append(props, member{f.String(), fieldSchema(f, must)})
		if measured(f) {
			anyMeasured = append(anyMeasured, object{
				{"required", list{f.String()}},
				{"properties", object{{f.String(), object{{"not", object{{"type", "null"}}}}}}},
			})
		}
	}
	reading := object{
		{"type", "object"},
		{"required", append(list{"t"}, required...)},
		{"properties", props},
	}
	switch {
	case c == contract.Environment:
		reading = append(reading, member{"anyOf", anyMeasured})
	case hasPlace(c) && len(required) == 0:
		reading = append(reading, placeRule())
	}
	return object{
		{"title", "A message of class " + c.String() + ": one reading, or a batch of them"},
		{"description", unsaid},
		{"type", "object"},
		{"if", object{
			{"required", list{"readings"}},
			{"properties", object{{"readings", object{{"not", object{{"type", "null"}}}}}}},
		}},
		{"then", object{{"$ref", "#/$defs/batch"}}},
		{"else", object{{"$ref", "#/$defs/reading"}}},
		{"$defs", object{
			{"reading", reading},
			{"batch", object{
				{"type", "object"},
				{"required", list{"readings"}},
				{"properties", object{{"readings", object{
					{"type", "array"},
					{"minItems", 1},
					{"maxItems", contract.MaxReadings},
					{"items", object{{"$ref", "#/$defs/reading"}}},
				}}}},
			}},
		}},
	}
}

func fieldSchema(f contract.Field, must bool) object {
	i := f.Info()
	about := i.About
	if i.Unit != "" && i.Unit != "1" {
		about = i.Unit + ", " + about
	}
	t := "number"
	switch {
	case i.Bool:
		t = "boolean"
	case i.Integer:
		t = "integer"
	}
	var o object
	if must {
		o = object{{"type", t}}
	} else {
		o = object{{"type", opt(t)}}
	}
	if !i.Bool {
		o = append(o, member{"minimum", i.Min}, member{"maximum", i.Max})
	}
	return append(o, member{"description", about})
}

func textSchema(about string) object {
	return object{
		{"type", opt("string")},
		{"maxLength", contract.MaxTextBytes},
		{"pattern", "^[^\\x00]*$"},
		{"description", about},
	}
}

// placeRule says that lat and lon are there both, or neither.
func placeRule() member {
	both := func(t string) object {
		return object{{"lat", object{{"type", t}}}, {"lon", object{{"type", t}}}}
	}
	return member{"anyOf", list{
		object{{"required", list{"lat", "lon"}}, {"properties", both("number")}},
		object{{"properties", both("null")}},
	}}
}

const idPattern = "^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$"

func answerSchema() object {
	words := list{}
	for _, w := range receipts {
		words = append(words, w)
	}
	return object{
		{"title", "What a team says about one order"},
		{"description", unsaid},
		{"type", "object"},
		{"required", list{"t", "order", "answer"}},
		{"properties", object{
			{"t", object{
				{"type", "integer"},
				{"minimum", contract.Earliest.UnixMilli()},
				{"maximum", contract.MaxSeq},
				{"description", "when it was said, ms since 1970-01-01 UTC"},
			}},
			{"order", object{{"type", "string"}, {"pattern", idPattern}, {"description", "id of the order"}}},
			{"answer", object{{"enum", words}}},
			{"reason", textSchema("why; needed when the answer is rejected")},
			{"by", textSchema("name of the person")},
		}},
		{"if", object{{"properties", object{{"answer", object{{"const", contract.Rejected}}}}}}},
		{"then", object{
			{"required", list{"reason"}},
			{"properties", object{{"reason", object{{"type", "string"}, {"minLength", 1}}}}},
		}},
	}
}

func ordersSchema() object {
	instant := func(about string, must bool) object {
		o := object{{"type", opt("integer")}}
		if must {
			o = object{{"type", "integer"}}
		}
		return append(o, member{"minimum", 0}, member{"maximum", contract.MaxSeq},
			member{"description", about + ", ms since 1970-01-01 UTC"})
	}
	word := func(must bool, examples ...any) object {
		o := object{{"type", opt("string")}}
		if must {
			o = object{{"type", "string"}}
		}
		return append(o, member{"pattern", "^[a-z][a-z0-9_]{0,31}$"}, member{"examples", examples},
			member{"description", "the words may grow: show one that is not known as it is"})
	}
	order := object{
		{"type", "object"},
		{"required", list{"id", "kind"}},
		{"properties", object{
			{"id", object{{"type", "string"}, {"pattern", idPattern}, {"description", "the same order again is the same order"}}},
			{"kind", word(true, "standby", "forward", "check", "muster", "stand_down")},
			{"level", word(false, "blue", "yellow", "orange", "red")},
			{"text", textSchema("what to do, for people")},
			{"drill", object{{"type", opt("boolean")}, {"description", "an exercise: show it as one"}}},
			{"issued", instant("when it was given", false)},
			{"answer_by", instant("until when an answer is awaited", false)},
			{"issuer", textSchema("who gave it")},
			{"lat", fieldSchema(contract.Lat, false)},
			{"lon", fieldSchema(contract.Lon, false)},
		}},
		placeRule(),
	}
	return object{
		{"title", "The orders that wait for a team or a warden, gravest first"},
		{"description", "State, not news: an order that is no longer in the list is done with. The empty payload is no orders. " +
			"The same document may be sent in CBOR."},
		{"type", "object"},
		{"required", list{"t", "orders"}},
		{"properties", object{
			{"t", instant("when the state was written", true)},
			{"team", object{{"type", opt("string")}, {"pattern", idPattern}, {"description", "not on a tracker's topic"}}},
			{"orders", object{{"type", "array"}, {"items", object{{"$ref", "#/$defs/order"}}}}},
		}},
		{"$defs", object{{"order", order}}},
	}
}

// TestGenerated compares the files that are made from the field table. Run with
// -update, or go generate, it writes them.
func TestGenerated(t *testing.T) {
	for _, d := range Documents() {
		raw, err := marshal(schemaOf(d))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "", "  "); err != nil {
			t.Fatal(err)
		}
		b.WriteByte('\n')
		generated(t, filepath.Join("schema", d+".schema.json"), b.String())
	}
	for _, name := range []string{"../README.md", "../README.zh-CN.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		generated(t, name, replaceTable(t, string(text)))
	}
}

func generated(t *testing.T, name, want string) {
	t.Helper()
	have, err := os.ReadFile(name)
	if err == nil && string(have) == want {
		return
	}
	if !*update {
		t.Errorf("%s is not what the field table says; run go generate ./firmware-contracts/v1\n%s", name, cmp.Diff(string(have), want))
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	tableBegin = "<!-- fields: generated from field.go by go generate -->\n"
	tableEnd   = "<!-- /fields -->\n"
)

func replaceTable(t *testing.T, text string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatal("the README has no place for the table of fields")
	}
	var b strings.Builder
	b.WriteString("| key | unit | range | position | sos | report | environment | status | meaning |\n")
	b.WriteString("|---|---|---|:-:|:-:|:-:|:-:|:-:|---|\n")
	for f := range contract.Fields() {
		i := f.Info()
		num := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
		unit, values := i.Unit, num(i.Min)+" … "+num(i.Max)
		switch {
		case i.Bool:
			values = "`true` `false`"
		case i.Integer:
			values += ", whole"
		}
		if unit == "1" {
			unit = ""
		}
		b.WriteString("| `" + i.Name + "` | " + unit + " | " + values + " |")
		for _, c := range contract.Classes {
			mark := ""
			if f.In(c) {
				mark = "•"
			}
			b.WriteString(" " + mark + " |")
		}
		b.WriteString(" " + i.About + " |\n")
	}
	return before + tableBegin + b.String() + tableEnd + after
}
