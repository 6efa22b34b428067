package alerts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	contract "firewatch/firmware-contracts"
)

// Bounds of a device's texts, in bytes of UTF-8.
const (
	MaxAliasBytes = 200
	MaxModelBytes = 40
	MaxNameBytes  = 200 // of Name, Site, Phone
)

// Calibration is how far a sensor's values can be believed. The zero value says
// that nobody has told.
type Calibration string

// The states of calibration.
const (
	CalibrationUnknown Calibration = ""
	Calibrating        Calibration = "calibrating" // its values do not count yet
	Calibrated         Calibration = "calibrated"
	CalibrationDue     Calibration = "due" // its values count; somebody must go there
)

// Calibrations lists every state.
var Calibrations = []Calibration{CalibrationUnknown, Calibrating, Calibrated, CalibrationDue}

// String is the state's word in files and JSON: unknown, calibrating,
// calibrated, due.
func (c Calibration) String() string {
	if c == CalibrationUnknown {
		return "unknown"
	}
	return string(c)
}

// ParseCalibration is the inverse of String; empty is unknown too.
func ParseCalibration(s string) (Calibration, error) {
	for _, c := range Calibrations {
		if s == string(c) || s == c.String() {
			return c, nil
		}
	}
	return "", fmt.Errorf("calibration %q: want unknown, calibrating, calibrated or due", s)
}

// NormalizeAlias checks what another system calls a device and writes it in the
// one way that it is kept and looked up; empty stays empty:
//
//	owntracks/{user}/{device}             as the app is set up, case counts
//	chirpstack/{DevEUI}                   16 hexadecimal digits, lower case
//	tts/{application}[@{tenant}]/{device} ids of The Things Stack, lower case
func NormalizeAlias(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	if len(s) > MaxAliasBytes {
		return "", fmt.Errorf("alias has %d bytes, at most %d are allowed", len(s), MaxAliasBytes)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '+' || r == '#' }) {
		return "", fmt.Errorf("alias %q has a character that no topic may have", s)
	}
	system, rest, _ := strings.Cut(s, "/")
	system = strings.ToLower(system)
	parts := strings.Split(rest, "/")
	switch system {
	case "owntracks":
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return "", fmt.Errorf("alias %q: want owntracks/{user}/{device}", s)
		}
		return system + "/" + rest, nil
	case "chirpstack":
		eui := strings.ToLower(strings.NewReplacer("-", "", ":", "", " ", "").Replace(rest))
		if len(eui) != 16 || strings.Trim(eui, "0123456789abcdef") != "" {
			return "", fmt.Errorf("alias %q: want chirpstack/ and a DevEUI of 16 hexadecimal digits", s)
		}
		return system + "/" + eui, nil
	case "tts":
		rest = strings.ToLower(rest)
		app, device, _ := strings.Cut(rest, "/")
		app, tenant, hosted := strings.Cut(app, "@")
		if err := errors.Join(ttsID(app), ttsID(device)); err != nil || hosted && ttsID(tenant) != nil {
			return "", fmt.Errorf("alias %q: want tts/{application}@{tenant}/{device}, each of lower-case letters, digits and single dashes", s)
		}
		return system + "/" + rest, nil
	}
	return "", fmt.Errorf("alias %q: want one that begins with owntracks/, chirpstack/ or tts/", s)
}

// ttsID checks an id of The Things Stack: 2 to 36 lower-case letters, digits and
// dashes that stand alone and not at an end.
// Source: https://www.thethingsindustries.com/docs/concepts/advanced/ids-and-euis/
func ttsID(s string) error {
	if len(s) < 2 || len(s) > 36 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
		strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") || strings.Contains(s, "--") {
		return fmt.Errorf("id %q", s)
	}
	return nil
}

// Topic is where a device that does not speak the contract publishes itself,
// there and below: a phone with OwnTracks under its alias. Empty for others;
// what a network server hears comes under the server's own account.
func (d *Device) Topic() string {
	if strings.HasPrefix(d.Alias, "owntracks/") {
		return d.Alias
	}
	return ""
}

// ReservedIDs are addresses beside those of devices, and therefore no ids.
var ReservedIDs = []contract.DeviceID{"import", "export"}

// Validate reports why a registry must not take the device, or nil. A device
// without a site has Lat and Lon 0.
func (d *Device) Validate() error { return d.ValidateOver(nil) }

// ValidateOver is Validate for a change of a device that the registry holds as
// had; nil: it holds none. The id, site and alias that had has may stay as they
// are, so that the device can still be changed in all else.
func (d *Device) ValidateOver(had *Device) error {
	if err := d.ID.Validate(); err != nil {
		return err
	}
	if had == nil && slices.Contains(ReservedIDs, d.ID) {
		return fmt.Errorf("id %q is reserved", d.ID)
	}
	if err := d.checkSite(had); err != nil {
		return err
	}
	if err := d.checkSpeaker(had); err != nil {
		return err
	}
	if d.Kind != contract.Tracker && d.Kind != contract.Sensor {
		return fmt.Errorf("device %s: %s", d.ID, d.Kind)
	}
	if d.Expect < 0 {
		return fmt.Errorf("expected interval %s is negative", d.Expect)
	}
	if alias, err := NormalizeAlias(d.Alias); err != nil {
		return err
	} else if alias != d.Alias {
		return fmt.Errorf("alias %q: write it %q", d.Alias, alias)
	}
	if !slices.Contains(Calibrations, d.Calibration) {
		return fmt.Errorf("calibration %q: want one of %v", string(d.Calibration), Calibrations)
	}
	if len(d.Model) > MaxModelBytes {
		return fmt.Errorf("model has %d bytes, at most %d are allowed", len(d.Model), MaxModelBytes)
	}
	if len(d.Firmware) > contract.MaxCodeBytes {
		return fmt.Errorf("firmware has %d bytes, at most %d are allowed", len(d.Firmware), contract.MaxCodeBytes)
	}
	return nil
}

