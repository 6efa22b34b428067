package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
)

// maxDocument bounds a file that people write, in bytes.
const maxDocument = 1 << 20

// documents are the kinds of files that rules check can tell good from bad, with
// what it says of a good one.
func documents() map[string]func([]byte) (string, error) {
	return map[string]func([]byte) (string, error){
		"rules": func(raw []byte) (string, error) {
			s, err := alerts.ParseRules(raw)
			return fmt.Sprintf("%d rules, version %s", len(s.Rules), s.Version), err
		},
		"seasons": func(raw []byte) (string, error) {
			t, err := alerts.ParseSeasons(raw)
			return fmt.Sprintf("%d seasons, %d special days, version %s", len(t.Seasons), len(t.Special), t.Version), err
		},
		"readiness": func(raw []byte) (string, error) {
			t, err := alerts.ParseReadinessTable(raw)
			return "version " + t.Version, err
		},
		"sources": func(raw []byte) (string, error) {
			t, err := alerts.ParseSources(raw)
			return fmt.Sprintf("%d sources, version %s", len(t.Sources), t.Version), err
		},
	}
}

const documentKinds = "rules, seasons, readiness or sources"

func runRulesCheck(_ context.Context, e Env) error {
	fs := flags(e, "rules check", "[--kind "+strings.ReplaceAll(strings.ReplaceAll(documentKinds, ", ", "|"), " or ", "|")+"] FILE… | -")
	kind := fs.String("kind", "rules", "what the files are: "+documentKinds)
	if err := parse(fs, e.Args); err != nil {
		return err
	}
	check := documents()[*kind]
	switch {
	case check == nil:
		return usageError{fmt.Errorf("--kind: %q; want %s", *kind, documentKinds)}
	case fs.NArg() == 0:
		return usageError{errors.New("name files, or - for standard input")}
	}
	bad := 0
	for _, name := range fs.Args() {
		verdict := ""
		raw, err := readDocument(e, name)
		if err == nil {
			verdict, err = check(raw)
		}
		if err == nil {
			_, err = fmt.Fprintf(e.Stdout, "%s: ok, %s\n", name, verdict)
		} else {
			bad++
			_, err = io.WriteString(e.Stdout, faultLines(name, err))
		}
		if err != nil {
			return err
		}
	}
	if bad > 0 {
		return silentError{fmt.Errorf("%d files are faulty", bad)}
	}
	return nil
}

func readDocument(e Env, name string) ([]byte, error) {
	in := e.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, unread(err)
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return nil, unread(err)
	}
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("more than %d bytes", maxDocument)
	}
	return raw, nil
}

// placedFault is how documents name a fault: what it is, its line, and why.
var placedFault = regexp.MustCompile(`^[^:]*: line ([0-9]+): (.*)$`)

// faultLines has each fault on a line that begins with the file and, where it is
// known, the fault's line, as editors understand it.
func faultLines(name string, err error) string {
	var out strings.Builder
	for fault := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
		fault = strings.TrimPrefix(fault, name+": ")
		if m := placedFault.FindStringSubmatch(fault); m != nil {
			fmt.Fprintf(&out, "%s:%s: %s\n", name, m[1], m[2])
		} else if rest, ok := strings.CutPrefix(fault, "line "); ok && strings.Contains(rest, ": ") {
			fmt.Fprintf(&out, "%s:%s\n", name, rest)
		} else {
			fmt.Fprintf(&out, "%s: %s\n", name, fault)
		}
	}
	return out.String()
}

const rulesTestHelp = `[--rules FILE]… FILE…

Tests of rule sets: what is measured, and which alerts and orders are to come of it. How a
file is written is told in alerts/rehearsal/README.md; the tests of the shipped rules are in
alerts/rules/tests. With --rules the tests run with that rule set in place of those that
they name.
`

func runRulesTest(ctx context.Context, e Env) error {
	mine, rest := splitArgs(e.Args, "", "rules")
	fs := flags(e, "rules test", "")
	var instead []string
	fs.Func("rules", "shipped, demo, or a file", func(s string) error { instead = append(instead, s); return nil })
	fs.Usage = func() {
		fmt.Fprintf(e.Stdout, "Usage: firewatch rules test %s\n", rulesTestHelp) //nolint:errcheck // a closed terminal
		fs.SetOutput(e.Stdout)
		fs.PrintDefaults()
	}
	if err := parse(fs, mine); err != nil {
		return err
	}
	switch {
	case len(rest) > 0:
		return usageError{fmt.Errorf("unexpected argument %q", rest[0])}
	case fs.NArg() == 0:
		return usageError{errors.New("name files with tests, or - for standard input")}
	}
	var sets []alerts.RuleSet
	for _, ref := range instead {
		set, err := ruleSet("", ref)
		if err != nil {
			return fmt.Errorf("--rules: %w", err)
		}
		sets = append(sets, set)
	}
	bad := 0
	for _, name := range fs.Args() {
		text, ok, err := testFile(ctx, e, name, sets)
		if err != nil {
			return err
		}
		if !ok {
			bad++
		}
		if _, err := io.WriteString(e.Stdout, text); err != nil {
			return err
		}
	}
	if bad > 0 {
		return silentError{fmt.Errorf("%d files failed", bad)}
	}
	return nil
}

// testFile runs the tests of one file and says how they went.
func testFile(ctx context.Context, e Env, name string, sets []alerts.RuleSet) (text string, ok bool, err error) {
	raw, err := readDocument(e, name)
	if err != nil {
		return faultLines(name, err), false, nil
	}
	dir := filepath.Dir(name)
	s, err := rehearsal.ParseScript(name, raw, func(ref string) (alerts.RuleSet, error) { return ruleSet(dir, ref) }, sets...)
	if err != nil {
		return faultLines(name, err), false, nil
	}
	fails, err := s.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return "", false, ctx.Err()
	case err != nil:
		return err.Error() + "\n", false, nil //nolint:nilerr // it is told, and the next file is tested
	case len(fails) == 0:
		return fmt.Sprintf("%s: ok, %d tests\n", name, len(s.Tests)*len(s.Sets)), true, nil
	}
	var out strings.Builder
	for i := range fails {
		fmt.Fprintln(&out, fails[i].String())
	}
	fmt.Fprintf(&out, "%s: %d expectations not met\n", name, len(fails))
	return out.String(), false, nil
}

// ruleSet is the set of a name: shipped, demo, or a file, seen from the folder.
func ruleSet(dir, ref string) (alerts.RuleSet, error) {
	switch ref {
	case "shipped":
		return alerts.ParseRules(alerts.DefaultRules())
	case "demo":
		return alerts.ParseRules(alerts.DemoRules())
	}
	path := ref
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	raw, err := readUpTo(path, maxDocument)
	if err != nil {
		return alerts.RuleSet{}, err
	}
	set, err := alerts.ParseRules(raw)
	if err != nil {
		return set, fmt.Errorf("%s: %w", path, err)
	}
	return set, nil
}
