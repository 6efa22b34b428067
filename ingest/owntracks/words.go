package owntracks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	contract "firewatch/firmware-contracts"
)

// words judges what a warden has written into a point of interest or a tag.
type words struct {
	sos     []string
	callOff []string
	reports []category // the longest words first
}

type category struct{ begins, code string }

func newWords(o Options) (words, error) {
	if o.SOSWords == nil {
		o.SOSWords = DefaultSOSWords
	}
	if o.CallOffWords == nil {
		o.CallOffWords = DefaultCallOffWords
	}
	if o.Reports == nil {
		o.Reports = DefaultReports
	}
	var w words
	var err error
	if w.sos, err = folded("SOSWords", o.SOSWords); err != nil {
		return w, err
	}
	if w.callOff, err = folded("CallOffWords", o.CallOffWords); err != nil {
		return w, err
	}
	for _, k := range slices.Sorted(maps.Keys(o.Reports)) {
		code := o.Reports[k]
		if !slices.Contains(contract.ReportCategories, code) {
			return w, fmt.Errorf("owntracks: Reports: %q has the category %q: want one of %s", k, code, strings.Join(contract.ReportCategories, ", "))
		}
		if fold(k) == "" {
			return w, fmt.Errorf("owntracks: Reports: an empty text has the category %q", code)
		}
		w.reports = append(w.reports, category{fold(k), code})
	}
	slices.SortStableFunc(w.reports, func(a, b category) int { return cmp.Compare(len(b.begins), len(a.begins)) })
	return w, nil
}

func folded(option string, list []string) ([]string, error) {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if fold(s) == "" {
			return nil, fmt.Errorf("owntracks: %s: one of them is empty", option)
		}
		out = append(out, fold(s))
	}
	return out, nil
}

// fold is the text in lower case, trimmed, with single spaces.
func fold(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// A verdict is what a location is by the words of the warden.
type verdict struct {
	class  contract.Class
	code   string
	active bool // of an SOS: not called off
	said   string
}

// judge reads a point of interest and a tag. A tag stays on every message until
// it is cleared, a point of interest is said once: so both can ask for help, a
// tag of another kind (the name of a walk) says nothing, and a point of interest
// is always something. Where one asks for help and the other calls it off, the
// call-off is not believed.
func (w *words) judge(poi, tag string) verdict {
	p, t := fold(poi), fold(tag)
	callOff := func(s string) bool { return slices.Contains(w.callOff, s) }
	sos := func(s string) bool {
		return !callOff(s) && slices.ContainsFunc(w.sos, func(word string) bool { return begins(s, word) })
	}
	said := strings.TrimSpace(poi)
	if t != "" && t != p {
		said = strings.Trim(said+"; "+strings.TrimSpace(tag), "; ")
	}
	switch {
	case sos(p) || sos(t):
		return verdict{class: contract.SOS, code: "button", active: true, said: said}
	case callOff(p) || callOff(t):
		return verdict{class: contract.SOS, code: "button", said: said}
	case p == "":
		return verdict{class: contract.Position}
	}
	for _, c := range w.reports {
		if begins(p, c.begins) {
			return verdict{class: contract.Report, code: c.code, said: poi}
		}
	}
	return verdict{class: contract.Report, code: "other", said: poi}
}

// begins reports whether s begins with the word and not with a longer one that
// is written in the same letters: "sos!" and "sos摔伤", but not "sosna".
func begins(s, word string) bool {
	rest, ok := strings.CutPrefix(s, word)
	if !ok || rest == "" || !asciiWord(word[len(word)-1]) {
		return ok
	}
	return !asciiWord(rest[0])
}

func asciiWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}