// checkSite reports a site that cannot be, unless had has the same.
func (d *Device) checkSite(had *Device) error {
	if d.Lat == 0 && d.Lon == 0 || had != nil && had.Lat == d.Lat && had.Lon == d.Lon {
		return nil
	}
	if err := CheckPlace(d.Lat, d.Lon); err != nil {
		return fmt.Errorf("site %w", err)
	}
	return nil
}

// checkSpeaker reports an alias of a system that has no devices of the kind,
// unless had has the same: OwnTracks tells where a phone is and measures nothing.
func (d *Device) checkSpeaker(had *Device) error {
	if d.Kind != contract.Sensor || d.Topic() == "" || had != nil && had.Kind == d.Kind && had.Alias == d.Alias {
		return nil
	}
	return fmt.Errorf("alias %q: %w", d.Alias, ErrNotSensor)
}

// ErrNotSensor is the fault of an alias that no sensor can have.
var ErrNotSensor = errors.New("OwnTracks is an app that tells where a phone is; only a tracker has such an alias, not a sensor")

// MaxCalibratedAhead is how far a calibration may lie ahead of the clock of who
// registers it: clocks differ, but nobody has calibrated a sensor tomorrow.
const MaxCalibratedAhead = time.Hour

// CheckCalibratedAt reports a calibration that has not been yet, unless had, of
// the same device, has it; had may be nil.
func (d *Device) CheckCalibratedAt(had *Device, now time.Time) error {
	if !d.CalibratedAt.After(now.Add(MaxCalibratedAhead)) || had != nil && had.CalibratedAt.Equal(d.CalibratedAt) {
		return nil
	}
	return fmt.Errorf("calibrated at %s, which has not been yet", d.CalibratedAt.Format(time.RFC3339))
}

// A RowFault is what is wrong with one row of a table that people filled in.
type RowFault struct {
	Sheet   string // file or sheet; of a CSV sent alone, empty
	Row     int    // counts from 1, the header included; 0: the table as a whole
	Column  string // as we call it; empty: the row as a whole
	Message string
}

// DevicePlan is what has to change so that the registry holds the wanted
// devices.
type DevicePlan struct {
	DeviceChange
	Changed   map[contract.DeviceID][]string // columns that change, of each in Save
	Unchanged int
}

// PlanDevices compares what the registry has with what is wanted. Devices that
// are not wanted are removed only when remove says so; history stays with their
// ids. A wanted device without SecretHash keeps the one it has.
func PlanDevices(have, want []Device, remove bool) DevicePlan {
	p := DevicePlan{Changed: map[contract.DeviceID][]string{}}
	old := make(map[contract.DeviceID]Device, len(have))
	for _, d := range have {
		old[d.ID] = d
	}
	kept := make(map[contract.DeviceID]bool, len(want))
	for _, d := range want {
		kept[d.ID] = true
		had, known := old[d.ID]
		if !known {
			p.Add = append(p.Add, d)
			continue
		}
		if columns := had.Differs(d); len(columns) > 0 {
			p.Save, p.Changed[d.ID] = append(p.Save, d), columns
			continue
		}
		p.Unchanged++
	}
	for _, d := range have {
		switch {
		case kept[d.ID]:
		case remove:
			p.Remove = append(p.Remove, d.ID)
		default:
			p.Unchanged++
		}
	}
	return p
}

// Differs names what is another in n, in the words of files and JSON.
func (d *Device) Differs(n Device) (columns []string) {
	for _, c := range []struct {
		name  string
		other bool
	}{
		{"kind", d.Kind != n.Kind},
		{"area", d.Area != n.Area},
		{"name", d.Name != n.Name},
		{"site", d.Site != n.Site},
		{"phone", d.Phone != n.Phone},
		{"lat", d.Lat != n.Lat},
		{"lon", d.Lon != n.Lon},
		{"expect_s", d.Expect != n.Expect},
		{"disabled", d.Disabled != n.Disabled},
		{"model", d.Model != n.Model},
		{"alias", d.Alias != n.Alias},
		{"firmware", d.Firmware != n.Firmware},
		{"calibration", d.Calibration != n.Calibration},
		{"calibrated_at", !d.CalibratedAt.Equal(n.CalibratedAt)},
		{"secret", n.SecretHash != "" && n.SecretHash != d.SecretHash},
	} {
		if c.other {
			columns = append(columns, c.name)
		}
	}
	return columns
}
