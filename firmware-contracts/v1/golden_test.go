package contractv1

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

// goldenNow is the time of receipt at which the golden files are judged.
var goldenNow = time.UnixMilli(1773475200000).UTC() // 2026-03-14T08:00:00Z

type golden struct {
	name     string // of the file, without its folder
	document string
	payload  []byte
}

func goldens(tb testing.TB, folder string) []golden {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*-*.*"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no golden files in %s: %v", folder, err)
	}
	var gs []golden
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		document, _, _ := strings.Cut(filepath.Base(p), "-")
		if !slices.Contains(Documents(), document) {
			tb.Fatalf("%s: its name must begin with one of %v", p, Documents())
		}
		gs = append(gs, golden{filepath.Base(p), document, b})
	}
	return gs
}

// topicOf is a topic that carries the document.
func topicOf(document string) contract.Topic {
	t := contract.Topic{Device: "trk-0421", Kind: contract.Tracker}
	switch document {
	case DocumentAnswer:
		return contract.Topic{Team: "team-130633-01"}
	case DocumentOrders:
		return contract.Topic{Team: "team-130633-01", Orders: true}
	case "environment":
		t.Kind = contract.Sensor
	}
	t.Class, _ = contract.ParseClass(document)
	return t
}

// judge decodes a payload as the document.
func judge(document string, payload []byte) (any, []Fault) {
	one := func(v any, err error) (any, []Fault) {
		if err != nil {
			return nil, []Fault{err.(Fault)} //nolint:errorlint // the function's promise
		}
		return v, nil
	}
	switch document {
	case DocumentAnswer:
		a, err := DecodeAnswer(contract.Topic{Team: "team-130633-01", Answers: true}, payload, goldenNow)
		return one(a, err)
	case DocumentOrders:
		o, err := DecodeOrders(payload)
		return one(o, err)
	}
	rs, faults := Decode(nil, topicOf(document), payload, goldenNow)
	return rs, faults
}

var comparers = cmp.Options{cmp.Comparer(func(a, b contract.Values) bool { return a == b })}

func TestGoldenValid(t *testing.T) {
	values := map[string]any{}
	for _, g := range goldens(t, "valid") {
		t.Run(g.name, func(t *testing.T) {
			v, faults := judge(g.document, g.payload)
			for _, f := range faults {
				t.Errorf("refused: %v", f)
			}
			r := Check(g.payload, CheckOptions{Document: g.document, Now: goldenNow})
			if !r.OK() {
				t.Errorf("Check refused it: %v", r.Faults)
			}
			if err := validate(t, g.document, g.payload); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
			values[g.name] = v
			reencode(t, g.document, v)
		})
	}
	pairs := 0
	for name, v := range values {
		stem, ok := strings.CutSuffix(name, ".json")
		c, both := values[stem+".cbor"]
		if !ok || !both {
			continue
		}
		pairs++
		if d := cmp.Diff(v, c, comparers); d != "" {
			t.Errorf("%s: JSON and CBOR are different:\n%s", stem, d)
		}
	}
	if pairs < 25 {
		t.Errorf("%d documents are there in both encodings", pairs)
	}
}

// reencode checks that what was decoded survives both encodings.
func reencode(t *testing.T, document string, v any) {
	t.Helper()
	for _, enc := range []Encoding{JSON, CBOR} {
		var b []byte
		var err error
		switch v := v.(type) {
		case contract.Answer:
			b, err = AppendAnswer(nil, enc, v)
		case Orders:
			b, err = AppendOrders(nil, enc, v.Team, v.Orders, v.At)
			if len(v.Orders) == 0 {
				if len(b) != 0 || err != nil {
					t.Errorf("no orders: %q, %v", b, err)
				}
				continue
			}
		case []contract.Reading:
			b, err = AppendReadings([]byte("kept"), enc, v)
			b = bytes.TrimPrefix(b, []byte("kept"))
		}
		if err != nil {
			t.Errorf("encoding in %s: %v", enc, err)
			continue
		}
		if e, ok := Sniff(b); !ok || e != enc {
			t.Errorf("%s does not look like it: %q", enc, b)
		}
		again, faults := judge(document, b)
		if len(faults) > 0 {
			t.Errorf("%s refused after encoding: %v\n%q", enc, faults, b)
		} else if d := cmp.Diff(v, again, comparers); d != "" {
			t.Errorf("%s changed it:\n%s\n%q", enc, d, b)
		}
		if err := validate(t, document, b); err != nil {
			t.Errorf("the schema refuses what we encode in %s: %v\n%q", enc, err, b)
		}
	}
}

