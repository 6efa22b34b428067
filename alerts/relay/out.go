package relay

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/cap"
)

// ErrNotCAP is that a warning cannot be said in CAP 1.2, as a cancellation that
// does not name what it cancels.
var ErrNotCAP = errors.New("it cannot be said in CAP 1.2")

// Document is the warning as a document of CAP 1.2: the very one that came where
// it is valid, else what it means, written anew. sent looks up when a message was
// sent that a reference names without its time; zero: it is not known.
func Document(w *alerts.Warning, sent func(sender, identifier string) time.Time) ([]byte, error) {
	msg, err := cap.Read(w.Raw)
	if err != nil {
		return nil, errors.Join(ErrNotCAP, err)
	}
	if msg.Upgraded.From == "" && cap.Check(w.Raw) == nil {
		return w.Raw, nil
	}
	for i := range msg.Infos {
		if f := &msg.Infos[i]; f.Colour != cap.None {
			f.Parameters = append(f.Parameters, cap.Pair{Name: "severityColor", Value: strings.ToUpper(f.Colour.String())})
		}
	}
	msg.References = slices.DeleteFunc(slices.Clone(msg.References), func(r cap.Reference) bool { return r.Sent.IsZero() })
	for _, r := range w.References {
		if !r.Sent.IsZero() {
			continue
		}
		if t := sent(r.Sender, r.Identifier); !t.IsZero() {
			msg.References = append(msg.References, cap.Reference{Sender: r.Sender, Identifier: r.Identifier, Sent: t.Truncate(time.Second)})
		}
	}
	doc, err := cap.Write(msg)
	if err != nil {
		trim(msg)
		doc, err = cap.Write(msg)
	}
	if err != nil {
		return nil, errors.Join(ErrNotCAP, err)
	}
	return doc, nil
}

// trim leaves out what a lenient reader lets pass and nobody needs to be warned.
func trim(msg *cap.Alert) {
	msg.Incidents = ""
	for i := range msg.Infos {
		f := &msg.Infos[i]
		f.Language, f.Web, f.Resources = "zh-CN", "", nil
	}
}

// OrderSender is the CAP sender of the orders of a prefecture.
func OrderSender(areas []alerts.Area) string {
	for _, a := range areas {
		if a.Parent == "" {
			return "firewatch." + a.Code
		}
	}
	return "firewatch"
}

// responses says what each kind of order asks for in the words of CAP.
var responses = map[alerts.OrderKind]string{
	alerts.OrderStandby: "Prepare", alerts.OrderForward: "Execute", alerts.OrderCheck: "Assess",
	alerts.OrderMuster: "Execute", alerts.OrderStandDown: "AllClear",
}

// Order is an order as a message of CAP: to its teams alone (scope Private), and
// for a drill or the sample set an Exercise. A withdrawn order is the Cancel of
// what was given, sent now.
func Order(o *alerts.Order, ds []alerts.Delivery, areas alerts.Areas, sender string, now time.Time) *cap.Alert {
	msg := &cap.Alert{
		Identifier: o.ID, Sender: sender, Sent: beijingTime(o.Issued), Status: "Actual", MsgType: "Alert", Scope: "Private",
		Note: legible(strings.Join(o.Shortfalls, "；")),
	}
	headline := o.Kind.Chinese() + "命令（" + o.Level.Chinese() + "）"
	if o.Drill || o.Demo {
		msg.Status = "Exercise"
		headline = "【演练】" + headline
	}
	teams := make([]string, 0, len(ds))
	for _, d := range ds {
		teams = append(teams, string(d.Team))
	}
	slices.Sort(teams)
	msg.Addresses = strings.Join(teams, " ")
	if msg.Addresses == "" { // nobody could be ordered: it is for the office
		msg.Scope, msg.Restriction = "Restricted", "duty office"
	}
	if o.Status == alerts.OrderCancelled {
		msg.References = []cap.Reference{{Sender: sender, Identifier: o.ID, Sent: msg.Sent}}
		msg.Identifier, msg.MsgType, msg.Sent = o.ID+".cancel", "Cancel", beijingTime(now)
	}
	area := cap.Area{Desc: pathOf(areas, o.Area)}
	if o.Area != "" {
		area.Geocodes = []cap.Pair{{Name: "GB/T 2260", Value: o.Area}}
	}
	if o.HasPlace {
		area.Circles = []cap.Circle{{Centre: cap.Point{Lat: o.Lat, Lon: o.Lon}}}
	}
	info := cap.Info{
		Language: "zh-CN", Categories: []string{"Fire", "Safety"}, Event: o.Kind.Chinese() + "命令", Urgency: urgency(o.Level), Severity: severityWord(o.Level),
		Certainty: "Likely", EventCodes: []cap.Pair{{Name: "firewatch.order", Value: string(o.Kind)}}, Effective: beijingTime(o.Issued),
		SenderName: "森林防火值班室", Headline: headline, Instruction: legible(o.Text),
		Parameters: []cap.Pair{{Name: "severityColor", Value: strings.ToUpper(o.Level.String())}}, Areas: []cap.Area{area},
	}
	if word := responses[o.Kind]; word != "" {
		info.Responses = []string{word}
	}
	if !o.AnswerBy.IsZero() {
		info.Parameters = append(info.Parameters, cap.Pair{Name: "answerBy", Value: beijingTime(o.AnswerBy).Format(time.RFC3339)})
	}
	msg.Infos = []cap.Info{info}
	return msg
}

// pathOf names an area after those above it.
func pathOf(areas alerts.Areas, code string) string {
	name := ""
	for _, up := range areas.Chain(code) {
		name = up.Name + name
	}
	return cmp.Or(name, code, "全市")
}

// legible leaves out what XML does not have.
func legible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

var beijing = time.FixedZone("", 8*3600)

func beijingTime(t time.Time) time.Time { return t.Truncate(time.Second).In(beijing) }

func urgency(l alerts.Severity) string {
	switch l {
	case alerts.Red, alerts.Orange:
		return "Immediate"
	case alerts.Yellow:
		return "Expected"
	case alerts.Blue, alerts.Notice:
	}
	return "Future"
}

func severityWord(l alerts.Severity) string {
	switch l {
	case alerts.Red:
		return "Extreme"
	case alerts.Orange:
		return "Severe"
	case alerts.Yellow:
		return "Moderate"
	case alerts.Blue:
		return "Minor"
	case alerts.Notice:
	}
	return "Unknown"
}
