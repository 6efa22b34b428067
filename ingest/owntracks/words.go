package owntracks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	contract "firewatch/firmware-contracts"
)

// words judges what a warden has written into a point of interest or a tag.
type words struct {
	sos     []string
	callOff []string   // squashed
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
	for i := range w.callOff {
		w.callOff[i] = squash(w.callOff[i])
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

// fold is the text in lower case, with the half-width letters that it has in full
// width, single spaces, and at its ends nothing that is no letter or digit.
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E:
			return r - 0xFF01 + '!'
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
			return -1 // not seen by the one who wrote it
		}
		return r
	}, strings.ReplaceAll(s, "🆘", " SOS "))
	s = strings.TrimFunc(strings.ToLower(s), func(r rune) bool { return !wordRune(r) })
	return strings.Join(strings.Fields(s), " ")
}

// squash is a folded text without spaces and punctuation.
func squash(s string) string {
	return strings.Map(func(r rune) rune {
		if wordRune(r) {
			return r
		}
		return -1
	}, s)
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

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
	said := strings.TrimSpace(poi)
	if t != "" && t != p {
		said = strings.Trim(said+"; "+strings.TrimSpace(tag), "; ")
	}
	switch {
	case w.asks(p) || w.asks(t):
		return verdict{class: contract.SOS, code: "button", active: true, said: said}
	case w.callsOff(p) || w.callsOff(t):
		return verdict{class: contract.SOS, code: "button", said: said}
	case strings.TrimSpace(poi) == "":
		return verdict{class: contract.Position}
	}
	return verdict{class: contract.Report, code: w.category(p), said: poi}
}

// Words that may stand around a call-off, and change nothing about it.
var around = []string{"没事了", "没事", "误报", "误触", "误按", "平安", "安全", "谢谢", "了", "请", "已"}

// callsOff reports whether the text as a whole calls an SOS off.
func (w *words) callsOff(s string) bool {
	s = squash(s)
	for s != "" {
		if slices.Contains(w.callOff, s) {
			return true
		}
		cut := s
		for _, word := range around {
			cut = strings.TrimSuffix(strings.TrimPrefix(cut, word), word)
		}
		if cut == s {
			return false
		}
		s = cut
	}
	return false
}

// asks reports whether the text is a call for help: if in doubt, it is one. A
// Chinese word of several characters asks wherever it stands, one of letters
// wherever it stands alone, and also spelt with dots or spaces at the beginning.
func (w *words) asks(s string) bool {
	if s == "" || w.callsOff(s) {
		return false
	}
	return slices.ContainsFunc(w.sos, func(word string) bool {
		if ascii(word) {
			return standsAlone(s, word) || spelt(s, word)
		}
		return strings.HasPrefix(s, word) || utf8.RuneCountInString(word) > 1 && strings.Contains(s, word)
	})
}

// standsAlone reports whether the word is in s and no part of a longer one that
// is written in the same letters: "sos!" and "摔伤sos", but not "sosna".
func standsAlone(s, word string) bool {
	for i := 0; ; {
		j := strings.Index(s[i:], word)
		if j < 0 {
			return false
		}
		i += j
		if (i == 0 || !asciiWord(s[i-1])) && ends(s[i+len(word):]) {
			return true
		}
		i += len(word)
	}
}

// spelt reports whether s begins with the letters of the word and whatever stands
// between them: "s.o.s", "s o s 摔伤".
func spelt(s, word string) bool {
	left := squash(word)
	for i, r := range s {
		if left == "" {
			return ends(s[i:])
		}
		if !wordRune(r) {
			continue
		}
		var ok bool
		if left, ok = strings.CutPrefix(left, string(r)); !ok {
			return false
		}
	}
	return left == ""
}

// What stands in front of a report, and says nothing about its kind.
var seen = []string{"发现", "看到", "疑似", "有人", "有", "正在", "在"}

// What makes of a fire one that is none, and what makes of that a fire again.
var (
	over    = []string{"解除", "扑灭", "熄灭", "已灭", "灭了", "误报", "排除", "禁止", "严禁", "标牌", "警示牌", "标语", "extinguished"}
	notOver = []string{"未", "没", "没有", "不", "无法", "难以", "未能", "没能", "not "}
)

// category is that of a report with this text.
func (w *words) category(s string) string {
	if isOver(s) {
		return "other"
	}
	for {
		for _, c := range w.reports {
			if names(s, c.begins) {
				return c.code
			}
		}
		cut := s
		for _, word := range seen {
			cut = strings.TrimPrefix(cut, word)
		}
		if cut = fold(cut); cut == s || cut == "" {
			return "other"
		}
		s = cut
	}
}

func isOver(s string) bool {
	return slices.ContainsFunc(over, func(word string) bool {
		i := strings.Index(s, word)
		return i >= 0 && !slices.ContainsFunc(notOver, func(not string) bool { return strings.HasSuffix(s[:i], not) })
	})
}

// What may follow an English word for it to be the thing itself: "smoke on the
// ridge", but not "fire station" and "farm gate 3".
var where = []string{
	"on", "in", "at", "near", "by", "behind", "above", "below", "from", "to", "here", "there", "seen", "visible", "and",
	"north", "south", "east", "west",
}

// names reports whether s begins with the word and means it. A single Chinese
// character is the beginning of too many names (烟台山) to be more than a text of
// its own.
func names(s, word string) bool {
	rest, ok := strings.CutPrefix(s, word)
	if !ok || rest == "" {
		return ok
	}
	if !ascii(word) {
		r, _ := utf8.DecodeRuneInString(rest)
		return utf8.RuneCountInString(word) > 1 || !wordRune(r)
	}
	if !ends(rest) {
		return false
	}
	next, spaced := strings.CutPrefix(rest, " ")
	if !spaced {
		return true
	}
	r, _ := utf8.DecodeRuneInString(next)
	return r >= utf8.RuneSelf || !wordRune(r) ||
		slices.ContainsFunc(where, func(word string) bool { return strings.HasPrefix(next, word) && ends(next[len(word):]) })
}

// ends reports whether a word of letters ends in front of rest.
func ends(rest string) bool { return rest == "" || !asciiWord(rest[0]) }

func ascii(word string) bool { return word[len(word)-1] < utf8.RuneSelf }

func asciiWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}
