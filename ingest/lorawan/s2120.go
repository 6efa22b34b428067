package lorawan

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	contract "firewatch/firmware-contracts"
)

// A frame is what a device's own bytes say.
type frame struct {
	values   contract.Values
	firmware string   // version
	notes    []string // what a person should know of the device
	extras   []string // what it measures and is no field, in words
	faults   []string
}

func (f *frame) put(field contract.Field, x float64) {
	if err := field.Check(x); err != nil {
		f.faults = append(f.faults, err.Error())
		return
	}
	f.values.Set(field, x)
}

// Measurement ids of SenseCAP, as its decoders name them:
// https://github.com/Seeed-Solution/SenseCAP-Decoder.
const (
	idAirTemperature = 4097 // °C
	idAirHumidity    = 4098 // %
	idCO2            = 4100 // ppm
	idPressure       = 4101 // Pa
	idWindDirection  = 4104 // °
	idWindSpeed      = 4105 // m/s
	idWindGust       = 4191 // m/s, peak
	idLight          = 4099 // lux
	idRain           = 4113 // mm/h
	idUV             = 4190 // index
	idRainSum        = 4213 // mm since the station's beginning
)

// fields are what the measurement ids stand for, and the units of a field that
// one of SenseCAP's is.
var fields = map[int]struct {
	field contract.Field
	per   float64
}{
	idAirTemperature: {contract.TempC, 1}, idAirHumidity: {contract.RhPct, 1}, idCO2: {contract.Co2PPM, 1},
	idPressure: {contract.PressureHPa, 100}, idWindDirection: {contract.WindDirDeg, 1},
	idWindSpeed: {contract.WindMS, 1}, idWindGust: {contract.WindGustMS, 1},
}

// others are measured and no fields: lux is no W/m²; and rain_mm is the rain since
// the previous reading, which neither an intensity is nor a sum since the
// station's own beginning.
var others = map[int]struct{ name, unit string }{
	idLight: {"light", " lux"}, idUV: {"UV index", ""}, idRain: {"rain", " mm/h"}, idRainSum: {"rain in all", " mm"},
}

func measurementKnown(id int) bool {
	_, ok := fields[id]
	if !ok {
		_, ok = others[id]
	}
	return ok
}

// measurement puts what a measurement id stands for.
func (f *frame) measurement(id int, x float64) {
	if to, ok := fields[id]; ok {
		f.put(to.field, x/to.per)
	} else if o, ok := others[id]; ok {
		f.extras = append(f.extras, fmt.Sprintf("%s %.10g%s", o.name, x, o.unit))
	}
}

// decodeS2120 reads the payload of a SenseCAP S2120 weather station. There are
// two formats. The first generation of SenseCAP ends in a check sum, so it is
// told by that; the station's own frames have none.
func decodeS2120(b []byte) (*frame, error) {
	if len(b) == 0 {
		return nil, errors.New("the payload is empty")
	}
	if isFirstGeneration(b) {
		return firstGeneration(b[:len(b)-2]), nil
	}
	return stationFrames(b)
}

