package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"firewatch/alerts/cap"
)

// runCAPCheck judges files by the standard alone, each by the version of CAP that
// it is in.
func runCAPCheck(_ context.Context, e Env) error {
	fs := flags(e, "cap check", "FILE… | -")
	if err := parse(fs, e.Args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return usageError{errors.New("name files, or - for standard input")}
	}
	bad := 0
	for _, name := range fs.Args() {
		verdict := "valid"
		if err := checkCAP(e, name); err != nil {
			verdict = "invalid: " + err.Error()
			bad++
		}
		if _, err := fmt.Fprintf(e.Stdout, "%s: %s\n", name, verdict); err != nil {
			return err
		}
	}
	if bad > 0 {
		return silentError{fmt.Errorf("%d files are invalid", bad)}
	}
	return nil
}

func checkCAP(e Env, name string) error {
	in := e.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return unread(err)
		}
		defer f.Close() //nolint:errcheck // read only
		in = f
	}
	doc, err := io.ReadAll(io.LimitReader(in, cap.MaxBytes+1))
	if err != nil {
		return unread(err)
	}
	if len(doc) > cap.MaxBytes {
		return fmt.Errorf("the document has more than %d bytes", cap.MaxBytes)
	}
	if err := cap.Check(doc); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "CAP: "))
	}
	return nil
}

// unread is why a file could not be read, without its name.
func unread(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
