package roster

import "testing"

func TestSecretOpensOnlyItsOwnHash(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	if a == b || len(a) != 26 {
		t.Fatalf("secrets %q and %q", a, b)
	}
	hash := HashSecret(a)
	if !CheckSecret(hash, []byte(a)) {
		t.Error("the secret does not fit its own hash")
	}
	if HashSecret(a) == hash {
		t.Error("two hashes of one secret are alike: no salt")
	}
	for _, wrong := range []string{b, "", a + "x", a[:25]} {
		if CheckSecret(hash, []byte(wrong)) {
			t.Errorf("%q fits another's hash", wrong)
		}
	}
	for _, hash := range []string{"", "x", "sha256::", "sha256:zz:" + hash[10:], "md5:00:00", ":0000000000000000:" + hash[24:]} {
		for _, secret := range []string{a, ""} {
			if CheckSecret(hash, []byte(secret)) {
				t.Errorf("%q fits the hash %q", secret, hash)
			}
		}
	}
}
