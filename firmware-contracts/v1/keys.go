package contractv1

import contract "firewatch/firmware-contracts"

// Keys on the wire that are not fields of the table.
const (
	keyNameT        = "t"
	keyNameSeq      = "seq"
	keyNameText     = "text"
	keyNameReadings = "readings"
)

type keyKind uint8

const (
	keyField keyKind = iota
	keyT
	keySeq
	keyCode
	keyText
	keyReadings
)

// key is what a name on the wire means in one class. Its bit is 1<<field for a
// field; the other keys take the upper bits.
type key struct {
	kind  keyKind
	field contract.Field
	bit   uint64
	name  string
}

// A build failure here means that fields have run into the other keys' bits.
const _ = uint(59 - contract.NumFields)

// codeBit is the bit of the class's code key, whatever its name.
const codeBit uint64 = 1 << 60

var (
	tKey        = key{kind: keyT, bit: 1 << 63, name: keyNameT}
	seqKey      = key{kind: keySeq, bit: 1 << 62, name: keyNameSeq}
	textKey     = key{kind: keyText, bit: 1 << 61, name: keyNameText}
	readingsKey = key{kind: keyReadings, bit: 1 << 59, name: keyNameReadings}
)

// codeName is the key that holds the class's Code, or empty.
func codeName(c contract.Class) string {
	switch c {
	case contract.SOS:
		return "cause"
	case contract.Report:
		return "category"
	case contract.Status:
		return "fw"
	case contract.Position, contract.Environment:
	}
	return ""
}

// codeWords are the words that the class's Code may be, or nil for free text.
func codeWords(c contract.Class) []string {
	switch c {
	case contract.SOS:
		return contract.SOSCauses
	case contract.Report:
		return contract.ReportCategories
	case contract.Position, contract.Environment, contract.Status:
	}
	return nil
}

// hasText reports whether the class has a text.
func hasText(c contract.Class) bool { return codeName(c) != "" }

// hasPlace reports whether the class carries lat and lon.
func hasPlace(c contract.Class) bool { return contract.Lat.In(c) }

// measured reports whether the field is one of those of which an environment
// reading needs at least one: those that no other class has.
func measured(f contract.Field) bool {
	cs := f.Info().Classes
	return len(cs) == 1 && cs[0] == contract.Environment
}

// classKeys are the keys that are read, by class.
var classKeys = func() (m [contract.Status + 1]map[string]key) {
	for _, c := range contract.Classes {
		m[c] = map[string]key{tKey.name: tKey, seqKey.name: seqKey, readingsKey.name: readingsKey}
		if name := codeName(c); name != "" {
			m[c][name] = key{kind: keyCode, bit: codeBit, name: name}
		}
		if hasText(c) {
			m[c][textKey.name] = textKey
		}
		for f := range contract.Fields() {
			if f.In(c) {
				m[c][f.String()] = key{kind: keyField, field: f, bit: 1 << f, name: f.String()}
			}
		}
	}
	return m
}()

var measuredBits = func() (bits uint64) {
	for f := range contract.Fields() {
		if measured(f) {
			bits |= 1 << f
		}
	}
	return bits
}()
