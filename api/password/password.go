// Package password hashes people's passwords with argon2id and checks them.
// Hashes are PHC strings, so that the cost may change without losing the old
// ones.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a new hash: OWASP's second choice for argon2id, 19 MiB and two
// passes on one thread.
const (
	memoryKiB = 19456
	passes    = 2
	threads   = 1
	saltBytes = 16
	keyBytes  = 32
)

// Limits of what Verify takes over from a stored hash: a wrong row must not
// take the machine's memory.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 16
	maxThreads   = 16
)

// MaxBytes is the longest password that is hashed.
const MaxBytes = 1024

// ErrHash is matched by the error of a hash that cannot be read.
var ErrHash = errors.New("not an argon2id hash")

// Hash returns the PHC string of the password with a fresh salt.
func Hash(password string) (string, error) {
	if password == "" || len(password) > MaxBytes {
		return "", fmt.Errorf("hashing a password: %d bytes, want 1..%d", len(password), MaxBytes)
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, passes, memoryKiB, threads, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, threads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Verify reports whether the password is the one that was hashed. It compares
// in constant time. The error says why the hash cannot be read, never what the
// password was.
func Verify(hash, password string) (bool, error) {
	h, err := parse(hash)
	if err != nil {
		return false, fmt.Errorf("verifying a password: %w", err)
	}
	if len(password) > MaxBytes {
		return false, nil
	}
	key := argon2.IDKey([]byte(password), h.salt, h.t, h.m, h.p, uint32(len(h.key))) //nolint:gosec // at most 64
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

// Dummy is a hash of nothing, at the cost of a new one. Verifying against it
// takes as long as against a real one, so that a login for an unknown name
// cannot be told from one with a wrong password.
func Dummy() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, threads,
		b64.EncodeToString(make([]byte, saltBytes)), b64.EncodeToString(make([]byte, keyBytes)))
}

type parsed struct {
	m, t      uint32
	p         uint8
	salt, key []byte
}

func parse(hash string) (parsed, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return parsed{}, ErrHash
	}
	if parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return parsed{}, fmt.Errorf("%w: version %q", ErrHash, clip(parts[2]))
	}
	var m, t, p uint32
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || n != 3 {
		return parsed{}, fmt.Errorf("%w: parameters %q", ErrHash, clip(parts[3]))
	}
	if t < 1 || t > maxPasses || p < 1 || p > maxThreads || m < 8*p || m > maxMemoryKiB {
		return parsed{}, fmt.Errorf("%w: parameters %q out of bounds", ErrHash, clip(parts[3]))
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return parsed{}, fmt.Errorf("%w: salt", ErrHash)
	}
	key, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(key) < 16 || len(key) > 64 {
		return parsed{}, fmt.Errorf("%w: key", ErrHash)
	}
	return parsed{m: m, t: t, p: uint8(p), salt: salt, key: key}, nil
}

func clip(s string) string { return s[:min(len(s), 40)] }
