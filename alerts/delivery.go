package alerts

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// ErrAnswer is matched by the error of an answer that cannot be taken: it would
// be refused again if it came again.
var ErrAnswer = errors.New("answer refused")

// MaxEscalation is the last level that is told of a silent team: the city.
const MaxEscalation = 3

// ChannelEscalation, ChannelPage and ChannelAnswer are the channels of attempts
// that no Notifier makes.
const (
	ChannelEscalation = "escalation" // a silent team is brought before the next level
	ChannelPage       = "page"       // the order stands on the team's page
	ChannelAnswer     = "answer"     // what the team said; Note says on which bearer
)

// rank orders the states of a delivery. A delivery never goes to a lower rank.
func (s DeliveryState) rank() int {
	switch s {
	case DeliveryPending:
		return 0
	case DeliverySending:
		return 1
	case DeliveryFailed: // a receipt shows that it did arrive after all
		return 2
	case DeliverySent:
		return 3
	case DeliveryDelivered:
		return 4
	case DeliveryRead:
		return 5
	case DeliveryAnswered:
		return 6
	case DeliveryStale:
		return 7
	}
	return 0
}

// Silent reports whether an answer is still awaited.
func (d *Delivery) Silent() bool { return d.State != DeliveryAnswered && d.State != DeliveryStale }

func (d *Delivery) advance(to DeliveryState) {
	if to.rank() > d.State.rank() {
		d.State = to
	}
}

// Apply takes in what the team says, or what the office says on its behalf.
// The same again changes nothing. Receipts may come in any order: a later step
// fills in those before it, and the answer that was said last stands. Nothing is
// held to have been said after it was received. Receipts for a delivery that is
// stale are kept, and it stays stale. The error matches ErrAnswer.
func (d *Delivery) Apply(a contract.Answer, onBehalf bool) (changed bool, err error) {
	said, err := d.check(a)
	if err != nil {
		return false, err
	}
	before := *d
	if d.Sent.IsZero() && !onBehalf {
		d.Sent = said // seen on the page before any channel took it
	}
	switch a.Receipt {
	case contract.Delivered:
		earliest(&d.Delivered, said)
		d.advance(DeliveryDelivered)
	case contract.Read:
		earliest(&d.Delivered, said)
		earliest(&d.Read, said)
		d.advance(DeliveryRead)
	case contract.Accepted, contract.Standby, contract.Rejected, contract.InPosition, contract.StoodDown:
		if !onBehalf { // an answer by telephone does not show that the terminal has it
			earliest(&d.Delivered, said)
			earliest(&d.Read, said)
		}
		if d.newer(a, said) {
			d.Answered, d.Answer = said, a.Receipt
			d.AnswerNote, d.AnsweredBy, d.OnBehalf = a.Reason, a.By, onBehalf
		}
		d.advance(DeliveryAnswered)
		d.NextAt = time.Time{}
	}
	if *d == before {
		return false, nil
	}
	d.Updated = later(d.Updated, cmp.Or(a.Received, said))
	return true, nil
}

// check says when the answer was said, or why it cannot be taken.
func (d *Delivery) check(a contract.Answer) (said time.Time, err error) {
	said = a.At
	if said.IsZero() || !a.Received.IsZero() && said.After(a.Received) {
		said = a.Received
	}
	switch {
	case a.Order != d.Order || a.Team != d.Team:
		return said, fmt.Errorf("%w: it is for order %s of team %s", ErrAnswer, a.Order, a.Team)
	case said.IsZero():
		return said, fmt.Errorf("%w: it has no time", ErrAnswer)
	case a.Receipt != contract.Delivered && a.Receipt != contract.Read && !a.Receipt.Answer():
		return said, fmt.Errorf("%w: %q is no receipt", ErrAnswer, a.Receipt)
	case a.Receipt == contract.Rejected && strings.TrimSpace(a.Reason) == "":
		return said, fmt.Errorf("%w: rejected needs a reason", ErrAnswer)
	}
	return said, nil
}

