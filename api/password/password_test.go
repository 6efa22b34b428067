package password

import (
	"errors"
	"strings"
	"testing"
)

func TestHashVerifiesOnlyItsOwnPassword(t *testing.T) {
	hash, err := Hash("正确的马")
	if err != nil {
		t.Fatal(err)
	}
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(hash, want) {
		t.Errorf("hash %q does not begin with %s", hash, want)
	}
	for pw, want := range map[string]bool{"正确的马": true, "正确的": false, "": false, strings.Repeat("x", MaxBytes+1): false} {
		if got, err := Verify(hash, pw); err != nil || got != want {
			t.Errorf("Verify(%.10q) = %v, %v; want %v", pw, got, err, want)
		}
	}
	again, err := Hash("正确的马")
	if err != nil {
		t.Fatal(err)
	}
	if again == hash {
		t.Error("the same password hashed twice gave the same salt")
	}
}

func TestVerifiesAPublishedVector(t *testing.T) {
	// phc-winner-argon2, test.c: argon2id v=19, t=2, m=256, p=1, "password", "somesalt".
	const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if ok, err := Verify(hash, "password"); !ok || err != nil {
		t.Errorf("Verify = %v, %v; want true", ok, err)
	}
}

func TestDummyMatchesNoPassword(t *testing.T) {
	if ok, err := Verify(Dummy(), "x"); ok || err != nil {
		t.Errorf("Verify(Dummy) = %v, %v; want false, nil", ok, err)
	}
}

func TestHashRefusesEmptyAndOverlong(t *testing.T) {
	for _, pw := range []string{"", strings.Repeat("x", MaxBytes+1)} {
		if h, err := Hash(pw); err == nil {
			t.Errorf("Hash of %d bytes = %q, want an error", len(pw), h)
		}
	}
}

func TestVerifyRefusesBadHashes(t *testing.T) {
	for _, hash := range []string{
		"", "secret", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=300$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=1$$", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AA",
	} {
		if ok, err := Verify(hash, "password"); ok || !errors.Is(err, ErrHash) {
			t.Errorf("Verify(%q) = %v, %v; want ErrHash", hash, ok, err)
		}
	}
}
