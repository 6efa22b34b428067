package ingesttest

import (
	"os"
	"path/filepath"
	"testing"

	"firewatch/ingest"
)

// Directory is an ingest.Directory of the devices given.
type Directory []ingest.Registered

// ByAlias implements ingest.Directory.
func (d Directory) ByAlias(alias string) (ingest.Registered, bool) {
	for _, r := range d {
		if r.Alias == alias {
			return r, true
		}
	}
	return ingest.Registered{}, false
}

// Testdata reads a file of the inputs from elsewhere: in $FIREWATCH_TESTDATA, or
// in shared/testdata beside a folder above. It skips the test where there is no
// such folder.
func Testdata(tb testing.TB, name string) []byte {
	tb.Helper()
	root := os.Getenv("FIREWATCH_TESTDATA")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			tb.Fatal(err)
		}
		for ; root == "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			beside := filepath.Join(filepath.Dir(dir), "shared", "testdata")
			if _, err := os.Stat(beside); err == nil {
				root = beside
			}
		}
	}
	if root == "" {
		tb.Skip("no folder shared/testdata above this one; name it in FIREWATCH_TESTDATA")
	}
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name))) //nolint:gosec // a test names the file
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