type wantFault struct {
	Index  int    `json:"index"`
	Field  string `json:"field"`
	Rule   Rule   `json:"rule"`
	Reason string `json:"reason"` // a part of it
	Kept   bool   `json:"kept"`
}

func TestGoldenInvalid(t *testing.T) {
	side, err := os.ReadFile("testdata/invalid/faults.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		Faults []wantFault `json:"faults"`
		Taken  int         `json:"taken"`
	}
	dec := json.NewDecoder(bytes.NewReader(side))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, g := range goldens(t, "invalid") {
		w, ok := want[g.name]
		if !ok {
			t.Errorf("%s has no entry in faults.json", g.name)
			continue
		}
		seen++
		t.Run(g.name, func(t *testing.T) {
			v, faults := judge(g.document, g.payload)
			if rs, _ := v.([]contract.Reading); len(rs) != w.Taken {
				t.Errorf("%d readings taken, want %d", len(rs), w.Taken)
			}
			if len(faults) != len(w.Faults) {
				t.Fatalf("faults: %v, want %d", faults, len(w.Faults))
			}
			for i, f := range faults {
				x := w.Faults[i]
				if f.Index != x.Index || f.Field != x.Field || f.Rule != x.Rule || f.Kept != x.Kept || !strings.Contains(f.Reason, x.Reason) {
					t.Errorf("fault %d: %+v, %s\nwant %+v", i, f, f, x)
				}
				if f.Raw == nil || f.Index < 0 && !bytes.Equal(f.Raw, g.payload) || !bytes.Contains(g.payload, f.Raw) {
					t.Errorf("fault %d: raw is %q", i, f.Raw)
				}
			}
			r := Check(g.payload, CheckOptions{Document: g.document, Now: goldenNow})
			if r.OK() || r.Taken != w.Taken {
				t.Errorf("Check: %+v", r)
			}
			if unsayable(g.payload, r.Faults) {
				return
			}
			if err := validate(t, g.document, g.payload); err == nil {
				t.Error("the schema takes it")
			}
		})
	}
	if seen != len(want) {
		t.Errorf("faults.json has %d entries, %d files are there", len(want), seen)
	}
}

// unsayable reports whether the faults are of the rules that a schema cannot
// say: the clock, duplicate keys, sizes in bytes, and numbers and keys that JSON
// does not have.
func unsayable(payload []byte, faults []Fault) bool {
	enc, _ := Sniff(payload)
	for _, f := range faults {
		switch {
		case f.Rule == RuleTime && !strings.Contains(f.Reason, "before 2020"):
		case f.Rule == RuleDuplicate:
		case f.Rule == RuleSize && f.Field == "" && !strings.Contains(f.Reason, "readings"):
		case f.Rule == RuleText && strings.Contains(f.Reason, "bytes of UTF-8"):
		case f.Rule == RuleSyntax && (strings.Contains(f.Reason, "UTF-8") || strings.Contains(f.Reason, "surrogate")):
			// The JSON decoder before the schema puts U+FFFD there.
		case enc == CBOR && f.Rule == RuleType && strings.Contains(f.Reason, "a key of the map"):
		default:
			return false
		}
	}
	return true
}

func TestFaultRawIsTheReading(t *testing.T) {
	payload := []byte(`{"readings":[ {"t":1773475200000,"flame":true} , {"t":1} ,7]}`)
	_, faults := Decode(nil, topicOf("environment"), payload, goldenNow)
	if len(faults) != 2 || string(faults[0].Raw) != `{"t":1}` || string(faults[1].Raw) != `7` {
		t.Errorf("faults: %q", faults)
	}
}
