package cap

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Level is the colour of a warning signal, numbered like the fire-danger levels
// that the colours stand for.
type Level uint8

// The levels.
const (
	None   Level = 0 // the message names no colour and its severity is Unknown
	Blue   Level = 2 // 蓝
	Yellow Level = 3 // 黄
	Orange Level = 4 // 橙
	Red    Level = 5 // 红
)

// String is the level's name in data.
func (l Level) String() string {
	switch l {
	case Blue:
		return "blue"
	case Yellow:
		return "yellow"
	case Orange:
		return "orange"
	case Red:
		return "red"
	case None:
	}
	return "none"
}

// Block is one level for one area over one time.
type Block struct {
	Event     string // 中文 name when the code is one that we know
	EventCode string // 11B25 …, or empty
	Level     Level
	LevelFrom string // which element the level comes from: parameter, severity, headline, or empty
	AreaDesc  string
	Codes     []string // GB/T 2260 codes of 6 digits, GB/T 10114 codes of 9
	Polygons  [][]Point
	Circles   []Circle
	From      time.Time
	To        time.Time // excluded
}

// defaultLength is how long a warning without expires holds.
const defaultLength = 24 * time.Hour

// Blocks says what the message warns of: one block per area of each info, or one
// without area. Of a message in several languages the Chinese infos count, or
// else those in the language of the first; an info without language counts
// always. Cancel, Ack and Error warn of nothing.
func Blocks(a *Alert) []Block {
	if a.MsgType != "Alert" && a.MsgType != "Update" {
		return nil
	}
	var out []Block
	for _, f := range spoken(a.Infos) {
		b := Block{From: a.Sent}
		b.EventCode, b.Event = event(f)
		b.Level, b.LevelFrom = level(f)
		for _, t := range []time.Time{f.Onset, f.Effective} {
			if !t.IsZero() {
				b.From = t
				break
			}
		}
		b.To = end(f, b.From)
		for _, area := range f.Areas {
			b.AreaDesc, b.Polygons, b.Circles = collapse(area.Desc), area.Polygons, area.Circles
			b.Codes = areaCodes(area.Geocodes)
			out = append(out, b)
		}
		if len(f.Areas) == 0 {
			out = append(out, b)
		}
	}
	return out
}

// end is when what f warns of is over. Expires is when the message lapses: where
// it names the end of the event itself (eventEndingTime) and that is later, it
// holds to there, and where the message lapses before the event begins the end
// is not known.
func end(f Info, from time.Time) time.Time {
	to := f.Expires
	for _, p := range f.Parameters {
		if !strings.EqualFold(collapse(p.Name), "eventEndingTime") {
			continue
		}
		if t, ok := parseTime(p.Value, false); ok && t.After(to) {
			to = t
		}
	}
	if !to.After(from) {
		return from.Add(defaultLength)
	}
	return to
}

// Summary is what a message says to people, in the language that Blocks takes.
type Summary struct {
	Event     string
	EventCode string
	Issuer    string // senderName, or the sender
	Headline  string
	Text      string // description: what to beware of
	Measures  string // instruction
}

// Summarize takes the words of the first info that counts.
func Summarize(a *Alert) Summary {
	s := Summary{Issuer: a.Sender}
	infos := spoken(a.Infos)
	if len(infos) == 0 {
		return s
	}
	f := infos[0]
	s.EventCode, s.Event = event(f)
	s.Issuer = cmp.Or(collapse(f.SenderName), a.Sender)
	s.Headline, s.Text, s.Measures = collapse(f.Headline), collapse(f.Description), collapse(f.Instruction)
	return s
}

func spoken(infos []Info) []Info {
	if len(infos) == 0 {
		return nil
	}
	chinese := func(f Info) bool { return language(f.Language) == "zh" }
	want := language(infos[0].Language)
	if slices.ContainsFunc(infos, chinese) {
		want = "zh"
	} else if want == "" {
		return infos
	}
	out := make([]Info, 0, len(infos))
	for _, f := range infos {
		if l := language(f.Language); l == want || l == "" {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Info) int { // zh-CN first, what names no language last
		return cmp.Compare(choice(a.Language), choice(b.Language))
	})
	return out
}

// language is the first part of a language tag.
func language(tag string) string {
	first, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return first
}

