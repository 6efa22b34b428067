package lorawan

import (
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
	firmware string // version
	notes    []string
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
)

// measurement puts what a measurement id stands for. Left out: 4099 light (lux
// is no W/m²), 4190 UV index, 4113 rain (an intensity in mm/h) and 4213 rain
// accumulation (a sum since the station's own beginning): rain_mm is the rain
// since the previous reading, and cannot be told from one of them alone.
func (f *frame) measurement(id int, x float64) {
	switch id {
	case idAirTemperature:
		f.put(contract.TempC, x)
	case idAirHumidity:
		f.put(contract.RhPct, x)
	case idCO2:
		f.put(contract.Co2PPM, x)
	case idPressure:
		f.put(contract.PressureHPa, x/100)
	case idWindDirection:
		f.put(contract.WindDirDeg, x)
	case idWindSpeed:
		f.put(contract.WindMS, x)
	case idWindGust:
		f.put(contract.WindGustMS, x)
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
		case id == 2:
			low = reversedHex(v)
		case id == 3:
			high = reversedHex(v)
		case id == 7:
			f.put(contract.BatteryPct, float64(binary.LittleEndian.Uint16(v)))
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

func (f *frame) station(id byte, v []byte) {
	u16 := func(i int) float64 { return float64(binary.BigEndian.Uint16(v[i:])) }
	switch id {
	case 0x01, 0x4a: // temperature, humidity, light (lux), UV index, wind speed
		f.measurement(idAirTemperature, float64(int16(binary.BigEndian.Uint16(v)))/10) //nolint:gosec // two's complement
		f.measurement(idAirHumidity, float64(v[2]))
		f.measurement(idWindSpeed, u16(8)/10)
	case 0x02, 0x4b: // wind direction, rain (mm/h), pressure in tens of Pa
		f.measurement(idWindDirection, u16(0))
		f.measurement(idPressure, u16(6)*10)
	case 0x4c: // peak gust, rain accumulation (mm)
		f.measurement(idWindGust, u16(0)/10)
	case 0x03:
		f.put(contract.BatteryPct, float64(v[0]))
	case 0x04: // battery, hardware, firmware, intervals
		f.put(contract.BatteryPct, float64(v[0]))
		f.firmware = fmt.Sprintf("%d.%d", v[3], v[4])
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
