package contractv1

import "fmt"

// Encoding is how a document is written on the wire.
type Encoding uint8

// The encodings. The zero value is JSON.
const (
	JSON Encoding = iota
	CBOR
)

// String is the encoding's name.
func (e Encoding) String() string {
	switch e {
	case JSON:
		return "json"
	case CBOR:
		return "cbor"
	default:
		return fmt.Sprintf("encoding(%d)", uint8(e))
	}
}

// ParseEncoding is the inverse of String.
func ParseEncoding(s string) (Encoding, error) {
	switch s {
	case "json":
		return JSON, nil
	case "cbor":
		return CBOR, nil
	}
	return 0, fmt.Errorf("encoding %q: want json or cbor", s)
}

// Sniff tells the encoding of a payload by its first byte: '{' after optional
// white space is JSON, a map is CBOR, also behind the tag 55799 ("this is
// CBOR"). It is false for everything else.
func Sniff(payload []byte) (Encoding, bool) {
	for i, c := range payload {
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		case c == '{':
			return JSON, true
		case i == 0 && c>>5 == majorMap:
			return CBOR, true
		case i == 0 && len(payload) > 3 && c == 0xd9 && payload[1] == tagSelf>>8 && payload[2] == tagSelf&0xff:
			return CBOR, payload[3]>>5 == majorMap
		}
		return 0, false
	}
	return 0, false
}
