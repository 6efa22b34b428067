package roster

import "strings"

// A spreadsheet that opens a CSV file takes a field that begins with one of these
// for a formula, and runs it. An apostrophe in front keeps it a text; it is taken
// off again when the file comes back. See OWASP, CSV injection.
const formulas = "=+-@＝＋－＠"

// runs reports whether the field would be taken for a formula, were it not for
// the apostrophes before it.
func runs(s string) bool {
	s = strings.TrimLeft(s, "' ")
	for _, r := range s {
		return strings.ContainsRune(formulas, r)
	}
	return false
}

// guard makes a text safe to open.
func guard(s string) string {
	if runs(s) {
		return "'" + s
	}
	return s
}

// unguard is the inverse of guard.
func unguard(s string) string {
	if rest, ok := strings.CutPrefix(s, "'"); ok && runs(rest) {
		return rest
	}
	return s
}
