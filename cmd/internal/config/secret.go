package config

import "fmt"

// Secret is a setting that is never shown. Every way of printing it yields
// <secret>, or nothing when it is empty; Reveal is the one way out.
type Secret string

const mask = "<secret>"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString hides the secret.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
