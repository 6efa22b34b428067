package contractv1

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// checkNumber reports what keeps v from being a value of the numeric field f.
func checkNumber(f contract.Field, v *value) (Rule, string) {
	i := f.Info()
	switch {
	case v.kind == kindText:
		return RuleType, "want a number, got " + v.named() + ": send it without quotes"
	case v.kind != kindNumber:
		return RuleType, "want a number, got " + v.named()
	case math.IsNaN(v.num) || math.IsInf(v.num, 0) && v.raw == nil:
		return RuleRange, v.String() + " is not a number: leave out a key that has no value"
	case v.num < i.Min || v.num > i.Max:
		return RuleRange, v.String() + " is outside " + f.Range() + hint(f, v.num)
	case i.Integer && !v.whole:
		return RuleWhole, v.String() + " is not a whole number"
	}
	return "", ""
}

// hint guesses at what went wrong with a value that is out of range.
func hint(f contract.Field, x float64) string {
	fits := func(x float64) bool { return f.Check(x) == nil }
	switch {
	case f == contract.Lat && math.Abs(x) <= 180:
		return " (are lat and lon swapped?)"
	case (f == contract.Lat || f == contract.Lon) && math.Abs(x) >= 1e6 && fits(x/1e7):
		return " (looks like degrees × 10⁷: send degrees)"
	case (f == contract.Lat || f == contract.Lon) && fits(math.Trunc(x/100)) && math.Abs(x) <= 18060:
		return " (looks like NMEA degrees and minutes: send decimal degrees)"
	case f == contract.PressureHPa && fits(x/100):
		return " (looks like Pa: send hPa)"
	case f == contract.BatteryV && fits(x/1000):
		return " (looks like mV: send V)"
	case f == contract.TempC && x < 0:
		return " (a probe that is not connected? leave the key out)"
	}
	return ""
}

// checkInteger reports what keeps v from being a whole number in 0..most.
func checkInteger(v *value, most float64) (Rule, string) {
	switch {
	case v.kind == kindText:
		return RuleType, "want a whole number, got " + v.named() + ": send a number without quotes"
	case v.kind != kindNumber:
		return RuleType, "want a whole number, got " + v.named()
	case !(v.num >= 0 && v.num <= most):
		return RuleRange, v.String() + " is outside 0.." + strconv.FormatFloat(most, 'f', -1, 64)
	case !v.whole:
		return RuleWhole, v.String() + " is not a whole number"
	}
	return "", ""
}

func checkText(v *value, most int) (Rule, string) {
	switch {
	case v.kind != kindText:
		return RuleType, "want a text, got " + v.named()
	case len(v.raw) > most:
		return RuleText, fmt.Sprintf("the text has %d bytes of UTF-8, at most %d are allowed", len(v.raw), most)
	case bytes.IndexByte(v.raw, 0) >= 0:
		return RuleText, "the text holds a NUL character: send the characters before it only"
	}
	return "", ""
}

// checkLine refuses control characters.
func checkLine(t []byte) (Rule, string) {
	for _, c := range t {
		if c < ' ' || c == 0x7f {
			return RuleText, fmt.Sprintf("the text holds the control character 0x%02x", c)
		}
	}
	return "", ""
}

// checkWord returns the word of the list that v is, without allocating it anew.
func checkWord(v *value, words []string) (string, Rule, string) {
	if v.kind != kindText {
		return "", RuleType, "want a text, got " + v.named()
	}
	for _, w := range words {
		if w == string(v.raw) {
			return w, "", ""
		}
	}
	return "", RuleWord, v.String() + " is not one of " + strings.Join(words, ", ")
}

// clockReason says why a measured time cannot be believed, with a guess at the
// cause.
func clockReason(ms float64, at, received time.Time) string {
	believed := func(ms float64) bool {
		return ms >= 0 && ms <= contract.MaxSeq && contract.CheckMeasured(time.UnixMilli(int64(ms)), received) == nil
	}
	what := strconv.FormatFloat(ms, 'f', -1, 64) + " is " + at.Format("2006-01-02T15:04:05.000Z07:00")
	const unit = ": t is in milliseconds since 1970-01-01 UTC"
	if at.Before(contract.Earliest) {
		switch what += ", before 2020"; {
		case believed(ms * 1000):
			return what + " (looks like seconds" + unit + ")"
		case ms < 1e9:
			return what + " (looks like the time since the device's start: hold readings back until the clock is set)"
		}
		return what + " (was the clock set?)"
	}
	ahead := at.Sub(received)
	switch what += fmt.Sprintf(", %s ahead of the time of receipt; at most %s are allowed",
		ahead.Round(time.Second), contract.MaxAhead); {
	case believed(ms / 1000):
		return what + " (looks like microseconds" + unit + ")"
	case believed(ms / 1e6):
		return what + " (looks like nanoseconds" + unit + ")"
	case believed(ms-8*3600e3) && ahead > 7*time.Hour:
		return what + " (looks like Beijing time" + unit + ")"
	}
	return what
}
