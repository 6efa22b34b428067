package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
)

// noteFor is how long Health tells of the last thinning.
const noteFor = 24 * time.Hour

// losses count the readings that a thinning took out.
type losses struct {
	classes  [contract.Status + 1]uint64
	from, to time.Time // measured
}

func (l *losses) add(c contract.Class, measured time.Time) {
	l.classes[c]++
	if l.from.IsZero() || measured.Before(l.from) {
		l.from = measured
	}
	if measured.After(l.to) {
		l.to = measured
	}
}

func (l *losses) readings() (n uint64) {
	for _, c := range l.classes {
		n += c
	}
	return n
}

// note is what a person must hear of thinning, in the folder and in memory,
// where the journal's mutex guards it.
type note struct {
	Readings uint64    `json:"readings"` // taken out
	From     time.Time `json:"from"`     // measured
	To       time.Time `json:"to"`       // measured
	At       time.Time `json:"at"`       // of the last thinning
}

// with is the note after more losses. One that nobody is told of any more gives
// way to a new one.
func (n note) with(l *losses, now time.Time) note {
	if n.told(now) == nil {
		n = note{From: l.from, To: l.to}
	}
	n.Readings += l.readings()
	if l.from.Before(n.From) {
		n.From = l.from
	}
	if l.to.After(n.To) {
		n.To = l.to
	}
	n.At = now.UTC()
	return n
}

// told is what Health says of it, or nil.
func (n note) told(now time.Time) error {
	if n.Readings == 0 || now.Sub(n.At) >= noteFor {
		return nil
	}
	return fmt.Errorf("journal: %d readings measured from %s to %s were thinned out before every reader had them, last at %s; "+
		"SOS, reports, fire, tamper, critical batteries and answers are all kept",
		n.Readings, n.From.UTC().Format(time.RFC3339), n.To.UTC().Format(time.RFC3339), n.At.UTC().Format(time.RFC3339))
}

func (j *Journal) notePath() string { return filepath.Join(j.o.Dir, "thinned.json") }

func (j *Journal) loadNote() {
	b, err := os.ReadFile(j.notePath())
	if err == nil {
		err = json.Unmarshal(b, &j.note)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.log.Error("journal: what an earlier run thinned does not read and is forgotten", zap.Error(err))
		j.note = note{}
	}
}

// setNote writes the note, then tells it.
func (j *Journal) setNote(n note) error {
	b, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("noting what is thinned: %w", err)
	}
	if err := replaceFile(j.notePath(), b); err != nil {
		return fmt.Errorf("noting what is thinned: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note = n
	return nil
}
