package cap_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"firewatch/alerts/cap"
)

func FuzzParse(f *testing.F) {
	doc, err := os.ReadFile("testdata/baoding_orange.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add(message(info("zh-CN", "大风", "RED", "", "", "")))
	f.Add([]byte(strictly))
	f.Add([]byte(old10))
	f.Fuzz(func(t *testing.T, doc []byte) {
		a, err := cap.Parse(doc)
		if (a == nil) == (err == nil) {
			t.Fatalf("got %v and %v", a, err)
		}
		if err != nil {
			var e *cap.Error
			if !errors.As(err, &e) || len(e.Faults) == 0 || len(e.Faults) > 20 {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if a.Identifier == "" || a.Sender == "" || a.Sent.IsZero() {
			t.Fatalf("taken without a name: %+v", a)
		}
		for _, b := range cap.Blocks(a) {
			if b.To.Before(b.From) && b.To.After(a.Sent) || b.Level == 1 || b.Level > cap.Red {
				t.Fatalf("block %+v", b)
			}
			for _, c := range b.Codes {
				if len(c) != 6 && len(c) != 9 {
					t.Fatalf("code %q", c)
				}
			}
		}
		cap.Summarize(a)
		writesTheSame(t, doc)
	})
}

// writesTheSame holds for what is strictly valid CAP 1.2: it can be written, and
// reads the same.
func writesTheSame(t *testing.T, doc []byte) {
	t.Helper()
	a, err := cap.ParseMode(doc, cap.Strict)
	if err != nil || a.Upgraded.From != "" {
		return
	}
	out, err := cap.Write(a)
	if err != nil && (strings.Contains(err.Error(), "years from 1 to 9999") || strings.Contains(err.Error(), "is missing")) {
		return // the first instant of year 1, the last of 9999
	}
	if err != nil {
		t.Fatalf("valid, and yet it cannot be written: %v", err)
	}
	back, err := cap.ParseMode(out, cap.Strict)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(a, back); diff != "" {
		t.Fatal(diff)
	}
}
