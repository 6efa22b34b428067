package alerts

import "time"

// How long a level counts.
const (
	// DangerHeldDays is how old, in days, the weather may be that a level rests on.
	// Beyond it the rules take the level for unknown, which is not calm.
	DangerHeldDays = 2
	// dangerDue is the local time of day from which the level of the day before
	// counts as held: by then the day itself should have been rated.
	dangerDue = 14 * time.Hour
)

// DangerTable is the fire danger of some days, by one method. The zero value
// knows nothing. It is not changed by reading.
type DangerTable struct {
	rows map[dangerKey]AreaDanger
}

type dangerKey struct{ area, day string }

// NewDangerTable keeps the rows of the method.
func NewDangerTable(method string, ds []AreaDanger) DangerTable {
	t := DangerTable{rows: make(map[dangerKey]AreaDanger, len(ds))}
	for _, d := range ds {
		if d.Method == method {
			t.rows[dangerKey{d.Area, d.Day}] = d
		}
	}
	return t
}

// At is the fire danger that counts for an area at a time: that of its local
// day, else of the day before, else of the one before that. An area without rows
// has those of the area above it. ok is false when there are none, or when the
// level rests on weather older than DangerHeldDays; held says that it is not of
// as good a footing as it should be: it is held from an earlier day, of too few
// stations, or the day should have been rated by now.
func (t DangerTable) At(areas Areas, area string, at time.Time) (d AreaDanger, held, ok bool) {
	local := at.In(Zone)
	for _, code := range dangerChain(areas, area) {
		for back := range DangerHeldDays + 1 {
			d, found := t.rows[dangerKey{code, DangerDay(local.AddDate(0, 0, -back))}]
			if !found {
				continue
			}
			of := d.Day
			if d.HeldFrom != "" {
				of = d.HeldFrom
			}
			if d.Level == DangerUnknown || of < DangerDay(local.AddDate(0, 0, -DangerHeldDays)) {
				return d, true, false
			}
			late := back > 1 || back == 1 && sinceMidnight(local) >= dangerDue
			return d, d.Degraded || late, true
		}
	}
	return AreaDanger{}, false, false
}

// dangerChain is the area and those above it, also for one that left the roster.
func dangerChain(areas Areas, area string) []string {
	out := []string{area}
	for _, a := range areas.Chain(area) {
		if a.Code != area {
			out = append(out, a.Code)
		}
	}
	return out
}

func sinceMidnight(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
}

// DangerDay is the local day of a time, YYYY-MM-DD.
func DangerDay(t time.Time) string { return t.In(Zone).Format(time.DateOnly) }

// WithDanger is s with the fire danger of the table.
func (s Surroundings) WithDanger(t DangerTable, areas Areas, area string, at time.Time) Surroundings {
	s.Danger, s.DangerHeld, s.DryDays = DangerUnknown, false, -1
	if d, held, ok := t.At(areas, area, at); ok {
		s.Danger, s.DangerHeld, s.DryDays = d.Level, held, d.DryDays
	}
	return s
}
