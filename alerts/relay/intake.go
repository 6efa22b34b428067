package relay

import (
	"errors"
	"fmt"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/cap"
)

// MaxBlocks bounds the areas and times of one warning.
const MaxBlocks = 5000

// Errors of Warning.
var (
	// ErrNoInfo is that an Alert or Update does not say what it warns of.
	ErrNoInfo = errors.New("info: is missing: an Alert or Update says what it warns of")
	// ErrTooMany is that a message names more areas and times than MaxBlocks.
	ErrTooMany = fmt.Errorf("it names more than %d areas and times", MaxBlocks)
)

// Warning makes a warning of a message: one block for each area of the roster. Its
// ID, Received and Raw are the caller's.
func Warning(p *Places, msg *cap.Alert) (alerts.Warning, error) {
	if len(msg.Infos) == 0 && (msg.MsgType == "Alert" || msg.MsgType == "Update") {
		return alerts.Warning{}, ErrNoInfo
	}
	sum := cap.Summarize(msg)
	w := alerts.Warning{
		Identifier: msg.Identifier, Sender: msg.Sender, Sent: at(msg.Sent), Status: msg.Status, MsgType: msg.MsgType,
		Event: sum.Event, EventCode: sum.EventCode, Issuer: sum.Issuer, Headline: sum.Headline, Text: sum.Text, Measures: sum.Measures,
	}
	for _, ref := range msg.References {
		w.References = append(w.References, alerts.WarningRef{Sender: ref.Sender, Identifier: ref.Identifier, Sent: at(ref.Sent)})
	}
	seen := map[alerts.WarningBlock]bool{}
	for _, b := range cap.Blocks(msg) {
		for _, code := range p.Of(b) {
			block := alerts.WarningBlock{
				Area: code, AreaDesc: b.AreaDesc, Level: severityOf(b.Level), From: at(b.From), To: at(b.To),
			}
			if seen[block] {
				continue
			}
			if seen[block] = true; len(seen) > MaxBlocks {
				return alerts.Warning{}, ErrTooMany
			}
			w.Blocks = append(w.Blocks, block)
		}
	}
	return w, nil
}

// at is the time as it is stored: UTC, milliseconds; zero stays zero.
func at(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func severityOf(l cap.Level) alerts.Severity {
	switch l {
	case cap.Blue:
		return alerts.Blue
	case cap.Yellow:
		return alerts.Yellow
	case cap.Orange:
		return alerts.Orange
	case cap.Red:
		return alerts.Red
	case cap.None:
	}
	return alerts.Notice
}