// kermit is the CRC-16 with the polynomial 0x1021, reflected, from 0; over bytes
// that end in their own it is 0.
func kermit(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8408
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

const firstGenerationFrame = 7 // [channel u8][id u16 LE][value i32 LE]

func isFirstGeneration(b []byte) bool {
	return len(b) >= firstGenerationFrame+2 && len(b)%firstGenerationFrame == 2 && kermit(b) == 0
}

// firstGeneration reads [channel u8][id u16 LE][value i32 LE] one after the
// other. An id above 4096 is a measurement in thousandths.
func firstGeneration(b []byte) *frame {
	f := &frame{}
	var low, high string
	for ; len(b) >= firstGenerationFrame; b = b[firstGenerationFrame:] {
		channel, id, v := b[0], int(binary.LittleEndian.Uint16(b[1:])), b[3:7]
		switch {
		case id > 4096:
			f.measurement(id, float64(int32(binary.LittleEndian.Uint32(v)))/1000) //nolint:gosec // two's complement
		case id == 0:
			f.firmware = fmt.Sprintf("%d.%d", v[1], v[0])
			f.notes = append(f.notes, fmt.Sprintf("hardware %d.%d", v[3], v[2]))
		case id == 2:
			low = reversedHex(v)
		case id == 3:
			high = reversedHex(v)
		case id == 7:
			f.put(contract.BatteryPct, float64(binary.LittleEndian.Uint16(v)))
			f.every(binary.LittleEndian.Uint16(v[2:]))
		case id == 0x120:
			f.notes = append(f.notes, fmt.Sprintf("the sensor of channel %d was removed", channel))
		}
	}
	if low != "" && high != "" {
		f.notes = append(f.notes, "sensor "+high+low)
	}
	return f
}

func reversedHex(b []byte) string {
	r := []byte{b[3], b[2], b[1], b[0]}
	return strings.ToUpper(hex.EncodeToString(r))
}

// stationLength is how many bytes follow the id of a frame. Those of 0x20 and
// above other than 0x4A to 0x4C are not the weather station's, but their lengths
// are known, so they can be passed over.
func stationLength(id byte) int {
	switch id {
	case 0x01, 0x20, 0x21, 0x30, 0x31, 0x33, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x4a:
		return 10
	case 0x02, 0x4b:
		return 8
	case 0x03, 0x06:
		return 1
	case 0x05, 0x34:
		return 4
	case 0x04, 0x10, 0x32, 0x35, 0x36, 0x37, 0x38, 0x39:
		return 9
	case 0x4c:
		return 6
	}
	return 0
}

// stationFrames reads frames that begin with an id; their numbers are big-endian.
func stationFrames(b []byte) (*frame, error) {
	f := &frame{}
	read := 0
	for len(b) > 0 {
		id, n := b[0], stationLength(b[0])
		if n == 0 {
			f.faults = append(f.faults, fmt.Sprintf("frame 0x%02X is not known; what follows it cannot be read", id))
			break
		}
		if len(b) < 1+n {
			f.faults = append(f.faults, fmt.Sprintf("frame 0x%02X is cut off: it has %d bytes of %d", id, len(b)-1, n))
			break
		}
		f.station(id, b[1:1+n])
		b = b[1+n:]
		read++
	}
	if read == 0 {
		return nil, errors.New(f.faults[0])
	}
	return f, nil
}

// every notes how often the device measures.
func (f *frame) every(minutes uint16) {
	f.notes = append(f.notes, fmt.Sprintf("measures every %d min", minutes))
}

// refused is why the frame as a whole is none: it is what a station sends whose
// sensor gives nothing. A gust and a rain of 0 are a still and dry day.
func refused(id byte, v []byte) string {
	all := func(c byte) bool { return bytes.Count(v, []byte{c}) == len(v) }
	switch id {
	case 0x01, 0x02, 0x4a, 0x4b:
		if all(0) {
			return "only 0x00: the sensor gives nothing"
		}
	case 0x06: // 0xFF is an error code
		return ""
	}
	if all(0xff) {
		return "only 0xFF: the sensor gives nothing"
	}
	return ""
}

func (f *frame) station(id byte, v []byte) {
	if why := refused(id, v); why != "" {
		f.faults = append(f.faults, fmt.Sprintf("frame 0x%02X has %s", id, why))
		return
	}
	u16 := func(i int) float64 { return float64(binary.BigEndian.Uint16(v[i:])) }
	u32 := func(i int) float64 { return float64(binary.BigEndian.Uint32(v[i:])) }
	switch id {
	case 0x01, 0x4a: // temperature, humidity, light (lux), UV index, wind speed
		f.measurement(idAirTemperature, float64(int16(binary.BigEndian.Uint16(v)))/10) //nolint:gosec // two's complement
		f.measurement(idAirHumidity, float64(v[2]))
		f.measurement(idLight, u32(3))
		f.measurement(idUV, float64(v[7])/10)
		f.measurement(idWindSpeed, u16(8)/10)
	case 0x02, 0x4b: // wind direction, rain in thousandths of mm/h, pressure in tens of Pa
		f.measurement(idWindDirection, u16(0))
		f.measurement(idRain, u32(2)/1000)
		f.measurement(idPressure, u16(6)*10)
	case 0x4c: // peak gust, rain accumulation in thousandths of mm
		f.measurement(idWindGust, u16(0)/10)
		f.measurement(idRainSum, u32(2)/1000)
	case 0x03:
		f.put(contract.BatteryPct, float64(v[0]))
	case 0x04: // battery, hardware, firmware, intervals of measuring and of GPS
		f.put(contract.BatteryPct, float64(v[0]))
		f.firmware = fmt.Sprintf("%d.%d", v[3], v[4])
		f.notes = append(f.notes, fmt.Sprintf("hardware %d.%d", v[1], v[2]))
		f.every(binary.BigEndian.Uint16(v[5:]))
	case 0x05:
		f.every(binary.BigEndian.Uint16(v))
	case 0x06:
		if v[0] != 0 {
			f.notes = append(f.notes, fmt.Sprintf("sensor error 0x%02X: %s", v[0], stationError(v[0])))
		}
	}
}

// stationError is the name of an error code, as SenseCAP's decoder has it.
func stationError(code byte) string {
	names := [...]string{
		"NONE", "NOT_FOUND", "WAKEUP_ERROR", "NOT_RESPONSE", "DATA_EMPTY", "DATA_HEAD_ERROR", "DATA_CRC_ERROR",
		"DATA_B1_NO_VALID", "DATA_B2_NO_VALID", "RANDOM_NOT_MATCH", "PUBKEY_SIGN_VERIFY_FAILED",
		"DATA_SIGN_VERIFY_FAILED", "DATA_VALUE_HI", "DATA_VALUE_LOW", "DATA_VALUE_MISSED", "ARG_INVALID",
		"RS485_MASTER_BUSY", "RS485_REV_DATA_ERROR", "RS485_REG_MISSED", "RS485_FUN_EXE_ERROR",
		"RS485_WRITE_STRATEGY_ERROR", "CONFIG_ERROR",
	}
	switch {
	case int(code) < len(names):
		return names[code]
	case code == 0xff:
		return "DATA_ERROR_UNKNOWN"
	}
	return "OTHER"
}
