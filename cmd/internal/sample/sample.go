// Package sample is the sample set of Baoding (演示数据): real names and codes of
// the nine mountain counties and their townships, and made-up outlines of
// townships, teams, wardens and sensors. An office replaces it by its own roster.
package sample

import (
	"cmp"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

//go:generate go run ./gen -modules gen/node_modules -out areas.geojson

//go:embed areas.geojson
var areasGeoJSON []byte

// City is the code of the prefecture.
const City = "130600"

// The sizes of the set, after the case of Baoding.
const (
	townshipTeams = 118
	trackers      = 11_000
	sensors       = 3_000
	trackersDuty  = 300 // on duty: expected to report
	sensorsDuty   = 120
	expect        = time.Minute
)

// Roster is the sample set, without credentials. It is the same at every call.
func Roster() alerts.Roster {
	set := once()
	return alerts.Roster{
		Areas: slices.Clone(set.Areas), Teams: slices.Clone(set.Teams), Devices: slices.Clone(set.Devices), Demo: true,
	}
}

var once = sync.OnceValue(func() alerts.Roster {
	areas, outlines, err := readAreas(areasGeoJSON)
	if err != nil {
		panic("sample: the embedded areas.geojson: " + err.Error()) // a broken build
	}
	townships := slices.DeleteFunc(slices.Clone(areas), func(a alerts.Area) bool { return a.Level != alerts.Township })
	return alerts.Roster{Areas: areas, Teams: teams(areas, townships), Devices: devices(townships, outlines), Demo: true}
})

func readAreas(raw []byte) ([]alerts.Area, map[string]orb.Polygon, error) {
	fc, err := geojson.UnmarshalFeatureCollection(raw)
	if err != nil {
		return nil, nil, err
	}
	outlines := map[string]orb.Polygon{}
	areas := make([]alerts.Area, 0, len(fc.Features))
	for _, f := range fc.Features {
		g, err := geojson.NewGeometry(f.Geometry).MarshalJSON()
		if err != nil {
			return nil, nil, err
		}
		p := f.Properties
		a := alerts.Area{
			Code: p.MustString("code"), Name: p.MustString("name"), Level: alerts.AreaLevel(p.MustString("level")),
			Parent: p.MustString("parent"), Lat: p.MustFloat64("lat"), Lon: p.MustFloat64("lon"),
			Surveyed: p.MustBool("surveyed"), Outline: g,
		}
		if poly, ok := f.Geometry.(orb.Polygon); ok {
			outlines[a.Code] = poly
		}
		areas = append(areas, a)
	}
	return areas, outlines, nil
}

// teams are one professional team of the city, one of each county, and the teams
// of the 118 townships that lie farthest west, into the mountains.
func teams(areas, townships []alerts.Area) []alerts.Team {
	var out []alerts.Team
	add := func(id string, kind alerts.TeamKind, a alerts.Area, name string, members int) {
		out = append(out, alerts.Team{
			ID: contract.TeamID(id), Name: name, Kind: kind, Area: a.Code, Lat: a.Lat, Lon: a.Lon, Members: members,
			Contact: "样例联系人", Phone: fmt.Sprintf("000-%08d", len(out)+1),
		})
	}
	for _, a := range areas {
		switch a.Level {
		case alerts.City:
			add("P"+a.Code, alerts.Professional, a, a.Name+"森林消防支队", 60)
		case alerts.County:
			add("P"+a.Code, alerts.Professional, a, a.Name+"专业森林消防队", 30)
		case alerts.Township:
		}
	}
	west := slices.Clone(townships)
	slices.SortFunc(west, func(a, b alerts.Area) int { return cmp.Or(cmp.Compare(a.Lon, b.Lon), cmp.Compare(a.Code, b.Code)) })
	west = west[:townshipTeams]
	slices.SortFunc(west, func(a, b alerts.Area) int { return cmp.Compare(a.Code, b.Code) })
	for _, a := range west {
		add("T"+a.Code, alerts.TownshipTeam, a, a.Name+"扑火队", 15)
	}
	return out
}

var (
	surnames = []rune("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎")
	given    = []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国文辉力红云山林生福贵春来田海江波")
)

// devices are wardens' trackers and sensors, dealt out to the townships in turn,
// so that those on duty are spread over all of them.
func devices(townships []alerts.Area, outlines map[string]orb.Polygon) []alerts.Device {
	r := rand.New(rand.NewPCG(1306, 2026)) //nolint:gosec // a made-up set that is always the same
	out := make([]alerts.Device, 0, trackers+sensors)
	for i := range trackers {
		a := townships[i%len(townships)]
		name := string(surnames[r.IntN(len(surnames))]) + string(given[r.IntN(len(given))]) + string(given[r.IntN(len(given))])
		d := alerts.Device{
			ID: contract.DeviceID(fmt.Sprintf("bd-t-%05d", i+1)), Kind: contract.Tracker, Area: a.Code,
			Name: name, Phone: fmt.Sprintf("000-1%07d", i+1),
		}
		if i < trackersDuty {
			d.Expect = expect
		}
		d.Lat, d.Lon = place(r, outlines[a.Code])
		out = append(out, d)
	}
	for i := range sensors {
		a := townships[i*7%len(townships)] // other townships first than those of the trackers
		d := alerts.Device{
			ID: contract.DeviceID(fmt.Sprintf("bd-s-%04d", i+1)), Kind: contract.Sensor, Area: a.Code,
			Name: fmt.Sprintf("%s%d号测点", a.Name, i/len(townships)+1),
		}
		if i < sensorsDuty {
			d.Expect = expect
		}
		d.Lat, d.Lon = place(r, outlines[a.Code])
		out = append(out, d)
	}
	return out
}

// place is a point in the polygon, not at its very edge.
func place(r *rand.Rand, p orb.Polygon) (lat, lon float64) {
	b := p.Bound()
	for range 10_000 {
		q := orb.Point{
			b.Min[0] + r.Float64()*(b.Max[0]-b.Min[0]),
			b.Min[1] + r.Float64()*(b.Max[1]-b.Min[1]),
		}
		if planar.PolygonContains(p, q) {
			return round5(q.Lat()), round5(q.Lon())
		}
	}
	c, _ := planar.CentroidArea(p)
	return c.Lat(), c.Lon()
}

func round5(x float64) float64 { return float64(int64(x*1e5+0.5)) / 1e5 }
