package alerts

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"
)

var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an id that sorts by the time it was made: the prefix, a dash, 10
// characters of milliseconds and 10 of randomness, in Crockford's base 32.
func NewID(prefix string, now time.Time) string {
	ms := uint64(now.UnixMilli())
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var b strings.Builder
	b.WriteString(prefix)
	b.WriteByte('-')
	for shift := 45; shift >= 0; shift -= 5 {
		b.WriteByte(digits[ms>>shift&31])
	}
	var r [6]byte
	rand.Read(r[:]) // never fails
	b.WriteString(crockford.EncodeToString(r[:]))
	return b.String()
}
