package danger

import "strconv"

// Link says how a day hangs on the days before it.
type Link string

// The links of a chain.
const (
	LinkStart     Link = "start"     // the first day
	LinkNext      Link = "next"      // the day after the last one
	LinkBridged   Link = "bridged"   // a gap lay before it, which was filled in
	LinkRestarted Link = "restarted" // the gap before it was too long: the chain begins anew
)

// How long a gap may be, days, until a chain restarts.
const (
	// FWIBridgeDays: the fine litter forgets its past in about two days, so that
	// weather made up for longer would be the rating.
	FWIBridgeDays = 2
	// HTZBridgeDays: one day more, and any rain before the gap, however heavy, scores
	// the same as none known.
	HTZBridgeDays = forgottenDays - 1
)

// ChainOptions are what a station's FWI is computed with.
type ChainOptions struct {
	Latitude      float64 // degrees, north positive
	BookConstants bool
	Start         *Codes // to start and to restart from; nil: the package's Start
}

// FWIChain is what a station carries from one day to the next. The zero value is a
// station that has no day yet. It survives JSON.
type FWIChain struct {
	Days  int   `json:"days"`  // since the start or restart, with those bridged
	Day   Date  `json:"day"`   // the last day
	Last  Noon  `json:"last"`  // its weather
	Codes Codes `json:"codes"` // its codes
}

// FWIDay is one day of a chain.
type FWIDay struct {
	Day Date `json:"day"`
	Rating
	Link Link `json:"chain"`
	Gap  int  `json:"gap,omitempty"` // days that are missing before it
}

// Next rates a day later than the last one. Up to FWIBridgeDays missing days are
// bridged: they are computed with the temperature, humidity and wind of the last day
// and without rain, as nobody knows of any and a dry guess does not call a forest
// safe. After a longer gap the chain restarts from the start codes. With an error the
// chain comes back as it was.
func (c FWIChain) Next(day Date, in Noon, o ChainOptions) (FWIDay, FWIChain, error) {
	link, gap, err := linkOf(c.Days, c.Day, day, FWIBridgeDays)
	if err != nil {
		return FWIDay{}, c, err
	}
	codes, days := c.Codes, c.Days
	opts := Options{Latitude: o.Latitude, BookConstants: o.BookConstants}
	switch link {
	case LinkStart, LinkRestarted:
		codes, days = Start, 0
		if o.Start != nil {
			codes = *o.Start
		}
	case LinkBridged:
		held := c.Last
		held.RainMM = 0
		for d := c.Day + 1; d < day; d++ {
			opts.Month = d.Month()
			r, err := Next(codes, held, opts)
			if err != nil {
				return FWIDay{}, c, err
			}
			codes = r.Codes
			days++
		}
	case LinkNext:
	}
	opts.Month = day.Month()
	r, err := Next(codes, in, opts)
	if err != nil {
		return FWIDay{}, c, err
	}
	return FWIDay{Day: day, Rating: r, Link: link, Gap: gap},
		FWIChain{Days: days + 1, Day: day, Last: in, Codes: r.Codes}, nil
}

// HTZChain is what a station carries from one day's HTZ to the next. The zero value
// is a station that has no day yet. It survives JSON.
type HTZChain struct {
	Days int        `json:"days"` // since the start or restart, without those bridged
	Day  Date       `json:"day"`  // the last day
	Rain RainMemory `json:"rain"`
}

// HTZResult is one day of a chain.
type HTZResult struct {
	Day Date `json:"day"`
	Score
	Link Link `json:"chain"`
	Gap  int  `json:"gap,omitempty"` // days that are missing before it
}

// Next scores a day later than the last one. Up to HTZBridgeDays missing days are
// bridged: the rain memory goes on by them as by days of unknown rain. After a
// longer gap it restarts and knows nothing. A day that is there but lacks a figure
// is no gap. With an error the chain comes back as it was.
func (c HTZChain) Next(day Date, in HTZDay) (HTZResult, HTZChain, error) {
	link, gap, err := linkOf(c.Days, c.Day, day, HTZBridgeDays)
	if err != nil {
		return HTZResult{}, c, err
	}
	rain, days := c.Rain.Skip(gap), c.Days
	if link == LinkStart || link == LinkRestarted {
		rain, days = RainMemory{}, 0
	}
	s, next, err := HTZ(in, rain)
	if err != nil {
		return HTZResult{}, c, err
	}
	return HTZResult{Day: day, Score: s, Link: link, Gap: gap},
		HTZChain{Days: days + 1, Day: day, Rain: next}, nil
}

func linkOf(days int, last, day Date, bridge int) (Link, int, error) {
	if days <= 0 {
		return LinkStart, 0, nil
	}
	gap := int(day) - int(last) - 1
	switch {
	case gap < 0:
		return "", 0, &InputError{Field: "date", Value: day.String(), Want: "a day after " + last.String()}
	case gap == 0:
		return LinkNext, 0, nil
	case gap <= bridge:
		return LinkBridged, gap, nil
	}
	return LinkRestarted, gap, nil
}

// Note is in Chinese what was bridged or why the chain restarted; empty: nothing.
func (d FWIDay) Note() string {
	switch d.Link {
	case LinkBridged:
		return "前缺" + strconv.Itoa(d.Gap) + "天资料，按前一日气温、湿度、风力且无雨推算"
	case LinkRestarted:
		return "前缺" + strconv.Itoa(d.Gap) + "天资料，指数重新起算"
	case LinkStart, LinkNext:
	}
	return ""
}
