package contractv1

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func seeds(f *testing.F, add func(g golden)) {
	f.Helper()
	for _, folder := range []string{"valid", "invalid"} {
		for _, g := range goldens(f, folder) {
			if len(g.payload) < 4096 {
				add(g)
			}
		}
	}
}

// FuzzDecode: no payload panics; the verdict is that of the reference (JSON) or
// about form that of another library (CBOR); what is accepted survives both
// encodings.
func FuzzDecode(f *testing.F) {
	seeds(f, func(g golden) { f.Add(uint8(topicOf(g.document).Class), g.payload) })
	f.Fuzz(func(t *testing.T, class uint8, payload []byte) {
		c := contract.Class(class)
		topic := topicOf(c.String())
		topic.Class = c
		rs, faults := Decode(nil, topic, payload, goldenNow)
		if len(rs) == 0 && len(faults) == 0 {
			t.Fatal("nothing came of it")
		}
		for _, fault := range faults {
			if fault.Reason == "" || fault.Rule == "" || !utf8.ValidString(fault.String()) {
				t.Errorf("fault %+v", fault)
			}
		}
		if topic.Class == 0 || int(class) > len(contract.Classes) {
			return
		}
		compareForm(t, topic, payload, rs, faults)
		for i := range rs {
			roundTrip(t, topic, rs[i:i+1])
		}
		if len(rs) > 1 {
			roundTrip(t, topic, rs)
		}
	})
}

func compareForm(t *testing.T, topic contract.Topic, payload []byte, rs []contract.Reading, faults []Fault) {
	t.Helper()
	if len(payload) > contract.MaxMessageBytes {
		compare(t, payload, verdict{refused: true}, rs, faults)
		return
	}
	enc, ok := Sniff(payload)
	switch {
	case !ok:
		compare(t, payload, verdict{refused: true}, rs, faults)
	case enc == JSON:
		want := verdict{refused: true}
		if doc, err := parseJSON(payload); err == nil && utf8.Valid(payload) && !loneSurrogate(payload) {
			want = refer(doc, topic, goldenNow)
		}
		compare(t, payload, want, rs, faults)
	default:
		// The other library knows more limits than form, so only one direction holds.
		if err := cbor.Wellformed(payload); err != nil && (len(rs) > 0 || faults[0].Index != -1) &&
			!strings.Contains(err.Error(), "max") {
			t.Fatalf("%x\nnot well formed, but taken: %v\n%v %v", payload, err, rs, faults)
		}
	}
}

// loneSurrogate reports whether a \u escape of half a pair stands alone, where
// the standard library puts U+FFFD and we refuse.
func loneSurrogate(b []byte) bool {
	s := string(b)
	for i := 0; i+6 <= len(s); {
		if s[i] != '\\' {
			i++
			continue
		}
		if s[i+1] != 'u' {
			i += 2
			continue
		}
		switch h := strings.ToLower(s[i+2 : i+4]); {
		case h >= "d8" && h < "dc":
			if i+12 > len(s) || s[i+6:i+8] != `\u` || strings.ToLower(s[i+8:i+10]) < "dc" || strings.ToLower(s[i+8:i+10]) > "df" {
				return true
			}
			i += 12
			continue
		case h >= "dc" && h <= "df":
			return true
		}
		i += 6
	}
	return false
}

func roundTrip(t *testing.T, topic contract.Topic, rs []contract.Reading) {
	t.Helper()
	for _, enc := range []Encoding{JSON, CBOR} {
		b, err := AppendReadings(nil, enc, rs)
		if err != nil {
			// JSON may need more room than the document had.
			if len(rs) == 1 || !strings.Contains(err.Error(), ErrTooLarge.Error()) {
				t.Fatalf("encoding in %s: %v\n%+v", enc, err, rs)
			}
			continue
		}
		again, faults := Decode(nil, topic, b, goldenNow)
		if len(faults) > 0 {
			t.Fatalf("%s: %v\n%q", enc, faults, b)
		}
		if d := cmp.Diff(rs, again, comparers); d != "" {
			t.Fatalf("%s: %q\n%s", enc, b, d)
		}
	}
}

// FuzzDecodeAnswer: no payload panics; what is accepted survives both encodings,
// for answers and for orders.
func FuzzDecodeAnswer(f *testing.F) {
	seeds(f, func(g golden) { f.Add(g.payload) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		if a, err := DecodeAnswer(contract.Topic{Team: "team-1", Answers: true}, payload, goldenNow); err == nil {
			for _, enc := range []Encoding{JSON, CBOR} {
				b, err := AppendAnswer(nil, enc, a)
				if err != nil {
					t.Fatal(err)
				}
				if again, err := DecodeAnswer(contract.Topic{Team: "team-1", Answers: true}, b, goldenNow); err != nil || again != a {
					t.Fatalf("%q: %v\n%+v\n%+v", b, err, a, again)
				}
			}
		}
		if o, err := DecodeOrders(payload); err == nil {
			for _, enc := range []Encoding{JSON, CBOR} {
				b, err := AppendOrders(nil, enc, o.Team, o.Orders, o.At)
				if err != nil && !strings.Contains(err.Error(), ErrTooLarge.Error()) {
					t.Fatal(err)
				}
				again, derr := DecodeOrders(b)
				if err == nil && len(o.Orders) > 0 && (derr != nil || cmp.Diff(o, again) != "") {
					t.Fatalf("%q: %v\n%s", b, derr, cmp.Diff(o, again))
				}
			}
		}
		Check(payload, CheckOptions{Now: goldenNow})
	})
}