func choice(tag string) int {
	switch strings.ToLower(tag) {
	case "zh-cn", "zh-hans", "zh-hans-cn":
		return 0
	case "":
		return 2
	}
	return 1
}

// events are the codes of warning signals that bear on forest fires.
var events = []struct{ code, name string }{
	{"11B25", "森林火险"},
	{"11B26", "草原火险"},
	{"11B41", "森林（草原）火险"},
	{"11B06", "大风"},
	{"11B09", "高温"},
	{"11B14", "雷电"},
	{"11B22", "干旱"},
}

func event(f Info) (code, name string) {
	name = collapse(f.Event)
	for _, c := range f.EventCodes {
		for _, e := range events {
			if strings.EqualFold(collapse(c.Value), e.code) {
				return e.code, e.name
			}
		}
	}
	for _, e := range events {
		if trimEvent(name) == e.name || strings.EqualFold(name, e.code) {
			return e.code, e.name
		}
	}
	for _, c := range f.EventCodes { // 11Bnn of another kind of weather
		if v := strings.ToUpper(collapse(c.Value)); len(v) == 5 && strings.HasPrefix(v, "11B") {
			return v, name
		}
	}
	return "", name
}

func trimEvent(s string) string {
	for _, tail := range []string{"信号", "预警", "红色", "橙色", "黄色", "蓝色", "气象风险"} {
		s = strings.TrimSuffix(s, tail)
	}
	return strings.NewReplacer("(", "（", ")", "）").Replace(s)
}

// level finds the colour: in a parameter, as severity, in the headline, and at
// last what the severity stands for.
func level(f Info) (l Level, from string) {
	for _, p := range f.Parameters {
		if l := colourWord(p.Value); l != None && isLevelName(p.Name) {
			return l, "parameter"
		}
	}
	if f.Colour != None {
		return f.Colour, "severity"
	}
	if l := lastColour(f.Headline); l != None {
		return l, "headline"
	}
	switch f.Severity {
	case "Extreme":
		return Red, "severity"
	case "Severe":
		return Orange, "severity"
	case "Moderate":
		return Yellow, "severity"
	case "Minor":
		return Blue, "severity"
	}
	return None, ""
}

// isLevelName keeps a red car from being a red warning.
func isLevelName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"level", "severity", "signal", "alert", "warn", "预警", "级", "信号"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return name == "color" || name == "colour" || name == "颜色"
}

func colourWord(s string) Level {
	s = strings.TrimSpace(strings.ToLower(s))
	for _, tail := range []string{"信号", "预警", "色"} {
		s = strings.TrimSuffix(s, tail)
	}
	switch s {
	case "red", "红":
		return Red
	case "orange", "橙":
		return Orange
	case "yellow", "黄":
		return Yellow
	case "blue", "蓝":
		return Blue
	}
	return None
}

// lastColour is the colour named last: 黄色预警升级为橙色预警 is orange.
func lastColour(s string) Level {
	best, at := None, -1
	for word, l := range map[string]Level{"红色": Red, "橙色": Orange, "黄色": Yellow, "蓝色": Blue} {
		if i := strings.LastIndex(s, word); i > at {
			best, at = l, i
		}
	}
	return best
}

// areaCodes picks the Chinese area codes and brings them to the length that a
// roster has: 6 digits down to the county, 9 for a township. A village's code
// becomes its township's: better too many warned than too few.
func areaCodes(geocodes []Pair) (out []string) {
	for _, g := range geocodes {
		name := strings.ToUpper(collapse(g.Name))
		if slices.ContainsFunc([]string{"SAME", "FIPS", "UGC", "EMMA", "NUTS", "WARNCELL", "CLC", "PROFILE:CAP-CP"},
			func(foreign string) bool { return strings.HasPrefix(name, foreign) }) {
			continue
		}
		for _, code := range strings.FieldsFunc(g.Value, func(r rune) bool { return strings.ContainsRune(",; \t\r\n，；、", r) }) {
			if code = areaCode(code); code != "" && !slices.Contains(out, code) {
				out = append(out, code)
			}
		}
	}
	return out
}

func areaCode(s string) string {
	if len(s) < 6 || len(s) > 12 || s[0] < '1' || s[0] > '8' || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	if len(s) < 9 || s[6:9] == "000" {
		return s[:6]
	}
	return s[:9]
}
