package cap

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// xmlSpace is white space in XML.
const xmlSpace = " \t\r\n"

// collapse takes the white space around a value off, as the schema's types do,
// but for xs:string.
func collapse(s string) string { return strings.Trim(s, xmlSpace) }

// fields are the parts between white space.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(xmlSpace, r) })
}

var (
	languageTag = regexp.MustCompile(`^[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*$`) // RFC 3066, xs:language
	integerForm = regexp.MustCompile(`^[+-]?[0-9]+$`)
	decimalForm = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)
	mimeForm    = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+([ \t]*;.*)?$`)
	hexDigest   = regexp.MustCompile(`^[0-9A-Fa-f]{40}$`)
	textDigest  = regexp.MustCompile(`^[0-9A-Za-z+/]{27}=$`) // 20 bytes in base64
	escapeForm  = regexp.MustCompile(`%([^0-9A-Fa-f]|[0-9A-Fa-f]([^0-9A-Fa-f]|$)|$)`)
)

// check says what is wrong with a value of the kind; empty: nothing.
func (k kind) check(s string) string {
	switch k {
	case kindLanguage:
		if s != "" && !languageTag.MatchString(collapse(s)) { // an empty one stands for the default, en-US
			return "is no language tag of RFC 3066, like zh-CN"
		}
	case kindURI:
		if !isURI(collapse(s)) {
			return "is no URI"
		}
	case kindInteger:
		if !integerForm.MatchString(collapse(s)) {
			return "is no whole number"
		}
	case kindDecimal:
		if !decimalForm.MatchString(collapse(s)) {
			return "is no decimal number"
		}
	case kindString:
	}
	return ""
}

// isURI is as lenient as xs:anyURI: letters of other scripts are allowed.
func isURI(s string) bool {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f || strings.ContainsRune("<>\"{}|\\^`", r) {
			return '_'
		}
		return r
	}, s)
	if strings.Contains(plain, " ") || strings.Count(plain, "#") > 1 || escapeForm.MatchString(plain) {
		return false
	}
	_, err := url.Parse(plain)
	return err == nil
}

const timeHelp = "want a time with seconds and numeric offset, like 2026-03-14T08:00:00+08:00 (no Z, no fractions)"

// The parts of xs:dateTime with an offset; Z and fractions are in 1.0 and 1.1 alone.
var timeForm = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`)

// parseTime reads xs:dateTime to the second and keeps its offset. A day's end may
// be written as 24:00:00. In the pattern of CAP 1.2 Z and fractions are invalid.
func parseTime(s string, patterned bool) (t time.Time, ok bool) {
	m := timeForm.FindStringSubmatch(collapse(s))
	if m == nil || patterned && (m[7] != "" || m[8] == "Z") {
		return time.Time{}, false
	}
	var n [7]int
	for i := 1; i <= 6; i++ {
		n[i], _ = strconv.Atoi(m[i]) // digits
	}
	year, month, day, hour, minute, second := n[1], n[2], n[3], n[4], n[5], n[6]
	zone, ok := parseZone(m[8])
	endOfDay := hour == 24 && minute == 0 && second == 0 && strings.Trim(m[7], ".0") == ""
	if !ok || year == 0 || month < 1 || month > 12 || day < 1 || minute > 59 || second > 59 || hour > 23 && !endOfDay {
		return time.Time{}, false
	}
	if d := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC); d.Day() != day {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, zone), true
}

func parseZone(s string) (*time.Location, bool) {
	if s == "Z" || s[1:] == "00:00" {
		return time.UTC, true
	}
	hours, _ := strconv.Atoi(s[1:3])   // digits
	minutes, _ := strconv.Atoi(s[4:6]) // digits
	offset := hours*3600 + minutes*60
	if minutes > 59 || offset > 14*3600 {
		return nil, false
	}
	if s[0] == '-' {
		offset = -offset
	}
	return time.FixedZone("", offset), true
}

// formTime writes a time in the pattern of CAP 1.2, where UTC is -00:00.
func formTime(t time.Time) string {
	s := t.Format("2006-01-02T15:04:05-07:00")
	if utc, ok := strings.CutSuffix(s, "+00:00"); ok {
		return utc + "-00:00"
	}
	return s
}
