package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SourceKind is a kind of registered ignition source.
type SourceKind string

// The kinds of sources.
const (
	SourcePermit    SourceKind = "permit"     // 用火许可: a fire that somebody allowed, for a time
	SourceGrave     SourceKind = "grave"      // 坟墓
	SourceKiln      SourceKind = "kiln"       // 窑
	SourcePowerLine SourceKind = "power_line" // 输电线
	SourceHeat      SourceKind = "heat"       // 固定热源: a factory, a flare, a solar roof
	SourceOther     SourceKind = "other"
)

// SourceKinds lists every kind, the ones that explain a detection best first.
var SourceKinds = []SourceKind{SourcePermit, SourceHeat, SourceKiln, SourceGrave, SourcePowerLine, SourceOther}

// Chinese is the kind's name on screen.
func (k SourceKind) Chinese() string {
	switch k {
	case SourcePermit:
		return "用火许可"
	case SourceGrave:
		return "坟墓"
	case SourceKiln:
		return "窑"
	case SourcePowerLine:
		return "输电线"
	case SourceHeat:
		return "固定热源"
	case SourceOther:
		return "其他火源"
	}
	return string(k)
}

// burns reports whether a source of the kind is known to burn or glow while it
// is in force. The others are only where fires begin.
func (k SourceKind) burns() bool { return k == SourcePermit || k == SourceHeat || k == SourceKiln }

// Source is one entry of the register of ignition sources (火源登记). It tells
// what a detection near it may be; it never keeps one from people.
type Source struct {
	ID       string
	Kind     SourceKind
	Name     string  // 中文
	Area     string  // area code
	Lat, Lon float64 // WGS-84 degrees
	RadiusM  float64 // m around the place that the source takes up, 1..5000
	From     time.Time
	To       time.Time // excluded; From and To zero: always
	Holder   string    // who answers for it; may be empty
	Phone    string    // of the holder; may be empty
}

// InForce reports whether the source counts at the time.
func (s *Source) InForce(at time.Time) bool {
	return (s.From.IsZero() || !at.Before(s.From)) && (s.To.IsZero() || at.Before(s.To))
}

// until is the last moment for people: a whole day by its name, else the minute.
func (s *Source) until() string {
	local := s.To.In(Zone)
	if h, m, sec := local.Clock(); h == 0 && m == 0 && sec == 0 {
		return local.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	return local.Format("2006-01-02 15:04")
}

// SourceTable is one version of an office's register.
type SourceTable struct {
	Version   string
	Effective time.Time // from when this version rules
	Sources   []Source
}

// SourceNear is a source and how far it is from a place.
type SourceNear struct {
	Source
	DistanceM float64 // m to its point
}

// Register answers which sources could explain what was seen at a place. A
// *SourceIndex is one.
type Register interface {
	Explains(lat, lon float64, at time.Time) []SourceNear
}

// SourceMargin is how far outside its own radius a source still explains a
// detection, in m: a sensor smells smoke from there, and half a satellite pixel
// is as wide.
const SourceMargin = 300

// NearbySource is what an alert says about a source near it.
type NearbySource struct {
	ID        string     `json:"id"`
	Kind      SourceKind `json:"kind"`
	Name      string     `json:"name"`
	DistanceM float64    `json:"distance_m"`
}

// maxNearby bounds the sources that an alert names: a graveyard has hundreds.
const maxNearby = 5

// Annotate has the alert say which registered sources could explain it at its
// place and measured time. It changes neither its severity nor who is told.
func (a *Alert) Annotate(r Register) {
	if r == nil || !a.HasPlace {
		return
	}
	near := r.Explains(a.Lat, a.Lon, a.Measured)
	for i := range near {
		if i == maxNearby {
			a.addReason(fmt.Sprintf("附近另有 %d 处已登记火源", len(near)-i))
			break
		}
		n := &near[i]
		a.Explain.Sources = append(a.Explain.Sources, NearbySource{n.ID, n.Kind, n.Name, n.DistanceM})
		a.addReason(n.words())
	}
}

// words says in Chinese that the source is there.
func (n *SourceNear) words() string {
	var about []string
	if n.Name != "" {
		about = append(about, n.Name)
	}
	if n.Holder != "" {
		about = append(about, strings.TrimSpace("责任人"+n.Holder+" "+n.Phone))
	}
	if !n.To.IsZero() {
		about = append(about, "有效至 "+n.until())
	}
	out := fmt.Sprintf("附近 %.0f m 有已登记%s", roundTo10(n.DistanceM), n.Kind.Chinese())
	if len(about) > 0 {
		out += "（" + strings.Join(about, "，") + "）"
	}
	return out
}

// roundTo10 keeps a distance from looking more exact than places are.
func roundTo10(m float64) float64 { return float64(int(m/10+0.5)) * 10 }

// VerifyRank orders what people should look at first among alerts that are
// equally grave: 0 nothing registered explains it, 1 it lies where fires begin
// (a grave, a power line), 2 something that burns there is registered and in
// force. It ranks; nothing is left out by it.
func (a *Alert) VerifyRank() int {
	rank := 0
	for _, s := range a.Explain.Sources {
		if s.Kind.burns() {
			return 2
		}
		rank = 1
	}
	return rank
}

// sortNear puts what explains best first: kinds that burn, what the place lies
// within, then the nearest.
func sortNear(near []SourceNear) {
	outside := func(n *SourceNear) int {
		if n.DistanceM > n.RadiusM {
			return 1
		}
		return 0
	}
	burns := func(n *SourceNear) int {
		if n.Kind.burns() {
			return 0
		}
		return 1
	}
	slices.SortFunc(near, func(x, y SourceNear) int {
		return cmp.Or(cmp.Compare(burns(&x), burns(&y)), cmp.Compare(outside(&x), outside(&y)),
			cmp.Compare(x.DistanceM, y.DistanceM), cmp.Compare(x.ID, y.ID))
	})
}
