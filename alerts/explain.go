package alerts

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

const (
	toldEvidence = 3 // pieces of evidence in a sentence: the first one and the newest
	toldHeld     = 4 // hold-backs in a sentence, the newest
	maxSentence  = 2000
)

// Explain tells in one sentence, in Chinese and in English, why the alert
// stands: what was seen, by which readings, by which rule, what made it as grave
// as it is, how late it came, what was ordered, and what was held back and by
// what. It is made of the alert's row alone. What rules and people have written
// is in Chinese in both.
func Explain(a Alert) (zh, en string) {
	s := sentence{now: a.Updated}
	s.add(strings.TrimRight(a.Summary, "。；"), strings.TrimRight(cmp.Or(a.SummaryEn, a.Summary), ". "))
	s.evidence(a.Evidence)
	s.rule(&a)
	s.severity(&a)
	s.late(&a)
	if a.Incident != "" {
		s.add("属于事件 "+a.Incident, "part of incident "+a.Incident)
	}
	if a.Order != "" {
		s.add("已下命令 "+a.Order, "order "+a.Order+" was given")
	}
	s.held(&a)
	if a.State == Resolved {
		s.add("已于 "+s.clock(a.Resolved)+" 解除", "over since "+s.clock(a.Resolved))
	}
	return clipText(strings.Join(s.zh, "；")+"。", maxSentence), clipText(strings.Join(s.en, "; ")+".", maxSentence)
}

type sentence struct {
	now    time.Time
	zh, en []string
}

func (s *sentence) add(zh, en string) {
	// One sentence: what would end it does not.
	s.zh = append(s.zh, strings.NewReplacer("。", "，", "\n", " ").Replace(zh))
	s.en = append(s.en, strings.ReplaceAll(en, "\n", " "))
}

func (s *sentence) clock(t time.Time) string { return clock(s.now, t) }

func (s *sentence) evidence(all []Evidence) {
	if len(all) == 0 {
		s.add("没有读数为依据", "no reading is behind it")
		return
	}
	told := all
	if len(all) > toldEvidence {
		told = slices.Concat(all[:1], all[len(all)-toldEvidence+1:])
	}
	var zh, en []string
	for _, e := range told {
		z, n := e.words()
		who := strings.TrimRight(s.clock(e.Measured)+" "+string(e.Device), " ") // an area's is nobody's
		zh = append(zh, who+" "+z)
		en = append(en, who+" "+n)
	}
	s.add(fmt.Sprintf("依据 %d 条读数：%s", len(all), strings.Join(zh, "、")),
		fmt.Sprintf("by %d readings: %s", len(all), strings.Join(en, ", ")))
}

// words are the measured value with its unit; of what is no measurement the note.
func (e Evidence) words() (zh, en string) {
	f, known := contract.FieldByName(e.Field)
	info := f.Info()
	if e.Field == conditionField {
		return strings.TrimRight("满足条件，"+e.Note, "，"), "met the condition"
	}
	if !known || info.Bool || math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		return cmp.Or(e.Note, e.Field), e.Field
	}
	v := strconv.FormatFloat(e.Value, 'g', 4, 64)
	if info.Unit != "1" {
		v += " " + info.Unit
	}
	en = e.Field + " " + v
	zh = cmp.Or(fieldWords[f], e.Field) + " " + v
	if e.Note != "" {
		zh += "（" + e.Note + "）"
	}
	return zh, en
}

var fieldWords = map[contract.Field]string{
	contract.SmokeObsPctM: "烟雾", contract.CoPPM: "一氧化碳", contract.TempC: "气温", contract.RhPct: "湿度",
	contract.WindMS: "风速", contract.RainMM: "降雨", contract.BatteryPct: "电量", contract.Flame: "火焰",
}

func (s *sentence) rule(a *Alert) {
	zh, en := "规则 "+a.Rule, "rule "+a.Rule
	if a.RuleVersion != "" {
		zh, en = zh+"（版本 "+a.RuleVersion+"）", en+" (version "+a.RuleVersion+")"
	}
	if x := a.Explain.Condition; x != "" && x != a.Rule {
		zh, en = zh+"，条件 "+x, en+", condition "+x
	}
	if w := a.Explain.Why; w != "" && !strings.Contains(a.Summary, w) {
		zh += "，因为" + w
	}
	s.add(zh, en)
}

func (s *sentence) severity(a *Alert) {
	raised := a.Explain.Raised
	if len(raised) == 0 {
		s.add("严重程度"+a.Severity.Chinese()+"，没有因防火期、火险或预警提高", "severity "+a.Severity.String()+", raised by nothing")
		return
	}
	var zh, en []string
	for _, r := range raised {
		zh = append(zh, fmt.Sprintf("%s由%s提高到%s", r.Why, r.From.Chinese(), r.To.Chinese()))
		en = append(en, fmt.Sprintf("%s from %s to %s", r.By, r.From, r.To))
	}
	s.add("严重程度"+a.Severity.Chinese()+"："+strings.Join(zh, "，"), "severity "+a.Severity.String()+": raised by "+strings.Join(en, ", "))
}

func (s *sentence) late(a *Alert) {
	if a.Late < lateAfter && a.Explain.Outcome == LateNone {
		return
	}
	zh, en := "读数迟到", "it came late"
	if a.Late >= lateAfter {
		z, e := span(a.Late)
		zh, en = zh+" "+z, "it came "+e+" late"
	}
	switch a.Explain.Outcome {
	case LateActionable:
		zh, en = zh+"，仍须处置", en+" and still calls people"
	case LateRecord:
		zh, en = zh+"，只作记录", en+" and is on record only"
	case LateCloses:
		zh, en = zh+"，答复了未决的问题", en+" and answered what was open"
	case LateNone:
	}
	s.add(zh, en)
}

func (s *sentence) held(a *Alert) {
	held := a.Explain.Held
	if h := a.Hush; h.Hushed() {
		s.add("现不提示："+strings.TrimRight(h.Why, "。")+"（"+hushWords(h.Kind)+" "+h.By+"）", "kept from people now: "+string(h.Kind)+" by "+h.By)
		held = slices.DeleteFunc(slices.Clone(held), func(x HeldBack) bool { return x.Why == h.Why })
	}
	if n := len(held); n > toldHeld {
		held = held[n-toldHeld:]
	}
	if len(held) == 0 {
		if !a.Hush.Hushed() {
			s.add("没有扣留", "nothing was held back")
		}
		return
	}
	var zh, en []string
	for _, h := range held {
		zh = append(zh, s.clock(h.At)+" "+h.Why)
		en = append(en, s.clock(h.At)+" by "+h.By)
	}
	s.add("曾扣留："+strings.Join(zh, "、"), "held back: "+strings.Join(en, ", "))
}
