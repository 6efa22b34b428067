package outlook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// How an area's level is taken from its stations.
const (
	maxKM       = 30  // farther stations say nothing of an area
	nearest     = 4   // so many stations count
	minKM       = 0.5 // nearer stations weigh no more: an area is no point
	idwVersion  = "idw2-30km-4-1"
	namedAtMost = 3 // stations that a note names
)

// near is a station as an area sees it.
type near struct {
	*Station
	km float64
	rated
	provisional bool
}

// areaDangers rates every area by one method: those at the bottom from their
// stations, those above by the highest of what lies below.
func (in *Input) areaDangers(method, version string, days []alerts.StationDay) []alerts.AreaDanger {
	v := view{Input: in, method: method, version: version + "+" + idwVersion, of: make(map[contract.DeviceID]near), dry: make(map[contract.DeviceID]int)}
	for _, d := range days {
		r := resultOf(d)
		if d.Method == alerts.DangerHTZ {
			v.dry[d.Station] = r.dry
		}
		if d.Method == method {
			v.of[d.Station] = near{rated: r, provisional: d.Provisional}
		}
	}
	areas := alerts.IndexAreas(in.Areas)
	above := make(map[string]bool)
	for _, a := range in.Areas {
		above[a.Parent] = true
	}
	var bottom, out []alerts.AreaDanger
	for i := range in.Areas {
		if a := &in.Areas[i]; !above[a.Code] {
			bottom = append(bottom, v.fromStations(a))
		}
	}
	out = append(out, bottom...)
	for i := range in.Areas {
		if a := &in.Areas[i]; above[a.Code] {
			out = append(out, v.highest(areas, a, bottom))
		}
	}
	for i := range out {
		if out[i].Note != "" || in.Mark != "" {
			out[i].Note = in.Mark + out[i].Note
		}
	}
	slices.SortFunc(out, func(a, b alerts.AreaDanger) int { return cmp.Compare(a.Area, b.Area) })
	return out
}

// view is the stations' ratings by one method.
type view struct {
	*Input
	method, version string
	of              map[contract.DeviceID]near // rated or missed
	dry             map[contract.DeviceID]int
}

func (v *view) blank(a *alerts.Area) alerts.AreaDanger {
	return alerts.AreaDanger{
		Area: a.Code, Day: v.Day.String(), Method: v.method, Version: v.version, DryDays: -1,
		Provisional: v.Provisional && v.method == alerts.DangerHTZ, At: v.At,
	}
}

// fromStations takes an area's level from its nearest stations.
func (v *view) fromStations(a *alerts.Area) alerts.AreaDanger {
	d := v.blank(a)
	all := v.around(a)
	working := slices.DeleteFunc(slices.Clone(all), func(n near) bool { return n.level == alerts.DangerUnknown })
	if len(working) == 0 {
		return v.hold(d, len(all))
	}
	working = working[:min(nearest, len(working))]
	d.Provisional = false
	d.Stations = weigh(working)
	var notes []string
	low, high := working[0].value, working[0].value
	for i, n := range working {
		d.Value += d.Stations[i].Weight * n.value
		low, high = min(low, n.value), max(high, n.value)
		if dry := v.dry[n.ID]; d.DryDays < 0 {
			if _, known := v.dry[n.ID]; known {
				d.DryDays = dry
			}
		}
		d.Provisional = d.Provisional || n.provisional
		if n.shaky && !d.Degraded {
			d.Degraded = true
			notes = append(notes, "部分站降水记录不全，从严按无雨计")
		}
	}
	d.Value = min(max(d.Value, low), high) // not a rounding beyond them
	d.Level = levelOf(v.method, d.Value)
	var silent []string
	for _, n := range all[:min(nearest, len(all))] {
		if n.level == alerts.DangerUnknown {
			silent = append(silent, n.name())
		}
	}
	if len(silent) > 0 {
		d.Degraded = true
		names := strings.Join(silent[:min(namedAtMost, len(silent))], "、")
		notes = append(notes, fmt.Sprintf("邻近%d站中%d站无资料（%s）", min(nearest, len(all)), len(silent), names))
	}
	d.Note = strings.Join(notes, "；")
	return d
}

// around are the stations that count for the area, the nearest first.
func (v *view) around(a *alerts.Area) []near {
	if a.Lat == 0 && a.Lon == 0 {
		return nil
	}
	var out []near
	for i := range v.Stations {
		s := &v.Stations[i]
		n, ok := v.of[s.ID]
		if !ok {
			continue
		}
		n.Station = s
		if n.km = geo.DistanceHaversine(orb.Point{a.Lon, a.Lat}, orb.Point{s.Lon, s.Lat}) / 1000; n.km <= maxKM {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(x, y near) int { return cmp.Or(cmp.Compare(x.km, y.km), cmp.Compare(x.ID, y.ID)) })
	return out
}

// weigh gives each station its share: the inverse of its squared distance.
func weigh(ns []near) []alerts.StationWeight {
	out := make([]alerts.StationWeight, len(ns))
	total := 0.0
	for i, n := range ns {
		km := max(n.km, minKM)
		out[i] = alerts.StationWeight{Station: n.ID, KM: n.km, Weight: 1 / (km * km), Value: n.value, Level: n.level}
		total += out[i].Weight
	}
	for i := range out {
		out[i].Weight /= total
	}
	return out
}

// hold keeps the last level that was known. Without one nothing is known, and
// that is not calm.
func (v *view) hold(d alerts.AreaDanger, stations int) alerts.AreaDanger {
	why := fmt.Sprintf("%d公里内没有气象站资料", maxKM)
	if stations > 0 {
		why = fmt.Sprintf("%d公里内%d个气象站资料不足", maxKM, stations)
	}
	d.Degraded = true
	was, known := v.Past.levels[areaKey{d.Area, v.method}]
	if !known {
		d.Note = why + "，等级不明"
		return d
	}
	d.Level, d.Value, d.Stations, d.HeldFrom = was.Level, was.Value, was.Stations, was.Day
	d.Note = fmt.Sprintf("%s，沿用%s的等级", why, was.Day)
	return d
}

// highest gives an area above others the highest level among them.
func (v *view) highest(areas alerts.Areas, a *alerts.Area, bottom []alerts.AreaDanger) alerts.AreaDanger {
	d := v.blank(a)
	best := -1
	unknown := 0
	for i := range bottom {
		b := &bottom[i]
		if !areas.Within(b.Area, a.Code) {
			continue
		}
		if b.Level == alerts.DangerUnknown {
			unknown++
			continue
		}
		d.DryDays = max(d.DryDays, b.DryDays)
		// Of equals the one on the better footing speaks.
		if best < 0 || cmp.Or(cmp.Compare(b.Level, bottom[best].Level), cmp.Compare(footing(b), footing(&bottom[best])), cmp.Compare(b.Value, bottom[best].Value)) > 0 {
			best = i
		}
	}
	if best < 0 {
		d.Degraded, d.Note = true, "下辖区域等级都不明"
		return d
	}
	b := &bottom[best]
	d.Level, d.Value, d.Stations, d.HeldFrom, d.Provisional = b.Level, b.Value, b.Stations, b.HeldFrom, b.Provisional
	d.Degraded = b.Degraded || unknown > 0
	d.Note = "取下辖最高：" + areas[b.Area].Name
	if unknown > 0 {
		d.Note += fmt.Sprintf("；另有%d个区域等级不明", unknown)
	}
	return d
}

// footing ranks what a level rests on.
func footing(d *alerts.AreaDanger) int {
	switch {
	case d.HeldFrom != "":
		return 0
	case d.Degraded:
		return 1
	}
	return 2
}
