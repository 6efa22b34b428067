package alerts

import (
	"encoding/json"
	"time"

	contract "firewatch/firmware-contracts"
)

// AreaLevel is the level of an Area.
type AreaLevel string

// The levels, from wide to narrow.
const (
	City     AreaLevel = "city"
	County   AreaLevel = "county"
	Township AreaLevel = "township"
)

// Area is a part of the prefecture. Codes are GB/T 2260 (6 digits) for cities
// and counties and GB/T 10114 (9 digits) for townships.
type Area struct {
	Code     string
	Name     string // 中文
	Level    AreaLevel
	Parent   string          // code of the area above, empty for the city
	Lat, Lon float64         // a point inside, WGS-84 degrees
	Outline  json.RawMessage // GeoJSON Polygon or MultiPolygon, WGS-84; nil when unknown
	Surveyed bool            // false: the outline was made up for the sample set
}

// TeamKind tells professional from township teams.
type TeamKind string

// The kinds of teams.
const (
	Professional TeamKind = "professional" // 专业森林消防队
	TownshipTeam TeamKind = "township"     // 乡镇专业扑火队
)

// Team is a fire team.
type Team struct {
	ID       contract.TeamID
	Name     string
	Kind     TeamKind
	Area     string // code of the area it belongs to
	Lat, Lon float64
	Members  int
	Contact  string
	Phone    string
	// SecretHash is the hash of the MQTT credential of the team's terminal;
	// empty: the terminal may not connect.
	SecretHash string
}

// Device is a registered tracker or sensor. The registry decides who is
// expected to report.
type Device struct {
	ID         contract.DeviceID
	Kind       contract.Kind
	Area       string // code of a township
	Name       string // the warden's name or the site's; what people call it
	Site       string // where a sensor stands, in words: 北山瞭望塔三层; may be empty
	Phone      string
	Lat, Lon   float64       // a sensor's site; a tracker's beat centre
	Expect     time.Duration // expected interval between readings; 0: not expected to report
	SecretHash string        // hash of the credential; empty or Revoked: may not connect
	Disabled   bool

	Model string // like "s2120"; tells an adapter how a raw frame is read; may be empty
	// Alias is what another system calls the device, as NormalizeAlias writes it.
	// No two devices share one; empty: the device speaks the contract itself.
	Alias        string
	Firmware     string // version at the registration; a status reading says the present one
	Calibration  Calibration
	CalibratedAt time.Time // of the last calibration; zero: never, or not known
}

// Revoked stands in place of a SecretHash whose credential was taken back. No
// credential has this hash, and unlike an empty one it replaces what was there.
const Revoked = "revoked"

// MayConnect reports whether the device has a credential that counts.
func (d *Device) MayConnect() bool {
	return d.SecretHash != "" && d.SecretHash != Revoked && !d.Disabled
}

// DeviceChange is a change of some devices. A device in Add or Save without
// SecretHash has none, or keeps the one it had.
type DeviceChange struct {
	Add    []Device            // ErrConflict when one of them exists
	Save   []Device            // added or changed
	Remove []contract.DeviceID // what is not there is no fault
	// Base is the RosterVersion that the change was made from: when the roster is
	// another by now, nothing is changed and the error is ErrConflict. 0: make the
	// change whatever the roster is.
	Base int64
}

// Roster is the whole of areas, teams and devices, replaced all or nothing.
type Roster struct {
	Areas   []Area
	Teams   []Team
	Devices []Device
	Demo    bool // made-up sample data (演示)
}

// Role is what an account may do.
type Role string

// The roles.
const (
	RoleAdmin  Role = "admin"  // all of the prefecture, accounts and roster
	RoleOffice Role = "office" // duty officer (值班员): sees and orders within an area
	RoleTeam   Role = "team"   // sees and answers its own team's orders
)

// User is an account.
type User struct {
	Username     string
	PasswordHash string // argon2id, PHC string
	Role         Role
	Area         string          // scope of an office account: this area and all below it
	Team         contract.TeamID // of a team account
	Name         string          // the person or post, for records
	Disabled     bool
}

// Session is a login. Only the hash of its token is kept.
type Session struct {
	TokenHash string // hex of SHA-256
	Username  string
	Created   time.Time
	Expires   time.Time
}

// Areas indexes a roster's areas.
type Areas map[string]Area

// IndexAreas builds the index.
func IndexAreas(as []Area) Areas {
	m := make(Areas, len(as))
	for _, a := range as {
		m[a.Code] = a
	}
	return m
}

// Within reports whether the area code is scope itself or lies below it. An
// unknown code lies within nothing.
func (m Areas) Within(code, scope string) bool {
	for range 8 { // deeper nesting is a loop in the data
		if code == scope {
			return scope != ""
		}
		a, ok := m[code]
		if !ok || a.Parent == "" {
			return false
		}
		code = a.Parent
	}
	return false
}

// Chain returns the area and those above it, narrow to wide.
func (m Areas) Chain(code string) []Area {
	var out []Area
	for range 8 {
		a, ok := m[code]
		if !ok {
			return out
		}
		out = append(out, a)
		if a.Parent == "" {
			return out
		}
		code = a.Parent
	}
	return out
}
