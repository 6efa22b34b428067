package rehearsal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxValues bounds one series of a script.
const maxValues = 100_000

// ParseValues reads the values of a series as promtool writes them, with blanks
// between:
//
//	1        one value
//	1x3      it, and three times more
//	1+2x3    1 3 5 7
//	1-2x3    1 -1 -3 -5
//	_        nothing
//	_x3      nothing three times
//
// NaN stands for nothing.
func ParseValues(text string) ([]float64, error) {
	var out []float64
	for word := range strings.FieldsSeq(text) {
		body, times, repeated := strings.Cut(word, "x")
		n := 0
		if repeated {
			var err error
			if n, err = strconv.Atoi(times); err != nil || n < 0 || n > maxValues {
				return nil, fmt.Errorf("%q: want a number 0..%d after the x", word, maxValues)
			}
		}
		if len(out)+n >= maxValues {
			return nil, fmt.Errorf("%q: more than %d values", word, maxValues)
		}
		if body == "_" {
			if !repeated {
				n = 1
			}
			for range n {
				out = append(out, math.NaN())
			}
			continue
		}
		first, step, err := arithmetic(body)
		if err != nil || step != 0 && !repeated {
			return nil, fmt.Errorf("%q: want a value like 1, 1x3, 1+2x3, 1-2x3, _ or _x3", word)
		}
		for i := range n + 1 {
			// A decimal step stays a decimal: 0.1+0.2x1 is 0.1 0.3.
			x, _ := strconv.ParseFloat(strconv.FormatFloat(first+float64(i)*step, 'g', 12, 64), 64)
			out = append(out, x)
		}
	}
	return out, nil
}

// arithmetic reads a, a+b and a-b.
func arithmetic(s string) (first, step float64, err error) {
	if at := strings.LastIndexAny(s, "+-"); at > 0 && s[at-1] != 'e' && s[at-1] != 'E' {
		if step, err = finite(s[at:]); err != nil {
			return 0, 0, err
		}
		s = s[:at]
	}
	first, err = finite(s)
	return first, step, err
}

func finite(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) > 1e12) {
		err = fmt.Errorf("%q is no number of use", s)
	}
	return x, err
}
