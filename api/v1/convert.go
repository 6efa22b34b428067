package v1

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

func place(lat, lon float64, has bool) (la, lo *float64) {
	if !has {
		return nil, nil
	}
	return &lat, &lon
}

func toMe(s scope) Me {
	u := s.user
	return Me{
		Username: u.Username, Name: u.Name, Role: string(u.Role),
		Area: u.Area, AreaName: s.roster.areaName(u.Area),
		Team: string(u.Team), TeamName: s.roster.team[u.Team].Name, Demo: s.roster.demo,
	}
}

func toArea(a alerts.Area, outline bool) Area {
	out := Area{
		Code: a.Code, Name: a.Name, Level: string(a.Level), Parent: a.Parent,
		Lat: a.Lat, Lon: a.Lon, Surveyed: a.Surveyed,
	}
	if outline && json.Valid(a.Outline) {
		out.Outline = a.Outline
	}
	return out
}

func toTeam(r *roster, t alerts.Team) Team {
	return Team{
		ID: string(t.ID), Name: t.Name, Kind: string(t.Kind), Area: t.Area, AreaName: r.areaName(t.Area),
		Lat: t.Lat, Lon: t.Lon, Members: t.Members, Contact: t.Contact, Phone: t.Phone,
	}
}

func toReading(r *contract.Reading) *Reading {
	out := &Reading{
		Device: string(r.Device), Class: r.Class.String(), Measured: at(r.Measured), Received: at(r.Received),
		Values: make(map[string]float64, r.Values.Len()), Code: r.Code, Text: r.Text,
	}
	if r.HasSeq {
		seq := r.Seq
		out.Seq = &seq
	}
	for f, x := range r.Values.All() {
		out.Values[f.String()] = x
	}
	return out
}

func toQuarantine(q ingest.QuarantineCount) *Quarantine {
	example := string(q.Example)
	if !utf8.Valid(q.Example) || strings.ContainsFunc(example, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
	}) {
		example = "base64:" + base64.StdEncoding.EncodeToString(q.Example)
	}
	return &Quarantine{Total: q.Total, LastReason: q.LastReason, Last: at(q.Last), Example: example}
}

func toAlert(r *roster, n names, a alerts.Alert) Alert {
	out := Alert{
		ID: a.ID, Rule: a.Rule, RuleVersion: a.RuleVersion, Device: string(a.Device),
		Area: a.Area, AreaName: r.areaName(a.Area), Severity: a.Severity.String(), State: string(a.State),
		Summary: a.Summary, SummaryEn: a.SummaryEn, Reasons: convert(a.Reasons, func(s string) string { return s }),
		Measured: at(a.Measured), Raised: at(a.Raised), LateS: a.Late.Seconds(),
		Resolved: atOrNull(a.Resolved), Updated: at(a.Updated), Order: a.Order, Demo: a.Demo,
		Incident: a.Incident, Hush: toHush(a.Hush),
		Evidence: convert(a.Evidence, toEvidence),
		Acks:     convert(a.Acks, func(k alerts.Ack) Ack { return Ack{By: k.By, ByName: n[k.By], At: at(k.At), Note: k.Note} }),
	}
	out.Lat, out.Lon = place(a.Lat, a.Lon, a.HasPlace)
	return out
}

func toEvidence(e alerts.Evidence) Evidence {
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) { // JSON has no such numbers
		e.Value, e.Note = 0, "（无数值）"+e.Note
	}
	return Evidence{
		Device: string(e.Device), Measured: at(e.Measured), Received: at(e.Received),
		Field: e.Field, Value: e.Value, Note: e.Note,
	}
}

func toOrder(r *roster, n names, o alerts.Order, t alerts.Tally) Order {
	out := Order{
		ID: o.ID, Kind: string(o.Kind), Level: o.Level.String(), Text: o.Text, Drill: o.Drill, Demo: o.Demo,
		Alert: o.Alert, Issuer: o.Issuer, IssuerName: n[o.Issuer], Area: o.Area, AreaName: r.areaName(o.Area),
		Issued: at(o.Issued), AnswerBy: at(o.AnswerBy), Status: string(o.Status), Completed: atOrNull(o.Completed),
		Shortfalls: convert(o.Shortfalls, func(s string) string { return s }), Tally: toTally(t),
	}
	out.Lat, out.Lon = place(o.Lat, o.Lon, o.HasPlace)
	return out
}

