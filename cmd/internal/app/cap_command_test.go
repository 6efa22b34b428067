package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCAPCheck(t *testing.T) {
	const valid = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>i</identifier><sender>s</sender>` +
		`<sent>2026-03-14T08:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope></alert>`
	dir := t.TempDir()
	file := func(name, doc string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good, bad := file("good.xml", valid), file("bad.xml", strings.Replace(valid, "+08:00", "Z", 1))
	large := file("large.xml", valid+strings.Repeat(" ", 1<<20))
	missing := filepath.Join(dir, "missing.xml")
	for _, tt := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		out   string
	}{
		{"valid", []string{good, "-"}, valid, exitOK, good + ": valid\n-: valid\n"},
		{
			"one is invalid",
			[]string{bad, good},
			"", exitError,
			bad + `: invalid: line 1: sent: "2026-03-14T08:00:00Z": want a time with seconds and numeric offset, like 2026-03-14T08:00:00+08:00 (no Z, no fractions)` + "\n" + good + ": valid\n",
		},
		{"unreadable", []string{missing}, "", exitError, missing + ": invalid: cannot be read: no such file or directory\n"},
		{"too large", []string{large}, "", exitError, large + ": invalid: the document has more than 1048576 bytes\n"},
		{"empty", []string{"-"}, "", exitError, "-: invalid: line 1: the document has no element alert\n"},
		{"no file", nil, "", exitUsage, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := Run(t.Context(), Env{
				Args: append([]string{"cap", "check"}, tt.args...), Stdin: strings.NewReader(tt.stdin), Stdout: &out, Stderr: &errs,
			})
			if code != tt.code || out.String() != tt.out {
				t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
			}
		})
	}
}
