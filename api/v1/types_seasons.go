package v1

import "time"

// SeasonDay answers GET /seasons (?date=YYYY-MM-DD, default today; ?area=): one
// item per area.
type SeasonDay struct {
	Area     string   `json:"area"`
	AreaName string   `json:"area_name"`
	Date     string   `json:"date"`
	Kinds    []string `json:"kinds"`   // prevention, high_danger, closure in force that day
	Version  string   `json:"version"` // of the table
	// InheritedFrom is the area above whose recurring seasons rule here; null: its
	// own do, or none.
	InheritedFrom *string     `json:"inherited_from"`
	InForce       []SeasonRun `json:"in_force"`
	Special       *SpecialRun `json:"special"` // of several the one whose own day is nearest
	// Until is the last day on which kinds and special day are as on Date; null:
	// nothing changes within a year.
	Until *string `json:"until"`
}

// SeasonRun is one time that a season comes round.
type SeasonRun struct {
	Kind     string `json:"kind"`
	Area     string `json:"area"` // whose season it is
	AreaName string `json:"area_name"`
	From     string `json:"from"` // first day
	To       string `json:"to"`   // last day
	OneYear  bool   `json:"one_year"`
}

// SpecialRun is one time that a special day comes round.
type SpecialRun struct {
	Name     string `json:"name"`
	Area     string `json:"area"` // whose special day it is
	AreaName string `json:"area_name"`
	On       string `json:"on"`   // the day itself
	From     string `json:"from"` // with the days before
	To       string `json:"to"`   // and after it that count
	Reason   string `json:"reason"`
}

// SeasonCalendar answers GET /seasons/calendar: what touches a year in one area.
type SeasonCalendar struct {
	Area          string       `json:"area"`
	AreaName      string       `json:"area_name"`
	Year          int          `json:"year"`
	Version       string       `json:"version"`
	InheritedFrom *string      `json:"inherited_from"`
	Seasons       []SeasonRun  `json:"seasons"`
	Special       []SpecialRun `json:"special"`
}

// Source is one entry of the register of ignition sources.
type Source struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"`
	KindName  string     `json:"kind_name"`
	Name      string     `json:"name"`
	Area      string     `json:"area"`
	AreaName  string     `json:"area_name"`
	Lat       float64    `json:"lat"`
	Lon       float64    `json:"lon"`
	RadiusM   float64    `json:"radius_m"`
	From      *time.Time `json:"from"`
	To        *time.Time `json:"to"` // excluded
	InForce   bool       `json:"in_force"`
	Holder    string     `json:"holder"`
	Phone     string     `json:"phone"`
	DistanceM *float64   `json:"distance_m"` // from the place that was asked for
}

// SourceList answers GET /sources.
type SourceList struct {
	Items     []Source   `json:"items"`
	Next      *string    `json:"next"`
	Version   string     `json:"version"` // empty: there is no register
	Effective *time.Time `json:"effective"`
}

// SourceVersion answers POST /sources.
type SourceVersion struct {
	Version   string    `json:"version"`
	Effective time.Time `json:"effective"`
	Sources   int       `json:"sources"`
	Author    string    `json:"author"`
}
