package roster

import (
	"strings"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

var teamColumns = []column{
	{"id", []string{"队伍编号", "编号"}, true},
	{"name", []string{"名称", "队名", "队伍名称"}, true},
	{"kind", []string{"类型", "类别", "队伍类型"}, true},
	{"area", []string{"区划代码", "区域", "区域代码", "所属区域", "行政区划代码"}, true},
	{"lat", []string{"纬度"}, false},
	{"lon", []string{"经度", "lng"}, false},
	{"members", []string{"人数", "队员人数"}, false},
	{"contact", []string{"联系人", "负责人", "队长"}, false},
	{"phone", []string{"电话", "联系电话", "手机"}, false},
	{"secret", []string{"密钥", "密码"}, false},
}

func readTeams(t *table, areas map[string]placed) []alerts.Team {
	if t == nil {
		return nil
	}
	var teams []alerts.Team
	seen := map[contract.TeamID]string{}
	for _, r := range t.rows {
		x := alerts.Team{
			ID: contract.TeamID(r.text("id")), Name: r.must("name"), Area: r.code("area"),
			Members: int(r.number("members", 0, 0, 100_000, true)), Contact: r.text("contact"), Phone: r.code("phone"),
		}
		if err := x.ID.Validate(); err != nil {
			r.fail("id", "%w", err)
		} else if before, twice := seen[x.ID]; twice {
			r.fail("id", "%s stands already in %s", x.ID, before)
		} else {
			seen[x.ID] = r.where
		}
		switch s := strings.ToLower(r.text("kind")); s {
		case "professional", "专业", "专业队", "专业森林消防队", "专业队伍":
			x.Kind = alerts.Professional
		case "township", "乡镇", "乡镇队", "乡镇专业扑火队", "乡镇扑火队", "乡镇队伍":
			x.Kind = alerts.TownshipTeam
		default:
			r.fail("kind", "%q; want professional（专业）or township（乡镇）", s)
		}
		x.Lat, x.Lon = r.site(x.Area, areas, nil)
		x.SecretHash = r.secret()
		teams = append(teams, x)
	}
	return teams
}

// site is a row's own place, or that of its area, which must be known. Where the
// table has no places, what is known already stays where it is.
func (r row) site(area string, areas map[string]placed, had *alerts.Device) (lat, lon float64) {
	lat, lon, has := r.degrees()
	none := lat == 0 && lon == 0 // what the registry writes of a device without a site
	switch {
	case has && had != nil && had.Lat == lat && had.Lon == lon:
		return lat, lon // what stands in the registry comes back out of every export
	case has && none:
		has = false
	case has:
		r.checkPlace(lat, lon)
	}
	if areas == nil { // what is wrong with them was said
		return lat, lon
	}
	a, known := areas[area]
	switch {
	case area == "":
		r.fail("area", "is empty")
	case !known:
		r.fail("area", "no area has the code %q", area)
	case !has && had != nil && had.Area == area && !r.has("lat"):
		return had.Lat, had.Lon
	case !has:
		return a.area.Lat, a.area.Lon
	}
	return lat, lon
}

// minSecret keeps out credentials that can be guessed.
const minSecret = 8

// secret is the hash of a given credential.
func (r row) secret() string {
	s := r.text("secret")
	switch {
	case s == "":
		return ""
	case len(s) < minSecret:
		r.fail("secret", "has fewer than %d characters", minSecret)
		return ""
	}
	return HashSecret(s)
}
