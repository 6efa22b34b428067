package alerts

import (
	"encoding/json"
	"time"
)

// Warning is a weather warning as a warning centre issued it. firewatch relays
// it with its source; it issues none to the public.
type Warning struct {
	ID         string // ours
	Identifier string // CAP identifier
	Sender     string // CAP sender
	Sent       time.Time
	Status     string // CAP status; only "Actual" ever counts
	MsgType    string // Alert, Update, Cancel
	References []WarningRef
	Event      string // 中文 name of what is warned of
	EventCode  string // 11B25 …, or empty
	Issuer     string // senderName
	Headline   string
	Text       string // description: what to beware of
	Measures   string // instruction
	Blocks     []WarningBlock
	Ended      time.Time // superseded or cancelled at; zero while it may stand
	EndedBy    string    // identifier of the Update or Cancel
	Received   time.Time
	Raw        []byte // the CAP document as it came
}

// WarningRef points at an earlier message: the CAP references form
// sender,identifier,sent.
type WarningRef struct {
	Sender     string
	Identifier string
	Sent       time.Time
}

// WarningBlock is one level for one area over one time. Level, from and to are
// per area.
type WarningBlock struct {
	Area     string // area code, or empty when only a name is known
	AreaDesc string
	Level    Severity // Blue..Red
	From     time.Time
	To       time.Time // excluded; 24 h after From when the message gives none
}

// LevelAt is the highest level that the warning has for the area, or one above
// it, at the time; Notice when none is in force.
func (w *Warning) LevelAt(areas Areas, area string, at time.Time) Severity {
	if w.Status != "Actual" || w.MsgType == "Cancel" || !w.Ended.IsZero() && !at.Before(w.Ended) {
		return Notice
	}
	level := Notice
	for _, b := range w.Blocks {
		if b.Level > level && !at.Before(b.From) && at.Before(b.To) && areas.Within(area, b.Area) {
			level = b.Level
		}
	}
	return level
}

// WarningEvent is that a warning came, changed or ended.
func WarningEvent(id string, at time.Time) Event {
	data, _ := json.Marshal(map[string]string{"id": id}) // strings only: it cannot go wrong
	return Event{At: at, Type: EventWarning, Data: data}
}
