package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
)

const (
	// catchUpRule names the notices to people of what was not judged in time.
	catchUpRule = "catch_up"
	// noticeFor is how long such a notice stands once all is judged.
	noticeFor = time.Hour
	// noticeAfter is after how many failures people are told that history is away:
	// half a minute.
	noticeAfter = 3
)

// What a notice says, as its alert's condition.
const (
	saysAway = "catch_up: history is away"
	saysDone = "catch_up: judged late"
	saysLost = "catch_up: never judged"
)

// tally is what a look has found.
type tally struct {
	readings    int
	first, last time.Time       // when they were received
	raised      map[string]bool // alerts, and whether they still call people
	cut         time.Time       // zero: nothing of the gap is too long ago
}

func newTally() tally { return tally{raised: make(map[string]bool)} }

// count counts a reading that nobody had followed. Of those received just before
// the gap, or before the very first start, nobody knows.
func (t *tally) count(l *look, received time.Time) {
	if !slices.ContainsFunc(l.gaps, func(g *gap) bool { return period{g.From, g.To}.has(received) }) {
		return
	}
	t.readings++
	if t.first.IsZero() || received.Before(t.first) {
		t.first = received
	}
	if received.After(t.last) {
		t.last = received
	}
}

func (t *tally) actionable() (n int) {
	for _, still := range t.raised {
		if still {
			n++
		}
	}
	return n
}

// late notes what came of a reading that was found in history, and says so on the
// alert, which is the finding's own still.
func (b *bench) late(now time.Time, f alerts.Finding) {
	l, a := b.back.look, f.Alert
	if l == nil || l.received.IsZero() {
		return
	}
	if _, known := l.tally.raised[a.ID]; known || a.Raised.Equal(now) {
		l.tally.raised[a.ID] = a.State == alerts.Firing
	}
	if a.Raised.Equal(now) && (f.Kind == alerts.Raised || f.Kind == alerts.Recorded) {
		why := hour(now, l.received) + " 收到时未判读，" + hour(now, now) + " 从历史补判"
		if !slices.Contains(a.Reasons, why) {
			a.Reasons = append(slices.Clip(a.Reasons), why)
		}
	}
}

// between is the time that the look makes good.
func (l *look) between() (from, to time.Time) {
	if len(l.gaps) == 0 {
		return from, to
	}
	near := true
	for _, g := range l.gaps {
		near = near && g.Near
		if from.IsZero() || g.From.Before(from) {
			from = g.From
		}
		if g.To.After(to) {
			to = g.To
		}
	}
	if near && l.tally.readings > 0 { // it was followed, and some did not come
		return l.tally.first, l.tally.last
	}
	return from, to
}

// words say what was missed.
func (t *tally) words(now, from, to time.Time) (zh, en string) {
	when := span(now, from, to)
	zh = fmt.Sprintf("%s 收到的读数当时未判读，已从历史补判 %s 条", when, thousands(t.readings))
	en = fmt.Sprintf("%s: %s readings were not judged as they came, and have been from history", when, thousands(t.readings))
	if n := len(t.raised); n == 0 {
		zh, en = zh+"，没有发现告警", en+"; no alerts"
	} else {
		zh += fmt.Sprintf("，发现 %d 起告警，其中 %d 起仍需处置", n, t.actionable())
		en += fmt.Sprintf("; %d alerts, of which %d still call for action", n, t.actionable())
	}
	if !t.cut.IsZero() {
		zh, en = zh+fmt.Sprintf("；%s 至 %s 的过早，未判读", hour(now, t.cut), hour(now, from)), en+"; what came before is too long ago and was not judged"
	}
	return zh, en
}

func span(now, from, to time.Time) string { return hour(now, from) + "–" + hour(now, to) }

// hour is the local time of day, with the date when it is another day's.
func hour(now, t time.Time) string {
	now, t = now.In(alerts.Zone), t.In(alerts.Zone)
	if now.YearDay() == t.YearDay() && now.Year() == t.Year() {
		return t.Format("15:04")
	}
	return t.Format("01-02 15:04")
}

// thousands writes a count as people read it.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// notice is what people were told last.
type notice struct {
	alert    *alerts.Alert // nil: nothing
	from, to time.Time
	tally    tally // of what was found since the start
}

// adopt takes over a notice that an engine before has left.
func (k *catchUp) adopt(standing []*alerts.Alert) {
	for _, a := range standing {
		if a.Rule == catchUpRule {
			copied := *a
			k.notice.alert = &copied
		}
	}
}

// Note says what of the past is not judged yet, or was judged late within the
// last hour; nil: nothing.
func (e *Engine) Note() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.note == "" || !e.noteUntil.IsZero() && e.Now().After(e.noteUntil) {
		return nil
	}
	return errors.New(e.note)
}

// doneLooking takes back that a look is on its way, and nothing else.
func (e *Engine) doneLooking() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.noteUntil.IsZero() {
		e.note = ""
	}
}

func (e *Engine) setNote(text string, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.note, e.noteUntil = text, until
}

