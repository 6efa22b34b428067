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
	return "sha256:" + hex.EncodeToString(salt[:]) + ":" + digest(salt[:], []byte(secret))
}

// CheckSecret reports whether the hash is that of the credential. It takes the
// same time whatever the hash is.
func CheckSecret(hash string, secret []byte) bool {
	parts := strings.Split(hash, ":")
	if len(parts) != 3 || parts[0] != "sha256" {
		parts = []string{"", "0000000000000000", strings.Repeat("0", 64)}
	}
	salt, err := hex.DecodeString(parts[1])
	same := subtle.ConstantTimeCompare([]byte(parts[2]), []byte(digest(salt, secret))) == 1
	return same && err == nil && parts[0] != ""
}

func digest(salt, secret []byte) string {
	h := sha256.New()
	h.Write(salt)
	h.Write(secret)
	return hex.EncodeToString(h.Sum(nil))
}
