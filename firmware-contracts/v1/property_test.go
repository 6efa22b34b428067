package contractv1

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	contract "firewatch/firmware-contracts"
)

var (
	someNumbers = []string{
		"0", "-0", "0.0", "1", "-1", "1.5", "90", "90.5", "-90", "115.16042", "180", "180.5", "100", "101", "200", "300", "9000",
		"1e2", "1E+3", "1.25e-3", "100000", "100000.5", "4000000000", "1577836799999", "1577836800000", "1773475200000", "1773475200000.0",
		"1.7734752e12", "1773475800000", "1773475800001", "9007199254740991", "9007199254740992", "1e30", "-1e300", "0.1",
	}
	someTexts = []string{
		"", "button", "fall", "fire", "Fire", "2.4.1", "烟火 🔥", "a\x00b", "line\nline", "\x7f", `quote " and \`, strings.Repeat("v", 64),
		strings.Repeat("v", 65), strings.Repeat("x", 1000), strings.Repeat("x", 1001), strings.Repeat("烟", 333), "21.5", "true", "or-1", "or 1",
	}
	someKeys = func() []string {
		keys := []string{
			"t", "seq", "text", "cause", "category", "fw", "readings", "unknown", "", "T", "ключ", "order", "answer", "reason", "by",
			"id", "kind", "level", "drill", "issued", "answer_by", "issuer", "team", "orders",
		}
		for f := range contract.Fields() {
			keys = append(keys, f.String())
		}
		return keys
	}()
)

func drawScalar(t *rapid.T) node {
	switch rapid.IntRange(0, 9).Draw(t, "type") {
	case 0:
		return node{kind: kindNull}
	case 1:
		return node{kind: kindBool, truth: rapid.Bool().Draw(t, "truth")}
	case 2:
		return node{kind: kindText, text: rapid.SampledFrom(someTexts).Draw(t, "text")}
	case 3:
		return node{kind: kindNumber, num: strconv.FormatInt(rapid.Int64Range(-1000, 2e12).Draw(t, "int"), 10)}
	case 4:
		x := rapid.Float64Range(-400, 400).Draw(t, "float")
		return node{kind: kindNumber, num: strconv.FormatFloat(x, 'g', -1, 64)}
	}
	return node{kind: kindNumber, num: rapid.SampledFrom(someNumbers).Draw(t, "num")}
}

func drawAny(t *rapid.T, depth int) node {
	if depth == 0 || rapid.IntRange(0, 5).Draw(t, "leaf") > 0 {
		return drawScalar(t)
	}
	n := node{kind: kindArray}
	object := rapid.Bool().Draw(t, "object")
	for range rapid.IntRange(0, 3).Draw(t, "items") {
		v := drawAny(t, depth-1)
		if object {
			n.obj = append(n.obj, entry{rapid.SampledFrom(someKeys).Draw(t, "key"), v})
		} else {
			n.list = append(n.list, v)
		}
	}
	if object {
		n.kind = kindObject
	}
	return n
}

// drawFitting is a value that the key may well have.
func drawFitting(t *rapid.T, key string, c contract.Class) node {
	f, ok := contract.FieldByName(key)
	switch {
	case key == "t":
		return node{kind: kindNumber, num: strconv.FormatInt(goldenNow.UnixMilli()-rapid.Int64Range(0, 1e9).Draw(t, "age"), 10)}
	case key == "seq":
		return node{kind: kindNumber, num: strconv.FormatInt(rapid.Int64Range(0, 1<<53-1).Draw(t, "seq"), 10)}
	case ok && f.Info().Bool:
		return node{kind: kindBool, truth: rapid.Bool().Draw(t, "truth")}
	case ok && f.Info().Integer:
		return node{kind: kindNumber, num: strconv.FormatInt(rapid.Int64Range(int64(f.Info().Min), int64(f.Info().Max)).Draw(t, key), 10)}
	case ok:
		return node{kind: kindNumber, num: strconv.FormatFloat(rapid.Float64Range(f.Info().Min, f.Info().Max).Draw(t, key), 'g', -1, 64)}
	case codeWords(c) != nil && key == codeName(c):
		return node{kind: kindText, text: rapid.SampledFrom(codeWords(c)).Draw(t, "word")}
	}
	return drawScalar(t)
}

// drawReading is a reading that is mostly right.
func drawReading(t *rapid.T, c contract.Class) node {
	n := node{kind: kindObject}
	keys := []string{"t"}
	if hasPlace(c) && rapid.IntRange(0, 7).Draw(t, "place") > 0 {
		keys = append(keys, "lat", "lon")
	}
	own := []string{"seq"}
	for k := range classKeys[c] {
		if k != "readings" && k != "t" {
			own = append(own, k)
		}
	}
	// A map has no order, and a repeatable draw needs one.
	own = sorted(own)
	for range rapid.IntRange(0, 5).Draw(t, "more") {
		keys = append(keys, rapid.SampledFrom(own).Draw(t, "key"))
	}
	duplicates := rapid.IntRange(0, 9).Draw(t, "duplicates") == 0
	for _, k := range keys {
		if len(n.all(k)) > 0 && !duplicates {
			continue
		}
		v := drawFitting(t, k, c)
		if rapid.IntRange(0, 11).Draw(t, "bad") == 0 {
			v = drawAny(t, 2)
		}
		n.obj = append(n.obj, entry{k, v})
	}
	if rapid.IntRange(0, 3).Draw(t, "extra") == 0 {
		k := rapid.SampledFrom(someKeys).Draw(t, "key")
		if _, read := classKeys[c][k]; !read {
			n.obj = append(n.obj, entry{k, drawAny(t, 3)})
		}
	}
	return n
}

func drawMessage(t *rapid.T, c contract.Class) node {
	switch rapid.IntRange(0, 9).Draw(t, "form") {
	case 0:
		return drawAny(t, 4)
	case 1, 2, 3:
		n := node{kind: kindObject, obj: []entry{{"readings", node{kind: kindArray}}}}
		for range rapid.IntRange(0, 4).Draw(t, "readings") {
			r := drawReading(t, c)
			if rapid.IntRange(0, 15).Draw(t, "other") == 0 {
				r = drawAny(t, 2)
			}
			n.obj[0].val.list = append(n.obj[0].val.list, r)
		}
		if rapid.IntRange(0, 3).Draw(t, "beside") == 0 {
			extra := entry{rapid.SampledFrom([]string{"t", "lat", "sent", "temp_c"}).Draw(t, "key"), drawAny(t, 2)}
			n.obj = append([]entry{extra}, n.obj...)
		}
		return n
	}
	return drawReading(t, c)
}

// drawJSON writes the tree with random white space and escapes.
func drawJSON(t *rapid.T, b []byte, n *node) []byte {
	space := func() {
		if rapid.IntRange(0, 19).Draw(t, "space") == 0 {
			b = append(b, rapid.SampledFrom([]string{" ", "\t", "\r\n"}).Draw(t, "white")...)
		}
	}
	text := func(s string) {
		b = append(b, '"')
		escape := rapid.IntRange(0, 9).Draw(t, "escape") == 0
		for _, r := range s {
			switch {
			case escape && r > 0xffff:
				hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&1023+0xdc00
				b = append(b, `\u`+hex4(hi)+`\u`+hex4(lo)...)
			case escape || r < ' ' || r == '"' || r == '\\':
				b = append(b, `\u`+hex4(r)...)
			default:
				b = append(b, string(r)...)
			}
		}
		b = append(b, '"')
	}
	space()
	switch n.kind {
	case kindBool:
		b = strconv.AppendBool(b, n.truth)
	case kindNumber:
		b = append(b, n.num...)
	case kindText:
		text(n.text)
	case kindArray:
		b = append(b, '[')
		for i := range n.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = drawJSON(t, b, &n.list[i])
		}
		b = append(b, ']')
	case kindObject:
		b = append(b, '{')
		for i := range n.obj {
			if i > 0 {
				b = append(b, ',')
			}
			space()
			text(n.obj[i].key)
			space()
			b = append(b, ':')
			b = drawJSON(t, b, &n.obj[i].val)
		}
		b = append(b, '}')
	case kindNull, kindBytes, kindOther: // only null is drawn
		b = append(b, "null"...)
	}
	space()
	return b
}

func hex4(r rune) string { return strconv.FormatInt(int64(r)+0x10000, 16)[1:] }

// drawCBOR writes the tree with random widths, floats and unmarked lengths.
func drawCBOR(t *rapid.T, b []byte, n *node) []byte {
	w := writer{cbor: true}
	head := func(major byte, x uint64) {
		if rapid.IntRange(0, 9).Draw(t, "wide") == 0 {
			b = binary.BigEndian.AppendUint64(append(b, major<<5|27), x)
			return
		}
		w.b = b
		w.head(major, x)
		b = w.b
	}
	text := func(s string) {
		if rapid.IntRange(0, 9).Draw(t, "parts") == 0 {
			b = append(b, majorText<<5|cborIndefinite)
			for _, r := range s {
				head(majorText, uint64(len(string(r))))
				b = append(b, string(r)...)
			}
			b = append(b, cborBreak)
			return
		}
		head(majorText, uint64(len(s)))
		b = append(b, s...)
	}
	switch n.kind {
	case kindBool:
		b = append(b, 0xf4)
		if n.truth {
			b[len(b)-1] = 0xf5
		}
	case kindNumber:
		q, _ := new(big.Rat).SetString(n.num)
		x, _ := strconv.ParseFloat(n.num, 64)
		switch {
		case q.IsInt() && q.Num().IsUint64() && rapid.IntRange(0, 9).Draw(t, "float") > 0:
			head(majorUint, q.Num().Uint64())
		case q.IsInt() && q.Num().IsInt64() && q.Sign() < 0:
			head(majorNegative, uint64(-1-q.Num().Int64()))
		case float64(float32(x)) == x:
			b = binary.BigEndian.AppendUint32(append(b, 0xfa), math.Float32bits(float32(x)))
		default:
			b = binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(x))
		}
	case kindText:
		text(n.text)
	case kindArray, kindObject:
		major, items := byte(majorArray), len(n.list)
		if n.kind == kindObject {
			major, items = majorMap, len(n.obj)
		}
		open := rapid.IntRange(0, 4).Draw(t, "unmarked") == 0
		if open {
			b = append(b, major<<5|cborIndefinite)
		} else {
			head(major, uint64(items))
		}
		for i := range n.list {
			b = drawCBOR(t, b, &n.list[i])
		}
		for i := range n.obj {
			text(n.obj[i].key)
			b = drawCBOR(t, b, &n.obj[i].val)
		}
		if open {
			b = append(b, cborBreak)
		}
	case kindNull, kindBytes, kindOther: // only null is drawn
		b = append(b, 0xf6)
	}
	return b
}

// compare holds the decoder's verdict against the reference's.
func compare(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, payload []byte, want verdict, rs []contract.Reading, faults []Fault,
) {
	t.Helper()
	if want.refused {
		if len(faults) != 1 || faults[0].Index != -1 || len(rs) != 0 {
			t.Fatalf("%q\nwant it refused as a whole, got %v, %v", payload, rs, faults)
		}
		return
	}
	var faulty []int
	for _, f := range faults {
		faulty = append(faulty, f.Index)
	}
	opts := cmp.Options{comparers, cmpopts.EquateEmpty()}
	if d := cmp.Diff(want.faulty, faulty, opts); d != "" {
		t.Fatalf("%q\nfaults %v\n%s", payload, faults, d)
	}
	if d := cmp.Diff(want.readings, rs, opts); d != "" {
		t.Fatalf("%q\nfaults %v\n%s", payload, faults, d)
	}
}

func TestDecodeAgreesWithReferenceAndSchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(contract.Classes).Draw(t, "class")
		topic := topicOf(c.String())
		doc := drawMessage(t, c)
		want := refer(doc, topic, goldenNow)
		for _, payload := range [][]byte{drawJSON(t, nil, &doc), drawCBOR(t, nil, &doc)} {
			rs, faults := Decode(nil, topic, payload, goldenNow)
			compare(t, payload, want, rs, faults)

			all := Check(payload, CheckOptions{Document: c.String(), Now: goldenNow})
			if all.OK() != (len(faults) == 0) || all.Taken != len(rs) {
				t.Fatalf("%q\nCheck: %v\nDecode: %v", payload, all.Faults, faults)
			}
			if duplicated(&doc) || !all.OK() && unsayable(payload, all.Faults) {
				continue
			}
			if err := validate(t, c.String(), payload); (err == nil) != (len(faults) == 0) {
				t.Fatalf("%q\nfaults: %v\nschema: %v", payload, faults, err)
			}
		}
	})
}

// duplicated reports whether an object of the document has a key twice, of which
// the decoders before a schema keep one.
func duplicated(n *node) bool {
	seen := map[string]bool{}
	for i := range n.obj {
		if seen[n.obj[i].key] || duplicated(&n.obj[i].val) {
			return true
		}
		seen[n.obj[i].key] = true
	}
	for i := range n.list {
		if duplicated(&n.list[i]) {
			return true
		}
	}
	return false
}

// drawObject is an object of the given keys, mostly right.
func drawObject(t *rapid.T, right map[string][]node, must ...string) node {
	n := node{kind: kindObject}
	keys := make([]string, 0, len(right))
	for k := range right {
		keys = append(keys, k)
	}
	for _, k := range append(must, rapid.SliceOfNDistinct(rapid.SampledFrom(sorted(keys)), 0, 4, rapid.ID).Draw(t, "keys")...) {
		if len(n.all(k)) > 0 || rapid.IntRange(0, 29).Draw(t, "left out") == 0 {
			continue
		}
		v := rapid.SampledFrom(right[k]).Draw(t, "value")
		if rapid.IntRange(0, 11).Draw(t, "bad") == 0 {
			v = drawAny(t, 2)
		}
		n.obj = append(n.obj, entry{k, v})
	}
	return n
}

func texts(ts ...string) (ns []node) {
	for _, s := range ts {
		ns = append(ns, node{kind: kindText, text: s})
	}
	return ns
}

func numbers(ts ...string) (ns []node) {
	for _, s := range ts {
		ns = append(ns, node{kind: kindNumber, num: s})
	}
	return ns
}

func TestAnswersAndOrdersAgreeWithSchema(t *testing.T) {
	answer := map[string][]node{
		"t": numbers("1773475200000", "1773475200000.0", "1577836800000"), "order": texts("or-1", "or-06dxz3kq80tw5x1m2p9e"), "answer": texts(receipts...),
		"reason": texts("车辆故障", "", "no"), "by": texts("王建国"), "extra": texts("x"),
	}
	order := map[string][]node{
		"id": texts("or-1", "x"), "kind": texts("standby", "check", "new_1"), "level": texts("red"), "text": texts("待命", "\n"),
		"drill": {{kind: kindBool}, {kind: kindBool, truth: true}}, "issued": numbers("0", "1"), "answer_by": numbers("1773475200000"),
		"issuer": texts("office"), "lat": numbers("39.5"), "lon": numbers("115", "-115.5"), "extra": texts("x"),
	}
	rapid.Check(t, func(t *rapid.T) {
		document := rapid.SampledFrom([]string{DocumentAnswer, DocumentOrders}).Draw(t, "document")
		var doc node
		if document == DocumentAnswer {
			doc = drawObject(t, answer, "t", "order", "answer")
		} else {
			list := node{kind: kindArray}
			for range rapid.IntRange(0, 3).Draw(t, "orders") {
				list.list = append(list.list, drawObject(t, order, "id", "kind"))
			}
			doc = drawObject(t, map[string][]node{"t": numbers("0", "5"), "team": texts("team-1"), "orders": {list}}, "t", "orders")
		}
		for _, payload := range [][]byte{drawJSON(t, nil, &doc), drawCBOR(t, nil, &doc)} {
			v, faults := judge(document, payload)
			all := Check(payload, CheckOptions{Document: document, Now: goldenNow})
			if all.OK() != (len(faults) == 0) {
				t.Fatalf("%q\nCheck: %v\ndecoder: %v", payload, all.Faults, faults)
			}
			if duplicated(&doc) || !all.OK() && unsayable(payload, all.Faults) {
				continue
			}
			if err := validate(t, document, payload); (err == nil) != (len(faults) == 0) {
				t.Fatalf("%q\nfaults: %v\nschema: %v", payload, faults, err)
			}
			if o, ok := v.(Orders); ok && len(faults) == 0 && len(o.Orders) == 0 && len(payload) == 0 {
				t.Fatalf("%q", payload)
			}
		}
	})
}
