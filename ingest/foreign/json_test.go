package foreign_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"firewatch/ingest/foreign"
)

func TestParse(t *testing.T) {
	v, err := foreign.Parse([]byte("\xef\xbb\xbf { \"a\" : [ 1 , {\"b\":\"x\"} ] , \"n\":null, \"big\":\"18446744073709551615\" } "))
	if err != nil {
		t.Fatal(err)
	}
	if a := v.Get("a"); len(a.Items) != 2 || string(a.Raw) != `[ 1 , {"b":"x"} ]` || string(a.Items[1].Raw) != `{"b":"x"}` || a.Items[1].Get("b").Text() != "x" {
		t.Errorf("a: %s", v.Get("a").Raw)
	}
	if v.Get("n") != nil || v.Get("A") != nil || v.Path("a", "b", "c") != nil || v.Path("no", "way").Text() != "" {
		t.Error("what is null, in other letters or not there is not nil")
	}
	if _, err := v.Path("no", "way").Float(); !errors.Is(err, foreign.ErrAbsent) {
		t.Errorf("a number that is not there: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, payload := range map[string]string{
		"empty": " \n", "not UTF-8": "{\"a\":\"\xc4\xe3\"}", "not a JSON document": "{\"a\":}", "unexpected EOF": "[1,",
		"something follows": "{} {}", "more than 32 levels": strings.Repeat("[", 40) + strings.Repeat("]", 40),
		"at most 262144": strings.Repeat(" ", foreign.MaxBytes) + "{}", "invalid character": "[1 2]", "is not UTF-8": "\x1f\x8b",
	} {
		if _, err := foreign.Parse([]byte(payload)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%.20q: %v, want …%s…", payload, err, name)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		doc  string
		want float64
		ok   bool
	}{
		{`1.5`, 1.5, true},
		{`"1.5"`, 1.5, true},
		{`" -1e3 "`, -1000, true},
		{`"0x10"`, 0, false},
		{`"Inf"`, 0, false},
		{`"1_000"`, 0, false},
		{`"1,5"`, 0, false},
		{`""`, 0, false},
		{`1e999`, 0, false},
		{`true`, 0, false},
		{`[1]`, 0, false},
	} {
		v, err := foreign.Parse([]byte(tt.doc))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Float(); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s: %v, %v", tt.doc, got, err)
		}
	}
	for doc, ok := range map[string]bool{"7": true, `"7"`: true, "8": false, "-1": false, "0.5": false} {
		v, _ := foreign.Parse([]byte(doc))
		if _, err := v.Uint(7); (err == nil) != ok {
			t.Errorf("%s as a whole number up to 7: %v", doc, err)
		}
	}
	for doc, want := range map[string]string{"true": "true", `"TRUE"`: "true", "1": "true", "0": "false", `"false"`: "false", "2": "", "{}": "", `"no"`: ""} {
		v, _ := foreign.Parse([]byte(doc))
		got := ""
		if is, err := v.Truth(); err == nil {
			got = map[bool]string{true: "true", false: "false"}[is]
		}
		if got != want {
			t.Errorf("%s is %q", doc, got)
		}
	}
}

func TestKeyThatStandsTwice(t *testing.T) {
	v, err := foreign.Parse([]byte(`{"a":1,"b":2,"a":3,"c":null,"c":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "c"} {
		if x, err := v.Get(key).Float(); err == nil || errors.Is(err, foreign.ErrAbsent) {
			t.Errorf("%s is %v, %v", key, x, err)
		}
	}
	if x, err := v.Get("b").Float(); x != 2 || err != nil {
		t.Error("its neighbour cannot be read")
	}
}

// Every document that encoding/json takes, within the limits, is taken, and no
// other.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"2",null,true]}`, `[[]]`, `"x"`, `{"a":1,"a":2}`, `1 2`, "[1,]", "{\"a\" 1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := foreign.Parse(b)
		plain := strings.TrimPrefix(string(b), "\xef\xbb\xbf")
		if err == nil != json.Valid([]byte(plain)) && utf8.ValidString(plain) && len(b) <= foreign.MaxBytes && strings.Count(plain, "[")+strings.Count(plain, "{") <= foreign.MaxDepth {
			t.Errorf("%q: %v", b, err)
		}
		if err == nil && !json.Valid(v.Raw) {
			t.Errorf("%q stands for %q", v.Raw, b)
		}
	})
}
