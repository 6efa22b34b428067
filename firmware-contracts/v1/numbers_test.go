package contractv1

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	contract "firewatch/firmware-contracts"
)

// Every 16-bit float, and many of 32 and 64 bits, against the other library.
func TestCBORFloatsAreRead(t *testing.T) {
	check := func(b []byte) {
		t.Helper()
		var want float64
		if err := cbor.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		s := scanner{}
		s.reset(b, true)
		var v value
		s.value(&v)
		if s.end(); s.err != "" || v.kind != kindNumber || v.num != want && !(math.IsNaN(v.num) && math.IsNaN(want)) {
			t.Fatalf("%x: %v, want %v (%s)", b, v.num, want, s.err)
		}
	}
	for h := range 1 << 16 {
		check([]byte{0xf9, byte(h >> 8), byte(h)})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		check(binary.BigEndian.AppendUint32([]byte{0xfa}, r.Uint32()))
		check(binary.BigEndian.AppendUint64([]byte{0xfb}, r.Uint64()))
		check(binary.BigEndian.AppendUint64([]byte{0x1b}, r.Uint64()))
		check(binary.BigEndian.AppendUint64([]byte{0x3b}, r.Uint64()>>1))
	}
}

// Numbers of every length, against the standard library.
func TestJSONNumbersAreRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	digits := func(most int) string {
		b := make([]byte, 1+r.IntN(most))
		for i := range b {
			b[i] = "0123456789000"[r.IntN(13)]
		}
		return string(b)
	}
	for range 100_000 {
		lit := strings.TrimLeft(digits(24), "0")
		if lit == "" {
			lit = "0"
		}
		if r.IntN(2) == 0 {
			lit = "-" + lit
		}
		if r.IntN(2) == 0 {
			lit += "." + digits(24)
		}
		if r.IntN(2) == 0 {
			lit += fmt.Sprintf("%c%+d", "eE"[r.IntN(2)], r.IntN(60)-30)
		}
		want, _ := strconv.ParseFloat(lit, 64)
		n := node{kind: kindNumber, num: lit}
		_, whole := n.number()
		s := scanner{}
		s.reset([]byte(lit), false)
		var v value
		s.value(&v)
		if s.end(); s.err != "" || v.num != want || v.whole != whole || math.Signbit(v.num) && v.num == 0 {
			t.Fatalf("%s: %v whole %v, want %v whole %v (%s)", lit, v.num, v.whole, want, whole, s.err)
		}
	}
}

func TestTextsAtTheirLimits(t *testing.T) {
	for _, tc := range []struct {
		key   string
		bytes int
		ok    bool
	}{
		{"text", contract.MaxTextBytes, true},
		{"text", contract.MaxTextBytes + 1, false},
		{"fw", contract.MaxCodeBytes, true},
		{"fw", contract.MaxCodeBytes + 1, false},
	} {
		doc := fmt.Sprintf(`{"t":1773475200000,%q:%q}`, tc.key, strings.Repeat("x", tc.bytes))
		rs, faults := Decode(nil, topicOf("status"), []byte(doc), goldenNow)
		if (len(rs) == 1) != tc.ok || (len(faults) == 0) != tc.ok {
			t.Errorf("%s of %d bytes: %v", tc.key, tc.bytes, faults)
		}
	}
}
