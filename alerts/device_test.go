package alerts_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

func TestAliasIsWrittenInOneWay(t *testing.T) {
	for in, want := range map[string]string{
		"":                                   "",
		"owntracks/jane/phone":               "owntracks/jane/phone",
		"\towntracks/jane/phone\n":           "owntracks/jane/phone",
		"OwnTracks/Jane/Phone":               "owntracks/Jane/Phone", // case counts in a topic
		"owntracks/护林员/手机":                   "owntracks/护林员/手机",
		"chirpstack/24E124136B323456":        "chirpstack/24e124136b323456",
		"chirpstack/24-E1-24-13-6B-32-34-56": "chirpstack/24e124136b323456",
		"tts/App1@Tenant/Dev1":               "tts/app1@tenant/dev1",
		"tts/app1/eui-24e124136b323456":      "tts/app1/eui-24e124136b323456",
	} {
		got, err := alerts.NormalizeAlias(in)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"jane/phone", "owntracks", "owntracks/", "owntracks/jane", "owntracks/jane/", "owntracks//phone", "owntracks/jane/phone/event",
		"owntracks/+/phone", "owntracks/jane/#", "owntracks/jane/ph\x00ne", "owntracks/\xff/phone", "chirpstack/24e124", "chirpstack/24e124136b32345g",
		"chirpstack/24e124136b323456/x", "tts/app1@tenant", "tts/app1@/dev1", "tts/app_1/dev1", "tts/-app/dev1", "tts/app1/d--1", "tts/a/dev1",
		"fw/v1/trackers", "owntracks/" + strings.Repeat("x", 200) + "/a",
	} {
		if got, err := alerts.NormalizeAlias(in); err == nil {
			t.Errorf("%q is taken as %q", in, got)
		}
	}
}

func FuzzAlias(f *testing.F) {
	for _, s := range []string{"owntracks/jane/phone", "chirpstack/24e124136b323456", "tts/app1@tenant/dev1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := alerts.NormalizeAlias(s)
		if err != nil {
			return
		}
		if again, err := alerts.NormalizeAlias(once); err != nil || again != once {
			t.Errorf("%q became %q, and that %q: %v", s, once, again, err)
		}
	})
}

func TestCalibrationWords(t *testing.T) {
	for _, c := range alerts.Calibrations {
		if got, err := alerts.ParseCalibration(c.String()); err != nil || got != c {
			t.Errorf("%q comes back as %q, %v", c.String(), got, err)
		}
	}
	if _, err := alerts.ParseCalibration("good"); err == nil {
		t.Error("an unknown word is taken")
	}
}

func TestWhoMayConnect(t *testing.T) {
	for _, row := range []struct {
		d    alerts.Device
		want bool
	}{
		{alerts.Device{}, false},
		{alerts.Device{SecretHash: "sha256:x"}, true},
		{alerts.Device{SecretHash: "sha256:x", Disabled: true}, false},
		{alerts.Device{SecretHash: alerts.Revoked}, false},
	} {
		if got := row.d.MayConnect(); got != row.want {
			t.Errorf("%+v: %v", row.d, got)
		}
	}
}

func TestARegistryTakesNoSiteOutsideTheCountry(t *testing.T) {
	nan := math.NaN()
	for site, want := range map[[2]float64]string{
		{0, 0}: "", {38.86, 114.21}: "", {3.5, 112}: "", // none; a county; the southern reefs
		{95, 10}: "swapped", {95, 200}: "not in China", {10, 10}: "not in China", {39.5, 0}: "not in China", {0, 114}: "not in China",
		{114.21, 38.86}: "swapped", {nan, 114}: "not in China", {math.Inf(1), 114}: "not in China",
	} {
		d := alerts.Device{ID: "s-1", Kind: contract.Sensor, Lat: site[0], Lon: site[1]}
		err := d.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v, want %q", site, err, want)
		}
		if errors.Is(err, alerts.ErrSwapped) != (want == "swapped") {
			t.Errorf("%v: %v", site, err)
		}
	}
	had := alerts.Device{ID: "s-1", Kind: contract.Sensor, Lat: 95, Lon: 10}
	d := had
	d.Disabled = true
	if err := d.ValidateOver(&had); err != nil {
		t.Errorf("what stands there cannot be disabled: %v", err)
	}
	if d.Lat = 96; d.ValidateOver(&had) == nil {
		t.Error("another bad site is taken")
	}
}

func TestAPhonesAliasIsNoSensors(t *testing.T) {
	d := alerts.Device{ID: "s-1", Kind: contract.Sensor, Alias: "owntracks/jane/phone"}
	if err := d.Validate(); !errors.Is(err, alerts.ErrNotSensor) {
		t.Error(err)
	}
	if err := d.ValidateOver(&d); err != nil {
		t.Errorf("what stands there cannot be changed: %v", err)
	}
	other := alerts.Device{ID: "s-1", Kind: contract.Sensor}
	if err := d.ValidateOver(&other); !errors.Is(err, alerts.ErrNotSensor) {
		t.Error(err)
	}
	if d.Kind = contract.Tracker; d.Validate() != nil {
		t.Error(d.Validate())
	}
}

func TestAddressesAreNoIDs(t *testing.T) {
	for _, id := range alerts.ReservedIDs {
		d := alerts.Device{ID: id, Kind: contract.Tracker}
		if d.Validate() == nil {
			t.Errorf("%s is taken", id)
		}
		if err := d.ValidateOver(&d); err != nil {
			t.Errorf("%s, that stands there: %v", id, err)
		}
	}
}