func toTally(t alerts.Tally) Tally {
	out := Tally{
		Total: t.Total, Sent: t.Sent, Delivered: t.Delivered, Read: t.Read, Answered: t.Answered, Failed: t.Failed,
	}
	if t.Total > 0 {
		out.AnswerRate = float64(t.Answered) / float64(t.Total)
	}
	return out
}

// tally counts deliveries as the store does: by the state or the times, so that
// one that failed or went stale later still counts for what was reached.
func tally(ds []alerts.Delivery) (t alerts.Tally) {
	for _, d := range ds {
		answered := d.State == alerts.DeliveryAnswered
		read := answered || d.State == alerts.DeliveryRead || !d.Read.IsZero() || !d.Answered.IsZero()
		delivered := read || d.State == alerts.DeliveryDelivered || !d.Delivered.IsZero()
		sent := delivered || d.State == alerts.DeliverySent || !d.Sent.IsZero()
		t.Total++
		for _, c := range []struct {
			n  *int
			is bool
		}{
			{&t.Sent, sent},
			{&t.Delivered, delivered},
			{&t.Read, read},
			{&t.Answered, answered},
			{&t.Failed, d.State == alerts.DeliveryFailed},
		} {
			if c.is {
				*c.n++
			}
		}
	}
	return t
}

func toDelivery(r *roster, o alerts.Order, d alerts.Delivery, now time.Time) Delivery {
	t := r.team[d.Team]
	return Delivery{
		Team: string(d.Team), TeamName: t.Name, TeamKind: string(t.Kind), Area: t.Area, AreaName: r.areaName(t.Area),
		Phone: t.Phone, Reason: d.Reason, State: string(d.State),
		Sent: atOrNull(d.Sent), Delivered: atOrNull(d.Delivered), Read: atOrNull(d.Read), Answered: atOrNull(d.Answered),
		Answer: string(d.Answer), AnswerNote: d.AnswerNote, AnsweredBy: d.AnsweredBy, OnBehalf: d.OnBehalf,
		Tries: d.Tries, Escalation: d.Escalation, LastError: d.LastError,
		Overdue: overdue(o, d, now),
	}
}

// overdue reports whether the answer came, or is still to come, after the
// deadline.
func overdue(o alerts.Order, d alerts.Delivery, now time.Time) bool {
	if o.AnswerBy.IsZero() || d.State == alerts.DeliveryStale {
		return false
	}
	said := d.Answered
	if said.IsZero() {
		said = now
	}
	return said.After(o.AnswerBy)
}

func toAttempt(a alerts.Attempt) Attempt {
	return Attempt{Team: string(a.Team), Channel: a.Channel, At: at(a.At), Try: a.Try, Error: a.Error, Note: a.Note}
}

func toWarning(r *roster, w alerts.Warning, now time.Time) Warning {
	out := Warning{
		Unmatched: []string{},
		ID:        w.ID, Identifier: w.Identifier, Sender: w.Sender, Sent: at(w.Sent), Status: w.Status, MsgType: w.MsgType,
		Event: w.Event, EventCode: w.EventCode, Issuer: w.Issuer, Headline: w.Headline, Text: w.Text, Measures: w.Measures,
		Ended: atOrNull(w.Ended), EndedBy: w.EndedBy, Received: at(w.Received),
		Blocks: convert(w.Blocks, func(b alerts.WarningBlock) WarningBlock {
			return WarningBlock{Area: b.Area, AreaDesc: b.AreaDesc, Level: b.Level.String(), From: at(b.From), To: at(b.To)}
		}),
	}
	stands := w.Status == "Actual" && w.MsgType != "Cancel" && (w.Ended.IsZero() || now.Before(w.Ended))
	for _, b := range w.Blocks {
		out.InForce = out.InForce || stands && !now.Before(b.From) && now.Before(b.To)
		if _, ours := r.areas[b.Area]; ours {
			continue
		}
		if desc := cmp.Or(b.AreaDesc, "（未写明区域）"); !slices.Contains(out.Unmatched, desc) {
			out.Unmatched = append(out.Unmatched, desc)
		}
	}
	return out
}
