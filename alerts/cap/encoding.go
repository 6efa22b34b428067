package cap

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// declaration is the start of a document that declares its encoding.
var declaration = regexp.MustCompile(`^<\?xml[ \t\r\n][^>]{0,200}?encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z][A-Za-z0-9._-]{0,40})["']`)

// toUTF8 brings a document to UTF-8: from UTF-16, with a byte order mark or told by
// its first two letters, and from what it declares, where Go knows it (GB2312, GBK,
// GB18030, Big5, ISO-8859-1 …).
func toUTF8(doc []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(doc, []byte("\xef\xbb\xbf")):
		return doc[3:], nil
	case bytes.HasPrefix(doc, []byte("\xfe\xff")), bytes.HasPrefix(doc, []byte("\xff\xfe")):
		return decode(doc, "UTF-16", unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM))
	case bytes.HasPrefix(doc, []byte("<\x00?\x00")):
		return decode(doc, "UTF-16", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM))
	case bytes.HasPrefix(doc, []byte("\x00<\x00?")):
		return decode(doc, "UTF-16", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM))
	}
	m := declaration.FindSubmatch(doc[:min(len(doc), 512)])
	if m == nil {
		return doc, nil
	}
	name := string(m[1])
	switch lower := strings.ToLower(name); {
	case lower == "utf-8", lower == "us-ascii", lower == "ascii":
		return doc, nil
	case strings.HasPrefix(lower, "utf-16"), strings.HasPrefix(lower, "ucs"), lower == "replacement":
		return nil, fmt.Errorf("it declares the encoding %s and does not have it", clip(name))
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		return nil, fmt.Errorf("encoding %s is not read: send UTF-8", clip(name))
	}
	return decode(doc, name, enc)
}

func decode(doc []byte, name string, enc encoding.Encoding) ([]byte, error) {
	out, err := enc.NewDecoder().Bytes(doc)
	if err != nil || bytes.Contains(out, []byte("\ufffd")) {
		return nil, fmt.Errorf("it has bytes that are not %s", clip(name))
	}
	return out, nil
}
