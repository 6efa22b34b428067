package alerts

import "time"

// SeasonKind is a kind of fire season. Later ones are stricter.
type SeasonKind string

// The kinds of seasons, rising.
const (
	Prevention SeasonKind = "prevention"  // 防火期
	HighDanger SeasonKind = "high_danger" // 高火险期
	Closure    SeasonKind = "closure"     // 封山禁火
)

// Season is a range of days in which an area is in a season. It recurs every
// year unless Year is set, and may cross the new year.
type Season struct {
	Area string // area code; areas below inherit it unless they have their own of any kind
	Kind SeasonKind
	From string // MM-DD, first day, local time
	To   string // MM-DD, last day, included
	Year int    // 0: every year; else the year in which From lies
}

// SeasonTable is one version of an office's seasons.
type SeasonTable struct {
	Version   string
	Effective time.Time // from when this version rules
	Seasons   []Season
	Special   []SpecialDay // none: no day is special
}
