package ingesttest

import (
	"testing"
	"time"
)

// Eventually waits until ok holds of something outside this process, which
// nothing but asking can tell.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}
