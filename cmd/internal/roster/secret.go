// Package roster reads and writes the areas, teams and devices of an office as
// files, and makes the credentials of devices and terminals.
package roster

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// NewSecret makes a credential for a device or a team's terminal: 26 characters
// with 130 bits of randomness, without letters that look alike.
func NewSecret() string {
	var b [17]byte
	rand.Read(b[:]) // never fails
	return base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).EncodeToString(b[:])[:26]
}

// HashSecret hashes a credential for the store. A credential of 130 random bits
// needs no slow hash, and 11,000 trackers may come back at once.
func HashSecret(secret string) string {
	var salt [8]byte
	rand.Read(salt[:]) // never fails
	sum := digest(salt[:], []byte(secret))
	return "sha256:" + hex.EncodeToString(salt[:]) + ":" + hex.EncodeToString(sum[:])
}

// CheckSecret reports whether the hash is that of the credential. It takes the
// same time whatever the hash is.
func CheckSecret(hash string, secret []byte) bool {
	h := ParseHash(hash)
	return h.Fits(secret)
}

// A Hash is what HashSecret made, taken apart once for many checks. The zero
// Hash fits no credential.
type Hash struct {
	salt [8]byte
	sum  [sha256.Size]byte
	real bool
}

// ParseHash takes a hash apart. What HashSecret did not make fits no credential.
func ParseHash(s string) (h Hash) {
	rest, ok := strings.CutPrefix(s, "sha256:")
	salt, sum, both := strings.Cut(rest, ":")
	if !ok || !both || len(salt) != 2*len(h.salt) || len(sum) != 2*len(h.sum) {
		return Hash{}
	}
	_, err1 := hex.Decode(h.salt[:], []byte(salt))
	_, err2 := hex.Decode(h.sum[:], []byte(sum))
	if err1 != nil || err2 != nil {
		return Hash{}
	}
	h.real = true
	return h
}

// Fits reports whether the credential is the one that was hashed, in the same
// time for every Hash.
func (h *Hash) Fits(secret []byte) bool {
	sum := digest(h.salt[:], secret)
	same := subtle.ConstantTimeCompare(h.sum[:], sum[:]) == 1
	return same && h.real
}

func digest(salt, secret []byte) [sha256.Size]byte {
	var buf [128]byte // most credentials fit without an allocation
	return sha256.Sum256(append(append(buf[:0], salt...), secret...))
}
