package lorawan

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest/ingesttest"
)

func words(f *frame, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var b strings.Builder
	for field, x := range f.values.All() {
		fmt.Fprintf(&b, "%s=%.10g ", field, x)
	}
	if f.firmware != "" {
		fmt.Fprintf(&b, "fw=%s ", f.firmware)
	}
	for _, s := range f.notes {
		fmt.Fprintf(&b, "[%s] ", s)
	}
	for _, s := range f.extras {
		fmt.Fprintf(&b, "{%s} ", s)
	}
	for _, s := range f.faults {
		fmt.Fprintf(&b, "!%s ", s)
	}
	return strings.TrimSpace(b.String())
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestS2120(t *testing.T) {
	for _, tt := range []struct{ name, payload, want string }{
		{
			"measurements", "01 00D6 1F 00001388 0A 0023",
			"temp_c=21.4 rh_pct=31 wind_ms=3.5 {light 5000 lux} {UV index 1}",
		},
		{"below zero", "01 FF9C 50 00000000 00 0000", "temp_c=-10 rh_pct=80 wind_ms=0 {light 0 lux} {UV index 0}"},
		{"wind and pressure", "02 010E 00000BB8 2774", "wind_dir_deg=270 pressure_hpa=1010 {rain 3 mm/h}"},
		{"new firmware", "4A 00D6 1F 00001388 0A 0023 4B 010E 00000BB8 2774 4C 0070 00001F40", "temp_c=21.4 rh_pct=31 wind_ms=3.5 wind_gust_ms=11.2 wind_dir_deg=270 pressure_hpa=1010 {light 5000 lux} {UV index 1} {rain 3 mm/h} {rain in all 8 mm}"},
		{"battery", "03 5A", "battery_pct=90"},
		{"device", "04 64 0100 0203 000F 0000", "battery_pct=100 fw=2.3 [hardware 1.0] [measures every 15 min]"},
		{"intervals", "05 000F 0000", "[measures every 15 min]"},
		{"sensor error", "06 0C", "[sensor error 0x0C: DATA_VALUE_HI]"},
		{"no sensor error", "06 00", ""},
		{"unknown sensor error", "06 77", "[sensor error 0x77: OTHER]"},
		{"all at once", "01 00D6 1F 00001388 0A 0023 02 010E 00000BB8 2774 03 5A", "battery_pct=90 temp_c=21.4 rh_pct=31 wind_ms=3.5 wind_dir_deg=270 pressure_hpa=1010 {light 5000 lux} {UV index 1} {rain 3 mm/h}"},
		{"frames of other devices are passed over", "10 000000000000000000 34 00000000 03 5A", "battery_pct=90"},
		{"a value that cannot be true is left out", "01 00D6 FF 00001388 0A FFFF", "temp_c=21.4 {light 5000 lux} {UV index 1} !rh_pct: 255 is outside 0..100 % !wind_ms: 6553.5 is outside 0..120 m/s"},
		{"cut off", "03 5A 02 010E 0000", "battery_pct=90 !frame 0x02 is cut off: it has 4 bytes of 8"},
		{"unknown", "03 5A 99 01", "battery_pct=90 !frame 0x99 is not known; what follows it cannot be read"},
		{"nothing known", "99 01", "error: frame 0x99 is not known; what follows it cannot be read"},
		{"nothing whole", "01 00", "error: frame 0x01 is cut off: it has 1 bytes of 10"},
		{"no data of the sensor", "4A FFFFFFFFFFFFFFFFFFFF 4B FFFFFFFFFFFFFFFF 4C FFFFFFFFFFFF", "!frame 0x4A has only 0xFF: the sensor gives nothing !frame 0x4B has only 0xFF: the sensor gives nothing !frame 0x4C has only 0xFF: the sensor gives nothing"},
		{"zeros", "01 00000000000000000000 02 0000000000000000 03 5A", "battery_pct=90 !frame 0x01 has only 0x00: the sensor gives nothing !frame 0x02 has only 0x00: the sensor gives nothing"},
		{"an error that has no name", "06 FF", "[sensor error 0xFF: DATA_ERROR_UNKNOWN]"},
		{"a still and dry day", "4C 000000000000", "wind_gust_ms=0 {rain in all 0 mm}"},
		{"nothing", "", "error: the payload is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := words(decodeS2120(unhex(t, tt.payload))); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// sum appends the check sum of the first generation.
func sum(b []byte) []byte { return binary.LittleEndian.AppendUint16(b, kermit(b)) }

func TestFirstGeneration(t *testing.T) {
	for _, tt := range []struct{ name, payload, want string }{
		{"below zero", "01 0110 48F4FFFF", "temp_c=-3"},
		{"pressure in Pa", "01 0510 E0A0C905", "pressure_hpa=971"},
		{"wind", "01 0910 AC0D0000 01 0810 B01E0400", "wind_ms=3.5 wind_dir_deg=270"},
		{"rain is an intensity, light is no radiation", "01 1110 E8030000 01 0310 E8030000", "{rain 1 mm/h} {light 1 lux}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := words(decodeS2120(sum(unhex(t, tt.payload)))); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	broken := sum(unhex(t, "01 0110 98530000"))
	broken[4] ^= 1
	if got := words(decodeS2120(broken)); strings.Contains(got, "temp_c=21.4") || isFirstGeneration(broken) {
		t.Errorf("a frame whose check sum is wrong is read as one of the first generation: %s", got)
	}
}

func TestS2120Samples(t *testing.T) {
	var samples struct {
		Examples []struct {
			Description string
			BytesHex    string `json:"bytes_hex"`
		}
	}
	if err := json.Unmarshal(ingesttest.Testdata(t, "lorawan/sensecap_s2120_examples.json"), &samples); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"properties": "battery_pct=100 fw=1.1 [hardware 1.0] [measures every 60 min] [the sensor of channel 1 was removed]",
		"telemetry":  "temp_c=21.4 rh_pct=31.4",
		"sensor_id":  "[sensor 2CF7F1301500016A]",
	}
	for _, s := range samples.Examples {
		if got := words(decodeS2120(unhex(t, s.BytesHex))); got != want[s.Description] {
			t.Errorf("%s: got  %s\nwant %s", s.Description, got, want[s.Description])
		}
		delete(want, s.Description)
	}
	if len(want) > 0 {
		t.Errorf("not in the samples: %v", want)
	}
}

func FuzzS2120(f *testing.F) {
	for _, s := range []string{"0100D61F000013880A0023", "035A06FF", "4C007000001F40", "99"} {
		f.Add(unhex(f, s))
	}
	f.Add(sum(unhex(f, "0101100000007F 00070064003C00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decodeS2120(b)
		if (fr == nil) == (err == nil) {
			t.Fatal("neither a frame nor an error, or both")
		}
		if err != nil {
			return
		}
		for field, x := range fr.values.All() {
			if err := field.Check(x); err != nil {
				t.Error(err)
			}
			if !field.In(contract.Environment) {
				t.Errorf("%s is none of a weather station", field)
			}
		}
	})
}