// tellPeople raises the notice, or changes the one that stands.
func (b *bench) tellPeople(now, measured time.Time, state alerts.AlertState, says, zh, en string) {
	n := &b.back.notice
	a := alerts.Alert{
		ID: alerts.NewID("al", now), Rule: catchUpRule, RuleVersion: b.set.Version, Area: b.wholeArea(), Severity: alerts.Notice,
		Measured: measured, Raised: now, Demo: b.demo,
	}
	if n.alert != nil {
		a = *n.alert
	}
	a.State, a.Summary, a.SummaryEn, a.Updated = state, zh, en, now
	a.Explain.Condition, a.Explain.Why = says, zh
	if state == alerts.Resolved {
		a.Resolved = now
	}
	saved := a
	b.desk.Restore(&saved)
	b.pend.alerts[a.ID], b.pend.at[a.ID] = &saved, now
	n.alert = &a
	if state == alerts.Resolved {
		*n = notice{}
	}
}

// wholeArea is the area that holds all others.
func (b *bench) wholeArea() string {
	code := ""
	for _, a := range b.areas {
		if a.Level == alerts.City && (code == "" || a.Code < code) {
			code = a.Code
		}
	}
	return code
}

func (b *bench) sayLooking(l *look) {
	b.met.owed.Set(float64(len(b.back.owed)))
	from, to := l.between()
	if b.back.tries > 0 || from.IsZero() || l.gaps[0].Near || l.gaps[0].Again < len(lookAgain) {
		return
	}
	b.setNote("正在从历史补判 "+span(b.Now(), from, to)+" 收到的读数", time.Time{})
}

func (b *bench) sayAway(now time.Time, l *look, err error) {
	from, to := l.between()
	if b.back.tries == 1 {
		b.Log.Warn("not caught up: history is away; judging goes on, and it is tried again", zap.Error(err), zap.Time("from", from), zap.Time("to", to))
	}
	if from.IsZero() {
		b.setNote("读数窗口未从历史补齐："+err.Error(), time.Time{})
		return
	}
	zh := span(now, from, to) + " 收到的读数尚未全部判读：历史库不可用，恢复后自动补判"
	b.setNote(zh+"（"+err.Error()+"）", time.Time{})
	if b.back.tries == noticeAfter {
		b.tellPeople(now, from, alerts.Firing, saysAway, zh,
			span(now, from, to)+": not all readings are judged yet, because history is away; they will be when it is back")
	}
}

func (b *bench) sayCaughtUp(now time.Time, l *look) {
	k := &b.back
	b.met.owed.Set(float64(len(k.owed)))
	b.doneLooking()
	from, to := l.between()
	n := &k.notice
	if l.tally.readings == 0 && len(l.tally.raised) == 0 {
		if n.alert != nil && n.alert.Explain.Condition == saysAway {
			b.Log.Info("caught up: nothing was missed", zap.Time("from", from), zap.Time("to", to))
			b.tellPeople(now, from, alerts.Resolved, saysAway, n.alert.Summary+"。已核对历史，没有遗漏", n.alert.SummaryEn+". Nothing was missed")
		}
		return
	}
	b.Log.Warn("caught up: readings were judged late, from history", zap.Time("from", from), zap.Time("to", to),
		zap.Int("readings", l.tally.readings), zap.Int("alerts", len(l.tally.raised)), zap.Int("late_actionable", l.tally.actionable()),
		zap.Int("late_record", len(l.tally.raised)-l.tally.actionable()))
	if n.alert != nil && n.alert.Explain.Condition != saysAway && n.tally.raised == nil { // of the engine before: it says what that one did
		b.endNotice(now)
	}
	n.add(&l.tally, from, to)
	zh, en := n.tally.words(now, n.from, n.to)
	b.tellPeople(now, n.from, alerts.Firing, saysDone, zh, en)
	b.setNote(zh, now.Add(noticeFor))
}

// add makes one notice of what was found within its time.
func (n *notice) add(t *tally, from, to time.Time) {
	if n.tally.raised == nil {
		n.tally, n.from, n.to = newTally(), from, to
	}
	n.tally.readings += t.readings
	maps.Copy(n.tally.raised, t.raised)
	if n.tally.cut.IsZero() {
		n.tally.cut = t.cut
	}
	if from.Before(n.from) {
		n.from = from
	}
	if to.After(n.to) {
		n.to = to
	}
}

func (b *bench) sayGivenUp(now time.Time, g *gap) {
	b.Log.Error("never judged: history was away for too long", zap.Time("from", g.From), zap.Time("to", g.To))
	when := span(now, g.From, g.To)
	b.tellPeople(now, g.From, alerts.Firing, saysLost, when+" 收到的读数始终未能判读：历史库不可用超过 24 小时，请人工查看历史",
		when+": readings were never judged, history was away for over 24 hours; look at the history yourself")
}

// noticeOver ends a notice that has stood for long enough.
func (b *bench) noticeOver(now time.Time) {
	n := &b.back.notice
	if n.alert == nil {
		return
	}
	stood := now.Sub(n.alert.Updated)
	switch n.alert.Explain.Condition {
	case saysDone:
		if stood < noticeFor {
			return
		}
	case saysLost:
		if stood < catchUpMost {
			return
		}
	default:
		if len(b.back.owed) > 0 {
			return
		}
	}
	b.endNotice(now)
}

func (b *bench) endNotice(now time.Time) {
	a := b.back.notice.alert
	b.tellPeople(now, a.Measured, alerts.Resolved, a.Explain.Condition, a.Summary, a.SummaryEn)
}