// newer reports whether the answer stands over the one that the delivery has.
// Of two said at once, the one further on in an order's life stands.
func (d *Delivery) newer(a contract.Answer, said time.Time) bool {
	if d.Answer == "" || said.After(d.Answered) {
		return true
	}
	return said.Equal(d.Answered) && slices.Index(contract.Receipts, a.Receipt) > slices.Index(contract.Receipts, d.Answer)
}

func earliest(t *time.Time, at time.Time) {
	if t.IsZero() || at.Before(*t) {
		*t = at
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// TakeAnswer applies the answer and says what goes on record with it: the
// attempt and the event, or nothing when it is one that we have. The team's area
// decides which offices hear of it; via is the bearer it came on. A wrong clock
// costs nobody the answer: a time that cannot be, or none, counts as that of
// receipt, and the attempt says so.
func TakeAnswer(d *Delivery, o Order, area string, a contract.Answer, onBehalf bool, via string) (DeliveryChange, bool, error) {
	if doubt := doubtfulTime(o, a); doubt != "" {
		via += "（" + doubt + "，按收到时间计）"
		a.At = a.Received
		if d.Answer == a.Receipt && d.AnswerNote == a.Reason && d.AnsweredBy == a.By && d.OnBehalf == onBehalf {
			a.At = d.Answered // sent again, and not said again
		}
	}
	changed, err := d.Apply(a, onBehalf)
	if err != nil || !changed {
		return DeliveryChange{}, false, err
	}
	note := via + "：" + ReceiptChinese(a.Receipt)
	if a.By != "" {
		note += "，" + a.By
	}
	if onBehalf {
		note += "（代答）"
	}
	if a.Reason != "" {
		note += "：" + a.Reason
	}
	return DeliveryChange{
		Attempts: []Attempt{{Order: d.Order, Team: d.Team, Channel: ChannelAnswer, At: d.Updated, Try: d.Tries, Note: note}},
		Events:   []Event{DeliveryEvent(d, o, area, d.Updated, "")},
	}, true, nil
}

// doubtfulTime says why the answer cannot have been said when it says, or
// nothing: nobody answers an order before it is given, and a clock may be a
// little ahead. Times on the wire are whole milliseconds.
func doubtfulTime(o Order, a contract.Answer) string {
	switch {
	case a.Received.IsZero():
		return "" // there is no better time
	case a.At.IsZero():
		return "未报时间或时间不可信"
	case a.At.Before(o.Issued.Truncate(time.Millisecond)) || a.At.After(a.Received.Add(contract.MaxAhead)):
		return "所报时间有误"
	}
	return ""
}

// DeliveryEvent is the event of a changed delivery. A shortfall, when there is
// one, says in 中文 that the team was not reached.
func DeliveryEvent(d *Delivery, o Order, area string, at time.Time, shortfall string) Event {
	data, _ := json.Marshal(struct { // strings only: it cannot go wrong
		Order     string          `json:"order"`
		Team      contract.TeamID `json:"team"`
		Shortfall string          `json:"shortfall,omitempty"`
	}{d.Order, d.Team, shortfall})
	return Event{At: at, Type: EventDelivery, Area: cmp.Or(area, o.Area), Team: d.Team, Data: data}
}

// ReceiptChinese is the receipt's name on screen.
func ReceiptChinese(r contract.Receipt) string {
	switch r {
	case contract.Delivered:
		return "已送达"
	case contract.Read:
		return "已读"
	case contract.Accepted:
		return "接受"
	case contract.Standby:
		return "待命"
	case contract.Rejected:
		return "拒绝"
	case contract.InPosition:
		return "到位"
	case contract.StoodDown:
		return "解除"
	}
	return string(r)
}

// EscalationChinese names whom a level of escalation tells.
func EscalationChinese(level int) string {
	switch level {
	case 0:
		return "队伍"
	case 1:
		return "乡镇值班员"
	case 2:
		return "县级值班员"
	default:
		return "市级值班员"
	}
}
